//! API keys: every field is checked, and a faulty one never makes a key stronger.

use std::sync::Arc;

use ir::id::ResourceId;

use super::Report;
use super::environment::content_days;
use super::limit::{Within, compile_limit};
use super::plan::MAX_LIMITS;
use super::text::{check_label, check_line, check_prose, log_content};
use crate::limit::rule::{Limit, Scope};
use crate::problem::{Origin, Problem, did_you_mean};
use crate::snapshot::{CompiledKey, KeyStatus, LogContent, Network, Snapshot};
use crate::spec::Entry;
use crate::spec::key::KeySpec;
use crate::spec::timestamp::Timestamp;

/// The most entries of a list that every request of the key may have to walk through.
const MAX_LISTED: usize = 1_000;

/// The most labels, and the most cost tags.
const MAX_LABELS: usize = 64;

/// The most characters of a description.
pub(super) const MAX_DESCRIPTION: usize = 1_000;

/// The most characters of an owner: as many as an email address has (RFC 3696, erratum 1690, rounded up).
const MAX_OWNER: usize = 320;

/// The most characters of a team's name.
const MAX_TEAM: usize = 128;

/// What is known of a key beside what people write.
#[derive(Clone, Debug)]
pub struct KeyIdentity {
    /// Its resource.
    pub id: ResourceId,
    /// The environment it belongs to.
    pub environment: Arc<str>,
    /// Whether it may be used, as far as it is not what people write: a key that is not enabled is switched off.
    pub status: KeyStatus,
    /// The present (Unix milliseconds), to warn of a key that has expired already; 0 to warn of none.
    pub now_unix_ms: u64,
}

/// Compiles a key, named by the entry, and returns it with everything that is wrong with it.
///
/// Whoever stores what people write refuses it when there is an error among the problems. Whoever compiles a stored key
/// again goes on: what was wrong or is so by now (a model may be gone) restricts the key, or is left out where it gives
/// no right. The names of providers and models are checked against the snapshot, when there is one.
pub fn compile_key<'s>(
    entry: &Entry<KeySpec>,
    row: KeyIdentity,
    snapshot: impl Into<Option<&'s Snapshot>>,
) -> (CompiledKey, Vec<Problem>) {
    let Entry { name, spec, origin } = entry;
    let mut report = Report::default();
    let snapshot = snapshot.into();
    if let Some(snapshot) = snapshot {
        check_rights(spec, origin, snapshot, &mut report);
    }
    check_words(spec, origin, &mut report);
    check_labels(spec, origin, &mut report);
    check_management(spec, origin, &mut report);
    let expires_unix_ms = spec.expires_at.map(Timestamp::unix_ms);
    if expires_unix_ms.is_some_and(|expires| expires <= row.now_unix_ms) {
        report.warn(origin, "expires_at", "in the past: the key has expired already");
    }
    // In lower case they are found at the first try.
    let lower = |names: &[String]| names.iter().map(|name| name.trim().to_ascii_lowercase().into()).collect();
    let key = CompiledKey {
        id: Some(row.id),
        name: Arc::from(name.as_str()),
        environment: row.environment,
        status: if row.status == KeyStatus::Active && !spec.enabled { KeyStatus::Disabled } else { row.status },
        expires_unix_ms,
        providers: lower(&spec.providers),
        models: lower(&spec.models),
        team: spec.team.as_deref().map(Arc::from),
        labels: Arc::new(
            spec.labels.iter().map(|(name, label)| (name.as_str().into(), label.as_str().into())).collect(),
        ),
        cost_tags: spec.cost_tags.iter().map(|tag| Arc::from(tag.as_str())).collect(),
        allowed_networks: networks(spec, origin, &mut report),
        surfaces: surfaces(spec, origin, &mut report),
        // A word that means nothing keeps nothing.
        log_content: spec
            .log_content
            .as_deref()
            .map(|word| log_content(word, origin, &mut report).unwrap_or(LogContent::Off)),
        limits: limits(entry, snapshot, &mut report),
        plan: plan(spec, origin, snapshot, &mut report),
        owner: Some(spec.owner.as_str()).filter(|owner| !owner.is_empty()).map(Arc::from),
        management: spec.management,
        content_days: content_days(&spec.retention, origin, &mut report),
    };
    (key, report.problems)
}

/// Checks that providers and models exist. A name that does not gives no right, so that a list of such names alone
/// gives none at all.
fn check_rights(spec: &KeySpec, origin: &Origin, snapshot: &Snapshot, report: &mut Report) {
    for (index, name) in spec.providers.iter().enumerate() {
        if snapshot.provider_named(name).is_none() {
            let hint = did_you_mean(name, snapshot.provider_names.keys().map(|name| &**name));
            report.add_hint(
                origin,
                &format!("providers[{index}]"),
                "no configured provider has this name or kind",
                hint,
            );
        }
    }
    for (index, name) in spec.models.iter().enumerate() {
        if snapshot.resolve(name).is_empty() {
            let hint = if super::RESERVED_NAMES.contains(&name.trim().to_ascii_lowercase().as_str()) {
                Some("a policy chooses among the models that the key may use: list those".to_owned())
            } else {
                did_you_mean(name, snapshot.names.keys().map(|name| &**name))
            };
            report.add_hint(origin, &format!("models[{index}]"), "no provider serves this model", hint);
        }
    }
}

