//! Routes about the installation: who am I, how is it, what changed, what is known; tests of connections; documents.

use axum::http::Method;
use control::access::Permission;
use schemars::{Schema, SchemaGenerator, json_schema};
use serde_json::json;

use super::resources::{CURSOR, ENVIRONMENT, LIMIT, NAME};
use crate::admin::problem::Code;
use crate::admin::route::{
    BODY_LIMIT, Form, Gives, Handler, Parameter, Route, SchemaOf, Takes, open, operator, signed_in,
};
use crate::admin::schemas::{JSON, Schemas, list_of};
use crate::admin::throttle::RateClass;
use crate::admin::{audit, catalogue, documents, me, openapi, probe, settings, status};

/// The most that a set of documents may have: 16 MiB.
const APPLY_LIMIT: usize = 16 << 20;

const WORD: Form = Form::Text { most: 256 };

fn object(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "object" })
}

fn list(_: &mut SchemaGenerator) -> Schema {
    list_of(json_schema!({ "type": "object" }))
}

fn get(path: &'static str, id: &str, permission: Permission, summary: &str, handler: Handler) -> Route {
    Route {
        method: Method::GET,
        path,
        id: id.to_owned(),
        tag: "System",
        permission,
        rate: RateClass::Read,
        summary: summary.to_owned(),
        parameters: Vec::new(),
        takes: Takes::Nothing,
        gives: gives(object),
        errors: &[Code::DependencyUnavailable],
        handler,
    }
}

fn gives(schema: SchemaOf) -> Gives {
    Gives { status: 200, meaning: "The answer.", body: Some((JSON, schema)), headers: &[] }
}

/// Returns the routes.
pub(super) fn routes() -> Vec<Route> {
    vec![
        get(
            "/admin/v1/openapi.json",
            "getOpenapi",
            Permission::Open,
            "Returns this document. It holds nothing that is not in the product's own documentation.",
            open(openapi::serve),
        ),
        Route {
            gives: gives(me_schema),
            ..get(
                "/admin/v1/me",
                "getMe",
                Permission::SignedIn,
                "Says who the caller is and what they may do.",
                signed_in(me::get),
            )
        },
        Route {
            parameters: vec![Parameter::query("vendor", WORD, "Only this vendor and its models.")],
            ..get(
                "/admin/v1/catalogue",
                "getCatalogue",
                Permission::ReadModels,
                "Returns the vendors and models that are known before anything is configured.",
                signed_in(catalogue::get),
            )
        },
        get(
            "/admin/v1/status",
            "getStatus",
            Permission::ReadStatus,
            "Says how the installation is doing: databases, journal, environments and what is wrong with them.",
            signed_in(status::get),
        ),
        Route {
            gives: gives(list),
            ..get(
                "/admin/v1/nodes",
                "listNodes",
                Permission::ReadStatus,
                "Lists the nodes: this one.",
                signed_in(status::nodes),
            )
        },
        Route {
            gives: gives(list),
            ..get(
                "/admin/v1/settings",
                "listSettings",
                Permission::ReadSettings,
                "Lists the settings of the process and where each comes from; secrets are only said to be set.",
                operator(settings::get),
            )
        },
        audit_log(),
        tested("/admin/v1/environments/{env}/providers/{name}/test", "testProvider"),
        Route {
            permission: Permission::WriteKeys,
            summary: "Tests a credential of one's own by asking its provider for its models; nothing is changed."
                .to_owned(),
            handler: signed_in(probe::own),
            ..tested("/admin/v1/environments/{env}/byok/{name}/test", "testOwnCredential")
        },
        tested_draft(),
        application(),
        exportation(),
    ]
}

fn me_schema(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "required": ["name", "user", "role", "permissions", "teams", "session"],
        "properties": {
            "name": { "type": "string", "description": "A person's email, or `admin token`." },
            "user": { "type": ["string", "null"] },
            "role": { "enum": ["viewer", "auditor", "developer", "team_admin", "operator", "owner"] },
            "permissions": { "type": "array", "items": { "enum": Permission::ALL.map(Permission::name) } },
            "teams": { "type": "array", "items": { "type": "object" } },
            "session": { "type": ["string", "null"] },
        },
    })
}

fn audit_log() -> Route {
    let summary = "Lists what was changed and by whom, newest first.";
    let handler = signed_in(audit::list);
    Route {
        parameters: vec![
            Parameter::query("actor", WORD, "Only what this one did."),
            Parameter::query("action", WORD, "Only this act, such as `create`."),
            Parameter::query("kind", WORD, "Only this kind, in the plural."),
            Parameter::query("environment", WORD, "Only this environment."),
            Parameter::query("name", WORD, "Only the things of this name."),
            Parameter::query("from", WORD, "From this instant on: RFC 3339, or Unix milliseconds."),
            Parameter::query("to", WORD, "Before this instant: RFC 3339, or Unix milliseconds."),
            LIMIT,
            CURSOR,
        ],
        gives: gives(list),
        ..get("/admin/v1/audit", "listAudit", Permission::ReadAudit, summary, handler)
    }
}

