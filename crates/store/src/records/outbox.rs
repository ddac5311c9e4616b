//! Which requests are announced: a row each in the transaction of their records, so that none is announced that is not
//! recorded, and none is forgotten. Who announces them reads here, keeps how far it came, and says so.

use std::collections::BTreeSet;

use ir::id::RequestId;
use ir::settlement::Settlement;
use rusqlite::{Connection, Transaction, TransactionBehavior};

use super::Records;
use super::read::RecordsReader;
use crate::{StoreError, from_sql, to_sql};

/// A request that is to be announced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Announced {
    /// Its place in the order of commits.
    pub seq: u64,
    /// Its environment.
    pub environment: String,
    /// The request.
    pub id: RequestId,
}

/// Returns the environments whose requests are announced.
pub(super) fn read(connection: &Connection) -> Result<BTreeSet<String>, StoreError> {
    let mut statement = connection.prepare("SELECT environment FROM announced")?;
    let found = statement.query_map([], |row| row.get(0))?;
    Ok(found.collect::<Result<_, _>>()?)
}

/// Writes down those of a batch that are announced, but for the ones that were recorded before.
pub(super) fn write(
    transaction: &Transaction<'_>,
    batch: &[Settlement],
    known: &[usize],
    announced: &BTreeSet<String>,
) -> Result<(), StoreError> {
    let mut statement = transaction.prepare_cached("INSERT INTO outbox (environment, id) VALUES (?1, ?2)")?;
    for (index, settlement) in batch.iter().enumerate() {
        let subject = &settlement.subject;
        if announced.contains(&*subject.environment) && !known.contains(&index) {
            statement.execute((&*subject.environment, subject.id.0))?;
        }
    }
    Ok(())
}

impl Records {
    /// Says whose requests are announced from now on, after a restart too.
    ///
    /// # Errors
    /// When the database fails; then nothing has changed.
    pub fn announce(&mut self, environments: &BTreeSet<String>) -> Result<(), StoreError> {
        if self.announced == *environments {
            return Ok(());
        }
        let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        transaction.execute("DELETE FROM announced", [])?;
        for environment in environments {
            transaction.execute("INSERT INTO announced (environment) VALUES (?1)", [environment])?;
        }
        transaction.commit()?;
        self.announced.clone_from(environments);
        Ok(())
    }

    /// Deletes what was announced, up to a place, and the oldest of what is more than so many. Returns how many of those
    /// were never announced.
    ///
    /// # Errors
    /// When the database fails; then nothing was deleted.
    pub fn trim_outbox(&mut self, seen: u64, most: u64) -> Result<u64, StoreError> {
        let last: Option<i64> =
            self.connection.prepare_cached("SELECT max(seq) FROM outbox")?.query_row([], |row| row.get(0))?;
        let Some(last) = last.map(from_sql) else { return Ok(0) };
        self.connection.prepare_cached("DELETE FROM outbox WHERE seq <= ?1")?.execute([to_sql(seen)])?;
        let bound = to_sql(last.saturating_sub(most));
        let dropped = self.connection.prepare_cached("DELETE FROM outbox WHERE seq <= ?1")?.execute([bound])?;
        Ok(dropped as u64)
    }
}

impl RecordsReader {
    /// Returns requests that are to be announced, behind a place.
    ///
    /// # Errors
    /// When the database fails.
    pub fn outbox(&self, after: u64, limit: usize) -> Result<Vec<Announced>, StoreError> {
        let mut statement = self
            .connection
            .prepare_cached("SELECT seq, environment, id FROM outbox WHERE seq > ?1 ORDER BY seq LIMIT ?2")?;
        let found = statement.query_map((to_sql(after), to_sql(limit as u64)), |row| {
            Ok(Announced { seq: from_sql(row.get(0)?), environment: row.get(1)?, id: RequestId(row.get(2)?) })
        })?;
        Ok(found.collect::<Result<_, _>>()?)
    }

    /// Returns the last place that was given, whether or not its row is still there.
    ///
    /// # Errors
    /// When the database fails.
    pub fn outbox_end(&self) -> Result<u64, StoreError> {
        let mut statement = self
            .connection
            .prepare_cached("SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = 'outbox'")?;
        Ok(from_sql(statement.query_row([], |row| row.get(0))?))
    }
}
