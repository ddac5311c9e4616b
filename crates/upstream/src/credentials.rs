//! Which credential a request goes with: in turn by weight, past those that were refused a moment ago.
//!
//! A credential that is refused benches itself, not the provider: the others go on. When all of them are benched they
//! are used in turn as if none were, for the provider's answer is the best news there is.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use policy::secret::Secret;

use crate::failure::{AttemptFailure, Class};

/// A weight above this is a share so small for the others that it may as well be cut.
const MAX_WEIGHT: u32 = 100;

/// How long a credential that was refused is not used.
const REFUSED: Duration = Duration::from_secs(30);

/// How long one is not used that is asked too often, where the provider does not say.
pub(crate) const LIMITED: Duration = Duration::from_secs(1);

/// The longest that a provider may say.
const MOST_LIMITED: Duration = Duration::from_secs(3600);

/// A credential, as the head of a request that goes with it: from the line after the request line up to the per-request
/// fields.
pub(crate) struct Head {
    /// The text.
    pub text: Secret,
    /// Until when it is not used, in nanoseconds of the monotonic clock.
    until: AtomicU64,
}

/// The credentials of a provider, or one head without any.
pub(crate) struct Credentials {
    /// Each as many times as its weight says.
    heads: Vec<Arc<Head>>,
    /// Whether there are several.
    several: bool,
    turn: AtomicUsize,
}

impl Credentials {
    /// Returns the credentials whose heads these are, with their weights.
    pub fn new(heads: Vec<(Secret, u32)>) -> Self {
        let several = heads.len() > 1;
        let repeated = heads.into_iter().flat_map(|(text, weight)| {
            let head = Arc::new(Head { text, until: AtomicU64::new(0) });
            std::iter::repeat_n(head, weight.clamp(1, MAX_WEIGHT) as usize)
        });
        Self { heads: repeated.collect(), several, turn: AtomicUsize::new(0) }
    }

    /// Returns the next one.
    pub fn next(&self, now: u64) -> Option<&Head> {
        let turn = self.turn.fetch_add(1, Ordering::Relaxed).checked_rem(self.heads.len())?;
        let first = self.heads.get(turn)?;
        if !self.several || first.is_usable(now) {
            return Some(first);
        }
        let (before, after) = self.heads.split_at_checked(turn)?;
        let usable = after.iter().chain(before).find(|head| head.is_usable(now));
        Some(usable.unwrap_or(first))
    }

    /// Whether there are several and one of them may be used.
    pub fn has_another(&self, now: u64) -> bool {
        self.several && self.heads.iter().any(|head| head.is_usable(now))
    }

    /// Notes what a provider said to one.
    pub fn judge(&self, head: &Head, failure: &AttemptFailure, now: u64) {
        let rest = match failure.class {
            Class::Auth | Class::Payment => REFUSED,
            Class::RateLimited => failure.retry_after.unwrap_or(LIMITED).min(MOST_LIMITED),
            _ => return,
        };
        if self.several {
            let rest = u64::try_from(rest.as_nanos()).unwrap_or(u64::MAX);
            head.until.store(now.saturating_add(rest), Ordering::Relaxed);
        }
    }
}

impl Head {
    fn is_usable(&self, now: u64) -> bool {
        self.until.load(Ordering::Relaxed) <= now
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: u64 = 1_000_000_000;

    fn of(weights: &[(&str, u32)]) -> Credentials {
        Credentials::new(weights.iter().map(|(text, weight)| (Secret::new(*text), *weight)).collect())
    }

    fn turns(credentials: &Credentials, now: u64, count: usize) -> String {
        (0..count).map(|_| credentials.next(now).unwrap().text.expose().to_owned()).collect()
    }

    fn failure(class: Class, retry_after: Option<u64>) -> AttemptFailure {
        AttemptFailure { retry_after: retry_after.map(Duration::from_secs), ..AttemptFailure::new(class, "") }
    }

    #[test]
    fn they_take_turns_by_weight() {
        assert_eq!(turns(&of(&[("a", 2), ("b", 1)]), 0, 6), "aabaab");
        assert_eq!(turns(&of(&[("a", 0)]), 0, 2), "aa");
        assert!(Credentials::new(Vec::new()).next(0).is_none());
    }

    #[test]
    fn one_that_is_refused_is_not_used_for_a_while() {
        let both = of(&[("a", 1), ("b", 1)]);
        let a = both.next(S).unwrap();
        both.judge(a, &failure(Class::Auth, None), S);
        assert_eq!(turns(&both, S, 4), "bbbb");
        assert!(both.has_another(S));
        assert_eq!(turns(&both, 32 * S, 4), "baba", "they take turns again");
    }

    #[test]
    fn a_limit_holds_as_long_as_the_provider_says() {
        let both = of(&[("a", 1), ("b", 1)]);
        both.judge(both.next(S).unwrap(), &failure(Class::RateLimited, Some(5)), S);
        assert_eq!(turns(&both, 5 * S, 3), "bbb");
        assert!(turns(&both, 6 * S, 3).contains('a'));
    }

    #[test]
    fn other_failures_say_nothing_about_it() {
        let both = of(&[("a", 1), ("b", 1)]);
        both.judge(both.next(S).unwrap(), &failure(Class::Server, None), S);
        assert_eq!(turns(&both, S, 2), "ba");
    }

    #[test]
    fn when_all_are_refused_they_take_turns_again() {
        let both = of(&[("a", 1), ("b", 1)]);
        for _ in 0..2 {
            both.judge(both.next(S).unwrap(), &failure(Class::Payment, None), S);
        }
        assert!(!both.has_another(S));
        assert_eq!(turns(&both, S, 4), "abab");
        let alone = of(&[("a", 1)]);
        alone.judge(alone.next(S).unwrap(), &failure(Class::Auth, None), S);
        assert!(!alone.has_another(S) && turns(&alone, S, 2) == "aa");
    }
}
