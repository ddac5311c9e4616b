//! Credits as a limit: what an account has left bounds what its requests may be charged.
//!
//! A counter counts what is used, an account has a balance that also goes up. So the counter of an account counts
//! [`BASE`] less the balance, and the bound is always [`BASE`]: a charge raises what is used, a top-up lowers it, and
//! reservations, streams and caps are those of every other limit. A counter that nobody has told of any credits has none
//! left.

use std::sync::Arc;

use super::book::{Book, CounterId, Who};
use super::counter::Counter;
use super::reservation::Bound;
use super::rule::{Limit, Rule, Scope, Span, Target};
use super::zone::Zone;
use super::{Meter, Now};

/// What an account's counter counts from, in nano-dollars: 4.6 billion US dollars.
pub const BASE: u64 = 1 << 62;

/// The largest balance, and the largest debt, in nano-dollars: 4 billion US dollars.
pub const MOST: i64 = 4_000_000_000_000_000_000;

/// Returns what the counter of an environment's account counts.
pub fn counter_id(environment: &Arc<str>) -> CounterId {
    CounterId {
        environment: Arc::clone(environment),
        who: Who::Environment,
        meter: Meter::Credits,
        span: Span::Total,
        target: Target::All,
    }
}

impl Book {
    /// Returns the counter of an environment's credits. It is never forgotten.
    pub fn credits(&self, environment: &Arc<str>) -> Arc<Counter> {
        self.counter(counter_id(environment), &Zone::default(), Now::default())
    }

    /// Returns the bound that an environment's credits are.
    pub fn credits_bound(&self, environment: &Arc<str>) -> Bound {
        let rule = Rule { meter: Meter::Credits, amount: BASE, scope: Scope::Environment, ..Rule::default() };
        let limit = Arc::new(Limit { name: "credits".into(), rule });
        Bound { counter: self.credits(environment), amount: BASE, limit }
    }
}

impl Counter {
    /// Adds credits, in nano-dollars; takes some away when negative.
    pub fn credit(&self, nanos: i64) {
        self.shift(nanos.checked_neg().unwrap_or(i64::MAX));
    }

    /// Returns the credits that nobody has used or holds, in nano-dollars; negative for a debt. It means nothing for
    /// counters that do not count credits.
    pub fn available(&self) -> i64 {
        let used = self.read(Now::default()).used;
        i64::try_from(i128::from(BASE) - i128::from(used)).unwrap_or(i64::MIN)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limit::Amounts;
    use crate::limit::reservation::{Binding, Reservation};

    const NOW: Now = Now { monotonic_ms: 0, unix_ms: 0 };

    fn charged(charge: u64) -> Amounts {
        Amounts { charge, ..Amounts::default() }
    }

    #[test]
    fn what_is_held_and_used_is_not_available() {
        let book = Book::default();
        let (environment, other): (Arc<str>, Arc<str>) = ("default".into(), "beta".into());
        let bound = book.credits_bound(&environment);
        let counter = Arc::clone(&bound.counter);
        let binding = Binding::new(vec![bound]);
        assert_eq!(counter.available(), 0);
        let denial = Reservation::take(&binding, &charged(1), NOW).unwrap_err();
        assert_eq!(denial.retry_ms, None, "time brings no credits");
        assert!(Reservation::take(&binding, &charged(0), NOW).is_ok(), "what is free needs none");

        counter.credit(100);
        let held = Reservation::take(&binding, &charged(70), NOW).unwrap();
        assert_eq!(counter.available(), 30);
        assert!(Reservation::take(&binding, &charged(31), NOW).is_err());
        counter.credit(1);
        let second = Reservation::take(&binding, &charged(31), NOW).unwrap();
        held.settle(&charged(50));
        drop(second);
        assert_eq!(counter.available(), 51);
        counter.credit(-60);
        assert_eq!(counter.available(), -9, "a debt");
        assert_eq!(book.credits(&other).available(), 0, "others have their own");
    }

    #[test]
    fn a_balance_is_never_forgotten() {
        let book = Book::default();
        let environment = Arc::from("default");
        for credits in [0, i64::try_from(BASE).unwrap(), -i64::try_from(BASE).unwrap()] {
            book.credits(&environment).credit(credits);
            book.sweep(NOW);
            assert_eq!(book.credits(&environment).available(), credits);
            book.credits(&environment).credit(-credits);
        }
    }
}
