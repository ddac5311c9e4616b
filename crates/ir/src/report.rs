//! What a provider says about an error, as far as it can be understood.

/// A provider's account of an error.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Its message.
    pub message: Option<String>,
    /// Its `code`, or its `type` when there is none.
    pub code: Option<String>,
    /// The field that it blames.
    pub param: Option<String>,
}
