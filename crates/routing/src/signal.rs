//! What is known of a target from its own answers: how fast, how reliable, how much it takes, whether it is up.
//!
//! Everything is a handful of atomic numbers: requests read and write them and wait for nobody. Readers may see a
//! sample in one number and not yet in another, which an estimate can bear. The clock is passed in.

pub mod breaker;
mod flights;
mod number;
mod pace;
mod spread;

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use policy::clock::Monotonic;

use self::breaker::Breaker;
pub use self::breaker::Standing;
use self::flights::Flights;
use self::number::{Instant, Number, seconds};
use self::pace::Pace;
use self::spread::Spread;

/// Whose fault a failed attempt is, as far as the target is concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Trouble {
    /// No connection.
    Connect,
    /// No answer in time.
    Timeout,
    /// An error of the provider's: 5xx, overloaded, a broken or malformed answer.
    Server,
    /// 429: it is asked too often.
    Limited,
    /// 401, 402, 403: the credential's fault, not the provider's.
    Credential,
    /// 404: it does not serve the model.
    Model,
    /// The request's fault: the target works.
    Request,
}

impl Trouble {
    /// All of them, in the order in which they are counted.
    pub const ALL: [Self; 7] =
        [Self::Connect, Self::Timeout, Self::Server, Self::Limited, Self::Credential, Self::Model, Self::Request];

    /// Returns the name that reasons and counters use.
    pub fn name(self) -> &'static str {
        match self {
            Self::Connect => "connect",
            Self::Timeout => "timeout",
            Self::Server => "server_error",
            Self::Limited => "rate_limited",
            Self::Credential => "credential",
            Self::Model => "model_not_found",
            Self::Request => "request",
        }
    }
}

/// How fast a success moves the average, and how fast one does that took twice as long as expected: bad news travels
/// faster, as in peak-EWMA.
const GAIN: f64 = 0.35;
const PEAK_GAIN: f64 = 0.5;

/// How fast the long-run average moves down, and up: it is what the target does on a good day.
const BASE_DOWN: f64 = 0.04;
const BASE_UP: f64 = 0.004;

/// The longest time to the first content that an average takes in, in seconds: a longer one says no more.
const MOST_TTFT_S: f64 = 15.0;

/// How fast an average without news returns to the long-run one, in seconds.
const RELAX_S: f64 = 20.0;

/// How fast a target that is never asked begins to look better than it was, in seconds: what is worse is tried less
/// often, and nothing is forgotten.
const WIDEN_S: f64 = 1200.0;

/// What a failure moves the failure rate by, and what a success leaves of it.
const FAIL_GAIN: f64 = 0.5;
const FAIL_KEEP: f64 = 0.9;

/// How fast the failure rate of a target that is not asked fades, in seconds.
const FAIL_RELAX_S: f64 = 20.0;

/// What is believed of a target before it was ever asked: its time to the first content and what a failure costs, in
/// seconds, and how likely one is.
const PRIOR_TTFT_S: f64 = 0.5;
const PRIOR_FAIL_COST_S: f64 = 1.0;
const PRIOR_FAILURE: f64 = 0.01;

/// The live state of one target.
#[derive(Debug)]
pub struct Signals {
    flights: Flights,
    breaker: Breaker,
    pace: Pace,
    ttft: Number,
    base: Number,
    ttft_spread: Spread,
    total: Number,
    total_spread: Spread,
    tokens_per_s: Number,
    failure: Number,
    fail_cost: Number,
    heard: Instant,
    answers: AtomicU64,
    troubles: [AtomicU64; Trouble::ALL.len()],
}

impl Default for Signals {
    fn default() -> Self {
        Self {
            flights: Flights::default(),
            breaker: Breaker::default(),
            pace: Pace::default(),
            ttft: Number::new(f64::NAN),
            base: Number::new(f64::NAN),
            ttft_spread: Spread::default(),
            total: Number::new(f64::NAN),
            total_spread: Spread::default(),
            tokens_per_s: Number::new(f64::NAN),
            failure: Number::new(PRIOR_FAILURE),
            fail_cost: Number::new(PRIOR_FAIL_COST_S),
            heard: Instant::default(),
            answers: AtomicU64::new(0),
            troubles: [const { AtomicU64::new(0) }; Trouble::ALL.len()],
        }
    }
}

