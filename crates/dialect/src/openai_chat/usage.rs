//! `usage`: <https://platform.openai.com/docs/api-reference/chat/object#chat/object-usage>, and what the vendors make
//! of it, read in one pass without building values.
//!
//! OpenAI counts cached, written and audio tokens inside `prompt_tokens`, reasoning and audio tokens inside
//! `completion_tokens`. Some vendors count a part beside its whole; their `total_tokens` says so.

use ir::money::ServiceTier;
use ir::usage::Usage;

use crate::json::{JsonError, Scanner, integer};

/// More tokens than any model can read or write in one answer: such a report is a lie.
const ABSURD_TOKENS: u64 = 1 << 32;

/// A report as it stands on the wire. A number that is there and is none (negative, fractional, absurd, text) makes the
/// whole unreadable. What has several names is the same count under each.
#[derive(Debug, Default)]
struct Report {
    prompt: Option<u64>,
    completion: Option<u64>,
    total: Option<u64>,
    cached: u64,
    cache_write: u64,
    prompt_audio: u64,
    completion_audio: u64,
    /// Among the details of the completion.
    reasoning: u64,
    /// Beside the completion: Together's and Perplexity's place.
    thoughts: u64,
    /// What Perplexity's research read.
    citations: u64,
    /// Whether Mistral says that there was sound.
    sound: bool,
    unreadable: bool,
}

/// Reads a usage report into disjoint buckets. `None` when it is absent (`null`), unreadable or absurd.
pub(super) fn read(value: &[u8]) -> Option<Usage> {
    scan(value, &mut Scanner::new(value, 0)).ok()?
}

/// Reads the service tier that a reply or a chunk names.
pub(super) fn tier(value: &[u8]) -> Option<ServiceTier> {
    let name = value.strip_prefix(b"\"")?.strip_suffix(b"\"")?;
    std::str::from_utf8(name).ok().map(ServiceTier::of_name)
}

/// Reads the report at which a scanner stands, and passes it.
///
/// # Errors
/// When the text is not JSON.
pub(super) fn scan(text: &[u8], scanner: &mut Scanner<'_>) -> Result<Option<Usage>, JsonError> {
    if !scanner.enter_or_pass(b'{')? {
        return Ok(None);
    }
    let mut report = Report::default();
    let mut first = true;
    while let Some(name) = scanner.member_name(first)? {
        first = false;
        let name = text.get(name).unwrap_or_default();
        match name {
            // Mistral's schema knows both spellings.
            b"prompt_tokens_details" | b"prompt_token_details" => report.details(text, scanner, true)?,
            b"completion_tokens_details" => report.details(text, scanner, false)?,
            _ => {
                let range = scanner.value()?;
                report.member(name, text.get(range).unwrap_or_default());
            }
        }
    }
    Ok(report.usage())
}

/// Reads the report in a member `usage` of the object at which a scanner stands, and passes the object: Groq's
/// `x_groq`.
///
/// # Errors
/// When the text is not JSON.
pub(super) fn scan_inside(text: &[u8], scanner: &mut Scanner<'_>) -> Result<Option<Usage>, JsonError> {
    let mut usage = None;
    if scanner.enter_or_pass(b'{')? {
        let mut first = true;
        while let Some(name) = scanner.member_name(first)? {
            first = false;
            if text.get(name) == Some(b"usage") {
                usage = scan(text, scanner)?;
            } else {
                scanner.value()?;
            }
        }
    }
    Ok(usage)
}

impl Report {
    fn member(&mut self, name: &[u8], value: &[u8]) {
        match name {
            b"prompt_tokens" => self.prompt = self.number(value),
            b"completion_tokens" => self.completion = self.number(value),
            b"total_tokens" => self.total = self.number(value),
            // Mistral; Together and Moonshot; DeepSeek; LiteLLM and Venice.
            b"num_cached_tokens" | b"cached_tokens" | b"prompt_cache_hit_tokens" | b"cache_read_input_tokens" => {
                self.cached = self.count(value).max(self.cached);
            }
            // LiteLLM and Vercel.
            b"cache_creation_input_tokens" => self.cache_write = self.count(value).max(self.cache_write),
            b"reasoning_tokens" => self.thoughts = self.count(value),
            b"citation_tokens" => self.citations = self.count(value),
            b"prompt_audio_seconds" => self.sound = integer(value).is_some_and(|seconds| seconds > 0),
            _ => {}
        }
    }

