//! The writing side: one writer per worker thread, which gives each request its permit and writes what comes of it.
//!
//! When the disk fails, a settlement is kept in memory, handed to the drainer, and written when the disk works again.
//! Nothing here creates a file or waits for the disk.

use std::mem;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;
use std::thread::Thread;

use ir::settlement::{Intent, Settlement};

use super::batch::{Batch, INTENT_ROOM};
use super::entry::{self, BUFFER_BYTES, END_BYTES};
use super::permit::Permit;
use super::segment::Segment;

/// How many settlements wait at a writer before the drainer is woken.
pub const WAKE_DRAINER_AT: usize = 1_000;

/// How many settlements may wait for a broken disk before no permit is given any more.
const MAX_UNWRITTEN: usize = 10_000;

/// The journal cannot promise to keep what would happen: the request must not be dispatched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the journal has no room or its disk failed")]
pub struct JournalUnavailable;

/// What all writers and the journal share.
#[derive(Default)]
pub struct Shared {
    /// Settlements that a broken disk has not taken yet.
    pub unwritten: AtomicUsize,
    /// Permits that were dropped between intent and settlement.
    pub lost_permits: AtomicU64,
    /// The last segment could not be created.
    pub create_failed: AtomicBool,
    /// The last sync failed.
    pub sync_failed: AtomicBool,
    /// The thread that creates segments.
    pub keeper: Mutex<Option<Thread>>,
    /// The thread that commits settlements.
    pub drainer: Mutex<Option<Thread>>,
}

/// Appends entries for one worker thread. Clones append to the same segment.
#[derive(Clone)]
pub struct Writer(pub(super) Arc<Desk>);

/// A writer's place of work.
pub struct Desk {
    pub(super) number: u16,
    handover_limit: usize,
    pub(super) shared: Arc<Shared>,
    state: Mutex<State>,
}

/// What a writer's lock protects.
pub(super) struct State {
    /// Segments that permits may still be given in; the last one is tried first.
    pub(super) open: Vec<Arc<Segment>>,
    /// Empty segments for later.
    pub(super) spares: Vec<Arc<Segment>>,
    /// Settlements for the drainer.
    handover: Handover,
    /// Settlements that the disk has not taken.
    unwritten: Vec<Unwritten>,
    /// The entries of the next write.
    batch: Batch,
    /// Where an entry is encoded that is tried again.
    buffer: Vec<u8>,
    /// The process is about to end: no permit is given any more.
    closed: bool,
}

/// Settlements on their way from a writer to the drainer, in the order in which they were written.
#[derive(Default)]
pub struct Handover {
    /// The settlements.
    pub settlements: Vec<Settlement>,
    /// For each settlement, where its entry ends; 0 for one that the disk has not taken.
    pub marks: Vec<(Arc<Segment>, u64)>,
    /// Where entries end that were written after their settlement had been handed over.
    pub late_marks: Vec<(Arc<Segment>, u64)>,
}

struct Unwritten {
    segment: Arc<Segment>,
    settlement: Settlement,
    held: u64,
    handed: bool,
}

impl Writer {
    /// Reserves room for one request.
    ///
    /// # Errors
    /// When there is no room, or too many settlements wait for a broken disk.
    pub fn permit(&self) -> Result<Permit, JournalUnavailable> {
        if self.0.shared.unwritten.load(Ordering::Relaxed) >= MAX_UNWRITTEN {
            return Err(JournalUnavailable);
        }
        let segment = {
            let mut state = self.0.lock();
            match state.open.last() {
                Some(last) if last.reserve() => Arc::clone(last),
                _ => self.0.switch(&mut state)?,
            }
        };
        Ok(Permit::new(Arc::clone(&self.0), segment))
    }
}

