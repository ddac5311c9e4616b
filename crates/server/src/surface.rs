//! The surfaces of the data plane: which path belongs to which, and how each says that something went wrong.

mod explain;
mod models;

use std::sync::Arc;

use bytes::Bytes;
use dialect::lane::Surface;
use engine::body::ReplyBody;
use engine::capture::Capture;
use engine::count::count_tokens;
use engine::gateway::Gateway;
use engine::native::{feedback, manage};
use engine::pipeline::{Arrival, chat};
use engine::refusal::Refusal;
use engine::stage::authenticate::glimpse;
use engine::worker::Worker;
use http::request::Parts;
use http::{Method, Response};
use http_body::Body;
use ir::failure::{Code, Failure, Fault};
use ir::id::RequestId;

/// Only Anthropic's clients send it.
const ANTHROPIC_VERSION: &str = "anthropic-version";

/// What a path names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Route<'a> {
    Chat,
    Messages,
    CountTokens,
    Models,
    Model(&'a str),
    Explain,
    Feedback,
    Native,
}

/// Under this management keys have theirs.
const NATIVE: &str = "/api/v1/";

/// Under each of these both surfaces are served; the longest comes first. Anthropic's SDK appends `/v1` to a base that
/// may end in it already.
const PREFIXES: [&str; 6] = ["/api/anthropic/v1/v1", "/api/anthropic/v1", "/v1/router", "/v1/v1", "/v1", ""];

fn route(path: &str) -> Option<Route<'_>> {
    if path.starts_with(NATIVE) {
        return Some(Route::Native);
    }
    PREFIXES.into_iter().find_map(|prefix| match path.strip_prefix(prefix)? {
        "/chat/completions" if !prefix.starts_with("/api") => Some(Route::Chat),
        "/messages" if !prefix.is_empty() => Some(Route::Messages),
        "/messages/count_tokens" if !prefix.is_empty() => Some(Route::CountTokens),
        "/feedback" if !prefix.is_empty() => Some(Route::Feedback),
        "/models" => Some(Route::Models),
        "/route" if !prefix.is_empty() => Some(Route::Explain),
        rest => rest.strip_prefix("/models/").filter(|id| !id.is_empty() && !id.contains("..")).map(Route::Model),
    })
}

/// Returns the surface that a request belongs to: it decides about the shape of errors, even of an unknown path.
pub fn of(head: &Parts) -> Surface {
    by_path(head.uri.path(), || head.headers.contains_key(ANTHROPIC_VERSION))
}

/// Returns the surface that a request belongs to of which only the path is known.
pub fn of_path(path: &str) -> Surface {
    by_path(path, || false)
}

fn by_path(path: &str, is_anthropic: impl FnOnce() -> bool) -> Surface {
    match route(path) {
        Some(Route::Chat) => Surface::OpenaiChat,
        Some(Route::Messages) => Surface::AnthropicMessages,
        Some(Route::CountTokens) => Surface::AnthropicCount,
        Some(Route::Native | Route::Feedback) => Surface::OpenaiChat,
        Some(Route::Models | Route::Model(_) | Route::Explain) | None => {
            if path.starts_with("/api/anthropic/") || is_anthropic() {
                Surface::AnthropicMessages
            } else {
                Surface::OpenaiChat
            }
        }
    }
}

