//! A rolling window: what was used in the last so much time.
//!
//! Time is cut into slots of a sixty-third of the window; 64 of them cover it at any instant, the oldest of which may lie
//! partly outside. It is counted whole, so that no stretch of the window's length ever holds more than was admitted: the
//! price is that up to a sixty-third of the window's length is remembered too long.

use super::Now;

const SLOTS: u64 = 64;

/// The slots of a rolling window.
#[derive(Clone, Debug)]
#[repr(C)]
pub(super) struct Ring {
    /// The length of a slot in milliseconds.
    width_ms: u64,
    /// The number of the newest slot: the time divided by the width.
    newest: u64,
    /// The sum of what was used in the slots. It stands beside what is read with it.
    sum: u64,
    /// What was used in each slot; slot `n` lies at `n % 64`.
    used: [u64; SLOTS as usize],
}

impl Ring {
    /// Returns an empty window of at least a millisecond.
    pub(super) fn new(window_ms: u64) -> Self {
        let width_ms = window_ms.div_ceil(SLOTS - 1).max(1);
        Self { width_ms, newest: 0, used: [0; SLOTS as usize], sum: 0 }
    }

    /// Moves the window to an instant, and returns the slot of that instant. It never moves back.
    pub(super) fn advance(&mut self, now: Now) -> u64 {
        let slot = now.monotonic_ms / self.width_ms;
        if slot >= self.newest.saturating_add(SLOTS) {
            self.used = [0; SLOTS as usize];
            self.sum = 0;
        } else {
            for old in self.newest.saturating_add(1)..=slot {
                if let Some(used) = self.used.get_mut((old % SLOTS) as usize) {
                    self.sum -= *used;
                    *used = 0;
                }
            }
        }
        self.newest = self.newest.max(slot);
        self.newest
    }

    /// Returns what is used within the window.
    pub(super) fn sum(&self) -> u64 {
        self.sum
    }

    /// Changes what a slot holds; nothing when the window has left it behind.
    pub(super) fn adjust(&mut self, slot: u64, change: impl FnOnce(u64) -> u64) {
        let covered = slot <= self.newest && self.newest - slot < SLOTS;
        let Some(used) = self.used.get_mut((slot % SLOTS) as usize).filter(|_| covered) else { return };
        let before = *used;
        // The sum must stay one: what does not fit into it is cut.
        let others = self.sum - before;
        *used = change(before).min(u64::MAX - others);
        self.sum = others + *used;
    }

    /// Returns the slot in which something happened that long ago; `None` when the window has left it behind.
    pub(super) fn slot_ago(&self, now: Now, ago_ms: u64) -> Option<u64> {
        let slot = now.monotonic_ms.checked_sub(ago_ms).map_or(0, |at| at / self.width_ms);
        let newest = now.monotonic_ms / self.width_ms;
        (newest - slot < SLOTS).then_some(slot)
    }

    /// Returns the milliseconds until at least `units` of what is used have left the window; `None` when there are not
    /// as many.
    pub(super) fn frees(&self, units: u64, now: Now) -> Option<u64> {
        let oldest = self.newest.saturating_sub(SLOTS - 1);
        let mut freed: u64 = 0;
        for slot in oldest..=self.newest {
            freed += self.used.get((slot % SLOTS) as usize)?;
            if freed >= units.max(1) {
                // A slot leaves when the slot 64 later begins.
                let leaves_ms = slot.saturating_add(SLOTS).saturating_mul(self.width_ms);
                return Some(leaves_ms.saturating_sub(now.monotonic_ms));
            }
        }
        None
    }
}
