//! A streamed answer, read. Every frame is an answer in itself, with the parts that are new.
//!
//! Texts of one kind make one part, until a signature closes it: signed text is not to be joined with what follows
//! (<https://ai.google.dev/gemini-api/docs/thought-signatures>). There is no end marker, and what belongs to the end
//! (sources, usage) may come after a finish reason; so the end of the stream is the end of the answer.

use ir::chat::event::{Delta, Event, Opening, Started};
use ir::chat::extras::Extras;
use ir::chat::message::{Citation, Content, Document, Part, Source};
use ir::chat::response::Finish;
use ir::dialect::Dialect;
use ir::json::Json;

use super::super::response::decode::{Calls, index, is_blocked, malformed, parts, reply};
use super::super::response::{citations, finish, logprobs, usage};
use crate::json::object::{Object, Path};
use crate::translate::{Decode, Frame, NotAReply, Step};

/// Reads the frames of one streamed answer.
#[derive(Debug)]
pub struct Decoder {
    /// For the ids of calls: 32 hexadecimal digits.
    seed: String,
    /// How many ids were made.
    made: u32,
    started: bool,
    blocked: bool,
    extras: Extras,
    choices: Vec<Choice>,
}

/// One answer of those that were asked for.
#[derive(Debug, Default)]
struct Choice {
    index: u32,
    /// How many parts were opened.
    opened: u32,
    /// The part that text can continue.
    current: Option<(u32, Kind)>,
    /// The text so far, thoughts left out: what citations count in.
    text: String,
    /// Where in it the text of a part starts.
    starts: Vec<(usize, u32)>,
    /// What was cited: some models repeat it.
    cited: Vec<Citation>,
    called: bool,
    finish: Option<String>,
}

/// What an open part is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Text,
    Thinking,
}

impl Decoder {
    /// Starts an answer. The seed is 32 hexadecimal digits.
    pub fn new(seed: &str) -> Self {
        Self {
            seed: seed.to_owned(),
            made: 0,
            started: false,
            blocked: false,
            extras: Extras::default(),
            choices: Vec::new(),
        }
    }

    fn start(&mut self, object: &mut Object<'_>, out: &mut Vec<Event>) {
        let mut word = |name| object.text(name).ok().flatten().unwrap_or_default();
        let (id, model) = (word("responseId"), word("modelVersion"));
        if !self.started {
            self.started = true;
            let service_tier = object.peek("usageMetadata").and_then(usage::service_tier);
            out.push(Event::Started(Started { id, model, service_tier, ..Started::default() }));
        }
    }

    fn candidate(&mut self, text: &str, at: usize, out: &mut Vec<Event>) -> Result<(), NotAReply> {
        let object = Object::read(text, Path::default()).and_then(Object::in_camel_case);
        let mut object = object.map_err(malformed)?;
        let index = index(&mut object).unwrap_or(u32::try_from(at).unwrap_or(u32::MAX));
        let place = self.choices.iter().position(|choice| choice.index == index).unwrap_or(self.choices.len());
        if place == self.choices.len() {
            self.choices.push(Choice { index, ..Choice::default() });
        }
        let Some(choice) = self.choices.get_mut(place) else { return Ok(()) };
        let mut calls = Calls { seed: &self.seed, made: self.made };
        for part in parts(&mut object).map_err(malformed)? {
            choice.part(part, &mut calls, out);
        }
        self.made = calls.made;
        choice.cite(&object, out);
        if let Some(reason) = object.take("finishReason").and_then(finish::name) {
            choice.finish = Some(reason);
        }
        if let Some(logprobs) = object.take("logprobsResult").and_then(logprobs::logprobs) {
            out.push(Event::Logprobs { choice: index, logprobs });
        }
        note(object, OF_CANDIDATE, &mut self.extras);
        Ok(())
    }
}

impl Decode for Decoder {
    fn frame(&mut self, frame: Frame<'_>, out: &mut Vec<Event>) -> Result<Step, NotAReply> {
        let mut object = reply(frame.data)?;
        self.start(&mut object, out);
        let candidates = object.list("candidates").map_err(malformed)?.unwrap_or_default();
        for (at, text) in candidates.into_iter().enumerate() {
            self.candidate(text, at, out)?;
        }
        self.blocked |= is_blocked(&object);
        let usage = object.take("usageMetadata").and_then(usage::usage);
        out.extend(usage.map(Event::Usage));
        note(object, "", &mut self.extras);
        Ok(Step::More)
    }

    fn end(&mut self, out: &mut Vec<Event>) -> Result<Step, NotAReply> {
        if !self.is_finishing() {
            return Ok(Step::More);
        }
        if self.choices.is_empty() {
            out.push(Event::Finished { choice: 0, finish: Finish::ContentFilter });
        }
        for choice in &mut self.choices {
            choice.close(out);
            let finish = match &choice.finish {
                Some(reason) => finish::finish(reason, choice.called),
                None => Finish::ContentFilter,
            };
            out.push(Event::Finished { choice: choice.index, finish });
        }
        if !self.extras.is_empty() {
            out.push(Event::Extras(std::mem::take(&mut self.extras)));
        }
        Ok(Step::Complete)
    }

    fn is_finishing(&self) -> bool {
        let finished = !self.choices.is_empty() && self.choices.iter().all(|choice| choice.finish.is_some());
        finished || self.blocked
    }
}

