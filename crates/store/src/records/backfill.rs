//! What a file of version 1 lacks: its records are counted for the rollups when it is opened, once.

use ir::id::RequestId;
use rusqlite::{Connection, OptionalExtension as _, TransactionBehavior};

use super::rollup::Marks;
use super::rollup::write::Batch;
use super::{columns, detail};
use crate::StoreError;

/// How many rows are read at a time.
const ROWS: i64 = 5_000;

/// Counts the records that were there before the rollups, in one transaction; does nothing when there are none.
pub(super) fn run(connection: &mut Connection, marks: &Marks) -> Result<(), StoreError> {
    let through: Option<i64> =
        connection.query_row("SELECT through FROM rollup_pending", [], |row| row.get(0)).optional()?;
    let Some(through) = through else { return Ok(()) };
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let mut sums = Batch::default();
    let mut after = -1;
    loop {
        let rows = read(&transaction, after, through)?;
        let Some((last, ..)) = rows.last() else { break };
        after = *last;
        let mut update = transaction.prepare_cached("UPDATE requests SET attempts = ?2 WHERE seq = ?1")?;
        for (place, attempts, unix_ms, key, measured) in rows {
            update.execute((place, attempts))?;
            sums.add(unix_ms, key, &measured);
        }
        sums.write(&transaction, marks)?;
    }
    transaction.execute("DELETE FROM rollup_pending", [])?;
    transaction.commit()?;
    Ok(())
}

type Counted = (i64, i64, u64, super::rollup::sums::Key, super::rollup::sums::Measured);

fn read(connection: &Connection, after: i64, through: i64) -> Result<Vec<Counted>, StoreError> {
    let sql = format!(
        "SELECT {}, r.seq, r.detail FROM requests r WHERE r.seq > ?1 AND r.seq <= ?2 ORDER BY r.seq LIMIT ?3",
        columns::SUMMED
    );
    let mut statement = connection.prepare_cached(&sql)?;
    let mut found = statement.query([after, through, ROWS])?;
    let mut rows = Vec::new();
    while let Some(row) = found.next()? {
        let (unix_ms, mut key, measured) = columns::read(row)?;
        let detail = detail::read(row.get_ref(23)?.as_blob().map_err(rusqlite::Error::from)?).map_err(|source| {
            let what = row.get(0).map_or_else(|_| "a request".to_owned(), |id| RequestId(id).to_string());
            StoreError::Document { what, source }
        })?;
        key.fallback = detail.attempts.len() > 1;
        let attempts = i64::try_from(detail.attempts.len()).unwrap_or(i64::MAX);
        rows.push((row.get(22)?, attempts, unix_ms, key, measured));
    }
    Ok(rows)
}
