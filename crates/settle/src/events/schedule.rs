//! When a delivery that failed is tried again.

/// How long a delivery is tried, in milliseconds: 24 hours.
const PATIENCE_MS: u64 = 24 * 3_600_000;

/// The longest delay before the second try, in milliseconds.
const FIRST_MS: u64 = 5_000;

/// The longest delay, in milliseconds: 8 hours.
const LONGEST_MS: u64 = 8 * 3_600_000;

/// Returns when a delivery is tried again that has now failed so often; `None` when it is given up. Each delay is up to
/// three times the one before, and at least half as long as it may be, so that what failed together does not come back
/// together.
pub(super) fn next(created_ms: u64, now_ms: u64, failed: u32, rng: &mut fastrand::Rng) -> Option<u64> {
    let longest = 3_u64.checked_pow(failed.saturating_sub(1)).and_then(|factor| FIRST_MS.checked_mul(factor));
    let longest = longest.unwrap_or(LONGEST_MS).min(LONGEST_MS);
    let due_ms = now_ms.saturating_add(rng.u64(longest / 2..=longest));
    (due_ms <= created_ms.saturating_add(PATIENCE_MS)).then_some(due_ms)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const CREATED: u64 = 1_795_000_000_000;

    proptest! {
        /// However the dice fall: delays grow up to 8 hours, and after 24 hours nobody tries any more.
        #[test]
        fn delays_grow_and_end(seed: u64) {
            let mut rng = fastrand::Rng::with_seed(seed);
            let (mut now, mut failed) = (CREATED, 1);
            while let Some(due) = next(CREATED, now, failed, &mut rng) {
                let longest = (5_000 * 3_u64.pow(failed - 1)).min(LONGEST_MS);
                prop_assert!((longest / 2..=longest).contains(&(due - now)), "{failed}: {}", due - now);
                prop_assert!(due <= CREATED + PATIENCE_MS);
                (now, failed) = (due, failed + 1);
            }
            prop_assert!((9..=13).contains(&failed), "{failed}");
            prop_assert!(now - CREATED > PATIENCE_MS - LONGEST_MS - 1, "it gave up after {} h", (now - CREATED) / 3_600_000);
        }
    }

    #[test]
    fn a_huge_count_is_no_fault() {
        assert!(next(CREATED, CREATED, u32::MAX, &mut fastrand::Rng::with_seed(1)).is_some());
        assert!(next(CREATED, u64::MAX, 1, &mut fastrand::Rng::with_seed(1)).is_none());
    }
}
