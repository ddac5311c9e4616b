//! Finding the records of a page. A page costs about the same whatever is asked for: the newest rows are looked at
//! first, then the rollups say in which hours there is something to find, and when [`ROWS_PER_PAGE`] rows were looked at
//! in vain, the page ends where the search is, and its cursor goes on from there.

use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension as _, params_from_iter};

use super::filter::{Resolved, wildcard};
use super::rollup::blob::DamagedRollup;
use super::rollup::write::read_marks;
use super::rollup::{Level, Marks, blob, place};
use super::{detail, seq};
use crate::StoreError;

/// The most rows that are looked at for a page.
pub(super) const ROWS_PER_PAGE: u64 = 120_000;

/// What a group of a rollup costs to look at, as a share of a row.
const GROUPS_PER_ROW: u64 = 4;

/// The first rows are looked at without asking the rollups.
const FIRST_ROWS: u64 = 1_000;
const MOST_ROWS: u64 = 16_000;

/// Up to so many callers are followed through their index, one by one.
const FEW_CALLERS: usize = 16;

/// What a search found.
pub(super) struct Found {
    /// The places of records, newest first.
    pub places: Vec<i64>,
    /// Where the search ended, when it ended before it was done: nothing at or behind this place was looked at.
    pub given_up_at: Option<i64>,
}

/// A search through the records, newest first.
pub(super) struct Search<'a> {
    pub connection: &'a Connection,
    pub environment: &'a str,
    pub resolved: &'a Resolved,
    /// The first place that is meant.
    pub lowest: i64,
    /// How many are wanted.
    pub wanted: usize,
    /// The most rows to look at.
    pub rows: u64,
}

impl Search<'_> {
    /// Returns the newest of those that are meant before a place.
    pub(super) fn run(&self, before: i64) -> Result<Found, StoreError> {
        if let Some(callers) = self.resolved.callers.as_ref().filter(|_| self.resolved.only_callers())
            && callers.list().len() <= FEW_CALLERS
        {
            return self.follow(callers.list(), before);
        }
        let mut walk =
            Walk { search: self, places: Vec::new(), at: before, rows_left: self.rows, chunk: FIRST_ROWS, held: None };
        let marks = read_marks(self.connection)?;
        walk.scan(self.lowest, true)?;
        while walk.goes_on() {
            if self.resolved.narrows() {
                walk.step_over(&marks)?;
            } else {
                walk.scan(self.lowest, false)?;
            }
        }
        let done = walk.at <= self.lowest || walk.places.len() >= self.wanted;
        Ok(Found { places: walk.places, given_up_at: (!done).then_some(walk.at) })
    }

    /// Follows the index of callers.
    fn follow(&self, callers: &[u32], before: i64) -> Result<Found, StoreError> {
        let mut places = Vec::new();
        let mut statement = self.connection.prepare_cached(
            "SELECT seq FROM requests INDEXED BY requests_by_caller WHERE caller = ? AND seq < ? AND seq >= ?
            ORDER BY seq DESC LIMIT ?",
        )?;
        for caller in callers {
            let rows = statement.query_map((caller, before, self.lowest, self.wanted as i64), |row| row.get(0))?;
            for place in rows {
                places.push(place?);
            }
        }
        places.sort_unstable_by(|one: &i64, other| other.cmp(one));
        places.truncate(self.wanted);
        Ok(Found { places, given_up_at: None })
    }
}

/// A search on its way.
struct Walk<'a, 'b> {
    search: &'a Search<'b>,
    places: Vec<i64>,
    /// Everything at or behind this place has been looked at.
    at: i64,
    rows_left: u64,
    chunk: u64,
    /// The day in which something is to be found, when one was looked at last.
    held: Option<u64>,
}

impl Walk<'_, '_> {
    fn goes_on(&self) -> bool {
        self.at > self.search.lowest && self.places.len() < self.search.wanted && self.rows_left > 0
    }

