//! Events, written as chunks: <https://platform.openai.com/docs/api-reference/chat-streaming>.
//!
//! Every choice begins with its role; the first chunk of all carries the meta block. What ends the answer waits for
//! [`Encode::finish`].

mod chunk;

use ir::chat::event::{Delta, Event, Opening};
use ir::chat::extras::Extras;
use ir::chat::message::Signature;
use ir::chat::response::Finish;
use ir::dialect::Dialect;
use ir::json::Json;
use ir::usage::Usage;

use self::chunk::{Chunks, Tail};
use crate::carry::Own;
use crate::openai_chat::finish;
use crate::openai_chat::reasoning::Detail;
use crate::openai_chat::wire::message::Address;
use crate::openai_chat::wire::reply as wire;
use crate::openai_chat::wire::request::own;
use crate::translate::{Encode, Label};

const OWN: Dialect = Dialect::OpenaiChat;

/// Writes one streamed reply.
#[derive(Debug)]
pub struct Encoder {
    chunks: Chunks,
    choices: Vec<Choice>,
    finishes: Vec<(u32, Finish)>,
    usage: Option<Usage>,
    extras: Extras,
}

/// A choice that is being written.
#[derive(Debug, Default)]
struct Choice {
    index: u32,
    parts: Vec<Part>,
    calls: u32,
    thoughts: u64,
    images: u32,
}

/// A part, as far as its deltas need it.
#[derive(Debug)]
enum Part {
    Text,
    Refusal,
    /// `worded`: its text has begun. `hidden`: it never does.
    Thinking {
        id: Option<String>,
        index: u64,
        worded: bool,
        hidden: bool,
    },
    Call {
        index: u32,
        custom: bool,
    },
    /// `named`: its id was said.
    Audio {
        named: bool,
    },
    /// A picture is sent whole.
    Image {
        media_type: String,
        data: String,
        index: u32,
    },
    Foreign,
}

impl Encoder {
    /// Starts a stream. `first_meta` is the member (`"key":{…}`) for the first chunk, empty for none; `wants_usage`
    /// says whether the caller asked for a usage chunk.
    pub fn new(label: &Label<'_>, wants_usage: bool, first_meta: Vec<u8>) -> Self {
        Self {
            chunks: Chunks::new(label, wants_usage, first_meta),
            choices: Vec::new(),
            finishes: Vec::new(),
            usage: None,
            extras: Extras::default(),
        }
    }

    /// Returns a choice; one that is new is introduced by its role.
    fn choice(&mut self, index: u32, out: &mut Vec<u8>) -> Option<(&mut Choice, &mut Chunks)> {
        let found = self.choices.iter().position(|choice| choice.index == index);
        let at = found.unwrap_or_else(|| {
            self.choices.push(Choice { index, ..Choice::default() });
            let delta = wire::Delta { role: Some("assistant"), content: Some(""), ..wire::Delta::default() };
            self.chunks.delta(index, delta, out);
            self.choices.len() - 1
        });
        Some((self.choices.get_mut(at)?, &mut self.chunks))
    }

    /// Returns the members of this dialect that go into the last chunk: a meta block of a gateway behind us gives way
    /// to ours.
    fn last_words(&mut self, meta: &[u8]) -> Extras {
        let mut words = Extras::default();
        for (name, value) in std::mem::take(&mut self.extras).of(OWN) {
            if !meta.starts_with(format!("{}:", Json::of(&name).as_str()).as_bytes()) {
                words.push(OWN, name, value.clone());
            }
        }
        words
    }
}

impl Encode for Encoder {
    fn event(&mut self, event: Event, out: &mut Vec<u8>) {
        match event {
            Event::Started(started) => {
                self.usage = started.usage.or(self.usage);
                self.chunks.start(&started);
                self.choice(0, out);
            }
            Event::Opened { choice, opening, .. } => {
                if let Some((choice, chunks)) = self.choice(choice, out) {
                    let part = choice.open(opening, chunks, out);
                    choice.parts.push(part);
                }
            }
            Event::Delta { choice, part, delta } => {
                if let Some((choice, chunks)) = self.choice(choice, out) {
                    choice.grow(part, &delta, chunks, out);
                }
            }
            Event::Closed { choice, part } => {
                if let Some((choice, chunks)) = self.choice(choice, out) {
                    choice.close(part, chunks, out);
                }
            }
            Event::Logprobs { choice, logprobs } => {
                if let Some((choice, chunks)) = self.choice(choice, out) {
                    let logprobs = Some(&logprobs);
                    let delta = wire::Delta::default();
                    chunks.step(&wire::Step { index: choice.index, delta, logprobs, finish_reason: None }, out);
                }
            }
            Event::Finished { choice, finish } => self.finishes.push((choice, finish)),
            Event::Usage(usage) => self.usage = Some(usage),
            Event::Extras(extras) => self.extras = extras,
        }
    }

