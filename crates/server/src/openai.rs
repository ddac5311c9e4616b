//! The OpenAI surface: routes and errors.

use std::sync::Arc;

use bytes::Bytes;
use dialect::openai_chat::error::render;
use engine::body::ReplyBody;
use engine::models;
use engine::pipeline::{Arrival, chat};
use engine::refusal::Refusal;
use engine::stage::authenticate::identify;
use engine::stage::reply::{ATTEMPTS, REQUEST_ID, id_value};
use engine::worker::Worker;
use http::header::{ALLOW, CONNECTION, CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderName, HeaderValue, Method, Response, StatusCode};
use http_body::Body;
use ir::failure::{Code, Failure, Fault};
use ir::id::RequestId;

/// The stable code of an error, on every surface.
const ERROR_CODE: HeaderName = HeaderName::from_static("x-crossway-error-code");

/// What a path of the surface names.
enum Route<'a> {
    Chat,
    Models,
    Model(&'a str),
}

/// Under each of these the surface is served.
const PREFIXES: [&str; 3] = ["/v1/router", "/v1", ""];

fn route(path: &str) -> Option<Route<'_>> {
    PREFIXES.into_iter().find_map(|prefix| match path.strip_prefix(prefix)? {
        "/chat/completions" => Some(Route::Chat),
        "/models" => Some(Route::Models),
        rest => rest.strip_prefix("/models/").filter(|id| !id.is_empty()).map(Route::Model),
    })
}

/// Answers a request.
pub async fn answer<B>(worker: &Arc<Worker>, arrival: Arrival<B>) -> Response<ReplyBody>
where
    B: Body<Data = Bytes> + Unpin,
{
    let id = arrival.id;
    let path = arrival.head.uri.path().to_owned();
    let answer = match (route(&path), &arrival.head.method) {
        (Some(Route::Chat), &Method::POST) => chat(worker, arrival).await,
        (Some(Route::Models), &Method::GET) => list_models(worker, &arrival, None),
        (Some(Route::Model(name)), &Method::GET) => list_models(worker, &arrival, Some(name)),
        (Some(Route::Chat), _) => Err(method(id, "POST")),
        (Some(_), _) => Err(method(id, "GET")),
        (None, _) => Err(Refusal::closing(id, not_found(&path))),
    };
    answer.unwrap_or_else(|refusal| {
        if !refusal.admitted {
            worker.gateway.metrics.rejected();
        }
        error(&refusal)
    })
}

fn not_found(path: &str) -> Failure {
    let hint = if path == "/" { "; the OpenAI API is served under /v1" } else { "" };
    Failure::new(Code::NotFound, Fault::Caller, format!("unknown path{hint}"))
}

fn method(id: RequestId, allowed: &str) -> Refusal {
    let failure = Failure::new(Code::MethodNotAllowed, Fault::Caller, format!("this path takes {allowed} only"));
    Refusal::closing(id, failure.with_param(allowed))
}

fn list_models<B>(worker: &Worker, arrival: &Arrival<B>, name: Option<&str>) -> Result<Response<ReplyBody>, Refusal> {
    let state = worker.gateway.state();
    let key = identify(&worker.gateway, &state, arrival.headers(), arrival.peer.ip())
        .map_err(|failure| Refusal::closing(arrival.id, failure))?;
    let entries = models::list(&state.configuration, &key.compiled);
    let body = match name {
        None => serde_json::to_vec(&serde_json::json!({ "object": "list", "data": entries })),
        Some(name) => {
            let snapshot = &state.configuration.snapshot;
            let slug = snapshot.resolve(name).first().and_then(|index| snapshot.model(*index)).map(|m| &*m.slug);
            let entry = entries.iter().find(|entry| entry.id == slug.unwrap_or(name));
            let unknown =
                || Failure::new(Code::NotFound, Fault::Caller, "the model does not exist").with_param("model");
            serde_json::to_vec(entry.ok_or_else(|| Refusal::early(arrival.id, unknown()))?)
        }
    };
    let mut response = Response::new(ReplyBody::full(body.unwrap_or_default()));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response.headers_mut().insert(REQUEST_ID, id_value(arrival.id));
    Ok(response)
}

/// Renders a refusal.
pub fn error(refusal: &Refusal) -> Response<ReplyBody> {
    let failure = &refusal.failure;
    let mut response = Response::new(ReplyBody::full(render(failure)));
    *response.status_mut() = StatusCode::from_u16(failure.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(REQUEST_ID, id_value(refusal.id));
    headers.insert(ERROR_CODE, HeaderValue::from_static(failure.code.name()));
    if refusal.attempts > 0 {
        headers.insert(ATTEMPTS, HeaderValue::from(refusal.attempts));
    }
    if let Some(wait) = failure.retry_after {
        // Whole seconds, rounded up: a caller that comes back earlier is refused again.
        headers.insert(RETRY_AFTER, HeaderValue::from(wait.as_millis().div_ceil(1_000) as u64));
    }
    if failure.code == Code::MethodNotAllowed {
        let allowed = failure.param.as_deref().and_then(|param| HeaderValue::from_str(param).ok());
        headers.insert(ALLOW, allowed.unwrap_or(HeaderValue::from_static("GET, POST")));
    }
    if refusal.close {
        headers.insert(CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

/// Answers in place of a handler that panicked.
pub fn panicked(id: RequestId) -> Response<ReplyBody> {
    let failure = Failure::new(Code::InternalError, Fault::Gateway, "the gateway failed to handle this request");
    error(&Refusal::closing(id, failure))
}
