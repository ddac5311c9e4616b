//! The audit log: every change, and acts that change no resource, such as signing in.

use ir::civil::rfc3339;
use ir::id::ResourceId;
use serde::Serialize;
use serde_json::Value;
use store::audit::hex;
use store::resources::row::{AuditQuery as Query, AuditRow};

use super::Plane;
use super::read::{bad_cursor, page_of};
use crate::actor::{Actor, Role};
use crate::refusal::Refusal;
use crate::resource::{ListQuery, Page};

/// Which entries to list. Absent conditions do not bind.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AuditQuery {
    /// How many, 1 to 200; 50 when absent.
    pub limit: Option<usize>,
    /// Where the page before ended.
    pub cursor: Option<String>,
    /// Who did it.
    pub actor: Option<String>,
    /// What they did, such as `create`.
    pub action: Option<String>,
    /// The plural name of the kind.
    pub kind: Option<String>,
    /// The environment.
    pub environment: Option<String>,
    /// The name of the thing.
    pub name: Option<String>,
    /// At this instant or later, Unix milliseconds.
    pub from_ms: Option<u64>,
    /// Before this instant, Unix milliseconds.
    pub to_ms: Option<u64>,
}

/// An entry of the audit log. Secrets are in none.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct AuditEntry {
    /// Its number; later entries have greater ones.
    pub seq: u64,
    /// When it happened, RFC 3339 in UTC.
    pub at: String,
    /// Who did it.
    pub actor: String,
    /// Their role.
    pub role: String,
    /// Where they were.
    pub ip: Option<String>,
    /// The request; empty outside of one.
    pub request_id: String,
    /// What they did, such as `create`.
    pub action: String,
    /// The plural name of the kind; empty for acts that are about no resource.
    pub kind: String,
    /// The environment.
    pub environment: String,
    /// The name of the thing.
    pub name: String,
    /// Its identity, `res_…`.
    pub resource_id: Option<String>,
    /// Its spec before.
    pub before: Option<Value>,
    /// Its spec after.
    pub after: Option<Value>,
    /// The SHA-256 of the entry and of the one before it, in hexadecimal digits. Entries of older versions have none.
    pub hash: Option<String>,
}

/// An act that is not a change of a resource.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Act<'a> {
    /// What was done, such as `sign_in`.
    pub action: &'a str,
    /// What kind of thing it was done to; may be empty.
    pub kind: &'a str,
    /// The environment; may be empty.
    pub environment: &'a str,
    /// The name of the thing; may be empty.
    pub name: &'a str,
    /// Its identity.
    pub resource_id: Option<ResourceId>,
    /// How it was before, without secrets.
    pub before: Option<Value>,
    /// How it is, without secrets.
    pub after: Option<Value>,
}

impl Plane {
    /// Returns a page of the audit log, newest first.
    ///
    /// # Errors
    /// [`Refusal::Forbidden`] for those who do not see what everybody does, [`Refusal::BadParameter`].
    pub fn audit(&self, actor: &Actor, query: &AuditQuery) -> Result<Page<AuditEntry>, Refusal> {
        if !matches!(actor.role, Role::Auditor | Role::Operator | Role::Owner) {
            return Err(Refusal::Forbidden(format!("a {} may not read the audit log", actor.role.name())));
        }
        let (limit, _) = page_of(&ListQuery { limit: query.limit, ..ListQuery::default() })?;
        let before = query.cursor.as_deref().map(|cursor| cursor.parse().map_err(|_| bad_cursor())).transpose()?;
        let given = query.clone();
        let mut rows = self.reader().audit(&Query {
            actor: given.actor,
            action: given.action,
            kind: given.kind,
            environment: given.environment,
            name: given.name,
            from_ms: given.from_ms,
            to_ms: given.to_ms,
            before,
            limit: limit + 1,
        })?;
        let more = rows.len() > limit;
        rows.truncate(limit);
        let next_cursor = rows.last().filter(|_| more).map(|last| last.seq.to_string());
        Ok(Page { data: rows.into_iter().map(shown).collect(), next_cursor })
    }

    /// Writes down an act that is not a change of a resource.
    ///
    /// # Errors
    /// When the database cannot be used.
    pub fn record(&self, actor: &Actor, act: &Act<'_>) -> Result<(), Refusal> {
        let entry = AuditRow {
            kind: act.kind.to_owned(),
            environment: act.environment.to_owned(),
            name: act.name.to_owned(),
            resource_id: act.resource_id,
            before: act.before.as_ref().map(Value::to_string),
            after: act.after.as_ref().map(Value::to_string),
            ..self.entry(actor, act.action)
        };
        let mut writer = self.writer();
        let mut transaction = writer.begin()?;
        transaction.log(&entry)?;
        transaction.commit()?;
        Ok(())
    }
}

fn shown(row: AuditRow) -> AuditEntry {
    let parsed = |text: Option<String>| text.and_then(|text| serde_json::from_str(&text).ok());
    AuditEntry {
        seq: row.seq,
        at: rfc3339(row.at_ms),
        actor: row.actor,
        role: row.role,
        ip: row.ip,
        request_id: row.request_id,
        action: row.action,
        kind: row.kind,
        environment: row.environment,
        name: row.name,
        resource_id: row.resource_id.map(|id| id.to_string()),
        before: parsed(row.before),
        after: parsed(row.after),
        hash: row.hash.as_ref().map(hex),
    }
}
