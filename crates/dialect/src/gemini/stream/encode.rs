//! From events, of whatever provider, to a streamed answer: every frame is an answer in itself, with the parts that are
//! new.
//!
//! Texts go out as they come. Calls, pictures and Gemini's own blocks are sent whole, in the last frame: a provider may
//! go back to one that seemed complete. There is no end marker.

use ir::chat::event::{Delta, Event, Opening};
use ir::chat::fold::Fold;
use ir::chat::message::Signature;
use ir::dialect::Dialect;
use serde::Serialize;

use super::super::response::encode::{Parts, reply};
use super::super::wire::{Content, Known, Part};
use crate::translate::{Encode, Label};

/// Writes one streamed answer.
#[derive(Debug)]
pub struct Encoder {
    seed: String,
    model: String,
    id: String,
    created: u64,
    /// The meta block for the first frame, until that was written.
    first_meta: Option<Vec<u8>>,
    /// The parts that are text, and whether they are thoughts: choice, part, thought.
    texts: Vec<(u32, u32, bool)>,
    fold: Fold,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Piece<'a> {
    candidates: [Candidate<'a>; 1],
    model_version: &'a str,
    response_id: &'a str,
}

#[derive(Serialize)]
struct Candidate<'a> {
    content: Content<'a>,
    index: u32,
}

impl Encoder {
    /// Starts an answer. `first_meta` (`"key":{…}`) becomes the last member of the first frame; an answer of one frame
    /// has only the block of its end.
    pub fn new(label: &Label<'_>, first_meta: Vec<u8>) -> Self {
        Self {
            seed: label.seed.to_owned(),
            model: label.model.to_owned(),
            id: label.seed.to_owned(),
            created: label.created,
            first_meta: Some(first_meta),
            texts: Vec::new(),
            fold: Fold::default(),
        }
    }

    /// Sends what a part of text grows by.
    fn grow(&mut self, choice: u32, part: u32, delta: &Delta, out: &mut Vec<u8>) {
        let Some((_, _, thought)) = self.texts.iter().rev().find(|(c, p, _)| (*c, *p) == (choice, part)) else {
            return;
        };
        let mut known = Known { thought: *thought, text: Some("".into()), ..Known::default() };
        match delta {
            Delta::Text(text) => known.text = Some(text.into()),
            Delta::Signature(Signature { by: Dialect::Gemini, text }) => known.thought_signature = Some(text),
            _ => return,
        }
        let content = Content { role: Some("model"), parts: vec![Part::Known(Box::new(known))], ..Content::default() };
        let piece = Piece {
            candidates: [Candidate { content, index: choice }],
            model_version: &self.model,
            response_id: &self.id,
        };
        let text = serde_json::to_vec(&piece).unwrap_or_default();
        write(text, &self.first_meta.take().unwrap_or_default(), out);
    }
}

impl Encode for Encoder {
    fn event(&mut self, event: Event, out: &mut Vec<u8>) {
        match &event {
            Event::Started(started) => {
                if !started.id.is_empty() {
                    self.id.clone_from(&started.id);
                }
                if !started.model.is_empty() {
                    self.model.clone_from(&started.model);
                }
            }
            Event::Opened { choice, part, opening: Opening::Text | Opening::Refusal } => {
                self.texts.push((*choice, *part, false));
            }
            Event::Opened { choice, part, opening: Opening::Thinking { .. } } => {
                self.texts.push((*choice, *part, true));
            }
            Event::Delta { choice, part, delta } => self.grow(*choice, *part, delta, out),
            _ => {}
        }
        self.fold.push(event);
    }

    fn finish(&mut self, meta: &[u8], out: &mut Vec<u8>) {
        let response = std::mem::take(&mut self.fold).finish();
        let label = Label { seed: &self.seed, model: &self.model, created: self.created };
        write(reply(&response, &label, Parts::Rest), meta, out);
    }
}

/// Appends a frame, with the meta block as the last member of its object.
fn write(mut object: Vec<u8>, meta: &[u8], out: &mut Vec<u8>) {
    if !meta.is_empty() && object.pop().is_some() {
        object.push(b',');
        object.extend_from_slice(meta);
        object.push(b'}');
    }
    out.extend_from_slice(b"data: ");
    out.extend_from_slice(&object);
    out.extend_from_slice(b"\r\n\r\n");
}

#[cfg(test)]
mod tests;
