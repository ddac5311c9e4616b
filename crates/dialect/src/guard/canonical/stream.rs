//! A streamed answer in the canonical vocabulary: events in, events out.
//!
//! Where something may have to be appended, the end of a text part waits for the choice's next event: what is appended
//! belongs into the last part when that is a text. A text part that begins when the answer is full is left out whole:
//! nobody may send an empty one back to a provider.

use ir::chat::event::{Delta, Event, Opening};
use ir::guard::{Blocked, Interruption, Watch};

use super::{cut_finish, is_step};
use crate::guard::hold::Hold;

/// The guard of a stream of events.
#[derive(Debug)]
pub struct EventGate<W> {
    hold: Hold<Event, W>,
    choices: Vec<Parts>,
}

/// The parts of a choice.
#[derive(Debug, Default)]
struct Parts {
    choice: u32,
    /// What became of each, by the provider's number.
    list: Vec<Part>,
    /// How many went on.
    count: u32,
    /// Our number of the last part, a text, whose end waits.
    closing: Option<u32>,
}

/// What became of a part.
#[derive(Clone, Copy, Debug)]
struct Part {
    /// Our number of it; `None` when it is left out.
    number: Option<u32>,
    is_text: bool,
}

/// What a guarded stream of events does.
pub trait EventGuarding: Send {
    /// Takes the next event and appends to `out` what may go on.
    ///
    /// # Errors
    /// When the answer is blocked; the stream is over then.
    fn push(&mut self, event: Event, out: &mut Vec<Event>) -> Result<(), Blocked>;

    /// Takes note of the end of an answer that was complete: choices that nothing finished are judged.
    ///
    /// # Errors
    /// As [`EventGuarding::push`].
    fn end(&mut self, out: &mut Vec<Event>) -> Result<(), Blocked>;
}

impl<W: Watch + Clone + Send> EventGuarding for EventGate<W> {
    fn push(&mut self, event: Event, out: &mut Vec<Event>) -> Result<(), Blocked> {
        match event {
            Event::Opened { choice, opening, .. } => self.open(choice, opening),
            Event::Delta { choice, part, delta } => self.grow(choice, part, delta)?,
            Event::Closed { choice, part } => self.end_part(choice, part),
            Event::Logprobs { choice, logprobs } => {
                // They may come before the text that they spell.
                if !self.hold.is_cut(choice) {
                    let mark = self.hold.mark_of_next(choice);
                    self.hold.push(Event::Logprobs { choice, logprobs }, &[mark]);
                }
            }
            Event::Finished { choice, finish } => {
                if is_step(&finish) {
                    self.hold.interrupt(choice, Interruption::ToolCall);
                }
                self.complete(choice)?;
                let finish = if self.hold.is_cut(choice) { cut_finish(finish) } else { finish };
                self.hold.push(Event::Finished { choice, finish }, &[]);
            }
            Event::Started(_) | Event::Usage(_) | Event::Extras(_) => self.hold.push(event, &[]),
        }
        out.extend(std::iter::from_fn(|| self.hold.next()));
        Ok(())
    }

    fn end(&mut self, out: &mut Vec<Event>) -> Result<(), Blocked> {
        for choice in self.hold.unfinished() {
            self.complete(choice)?;
        }
        out.extend(std::iter::from_fn(|| self.hold.next()));
        Ok(())
    }
}

impl<W: Watch + Clone> EventGate<W> {
    /// Starts a stream. `fresh` is the watch of a choice that nothing was seen of.
    pub fn new(fresh: W) -> Self {
        Self { hold: Hold::new(fresh), choices: Vec::new() }
    }

    fn open(&mut self, choice: u32, opening: Opening) {
        let is_text = matches!(opening, Opening::Text | Opening::Refusal);
        if is_text && self.hold.is_full(choice) {
            self.parts(choice).list.push(Part { number: None, is_text });
            return;
        }
        self.close(choice);
        if !is_text {
            let call = matches!(opening, Opening::ToolCall { .. });
            self.hold.interrupt(choice, if call { Interruption::ToolCall } else { Interruption::Other });
        }
        let part = self.number(choice, is_text);
        self.hold.push(Event::Opened { choice, part, opening }, &[]);
    }

    fn grow(&mut self, choice: u32, part: u32, delta: Delta) -> Result<(), Blocked> {
        let Some(Part { number, is_text }) = self.parts(choice).list.get(part as usize).copied() else {
            debug_assert!(false, "a delta of a part that was never opened");
            return Ok(());
        };
        let mut mark = None;
        let delta = match delta {
            Delta::Text(mut text) if is_text => {
                let (stays, to) = self.hold.text(choice, &text)?;
                if stays == 0 && !text.is_empty() {
                    return Ok(());
                }
                mark = Some(to);
                text.truncate(stays);
                Delta::Text(text)
            }
            // What the text that was cut off is taken from.
            Delta::Citation(_) if self.hold.is_cut(choice) => return Ok(()),
            delta => delta,
        };
        if let Some(part) = number {
            self.hold.push(Event::Delta { choice, part, delta }, mark.as_slice());
        }
        Ok(())
    }

    fn end_part(&mut self, choice: u32, part: u32) {
        let found = self.parts(choice).list.get(part as usize).copied();
        let Some(Part { number: Some(part), is_text }) = found else { return };
        self.close(choice);
        let is_last = self.parts(choice).count == part + 1;
        if is_text && is_last && self.hold.may_append(choice) {
            self.parts(choice).closing = Some(part);
        } else {
            self.hold.push(Event::Closed { choice, part }, &[]);
        }
    }

    /// Completes a choice and appends what is missing: to the last part when that is a text, else as a part of its own.
    fn complete(&mut self, choice: u32) -> Result<(), Blocked> {
        if let Some(more) = self.hold.finish(choice)? {
            let delta = Delta::Text(more);
            if let Some(part) = self.parts(choice).closing {
                self.hold.push(Event::Delta { choice, part, delta }, &[]);
            } else {
                let part = self.number(choice, true);
                self.hold.push(Event::Opened { choice, part, opening: Opening::Text }, &[]);
                self.hold.push(Event::Delta { choice, part, delta }, &[]);
                self.hold.push(Event::Closed { choice, part }, &[]);
            }
        }
        self.close(choice);
        Ok(())
    }

    /// Lets the end of a text go that waited.
    fn close(&mut self, choice: u32) {
        if let Some(part) = self.parts(choice).closing.take() {
            self.hold.push(Event::Closed { choice, part }, &[]);
        }
    }

    /// Gives the next part its number.
    fn number(&mut self, choice: u32, is_text: bool) -> u32 {
        let parts = self.parts(choice);
        let number = parts.count;
        parts.count += 1;
        parts.list.push(Part { number: Some(number), is_text });
        number
    }

    fn parts(&mut self, choice: u32) -> &mut Parts {
        let at = self.choices.iter().position(|parts| parts.choice == choice).unwrap_or_else(|| {
            self.choices.push(Parts { choice, ..Parts::default() });
            self.choices.len() - 1
        });
        &mut self.choices[at]
    }
}
