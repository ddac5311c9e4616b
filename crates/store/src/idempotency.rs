//! The idempotency database: what became of requests that may be sent twice and must run once. It is a file of its own,
//! so that a claim never waits for the records, and it commits to the disk: a claim that a power failure forgets would
//! be a second charge.
//!
//! Names, requests and results come hashed and sealed ([`crate::seal::results`]); nothing here can read them.

use std::path::Path;

use rusqlite::{Connection, OptionalExtension as _, Transaction, TransactionBehavior};

use crate::{Schema, StoreError, from_sql, to_sql};

pub(crate) const SCHEMA: Schema = Schema {
    file: "idempotency.db",
    page_bytes: 8192,
    synchronous: "FULL",
    migrations: &[include_str!("../migrations/idempotency/0001_entries.sql")],
};

/// How many expired entries are deleted in one transaction.
const SWEPT_AT_ONCE: i64 = 500;

/// How many of the oldest results are let go of at once when there is no room.
const LET_GO_AT_ONCE: i64 = 16;

/// A keyed hash.
pub type Hash = [u8; 32];

/// What a claim finds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// Nothing: it is claimed now.
    New,
    /// Another request has the name.
    Another,
    /// The same request has it, and nothing says how it ended.
    Open,
    /// The same request has it, and this is its sealed result.
    Kept(Vec<u8>),
    /// The same request has it and is over, but its result is not kept.
    NotKept,
}

/// A request that wants to run under a name.
#[derive(Clone, Copy, Debug)]
pub struct Wanted<'a> {
    /// Its name.
    pub name: &'a Hash,
    /// Its parameters.
    pub request: &'a Hash,
    /// Its environment.
    pub environment: &'a str,
    /// From when on the name is free again, Unix milliseconds.
    pub expires_ms: u64,
}

/// The one writer of the idempotency database.
#[derive(Debug)]
pub struct Idempotency {
    connection: Connection,
}

impl Idempotency {
    /// Opens `idempotency.db` and creates it when it does not exist.
    ///
    /// # Errors
    /// When it cannot be opened, is corrupt, or was written by a newer version.
    pub fn open(data_dir: &Path) -> Result<Self, StoreError> {
        Ok(Self { connection: SCHEMA.open_writer(data_dir)? })
    }

    /// Whether a directory has such a database.
    pub fn exists(data_dir: &Path) -> bool {
        data_dir.join(SCHEMA.file).exists()
    }

    /// Does several things at once: all of them are on the disk afterwards, or none is done.
    ///
    /// # Errors
    /// What `work` says, and when the database fails.
    pub fn at_once<T>(&mut self, work: impl FnOnce(&Batch<'_>) -> Result<T, StoreError>) -> Result<T, StoreError> {
        let batch = Batch(self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?);
        let done = work(&batch)?;
        batch.0.commit()?;
        Ok(done)
    }

    /// Deletes some of what has expired, and returns how many; 0 when there is none left.
    ///
    /// # Errors
    /// When the database fails; then none was deleted.
    pub fn sweep(&mut self, now_ms: u64) -> Result<usize, StoreError> {
        let deleted = self
            .connection
            .prepare_cached(
                "DELETE FROM entries WHERE rowid IN (SELECT rowid FROM entries WHERE expires_ms <= ?1 LIMIT ?2)",
            )?
            .execute((to_sql(now_ms), SWEPT_AT_ONCE))?;
        Ok(deleted)
    }

    /// Returns how many bytes of results an environment keeps.
    ///
    /// # Errors
    /// When the database fails.
    pub fn kept_bytes(&self, environment: &str) -> Result<u64, StoreError> {
        total(&self.connection, environment)
    }
}

/// Several things that are done at once.
#[derive(Debug)]
pub struct Batch<'a>(Transaction<'a>);

impl Batch<'_> {
    /// Claims a name, when nobody has it or its time is over.
    ///
    /// # Errors
    /// When the database fails.
    pub fn claim(&self, wanted: Wanted<'_>, now_ms: u64) -> Result<Found, StoreError> {
        let found = self
            .0
            .prepare_cached("SELECT request, state, expires_ms, result FROM entries WHERE name = ?1")?
            .query_row([wanted.name], |row| {
                let (request, state, expires_ms): (Vec<u8>, i64, i64) = (row.get(0)?, row.get(1)?, row.get(2)?);
                Ok((request, state, from_sql(expires_ms), row.get::<_, Option<Vec<u8>>>(3)?))
            })
            .optional()?;
        match found {
            Some((request, state, expires_ms, result)) if expires_ms > now_ms => Ok(match (state, result) {
                _ if request != wanted.request => Found::Another,
                (0, _) => Found::Open,
                (1, Some(result)) => Found::Kept(result),
                _ => Found::NotKept,
            }),
            other => {
                if other.is_some() {
                    // Not replaced: what is deleted is counted off.
                    self.free(wanted.name)?;
                }
                self.0
                    .prepare_cached(
                        "INSERT INTO entries (name, request, environment, state, expires_ms) VALUES (?1, ?2, ?3, 0, ?4)",
                    )?
                    .execute((wanted.name, wanted.request, wanted.environment, to_sql(wanted.expires_ms)))?;
                Ok(Found::New)
            }
        }
    }

    /// Keeps the sealed result of a name that is claimed; `None` says only that it is over. Beyond `most_bytes` in its
    /// environment, results that expire sooner are let go of.
    ///
    /// # Errors
    /// When the database fails.
    pub fn keep(&self, name: &Hash, result: Option<&[u8]>, most_bytes: u64) -> Result<(), StoreError> {
        let state = if result.is_some() { 1 } else { 2 };
        let bytes = result.map_or(0, |result| to_sql(result.len() as u64));
        let environment: Option<String> = self
            .0
            .prepare_cached(
                "UPDATE entries SET state = ?2, bytes = ?3, result = ?4 WHERE name = ?1 AND state = 0
                    RETURNING environment",
            )?
            .query_row((name, state, bytes, result), |row| row.get(0))
            .optional()?;
        let Some(environment) = environment else { return Ok(()) };
        while total(&self.0, &environment)? > most_bytes {
            self.0
                .prepare_cached(
                    "UPDATE entries SET state = 2, bytes = 0, result = NULL WHERE rowid IN
                        (SELECT rowid FROM entries WHERE environment = ?1 AND bytes > 0 ORDER BY expires_ms LIMIT ?2)",
                )?
                .execute((&environment, LET_GO_AT_ONCE))?;
        }
        Ok(())
    }

    /// Forgets a name: whoever comes with it runs.
    ///
    /// # Errors
    /// When the database fails.
    pub fn free(&self, name: &Hash) -> Result<(), StoreError> {
        self.0.prepare_cached("DELETE FROM entries WHERE name = ?1")?.execute([name])?;
        Ok(())
    }
}

fn total(connection: &Connection, environment: &str) -> Result<u64, StoreError> {
    let mut statement = connection.prepare_cached("SELECT bytes FROM totals WHERE environment = ?1")?;
    let bytes: Option<i64> = statement.query_row([environment], |row| row.get(0)).optional()?;
    Ok(from_sql(bytes.unwrap_or(0)))
}

#[cfg(test)]
mod tests;
