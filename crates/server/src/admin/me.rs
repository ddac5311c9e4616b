//! Who am I: what a client needs to know to show only what will work.

use axum::http::StatusCode;
use control::access::Permission;
use serde_json::json;

use super::call::{Call, json as answer};
use super::principal::{Principal, SignedIn};
use super::route::Outcome;

/// The caller, their role and what it allows.
pub(super) async fn get(_: Call, who: SignedIn) -> Outcome {
    let actor = who.actor();
    let permissions: Vec<&str> =
        Permission::ALL.into_iter().filter(|permission| actor.role.may(*permission)).map(Permission::name).collect();
    let teams: Vec<_> =
        actor.teams.iter().map(|(environment, name)| json!({ "environment": environment, "name": name })).collect();
    let me = json!({
        "name": actor.name,
        "user": actor.user.map(|id| id.to_string()),
        "role": actor.role.name(),
        "permissions": permissions,
        "teams": teams,
        "session": who.session(),
    });
    answer(StatusCode::OK, &me)
}
