//! Periods of the calendar: days and months, in the time zone that somebody chose.

use std::fmt;
use std::sync::Arc;

/// One period: from its first millisecond to the first of the next, Unix time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Period {
    /// Its first millisecond.
    pub start_ms: u64,
    /// The first millisecond after it.
    pub end_ms: u64,
}

impl Period {
    /// Returns whether an instant lies in it.
    pub fn holds(&self, unix_ms: u64) -> bool {
        (self.start_ms..self.end_ms).contains(&unix_ms)
    }
}

/// Finds the period that an instant lies in. Periods follow each other without gaps.
#[derive(Clone)]
pub struct Calendar(Arc<dyn Fn(u64) -> Period + Send + Sync>);

impl Calendar {
    /// Wraps a function from Unix milliseconds to the period that holds them.
    pub fn new(find: impl Fn(u64) -> Period + Send + Sync + 'static) -> Self {
        Self(Arc::new(find))
    }

    /// Returns days of 24 hours in UTC.
    pub fn utc_days() -> Self {
        const DAY_MS: u64 = 86_400_000;
        Self::new(|unix_ms| {
            let start_ms = unix_ms - unix_ms % DAY_MS;
            Period { start_ms, end_ms: start_ms.saturating_add(DAY_MS) }
        })
    }

    /// Returns the period that holds an instant.
    pub fn period(&self, unix_ms: u64) -> Period {
        (self.0)(unix_ms)
    }
}

impl fmt::Debug for Calendar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Calendar")
    }
}

/// What was used in a period, and in the one before it: when the wall clock jumps ahead and back again, the period that
/// it comes back to is still known, and its cap holds.
#[derive(Clone, Debug)]
pub(super) struct Periods {
    calendar: Calendar,
    current: (Period, u64),
    previous: (Period, u64),
}

impl Periods {
    pub(super) fn new(calendar: Calendar) -> Self {
        Self { calendar, current: (Period::default(), 0), previous: (Period::default(), 0) }
    }

    /// Moves to an instant and returns the start of the period that counts for it.
    pub(super) fn advance(&mut self, unix_ms: u64) -> u64 {
        if !self.current.0.holds(unix_ms) && !self.previous.0.holds(unix_ms) {
            let period = self.calendar.period(unix_ms);
            if period.start_ms >= self.current.0.end_ms {
                self.previous = std::mem::replace(&mut self.current, (period, 0));
            }
        }
        // A clock that went back further than is remembered counts for the earliest period that is.
        if unix_ms >= self.current.0.start_ms { self.current.0.start_ms } else { self.previous.0.start_ms }
    }

    /// Returns what was used in the period of this start; nothing of one that is over and forgotten.
    pub(super) fn used(&self, start_ms: u64) -> u64 {
        let known = [&self.current, &self.previous].into_iter().find(|(period, _)| period.start_ms == start_ms);
        known.map_or(0, |(_, used)| *used)
    }

    /// Changes what was used in the period of this start; nothing when it is over and forgotten.
    pub(super) fn adjust(&mut self, start_ms: u64, change: impl FnOnce(u64) -> u64) {
        for (period, used) in [&mut self.current, &mut self.previous] {
            if period.start_ms == start_ms && period.end_ms > 0 {
                *used = change(*used);
                return;
            }
        }
    }

    /// Returns the milliseconds until the period of this start is over.
    pub(super) fn left_ms(&self, start_ms: u64, unix_ms: u64) -> u64 {
        let end_ms = if start_ms == self.current.0.start_ms { self.current.0.end_ms } else { self.previous.0.end_ms };
        end_ms.saturating_sub(unix_ms)
    }
}
