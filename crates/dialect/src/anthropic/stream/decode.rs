//! From a streamed message to events: <https://docs.claude.com/en/api/messages-streaming>.
//!
//! What is not known says nothing and is passed over (pings, events that come later); a delta that is not known goes
//! with its part. A part's beginning has no place for what only this dialect knows: `caller: {"type": "direct"}` of a
//! tool call is not kept, which is what a call without a caller means.

use ir::chat::event::{Delta, Event, Opening, Started};
use ir::chat::extras::Extras;
use ir::chat::message::{Content, Part, Signature, ToolCall};
use ir::json::Json;

use crate::anthropic::error;
use crate::anthropic::response::decode::{finish, tool_id};
use crate::anthropic::usage::Reported;
use crate::anthropic::wire::{DIALECT, block, usage};
use crate::json::integer;
use crate::json::object::{Object, Path, string};
use crate::translate::{Decode, Frame, NotAReply, Step};

/// Reads one streamed answer.
#[derive(Debug)]
pub struct Decoder {
    seed: String,
    started: bool,
    parts: Vec<Block>,
    /// How many parts belong to an earlier `message_start`, whose indexes do not count any more.
    earlier: usize,
    calls: usize,
    reported: Reported,
    extras: Extras,
    reason: Option<String>,
    sequence: Option<String>,
}

/// A part, as it stands.
#[derive(Clone, Copy, Debug)]
struct Block {
    index: u64,
    kind: Kind,
    open: bool,
    /// A call whose input did not come yet.
    bare: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Text,
    Thinking,
    Redacted,
    Call,
    Foreign,
}

impl Decoder {
    /// Starts an answer. `seed` makes ids of tool calls that lack one.
    pub fn new(seed: &str) -> Self {
        Self {
            seed: seed.to_owned(),
            started: false,
            parts: Vec::new(),
            earlier: 0,
            calls: 0,
            reported: Reported::default(),
            extras: Extras::default(),
            reason: None,
            sequence: None,
        }
    }

    fn begin(&mut self, event: &mut Object<'_>, out: &mut Vec<Event>) {
        let mut started = Started::default();
        if let Ok(Some(mut message)) = event.object("message") {
            started.id = message.text("id").ok().flatten().unwrap_or_default();
            started.model = message.text("model").ok().flatten().unwrap_or_default();
            if let Some(usage) = message.take("usage") {
                started.service_tier = usage::read(usage, &mut self.reported, &mut self.extras);
                started.usage = self.reported.usage().or_else(|| self.reported.begun());
            }
            for name in ["type", "role", "content", "stop_reason", "stop_sequence"] {
                message.take(name);
            }
            self.carry(message);
        }
        if self.started {
            self.close(out);
            self.earlier = self.parts.len();
        } else {
            self.started = true;
            out.push(Event::Started(started));
        }
    }

    fn open(&mut self, event: &mut Object<'_>, out: &mut Vec<Event>) {
        if !self.started {
            self.started = true;
            out.push(Event::Started(Started::default()));
        }
        self.close(out);
        let index = index(event).unwrap_or((self.parts.len() - self.earlier) as u64);
        let Some(text) = event.take("content_block") else { return };
        let part = block::read(text, Path::default()).unwrap_or_else(|_| block::foreign(text));
        let (opening, deltas) = self.opening(part, text);
        let kind = match &opening {
            Opening::Text | Opening::Refusal | Opening::Media { .. } => Kind::Text,
            Opening::Thinking { .. } => Kind::Thinking,
            Opening::Redacted => Kind::Redacted,
            Opening::ToolCall { .. } => Kind::Call,
            Opening::Foreign { .. } => Kind::Foreign,
        };
        let part = number(self.parts.len());
        self.parts.push(Block { index, kind, open: true, bare: kind == Kind::Call && deltas.is_empty() });
        out.push(Event::Opened { choice: 0, part, opening });
        out.extend(deltas.into_iter().map(|delta| Event::Delta { choice: 0, part, delta }));
    }

    /// Returns how a part begins, and what of it is there already.
    fn opening(&mut self, part: Part, text: &str) -> (Opening, Vec<Delta>) {
        let proof = part.signature.filter(|signature| !signature.text.is_empty()).map(Delta::Signature);
        let said = |text: String| (!text.is_empty()).then_some(Delta::Text(text));
        match part.content {
            Content::Text { text, citations } => {
                (Opening::Text, said(text).into_iter().chain(citations.into_iter().map(Delta::Citation)).collect())
            }
            Content::Thinking { text, .. } => {
                (Opening::Thinking { id: None }, said(text).into_iter().chain(proof).collect())
            }
            Content::Redacted => (Opening::Redacted, proof.into_iter().collect()),
            Content::ToolCall(call) => {
                let ToolCall { mut id, name, arguments, custom } = call;
                if id.is_empty() {
                    id = tool_id(&self.seed, self.calls);
                }
                self.calls += 1;
                let whole =
                    Object::read(&arguments, Path::default()).is_ok_and(|input| input.leftovers().next().is_some());
                let arguments = whole.then_some(Delta::Arguments(arguments));
                (Opening::ToolCall { id, name, custom }, arguments.into_iter().collect())
            }
            _ => {
                let block = Json::parse(text).unwrap_or_else(|| Json::of(&()));
                (Opening::Foreign { dialect: DIALECT, block }, Vec::new())
            }
        }
    }

