//! Routes about routing.

use axum::http::Method;
use control::access::Permission;
use schemars::{Schema, SchemaGenerator, json_schema};
use serde_json::{Value, json};

use crate::admin::explain;
use crate::admin::problem::Code;
use crate::admin::replay;
use crate::admin::route::{Gives, Parameter, Route, Takes, operator, signed_in};
use crate::admin::throttle::RateClass;

/// A request may hold images; more than this says nothing about where it goes.
const BODY_BYTES: usize = 4 << 20;

fn question(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "required": ["key", "request"],
        "additionalProperties": false,
        "properties": {
            "key": { "type": "string", "description": "The key's name, or its id." },
            "request": { "type": "object", "description": "The body, as it would be sent." },
            "headers": {
                "type": "object",
                "additionalProperties": { "type": "string" },
                "description": "The headers; `x-llm-provider` matters, and what the rules of the key's route look at.",
            },
            "surface": {
                "enum": ["openai.chat", "anthropic.messages"],
                "description": "Where it would be sent; `openai.chat` when absent.",
            },
            "seed": {
                "type": ["string", "integer", "null"],
                "description": "What is drawn at random follows from it: the id of a request, for its chances, or a number. Fresh when absent.",
            },
        },
    })
}

fn explanation(_: &mut SchemaGenerator) -> Schema {
    let nullable = |kind: &str, what: &str| json!({ "type": [kind, "null"], "description": what });
    let number = || json!({ "type": "number" });
    let scores = json!({
        "type": ["object", "null"],
        "description": "What it was ranked by; null where the configured order holds.",
        "properties": {
            "state": { "enum": ["ready", "paced", "cooling", "benched"] },
            "chance": {
                "type": "number",
                "description": "How likely a request of now finds it first among those that it was ranked with, 0 to 1.",
            },
            "score": number(), "latency": number(), "cost": number(), "quality": number(), "availability": number(),
            "expected_seconds": number(),
        },
    });
    let text = || json!({ "type": "string" });
    let excluded = json!({ "model": text(), "provider": text(), "reason": text(), "scores": scores });
    let mut attempt = excluded.clone();
    attempt["passed_over"] = nullable("string", "Why it would not be asked at the moment.");
    let list = |properties: Value| json!({ "type": "array", "items": { "type": "object", "properties": properties } });
    json_schema!({
        "type": "object",
        "required": ["attempts", "excluded", "policy", "weights", "route", "estimated_cost", "baseline", "baseline_cost", "seed", "error"],
        "properties": {
            "attempts": list(attempt),
            "excluded": list(excluded),
            "policy": nullable("string", "The policy that chooses, if one does."),
            "weights": {
                "type": ["object", "null"],
                "description": "What it weighs: a score is the weighted mean of the terms.",
                "properties": {
                    "latency": number(), "cost": number(), "quality": number(), "availability": number(),
                },
            },
            "route": {
                "type": ["object", "null"],
                "description": "The route that binds the key, and what of it decided.",
                "properties": {
                    "name": text(),
                    "decided_by": { "enum": ["always", "rule", "otherwise", "nothing"] },
                    "rule": { "type": ["integer", "null"], "description": "The rule that did, from 1." },
                    "failed_rules": list(json!({ "rule": { "type": "integer" }, "reason": text() })),
                    "skipped": list(json!({ "model": text(), "reason": text() })),
                },
            },
            "input_tokens": { "type": "integer", "description": "Roughly how many tokens the request has." },
            "estimated_cost": nullable("string", "US dollars, of the first target, with an answer of 300 tokens at most."),
            "baseline": nullable("string", "The model that savings are measured against."),
            "baseline_cost": nullable("string", "What it would cost, in US dollars."),
            "seed": nullable("string", "What was drawn at random follows from it: the same gives the same plan at the same moment."),
            "error": nullable("object", "What the caller would be told instead: `status`, `code`, `message`, `param`."),
        },
    })
}

/// Returns the routes.
pub(super) fn routes() -> Vec<Route> {
    vec![explained(), replayed()]
}

