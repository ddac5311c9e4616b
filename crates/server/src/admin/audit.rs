//! The audit log: who changed what, newest first.

use axum::http::StatusCode;
use control::plane::audit::AuditQuery;

use super::call::{Call, json};
use super::principal::{Principal, SignedIn};
use super::requests::filter::instant;
use super::route::Outcome;

/// A page of the log.
pub(super) async fn list(call: Call, who: SignedIn) -> Outcome {
    let text = |name: &str| call.query(name).map(str::to_owned);
    let instant = |name| call.query(name).map(|value| instant(name, value)).transpose();
    let query = AuditQuery {
        limit: call.number("limit").and_then(|limit| usize::try_from(limit).ok()),
        cursor: text("cursor"),
        actor: text("actor"),
        action: text("action"),
        kind: text("kind"),
        environment: text("environment"),
        name: text("name"),
        from_ms: instant("from")?,
        to_ms: instant("to")?,
    };
    let actor = who.actor().clone();
    let page = call.blocking(move |admin| admin.plane.audit(&actor, &query)).await??;
    json(StatusCode::OK, &page)
}
