//! How fast a target may be asked: learned from its 429s, and from what its headers say is left.
//!
//! A provider's limit is nearly always a bucket that fills at a steady rate. Its rate is learned from how many answers
//! came between two refusals; until the first refusal there is none. Refusals in a row are no news about the rate (a
//! quota is used up): they make the pause longer.

use std::sync::atomic::{AtomicU32, Ordering};

use super::number::{Instant, Number, nanos, seconds};

/// The longest pause that we choose ourselves, in seconds.
const MOST_PAUSE_S: f64 = 15.0;

/// The pause after a second refusal in a row, and what each further one multiplies it by.
const PAUSE_S: f64 = 0.6;
const PAUSE_GROWTH: f64 = 1.4;

/// The longest pause that a provider may ask for, in seconds.
const MOST_ASKED_S: f64 = 3600.0;

/// What is saved up at most, in seconds of the rate.
const BURST_S: f64 = 1.5;

/// What may be saved up in any case, in requests.
const LEAST_BURST: f64 = 2.0;

/// Bounds of the learned rate, in requests per second.
const RATES: (f64, f64) = (0.05, 10_000.0);

/// Over how many seconds the rate of answers is averaged.
const RECENT_S: f64 = 5.0;

/// A learned pace.
#[derive(Debug)]
pub(super) struct Pace {
    /// Requests per second; infinite until the first refusal.
    rate: Number,
    /// When the bucket was, or would have been, empty: tokens are the time since then times the rate.
    empty: Instant,
    /// The pause's end.
    until: Instant,
    /// Refusals since the last answer.
    refusals: AtomicU32,
    /// When the last refusal came.
    refused: Instant,
    /// Answers since then.
    answers: AtomicU32,
    /// Answers per second lately.
    recent: Number,
    answered: Instant,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            rate: Number::new(f64::INFINITY),
            empty: Instant::default(),
            until: Instant::default(),
            refusals: AtomicU32::new(0),
            refused: Instant::default(),
            answers: AtomicU32::new(0),
            recent: Number::new(0.0),
            answered: Instant::default(),
        }
    }
}

impl Pace {
    /// Returns after how many seconds the target may be asked again; 0 for now.
    pub fn wait(&self, now: u64) -> f64 {
        let pause = seconds(self.until.get().saturating_sub(now));
        let rate = self.rate.get();
        if rate.is_infinite() {
            return pause;
        }
        let ready = self.empty.get().saturating_add(nanos(1.0 / rate));
        pause.max(seconds(ready.saturating_sub(now)))
    }

    /// Whether it pauses because it was refused more than once.
    pub fn pauses(&self, now: u64) -> bool {
        self.until.get() > now
    }

    /// Returns the learned rate in requests per second, if any.
    pub fn rate(&self) -> Option<f64> {
        Some(self.rate.get()).filter(|rate| rate.is_finite())
    }

    /// Returns the answers per second of late.
    pub fn recent(&self, now: u64) -> f64 {
        self.recent.get() * (-self.answered.age(now) / RECENT_S).exp()
    }

    /// Notes a request.
    pub fn asked(&self, now: u64) {
        let rate = self.rate.get();
        if rate.is_finite() {
            let saved = nanos((LEAST_BURST / rate).max(BURST_S));
            self.empty.update(|empty| empty.max(now.saturating_sub(saved)).saturating_add(nanos(1.0 / rate)));
        }
    }

    /// Notes an answer.
    pub fn answered(&self, now: u64) {
        self.refusals.store(0, Ordering::Relaxed);
        let answers = self.answers.fetch_add(1, Ordering::Relaxed);
        let age = self.answered.age(now);
        self.answered.set(now.max(1));
        self.recent.update(|recent| recent * (-age / RECENT_S).exp() + 1.0 / RECENT_S);
        let rate = self.rate.get();
        // Only who is asked as fast as allowed shows that more would do. The longer it goes well, the bolder.
        let tight = seconds(now.saturating_sub(self.empty.get())) * rate < LEAST_BURST;
        if rate.is_finite() {
            let growth = if tight { 0.005 + 0.0001 * f64::from(answers.min(200)) } else { 0.0 };
            self.rate.update(|rate| (rate * (1.0 + growth)).min(RATES.1));
        }
    }

    /// Notes a refusal, with the time after which the provider says it may be asked again.
    pub fn refused(&self, now: u64, retry_after: Option<f64>) {
        let refusals = self.refusals.fetch_add(1, Ordering::Relaxed);
        if refusals == 0 {
            self.learn(now);
        }
        self.refused.set(now.max(1));
        self.empty.set(now);
        let own = match refusals {
            0 => 0.0,
            n => (PAUSE_S * PAUSE_GROWTH.powi(i32::try_from(n.min(20)).unwrap_or(20))).min(MOST_PAUSE_S),
        };
        let pause = retry_after.map_or(own, |asked| asked.clamp(0.0, MOST_ASKED_S).max(own));
        let until = now.saturating_add(nanos(pause));
        self.until.update(|before| before.max(until));
    }

    /// Notes that the provider says how many requests are left, and for how many seconds that must do.
    pub fn told(&self, now: u64, remaining: u64, reset_s: f64) {
        if remaining == 0 && reset_s > 0.0 {
            let until = now.saturating_add(nanos(reset_s.min(MOST_ASKED_S)));
            self.until.update(|before| before.max(until));
        }
    }

    /// Learns the rate from the answers between two refusals.
    fn learn(&self, now: u64) {
        let answers = f64::from(self.answers.swap(0, Ordering::Relaxed));
        let recent = self.recent(now);
        let between = self.refused.age(now);
        self.rate.update(|rate| {
            let measured = answers / between.max(0.05);
            let next = if rate.is_infinite() { recent.max(0.2) } else { measured.clamp(rate * 0.9, rate * 0.98) };
            next.clamp(RATES.0, RATES.1)
        });
    }
}

#[cfg(test)]
mod tests;
