//! Routes of resources: the same verbs for every kind, and what only keys can do.

use axum::http::Method;
use control::access::Permission;
use schemars::{Schema, SchemaGenerator, json_schema};
use serde_json::json;

use crate::admin::kinds::{ENVIRONMENTS, KINDS, Kind};
use crate::admin::principal::{Operator, SignedIn};
use crate::admin::problem::Code;
use crate::admin::resources::{create, delete, get, list, merge, replace, revoke, rotate};
use crate::admin::route::{BODY_LIMIT, Form, Gives, Handler, Parameter, Route, SchemaOf, Takes, operator, signed_in};
use crate::admin::schemas::JSON;
use crate::admin::throttle::RateClass;

pub(super) const ENVIRONMENT: Parameter = Parameter::path("env", "The environment's name.");
pub(super) const NAME: Parameter = Parameter::path("name", "Its name, or its id.");
pub(super) const LIMIT: Parameter =
    Parameter::query("limit", Form::Whole { least: 1, most: 200 }, "How many; 50 when absent.");
pub(super) const CURSOR: Parameter =
    Parameter::query("cursor", Form::Text { most: 1_024 }, "The `next_cursor` of the page before.");
const IF_MATCH: Parameter =
    Parameter::header("If-Match", "The `ETag` that was read: nothing is changed when another has it by now.");
const IF_NONE_MATCH: Parameter =
    Parameter::header("If-None-Match", "An `ETag` that is here already: 304 when it is current.");

const READ: &[Code] = &[Code::NotFound, Code::DependencyUnavailable];
const CHANGE: &[Code] = &[
    Code::InvalidRequest,
    Code::NotFound,
    Code::Conflict,
    Code::NameTaken,
    Code::ReadOnly,
    Code::VersionConflict,
    Code::DependencyUnavailable,
];
const DELETE: &[Code] = &[
    Code::InvalidRequest,
    Code::NotFound,
    Code::InUse,
    Code::ReadOnly,
    Code::VersionConflict,
    Code::DependencyUnavailable,
];

/// Returns the routes.
pub(super) fn routes() -> Vec<Route> {
    let mut all = Vec::new();
    for kind in &KINDS {
        all.extend([listing(kind), creation(kind), reading(kind), replacement(kind), merging(kind), deletion(kind)]);
        match kind.name {
            "keys" => all.extend([rotation(kind), revocation(kind)]),
            "webhooks" => all.extend([webhook_rotation(kind)]),
            _ => {}
        }
    }
    all
}

/// Makes a handler that changes a kind. Who may change what everybody's requests depend on is an operator by type.
macro_rules! changing {
    ($kind:ident, $handler:ident) => {
        if $kind.write == Permission::WriteConfiguration {
            operator(move |call, who: Operator| $handler($kind, call, who))
        } else {
            signed_in(move |call, who: SignedIn| $handler($kind, call, who))
        }
    };
}

fn route(kind: &'static Kind, method: Method, verb: &str, summary: String, handler: Handler) -> Route {
    let (reads, collection) = (method == Method::GET, matches!(verb, "list" | "create"));
    let mut parameters: Vec<Parameter> = Vec::new();
    if kind.name != ENVIRONMENTS || !collection {
        parameters.push(ENVIRONMENT);
    }
    if kind.name != ENVIRONMENTS && !collection {
        parameters.push(NAME);
    }
    Route {
        method,
        path: if collection { kind.collection } else { kind.item },
        id: format!("{verb}{}", kind.title),
        tag: "Resources",
        permission: match verb {
            _ if reads => kind.read,
            "replace" | "change" => kind.change(),
            _ => kind.write,
        },
        rate: if reads { RateClass::Read } else { RateClass::Write },
        summary,
        parameters,
        takes: Takes::Nothing,
        gives: gives(200, "The resource.", kind.schemas.item),
        errors: if reads { READ } else { CHANGE },
        handler,
    }
}

fn gives(status: u16, meaning: &'static str, schema: SchemaOf) -> Gives {
    Gives { status, meaning, body: Some((JSON, schema)), headers: &["ETag"] }
}

fn with_article(kind: &Kind) -> String {
    let article = if kind.singular.starts_with(['a', 'e', 'i', 'o', 'u']) { "an" } else { "a" };
    format!("{article} {}", kind.singular)
}

fn listing(kind: &'static Kind) -> Route {
    let handler = signed_in(move |call, who: SignedIn| list(kind, call, who));
    let summary = format!("Lists {}, oldest first; those that the caller may see.", kind.name);
    let mut route = route(kind, Method::GET, "list", summary, handler);
    let filters = kind.filters.iter().map(|(name, what)| Parameter::query(name, Form::Text { most: 256 }, what));
    route.parameters.extend([LIMIT, CURSOR]);
    route.parameters.extend(filters);
    let gives = Gives { headers: &[], ..gives(200, "A page.", kind.schemas.page) };
    Route { gives, ..route }
}

