//! The frame around every route: who asks, may they, how often, with which parameters and body; then the handler; then
//! what every reply bears. A handler never sees a request that its route does not allow.

use std::collections::BTreeMap;
use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::Router;
use axum::body::Body;
use axum::extract::{FromRequestParts, RawPathParams, Request};
use axum::http::header::{
    ALLOW, CACHE_CONTROL, CONTENT_SECURITY_POLICY, HOST, ORIGIN, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode};
use axum::routing::any;
use control::access::Permission;
use ir::id::RequestId;
use percent_encoding::percent_decode_str;

use super::call::Call;
use super::principal::{Identity, KEYLESS_NAME, Knock, identify, peer_name};
use super::problem::{Code, Problem};
use super::route::{Handler, Outcome, Parameter, Place, Route, Takes};
use super::{Admin, body, denied, legacy};
use crate::client;

/// The TCP peer of a request. Whoever serves the router puts it into the request's extensions.
#[derive(Clone, Copy, Debug)]
pub struct Peer(pub SocketAddr);

/// What an answer may do when somebody opens it as a page.
const INERT: &str = "default-src 'none'; frame-ancestors 'none'";

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// A route as one path of the router reaches it.
#[derive(Clone)]
struct Reached {
    route: Arc<Route>,
    /// Parameters that this path holds as words: `…/providers/test` is also the provider of that name.
    words: Vec<(&'static str, &'static str)>,
}

/// Makes the router of a table.
pub(super) fn router(admin: Arc<Admin>, table: Vec<Route>) -> Router {
    let mut paths: BTreeMap<&'static str, Vec<Reached>> = BTreeMap::new();
    let table: Vec<Arc<Route>> = table.into_iter().map(Arc::new).collect();
    for route in &table {
        let own = Reached { route: Arc::clone(route), words: Vec::new() };
        paths.entry(route.path).or_default().push(own);
    }
    // The router prefers words to parameters: what it would then not reach is put beside the word's own routes.
    let segmented: Vec<_> = table.iter().map(|route| (route, segments(route.path))).collect();
    for (path, routes) in &mut paths {
        let path = segments(path);
        for (route, mine) in &segmented {
            let Some(words) = words(mine, &path) else { continue };
            if !routes.iter().any(|own| own.route.method == route.method) {
                routes.push(Reached { route: Arc::clone(route), words });
            }
        }
    }
    let mut router = Router::new();
    for (path, routes) in paths {
        let (admin, routes) = (Arc::clone(&admin), Arc::new(routes));
        router = router.route(path, any(move |request| serve(Arc::clone(&admin), Arc::clone(&routes), request)));
    }
    router.fallback(move |request| serve(Arc::clone(&admin), Arc::new(Vec::new()), request))
}

