//! Chunks, as bytes.

use std::borrow::Cow;

use ir::chat::event::Started;
use serde::Serialize;

use crate::carry::Own;
use crate::openai_chat::wire::reply::{self as wire, Consumed};
use crate::translate::Label;

/// Writes the chunks of one answer: all begin alike.
#[derive(Debug)]
pub(super) struct Chunks {
    pub seed: String,
    model: String,
    created: u64,
    pub wants_usage: bool,
    /// The meta block for the first chunk, until that is written.
    first_meta: Vec<u8>,
    /// What every chunk begins with, up to its choices; empty until the answer has started.
    head: Vec<u8>,
}

#[derive(Serialize)]
struct Head<'a> {
    id: Cow<'a, str>,
    object: &'static str,
    created: u64,
    model: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    service_tier: Option<&'a str>,
}

/// What a chunk says beside its choices.
#[derive(Debug, Serialize)]
pub(super) struct Tail<'a> {
    /// `null` in all chunks but the last of a caller who asked for usage.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub usage: Option<Option<Consumed>>,
    #[serde(flatten)]
    pub extras: Own<'a>,
}

impl Chunks {
    pub fn new(label: &Label<'_>, wants_usage: bool, first_meta: Vec<u8>) -> Self {
        Self {
            seed: label.seed.to_owned(),
            model: label.model.to_owned(),
            created: label.created,
            wants_usage,
            first_meta,
            head: Vec::new(),
        }
    }

    pub fn start(&mut self, started: &Started) {
        let head = Head {
            id: wire::completion_id(&started.id, &self.seed),
            object: "chat.completion.chunk",
            created: started.created.unwrap_or(self.created),
            model: if started.model.is_empty() { &self.model } else { &started.model },
            service_tier: started.service_tier.as_deref(),
        };
        // Serialising strings into a vector cannot fail.
        self.head = serde_json::to_vec(&head).unwrap_or_default();
        self.head.pop();
        self.head.extend_from_slice(b",\"choices\":[");
    }

    /// Writes a chunk with one delta.
    pub fn delta(&mut self, index: u32, delta: wire::Delta<'_>, out: &mut Vec<u8>) {
        self.step(&wire::Step { index, delta, logprobs: None, finish_reason: None }, out);
    }

    /// Writes a chunk with one choice.
    pub fn step(&mut self, step: &wire::Step<'_>, out: &mut Vec<u8>) {
        let meta = std::mem::take(&mut self.first_meta);
        let tail = Tail { usage: self.wants_usage.then_some(None), extras: Own::default() };
        self.write(Some(step), &tail, &meta, out);
    }

    /// Writes a chunk. `meta` is a member that it carries.
    pub fn write(&mut self, step: Option<&wire::Step<'_>>, tail: &Tail<'_>, meta: &[u8], out: &mut Vec<u8>) {
        if self.head.is_empty() {
            self.start(&Started::default());
        }
        out.extend_from_slice(b"data: ");
        out.extend_from_slice(&self.head);
        // Serialising strings and carried JSON into a vector cannot fail.
        let _ = step.map(|step| serde_json::to_writer(&mut *out, step));
        out.push(b']');
        let from = out.len();
        let _ = serde_json::to_writer(&mut *out, tail);
        // The tail is an object; its members go on where the chunk's are.
        out.pop();
        match out.get_mut(from..) {
            Some([_]) => drop(out.pop()),
            Some([open, ..]) => *open = b',',
            _ => {}
        }
        if !meta.is_empty() {
            out.push(b',');
            out.extend_from_slice(meta);
        }
        out.extend_from_slice(b"}\n\n");
    }
}
