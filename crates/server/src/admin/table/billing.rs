//! Routes of billing.

use axum::http::Method;
use control::access::Permission;
use schemars::{Schema, SchemaGenerator, json_schema};
use serde_json::{Value, json};
use store::records::ledger::read::MAX_LIMIT;

use crate::admin::billing::{balance, ledger, post, statement};
use crate::admin::problem::Code;
use crate::admin::route::{Form, Gives, Handler, Parameter, Route, SchemaOf, Takes, signed_in};
use crate::admin::throttle::RateClass;

const ENVIRONMENT: Parameter = Parameter::path("env", "The environment's name.");

/// A body has a few short members.
const BODY_BYTES: usize = 16 << 10;

fn text() -> Value {
    json!({ "type": "string" })
}

fn optional() -> Value {
    json!({ "type": ["string", "null"] })
}

fn dollars(what: &str) -> Value {
    json!({ "type": "string", "description": format!("{what} US dollars, an exact decimal.") })
}

fn entry(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "required": ["id", "at", "kind", "amount_usd", "postings"],
        "properties": {
            "id": text(),
            "at": { "type": "string", "format": "date-time" },
            "kind": { "enum": ["charge", "top_up", "promotion", "refund", "adjustment"] },
            "amount_usd": dollars("By how much the credits change."),
            "postings": {
                "type": "object",
                "additionalProperties": text(),
                "description": "What is posted to each account that is concerned; it adds up to nothing.",
            },
            "request_id": optional(),
            "estimated": { "type": ["boolean", "null"] },
            "key": { "type": ["object", "null"] },
            "team": optional(),
            "cost_tags": { "type": "array", "items": text() },
            "model": optional(),
            "provider": optional(),
            "reference": optional(),
            "note": optional(),
            "actor": optional(),
        },
    })
}

fn entries(generator: &mut SchemaGenerator) -> Schema {
    let entry = entry(generator);
    json_schema!({
        "type": "object",
        "required": ["data", "next_cursor"],
        "properties": { "data": { "type": "array", "items": entry }, "next_cursor": optional() },
    })
}

fn posted(generator: &mut SchemaGenerator) -> Schema {
    let entry = entry(generator);
    json_schema!({
        "type": "object",
        "required": ["entry", "balance_usd", "available_usd"],
        "properties": {
            "entry": entry,
            "balance_usd": dollars("The balance now."),
            "available_usd": dollars("What requests may still be charged."),
        },
    })
}

fn new_credit(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "required": ["amount", "reference"],
        "additionalProperties": false,
        "properties": {
            "amount": dollars("Above zero; that of an adjustment may be below it. At most nine digits behind the point."),
            "kind": {
                "enum": ["top_up", "promotion", "refund", "adjustment"],
                "description": "`top_up` when absent. A refund takes credits away.",
            },
            "reference": {
                "type": "string",
                "maxLength": 128,
                "description": "What names it, unique in the environment: posting it again changes nothing.",
            },
            "note": { "type": "string", "maxLength": 500 },
        },
    })
}

fn standing(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "required": ["environment", "currency", "enabled", "status", "balance_usd", "held_usd", "available_usd"],
        "properties": {
            "environment": text(),
            "currency": { "const": "USD" },
            "enabled": { "type": "boolean", "description": "Whether usage is charged." },
            "status": { "enum": ["active", "suspended"] },
            "margin_percent": text(),
            "balance_usd": dollars("What was posted to the credits in all."),
            "held_usd": dollars("What requests in flight hold, and what was charged a moment ago."),
            "available_usd": dollars("What requests may still be charged: the balance less what is held."),
            "accounts": { "type": "object", "additionalProperties": text() },
            "as_of": { "type": "string", "format": "date-time" },
        },
    })
}

