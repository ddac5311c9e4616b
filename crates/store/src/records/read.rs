//! Reading the records: newest first, a page at a time, by keyset on the id, so that a page costs the same however deep
//! it lies. Every query names its environment.

use std::path::Path;

use ir::id::RequestId;
use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension, params_from_iter};
use serde::Serialize;

use super::record::RequestRecord;
use super::{SCHEMA, find, seq};
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
        let before = match &query.cursor {
            Some(cursor) => Some(self.place_of(cursor)?),
            None => None,
        };
        let (conditions, mut values) = conditions(query, before);
        values.push(Value::Integer(i64::try_from(limit + 1).unwrap_or(i64::MAX)));
        let sql = format!("{SELECT} WHERE {conditions} ORDER BY r.seq DESC LIMIT ?");
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
        let Some(place) = find(&self.connection, id)? else { return Ok(None) };
        let sql = format!("{SELECT} WHERE r.seq = ?1 AND c.environment = ?2");
        let mut statement = self.connection.prepare_cached(&sql)?;
        let found = statement.query_row((place, environment), |row| Ok(RequestRecord::read(row))).optional()?;
        found.transpose()
    }

    /// Returns the place at which a page ended; the one it had when its record is gone.
    fn place_of(&self, cursor: &str) -> Result<i64, StoreError> {
        let id = RequestId::parse(cursor).ok_or(StoreError::BadCursor)?;
        Ok(find(&self.connection, id)?.unwrap_or_else(|| seq::wanted(id)))
    }
}

/// The columns are in the order in which [`RequestRecord::read`] reads them. The cross join makes SQLite begin with the
/// requests, whose order is the answer's.
const SELECT: &str = "
    SELECT r.id, c.environment, r.key_id, c.key_name, s.name, m.name, p.name, r.stream, r.status, o.name, e.name,
        r.input_tokens, r.cached_input_tokens, r.cache_write_tokens, r.output_tokens, r.reasoning_tokens,
        r.audio_input_tokens, r.audio_output_tokens, u.name, r.cost_nanos, b.name, r.baseline_cost_nanos, r.latency_us,
        r.first_content_us, r.detail
    FROM requests r CROSS JOIN callers c ON c.id = r.caller
        LEFT JOIN names s ON s.id = r.surface LEFT JOIN names m ON m.id = r.model
        LEFT JOIN names p ON p.id = r.provider LEFT JOIN names o ON o.id = r.outcome
        LEFT JOIN names u ON u.id = r.usage_origin LEFT JOIN names b ON b.id = r.baseline
        LEFT JOIN names e ON e.id = r.error_code";

/// Narrows a list to the rows of one key, through their index.
const OF_CALLER: &str = "r.caller = (SELECT id FROM callers WHERE environment = ? AND key_name = ?)";

/// Returns the conditions as SQL and their values in order.
fn conditions(query: &ListQuery, before: Option<i64>) -> (String, Vec<Value>) {
    let mut conditions = Vec::new();
    let mut values = vec![Value::Text(query.environment.clone())];
    match &query.key_name {
        Some(key_name) => {
            conditions.push(OF_CALLER);
            values.push(Value::Text(key_name.clone()));
        }
        None => conditions.push("c.environment = ?"),
    }
    let text = |text: &Option<String>| text.clone().map(Value::Text);
    let instant = |ms: Option<u64>| ms.map(|ms| Value::Integer(seq::first_at(ms)));
    let more = [
        ("r.model = (SELECT id FROM names WHERE name = ?)", text(&query.model)),
        ("r.provider = (SELECT id FROM names WHERE name = ?)", text(&query.provider)),
        ("r.status = ?", query.status.map(|status| Value::Integer(status.into()))),
        ("r.outcome = (SELECT id FROM names WHERE name = ?)", text(&query.outcome)),
        ("r.seq >= ?", instant(query.from_ms)),
        ("r.seq < ?", instant(query.to_ms)),
        ("r.seq < ?", before.map(Value::Integer)),
    ];
    for (sql, value) in more.into_iter().filter_map(|(sql, value)| Some((sql, value?))) {
        conditions.push(sql);
        values.push(value);
    }
    (conditions.join(" AND "), values)
}
