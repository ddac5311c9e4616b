//! What a request consumed: tokens in disjoint buckets, so that a sum never counts one twice.

pub mod most;

use serde::{Deserialize, Serialize};

/// What was consumed, by bucket. The buckets are disjoint: `input` holds no cached, audio or image token, `output` no
/// reasoning token. The last ones are not tokens: they count what is billed beside or instead of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// Input tokens that were neither cached nor audio nor image.
    pub input: u64,
    /// Input tokens read from the provider's prompt cache.
    pub cached_input: u64,
    /// Input tokens written to the provider's prompt cache, for five minutes or for a time that is not said.
    pub cache_write: u64,
    /// Input tokens written to the provider's prompt cache for an hour.
    pub cache_write_1h: u64,
    /// Output tokens that are neither reasoning nor audio nor image.
    pub output: u64,
    /// Output tokens spent on reasoning.
    pub reasoning: u64,
    /// Input tokens of audio.
    pub audio_input: u64,
    /// Output tokens of audio.
    pub audio_output: u64,
    /// Input tokens of images, where they are told apart.
    pub image_input: u64,
    /// Output tokens of images.
    pub image_output: u64,
    /// Images made.
    pub images: u64,
    /// Milliseconds of audio heard or spoken, where audio is billed by time.
    pub audio_ms: u64,
    /// Characters spoken, where speech is billed by length.
    pub characters: u64,
    /// Web searches that the provider ran.
    pub searches: u64,
    /// Calls that are billed as such, like the queries of a reranker.
    pub requests: u64,
}

impl Usage {
    /// Returns all input tokens, cached or not.
    pub fn input_tokens(&self) -> u64 {
        [self.input, self.cached_input, self.cache_writes(), self.audio_input, self.image_input]
            .iter()
            .fold(0, |sum: u64, tokens| sum.saturating_add(*tokens))
    }

    /// Returns all output tokens, reasoning included.
    pub fn output_tokens(&self) -> u64 {
        [self.output, self.reasoning, self.audio_output, self.image_output]
            .iter()
            .fold(0, |sum: u64, tokens| sum.saturating_add(*tokens))
    }

    /// Whether it says nothing: every count is 0. Some providers send such a report where they know nothing, and some send
    /// one after the real one.
    pub fn is_nothing(&self) -> bool {
        *self == Self::default()
    }

    /// Returns the same usage with so many output tokens at least. What is missing is taken to be text.
    #[must_use]
    pub fn with_output(self, at_least: u64) -> Self {
        let missing = at_least.saturating_sub(self.output_tokens());
        Self { output: self.output.saturating_add(missing), ..self }
    }

    /// Returns the same usage in the buckets that the request log has: cache writes in one, image tokens with the rest.
    #[must_use]
    pub fn folded(&self) -> Self {
        Self {
            input: self.input.saturating_add(self.image_input),
            cached_input: self.cached_input,
            cache_write: self.cache_writes(),
            output: self.output.saturating_add(self.image_output),
            reasoning: self.reasoning,
            audio_input: self.audio_input,
            audio_output: self.audio_output,
            ..Self::default()
        }
    }

    /// Returns the tokens written to the provider's prompt cache, for whatever time.
    pub fn cache_writes(&self) -> u64 {
        self.cache_write.saturating_add(self.cache_write_1h)
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
