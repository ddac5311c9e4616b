//! From the canonical answer, of whatever provider, to a buffered message.
//!
//! | canonical | here |
//! |---|---|
//! | several answers | the first |
//! | a refusal | text, and `stop_reason: "refusal"` |
//! | a thought that is not Anthropic's | a thinking block with an empty signature, because the SDKs demand one |
//! | a hidden thought that is not Anthropic's | nothing |
//! | pictures, sound, blocks of other dialects | nothing: Anthropic's answers have no such block |

use std::borrow::Cow;

use ir::chat::extras::Extras;
use ir::chat::message::{Content, Part, Signature};
use ir::chat::response::{Choice, Finish, Response};
use ir::json::Json;
use serde::Serialize;
use serde_json::{Map, Value};

use super::decode::tool_id;
use crate::anthropic::wire::usage::Written;
use crate::anthropic::wire::{self, Block, DIALECT, Members};
use crate::translate::Label;

/// Writes a reply; the meta block is put before its last brace by the caller.
pub fn encode(response: &Response, label: &Label<'_>) -> Vec<u8> {
    let choice = response.choices.iter().find(|choice| choice.index == 0).or(response.choices.first());
    let (stop_reason, stop_sequence) = choice.map_or((Some("end_turn"), None), ended);
    let message = Message {
        id: id(&response.id, label.seed),
        kind: "message",
        role: "assistant",
        model: if response.model.is_empty() { label.model } else { &response.model },
        content: choice.map(|choice| blocks(&choice.parts, label.seed)).unwrap_or_default(),
        stop_reason,
        stop_sequence,
        stop_details: response.extras.get(DIALECT, "stop_details"),
        usage: Written {
            usage: response.usage,
            service_tier: response.service_tier.as_deref(),
            extras: &response.extras,
            whole: true,
        },
        extras: Members::of(&response.extras).except(&["stop_details"]),
    };
    // Serialising strings and JSON into a vector cannot fail.
    serde_json::to_vec(&message).unwrap_or_default()
}

/// A message, whole or as a stream begins it.
#[derive(Serialize)]
pub(in crate::anthropic) struct Message<'a> {
    pub id: Cow<'a, str>,
    #[serde(rename = "type")]
    pub kind: &'static str,
    pub role: &'static str,
    pub model: &'a str,
    pub content: Vec<Block<'a>>,
    pub stop_reason: Option<&'a str>,
    pub stop_sequence: Option<&'a str>,
    pub stop_details: Option<&'a Json>,
    pub usage: Written<'a>,
    #[serde(flatten)]
    pub extras: Members<'a>,
}

/// Returns the id of a message: the provider's, where there is one.
pub(in crate::anthropic) fn id<'a>(id: &'a str, seed: &str) -> Cow<'a, str> {
    if id.is_empty() { Cow::Owned(format!("msg_{seed}")) } else { Cow::Borrowed(id) }
}

/// Returns `stop_reason` and `stop_sequence`. A call is a reason of its own, whatever the provider says: OpenAI ends a
/// call that was forced by `stop`.
pub(in crate::anthropic) fn stop(finish: &Finish, calls: bool, refuses: bool) -> (Option<&str>, Option<&str>) {
    match finish {
        Finish::Stop if calls => (Some("tool_use"), None),
        Finish::Stop if refuses => (Some("refusal"), None),
        Finish::Stop => (Some("end_turn"), None),
        Finish::StopSequence(Some(sequence)) => (Some("stop_sequence"), Some(sequence)),
        Finish::StopSequence(None) => (Some("stop_sequence"), None),
        Finish::Length => (Some("max_tokens"), None),
        Finish::ContextWindow => (Some("model_context_window_exceeded"), None),
        Finish::ToolCalls => (Some("tool_use"), None),
        Finish::ContentFilter | Finish::Refusal => (Some("refusal"), None),
        Finish::Pause => (Some("pause_turn"), None),
        // Anthropic's own; any other word means nothing to its callers.
        Finish::Other(word) if word == "compaction" => (Some(word), None),
        Finish::Other(_) => (Some(if calls { "tool_use" } else { "end_turn" }), None),
    }
}

fn ended(choice: &Choice) -> (Option<&str>, Option<&str>) {
    let has = |wanted: fn(&Content) -> bool| choice.parts.iter().any(|part| wanted(&part.content));
    let calls = has(|content| matches!(content, Content::ToolCall(_)));
    stop(&choice.finish, calls, has(|content| matches!(content, Content::Refusal(_))))
}

fn blocks<'a>(parts: &'a [Part], seed: &str) -> Vec<Block<'a>> {
    let mut calls = 0;
    parts.iter().filter_map(|part| block(part, seed, &mut calls)).collect()
}

fn block<'a>(part: &'a Part, seed: &str, calls: &mut usize) -> Option<Block<'a>> {
    let extras = Members::of(&part.extras);
    let proof = match &part.signature {
        Some(Signature { by: DIALECT, text }) => Some(text.as_str()),
        _ => None,
    };
    match &part.content {
        Content::Text { text, citations } => {
            let citations = citations.iter().filter_map(wire::citation).collect();
            Some(Block::Text(wire::Text { text, citations, cache_control: None, extras }))
        }
        Content::Refusal(text) => {
            Some(Block::Text(wire::Text { text, citations: Vec::new(), cache_control: None, extras }))
        }
        Content::Thinking { text, .. } => {
            Some(Block::Thinking { thinking: text, signature: proof.unwrap_or_default(), extras })
        }
        Content::Redacted => proof.map(|data| Block::RedactedThinking { data, extras }),
        Content::ToolCall(call) => {
            let id = if call.id.is_empty() { tool_id(seed, *calls).into() } else { Cow::Borrowed(call.id.as_str()) };
            *calls += 1;
            let input = wire::input(&call.arguments);
            Some(Block::ToolUse { id, name: &call.name, input, cache_control: None, extras })
        }
        Content::Foreign { dialect: DIALECT, block } => Some(Block::Raw(accumulated(block, &part.extras))),
        Content::Foreign { .. }
        | Content::Image { .. }
        | Content::Audio(_)
        | Content::Video(_)
        | Content::Document(_)
        | Content::ToolResult(_) => None,
    }
}

/// Returns a block with the deltas of a stream that was folded: `input_json_delta` makes the input of a server tool's
/// use, any other (`compaction_delta`) gives the members that it has.
fn accumulated<'a>(block: &'a Json, extras: &Extras) -> Cow<'a, Json> {
    let deltas = extras.of(DIALECT).filter(|(name, _)| *name == "delta");
    let mut members: Option<Map<String, Value>> = None;
    let mut input = String::new();
    for (_, delta) in deltas {
        let Ok(delta) = serde_json::from_str::<Map<String, Value>>(delta.as_str()) else { continue };
        let whole = members.get_or_insert_with(|| serde_json::from_str(block.as_str()).unwrap_or_default());
        for (name, value) in delta {
            match (name.as_str(), &value) {
                ("type", _) => {}
                ("partial_json", Value::String(piece)) => input.push_str(piece),
                _ => {
                    whole.insert(name, value);
                }
            }
        }
    }
    let Some(mut whole) = members else { return Cow::Borrowed(block) };
    if let Ok(input) = serde_json::from_str(&input) {
        whole.insert("input".to_owned(), input);
    }
    Cow::Owned(Json::of(&whole))
}

#[cfg(test)]
mod tests;
