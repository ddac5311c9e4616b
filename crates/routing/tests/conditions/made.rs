//! Traces that are made up, for tests that have no recordings.

use fastrand::Rng;

use super::traces::{Latency, Traces};
use super::world::exponential;

/// Makes traces up: as many requests per second as the recording has, in waves, and latencies with its means.
pub fn made(seed: u64, length_s: f64) -> Traces {
    let mut random = Rng::with_seed(seed);
    let mut arrivals = Vec::new();
    let mut at = 0.0;
    while at < length_s {
        let rate = 5.5 * (1.0 + 0.4 * (at / 240.0_f64).sin());
        at += exponential(&mut random, 1.0 / rate);
        arrivals.push(at);
    }
    let means = [0.25, 0.41, 0.51, 0.23, 0.90, 0.42, 2.5, 0.62];
    let normal = |random: &mut Rng| (0..12).map(|_| random.f64()).sum::<f64>() - 6.0;
    let latency = |mean: f64| Latency::new((0..150).map(|_| mean * (0.25 * normal(&mut random)).exp()).collect());
    Traces { arrivals, latencies: means.into_iter().map(latency).collect() }
}
