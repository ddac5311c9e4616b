//! Routes of what was sent to webhooks, and by email because of alerts.

use axum::http::Method;
use control::access::Permission;
use schemars::{Schema, SchemaGenerator, json_schema};
use serde_json::json;

use super::resources::{CURSOR, ENVIRONMENT, LIMIT, NAME};
use crate::admin::deliveries::{list, list_emails, redeliver, redeliver_email, test, test_emails};
use crate::admin::problem::Code;
use crate::admin::route::{BODY_LIMIT, Form, Gives, Parameter, Route, SchemaOf, Takes, operator, signed_in};
use crate::admin::schemas::{JSON, list_of};
use crate::admin::throttle::RateClass;

const WORD: Form = Form::Text { most: 64 };

/// Returns the routes.
pub(super) fn routes() -> Vec<Route> {
    vec![log(), again(), trial(), log_of_emails(), email_again(), trial_of_emails()]
}

fn nothing(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "object", "additionalProperties": false })
}

fn deliveries(_: &mut SchemaGenerator) -> Schema {
    list_of(json_schema!({
        "type": "object",
        "required": [
            "id", "event_id", "type", "status", "attempts", "created_at", "last_attempt_at", "next_attempt_at", "latency_ms",
            "response_status", "error", "event",
        ],
        "properties": {
            "id": { "type": "string", "description": "The delivery, `dlv_…`." },
            "event_id": { "type": "string", "description": "The event, `evt_…`: the same at every try." },
            "type": { "type": "string" },
            "address": { "type": ["string", "null"], "description": "Who gets the email; null for a webhook." },
            "status": { "enum": ["waiting", "delivered", "dead"] },
            "attempts": { "type": "integer", "minimum": 0 },
            "created_at": { "type": "string", "format": "date-time" },
            "last_attempt_at": { "type": ["string", "null"] },
            "next_attempt_at": { "type": ["string", "null"], "description": "Null when it is over." },
            "latency_ms": { "type": ["integer", "null"], "description": "How long the last try took." },
            "response_status": { "type": ["integer", "null"], "description": "What the receiver answered to it." },
            "error": { "type": ["string", "null"], "description": "What went wrong then." },
            "event": { "type": "object", "description": "What is sent." },
        },
    }))
}

fn queued(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "required": ["id", "status"],
        "properties": { "id": { "type": "string" }, "status": { "enum": ["waiting"] } },
    })
}

fn verdict(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "required": ["ok", "event_id", "latency_ms", "response_status", "error"],
        "properties": {
            "ok": { "type": "boolean" },
            "event_id": { "type": "string" },
            "latency_ms": { "type": "integer", "minimum": 0 },
            "response_status": { "type": ["integer", "null"] },
            "error": { "type": ["string", "null"] },
        },
    })
}

fn verdicts(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "required": ["ok", "event_id", "emails"],
        "properties": {
            "ok": { "type": "boolean", "description": "Whether the mail server took all of them." },
            "event_id": { "type": "string" },
            "emails": { "type": "array", "items": {
                "type": "object",
                "required": ["address", "ok", "response_status", "error"],
                "properties": {
                    "address": { "type": "string" },
                    "ok": { "type": "boolean" },
                    "response_status": { "type": ["integer", "null"], "description": "What the mail server answered." },
                    "error": { "type": ["string", "null"] },
                },
            } },
        },
    })
}

fn gives(status: u16, meaning: &'static str, schema: SchemaOf) -> Gives {
    Gives { status, meaning, body: Some((JSON, schema)), headers: &[] }
}

fn log() -> Route {
    Route {
        method: Method::GET,
        path: "/admin/v1/environments/{env}/webhooks/{name}/deliveries",
        id: "listDeliveries".to_owned(),
        tag: "Events",
        permission: Permission::ReadConfiguration,
        rate: RateClass::Read,
        summary: "Lists what was sent to a webhook and how that went, newest first.".to_owned(),
        parameters: vec![
            ENVIRONMENT,
            NAME,
            LIMIT,
            CURSOR,
            Parameter::query("status", WORD, "Only those that are `waiting`, `delivered` or `dead`."),
            Parameter::query("type", WORD, "Only events of this type."),
        ],
        takes: Takes::Nothing,
        gives: gives(200, "A page.", deliveries),
        errors: &[Code::InvalidRequest, Code::NotFound, Code::DependencyUnavailable],
        handler: signed_in(list),
    }
}

fn again() -> Route {
    Route {
        method: Method::POST,
        path: "/admin/v1/environments/{env}/webhooks/{name}/deliveries/{id}/redeliver",
        id: "redeliver".to_owned(),
        tag: "Events",
        permission: Permission::WriteConfiguration,
        rate: RateClass::Write,
        summary: "Sends an event to a webhook once more, under the same event id.".to_owned(),
        parameters: vec![ENVIRONMENT, NAME, Parameter::path("id", "The delivery.")],
        takes: Takes::Json { limit_bytes: BODY_LIMIT, optional: true, schema: nothing, example: || json!({}) },
        gives: gives(202, "The delivery that is due now.", queued),
        errors: &[Code::NotFound, Code::DependencyUnavailable],
        handler: operator(redeliver),
    }
}

fn trial() -> Route {
    Route {
        path: "/admin/v1/environments/{env}/webhooks/{name}/test",
        id: "testWebhook".to_owned(),
        rate: RateClass::Outbound,
        summary: "Sends a `webhook.test` event, once, and says what came back.".to_owned(),
        parameters: vec![ENVIRONMENT, NAME],
        gives: gives(200, "What came back.", verdict),
        errors: &[Code::NotFound, Code::Conflict, Code::DependencyUnavailable],
        handler: operator(test),
        ..again()
    }
}

fn log_of_emails() -> Route {
    Route {
        path: "/admin/v1/environments/{env}/alerts/{name}/deliveries",
        id: "listEmails".to_owned(),
        summary: "Lists the emails of an alert and how that went, newest first.".to_owned(),
        handler: signed_in(list_emails),
        ..log()
    }
}

fn email_again() -> Route {
    Route {
        path: "/admin/v1/environments/{env}/alerts/{name}/deliveries/{id}/redeliver",
        id: "redeliverEmail".to_owned(),
        summary: "Sends an email once more, to the address that it was for.".to_owned(),
        handler: operator(redeliver_email),
        ..again()
    }
}

fn trial_of_emails() -> Route {
    Route {
        path: "/admin/v1/environments/{env}/alerts/{name}/test",
        id: "testAlert".to_owned(),
        summary: "Sends an email that says nothing to each address of an alert, and says what came back.".to_owned(),
        gives: gives(200, "What came back.", verdicts),
        handler: operator(test_emails),
        ..trial()
    }
}
