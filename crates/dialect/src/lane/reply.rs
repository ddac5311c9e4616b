//! A whole reply: what accounting needs of it, and the body that the caller gets.

use bytes::Bytes;
use ir::chat::event::Delta;
use ir::chat::message::Content;
use ir::chat::response::{Finish, Response};
use ir::dialect::Dialect;
use ir::guard::Blocked;
use ir::money::ServiceTier;
use ir::usage::Usage;

use super::opening::unmarked;
use super::proofs::Proofs;
use super::whole::streamed;
use super::{Surface, proofs};
use crate::anthropic::response::MessagesResponse;
use crate::guard::ReplyGuard;
use crate::guard::openai_chat::reply::Reading;
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
    /// The service tier that the provider says it answered in.
    pub service_tier: Option<ServiceTier>,
    /// The bytes of content, for the estimate when there is no report; a spliced reply with a report is only measured when
    /// that is asked.
    pub content_bytes: u64,
    /// Why a guardrail blocks it; the rest is then known for the account alone.
    pub blocked: Option<Blocked>,
    /// What the provider signed and the caller's client may lose.
    pub proofs: Option<Proofs>,
}

#[derive(Debug)]
enum Form {
    OpenaiChat(ChatResponse),
    Anthropic(MessagesResponse),
    Translated(Vec<u8>),
    /// Nothing that a caller may see.
    Blocked,
}

impl Reply {
    /// Reads a provider's reply body for a caller. `meta_key` is the name of the meta block; `guard` is there where replies
    /// are guarded.
    ///
    /// # Errors
    /// When it is not a reply.
    pub fn decode(
        surface: Surface,
        dialect: Dialect,
        body: Bytes,
        meta_key: &str,
        label: &Label<'_>,
        guard: Option<&dyn ReplyGuard>,
    ) -> Result<Self, NotAReply> {
        let body = body.slice_ref(unmarked(&body));
        let changed = |judged: &Bytes| judged.as_ptr() != body.as_ptr();
        match (surface, dialect) {
            (Surface::OpenaiChat, Dialect::OpenaiChat) => {
                let mut said = guard.map(|_| Reading::default());
                let mut reply = ChatResponse::decode_and_read(body.clone(), meta_key, said.as_mut())?;
                let (id, finish_reason) = (reply.id.take(), reply.finish_reason.take());
                let (usage, content_bytes, service_tier) = (reply.usage, reply.content_bytes, reply.service_tier);
                let judged = guard
                    .zip(said)
                    .map_or_else(|| Ok(body.clone()), |(guard, said)| guard.chat_read(body.clone(), &said));
                let (form, blocked) = match judged {
                    Err(blocked) => (Form::Blocked, Some(blocked)),
                    Ok(judged) if changed(&judged) => (Form::OpenaiChat(ChatResponse::decode(judged, meta_key)?), None),
                    Ok(_) => (Form::OpenaiChat(reply), None),
                };
                Ok(Self { form, id, finish_reason, usage, service_tier, content_bytes, proofs: None, blocked })
            }
            (Surface::AnthropicMessages, Dialect::Anthropic) => {
                let mut reply = MessagesResponse::decode(body.clone(), meta_key)?;
                let (id, finish_reason) = (reply.id.take(), reply.finish_reason.take());
                let (usage, content_bytes) = (reply.usage, reply.content_bytes);
                let (form, blocked) = match guard.map_or(Ok(body.clone()), |guard| guard.messages(body.clone())) {
                    Err(blocked) => (Form::Blocked, Some(blocked)),
                    Ok(judged) if changed(&judged) => {
                        (Form::Anthropic(MessagesResponse::decode(judged, meta_key)?), None)
                    }
                    Ok(_) => (Form::Anthropic(reply), None),
                };
                Ok(Self { form, id, finish_reason, usage, service_tier: None, content_bytes, proofs: None, blocked })
            }
            _ => Ok(Self::translate(surface, read(dialect, &body, label.seed)?, meta_key, label, guard)),
        }
    }

