//! The permit that a request holds: room in a segment for an intent and a settlement, taken before anything is promised.
//!
//! A settlement can therefore not fail for want of room.

use std::mem;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use ir::settlement::{Intent, Settlement};

use super::batch::Due;
use super::entry::{MAX_INTENT_BYTES, MAX_SETTLEMENT_BYTES};
use super::segment::Segment;
use super::writer::{Desk, JournalUnavailable};

/// Room for one intent and one settlement.
#[must_use = "a permit that is dropped gives its room back"]
pub struct Permit {
    desk: Arc<Desk>,
    segment: Arc<Segment>,
    stage: Stage,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    Fresh,
    Intended,
    Settled,
}

impl Stage {
    /// Returns the room still held, in bytes.
    fn held(self) -> u64 {
        match self {
            Self::Fresh => (MAX_INTENT_BYTES + MAX_SETTLEMENT_BYTES) as u64,
            Self::Intended => MAX_SETTLEMENT_BYTES as u64,
            Self::Settled => 0,
        }
    }
}

impl Permit {
    /// The room was reserved in the segment.
    pub(super) fn new(desk: Arc<Desk>, segment: Arc<Segment>) -> Self {
        Self { desk, segment, stage: Stage::Fresh }
    }

    /// Writes down that the request is about to be dispatched.
    ///
    /// # Errors
    /// When the disk failed: the request must not be dispatched. The permit can still be settled.
    pub fn intent(&mut self, intent: &Intent) -> Result<(), JournalUnavailable> {
        let written = self.intend(intent)?.finish();
        if written.is_err() {
            self.forget_intent();
        }
        written
    }

    /// Puts into the next write that the request is about to be dispatched. It may be dispatched once that is finished.
    ///
    /// # Errors
    /// As [`intent`](Self::intent).
    pub fn intend(&mut self, intent: &Intent) -> Result<Due, JournalUnavailable> {
        debug_assert!(self.stage == Stage::Fresh, "one intent per permit");
        if self.stage != Stage::Fresh {
            return Ok(Due::new(&self.desk, None, true));
        }
        let number = self.desk.intend(&self.segment, intent, false)?;
        self.stage = Stage::Intended;
        Ok(Due::new(&self.desk, Some(number), true))
    }

    /// Puts into the next write that another target is about to be asked for the same request: the intent is that of the
    /// other target, its cost and what is held are those of all that were asked. It may be asked once that is finished. An
    /// intent that names no target says that more is held than before.
    ///
    /// # Errors
    /// When there is no room for it, or the disk failed: the other target must not be asked.
    pub fn intend_another(&mut self, intent: &Intent) -> Result<Due, JournalUnavailable> {
        let number = self.desk.intend(&self.segment, intent, true)?;
        Ok(Due::new(&self.desk, Some(number), true))
    }

    /// Says that the write with the intent failed: it is as if there had been none.
    pub fn forget_intent(&mut self) {
        if self.stage == Stage::Intended {
            self.stage = Stage::Fresh;
        }
    }

    /// Writes down how the request ended. It cannot fail: what the disk does not take is kept until it does.
    pub fn settle(self, settlement: Settlement) {
        drop(self.settle_with(settlement));
    }

    /// Puts into the next write how the request ended. The last byte of its reply may leave once that is finished.
    pub fn settle_with(mut self, settlement: Settlement) -> Due {
        let held = mem::replace(&mut self.stage, Stage::Settled).held();
        let number = self.desk.settle(&self.segment, settlement, held);
        Due::new(&self.desk, number, false)
    }

    /// Does what the death of the process does: nothing.
    #[cfg(test)]
    pub(crate) fn abandon(mut self) {
        self.stage = Stage::Settled;
    }
}

impl Drop for Permit {
    /// A permit that has an intent is settled by whoever holds it. If it is not, its room is not given back: the segment
    /// stays, and the next start settles the request as an orphan.
    fn drop(&mut self) {
        match self.stage {
            Stage::Fresh => {
                let _state = self.desk.lock();
                self.segment.give_back(self.stage.held());
                self.segment.permit_done();
            }
            Stage::Intended => {
                self.desk.shared.lost_permits.fetch_add(1, Ordering::Relaxed);
                debug_assert!(std::thread::panicking(), "a permit with an intent was dropped without a settlement");
            }
            Stage::Settled => {}
        }
    }
}