    fn grow(&mut self, event: &mut Object<'_>, out: &mut Vec<Event>) {
        let index = index(event);
        let current = self.parts.iter_mut().enumerate().skip(self.earlier);
        let Some((at, block)) = current.rev().find(|(_, block)| Some(block.index) == index) else { return };
        let Some(text) = event.take("delta") else { return };
        let Ok(mut delta) = Object::read(text, Path::default()) else { return };
        let kind = delta.take("type").and_then(string).unwrap_or_default();
        let mut take = |name| delta.take(name).and_then(string).filter(|text| !text.is_empty());
        let delta = match (block.kind, kind.as_str()) {
            (Kind::Text, "text_delta") => take("text").map(Delta::Text),
            (Kind::Thinking, "thinking_delta") => take("thinking").map(Delta::Text),
            (Kind::Thinking | Kind::Redacted, "signature_delta") => {
                take("signature").map(|text| Delta::Signature(Signature { by: DIALECT, text }))
            }
            (Kind::Call, "input_json_delta") => take("partial_json").map(Delta::Arguments),
            (Kind::Text, "citations_delta") => {
                delta.take("citation").map(|text| Delta::Citation(block::citation(text)))
            }
            _ => Json::parse(text).map(|delta| Delta::Foreign { dialect: DIALECT, delta }),
        };
        if let Some(delta) = delta {
            block.bare = false;
            out.push(Event::Delta { choice: 0, part: number(at), delta });
        }
    }

    /// Closes the part that is open, if one is. A call without input has an empty one.
    fn close(&mut self, out: &mut Vec<Event>) {
        let part = number(self.parts.len().saturating_sub(1));
        if let Some(block) = self.parts.last_mut().filter(|block| block.open) {
            block.open = false;
            if block.bare {
                out.push(Event::Delta { choice: 0, part, delta: Delta::Arguments("{}".to_owned()) });
            }
            out.push(Event::Closed { choice: 0, part });
        }
    }

    fn conclude(&mut self, mut event: Object<'_>, out: &mut Vec<Event>) {
        if let Ok(Some(mut delta)) = event.object("delta") {
            self.reason = delta.text("stop_reason").ok().flatten().or(self.reason.take());
            self.sequence = delta.text("stop_sequence").ok().flatten().or(self.sequence.take());
            self.carry(delta);
        }
        if let Some(usage) = event.take("usage") {
            // The tier of service was said at the start.
            usage::read(usage, &mut self.reported, &mut self.extras);
            out.extend(self.reported.usage().map(Event::Usage));
        }
        self.carry(event);
    }

    fn carry(&mut self, object: Object<'_>) {
        for (name, value) in object.leftovers() {
            if let Some(value) = Json::parse(value) {
                usage::set(&mut self.extras, name.into_owned(), value);
            }
        }
    }

    fn complete(&mut self, out: &mut Vec<Event>) -> Step {
        self.close(out);
        let finish = finish(self.reason.take(), self.sequence.take());
        out.push(Event::Finished { choice: 0, finish });
        if !self.extras.is_empty() {
            out.push(Event::Extras(std::mem::take(&mut self.extras)));
        }
        Step::Complete
    }
}

impl Decode for Decoder {
    fn frame(&mut self, frame: Frame<'_>, out: &mut Vec<Event>) -> Result<Step, NotAReply> {
        if frame.data.trim() == "[DONE]" {
            // Some vendors that speak the dialect end their streams as OpenAI does.
            return self.end(out);
        }
        let mut event =
            Object::read(frame.data, Path::default()).map_err(|wrong| NotAReply::Malformed(wrong.to_string()))?;
        let kind = event.take("type").and_then(string);
        match kind.as_deref().or(frame.event).unwrap_or_default() {
            "message_start" => self.begin(&mut event, out),
            "content_block_start" => self.open(&mut event, out),
            "content_block_delta" => self.grow(&mut event, out),
            "content_block_stop" => self.close(out),
            "message_delta" => self.conclude(event, out),
            "message_stop" => return Ok(self.complete(out)),
            "error" => return Err(NotAReply::Error(error::read(frame.data.as_bytes()))),
            _ => {}
        }
        Ok(Step::More)
    }

    /// The answer is complete when it was said why it ended, though `message_stop` is missing.
    fn end(&mut self, out: &mut Vec<Event>) -> Result<Step, NotAReply> {
        Ok(if self.is_finishing() { self.complete(out) } else { Step::More })
    }

    fn is_finishing(&self) -> bool {
        self.reason.is_some()
    }
}

fn index(event: &mut Object<'_>) -> Option<u64> {
    event.take("index").and_then(|index| integer(index.as_bytes()))
}

/// Returns the number of a part.
fn number(at: usize) -> u32 {
    u32::try_from(at).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests;