/// An attempt in flight. Whoever holds it says how it ended, once.
#[derive(Debug)]
#[must_use = "an attempt that is never ended counts as in flight for ever"]
pub struct Flight {
    slot: Option<usize>,
    began: u64,
    probe: bool,
}

/// What is believed of a target at an instant. Times are seconds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Reading {
    /// Where the breaker stands.
    pub standing: Standing,
    /// After how many seconds the learned pace, or the provider, allows the next request; 0 for now.
    pub wait_s: f64,
    /// Whether it was refused more than once and waits that out.
    pub pauses: bool,
    /// The expected time to the first content.
    pub ttft_s: f64,
    /// The expected output, in tokens per second, if known.
    pub tokens_per_s: Option<f64>,
    /// How likely the next attempt fails.
    pub failure: f64,
    /// What a failure costs before it is known.
    pub fail_cost_s: f64,
    /// The median of the time to the first content, if known.
    pub p50_s: Option<f64>,
    /// Its 95th percentile.
    pub p95_s: Option<f64>,
    /// The requests per second that it was learned to take; `None` when it never refused.
    pub rate_per_s: Option<f64>,
    /// Requests that wait for their first content.
    pub waiting: u32,
    /// Answers since the start.
    pub answers: u64,
}

impl Signals {
    /// Begins an attempt. `None` when the target is benched and somebody else is probing it.
    pub fn begin(&self, now: Monotonic) -> Option<Flight> {
        let probe = match self.breaker.standing(now.0) {
            Standing::Closed => false,
            Standing::Probe if self.breaker.probe(now.0) => true,
            Standing::Probe | Standing::Benched(_) => return None,
        };
        Some(self.enter(now, probe))
    }

    /// Begins an attempt whatever the breaker says: nothing else is left.
    pub fn begin_anyway(&self, now: Monotonic) -> Flight {
        let probe = self.breaker.probe(now.0);
        self.enter(now, probe)
    }

    fn enter(&self, now: Monotonic, probe: bool) -> Flight {
        self.pace.asked(now.0);
        Flight { slot: self.flights.enter(now.0), began: now.0, probe }
    }

    /// Ends an attempt's wait: its first content is there.
    pub fn answered(&self, flight: Flight, now: Monotonic) {
        let sample = seconds(now.0.saturating_sub(flight.began));
        self.flights.leave(flight.slot);
        self.learn_ttft(sample);
        self.ttft_spread.add(sample);
        self.failure.update(|failure| (failure * FAIL_KEEP).max(PRIOR_FAILURE * 0.5));
        self.heard.set(now.0.max(1));
        self.answers.fetch_add(1, Ordering::Relaxed);
        self.breaker.succeeded();
        self.pace.answered(now.0);
    }

    /// Notes how a whole answer went: how long it took from the beginning, and how many tokens came after the first
    /// content and in which time.
    pub fn finished(&self, total: Duration, output_tokens: u64, writing: Duration) {
        let total = total.as_secs_f64();
        self.total.update(|before| if before.is_nan() { total } else { before + GAIN * (total - before) });
        self.total_spread.add(total);
        if output_tokens > 1 && writing >= Duration::from_millis(1) {
            #[expect(clippy::cast_precision_loss, reason = "no answer has 2^52 tokens")]
            let rate = (output_tokens - 1) as f64 / writing.as_secs_f64();
            self.tokens_per_s.update(|before| if before.is_nan() { rate } else { before + GAIN * (rate - before) });
        }
    }

    /// Ends an attempt that failed.
    pub fn failed(&self, flight: Flight, now: Monotonic, trouble: Trouble, retry_after: Option<Duration>) {
        self.flights.leave(flight.slot);
        self.count(trouble);
        let took = seconds(now.0.saturating_sub(flight.began));
        match trouble {
            Trouble::Limited => {
                self.pace.refused(now.0, retry_after.map(|after| after.as_secs_f64()));
                // It is up: it answers, if only to refuse.
                if flight.probe {
                    self.breaker.succeeded();
                }
            }
            Trouble::Request => {
                if flight.probe {
                    self.breaker.succeeded();
                }
            }
            Trouble::Credential | Trouble::Connect | Trouble::Timeout | Trouble::Server | Trouble::Model => {
                self.failure.update(|failure| failure + FAIL_GAIN * (1.0 - failure));
                self.fail_cost.update(|cost| cost + GAIN * (took.min(MOST_TTFT_S) - cost));
                self.heard.set(now.0.max(1));
                let at_once = matches!(trouble, Trouble::Model | Trouble::Credential);
                self.breaker.failed(now.0, flight.probe, at_once);
            }
        }
    }

