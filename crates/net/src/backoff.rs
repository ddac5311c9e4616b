//! When to try again, and how often at most.
//!
//! [`Backoff`] spreads retries over time so that clients which failed together do not come back together.
//! [`RetryBudget`] bounds how much load retrying may add, whatever each request is allowed: without it, an upstream
//! that fails is sent a multiple of the traffic that made it fail. Neither decides whether an error may be retried,
//! and neither has a clock or a source of randomness of its own.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Exponential backoff with full jitter, as in "Exponential Backoff And Jitter" of the AWS Architecture Blog: a delay
/// is uniform between zero and the lesser of the cap and `base * 2^attempt`.
#[derive(Debug, Clone, Copy)]
pub struct Backoff {
    /// The bound of the delay before the first retry.
    pub base: Duration,
    /// The bound of every delay.
    pub cap: Duration,
}

impl Default for Backoff {
    fn default() -> Self {
        Self { base: Duration::from_millis(50), cap: Duration::from_secs(2) }
    }
}

impl Backoff {
    /// Draws the delay before the retry that follows attempt number `attempt`, counted from zero.
    pub fn delay(&self, attempt: u32, rng: &mut fastrand::Rng) -> Duration {
        let factor = 1_u32.checked_shl(attempt).unwrap_or(u32::MAX);
        let bound = self.base.saturating_mul(factor).min(self.cap);
        Duration::from_nanos(rng.u64(0..=u64::try_from(bound.as_nanos()).unwrap_or(u64::MAX)))
    }
}

/// What a retry costs; a request earns `ratio` of it.
const RETRY_COST: u32 = 1000;

/// How many retries are allowed: a floor per window plus a share of the requests in it.
///
/// Time is cut into windows of 10 seconds. Each begins with 10 retries, every request adds a tenth of one, and what a
/// window has not used is lost, so that a long healthy time saves up no storm. Over a run, retries are therefore at
/// most a tenth of the requests plus 10 per window begun; two windows that touch can spend both floors at once. A
/// retry that falls into another window than its request is counted where it falls. A window holds at most 4.2
/// million retries, and the window number wraps after 1300 years.
///
/// One word of memory: the window's number above, its balance in thousandths of a retry below. Racing threads retry
/// their update, so no balance is spent twice.
#[derive(Debug)]
pub struct RetryBudget {
    word: AtomicU64,
    options: RetryBudgetOptions,
}

/// The size of a [`RetryBudget`].
#[derive(Debug, Clone, Copy)]
pub struct RetryBudgetOptions {
    /// Retries earned by a thousand requests.
    pub ratio_permille: u32,
    /// Retries that every window has, however few requests there are.
    pub floor: u32,
    /// The length of a window; zero is taken as a nanosecond.
    pub window: Duration,
}

impl Default for RetryBudgetOptions {
    fn default() -> Self {
        Self { ratio_permille: 100, floor: 10, window: Duration::from_secs(10) }
    }
}

impl Default for RetryBudget {
    fn default() -> Self {
        Self::new(RetryBudgetOptions::default())
    }
}

impl RetryBudget {
    /// Builds a budget whose first window is the one at time zero.
    pub fn new(options: RetryBudgetOptions) -> Self {
        Self { word: AtomicU64::new(pack(0, options.floor.saturating_mul(RETRY_COST))), options }
    }

    /// Counts a request (not its retries), which adds to what may be retried.
    pub fn record_request(&self, now_nanos: u64) {
        let earned = self.options.ratio_permille;
        self.update(now_nanos, |balance| Some(balance.saturating_add(earned)));
    }

    /// Takes one retry from the budget; `false` means that the failure has to be passed on.
    pub fn try_retry(&self, now_nanos: u64) -> bool {
        self.update(now_nanos, |balance| balance.checked_sub(RETRY_COST))
    }