    /// Reads the whole stream of a provider that was asked for no stream; the rest is as in [`Reply::decode`]. `None` when
    /// the body is no stream, or one without its end.
    ///
    /// # Errors
    /// When the stream is an error, or cannot be understood.
    pub fn of_stream(
        surface: Surface,
        (dialect, body): (Dialect, &[u8]),
        meta_key: &str,
        label: &Label<'_>,
        guard: Option<&dyn ReplyGuard>,
    ) -> Result<Option<Self>, NotAReply> {
        let response = streamed(dialect, body, label.seed)?;
        Ok(response.map(|response| Self::translate(surface, response, meta_key, label, guard)))
    }

    /// Measures the content, though there is a report.
    pub fn measure(&mut self) {
        self.content_bytes = match &self.form {
            Form::OpenaiChat(reply) => reply.said_bytes(),
            Form::Anthropic(reply) => reply.said_bytes(),
            Form::Translated(_) | Form::Blocked => return,
        };
    }

    fn translate(
        surface: Surface,
        mut response: Response,
        meta_key: &str,
        label: &Label<'_>,
        guard: Option<&dyn ReplyGuard>,
    ) -> Self {
        // A provider that is a Crossway itself has its own meta block.
        response.extras.remove(meta_key);
        let content_bytes = content_bytes(&response);
        let finish_reason = response.choices.first().map(|choice| finish_name(&choice.finish).to_owned());
        let finish_reason = finish_reason.filter(|reason| !reason.is_empty());
        let blocked = guard.and_then(|guard| guard.canonical(&mut response).err());
        let form = match (&blocked, surface) {
            (Some(_), _) => Form::Blocked,
            (None, Surface::OpenaiChat) => Form::Translated(openai_chat::response::encode::encode(&response, label)),
            (None, Surface::AnthropicMessages | Surface::AnthropicCount) => {
                Form::Translated(anthropic::response::encode::encode(&response, label))
            }
        };
        let proofs = match form {
            Form::Blocked => None,
            _ => response.choices.into_iter().next().and_then(|choice| proofs::of(choice.parts)),
        };
        let id = Some(response.id).filter(|id| !id.is_empty());
        let service_tier = response.service_tier.as_deref().map(ServiceTier::of_name);
        Self { form, id, finish_reason, usage: response.usage, service_tier, content_bytes, proofs, blocked }
    }

    /// Returns the body for the caller, with the meta block (`"key":{…}`) as its last member; nothing when it is blocked.
    pub fn encode(self, meta: Vec<u8>) -> Vec<Bytes> {
        match self.form {
            Form::OpenaiChat(reply) => reply.encode(meta),
            Form::Anthropic(reply) => reply.encode(meta),
            Form::Blocked => Vec::new(),
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

/// Reads a reply body into the canonical vocabulary.
pub(super) fn read(dialect: Dialect, body: &[u8], seed: &str) -> Result<Response, NotAReply> {
    let text = simdutf8::basic::from_utf8(unmarked(body)).map_err(|error| NotAReply::Malformed(error.to_string()))?;
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
            Content::Foreign { block, .. } => foreign(block.as_str()),
            _ => 0,
        } as u64)
        .sum()
}

/// Returns how much of a block the model wrote that only its dialect knows: all of it, but nothing of what a tool of the
/// provider found.
pub(super) fn foreign(block: &str) -> usize {
    let found = ["_tool_result\"", "\"codeExecutionResult\""].iter().any(|name| block.contains(name));
    if found { 0 } else { block.len() }
}

/// Returns how much of a delta the model wrote as one can read it: what is counted of a whole answer too.
pub(super) fn said(delta: &Delta) -> usize {
    match delta {
        Delta::Text(text) | Delta::Arguments(text) => text.len(),
        Delta::Foreign { delta, .. } => delta.as_str().len(),
        Delta::Data(_) | Delta::Signature(_) | Delta::Citation(_) => 0,
    }
}
