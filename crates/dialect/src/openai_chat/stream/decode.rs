//! A streamed reply, read into events.
//!
//! <https://platform.openai.com/docs/api-reference/chat-streaming>. What ends a choice is told at the end of the
//! stream, because vendors add citations, signatures and usage after the finish reason.

use ir::chat::event::Event;
use ir::json::Json;
use ir::usage::Usage;

use crate::json::object::Object;
use crate::openai_chat::error;
use crate::openai_chat::response::citations::results;
use crate::openai_chat::response::head;
use crate::openai_chat::response::parts::Reader;
use crate::openai_chat::wire::{self, word};
use crate::translate::{Decode, Frame, NotAReply, Step};

/// Reads one streamed reply.
#[derive(Debug)]
pub struct Decoder {
    seed: String,
    started: bool,
    ended: bool,
    choices: Vec<Reader>,
    /// A report in a choice of the chunk at hand.
    told: Option<Usage>,
    /// What only this dialect can say; the last value of each name counts.
    extras: Vec<(String, Json)>,
}

impl Decoder {
    /// Starts a stream. `seed` is for ids of tool calls that have none.
    pub fn new(seed: &str) -> Self {
        Self {
            seed: seed.to_owned(),
            started: false,
            ended: false,
            choices: Vec::new(),
            told: None,
            extras: Vec::new(),
        }
    }

    fn choice(&mut self, text: &str, out: &mut Vec<Event>) {
        let Some(mut choice) = wire::object(text) else { return };
        self.told = head::told(&mut choice).or(self.told);
        let index = choice.integer("index").ok().flatten().and_then(|index| index.try_into().ok()).unwrap_or(0);
        let at = self.choices.iter().position(|reader| reader.index == index).unwrap_or_else(|| {
            self.choices.push(Reader::new(index, false));
            self.choices.len() - 1
        });
        let Some(reader) = self.choices.get_mut(at) else { return };
        let delta = match choice.object("delta") {
            Ok(Some(delta)) => Some(delta),
            // The whole message at once. Beside deltas it repeats them (Perplexity).
            _ if reader.is_fresh() => choice.object("message").ok().flatten(),
            _ => None,
        };
        if let Some(delta) = delta {
            reader.message(delta, &self.seed, out);
        }
        if let Some(logprobs) = head::logprobs(&mut choice) {
            out.push(Event::Logprobs { choice: index, logprobs });
        }
        reader.finished(word(&mut choice, "finish_reason"));
        if reader.finish.is_some() {
            reader.waiting_calls(out);
        }
    }

    /// Reads what a chunk says of the whole answer.
    fn whole(&mut self, mut object: Object<'_>, out: &mut Vec<Event>) {
        for page in results(&object) {
            if let Some(first) = self.choices.first_mut() {
                first.cite(page, out);
            }
        }
        let usage = head::usage(&mut object).or(self.told.take());
        out.extend(usage.map(Event::Usage));
        for (name, value) in head::leftovers(object) {
            match self.extras.iter_mut().find(|(found, _)| *found == name) {
                Some((_, found)) => *found = value,
                None => self.extras.push((name, value)),
            }
        }
    }

    fn complete(&mut self, out: &mut Vec<Event>) -> Step {
        if !std::mem::replace(&mut self.ended, true) {
            self.choices.iter_mut().for_each(|reader| reader.end(out));
            if !self.extras.is_empty() {
                out.push(Event::Extras(head::extras(self.extras.drain(..))));
            }
        }
        Step::Complete
    }
}

impl Decode for Decoder {
    fn frame(&mut self, frame: Frame<'_>, out: &mut Vec<Event>) -> Result<Step, NotAReply> {
        if frame.data.trim_ascii() == "[DONE]" {
            return Ok(self.complete(out));
        }
        // Some name the event, and have no member of that name in it.
        if frame.event == Some("error") {
            return Err(NotAReply::Error(error::read(frame.data.as_bytes())));
        }
        let mut object = head::read(frame.data)?;
        let Some(choices) = object.list("choices").ok().flatten() else { return Ok(Step::More) };
        let started = head::started(&mut object);
        // Azure begins with a chunk that names nobody.
        if !self.started && (!started.id.is_empty() || !choices.is_empty()) {
            self.started = true;
            out.push(Event::Started(started));
        }
        for choice in choices {
            self.choice(choice, out);
        }
        self.whole(object, out);
        Ok(Step::More)
    }

    /// An answer that was finished but lacks the end marker is complete.
    fn end(&mut self, out: &mut Vec<Event>) -> Result<Step, NotAReply> {
        Ok(if self.is_finishing() { self.complete(out) } else { Step::More })
    }

    fn is_finishing(&self) -> bool {
        !self.choices.is_empty() && self.choices.iter().all(|reader| reader.finish.is_some())
    }
}

#[cfg(test)]
mod tests;
