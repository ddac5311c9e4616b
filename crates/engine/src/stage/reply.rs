//! From an answer to the HTTP reply: its headers and its body.

use std::sync::Arc;

use bytes::Bytes;
use dialect::lane::Surface;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderMap, HeaderName, HeaderValue, Response};
use ir::id::RequestId;

use super::dispatch::{Answered, Trail};
use super::gate::Gated;
use crate::body::ReplyBody;
use crate::body::stream::StreamBody;
use crate::gateway::Gateway;
use crate::printable::{list, number};
use crate::worker::Worker;

/// `x-request-id`, on every response.
pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// `request-id`, Anthropic's name for the same: its SDKs read it.
pub const ANTHROPIC_REQUEST_ID: HeaderName = HeaderName::from_static("request-id");
/// `x-crossway-model`
const MODEL: HeaderName = HeaderName::from_static("x-crossway-model");
/// `x-crossway-provider`
const PROVIDER: HeaderName = HeaderName::from_static("x-crossway-provider");
/// `x-crossway-attempts`, on every response to a request that was dispatched.
pub const ATTEMPTS: HeaderName = HeaderName::from_static("x-crossway-attempts");
/// `x-crossway-cache`: `hit`, `miss` or `bypass`.
const CACHE: HeaderName = HeaderName::from_static("x-crossway-cache");
/// `x-crossway-cost-usd`, on buffered replies with a known cost.
const COST: HeaderName = HeaderName::from_static("x-crossway-cost-usd");
/// `x-crossway-dropped-params`: the parameters that the provider could not be told.
const DROPPED: HeaderName = HeaderName::from_static("x-crossway-dropped-params");
/// The most of those names that is told.
const MAX_DROPPED_BYTES: usize = 1_024;
/// `x-crossway-max-tokens`: the most output tokens of a choice, where the caller has said none and a limit bound it.
const MAX_TOKENS: HeaderName = HeaderName::from_static("x-crossway-max-tokens");
/// Tells reverse proxies not to buffer a stream.
const ACCEL: HeaderName = HeaderName::from_static("x-accel-buffering");

/// Makes the reply.
pub fn reply(worker: &Arc<Worker>, answered: Answered) -> Response<ReplyBody> {
    match answered {
        Answered::Whole { gated, trail, account, parts } => {
            let mut response = Response::new(ReplyBody::parts(parts));
            let headers = response.headers_mut();
            headers.reserve(room(&gated, &trail));
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
            label(headers, &worker.gateway, &gated, trail);
            if let Some(cost) = account.cost {
                let mut text = Vec::with_capacity(16);
                cost.write(&mut text);
                if let Ok(cost) = HeaderValue::from_maybe_shared(bytes::Bytes::from(text)) {
                    headers.insert(COST, cost);
                }
            }
            response
        }
        Answered::Begun { gated, trail, begun, deadline } => {
            let mut response = Response::new(ReplyBody::full(Bytes::new()));
            let headers = response.headers_mut();
            headers.reserve(room(&gated, &trail));
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream; charset=utf-8"));
            headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
            headers.insert(ACCEL, HeaderValue::from_static("no"));
            let model = trail.model;
            label(headers, &worker.gateway, &gated, trail);
            let body = StreamBody::new(Arc::clone(worker), *gated, model, *begun, deadline);
            *response.body_mut() = ReplyBody::Stream(Box::new(body));
            response
        }
    }
}

/// How many headers a reply has at most: with room for all of them the map is made once.
fn room(gated: &Gated, trail: &Trail) -> usize {
    let of_limits = if gated.ticket.limits().is_some() { 8 } else { 0 };
    12 + trail.headers.len() + of_limits
}

fn label(headers: &mut HeaderMap, gateway: &Gateway, gated: &Gated, trail: Trail) {
    let id = id_value(gated.call.id);
    if gated.request.surface() == Surface::AnthropicMessages {
        headers.insert(ANTHROPIC_REQUEST_ID, id.clone());
    }
    headers.insert(REQUEST_ID, id);
    if let Some(label) = gated.configuration.labels.get(trail.model.0) {
        headers.insert(MODEL, label.model.clone());
        headers.insert(PROVIDER, label.provider.clone());
    }
    headers.insert(ATTEMPTS, number(trail.attempts as u64));
    headers.insert(CACHE, HeaderValue::from_static("bypass"));
    if !trail.dropped.is_empty() {
        headers.insert(DROPPED, list(&trail.dropped, MAX_DROPPED_BYTES));
    }
    for (name, value) in trail.headers {
        headers.append(name, value);
    }
    if let Some(cap) = gated.cap {
        headers.insert(MAX_TOKENS, number(cap));
    }
    if let Some(standing) = gated.ticket.standing(&gateway.clock) {
        standing.write(headers);
    }
}

/// Returns a request id as a header value.
pub fn id_value(id: RequestId) -> HeaderValue {
    HeaderValue::from_bytes(&id.text()).unwrap_or(HeaderValue::from_static(""))
}
