//! From the events of a stream to the canonical ones.
//!
//! <https://platform.openai.com/docs/api-reference/responses-streaming>
//!
//! An event names the item that it belongs to by its place in the output and by an id; vendors leave out one or the
//! other. What was not streamed (annotations, a call's arguments, a whole item) is taken from the item when it is
//! done, or from the response when that is.

use ir::chat::event::{Delta, Event, Opening};
use ir::chat::message::{Content, Part};
use ir::dialect::Dialect;
use ir::json::Json;

use crate::json::object::{Object, Path, string};
use crate::openai_responses::item::{self, BETWEEN};
use crate::openai_responses::response::decode::{entries, failure, finish, head, malformed, says_something, spoken};
use crate::openai_responses::{error, wire};
use crate::translate::{Decode, Frame, NotAReply, Step};

/// Reads one streamed answer.
#[derive(Debug)]
pub struct Decoder {
    seed: String,
    started: bool,
    /// The parts so far, by their number.
    slots: Vec<Slot>,
    /// Whether the last of them is open.
    open: bool,
}

/// Which item an event belongs to.
#[derive(Clone, Debug)]
struct Key {
    place: Option<u64>,
    id: Option<String>,
}

/// One part of the answer: a part of a message, or an item.
#[derive(Debug)]
struct Slot {
    key: Key,
    content: u64,
    kind: Kind,
    /// Whether some of its text or arguments came.
    began: bool,
    citations: usize,
    logprobs: bool,
    /// For reasoning: which of the thought itself and its summary came first (the other is passed over), and which
    /// piece of it came last.
    shown: Option<(Shown, u64)>,
}

/// What a part is. An event that speaks of another kind of part at the same place means another part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Text,
    Thinking,
    Refusal,
    Call,
    Foreign,
}

/// What reasoning shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shown {
    Thought,
    Summary,
}

impl Decoder {
    /// Starts a stream. `seed` names calls that come without an id.
    pub fn new(seed: &str) -> Self {
        Self { seed: seed.to_owned(), started: false, slots: Vec::new(), open: false }
    }
}

impl Decode for Decoder {
    fn frame(&mut self, frame: Frame<'_>, out: &mut Vec<Event>) -> Result<Step, NotAReply> {
        if frame.data.trim_ascii() == "[DONE]" {
            return Ok(Step::More);
        }
        let mut event = Object::read(frame.data, Path::default()).map_err(malformed)?;
        let kind = event.peek("type").and_then(string);
        let kind = match kind.as_deref().or(frame.event) {
            Some(kind) => kind,
            // Servers in front of a provider say what is wrong as they do in a body.
            None if event.peek("error").is_some_and(|error| error != "null") => "error",
            None => return Ok(Step::More),
        };
        match kind {
            "error" => return Err(NotAReply::Error(error::report(event))),
            "response.failed" => {
                let mut response = response(&mut event)?;
                return Err(NotAReply::Error(failure(&mut response).unwrap_or_default()));
            }
            _ => {}
        }
        self.start(&event, out);
        match kind.strip_prefix("response.") {
            Some(status @ ("completed" | "incomplete")) => self.complete(status, response(&mut event)?, out),
            Some(kind) => self.event(kind, event, out).map(|()| Step::More),
            None => Ok(Step::More),
        }
    }
}

/// Takes the response that an event carries.
fn response<'a>(event: &mut Object<'a>) -> Result<Object<'a>, NotAReply> {
    Object::read(event.take("response").unwrap_or("{}"), Path::default()).map_err(malformed)
}

impl Decoder {
    /// Begins the answer, whatever event comes first.
    fn start(&mut self, event: &Object<'_>, out: &mut Vec<Event>) {
        if std::mem::replace(&mut self.started, true) {
            return;
        }
        let response = event.peek("response").and_then(|text| Object::read(text, Path::default()).ok());
        let mut started = response.map(|mut response| head(&mut response)).unwrap_or_default();
        // `auto` is what was asked for, not what is given.
        started.service_tier = started.service_tier.filter(|tier| tier != "auto");
        out.push(Event::Started(started));
    }

