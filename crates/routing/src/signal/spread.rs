//! Streaming quantiles of a duration: a histogram with buckets of equal ratio that forgets by halving.

use std::sync::atomic::{AtomicU32, Ordering};

use super::number::Number;

/// Buckets. The first ends at [`LEAST_S`], each next one is [`RATIO`] times as wide: the last begins at about 200 s.
const BUCKETS: usize = 64;

/// The upper end of the first bucket, in seconds.
const LEAST_S: f64 = 0.002;

/// How much longer the durations of one bucket are than those of the one before: a quantile is right within 10 %.
const RATIO: f64 = 1.2;

/// When this many samples are there, all counts are halved: the last few hundred count.
const HALVE_AT: u32 = 400;

/// Up to so many samples the quantiles follow each of them.
const EACH_UNTIL: u32 = 32;

/// The counts, and the quantiles as of the last sample.
#[derive(Debug)]
pub(super) struct Spread {
    counts: [AtomicU32; BUCKETS],
    total: AtomicU32,
    p50: Number,
    p95: Number,
}

impl Default for Spread {
    fn default() -> Self {
        Self {
            counts: [const { AtomicU32::new(0) }; BUCKETS],
            total: AtomicU32::new(0),
            p50: Number::new(f64::NAN),
            p95: Number::new(f64::NAN),
        }
    }
}

impl Spread {
    /// Adds a sample, in seconds.
    pub fn add(&self, sample: f64) {
        if let Some(count) = self.counts.get(bucket(sample)) {
            count.fetch_add(1, Ordering::Relaxed);
        }
        if self.total.fetch_add(1, Ordering::Relaxed) + 1 >= HALVE_AT {
            self.halve();
        }
        // With many samples, one more moves a quantile little: it is not worth looking at all buckets each time.
        let samples = self.samples();
        if samples < EACH_UNTIL || samples.is_multiple_of(4) {
            self.p50.set(self.quantile(0.50));
            self.p95.set(self.quantile(0.95));
        }
    }

    /// Returns how many samples it stands on; at most [`HALVE_AT`].
    pub fn samples(&self) -> u32 {
        self.total.load(Ordering::Relaxed)
    }

    /// Returns the median in seconds, if there is any sample.
    pub fn p50(&self) -> Option<f64> {
        Some(self.p50.get()).filter(|value| !value.is_nan())
    }

    /// Returns the 95th percentile in seconds, if there is any sample.
    pub fn p95(&self) -> Option<f64> {
        Some(self.p95.get()).filter(|value| !value.is_nan())
    }

    /// Those who halve at the same time halve twice: then less is remembered, which does no harm.
    fn halve(&self) {
        let mut total = 0;
        for count in &self.counts {
            let half = count.load(Ordering::Relaxed) / 2;
            count.store(half, Ordering::Relaxed);
            total += half;
        }
        self.total.store(total, Ordering::Relaxed);
    }

    fn quantile(&self, share: f64) -> f64 {
        let rank = f64::from(self.samples()) * share;
        let mut seen = 0.0;
        let mut upper = LEAST_S;
        for count in &self.counts {
            let here = f64::from(count.load(Ordering::Relaxed));
            if here > 0.0 && seen + here >= rank {
                // As if the samples of a bucket were spread evenly in it.
                let within = ((rank - seen) / here).clamp(0.0, 1.0);
                return upper / RATIO * (1.0 + (RATIO - 1.0) * within);
            }
            seen += here;
            upper *= RATIO;
        }
        upper
    }
}

/// Returns the bucket of a sample.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the cast saturates, which is meant")]
fn bucket(sample: f64) -> usize {
    let steps = (sample / LEAST_S).ln() / RATIO.ln();
    (steps.ceil().max(0.0) as usize).min(BUCKETS - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_right_within_a_bucket() {
        let spread = Spread::default();
        assert_eq!((spread.p50(), spread.samples()), (None, 0));
        for i in 1..=300 {
            spread.add(f64::from(i) / 100.0);
        }
        let (p50, p95) = (spread.p50().unwrap(), spread.p95().unwrap());
        assert!((1.35..1.65).contains(&p50), "{p50}");
        assert!((2.5..3.2).contains(&p95), "{p95}");
    }

    #[test]
    fn what_was_long_ago_is_forgotten() {
        let spread = Spread::default();
        (0..1000).for_each(|_| spread.add(5.0));
        (0..1500).for_each(|_| spread.add(0.1));
        let p95 = spread.p95().unwrap();
        assert!(p95 < 0.13, "{p95}");
    }

    #[test]
    fn absurd_samples_are_kept_in_bounds() {
        let spread = Spread::default();
        for sample in [0.0, -1.0, f64::NAN, f64::INFINITY, 1e300] {
            spread.add(sample);
        }
        assert_eq!(spread.samples(), 5);
        assert!(spread.p50().unwrap().is_finite());
    }
}
