//! Routes of the request log and of usage.

use axum::http::Method;
use control::access::Permission;
use schemars::{Schema, SchemaGenerator, json_schema};
use serde_json::{Value, json};
use store::records::read::MAX_LIMIT;
use store::records::usage::Dimension;

use crate::admin::problem::Code;
use crate::admin::requests::filter::FILTERS;
use crate::admin::requests::{MOST_BARS, count, get, histogram, list, payload, tail};
use crate::admin::route::{Form, Gives, Handler, Parameter, Route, SchemaOf, Takes, signed_in};
use crate::admin::throttle::RateClass;
use crate::admin::usage;

const ENVIRONMENT: Parameter = Parameter::path("env", "The environment's name.");
const ID: Parameter = Parameter::path("id", "The request's id, `req_…`.");
const ZONE: Parameter = Parameter::query(
    "zone",
    Form::Text { most: 64 },
    "Where days and hours begin: `UTC`, an offset such as `+05:30`, or a name such as `Europe/Berlin`; the environment's when absent.",
);

fn text(kind: &str) -> Value {
    json!({ "type": kind })
}

fn nullable(kind: &str) -> Value {
    json!({ "type": [kind, "null"] })
}

fn record(_: &mut SchemaGenerator) -> Schema {
    let object = || json!({ "type": "object" });
    json_schema!({
        "type": "object",
        "required": ["id", "created_at", "environment", "key", "surface", "status", "outcome", "usage", "attempts"],
        "properties": {
            "id": text("string"),
            "created_at": { "type": "string", "format": "date-time" },
            "environment": text("string"),
            "key": object(),
            "team": nullable("string"),
            "cost_tags": { "type": "array", "items": text("string") },
            "surface": text("string"),
            "requested_model": text("string"),
            "model": nullable("string"),
            "provider": nullable("string"),
            "stream": text("boolean"),
            "status": text("integer"),
            "outcome": text("string"),
            "error": nullable("object"),
            "finish_reason": nullable("string"),
            "upstream_id": nullable("string"),
            "usage": object(),
            "cost_usd": nullable("number"),
            "charged_usd": nullable("number"),
            "baseline": nullable("string"),
            "baseline_cost_usd": nullable("number"),
            "saved_pct": nullable("number"),
            "latency_ms": text("number"),
            "time_to_first_content_ms": nullable("number"),
            "attempts": { "type": "array", "items": object() },
            "feedback": {
                "type": "object",
                "description": "What the caller said of the answer (`POST /v1/feedback`), if anything; of a single request alone.",
            },
        },
    })
}

fn page(generator: &mut SchemaGenerator) -> Schema {
    let record = record(generator);
    json_schema!({
        "type": "object",
        "required": ["data", "next_cursor"],
        "properties": {
            "data": { "type": "array", "items": record },
            "next_cursor": nullable("string"),
            "searched_back_to": {
                "type": "string",
                "format": "date-time",
                "description": "On a page that is not full although there may be more: the search was at this instant.",
            },
        },
    })
}

fn content(_: &mut SchemaGenerator) -> Schema {
    let body = json!({
        "type": ["object", "null"],
        "properties": {
            "bytes": text("integer"),
            "kept_bytes": text("integer"),
            "truncated": text("boolean"),
            "shown_bytes": text("integer"),
            "text": text("string"),
        },
    });
    json_schema!({
        "type": "object",
        "required": ["id", "state", "meaning", "request", "response"],
        "properties": {
            "id": text("string"),
            "state": { "enum": ["full", "redacted", "dropped", "absent"] },
            "meaning": text("string"),
            "request": body,
            "response": body,
        },
    })
}

fn counted(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "required": ["count", "exact", "complete_from", "as_of"],
        "properties": {
            "count": text("integer"),
            "exact": text("boolean"),
            "complete_from": nullable("string"),
            "as_of": text("string"),
        },
    })
}

fn sums(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "required": ["data", "from", "to", "as_of"],
        "properties": {
            "data": { "type": "array", "items": { "type": "object" } },
            "total": { "type": "object" },
            "bucket_ms": text("integer"),
            "from": text("string"),
            "to": text("string"),
            "complete_from": nullable("string"),
            "as_of": text("string"),
        },
    })
}

