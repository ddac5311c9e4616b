//! Documents that somebody owns: credentials that people bring for their own keys. Who does not see what everybody does
//! sees and changes their own, and gives none away.

use serde_json::Value;

use super::read::not_found;
use crate::actor::Actor;
use crate::kind::{BYOK, Kind};
use crate::refusal::Refusal;
use crate::resource::Spec;

/// Whether documents of a kind have owners.
fn is_owned(kind: &Kind) -> bool {
    kind.plural == BYOK
}

/// Whether somebody sees a document.
pub(super) fn sees(actor: &Actor, kind: &Kind, spec: &Spec) -> bool {
    if !is_owned(kind) {
        return true;
    }
    let owner = spec.get("owner").and_then(Value::as_str).filter(|owner| !owner.is_empty());
    actor.through.is_none() && (actor.sees_all() || owner == Some(actor.name.as_str()))
}

/// Checks that somebody may change documents of a kind at all.
///
/// # Errors
/// [`Refusal::Forbidden`].
pub(super) fn check_may_change(actor: &Actor, kind: &Kind) -> Result<(), Refusal> {
    match actor.through {
        None if is_owned(kind) => actor.check_may_change_keys(),
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
) -> Result<(), Refusal> {
    if sees(actor, kind, spec) { Ok(()) } else { Err(not_found(kind, environment, name)) }
}

/// Makes a document its writer's own, unless they may write for others.
///
/// # Errors
/// [`Refusal::Forbidden`] for a team that is not theirs.
pub(super) fn bind(actor: &Actor, kind: &Kind, environment: &str, spec: &mut Spec) -> Result<(), Refusal> {
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
