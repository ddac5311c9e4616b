//! The OpenAPI 3.1 document, made from the table of routes and the types that people write.

use std::collections::BTreeMap;

use axum::http::StatusCode;
use control::access::Permission;
use schemars::SchemaGenerator;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

use super::call::{Call, json};
use super::people::{CSRF_HEADER, SESSION_COOKIE};
use super::problem::Code;
use super::route::{Form, Outcome, Parameter, Place, Route, Takes};
use super::schemas::{Error, JSON};
use super::table;
use super::throttle::RateClass;

/// Answers with the document.
pub(super) async fn serve(_: Call) -> Outcome {
    json(StatusCode::OK, &document())
}

/// Replies that several routes give, by name.
type Shared = BTreeMap<String, Value>;

/// Returns the document.
pub fn document() -> Value {
    let settings = SchemaSettings::draft2020_12().with(|settings| {
        settings.definitions_path = "/components/schemas".into();
        settings.meta_schema = None;
    });
    let mut generator = settings.into_generator();
    let mut shared = Shared::new();
    let mut paths: BTreeMap<&str, Map<String, Value>> = BTreeMap::new();
    for route in &table::routes() {
        let method = route.method.as_str().to_ascii_lowercase();
        paths.entry(route.path).or_default().insert(method, operation(route, &mut generator, &mut shared));
    }
    // Everything that fails has this schema, so that it is there in any case.
    generator.subschema_for::<Error>();
    let schemas: BTreeMap<String, Value> = generator.take_definitions(true).into_iter().collect();
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Crossway admin API",
            "version": "1",
            "summary": "Everything that can be administered, over HTTP.",
            "license": { "name": "Apache-2.0", "identifier": "Apache-2.0" },
        },
        "servers": [{ "url": "/", "description": "The admin listener, 127.0.0.1:8081 unless set otherwise." }],
        "security": [{ "adminToken": [] }, { "session": [], "csrf": [] }],
        "paths": paths,
        "components": {
            "securitySchemes": {
                "adminToken": {
                    "type": "http", "scheme": "bearer", "description": "The value of CROSSWAY_ADMIN_TOKEN.",
                },
                "session": {
                    "type": "apiKey", "in": "cookie", "name": SESSION_COOKIE.plain,
                    "description": "A person's session; over https its name begins with __Host-.",
                },
                "csrf": {
                    "type": "apiKey", "in": "header", "name": CSRF_HEADER,
                    "description": "The `csrf_token` of the session; reading needs none.",
                },
            },
            "responses": shared,
            "schemas": schemas,
        },
    })
}

fn operation(route: &Route, generator: &mut SchemaGenerator, shared: &mut Shared) -> Value {
    let mut operation = Map::new();
    operation.insert("operationId".into(), json!(route.id));
    operation.insert("tags".into(), json!([route.tag]));
    operation.insert("summary".into(), json!(route.summary));
    operation.insert("x-permission".into(), json!(route.permission.name()));
    operation.insert("x-rate-limit".into(), json!(route.rate.name()));
    if route.permission == Permission::Open {
        operation.insert("security".into(), json!([]));
    }
    if !route.parameters.is_empty() {
        operation.insert("parameters".into(), route.parameters.iter().map(parameter).collect());
    }
    if let Takes::Json { optional, schema, example, limit_bytes } = &route.takes {
        let media = json!({ "schema": schema(generator), "example": example() });
        let mut content = Map::from_iter([(JSON.to_owned(), media.clone())]);
        if route.method == axum::http::Method::PATCH {
            content.insert("application/merge-patch+json".to_owned(), media);
        }
        let body = json!({ "required": !optional, "content": content, "x-limit-bytes": limit_bytes });
        operation.insert("requestBody".into(), body);
    }
    operation.insert("responses".into(), responses(route, generator, shared));
    Value::Object(operation)
}

