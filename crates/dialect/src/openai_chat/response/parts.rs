//! From a message, or the deltas of one, to events. Buffered and streamed answers say the same things in the same
//! members, so they are read by the same code; a whole message is one large delta.

mod calls;

use ir::chat::event::{Delta, Event, Opening};
use ir::chat::message::{Citation, Signature};
use ir::chat::response::Finish;
use ir::dialect::Dialect;
use ir::json::Json;

use super::citations::{self, citation};
use crate::json::object::{Object, elements, string};
use crate::openai_chat::finish;
use crate::openai_chat::reasoning::{Entry, Kind};
use crate::openai_chat::wire::{self, object, word};

const OWN: Dialect = Dialect::OpenaiChat;

/// One choice that is being read.
#[derive(Debug)]
pub(in crate::openai_chat) struct Reader {
    pub index: u32,
    /// Why it ended; the first word counts.
    pub finish: Option<Finish>,
    /// Whether it comes whole: then every call is a new one, whatever its number says.
    whole: bool,
    parts: u32,
    open: Option<(u32, Open)>,
    text: Option<u32>,
    thought: Option<Thought>,
    audio: Option<u32>,
    calls: Vec<calls::Call>,
    function: Option<u32>,
    cited: Vec<String>,
}

/// What the part is that is open, as far as more of it may come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Open {
    Text,
    Thinking,
    Refusal,
    Other,
}

/// The last thought.
#[derive(Debug)]
struct Thought {
    part: u32,
    index: Option<u64>,
    kind: Kind,
    signed: bool,
}

impl Reader {
    pub fn new(index: u32, whole: bool) -> Self {
        Self {
            index,
            finish: None,
            whole,
            parts: 0,
            open: None,
            text: None,
            thought: None,
            audio: None,
            calls: Vec::new(),
            function: None,
            cited: Vec::new(),
        }
    }

    /// Whether nothing was said so far.
    pub fn is_fresh(&self) -> bool {
        self.parts == 0
    }

    /// Reads a message or a delta. `seed` is for ids of calls that have none.
    pub fn message(&mut self, mut message: Object<'_>, seed: &str, out: &mut Vec<Event>) {
        self.thoughts(&mut message, out);
        if let Some(content) = message.take("content") {
            self.content(content, out);
        }
        if let Some(refusal) = word(&mut message, "refusal") {
            let part = self.at(Open::Refusal, || Opening::Refusal, out);
            self.grow(part, Delta::Text(refusal), out);
        }
        for annotation in list(&mut message, "annotations") {
            self.annotation(annotation, out);
        }
        for passage in list(&mut message, "citations") {
            if let Some(citation) = citations::passage(passage) {
                self.attach(citation, out);
            }
        }
        if let Ok(Some(audio)) = message.object("audio") {
            self.audio(audio, out);
        }
        for image in list(&mut message, "images") {
            self.image(image, out);
        }
        for call in list(&mut message, "tool_calls") {
            self.call(call, seed, out);
        }
        if let Ok(Some(function)) = message.object("function_call") {
            self.function_call(function, seed, out);
        }
    }

    /// Notes the finish reason, if it is one.
    pub fn finished(&mut self, reason: Option<String>) {
        if self.finish.is_none() {
            self.finish = reason.filter(|reason| !reason.is_empty()).map(finish::read);
        }
    }

    /// Ends the choice.
    pub fn end(&mut self, out: &mut Vec<Event>) {
        self.waiting_calls(out);
        self.close(out);
        let finish = self.finish.clone().unwrap_or(Finish::Other(String::new()));
        out.push(Event::Finished { choice: self.index, finish });
    }

    /// Appends a citation of a page to the text, but each page once.
    pub fn cite(&mut self, citation: Citation, out: &mut Vec<Event>) {
        let (Some(part), Some(url)) = (self.text, &citation.url) else { return };
        if !self.cited.contains(url) {
            self.cited.push(url.clone());
            self.grow(part, Delta::Citation(citation), out);
        }
    }

    fn close(&mut self, out: &mut Vec<Event>) {
        if let Some((part, _)) = self.open.take() {
            out.push(Event::Closed { choice: self.index, part });
        }
    }

    fn open(&mut self, open: Open, opening: Opening, out: &mut Vec<Event>) -> u32 {
        self.named_calls(out);
        self.open_next(open, opening, out)
    }

    fn open_next(&mut self, open: Open, opening: Opening, out: &mut Vec<Event>) -> u32 {
        self.close(out);
        let part = self.parts;
        self.parts += 1;
        self.open = Some((part, open));
        out.push(Event::Opened { choice: self.index, part, opening });
        part
    }

    /// Returns the part that is open, or opens one.
    fn at(&mut self, open: Open, opening: impl FnOnce() -> Opening, out: &mut Vec<Event>) -> u32 {
        match self.open {
            Some((part, found)) if found == open => part,
            _ => self.open(open, opening(), out),
        }
    }

    fn grow(&self, part: u32, delta: Delta, out: &mut Vec<Event>) {
        out.push(Event::Delta { choice: self.index, part, delta });
    }

    fn say(&mut self, text: String, out: &mut Vec<Event>) {
        if !text.is_empty() {
            let part = self.at(Open::Text, || Opening::Text, out);
            self.text = Some(part);
            self.grow(part, Delta::Text(text), out);
        }
    }

    fn think(&mut self, text: String, out: &mut Vec<Event>) {
        if text.is_empty() {
            return;
        }
        let part = self.at(Open::Thinking, || Opening::Thinking { id: None }, out);
        if self.thought.as_ref().is_none_or(|thought| thought.part != part) {
            self.thought = Some(Thought { part, index: None, kind: Kind::Text, signed: false });
        }
        self.grow(part, Delta::Text(text), out);
    }