    fn event(&mut self, kind: &str, mut event: Object<'_>, out: &mut Vec<Event>) -> Result<(), NotAReply> {
        let key = Key::of(&mut event);
        let mut number = |name| event.integer(name).ok().flatten().unwrap_or(0);
        let (content, summary) = (number("content_index"), number("summary_index"));
        let delta = event.take("delta").and_then(string).unwrap_or_default();
        match kind {
            "output_item.added" => self.added(key, event.take("item").unwrap_or("{}"), out)?,
            "output_item.done" => self.done(&key, event.take("item").unwrap_or("{}"), out)?,
            "output_text.delta" if !delta.is_empty() => {
                let at = self.opened(key, content, Opening::Text, out);
                self.delta(at, Delta::Text(delta), out);
                self.logprobs(at, event.take("logprobs"), out);
            }
            "output_text.annotation.added" => {
                if let Some(annotation) = event.take("annotation") {
                    let at = self.opened(key, content, Opening::Text, out);
                    self.delta(at, Delta::Citation(item::citation(annotation)), out);
                }
            }
            "refusal.delta" if !delta.is_empty() => {
                let at = self.opened(key, content, Opening::Refusal, out);
                self.delta(at, Delta::Text(delta), out);
            }
            "reasoning_text.delta" if !delta.is_empty() => self.reasoning(key, (Shown::Thought, content), delta, out),
            "reasoning_summary_text.delta" if !delta.is_empty() => {
                self.reasoning(key, (Shown::Summary, summary), delta, out);
            }
            "function_call_arguments.delta" | "custom_tool_call_input.delta" => {
                // A call that was not announced has no name yet: it is said when it is done.
                if let Some(at) = self.find(&key, 0, Kind::Call) {
                    self.delta(at, Delta::Arguments(delta), out);
                }
            }
            // Progress of a provider's own tools, ends of parts, what is not known: none says anything new.
            _ => {}
        }
        Ok(())
    }

    /// Opens a call. Everything else is opened when there is something in it.
    fn added(&mut self, key: Key, item: &str, out: &mut Vec<Event>) -> Result<(), NotAReply> {
        let part = self.read(&key, item)?.pop();
        if let Some(opening @ Opening::ToolCall { .. }) = part.and_then(|part| opening(&part.content)) {
            self.opened(key, 0, opening, out);
        }
        Ok(())
    }

    /// Says of an item that is done what was not said yet.
    fn done(&mut self, key: &Key, item: &str, out: &mut Vec<Event>) -> Result<(), NotAReply> {
        for (content, part) in (0..).zip(self.read(key, item)?) {
            let Some(opening) = opening(&part.content).filter(|_| says_something(&part)) else { continue };
            let at = self.opened(key.clone(), content, opening, out);
            let Slot { began, citations, logprobs, .. } = self.slots[at];
            match part.content {
                Content::Text { text, citations: all } => {
                    self.delta(at, Delta::Text(if began { String::new() } else { text }), out);
                    for citation in all.into_iter().skip(citations) {
                        self.delta(at, Delta::Citation(citation), out);
                    }
                }
                Content::Thinking { text, .. } | Content::Refusal(text) if !began => {
                    self.delta(at, Delta::Text(text), out);
                }
                Content::ToolCall(call) if !began => self.delta(at, Delta::Arguments(call.arguments), out),
                _ => {}
            }
            if !logprobs {
                self.logprobs(at, part.extras.get(Dialect::OpenaiResponses, "logprobs").map(Json::as_str), out);
            }
            if let Some(signature) = part.signature {
                self.delta(at, Delta::Signature(signature), out);
            }
        }
        Ok(())
    }

    fn read(&self, key: &Key, item: &str) -> Result<Vec<Part>, NotAReply> {
        let place = key.place.and_then(|place| usize::try_from(place).ok()).unwrap_or(self.slots.len());
        spoken(item, Path::default(), &self.seed, place)
    }

    fn reasoning(&mut self, key: Key, now: (Shown, u64), text: String, out: &mut Vec<Event>) {
        let opening = Opening::Thinking { id: key.id.clone() };
        let at = self.opened(key, 0, opening, out);
        match self.slots[at].shown.replace(now) {
            Some(before) if before.0 != now.0 => {
                self.slots[at].shown = Some(before);
                return;
            }
            Some(before) if before.1 != now.1 => self.delta(at, Delta::Text(BETWEEN.to_owned()), out),
            _ => {}
        }
        self.delta(at, Delta::Text(text), out);
    }

