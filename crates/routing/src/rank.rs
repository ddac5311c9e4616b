//! The order in which candidates are tried: those that may be asked now before those that may not, by score.
//!
//! The score weighs four terms between 0 and 1. Latency is the expected time to success, failures charged what they
//! cost: a target that fails quickly is not a fast one. All terms stay with the result, for explanations.

use policy::snapshot::route::Weights;

use crate::signal::{Reading, Standing};

/// Expected times that differ by less than this are the same, in seconds: no estimate is finer.
const TICK_S: f64 = 0.005;

/// How much longer a target may be expected to take and still count as equally fast.
const NEAR: f64 = 1.25;

/// A target where the prompt is cached may be expected to take so many times as long as the best, and so many seconds
/// more, and may have so many requests more in flight, and is still the better one: what is cached need not be read.
const MUCH_SLOWER: f64 = 2.0;
const SLOWER_S: f64 = 0.1;
const MUCH_BUSIER: u32 = 4;

/// Powers of ten from the best to what counts nothing: times differ by less than prices do.
const LATENCY_DECADES: f64 = 2.0;
const COST_DECADES: f64 = 3.0;

/// What a candidate is judged by.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Candidate {
    /// Its live state.
    pub reading: Reading,
    /// The expected cost in nano-dollars, if its prices are known.
    pub nanos: Option<u64>,
    /// The expected quality, 0 to 100, if known.
    pub quality: Option<f64>,
    /// The expected tokens of the answer that follow what is waited for: none when that is the whole.
    pub output_tokens: u64,
    /// Candidates of one family differ in nothing but their live state, such as the providers of one model. Load is
    /// spread only within a family.
    pub family: u32,
    /// Whether the beginning of the prompt is cached there.
    pub warm: bool,
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

impl Tier {
    /// Returns its name in explanations.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ready => "ready",
            Self::Paced => "paced",
            Self::Cooling => "cooling",
            Self::Benched => "benched",
        }
    }
}

/// The terms of a score, each from 0 to 1, and what they follow from.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Terms {
    /// 1 for the shortest expected time of all, a half for ten times as long, 0 from a hundred times on.
    pub latency: f64,
    /// 1 for the lowest expected cost of all, a third less for each tenfold; a half when it is unknown.
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
    /// How likely it is that a request of now finds it first: more than one may be, where load is spread.
    pub chance: f64,
    nanos: Option<u64>,
    family: u32,
    waiting: u32,
    warm: bool,
}

/// Who has never answered is taken to be as fast as the fastest of the others, one request at a time: candidates
/// are of one family, and nobody would find out otherwise.
pub fn presume(candidates: &mut [Candidate]) {
    let known = candidates.iter().map(|one| &one.reading).filter(|reading| reading.answers > 0);
    let best = known.map(|reading| reading.wait_for_s).fold(f64::INFINITY, f64::min);
    for one in candidates.iter_mut().filter(|one| one.reading.answers == 0 && one.reading.waiting == 0) {
        one.reading.wait_for_s = one.reading.wait_for_s.min(best);
    }
}

/// Ranks candidates, the best first. The same seed gives the same order.
pub fn rank(candidates: &[Candidate], weights: &Weights, seed: u64, out: &mut Vec<Ranked>) {
    let best = Best::of(candidates);
    out.clear();
    out.extend(candidates.iter().enumerate().map(|(at, candidate)| {
        let (tier, wait_s) = tier(&candidate.reading);
        let terms = best.terms(candidate, weights);
        let Candidate { nanos, family, warm, .. } = *candidate;
        Ranked { at, tier, wait_s, terms, chance: 0.0, nanos, family, waiting: candidate.reading.waiting, warm }
    }));
    out.sort_unstable_by(|a, b| {
        let score = |one: &Ranked| one.terms.score;
        // As good as each other: the cheaper one, then the faster one.
        let price = |one: &Ranked| one.nanos.unwrap_or(u64::MAX);
        let cheaper = || price(a).cmp(&price(b)).then_with(|| a.terms.seconds.total_cmp(&b.terms.seconds));
        let ready = || score(b).total_cmp(&score(a)).then_with(cheaper);
        let later = || a.wait_s.total_cmp(&b.wait_s);
        let within = || if a.tier == Tier::Ready { ready() } else { later() };
        a.tier.cmp(&b.tier).then_with(within).then(a.at.cmp(&b.at))
    });
    if stay(out) {
        out.first_mut().into_iter().for_each(|first| first.chance = 1.0);
    } else {
        spread(out, seed);
    }
}

