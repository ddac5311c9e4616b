//! From events, of whatever provider, to a streamed message: <https://docs.claude.com/en/api/messages-streaming>.
//!
//! The events are those that Anthropic sends, in its order; pings may be left out. What cannot be said in a reply
//! cannot be said in a stream (`response/encode`). Blocks have indexes of their own, because parts are left out; they follow
//! each other (`turns`). A citation of a text that is closed goes on under its index, as the SDKs accumulate it.

mod turns;

use std::borrow::Cow;

use ir::chat::event::{Delta, Event, Opening, Started};
use ir::chat::extras::Extras;
use ir::chat::message::Signature;
use ir::chat::response::Finish;
use ir::json::Json;
use ir::usage::Usage;
use serde::Serialize;

use self::turns::Turns;
use crate::anthropic::response::decode::tool_id;
use crate::anthropic::response::encode::{Message, id, stop};
use crate::anthropic::wire::usage::Written;
use crate::anthropic::wire::{self, Block, DIALECT, Members};
use crate::translate::{Encode, Label};

/// Writes one streamed answer.
#[derive(Debug)]
pub struct Encoder {
    seed: String,
    model: String,
    first_meta: Vec<u8>,
    started: bool,
    /// Per part; `None` where it has no block.
    slots: Vec<Option<Slot>>,
    /// A text that is complete, but for citations that some providers send after it: its block is closed when the next
    /// one begins.
    closing: Option<usize>,
    next_index: u32,
    turns: Turns,
    /// The events whose turn it is; kept for its memory.
    due: Vec<Event>,
    calls: usize,
    refuses: bool,
    finish: Finish,
    usage: Option<Usage>,
    extras: Extras,
}

/// The block of a part.
#[derive(Clone, Copy, Debug)]
struct Slot {
    index: u32,
    kind: Kind,
    open: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Text,
    Thinking,
    /// Hidden reasoning whose data did not come yet: its block is not begun.
    Hidden,
    Call,
    Foreign,
}

impl Encoder {
    /// Starts an answer. `first_meta` (`"key":{…}`) becomes the last member of the message in `message_start`.
    pub fn new(label: &Label<'_>, first_meta: Vec<u8>) -> Self {
        Self {
            seed: label.seed.to_owned(),
            model: label.model.to_owned(),
            first_meta,
            started: false,
            slots: Vec::new(),
            closing: None,
            next_index: 0,
            turns: Turns::default(),
            due: Vec::new(),
            calls: 0,
            refuses: false,
            finish: Finish::Stop,
            usage: None,
            extras: Extras::default(),
        }
    }

    fn start(&mut self, started: &Started, out: &mut Vec<u8>) {
        if std::mem::replace(&mut self.started, true) {
            return;
        }
        self.usage = started.usage;
        let message = Message {
            id: id(&started.id, &self.seed),
            kind: "message",
            role: "assistant",
            model: if started.model.is_empty() { &self.model } else { &started.model },
            content: Vec::new(),
            stop_reason: None,
            stop_sequence: None,
            stop_details: None,
            usage: Written {
                usage: started.usage,
                service_tier: started.service_tier.as_deref(),
                extras: &self.extras,
                whole: true,
            },
            extras: Members::NONE,
        };
        // Serialising strings and numbers into a vector cannot fail, here and below.
        let mut message = serde_json::to_vec(&message).unwrap_or_default();
        if !self.first_meta.is_empty() && message.pop().is_some() {
            message.push(b',');
            message.append(&mut self.first_meta);
            message.push(b'}');
        }
        out.extend_from_slice(b"event: message_start\ndata: {\"type\":\"message_start\",\"message\":");
        out.extend_from_slice(&message);
        out.extend_from_slice(b"}\n\n");
    }

