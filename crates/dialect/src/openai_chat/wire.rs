//! The few members of replies and chunks that are read as values.

use ir::usage::Usage;
use serde::Deserialize;

/// `usage`: <https://platform.openai.com/docs/api-reference/chat/object#chat/object-usage>. Numbers that are negative,
/// fractional or absurd make it unreadable as a whole: it is then estimated.
#[derive(Deserialize)]
struct WireUsage {
    prompt_tokens: u64,
    #[serde(default)]
    completion_tokens: Option<u64>,
    #[serde(default)]
    prompt_tokens_details: Option<PromptDetails>,
    #[serde(default)]
    completion_tokens_details: Option<CompletionDetails>,
}

#[derive(Deserialize, Default)]
struct PromptDetails {
    #[serde(default)]
    cached_tokens: Option<u64>,
    #[serde(default)]
    audio_tokens: Option<u64>,
}

#[derive(Deserialize, Default)]
struct CompletionDetails {
    #[serde(default)]
    reasoning_tokens: Option<u64>,
    #[serde(default)]
    audio_tokens: Option<u64>,
}

/// More tokens than any model can read or write in one answer: such a report is a lie.
const ABSURD_TOKENS: u64 = 1 << 32;

/// Reads a usage report into disjoint buckets. `None` when it is absent (`null`), unreadable or absurd.
///
/// OpenAI counts cached and audio tokens inside `prompt_tokens`, reasoning and audio tokens inside
/// `completion_tokens`; a part that exceeds its whole is cut to it.
pub(super) fn usage(value: &[u8]) -> Option<Usage> {
    let wire: WireUsage = serde_json::from_slice(value).ok()?;
    let completion = wire.completion_tokens.unwrap_or(0);
    if wire.prompt_tokens > ABSURD_TOKENS || completion > ABSURD_TOKENS {
        return None;
    }
    let prompt = wire.prompt_tokens_details.unwrap_or_default();
    let details = wire.completion_tokens_details.unwrap_or_default();
    let cached_input = prompt.cached_tokens.unwrap_or(0).min(wire.prompt_tokens);
    let audio_input = prompt.audio_tokens.unwrap_or(0).min(wire.prompt_tokens - cached_input);
    let reasoning = details.reasoning_tokens.unwrap_or(0).min(completion);
    let audio_output = details.audio_tokens.unwrap_or(0).min(completion - reasoning);
    Some(Usage {
        input: wire.prompt_tokens - cached_input - audio_input,
        cached_input,
        cache_write: 0,
        output: completion - reasoning - audio_output,
        reasoning,
        audio_input,
        audio_output,
    })
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
