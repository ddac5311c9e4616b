//! Folding finer buckets into coarser ones, and letting go of those that nobody needs any more.
//!
//! Every call does one bucket's worth of work in a transaction of its own, so that the writer is never away for long.

use rusqlite::{Connection, OptionalExtension as _, TransactionBehavior};

use super::write::{collect, put, write_mark};
use super::{Groups, Level, Mark, Marks, bucket_of, place};
use crate::StoreError;

/// A bucket is folded when it is over for so long, in milliseconds: few requests take longer.
const GRACE_MS: u64 = 15 * 60_000;

/// How long minutes are kept, in milliseconds.
const MINUTES_KEPT_MS: u64 = 2 * 86_400_000;

/// How long quarters and hours are kept, in milliseconds.
const HOURS_KEPT_MS: u64 = 90 * 86_400_000;

/// The most rows that are deleted at once.
const DELETED_AT_ONCE: i64 = 500;

/// Folds one bucket, or deletes some that are too old; `false` when there is nothing to do.
pub(crate) fn step(connection: &mut Connection, marks: &mut Marks, now_ms: u64) -> Result<bool, StoreError> {
    for level in [Level::Quarter, Level::Hour, Level::Day] {
        if fold(connection, marks, level, now_ms)? {
            return Ok(true);
        }
    }
    let ages = [(Level::Minute, MINUTES_KEPT_MS), (Level::Quarter, HOURS_KEPT_MS), (Level::Hour, HOURS_KEPT_MS)];
    for (level, age_ms) in ages {
        // What is not in the next coarser level yet is kept.
        let coarser = if level == Level::Minute { Level::Quarter } else { Level::Day };
        let folded_ms = marks.of(coarser).folded.saturating_mul(coarser.width_ms());
        let before = level.bucket(now_ms.saturating_sub(age_ms).min(folded_ms));
        if forget(connection, marks, level, before)? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Folds the next bucket of a level, when it is over.
fn fold(connection: &mut Connection, marks: &mut Marks, level: Level, now_ms: u64) -> Result<bool, StoreError> {
    let Some(finer) = level.finer() else { return Ok(false) };
    let mut end = level.bucket(now_ms.saturating_sub(GRACE_MS));
    if finer != Level::Minute {
        end = end.min(level.bucket(marks.of(finer).folded.saturating_mul(finer.width_ms())));
    }
    let mark = marks.of(level);
    if mark.folded >= end {
        return Ok(false);
    }
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let ratio = level.width_ms() / finer.width_ms();
    let first: Option<i64> = transaction
        .prepare_cached("SELECT place FROM rollups WHERE place >= ?1 AND place < ?2 ORDER BY place LIMIT 1")?
        .query_row((place(finer, mark.folded * ratio), place(finer, end * ratio)), |row| row.get(0))
        .optional()?;
    let next = match first {
        None => Mark { folded: end, ..mark },
        Some(first) => {
            let bucket = bucket_of(first) / ratio;
            fold_bucket(&transaction, level, finer, bucket)?;
            Mark { folded: bucket + 1, ..mark }
        }
    };
    write_mark(&transaction, level, next)?;
    transaction.commit()?;
    *marks.of_mut(level) = next;
    Ok(true)
}

fn fold_bucket(connection: &Connection, level: Level, finer: Level, bucket: u64) -> Result<(), StoreError> {
    let ratio = level.width_ms() / finer.width_ms();
    let mut all = Groups::default();
    for part in bucket * ratio..(bucket + 1) * ratio {
        let mut groups = Groups::default();
        let mut rows = 0;
        {
            let mut statement =
                connection.prepare_cached("SELECT data FROM rollups WHERE place >= ?1 AND place < ?2")?;
            let mut found = statement.query([place(finer, part), place(finer, part + 1)])?;
            while let Some(row) = found.next()? {
                collect(row.get_ref(0)?.as_blob().map_err(rusqlite::Error::from)?, &mut groups)?;
                rows += 1;
            }
        }
        if rows > 1 {
            // The rows of many batches become one.
            connection
                .prepare_cached("DELETE FROM rollups WHERE place > ?1 AND place < ?2")?
                .execute([place(finer, part), place(finer, part + 1)])?;
            put(connection, finer, part, &groups)?;
        }
        for (key, sums) in &groups {
            all.entry(*key).or_default().merge(sums);
        }
    }
    put(connection, level, bucket, &all)
}

/// Deletes buckets of a level below one.
fn forget(connection: &mut Connection, marks: &mut Marks, level: Level, before: u64) -> Result<bool, StoreError> {
    let mark = marks.of(level);
    if before <= mark.kept {
        return Ok(false);
    }
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let deleted = transaction
        .prepare_cached(
            "DELETE FROM rollups WHERE place IN
                (SELECT place FROM rollups WHERE place >= ?1 AND place < ?2 ORDER BY place LIMIT ?3)",
        )?
        .execute((place(level, 0), place(level, before), DELETED_AT_ONCE))?;
    // Readers must not rely on a bucket that is partly gone: the mark moves first.
    let next = Mark { kept: before, ..mark };
    let done = deleted < usize::try_from(DELETED_AT_ONCE).unwrap_or(usize::MAX);
    write_mark(&transaction, level, next)?;
    transaction.commit()?;
    if done {
        *marks.of_mut(level) = next;
    }
    Ok(true)
}
