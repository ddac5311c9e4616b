//! What is in flight at a target: how many requests, and how long the oldest of some of them has waited.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use super::number::seconds;

/// Requests whose age is known. Those beyond are only counted: what hangs is among the oldest, and they came first.
const SLOTS: usize = 8;

/// Requests that wait for their first content.
#[derive(Debug, Default)]
pub(super) struct Flights {
    waiting: AtomicU32,
    /// When each began, in nanoseconds; 0 for a free slot.
    began: [AtomicU64; SLOTS],
}

impl Flights {
    /// Counts one in, and returns its slot.
    pub fn enter(&self, now: u64) -> Option<usize> {
        self.waiting.fetch_add(1, Ordering::Relaxed);
        let now = now.max(1);
        self.began.iter().position(|slot| slot.compare_exchange(0, now, Ordering::Relaxed, Ordering::Relaxed).is_ok())
    }

    /// Counts one out.
    pub fn leave(&self, slot: Option<usize>) {
        let less = |waiting: u32| Some(waiting.saturating_sub(1));
        let _ = self.waiting.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less);
        if let Some(slot) = slot.and_then(|slot| self.began.get(slot)) {
            slot.store(0, Ordering::Relaxed);
        }
    }

    /// Returns how many there are.
    pub fn waiting(&self) -> u32 {
        self.waiting.load(Ordering::Relaxed)
    }

    /// Returns how long the oldest has waited, in seconds; 0 when there is none.
    pub fn oldest(&self, now: u64) -> f64 {
        let began = self.began.iter().map(|slot| slot.load(Ordering::Relaxed)).filter(|began| *began != 0).min();
        began.map_or(0.0, |began| seconds(now.saturating_sub(began)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_is_known_and_all_are_counted() {
        let flights = Flights::default();
        let slots: Vec<_> = (0..10).map(|i| flights.enter(1_000_000_000 * (i + 1))).collect();
        assert_eq!((flights.waiting(), slots[7], slots[8]), (10, Some(7), None));
        assert!((flights.oldest(11_000_000_000) - 10.0).abs() < 1e-9);
        flights.leave(slots[0]);
        assert!((flights.oldest(11_000_000_000) - 9.0).abs() < 1e-9);
        slots.into_iter().skip(1).for_each(|slot| flights.leave(slot));
        assert_eq!((flights.waiting(), flights.oldest(11_000_000_000)), (0, 0.0));
    }
}
