//! What somebody may do to a key who may change keys and not what limits them: a developer with their own, a team admin with
//! those outside of their teams. They may make a key weaker and never stronger, and keep it where others bind it.

use policy::compile::limit::own_rule;
use policy::limit::rule::{Enforce, Rule};
use policy::spec::key::KeySpec;
use policy::spec::limit::LimitSpec;
use serde_json::Value;

use super::key_verbs::administered;
use crate::access::Permission;
use crate::actor::Actor;
use crate::refusal::Refusal;
use crate::resource::Spec;

/// Checks what a key is to say. `before` is what it says now; `None` for one that is made.
///
/// # Errors
/// [`Refusal::Forbidden`] that names the field.
pub(super) fn check(actor: &Actor, environment: &str, before: Option<&Spec>, after: &Spec) -> Result<(), Refusal> {
    if actor.sees_all() {
        return Ok(());
    }
    let may = actor.role.may(Permission::WriteLimits);
    if may
        && is_managed(actor, environment, after)
        && before.is_none_or(|before| is_managed(actor, environment, before))
    {
        return Ok(());
    }
    let (before, made) = (before.map(read).transpose()?.unwrap_or_default(), before.is_none());
    let after = read(after)?;
    match stronger(&before, &after, made) {
        None => Ok(()),
        Some((field, why)) => {
            Err(Refusal::Forbidden(format!("spec.{field}: {why}; ask an operator, or the admin of the key's team")))
        }
    }
}

fn is_managed(actor: &Actor, environment: &str, spec: &Spec) -> bool {
    let team = spec.get("team").and_then(Value::as_str);
    team.is_some_and(|team| administered(actor, environment).iter().any(|other| other == team))
}

/// What cannot be read is not compared: it is refused.
fn read(spec: &Spec) -> Result<KeySpec, Refusal> {
    serde_json::from_value(Value::Object(spec.clone())).map_err(|error| {
        Refusal::Invalid(vec![policy::problem::Problem::new("key".to_owned(), "spec".to_owned(), error.to_string())])
    })
}

/// Returns the first field that would give more than there was, and why it may not.
fn stronger(before: &KeySpec, after: &KeySpec, made: bool) -> Option<(&'static str, &'static str)> {
    if before.plan != after.plan {
        return Some(("plan", "you may not choose the plan of a key"));
    }
    if made {
        return None;
    }
    if before.team.is_some() && before.team != after.team {
        return Some(("team", "you may not take a key out of its team, whose limits bind it"));
    }
    if !before.limits.iter().all(|limit| is_kept(limit, &after.limits)) {
        return Some(("limits", "you may add limits and lower amounts, and not raise or remove what is there"));
    }
    if let Some(expires) = before.expires_at
        && after.expires_at.is_none_or(|later| later.unix_ms() > expires.unix_ms())
    {
        return Some(("expires_at", "you may not prolong the life of a key"));
    }
    if !before.enabled && after.enabled {
        return Some(("enabled", "you may not switch a key on again"));
    }
    if (before.log_content.as_ref(), &before.retention) != (after.log_content.as_ref(), &after.retention) {
        return Some(("log_content", "you may not change what is kept of a key's requests"));
    }
    let lists = [
        ("models", &before.models, &after.models),
        ("providers", &before.providers, &after.providers),
        ("allowed_networks", &before.allowed_networks, &after.allowed_networks),
        ("surfaces", &before.surfaces, &after.surfaces),
    ];
    let wider = lists.into_iter().find(|(_, before, after)| !is_within(before, after));
    wider.map(|(field, _, _)| (field, "you may shorten the list, and not widen or empty it"))
}

/// Whether a list allows nothing that it did not allow before. An empty one allows everything.
fn is_within(before: &[String], after: &[String]) -> bool {
    let normal = |text: &String| text.trim().to_ascii_lowercase();
    before.is_empty()
        || (!after.is_empty() && after.iter().all(|one| before.iter().any(|other| normal(one) == normal(other))))
}

/// Whether a limit is still there, or a stricter one in its place. One that cannot be read stays as it is.
fn is_kept(limit: &LimitSpec, after: &[LimitSpec]) -> bool {
    let strict = |before: &Rule, after: &Rule| {
        (before.meter, before.window, &before.target) == (after.meter, after.window, &after.target)
            && after.amount <= before.amount
            && (after.enabled || !before.enabled)
            && (before.enforce == after.enforce || after.enforce == Enforce::Cluster)
    };
    match own_rule(limit) {
        Some(before) => after.iter().filter_map(own_rule).any(|after| strict(&before, &after)),
        None => after.contains(limit),
    }
}