    fn details(&mut self, text: &[u8], scanner: &mut Scanner<'_>, prompt: bool) -> Result<(), JsonError> {
        if !scanner.enter_or_pass(b'{')? {
            return Ok(());
        }
        let mut first = true;
        while let Some(member) = scanner.member(first)? {
            first = false;
            let value = text.get(member.value).unwrap_or_default();
            match (text.get(member.name).unwrap_or_default(), prompt) {
                (b"cached_tokens", true) => self.cached = self.count(value).max(self.cached),
                // OpenAI and OpenRouter; LiteLLM.
                (b"cache_write_tokens" | b"cache_creation_tokens", true) => {
                    self.cache_write = self.count(value).max(self.cache_write);
                }
                (b"audio_tokens", true) => self.prompt_audio = self.count(value),
                (b"reasoning_tokens", false) => self.reasoning = self.count(value),
                (b"audio_tokens", false) => self.completion_audio = self.count(value),
                _ => {}
            }
        }
        Ok(())
    }

    fn number(&mut self, value: &[u8]) -> Option<u64> {
        let number = integer(value).filter(|tokens| *tokens <= ABSURD_TOKENS);
        self.unreadable |= number.is_none() && value != b"null";
        number
    }

    fn count(&mut self, value: &[u8]) -> u64 {
        self.number(value).unwrap_or(0)
    }

    /// Returns the buckets. A part that exceeds its whole, and does not stand beside it, is cut to it.
    fn usage(&self) -> Option<Usage> {
        let prompt = self.prompt.filter(|_| !self.unreadable)?;
        let completion = self.completion.unwrap_or(0);
        let (audio_beside, rest) = self.beside(prompt, completion);
        let cached_input = self.cached.min(prompt);
        let cache_write = self.cache_write.min(prompt - cached_input);
        let plain = prompt - cached_input - cache_write;
        let audio_inside = if audio_beside > 0 { 0 } else { self.prompt_audio.min(plain) };

        let thoughts = self.reasoning.max(self.thoughts);
        let inside = if self.thinks_apart(completion) || rest >= thoughts { 0 } else { thoughts.min(completion) };
        // What nobody names is thought: Google's compatible endpoint adds it to the total alone.
        let reasoning = if inside > 0 { inside + rest } else { thoughts.max(rest) };
        let audio_output = self.completion_audio.min(completion - inside);
        Some(Usage {
            input: plain - audio_inside + self.citations,
            cached_input,
            cache_write,
            output: completion - inside - audio_output,
            reasoning,
            audio_input: audio_inside + audio_beside,
            audio_output,
            ..Usage::default()
        })
    }

    /// Returns the tokens that the total counts beside prompt and completion: those of sound (Mistral), and the rest
    /// (xAI's thoughts).
    fn beside(&self, prompt: u64, completion: u64) -> (u64, u64) {
        let extra = self.total.unwrap_or(0).saturating_sub(prompt + completion);
        let audio = match self.prompt_audio {
            0 if self.sound => extra,
            0 => 0,
            audio if extra == audio || extra == audio + self.reasoning => audio,
            _ => 0,
        };
        (audio, extra - audio)
    }

    /// Whether the thoughts cannot be inside the completion, though the total does not have them: there are more of
    /// them (Vercel, whose own `cost` has both), or they are those of Perplexity's research.
    fn thinks_apart(&self, completion: u64) -> bool {
        self.reasoning > completion || self.citations > 0
    }
}

#[cfg(test)]
mod tests;
