//! The drainer: commits settlements to the records, and deletes the segments that are done with.
//!
//! Settlements come from the writers' memory, as they were written, so that nothing is read back and decoded. When too
//! many wait (the database is away), the writers stop handing over and the drainer reads the files instead. Either way
//! the watermark of a segment is committed with the settlements before it, never earlier.

use std::collections::BTreeSet;
use std::io;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use policy::clock::Clock;
use store::StoreError;
use store::records::{Records, SegmentId};

use crate::housekeeping::Housekeeping;
use crate::journal::Journal;
use crate::journal::entry::Entry;
use crate::journal::reader::SegmentReader;
use crate::journal::segment::Segment;
use crate::journal::writer::Handover;
use crate::stop::StopSignal;
use crate::tail::Tail;

/// The most settlements in one transaction.
const BATCH: usize = 1_000;

/// How long settlements wait before they are committed.
const INTERVAL: Duration = Duration::from_millis(200);

/// How often a failed drain is tried again when the process is to stop; the journal keeps what could not be drained.
const LAST_TRIES: u32 = 10;

/// Why settlements could not be committed. They are kept, and the next drain tries again.
#[derive(Debug, thiserror::Error)]
pub enum DrainError {
    /// The records failed.
    #[error("cannot commit settlements to the records")]
    Store(#[from] StoreError),
    /// A segment cannot be read.
    #[error("cannot read a journal segment")]
    Read(#[source] io::Error),
}

/// What a drain did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DrainReport {
    /// How many settlements it committed.
    pub settlements: usize,
    /// How many segments it deleted.
    pub segments_removed: usize,
    /// How long it took, in microseconds.
    pub took_us: u64,
}

/// Commits settlements to the records, whose one writer it is.
pub struct Drainer {
    journal: Arc<Journal>,
    records: Records,
    clock: Clock,
    /// What was taken from the writers and is not committed yet, from `done` on.
    inbox: Handover,
    done: usize,
    /// An empty handover with room, to be swapped for a writer's full one.
    empty: Handover,
    watermarks: Vec<(SegmentId, u64)>,
    tail: Tail,
    housekeeping: Option<Housekeeping>,
    announcing: Option<Announcing>,
}

/// Returns the environments whose requests are announced; `None` as long as nobody knows.
pub type Announcing = Box<dyn Fn() -> Option<BTreeSet<String>> + Send>;

impl Drainer {
    /// Returns a drainer of a journal into the records. Recovery comes first.
    pub fn new(journal: Arc<Journal>, records: Records, clock: Clock) -> Self {
        Self {
            journal,
            records,
            clock,
            inbox: Handover::default(),
            done: 0,
            empty: Handover::default(),
            watermarks: Vec::new(),
            tail: Tail::default(),
            housekeeping: None,
            announcing: None,
        }
    }

    /// Shows what is committed to those who watch a tail.
    #[must_use]
    pub fn with_tail(self, tail: Tail) -> Self {
        Self { tail, ..self }
    }

    /// Writes down which requests are to be announced, of the environments that want it.
    #[must_use]
    pub fn with_announcing(self, announcing: Announcing) -> Self {
        Self { announcing: Some(announcing), ..self }
    }

    /// Keeps the records in order between two drains.
    #[must_use]
    pub fn with_housekeeping(self, housekeeping: Housekeeping) -> Self {
        Self { housekeeping: Some(housekeeping), ..self }
    }

    /// Keeps the records in order for a short time, and returns how many old ones were deleted.
    ///
    /// # Errors
    /// When the records fail: the next call tries again.
    pub fn keep_house(&mut self) -> Result<usize, StoreError> {
        match &mut self.housekeeping {
            Some(housekeeping) => housekeeping.turn(&mut self.records, &self.clock),
            None => Ok(0),
        }
    }

    /// Commits every settlement that waits, and deletes the segments that are done with.
    ///
    /// # Errors
    /// When the records or a segment fail: nothing is lost, and the next call goes on where this one stopped.
    pub fn drain_once(&mut self) -> Result<DrainReport, DrainError> {
        let started = self.clock.now();
        self.announce()?;
        let mut settlements = self.commit_inbox()?;
        self.collect();
        self.announce()?;
        settlements += self.commit_inbox()?;
        for segment in self.journal.segments_where(Segment::is_spilled) {
            settlements += self.commit_file(&segment)?;
        }
        let segments_removed = self.remove_spent()?;
        Ok(DrainReport { settlements, segments_removed, took_us: self.clock.now().micros_since(started) })
    }

    /// Starts the thread that drains until the signal is given, and then once more. Give the signal after the last
    /// permit is settled.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn spawn(self, stop: Arc<StopSignal>) -> io::Result<JoinHandle<()>> {
        thread::Builder::new().name("drainer".into()).spawn(move || self.run(&stop))
    }

    /// Drains every 200 ms, earlier when many settlements wait, until the signal is given, and then once more: nothing is
    /// left on the disk then but what cannot be committed.
    pub fn run(mut self, stop: &StopSignal) {
        stop.listen();
        self.journal.wake_on_settlements();
        let mut failing = false;
        while !stop.is_stopped() {
            thread::park_timeout(INTERVAL);
            failing = self.drain_and_log(failing);
            if !failing && let Err(error) = self.keep_house() {
                tracing::warn!(error = %Chain(&error), "failed to keep the records in order");
            }
        }
        self.journal.close();
        for _ in 0..LAST_TRIES {
            failing = self.drain_and_log(failing);
            if !failing {
                return;
            }
            thread::park_timeout(INTERVAL);
        }
    }

