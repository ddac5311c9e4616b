//! What is known of a target from its own answers: how fast, how reliable, how much it takes, whether it is up.
//!
//! Everything is a handful of atomic numbers: requests read and write them and wait for nobody. Readers may see a
//! sample in one number and not yet in another, which an estimate can bear. The clock is passed in.

pub mod breaker;
mod flights;
mod latency;
mod liking;
mod number;
mod pace;
mod spread;

use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::time::Duration;

use policy::clock::Monotonic;

use self::breaker::Breaker;
pub use self::breaker::Standing;
use self::flights::Flights;
use self::latency::{Latency, MOST_FIRST_S, MOST_WHOLE_S};
use self::liking::Liking;
use self::number::{Instant, Number, seconds};
use self::pace::Pace;

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

/// How fast a success moves the rate of output, and a failure what failures are expected to cost.
const RATE_GAIN: f64 = 0.15;
const COST_GAIN: f64 = 0.15;

/// What a failure moves the failure rate by, and what a success leaves of it.
const FAIL_GAIN: f64 = 0.5;
const FAIL_KEEP: f64 = 0.9;

/// How fast the failure rate of a target that is not asked fades, in seconds.
const FAIL_RELAX_S: f64 = 20.0;

/// After how many seconds without news one request finds out whether a slow or failing target still is.
const RETRY_S: f64 = 10.0;

/// How likely a target must be to fail to be called failing.
const DOUBT: f64 = 0.1;

/// What is believed of a target before it was ever asked: its time to the first content, that of a whole answer and what
/// a failure costs, in seconds, and how likely one is.
const PRIOR_FIRST_S: f64 = 0.5;
const PRIOR_WHOLE_S: f64 = 2.0;
const PRIOR_FAIL_COST_S: f64 = 1.0;
const PRIOR_FAILURE: f64 = 0.01;

/// What is waited for. Answers that come as a stream and whole ones are not compared with each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// The first content of a stream.
    Stream,
    /// A whole answer.
    Whole,
}

/// The live state of one target.
#[derive(Debug)]
pub struct Signals {
    streams: Flights,
    wholes: Flights,
    first: Latency,
    whole: Latency,
    breaker: Breaker,
    pace: Pace,
    tokens_per_s: Number,
    failure: Number,
    fail_cost: Number,
    heard: Instant,
    liking: Liking,
    /// What the last failure was, as its place in [`Trouble::ALL`].
    last: AtomicU8,
    answers: AtomicU64,
    troubles: [AtomicU64; Trouble::ALL.len()],
}

impl Default for Signals {
    fn default() -> Self {
        Self {
            streams: Flights::default(),
            wholes: Flights::default(),
            first: Latency::new(MOST_FIRST_S),
            whole: Latency::new(MOST_WHOLE_S),
            breaker: Breaker::default(),
            pace: Pace::default(),
            tokens_per_s: Number::new(f64::NAN),
            failure: Number::new(PRIOR_FAILURE),
            fail_cost: Number::new(PRIOR_FAIL_COST_S),
            heard: Instant::default(),
            liking: Liking::default(),
            last: AtomicU8::new(0),
            answers: AtomicU64::new(0),
            troubles: [const { AtomicU64::new(0) }; Trouble::ALL.len()],
        }
    }
}

/// An attempt in flight. Whoever holds it says how it ended, once.
#[derive(Debug)]
#[must_use = "an attempt that is never ended counts as in flight for ever"]
pub struct Flight {
    kind: Kind,
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
    /// The expected time to what is waited for.
    pub wait_for_s: f64,
    /// The expected output, in tokens per second, if known.
    pub tokens_per_s: Option<f64>,
    /// How likely the next attempt fails.
    pub failure: f64,
    /// What a failure costs before it is known.
    pub fail_cost_s: f64,
    /// Whether it was slow or benched when it was last heard of: who is sent there finds out whether it still is.
    pub doubtful: bool,
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
    /// Begins an attempt. `None` when the target is benched, or somebody else is probing it.
    pub fn begin(&self, kind: Kind, now: Monotonic) -> Option<Flight> {
        let probe = match self.breaker.standing(now.0) {
            Standing::Closed => false,
            Standing::Probe if self.breaker.probe(now.0) => true,
            Standing::Probe | Standing::Benched(_) => return None,
        };
        Some(self.enter(kind, now, probe))
    }

