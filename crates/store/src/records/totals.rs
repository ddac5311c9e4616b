//! What keys have used in all, kept beside the records, so that a list of keys can show it.

use ir::id::ResourceId;
use ir::money::NanoUsd;
use serde::Serialize;

use super::read::RecordsReader;
use crate::{StoreError, from_sql};

/// What a key has used since it was made.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Totals {
    /// How many requests were admitted.
    pub requests: u64,
    /// All input tokens.
    pub input_tokens: u64,
    /// All output tokens.
    pub output_tokens: u64,
    /// What the requests cost whose cost is known, US dollars.
    #[serde(serialize_with = "super::record::as_exact_dollars")]
    pub cost_usd: NanoUsd,
    /// How many requests have no known cost.
    pub unknown_cost_requests: u64,
    /// When the last one was made, Unix milliseconds.
    pub last_used_ms: u64,
}

impl RecordsReader {
    /// Returns the totals of those keys that have been used, in no order. One query, however many keys; an id is a key of
    /// one environment.
    ///
    /// # Errors
    /// When the database fails.
    pub fn totals(&self, keys: &[ResourceId]) -> Result<Vec<(ResourceId, Totals)>, StoreError> {
        let wanted: Vec<String> = keys.iter().map(|id| id.to_string().trim_start_matches("res_").to_owned()).collect();
        // A key has a caller for every name and team that it had.
        let mut statement = self.connection.prepare_cached(
            "SELECT c.key_id, sum(t.requests), sum(t.input_tokens), sum(t.output_tokens), sum(t.cost_nanos),
                sum(t.unknown_cost), max(t.last_used_ms)
            FROM json_each(?1) w CROSS JOIN callers c ON c.key_id = unhex(w.value)
                JOIN caller_totals t ON t.caller = c.id
            GROUP BY c.key_id",
        )?;
        let rows = statement.query_map([format!("{wanted:?}")], |row| {
            let count = |index: usize| row.get(index).map(from_sql);
            let totals = Totals {
                requests: count(1)?,
                input_tokens: count(2)?,
                output_tokens: count(3)?,
                cost_usd: NanoUsd(count(4)?),
                unknown_cost_requests: count(5)?,
                last_used_ms: count(6)?,
            };
            Ok((ResourceId(row.get(0)?), totals))
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }
}
