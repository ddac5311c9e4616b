//! Signing in and out, and the sessions that there are.

use axum::http::StatusCode;
use axum::http::header::AUTHORIZATION;
use control::people::{Whose, token};
use ir::id::ResourceId;
use policy::secret::Secret;
use serde_json::json;

use super::call::{Call, json as answer};
use super::people::{signed_out, visitor};
use super::principal::{Principal as _, SignedIn};
use super::problem::Problem;
use super::route::Outcome;

/// Signs in with an email address and a password.
pub(super) async fn create(mut call: Call) -> Outcome {
    let front = &call.admin.clone().people;
    front.same_origin(&call.headers, false)?;
    let mut members = call.object()?;
    let (email, password) = (members.required_text("email")?, Secret::new(members.required_text("password")?));
    members.finish("the body has `email` and `password`")?;
    let visitor = visitor(&call);
    let begun = front.run_dear(move |people| people.sign_in(&email, &password, &visitor)).await?;
    front.signed_in(StatusCode::OK, &call.headers, &begun)
}

/// Who is signed in, and the token that goes with every change.
pub(super) async fn get(call: Call, who: SignedIn) -> Outcome {
    let actor = who.actor().clone();
    let by_cookie = who.session().is_some() && !call.headers.contains_key(AUTHORIZATION);
    let secret = if by_cookie { call.admin.people.session_of(&call.headers)? } else { None };
    let name = actor.user.map(|id| id.to_string());
    let user = match name {
        Some(name) => Some(call.admin.people.run(move |people| people.get_user(&name)).await?),
        None => None,
    };
    let csrf = secret.as_ref().map(token::csrf);
    let body = json!({
        "user": user,
        "name": actor.name,
        "role": actor.role.name(),
        "session": who.session(),
        "csrf_token": csrf.as_ref().map(Secret::expose),
    });
    answer(StatusCode::OK, &body)
}

/// Signs out.
pub(super) async fn delete(call: Call, who: SignedIn) -> Outcome {
    let actor = who.actor().clone();
    if let Some(id) = who.session().and_then(ResourceId::parse) {
        call.admin.people.run(move |people| people.end_session(&actor, id)).await?;
    }
    signed_out()
}

/// The sessions of the caller, of somebody, or of all.
pub(super) async fn list(call: Call, who: SignedIn) -> Outcome {
    let actor = who.actor().clone();
    let whose = match call.query("user") {
        None => Whose::Own,
        Some("all") => Whose::Everybody,
        Some(id) => match ResourceId::parse(id) {
            Some(id) => Whose::Of(id),
            None => return Err(Problem::invalid("user", "user is the id of a person, or all")),
        },
    };
    let limit = call.number("limit").and_then(|limit| usize::try_from(limit).ok());
    let cursor = call.query("cursor").map(str::to_owned);
    let current = who.session().and_then(ResourceId::parse);
    let listed =
        call.admin.people.run(move |people| people.list_sessions(&actor, whose, limit, cursor.as_deref(), current));
    answer(StatusCode::OK, &listed.await?)
}

/// Ends a session.
pub(super) async fn end(call: Call, who: SignedIn) -> Outcome {
    let actor = who.actor().clone();
    let Some(id) = ResourceId::parse(call.path("id")) else { return Err(Problem::not_found("no such session")) };
    let own = who.session() == Some(call.path("id"));
    call.admin.people.run(move |people| people.end_session(&actor, id)).await?;
    if own {
        return signed_out();
    }
    let mut response = axum::http::Response::new(axum::body::Body::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    Ok(response)
}
