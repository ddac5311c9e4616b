//! From a buffered message to the canonical answer. It is read liberally: a block that is not what its type demands is
//! carried whole.

use ir::chat::extras::Extras;
use ir::chat::message::{Content, Part};
use ir::chat::response::{Choice, Finish, Response};

use crate::anthropic::error;
use crate::anthropic::usage::Reported;
use crate::anthropic::wire::{block, usage};
use crate::json::object::{Object, Path, Wrong};
use crate::translate::NotAReply;

/// Reads a reply: <https://docs.claude.com/en/api/messages>. `seed` makes ids of tool calls that lack one.
///
/// # Errors
/// When it is not a JSON object with content, or when it holds an error.
pub fn decode(body: &str, seed: &str) -> Result<Response, NotAReply> {
    let malformed = |wrong: Wrong| NotAReply::Malformed(wrong.to_string());
    let mut object = Object::read(body, Path::default()).map_err(malformed)?;
    if object.peek("type") == Some("\"error\"") || object.peek("error").is_some() {
        return Err(NotAReply::Error(error::read(body.as_bytes())));
    }
    if object.peek("content").is_none() {
        return Err(NotAReply::Malformed("the answer has no content".to_owned()));
    }
    let blocks = object.list("content").map_err(malformed)?.unwrap_or_default();
    let mut text = |name| object.text(name).ok().flatten();
    let (id, model) = (text("id").unwrap_or_default(), text("model").unwrap_or_default());
    let finish = finish(text("stop_reason"), text("stop_sequence"));
    let mut response = Response { id, model, ..Response::default() };
    let mut reported = Reported::default();
    if let Some(text) = object.take("usage") {
        response.service_tier = usage::read(text, &mut reported, &mut response.extras);
    }
    response.usage = reported.usage();
    for name in ["type", "role"] {
        object.take(name);
    }
    block::carry(object, "", &mut response.extras);
    let parts = parts(&blocks, seed);
    response.choices.push(Choice { index: 0, parts, finish, logprobs: None, extras: Extras::default() });
    Ok(response)
}

fn parts(blocks: &[&str], seed: &str) -> Vec<Part> {
    let mut calls = 0;
    let read = |text: &&str| {
        let mut part = block::read(text, Path::default()).unwrap_or_else(|_| block::foreign(text));
        if let Content::ToolCall(call) = &mut part.content {
            if call.id.is_empty() {
                call.id = tool_id(seed, calls);
            }
            calls += 1;
        }
        part
    };
    blocks.iter().map(read).collect()
}

/// Returns the id of a call that the provider gave none.
pub(in crate::anthropic) fn tool_id(seed: &str, number: usize) -> String {
    format!("toolu_{seed}{number}")
}

/// Reads `stop_reason` and `stop_sequence`: <https://docs.claude.com/en/api/handling-stop-reasons>.
pub(in crate::anthropic) fn finish(reason: Option<String>, sequence: Option<String>) -> Finish {
    match reason.as_deref() {
        Some("end_turn") => Finish::Stop,
        Some("max_tokens") => Finish::Length,
        Some("stop_sequence") => Finish::StopSequence(sequence),
        Some("tool_use") => Finish::ToolCalls,
        Some("pause_turn") => Finish::Pause,
        Some("refusal") => Finish::Refusal,
        Some("model_context_window_exceeded") => Finish::ContextWindow,
        _ => Finish::Other(reason.unwrap_or_default()),
    }
}

#[cfg(test)]
mod tests;
