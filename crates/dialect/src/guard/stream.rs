//! A guarded stream, as a machine without IO: it stands between the provider's bytes and the machine of the splice
//! lane, and lets whole events through, as they came, as soon as no text in them can be part of what is banned.
//!
//! Comments, pings and errors are not held. An event that is no JSON cannot be judged and does not pass.

use bytes::Bytes;
use ir::guard::Blocked;

use crate::passed::Progress;
use crate::splice::events::{Events, Judge, Verdict};

/// A stream of server-sent events on its way through a guard.
#[derive(Debug)]
pub struct StreamGuard<G> {
    events: Events,
    gate: G,
}

/// Why a guarded stream ends early.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stopped {
    /// A guardrail blocks the answer. What was let through before stays; nothing more may follow but an error.
    Blocked(Blocked),
    /// An event larger than what is forwarded.
    TooLarge,
}

/// What the guards of the dialects have in common.
pub trait Gate: Judge {
    /// Takes the reason why the answer was blocked, if it was.
    fn blocked(&mut self) -> Option<Blocked>;

    /// Returns how much text the provider has sent, let through or not, in bytes.
    fn text_bytes(&self) -> u64;

    /// Returns how many events carried data.
    fn data_events(&self) -> u64;
}

impl<G: Gate> StreamGuard<G> {
    /// Starts a stream.
    pub fn new(gate: G) -> Self {
        Self { events: Events::default(), gate }
    }

    /// Takes bytes from the provider and appends to `out` what may go on: whole events only.
    ///
    /// # Errors
    /// When the answer is blocked; the stream is over then.
    pub fn push(&mut self, bytes: Bytes, out: &mut Vec<Bytes>) -> Result<(), Stopped> {
        let progress = self.events.push(bytes, &mut self.gate, out);
        self.judge(&progress)
    }

    /// Takes note of the provider's end of the stream. An event that lacks only its empty line still counts. What is held
    /// of an answer that was not complete is not let through.
    ///
    /// # Errors
    /// As [`StreamGuard::push`].
    pub fn end(&mut self, out: &mut Vec<Bytes>) -> Result<(), Stopped> {
        let progress = self.events.end(&mut self.gate, out);
        self.judge(&progress)
    }

    /// Returns how much text the provider has sent, let through or not, in bytes: for the estimate of an answer that was
    /// blocked or cut.
    pub fn text_bytes(&self) -> u64 {
        self.gate.text_bytes()
    }

    /// Returns how many events carried data: whether the provider is alive, though nothing may be let through.
    pub fn data_events(&self) -> u64 {
        self.gate.data_events()
    }

    fn judge(&mut self, progress: &Progress) -> Result<(), Stopped> {
        match (self.gate.blocked(), progress) {
            (Some(blocked), _) => Err(Stopped::Blocked(blocked)),
            (None, Progress::TooLarge) => Err(Stopped::TooLarge),
            (None, _) => Ok(()),
        }
    }
}

/// Returns the verdict on an event from what may leave now.
pub(super) fn verdict(released: Vec<Bytes>) -> Verdict {
    match released.as_slice() {
        [] => Verdict::Withhold,
        [one] => Verdict::Replace(one.clone()),
        many => Verdict::Replace(many.concat().into()),
    }
}
