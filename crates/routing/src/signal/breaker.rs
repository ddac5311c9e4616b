//! The circuit breaker: who fails is left alone for a while, then tried with one request at a time.
//!
//! Closed → benched (after failures in a row) → one probe → closed, or benched for longer. How long is bounded by
//! [`MOST_S`], and shorter for a target that was busy, so that a target which is healthy again is never locked out for longer.

use std::sync::atomic::{AtomicU32, Ordering};

use super::number::{Instant, Number, nanos, seconds};

/// Failures in a row that bench a target.
pub(super) const STREAK: u32 = 2;

/// The first bench, in seconds.
const LEAST_S: f64 = 2.0;

/// The longest bench, in seconds, jitter included.
pub const MOST_S: f64 = 12.0;

/// What each failed probe multiplies the bench by.
const GROWTH: f64 = 2.5;

/// Who answered so many requests between two probes is worth a probe: a busy target is tried sooner.
const ANSWERS_PER_PROBE: f64 = 30.0;

/// Until when a probe is waited for before the next one may go, in seconds.
const PROBE_S: f64 = 10.0;

/// Where a breaker stands.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Standing {
    /// Requests go through.
    Closed,
    /// The bench is over: one request may try.
    Probe,
    /// Nothing goes through for so many seconds.
    Benched(f64),
}

/// A breaker.
#[derive(Debug)]
pub(super) struct Breaker {
    /// Failures since the last success.
    streak: AtomicU32,
    /// The bench's end; 0 when closed.
    until: Instant,
    /// The next bench, in seconds.
    next_s: Number,
    /// The longest, in seconds.
    most_s: Number,
}

impl Default for Breaker {
    fn default() -> Self {
        Self {
            streak: AtomicU32::new(0),
            until: Instant::default(),
            next_s: Number::new(LEAST_S),
            most_s: Number::new(MOST_S),
        }
    }
}

impl Breaker {
    /// Returns where it stands.
    pub fn standing(&self, now: u64) -> Standing {
        match self.until.get() {
            0 => Standing::Closed,
            until if until <= now => Standing::Probe,
            until => Standing::Benched(seconds(until - now)),
        }
    }

    /// Takes the right to probe, if there is one to take: nobody else has it until the probe is judged.
    pub fn probe(&self, now: u64) -> bool {
        let until = self.until.get();
        until != 0 && until <= now && self.until.swap(until, now.saturating_add(nanos(PROBE_S)))
    }

    /// Gives the right to probe back: the probe was not judged.
    pub fn unprobed(&self, now: u64) {
        self.until.update(|until| if until == 0 { 0 } else { now.max(1) });
    }

    /// Notes a success.
    pub fn succeeded(&self) {
        self.streak.store(0, Ordering::Relaxed);
        if self.until.get() != 0 {
            self.until.set(0);
        }
        // One that fails again soon is benched for longer than one that has been well for a while.
        self.next_s.update(|next| (next * 0.8).max(LEAST_S));
    }

    /// Notes a failure; `at_once` benches without waiting for another. `rate` is how many answers a second it gave of late:
    /// the more, the shorter is the longest bench. What was sent before the bench began says nothing
    /// new when it fails after that.
    pub fn failed(&self, now: u64, probe: bool, at_once: bool, rate: f64) {
        let streak = self.streak.fetch_add(1, Ordering::Relaxed) + 1;
        let open = self.until.get() != 0;
        if open && !probe {
            return;
        }
        if probe || at_once || streak >= STREAK {
            if !open {
                self.most_s.set((ANSWERS_PER_PROBE / rate.max(0.001)).clamp(LEAST_S, MOST_S));
            }
            let bench = self.next_s.get() * jitter(now);
            self.until.set(now.saturating_add(nanos(bench.min(self.most_s.get()))).max(1));
            self.next_s.update(|next| (next * GROWTH).min(self.most_s.get()));
        }
    }
}

/// Returns a factor from 0.8 to 1.2 that follows from the instant, so that targets which failed together are not probed
/// together.
fn jitter(now: u64) -> f64 {
    let mixed = now.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    0.8 + 0.4 * f64::from((mixed >> 32) as u32) / f64::from(u32::MAX)
}

#[cfg(test)]
mod tests;