fn segments(path: &'static str) -> Vec<&'static str> {
    path.split('/').collect()
}

/// Returns the words that another path has where one has parameters; `None` when it is the same or does not match.
fn words(path: &[&'static str], other: &[&'static str]) -> Option<Vec<(&'static str, &'static str)>> {
    if path.len() != other.len() {
        return None;
    }
    let mut words = Vec::new();
    // Most paths differ at their end alone.
    for (&mine, &theirs) in path.iter().zip(other).rev().filter(|(mine, theirs)| mine != theirs) {
        match mine.strip_prefix('{').and_then(|name| name.strip_suffix('}')) {
            Some(name) if !theirs.starts_with('{') => words.push((name, theirs)),
            _ => return None,
        }
    }
    (!words.is_empty()).then_some(words)
}

/// Answers a request for a path, with all its routes; without any the path is unknown.
async fn serve(admin: Arc<Admin>, routes: Arc<Vec<Reached>>, request: Request) -> Response<Body> {
    let id = RequestId::new(admin.gateway.clock.unix_ms());
    let handling = Contained(Box::pin(answer(admin, routes, request, id)));
    let mut response = handling.await.unwrap_or_else(|problem| problem.render(id));
    mark(response.headers_mut(), id);
    response
}

/// Adds the headers that every reply has.
pub(super) fn mark(headers: &mut HeaderMap, id: RequestId) {
    if let Ok(value) = HeaderValue::from_str(&id.to_string()) {
        headers.insert(REQUEST_ID, value);
    }
    headers.entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    // An answer is no page, and nothing that is in it runs or loads.
    headers.entry(CONTENT_SECURITY_POLICY).or_insert(HeaderValue::from_static(INERT));
}

async fn answer(admin: Arc<Admin>, routes: Arc<Vec<Reached>>, request: Request, id: RequestId) -> Outcome {
    let (mut head, body) = request.into_parts();
    same_site_only(&admin, &head.headers)?;
    if routes.is_empty() {
        return Err(unknown_path(head.uri.path()));
    }
    let (route, words) = match choose(&routes, &head.method)? {
        Choice::Route(reached) => (&*reached.route, &reached.words),
        Choice::Options(allow) => return Ok(options(&allow)),
    };
    let peer = head.extensions.get::<Peer>().map_or(IpAddr::from([0, 0, 0, 0]), |peer| peer.0.ip());
    let peer = client::of(peer, &head.headers, &admin.gateway.options.trusted_proxies);
    let identity = admit(&admin, route, &head, peer, id).await?;
    let mut path = path_parameters(&mut head).await?;
    path.extend(words.iter().map(|(name, word)| ((*name).to_owned(), (*word).to_owned())));
    handle(&admin, route, identity, Asked { id, peer, head, path, body }).await
}

/// What is asked of a route.
pub(crate) struct Asked {
    /// The request.
    pub(crate) id: RequestId,
    /// The TCP peer.
    pub(crate) peer: IpAddr,
    /// Its head.
    pub(crate) head: Parts,
    /// The parameters of the path.
    pub(crate) path: Vec<(String, String)>,
    /// Its body.
    pub(crate) body: Body,
}

/// Runs a route for somebody who was recognised at another door, when their role and the rate allow it.
pub(crate) async fn run(admin: &Arc<Admin>, route: &Route, identity: Identity, asked: Asked) -> Outcome {
    let who = identity.actor.noted();
    let identity = permit(admin, route, Some(identity), &who).await?;
    handle(admin, route, identity, asked).await
}

async fn handle(admin: &Arc<Admin>, route: &Route, identity: Option<Identity>, asked: Asked) -> Outcome {
    let Asked { id, peer, head, path, body } = asked;
    let query = query_parameters(&route.parameters, head.uri.query().unwrap_or_default())?;
    let body = match &route.takes {
        Takes::Nothing => None,
        Takes::Json { limit_bytes, optional, .. } => {
            let body = body::read(&head.method, &head.headers, body, *limit_bytes).await?;
            if body.is_none() && !optional {
                return Err(Problem::new(Code::InvalidRequest, "the body is missing").hint("send a JSON object"));
            }
            body
        }
    };
    let call = Call { admin: Arc::clone(admin), id, peer, headers: head.headers, path, query, body };
    match (&route.handler, identity) {
        (Handler::Open(run), _) => run(call).await,
        (Handler::Closed(run) | Handler::Keyless(run), Some(identity)) => {
            let actor = identity.actor.clone();
            let outcome = match run(call, identity) {
                Some(running) => running.await,
                None => Err(Problem::forbidden(format!("the role {} may not do this", actor.role.name()))),
            };
            if outcome.as_ref().is_err_and(|problem| problem.code() == Code::PermissionDenied) {
                denied::note(admin, actor, route).await;
            }
            outcome
        }
        // A handler behind the door on a route without one: nobody is let in.
        (Handler::Closed(_) | Handler::Keyless(_), None) => Err(Problem::unauthorized("sign in first")),
    }
}

fn unknown_path(path: &str) -> Problem {
    let hint = legacy::missing(path).unwrap_or("/admin/v1/openapi.json lists them all");
    Problem::not_found("unknown path").hint(hint)
}

enum Choice<'a> {
    Route(&'a Reached),
    Options(String),
}

fn choose<'a>(routes: &'a [Reached], method: &Method) -> Result<Choice<'a>, Problem> {
    // hyper leaves the body of a reply to HEAD away.
    let wanted = if *method == Method::HEAD { &Method::GET } else { method };
    if let Some(route) = routes.iter().find(|reached| reached.route.method == *wanted) {
        return Ok(Choice::Route(route));
    }
    let mut allow: Vec<&str> = routes.iter().map(|reached| reached.route.method.as_str()).collect();
    if allow.contains(&"GET") {
        allow.push("HEAD");
    }
    allow.push("OPTIONS");
    let allow = allow.join(", ");
    if *method == Method::OPTIONS { Ok(Choice::Options(allow)) } else { Err(Problem::method_not_allowed(&allow)) }
}

