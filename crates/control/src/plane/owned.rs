//! Documents that are not everybody's: credentials that people bring for their own keys, the routes of keys, teams, and
//! what tells a team's people. Who does not see what everybody does sees and changes their own, and gives none away.

use serde_json::Value;
use store::resources::ResourceReader;

use super::key_verbs::{administered, visible};
use super::read::not_found;
use crate::actor::{Actor, Role};
use crate::kind::{ALERTS, BYOK, KEYS, Kind, ROUTES, TEAMS};
use crate::refusal::Refusal;
use crate::resource::Spec;

/// What a team's admin may change of it: who belongs to it, and what it is said to be for.
const OF_A_TEAM: [&str; 2] = ["description", "members"];

/// Whose documents of a kind are.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Whose {
    /// Everybody's: operators change them.
    Everybodys,
    /// The person's whom they name.
    Persons,
    /// A team is its people's, and its admins'.
    Team,
    /// The teams' that they name.
    Teams,
    /// Theirs who have the key that they name; what names none is everybody's.
    Key,
}

fn whose(kind: &Kind) -> Whose {
    match kind.plural {
        BYOK => Whose::Persons,
        TEAMS => Whose::Team,
        ALERTS => Whose::Teams,
        ROUTES => Whose::Key,
        _ => Whose::Everybodys,
    }
}

/// Whether somebody sees a document.
pub(super) fn sees(
    actor: &Actor,
    kind: &Kind,
    environment: &str,
    name: &str,
    spec: &Spec,
    reader: &dyn ResourceReader,
) -> bool {
    match whose(kind) {
        Whose::Everybodys => true,
        Whose::Persons => {
            let owner = spec.get("owner").and_then(Value::as_str).filter(|owner| !owner.is_empty());
            actor.through.is_none() && (actor.sees_all() || owner == Some(actor.name.as_str()))
        }
        Whose::Team => actor.sees_all() || belongs(actor, environment, name),
        Whose::Teams => actor.sees_all() || is_about_own_teams(actor, environment, spec),
        Whose::Key => actor.sees_all() || key_of(spec).is_none() || is_of_own_key(actor, environment, spec, reader),
    }
}

fn key_of(spec: &Spec) -> Option<&str> {
    spec.get("key").and_then(Value::as_str)
}

/// Whether a document names a key that somebody may change.
fn is_of_own_key(actor: &Actor, environment: &str, spec: &Spec, reader: &dyn ResourceReader) -> bool {
    let (Some(kind), Some(key)) = (crate::kind::kind(KEYS), key_of(spec)) else { return false };
    visible(kind, actor, reader, environment, key).is_ok()
}

/// Checks that a document belongs to who would change or delete it.
///
/// # Errors
/// [`Refusal::BadParameter`].
fn check_of_own_key(actor: &Actor, environment: &str, spec: &Spec, reader: &dyn ResourceReader) -> Result<(), Refusal> {
    if is_of_own_key(actor, environment, spec, reader) {
        return Ok(());
    }
    // What they do not see is not there.
    let message = "not a key of yours; the default route is for operators to write".to_owned();
    Err(Refusal::BadParameter { field: "spec.key".to_owned(), message })
}

/// Checks that somebody may delete a document that they see.
///
/// # Errors
/// As [`bind`].
pub(super) fn check_may_delete(
    actor: &Actor,
    kind: &Kind,
    environment: &str,
    spec: &Spec,
    reader: &dyn ResourceReader,
) -> Result<(), Refusal> {
    match whose(kind) {
        Whose::Key if !actor.sees_all() => check_of_own_key(actor, environment, spec, reader),
        _ => Ok(()),
    }
}

fn belongs(actor: &Actor, environment: &str, team: &str) -> bool {
    actor.teams.iter().any(|(other, name)| other == environment && name == team)
}

