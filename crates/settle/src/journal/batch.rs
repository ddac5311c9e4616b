//! Entries that leave in one write.
//!
//! A worker handles many requests between two looks at its sockets. What they write down meanwhile is put one behind the
//! other, and the first that needs its entry on file writes all of them: one system call, not one each. An entry that waits
//! here counts as not written: its request is not dispatched, or its reply not sent, before [`Due::finish`] returns.
//!
//! The first that waits for a write leads it, and decides when it happens; the others sleep until then.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Poll, Waker};

use ir::settlement::{Intent, Settlement};

use super::entry::{self, BUFFER_BYTES, END_BYTES, MAX_INTENT_BYTES};
use super::segment::Segment;
use super::writer::{Desk, JournalUnavailable};

/// The most that one write takes, in bytes.
const BATCH_BYTES: usize = 64 << 10;

/// The entries of the next write. All are for one segment.
pub(super) struct Batch {
    /// Counts the writes, so that whoever waits for one knows whether it has happened.
    number: u64,
    segment: Option<Arc<Segment>>,
    buffer: Vec<u8>,
    length: usize,
    intents: usize,
    settlements: Vec<Settled>,
    /// The writes that failed, each with how many of its intents have not been told.
    failed: Vec<(u64, usize)>,
    /// Whether somebody decides when the next write happens.
    is_led: bool,
    /// Who sleeps until the next write.
    sleepers: Vec<Waker>,
    /// Who slept until a write that has happened, and is not awake yet.
    woken: Vec<Waker>,
}

/// A settlement that waits for its write.
pub(super) struct Settled {
    pub(super) settlement: Settlement,
    /// The room that it gives back.
    pub(super) held: u64,
    /// Where its entry ends in the write.
    end: u64,
}

/// What became of a write.
pub(super) struct Outcome {
    pub(super) segment: Arc<Segment>,
    pub(super) intents: usize,
    /// Where it began in the segment; `None` when the disk did not take it.
    start: Option<u64>,
}

impl Outcome {
    /// Returns where a settlement's entry ends in the segment; `None` when the disk did not take it.
    pub(super) fn end_of(&self, settled: &Settled) -> Option<u64> {
        self.start.map(|start| start + settled.end)
    }

    /// Whether the disk took it. Where it did not, the permits of its intents keep their room.
    pub(super) fn is_written(&self) -> bool {
        self.start.is_some()
    }
}

impl Batch {
    pub(super) fn new() -> Self {
        Self {
            number: 0,
            segment: None,
            buffer: Vec::new(),
            length: 0,
            intents: 0,
            settlements: Vec::new(),
            failed: Vec::new(),
            is_led: false,
            sleepers: Vec::new(),
            woken: Vec::new(),
        }
    }

    /// Whether an entry for a segment can be added before the next write.
    pub(super) fn takes(&self, segment: &Arc<Segment>) -> bool {
        let same = self.segment.as_ref().is_none_or(|own| Arc::ptr_eq(own, segment));
        same && BATCH_BYTES.saturating_sub(self.length) >= BUFFER_BYTES
    }

    /// Adds an intent, and returns the number of its write.
    pub(super) fn add_intent(&mut self, segment: &Arc<Segment>, intent: &Intent) -> Option<u64> {
        let length = entry::encode_intent(intent, self.room()?)?;
        self.intents += 1;
        Some(self.added(segment, length))
    }

    /// Adds a settlement, and returns the number of its write; `None`, and the settlement, when it cannot be encoded.
    pub(super) fn add_settlement(
        &mut self,
        segment: &Arc<Segment>,
        mut settlement: Settlement,
        held: u64,
    ) -> Result<u64, Box<Settlement>> {
        let Some(length) = self.room().and_then(|room| entry::encode_settlement(&mut settlement, room)) else {
            return Err(Box::new(settlement));
        };
        let number = self.added(segment, length);
        self.settlements.push(Settled { settlement, held, end: self.length as u64 });
        Ok(number)
    }

    /// Returns where the next entry goes. The memory is asked for by the first: a worker that is never asked needs none.
    fn room(&mut self) -> Option<&mut [u8]> {
        if self.buffer.is_empty() {
            self.buffer = vec![0; BATCH_BYTES];
        }
        self.buffer.get_mut(self.length..)
    }

    fn added(&mut self, segment: &Arc<Segment>, length: usize) -> u64 {
        self.segment.get_or_insert_with(|| Arc::clone(segment));
        self.length += length;
        self.number
    }

