//! How good a model's answer to a prompt is expected to be, and on what that stands.
//!
//! Today it is one number per model: the operator's or the catalogue's, which is a rough ordering and no measurement, less
//! what callers say that it has become worse. The prompt's facts are passed so that an estimate per prompt can take its place without a change for anybody else.

use policy::snapshot::Model;

/// What is known of a prompt without understanding it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PromptFacts {
    /// Roughly how many tokens it has.
    pub input_tokens: u64,
    /// Whether it offers tools.
    pub tools: bool,
    /// Whether it holds images.
    pub images: bool,
}

/// An estimate of quality.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Estimate {
    /// 0 to 100.
    pub value: f64,
    /// How many observations it stands on; 0 for a number that somebody wrote down.
    pub support: u32,
}

/// Returns what is expected of a model's answer to a prompt; `None` when nobody said anything about the model. `liking` is
/// what share of that callers leave it, and how many have said something.
pub fn quality(_prompt: &PromptFacts, model: &Model, (left, support): (f64, u32)) -> Option<Estimate> {
    model.quality.map(|quality| Estimate { value: f64::from(quality.min(100)) * left, support })
}
