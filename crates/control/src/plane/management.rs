//! What is done through a management key: it reaches other keys, those of its team where it has one, and never a key of
//! its own kind. Whoever finds one cannot make another of it.

use store::resources::row::Row;

use super::read::bad;
use crate::actor::Actor;
use crate::keys;
use crate::refusal::Refusal;
use crate::resource::Spec;

/// Returns whether somebody reaches a key, as far as the management key goes that they act through.
pub(super) fn reaches(actor: &Actor, row: &Row) -> bool {
    let Some(through) = &actor.through else { return true };
    let same = through.team.is_none() || through.team == row.labels.team;
    same && !keys::is_management(&keys::shown(row))
}

/// Returns the team whose keys are listed.
///
/// # Errors
/// [`Refusal::BadParameter`] for another team than that of the management key.
pub(super) fn team(actor: &Actor, wanted: Option<String>) -> Result<Option<String>, Refusal> {
    let Some(own) = actor.through.as_ref().and_then(|through| through.team.clone()) else { return Ok(wanted) };
    match wanted {
        Some(other) if other != own => Err(bad("team", format!("this management key sees the team `{own}` alone"))),
        _ => Ok(Some(own)),
    }
}

/// Puts what is written into the team of the management key.
///
/// # Errors
/// [`Refusal::Forbidden`] for another team, and for another management key.
pub(super) fn bind(actor: &Actor, spec: &mut Spec) -> Result<(), Refusal> {
    let Some(through) = &actor.through else { return Ok(()) };
    if keys::is_management(spec) {
        return Err(Refusal::Forbidden("a management key makes no management keys: use the admin API".to_owned()));
    }
    let Some(own) = &through.team else { return Ok(()) };
    match spec.get("team").and_then(serde_json::Value::as_str) {
        Some(team) if team != own => {
            Err(Refusal::Forbidden(format!("this management key makes keys of the team `{own}` alone")))
        }
        _ => {
            spec.insert("team".to_owned(), own.as_str().into());
            Ok(())
        }
    }
}