fn verdict(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "required": ["ok", "latency_ms", "models", "models_total", "error"],
        "properties": {
            "ok": { "type": "boolean" },
            "latency_ms": { "type": "integer", "minimum": 0 },
            "models": { "type": "array", "maxItems": 50, "items": { "type": "string" } },
            "models_total": { "type": "integer", "minimum": 0 },
            "error": {
                "type": ["object", "null"],
                "required": ["code", "message", "status"],
                "properties": {
                    "code": { "type": "string" },
                    "message": { "type": "string" },
                    "status": { "type": ["integer", "null"] },
                },
            },
        },
    })
}

fn nothing(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "object", "additionalProperties": false })
}

fn tested(path: &'static str, id: &str) -> Route {
    Route {
        method: Method::POST,
        path,
        id: id.to_owned(),
        tag: "System",
        permission: Permission::WriteConfiguration,
        rate: RateClass::Outbound,
        summary: "Tests the connection to a provider by asking it for its models; nothing is changed.".to_owned(),
        parameters: vec![ENVIRONMENT, NAME],
        takes: Takes::Json { limit_bytes: BODY_LIMIT, optional: true, schema: nothing, example: || json!({}) },
        gives: gives(verdict),
        errors: &[Code::NotFound, Code::Conflict, Code::DependencyUnavailable],
        handler: operator(probe::stored),
    }
}

fn tested_draft() -> Route {
    Route {
        parameters: vec![ENVIRONMENT],
        summary:
            "Tests a provider that is not stored; secrets that it leaves out are those of the stored one of its name."
                .to_owned(),
        takes: Takes::Json {
            limit_bytes: BODY_LIMIT,
            optional: false,
            schema: Schemas::of::<policy::spec::provider::ProviderSpec>().change,
            example: || json!({ "spec": { "kind": "openai-compatible", "base_url": "http://10.0.0.5:8000/v1" } }),
        },
        handler: operator(probe::draft),
        ..tested("/admin/v1/environments/{env}/providers/test", "testProviderDraft")
    }
}

fn document_list(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "required": ["documents"],
        "additionalProperties": false,
        "properties": { "documents": {
            "type": "array",
            "maxItems": 10_000,
            "items": {
                "type": "object",
                "required": ["kind"],
                "additionalProperties": false,
                "properties": {
                    "kind": { "type": "string", "description": "The plural name of the kind." },
                    "environment": { "type": ["string", "null"], "description": "Its environment; empty for an environment." },
                    "name": { "type": ["string", "null"], "description": "Its name." },
                    "spec": { "type": ["object", "null"], "description": "What it says, as in the kind's own schema." },
                },
            },
        } },
    })
}

fn applied(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "required": ["dry_run", "data"],
        "properties": {
            "dry_run": { "type": "boolean" },
            "data": { "type": "array", "items": {
                "type": "object",
                "required": ["action", "kind", "environment", "name", "diff"],
                "properties": {
                    "action": { "enum": ["create", "update", "unchanged"] },
                    "kind": { "type": "string" },
                    "environment": { "type": "string" },
                    "name": { "type": "string" },
                    "diff": { "type": "array", "items": { "type": "object" } },
                    "secret": { "type": "string", "description": "The secret of a key that was made; shown once." },
                },
            } },
        },
    })
}

fn application() -> Route {
    Route {
        method: Method::POST,
        path: "/admin/v1/apply",
        id: "applyDocuments".to_owned(),
        tag: "System",
        permission: Permission::WriteConfiguration,
        rate: RateClass::Write,
        summary: "Makes resources say what documents say: all of them, or, when anything is wrong, none.".to_owned(),
        parameters: vec![Parameter::query("dry_run", Form::Flag, "Whether to say only what would be done.")],
        takes: Takes::Json {
            limit_bytes: APPLY_LIMIT,
            optional: false,
            schema: document_list,
            example: || {
                json!({ "documents": [
                    { "kind": "teams", "environment": "default", "name": "search", "spec": { "description": "search" } },
                ] })
            },
        },
        gives: gives(applied),
        errors: &[Code::NotFound, Code::Conflict, Code::NameTaken, Code::ReadOnly, Code::DependencyUnavailable],
        handler: operator(documents::apply),
    }
}

fn exportation() -> Route {
    let summary = "Returns what is stored as documents, without secrets; applying them changes nothing.";
    let handler = signed_in(documents::export);
    Route {
        parameters: vec![Parameter::query("environment", WORD, "Only this environment.")],
        gives: gives(document_list),
        errors: &[Code::NotFound, Code::DependencyUnavailable],
        ..get("/admin/v1/export", "exportDocuments", Permission::ReadConfiguration, summary, handler)
    }
}
