//! The records database: what happened. It is a file of its own, so that traffic never waits for an admin request, and
//! it has one writer, the drainer of the journal.
//!
//! A batch of settlements and the journal's watermarks are committed together, and a row that exists already is left
//! alone: delivering a batch twice changes nothing.

use std::collections::{BTreeSet, HashSet};
use std::path::Path;

use ir::id::RequestId;
use ir::settlement::Settlement;
use rusqlite::{Connection, OptionalExtension as _, Transaction, TransactionBehavior};

use insert::Inserter;
use rollup::Marks;
use rollup::write::{Batch, read_marks};

use crate::{Schema, StoreError, from_sql, to_sql};

mod backfill;
pub mod beside;
mod columns;
mod cover;
mod detail;
pub mod filter;
mod insert;
pub mod ledger;
mod list;
mod names;
pub mod outbox;
pub mod read;
mod recent;
pub mod record;
pub mod retention;
pub mod rollup;
mod rows;
pub(crate) mod seq;
pub mod totals;
pub mod usage;
pub mod zone;

pub(crate) const SCHEMA: Schema = Schema {
    file: "records.db",
    page_bytes: 8192,
    synchronous: "NORMAL",
    migrations: &[
        include_str!("../migrations/records/0001_requests.sql"),
        include_str!("../migrations/records/0002_rollups.sql"),
        include_str!("../migrations/records/0003_ledger.sql"),
        include_str!("../migrations/records/0004_outbox.sql"),
        include_str!("../migrations/records/0005_counted.sql"),
    ],
};

/// The random id of a journal segment.
pub type SegmentId = [u8; 16];

/// The one writer of the records database.
pub struct Records {
    connection: Connection,
    inserter: Inserter,
    sums: Batch,
    marks: Marks,
    /// The environments whose requests are announced.
    announced: BTreeSet<String>,
}

impl Records {
    /// Opens `records.db`, creates it when it does not exist and brings its schema up to date. The first time that a
    /// file of version 1 is opened, its records are counted for the rollups, at some 200,000 a second.
    ///
    /// # Errors
    /// When it cannot be opened, is corrupt, or was written by a newer version.
    pub fn open(data_dir: &Path) -> Result<Self, StoreError> {
        let mut connection = SCHEMA.open_writer(data_dir)?;
        // A checkpoint writes a changed page once, however often it changed since the last one: 16 MiB between two
        // keeps the index pages from being written for every batch.
        connection.pragma_update_and_check(None, "wal_autocheckpoint", 2_000, |_| Ok(()))?;
        let marks = read_marks(&connection)?;
        backfill::run(&mut connection, &marks)?;
        let announced = outbox::read(&connection)?;
        Ok(Self { connection, inserter: Inserter::new(), sums: Batch::default(), marks, announced })
    }

    /// Commits settlements, their sums, the watermarks (bytes of a segment whose settlements are committed) and the
    /// removal of watermarks in one transaction. A settlement whose id is known is skipped and not summed again, and a
    /// watermark never moves back. Returns where in the batch the settlements are that were known.
    ///
    /// # Errors
    /// When the database fails; then nothing has been committed.
    pub fn commit(
        &mut self,
        batch: &[Settlement],
        watermarks: &[(SegmentId, u64)],
        forget: &[SegmentId],
    ) -> Result<Vec<usize>, StoreError> {
        let mut done = self.try_commit(batch, watermarks, forget, false);
        if let Ok(None) = done {
            self.forget_uncommitted();
            done = self.try_commit(batch, watermarks, forget, true);
        }
        if done.is_err() {
            self.forget_uncommitted();
        }
        done.map(Option::unwrap_or_default)
    }

    /// Does a small piece of the work that can wait: rollups are folded, and let go when they are too old. Returns
    /// whether there is more to do.
    ///
    /// # Errors
    /// When the database fails; then nothing has changed.
    pub fn fold(&mut self, now_ms: u64) -> Result<bool, StoreError> {
        rollup::fold::step(&mut self.connection, &mut self.marks, now_ms)
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

    /// Returns the settlements that were known. `None` when some may be and `one_by_one` is not set: then nothing has
    /// been committed.
    fn try_commit(
        &mut self,
        batch: &[Settlement],
        watermarks: &[(SegmentId, u64)],
        forget: &[SegmentId],
        one_by_one: bool,
    ) -> Result<Option<Vec<usize>>, StoreError> {
        let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let mut known = Vec::new();
        if one_by_one {
            known = self.inserter.insert_each(&transaction, batch, &mut self.sums)?;
        } else if !batch.is_empty() && !self.inserter.insert_all(&transaction, batch, &mut self.sums)? {
            return Ok(None);
        }
        beside::write(&transaction, batch)?;
        self.sums.write(&transaction, &self.marks)?;
        if !self.announced.is_empty() {
            outbox::write(&transaction, batch, &known, &self.announced)?;
        }
        write_watermarks(&transaction, watermarks, forget)?;
        transaction.commit()?;
        Ok(Some(known))
    }

    fn forget_uncommitted(&mut self) {
        self.inserter.forget();
        self.sums.clear();
    }

    /// A transaction that changes nothing is not written, hence not synced either: the marker row makes sure it is.
    fn commit_durably(&mut self, forget: &[SegmentId]) -> Result<(), StoreError> {
        self.commit(&[], &[(DURABLE_MARKER, 0)], &[])?;
        let mut all = Vec::with_capacity(forget.len() + 1);
        all.push(DURABLE_MARKER);
        all.extend_from_slice(forget);
        self.commit(&[], &[], &all)?;
        Ok(())
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
