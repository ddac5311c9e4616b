//! What callers think of a target's answers of late, against what they thought of them before: a model that has silently
//! become worse is noticed. What is compared is a target with itself, so that it does not matter how people rate.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use super::number::{Instant, Number};

/// How fast the long-run mean moves, and the recent one, once there are enough ratings.
const BASE_GAIN: f64 = 0.02;
const RECENT_GAIN: f64 = 0.25;

/// Ratings before anything follows from them.
const LEAST: u32 = 20;

/// A rating that is so much below the mean is no evidence either way: half of a loss that matters.
const SLACK: f64 = 0.25;

/// How much evidence is no chance any more (a cumulative sum after Page, "Continuous Inspection Schemes").
const ALARM: f64 = 1.6;

/// How fast a drop is forgotten that nobody confirms, in seconds: the target is tried again.
const RELAX_S: f64 = 300.0;

/// What callers think.
#[derive(Debug)]
pub(super) struct Liking {
    base: Number,
    recent: Number,
    /// The evidence that it has become worse, from 0 to [`ALARM`].
    evidence: Number,
    /// Whether it has.
    dropped: AtomicBool,
    heard: Instant,
    count: AtomicU32,
}

impl Default for Liking {
    fn default() -> Self {
        let (heard, count, dropped) = Default::default();
        Self { base: Number::new(0.0), recent: Number::new(0.0), evidence: Number::new(0.0), dropped, heard, count }
    }
}

impl Liking {
    /// Takes a rating from 0 to 1; anything else is none.
    pub fn rated(&self, now: u64, score: f64) {
        if !(0.0..=1.0).contains(&score) {
            return;
        }
        let count = self.count.fetch_add(1, Ordering::Relaxed).saturating_add(1);
        let mean = 1.0 / f64::from(count.max(1));
        let (base, dropped) = (self.base.get(), self.dropped.load(Ordering::Relaxed));
        // A drop that nobody has confirmed for a while has faded, and its evidence too.
        let fresh = if dropped { self.fresh(now) } else { 1.0 };
        self.recent.update(|recent| {
            let faded = base + (recent - base) * fresh;
            faded + RECENT_GAIN.max(mean) * (score - faded)
        });
        self.heard.set(now.max(1));
        if count > LEAST {
            self.evidence.update(|evidence| (evidence * fresh + base - SLACK - score).clamp(0.0, ALARM));
            let evidence = self.evidence.get();
            if evidence >= ALARM {
                self.dropped.store(true, Ordering::Relaxed);
            } else if evidence <= 0.0 {
                self.dropped.store(false, Ordering::Relaxed);
            }
        }
        // What it is measured against does not follow it down.
        if !self.dropped.load(Ordering::Relaxed) {
            self.base.update(|base| base + BASE_GAIN.max(mean) * (score - base));
        }
    }

    /// Returns how many ratings there are.
    pub fn support(&self) -> u32 {
        self.count.load(Ordering::Relaxed)
    }

    /// Returns what share of its quality is left: 1 unless the ratings have dropped.
    pub fn factor(&self, now: u64) -> f64 {
        if !self.dropped.load(Ordering::Relaxed) {
            return 1.0;
        }
        let left = self.recent.get() / self.base.get().max(0.01);
        1.0 - (1.0 - left.clamp(0.0, 1.0)) * self.fresh(now)
    }

    /// Returns how much of the last rating is left.
    fn fresh(&self, now: u64) -> f64 {
        (-self.heard.age(now) / RELAX_S).exp()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: u64 = 1_000_000_000;

    /// Binary ratings with a mean.
    fn rate(liking: &Liking, random: &mut fastrand::Rng, count: usize, mean: f64) {
        (0..count).for_each(|_| liking.rated(S, f64::from(u8::from(random.f64() < mean))));
    }

    #[test]
    fn a_loss_is_noticed_within_a_dozen_ratings_and_forgotten() {
        let (mut late, mut alarms) = (0, 0);
        for seed in 0..200 {
            let (liking, mut random) = (Liking::default(), fastrand::Rng::with_seed(seed));
            rate(&liking, &mut random, 100, 0.9);
            alarms += usize::from(liking.factor(S) < 1.0);
            rate(&liking, &mut random, 12, 0.36);
            late += usize::from(liking.factor(S) >= 0.8);
            assert!(liking.factor(3_600 * S) > 0.98, "it is tried again");
        }
        assert!(late <= 24 && alarms <= 12, "{late} late, {alarms} false alarms of 200");
    }

    #[test]
    fn few_ratings_and_absurd_ones_say_nothing() {
        let liking = Liking::default();
        (0..10).for_each(|_| liking.rated(S, 1.0));
        (0..9).for_each(|_| liking.rated(S, 0.0));
        assert!((liking.factor(S) - 1.0).abs() < 1e-9);
        [f64::NAN, -1.0, 2.0, f64::INFINITY].into_iter().for_each(|score| liking.rated(S, score));
        assert_eq!(liking.support(), 19);
    }
}
