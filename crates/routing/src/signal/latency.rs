//! How long a target takes: an average that follows bad news at once, one of the long run, and quantiles.

use super::RETRY_S;
use super::number::{Instant, Number};
use super::spread::Spread;

/// How fast a success moves the average, and how fast one does that took twice as long as expected: bad news travels
/// faster, as in peak-EWMA.
const GAIN: f64 = 0.35;
const PEAK_GAIN: f64 = 0.5;

/// How fast the long-run average moves down, and up: it is what the target does on a good day.
const BASE_DOWN: f64 = 0.04;
const BASE_UP: f64 = 0.004;

/// The longest time that an average of times to the first content takes in, in seconds: a longer one says no more.
pub(super) const MOST_FIRST_S: f64 = 15.0;

/// The same of whole answers.
pub(super) const MOST_WHOLE_S: f64 = 600.0;

/// How fast an average without news returns to the long-run one, in seconds.
const RELAX_S: f64 = 20.0;

/// How many times as long as on a good day is slow.
const SLOW: f64 = 2.0;

/// How fast a target that is never asked begins to look better than it was, in seconds: what is worse is tried less
/// often, and nothing is forgotten.
const WIDEN_S: f64 = 1200.0;

/// What is known of a time.
#[derive(Debug)]
pub(super) struct Latency {
    fast: Number,
    base: Number,
    heard: Instant,
    /// The longest sample that the averages take in, in seconds.
    most: f64,
    /// Its quantiles.
    pub spread: Spread,
}

impl Latency {
    /// Returns what is known before the first sample.
    pub fn new(most: f64) -> Self {
        Self {
            fast: Number::new(f64::NAN),
            base: Number::new(f64::NAN),
            heard: Instant::default(),
            most,
            spread: Spread::default(),
        }
    }

    /// Adds a sample, in seconds.
    pub fn add(&self, now: u64, sample: f64) {
        self.move_to(now, sample);
        self.spread.add(sample);
    }

    /// Takes in that it took at least so long, if that is news. Whether it is slow.
    pub fn at_least(&self, now: u64, sample: f64) -> bool {
        let slow = sample > SLOW * self.base.get();
        if self.fast.get() < sample {
            self.move_to(now, sample);
        } else if slow {
            // As slow as it was, for all that is known.
            self.heard.set(now.max(1));
        }
        slow
    }

    fn move_to(&self, now: u64, sample: f64) {
        let sample = sample.min(self.most);
        let (base, fresh) = (self.base.get(), self.fresh(now));
        self.fast.update(|fast| {
            if fast.is_nan() {
                return sample;
            }
            // What nobody has confirmed for a while has faded, and weighs less than the news.
            let faded = base + (fast - base) * fresh;
            let gain = if sample > 2.0 * faded { PEAK_GAIN } else { 1.0 - (1.0 - GAIN) * fresh * fresh };
            faded + gain * (sample - faded)
        });
        self.base.update(|base| {
            let gain = if sample < base { BASE_DOWN } else { BASE_UP };
            if base.is_nan() { sample } else { base + gain * (sample - base) }
        });
        self.heard.set(now.max(1));
    }

    /// Returns how much of the last news is left.
    fn fresh(&self, now: u64) -> f64 {
        (-self.heard.age(now) / RELAX_S).exp()
    }

    /// Whether it was slower than on a good day, and nobody has looked for a while.
    pub fn doubtful(&self, now: u64) -> bool {
        self.fast.get() > SLOW * self.base.get() && self.heard.age(now) >= RETRY_S
    }

    /// Returns what is expected now, in seconds; `None` before the first sample. Where it was slow when last looked at, and
    /// nobody is looking (`idle`), that is a good day: so one request looks.
    pub fn expected(&self, now: u64, idle: bool) -> Option<f64> {
        let (fast, base) = (self.fast.get(), self.base.get());
        let fresh = if idle && self.doubtful(now) { 0.0 } else { self.fresh(now) };
        let widened = (-self.heard.age(now) / WIDEN_S).exp();
        Some((base + (fast - base) * fresh) * widened).filter(|expected| !expected.is_nan())
    }
}
