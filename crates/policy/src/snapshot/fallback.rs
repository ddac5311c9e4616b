//! Fallback policies: what is tried when a model fails, and on which failures.

use super::ModelIndex;

/// What happens when a model fails.
#[derive(Clone, Debug)]
pub struct Fallback {
    /// The models tried next, in order.
    pub models: Vec<ModelIndex>,
    /// On which failures.
    pub on: FallbackOn,
}

/// The failures that lead to the next target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of its own in the specification")]
pub struct FallbackOn {
    /// No connection.
    pub connect: bool,
    /// No first content in time.
    pub timeout: bool,
    /// 408.
    pub request_timeout: bool,
    /// 429.
    pub rate_limited: bool,
    /// 500 to 599 but 529, and answers that are not what they should be.
    pub server_error: bool,
    /// 529, or a body that says overloaded.
    pub overloaded: bool,
    /// 401, 403: the operator's credential.
    pub auth: bool,
    /// 404 for the model.
    pub model_not_found: bool,
    /// The prompt does not fit.
    pub context_length: bool,
    /// The provider's content filter.
    pub content_filter: bool,
    /// 409.
    pub conflict: bool,
}

impl Default for FallbackOn {
    fn default() -> Self {
        Self {
            connect: true,
            timeout: true,
            request_timeout: true,
            rate_limited: true,
            server_error: true,
            overloaded: true,
            auth: true,
            model_not_found: false,
            context_length: false,
            content_filter: false,
            conflict: false,
        }
    }
}