impl Choice {
    fn part(&mut self, part: Part, calls: &mut Calls<'_>, out: &mut Vec<Event>) {
        let signature = part.signature.map(Delta::Signature);
        let signed = signature.is_some();
        match part.content {
            Content::Text { text, .. } => {
                self.grow(Kind::Text, &text, signed, out);
                self.text.push_str(&text);
            }
            Content::Thinking { text, .. } => self.grow(Kind::Thinking, &text, signed, out),
            Content::ToolCall(mut call) => {
                self.called = true;
                calls.name(&mut call.id);
                let opening = Opening::ToolCall { id: call.id, name: call.name, custom: false };
                self.whole(opening, Some(Delta::Arguments(call.arguments)), signature, out);
                return;
            }
            Content::Image { source, .. } | Content::Audio(source) | Content::Video(source) => {
                self.media(source, signature, out);
                return;
            }
            Content::Document(Document { source, .. }) => {
                self.media(source, signature, out);
                return;
            }
            Content::Foreign { dialect, block } => {
                self.whole(Opening::Foreign { dialect, block }, None, signature, out);
                return;
            }
            // Not among what a part is read as, but for a result, which no model answers with.
            Content::Redacted | Content::Refusal(_) | Content::ToolResult(_) => return,
        }
        if let (Some(delta), Some((part, _))) = (signature, self.current) {
            out.push(Event::Delta { choice: self.index, part, delta });
            self.close(out);
        }
    }

    /// Adds text to the part that is open, or opens one. Empty text says nothing unless it is signed.
    fn grow(&mut self, kind: Kind, text: &str, signed: bool, out: &mut Vec<Event>) {
        if text.is_empty() && !signed {
            return;
        }
        let part = match self.current {
            Some((part, open)) if open == kind => part,
            _ => {
                let opening = match kind {
                    Kind::Text => Opening::Text,
                    Kind::Thinking => Opening::Thinking { id: None },
                };
                let part = self.open(opening, out);
                self.current = Some((part, kind));
                if kind == Kind::Text {
                    self.starts.push((self.text.len(), part));
                }
                part
            }
        };
        if !text.is_empty() {
            out.push(Event::Delta { choice: self.index, part, delta: Delta::Text(text.to_owned()) });
        }
    }

    fn media(&mut self, source: Source, signature: Option<Delta>, out: &mut Vec<Event>) {
        match source {
            Source::Base64 { media_type, data } => {
                self.whole(Opening::Media { media_type }, Some(Delta::Data(data)), signature, out);
            }
            Source::Url(uri) | Source::File(uri) => {
                let block = Json::of(&serde_json::json!({"fileData": {"fileUri": uri}}));
                self.whole(Opening::Foreign { dialect: Dialect::Gemini, block }, None, signature, out);
            }
            // Not among what a part is read as.
            Source::Text(_) | Source::Parts(_) => {}
        }
    }

    /// Adds a part that comes whole.
    fn whole(&mut self, opening: Opening, delta: Option<Delta>, signature: Option<Delta>, out: &mut Vec<Event>) {
        let part = self.open(opening, out);
        for delta in delta.into_iter().chain(signature) {
            out.push(Event::Delta { choice: self.index, part, delta });
        }
        out.push(Event::Closed { choice: self.index, part });
    }

    fn open(&mut self, opening: Opening, out: &mut Vec<Event>) -> u32 {
        self.close(out);
        let part = self.opened;
        self.opened += 1;
        out.push(Event::Opened { choice: self.index, part, opening });
        part
    }

    fn close(&mut self, out: &mut Vec<Event>) {
        if let Some((part, _)) = self.current.take() {
            out.push(Event::Closed { choice: self.index, part });
        }
    }

    /// Hands the citations of a candidate to the texts that they end in.
    fn cite(&mut self, candidate: &Object<'_>, out: &mut Vec<Event>) {
        let (grounding, sources) = (candidate.peek("groundingMetadata"), candidate.peek("citationMetadata"));
        for found in citations::citations(grounding, sources, &self.text) {
            if self.cited.contains(&found.citation) {
                continue;
            }
            self.cited.push(found.citation.clone());
            let end = found.end.unwrap_or(usize::MAX);
            let before = self.starts.iter().rev().find(|(start, _)| *start < end);
            if let Some((_, part)) = before.or(self.starts.first()) {
                out.push(Event::Delta { choice: self.index, part: *part, delta: Delta::Citation(found.citation) });
            }
        }
    }
}

/// What the name of a candidate's own member starts with, among the extras of the whole answer.
pub(in super::super) const OF_CANDIDATE: &str = "candidate.";

/// Keeps what nobody took; what comes again takes the place of what came before.
fn note(object: Object<'_>, prefix: &str, extras: &mut Extras) {
    for (name, value) in object.leftovers() {
        let (name, Some(value)) = (format!("{prefix}{name}"), Json::parse(value)) else { continue };
        let mut kept = Extras::default();
        for (other, value) in extras.of(Dialect::Gemini).filter(|(other, _)| *other != name) {
            kept.push(Dialect::Gemini, other, value.clone());
        }
        kept.push(Dialect::Gemini, name, value);
        *extras = kept;
    }
}

#[cfg(test)]
mod tests;
