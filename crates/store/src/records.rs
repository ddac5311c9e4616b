//! The records database: what happened. It is a file of its own, so that traffic never waits for an admin request, and
//! it has one writer, the drainer of the journal.
//!
//! A batch of settlements and the journal's watermarks are committed together, and a row that exists already is left
//! alone: delivering a batch twice changes nothing.

use std::collections::HashSet;
use std::path::Path;

use ir::id::RequestId;
use ir::settlement::Settlement;
use rusqlite::{Connection, OptionalExtension as _, Transaction, TransactionBehavior};

use insert::Inserter;

use crate::{Schema, StoreError, from_sql, to_sql};

mod detail;
mod insert;
mod names;
pub mod read;
pub mod record;
mod seq;

const SCHEMA: Schema = Schema {
    file: "records.db",
    page_bytes: 8192,
    synchronous: "NORMAL",
    migrations: &[include_str!("../migrations/records/0001_requests.sql")],
};

/// The random id of a journal segment.
pub type SegmentId = [u8; 16];

/// The one writer of the records database.
pub struct Records {
    connection: Connection,
    inserter: Inserter,
}

impl Records {
    /// Opens `records.db`, creates it when it does not exist and brings its schema up to date.
    ///
    /// # Errors
    /// When it cannot be opened, is corrupt, or was written by a newer version.
    pub fn open(data_dir: &Path) -> Result<Self, StoreError> {
        let connection = SCHEMA.open_writer(data_dir)?;
        // A checkpoint writes a changed page once, however often it changed since the last one: 16 MiB between two
        // keeps the index pages from being written for every batch.
        connection.pragma_update_and_check(None, "wal_autocheckpoint", 2_000, |_| Ok(()))?;
        Ok(Self { connection, inserter: Inserter::new() })
    }

    /// Commits settlements, the watermarks (bytes of a segment whose settlements are committed) and the removal of
    /// watermarks in one transaction. A settlement whose id is known is skipped, and a watermark never moves back.
    ///
    /// # Errors
    /// When the database fails; then nothing has been committed.
    pub fn commit(
        &mut self,
        batch: &[Settlement],
        watermarks: &[(SegmentId, u64)],
        forget: &[SegmentId],
    ) -> Result<(), StoreError> {
        let done = self.try_commit(batch, watermarks, forget);
        if done.is_err() {
            self.inserter.forget();
        }
        done
    }

    /// Removes watermarks and waits until this and everything committed before is on the disk, so that the segments may
    /// be deleted. Other commits survive the death of the process at once, a power loss only after the next checkpoint.
    ///
    /// # Errors
    /// When the database fails; then the segments have to stay.
    pub fn forget_durably(&mut self, forget: &[SegmentId]) -> Result<(), StoreError> {
        self.connection.pragma_update(None, "synchronous", "FULL")?;
        let done = self.commit_durably(forget);
        self.connection.pragma_update(None, "synchronous", "NORMAL")?;
        done
    }

    /// Returns the watermark of every segment that has one, in bytes.
    ///
    /// # Errors
    /// When the database fails.
    pub fn watermarks(&self) -> Result<Vec<(SegmentId, u64)>, StoreError> {
        let mut statement = self.connection.prepare_cached("SELECT segment, offset FROM watermarks")?;
        let rows = statement.query_map([], |row| Ok((row.get(0)?, from_sql(row.get(1)?))))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Returns those of the requests that are recorded.
    ///
    /// # Errors
    /// When the database fails.
    pub fn contains(&self, ids: &[RequestId]) -> Result<HashSet<RequestId>, StoreError> {
        let mut found = HashSet::new();
        for id in ids {
            if find(&self.connection, *id)?.is_some() {
                found.insert(*id);
            }
        }
        Ok(found)
    }

    fn try_commit(
        &mut self,
        batch: &[Settlement],
        watermarks: &[(SegmentId, u64)],
        forget: &[SegmentId],
    ) -> Result<(), StoreError> {
        let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        self.inserter.insert(&transaction, batch)?;
        write_watermarks(&transaction, watermarks, forget)?;
        transaction.commit()?;
        Ok(())
    }

    /// A transaction that changes nothing is not written, hence not synced either: the marker row makes sure it is.
    fn commit_durably(&mut self, forget: &[SegmentId]) -> Result<(), StoreError> {
        self.commit(&[], &[(DURABLE_MARKER, 0)], &[])?;
        let mut all = Vec::with_capacity(forget.len() + 1);
        all.push(DURABLE_MARKER);
        all.extend_from_slice(forget);
        self.commit(&[], &[], &all)
    }
}

/// Returns the place of a request in the table.
fn find(connection: &Connection, id: RequestId) -> Result<Option<i64>, StoreError> {
    let mut statement =
        connection.prepare_cached("SELECT seq FROM requests WHERE seq BETWEEN ?1 AND ?2 AND id = ?3")?;
    let places = seq::places(id);
    Ok(statement.query_row((places.start(), places.end(), id.0), |row| row.get(0)).optional()?)
}

/// No segment has this id: segment ids are random.
const DURABLE_MARKER: SegmentId = [0; 16];

fn write_watermarks(
    transaction: &Transaction<'_>,
    watermarks: &[(SegmentId, u64)],
    forget: &[SegmentId],
) -> Result<(), StoreError> {
    if !watermarks.is_empty() {
        let mut statement = transaction.prepare_cached(
            "INSERT INTO watermarks (segment, offset) VALUES (?1, ?2)
             ON CONFLICT (segment) DO UPDATE SET offset = max(offset, excluded.offset)",
        )?;
        for (segment, offset) in watermarks {
            statement.execute((segment, to_sql(*offset)))?;
        }
    }
    if !forget.is_empty() {
        let mut statement = transaction.prepare_cached("DELETE FROM watermarks WHERE segment = ?1")?;
        for segment in forget {
            statement.execute([segment])?;
        }
    }
    Ok(())
}
