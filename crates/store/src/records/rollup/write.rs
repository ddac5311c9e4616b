//! Adding the sums of a batch, and keeping the marks.

use std::collections::HashMap;

use rusqlite::{Connection, OptionalExtension as _, Transaction};

use super::sums::{Key, Measured, Sums};
use super::{FastHash, Groups, Level, Mark, Marks, blob, place};
use crate::{StoreError, from_sql, to_sql};

/// The sums of a batch that are not written yet, by minute.
#[derive(Default)]
pub(crate) struct Batch {
    minutes: Vec<(u64, Counted)>,
    buffer: Vec<u8>,
}

/// Groups, their sums, and when the last request of each was made, Unix milliseconds.
type Counted = HashMap<Key, (Sums, u64), FastHash>;

/// What a batch adds to the totals of a caller.
#[derive(Default)]
struct Total {
    requests: u64,
    input_tokens: u64,
    output_tokens: u64,
    cost_nanos: u64,
    unknown_cost: u64,
    last_used_ms: u64,
}

impl Total {
    fn add(&mut self, sums: &Sums, last_ms: u64) {
        self.requests = self.requests.saturating_add(sums.requests);
        self.input_tokens = self.input_tokens.saturating_add(sums.usage.input_tokens());
        self.output_tokens = self.output_tokens.saturating_add(sums.usage.output_tokens());
        self.cost_nanos = self.cost_nanos.saturating_add(sums.cost_nanos);
        self.unknown_cost = self.unknown_cost.saturating_add(sums.unknown_cost);
        self.last_used_ms = self.last_used_ms.max(last_ms);
    }
}

impl Batch {
    /// Adds a record that was made at an instant.
    pub(crate) fn add(&mut self, unix_ms: u64, key: Key, one: &Measured) {
        let minute = Level::Minute.bucket(unix_ms);
        let index = match self.minutes.iter().rposition(|(other, _)| *other == minute) {
            Some(index) => index,
            None => {
                self.minutes.push((minute, Counted::default()));
                self.minutes.len() - 1
            }
        };
        if let Some((_, groups)) = self.minutes.get_mut(index) {
            let (sums, last_ms) = groups.entry(key).or_default();
            sums.add(one);
            *last_ms = unix_ms.max(*last_ms);
        }
    }

    /// Forgets everything.
    pub(crate) fn clear(&mut self) {
        self.minutes.clear();
    }

    /// Writes the sums: a row for every minute, and into every bucket that was folded before.
    pub(crate) fn write(&mut self, transaction: &Transaction<'_>, marks: &Marks) -> Result<(), StoreError> {
        for (minute, groups) in &self.minutes {
            let minute_ms = minute * Level::Minute.width_ms();
            let late = Level::Quarter.bucket(minute_ms) < marks.of(Level::Quarter).folded;
            if *minute >= marks.of(Level::Minute).kept || !late {
                self.buffer.clear();
                blob::write(&mut self.buffer, groups.iter().map(|(key, (sums, _))| (key, sums)));
                append(transaction, *minute, &self.buffer)?;
            }
            for level in [Level::Quarter, Level::Hour, Level::Day] {
                let bucket = level.bucket(minute_ms);
                if marks.has(level, bucket) {
                    merge_into(transaction, level, bucket, groups)?;
                }
            }
        }
        self.write_totals(transaction)?;
        self.clear();
        Ok(())
    }

    fn write_totals(&self, transaction: &Transaction<'_>) -> Result<(), StoreError> {
        let mut totals: HashMap<u32, Total, FastHash> = HashMap::default();
        for (key, (sums, last_ms)) in self.minutes.iter().flat_map(|(_, groups)| groups) {
            totals.entry(key.caller).or_default().add(sums, *last_ms);
        }
        let mut statement = transaction.prepare_cached(
            "INSERT INTO caller_totals VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) ON CONFLICT (caller) DO UPDATE SET
                requests = requests + excluded.requests,
                input_tokens = min(input_tokens, 9223372036854775807 - excluded.input_tokens) + excluded.input_tokens,
                output_tokens =
                    min(output_tokens, 9223372036854775807 - excluded.output_tokens) + excluded.output_tokens,
                cost_nanos = min(cost_nanos, 9223372036854775807 - excluded.cost_nanos) + excluded.cost_nanos,
                unknown_cost = unknown_cost + excluded.unknown_cost,
                last_used_ms = max(last_used_ms, excluded.last_used_ms)",
        )?;
        for (caller, total) in &totals {
            statement.execute((
                caller,
                to_sql(total.requests),
                to_sql(total.input_tokens),
                to_sql(total.output_tokens),
                to_sql(total.cost_nanos),
                to_sql(total.unknown_cost),
                to_sql(total.last_used_ms),
            ))?;
        }
        Ok(())
    }
}

/// Appends a row behind the last one of a minute.
fn append(connection: &Connection, minute: u64, data: &[u8]) -> Result<(), StoreError> {
    let mut statement = connection.prepare_cached(
        "INSERT INTO rollups VALUES
            (coalesce((SELECT max(place) + 1 FROM rollups WHERE place >= ?1 AND place < ?2), ?1), ?3)",
    )?;
    statement.execute((place(Level::Minute, minute), place(Level::Minute, minute + 1), data))?;
    Ok(())
}

/// Adds groups to a bucket that has been folded.
fn merge_into(connection: &Connection, level: Level, bucket: u64, groups: &Counted) -> Result<(), StoreError> {
    let mut all = Groups::default();
    let mut read = connection.prepare_cached("SELECT data FROM rollups WHERE place = ?1")?;
    let held = read.query_row([place(level, bucket)], |row| row.get::<_, Vec<u8>>(0)).optional()?;
    if let Some(data) = held {
        collect(&data, &mut all)?;
    }
    for (key, (sums, _)) in groups {
        all.entry(*key).or_default().merge(sums);
    }
    put(connection, level, bucket, &all)
}

/// Writes a bucket that has one row.
pub(super) fn put(connection: &Connection, level: Level, bucket: u64, groups: &Groups) -> Result<(), StoreError> {
    let mut data = Vec::new();
    blob::write(&mut data, groups.iter());
    connection
        .prepare_cached("INSERT OR REPLACE INTO rollups VALUES (?1, ?2)")?
        .execute((place(level, bucket), data))?;
    Ok(())
}

/// Adds what some bytes hold to groups.
pub(super) fn collect(data: &[u8], groups: &mut Groups) -> Result<(), StoreError> {
    blob::each(data, |key, body| body.add_all(groups.entry(key).or_default()))?;
    Ok(())
}

/// Reads the marks.
pub(crate) fn read_marks(connection: &Connection) -> Result<Marks, StoreError> {
    let mut marks = Marks::default();
    let mut statement = connection.prepare_cached("SELECT level, folded, kept FROM rollup_marks")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let number: i64 = row.get(0)?;
        let level = Level::ALL.into_iter().find(|level| *level as i64 == number);
        if let Some(level) = level {
            *marks.of_mut(level) = Mark { folded: from_sql(row.get(1)?), kept: from_sql(row.get(2)?) };
        }
    }
    Ok(marks)
}

/// Writes the mark of a level.
pub(super) fn write_mark(connection: &Connection, level: Level, mark: Mark) -> Result<(), StoreError> {
    connection.prepare_cached("UPDATE rollup_marks SET folded = ?2, kept = ?3 WHERE level = ?1")?.execute((
        level as i64,
        to_sql(mark.folded),
        to_sql(mark.kept),
    ))?;
    Ok(())
}
