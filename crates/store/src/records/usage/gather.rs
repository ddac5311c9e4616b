//! Reading the groups of spans of time, from rollups and records.

use rusqlite::types::Value;
use rusqlite::{Connection, params_from_iter};

use super::super::cover::{Piece, cover};
use super::super::filter::{Resolved, wildcard};
use super::super::rollup::blob::{Body, DamagedRollup};
use super::super::rollup::sums::{Key, Measured, Sums};
use super::super::rollup::{Level, Marks, blob, bucket_of, place};
use super::super::{columns, detail, seq};
use crate::StoreError;

/// How much of a group is needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Depth {
    /// The number of requests.
    Requests,
    /// Everything but the durations.
    Figures,
    /// Everything.
    Everything,
}

/// A group of a rollup, or one record.
pub(super) enum Part<'a> {
    /// Sums that are not decoded yet.
    Stored(Body<'a>, Depth),
    /// One record.
    Record(&'a Measured),
}

impl Part<'_> {
    /// Adds it to sums.
    pub(super) fn add_to(&self, sums: &mut Sums) -> Result<(), DamagedRollup> {
        match self {
            Self::Record(one) => sums.add(one),
            Self::Stored(body, Depth::Everything) => body.add_all(sums)?,
            Self::Stored(body, Depth::Figures) => body.add_figures(sums)?,
            Self::Stored(body, Depth::Requests) => sums.requests = sums.requests.saturating_add(body.requests()?),
        }
        Ok(())
    }

    /// Returns how many requests it is.
    pub(super) fn requests(&self) -> Result<u64, DamagedRollup> {
        match self {
            Self::Record(_) => Ok(1),
            Self::Stored(body, _) => body.requests(),
        }
    }
}

/// What is read, and with what.
pub(super) struct Gather<'a> {
    pub connection: &'a Connection,
    pub environment: &'a str,
    pub resolved: &'a Resolved,
    pub marks: &'a Marks,
    pub depth: Depth,
}

