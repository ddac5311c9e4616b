//! Why an answer ended: the words of the vendors, and the four that every client of OpenAI's knows.
//!
//! OpenAI: <https://platform.openai.com/docs/api-reference/chat/object#chat/object-choices>. Vendors send their own
//! words or those of the dialect behind them: Together `eos` (<https://docs.together.ai/reference/chat-completions>),
//! Mistral `model_length` and `error` (<https://docs.mistral.ai/api/#tag/chat>), DeepSeek `insufficient_system_resource`
//! (<https://api-docs.deepseek.com/api/create-chat-completion>), Z.AI `sensitive`
//! (<https://docs.z.ai/api-reference/llm/chat-completion>), text-generation-inference `eos_token`, Cohere `COMPLETE`.

use std::ops::Range;

use bytes::Bytes;
use ir::chat::response::Finish;

use crate::json::string;
use crate::splice::Patch;

/// Reads a vendor's word.
pub(super) fn read(word: String) -> Finish {
    match word.to_ascii_lowercase().as_str() {
        "stop" | "eos" | "eos_token" | "end_turn" | "complete" => Finish::Stop,
        "stop_sequence" => Finish::StopSequence(None),
        "length" | "max_tokens" | "max_output_tokens" => Finish::Length,
        "model_length" | "model_context_window_exceeded" => Finish::ContextWindow,
        "tool_calls" | "function_call" | "tool_use" | "tool_call" => Finish::ToolCalls,
        "content_filter" | "safety" | "sensitive" | "recitation" | "prohibited_content" | "blocklist" => {
            Finish::ContentFilter
        }
        "refusal" => Finish::Refusal,
        _ => Finish::Other(word),
    }
}

/// Returns one of the four words. An answer that the provider broke off is as unfinished as one that was cut.
pub(super) fn word(finish: &Finish, has_calls: bool) -> &'static str {
    const BROKEN_OFF: [&str; 5] = ["error", "abort", "timeout", "network_error", "insufficient_system_resource"];
    match finish {
        Finish::Length | Finish::ContextWindow => "length",
        Finish::ToolCalls => "tool_calls",
        Finish::ContentFilter | Finish::Refusal => "content_filter",
        Finish::Other(word) if BROKEN_OFF.iter().any(|known| word.eq_ignore_ascii_case(known)) => "length",
        Finish::Other(_) if has_calls => "tool_calls",
        Finish::Stop | Finish::StopSequence(_) | Finish::Pause | Finish::Other(_) => "stop",
    }
}

/// Whether a `finish_reason` is one of the four, or what OpenAI says where `functions` were asked for.
pub(super) fn is_known(value: &[u8]) -> bool {
    matches!(value, b"\"stop\"" | b"\"length\"" | b"\"tool_calls\"" | b"\"content_filter\"" | b"\"function_call\"")
}

/// Returns the change of one that is not; `None` where it says nothing.
pub(super) fn patch(value: &[u8], range: Range<usize>, has_calls: bool) -> Option<Patch> {
    let said = string(value).filter(|said| !said.is_empty())?;
    Some(replaced(range, word(&read(said), has_calls)))
}

/// Returns the change of a `finish_reason` to one of the words.
pub(super) fn replaced(range: Range<usize>, word: &'static str) -> Patch {
    Patch { range, with: Bytes::from([b"\"", word.as_bytes(), b"\""].concat()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(said: &str, expect: &str) {
        assert_eq!(word(&read(said.to_owned()), false), expect, "{said}");
    }

    #[test]
    fn there_are_four_words() {
        for said in ["stop", "eos", "EOS_TOKEN", "end_turn", "stop_sequence", "COMPLETE", "pause_turn", "other"] {
            check(said, "stop");
        }
        for said in ["length", "max_tokens", "MAX_TOKENS", "model_length", "model_context_window_exceeded", "error"] {
            check(said, "length");
        }
        for said in ["tool_calls", "function_call", "tool_use", "TOOL_CALL"] {
            check(said, "tool_calls");
        }
        for said in ["content_filter", "SAFETY", "sensitive", "refusal"] {
            check(said, "content_filter");
        }
        assert_eq!(word(&Finish::Other("other".to_owned()), true), "tool_calls");
        assert_eq!(word(&Finish::Other("abort".to_owned()), true), "length");
    }

    #[test]
    fn what_is_known_is_not_patched() {
        assert!(is_known(b"\"function_call\"") && !is_known(b"\"eos\"") && !is_known(b"null"));
        assert_eq!(patch(b"\"eos\"", 3..8, false).unwrap().with.as_ref(), b"\"stop\"");
        assert_eq!(patch(b"\"\"", 3..5, true), None);
        assert_eq!(patch(b"7", 3..4, true), None);
    }
}