fn monthly(_: &mut SchemaGenerator) -> Schema {
    let object = || json!({ "type": "object" });
    json_schema!({
        "type": "object",
        "required": ["environment", "month", "opening_balance_usd", "credits", "data", "total", "closing_balance_usd"],
        "properties": {
            "environment": text(),
            "currency": { "const": "USD" },
            "month": text(),
            "from": { "type": "string", "format": "date-time" },
            "to": { "type": "string", "format": "date-time" },
            "open": { "type": "boolean", "description": "Whether the month is not over." },
            "opening_balance_usd": dollars("The balance when the month began."),
            "credits": { "type": "array", "items": object() },
            "data": { "type": "array", "items": object(), "description": "What was charged, the dearest group first." },
            "total": object(),
            "closing_balance_usd": dollars("The opening balance, what came in, and less what was charged."),
            "as_of": { "type": "string", "format": "date-time" },
        },
    })
}

const JSON: &str = "application/json";

fn reads(path: &'static str, id: &str, summary: &str, more: Vec<Parameter>, gives: SchemaOf, run: Handler) -> Route {
    Route {
        method: Method::GET,
        path,
        id: id.to_owned(),
        tag: "Billing",
        permission: Permission::ReadBilling,
        rate: RateClass::Read,
        summary: summary.to_owned(),
        parameters: [vec![ENVIRONMENT], more].concat(),
        takes: Takes::Nothing,
        gives: Gives { status: 200, meaning: "The answer.", body: Some((JSON, gives)), headers: &[] },
        errors: &[Code::NotFound, Code::DependencyUnavailable],
        handler: run,
    }
}

/// Returns the routes.
pub(super) fn routes() -> Vec<Route> {
    let most = MAX_LIMIT as u64;
    let instant = Form::Text { most: 64 };
    let kinds = Form::OneOf(&["charge", "top_up", "promotion", "refund", "adjustment"]);
    let groups = Form::OneOf(&["account", "team", "key", "tag"]);
    let filters = vec![
        Parameter::query("kind", kinds, "Entries of one kind."),
        Parameter::query("from", instant, "From this instant on: RFC 3339, or Unix milliseconds."),
        Parameter::query("to", instant, "Before this instant: RFC 3339, or Unix milliseconds."),
        Parameter::query("limit", Form::Whole { least: 1, most }, "How many; 50 when absent."),
        Parameter::query("cursor", Form::Text { most: 64 }, "The `next_cursor` of the page before."),
    ];
    let which = vec![
        Parameter::query(
            "month",
            Form::Text { most: 7 },
            "Such as `2026-11`, in the environment's time zone; this one when absent.",
        ),
        Parameter::query("group_by", groups, "What charges are grouped by; `account` when absent."),
        Parameter::query(
            "format",
            Form::OneOf(&["json", "csv"]),
            "`json`, or `csv` for spreadsheets; else `Accept` decides.",
        ),
    ];
    let post_route = reads(
        "/admin/v1/environments/{env}/credits",
        "postCredits",
        "Posts a top-up, a promotion, a refund or an adjustment. Posted again by its reference it changes nothing (200).",
        Vec::new(),
        posted,
        signed_in(post),
    );
    vec![
        Route {
            method: Method::POST,
            permission: Permission::PostCredits,
            rate: RateClass::Write,
            takes: Takes::Json {
                limit_bytes: BODY_BYTES,
                optional: false,
                schema: new_credit,
                example: || json!({ "amount": "25.00", "kind": "top_up", "reference": "invoice 2026-118" }),
            },
            gives: Gives { status: 201, meaning: "It is posted.", body: Some((JSON, posted)), headers: &[] },
            errors: &[Code::NotFound, Code::Conflict, Code::DependencyUnavailable],
            ..post_route
        },
        reads(
            "/admin/v1/environments/{env}/ledger",
            "listLedger",
            "Lists the transfers of the ledger, newest first.",
            filters,
            entries,
            signed_in(ledger),
        ),
        reads(
            "/admin/v1/environments/{env}/balance",
            "getBalance",
            "Returns how the environment's account stands.",
            Vec::new(),
            standing,
            signed_in(balance),
        ),
        reads(
            "/admin/v1/environments/{env}/statement",
            "getStatement",
            "Returns the statement of a month, which adds up to the ledger.",
            which,
            monthly,
            signed_in(statement),
        ),
    ]
}
