//! The payloads database: what was asked and what was answered, of the keys that keep it. It is a file of its own, as it
//! is large, lives shorter than the records and may be deleted by itself.
//!
//! Bodies are compressed. What is in them was decided before: nothing here redacts or cuts.

use std::path::Path;

use ir::id::RequestId;
use rusqlite::{Connection, OptionalExtension as _, TransactionBehavior};

use crate::records::seq;
use crate::{Schema, StoreError, from_sql, to_sql};

mod squeeze;

pub(crate) const SCHEMA: Schema = Schema {
    file: "payloads.db",
    page_bytes: 16384,
    synchronous: "NORMAL",
    migrations: &[
        include_str!("../migrations/payloads/0001_payloads.sql"),
        include_str!("../migrations/payloads/0002_until.sql"),
    ],
};

/// How many payloads are looked at or deleted in one transaction.
const ROWS_AT_ONCE: i64 = 50;

/// What is kept of a request's content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// All of it, as it was.
    Full,
    /// All of it, with what looks like a secret or personal data replaced.
    Redacted,
    /// Nothing: too much was waiting to be written.
    Dropped,
}

/// One body.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Part {
    /// What is kept of it.
    pub data: Vec<u8>,
    /// How many bytes passed.
    pub bytes: u64,
    /// Whether `data` is only its beginning.
    pub cut: bool,
}

/// The content of one request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredPayload {
    /// The request.
    pub id: RequestId,
    /// Its environment.
    pub environment: String,
    /// Until when it is kept, Unix milliseconds; `None` for as long as its environment says.
    pub until_ms: Option<u64>,
    /// What is kept.
    pub state: State,
    /// What was asked.
    pub request: Option<Part>,
    /// What was answered, as far as it was sent.
    pub response: Option<Part>,
}

/// The one writer of the payloads database.
pub struct Payloads {
    connection: Connection,
}

impl Payloads {
    /// Opens `payloads.db` and creates it when it does not exist.
    ///
    /// # Errors
    /// When it cannot be opened, is corrupt, or was written by a newer version.
    pub fn open(data_dir: &Path) -> Result<Self, StoreError> {
        Ok(Self { connection: SCHEMA.open_writer(data_dir)? })
    }

    /// Writes payloads in one transaction. One that is there already stays.
    ///
    /// # Errors
    /// When the database fails; then none was written.
    pub fn write(&mut self, payloads: &[StoredPayload]) -> Result<(), StoreError> {
        let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        {
            let mut insert = transaction.prepare_cached(
                "INSERT OR IGNORE INTO payloads VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
            )?;
            for payload in payloads {
                if find(&transaction, payload.id)?.is_some() {
                    continue;
                }
                let bytes = |part: &Option<Part>| part.as_ref().map(|part| to_sql(part.bytes));
                let cut = |part: &Option<Part>| part.as_ref().is_some_and(|part| part.cut);
                let data = |part: &Option<Part>| part.as_ref().map(|part| squeeze::squeeze(&part.data));
                let (request, response) = (data(&payload.request), data(&payload.response));
                let mut place = seq::wanted(payload.id);
                while insert.execute((
                    place,
                    payload.id.0,
                    &payload.environment,
                    payload.state as i64,
                    bytes(&payload.request),
                    cut(&payload.request),
                    bytes(&payload.response),
                    cut(&payload.response),
                    &request,
                    &response,
                    payload.until_ms.map(to_sql),
                ))? == 0
                {
                    place = seq::after(place);
                }
            }
        }
        transaction.commit()?;
        Ok(())
    }

    /// Deletes some of those that are kept until an instant that has come, and returns how many.
    ///
    /// # Errors
    /// When the database fails; then none was deleted.
    pub fn sweep_kept(&mut self, now_ms: u64) -> Result<usize, StoreError> {
        let deleted = self
            .connection
            .prepare_cached(
                "DELETE FROM payloads WHERE seq IN
                    (SELECT seq FROM payloads WHERE until_ms <= ?1 ORDER BY until_ms LIMIT ?2)",
            )?
            .execute((to_sql(now_ms), ROWS_AT_ONCE))?;
        Ok(deleted)
    }

