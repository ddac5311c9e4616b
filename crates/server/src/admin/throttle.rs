//! How often somebody may ask: a bucket per class and principal, on the injected clock.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use policy::clock::Monotonic;

/// Which bucket a route draws from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum RateClass {
    /// Health and metrics: not limited, so that a probe is never refused.
    Unlimited,
    /// Reading: 100 a second, 200 at once.
    Read,
    /// Changing something: 20 a second, 40 at once.
    Write,
    /// Signing in: 10 a minute, 10 at once, by peer.
    Login,
    /// Asking a provider: 30 a minute, 10 at once.
    Outbound,
    /// Wrong admin tokens: 30 a minute, 30 at once, by peer. No route has it.
    WrongToken,
    /// Denials that are written into the audit log: 6 a minute, 20 at once. No route has it.
    Denied,
}

impl RateClass {
    /// Returns the time that one request takes up, and how many may come at once; `None` for no limit.
    pub const fn rate(self) -> Option<(Duration, u32)> {
        match self {
            Self::Unlimited => None,
            Self::Read => Some((Duration::from_millis(10), 200)),
            Self::Write => Some((Duration::from_millis(50), 40)),
            Self::Login => Some((Duration::from_secs(6), 10)),
            Self::Outbound => Some((Duration::from_secs(2), 10)),
            Self::WrongToken => Some((Duration::from_secs(2), 30)),
            Self::Denied => Some((Duration::from_secs(10), 20)),
        }
    }

    /// Returns its name, for the documents.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Unlimited => "unlimited",
            Self::Read => "read",
            Self::Write => "write",
            Self::Login => "login",
            Self::Outbound => "outbound",
            Self::WrongToken => "wrong_token",
            Self::Denied => "denied",
        }
    }
}

/// Buckets that are remembered; beyond it the full ones are forgotten, then those that are closest to it.
const MAX_BUCKETS: usize = 10_000;

/// The buckets, each as the instant at which it will be full again (GCRA). The lock is held for one look-up.
#[derive(Debug, Default)]
pub struct Buckets(Mutex<HashMap<(RateClass, Box<str>), u64>>);

impl Buckets {
    /// Takes one request out of a bucket.
    ///
    /// # Errors
    /// How long to wait when it is empty; then nothing is taken.
    pub fn take(&self, class: RateClass, who: &str, now: Monotonic) -> Result<(), Duration> {
        let Some((each, burst)) = class.rate() else { return Ok(()) };
        let each = u64::try_from(each.as_nanos()).unwrap_or(u64::MAX);
        let room = each.saturating_mul(u64::from(burst));
        let mut buckets = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if buckets.len() >= MAX_BUCKETS {
            make_room(&mut buckets, now);
        }
        let full = buckets.entry((class, who.into())).or_insert(now.0);
        let next = (*full).max(now.0).saturating_add(each);
        let ahead = next - now.0;
        if ahead > room {
            return Err(Duration::from_nanos(ahead - room));
        }
        *full = next;
        Ok(())
    }
}

fn make_room(buckets: &mut HashMap<(RateClass, Box<str>), u64>, now: Monotonic) {
    buckets.retain(|_, full| *full > now.0);
    if buckets.len() >= MAX_BUCKETS {
        let mut instants: Vec<u64> = buckets.values().copied().collect();
        let middle = instants.len() / 2;
        let (_, median, _) = instants.select_nth_unstable(middle);
        let median = *median;
        buckets.retain(|_, full| *full > median);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> Monotonic {
        Monotonic(ms * 1_000_000)
    }

    #[test]
    fn a_burst_then_the_rate() {
        let buckets = Buckets::default();
        for _ in 0..40 {
            assert_eq!(buckets.take(RateClass::Write, "a", at(5)), Ok(()));
        }
        assert_eq!(buckets.take(RateClass::Write, "a", at(5)), Err(Duration::from_millis(50)));
        assert_eq!(buckets.take(RateClass::Write, "b", at(5)), Ok(()), "others are not held up");
        assert_eq!(buckets.take(RateClass::Read, "a", at(5)), Ok(()), "nor is another class");
        assert_eq!(buckets.take(RateClass::Write, "a", at(54)), Err(Duration::from_millis(1)));
        assert_eq!(buckets.take(RateClass::Write, "a", at(55)), Ok(()));
        assert_eq!(buckets.take(RateClass::Write, "a", at(55)), Err(Duration::from_millis(50)));
    }

    #[test]
    fn who_is_refused_does_not_pay() {
        let buckets = Buckets::default();
        for _ in 0..1_000 {
            let _ = buckets.take(RateClass::Login, "a", at(0));
        }
        assert_eq!(buckets.take(RateClass::Login, "a", at(6_000)), Ok(()));
    }

    #[test]
    fn the_memory_is_bounded_and_keeps_who_is_refused() {
        let buckets = Buckets::default();
        for _ in 0..10 {
            let _ = buckets.take(RateClass::Login, "guesser", at(0));
        }
        for number in 0..3 * MAX_BUCKETS {
            let _ = buckets.take(RateClass::Login, &number.to_string(), at(0));
        }
        assert!(buckets.0.lock().unwrap().len() <= MAX_BUCKETS);
        assert!(buckets.take(RateClass::Login, "guesser", at(0)).is_err(), "the worst is not forgotten");
    }

    #[test]
    fn probes_are_not_limited() {
        let buckets = Buckets::default();
        for _ in 0..10_000 {
            assert_eq!(buckets.take(RateClass::Unlimited, "a", at(0)), Ok(()));
        }
        assert!(buckets.0.lock().unwrap().is_empty());
    }
}