    /// Reads thoughts. Vendors say them once or twice: as text, and as entries with their proofs.
    fn thoughts(&mut self, message: &mut Object<'_>, out: &mut Vec<Event>) {
        let entries: Vec<Entry> = list(message, "reasoning_details")
            .into_iter()
            .filter_map(|entry| Entry::read(&mut object(entry)?).ok()?)
            .collect();
        let (content, plain) = (word(message, "reasoning_content"), word(message, "reasoning"));
        if entries.iter().all(|entry| entry.text.is_empty())
            && let Some(text) = content.or(plain)
        {
            self.think(text, out);
        }
        for entry in entries {
            self.entry(entry, out);
        }
    }

    fn entry(&mut self, entry: Entry, out: &mut Vec<Event>) {
        if entry.kind == Kind::Encrypted {
            let opening = match entry.id {
                Some(id) => Opening::Thinking { id: Some(id) },
                None => Opening::Redacted,
            };
            let part = self.open(Open::Other, opening, out);
            self.sign(part, entry.signature, out);
            return;
        }
        let goes_on = self.thought.as_ref().filter(|thought| {
            let same = thought.index.is_none() || entry.index.is_none() || thought.index == entry.index;
            let is_open = self.open == Some((thought.part, Open::Thinking));
            !thought.signed && same && thought.kind == entry.kind && (is_open || entry.text.is_empty())
        });
        let part = match goes_on {
            Some(thought) => thought.part,
            None if entry.text.is_empty() && entry.signature.is_none() => return,
            None => self.open(Open::Thinking, Opening::Thinking { id: entry.id }, out),
        };
        let signed = entry.signature.is_some();
        self.thought = Some(Thought { part, index: entry.index, kind: entry.kind, signed });
        if !entry.text.is_empty() {
            self.grow(part, Delta::Text(entry.text), out);
        }
        self.sign(part, entry.signature, out);
    }

    fn sign(&self, part: u32, signature: Option<Signature>, out: &mut Vec<Event>) {
        if let Some(signature) = signature.filter(|signature| !signature.text.is_empty()) {
            self.grow(part, Delta::Signature(signature), out);
        }
    }

    /// Reads the content: text; parts (Mistral); a JSON value where JSON was asked for (Cloudflare).
    fn content(&mut self, content: &str, out: &mut Vec<Event>) {
        if let Some(text) = string(content) {
            return self.say(text, out);
        }
        let Some(parts) = content.starts_with('[').then(|| elements(content).ok()).flatten() else {
            return self.say(content.to_owned(), out);
        };
        for text in parts {
            let Some(mut part) = object(text) else { continue };
            match word(&mut part, "type").as_deref() {
                Some("text") => self.say(word(&mut part, "text").unwrap_or_default(), out),
                Some("thinking") => {
                    let thought = part.take("thinking").and_then(wire::thought);
                    self.think(thought.unwrap_or_default(), out);
                }
                _ => self.foreign(text, out),
            }
        }
    }

    fn foreign(&mut self, text: &str, out: &mut Vec<Event>) {
        if let Some(block) = Json::parse(text) {
            self.open(Open::Other, Opening::Foreign { dialect: OWN, block }, out);
        }
    }

    fn annotation(&mut self, text: &str, out: &mut Vec<Event>) {
        if let Some(citation) = citation(text) {
            self.attach(citation, out);
        }
    }

    fn attach(&mut self, citation: Citation, out: &mut Vec<Event>) {
        let part = match self.text {
            Some(part) => part,
            None => {
                let part = self.open(Open::Text, Opening::Text, out);
                self.text = Some(part);
                part
            }
        };
        self.cited.extend(citation.url.clone());
        self.grow(part, Delta::Citation(citation), out);
    }

    /// Reads sound. Its id, its end of life and its words are this dialect's affair.
    fn audio(&mut self, mut audio: Object<'_>, out: &mut Vec<Event>) {
        let data = word(&mut audio, "data");
        let rest: Vec<(Json, &str)> = audio.leftovers().map(|(name, value)| (Json::of(&name), value)).collect();
        if data.is_none() && rest.is_empty() {
            return;
        }
        let part = match self.audio {
            Some(part) => part,
            None => {
                let media_type = data.as_deref().map_or("audio/pcm16", wire::media_type).to_owned();
                let part = self.open(Open::Other, Opening::Media { media_type }, out);
                self.audio = Some(part);
                part
            }
        };
        let members: Vec<String> = rest.iter().map(|(name, value)| format!("{}:{value}", name.as_str())).collect();
        if let Some(delta) = Json::parse(&format!("{{{}}}", members.join(","))).filter(|_| !members.is_empty()) {
            self.grow(part, Delta::Foreign { dialect: OWN, delta }, out);
        }
        if let Some(data) = data {
            self.grow(part, Delta::Data(data), out);
        }
    }

    fn image(&mut self, text: &str, out: &mut Vec<Event>) {
        let url = object(text).and_then(|mut image| image.object("image_url").ok()?);
        let url = url.and_then(|mut inner| word(&mut inner, "url"));
        match url.as_deref().and_then(wire::data_url) {
            Some((media_type, data)) => {
                let opening = Opening::Media { media_type: media_type.to_owned() };
                let part = self.open(Open::Other, opening, out);
                self.grow(part, Delta::Data(data.to_owned()), out);
            }
            None => self.foreign(text, out),
        }
    }
}

fn list<'a>(object: &mut Object<'a>, name: &'static str) -> Vec<&'a str> {
    object.list(name).ok().flatten().unwrap_or_default()
}
