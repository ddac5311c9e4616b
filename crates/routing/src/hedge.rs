//! When a second target is asked as well because the first is late, and how often at most.

use std::sync::atomic::{AtomicU32, Ordering};

use crate::signal::Reading;

/// What a hedge costs, in thousandths; each request earns its share.
const COST: u32 = 1000;

/// Hedges that can be saved up.
const MOST: u32 = 20;

/// How long the first is given at least, in seconds: below that a second request is not worth its tokens.
const LEAST_S: f64 = 0.25;

/// Hedges that are left. A share of the requests may be hedged, and no more, however late everything is.
#[derive(Debug)]
pub struct HedgeBudget {
    left: AtomicU32,
    per_mille: u32,
}

impl HedgeBudget {
    /// Returns a budget of so many hedges in a thousand requests.
    pub fn new(per_mille: u32) -> Self {
        Self { left: AtomicU32::new(0), per_mille: per_mille.min(COST) }
    }

    /// Earns the share of one request.
    pub fn earn(&self) {
        let more = |left: u32| Some(left.saturating_add(self.per_mille).min(MOST * COST));
        let _ = self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more);
    }

    /// Takes one hedge, if one is left.
    pub fn take(&self) -> bool {
        let less = |left: u32| left.checked_sub(COST);
        self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less).is_ok()
    }
}

/// Returns after how many seconds without content a second target is worth asking.
pub fn after(first: &Reading, second: &Reading) -> f64 {
    let usual = first.p95_s.map_or(1.5, |p95| 2.5 * p95);
    // What has become slow has a high quantile of its own: the other one's says what is possible.
    let possible = second.p95_s.map_or(1.5, |p95| 3.0 * p95);
    usual.min(possible).max(LEAST_S)
}