    /// Ends an attempt that was given up before it was judged: its caller left, or another was faster. That it took
    /// longer than expected is known all the same.
    pub fn dropped(&self, flight: Flight, now: Monotonic) {
        self.flights.leave(flight.slot);
        let waited = seconds(now.0.saturating_sub(flight.began));
        if self.ttft.get() < waited {
            self.learn_ttft(waited);
            self.heard.set(now.0.max(1));
        }
        if flight.probe {
            self.breaker.unprobed(now.0);
        }
    }

    /// Notes what the provider's headers say is left of its limits.
    pub fn told(&self, now: Monotonic, remaining: u64, reset: Duration) {
        self.pace.told(now.0, remaining, reset.as_secs_f64());
    }

    fn learn_ttft(&self, sample: f64) {
        let sample = sample.min(MOST_TTFT_S);
        let step = |before: f64| {
            if before.is_nan() {
                return sample;
            }
            let gain = if sample > 2.0 * before { PEAK_GAIN } else { GAIN };
            before + gain * (sample - before)
        };
        self.ttft.update(step);
        self.base.update(|base| {
            let gain = if sample < base { BASE_DOWN } else { BASE_UP };
            if base.is_nan() { sample } else { base + gain * (sample - base) }
        });
    }

    fn count(&self, trouble: Trouble) {
        let at = Trouble::ALL.iter().position(|one| *one == trouble);
        if let Some(count) = at.and_then(|at| self.troubles.get(at)) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Returns how long whole answers took, in seconds: the average and the 95th percentile, if any is known.
    pub fn totals(&self) -> Option<(f64, f64)> {
        Some((self.total.get(), self.total_spread.p95()?)).filter(|(average, _)| !average.is_nan())
    }

    /// Returns how often an attempt failed, by whose fault it was.
    pub fn troubles(&self) -> [(Trouble, u64); Trouble::ALL.len()] {
        let mut counted = Trouble::ALL.map(|trouble| (trouble, 0));
        for ((_, count), kept) in counted.iter_mut().zip(&self.troubles) {
            *count = kept.load(Ordering::Relaxed);
        }
        counted
    }

    /// Returns what is believed now.
    pub fn read(&self, now: Monotonic) -> Reading {
        let age = self.heard.age(now.0);
        let p95 = self.ttft_spread.p95();
        let fresh = (-age / RELAX_S).exp();
        let (ttft, base) = (self.ttft.get(), self.base.get());
        let expected =
            if ttft.is_nan() { PRIOR_TTFT_S } else { (base + (ttft - base) * fresh) * (-age / WIDEN_S).exp() };
        // What already waits longer than nearly all did before will not be faster than that.
        let oldest = self.flights.oldest(now.0);
        let overdue = if oldest > p95.unwrap_or(PRIOR_TTFT_S) { oldest } else { 0.0 };
        let failure = PRIOR_FAILURE + (self.failure.get() - PRIOR_FAILURE) * (-age.min(1e6) / FAIL_RELAX_S).exp();
        Reading {
            standing: self.breaker.standing(now.0),
            wait_s: self.pace.wait(now.0),
            pauses: self.pace.pauses(now.0),
            ttft_s: expected.max(overdue),
            tokens_per_s: Some(self.tokens_per_s.get()).filter(|rate| !rate.is_nan()),
            failure: failure.clamp(0.0, 1.0),
            fail_cost_s: self.fail_cost.get(),
            p50_s: self.ttft_spread.p50(),
            p95_s: p95,
            rate_per_s: self.pace.rate(),
            waiting: self.flights.waiting(),
            answers: self.answers.load(Ordering::Relaxed),
        }
    }
}

#[cfg(test)]
mod tests;
