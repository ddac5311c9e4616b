//! The one clock. Nothing else in the product asks the system for the time.

mod turn;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

pub use self::turn::turn;

/// An instant of the monotonic clock, in nanoseconds since the clock was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Monotonic(pub u64);

impl Monotonic {
    /// Returns the time since an earlier instant, zero when that is later.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }

    /// Returns the microseconds since an earlier instant, zero when that is later.
    pub fn micros_since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0) / 1_000
    }
}

/// Tells the time: the system's, or a test's.
#[derive(Clone, Debug)]
pub struct Clock(Source);

#[derive(Clone, Debug)]
enum Source {
    System { start: Instant },
    Manual(Arc<Hands>),
}

/// The time of a test, moved by hand.
#[derive(Debug, Default)]
pub struct Hands {
    monotonic_ns: AtomicU64,
    unix_ms: AtomicU64,
}

impl Hands {
    /// Moves both clocks forward.
    pub fn advance(&self, by: Duration) {
        let nanos = u64::try_from(by.as_nanos()).unwrap_or(u64::MAX);
        self.monotonic_ns.fetch_add(nanos, Ordering::Relaxed);
        self.unix_ms.fetch_add(nanos / 1_000_000, Ordering::Relaxed);
    }

    /// Sets the wall clock, as a clock jump does. The monotonic clock stays.
    pub fn set_unix_ms(&self, unix_ms: u64) {
        self.unix_ms.store(unix_ms, Ordering::Relaxed);
    }
}

#[expect(clippy::disallowed_methods, reason = "this is the clock that everything else is given")]
fn unix_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

impl Clock {
    /// Returns the system's clock.
    #[expect(clippy::disallowed_methods, reason = "this is the clock that everything else is given")]
    pub fn system() -> Self {
        Self(Source::System { start: Instant::now() })
    }

    /// Returns a clock that stands still at the given wall time until its hands are moved.
    pub fn manual(unix_ms: u64) -> (Self, Arc<Hands>) {
        let hands = Arc::new(Hands { monotonic_ns: AtomicU64::new(0), unix_ms: AtomicU64::new(unix_ms) });
        (Self(Source::Manual(Arc::clone(&hands))), hands)
    }

    /// Returns the monotonic time; within a [`turn`], that of its first reading.
    #[expect(clippy::disallowed_methods, reason = "this is the clock that everything else is given")]
    pub fn now(&self) -> Monotonic {
        self.monotonic(|| turn::instant(Instant::now))
    }

    /// Returns the monotonic time, read anew also within a [`turn`]: for what measures the turn itself.
    #[expect(clippy::disallowed_methods, reason = "this is the clock that everything else is given")]
    pub fn now_anew(&self) -> Monotonic {
        self.monotonic(Instant::now)
    }

    fn monotonic(&self, read: impl FnOnce() -> Instant) -> Monotonic {
        match &self.0 {
            Source::System { start } => {
                let since = read().saturating_duration_since(*start);
                Monotonic(u64::try_from(since.as_nanos()).unwrap_or(u64::MAX))
            }
            Source::Manual(hands) => Monotonic(hands.monotonic_ns.load(Ordering::Relaxed)),
        }
    }

    /// Returns the wall time in Unix milliseconds; 0 when the system's clock stands before 1970. Within a [`turn`] it is
    /// that of its first reading.
    pub fn unix_ms(&self) -> u64 {
        match &self.0 {
            Source::System { .. } => turn::unix_ms(unix_ms),
            Source::Manual(hands) => hands.unix_ms.load(Ordering::Relaxed),
        }
    }
}
