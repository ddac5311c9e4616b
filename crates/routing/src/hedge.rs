//! When a second target is asked as well because the first is late, and how much that may cost.

use std::sync::atomic::{AtomicU64, Ordering};

use policy::clock::Monotonic;

use crate::signal::Reading;

/// How long the first is given at least, in seconds: below that a second request is not worth its tokens.
const LEAST_S: f64 = 0.25;

/// How long a target is given that nothing is known of, in seconds.
const UNKNOWN_S: f64 = 1.5;

/// The pieces of the window that a budget looks at, and the width of one.
const SLOTS: u64 = 10;
const SLOT_NS: u64 = 60_000_000_000;

/// What second requests may cost: a share of the tokens of all requests that might have had one, within the last ten
/// minutes. However late everything is, it is never more.
#[derive(Debug, Default)]
pub struct HedgeBudget {
    slots: [Slot; SLOTS as usize],
}

/// One minute.
#[derive(Debug, Default)]
struct Slot {
    /// Which minute of the clock, plus one; 0 for none.
    number: AtomicU64,
    /// Tokens of requests that might have had a second one.
    seen: AtomicU64,
    /// Tokens of second requests.
    extra: AtomicU64,
}

/// What a budget has seen within its window.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Spent {
    /// Tokens of requests that might have had a second one.
    pub seen: u64,
    /// Tokens of second requests.
    pub extra: u64,
}

impl HedgeBudget {
    /// Notes the tokens of a request that may have a second one.
    pub fn earn(&self, now: Monotonic, tokens: u64) {
        self.slot(now).seen.fetch_add(tokens, Ordering::Relaxed);
    }

    /// Takes the tokens of a second request, if they are no more than so many thousandths of what was seen. Those who
    /// take at the same time may refuse each other; together they never take too much.
    pub fn take(&self, now: Monotonic, tokens: u64, per_mille: u32) -> bool {
        let slot = self.slot(now);
        slot.extra.fetch_add(tokens, Ordering::Relaxed);
        let Spent { seen, extra } = self.spent(now);
        let fits = u128::from(extra) * 1_000 <= u128::from(seen) * u128::from(per_mille);
        if !fits {
            slot.give_back(tokens);
        }
        fits
    }

    /// Notes that a second request cost more than was taken.
    pub fn spend(&self, now: Monotonic, tokens: u64) {
        self.slot(now).extra.fetch_add(tokens, Ordering::Relaxed);
    }

    /// Gives back what a second request would have cost that was not sent, or not answered.
    pub fn give_back(&self, now: Monotonic, tokens: u64) {
        self.slot(now).give_back(tokens);
    }

    /// Returns what was seen and spent within the window.
    pub fn spent(&self, now: Monotonic) -> Spent {
        let minute = minute(now);
        let within = |slot: &&Slot| {
            let number = slot.number.load(Ordering::Relaxed);
            number <= minute && number + SLOTS > minute
        };
        self.slots.iter().filter(within).fold(Spent::default(), |sum, slot| Spent {
            seen: sum.seen.saturating_add(slot.seen.load(Ordering::Relaxed)),
            extra: sum.extra.saturating_add(slot.extra.load(Ordering::Relaxed)),
        })
    }

    /// Returns the slot of this minute, emptied when it was that of another. What somebody adds at that very moment may
    /// be lost, which an estimate can bear.
    fn slot(&self, now: Monotonic) -> &Slot {
        let minute = minute(now);
        let [first, rest @ ..] = &self.slots;
        let place = usize::try_from(minute % SLOTS).unwrap_or(0);
        let slot = place.checked_sub(1).and_then(|place| rest.get(place)).unwrap_or(first);
        let number = slot.number.load(Ordering::Relaxed);
        if number != minute
            && slot.number.compare_exchange(number, minute, Ordering::Relaxed, Ordering::Relaxed).is_ok()
        {
            slot.seen.store(0, Ordering::Relaxed);
            slot.extra.store(0, Ordering::Relaxed);
        }
        slot
    }
}

