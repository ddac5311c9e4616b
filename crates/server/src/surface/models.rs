//! `GET /v1/models`: what a key may use, in OpenAI's shape or, for Anthropic's clients, in theirs.

use dialect::lane::Surface;
use engine::body::ReplyBody;
use engine::limits;
use engine::models::{self, ModelEntry};
use engine::pipeline::Arrival;
use engine::refusal::Refusal;
use engine::refusal::render::label;
use engine::stage::authenticate::{Identity, identify};
use engine::worker::Worker;
use http::Response;
use ir::civil::rfc3339;
use ir::failure::{Code, Failure, Fault};
use percent_encoding::percent_decode_str;
use serde::Serialize;
use serde_json::json;

/// Anthropic's page size, and the largest that it grants: <https://docs.claude.com/en/api/models-list>.
const PAGE: usize = 20;
const MAX_PAGE: usize = 1_000;

/// Answers with every model that the key may use.
pub(super) fn list<B>(worker: &Worker, surface: Surface, arrival: &Arrival<B>) -> Result<Response<ReplyBody>, Refusal> {
    let identity = identify(&worker.gateway, arrival)?;
    let entries = models::list(&identity.configuration, &identity.key.compiled);
    let body = match surface {
        Surface::OpenaiChat => json!({ "object": "list", "data": entries }),
        _ => page(&entries, arrival.head.uri.query().unwrap_or_default())
            .map_err(|failure| refused(worker, arrival, &identity, failure))?,
    };
    Ok(reply(worker, surface, arrival, &identity, &body))
}

/// Answers with one model.
pub(super) fn one<B>(
    worker: &Worker,
    surface: Surface,
    arrival: &Arrival<B>,
    name: &str,
) -> Result<Response<ReplyBody>, Refusal> {
    let identity = identify(&worker.gateway, arrival)?;
    let entries = models::list(&identity.configuration, &identity.key.compiled);
    let snapshot = &identity.configuration.snapshot;
    // SDKs escape the slash in a name.
    let name = &*percent_decode_str(name).decode_utf8_lossy();
    let slug = snapshot.resolve(name).first().and_then(|index| snapshot.model(*index)).map(|model| &*model.slug);
    let Some(entry) = entries.iter().find(|entry| entry.id == slug.unwrap_or(name)) else {
        let unknown = Failure::new(Code::NotFound, Fault::Caller, "the model does not exist").with_param("model");
        return Err(refused(worker, arrival, &identity, unknown));
    };
    let body = match surface {
        Surface::OpenaiChat => json!(entry),
        _ => json!(Anthropic::of(entry)),
    };
    Ok(reply(worker, surface, arrival, &identity, &body))
}

fn refused<B>(worker: &Worker, arrival: &Arrival<B>, identity: &Identity, failure: Failure) -> Refusal {
    Refusal::early(arrival.id, failure).of(&worker.gateway, identity, arrival.peer.ip())
}

fn reply<B>(
    worker: &Worker,
    surface: Surface,
    arrival: &Arrival<B>,
    identity: &Identity,
    body: &serde_json::Value,
) -> Response<ReplyBody> {
    let mut response = Response::new(ReplyBody::full(body.to_string()));
    label(response.headers_mut(), surface, arrival.id);
    let Identity { key, configuration } = identity;
    if let Some(standing) = limits::standing(&worker.gateway, key, configuration, arrival.peer.ip()) {
        standing.write(response.headers_mut());
    }
    response
}

/// One model as Anthropic lists it, our members after theirs.
#[derive(Serialize)]
struct Anthropic<'a> {
    r#type: &'static str,
    id: &'a str,
    display_name: &'a str,
    created_at: String,
    lifecycle: &'static str,
    deprecated_at: Option<String>,
    retires_at: Option<String>,
    capabilities: Option<()>,
    line: Option<()>,
    max_input_tokens: Option<u64>,
    max_tokens: Option<u64>,
    owned_by: &'a str,
    pricing: &'a Option<models::Pricing>,
}

impl<'a> Anthropic<'a> {
    fn of(entry: &'a ModelEntry<'a>) -> Self {
        Self {
            r#type: "model",
            id: entry.id,
            display_name: entry.id,
            created_at: rfc3339(entry.created.saturating_mul(1_000)),
            lifecycle: "active",
            deprecated_at: None,
            retires_at: None,
            capabilities: None,
            line: None,
            max_input_tokens: entry.context_window,
            max_tokens: entry.max_output_tokens,
            owned_by: entry.owned_by,
            pricing: &entry.pricing,
        }
    }
}

/// Returns the page that a query asks for: `limit`, and `after_id` or `before_id`.
fn page(entries: &[ModelEntry<'_>], query: &str) -> Result<serde_json::Value, Failure> {
    let raw = |name: &str| query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='));
    let value = |name: &str| raw(name).map(|value| percent_decode_str(value).decode_utf8_lossy());
    let limit = match raw("limit").map(str::parse::<usize>) {
        None => PAGE,
        Some(Ok(limit @ 1..=MAX_PAGE)) => limit,
        Some(_) => return Err(Failure::invalid("limit", "`limit` must be a whole number from 1 to 1000")),
    };
    // A page after a model that is gone is none: from the beginning again, a client would never come to the end.
    let place = |name: &str| match value(name).map(|id| entries.iter().position(|entry| entry.id == id)) {
        None => Ok(None),
        Some(Some(at)) => Ok(Some(at)),
        Some(None) => Err(Failure::invalid(name, format!("`{name}` names no model that this key may use"))),
    };
    let (after, before) = (place("after_id")?, place("before_id")?);
    let (start, end) = match (after, before) {
        (Some(after), _) => (after + 1, (after + 1 + limit).min(entries.len())),
        (None, Some(before)) => (before.saturating_sub(limit), before),
        (None, None) => (0, limit.min(entries.len())),
    };
    let shown = entries.get(start..end).unwrap_or_default();
    let more = if after.is_none() && before.is_some() { start > 0 } else { end < entries.len() };
    Ok(json!({
        "data": shown.iter().map(Anthropic::of).collect::<Vec<_>>(),
        "has_more": more,
        "first_id": shown.first().map(|entry| entry.id),
        "last_id": shown.last().map(|entry| entry.id),
    }))
}