impl Desk {
    pub(super) fn new(number: u16, handover_limit: usize, shared: Arc<Shared>) -> Self {
        let state = State {
            open: Vec::new(),
            spares: Vec::new(),
            handover: Handover::default(),
            unwritten: Vec::new(),
            batch: Batch::new(),
            buffer: Vec::new(),
            closed: false,
        };
        Self { number, handover_limit, shared, state: Mutex::new(state) }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn wants_spare(&self, target: usize) -> bool {
        let state = self.lock();
        !state.closed && state.spares.len() < target
    }

    /// Puts an empty segment into the reserve. Returns whether there is one.
    pub(super) fn add_spare(&self, spare: Arc<Segment>) -> bool {
        let mut state = self.lock();
        if !state.closed {
            state.spares.push(spare);
        }
        !state.closed
    }

    /// Seals every segment, the spare ones too. Permits that are out keep theirs.
    pub(super) fn close(&self) {
        let mut state = self.lock();
        let state = &mut *state;
        state.closed = true;
        for segment in state.open.drain(..).chain(state.spares.drain(..)) {
            segment.seal();
        }
    }

    /// Swaps the waiting settlements for an empty, already allocated handover.
    pub(crate) fn take(&self, empty: &mut Handover) {
        debug_assert!(empty.settlements.is_empty() && empty.late_marks.is_empty(), "the old one is drained");
        mem::swap(&mut self.lock().handover, empty);
    }

    /// Writes what the disk did not take before. Stops at the first failure.
    pub(super) fn retry(&self) {
        let mut state = self.lock();
        let state = &mut *state;
        if !state.unwritten.is_empty() {
            state.buffer.resize(BUFFER_BYTES, 0);
        }
        while let Some(Unwritten { segment, settlement, held, handed }) = state.unwritten.last_mut() {
            let Some(end) = append_settlement(segment, settlement, &mut state.buffer) else { return };
            segment.give_back(*held);
            // Of a spilled segment, only the file tells what is committed.
            if *handed && !segment.is_spilled() {
                state.handover.late_marks.push((Arc::clone(segment), end));
            }
            segment.permit_done();
            state.unwritten.pop();
            self.shared.unwritten.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// Finds room when the last segment has none: in another open segment, else in a spare one.
    fn switch(&self, state: &mut State) -> Result<Arc<Segment>, JournalUnavailable> {
        state.open.retain(|segment| {
            let full = segment.is_full();
            if full {
                segment.seal();
            }
            !full
        });
        let found = state.open.iter().position(|segment| segment.reserve());
        if let Some(segment) = found.map(|index| state.open.remove(index)) {
            state.open.push(Arc::clone(&segment));
            return Ok(segment);
        }
        // While the disk refuses segments, the thread tries on its own: waking it for every refused request is a storm.
        if !self.shared.create_failed.load(Ordering::Relaxed) {
            wake(&self.shared.keeper);
        }
        let spare = state.spares.pop().ok_or(JournalUnavailable)?;
        state.open.push(Arc::clone(&spare));
        if spare.reserve() { Ok(spare) } else { Err(JournalUnavailable) }
    }

    /// Adds an intent to the next write, and returns that write's number. Its room is reserved, unless it is `another` one; a
    /// disk that fails keeps that of the other until the segment is full.
    pub(super) fn intend(
        &self,
        segment: &Arc<Segment>,
        intent: &Intent,
        another: bool,
    ) -> Result<u64, JournalUnavailable> {
        let mut state = self.lock();
        self.make_room(&mut state, segment);
        let has_room = !another || segment.reserve_intent();
        let number = has_room.then(|| state.batch.add_intent(segment, intent)).flatten();
        wake_all(state);
        number.ok_or(JournalUnavailable)
    }

    /// Adds a settlement to the next write, and returns that write's number; `None` when it cannot be written.
    pub(super) fn settle(&self, segment: &Arc<Segment>, settlement: Settlement, held: u64) -> Option<u64> {
        let mut state = self.lock();
        self.make_room(&mut state, segment);
        let number = match state.batch.add_settlement(segment, settlement, held) {
            Ok(number) => Some(number),
            Err(settlement) => {
                self.settled(&mut state, segment, *settlement, held, None);
                None
            }
        };
        wake_all(state);
        number
    }

    fn make_room(&self, state: &mut State, segment: &Arc<Segment>) {
        if !state.batch.takes(segment) {
            self.write(state);
        }
    }

    pub(super) fn awaits(&self, number: u64) -> bool {
        self.lock().batch.awaits(number)
    }

    /// Whether the caller is the first that waits for the write with this number.
    pub(super) fn lead(&self, number: u64) -> bool {
        self.lock().batch.lead(number)
    }

    /// Notes whom to wake after the write with this number; `false` when it has happened.
    pub(super) fn sleep(&self, number: u64, waker: &Waker) -> bool {
        let batch = &mut self.lock().batch;
        let awaits = batch.awaits(number);
        if awaits {
            batch.sleep(waker);
        }
        awaits
    }

    /// Sees to it that the write with this number has happened.
    pub(super) fn finish(&self, number: u64, is_intent: bool) -> Result<(), JournalUnavailable> {
        let mut state = self.lock();
        if state.batch.awaits(number) {
            self.write(&mut state);
        }
        let failed = is_intent && state.batch.has_failed(number);
        wake_all(state);
        if failed { Err(JournalUnavailable) } else { Ok(()) }
    }

    /// Writes what waits, and hands the settlements in it over.
    fn write(&self, state: &mut State) {
        let Some((outcome, mut settlements)) = state.batch.write() else { return };
        let segment = &outcome.segment;
        if outcome.is_written() {
            segment.give_back(outcome.intents as u64 * INTENT_ROOM);
        }
        for settled in settlements.drain(..) {
            let end = outcome.end_of(&settled);
            self.settled(state, segment, settled.settlement, settled.held, end);
        }
        state.batch.recycle(settlements);
    }

    /// Hands a settlement over whose entry ends there, or, where the disk has not taken it, keeps it.
    fn settled(&self, state: &mut State, segment: &Arc<Segment>, settlement: Settlement, held: u64, end: Option<u64>) {
        let hand_over = !segment.is_spilled() && state.handover.settlements.len() < self.handover_limit;
        if !hand_over {
            segment.spill();
        }
        if end.is_none() {
            self.shared.unwritten.fetch_add(1, Ordering::Relaxed);
            let (segment, settlement) = (Arc::clone(segment), settlement.clone());
            state.unwritten.push(Unwritten { segment, settlement, held, handed: hand_over });
        }
        if hand_over {
            state.handover.settlements.push(settlement);
            state.handover.marks.push((Arc::clone(segment), end.unwrap_or(0)));
            if state.handover.settlements.len() == WAKE_DRAINER_AT {
                wake(&self.shared.drainer);
            }
        }
        if end.is_some() {
            segment.give_back(held);
            segment.permit_done();
        }
    }
}

/// Returns where the entry ends; `None` when the disk did not take it.
fn append_settlement(segment: &Segment, settlement: &mut Settlement, buffer: &mut [u8]) -> Option<u64> {
    let length = entry::encode_settlement(settlement, buffer)?;
    segment.append(buffer.get(..length + END_BYTES)?).ok()
}

/// Gives the lock back and wakes those whose write has happened.
fn wake_all(mut state: MutexGuard<'_, State>) {
    let woken = state.batch.woken();
    drop(state);
    woken.into_iter().for_each(Waker::wake);
}

fn wake(thread: &Mutex<Option<Thread>>) {
    if let Some(thread) = &*thread.lock().unwrap_or_else(PoisonError::into_inner) {
        thread.unpark();
    }
}
