//! Reading the records: newest first, a page at a time, by keyset on the id, so that a page costs the same however deep
//! it lies. Every query names its environment.

use std::path::Path;

use ir::id::RequestId;
use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension, params_from_iter};
use serde::Serialize;

use super::SCHEMA;
use super::record::RequestRecord;
use crate::StoreError;

/// The most records on a page.
pub const MAX_LIMIT: usize = 200;
const DEFAULT_LIMIT: usize = 50;

/// Which records to list. Absent conditions do not bind.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ListQuery {
    /// The environment.
    pub environment: String,
    /// The key's name.
    pub key_name: Option<String>,
    /// The model that answered.
    pub model: Option<String>,
    /// The provider that answered.
    pub provider: Option<String>,
    /// The HTTP status that the caller saw.
    pub status: Option<u16>,
    /// How it ended, such as `succeeded`.
    pub outcome: Option<String>,
    /// Made at this instant or later, Unix milliseconds.
    pub from_ms: Option<u64>,
    /// Made before this instant, Unix milliseconds.
    pub to_ms: Option<u64>,
    /// How many, at most [`MAX_LIMIT`]; 50 when absent.
    pub limit: Option<usize>,
    /// Where the page before ended.
    pub cursor: Option<String>,
}

/// One page of records.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Page {
    /// The records, newest first.
    pub data: Vec<RequestRecord>,
    /// Where the next page begins; `None` when this is the last.
    pub next_cursor: Option<String>,
}

/// A connection that reads the records and cannot write. It is made on demand and used from one thread.
pub struct RecordsReader {
    connection: Connection,
}

impl RecordsReader {
    /// Opens `records.db`, which has to exist.
    ///
    /// # Errors
    /// When it does not exist, is corrupt, or was written by a newer version.
    pub fn open(data_dir: &Path) -> Result<Self, StoreError> {
        Ok(Self { connection: SCHEMA.open_reader(data_dir)? })
    }

    /// Returns a page of records.
    ///
    /// # Errors
    /// [`StoreError::BadCursor`], or when the database fails.
    pub fn list(&self, query: &ListQuery) -> Result<Page, StoreError> {
        let limit = query.limit.unwrap_or(DEFAULT_LIMIT).clamp(1, MAX_LIMIT);
        let (conditions, mut values) = conditions(query)?;
        values.push(Value::Integer(i64::try_from(limit + 1).unwrap_or(i64::MAX)));
        let sql = format!("SELECT * FROM requests WHERE {conditions} ORDER BY id DESC LIMIT ?");
        let mut statement = self.connection.prepare_cached(&sql)?;
        let rows = statement.query_and_then(params_from_iter(values), RequestRecord::read)?;
        let mut data = rows.collect::<Result<Vec<_>, _>>()?;
        let more = data.len() > limit;
        data.truncate(limit);
        let next_cursor = data.last().filter(|_| more).map(|last| last.id.to_string());
        Ok(Page { data, next_cursor })
    }

    /// Returns one record; `None` when the environment has no such request.
    ///
    /// # Errors
    /// When the database fails.
    pub fn get(&self, environment: &str, id: RequestId) -> Result<Option<RequestRecord>, StoreError> {
        let mut statement =
            self.connection.prepare_cached("SELECT * FROM requests WHERE id = ?1 AND environment = ?2")?;
        let found = statement.query_row((id.0, environment), |row| Ok(RequestRecord::read(row))).optional()?;
        found.transpose()
    }
}

/// Returns the conditions as SQL and their values in order. A unary plus keeps SQLite from answering the question for
/// an environment, or a status, through the index of the keys, which would have to be sorted.
fn conditions(query: &ListQuery) -> Result<(String, Vec<Value>), StoreError> {
    let text = |text: &Option<String>| text.clone().map(Value::Text);
    let instant = |ms: Option<u64>| ms.map(|ms| Value::Blob(first_id_at(ms).0.to_vec()));
    let before = match &query.cursor {
        Some(cursor) => Some(Value::Blob(RequestId::parse(cursor).ok_or(StoreError::BadCursor)?.0.to_vec())),
        None => None,
    };
    let environment = if query.key_name.is_some() { "environment = ?" } else { "+environment = ?" };
    let all = [
        (environment, Some(Value::Text(query.environment.clone()))),
        ("key_name = ?", text(&query.key_name)),
        ("model = ?", text(&query.model)),
        ("provider = ?", text(&query.provider)),
        ("status = ?", query.status.map(|status| Value::Integer(status.into()))),
        ("outcome = ?", text(&query.outcome)),
        ("id >= ?", instant(query.from_ms)),
        ("id < ?", instant(query.to_ms)),
        ("id < ?", before),
    ];
    let (sql, values): (Vec<_>, Vec<_>) = all.into_iter().filter_map(|(sql, value)| Some((sql, value?))).unzip();
    Ok((sql.join(" AND "), values))
}

/// Returns the smallest id of an instant: 48 bits of milliseconds, then zeros.
fn first_id_at(unix_ms: u64) -> RequestId {
    let time = u128::from(unix_ms.min((1 << 48) - 1));
    RequestId((time << 80).to_be_bytes())
}
