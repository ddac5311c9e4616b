//! From an answer to the HTTP reply: its headers and its body.

use std::sync::Arc;

use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderMap, HeaderName, HeaderValue, Response};
use ir::id::RequestId;

use super::dispatch::{Answered, Trail};
use crate::body::ReplyBody;
use crate::body::stream::StreamBody;
use crate::state::State;
use crate::worker::Worker;

/// `x-request-id`, on every response.
pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
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
/// Tells reverse proxies not to buffer a stream.
const ACCEL: HeaderName = HeaderName::from_static("x-accel-buffering");

/// Makes the reply.
pub fn reply(worker: &Arc<Worker>, answered: Answered) -> Response<ReplyBody> {
    match answered {
        Answered::Whole { gated, trail, account, parts } => {
            let mut response = Response::new(ReplyBody::parts(parts));
            let headers = response.headers_mut();
            headers.reserve(8 + trail.headers.len());
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
            label(headers, gated.call.id, &gated.state, trail);
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
            let (id, state) = (gated.call.id, Arc::clone(&gated.state));
            let body = StreamBody::new(Arc::clone(worker), *gated, trail.model, *begun, deadline);
            let mut response = Response::new(ReplyBody::Stream(Box::new(body)));
            let headers = response.headers_mut();
            headers.reserve(9 + trail.headers.len());
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream; charset=utf-8"));
            headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
            headers.insert(ACCEL, HeaderValue::from_static("no"));
            label(headers, id, &state, trail);
            response
        }
    }
}

fn label(headers: &mut HeaderMap, id: RequestId, state: &State, trail: Trail) {
    headers.insert(REQUEST_ID, id_value(id));
    if let Some(label) = state.configuration.labels.get(trail.model.0) {
        headers.insert(MODEL, label.model.clone());
        headers.insert(PROVIDER, label.provider.clone());
    }
    headers.insert(ATTEMPTS, HeaderValue::from(trail.attempts));
    headers.insert(CACHE, HeaderValue::from_static("bypass"));
    for (name, value) in trail.headers {
        headers.append(name, value);
    }
}

/// Returns a request id as a header value.
pub fn id_value(id: RequestId) -> HeaderValue {
    HeaderValue::from_bytes(&id.text()).unwrap_or(HeaderValue::from_static(""))
}