    /// Begins an attempt whatever the breaker says: nothing else is left.
    pub fn begin_anyway(&self, kind: Kind, now: Monotonic) -> Flight {
        let probe = self.breaker.probe(now.0);
        self.enter(kind, now, probe)
    }

    fn enter(&self, kind: Kind, now: Monotonic, probe: bool) -> Flight {
        self.pace.asked(now.0);
        Flight { kind, slot: self.flights(kind).enter(now.0), began: now.0, probe }
    }

    fn flights(&self, kind: Kind) -> &Flights {
        match kind {
            Kind::Stream => &self.streams,
            Kind::Whole => &self.wholes,
        }
    }

    fn latency(&self, kind: Kind) -> &Latency {
        match kind {
            Kind::Stream => &self.first,
            Kind::Whole => &self.whole,
        }
    }

    /// Ends an attempt's wait: what it waited for is there.
    pub fn answered(&self, flight: Flight, now: Monotonic) {
        self.flights(flight.kind).leave(flight.slot);
        self.latency(flight.kind).add(now.0, seconds(now.0.saturating_sub(flight.began)));
        self.failure.update(|failure| (failure * FAIL_KEEP).max(PRIOR_FAILURE * 0.5));
        self.heard.set(now.0.max(1));
        self.answers.fetch_add(1, Ordering::Relaxed);
        self.breaker.succeeded();
        self.pace.answered(now.0);
    }

    /// Notes how a stream went on to its end: how long it took from the beginning, and how many tokens came in which
    /// time after the first content.
    pub fn streamed(&self, now: Monotonic, total: Duration, output_tokens: u64, writing: Duration) {
        self.whole.add(now.0, total.as_secs_f64());
        if output_tokens > 1 && writing >= Duration::from_millis(1) {
            #[expect(clippy::cast_precision_loss, reason = "no answer has 2^52 tokens")]
            let rate = (output_tokens - 1) as f64 / writing.as_secs_f64();
            self.tokens_per_s
                .update(|before| if before.is_nan() { rate } else { before + RATE_GAIN * (rate - before) });
        }
    }