/// Whether a document is about teams of which somebody is an admin, and about no others.
fn is_about_own_teams(actor: &Actor, environment: &str, spec: &Spec) -> bool {
    let own = administered(actor, environment);
    let teams = spec.get("teams").and_then(Value::as_array).filter(|teams| !teams.is_empty());
    teams.is_some_and(|teams| teams.iter().all(|team| team.as_str().is_some_and(|team| own.iter().any(|o| o == team))))
}

/// Checks that somebody may make and delete documents of a kind at all.
///
/// # Errors
/// [`Refusal::Forbidden`].
pub(super) fn check_may_make(actor: &Actor, kind: &Kind) -> Result<(), Refusal> {
    match whose(kind) {
        Whose::Team if actor.through.is_none() => actor.check_may_configure(),
        _ => check_may_change(actor, kind),
    }
}

/// Checks that somebody may change documents of a kind at all.
///
/// # Errors
/// [`Refusal::Forbidden`].
pub(super) fn check_may_change(actor: &Actor, kind: &Kind) -> Result<(), Refusal> {
    match (&actor.through, whose(kind)) {
        (Some(_), _) => Err(Refusal::Forbidden("a management key changes keys alone".to_owned())),
        (None, Whose::Persons | Whose::Key) => actor.check_may_change_keys(),
        (None, Whose::Team | Whose::Teams) if actor.role == Role::TeamAdmin => Ok(()),
        (None, _) => actor.check_may_configure(),
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
    if sees(actor, kind, environment, name, spec, reader) { Ok(()) } else { Err(not_found(kind, environment, name)) }
}

/// Makes a document its writer's own, unless they may write for others. `before` is what it says now.
///
/// # Errors
/// [`Refusal::Forbidden`] for a team that is not theirs, and for what is not theirs to say, [`Refusal::BadParameter`] for a
/// key that is not.
pub(super) fn bind(
    actor: &Actor,
    kind: &Kind,
    environment: &str,
    before: Option<&Spec>,
    spec: &mut Spec,
    reader: &dyn ResourceReader,
) -> Result<(), Refusal> {
    if actor.sees_all() {
        return Ok(());
    }
    match whose(kind) {
        Whose::Everybodys => Ok(()),
        Whose::Persons => {
            if let Some(team) = spec.get("team").and_then(Value::as_str)
                && !belongs(actor, environment, team)
            {
                return Err(Refusal::Forbidden(format!("you do not belong to the team `{team}`")));
            }
            spec.insert("owner".to_owned(), actor.name.as_str().into());
            Ok(())
        }
        Whose::Team => check_own_fields(before, spec),
        Whose::Teams => check_about_own_teams(actor, environment, spec),
        Whose::Key => {
            before.into_iter().chain([&*spec]).try_for_each(|spec| check_of_own_key(actor, environment, spec, reader))
        }
    }
}

fn check_own_fields(before: Option<&Spec>, spec: &Spec) -> Result<(), Refusal> {
    let none = Spec::new();
    let before = before.unwrap_or(&none);
    let mut fields = before.keys().chain(spec.keys()).filter(|field| !OF_A_TEAM.contains(&field.as_str()));
    let said = |spec: &Spec, field: &str| spec.get(field).filter(|value| !value.is_null()).cloned();
    match fields.find(|field| said(before, field) != said(spec, field)) {
        None => Ok(()),
        Some(field) => {
            Err(Refusal::Forbidden(format!("spec.{field}: a team's admin may not change it: ask an operator")))
        }
    }
}

/// A webhook may carry what is not the team's, so that only operators say which one is used.
fn check_about_own_teams(actor: &Actor, environment: &str, spec: &Spec) -> Result<(), Refusal> {
    if !is_about_own_teams(actor, environment, spec) {
        let own = administered(actor, environment).join(", ");
        return Err(Refusal::Forbidden(format!("spec.teams: name teams of yours, and no others ({own})")));
    }
    let webhooks = spec.get("webhooks").and_then(Value::as_array).is_some_and(|webhooks| !webhooks.is_empty());
    if webhooks {
        return Err(Refusal::Forbidden("spec.webhooks: only operators use webhooks: write emails".to_owned()));
    }
    Ok(())
}