    fn open(&mut self, part: u32, opening: &Opening, out: &mut Vec<u8>) {
        self.start(&Started::default(), out);
        let nothing = || wire::input("");
        let (kind, block) = match opening {
            Opening::Text => (Kind::Text, Some(text())),
            Opening::Refusal => {
                self.refuses = true;
                (Kind::Text, Some(text()))
            }
            Opening::Thinking { .. } => {
                (Kind::Thinking, Some(Block::Thinking { thinking: "", signature: "", extras: Members::NONE }))
            }
            Opening::Redacted => (Kind::Hidden, None),
            Opening::ToolCall { id, name, .. } => {
                let id = if id.is_empty() { tool_id(&self.seed, self.calls).into() } else { id.as_str().into() };
                self.calls += 1;
                let extras = Members::NONE;
                (Kind::Call, Some(Block::ToolUse { id, name, input: nothing(), cache_control: None, extras }))
            }
            Opening::Foreign { dialect: DIALECT, block } => (Kind::Foreign, Some(Block::Raw(Cow::Borrowed(block)))),
            Opening::Media { .. } | Opening::Foreign { .. } => return,
        };
        let index = block.map(|block| self.begin(block, out));
        let slot = Slot { index: index.unwrap_or_default(), kind, open: index.is_some() };
        let at = part as usize;
        // Parts are opened in order; what was left out before this one has no block.
        if self.slots.len() <= at && at < MAX_PARTS {
            self.slots.resize(at + 1, None);
        }
        if let Some(place) = self.slots.get_mut(at) {
            *place = Some(slot);
        }
    }

    fn begin(&mut self, content_block: Block<'_>, out: &mut Vec<u8>) -> u32 {
        if let Some(part) = self.closing.take() {
            self.close(part, out);
        }
        let index = self.next_index;
        self.next_index += 1;
        const KIND: &str = "content_block_start";
        frame(out, KIND, &Start { kind: KIND, index, content_block });
        index
    }

    fn grow(&mut self, part: u32, delta: &Delta, out: &mut Vec<u8>) {
        let Some(Some(slot)) = self.slots.get(part as usize).copied() else { return };
        let delta = match (slot.kind, delta) {
            (Kind::Hidden, Delta::Signature(Signature { by: DIALECT, text })) => {
                let index = self.begin(Block::RedactedThinking { data: text, extras: Members::NONE }, out);
                if let Some(place) = self.slots.get_mut(part as usize) {
                    *place = Some(Slot { index, kind: Kind::Foreign, open: true });
                }
                return;
            }
            (Kind::Text, Delta::Text(text)) => WireDelta::Text { text },
            (Kind::Thinking, Delta::Text(thinking)) => WireDelta::Thinking { thinking },
            (Kind::Thinking, Delta::Signature(Signature { by: DIALECT, text })) => {
                WireDelta::Signature { signature: text }
            }
            // What follows whole arguments is none of them.
            (Kind::Call, Delta::Arguments(_)) if !slot.open => return,
            (Kind::Call, Delta::Arguments(partial_json)) => WireDelta::InputJson { partial_json },
            (Kind::Text, Delta::Citation(citation)) => match wire::citation(citation) {
                Some(citation) => WireDelta::Citations { citation },
                None => return,
            },
            (kind, Delta::Foreign { dialect: DIALECT, delta }) if kind != Kind::Hidden => WireDelta::Raw(delta),
            _ => return,
        };
        const KIND: &str = "content_block_delta";
        frame(out, KIND, &Grow { kind: KIND, index: slot.index, delta });
    }

    fn close(&mut self, part: usize, out: &mut Vec<u8>) {
        if let Some(Some(slot)) = self.slots.get_mut(part)
            && std::mem::replace(&mut slot.open, false)
        {
            const KIND: &str = "content_block_stop";
            frame(out, KIND, &Stop { kind: KIND, index: slot.index });
        }
    }
}

impl Encoder {
    /// Writes an event whose turn it is. Other choices than the first cannot be said.
    fn write(&mut self, event: Event, out: &mut Vec<u8>) {
        match event {
            Event::Started(started) => self.start(&started, out),
            Event::Opened { choice: 0, part, opening } => self.open(part, &opening, out),
            Event::Delta { choice: 0, part, delta } => self.grow(part, &delta, out),
            Event::Closed { choice: 0, part } => match self.slots.get(part as usize) {
                Some(Some(slot)) if slot.kind == Kind::Text => self.closing = Some(part as usize),
                _ => self.close(part as usize, out),
            },
            Event::Finished { choice: 0, finish } => self.finish = finish,
            Event::Usage(usage) => self.usage = Some(usage),
            Event::Extras(extras) => self.extras = extras,
            Event::Opened { .. }
            | Event::Delta { .. }
            | Event::Closed { .. }
            | Event::Finished { .. }
            | Event::Logprobs { .. } => {}
        }
    }

