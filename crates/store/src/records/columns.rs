//! Rows as the rollups see them: numbers, without the words behind them.

use ir::id::RequestId;
use ir::usage::Usage;
use rusqlite::Row;

use super::rollup::sums::{Key, Measured};
use crate::from_sql;

/// The columns that [`read`] reads, of `requests r`.
pub(super) const SUMMED: &str = "
    r.id, r.caller, r.tags, r.model, r.provider, r.surface, r.outcome, r.error_code, r.status, r.stream, r.attempts,
    r.input_tokens, r.cached_input_tokens, r.cache_write_tokens, r.output_tokens, r.reasoning_tokens,
    r.audio_input_tokens, r.audio_output_tokens, r.cost_nanos, r.baseline_cost_nanos, r.latency_us, r.first_content_us";

/// Returns when a request was made, its group, and what is summed of it.
pub(super) fn read(row: &Row<'_>) -> rusqlite::Result<(u64, Key, Measured)> {
    let number = |index| row.get::<_, Option<u32>>(index).map(Option::unwrap_or_default);
    let count = |index| row.get(index).map(from_sql);
    let optional = |index| row.get::<_, Option<i64>>(index).map(|value| value.map(from_sql));
    let key = Key {
        caller: number(1)?,
        tags: number(2)?,
        model: number(3)?,
        provider: number(4)?,
        surface: number(5)?,
        outcome: number(6)?,
        error: number(7)?,
        status: row.get(8)?,
        stream: row.get(9)?,
        fallback: row.get::<_, i64>(10)? > 1,
    };
    let usage = Usage {
        input: count(11)?,
        cached_input: count(12)?,
        cache_write: count(13)?,
        output: count(14)?,
        reasoning: count(15)?,
        audio_input: count(16)?,
        audio_output: count(17)?,
        ..Usage::default()
    };
    let measured = Measured {
        usage,
        cost_nanos: optional(18)?,
        baseline_cost_nanos: optional(19)?,
        latency_us: count(20)?,
        first_content_us: optional(21)?,
    };
    Ok((RequestId(row.get(0)?).unix_ms(), key, measured))
}