    /// Looks at the rows down to a place, or at one chunk of them.
    fn scan(&mut self, down_to: i64, one_chunk: bool) -> Result<(), StoreError> {
        let (sql, values) = self.search.resolved.sql(self.search.environment);
        let wants_model = self.search.resolved.requested_model.as_deref();
        let (columns, join) = match wants_model {
            Some(_) => ("r.seq, r.detail, m.name", "LEFT JOIN names m ON m.id = r.model"),
            None => ("r.seq", ""),
        };
        let sql = format!(
            "SELECT {columns} FROM requests r NOT INDEXED {join} WHERE r.seq < ? AND r.seq >= ?{sql}
            ORDER BY r.seq DESC"
        );
        let mut statement = self.search.connection.prepare_cached(&sql)?;
        while self.at > down_to && self.goes_on() {
            let (end, rows) = self.next_chunk(down_to)?;
            let bounds = [Value::Integer(self.at), Value::Integer(end)];
            let mut found = statement.query(params_from_iter(bounds.iter().chain(&values)))?;
            while self.places.len() < self.search.wanted
                && let Some(row) = found.next()?
            {
                if wants_model.is_none_or(|pattern| asked_for(row, pattern)) {
                    self.places.push(row.get(0)?);
                }
            }
            self.at = end;
            self.rows_left = self.rows_left.saturating_sub(rows);
            self.chunk = (self.chunk * 4).min(MOST_ROWS);
            if one_chunk {
                break;
            }
        }
        Ok(())
    }

    /// Returns where the next chunk ends, and how many rows it has.
    fn next_chunk(&self, down_to: i64) -> Result<(i64, u64), StoreError> {
        let mut statement = self.search.connection.prepare_cached(
            "SELECT count(*), min(seq) FROM
                (SELECT seq FROM requests WHERE seq < ? AND seq >= ? ORDER BY seq DESC LIMIT ?)",
        )?;
        let chunk = self.chunk.min(self.rows_left);
        let (rows, lowest): (i64, Option<i64>) =
            statement.query_row((self.at, down_to, chunk as i64), |row| Ok((row.get(0)?, row.get(1)?)))?;
        let rows = rows.cast_unsigned();
        Ok((lowest.filter(|_| rows >= chunk).unwrap_or(down_to), rows))
    }

    /// Steps over a bucket in which nothing is to be found, or looks at the rows of the next in which something may be.
    fn step_over(&mut self, marks: &Marks) -> Result<(), StoreError> {
        let at_ms = seq::instant(self.at - 1) + 1;
        for level in [Level::Day, Level::Hour, Level::Quarter] {
            let bucket = (at_ms - 1) / level.width_ms();
            // A bucket that is looked at from its middle tells as well whether its other half is worth a look.
            if !marks.has(level, bucket) {
                continue;
            }
            if level == Level::Day && self.held == Some(bucket) {
                continue;
            }
            let start = seq::first_at(bucket * level.width_ms()).max(self.search.lowest);
            let (found, groups) = self.holds(level, bucket)?;
            self.rows_left = self.rows_left.saturating_sub(groups / GROUPS_PER_ROW + 1);
            if !found {
                self.at = start.min(self.at);
                return Ok(());
            }
            if level == Level::Day {
                self.held = Some(bucket);
            }
            if level == Level::Quarter {
                return self.scan(start, false);
            }
        }
        // No bucket says anything of this quarter of an hour.
        let start = (at_ms - 1) / Level::Quarter.width_ms() * Level::Quarter.width_ms();
        self.scan(seq::first_at(start).max(self.search.lowest), false)
    }

    /// Whether a bucket has a group that is meant, and how many were looked at.
    fn holds(&self, level: Level, bucket: u64) -> Result<(bool, u64), StoreError> {
        let mut statement = self.search.connection.prepare_cached("SELECT data FROM rollups WHERE place = ?")?;
        let mut groups = 0;
        let mut found = false;
        statement
            .query_row([place(level, bucket)], |row| {
                let data = row.get_ref(0)?.as_blob()?;
                Ok(blob::each(data, |key, _| {
                    groups += 1;
                    found = found || self.search.resolved.matches(&key);
                    // One is enough: there is no other way out of a visit.
                    if found { Err(DamagedRollup) } else { Ok(()) }
                }))
            })
            .optional()?
            .filter(|_| !found)
            .transpose()?;
        Ok((found, groups))
    }
}

/// Whether a request asked for a model by a name that a pattern stands for.
fn asked_for(row: &rusqlite::Row<'_>, pattern: &str) -> bool {
    let answered = row.get_ref(2).ok().and_then(|name| name.as_str_or_null().ok().flatten());
    let detail =
        row.get_ref(1).ok().and_then(|detail| detail.as_blob().ok()).and_then(|bytes| detail::read(bytes).ok());
    // A record that cannot be read is not hidden: showing it says what is wrong.
    detail.is_none_or(|detail| wildcard(pattern, detail.requested_model.or(answered).unwrap_or_default()))
}