    /// Writes what there is, and returns the settlements in it. The caller holds the writer's lock and gives the list back.
    pub(super) fn write(&mut self) -> Option<(Outcome, Vec<Settled>)> {
        let segment = self.segment.take()?;
        let entries = self.buffer.get(..self.length + END_BYTES);
        let end = entries.and_then(|entries| segment.append(entries).ok());
        let start = end.map(|end| end.saturating_sub(self.length as u64));
        let intents = std::mem::take(&mut self.intents);
        if start.is_none() && intents > 0 {
            self.failed.push((self.number, intents));
        }
        self.number += 1;
        self.length = 0;
        self.is_led = false;
        self.woken.append(&mut self.sleepers);
        Some((Outcome { segment, intents, start }, std::mem::take(&mut self.settlements)))
    }

    /// Takes the empty list back, for its room.
    pub(super) fn recycle(&mut self, list: Vec<Settled>) {
        debug_assert!(list.is_empty() && self.settlements.is_empty(), "what was written was handed on");
        self.settlements = list;
    }

    /// Whether the caller is the first that waits for the write with this number.
    pub(super) fn lead(&mut self, number: u64) -> bool {
        self.awaits(number) && !std::mem::replace(&mut self.is_led, true)
    }

    /// Notes whom to wake after the next write.
    pub(super) fn sleep(&mut self, waker: &Waker) {
        self.sleepers.push(waker.clone());
    }

    /// Takes those who slept until a write that has happened. The caller wakes them once it has given the lock back.
    pub(super) fn woken(&mut self) -> Vec<Waker> {
        std::mem::take(&mut self.woken)
    }

    /// Whether the write with this number has not happened.
    pub(super) fn awaits(&self, number: u64) -> bool {
        self.number == number
    }

    /// Whether the write with this number failed. Each of its intents asks once.
    pub(super) fn has_failed(&mut self, number: u64) -> bool {
        let Some(place) = self.failed.iter().position(|(failed, _)| *failed == number) else { return false };
        if let Some((_, untold)) = self.failed.get_mut(place) {
            *untold -= 1;
            if *untold == 0 {
                self.failed.swap_remove(place);
            }
        }
        true
    }
}

/// The room that an intent gives back once it is written, in bytes.
pub(super) const INTENT_ROOM: u64 = MAX_INTENT_BYTES as u64;

/// An entry that is part of the next write. Dropping it writes it.
#[must_use = "an entry counts as written once this is finished"]
pub struct Due {
    desk: Arc<Desk>,
    /// `None` once it is finished, or when there is nothing to wait for.
    number: Option<u64>,
    is_intent: bool,
}

impl Due {
    pub(super) fn new(desk: &Arc<Desk>, number: Option<u64>, is_intent: bool) -> Self {
        Self { desk: Arc::clone(desk), number, is_intent }
    }

    /// Whether it is a request's intent, not its settlement.
    pub fn is_intent(&self) -> bool {
        self.is_intent
    }

    /// Whether the write has not happened yet: to wait a moment may save one.
    pub fn is_open(&self) -> bool {
        self.number.is_some_and(|number| self.desk.awaits(number))
    }

    /// Whether the caller leads the write: it is the first that waits for it, and all others sleep until it has
    /// [finished](Self::finish) or dropped its entry. It must do so soon.
    pub fn leads(&self) -> bool {
        self.number.is_some_and(|number| self.desk.lead(number))
    }

    /// Sleeps until somebody has seen to the write.
    pub async fn written(&self) {
        let Some(number) = self.number else { return };
        poll_fn(|context| if self.desk.sleep(number, context.waker()) { Poll::Pending } else { Poll::Ready(()) }).await;
    }

    /// Writes the entry, with all others that wait, unless somebody has done it.
    ///
    /// # Errors
    /// When the entry is an intent and the disk failed: the request must not be dispatched, and the permit is told by
    /// [`forget_intent`](super::permit::Permit::forget_intent). What became of a settlement
    /// concerns nobody: it is kept.
    pub fn finish(mut self) -> Result<(), JournalUnavailable> {
        self.end()
    }

    fn end(&mut self) -> Result<(), JournalUnavailable> {
        match self.number.take() {
            Some(number) => self.desk.finish(number, self.is_intent),
            None => Ok(()),
        }
    }
}

impl Drop for Due {
    fn drop(&mut self) {
        // Who drops it asks for nothing.
        let _ = self.end();
    }
}
