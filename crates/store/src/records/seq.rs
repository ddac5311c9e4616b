//! The place of a request in the table: 44 bits of milliseconds (until the year 2527) and the first 19 random bits of
//! its id, so that the table is ordered as the ids are, and rows are appended.
//!
//! Two requests of one millisecond may want the same place; the later one takes the next that is free. A place is
//! therefore not an identity: whoever looks for an id looks through its millisecond, which holds a handful of rows.

use std::ops::RangeInclusive;

use ir::id::RequestId;

const RANDOM_BITS: u32 = 19;
const RANDOM_MASK: i64 = (1 << RANDOM_BITS) - 1;
const MAX_MS: u64 = (1 << 44) - 1;

/// Returns the place that a request wants.
pub(crate) fn wanted(id: RequestId) -> i64 {
    let bits = u128::from_be_bytes(id.0);
    // Version 7 (RFC 9562 section 5.7): 48 time, 4 version, 12 random, 2 variant, 62 random.
    let random = ((bits >> 64) & 0xfff) << 7 | ((bits >> 55) & 0x7f);
    first_at(id.unix_ms()) | i64::try_from(random).unwrap_or(0)
}

/// Returns the place to try when one is taken: the next of the same millisecond, which begins anew at its end.
pub(crate) fn after(place: i64) -> i64 {
    (place & !RANDOM_MASK) | ((place + 1) & RANDOM_MASK)
}

/// Returns the first place of an instant.
pub(crate) fn first_at(unix_ms: u64) -> i64 {
    i64::try_from(unix_ms.min(MAX_MS)).unwrap_or(0) << RANDOM_BITS
}

/// Returns the instant of a place, Unix milliseconds.
pub(crate) fn instant(place: i64) -> u64 {
    u64::try_from(place >> RANDOM_BITS).unwrap_or(0)
}

/// Returns the places in which a request may be.
pub(crate) fn places(id: RequestId) -> RangeInclusive<i64> {
    let first = first_at(id.unix_ms());
    first..=first | RANDOM_MASK
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_ordered_as_ids_are() {
        let mut ids: Vec<_> = (0..1_000).map(|n| RequestId::new(1_795_000_000_000 + n % 3)).collect();
        ids.sort_unstable();
        assert!(ids.is_sorted_by_key(|id| wanted(*id)));
        assert!(ids.iter().all(|id| places(*id).contains(&wanted(*id))));
    }

    #[test]
    fn the_next_place_stays_in_its_millisecond() {
        let places = first_at(7)..=first_at(8) - 1;
        assert_eq!(after(*places.start()), places.start() + 1);
        assert_eq!(after(*places.end()), *places.start());
        assert_eq!(places, super::places(RequestId::new(7)));
    }

    #[test]
    fn no_instant_is_negative() {
        assert!(wanted(RequestId([0xff; 16])) > 0 && first_at(u64::MAX) > 0);
    }
}
