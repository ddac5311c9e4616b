//! Requests that are over: the drainer notes them in the transaction of their records, here they are read.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use ir::settlement::Outcome;
use policy::notify::{REQUEST_COMPLETED, REQUEST_FAILED};
use serde_json::{Value, json};
use settle::events::Happened;
use settle::events::source::{Asked, Source};
use store::StoreError;
use store::records::read::RecordsReader;
use store::records::record::RequestRecord;

/// The name of how far they were read.
const MARK: &str = "requests";

/// How many are read at once.
const ROWS: usize = 200;

/// Reads the outbox of the records.
pub(super) struct Requests {
    data_dir: PathBuf,
    reader: Option<RecordsReader>,
    position: Option<u64>,
    next: u64,
    /// What the drainer may forget.
    seen: Arc<AtomicU64>,
}

impl Requests {
    pub(super) fn new(data_dir: PathBuf, seen: Arc<AtomicU64>) -> Self {
        Self { data_dir, reader: None, position: None, next: 0, seen }
    }

    fn start(&self, asked: &Asked<'_>) -> Result<u64, StoreError> {
        let end = RecordsReader::open(&self.data_dir)?.outbox_end()?;
        let mark = asked.spool.map(|spool| spool.mark(MARK)).transpose()?.flatten();
        // What nobody has ever read was noted for somebody who wants it.
        Ok(mark.unwrap_or(0).min(end))
    }
}

impl Source for Requests {
    fn collect(&mut self, asked: &mut Asked<'_>) -> Result<(), StoreError> {
        let position = match self.position {
            Some(position) => position,
            None => {
                let start = self.start(asked)?;
                *self.position.insert(start)
            }
        };
        self.next = position;
        if asked.audiences.is_empty() {
            return Ok(());
        }
        let reader = match &mut self.reader {
            Some(reader) => reader,
            none => none.insert(RecordsReader::open(&self.data_dir)?),
        };
        for row in reader.outbox(position, ROWS)? {
            self.next = row.seq;
            let Some((environment, audience)) = asked.audiences.get_key_value(row.environment.as_str()) else {
                continue;
            };
            // One that is deleted already was kept for a shorter time than it takes to announce it.
            let Some(record) = reader.get(&row.environment, row.id)? else { continue };
            let happened = happened(&record, Arc::clone(environment), asked.now_ms);
            asked.batch.events.extend(happened.addressed(audience));
        }
        if self.next != position {
            asked.batch.marks.push((MARK, self.next));
        }
        Ok(())
    }

    fn written(&mut self) {
        self.position = Some(self.next);
        self.seen.store(self.next, Ordering::Relaxed);
    }
}

fn happened(record: &RequestRecord, environment: Arc<str>, now_ms: u64) -> Happened {
    let kind = if record.outcome == Outcome::Succeeded.name() { REQUEST_COMPLETED } else { REQUEST_FAILED };
    let usage = &record.usage;
    let request_id = record.upstream_id.clone().unwrap_or_else(|| record.id.to_string());
    let data = json!({
        "environment": record.environment,
        "request_id": request_id,
        "id": record.id.to_string(),
        "key": { "id": record.key.id.map(|id| id.to_string()), "name": record.key.name },
        "team": record.team,
        "cost_tags": record.cost_tags,
        "surface": record.surface,
        "stream": record.stream,
        "requested_model": record.requested_model,
        "routed_to": record.model,
        "provider": record.provider,
        "baseline": record.baseline,
        "saved_pct": record.saved_pct,
        "usage": {
            "prompt_tokens": usage.input_tokens,
            "completion_tokens": usage.output_tokens,
            "total_tokens": usage.input_tokens.saturating_add(usage.output_tokens),
        },
        "cost_usd": record.cost_usd.map(|cost| cost.to_string()),
        "latency_ms": whole_ms(record.latency_ms),
        "attempts": record.attempts.len(),
        "outcome": record.outcome,
        "status": record.status,
        "error": record.error.as_ref().and_then(|error| error.code.clone()),
        "created_at": record.created_at,
    });
    let Value::Object(data) = data else { return Happened::new(environment, kind, now_ms, serde_json::Map::new()) };
    let (key, team) = (Some(record.key.name.clone()), record.team.clone());
    Happened { key, team, ..Happened::new(environment, kind, now_ms, data) }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a latency is a small positive number")]
fn whole_ms(latency_ms: f64) -> u64 {
    latency_ms.round() as u64
}
