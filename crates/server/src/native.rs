//! `/api/v1`: what management keys call on the data listener. Most of it is the admin API's own routes, run for whoever
//! the key stands for and in the key's environment, so that validation, ownership and the audit log are the same; what
//! is answered differently is the frame: paths, the shape of errors, and that nothing but keys is changed.

mod feedback;
mod own;

use std::sync::{Arc, LazyLock, Weak};

use axum::body::Body;
use control::actor::Actor;
use control::people::Memberships as _;
use engine::body::ReplyBody;
use engine::native::{Answering, Call, Native};
use engine::refusal::render::label;
use http::header::CACHE_CONTROL;
use http::{HeaderValue, Method, Response, StatusCode};
use http_body_util::BodyExt as _;
use ir::id::RequestId;
use percent_encoding::percent_decode_str;
use serde_json::{Value, json};

use crate::admin::Admin;
use crate::admin::frame::{self, Asked};
use crate::admin::principal::Identity;
use crate::admin::problem::{Code, Problem};
use crate::admin::route::Route;
use crate::admin::table;
use dialect::lane::Surface;

/// Where it is served.
const PREFIX: &str = "/api/v1/";

/// One path, and what answers it.
struct Row {
    /// The path behind the prefix; `{name}` stands for one segment.
    path: &'static str,
    method: Method,
    answered: Answered,
}

/// What answers a path.
#[derive(Clone, Copy)]
enum Answered {
    /// The route of the admin API with this path and the same method.
    Route(&'static str),
    /// What only management keys are told.
    Own(Own),
}

/// What only management keys are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Own {
    /// Who they are.
    Account,
    /// What binds them.
    Plan,
    /// What is left.
    Credits,
}

const KEYS: &str = "/admin/v1/environments/{env}/keys";
const KEY: &str = "/admin/v1/environments/{env}/keys/{name}";
const ROTATE: &str = "/admin/v1/environments/{env}/keys/{name}/rotate";
const REVOKE: &str = "/admin/v1/environments/{env}/keys/{name}/revoke";
const USAGE: &str = "/admin/v1/environments/{env}/usage";
const BALANCE: &str = "/admin/v1/environments/{env}/balance";

/// Every path.
static ROWS: [Row; 11] = [
    Row { path: "account", method: Method::GET, answered: Answered::Own(Own::Account) },
    Row { path: "plan", method: Method::GET, answered: Answered::Own(Own::Plan) },
    Row { path: "credits", method: Method::GET, answered: Answered::Own(Own::Credits) },
    Row { path: "usage", method: Method::GET, answered: Answered::Route(USAGE) },
    Row { path: "keys", method: Method::GET, answered: Answered::Route(KEYS) },
    Row { path: "keys", method: Method::POST, answered: Answered::Route(KEYS) },
    Row { path: "keys/{name}", method: Method::GET, answered: Answered::Route(KEY) },
    Row { path: "keys/{name}", method: Method::PUT, answered: Answered::Route(KEY) },
    Row { path: "keys/{name}", method: Method::PATCH, answered: Answered::Route(KEY) },
    Row { path: "keys/{name}/rotate", method: Method::POST, answered: Answered::Route(ROTATE) },
    Row { path: "keys/{name}/revoke", method: Method::POST, answered: Answered::Route(REVOKE) },
];

/// The native surface of a gateway with a control plane.
pub struct Surfaces {
    /// The gateway holds this, and the admin side the gateway.
    admin: Weak<Admin>,
    /// Made when they are first asked for: most gateways have no management keys.
    routes: LazyLock<Vec<Route>>,
}

impl Surfaces {
    /// Returns it, on what the admin side works with.
    pub fn new(admin: &Arc<Admin>) -> Self {
        let routes: LazyLock<Vec<Route>> = LazyLock::new(|| {
            let used = |route: &Route| [KEYS, KEY, ROTATE, REVOKE, USAGE, BALANCE].contains(&route.path);
            table::routes().into_iter().filter(used).collect()
        });
        Self { admin: Arc::downgrade(admin), routes }
    }