/// Answers a request.
pub async fn answer<B>(worker: &Arc<Worker>, surface: Surface, arrival: Arrival<B>) -> Response<ReplyBody>
where
    B: Body<Data = Bytes> + Unpin,
{
    let uri = arrival.head.uri.clone();
    let answer = match (route(uri.path()), &arrival.head.method) {
        (Some(Route::Chat | Route::Messages), &Method::POST) => chat(worker, surface, arrival).await,
        (Some(Route::CountTokens), &Method::POST) => count_tokens(worker, arrival).await,
        (Some(Route::Models), &Method::GET) => models::list(worker, surface, &arrival),
        (Some(Route::Model(name)), &Method::GET) => models::one(worker, surface, &arrival, name),
        (Some(Route::Explain), &Method::POST) => explain::own(worker, surface, arrival).await,
        (Some(Route::Feedback), &Method::POST) => feedback(&worker.gateway, arrival).await,
        (Some(Route::Native), _) => manage(&worker.gateway, arrival).await,
        (Some(Route::Chat | Route::Messages | Route::CountTokens | Route::Explain | Route::Feedback), _) => {
            Err(method(worker, &arrival, "POST"))
        }
        (Some(_), _) => Err(method(worker, &arrival, "GET")),
        (None, _) => Err(closing(worker, &arrival, not_found(uri.path()))),
    };
    answer.unwrap_or_else(|refusal| {
        if !refusal.admitted {
            worker.gateway.metrics.rejected();
        }
        let reply = error(&worker.gateway, surface, &refusal);
        Capture::around(refusal.capture, reply)
    })
}

/// Says what there is instead of what was asked for: somebody's base URL is wrong, or they want what is not there.
fn not_found(path: &str) -> Failure {
    let of_admin = ["/healthz", "/readyz", "/metrics", "/admin"].iter().any(|begin| path.starts_with(begin));
    let hint = match path {
        "/" => "the OpenAI and Anthropic APIs are served under /v1",
        _ if of_admin => "the admin listener may have it, at another port",
        _ => "POST /v1/chat/completions, POST /v1/messages and GET /v1/models are served here",
    };
    Failure::new(Code::NotFound, Fault::Caller, format!("unknown path; {hint}"))
}

fn method<B>(worker: &Worker, arrival: &Arrival<B>, allowed: &str) -> Refusal {
    let failure = Failure::new(Code::MethodNotAllowed, Fault::Caller, format!("this path takes {allowed} only"));
    closing(worker, arrival, failure.with_param(allowed))
}

/// Refuses what needs no key; who has one is told how it stands.
fn closing<B>(worker: &Worker, arrival: &Arrival<B>, failure: Failure) -> Refusal {
    let refusal = Refusal::closing(arrival.id, failure);
    match glimpse(&worker.gateway, arrival) {
        Some(identity) => refusal.of(&worker.gateway, &identity, arrival.peer.ip()),
        None => refusal,
    }
}

/// Renders a refusal.
pub fn error(gateway: &Gateway, surface: Surface, refusal: &Refusal) -> Response<ReplyBody> {
    refusal.render(gateway, surface)
}

/// Answers in place of a handler that panicked.
pub fn panicked(gateway: &Gateway, surface: Surface, id: RequestId) -> Response<ReplyBody> {
    let failure = Failure::new(Code::InternalError, Fault::Gateway, "the gateway failed to handle this request");
    error(gateway, surface, &Refusal::closing(id, failure))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(path: &str, expect: Option<Route<'_>>) {
        assert_eq!(route(path), expect, "{path}");
    }

    #[test]
    fn both_surfaces_have_their_prefixes() {
        for prefix in ["", "/v1", "/v1/router"] {
            check(&format!("{prefix}/chat/completions"), Some(Route::Chat));
        }
        for prefix in ["/v1", "/v1/v1", "/api/anthropic/v1", "/api/anthropic/v1/v1"] {
            check(&format!("{prefix}/messages"), Some(Route::Messages));
            check(&format!("{prefix}/messages/count_tokens"), Some(Route::CountTokens));
            check(&format!("{prefix}/models"), Some(Route::Models));
        }
        check("/v1/models/a/b", Some(Route::Model("a/b")));
        check("/v1/models/", None);
        check("/v1/route", Some(Route::Explain));
        check("/route", None);
        check("/v1/feedback", Some(Route::Feedback));
        check("/feedback", None);
        check("/v1//messages", None);
        check("/api/v1/keys", Some(Route::Native));
        check("/api/v1", None);
        check("/api/v1/messages", Some(Route::Native));
        check("/api/anthropic/v1/chat/completions", None);
    }
}
