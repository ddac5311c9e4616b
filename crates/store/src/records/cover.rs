//! Which buckets of which level make up a span of time, the widest that there are, and what is left for the records.

use super::rollup::{Level, Marks};

/// A part of a span: whole buckets of a level, or the records themselves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Piece {
    /// The level; `None` for the records.
    pub level: Option<Level>,
    /// Where it begins, Unix milliseconds.
    pub from_ms: u64,
    /// Where it ends, Unix milliseconds.
    pub to_ms: u64,
}

/// Appends the pieces of a span in the order of time; adjacent ones of a level are one.
pub(super) fn cover(marks: &Marks, from_ms: u64, to_ms: u64, pieces: &mut Vec<Piece>) {
    let mut at = from_ms;
    while at < to_ms {
        let fits = |level: &Level| {
            let width = level.width_ms();
            at.is_multiple_of(width) && at.saturating_add(width) <= to_ms && marks.has(*level, at / width)
        };
        let level = Level::ALL.into_iter().rev().find(fits);
        let end = match level {
            Some(level) => at + level.width_ms(),
            None => next_start(marks, at).min(to_ms),
        };
        match pieces.last_mut() {
            Some(last) if last.level == level && last.to_ms == at => last.to_ms = end,
            _ => pieces.push(Piece { level, from_ms: at, to_ms: end }),
        }
        at = end;
    }
}

/// Returns the next instant at which a bucket may begin that can be read.
fn next_start(marks: &Marks, at: u64) -> u64 {
    let next = |level: &Level| {
        let bucket = at / level.width_ms() + 1;
        marks.has(*level, bucket).then(|| bucket.saturating_mul(level.width_ms()))
    };
    // Where nothing can be read, a day is as good as any step.
    let day = (at / Level::Day.width_ms() + 1).saturating_mul(Level::Day.width_ms());
    Level::ALL.iter().filter_map(next).min().unwrap_or(day)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::records::rollup::Mark;

    const MINUTE: u64 = 60_000;
    const DAY: u64 = 86_400_000;

    /// Day 100 is today: minutes are kept from day 98 on, hours from day 10 on, quarters are folded up to 12:00.
    fn marks() -> Marks {
        let mut marks = Marks::default();
        *marks.of_mut(Level::Minute) = Mark { folded: 0, kept: 98 * 1_440 };
        *marks.of_mut(Level::Quarter) = Mark { folded: 100 * 96 + 48, kept: 10 * 96 };
        *marks.of_mut(Level::Hour) = Mark { folded: 100 * 24 + 12, kept: 10 * 24 };
        *marks.of_mut(Level::Day) = Mark { folded: 100, kept: 0 };
        marks
    }

    fn check(from_ms: u64, to_ms: u64, expect: &[(Option<Level>, u64)]) {
        let mut pieces = Vec::new();
        cover(&marks(), from_ms, to_ms, &mut pieces);
        let ends: Vec<_> = pieces.iter().map(|piece| (piece.level, piece.to_ms - from_ms)).collect();
        assert_eq!(ends, expect);
        assert!(pieces.windows(2).all(|two| two[0].to_ms == two[1].from_ms));
        assert_eq!((pieces[0].from_ms, pieces[pieces.len() - 1].to_ms), (from_ms, to_ms));
    }

    #[test]
    fn wide_buckets_come_first() {
        check(50 * DAY, 52 * DAY, &[(Some(Level::Day), 2 * DAY)]);
        let half_past = 50 * DAY + 30 * MINUTE;
        let expect =
            [(Some(Level::Quarter), 30 * MINUTE), (Some(Level::Hour), DAY - 30 * MINUTE), (Some(Level::Quarter), DAY)];
        check(half_past, half_past + DAY, &expect);
    }

    #[test]
    fn what_no_bucket_holds_is_read_from_the_records() {
        check(50 * DAY + 1, 50 * DAY + 2, &[(None, 1)]);
        check(50 * DAY + MINUTE, 50 * DAY + 30 * MINUTE, &[(None, 14 * MINUTE), (Some(Level::Quarter), 29 * MINUTE)]);
        check(99 * DAY + 30_000, 99 * DAY + 3 * MINUTE, &[(None, 30_000), (Some(Level::Minute), 3 * MINUTE - 30_000)]);
        check(2 * DAY - 5, 3 * DAY + 7, &[(None, 5), (Some(Level::Day), DAY + 5), (None, DAY + 12)]);
    }

    #[test]
    fn what_is_not_folded_is_read_from_minutes() {
        let noon = 100 * DAY + DAY / 2;
        let expect = [(Some(Level::Hour), 60 * MINUTE), (Some(Level::Minute), 180 * MINUTE)];
        check(noon - 60 * MINUTE, noon + 120 * MINUTE, &expect);
    }
}