    fn route(&self, method: &Method, path: &str) -> Option<&Route> {
        self.routes.iter().find(|route| route.method == *method && route.path == path)
    }
}

impl Native for Surfaces {
    fn answer(&self, call: Call) -> Answering {
        let admin = self.admin.upgrade().ok_or_else(|| Problem::unavailable("the gateway is stopping"));
        let found = find(&call).and_then(|(row, name)| match row.answered {
            Answered::Own(own) => Ok(Found::Own(own)),
            Answered::Route(path) => {
                let missing = || Problem::not_found("unknown path");
                let method = if call.head.method == Method::HEAD { &Method::GET } else { &call.head.method };
                let route = self.route(method, path).ok_or_else(missing)?;
                Ok(Found::Route(Box::new(route.clone()), name))
            }
        });
        let balance = self.route(&Method::GET, BALANCE).cloned();
        Box::pin(async move {
            let id = call.id;
            let answered = match (admin, found) {
                (Err(problem), _) | (_, Err(problem)) => Err(problem),
                (Ok(admin), Ok(Found::Own(own))) => own::answered(&admin, own, balance, call).await,
                (Ok(admin), Ok(Found::Route(route, name))) => run(&admin, &route, name, call).await,
            };
            told(answered, id).await
        })
    }

    fn feedback(&self, call: Call) -> Answering {
        let admin = self.admin.upgrade().ok_or_else(|| Problem::unavailable("the gateway is stopping"));
        Box::pin(async move {
            let id = call.id;
            let answered = match admin {
                Ok(admin) => feedback::taken(&admin, call).await,
                Err(problem) => Err(problem),
            };
            told(answered, id).await
        })
    }
}

/// Returns what a future has to say as an answer of the data plane.
async fn told(answered: Result<Response<Body>, Problem>, id: RequestId) -> Response<ReplyBody> {
    match answered {
        Ok(response) => reply(response, id).await,
        Err(problem) => refused(problem, id).await,
    }
}

enum Found {
    Own(Own),
    Route(Box<Route>, Option<String>),
}

/// Runs a route of the admin API.
async fn run(admin: &Arc<Admin>, route: &Route, name: Option<String>, call: Call) -> Result<Response<Body>, Problem> {
    let Call { id, peer, identity, head, body } = call;
    let key = &identity.key.compiled;
    let owner = key.owner.as_deref().unwrap_or_default();
    let actor = Actor::through(&key.environment, &key.name, key.team.as_deref(), owner);
    let mut actor = Actor { ip: Some(peer), request_id: id.to_string(), ..actor };
    if key.team.is_none() && !owner.is_empty() {
        // What a person's own key reaches is in the teams that they belong to now.
        let (plane, owner) = (Arc::clone(&admin.plane), owner.to_owned());
        actor.teams = admin.blocking.run(move || plane.teams_of(&owner)).await?;
    }
    let path = [("env", Some(key.environment.to_string())), ("name", name)];
    let path = path.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect();
    let asked = Asked { id, peer, head: *head, path, body: Body::from(body) };
    frame::run(admin, route, Identity { actor, session: None }, asked).await
}

/// Finds what answers a call, and the segment that its path names.
fn find(call: &Call) -> Result<(&'static Row, Option<String>), Problem> {
    let path = call.head.uri.path().strip_prefix(PREFIX).unwrap_or_default();
    let matching: Vec<(&Row, Option<&str>)> =
        ROWS.iter().filter_map(|row| Some((row, matched(row.path, path)?))).collect();
    if matching.is_empty() {
        return Err(Problem::not_found("unknown path").hint("known: account, credits, plan, usage, keys"));
    }
    let wanted = if call.head.method == Method::HEAD { &Method::GET } else { &call.head.method };
    let Some((row, name)) = matching.iter().find(|(row, _)| row.method == *wanted) else {
        let allow: Vec<&str> = matching.iter().map(|(row, _)| row.method.as_str()).collect();
        return Err(Problem::method_not_allowed(&allow.join(", ")));
    };
    let decoded = name.map(|name| percent_decode_str(name).decode_utf8().map(std::borrow::Cow::into_owned));
    let Ok(name) = decoded.transpose() else { return Err(Problem::not_found("the path is not UTF-8")) };
    if name.as_ref().is_some_and(|name| name.len() > 1_024 || name.chars().any(char::is_control)) {
        return Err(Problem::not_found("no key has such a name"));
    }
    Ok((row, name))
}