/// Of the family of the first, the one goes first where the prompt is cached: unless it is much slower or busier, or dearer
/// in spite of that. Whether it did.
fn stay(out: &mut [Ranked]) -> bool {
    let Some(first) = out.first().copied().filter(|first| first.tier == Tier::Ready) else { return false };
    let near = |one: &Ranked| {
        let slow = first.terms.seconds * MUCH_SLOWER + SLOWER_S;
        one.warm && one.tier == Tier::Ready && one.family == first.family && one.terms.seconds <= slow
    };
    let Some(place) = out.iter().position(near) else { return false };
    let Some(before) = out.get_mut(..=place) else { return false };
    let moving_pays = before.last().is_some_and(|one| {
        one.waiting > first.waiting.saturating_add(MUCH_BUSIER)
            || one.nanos.zip(first.nanos).is_some_and(|(one, first)| one > first)
    });
    if !moving_pays {
        before.rotate_right(1);
    }
    !moving_pays
}

/// The best of everything that may be asked now: what terms are measured against.
struct Best {
    wait_s: f64,
    seconds: f64,
    nanos: f64,
}

impl Best {
    fn of(candidates: &[Candidate]) -> Self {
        let least = |value: &dyn Fn(&Candidate) -> f64, ready: bool| {
            let judged = candidates.iter().filter(|one| !ready || tier(&one.reading).0 == Tier::Ready);
            judged.map(value).fold(f64::INFINITY, f64::min)
        };
        let wait = |one: &Candidate| one.reading.wait_for_s;
        let wait_s = [least(&wait, true), 1.0].into_iter().find(|least| least.is_finite()).unwrap_or(1.0);
        let seconds = |one: &Candidate| expected(one, wait_s);
        let nanos = |one: &Candidate| one.nanos.map_or(f64::INFINITY, precise);
        // What is free has no ratio to anything: it counts as a nano-dollar.
        Self { wait_s, seconds: least(&seconds, false), nanos: least(&nanos, false).max(1.0) }
    }

    fn terms(&self, candidate: &Candidate, weights: &Weights) -> Terms {
        let seconds = expected(candidate, self.wait_s);
        let latency = nearness(self.seconds, seconds, LATENCY_DECADES);
        let cost = candidate.nanos.map_or(0.5, |nanos| nearness(self.nanos, precise(nanos), COST_DECADES));
        let quality = candidate.quality.map_or(0.5, |quality| (quality / 100.0).clamp(0.0, 1.0));
        let availability = 1.0 - candidate.reading.failure.clamp(0.0, 1.0);
        let weighed = weights.latency * latency
            + weights.cost * cost
            + weights.quality * quality
            + weights.availability * availability;
        Terms { latency, cost, quality, availability, score: weighed / weights.sum(), seconds }
    }
}

/// Returns how near a value is to the best, on a scale of powers of ten: 1 for the best, 0 for `decades` from it.
fn nearness(best: f64, value: f64, decades: f64) -> f64 {
    if value <= best { 1.0 } else { (1.0 - (value / best).log10() / decades).clamp(0.0, 1.0) }
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
    let seconds = reading.wait_for_s + writing + failure * (reading.fail_cost_s + other_s);
    ((seconds / TICK_S).round() * TICK_S).max(TICK_S)
}

fn tier(reading: &Reading) -> (Tier, f64) {
    match reading.standing {
        Standing::Benched(left) => (Tier::Benched, left),
        _ if reading.pauses => (Tier::Cooling, reading.wait_s),
        _ if reading.wait_s > 0.0 => (Tier::Paced, reading.wait_s),
        _ => (Tier::Ready, 0.0),
    }
}

/// The first, or one drawn at random of those of its family that are about as fast: the one with less in flight goes first
/// (after Mitzenmacher, "The Power of Two Choices in Randomized Load Balancing").
fn spread(out: &mut [Ranked], seed: u64) {
    let Some(one) = out.first_mut() else { return };
    one.chance = 1.0;
    let first = *one;
    let equal = |one: &&Ranked| {
        one.tier == first.tier && one.family == first.family && one.terms.seconds <= first.terms.seconds * NEAR
    };
    let near = out.iter().take_while(equal).count();
    if near < 2 || first.tier != Tier::Ready {
        return;
    }
    // The first stays so unless one is drawn that has less to do; each of the others is drawn as often.
    let share = 1.0 / precise((near - 1) as u64);
    let mut left = 1.0;
    for one in out.iter_mut().take(near).skip(1).filter(|one| one.waiting < first.waiting) {
        one.chance = share;
        left -= share;
    }
    out.first_mut().into_iter().for_each(|one| one.chance = f64::max(left, 0.0));
    let load = |at: usize| out.get(at).map_or(u32::MAX, |one| one.waiting);
    let other = 1 + draw(seed, near - 1);
    // As busy as each other: the better one, which is the first configured where nothing else tells them apart.
    if load(other) < load(0)
        && let Some(moved) = out.get_mut(..=other)
    {
        moved.rotate_right(1);
    }
}

/// Draws a number below `end` from a seed (splitmix64).
fn draw(seed: u64, end: usize) -> usize {
    let mut x = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    usize::try_from((x ^ (x >> 31)) >> 33).unwrap_or(0) % end.max(1)
}

#[cfg(test)]
mod tests;
