//! The admin listener: health, metrics, and the request log.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use axum::extract::{Path, Query, Request, State};
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE, HOST, ORIGIN};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use engine::gateway::Gateway;
use ir::id::RequestId;
use policy::secret::Secret;
use store::records::read::{ListQuery, MAX_LIMIT, RecordsReader};

use self::problem::Problem;

mod problem;

/// What the admin side works with.
pub struct Admin {
    /// The data plane, for health and metrics.
    pub gateway: Arc<Gateway>,
    /// Where the databases are.
    pub data_dir: PathBuf,
    /// The token with operator rights; without one there is no token access.
    pub token: Option<Secret>,
    /// Whether the journal can be written.
    pub journal_healthy: Box<dyn Fn() -> bool + Send + Sync>,
    /// The address it listens on.
    pub address: SocketAddr,
}

type Shared = State<Arc<Admin>>;

/// Returns the routes. Everything but health and metrics needs operator rights.
pub fn router(admin: Admin) -> Router {
    let admin = Arc::new(admin);
    let operator = Router::new()
        .route("/admin/v1/environments/{environment}/requests", get(list_requests))
        .route("/admin/v1/environments/{environment}/requests/{id}", get(get_request))
        .route_layer(from_fn_with_state(Arc::clone(&admin), operator_only));
    Router::new()
        .route("/healthz", get(healthz))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics))
        .merge(operator)
        .fallback(|| async { Problem::not_found("unknown path") })
        .method_not_allowed_fallback(|| async { Problem::method_not_allowed() })
        .layer(from_fn_with_state(Arc::clone(&admin), same_site_only))
        .with_state(admin)
}

async fn healthz() -> &'static str {
    "ok\n"
}

/// Ready: serving, and able to record what is served.
async fn readyz(State(admin): Shared) -> Response {
    if admin.gateway.is_draining() {
        return (StatusCode::SERVICE_UNAVAILABLE, "draining\n").into_response();
    }
    if !(admin.journal_healthy)() {
        return (StatusCode::SERVICE_UNAVAILABLE, "the journal cannot be written\n").into_response();
    }
    "ready\n".into_response()
}

async fn metrics(State(admin): Shared) -> Response {
    match admin.gateway.metrics.render(admin.gateway.held.now().0) {
        Ok(text) => {
            let kind = HeaderValue::from_static("application/openmetrics-text; version=1.0.0; charset=utf-8");
            ([(CONTENT_TYPE, kind)], text).into_response()
        }
        Err(_) => Problem::internal("the metrics could not be rendered").into_response(),
    }
}

async fn list_requests(
    State(admin): Shared,
    Path(environment): Path<String>,
    query: Result<Query<RequestFilter>, axum::extract::rejection::QueryRejection>,
) -> Result<Response, Problem> {
    let Query(filter) = query.map_err(|rejection| Problem::invalid("query", rejection.body_text()))?;
    known(&admin, &environment)?;
    let query = filter.compile(environment)?;
    let page = read(&admin, move |reader| reader.list(&query)).await?;
    Ok(Json(page).into_response())
}

async fn get_request(
    State(admin): Shared,
    Path((environment, id)): Path<(String, String)>,
) -> Result<Response, Problem> {
    known(&admin, &environment)?;
    let id = RequestId::parse(&id).ok_or_else(|| Problem::not_found("no such request"))?;
    let found = read(&admin, move |reader| reader.get(&environment, id)).await?;
    found.map(|record| Json(record).into_response()).ok_or_else(|| Problem::not_found("no such request"))
}

/// Query parameters of the request log.
#[derive(Debug, Default, serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct RequestFilter {
    key: Option<String>,
    model: Option<String>,
    provider: Option<String>,
    status: Option<u16>,
    outcome: Option<String>,
    /// Unix milliseconds.
    from: Option<u64>,
    to: Option<u64>,
    limit: Option<usize>,
    cursor: Option<String>,
}

impl RequestFilter {
    fn compile(self, environment: String) -> Result<ListQuery, Problem> {
        if self.limit.is_some_and(|limit| !(1..=MAX_LIMIT).contains(&limit)) {
            return Err(Problem::invalid("limit", format!("limit must be from 1 to {MAX_LIMIT}")));
        }
        Ok(ListQuery {
            environment,
            key_name: self.key,
            model: self.model,
            provider: self.provider,
            status: self.status,
            outcome: self.outcome,
            from_ms: self.from,
            to_ms: self.to,
            limit: self.limit,
            cursor: self.cursor,
        })
    }
}

fn known(admin: &Admin, environment: &str) -> Result<(), Problem> {
    if admin.gateway.state().environment(environment).is_some() {
        return Ok(());
    }
    Err(Problem::not_found("no such environment"))
}

/// Runs a query on a connection of its own, away from the threads that serve.
async fn read<T: Send + 'static>(
    admin: &Admin,
    query: impl FnOnce(&RecordsReader) -> Result<T, store::StoreError> + Send + 'static,
) -> Result<T, Problem> {
    let data_dir = admin.data_dir.clone();
    let task = tokio::task::spawn_blocking(move || query(&RecordsReader::open(&data_dir)?));
    match task.await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(error)) => Err(Problem::store(&error)),
        Err(_) => Err(Problem::internal("the query was given up")),
    }
}

/// Lets through who holds the admin token.
async fn operator_only(State(admin): Shared, headers: HeaderMap, request: Request, next: Next) -> Response {
    let Some(token) = &admin.token else {
        return Problem::unauthorized("no admin token is set: set CROSSWAY_ADMIN_TOKEN and restart").into_response();
    };
    let given = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "));
    if given.is_some_and(|given| same(given, token.expose())) {
        return next.run(request).await;
    }
    Problem::unauthorized("the admin token is missing or wrong").into_response()
}

/// Compares without telling by the time taken where the difference is.
fn same(given: &str, expected: &str) -> bool {
    let differences =
        given.bytes().zip(expected.bytes()).fold(0u8, |differences, (one, other)| differences | (one ^ other));
    std::hint::black_box(differences) == 0 && given.len() == expected.len()
}

/// A page of another site must not reach a listener on this machine through the operator's browser (DNS rebinding).
async fn same_site_only(State(admin): Shared, request: Request, next: Next) -> Response {
    let headers = request.headers();
    let local = admin.address.ip().is_loopback();
    let foreign = |value: &HeaderValue| !value.to_str().is_ok_and(is_local);
    let rebound = local && headers.get(HOST).is_some_and(foreign);
    let crossed = headers.get(ORIGIN).is_some_and(|origin| local && foreign(origin));
    if rebound || crossed {
        return Problem::forbidden("this host or origin may not use the admin listener").into_response();
    }
    next.run(request).await
}

/// Whether a host or an origin names this machine.
fn is_local(name: &str) -> bool {
    let host = name.split_once("://").map_or(name, |(_, host)| host);
    let host = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => host.split(':').next().unwrap_or_default(),
    };
    host.eq_ignore_ascii_case("localhost") || host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
}