/// Returns the segment that stands for `{name}`; `None` when the path is another.
fn matched<'a>(pattern: &str, path: &'a str) -> Option<Option<&'a str>> {
    let (mut patterns, mut segments) = (pattern.split('/'), path.split('/'));
    let mut name = None;
    loop {
        match (patterns.next(), segments.next()) {
            (None, None) => return Some(name),
            (Some("{name}"), Some(segment)) if !segment.is_empty() => name = Some(segment),
            (Some(word), Some(segment)) if word == segment => {}
            _ => return None,
        }
    }
}

/// Returns an answer of the admin side as one of the data plane.
async fn reply(response: Response<Body>, id: RequestId) -> Response<ReplyBody> {
    let (mut head, body) = response.into_parts();
    // What the admin side answers is there already.
    let Ok(body) = body.collect().await else {
        return refused_at_once(&Problem::internal("the answer could not be read"), id);
    };
    let kind = head.headers.get(http::header::CONTENT_TYPE).cloned();
    label(&mut head.headers, Surface::OpenaiChat, id);
    if let Some(kind) = kind {
        head.headers.insert(http::header::CONTENT_TYPE, kind);
    }
    // A secret may be in it.
    head.headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Response::from_parts(head, ReplyBody::full(body.to_bytes()))
}

/// Tells a caller what is wrong, in the shape of the other surfaces.
async fn refused(problem: Problem, id: RequestId) -> Response<ReplyBody> {
    let said = refused_at_once(&problem, id);
    let (mut head, body) = said.into_parts();
    for (name, value) in problem.render(id).headers() {
        if !head.headers.contains_key(name) {
            head.headers.insert(name, value.clone());
        }
    }
    Response::from_parts(head, body)
}

fn refused_at_once(problem: &Problem, id: RequestId) -> Response<ReplyBody> {
    let code = problem.code();
    let body = json!({ "error": {
        "message": problem.message(),
        "type": kind(code),
        "param": problem.blamed(),
        "code": code.name(),
        "hint": problem.advice(),
    } });
    let mut response = Response::new(ReplyBody::full(body.to_string()));
    *response.status_mut() = code.status();
    label(response.headers_mut(), Surface::OpenaiChat, id);
    response.headers_mut().insert("x-crossway-error-code", HeaderValue::from_static(code.name()));
    response
}

/// Returns the type of an error, as the OpenAI surface has it.
fn kind(code: Code) -> &'static str {
    match code.status() {
        StatusCode::UNAUTHORIZED => "authentication_error",
        StatusCode::FORBIDDEN => "permission_error",
        StatusCode::NOT_FOUND => "not_found_error",
        StatusCode::TOO_MANY_REQUESTS => "rate_limit_error",
        status if status.is_client_error() => "invalid_request_error",
        _ => "server_error",
    }
}

/// Returns a JSON reply of the admin side's type.
fn answer(body: &Value) -> Result<Response<Body>, Problem> {
    crate::admin::call::json(StatusCode::OK, body)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_matched_by_segment() {
        for (pattern, path, expect) in [
            ("keys", "keys", Some(None)),
            ("keys/{name}", "keys/a%20b", Some(Some("a%20b"))),
            ("keys/{name}/rotate", "keys/a/rotate", Some(Some("a"))),
            ("keys/{name}", "keys/", None),
            ("keys/{name}", "keys/a/b", None),
            ("keys", "keys/", None),
            ("keys", "key", None),
        ] {
            assert_eq!(matched(pattern, path), expect, "{pattern} {path}");
        }
    }

    #[test]
    fn every_route_that_is_used_exists() {
        let routes = table::routes();
        for row in &ROWS {
            if let Answered::Route(path) = row.answered {
                assert!(routes.iter().any(|route| route.method == row.method && route.path == path), "{path}");
            }
        }
    }
}