    /// Returns whether draining fails; logs when that changes.
    fn drain_and_log(&mut self, failing: bool) -> bool {
        match (self.drain_once(), failing) {
            (Err(error), false) => tracing::error!(error = %Chain(&error), "failed to drain the journal"),
            (Ok(_), true) => tracing::info!("the journal is drained again"),
            (result, _) => return result.is_err(),
        }
        !failing
    }

    /// Takes what waits at the writers, all of it into one inbox: one transaction is cheaper than one per writer.
    fn collect(&mut self) {
        for desk in self.journal.desks() {
            desk.take(&mut self.empty);
            self.inbox.settlements.append(&mut self.empty.settlements);
            self.inbox.marks.append(&mut self.empty.marks);
            self.inbox.late_marks.append(&mut self.empty.late_marks);
        }
    }

    /// Asks who wants to be told. It is asked after what is committed next was collected: whoever subscribed before a
    /// request ended is told of it.
    fn announce(&mut self) -> Result<(), StoreError> {
        match self.announcing.as_ref().and_then(|announcing| announcing()) {
            Some(environments) => self.records.announce(&environments),
            None => Ok(()),
        }
    }

    fn commit_inbox(&mut self) -> Result<usize, StoreError> {
        let before = self.done;
        let inbox = &mut self.inbox;
        while let Some(rest) = inbox.settlements.get(self.done..).filter(|rest| !rest.is_empty()) {
            let batch = rest.get(..BATCH).unwrap_or(rest);
            let marks = inbox.marks.get(self.done..self.done + batch.len()).unwrap_or_default();
            collect_watermarks(&mut self.watermarks, marks);
            let known = self.records.commit(batch, &self.watermarks, &[])?;
            self.tail.show(batch, &known);
            self.done += batch.len();
            advance(marks);
        }
        if !inbox.late_marks.is_empty() {
            collect_watermarks(&mut self.watermarks, &inbox.late_marks);
            self.records.commit(&[], &self.watermarks, &[])?;
            advance(&inbox.late_marks);
        }
        let committed = self.done - before;
        inbox.settlements.clear();
        inbox.marks.clear();
        inbox.late_marks.clear();
        self.done = 0;
        Ok(committed)
    }

    /// Commits what a segment's file holds behind its watermark.
    fn commit_file(&mut self, segment: &Segment) -> Result<usize, DrainError> {
        let (from, to) = (segment.committed(), segment.written());
        if from >= to {
            return Ok(0);
        }
        self.announce()?;
        let disk = self.journal.disk();
        let mut reader = SegmentReader::new(disk, &segment.path, from, to);
        let mut batch = Vec::new();
        let mut committed = 0;
        let mut reached = from;
        loop {
            let next = reader.next_entry().map_err(DrainError::Read)?;
            let ended = next.is_none();
            if let Some((entry, end)) = next {
                reached = end;
                if let Entry::Settlement(settlement) = entry {
                    batch.push(*settlement);
                }
            }
            if batch.len() == BATCH || ended {
                let known = self.records.commit(&batch, &[(segment.id, reached)], &[])?;
                self.tail.show(&batch, &known);
                segment.advance_committed(reached);
                committed += batch.len();
                batch.clear();
            }
            if ended {
                break;
            }
        }
        if segment.committed() < to {
            return Err(DrainError::Read(io::Error::from(io::ErrorKind::InvalidData)));
        }
        Ok(committed)
    }

    /// Deletes the segments that nothing needs any more, after what is committed is on the disk.
    fn remove_spent(&mut self) -> Result<usize, StoreError> {
        let spent = self.journal.segments_where(Segment::is_spent);
        if spent.is_empty() {
            return Ok(0);
        }
        let ids: Vec<_> = spent.iter().map(|segment| segment.id).collect();
        self.records.forget_durably(&ids)?;
        let mut removed = 0;
        for segment in &spent {
            match self.journal.remove(segment) {
                Ok(()) => removed += 1,
                Err(error) => tracing::warn!(error = %error, "failed to remove a journal segment"),
            }
        }
        Ok(removed)
    }
}

/// Leaves the last watermark of every segment that is marked.
fn collect_watermarks(watermarks: &mut Vec<(SegmentId, u64)>, marks: &[(Arc<Segment>, u64)]) {
    watermarks.clear();
    for (segment, end) in marks.iter().filter(|(_, end)| *end > 0) {
        match watermarks.iter_mut().rev().find(|(id, _)| *id == segment.id) {
            Some((_, last)) => *last = (*last).max(*end),
            None => watermarks.push((segment.id, *end)),
        }
    }
}

fn advance(marks: &[(Arc<Segment>, u64)]) {
    for (segment, end) in marks {
        segment.advance_committed(*end);
    }
}

/// Prints an error with what caused it.
struct Chain<'a>(&'a dyn std::error::Error);

impl std::fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.0)?;
        let mut source = self.0.source();
        while let Some(error) = source {
            write!(f, ": {error}")?;
            source = error.source();
        }
        Ok(())
    }
}