fn options(allow: &str) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    if let Ok(value) = HeaderValue::from_str(allow) {
        response.headers_mut().insert(ALLOW, value);
    }
    response
}

/// Opens the door, or says why not: who asks, how often, with which role. `None` on a route that is open to everybody.
async fn admit(
    admin: &Arc<Admin>,
    route: &Route,
    head: &Parts,
    peer: IpAddr,
    id: RequestId,
) -> Result<Option<Identity>, Problem> {
    let identity = if route.permission == Permission::Open {
        None
    } else {
        let knock = Knock { method: &head.method, headers: &head.headers, peer, id };
        Some(identify(admin, knock, matches!(route.handler, Handler::Keyless(_))).await?)
    };
    // Peers without a key are told apart by their addresses.
    let named = identity.as_ref().map(|identity| &identity.actor.name).filter(|name| *name != KEYLESS_NAME);
    let who = named.map_or_else(|| peer_name(peer), Clone::clone);
    permit(admin, route, identity, &who).await
}

/// Lets through who may do it, and not too often.
async fn permit(
    admin: &Arc<Admin>,
    route: &Route,
    identity: Option<Identity>,
    who: &str,
) -> Result<Option<Identity>, Problem> {
    if let Err(wait) = admin.buckets.take(route.rate, who, admin.gateway.clock.now()) {
        return Err(Problem::rate_limited("too many requests", wait));
    }
    let Some(identity) = identity else { return Ok(None) };
    if identity.actor.role.may(route.permission) {
        return Ok(Some(identity));
    }
    let (role, permission) = (identity.actor.role.name(), route.permission.name());
    denied::note(admin, identity.actor, route).await;
    let roles: Vec<&str> = route.permission.roles().iter().map(|role| role.name()).collect();
    Err(Problem::forbidden(format!("the role {role} does not have the permission {permission}"))
        .hint(format!("ask somebody with one of these roles: {}", roles.join(", "))))
}

async fn path_parameters(head: &mut Parts) -> Result<Vec<(String, String)>, Problem> {
    // What is no text names nothing.
    let Ok(found) = RawPathParams::from_request_parts(head, &()).await else {
        return Err(Problem::not_found("the path is not UTF-8"));
    };
    let path: Vec<(String, String)> = found.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    if path.iter().any(|(_, value)| value.len() > 1_024 || value.chars().any(char::is_control)) {
        return Err(Problem::not_found("no resource has such a name"));
    }
    Ok(path)
}

/// Reads the query: only what is declared, each once, in its form.
fn query_parameters(declared: &[Parameter], query: &str) -> Result<Vec<(String, String)>, Problem> {
    let mut read: Vec<(String, String)> = Vec::new();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let (name, value) = (decode(name)?, decode(value)?);
        let known = declared.iter().find(|parameter| parameter.place == Place::Query && parameter.name == name);
        let Some(parameter) = known else {
            return Err(unknown_parameter(declared, &name));
        };
        if read.iter().any(|(other, _)| *other == name) {
            return Err(Problem::invalid(parameter.name, format!("{name} stands more than once")));
        }
        if let Some(complaint) = parameter.form.complaint(&value) {
            return Err(Problem::invalid(parameter.name, format!("{name} {complaint}")));
        }
        read.push((name, value));
    }
    let missing = |parameter: &&Parameter| {
        parameter.required && parameter.place == Place::Query && !read.iter().any(|(name, _)| name == parameter.name)
    };
    match declared.iter().find(missing) {
        Some(parameter) => Err(Problem::invalid(parameter.name, format!("{} is missing", parameter.name))),
        None => Ok(read),
    }
}

