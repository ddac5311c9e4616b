//! Resources of every kind: one set of handlers. What differs between kinds is a row of [`super::kinds`].

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::header::{ETAG, LOCATION};
use axum::http::{HeaderValue, Response, StatusCode};
use control::actor::Actor;
use control::kind::{PROVIDERS, WEBHOOKS};
use control::plane::Plane;
use control::refusal::Refusal;
use control::resource::{Created, Draft, Expect, ListQuery, Resource, Spec};
use ir::id::ResourceId;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;

use super::call::{Call, Match, Members, json};
use super::connection;
use super::kinds::{ENVIRONMENTS, Kind};
use super::principal::Principal;
use super::problem::Problem;
use super::route::Outcome;

/// What stands in a path as it is; everything else is escaped.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// What people are told who write a spec's members beside it.
const UNDER_SPEC: &str = "the body has `name` and `spec`: put it under spec";

/// A page of a kind.
pub(super) async fn list<P: Principal>(kind: &'static Kind, call: Call, who: P) -> Outcome {
    let mut query = ListQuery::default();
    for (name, value) in call.queries() {
        match name {
            "limit" => query.limit = value.parse().ok(),
            "cursor" => query.cursor = Some(value.to_owned()),
            filter => _ = query.filters.insert(filter.to_owned(), value.to_owned()),
        }
    }
    let page = on_plane(&call, kind, who, move |plane, at| plane.list(&at.actor, &at.environment, at.kind, &query));
    let mut page = page.await?;
    page.data.iter_mut().for_each(|resource| with_connection(&call, resource));
    json(StatusCode::OK, &page)
}

/// One resource.
pub(super) async fn get<P: Principal>(kind: &'static Kind, call: Call, who: P) -> Outcome {
    let found = on_plane(&call, kind, who, |plane, at| plane.get(&at.actor, &at.environment, at.kind, &at.name));
    let mut resource = found.await?;
    with_connection(&call, &mut resource);
    if call.has(resource.version)? {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::NOT_MODIFIED;
        return Ok(tagged(response, resource.version));
    }
    item(StatusCode::OK, &resource)
}

/// Says in a provider's status how it is doing.
fn with_connection(call: &Call, resource: &mut Resource) {
    if let (PROVIDERS, Value::Object(status)) = (resource.kind, &mut resource.status) {
        let standing = connection::of(&call.admin.gateway, &resource.environment, &resource.name);
        status.insert("connection".to_owned(), standing);
    }
}

/// Makes a resource. The secret of a key is in this answer and in no other.
pub(super) async fn create<P: Principal>(kind: &'static Kind, mut call: Call, who: P) -> Outcome {
    let mut members = call.object()?;
    let (name, spec) = (members.text("name")?, members.object("spec")?.unwrap_or_default());
    members.finish(UNDER_SPEC)?;
    let draft = Draft { name, spec };
    let made = on_plane(&call, kind, who, move |plane, at| plane.create(&at.actor, &at.environment, at.kind, draft));
    let mut created = made.await?;
    with_connection(&call, &mut created.resource);
    let path = path_of(kind, &created.resource);
    let mut response = with_secret(StatusCode::CREATED, &created)?;
    if let Ok(location) = HeaderValue::from_str(&path) {
        response.headers_mut().insert(LOCATION, location);
    }
    Ok(response)
}

/// Replaces what people wrote about a resource.
pub(super) async fn replace<P: Principal>(kind: &'static Kind, call: Call, who: P) -> Outcome {
    change(kind, call, who, Plane::replace).await
}

/// Merges a patch into it.
pub(super) async fn merge<P: Principal>(kind: &'static Kind, call: Call, who: P) -> Outcome {
    change(kind, call, who, Plane::merge).await
}

/// One of the two ways to change a spec.
type Change = fn(&Plane, &Actor, &str, &str, &str, Spec, Expect) -> Result<Resource, Refusal>;

async fn change<P: Principal>(kind: &'static Kind, mut call: Call, who: P, change: Change) -> Outcome {
    let expect = call.expect()?;
    let mut members = call.object()?;
    let (name, spec) = (members.text("name")?, members.object("spec")?);
    members.finish(UNDER_SPEC)?;
    let spec = spec.ok_or_else(|| Problem::invalid("spec", "spec is missing").hint(UNDER_SPEC))?;
    let changed = on_plane(&call, kind, who, move |plane, at| {
        at.agree(plane, name.as_deref())?;
        let expect = at.resolve(plane, expect)?;
        change(plane, &at.actor, &at.environment, at.kind, &at.name, spec, expect)
    });
    let mut changed = changed.await?;
    with_connection(&call, &mut changed);
    item(StatusCode::OK, &changed)
}

/// Deletes a resource.
pub(super) async fn delete<P: Principal>(kind: &'static Kind, call: Call, who: P) -> Outcome {
    let expect = call.expect()?;
    let deleted = on_plane(&call, kind, who, move |plane, at| {
        let expect = at.resolve(plane, expect)?;
        plane.delete(&at.actor, &at.environment, at.kind, &at.name, expect)
    });
    deleted.await?;
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    Ok(response)
}

/// How long the old secret of a rotated key works when nothing is said.
const USUAL_GRACE: Duration = Duration::from_secs(24 * 3_600);

/// The longest that it may work.
const MAX_GRACE: Duration = Duration::from_secs(30 * 24 * 3_600);