impl Gather<'_> {
    /// Before this instant only days of UTC are left.
    pub(super) fn days_only_before(&self) -> u64 {
        let kept = self.marks.of(Level::Quarter).kept.saturating_mul(Level::Quarter.width_ms());
        kept / Level::Day.width_ms() * Level::Day.width_ms()
    }

    /// Gives every group of the spans to a function, with the number of the span, until it says that it is enough.
    ///
    /// `unrolled` is the most records that are read when the rollups do not know the filter, `ragged` the most at the
    /// ends of spans. Returns the instant before which nothing was counted, if that was not enough.
    pub(super) fn run(
        &self,
        spans: &[(u64, u64)],
        unrolled: u64,
        ragged: u64,
        mut visit: impl FnMut(usize, &Key, &Part<'_>) -> Result<bool, DamagedRollup>,
    ) -> Result<Option<u64>, StoreError> {
        let rolled_up = self.resolved.is_rolled_up();
        let (oldest, newest) = self.recorded()?;
        let mut left = if rolled_up { ragged } else { unrolled };
        let mut pieces = Vec::new();
        // The newest first: when there is too much, it is the oldest that is left out.
        for (number, (from, to)) in spans.iter().enumerate().rev() {
            pieces.clear();
            if rolled_up {
                let (from, to) = (self.snapped(*from), self.snapped(*to));
                cover(self.marks, from.max(oldest), to.min(newest), &mut pieces);
            } else {
                pieces.push(Piece { level: None, from_ms: *from, to_ms: *to });
            }
            for piece in pieces.iter().rev() {
                let goes_on = match piece.level {
                    Some(level) => self.rollups(level, piece, number, &mut visit)?,
                    None => {
                        if let Some(complete_from) = self.records(piece, number, &mut left, &mut visit)? {
                            return Ok(Some(complete_from));
                        }
                        true
                    }
                };
                if !goes_on {
                    return Ok(None);
                }
            }
        }
        Ok(None)
    }

    /// Returns the span in which there are rollups, in whole days.
    fn recorded(&self) -> Result<(u64, u64), StoreError> {
        let sql = "SELECT (SELECT place FROM rollups WHERE place >= ?1 AND place < ?2 ORDER BY place LIMIT 1),
            (SELECT place FROM rollups WHERE place >= ?1 AND place < ?2 ORDER BY place DESC LIMIT 1)";
        let mut statement = self.connection.prepare_cached(sql)?;
        let day = Level::Day.width_ms();
        let (mut oldest, mut newest) = (u64::MAX / day * day, 0);
        for level in Level::ALL {
            let bounds = (place(level, 0), place(level, u64::MAX));
            let ends: (Option<i64>, Option<i64>) = statement.query_row(bounds, |row| Ok((row.get(0)?, row.get(1)?)))?;
            if let (Some(first), Some(last)) = ends {
                oldest = oldest.min(bucket_of(first) * level.width_ms() / day * day);
                newest = newest.max((bucket_of(last) * level.width_ms() / day + 1) * day);
            }
        }
        Ok((oldest, newest))
    }

    /// Returns the instant itself, or the nearest midnight of UTC where only days are left.
    fn snapped(&self, unix_ms: u64) -> u64 {
        if unix_ms >= self.days_only_before() {
            return unix_ms;
        }
        let day = Level::Day.width_ms();
        unix_ms.saturating_add(day / 2) / day * day
    }

    fn rollups(
        &self,
        level: Level,
        piece: &Piece,
        span: usize,
        visit: &mut impl FnMut(usize, &Key, &Part<'_>) -> Result<bool, DamagedRollup>,
    ) -> Result<bool, StoreError> {
        let mut statement =
            self.connection.prepare_cached("SELECT data FROM rollups WHERE place >= ? AND place < ?")?;
        let bounds = [piece.from_ms, piece.to_ms].map(|ms| place(level, level.bucket(ms)));
        let mut rows = statement.query(bounds)?;
        let mut goes_on = true;
        while goes_on && let Some(row) = rows.next()? {
            blob::each(row.get_ref(0)?.as_blob().map_err(rusqlite::Error::from)?, |key, body| {
                if goes_on && self.resolved.matches(&key) {
                    goes_on = visit(span, &key, &Part::Stored(body, self.depth))?;
                }
                Ok(())
            })?;
        }
        Ok(goes_on)
    }

    /// Reads records, newest first. Returns where it stopped when there were too many.
    fn records(
        &self,
        piece: &Piece,
        span: usize,
        left: &mut u64,
        visit: &mut impl FnMut(usize, &Key, &Part<'_>) -> Result<bool, DamagedRollup>,
    ) -> Result<Option<u64>, StoreError> {
        let mut before = seq::first_at(piece.to_ms);
        let lowest = seq::first_at(piece.from_ms);
        while before > lowest {
            let (end, rows) = self.chunk(before, lowest, *left)?;
            self.chunk_records((end, before), span, visit)?;
            *left = left.saturating_sub(rows);
            before = end;
            if *left == 0 && before > lowest {
                // Records of one millisecond are counted together or not at all; these are.
                return Ok(Some(seq::instant(before)));
            }
        }
        Ok(None)
    }

    /// Returns where a chunk of records ends, at the beginning of a millisecond, and how many it has.
    fn chunk(&self, before: i64, lowest: i64, left: u64) -> Result<(i64, u64), StoreError> {
        const ROWS: u64 = 20_000;
        let mut statement = self.connection.prepare_cached(
            "SELECT count(*), min(seq) FROM
                (SELECT seq FROM requests WHERE seq < ? AND seq >= ? ORDER BY seq DESC LIMIT ?)",
        )?;
        let most = ROWS.min(left.max(1));
        let (rows, end): (i64, Option<i64>) =
            statement.query_row((before, lowest, most as i64), |row| Ok((row.get(0)?, row.get(1)?)))?;
        let rows = rows.cast_unsigned();
        let end = end.filter(|_| rows >= most).map_or(lowest, |end| seq::first_at(seq::instant(end)).max(lowest));
        Ok((end, rows))
    }

    fn chunk_records(
        &self,
        (from, to): (i64, i64),
        span: usize,
        visit: &mut impl FnMut(usize, &Key, &Part<'_>) -> Result<bool, DamagedRollup>,
    ) -> Result<(), StoreError> {
        let (conditions, values) = self.resolved.sql(self.environment);
        let pattern = self.resolved.requested_model.as_deref();
        let (more, join) = match pattern {
            Some(_) => (", r.detail, m.name", "LEFT JOIN names m ON m.id = r.model"),
            None => ("", ""),
        };
        let sql = format!(
            "SELECT {}{more} FROM requests r NOT INDEXED {join} WHERE r.seq >= ? AND r.seq < ?{conditions}",
            columns::SUMMED
        );
        let mut statement = self.connection.prepare_cached(&sql)?;
        let bounds = [Value::Integer(from), Value::Integer(to)];
        let mut rows = statement.query(params_from_iter(bounds.iter().chain(&values)))?;
        while let Some(row) = rows.next()? {
            if pattern.is_some_and(|pattern| !asked_for(row, pattern)) {
                continue;
            }
            let (_, key, measured) = columns::read(row)?;
            if !visit(span, &key, &Part::Record(&measured))? {
                break;
            }
        }
        Ok(())
    }
}

/// Whether a request asked for a model by a name that a pattern stands for; its columns follow those that are summed.
fn asked_for(row: &rusqlite::Row<'_>, pattern: &str) -> bool {
    let answered = row.get_ref(23).ok().and_then(|name| name.as_str_or_null().ok().flatten());
    let detail = row.get_ref(22).ok().and_then(|detail| detail.as_blob().ok());
    let detail = detail.and_then(|bytes| detail::read(bytes).ok());
    detail.is_some_and(|detail| wildcard(pattern, detail.requested_model.or(answered).unwrap_or_default()))
}
