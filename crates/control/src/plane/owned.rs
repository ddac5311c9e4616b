//! Documents that somebody owns: credentials that people bring for their own keys, and the routes of keys, which are
//! those of whoever has the key. Who does not see what everybody does sees and changes their own, and gives none away.

use serde_json::Value;
use store::resources::ResourceReader;

use super::key_verbs::visible;
use super::read::not_found;
use crate::actor::Actor;
use crate::kind::{BYOK, KEYS, Kind, ROUTES};
use crate::refusal::Refusal;
use crate::resource::Spec;

/// Whether documents of a kind have owners.
fn is_owned(kind: &Kind) -> bool {
    kind.plural == BYOK
}

/// Whether documents of a kind belong to who has the key that they name.
fn is_of_key(kind: &Kind) -> bool {
    kind.plural == ROUTES
}

/// Whether somebody sees a document. What is for everybody without one of their own is seen by everybody.
pub(super) fn sees(actor: &Actor, kind: &Kind, environment: &str, spec: &Spec, reader: &dyn ResourceReader) -> bool {
    if is_of_key(kind) {
        let key = spec.get("key").and_then(Value::as_str);
        return actor.sees_all() || key.is_none_or(|key| reaches_key(actor, environment, key, reader));
    }
    if !is_owned(kind) {
        return true;
    }
    let owner = spec.get("owner").and_then(Value::as_str).filter(|owner| !owner.is_empty());
    actor.through.is_none() && (actor.sees_all() || owner == Some(actor.name.as_str()))
}

/// Whether somebody may change a key.
fn reaches_key(actor: &Actor, environment: &str, key: &str, reader: &dyn ResourceReader) -> bool {
    let keys = crate::kind::kind(KEYS);
    keys.is_some_and(|kind| visible(kind, actor, reader, environment, key).is_ok())
}

/// Checks that somebody may change documents of a kind at all.
///
/// # Errors
/// [`Refusal::Forbidden`].
pub(super) fn check_may_change(actor: &Actor, kind: &Kind) -> Result<(), Refusal> {
    match actor.through {
        None if is_owned(kind) || is_of_key(kind) => actor.check_may_change_keys(),
        None => actor.check_may_configure(),
        Some(_) => Err(Refusal::Forbidden("a management key changes keys alone".to_owned())),
    }
}

/// Checks that somebody may change a document; what they do not see is not there.
///
/// # Errors
/// [`Refusal::NotFound`].
pub(super) fn check_sees(
    actor: &Actor,
    kind: &Kind,
    environment: &str,
    name: &str,
    spec: &Spec,
    reader: &dyn ResourceReader,
) -> Result<(), Refusal> {
    if sees(actor, kind, environment, spec, reader) { Ok(()) } else { Err(not_found(kind, environment, name)) }
}

/// Makes a document its writer's own, unless they may write for others.
///
/// # Errors
/// [`Refusal::Forbidden`] for a team that is not theirs, [`Refusal::BadParameter`] for a route that is not of a key of theirs.
pub(super) fn bind(
    actor: &Actor,
    kind: &Kind,
    environment: &str,
    spec: &mut Spec,
    reader: &dyn ResourceReader,
) -> Result<(), Refusal> {
    if is_of_key(kind) && !actor.sees_all() {
        let key = spec.get("key").and_then(Value::as_str);
        return match key.filter(|key| reaches_key(actor, environment, key, reader)) {
            Some(_) => Ok(()),
            // What they do not see is not there.
            None => {
                let message = "not a key of yours; the default route is for operators to write".to_owned();
                Err(Refusal::BadParameter { field: "spec.key".to_owned(), message })
            }
        };
    }
    if !is_owned(kind) || actor.sees_all() {
        return Ok(());
    }
    if let Some(team) = spec.get("team").and_then(Value::as_str)
        && !actor.teams.iter().any(|(other, name)| other == environment && name == team)
    {
        return Err(Refusal::Forbidden(format!("you do not belong to the team `{team}`")));
    }
    spec.insert("owner".to_owned(), actor.name.as_str().into());
    Ok(())
}
