//! A whole reply: what accounting needs of it, and the body that the caller gets.

use bytes::Bytes;
use ir::chat::message::Content;
use ir::chat::response::{Finish, Response};
use ir::dialect::Dialect;
use ir::usage::Usage;

use super::Surface;
use crate::anthropic::response::MessagesResponse;
use crate::openai_chat::response::ChatResponse;
use crate::translate::{Label, NotAReply};
use crate::{anthropic, cohere, gemini, ollama, openai_chat, openai_responses};

/// A whole reply.
#[derive(Debug)]
pub struct Reply {
    form: Form,
    /// The provider's id of the completion.
    pub id: Option<String>,
    /// Why it ended, in the provider's word where it is spliced, in the canonical one where it is translated.
    pub finish_reason: Option<String>,
    /// The reported usage; `None` when there is none that can be believed.
    pub usage: Option<Usage>,
    /// The bytes of content, for the estimate when there is no report.
    pub content_bytes: u64,
}

#[derive(Debug)]
enum Form {
    OpenaiChat(ChatResponse),
    Anthropic(MessagesResponse),
    Translated(Vec<u8>),
}

impl Reply {
    /// Reads a provider's reply body for a caller. `meta_key` is the name of the meta block.
    ///
    /// # Errors
    /// When it is not a reply.
    pub fn decode(
        surface: Surface,
        dialect: Dialect,
        body: Bytes,
        meta_key: &str,
        label: &Label<'_>,
    ) -> Result<Self, NotAReply> {
        match (surface, dialect) {
            (Surface::OpenaiChat, Dialect::OpenaiChat) => {
                let mut reply = ChatResponse::decode(body, meta_key)?;
                Ok(Self {
                    id: reply.id.take(),
                    finish_reason: reply.finish_reason.take(),
                    usage: reply.usage,
                    content_bytes: reply.choices_bytes,
                    form: Form::OpenaiChat(reply),
                })
            }
            (Surface::AnthropicMessages, Dialect::Anthropic) => {
                let mut reply = MessagesResponse::decode(body, meta_key)?;
                Ok(Self {
                    id: reply.id.take(),
                    finish_reason: reply.finish_reason.take(),
                    usage: reply.usage,
                    content_bytes: reply.content_bytes,
                    form: Form::Anthropic(reply),
                })
            }
            _ => Self::translate(surface, dialect, &body, label),
        }
    }

    fn translate(surface: Surface, dialect: Dialect, body: &[u8], label: &Label<'_>) -> Result<Self, NotAReply> {
        let text = simdutf8::basic::from_utf8(body).map_err(|error| NotAReply::Malformed(error.to_string()))?;
        let response = decode(dialect, text, label.seed)?;
        let encoded = match surface {
            Surface::OpenaiChat => openai_chat::response::encode::encode(&response, label),
            Surface::AnthropicMessages | Surface::AnthropicCount => {
                anthropic::response::encode::encode(&response, label)
            }
        };
        Ok(Self {
            content_bytes: content_bytes(&response),
            finish_reason: response.choices.first().map(|choice| finish_name(&choice.finish).to_owned()),
            usage: response.usage,
            id: Some(response.id).filter(|id| !id.is_empty()),
            form: Form::Translated(encoded),
        })
    }

    /// Returns the body for the caller, with the meta block (`"key":{…}`) as its last member.
    pub fn encode(self, meta: Vec<u8>) -> Vec<Bytes> {
        match self.form {
            Form::OpenaiChat(reply) => reply.encode(meta),
            Form::Anthropic(reply) => reply.encode(meta),
            Form::Translated(mut body) => {
                // What we encode is an object with members, and ends with its brace.
                body.pop();
                body.push(b',');
                body.extend_from_slice(&meta);
                body.push(b'}');
                vec![body.into()]
            }
        }
    }
}

fn decode(dialect: Dialect, text: &str, seed: &str) -> Result<Response, NotAReply> {
    match dialect {
        Dialect::OpenaiChat => openai_chat::response::decode::decode(text, seed),
        Dialect::OpenaiResponses => openai_responses::response::decode::decode(text, seed),
        Dialect::Anthropic => anthropic::response::decode::decode(text, seed),
        Dialect::Gemini => gemini::response::decode::decode(text, seed),
        Dialect::Ollama => ollama::response::decode::decode(text, seed),
        Dialect::Cohere => cohere::response::decode::decode(text, seed),
    }
}

/// Returns the word for a finish reason in the request log.
pub(super) fn finish_name(finish: &Finish) -> &str {
    match finish {
        Finish::Stop => "stop",
        Finish::StopSequence(_) => "stop_sequence",
        Finish::Length => "length",
        Finish::ContextWindow => "context_window",
        Finish::ToolCalls => "tool_calls",
        Finish::ContentFilter => "content_filter",
        Finish::Refusal => "refusal",
        Finish::Pause => "pause",
        Finish::Other(word) => word,
    }
}

fn content_bytes(response: &Response) -> u64 {
    let parts = response.choices.iter().flat_map(|choice| &choice.parts);
    parts
        .map(|part| match &part.content {
            Content::Text { text, .. } | Content::Thinking { text, .. } | Content::Refusal(text) => text.len(),
            Content::ToolCall(call) => call.name.len() + call.arguments.len(),
            Content::Foreign { block, .. } => block.as_str().len(),
            _ => 0,
        } as u64)
        .sum()
}
