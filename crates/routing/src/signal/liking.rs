//! What callers think of a target's answers of late, against what they thought of them before: a model that has silently
//! become worse is noticed. What is compared is a target with itself, so that it does not matter how people rate.

use std::sync::atomic::{AtomicU32, Ordering};

use super::number::{Instant, Number};

/// How fast the long-run mean moves, and the recent one, once there are enough ratings.
const BASE_GAIN: f64 = 0.02;
const RECENT_GAIN: f64 = 0.15;

/// Ratings before anything follows from them.
const LEAST: u32 = 20;

/// A drop of the mean that is no chance: two and a half deviations of the recent mean where nine of ten are content.
const DROP: f64 = 0.2;

/// How fast a drop is forgotten that nobody confirms, in seconds: the target is tried again.
const RELAX_S: f64 = 900.0;

/// What callers think.
#[derive(Debug)]
pub(super) struct Liking {
    base: Number,
    recent: Number,
    heard: Instant,
    count: AtomicU32,
}

impl Default for Liking {
    fn default() -> Self {
        let (heard, count) = Default::default();
        Self { base: Number::new(0.0), recent: Number::new(0.0), heard, count }
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
        let dropped = self.factor(now) < 1.0;
        self.recent.update(|recent| recent + RECENT_GAIN.max(mean) * (score - recent));
        // What it is measured against does not follow it down.
        if !dropped {
            self.base.update(|base| base + BASE_GAIN.max(mean) * (score - base));
        }
        self.heard.set(now.max(1));
    }

    /// Returns how many ratings there are.
    pub fn support(&self) -> u32 {
        self.count.load(Ordering::Relaxed)
    }

    /// Returns what share of its quality is left: 1 unless the ratings have dropped.
    pub fn factor(&self, now: u64) -> f64 {
        let (base, recent) = (self.base.get(), self.recent.get());
        if self.support() < LEAST || base - recent < DROP {
            return 1.0;
        }
        let fresh = (-self.heard.age(now) / RELAX_S).exp();
        1.0 - (1.0 - (recent / base).clamp(0.0, 1.0)) * fresh
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
        assert!(late <= 12 && alarms <= 12, "{late} late, {alarms} false alarms of 200");
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
