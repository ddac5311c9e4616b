//! The few members of replies and chunks that are read as values, and the shapes that are written.

pub(super) mod message;
pub(super) mod reply;
pub(super) mod request;

use std::ops::Range;

use ir::usage::Usage;

use crate::json::object::{Object, Path, elements, string};
use crate::json::{JsonError, Scanner, integer};

/// `usage`: <https://platform.openai.com/docs/api-reference/chat/object#chat/object-usage>, as it stands on the wire.
/// A number that is there and is none (negative, fractional, text) makes the whole unreadable.
#[derive(Default)]
struct WireUsage {
    prompt: Option<u64>,
    completion: Option<u64>,
    cached: Option<u64>,
    prompt_audio: Option<u64>,
    reasoning: Option<u64>,
    completion_audio: Option<u64>,
    unreadable: bool,
}

impl WireUsage {
    fn read(value: &[u8]) -> Result<Self, JsonError> {
        let mut usage = Self::default();
        let mut scanner = Scanner::new(value, 0);
        scanner.enter_object()?;
        let mut first = true;
        while let Some(name) = scanner.member_name(first)? {
            first = false;
            match value.get(name).unwrap_or_default() {
                b"prompt_tokens" => usage.prompt = usage.number(value, scanner.value()?),
                b"completion_tokens" => usage.completion = usage.number(value, scanner.value()?),
                b"prompt_tokens_details" => usage.details(value, &mut scanner, true)?,
                b"completion_tokens_details" => usage.details(value, &mut scanner, false)?,
                _ => {
                    scanner.value()?;
                }
            }
        }
        Ok(usage)
    }

    fn details(&mut self, value: &[u8], scanner: &mut Scanner<'_>, prompt: bool) -> Result<(), JsonError> {
        if !scanner.enter_or_pass(b'{')? {
            return Ok(());
        }
        let mut first = true;
        while let Some(name) = scanner.member_name(first)? {
            first = false;
            let range = scanner.value()?;
            match (value.get(name).unwrap_or_default(), prompt) {
                (b"cached_tokens", true) => self.cached = self.number(value, range),
                (b"audio_tokens", true) => self.prompt_audio = self.number(value, range),
                (b"reasoning_tokens", false) => self.reasoning = self.number(value, range),
                (b"audio_tokens", false) => self.completion_audio = self.number(value, range),
                _ => {}
            }
        }
        Ok(())
    }

    fn number(&mut self, value: &[u8], range: Range<usize>) -> Option<u64> {
        let text = value.get(range).unwrap_or_default();
        let number = integer(text);
        self.unreadable |= number.is_none() && text != b"null";
        number
    }
}

/// More tokens than any model can read or write in one answer: such a report is a lie.
const ABSURD_TOKENS: u64 = 1 << 32;

/// Reads a usage report into disjoint buckets. `None` when it is absent (`null`), unreadable or absurd.
///
/// OpenAI counts cached and audio tokens inside `prompt_tokens`, reasoning and audio tokens inside
/// `completion_tokens`; a part that exceeds its whole is cut to it.
pub(super) fn usage(value: &[u8]) -> Option<Usage> {
    let wire = WireUsage::read(value).ok().filter(|wire| !wire.unreadable)?;
    let (prompt, completion) = (wire.prompt?, wire.completion.unwrap_or(0));
    if prompt > ABSURD_TOKENS || completion > ABSURD_TOKENS {
        return None;
    }
    let cached_input = wire.cached.unwrap_or(0).min(prompt);
    let audio_input = wire.prompt_audio.unwrap_or(0).min(prompt - cached_input);
    let reasoning = wire.reasoning.unwrap_or(0).min(completion);
    let audio_output = wire.completion_audio.unwrap_or(0).min(completion - reasoning);
    Some(Usage {
        input: prompt - cached_input - audio_input,
        cached_input,
        cache_write: 0,
        output: completion - reasoning - audio_output,
        reasoning,
        audio_input,
        audio_output,
    })
}

/// Reads an object of a reply; anything else says nothing.
pub(super) fn object(text: &str) -> Option<Object<'_>> {
    Object::read(text, Path::default()).ok()
}

/// Takes a text that is there and not empty; anything else says nothing.
pub(super) fn word(object: &mut Object<'_>, name: &'static str) -> Option<String> {
    object.text(name).ok().flatten().filter(|text| !text.is_empty())
}

/// Returns what base64 data is, by its first bytes; sound without a header is PCM, which is all that streams carry.
pub(super) fn media_type(data: &str) -> &'static str {
    const MARKS: [(&str, &str); 10] = [
        ("JVBERi0", "application/pdf"),
        ("UEsDB", "application/zip"),
        ("UklGR", "audio/wav"),
        ("SUQz", "audio/mp3"),
        ("//u", "audio/mp3"),
        ("//N", "audio/mp3"),
        ("T2dnU", "audio/ogg"),
        ("ZkxhQ", "audio/flac"),
        ("iVBORw0KGgo", "image/png"),
        ("/9j/", "image/jpeg"),
    ];
    MARKS.iter().find(|(mark, _)| data.starts_with(mark)).map_or("audio/pcm16", |(_, name)| name)
}

/// Returns the text of Mistral's `thinking`: a string or an array of text chunks.
pub(super) fn thought(value: &str) -> Option<String> {
    if let Some(text) = string(value) {
        return Some(text);
    }
    let chunks = elements(value).ok()?;
    chunks.into_iter().map(|chunk| Object::read(chunk, Path::default()).ok()?.text("text").ok()?).collect()
}

/// Takes a `data:` address with base64 apart (RFC 2397).
pub(super) fn data_url(url: &str) -> Option<(&str, &str)> {
    let (media_type, data) = url.strip_prefix("data:")?.split_once(',')?;
    Some((media_type.strip_suffix(";base64")?, data))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_are_disjoint() {
        let report = br#"{"prompt_tokens":100,"completion_tokens":50,"total_tokens":150,
            "prompt_tokens_details":{"cached_tokens":64,"audio_tokens":6},
            "completion_tokens_details":{"reasoning_tokens":40,"audio_tokens":null}}"#;
        let usage = usage(report).unwrap();
        assert_eq!((usage.input, usage.cached_input, usage.audio_input), (30, 64, 6));
        assert_eq!((usage.output, usage.reasoning, usage.audio_output), (10, 40, 0));
        assert_eq!((usage.input_tokens(), usage.output_tokens()), (100, 50));
    }

    #[test]
    fn lies_are_not_believed() {
        for report in [
            "null",
            "{}",
            r#"{"prompt_tokens":-1,"completion_tokens":1}"#,
            r#"{"prompt_tokens":1.5,"completion_tokens":1}"#,
            r#"{"prompt_tokens":1,"completion_tokens":99999999999999}"#,
            r#"{"prompt_tokens":"1"}"#,
        ] {
            assert_eq!(usage(report.as_bytes()), None, "{report}");
        }
    }

    #[test]
    fn a_part_never_exceeds_its_whole() {
        let usage = usage(br#"{"prompt_tokens":5,"completion_tokens":3,"prompt_tokens_details":{"cached_tokens":9},"completion_tokens_details":{"reasoning_tokens":9}}"#).unwrap();
        assert_eq!((usage.input, usage.cached_input, usage.output, usage.reasoning), (0, 5, 0, 3));
    }
}
