//! One event after the other: blocks of content, then the plan and the calls, and what was consumed with the end.
//!
//! The index of a content block is not its number (a thought and the text after it have been seen as 0 and 0): blocks
//! follow each other, and a citation belongs to the last text.

use ir::chat::event::{Delta, Event, Opening, Started};
use ir::chat::extras::Extras;
use ir::dialect::Dialect;
use ir::json::Json;

use crate::cohere::error;
use crate::cohere::response::{citation, each, finish, logprobs, malformed, said, usage};
use crate::json::object::{Object, Path};
use crate::translate::{Decode, Frame, NotAReply, Step};

/// Reads the events of one answer.
#[derive(Debug)]
pub struct Decoder {
    seed: Box<str>,
    started: bool,
    /// The part that grows.
    open: Option<Growing>,
    parts: u32,
    /// The last part that is text.
    text: Option<u32>,
    calls: Vec<Call>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Growing {
    Text,
    Thinking,
    Plan,
    Call,
}

#[derive(Debug)]
struct Call {
    /// The provider's number.
    index: Option<u64>,
    part: u32,
    /// Whether no argument came yet.
    empty: bool,
}

impl Decoder {
    /// Starts an answer. `seed` makes ids of tool calls that have none.
    pub fn new(seed: &str) -> Self {
        Self { seed: seed.into(), started: false, open: None, parts: 0, text: None, calls: Vec::new() }
    }
}

impl Decode for Decoder {
    fn frame(&mut self, frame: Frame<'_>, out: &mut Vec<Event>) -> Result<Step, NotAReply> {
        // The marker follows the last event; where that never came, the answer is not complete.
        if frame.data == "[DONE]" {
            return Ok(Step::More);
        }
        let mut event = Object::read(frame.data, Path::default()).map_err(malformed)?;
        let kind = said(&mut event, "type").or_else(|| frame.event.map(str::to_owned));
        let mut delta = event.object("delta").ok().flatten();
        if delta.is_none() && event.peek("message").or_else(|| event.peek("error")).is_some() {
            return Err(NotAReply::Error(error::member(&mut event)));
        }
        if !std::mem::replace(&mut self.started, true) {
            let id = said(&mut event, "id").unwrap_or_default();
            out.push(Event::Started(Started { id, ..Started::default() }));
        }
        if kind.as_deref() == Some("message-end") {
            return self.end(delta, out);
        }
        let index = event.integer("index").ok().flatten();
        let message = delta.as_mut().and_then(|delta| delta.object("message").ok().flatten());
        match (kind.as_deref(), message) {
            (Some("content-start" | "content-delta" | "tool-plan-delta"), Some(message)) => {
                if kind.as_deref() == Some("content-start") {
                    self.close(out);
                }
                self.content(message, out);
                if let Some(logprobs) = event.take("logprobs").and_then(|pieces| logprobs(each(pieces))) {
                    out.push(Event::Logprobs { choice: 0, logprobs });
                }
            }
            (Some("tool-call-start"), Some(mut message)) => self.call(&mut message, index, out)?,
            (Some("tool-call-delta"), Some(mut message)) => {
                let function = message.object("tool_calls").ok().flatten();
                let function = function.and_then(|mut call| call.object("function").ok().flatten());
                if let Some(more) = function.and_then(|mut function| said(&mut function, "arguments")) {
                    self.arguments(index, more, out);
                }
            }
            (Some("citation-start"), Some(mut message)) => self.cite(&mut message, out),
            (Some("content-end"), _) => self.close(out),
            (Some("tool-call-end"), _) => {
                self.complete_arguments(index, out);
                self.close(out);
            }
            // What else there is (the end of a citation, events of later versions) says nothing of the answer.
            _ => {}
        }
        Ok(Step::More)
    }
}

impl Decoder {
    fn content(&mut self, mut message: Object<'_>, out: &mut Vec<Event>) {
        if let Some(mut content) = message.object("content").ok().flatten() {
            if let Some(text) = said(&mut content, "thinking") {
                self.grow(Growing::Thinking, text, out);
            }
            if let Some(text) = said(&mut content, "text") {
                self.grow(Growing::Text, text, out);
            }
        }
        if let Some(text) = said(&mut message, "tool_plan") {
            self.grow(Growing::Plan, text, out);
        }
    }

