//! Why an answer ended: <https://ai.google.dev/api/generate-content#FinishReason>.

use ir::chat::response::Finish;

/// The reasons by their numbers in the protocol.
const NAMES: [&str; 18] = [
    "FINISH_REASON_UNSPECIFIED",
    "STOP",
    "MAX_TOKENS",
    "SAFETY",
    "RECITATION",
    "OTHER",
    "LANGUAGE",
    "BLOCKLIST",
    "PROHIBITED_CONTENT",
    "SPII",
    "MALFORMED_FUNCTION_CALL",
    "IMAGE_SAFETY",
    "UNEXPECTED_TOOL_CALL",
    "TOO_MANY_TOOL_CALLS",
    "IMAGE_PROHIBITED_CONTENT",
    "IMAGE_OTHER",
    "NO_IMAGE",
    "IMAGE_RECITATION",
];

/// Returns why an answer ended. `called` says whether it calls tools: Gemini says `STOP` of that too.
pub(in super::super) fn finish(reason: &str, called: bool) -> Finish {
    match reason {
        "STOP" | "" if called => Finish::ToolCalls,
        "STOP" | "" => Finish::Stop,
        "MAX_TOKENS" => Finish::Length,
        "SAFETY"
        | "RECITATION"
        | "LANGUAGE"
        | "BLOCKLIST"
        | "PROHIBITED_CONTENT"
        | "SPII"
        | "MODEL_ARMOR"
        | "IMAGE_SAFETY"
        | "IMAGE_PROHIBITED_CONTENT"
        | "IMAGE_RECITATION" => Finish::ContentFilter,
        other => Finish::Other(other.to_owned()),
    }
}

/// Returns the reason's name: as it stands, or by its number, where a client asked for enums as numbers.
pub(in super::super) fn name(value: &str) -> Option<String> {
    let name = crate::json::object::string(value);
    name.or_else(|| Some((*NAMES.get(value.parse::<usize>().ok()?)?).to_owned()))
}

/// Whether a word is one of Gemini's reasons.
pub(in super::super) fn is_known(word: &str) -> bool {
    NAMES.contains(&word)
}