    fn update(&self, now_nanos: u64, change: impl Fn(u32) -> Option<u32>) -> bool {
        let window_nanos = u64::try_from(self.options.window.as_nanos()).unwrap_or(u64::MAX).max(1);
        // Only the low half of the number is kept; windows need to be told apart, not counted.
        let current = (now_nanos / window_nanos) & u64::from(u32::MAX);
        let next = |word: u64| {
            let (window, mut balance) = unpack(word);
            // Another thread may be in the next window already: its window stays.
            let window = if is_before(window, current) {
                balance = self.options.floor.saturating_mul(RETRY_COST);
                current
            } else {
                window
            };
            change(balance).map(|balance| pack(window, balance))
        };
        self.word.fetch_update(Ordering::Relaxed, Ordering::Relaxed, next).is_ok()
    }
}

fn pack(window: u64, balance: u32) -> u64 {
    (window << 32) | u64::from(balance)
}

fn unpack(word: u64) -> (u64, u32) {
    (word >> 32, (word & u64::from(u32::MAX)) as u32)
}

/// Compares window numbers that wrap: the nearer way round tells which is earlier.
fn is_before(window: u64, current: u64) -> bool {
    let ahead = current.wrapping_sub(window) & u64::from(u32::MAX);
    ahead != 0 && ahead <= u64::from(u32::MAX / 2)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SECOND: u64 = 1_000_000_000;

    #[test]
    fn delays_repeat_under_a_seed() {
        let draw = || {
            let mut rng = fastrand::Rng::with_seed(7);
            (0..20).map(|attempt| Backoff::default().delay(attempt, &mut rng)).collect::<Vec<_>>()
        };
        assert_eq!(draw(), draw());
    }

    #[test]
    fn delays_use_the_whole_of_their_range() {
        let backoff = Backoff { base: Duration::from_millis(100), cap: Duration::from_secs(1) };
        let mut rng = fastrand::Rng::with_seed(1);
        for (attempt, bound_ms) in [(0, 100), (1, 200), (3, 800), (4, 1000), (31, 1000), (32, 1000), (u32::MAX, 1000)] {
            let drawn: Vec<_> = (0..1000).map(|_| backoff.delay(attempt, &mut rng).as_millis()).collect();
            assert!(drawn.iter().all(|&ms| ms <= bound_ms), "attempt {attempt}");
            assert!(drawn.iter().any(|&ms| ms < bound_ms / 10), "attempt {attempt}");
            assert!(drawn.iter().any(|&ms| ms > bound_ms * 9 / 10), "attempt {attempt}");
        }
    }

    #[test]
    fn a_quiet_window_has_its_floor_and_saves_nothing() {
        let budget = RetryBudget::default();
        for window in 0..3 {
            let now = window * 10 * SECOND;
            assert_eq!((0..100).filter(|_| budget.try_retry(now)).count(), 10);
        }
    }

    #[test]
    fn a_late_thread_does_not_reopen_a_window() {
        let budget = RetryBudget::default();
        assert_eq!((0..100).filter(|_| budget.try_retry(10 * SECOND)).count(), 10);
        assert!(!budget.try_retry(9 * SECOND));
        assert!(!budget.try_retry(11 * SECOND));
    }

    proptest! {
        /// When everything fails and every request would retry as often as it may, load grows by a fifth at most.
        #[test]
        fn amplification_is_bounded(
            requests in 1000_u64..5000,
            wanted in 1_usize..6,
            start in 0..u64::MAX / 2,
            span in 0..20 * SECOND,
        ) {
            // 1000 requests over 20 seconds touch at most three windows: a tenth of them, and three floors.
            let budget = RetryBudget::default();
            let mut retries = 0;
            for request in 0..requests {
                let now = start + span * request / requests;
                budget.record_request(now);
                retries += (0..wanted).take_while(|_| budget.try_retry(now)).count() as u64;
            }
            prop_assert!((requests + retries) as f64 <= 1.2 * requests as f64, "{retries} of {requests}");
        }

        /// For any traffic, retries stay below a tenth of the requests plus the floors.
        #[test]
        fn the_documented_bound_holds(gaps in proptest::collection::vec(0..15 * SECOND, 1..300)) {
            let budget = RetryBudget::default();
            let (mut now, mut retries) = (0, 0);
            for gap in &gaps {
                now += gap;
                budget.record_request(now);
                retries += (0..5).take_while(|_| budget.try_retry(now)).count() as u64;
            }
            let windows = now / (10 * SECOND) + 1;
            prop_assert!(retries <= gaps.len() as u64 / 10 + 10 * windows);
        }
    }
}
