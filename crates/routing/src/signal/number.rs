//! A floating-point number that many write and nobody waits for.

use std::sync::atomic::{AtomicU64, Ordering};

/// One number. Reads and writes are single atomic operations; an update that loses a race is made again.
#[derive(Debug)]
pub(super) struct Number(AtomicU64);

impl Number {
    /// Returns a number with a value.
    pub fn new(value: f64) -> Self {
        Self(AtomicU64::new(value.to_bits()))
    }

    /// Returns its value.
    pub fn get(&self) -> f64 {
        f64::from_bits(self.0.load(Ordering::Relaxed))
    }

    /// Replaces its value.
    pub fn set(&self, value: f64) {
        self.0.store(value.to_bits(), Ordering::Relaxed);
    }

    /// Replaces its value by one that follows from it.
    pub fn update(&self, next: impl Fn(f64) -> f64) {
        let step = |bits| Some(next(f64::from_bits(bits)).to_bits());
        // The closure never declines, so this cannot fail.
        let _ = self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, step);
    }
}

/// An instant in nanoseconds of the monotonic clock; 0 for never.
#[derive(Debug, Default)]
pub(super) struct Instant(AtomicU64);

impl Instant {
    /// Returns the instant in nanoseconds; 0 for never.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    /// Replaces it.
    pub fn set(&self, ns: u64) {
        self.0.store(ns, Ordering::Relaxed);
    }

    /// Replaces it if it still is what was read, and returns whether it was.
    pub fn swap(&self, read: u64, next: u64) -> bool {
        self.0.compare_exchange(read, next, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }

    /// Replaces it by one that follows from it.
    pub fn update(&self, next: impl Fn(u64) -> u64) {
        let _ = self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |ns| Some(next(ns)));
    }

    /// Returns the seconds from this instant to `now`; infinite when there is none.
    pub fn age(&self, now: u64) -> f64 {
        match self.get() {
            0 => f64::INFINITY,
            ns => seconds(now.saturating_sub(ns)),
        }
    }
}

/// Returns nanoseconds as seconds.
#[expect(clippy::cast_precision_loss, reason = "estimates do not need the last nanosecond of a century")]
pub(super) fn seconds(ns: u64) -> f64 {
    ns as f64 / 1e9
}

/// Returns seconds as nanoseconds: nothing below zero, at most what fits.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the cast saturates, which is meant")]
pub(super) fn nanos(seconds: f64) -> u64 {
    (seconds * 1e9) as u64
}