fn explained() -> Route {
    Route {
        method: Method::POST,
        path: "/admin/v1/environments/{env}/route",
        id: "explainRoute".to_owned(),
        tag: "Routing",
        permission: Permission::WriteKeys,
        rate: RateClass::Read,
        summary: "Says where a request of a key would go and why, without making it.".to_owned(),
        parameters: vec![Parameter::path("env", "The environment's name.")],
        takes: Takes::Json {
            limit_bytes: BODY_BYTES,
            optional: false,
            schema: question,
            example: || json!({ "key": "app", "request": { "model": "auto", "messages": [] } }),
        },
        gives: Gives { status: 200, meaning: "The plan.", body: Some(("application/json", explanation)), headers: &[] },
        errors: &[Code::NotFound, Code::DependencyUnavailable],
        handler: signed_in(explain::route),
    }
}

fn draft(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "required": ["documents"],
        "additionalProperties": false,
        "properties": {
            "documents": {
                "type": "array",
                "items": { "type": "object" },
                "description": "What would be changed, as for `/admin/v1/apply`; the environment may be left out.",
            },
            "last": {
                "type": "integer", "minimum": 1, "maximum": replay::MOST,
                "description": "How many requests are replayed, the newest; 200 when absent.",
            },
        },
    })
}

fn comparison(_: &mut SchemaGenerator) -> Schema {
    let nullable = |kind: &str, what: &str| json!({ "type": [kind, "null"], "description": what });
    let money = |what: &str| json!({ "type": "string", "description": format!("US dollars: {what}") });
    let count = |what: &str| json!({ "type": "integer", "description": what });
    let side = json!({
        "type": "object",
        "properties": {
            "served": count("Requests that would be."), "refused": count("Requests that would be."),
            "cost_usd": money("what the recorded usage costs there."),
            "unknown_cost": count("Requests whose cost nobody knows."),
            "expected_seconds": nullable("number", "The mean, of those that go where somebody was before."),
            "quality": nullable("number", "The mean, where it is known."),
        },
    });
    let target = json!({
        "type": ["object", "null"],
        "description": "Null where it would be refused.",
        "properties": { "model": { "type": "string" }, "provider": { "type": "string" } },
    });
    json_schema!({
        "type": "object",
        "required": ["requests", "moved", "moves", "uncertain", "unknown", "current", "draft", "recorded_cost_usd"],
        "properties": {
            "requests": count("How many were replayed."),
            "key_gone": count("How many were not, because their key is gone."),
            "newest": nullable("string", "When the newest was made."),
            "oldest": nullable("string", "When the oldest was made."),
            "recorded_cost_usd": money("what they cost."),
            "current": side,
            "draft": side,
            "moved": count("How many would go elsewhere."),
            "uncertain": count("How many were planned by something that no record says, on either side."),
            "unknown": {
                "type": "array",
                "description": "What that is.",
                "items": {
                    "type": "object",
                    "properties": {
                        "configuration": { "enum": ["current", "draft"] },
                        "route": nullable("string", "The route; null for a policy that requests name themselves."),
                        "rule": nullable("integer", "The rule that looked at it, from 1; null for what the route does in any case."),
                        "fact": { "enum": ["headers", "user", "session", "metadata", "features"] },
                        "requests": count("Of how many requests."),
                    },
                },
            },
            "moves": {
                "type": "array",
                "items": {
                    "type": "object",
                    "properties": {
                        "from": target, "to": target,
                        "reason": { "type": "string", "description": "Why it goes there, or what the caller is told." },
                        "requests": count("How many."),
                        "cost_usd": money("where they go now."), "draft_cost_usd": money("where they would go."),
                    },
                },
            },
        },
    })
}

fn replayed() -> Route {
    Route {
        path: "/admin/v1/environments/{env}/route/replay",
        id: "replayRoutes".to_owned(),
        permission: Permission::WriteConfiguration,
        summary:
            "Says where the requests of late would go with a draft of the configuration, and what they would cost."
                .to_owned(),
        takes: Takes::Json {
            limit_bytes: BODY_BYTES,
            optional: false,
            schema: draft,
            example: || {
                json!({ "last": 100, "documents": [
                    { "kind": "teams", "name": "search", "spec": { "description": "search" } },
                ] })
            },
        },
        gives: Gives {
            status: 200,
            meaning: "What would differ.",
            body: Some(("application/json", comparison)),
            headers: &[],
        },
        errors: &[Code::NotFound, Code::Conflict, Code::ReadOnly, Code::DependencyUnavailable],
        handler: operator(replay::replay),
        ..explained()
    }
}
