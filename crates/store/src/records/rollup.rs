//! Rollups: sums of records by time, so that questions about many records read few rows.
//!
//! A batch of records leaves one row of sums for each minute that it touches, in the same transaction: that is all that
//! a request pays. When a minute is long over, the writer folds such rows into quarters of an hour, those into hours,
//! hours into days. Whatever arrives after that is added to every bucket that it belongs to. A bucket is complete when
//! it is below the mark of its level; above it, the next finer level has to be read.
//!
//! Quarters of an hour are there for the time zones whose days do not begin with an hour of UTC.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

pub(crate) mod blob;
pub(crate) mod fold;
pub mod histogram;
pub mod sums;
pub(crate) mod write;

use self::sums::{Key, Sums};

/// A width of buckets. The number is part of every stored place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Level {
    Minute = 0,
    Quarter = 1,
    Hour = 2,
    Day = 3,
}

impl Level {
    pub(crate) const ALL: [Self; 4] = [Self::Minute, Self::Quarter, Self::Hour, Self::Day];

    /// Returns the width of a bucket in milliseconds.
    pub(crate) fn width_ms(self) -> u64 {
        match self {
            Self::Minute => 60_000,
            Self::Quarter => 900_000,
            Self::Hour => 3_600_000,
            Self::Day => 86_400_000,
        }
    }

    /// Returns the level that is folded into this one.
    pub(crate) fn finer(self) -> Option<Self> {
        match self {
            Self::Minute => None,
            Self::Quarter => Some(Self::Minute),
            Self::Hour => Some(Self::Quarter),
            Self::Day => Some(Self::Hour),
        }
    }

    /// Returns the bucket that an instant is in.
    pub(crate) fn bucket(self, unix_ms: u64) -> u64 {
        unix_ms / self.width_ms()
    }
}

/// 34 bits of buckets are as many minutes as fit behind every instant that an id can hold.
const BUCKET_BITS: u32 = 34;
const PART_BITS: u32 = 24;
const MAX_BUCKET: u64 = (1 << BUCKET_BITS) - 1;

/// Returns the first place of a bucket. A minute has a row for every batch until it is folded, the others have one.
pub(crate) fn place(level: Level, bucket: u64) -> i64 {
    let place = ((level as u64) << BUCKET_BITS | bucket.min(MAX_BUCKET)) << PART_BITS;
    i64::try_from(place).unwrap_or(i64::MAX)
}

/// Returns the bucket of a place of any level.
pub(crate) fn bucket_of(place: i64) -> u64 {
    (place.cast_unsigned() >> PART_BITS) & MAX_BUCKET
}

/// Groups and their sums.
pub(crate) type Groups = HashMap<Key, Sums, FastHash>;

/// How far a level is complete and from where on it is kept, as numbers of buckets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Mark {
    /// The first bucket that is not folded. It means nothing for minutes.
    pub folded: u64,
    /// The first bucket that is kept.
    pub kept: u64,
}

/// The marks of all levels.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Marks([Mark; 4]);

impl Marks {
    /// Returns the mark of a level.
    pub(crate) fn of(&self, level: Level) -> Mark {
        self.0.get(level as usize).copied().unwrap_or_default()
    }

    /// Returns the mark of a level, to be changed.
    pub(crate) fn of_mut(&mut self, level: Level) -> &mut Mark {
        let [minute, quarter, hour, day] = &mut self.0;
        match level {
            Level::Minute => minute,
            Level::Quarter => quarter,
            Level::Hour => hour,
            Level::Day => day,
        }
    }

    /// Whether a bucket of a level can be read from it.
    pub(crate) fn has(&self, level: Level, bucket: u64) -> bool {
        let mark = self.of(level);
        bucket >= mark.kept && (level == Level::Minute || bucket < mark.folded)
    }
}

pub(crate) type FastHash = BuildHasherDefault<Mix>;

/// Keys are small numbers that nobody outside chooses: a multiplication mixes them well enough.
#[derive(Default)]
pub(crate) struct Mix(u64);

impl Mix {
    fn mix(&mut self, number: u64) {
        self.0 = (self.0.rotate_left(5) ^ number).wrapping_mul(0x517c_c1b7_2722_0a95);
    }
}

impl Hasher for Mix {
    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.mix((*byte).into()));
    }

    fn write_u8(&mut self, number: u8) {
        self.mix(number.into());
    }

    fn write_u16(&mut self, number: u16) {
        self.mix(number.into());
    }

    fn write_u32(&mut self, number: u32) {
        self.mix(number.into());
    }

    fn write_u64(&mut self, number: u64) {
        self.mix(number);
    }

    fn finish(&self) -> u64 {
        self.0 ^ (self.0 >> 29)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_ordered_by_level_and_time() {
        let mut places = Vec::new();
        for level in Level::ALL {
            places.extend([0, 1, 29_900_000, MAX_BUCKET].map(|bucket| place(level, bucket)));
        }
        assert!(places.is_sorted_by(|one, other| one < other), "{places:?}");
        assert_eq!(bucket_of(place(Level::Hour, 77) + 5), 77);
        assert_eq!(place(Level::Day, u64::MAX), place(Level::Day, MAX_BUCKET));
    }
}
