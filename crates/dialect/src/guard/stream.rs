//! A guarded stream, as a machine without IO: it stands between the provider's bytes and the machine of the splice
//! lane, and lets whole events through, as they came, as soon as no text in them can be part of what is banned.
//!
//! Events keep their order, comments and pings too. Only an error waits for nothing: it ends the stream. An event that is
//! no JSON cannot be judged and does not pass.

use bytes::Bytes;

use crate::passed::Progress;
use crate::splice::events::{Events, Judge, Verdict};

/// A stream of server-sent events on its way through a guard.
#[derive(Debug)]
pub struct StreamGuard<G> {
    events: Events,
    gate: G,
    /// Why it is over: the guard lets nothing more through.
    over: Option<Progress>,
}

/// What the guards of the dialects have in common.
pub trait Gate: Judge {
    /// Returns how much text the provider has sent, let through or not, in bytes.
    fn text_bytes(&self) -> u64;

    /// Returns how many events carried data.
    fn data_events(&self) -> u64;
}

/// What a guarded stream does, whichever dialect it speaks.
pub trait StreamGuarding: Send {
    /// Takes bytes from the provider and appends to `out` what may go on: whole events only. Once the answer is blocked
    /// it stays so.
    fn push(&mut self, bytes: Bytes, out: &mut Vec<Bytes>) -> Progress;

    /// Takes note of the provider's end of the stream. An event that lacks only its empty line still counts. What is held
    /// of an answer that was not complete is not let through.
    fn end(&mut self, out: &mut Vec<Bytes>) -> Progress;

    /// Returns how much text the provider has sent, let through or not, in bytes: for the estimate of an answer that was
    /// blocked or cut.
    fn text_bytes(&self) -> u64;

    /// Returns how many events carried data: whether the provider is alive, though nothing may be let through.
    fn data_events(&self) -> u64;
}

impl<G> StreamGuard<G> {
    /// Starts a stream.
    pub fn new(gate: G) -> Self {
        Self { events: Events::default(), gate, over: None }
    }

    fn note(&mut self, progress: Progress) -> Progress {
        if progress != Progress::More {
            self.over = Some(progress.clone());
        }
        progress
    }
}

impl<G: Gate + Send> StreamGuarding for StreamGuard<G> {
    fn push(&mut self, bytes: Bytes, out: &mut Vec<Bytes>) -> Progress {
        if let Some(over) = &self.over {
            return over.clone();
        }
        let progress = self.events.push(bytes, &mut self.gate, out);
        self.note(progress)
    }

    fn end(&mut self, out: &mut Vec<Bytes>) -> Progress {
        if let Some(over) = &self.over {
            return over.clone();
        }
        let progress = self.events.end(&mut self.gate, out);
        self.note(progress)
    }

    fn text_bytes(&self) -> u64 {
        self.gate.text_bytes()
    }

    fn data_events(&self) -> u64 {
        self.gate.data_events()
    }
}

/// Returns the verdict on an event from what may leave now.
pub(super) fn verdict(released: Vec<Bytes>) -> Verdict {
    if released.is_empty() { Verdict::Withhold } else { Verdict::Replace(released) }
}
