//! Routes of the Ballerina gateway's admin calls.

use axum::http::Method;
use control::access::Permission;
use schemars::{Schema, SchemaGenerator, json_schema};
use serde_json::json;

use crate::admin::legacy::{
    clear_rate_limit, get_guardrails, get_prompt, get_rate_limit, set_guardrails, set_prompt, set_rate_limit, stats,
};
use crate::admin::principal::SignedIn;
use crate::admin::problem::Code;
use crate::admin::route::{BODY_LIMIT, Gives, Handler, Route, SchemaOf, Takes, keyless};
use crate::admin::schemas::JSON;
use crate::admin::throttle::RateClass;

const PROMPT: &str = "/admin/systemprompt";
const GUARDRAILS: &str = "/admin/guardrails";
const RATE_LIMIT: &str = "/admin/ratelimit";

fn prompt(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "additionalProperties": false,
        "required": ["prompt"],
        "properties": { "prompt": {
            "type": "string",
            "description": "Appended to the system prompt of every request; empty for none.",
        } },
    })
}

fn guardrails(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "additionalProperties": false,
        "properties": {
            "bannedPhrases": { "type": "array", "items": { "type": "string" } },
            "minLength": { "type": "integer", "minimum": 0, "maximum": 10_000 },
            "maxLength": { "type": "integer", "minimum": 1 },
            "requireDisclaimer": { "type": "boolean" },
            "disclaimer": { "type": "string" },
        },
    })
}

fn rate_limit(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "additionalProperties": false,
        "required": ["requestsPerWindow", "windowSeconds"],
        "properties": {
            "name": { "type": "string", "maxLength": 1_000 },
            "requestsPerWindow": { "type": "integer", "minimum": 1 },
            "windowSeconds": { "type": "integer", "minimum": 1, "maximum": 34_560_000 },
        },
    })
}

fn rate_limit_shown(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "description": "Empty when there is no rate limit.",
        "properties": {
            "name": { "type": "string" },
            "requestsPerWindow": { "type": "integer" },
            "windowSeconds": { "type": "integer" },
        },
    })
}

fn totals(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "required": ["requests", "tokens", "providers"],
        "properties": {
            "requests": { "type": "object", "additionalProperties": { "type": "integer" } },
            "tokens": { "type": "object", "additionalProperties": { "type": "integer" } },
            "providers": { "type": "array", "items": { "type": "object" } },
        },
    })
}

fn shown(schema: SchemaOf) -> Gives {
    Gives { status: 200, meaning: "What is configured now.", body: Some((JSON, schema)), headers: &[] }
}

fn get(path: &'static str, id: &str, summary: &str, schema: SchemaOf, handler: Handler) -> Route {
    Route {
        method: Method::GET,
        path,
        id: id.to_owned(),
        tag: "Ballerina",
        permission: Permission::ReadConfiguration,
        rate: RateClass::Read,
        summary: summary.to_owned(),
        parameters: Vec::new(),
        takes: Takes::Nothing,
        gives: shown(schema),
        errors: &[Code::DependencyUnavailable],
        handler,
    }
}

fn set(
    path: &'static str,
    id: &str,
    summary: &str,
    schema: SchemaOf,
    example: fn() -> serde_json::Value,
    handler: Handler,
) -> Route {
    Route {
        method: Method::POST,
        permission: Permission::WriteConfiguration,
        rate: RateClass::Write,
        takes: Takes::Json { limit_bytes: BODY_LIMIT, optional: true, schema, example },
        errors: &[Code::InvalidRequest, Code::ReadOnly, Code::DependencyUnavailable],
        ..get(path, id, summary, schema, handler)
    }
}

/// Returns the routes.
pub(super) fn routes() -> Vec<Route> {
    vec![
        get(
            PROMPT,
            "getLegacyPrompt",
            "Returns the system prompt named legacy.",
            prompt,
            keyless(get_prompt::<SignedIn>),
        ),
        set(
            PROMPT,
            "setLegacyPrompt",
            "Sets the system prompt named legacy; an empty one clears it, and without a body it is read.",
            prompt,
            || json!({ "prompt": "respond only in chinese" }),
            keyless(set_prompt),
        ),
        get(
            GUARDRAILS,
            "getLegacyGuardrails",
            "Returns the guardrail named legacy.",
            guardrails,
            keyless(get_guardrails::<SignedIn>),
        ),
        set(
            GUARDRAILS,
            "setLegacyGuardrails",
            "Replaces the guardrail named legacy; one that says nothing is none, and without a body it is read.",
            guardrails,
            || {
                json!({
                    "bannedPhrases": ["obscene", "words"],
                    "minLength": 0,
                    "maxLength": 500_000,
                    "requireDisclaimer": false,
                })
            },
            keyless(set_guardrails),
        ),
        get(
            RATE_LIMIT,
            "getLegacyRateLimit",
            "Returns the limit named legacy; an empty object when there is none.",
            rate_limit_shown,
            keyless(get_rate_limit::<SignedIn>),
        ),
        Route {
            gives: shown(rate_limit_shown),
            ..set(
                RATE_LIMIT,
                "setLegacyRateLimit",
                "Sets the limit named legacy: so many requests of everybody together, in any so many seconds. Without a \
                 body it is read.",
                rate_limit,
                || json!({ "name": "basic", "requestsPerWindow": 5, "windowSeconds": 60 }),
                keyless(set_rate_limit),
            )
        },
        Route {
            method: Method::DELETE,
            permission: Permission::WriteConfiguration,
            rate: RateClass::Write,
            errors: &[Code::ReadOnly, Code::DependencyUnavailable],
            ..get(
                RATE_LIMIT,
                "clearLegacyRateLimit",
                "Takes the limit named legacy away.",
                rate_limit_shown,
                keyless(clear_rate_limit),
            )
        },
        Route {
            permission: Permission::ReadStatus,
            ..get("/admin/stats", "getLegacyStats", "Returns counts since the process started.", totals, keyless(stats))
        },
    ]
}
