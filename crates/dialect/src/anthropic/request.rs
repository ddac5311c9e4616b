//! A messages request: what routing needs is read, the bytes are kept.

pub mod decode;
pub mod encode;

use std::ops::Range;

use bytes::Bytes;
use ir::failure::Failure;

use crate::splice::control::{Control, Place, boolean, check_messages, integer, rename, text};
use crate::splice::{Patch, apply};

/// A request that was understood as far as routing and accounting need.
#[derive(Clone, Debug)]
pub struct MessagesRequest {
    body: Bytes,
    /// Where the first member starts: just after the `{`.
    members_start: usize,
    /// Where the system prompt stands, if there is one, and the messages.
    prompt: [Range<usize>; 2],
    model_place: Option<Place>,
    /// Where other models are named that Anthropic is to ask instead.
    fallbacks: Option<Place>,
    /// What else is changed in the bytes that a provider gets.
    changes: Vec<Patch>,
    /// The model asked for; `None` when there is none (or `null`).
    pub model: Option<String>,
    /// Whether the answer is asked for as a stream.
    pub stream: bool,
    /// The most output tokens asked for; `None` only where tokens are to be counted.
    pub max_tokens: Option<u64>,
    /// The service tier asked for.
    pub service_tier: Option<String>,
}

/// The members that we act on. Each may appear once.
const CONTROL: [&str; 9] =
    ["model", "messages", "max_tokens", "stream", "service_tier", "tools", "system", "stop_sequences", FALLBACKS];

/// It names models that Anthropic asks instead of the one that was chosen. What a key may use, and what is charged, goes by
/// the one that was chosen, so that nobody gets it.
const FALLBACKS: &str = "fallbacks";

impl MessagesRequest {
    /// Reads the body of a request for an answer: <https://docs.claude.com/en/api/messages>.
    ///
    /// # Errors
    /// A 400 that names the field: text that is not JSON or nests too deep, a control member that appears twice, is
    /// spelled with escapes or has the wrong type, no `messages`, no `max_tokens`.
    pub fn decode(body: Bytes) -> Result<Self, Failure> {
        let request = Self::read(body)?;
        match request.max_tokens {
            Some(_) => Ok(request),
            None => Err(required("max_tokens")),
        }
    }

    /// Reads the body of a request to count its tokens: <https://docs.claude.com/en/api/messages-count-tokens>. It has
    /// no `max_tokens`, and its answer is never a stream.
    ///
    /// # Errors
    /// As [`MessagesRequest::decode`].
    pub fn decode_count(body: Bytes) -> Result<Self, Failure> {
        Ok(Self { stream: false, max_tokens: None, ..Self::read(body)? })
    }

    fn read(body: Bytes) -> Result<Self, Failure> {
        let Control { start, found } = Control::read(&body, &CONTROL)?;
        let [model, messages, max_tokens, stream, tier, _tools, system, _stop_sequences, fallbacks] = found;
        let value = |place: &Option<Place>| place.as_ref().map(|place| place.text(&body));
        match value(&messages) {
            Some(messages) => check_messages(messages)?,
            None => return Err(required("messages")),
        }
        Ok(Self {
            members_start: start,
            prompt: [system, messages].map(|place| place.map_or(0..0, |place| place.value)),
            model: text("model", value(&model))?,
            model_place: model,
            fallbacks,
            changes: Vec::new(),
            stream: boolean("stream", value(&stream))?.unwrap_or(false),
            max_tokens: integer("max_tokens", value(&max_tokens))?,
            service_tier: text("service_tier", value(&tier))?,
            body,
        })
    }

    /// Returns the system prompt and the messages as they were sent.
    pub fn prompt_parts(&self) -> (&[u8], &[u8]) {
        let [system, messages] = self.prompt.clone().map(|place| self.body.get(place).unwrap_or_default());
        (system, messages)
    }

    /// Returns the body.
    pub fn body(&self) -> &Bytes {
        &self.body
    }

    /// Returns the size of the body in bytes.
    pub fn body_bytes(&self) -> u64 {
        self.body.len() as u64
    }

    /// Changes something in the bytes that a provider gets.
    pub fn change(&mut self, patch: Patch) {
        self.changes.push(patch);
    }

    /// Lets go of the body: once a target has answered, it is not needed any more.
    pub fn forget_body(&mut self) {
        self.body = Bytes::new();
        self.changes.clear();
    }

    /// Returns the names of what no provider is told.
    pub fn dropped(&self) -> Vec<String> {
        let says = |place: &&Place| !matches!(place.text(&self.body), b"null" | b"[]");
        self.fallbacks.iter().filter(says).map(|_| FALLBACKS.to_owned()).collect()
    }

    /// Returns the body for a provider, with its name of the model. But for what is dropped every other byte is the caller's.
    pub fn encode(&self, upstream_model: &str) -> Vec<Bytes> {
        let asked = self.model.as_deref();
        let mut patches = self.changes.clone();
        patches.extend(rename(&self.body, self.members_start, self.model_place.as_ref(), asked, upstream_model));
        let left_out = self.fallbacks.as_ref().map(|place| place.removal(&self.body));
        patches.extend(left_out.map(|range| Patch { range, with: Bytes::new() }));
        // The sort is stable: what is put before the first member stays before that one's removal.
        patches.sort_by_key(|patch: &Patch| patch.range.start);
        apply(&self.body, patches)
    }
}

/// Returns the refusal of a request that lacks a member, in the words of Anthropic.
fn required(name: &str) -> Failure {
    Failure::invalid(name, format!("{name}: Field required"))
}

#[cfg(test)]
mod tests;