fn events(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "string", "description": "Events `request` with a record, and `dropped`." })
}

fn route(
    path: &'static str,
    id: &str,
    summary: &str,
    parameters: Vec<Parameter>,
    body: (&'static str, SchemaOf),
    handler: Handler,
) -> Route {
    Route {
        method: Method::GET,
        path,
        id: id.to_owned(),
        tag: "Requests",
        permission: Permission::ReadRequests,
        rate: RateClass::Read,
        summary: summary.to_owned(),
        parameters: [vec![ENVIRONMENT], parameters].concat(),
        takes: Takes::Nothing,
        gives: Gives { status: 200, meaning: "The answer.", body: Some(body), headers: &[] },
        errors: &[Code::NotFound, Code::DependencyUnavailable],
        handler,
    }
}

/// Returns the filters and more parameters.
fn filtered(more: &[Parameter]) -> Vec<Parameter> {
    [FILTERS.as_slice(), more].concat()
}

const JSON: &str = "application/json";

/// Returns the routes.
pub(super) fn routes() -> Vec<Route> {
    let most = MAX_LIMIT as u64;
    let limit = Parameter::query("limit", Form::Whole { least: 1, most }, "How many; 50 when absent.");
    let cursor = Parameter::query("cursor", Form::Text { most: 64 }, "The `next_cursor` of the page before.");
    let bars = Form::Whole { least: 1, most: MOST_BARS };
    let buckets = Parameter::query("buckets", bars, "How many spans of time at most; 60 when absent.");
    let part = Form::OneOf(&["request", "response"]);
    let untimed = || FILTERS.into_iter().filter(|filter| !matches!(filter.name, "from" | "to")).collect();
    let content_route = route(
        "/admin/v1/environments/{env}/requests/{id}/payload",
        "getRequestPayload",
        "Returns what was asked and answered, where that is kept; with `part` the bytes of one, or a `Range` of them.",
        vec![ID, Parameter::query("part", part, "The body whose bytes are wanted.")],
        (JSON, content),
        signed_in(payload::get),
    );
    vec![
        route(
            "/admin/v1/environments/{env}/requests",
            "listRequests",
            "Lists requests, newest first.",
            filtered(&[limit, cursor]),
            (JSON, page),
            signed_in(list),
        ),
        route(
            "/admin/v1/environments/{env}/requests/count",
            "countRequests",
            "Returns how many requests a filter means.",
            filtered(&[]),
            (JSON, counted),
            signed_in(count),
        ),
        route(
            "/admin/v1/environments/{env}/requests/histogram",
            "getRequestHistogram",
            "Returns requests over time; of the last 24 hours when nothing is said.",
            filtered(&[buckets, ZONE]),
            (JSON, sums),
            signed_in(histogram),
        ),
        route(
            "/admin/v1/environments/{env}/requests/tail",
            "tailRequests",
            "Sends requests as they are recorded, as server-sent events, for half an hour at most.",
            untimed(),
            ("text/event-stream", events),
            signed_in(tail::tail),
        ),
        route(
            "/admin/v1/environments/{env}/requests/{id}",
            "getRequest",
            "Returns one request by the `x-request-id` that its caller saw.",
            vec![ID],
            (JSON, record),
            signed_in(get),
        ),
        Route { permission: Permission::ReadContent, ..content_route },
        usage_route(),
    ]
}

fn usage_route() -> Route {
    let group_by = Parameter::query(
        "group_by",
        Form::Text { most: 256 },
        "What to group by, with commas: model, provider, key, team, tag, status, outcome, error, surface, stream, and one of day, hour, minute.",
    );
    debug_assert!(Dimension::NAMES.iter().all(|(name, _)| group_by.description.contains(name)));
    let format = Form::OneOf(&["json", "csv"]);
    let usage = route(
        "/admin/v1/environments/{env}/usage",
        "getUsage",
        "Returns sums of requests by group; of the last 30 days when nothing is said.",
        filtered(&[group_by, ZONE, Parameter::query("format", format, "`json`, or `csv` for spreadsheets.")]),
        (JSON, sums),
        signed_in(usage::get),
    );
    Route { permission: Permission::ReadUsage, tag: "Usage", ..usage }
}