    /// Writes what is due.
    fn write_due(&mut self, mut due: Vec<Event>, out: &mut Vec<u8>) {
        due.drain(..).for_each(|event| self.write(event, out));
        self.due = due;
    }
}

impl Encode for Encoder {
    fn event(&mut self, event: Event, out: &mut Vec<u8>) {
        let mut due = std::mem::take(&mut self.due);
        self.turns.push(event, &mut due);
        self.write_due(due, out);
    }

    fn finish(&mut self, meta: &[u8], out: &mut Vec<u8>) {
        let mut due = std::mem::take(&mut self.due);
        self.turns.end(&mut due);
        self.write_due(due, out);
        self.start(&Started::default(), out);
        for part in 0..self.slots.len() {
            self.close(part, out);
        }
        let (stop_reason, stop_sequence) = stop(&self.finish, self.calls > 0, self.refuses);
        let end = End {
            kind: "message_delta",
            delta: EndDelta {
                stop_reason,
                stop_sequence,
                stop_details: self.extras.get(DIALECT, "stop_details"),
                extras: Members::of(&self.extras).except(&["stop_details", "context_management"]),
            },
            usage: Written { usage: self.usage, service_tier: None, extras: &self.extras, whole: false },
            context_management: self.extras.get(DIALECT, "context_management"),
        };
        let mut text = serde_json::to_vec(&end).unwrap_or_default();
        if !meta.is_empty() && text.pop().is_some() {
            text.push(b',');
            text.extend_from_slice(meta);
            text.push(b'}');
        }
        out.extend_from_slice(b"event: message_delta\ndata: ");
        out.extend_from_slice(&text);
        out.extend_from_slice(b"\n\nevent: message_stop\ndata: {\"type\":\"message_stop\"}\n\n");
    }
}

/// More parts than any answer has: the rest is not said.
const MAX_PARTS: usize = 100_000;

#[derive(Serialize)]
struct Start<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    index: u32,
    content_block: Block<'a>,
}

#[derive(Serialize)]
struct Grow<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    index: u32,
    delta: WireDelta<'a>,
}

#[derive(Serialize)]
#[serde(tag = "type")]
enum WireDelta<'a> {
    #[serde(rename = "text_delta")]
    Text { text: &'a str },
    #[serde(rename = "thinking_delta")]
    Thinking { thinking: &'a str },
    #[serde(rename = "signature_delta")]
    Signature { signature: &'a str },
    #[serde(rename = "input_json_delta")]
    InputJson { partial_json: &'a str },
    #[serde(rename = "citations_delta")]
    Citations { citation: Cow<'a, Json> },
    #[serde(untagged)]
    Raw(&'a Json),
}

#[derive(Serialize)]
struct Stop {
    #[serde(rename = "type")]
    kind: &'static str,
    index: u32,
}

#[derive(Serialize)]
struct End<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    delta: EndDelta<'a>,
    usage: Written<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    context_management: Option<&'a Json>,
}

#[derive(Serialize)]
struct EndDelta<'a> {
    stop_reason: Option<&'a str>,
    stop_sequence: Option<&'a str>,
    stop_details: Option<&'a Json>,
    #[serde(flatten)]
    extras: Members<'a>,
}

fn text() -> Block<'static> {
    Block::Text(wire::Text { text: "", citations: Vec::new(), cache_control: None, extras: Members::NONE })
}

/// Appends an event.
fn frame(out: &mut Vec<u8>, name: &str, event: &impl Serialize) {
    out.extend_from_slice(b"event: ");
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"\ndata: ");
    // Serialising strings and JSON into a vector cannot fail.
    let _ = serde_json::to_writer(&mut *out, event);
    out.extend_from_slice(b"\n\n");
}

#[cfg(test)]
mod tests;
