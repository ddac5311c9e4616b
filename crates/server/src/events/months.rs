//! Months that are closed: their requests have all ended, and their statements stay as they are.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use engine::gateway::Gateway;
use ir::money::SignedNanos;
use policy::notify::BILLING_CLOSED;
use policy::snapshot::Environment;
use serde_json::{Value, json};
use settle::events::source::{Asked, Source};
use settle::events::{Audience, Happened};
use store::StoreError;
use store::records::ledger::statement::{GroupBy, Statement, StatementQuery};
use store::records::read::RecordsReader;
use store::records::zone::Zone;

/// What the subjects of this source begin with.
const SUBJECT: &str = "month closed\n";

/// How often the calendar is looked at, in milliseconds.
const EVERY_MS: u64 = 60_000;

const DAY_MS: u64 = 86_400_000;

/// A month is closed when the longest request (`x-crossway-timeout-ms`) that began in it has ended.
const CLOSED_AFTER_MS: u64 = DAY_MS + 600_000;

/// What is longer ago is not told to those who come later.
const TOLD_WITHIN_MS: u64 = 8 * DAY_MS;

/// Looks at the calendar.
pub(super) struct Months {
    gateway: Arc<Gateway>,
    data_dir: PathBuf,
    looked_ms: u64,
    /// The first instant of the month that was told last, by subject.
    told: Option<HashMap<String, u64>>,
    fresh: Vec<(String, u64)>,
}

impl Months {
    pub(super) fn new(gateway: Arc<Gateway>, data_dir: PathBuf) -> Self {
        Self { gateway, data_dir, looked_ms: 0, told: None, fresh: Vec::new() }
    }

    /// Tells of the month before, if it is closed and nobody has heard of it.
    fn look(
        &mut self,
        environment: &Environment,
        audience: &Audience,
        asked: &mut Asked<'_>,
    ) -> Result<(), StoreError> {
        let Ok(zone) = Zone::parse(&environment.timezone) else { return Ok(()) };
        let Some((now_from, _)) = zone.month(&zone.month_of(asked.now_ms)) else { return Ok(()) };
        let closed = now_from.saturating_add(CLOSED_AFTER_MS)..now_from.saturating_add(TOLD_WITHIN_MS);
        if !closed.contains(&asked.now_ms) || !audience.wants(BILLING_CLOSED) {
            return Ok(());
        }
        let month = zone.month_of(now_from.saturating_sub(1));
        let Some(span) = zone.month(&month) else { return Ok(()) };
        let subject = format!("{SUBJECT}{}", environment.name);
        if self.told.as_ref().and_then(|told| told.get(&subject)) == Some(&span.0) {
            return Ok(());
        }
        let query = StatementQuery { environment: environment.name.to_string(), span, group_by: GroupBy::Account };
        let statement = RecordsReader::open(&self.data_dir)?.statement(&query)?;
        let moved = statement.total.requests > 0 || !statement.credits.is_empty();
        if moved {
            let data = data(environment, &zone, (&month, span), &statement);
            let happened = Happened::new(Arc::clone(&environment.name), BILLING_CLOSED, asked.now_ms, data);
            asked.batch.events.extend(happened.addressed(audience));
        }
        asked.batch.raised.push((subject.clone(), span.0));
        self.fresh.push((subject, span.0));
        Ok(())
    }
}

impl Source for Months {
    fn collect(&mut self, asked: &mut Asked<'_>) -> Result<(), StoreError> {
        self.fresh.clear();
        let Some(spool) = asked.spool.filter(|_| asked.now_ms >= self.looked_ms.saturating_add(EVERY_MS)) else {
            return Ok(());
        };
        self.looked_ms = asked.now_ms;
        if self.told.is_none() {
            let raised = spool.raised()?.into_iter().filter(|(subject, ..)| subject.starts_with(SUBJECT));
            self.told = Some(raised.map(|(subject, from_ms, _)| (subject, from_ms)).collect());
        }
        let state = self.gateway.state();
        let audiences = asked.audiences;
        for (name, audience) in audiences {
            let Some(configuration) = state.environment(name) else { continue };
            let environment = &configuration.snapshot.environment;
            if environment.billing.enabled {
                self.look(environment, audience, asked)?;
            }
        }
        Ok(())
    }

    fn written(&mut self) {
        if let Some(told) = &mut self.told {
            told.extend(self.fresh.drain(..));
        }
    }
}

fn data(
    environment: &Environment,
    zone: &Zone,
    (month, span): (&str, (u64, u64)),
    statement: &Statement,
) -> serde_json::Map<String, Value> {
    let credited: i64 = statement.credits.iter().map(|sum| sum.credits.0).sum();
    let data = json!({
        "environment": &*environment.name,
        "month": month,
        "from": zone.rfc3339(span.0),
        "to": zone.rfc3339(span.1),
        "requests": statement.total.requests,
        "charged_usd": SignedNanos(statement.total.charge()).to_string(),
        "opening_balance_usd": statement.opening.to_string(),
        "credited_usd": SignedNanos(credited).to_string(),
        "closing_balance_usd": statement.closing.to_string(),
    });
    if let Value::Object(data) = data { data } else { serde_json::Map::new() }
}
