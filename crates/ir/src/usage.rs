//! What a request consumed: tokens in disjoint buckets, so that a sum never counts one twice.

use serde::{Deserialize, Serialize};

/// Tokens by bucket. The buckets are disjoint: `input` holds no cached and no audio token, `output` no reasoning token.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// Input tokens that were neither cached nor audio.
    pub input: u64,
    /// Input tokens read from the provider's prompt cache.
    pub cached_input: u64,
    /// Input tokens written to the provider's prompt cache.
    pub cache_write: u64,
    /// Output tokens that are neither reasoning nor audio.
    pub output: u64,
    /// Output tokens spent on reasoning.
    pub reasoning: u64,
    /// Input tokens of audio.
    pub audio_input: u64,
    /// Output tokens of audio.
    pub audio_output: u64,
}

impl Usage {
    /// Returns all input tokens, cached or not.
    pub fn input_tokens(&self) -> u64 {
        self.input.saturating_add(self.cached_input).saturating_add(self.cache_write).saturating_add(self.audio_input)
    }

    /// Returns all output tokens, reasoning included.
    pub fn output_tokens(&self) -> u64 {
        self.output.saturating_add(self.reasoning).saturating_add(self.audio_output)
    }
}

/// Where a usage comes from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum UsageOrigin {
    /// Nothing was consumed: no target was reached, or it failed before it produced anything.
    #[default]
    None,
    /// The provider reported it.
    Reported,
    /// The provider did not report it (the stream broke, the client left, the process died): it was estimated from
    /// the bytes that passed.
    Estimated,
}

impl UsageOrigin {
    /// Returns the name used in the API and in the request log.
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Reported => "reported",
            Self::Estimated => "estimated",
        }
    }
}

/// Estimates tokens from bytes of text: one token for every four bytes, rounded up.
///
/// English prose has 4.0 to 4.7 bytes per token in current vocabularies, code and other scripts fewer; the estimate is
/// for settlements that no report covers, not for admission.
pub fn estimate_tokens(bytes: u64) -> u64 {
    bytes.div_ceil(4)
}