fn parameter(parameter: &Parameter) -> Value {
    let place = match parameter.place {
        Place::Path => "path",
        Place::Query => "query",
        Place::Header => "header",
    };
    let schema = match parameter.form {
        Form::Text { most } if parameter.place == Place::Path => {
            json!({ "type": "string", "minLength": 1, "maxLength": most })
        }
        Form::Text { most } => json!({ "type": "string", "maxLength": most }),
        Form::Whole { least, most } => json!({ "type": "integer", "minimum": least, "maximum": most }),
        Form::OneOf(words) => json!({ "enum": words }),
        Form::Flag => json!({ "type": "boolean" }),
    };
    json!({
        "name": parameter.name,
        "in": place,
        "required": parameter.required,
        "description": parameter.description,
        "schema": schema,
    })
}

fn responses(route: &Route, generator: &mut SchemaGenerator, shared: &mut Shared) -> Value {
    let gives = &route.gives;
    let mut responses = BTreeMap::new();
    let mut headers: Map<String, Value> = gives.headers.iter().map(|name| header(name)).collect();
    headers.extend([header("x-request-id")]);
    let mut success = json!({ "description": gives.meaning, "headers": headers });
    if let Some((media, schema)) = gives.body {
        success["content"] = json!({ media: { "schema": schema(generator) } });
    }
    responses.insert(gives.status.to_string(), success);
    if route.parameters.iter().any(|parameter| parameter.name == "If-None-Match") {
        responses.insert("304".to_owned(), json!({ "description": "The caller has the current version." }));
    }
    let mut errors: BTreeMap<u16, Vec<Code>> = BTreeMap::new();
    for code in errors_of(route) {
        errors.entry(code.status().as_u16()).or_default().push(code);
    }
    for (status, codes) in errors {
        // Probes are told in words.
        if route.id == "getReadiness" {
            let content = json!({ "text/plain": { "schema": { "type": "string" } } });
            responses.insert(status.to_string(), json!({ "description": "It is not ready.", "content": content }));
            continue;
        }
        let names: Vec<&str> = codes.iter().map(|code| code.name()).collect();
        let name = format!("{status}-{}", names.join("-"));
        responses.insert(status.to_string(), json!({ "$ref": format!("#/components/responses/{name}") }));
        shared.entry(name).or_insert_with(|| error_response(status, &codes, generator));
    }
    json!(responses)
}

fn error_response(status: u16, codes: &[Code], generator: &mut SchemaGenerator) -> Value {
    let meanings: Vec<String> = codes.iter().map(|code| format!("`{}`: {}", code.name(), code.meaning())).collect();
    let mut headers = Map::from_iter([header("x-request-id")]);
    if matches!(status, 429 | 503) {
        headers.extend([header("Retry-After")]);
    }
    let content = json!({ JSON: { "schema": generator.subschema_for::<Error>() } });
    json!({ "description": meanings.join(" "), "headers": headers, "content": content })
}

fn header(name: &str) -> (String, Value) {
    let description = match name {
        "ETag" => "The version in quotes.",
        "Location" => "Where the new resource is.",
        "Retry-After" => "How many seconds to wait.",
        "Set-Cookie" => "The session.",
        "Content-Security-Policy" => "What the page may load: what is its own.",
        _ => "The request's id, to be quoted in reports.",
    };
    (name.to_owned(), json!({ "description": description, "schema": { "type": "string" } }))
}

/// Returns how a route may fail: by itself, and by what stands around every route.
pub fn errors_of(route: &Route) -> Vec<Code> {
    let mut codes: Vec<Code> = route.errors.to_vec();
    codes.push(Code::InternalError);
    // A foreign host or origin is refused everywhere.
    codes.push(Code::PermissionDenied);
    if route.permission != Permission::Open {
        codes.extend([Code::Unauthorized, Code::RateLimited]);
    }
    if route.rate != RateClass::Unlimited {
        codes.push(Code::RateLimited);
    }
    // A query with a parameter that is not declared.
    codes.push(Code::InvalidRequest);
    if route.parameters.iter().any(|parameter| parameter.place == Place::Path) {
        codes.push(Code::NotFound);
    }
    if matches!(route.takes, Takes::Json { .. }) {
        codes.extend([Code::RequestTimeout, Code::RequestTooLarge, Code::UnsupportedMediaType]);
    }
    codes.sort();
    codes.dedup();
    codes
}
