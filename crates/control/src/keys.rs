//! API keys. There may be a hundred thousand, so that they stay in the database: a key is read, compiled and handed to
//! the data plane by itself, whatever the others are.

use std::sync::Arc;

use policy::compile::key::{KeyIdentity, compile_key};
use policy::problem::{Origin, Problem, Severity, did_you_mean};
use policy::snapshot::{CompiledKey, KeyStatus};
use policy::spec::Entry;
use policy::spec::key::KeySpec;
use policy::spec::timestamp::Timestamp;
use serde_json::Value;
use store::resources::row::{Labels, Reference, Row, SecretRow};

use crate::document::label;
use crate::kind::{KEYS, KINDS, Kind, reader, references};
use crate::publish::Change;
use crate::refusal::Refusal;
use crate::resource::Spec;
use crate::set::Environment;

/// The form of the specs that this version writes.
pub(crate) const SCHEMA: u32 = 1;

/// Returns the row of the registry.
pub(crate) fn kind() -> Option<&'static Kind> {
    KINDS.iter().find(|kind| kind.plural == KEYS)
}

/// Returns a stored key's spec as people read it.
pub(crate) fn shown(row: &Row) -> Spec {
    let mut spec: Spec = serde_json::from_str(&row.spec).unwrap_or_default();
    spec.retain(|_, value| !value.is_null());
    spec
}

/// Returns a key with another spec.
pub(crate) fn with_spec(before: &Row, spec: &Spec, now_ms: u64) -> Row {
    Row {
        version: before.version + 1,
        updated_at_ms: now_ms,
        spec: Value::Object(spec.clone()).to_string(),
        labels: labels(spec),
        ..before.clone()
    }
}

/// Returns whether a spec is one of a key that manages others.
pub(crate) fn is_management(spec: &Spec) -> bool {
    spec.get("management").and_then(Value::as_bool).unwrap_or(false)
}

/// Checks that a key stays what its secret says that it is.
///
/// # Errors
/// [`Refusal::BadParameter`].
pub(crate) fn check_stays(before: &Row, spec: &Spec) -> Result<(), Refusal> {
    if is_management(&shown(before)) == is_management(spec) {
        return Ok(());
    }
    let message = "a key stays what it was made as: make another one".to_owned();
    Err(Refusal::BadParameter { field: "spec.management".to_owned(), message })
}

/// Returns what lists are filtered by.
pub(crate) fn labels(spec: &Spec) -> Labels {
    let text = |field: &str| spec.get(field).and_then(Value::as_str).map(str::to_owned);
    let expires: Option<Timestamp> =
        spec.get("expires_at").and_then(|value| serde::Deserialize::deserialize(value).ok());
    Labels {
        team: text("team"),
        owner: text("owner").unwrap_or_default(),
        enabled: spec.get("enabled").and_then(Value::as_bool).unwrap_or(true),
        expires_at_ms: expires.map(Timestamp::unix_ms),
    }
}

/// Returns what a key refers to.
pub(crate) fn references(row: &Row) -> Vec<Reference> {
    kind().map(|kind| references::of(kind, &row.name, &shown(row))).unwrap_or_default()
}

/// Returns the change that puts a key into effect.
pub(crate) fn change(key: CompiledKey, secrets: &[SecretRow]) -> Change {
    let secrets = secrets.iter().map(|secret| (secret.hash, secret.until_ms)).collect();
    Change::Key { key: Box::new(key), secrets }
}

/// Compiles a stored key, and says what is wrong with it. A key whose document cannot be read is switched off: what
/// restricted it may be what is lost.
pub(crate) fn compile(row: &Row, environment: Option<&Environment>) -> (CompiledKey, Vec<Problem>) {
    let mut problems = Vec::new();
    let mut origin = Origin::new(label_of(row), "spec");
    // What was checked when it was written is read at once; only what is not good any more is read field by field.
    let spec: KeySpec = serde_json::from_str(&row.spec).unwrap_or_else(|_| {
        if serde_json::from_str::<Spec>(&row.spec).is_err() {
            problems.push(origin.problem("", "the stored document is damaged: write it again"));
            return KeySpec::default();
        }
        reader::read(&shown(row), &mut origin, &mut problems)
    });
    let damaged = !problems.is_empty();
    check_team(&spec, &origin, environment, &mut problems);
    let entry = Entry { name: row.name.clone(), spec, origin };
    let status = match row.revoked_at_ms {
        Some(_) => KeyStatus::Revoked,
        None if damaged => KeyStatus::Disabled,
        None => KeyStatus::Active,
    };
    let identity = KeyIdentity { id: row.id, environment: Arc::from(row.environment.as_str()), status, now_unix_ms: 0 };
    let (key, more) = compile_key(&entry, identity, environment.and_then(|found| found.snapshot.as_deref()));
    problems.extend(more.into_iter().filter(|problem| problem.severity == Severity::Error));
    (key, problems)
}

fn check_team(spec: &KeySpec, origin: &Origin, environment: Option<&Environment>, problems: &mut Vec<Problem>) {
    let (Some(team), Some(environment)) = (&spec.team, environment) else { return };
    if !environment.documents.contains_key(&("teams", team.clone())) {
        let teams = environment.documents.keys().filter(|(kind, _)| *kind == "teams").map(|(_, name)| name.as_str());
        let hint = did_you_mean(team, teams);
        problems.push(origin.problem("team", "there is no team of this name").maybe_hint(hint));
    }
}

/// Returns how a key is called in problems.
pub(crate) fn label_of(row: &Row) -> String {
    kind().map(|kind| label(kind, &row.environment, &row.name)).unwrap_or_default()
}