impl Slot {
    fn give_back(&self, tokens: u64) {
        let less = |extra: u64| Some(extra.saturating_sub(tokens));
        let _ = self.extra.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less);
    }
}

fn minute(now: Monotonic) -> u64 {
    now.0 / SLOT_NS + 1
}

/// Returns after how many seconds without content a second target is worth asking.
pub fn after(first: &Reading, second: &Reading) -> f64 {
    let times = |reading: &Reading, factor: f64| {
        reading.p95_s.filter(|p95| p95.is_finite()).map_or(UNKNOWN_S, |p95| factor * p95)
    };
    // What has become slow has a high quantile of its own: the other one's says what is possible. Who finds out for all
    // whether a target is well again is not made to wait for it.
    let wait = if first.doubtful { times(second, 1.0) } else { times(first, 2.5).min(times(second, 3.0)) };
    wait.max(LEAST_S)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::signal::Kind;

    fn at(minute: u64) -> Monotonic {
        Monotonic(minute * SLOT_NS)
    }

    #[test]
    fn a_second_request_needs_what_others_have_earned() {
        let budget = HedgeBudget::default();
        assert!(!budget.take(at(0), 100, 50), "nothing was seen yet");
        budget.earn(at(0), 1_900);
        assert!(!budget.take(at(0), 100, 50));
        budget.earn(at(1), 100);
        assert!(budget.take(at(1), 100, 50) && !budget.take(at(1), 1, 50));
        budget.give_back(at(1), 100);
        assert!(budget.take(at(9), 100, 50));
        assert_eq!(budget.spent(at(9)), Spent { seen: 2_000, extra: 100 });
        assert_eq!(budget.spent(at(10)), Spent { seen: 100, extra: 100 }, "ten minutes count");
        assert!(!budget.take(at(10), 1, 50) && budget.spent(at(30)) == Spent::default());
        assert!(!budget.take(at(31), 1, 0));
    }

    #[test]
    fn the_delay_follows_what_is_known() {
        let with = |p95_s| Reading { p95_s, ..Reading::unknown(Kind::Stream) };
        let check = |first, second, expect: f64| {
            let found = after(&with(first), &with(second));
            assert!((found - expect).abs() < 1e-9, "{first:?} {second:?}: {found}");
        };
        check(None, None, 1.5);
        check(Some(0.2), None, 0.5);
        check(Some(4.0), Some(0.2), 0.6);
        check(Some(0.01), Some(0.01), 0.25);
        check(Some(f64::NAN), Some(f64::INFINITY), 1.5);
        let look = |p95_s| after(&Reading { doubtful: true, ..with(Some(4.0)) }, &with(p95_s));
        assert!((look(Some(0.6)) - 0.6).abs() < 1e-9 && (look(None) - 1.5).abs() < 1e-9);
    }

    proptest! {
        #[test]
        fn never_more_than_the_share_is_taken(
            steps in proptest::collection::vec((0u64..3, 1u64..5_000, 1u64..5_000), 1..200), per_mille in 0u32..=100,
        ) {
            let budget = HedgeBudget::default();
            let (mut minute, mut history) = (0, Vec::new());
            for (more, seen, extra) in steps {
                minute += more;
                budget.earn(at(minute), seen);
                let taken = budget.take(at(minute), extra, per_mille);
                history.push((minute, seen, if taken { extra } else { 0 }));
                let within = history.iter().filter(|(m, ..)| m + SLOTS > minute);
                let sum = within.fold((0, 0), |sum, (_, s, e)| (sum.0 + s, sum.1 + e));
                prop_assert_eq!(budget.spent(at(minute)), Spent { seen: sum.0, extra: sum.1 });
                prop_assert!(!taken || sum.1 * 1_000 <= sum.0 * u64::from(per_mille));
            }
        }
    }
}