    /// Deletes some of those that an environment made before an instant, and returns how many; 0 when there are none left.
    ///
    /// # Errors
    /// When the database fails; then none was deleted.
    pub fn sweep(&mut self, environment: &str, before_ms: u64) -> Result<usize, StoreError> {
        let deleted = self
            .connection
            .prepare_cached(
                "DELETE FROM payloads WHERE seq IN
                    (SELECT seq FROM payloads WHERE seq < ?1 AND environment = ?2 AND until_ms IS NULL ORDER BY seq LIMIT ?3)",
            )?
            .execute((seq::first_at(before_ms), environment, ROWS_AT_ONCE))?;
        Ok(deleted)
    }

    /// Does so with those of every other environment than these, which are deleted ones.
    ///
    /// # Errors
    /// When the database fails; then none was deleted.
    pub fn sweep_others(&mut self, known: &[String], before_ms: u64) -> Result<usize, StoreError> {
        let deleted = self
            .connection
            .prepare_cached(
                "DELETE FROM payloads WHERE seq IN
                    (SELECT seq FROM payloads WHERE seq < ?1 AND environment NOT IN (SELECT value FROM json_each(?2))
                     ORDER BY seq LIMIT ?3)",
            )?
            .execute((seq::first_at(before_ms), serde_json::Value::from(known).to_string(), ROWS_AT_ONCE))?;
        Ok(deleted)
    }
}

/// A connection that reads payloads and cannot write.
pub struct PayloadsReader {
    connection: Connection,
}

impl PayloadsReader {
    /// Opens `payloads.db`; `None` when nothing was ever kept.
    ///
    /// # Errors
    /// When it is corrupt, or was written by a newer version.
    pub fn open(data_dir: &Path) -> Result<Option<Self>, StoreError> {
        Ok(SCHEMA.open_reader_if_made(data_dir)?.map(|connection| Self { connection }))
    }

    /// Returns what is kept of a request; `None` when nothing is.
    ///
    /// # Errors
    /// When the database fails, or a body cannot be unpacked.
    pub fn get(&self, environment: &str, id: RequestId) -> Result<Option<StoredPayload>, StoreError> {
        let Some(place) = find(&self.connection, id)? else { return Ok(None) };
        let mut statement = self.connection.prepare_cached(
            "SELECT state, request_bytes, request_cut, request, response_bytes, response_cut, response, until_ms
            FROM payloads WHERE seq = ?1 AND environment = ?2",
        )?;
        let row = statement.query_row((place, environment), |row| {
            let part = |at: usize| -> rusqlite::Result<Option<Part>> {
                let Some(bytes) = row.get::<_, Option<i64>>(at)? else { return Ok(None) };
                let data = row.get::<_, Option<Vec<u8>>>(at + 2)?.unwrap_or_default();
                Ok(Some(Part { bytes: from_sql(bytes), cut: row.get(at + 1)?, data }))
            };
            let state = match row.get(0)? {
                0 => State::Full,
                1 => State::Redacted,
                _ => State::Dropped,
            };
            let until_ms = row.get::<_, Option<i64>>(7)?.map(from_sql);
            let environment = environment.to_owned();
            Ok(StoredPayload { id, environment, until_ms, state, request: part(1)?, response: part(4)? })
        });
        let Some(mut payload) = row.optional()? else { return Ok(None) };
        for part in [&mut payload.request, &mut payload.response].into_iter().flatten() {
            part.data = squeeze::unsqueeze(&part.data).ok_or(StoreError::Corrupt { file: SCHEMA.file })?;
        }
        Ok(Some(payload))
    }
}

/// Returns the place of a payload in the table.
fn find(connection: &Connection, id: RequestId) -> Result<Option<i64>, StoreError> {
    let mut statement =
        connection.prepare_cached("SELECT seq FROM payloads WHERE seq BETWEEN ?1 AND ?2 AND id = ?3")?;
    let places = seq::places(id);
    Ok(statement.query_row((places.start(), places.end(), id.0), |row| row.get(0)).optional()?)
}

#[cfg(test)]
mod tests;
