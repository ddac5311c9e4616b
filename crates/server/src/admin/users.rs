//! People, as resources.

use axum::body::Body;
use axum::http::header::{ETAG, LOCATION};
use axum::http::{HeaderValue, Response, StatusCode};
use control::actor::Actor;
use control::people::{Invitation, People};
use control::refusal::Refusal;
use control::resource::{Expect, ListQuery, Resource, Spec};
use ir::civil::rfc3339;
use policy::secret::Secret;
use serde_json::{Value, json};

use super::call::{Call, json as answer};
use super::people::visitor;
use super::principal::{Principal as _, SignedIn};
use super::problem::Problem;
use super::route::Outcome;

/// What people are told who write a spec's members beside it.
const UNDER_SPEC: &str = "the body has `spec` with email, name, role and disabled";

/// A page of people.
pub(super) async fn list(call: Call, _: SignedIn) -> Outcome {
    let mut query = ListQuery::default();
    for (name, value) in call.queries() {
        match name {
            "limit" => query.limit = value.parse().ok(),
            "cursor" => query.cursor = Some(value.to_owned()),
            filter => _ = query.filters.insert(filter.to_owned(), value.to_owned()),
        }
    }
    answer(StatusCode::OK, &call.admin.people.run(move |people| people.list_users(&query)).await?)
}

/// One person.
pub(super) async fn get(call: Call, _: SignedIn) -> Outcome {
    let name = call.path("id").to_owned();
    let user = call.admin.people.run(move |people| people.get_user(&name)).await?;
    if call.has(user.version)? {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::NOT_MODIFIED;
        return Ok(tagged(response, user.version));
    }
    item(StatusCode::OK, &user)
}

/// Invites somebody. The code is in this answer and in no other.
pub(super) async fn create(mut call: Call, who: SignedIn) -> Outcome {
    let (actor, spec) = (who.actor().clone(), spec(&mut call)?);
    let made = call.admin.people.run(move |people| people.create_user(&actor, &spec));
    let (user, invitation) = made.await?;
    let Ok(Value::Object(mut members)) = serde_json::to_value(&user) else {
        return Err(Problem::internal("the answer could not be written"));
    };
    members.insert("invitation".to_owned(), invitation.as_ref().map_or(Value::Null, shown));
    let mut response = tagged(answer(StatusCode::CREATED, &members)?, user.version);
    if let Ok(location) = HeaderValue::from_str(&format!("/admin/v1/users/{}", user.id)) {
        response.headers_mut().insert(LOCATION, location);
    }
    Ok(response)
}

/// Replaces what is said about somebody.
pub(super) async fn replace(call: Call, who: SignedIn) -> Outcome {
    change(call, who, People::replace_user).await
}

/// Merges a patch into it.
pub(super) async fn merge(call: Call, who: SignedIn) -> Outcome {
    change(call, who, People::merge_user).await
}

/// One of the two ways to change a spec.
type Change = fn(&People, &Actor, &str, &Spec, Expect) -> Result<Resource, Refusal>;

async fn change(mut call: Call, who: SignedIn, change: Change) -> Outcome {
    let (actor, expect, name) = (who.actor().clone(), call.expect()?, call.path("id").to_owned());
    let spec = spec(&mut call)?;
    let changed = call.admin.people.run(move |people| {
        let expect = expect.resolve(|| Ok(people.get_user(&name)?.version))?;
        change(people, &actor, &name, &spec, expect)
    });
    item(StatusCode::OK, &changed.await?)
}

/// Deletes somebody.
pub(super) async fn delete(call: Call, who: SignedIn) -> Outcome {
    let (actor, expect, name) = (who.actor().clone(), call.expect()?, call.path("id").to_owned());
    let deleted = call.admin.people.run(move |people| {
        let expect = expect.resolve(|| Ok(people.get_user(&name)?.version))?;
        people.delete_user(&actor, &name, expect)
    });
    deleted.await?;
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    Ok(response)
}

/// Changes one's own password, or makes a code with which somebody else sets theirs.
pub(super) async fn password(mut call: Call, who: SignedIn) -> Outcome {
    let front = &call.admin.clone().people;
    let (actor, name) = (who.actor().clone(), call.path("id").to_owned());
    let mut members = call.object()?;
    let (old, new) = (members.text("old_password")?, members.text("new_password")?);
    members.finish("the body has `old_password` and `new_password` for one's own, and nothing for another's")?;
    let asked = name.clone();
    let own = actor.user.is_some() && {
        let found = front.run(move |people| people.get_user(&asked)).await;
        found.is_ok_and(|user| actor.user == Some(user.id))
    };
    if !own {
        if old.is_some() || new.is_some() {
            return Err(Problem::invalid("new_password", "the password of somebody else is not set, but reset")
                .hint("send an empty object: the answer has a code for them"));
        }
        let invitation = front.run(move |people| people.reset_password(&actor, &name)).await?;
        return answer(StatusCode::OK, &json!({ "invitation": shown(&invitation) }));
    }
    let missing = |field: &str| Problem::invalid(field, format!("{field} is missing"));
    let old = Secret::new(old.ok_or_else(|| missing("old_password"))?);
    let new = Secret::new(new.ok_or_else(|| missing("new_password"))?);
    let visitor = visitor(&call);
    let begun = front.run_dear(move |people| people.change_password(&actor, &old, &new, &visitor)).await?;
    front.signed_in(StatusCode::OK, &call.headers, &begun)
}

fn spec(call: &mut Call) -> Result<Spec, Problem> {
    let mut members = call.object()?;
    let spec = members.object("spec")?;
    members.finish(UNDER_SPEC)?;
    spec.ok_or_else(|| Problem::invalid("spec", "spec is missing").hint(UNDER_SPEC))
}

fn shown(invitation: &Invitation) -> Value {
    let code = invitation.code.expose();
    json!({
        "code": code,
        "path": format!("/invitation#code={code}"),
        "expires_at": rfc3339(invitation.expires_at_ms),
    })
}

fn item(status: StatusCode, user: &Resource) -> Outcome {
    Ok(tagged(answer(status, user)?, user.version))
}

fn tagged(mut response: Response<Body>, version: u64) -> Response<Body> {
    if let Ok(tag) = HeaderValue::from_str(&format!("\"{version}\"")) {
        response.headers_mut().insert(ETAG, tag);
    }
    response
}