fn reading(kind: &'static Kind) -> Route {
    let handler = signed_in(move |call, who: SignedIn| get(kind, call, who));
    let mut route = route(kind, Method::GET, "get", format!("Returns {}.", with_article(kind)), handler);
    route.parameters.push(IF_NONE_MATCH);
    route
}

fn creation(kind: &'static Kind) -> Route {
    let route = route(kind, Method::POST, "create", format!("Makes {}.", with_article(kind)), changing!(kind, create));
    let (meaning, schema) = match kind.name {
        "keys" => ("The key, with its secret: it is shown here and never again.", kind.schemas.made),
        "webhooks" => {
            ("The webhook, with the secret that was made for it: it is shown here and never again.", kind.schemas.made)
        }
        _ => ("The new resource.", kind.schemas.item),
    };
    Route {
        takes: json_body(kind.schemas.create, kind.example),
        gives: Gives { headers: &["ETag", "Location"], ..gives(201, meaning, schema) },
        ..route
    }
}

fn json_body(schema: SchemaOf, example: fn() -> serde_json::Value) -> Takes {
    Takes::Json { limit_bytes: BODY_LIMIT, optional: false, schema, example }
}

fn replacement(kind: &'static Kind) -> Route {
    let summary = format!("Replaces what {} says. Secrets that are left out stay.", with_article(kind));
    let mut route = route(kind, Method::PUT, "replace", summary, changing!(kind, replace));
    route.parameters.push(IF_MATCH);
    Route { takes: json_body(kind.schemas.change, kind.example), ..route }
}

fn merging(kind: &'static Kind) -> Route {
    let summary = format!("Changes {} (RFC 7396): null clears a member.", with_article(kind));
    let mut route = route(kind, Method::PATCH, "change", summary, changing!(kind, merge));
    route.parameters.push(IF_MATCH);
    Route { takes: json_body(kind.schemas.change, kind.patch), ..route }
}

fn deletion(kind: &'static Kind) -> Route {
    let summary = format!("Deletes {}.", with_article(kind));
    let mut route = route(kind, Method::DELETE, "delete", summary, changing!(kind, delete));
    route.parameters.push(IF_MATCH);
    let gives = Gives { status: 204, meaning: "It is gone.", body: None, headers: &[] };
    Route { gives, errors: DELETE, ..route }
}

fn grace(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "additionalProperties": false,
        "properties": { "grace": {
            "type": ["string", "null"],
            "pattern": "^[0-9]+ *(ms|s|m|h|d)$",
            "description": "How long the old secret works on; at most 30 days, 24 hours when absent.",
        } },
    })
}

fn nothing(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "object", "additionalProperties": false })
}

fn rotation(kind: &'static Kind) -> Route {
    let summary = "Gives a key a new secret; the old one works for the grace time.".to_owned();
    let mut route = route(kind, Method::POST, "rotate", summary, changing!(kind, rotate));
    route.parameters.push(IF_MATCH);
    Route {
        path: "/admin/v1/environments/{env}/keys/{name}/rotate",
        takes: Takes::Json {
            limit_bytes: BODY_LIMIT,
            optional: true,
            schema: grace,
            example: || json!({ "grace": "24h" }),
        },
        gives: gives(200, "The key, with its new secret: it is shown here and never again.", kind.schemas.made),
        ..route
    }
}

fn webhook_rotation(kind: &'static Kind) -> Route {
    let summary =
        "Gives a webhook a new secret; deliveries are signed with the old one too for the grace time.".to_owned();
    let mut route = route(kind, Method::POST, "rotate", summary, changing!(kind, rotate));
    route.parameters.push(IF_MATCH);
    Route {
        path: "/admin/v1/environments/{env}/webhooks/{name}/rotate",
        takes: Takes::Json {
            limit_bytes: BODY_LIMIT,
            optional: true,
            schema: grace,
            example: || json!({ "grace": "24h" }),
        },
        gives: gives(200, "The webhook, with its new secret: it is shown here and never again.", kind.schemas.made),
        ..route
    }
}

fn revocation(kind: &'static Kind) -> Route {
    let summary = "Revokes a key for ever; requests in flight are cut off. Doing it again changes nothing.".to_owned();
    let mut route = route(kind, Method::POST, "revoke", summary, changing!(kind, revoke));
    route.parameters.push(IF_MATCH);
    Route {
        path: "/admin/v1/environments/{env}/keys/{name}/revoke",
        takes: Takes::Json { limit_bytes: BODY_LIMIT, optional: true, schema: nothing, example: || json!({}) },
        gives: gives(200, "The revoked key.", kind.schemas.item),
        ..route
    }
}