/// Checks that a key which asks no model has no rights to any.
fn check_management(spec: &KeySpec, origin: &Origin, report: &mut Report) {
    let said = [
        ("providers", !spec.providers.is_empty()),
        ("models", !spec.models.is_empty()),
        ("surfaces", !spec.surfaces.is_empty()),
        ("limits", !spec.limits.is_empty()),
    ];
    for (field, _) in said.into_iter().filter(|(_, said)| *said && spec.management) {
        let hint = "leave it out: it calls /api/v1 alone".to_owned();
        report.add_hint(origin, field, "a management key asks no model", Some(hint));
    }
}

/// Checks what people say of the key.
fn check_words(spec: &KeySpec, origin: &Origin, report: &mut Report) {
    check_prose(&spec.description, MAX_DESCRIPTION, origin, "description", report);
    check_line(&spec.owner, MAX_OWNER, origin, "owner", report);
    if let Some(team) = &spec.team {
        if team.trim().is_empty() {
            let hint = "leave it out for a key without a team".to_owned();
            report.add_hint(origin, "team", "empty", Some(hint));
        }
        check_line(team, MAX_TEAM, origin, "team", report);
    }
    let lists =
        [("providers", &spec.providers), ("models", &spec.models), ("allowed_networks", &spec.allowed_networks)];
    for (field, list) in lists {
        if list.len() > MAX_LISTED {
            report.add(origin, field, format!("too many: at most {MAX_LISTED}"));
        }
        for (index, _) in list.iter().enumerate().filter(|(_, name)| name.trim().is_empty()) {
            report.add(origin, &format!("{field}[{index}]"), "empty");
        }
    }
}

fn check_labels(spec: &KeySpec, origin: &Origin, report: &mut Report) {
    for (field, count) in [("labels", spec.labels.len()), ("cost_tags", spec.cost_tags.len())] {
        if count > MAX_LABELS {
            report.add(origin, field, format!("too many: at most {MAX_LABELS}"));
        }
    }
    for (name, label) in &spec.labels {
        // A name that is none is not repeated: it may hold anything.
        let before = report.problems.len();
        check_label(name, origin, "labels", report);
        if report.problems.len() == before {
            check_label(label, origin, &format!("labels.{name}"), report);
        }
    }
    for (index, tag) in spec.cost_tags.iter().enumerate() {
        let field = format!("cost_tags[{index}]");
        check_label(tag, origin, &field, report);
        if spec.cost_tags.iter().take(index).any(|other| other == tag) {
            report.add(origin, &field, "the same tag twice");
        }
    }
}

/// Reads the networks. A list of which no entry can be read lets nobody in.
fn networks(spec: &KeySpec, origin: &Origin, report: &mut Report) -> Vec<Network> {
    let mut networks = Vec::with_capacity(spec.allowed_networks.len());
    for (index, text) in spec.allowed_networks.iter().enumerate() {
        let field = format!("allowed_networks[{index}]");
        let (message, hint) = match Network::parse(text.trim()) {
            Ok(network) => {
                networks.push(network);
                continue;
            }
            Err(fault) => fault.told(),
        };
        report.add_hint(origin, &field, message, Some(hint));
    }
    if networks.is_empty() && !spec.allowed_networks.is_empty() {
        networks.push(Network::NOBODY);
    }
    networks
}

/// Reads the surfaces. One that does not exist gives no right.
fn surfaces(spec: &KeySpec, origin: &Origin, report: &mut Report) -> Vec<Box<str>> {
    let names = ir::surface::NAMES;
    for (index, name) in spec.surfaces.iter().enumerate() {
        if !names.contains(&name.as_str()) {
            let message = format!("not a surface: they are {}", names.join(", "));
            report.add_hint(origin, &format!("surfaces[{index}]"), message, did_you_mean(name, names));
        }
    }
    let mut surfaces: Vec<Box<str>> = Vec::with_capacity(spec.surfaces.len().min(names.len()));
    for name in &spec.surfaces {
        if surfaces.len() <= names.len() && !surfaces.iter().any(|other| **other == **name) {
            surfaces.push(name.as_str().into());
        }
    }
    surfaces
}

/// Compiles the key's own limits. One that cannot be read lets nothing through.
fn limits(entry: &Entry<KeySpec>, snapshot: Option<&Snapshot>, report: &mut Report) -> Vec<Arc<Limit>> {
    let Entry { name, spec, origin } = entry;
    if spec.limits.len() > MAX_LIMITS {
        report.add(origin, "limits", format!("too many: at most {MAX_LIMITS}"));
    }
    let within = snapshot.map_or(Within::Anything, Within::Snapshot);
    let own = Scope::Key(Some(name.as_str().into()));
    let compile = |(index, limit)| {
        let prefix = format!("limits[{index}].");
        let rule = compile_limit(limit, origin, &prefix, Some(own.clone()), &within, report);
        Arc::new(Limit { name: format!("limits[{index}] of the key").into(), rule: rule.unwrap_or_default() })
    };
    spec.limits.iter().enumerate().take(MAX_LIMITS + 1).map(compile).collect()
}

/// Checks that the plan exists. Whoever asks for what a plan that does not exist allows finds that it allows nothing.
fn plan(spec: &KeySpec, origin: &Origin, snapshot: Option<&Snapshot>, report: &mut Report) -> Option<Arc<str>> {
    let name = spec.plan.as_deref()?;
    if let Some(snapshot) = snapshot.filter(|snapshot| !snapshot.plans.contains_key(name)) {
        let hint = did_you_mean(name, snapshot.plans.keys().map(|name| &**name));
        report.add_hint(origin, "plan", "there is no plan of this name", hint);
    }
    Some(name.into())
}

#[cfg(test)]
mod tests;