    fn finish(&mut self, meta: &[u8], out: &mut Vec<u8>) {
        let mut finishes = std::mem::take(&mut self.finishes);
        if finishes.is_empty() {
            finishes.push((0, Finish::Other(String::new())));
        }
        let words = self.last_words(meta);
        let usage = self.usage.take().filter(|_| self.chunks.wants_usage);
        let last = finishes.len() - 1;
        for (at, (index, finish)) in finishes.iter().enumerate() {
            let has_calls = self.choice(*index, out).is_some_and(|(choice, _)| choice.calls > 0);
            let finish_reason = Some(finish::word(finish, has_calls));
            let step = wire::Step { index: *index, delta: wire::Delta::default(), logprobs: None, finish_reason };
            let extras = if at == last { own(&words) } else { Own::default() };
            let tail = Tail { usage: self.chunks.wants_usage.then_some(None), extras };
            let meta = if at == last && usage.is_none() { meta } else { b"" };
            self.chunks.write(Some(&step), &tail, meta, out);
        }
        if let Some(usage) = usage {
            let tail = Tail { usage: Some(Some(wire::Consumed::of(&usage))), extras: Own::default() };
            self.chunks.write(None, &tail, meta, out);
        }
        out.extend_from_slice(b"data: [DONE]\n\n");
    }
}

impl Choice {
    fn open(&mut self, opening: Opening, chunks: &mut Chunks, out: &mut Vec<u8>) -> Part {
        let hidden = opening == Opening::Redacted;
        match opening {
            Opening::Text => Part::Text,
            Opening::Refusal => Part::Refusal,
            Opening::Thinking { id } => {
                self.thoughts += 1;
                Part::Thinking { id, index: self.thoughts - 1, worded: false, hidden }
            }
            Opening::Redacted => {
                self.thoughts += 1;
                Part::Thinking { id: None, index: self.thoughts - 1, worded: false, hidden }
            }
            Opening::ToolCall { id, name, custom } => {
                let index = self.calls;
                self.calls += 1;
                let id = wire::call_id(&id, &chunks.seed, self.index, self.parts.len()).into_owned();
                let call = wire::Call { index: Some(index), ..wire::Call::new(id.into(), &name, "", custom) };
                chunks.delta(self.index, wire::Delta { tool_calls: vec![call], ..wire::Delta::default() }, out);
                Part::Call { index, custom }
            }
            Opening::Media { media_type } if media_type.starts_with("audio/") => Part::Audio { named: false },
            Opening::Media { media_type } => {
                self.images += 1;
                Part::Image { media_type, data: String::new(), index: self.images - 1 }
            }
            Opening::Foreign { dialect, block } => {
                let blocks = Some(wire::Blocks(vec![(dialect, &block)]));
                let delta = wire::Delta { provider_specific_fields: blocks, ..wire::Delta::default() };
                chunks.delta(self.index, delta, out);
                Part::Foreign
            }
        }
    }

    /// Writes more of a part. What the schema has no place for is passed over: another dialect's deltas, proofs of
    /// text.
    fn grow(&mut self, part: u32, delta: &Delta, chunks: &mut Chunks, out: &mut Vec<u8>) {
        let index = self.index;
        let Some(part) = self.parts.get_mut(part as usize) else { return };
        let mut more = wire::Delta::default();
        match (delta, part) {
            (Delta::Text(text), Part::Text) => more.content = Some(text),
            (Delta::Text(text), Part::Refusal) => more.refusal = Some(text),
            (Delta::Text(text), Part::Thinking { id, index, worded, .. }) => {
                *worded = true;
                more.think(text);
                more.reasoning_details.push(Detail::text(text, id.as_deref(), *index));
            }
            (Delta::Signature(signature), Part::Thinking { id, index, worded, hidden }) => {
                let worded = !*hidden && (*worded || (id.is_none() && signature.by == Dialect::Anthropic));
                more.reasoning_details.push(Detail::proof(signature, worded, id.as_deref(), *index));
            }
            (Delta::Signature(signature), Part::Call { index, .. }) => match signed(signature, *index) {
                Some(call) => more.tool_calls.push(call),
                None => return,
            },
            (Delta::Arguments(text), Part::Call { index, custom }) => {
                more.tool_calls.push(wire::Call::more(*index, text, *custom));
            }
            (Delta::Citation(citation), Part::Text) => more.annotations.push(wire::Annotation::of(citation)),
            (Delta::Foreign { dialect: OWN, delta }, Part::Audio { named }) => {
                *named = true;
                more.audio = Some(wire::Audio::Raw(delta));
            }
            (Delta::Data(data), Part::Audio { named }) => {
                let id = (!std::mem::replace(named, true)).then(|| format!("audio_{}", chunks.seed));
                more.audio = Some(wire::Audio::Data { id, data });
            }
            (Delta::Data(more), Part::Image { data, .. }) => return data.push_str(more),
            _ => return,
        }
        chunks.delta(index, more, out);
    }

    fn close(&mut self, part: u32, chunks: &mut Chunks, out: &mut Vec<u8>) {
        if let Some(Part::Image { media_type, data, index }) = self.parts.get(part as usize) {
            let image = wire::Image::new(Address::Data { media_type, data }, *index);
            chunks.delta(self.index, wire::Delta { images: vec![image], ..wire::Delta::default() }, out);
        }
    }
}

/// Returns the piece of a call that is its proof.
fn signed(signature: &Signature, index: u32) -> Option<wire::Call<'_>> {
    let extra_content = Some(wire::extra_content(Some(signature))?);
    Some(wire::Call { index: Some(index), extra_content, ..wire::Call::default() })
}

#[cfg(test)]
mod tests;
