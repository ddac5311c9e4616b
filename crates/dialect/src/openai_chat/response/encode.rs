//! A canonical reply, written as a chat completion: <https://platform.openai.com/docs/api-reference/chat/object>.
//!
//! Thoughts stand in `reasoning_content` and, with their proofs, in `reasoning_details`. What the schema has no place
//! for (a provider's own tool at work) stands beside the content, in `provider_specific_fields`.

use ir::chat::message::{Content, Part, Source};
use ir::chat::response::{Choice, Response};
use ir::dialect::Dialect;

use crate::openai_chat::wire::message::Address;
use crate::openai_chat::wire::reply::{self as wire, Annotation, Blocks};
use crate::openai_chat::wire::request::own;
use crate::openai_chat::wire::{object, word};
use crate::openai_chat::{finish, reasoning};
use crate::translate::Label;

/// Writes a reply.
pub fn encode(response: &Response, label: &Label<'_>) -> Vec<u8> {
    let reply = wire::Reply {
        id: wire::completion_id(&response.id, label.seed),
        object: "chat.completion",
        created: response.created.unwrap_or(label.created),
        model: if response.model.is_empty() { label.model } else { &response.model },
        choices: response.choices.iter().map(|found| choice(found, label)).collect(),
        usage: response.usage.as_ref().map(wire::Consumed::of),
        service_tier: response.service_tier.as_deref(),
        extras: own(&response.extras),
    };
    // Serialising strings and carried JSON into a vector cannot fail.
    serde_json::to_vec(&reply).unwrap_or_default()
}

fn choice<'a>(choice: &'a Choice, label: &Label<'_>) -> wire::Choice<'a> {
    let mut message = wire::Message { role: "assistant", content: None, refusal: None, more: wire::Delta::default() };
    for (at, part) in choice.parts.iter().enumerate() {
        place(part, at, choice.index, label, &mut message);
    }
    let finish_reason = finish::word(&choice.finish, !message.more.tool_calls.is_empty());
    let extras = own(&choice.extras);
    wire::Choice { index: choice.index, message, logprobs: choice.logprobs.as_ref(), finish_reason, extras }
}

fn place<'a>(part: &'a Part, at: usize, choice: u32, label: &Label<'_>, message: &mut wire::Message<'a>) {
    let more = &mut message.more;
    match &part.content {
        Content::Text { text, citations } => {
            message.content.get_or_insert_default().push_str(text);
            more.annotations.extend(citations.iter().map(Annotation::of));
        }
        Content::Refusal(text) => message.refusal.get_or_insert_default().push_str(text),
        Content::Thinking { text, .. } => {
            more.think(text);
            reasoning::push(part, more.reasoning_details.len() as u64, &mut more.reasoning_details);
        }
        Content::Redacted => {
            reasoning::push(part, more.reasoning_details.len() as u64, &mut more.reasoning_details);
        }
        Content::ToolCall(call) => {
            let id = wire::call_id(&call.id, label.seed, choice, at);
            let extra_content = wire::extra_content(part.signature.as_ref());
            let call = wire::Call::new(id, &call.name, &call.arguments, call.custom);
            more.tool_calls.push(wire::Call { extra_content, ..call });
        }
        Content::Audio(Source::Base64 { data, .. }) => more.audio = Some(audio(part, data, label)),
        Content::Image { source, .. } => {
            let url = match source {
                Source::Base64 { media_type, data } => Address::Data { media_type, data },
                Source::Url(url) | Source::File(url) | Source::Text(url) => Address::Plain(url),
                Source::Parts(_) => return,
            };
            more.images.push(wire::Image::new(url, more.images.len() as u32));
        }
        Content::Foreign { dialect, block } => {
            more.provider_specific_fields.get_or_insert_with(Blocks::default).0.push((*dialect, block));
        }
        // No provider answers with these.
        Content::Audio(_) | Content::Video(_) | Content::Document(_) | Content::ToolResult(_) => {}
    }
}

/// Returns sound, with what its deltas said of it.
fn audio<'a>(part: &Part, data: &'a str, label: &Label<'_>) -> wire::Audio<'a> {
    let (mut id, mut expires_at, mut transcript) = (None, None, String::new());
    for (_, delta) in part.extras.of(Dialect::OpenaiChat) {
        let Some(mut delta) = object(delta.as_str()) else { continue };
        id = id.or(word(&mut delta, "id"));
        expires_at = expires_at.or(delta.integer("expires_at").ok().flatten());
        transcript.push_str(&word(&mut delta, "transcript").unwrap_or_default());
    }
    let id = id.unwrap_or_else(|| format!("audio_{}", label.seed));
    wire::Audio::Whole { id, data, expires_at: expires_at.unwrap_or(label.created), transcript }
}

#[cfg(test)]
mod tests;
