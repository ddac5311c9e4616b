//! The records database: what happened. It is a file of its own, so that traffic never waits for an admin request, and
//! it has one writer, the drainer of the journal.
//!
//! A batch of settlements and the journal's watermarks are committed together, and a row that exists already is left
//! alone: delivering a batch twice changes nothing.

use std::collections::HashSet;
use std::path::Path;

use ir::id::RequestId;
use ir::settlement::Settlement;
use rusqlite::{CachedStatement, Connection, Transaction, TransactionBehavior};

use crate::{Schema, StoreError, from_sql, to_sql};

mod attempts;
pub mod civil;
pub mod read;
pub mod record;

const SCHEMA: Schema = Schema {
    file: "records.db",
    page_bytes: 8192,
    migrations: &[include_str!("../migrations/records/0001_requests.sql")],
};

/// The random id of a journal segment.
pub type SegmentId = [u8; 16];

/// The one writer of the records database.
pub struct Records {
    connection: Connection,
    /// Holds the attempts of one row as JSON, and is reused for the next.
    attempts: Vec<u8>,
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
        Ok(Self { connection, attempts: Vec::with_capacity(1_024) })
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
        let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        if !batch.is_empty() {
            let mut insert = transaction.prepare_cached(INSERT)?;
            for settlement in batch {
                bind(&mut insert, settlement, &mut self.attempts)?;
                insert.raw_execute()?;
            }
        }
        write_watermarks(&transaction, watermarks, forget)?;
        transaction.commit()?;
        Ok(())
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
        let mut statement = self.connection.prepare_cached("SELECT 1 FROM requests WHERE id = ?1")?;
        let mut found = HashSet::new();
        for id in ids {
            if statement.exists([id.0])? {
                found.insert(*id);
            }
        }
        Ok(found)
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

/// The columns are in the order of the table, which is also the order of [`bind`].
const INSERT: &str = "INSERT OR IGNORE INTO requests VALUES
    (?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12,?13,?14,?15,?16,?17,?18,?19,?20,?21,?22,?23,?24,?25,?26,?27,?28,?29,?30)";

fn bind(insert: &mut CachedStatement<'_>, settlement: &Settlement, buffer: &mut Vec<u8>) -> Result<(), StoreError> {
    let Settlement { subject, usage, .. } = settlement;
    insert.raw_bind_parameter(1, subject.id.0)?;
    insert.raw_bind_parameter(2, &*subject.environment)?;
    insert.raw_bind_parameter(3, subject.key.map(|id| id.0))?;
    insert.raw_bind_parameter(4, &*subject.key_name)?;
    insert.raw_bind_parameter(5, &*subject.surface)?;
    insert.raw_bind_parameter(6, &*subject.requested_model)?;
    insert.raw_bind_parameter(7, settlement.model.as_deref())?;
    insert.raw_bind_parameter(8, settlement.provider.as_deref())?;
    insert.raw_bind_parameter(9, subject.stream)?;
    insert.raw_bind_parameter(10, settlement.status)?;
    insert.raw_bind_parameter(11, settlement.outcome.name())?;
    insert.raw_bind_parameter(12, settlement.error_code.as_deref())?;
    insert.raw_bind_parameter(13, settlement.error_detail.as_deref())?;
    insert.raw_bind_parameter(14, settlement.finish_reason.as_deref())?;
    insert.raw_bind_parameter(15, settlement.upstream_id.as_deref())?;
    insert.raw_bind_parameter(16, to_sql(usage.input))?;
    insert.raw_bind_parameter(17, to_sql(usage.cached_input))?;
    insert.raw_bind_parameter(18, to_sql(usage.cache_write))?;
    insert.raw_bind_parameter(19, to_sql(usage.output))?;
    insert.raw_bind_parameter(20, to_sql(usage.reasoning))?;
    insert.raw_bind_parameter(21, to_sql(usage.audio_input))?;
    insert.raw_bind_parameter(22, to_sql(usage.audio_output))?;
    insert.raw_bind_parameter(23, settlement.usage_origin.name())?;
    insert.raw_bind_parameter(24, settlement.cost.map(|cost| to_sql(cost.0)))?;
    insert.raw_bind_parameter(25, settlement.baseline.as_deref())?;
    insert.raw_bind_parameter(26, settlement.baseline_cost.map(|cost| to_sql(cost.0)))?;
    insert.raw_bind_parameter(27, to_sql(settlement.latency_us))?;
    insert.raw_bind_parameter(28, settlement.first_content_us.map(to_sql))?;
    insert.raw_bind_parameter(29, to_sql(subject.admitted_unix_ms))?;
    insert.raw_bind_parameter(30, attempts::write(buffer, &settlement.attempts))?;
    Ok(())
}
