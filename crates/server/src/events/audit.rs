//! What people did: the audit log is the outbox, written in the transaction of the change itself.

use std::sync::Arc;

use control::kind::KEYS;
use control::plane::Plane;
use ir::civil::rfc3339;
use serde_json::{Map, Value, json};
use settle::events::Happened;
use settle::events::source::{Asked, Source};
use store::StoreError;
use store::resources::row::AuditRow;

/// The name of how far the log was read.
const MARK: &str = "audit";

/// How many entries are read at once.
const ROWS: usize = 500;

/// Reads the audit log.
pub(super) struct Audit {
    plane: Arc<Plane>,
    /// The end of the log when the process started: what is written before the first look is looked at, too.
    begin: Option<u64>,
    position: Option<u64>,
    next: u64,
}

impl Audit {
    pub(super) fn new(plane: Arc<Plane>) -> Self {
        // Where it cannot be read now, the first look says where to begin.
        let begin = plane.audit_end().ok();
        Self { plane, begin, position: None, next: 0 }
    }
}

impl Source for Audit {
    fn collect(&mut self, asked: &mut Asked<'_>) -> Result<(), StoreError> {
        let position = match self.position {
            Some(position) => position,
            None => {
                let end = self.plane.audit_end()?;
                let mark = asked.spool.map(|spool| spool.mark(MARK)).transpose()?.flatten();
                // A log that is shorter than it was comes from a backup: what it says has been told.
                *self.position.insert(mark.or(self.begin).unwrap_or(end).min(end))
            }
        };
        self.next = position;
        if asked.audiences.is_empty() && asked.spool.is_none() {
            self.next = self.plane.audit_end()?;
            return Ok(());
        }
        let rows = self.plane.audit_after(position, ROWS)?;
        for row in &rows {
            self.next = row.seq;
            let Some((environment, audience)) = asked.audiences.get_key_value(row.environment.as_str()) else {
                continue;
            };
            let happened = happened(row, Arc::clone(environment));
            asked.batch.events.extend(happened.and_then(|happened| happened.addressed(audience)));
        }
        if self.next != position {
            asked.batch.marks.push((MARK, self.next));
        }
        Ok(())
    }

    fn written(&mut self) {
        self.position = Some(self.next);
    }
}

/// Returns the event that an entry is; most are none.
fn happened(row: &AuditRow, environment: Arc<str>) -> Option<Happened> {
    match row.kind.as_str() {
        KEYS => of_key(row, environment),
        "credits" => of_credits(row, environment),
        _ => None,
    }
}

/// Returns what the log says of credits: who gives some tops up, who takes some charges.
fn of_credits(row: &AuditRow, environment: Arc<str>) -> Option<Happened> {
    let posted: Value = serde_json::from_str(row.after.as_deref()?).ok()?;
    let taken = posted["amount_usd"].as_str().is_some_and(|amount| amount.starts_with('-'));
    let kind = if taken { "billing.charged" } else { "billing.topup" };
    let data = json!({
        "environment": row.environment,
        "transfer": posted["id"],
        "kind": posted["kind"],
        "amount_usd": posted["amount_usd"],
        "balance_usd": posted["balance_usd"],
        "reference": posted["reference"],
        "actor": row.actor,
        "at": rfc3339(row.at_ms),
    });
    let Value::Object(data) = data else { return None };
    Some(Happened::new(environment, kind, row.at_ms, data))
}

fn of_key(row: &AuditRow, environment: Arc<str>) -> Option<Happened> {
    let kind = match (row.action.as_str(), &row.before) {
        ("create" | "apply", None) => "key.created",
        ("rotate", _) => "key.rotated",
        ("revoke", _) => "key.revoked",
        ("delete", _) => "key.deleted",
        _ => "key.updated",
    };
    let spec = row.after.as_ref().or(row.before.as_ref());
    let spec: Map<String, Value> = spec.and_then(|spec| serde_json::from_str(spec).ok()).unwrap_or_default();
    let text = |field: &str| spec.get(field).and_then(Value::as_str).filter(|text| !text.is_empty());
    let data = json!({
        "environment": row.environment,
        "key": { "id": row.resource_id.map(|id| id.to_string()), "name": row.name },
        "team": text("team"),
        "owner": text("owner"),
        "actor": row.actor,
        "at": rfc3339(row.at_ms),
    });
    let Value::Object(data) = data else { return None };
    let (key, team) = (Some(row.name.clone()), text("team").map(str::to_owned));
    Some(Happened { key, team, ..Happened::new(environment, kind, row.at_ms, data) })
}