    /// Ends an attempt that failed.
    pub fn failed(&self, flight: Flight, now: Monotonic, trouble: Trouble, retry_after: Option<Duration>) {
        self.flights(flight.kind).leave(flight.slot);
        self.count(trouble);
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
                let took = seconds(now.0.saturating_sub(flight.began)).min(MOST_FIRST_S);
                self.fail_cost.update(|cost| cost + COST_GAIN * (took - cost));
                self.blame(now, trouble, flight.probe);
            }
        }
    }

    /// Notes that an answer broke off after it had begun.
    pub fn broke_off(&self, now: Monotonic) {
        self.count(Trouble::Server);
        self.blame(now, Trouble::Server, false);
    }

    fn blame(&self, now: Monotonic, trouble: Trouble, probe: bool) {
        self.failure.update(|failure| failure + FAIL_GAIN * (1.0 - failure));
        self.heard.set(now.0.max(1));
        let at_once = trouble == Trouble::Credential;
        self.breaker.failed(now.0, probe, at_once, self.pace.recent(now.0));
    }

    /// Ends an attempt that was given up before it was judged: its caller left, or another was faster. That it took
    /// longer than expected is known all the same.
    pub fn dropped(&self, flight: Flight, now: Monotonic) {
        self.flights(flight.kind).leave(flight.slot);
        let waited = seconds(now.0.saturating_sub(flight.began));
        let slow = self.latency(flight.kind).at_least(now.0, waited);
        if flight.probe && slow {
            self.breaker.failed(now.0, true, false, self.pace.recent(now.0));
        } else if flight.probe {
            self.breaker.unprobed(now.0);
        }
    }

    /// Notes what a caller thinks of an answer, from 0 to 1.
    pub fn rated(&self, now: Monotonic, score: f64) {
        self.liking.rated(now.0, score);
    }

    /// Returns what share of its quality is left, as far as callers say, and how many have said something.
    pub fn liking(&self, now: Monotonic) -> (f64, u32) {
        (self.liking.factor(now.0), self.liking.support())
    }

    /// Notes what the provider's headers say is left of its limits.
    pub fn told(&self, now: Monotonic, remaining: u64, reset: Duration) {
        self.pace.told(now.0, remaining, reset.as_secs_f64());
    }

    fn count(&self, trouble: Trouble) {
        let at = Trouble::ALL.iter().position(|one| *one == trouble);
        if let Some(count) = at.and_then(|at| self.troubles.get(at)) {
            count.fetch_add(1, Ordering::Relaxed);
            self.last.store(u8::try_from(at.unwrap_or(0)).unwrap_or(0), Ordering::Relaxed);
        }
    }

    /// Returns why the target is to be left alone now, and for how many seconds; `None` when it may be asked.
    pub fn held(&self, now: Monotonic) -> Option<(Trouble, f64)> {
        if let Standing::Benched(left) = self.breaker.standing(now.0) {
            let last = Trouble::ALL.get(usize::from(self.last.load(Ordering::Relaxed))).copied();
            return Some((last.unwrap_or(Trouble::Server), left));
        }
        self.pace.pauses(now.0).then(|| (Trouble::Limited, self.pace.wait(now.0)))
    }

    /// Returns how often an attempt failed, by whose fault it was.
    pub fn troubles(&self) -> [(Trouble, u64); Trouble::ALL.len()] {
        let mut counted = Trouble::ALL.map(|trouble| (trouble, 0));
        for ((_, count), kept) in counted.iter_mut().zip(&self.troubles) {
            *count = kept.load(Ordering::Relaxed);
        }
        counted
    }

    /// Returns what is believed now of the wait for an answer of a kind.
    pub fn read(&self, kind: Kind, now: Monotonic) -> Reading {
        let (latency, standing) = (self.latency(kind), self.breaker.standing(now.0));
        let p95 = latency.spread.p95();
        let (prior, other) = match kind {
            Kind::Stream => (PRIOR_FIRST_S, &self.whole),
            Kind::Whole => (PRIOR_WHOLE_S, &self.first),
        };
        let idle = self.flights(kind).waiting() == 0;
        // Where only answers of the other kind are known, they are better than nothing.
        let expected = latency.expected(now.0, idle).or_else(|| other.expected(now.0, false)).unwrap_or(prior);
        // What already waits longer than nearly all did before will not be faster than that.
        let oldest = self.flights(kind).oldest(now.0);
        let overdue = if oldest > p95.unwrap_or(prior) { oldest } else { 0.0 };
        let age = self.heard.age(now.0).min(1e6);
        let before = self.failure.get();
        let fresh = if idle && before > DOUBT && age >= RETRY_S { 0.0 } else { (-age / FAIL_RELAX_S).exp() };
        let failure = PRIOR_FAILURE + (before - PRIOR_FAILURE) * fresh;
        Reading {
            standing,
            wait_s: self.pace.wait(now.0),
            pauses: self.pace.pauses(now.0),
            wait_for_s: expected.max(overdue),
            tokens_per_s: Some(self.tokens_per_s.get()).filter(|rate| !rate.is_nan()),
            failure: failure.clamp(0.0, 1.0),
            fail_cost_s: self.fail_cost.get(),
            doubtful: standing != Standing::Closed || latency.doubtful(now.0),
            p50_s: latency.spread.p50(),
            p95_s: p95,
            rate_per_s: self.pace.rate(),
            waiting: self.streams.waiting() + self.wholes.waiting(),
            answers: self.answers.load(Ordering::Relaxed),
        }
    }
}

impl Reading {
    /// Returns what is believed of a target that was never asked.
    pub fn unknown(kind: Kind) -> Self {
        Self {
            standing: Standing::Closed,
            wait_s: 0.0,
            pauses: false,
            wait_for_s: if kind == Kind::Stream { PRIOR_FIRST_S } else { PRIOR_WHOLE_S },
            tokens_per_s: None,
            failure: PRIOR_FAILURE,
            fail_cost_s: PRIOR_FAIL_COST_S,
            doubtful: false,
            p50_s: None,
            p95_s: None,
            rate_per_s: None,
            waiting: 0,
            answers: 0,
        }
    }
}

#[cfg(test)]
mod tests;