/// Gives a key a new secret, which is in this answer and in no other.
pub(super) async fn rotate<P: Principal>(kind: &'static Kind, mut call: Call, who: P) -> Outcome {
    let expect = call.expect()?;
    let mut members = call.object()?;
    let grace = grace(&mut members)?;
    members.finish("the body may have `grace`")?;
    let made = on_plane(&call, kind, who, move |plane, at| {
        let expect = at.resolve(plane, expect)?;
        let rotate = if at.kind == WEBHOOKS { Plane::rotate_webhook } else { Plane::rotate_key };
        rotate(plane, &at.actor, &at.environment, &at.name, grace, expect)
    });
    with_secret(StatusCode::OK, &made.await?)
}

fn grace(members: &mut Members) -> Result<Duration, Problem> {
    let Some(text) = members.text("grace")? else { return Ok(USUAL_GRACE) };
    let grace = duration(&text).filter(|grace| *grace <= MAX_GRACE);
    grace.ok_or_else(|| {
        Problem::invalid("grace", "grace must be a duration of at most 30 days")
            .hint("write it like 24h, 15m, 7d or 0s")
    })
}

/// Reads a duration: what settings take, and days.
fn duration(text: &str) -> Option<Duration> {
    if let Some(days) = text.trim().strip_suffix('d') {
        let plain = !days.is_empty() && days.bytes().all(|byte| byte.is_ascii_digit());
        let seconds = days.parse::<u64>().ok().filter(|_| plain)?.checked_mul(86_400)?;
        return Some(Duration::from_secs(seconds));
    }
    policy::compile::settings::parse_duration(text)
}

/// Revokes a key for ever.
pub(super) async fn revoke<P: Principal>(kind: &'static Kind, mut call: Call, who: P) -> Outcome {
    let expect = call.expect()?;
    call.object()?.finish("the body is empty")?;
    let revoked = on_plane(&call, kind, who, move |plane, at| {
        let expect = at.resolve(plane, expect)?;
        plane.revoke_key(&at.actor, &at.environment, &at.name, expect)
    });
    item(StatusCode::OK, &revoked.await?)
}

/// What a verb is about.
struct At {
    actor: Actor,
    environment: String,
    kind: &'static str,
    name: String,
}

impl At {
    fn resolve(&self, plane: &Plane, expect: Match) -> Result<Expect, Refusal> {
        expect.resolve(|| Ok(plane.get(&self.actor, &self.environment, self.kind, &self.name)?.version))
    }

    /// A name in a body is the one in the path, where a resource may also go by its id.
    fn agree(&self, plane: &Plane, given: Option<&str>) -> Result<(), Refusal> {
        let Some(given) = given.filter(|given| **given != *self.name) else { return Ok(()) };
        let by_id = ResourceId::parse(&self.name).is_some();
        if by_id && plane.get(&self.actor, &self.environment, self.kind, &self.name)?.name == given {
            return Ok(());
        }
        let message = "a resource keeps its name: leave it out, or make another resource".to_owned();
        Err(Refusal::BadParameter { field: "name".to_owned(), message })
    }
}

async fn on_plane<P: Principal, T: Send + 'static>(
    call: &Call,
    kind: &'static Kind,
    who: P,
    work: impl FnOnce(&Plane, &At) -> Result<T, Refusal> + Send + 'static,
) -> Result<T, Problem> {
    let actor = who.actor().clone();
    let at = if kind.name == ENVIRONMENTS {
        At { actor, environment: String::new(), kind: kind.name, name: call.path("env").to_owned() }
    } else {
        let (environment, name) = (call.path("env").to_owned(), call.path("name").to_owned());
        At { actor, environment, kind: kind.name, name }
    };
    let plane = Arc::clone(&call.admin.plane);
    Ok(call.admin.blocking.run(move || work(&plane, &at)).await??)
}

fn item(status: StatusCode, resource: &Resource) -> Outcome {
    Ok(tagged(json(status, resource)?, resource.version))
}

fn with_secret(status: StatusCode, created: &Created) -> Outcome {
    let Created { resource, secret } = created;
    let Some(secret) = secret else { return item(status, resource) };
    let Ok(Value::Object(mut members)) = serde_json::to_value(resource) else {
        return Err(Problem::internal("the answer could not be written"));
    };
    members.insert("secret".to_owned(), Value::from(secret.expose()));
    Ok(tagged(json(status, &members)?, resource.version))
}

fn tagged(mut response: Response<Body>, version: u64) -> Response<Body> {
    if let Ok(tag) = HeaderValue::from_str(&format!("\"{version}\"")) {
        response.headers_mut().insert(ETAG, tag);
    }
    response
}

fn path_of(kind: &Kind, resource: &Resource) -> String {
    let name = utf8_percent_encode(&resource.name, SEGMENT);
    if kind.name == ENVIRONMENTS {
        return format!("/admin/v1/environments/{name}");
    }
    let environment = utf8_percent_encode(&resource.environment, SEGMENT);
    format!("/admin/v1/environments/{environment}/{}/{name}", kind.name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grace_is_a_duration() {
        let check = |text: &str, expect: Option<u64>| {
            assert_eq!(duration(text), expect.map(Duration::from_secs), "{text}");
        };
        check("24h", Some(86_400));
        check("0s", Some(0));
        check("7d", Some(604_800));
        check("15m", Some(900));
        for wrong in ["", "24", "d", "-1d", "+1d", "1.5h", "1w", "h", "99999999999999999999d"] {
            check(wrong, None);
        }
    }
}