    /// Ends the answer. A provider that streamed nothing of it says it here.
    fn complete(&mut self, status: &str, mut response: Object<'_>, out: &mut Vec<Event>) -> Result<Step, NotAReply> {
        if let Some(report) = failure(&mut response) {
            return Err(NotAReply::Error(report));
        }
        if self.slots.is_empty() {
            for (place, item) in (0..).zip(response.list("output").ok().flatten().unwrap_or_default()) {
                self.done(&Key { place: Some(place), id: None }, item, out)?;
            }
        }
        self.close(out);
        let calls = self.slots.iter().any(|slot| slot.kind == Kind::Call);
        out.push(Event::Finished { choice: 0, finish: finish(Some(status), &mut response, calls)? });
        out.extend(response.take("usage").and_then(wire::usage).map(Event::Usage));
        Ok(Step::Complete)
    }

    /// Returns the part that an event belongs to, if it was opened.
    fn find(&self, key: &Key, content: u64, kind: Kind) -> Option<usize> {
        self.slots.iter().rposition(|slot| slot.kind == kind && slot.content == content && slot.key.is(key))
    }

    /// Returns the part that an event belongs to, and opens it if it was not.
    fn opened(&mut self, key: Key, content: u64, opening: Opening, out: &mut Vec<Event>) -> usize {
        let kind = Kind::of(&opening);
        if let Some(at) = self.find(&key, content, kind) {
            return at;
        }
        self.close(out);
        let at = self.slots.len();
        self.slots.push(Slot { key, content, kind, began: false, citations: 0, logprobs: false, shown: None });
        self.open = true;
        out.push(Event::Opened { choice: 0, part: number(at), opening });
        at
    }

    fn close(&mut self, out: &mut Vec<Event>) {
        if std::mem::take(&mut self.open) {
            out.push(Event::Closed { choice: 0, part: number(self.slots.len() - 1) });
        }
    }

    fn delta(&mut self, at: usize, delta: Delta, out: &mut Vec<Event>) {
        let slot = &mut self.slots[at];
        match &delta {
            Delta::Text(more) | Delta::Arguments(more) if more.is_empty() => return,
            Delta::Text(_) | Delta::Arguments(_) => slot.began = true,
            Delta::Citation(_) => slot.citations += 1,
            Delta::Signature(_) | Delta::Data(_) | Delta::Foreign { .. } => {}
        }
        out.push(Event::Delta { choice: 0, part: number(at), delta });
    }

    fn logprobs(&mut self, at: usize, list: Option<&str>, out: &mut Vec<Event>) {
        if let Some(logprobs) = entries(list.into_iter()) {
            self.slots[at].logprobs = true;
            out.push(Event::Logprobs { choice: 0, logprobs });
        }
    }
}

impl Key {
    fn of(event: &mut Object<'_>) -> Self {
        let item = event.peek("item").and_then(|item| Object::read(item, Path::default()).ok());
        let id = item.and_then(|mut item| item.text("id").ok().flatten());
        Self {
            place: event.integer("output_index").ok().flatten(),
            id: id.or_else(|| event.text("item_id").ok().flatten()),
        }
    }

    /// Whether two keys name one item. The place goes before the id, which some servers make anew for every event.
    fn is(&self, other: &Self) -> bool {
        match (self.place.zip(other.place), self.id.as_ref().zip(other.id.as_ref())) {
            (Some((a, b)), _) => a == b,
            (None, Some((a, b))) => a == b,
            (None, None) => true,
        }
    }
}

impl Kind {
    fn of(opening: &Opening) -> Self {
        match opening {
            Opening::Text => Self::Text,
            Opening::Thinking { .. } => Self::Thinking,
            Opening::Refusal => Self::Refusal,
            Opening::ToolCall { .. } => Self::Call,
            Opening::Foreign { .. } | Opening::Redacted | Opening::Media { .. } => Self::Foreign,
        }
    }
}

/// Returns how a part begins; `None` for what a model's answer has no place for.
fn opening(content: &Content) -> Option<Opening> {
    Some(match content {
        Content::Text { .. } => Opening::Text,
        Content::Thinking { id, .. } => Opening::Thinking { id: id.clone() },
        Content::Refusal(_) => Opening::Refusal,
        Content::ToolCall(call) => {
            Opening::ToolCall { id: call.id.clone(), name: call.name.clone(), custom: call.custom }
        }
        Content::Foreign { dialect, block } => Opening::Foreign { dialect: *dialect, block: block.clone() },
        _ => return None,
    })
}

fn number(at: usize) -> u32 {
    // No answer has that many parts: its frames would not fit into memory.
    u32::try_from(at).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests;