fn unknown_parameter(declared: &[Parameter], name: &str) -> Problem {
    let names: Vec<&str> =
        declared.iter().filter(|parameter| parameter.place == Place::Query).map(|parameter| parameter.name).collect();
    let hint =
        if names.is_empty() { "this path takes none".to_owned() } else { format!("known: {}", names.join(", ")) };
    let name: String = name.chars().take(64).collect();
    Problem::invalid(&name, "unknown query parameter").hint(hint)
}

fn decode(text: &str) -> Result<String, Problem> {
    let spaced = text.replace('+', " ");
    match percent_decode_str(&spaced).decode_utf8() {
        Ok(text) => Ok(text.into_owned()),
        Err(_) => Err(Problem::new(Code::InvalidRequest, "the query is not UTF-8")),
    }
}

/// A page of another site must not reach a listener on this machine through the operator's browser (DNS rebinding). The
/// name in `public_url` is good too: a proxy on this machine may pass it on.
fn same_site_only(admin: &Admin, headers: &HeaderMap) -> Result<(), Problem> {
    let local = admin.address.ip().is_loopback();
    let public = admin.people.public_url.as_deref().map(host_of);
    let known = |name: &str| is_local(name) || public.is_some_and(|public| host_of(name).eq_ignore_ascii_case(public));
    let foreign = |value: &HeaderValue| !value.to_str().is_ok_and(known);
    let rebound = local && headers.get(HOST).is_some_and(foreign);
    let crossed = headers.get(ORIGIN).is_some_and(|origin| local && foreign(origin));
    if rebound || crossed {
        return Err(Problem::forbidden("this host or origin may not use the admin listener")
            .hint("use http://127.0.0.1 or http://localhost, or set public_url to the address that a proxy shows"));
    }
    Ok(())
}

/// Whether a host or an origin names this machine.
fn is_local(name: &str) -> bool {
    let host = host_of(name);
    host.eq_ignore_ascii_case("localhost") || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

/// Returns the host of an address, an origin or a `Host` header, without its port.
fn host_of(name: &str) -> &str {
    let host = name.split_once("://").map_or(name, |(_, host)| host);
    match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => host.split([':', '/']).next().unwrap_or_default(),
    }
}

/// Runs a handler; when it panics, that request alone fails.
struct Contained<F>(Pin<Box<F>>);

impl<F: Future<Output = Outcome>> Future for Contained<F> {
    type Output = Outcome;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Outcome> {
        let handler = &mut self.0;
        match std::panic::catch_unwind(AssertUnwindSafe(|| handler.as_mut().poll(context))) {
            Ok(poll) => poll,
            Err(_) => Poll::Ready(Err(Problem::internal("the gateway failed to handle this request"))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{host_of, segments, words};

    #[test]
    fn hosts_are_read_out_of_addresses() {
        for (name, host) in [
            ("https://gw.test/base", "gw.test"),
            ("https://gw.test:8443/base", "gw.test"),
            ("gw.test:80", "gw.test"),
            ("http://[::1]:8081", "::1"),
            ("https://gw.test.evil.test", "gw.test.evil.test"),
            ("", ""),
        ] {
            assert_eq!(host_of(name), host, "{name}");
        }
    }

    #[test]
    fn a_word_may_stand_where_a_parameter_does() {
        let words = |path, other| words(&segments(path), &segments(other));
        assert_eq!(words("/a/{x}", "/a/test"), Some(vec![("x", "test")]));
        assert_eq!(words("/{e}/a/{x}", "/{e}/a/test"), Some(vec![("x", "test")]));
        for (path, other) in [("/a/{x}", "/a/{x}"), ("/a/test", "/a/{x}"), ("/a/{x}", "/b/test"), ("/a/{x}", "/a/b/c")]
        {
            assert_eq!(words(path, other), None, "{path} {other}");
        }
    }
}
