//! The order in which candidates are tried: those that may be asked now before those that may not, by score.
//!
//! The score weighs four terms between 0 and 1. Latency is the expected time to success, failures charged what they
//! cost: a target that fails quickly is not a fast one. All terms stay with the result, for explanations.

use crate::goal::Weights;
use crate::signal::{Reading, Standing};

/// How much longer a target may be expected to take and still count as equally fast.
const NEAR: f64 = 1.25;

/// What a candidate is judged by.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Candidate {
    /// Its live state.
    pub reading: Reading,
    /// The expected cost in nano-dollars, if its prices are known.
    pub nanos: Option<u64>,
    /// The expected quality, 0 to 100, if known.
    pub quality: Option<f64>,
    /// The expected tokens of the answer.
    pub output_tokens: u64,
    /// Candidates of one family differ in nothing but their live state, such as the providers of one model. Load is
    /// spread only within a family.
    pub family: u32,
}

/// Whether a candidate may be asked now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Tier {
    /// Yes.
    Ready,
    /// It would probably refuse: its learned rate is used up.
    Paced,
    /// It asked to be left alone, or refused several times.
    Cooling,
    /// It failed, and is left alone for a while.
    Benched,
}

/// The terms of a score, each from 0 to 1, and what they follow from.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Terms {
    /// The shortest expected time of all, divided by this one's.
    pub latency: f64,
    /// The lowest expected cost of all, divided by this one's; a half when it is unknown.
    pub cost: f64,
    /// The expected quality as a share of 100; a half when it is unknown.
    pub quality: f64,
    /// How likely the next attempt succeeds.
    pub availability: f64,
    /// Their weighted mean.
    pub score: f64,
    /// The expected seconds to a whole answer.
    pub seconds: f64,
}

/// One candidate in its place.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ranked {
    /// Its place among the candidates.
    pub at: usize,
    /// Whether it may be asked now.
    pub tier: Tier,
    /// In how many seconds it may be, where it may not.
    pub wait_s: f64,
    /// Why it is where it is.
    pub terms: Terms,
    family: u32,
    waiting: u32,
}

/// Ranks candidates, the best first. The same seed gives the same order.
pub fn rank(candidates: &[Candidate], weights: &Weights, seed: u64, out: &mut Vec<Ranked>) {
    let best = Best::of(candidates);
    out.clear();
    out.extend(candidates.iter().enumerate().map(|(at, candidate)| {
        let (tier, wait_s) = tier(&candidate.reading);
        let terms = best.terms(candidate, weights);
        Ranked { at, tier, wait_s, terms, family: candidate.family, waiting: candidate.reading.waiting }
    }));
    out.sort_unstable_by(|a, b| {
        let score = |one: &Ranked| one.terms.score;
        let ready = || score(b).total_cmp(&score(a)).then(a.terms.seconds.total_cmp(&b.terms.seconds));
        let later = || a.wait_s.total_cmp(&b.wait_s);
        let within = || if a.tier == Tier::Ready { ready() } else { later() };
        a.tier.cmp(&b.tier).then_with(within).then(a.at.cmp(&b.at))
    });
    spread(out, seed);
}

/// The best of everything that may be asked now: what terms are measured against.
struct Best {
    ttft_s: f64,
    seconds: f64,
    nanos: f64,
}

impl Best {
    fn of(candidates: &[Candidate]) -> Self {
        let least = |value: &dyn Fn(&Candidate) -> f64, ready: bool| {
            let judged = candidates.iter().filter(|one| !ready || tier(&one.reading).0 == Tier::Ready);
            judged.map(value).fold(f64::INFINITY, f64::min)
        };
        let ttft = |one: &Candidate| one.reading.ttft_s;
        let ttft_s = [least(&ttft, true), 1.0].into_iter().find(|least| least.is_finite()).unwrap_or(1.0);
        let seconds = |one: &Candidate| expected(one, ttft_s);
        let nanos = |one: &Candidate| one.nanos.map_or(f64::INFINITY, precise);
        Self { ttft_s, seconds: least(&seconds, false), nanos: least(&nanos, false) }
    }

    fn terms(&self, candidate: &Candidate, weights: &Weights) -> Terms {
        let seconds = expected(candidate, self.ttft_s);
        let latency = share(self.seconds, seconds);
        let cost = candidate.nanos.map_or(0.5, |nanos| share(self.nanos, precise(nanos)));
        let quality = candidate.quality.map_or(0.5, |quality| (quality / 100.0).clamp(0.0, 1.0));
        let availability = 1.0 - candidate.reading.failure.clamp(0.0, 1.0);
        let weighed = weights.latency * latency
            + weights.cost * cost
            + weights.quality * quality
            + weights.availability * availability;
        Terms { latency, cost, quality, availability, score: weighed / weights.sum(), seconds }
    }
}

/// Returns how far a value is from the best; the best is 1, even where it is 0.
fn share(best: f64, value: f64) -> f64 {
    if value <= best { 1.0 } else { (best.max(f64::MIN_POSITIVE) / value).clamp(0.0, 1.0) }
}

#[expect(clippy::cast_precision_loss, reason = "costs are compared, not booked")]
fn precise(whole: u64) -> f64 {
    whole as f64
}

/// Returns the expected seconds to a whole answer: a failure costs its own time and then that of another target.
fn expected(candidate: &Candidate, other_s: f64) -> f64 {
    let reading = &candidate.reading;
    // A bench that is over has charged for its failures: whether they go on is what the probe asks.
    let failure = if reading.standing == Standing::Probe { 0.0 } else { reading.failure };
    let writing = reading.tokens_per_s.map_or(0.0, |rate| precise(candidate.output_tokens) / rate.max(0.1));
    (reading.ttft_s + writing + failure * (reading.fail_cost_s + other_s)).max(1e-6)
}

fn tier(reading: &Reading) -> (Tier, f64) {
    match reading.standing {
        Standing::Benched(left) => (Tier::Benched, left),
        _ if reading.pauses => (Tier::Cooling, reading.wait_s),
        _ if reading.wait_s > 0.0 => (Tier::Paced, reading.wait_s),
        _ => (Tier::Ready, 0.0),
    }
}

/// Among the first and those of its family that are about as fast, the one of two drawn at random with less in flight
/// goes first (Mitzenmacher, "The Power of Two Choices in Randomized Load Balancing").
fn spread(out: &mut [Ranked], seed: u64) {
    let Some(first) = out.first().copied() else { return };
    let equal = |one: &&Ranked| {
        one.tier == first.tier && one.family == first.family && one.terms.seconds <= first.terms.seconds * NEAR
    };
    let near = out.iter().take_while(equal).count();
    if near < 2 || first.tier != Tier::Ready {
        return;
    }
    let a = draw(seed, 1, near);
    let b = (a + 1 + draw(seed, 2, near - 1)) % near;
    let load = |at: usize| out.get(at).map_or(u32::MAX, |one| one.waiting);
    // As busy as each other: the better one.
    let winner = if load(b) == load(a) {
        a.min(b)
    } else if load(b) < load(a) {
        b
    } else {
        a
    };
    if let Some(moved) = out.get_mut(..=winner) {
        moved.rotate_right(1);
    }
}

/// Draws a number below `end` from a seed (splitmix64).
pub(crate) fn draw(seed: u64, salt: u64, end: usize) -> usize {
    let mut x = seed.wrapping_add(salt.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    usize::try_from((x ^ (x >> 31)) >> 33).unwrap_or(0) % end.max(1)
}

#[cfg(test)]
mod tests;
