//! Routes that say how limits stand.

use axum::http::Method;
use control::access::Permission;
use schemars::{Schema, SchemaGenerator, json_schema};
use serde_json::json;

use crate::admin::limits::{self, subjects};
use crate::admin::problem::Code;
use crate::admin::route::{Form, Gives, Handler, Parameter, Route, SchemaOf, Takes, signed_in};
use crate::admin::throttle::RateClass;

const ENVIRONMENT: Parameter = Parameter::path("env", "The environment's name.");

const JSON: &str = "application/json";

/// Returns the routes.
pub(super) fn routes() -> Vec<Route> {
    vec![effective_route(), subjects_route()]
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
        tag: "Usage",
        permission: Permission::ReadConfiguration,
        rate: RateClass::Read,
        summary: summary.to_owned(),
        parameters: [vec![ENVIRONMENT], parameters].concat(),
        takes: Takes::Nothing,
        gives: Gives { status: 200, meaning: "The answer.", body: Some(body), headers: &[] },
        errors: &[Code::NotFound, Code::DependencyUnavailable],
        handler,
    }
}

fn effective(_: &mut SchemaGenerator) -> Schema {
    let amount = |what: &str| json!({ "type": ["integer", "string", "null"], "description": what });
    json_schema!({
        "type": "object",
        "required": ["key", "as_of", "data"],
        "properties": {
            "key": json!({ "type": "string" }),
            "as_of": { "type": "string", "format": "date-time" },
            "data": { "type": "array", "items": {
                "type": "object",
                "properties": {
                    "limit": { "type": "string", "description": "Its name, or where it is written." },
                    "meter": json!({ "type": "string" }),
                    "window": json!({ "type": ["string", "null"] }),
                    "scope": { "enum": ["environment", "team", "key", "user", "ip", "bucket"] },
                    "name": json!({ "type": ["string", "null"] }),
                    "target": json!({ "type": "string" }),
                    "enforce": { "enum": ["cluster", "node"] },
                    "amount": amount("US dollars are text, everything else a whole number; null for credits."),
                    "used": amount("What is used, or held by requests in flight; null for credits."),
                    "remaining": amount("What is left."),
                    "resets_at": {
                        "type": ["string", "null"],
                        "description": "When more will be free; null where nothing is used, or time frees nothing.",
                    },
                },
            } },
        },
    })
}

fn effective_route() -> Route {
    let key = Parameter::query("key", Form::Text { most: 256 }, "The key's name, or its id; it has to be given.");
    let user = Parameter::query("user", Form::Text { most: 256 }, "Limits of this user too, as requests name them.");
    let ip = Parameter::query("ip", Form::Text { most: 64 }, "Limits of this peer too.");
    let bucket = Parameter::query("bucket", Form::Text { most: 128 }, "Limits of this bucket too.");
    let limits = route(
        "/admin/v1/environments/{env}/limits/effective",
        "getEffectiveLimits",
        "Returns every limit that binds a key, wherever it comes from, the one with the least left first.",
        vec![key, user, ip, bucket],
        (JSON, effective),
        signed_in(limits::effective),
    );
    Route { permission: Permission::ReadKeys, ..limits }
}
fn counted(_: &mut SchemaGenerator) -> Schema {
    let amount = |what: &str| json!({ "type": ["integer", "string"], "description": what });
    json_schema!({
        "type": "object",
        "required": ["limit", "as_of", "counts", "data"],
        "properties": {
            "limit": json!({ "type": "string" }),
            "meter": json!({ "type": "string" }),
            "window": json!({ "type": ["string", "null"] }),
            "scope": { "enum": ["environment", "team", "key", "user", "ip", "bucket"] },
            "amount": amount("US dollars are text, everything else a whole number."),
            "as_of": { "type": "string", "format": "date-time" },
            "counts": { "type": "integer", "description": "How many are counted apart now." },
            "data": { "type": "array", "items": {
                "type": "object",
                "required": ["subject", "target", "used", "remaining", "used_pct", "resets_at"],
                "properties": {
                    "subject": {
                        "type": "object",
                        "required": ["kind", "name"],
                        "description": "Whose use it is. A user, an address or a bucket has a name where somebody has \
                            said it since the process began, and a `digest`; those who share a count have neither.",
                        "properties": {
                            "kind": { "enum": ["environment", "team", "key", "user", "ip", "bucket"] },
                            "name": json!({ "type": ["string", "null"] }),
                            "id": json!({ "type": ["string", "null"] }),
                            "digest": json!({ "type": "string" }),
                        },
                    },
                    "target": json!({ "type": "string" }),
                    "used": amount("What is used, or held by requests in flight."),
                    "remaining": amount("What is left."),
                    "used_pct": { "type": ["number", "null"], "description": "The share; null of an amount of 0." },
                    "resets_at": {
                        "type": ["string", "null"],
                        "description": "When more will be free; null where nothing is used, or time frees nothing.",
                    },
                },
            } },
        },
    })
}

fn subjects_route() -> Route {
    let most = Parameter::query("limit", Form::Whole { least: 1, most: subjects::MOST }, "How many; 50 when absent.");
    route(
        "/admin/v1/environments/{env}/limits/{name}/usage",
        "getLimitUsage",
        "Returns whose use a limit counts, those who used most first.",
        vec![Parameter::path("name", "The limit's name; of a plan's, `plans.NAME.limits[0]`."), most],
        (JSON, counted),
        signed_in(subjects::get),
    )
}
