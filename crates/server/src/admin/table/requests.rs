//! Routes of the request log.

use axum::http::Method;
use control::access::Permission;
use schemars::{Schema, SchemaGenerator, json_schema};
use store::records::read::MAX_LIMIT;

use crate::admin::problem::Code;
use crate::admin::requests::{get, list};
use crate::admin::route::{Form, Gives, Parameter, Route, Takes, operator};
use crate::admin::throttle::RateClass;

const ENVIRONMENT: Parameter = Parameter::path("env", "The environment's name.");
const WORD: Form = Form::Text { most: 256 };
const INSTANT: Form = Form::Whole { least: 0, most: u64::MAX };

fn record(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "object", "required": ["id", "outcome"], "properties": { "id": { "type": "string" } } })
}

fn page(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "required": ["data", "next_cursor"],
        "properties": {
            "data": { "type": "array", "items": { "type": "object" } },
            "next_cursor": { "type": ["string", "null"] },
        },
    })
}

/// Returns the routes.
pub(super) fn routes() -> Vec<Route> {
    vec![
        Route {
            method: Method::GET,
            path: "/admin/v1/environments/{env}/requests",
            id: "listRequests".into(),
            tag: "Requests",
            permission: Permission::ReadRequests,
            rate: RateClass::Read,
            summary: "Lists requests, newest first.".into(),
            parameters: vec![
                ENVIRONMENT,
                Parameter::query("key", WORD, "The name of the key."),
                Parameter::query("model", WORD, "The model that answered."),
                Parameter::query("provider", WORD, "The provider that answered."),
                Parameter::query("status", Form::Whole { least: 100, most: 599 }, "The status of the reply."),
                Parameter::query("outcome", WORD, "How it ended, such as `succeeded`, `failed`, `cancelled`."),
                Parameter::query("from", INSTANT, "From this instant on, Unix milliseconds."),
                Parameter::query("to", INSTANT, "Before this instant, Unix milliseconds."),
                Parameter::query(
                    "limit",
                    Form::Whole { least: 1, most: MAX_LIMIT as u64 },
                    "How many; 50 when absent.",
                ),
                Parameter::query("cursor", Form::Text { most: 1_024 }, "The `next_cursor` of the page before."),
            ],
            takes: Takes::Nothing,
            gives: Gives { status: 200, meaning: "A page.", body: Some(("application/json", page)), headers: &[] },
            errors: &[Code::NotFound, Code::DependencyUnavailable],
            handler: operator(list),
        },
        Route {
            method: Method::GET,
            path: "/admin/v1/environments/{env}/requests/{id}",
            id: "getRequest".into(),
            tag: "Requests",
            permission: Permission::ReadRequests,
            rate: RateClass::Read,
            summary: "Returns one request by the `x-request-id` that its caller saw.".into(),
            parameters: vec![ENVIRONMENT, Parameter::path("id", "The request's id, `req_…`.")],
            takes: Takes::Nothing,
            gives: Gives {
                status: 200,
                meaning: "The request.",
                body: Some(("application/json", record)),
                headers: &[],
            },
            errors: &[Code::NotFound, Code::DependencyUnavailable],
            handler: operator(get),
        },
    ]
}
