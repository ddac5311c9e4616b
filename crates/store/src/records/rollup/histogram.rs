//! Durations by fixed buckets, so that the histograms of any two groups add up to the histogram of both.
//!
//! A bucket is a sixteenth of a power of two wide: what is read from one is at most 3.2 % off. Values below 16 µs are
//! exact. Only buckets that hold something are kept.

/// How many bits of a value, behind its first, tell buckets apart.
const SUB_BITS: u32 = 4;
const SUB_BUCKETS: u64 = 1 << SUB_BITS;

/// Durations in microseconds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Histogram {
    /// Bucket and count, in the order of the buckets.
    buckets: Vec<(u16, u64)>,
}

impl Histogram {
    /// Counts a duration.
    pub fn record(&mut self, us: u64) {
        self.add(bucket(us), 1);
    }

    /// Adds a count to a bucket.
    pub(super) fn add(&mut self, bucket: u16, count: u64) {
        match self.buckets.binary_search_by_key(&bucket, |(bucket, _)| *bucket) {
            Ok(index) => {
                if let Some((_, held)) = self.buckets.get_mut(index) {
                    *held = held.saturating_add(count);
                }
            }
            Err(index) => self.buckets.insert(index, (bucket, count)),
        }
    }

    /// Adds everything that another one holds.
    pub fn merge(&mut self, other: &Self) {
        for (bucket, count) in &other.buckets {
            self.add(*bucket, *count);
        }
    }

    /// Returns the buckets and their counts, in order.
    pub(super) fn buckets(&self) -> &[(u16, u64)] {
        &self.buckets
    }

    /// Returns the duration that a share of all does not exceed, in microseconds; `None` when there is none.
    ///
    /// `per_mille` is the share in thousandths: 950 for the 95th percentile.
    pub fn quantile(&self, per_mille: u64) -> Option<u64> {
        let total: u64 = self.buckets.iter().fold(0, |sum, (_, count)| sum.saturating_add(*count));
        let rank = (u128::from(total) * u128::from(per_mille)).div_ceil(1_000).max(1);
        let mut seen = 0u128;
        self.buckets.iter().find_map(|(bucket, count)| {
            seen += u128::from(*count);
            (seen >= rank).then(|| middle(*bucket))
        })
    }
}

/// Returns the bucket of a duration.
fn bucket(us: u64) -> u16 {
    let Some(exponent) = us.checked_ilog2().filter(|exponent| *exponent >= SUB_BITS) else { return us as u16 };
    let sub = (us >> (exponent - SUB_BITS)) & (SUB_BUCKETS - 1);
    ((u64::from(exponent - SUB_BITS + 1) << SUB_BITS) | sub) as u16
}

/// Returns the middle of a bucket, in microseconds.
fn middle(bucket: u16) -> u64 {
    let bucket = u64::from(bucket);
    let (row, sub) = (bucket >> SUB_BITS, bucket & (SUB_BUCKETS - 1));
    if row == 0 {
        return sub;
    }
    let shift = (row - 1).min(63 - u64::from(SUB_BITS));
    ((SUB_BUCKETS + sub) << shift) + ((1 << shift) >> 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_is_near_every_value_in_it() {
        let mut value = 1u64;
        while value < u64::MAX / 1_000 {
            for us in [value - 1, value, value + value / 3] {
                let off = middle(bucket(us)).abs_diff(us);
                assert!(off * 31 <= us, "{us} reads as {}", middle(bucket(us)));
            }
            value = value * 5 / 4 + 1;
        }
        assert!(middle(bucket(u64::MAX)) > u64::MAX / 32 * 30);
    }

    #[test]
    fn buckets_grow_with_the_values() {
        let buckets: Vec<_> = (0..4_000).map(bucket).collect();
        assert!(buckets.is_sorted());
        assert_eq!((bucket(15), bucket(16), bucket(31), bucket(32)), (15, 16, 31, 32));
    }

    #[test]
    fn quantiles_are_ranks() {
        let mut histogram = Histogram::default();
        assert_eq!(histogram.quantile(500), None);
        (1..=10).for_each(|us| histogram.record(us));
        let check = |per_mille, expect| assert_eq!(histogram.quantile(per_mille), Some(expect), "{per_mille}");
        check(0, 1);
        check(100, 1);
        check(500, 5);
        check(501, 6);
        check(950, 10);
        check(1_000, 10);
    }

    #[test]
    fn merging_is_recording_both() {
        let (mut one, mut other, mut both) = (Histogram::default(), Histogram::default(), Histogram::default());
        for us in [3, 900, 1_000_000, 12] {
            one.record(us);
            both.record(us);
        }
        for us in [3, 70_000] {
            other.record(us);
            both.record(us);
        }
        one.merge(&other);
        assert_eq!(one, both);
    }
}
