//! Reading the records: newest first, a page at a time, by keyset on the place in the table, so that a page costs the
//! same however deep it lies. Every query names its environment.

use std::path::Path;

use ir::id::RequestId;
use rusqlite::{Connection, OptionalExtension};
use serde::Serialize;

use super::filter::{Filter, Resolved};
use super::list::{ROWS_PER_PAGE, Search};
use super::record::RequestRecord;
use super::{SCHEMA, find, seq};
use crate::StoreError;
use ir::civil::rfc3339;

/// The most records on a page.
pub const MAX_LIMIT: usize = 200;
const DEFAULT_LIMIT: usize = 50;

/// What a cursor begins with: the version of its form.
const CURSOR: &str = "c1_";

/// Which records to list.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ListQuery {
    /// The environment.
    pub environment: String,
    /// Which of its records.
    pub filter: Filter,
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
    /// Set on a page that is not full although there may be more: the search had looked at enough rows when it was at
    /// this instant, and the next page goes on from there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub searched_back_to: Option<String>,
}

/// A connection that reads the records and cannot write. It is made on demand and used from one thread.
pub struct RecordsReader {
    pub(super) connection: Connection,
}

impl RecordsReader {
    /// Opens `records.db`, which has to exist.
    ///
    /// # Errors
    /// When it does not exist, is corrupt, or was written by a newer version.
    pub fn open(data_dir: &Path) -> Result<Self, StoreError> {
        Ok(Self { connection: SCHEMA.open_reader(data_dir)? })
    }

    /// Returns a page of records. A page may hold fewer than asked for, or none, and still have a next one.
    ///
    /// # Errors
    /// [`StoreError::BadCursor`], or when the database fails.
    pub fn list(&self, query: &ListQuery) -> Result<Page, StoreError> {
        let limit = query.limit.unwrap_or(DEFAULT_LIMIT).clamp(1, MAX_LIMIT);
        let mut before = query.filter.to_ms.map_or(i64::MAX, seq::first_at);
        if let Some(cursor) = &query.cursor {
            before = before.min(read_cursor(cursor)?);
        }
        let transaction = self.connection.unchecked_transaction()?;
        let nothing = Page { data: Vec::new(), next_cursor: None, searched_back_to: None };
        let Some(resolved) = Resolved::of(&transaction, &query.environment, &query.filter)? else {
            return Ok(nothing);
        };
        let Some(before) = self.newest(before)? else { return Ok(nothing) };
        let search = Search {
            connection: &transaction,
            environment: &query.environment,
            resolved: &resolved,
            lowest: query.filter.from_ms.map_or(self.oldest()?, seq::first_at),
            wanted: limit + 1,
            rows: ROWS_PER_PAGE,
        };
        let mut found = search.run(before)?;
        let more = found.places.len() > limit;
        found.places.truncate(limit);
        let data = self.records_at(&found.places)?;
        let end = if more { found.places.last().copied() } else { found.given_up_at };
        Ok(Page {
            data,
            next_cursor: end.map(|place| format!("{CURSOR}{place:016x}")),
            searched_back_to: end.filter(|_| !more).map(|place| rfc3339(seq::instant(place))),
        })
    }

    /// Returns one record; `None` when the environment has no such request.
    ///
    /// # Errors
    /// When the database fails.
    pub fn get(&self, environment: &str, id: RequestId) -> Result<Option<RequestRecord>, StoreError> {
        let Some(place) = find(&self.connection, id)? else { return Ok(None) };
        let found = self.records_at(&[place])?;
        Ok(found.into_iter().next().filter(|record| record.environment == environment))
    }

    fn records_at(&self, places: &[i64]) -> Result<Vec<RequestRecord>, StoreError> {
        let sql = format!("{SELECT} WHERE r.seq = ?");
        let mut statement = self.connection.prepare_cached(&sql)?;
        let read = |place: &i64| statement.query_one([place], |row| Ok(RequestRecord::read(row)))?;
        places.iter().map(read).collect()
    }

    /// Returns the place behind the newest record before one; `None` when there is none.
    fn newest(&self, before: i64) -> Result<Option<i64>, StoreError> {
        let sql = "SELECT seq + 1 FROM requests WHERE seq < ? ORDER BY seq DESC LIMIT 1";
        Ok(self.connection.prepare_cached(sql)?.query_row([before], |row| row.get(0)).optional()?)
    }

    /// Returns the place of the oldest record.
    fn oldest(&self) -> Result<i64, StoreError> {
        let sql = "SELECT coalesce(min(seq), 0) FROM requests";
        Ok(self.connection.prepare_cached(sql)?.query_row([], |row| row.get(0))?)
    }
}

/// Returns the place at which a page ended.
fn read_cursor(cursor: &str) -> Result<i64, StoreError> {
    let digits = cursor.strip_prefix(CURSOR).filter(|digits| digits.len() == 16).ok_or(StoreError::BadCursor)?;
    if !digits.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte)) {
        return Err(StoreError::BadCursor);
    }
    i64::from_str_radix(digits, 16).map_err(|_| StoreError::BadCursor)
}

/// The columns are in the order in which [`RequestRecord::read`] reads them.
const SELECT: &str = "
    SELECT r.id, c.environment, c.key_id, c.key_name, s.name, m.name, p.name, r.stream, r.status, o.name, e.name,
        r.input_tokens, r.cached_input_tokens, r.cache_write_tokens, r.output_tokens, r.reasoning_tokens,
        r.audio_input_tokens, r.audio_output_tokens, u.name, r.cost_nanos, b.name, r.baseline_cost_nanos, r.latency_us,
        r.first_content_us, r.detail, c.team, t.tags, r.charged_nanos
    FROM requests r CROSS JOIN callers c ON c.id = r.caller
        LEFT JOIN names s ON s.id = r.surface LEFT JOIN names m ON m.id = r.model
        LEFT JOIN names p ON p.id = r.provider LEFT JOIN names o ON o.id = r.outcome
        LEFT JOIN names u ON u.id = r.usage_origin LEFT JOIN names b ON b.id = r.baseline
        LEFT JOIN names e ON e.id = r.error_code LEFT JOIN tag_sets t ON t.id = r.tags";