    fn call(&mut self, message: &mut Object<'_>, index: Option<u64>, out: &mut Vec<Event>) -> Result<(), NotAReply> {
        let missing = || NotAReply::Malformed("a tool call has no function".to_owned());
        let mut call = message.object("tool_calls").map_err(malformed)?.ok_or_else(missing)?;
        let mut function = call.object("function").map_err(malformed)?.ok_or_else(missing)?;
        let name = function.need_text("name").map_err(malformed)?;
        let id = said(&mut call, "id").unwrap_or_else(|| format!("call_{}{}", self.seed, self.calls.len()));
        let part = self.open(Growing::Call, Opening::ToolCall { id, name, custom: false }, out);
        self.calls.push(Call { index, part, empty: true });
        if let Some(arguments) = said(&mut function, "arguments") {
            self.arguments(index, arguments, out);
        }
        Ok(())
    }

    fn arguments(&mut self, index: Option<u64>, more: String, out: &mut Vec<Event>) {
        if let Some(call) = find(&mut self.calls, index) {
            call.empty = false;
            out.push(Event::Delta { choice: 0, part: call.part, delta: Delta::Arguments(more) });
        }
    }

    /// A call without arguments has an empty text; whoever reads it expects an object.
    fn complete_arguments(&mut self, index: Option<u64>, out: &mut Vec<Event>) {
        if find(&mut self.calls, index).is_some_and(|call| call.empty) {
            self.arguments(index, "{}".to_owned(), out);
        }
    }

    fn cite(&self, message: &mut Object<'_>, out: &mut Vec<Event>) {
        let (Some(part), Some(citations)) = (self.text, message.take("citations")) else { return };
        for (citation, _) in each(citations).into_iter().filter_map(citation) {
            out.push(Event::Delta { choice: 0, part, delta: Delta::Citation(citation) });
        }
    }

    fn end(&mut self, delta: Option<Object<'_>>, out: &mut Vec<Event>) -> Result<Step, NotAReply> {
        let Some(mut delta) = delta else {
            return Err(NotAReply::Malformed("the end of the message says nothing".to_owned()));
        };
        let reason = said(&mut delta, "finish_reason");
        let finish = finish(reason.as_deref(), error::member(&mut delta))?;
        for call in self.calls.iter().filter(|call| call.empty) {
            let delta = Delta::Arguments("{}".to_owned());
            out.push(Event::Delta { choice: 0, part: call.part, delta });
        }
        self.close(out);
        if let Some(text) = delta.take("usage") {
            out.extend(Object::read(text, Path::default()).ok().and_then(usage).map(Event::Usage));
            let mut extras = Extras::default();
            extras.push(Dialect::Cohere, "usage", Json::parse(text).unwrap_or_else(|| Json::of(&())));
            out.push(Event::Extras(extras));
        }
        out.push(Event::Finished { choice: 0, finish });
        Ok(Step::Complete)
    }

    fn grow(&mut self, what: Growing, text: String, out: &mut Vec<Event>) {
        let part = if self.open == Some(what) {
            self.parts - 1
        } else {
            let thinking = || Opening::Thinking { id: None };
            self.open(what, if what == Growing::Text { Opening::Text } else { thinking() }, out)
        };
        out.push(Event::Delta { choice: 0, part, delta: Delta::Text(text) });
    }

    fn open(&mut self, what: Growing, opening: Opening, out: &mut Vec<Event>) -> u32 {
        self.close(out);
        let part = self.parts;
        self.parts += 1;
        self.open = Some(what);
        if what == Growing::Text {
            self.text = Some(part);
        }
        out.push(Event::Opened { choice: 0, part, opening });
        part
    }

    fn close(&mut self, out: &mut Vec<Event>) {
        if self.open.take().is_some() {
            out.push(Event::Closed { choice: 0, part: self.parts - 1 });
        }
    }
}

/// Returns the last call of that index, or the last of all.
fn find(calls: &mut [Call], index: Option<u64>) -> Option<&mut Call> {
    let at = calls.iter().rposition(|call| index.is_some() && call.index == index);
    let at = at.or_else(|| calls.len().checked_sub(1))?;
    calls.get_mut(at)
}

#[cfg(test)]
mod tests;
