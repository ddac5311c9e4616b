//! Routes of people: the set-up, sessions, and people themselves.

use axum::http::Method;
use control::access::Permission;
use schemars::{Schema, SchemaGenerator, json_schema};
use serde_json::{Value, json};

use crate::admin::problem::Code;
use crate::admin::route::{Form, Gives, Handler, Parameter, Route, SchemaOf, Takes, open, signed_in};
use crate::admin::throttle::RateClass;
use crate::admin::{oidc, session, setup, users};

const JSON: &str = "application/json";

/// A body of people fits into this many bytes.
const BODY_LIMIT: usize = 16 << 10;

const ID: Parameter = Parameter::path("id", "Their id, or their email address.");
const LIMIT: Parameter = Parameter::query("limit", Form::Whole { least: 1, most: 200 }, "How many; 50 when absent.");
const CURSOR: Parameter =
    Parameter::query("cursor", Form::Text { most: 1_024 }, "The `next_cursor` of the page before.");
const IF_MATCH: Parameter =
    Parameter::header("If-Match", "The `ETag` that was read: nothing is changed when another has it by now.");
const ROLES: &[&str] = &["viewer", "auditor", "developer", "team_admin", "operator", "owner"];

const SIGN_IN: &[Code] =
    &[Code::Unauthorized, Code::PermissionDenied, Code::NotFound, Code::RateLimited, Code::DependencyUnavailable];
const CHANGE: &[Code] = &[
    Code::InvalidRequest,
    Code::NotFound,
    Code::Conflict,
    Code::NameTaken,
    Code::VersionConflict,
    Code::DependencyUnavailable,
];
const READ: &[Code] = &[Code::InvalidRequest, Code::NotFound, Code::DependencyUnavailable];

fn user(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "required": ["id", "kind", "name", "version", "created_at", "updated_at", "spec", "status"],
        "properties": {
            "id": { "type": "string" },
            "kind": { "const": "users" },
            "name": { "type": "string", "description": "The email address." },
            "version": { "type": "integer" },
            "created_at": { "type": "string", "format": "date-time" },
            "updated_at": { "type": "string", "format": "date-time" },
            "spec": {
                "type": "object",
                "properties": {
                    "email": { "type": "string" },
                    "name": { "type": "string" },
                    "role": { "enum": ROLES },
                    "disabled": { "type": "boolean" },
                },
            },
            "status": {
                "type": "object",
                "properties": {
                    "last_sign_in_at": { "type": ["string", "null"], "format": "date-time" },
                    "has_password": { "type": "boolean" },
                    "has_sso": { "type": "boolean" },
                    "role_from": { "enum": ["crossway", "oidc"] },
                },
            },
            "invitation": { "type": ["object", "null"], "description": "Only where somebody was just invited." },
        },
    })
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

fn begun(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "required": ["csrf_token", "session"],
        "properties": {
            "user": { "type": ["object", "null"] },
            "name": { "type": "string" },
            "role": { "enum": ROLES },
            "csrf_token": { "type": ["string", "null"] },
            "expires_at": { "type": "string", "format": "date-time" },
            "session": { "type": ["string", "null"] },
        },
    })
}

fn invited(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "object", "properties": { "invitation": { "type": "object" } } })
}

fn state(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "properties": {
            "needed": { "type": "boolean" }, "password": { "type": "boolean" }, "oidc": { "type": "boolean" },
        },
    })
}

fn spec(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "required": ["spec"],
        "additionalProperties": false,
        "properties": {
            "spec": {
                "type": "object",
                "additionalProperties": false,
                "properties": {
                    "email": { "type": "string", "maxLength": 254 },
                    "name": { "type": ["string", "null"], "maxLength": 128 },
                    "role": { "enum": ROLES },
                    "disabled": { "type": ["boolean", "null"] },
                },
            },
        },
    })
}

fn texts(names: &[&str], required: &[&str]) -> Schema {
    let members: serde_json::Map<String, Value> =
        names.iter().map(|name| ((*name).to_owned(), json!({ "type": "string", "maxLength": 4_096 }))).collect();
    json_schema!({ "type": "object", "additionalProperties": false, "required": required, "properties": members })
}

fn body(schema: SchemaOf, example: fn() -> Value) -> Takes {
    Takes::Json { limit_bytes: BODY_LIMIT, optional: false, schema, example }
}

fn gives(status: u16, meaning: &'static str, schema: SchemaOf) -> Gives {
    Gives { status, meaning, body: Some((JSON, schema)), headers: &[] }
}

fn nothing(status: u16, meaning: &'static str) -> Gives {
    Gives { status, meaning, body: None, headers: &[] }
}

fn route(method: Method, path: &'static str, id: &str, summary: &str, handler: Handler) -> Route {
    let open = matches!(handler, Handler::Open(_));
    Route {
        rate: if method.is_safe() { RateClass::Read } else { RateClass::Write },
        method,
        path,
        id: id.to_owned(),
        tag: "People",
        permission: if open { Permission::Open } else { Permission::SignedIn },
        summary: summary.to_owned(),
        parameters: Vec::new(),
        takes: Takes::Nothing,
        gives: nothing(204, "It is done."),
        errors: READ,
        handler,
    }
}

/// Returns the routes.
pub(super) fn routes() -> Vec<Route> {
    let mut all = entrances();
    all.extend(sessions());
    all.extend(people());
    all.extend(through_a_provider());
    all
}

/// What is open to everybody: how one comes in.
fn entrances() -> Vec<Route> {
    let sign_in = |route: Route, takes: Takes, gives: Gives| Route {
        rate: RateClass::Login,
        takes,
        gives: Gives { headers: &["Set-Cookie"], ..gives },
        errors: SIGN_IN,
        ..route
    };
    let path = "/admin/v1/setup";
    let asked = route(Method::GET, path, "getSetup", "Says whether the set-up is still to be done.", open(setup::get));
    let done = route(Method::POST, path, "setUp", "Creates the owner, once.", open(setup::create));
    let redeemed = "Sets a password with a one-time code, and signs in.";
    let redeemed = route(Method::POST, "/admin/v1/invitation", "redeemInvitation", redeemed, open(setup::redeem));
    let created = "Signs in with an email address and a password.";
    let created = route(Method::POST, "/admin/v1/session", "signIn", created, open(session::create));
    vec![
        Route { gives: gives(200, "What is set up.", state), ..asked },
        sign_in(
            done,
            body(
                |_| texts(&["code", "email", "password", "name"], &["code", "email", "password"]),
                || json!({ "code": "…", "email": "ada@example.com", "password": "correct horse battery" }),
            ),
            gives(201, "The owner, signed in.", begun),
        ),
        sign_in(
            redeemed,
            body(
                |_| texts(&["code", "password"], &["code", "password"]),
                || json!({ "code": "…", "password": "correct horse battery" }),
            ),
            gives(200, "The person, signed in.", begun),
        ),
        sign_in(
            created,
            body(
                |_| texts(&["email", "password"], &["email", "password"]),
                || json!({ "email": "ada@example.com", "password": "correct horse battery" }),
            ),
            gives(200, "The person, signed in.", begun),
        ),
    ]
}

fn sessions() -> Vec<Route> {
    let (one, all) = ("/admin/v1/session", "/admin/v1/sessions");
    let who = "Says who is signed in, with the token for changes.";
    let list = "Lists sessions, oldest first: the caller's own, or others'.";
    let whose = Parameter::query("user", Form::Text { most: 64 }, "The id of a person, or `all`.");
    let id = Parameter::path("id", "The session's id.");
    vec![
        Route {
            gives: gives(200, "The caller.", begun),
            ..route(Method::GET, one, "getSession", who, signed_in(session::get))
        },
        route(Method::DELETE, one, "signOut", "Signs out.", signed_in(session::delete)),
        Route {
            parameters: vec![whose, LIMIT, CURSOR],
            gives: gives(200, "A page.", page),
            ..route(Method::GET, all, "listSessions", list, signed_in(session::list))
        },
        Route {
            parameters: vec![id],
            ..route(Method::DELETE, "/admin/v1/sessions/{id}", "endSession", "Ends a session.", signed_in(session::end))
        },
    ]
}

fn example() -> Value {
    json!({ "spec": { "email": "ada@example.com", "name": "Ada", "role": "developer" } })
}

fn people() -> Vec<Route> {
    let (all, one) = ("/admin/v1/users", "/admin/v1/users/{id}");
    let person = |status: u16, meaning: &'static str| Gives { headers: &["ETag"], ..gives(status, meaning, user) };
    let filters = [
        Parameter::query("role", Form::OneOf(ROLES), "Only those with this role."),
        Parameter::query("disabled", Form::Flag, "Only those who are, or are not, disabled."),
        Parameter::query("email", Form::Text { most: 254 }, "Only the one with this address."),
    ];
    let invite = "Invites somebody; the answer has the code with which they set a password.";
    let password = "Changes one's own password, or makes a code with which somebody else sets theirs.";
    vec![
        Route {
            permission: Permission::ReadPeople,
            parameters: [LIMIT, CURSOR].into_iter().chain(filters).collect(),
            gives: gives(200, "A page.", page),
            ..route(Method::GET, all, "listUsers", "Lists people, oldest first.", signed_in(users::list))
        },
        Route {
            permission: Permission::WritePeople,
            takes: body(spec, example),
            gives: person(201, "The person, and their invitation."),
            errors: CHANGE,
            ..route(Method::POST, all, "createUser", invite, signed_in(users::create))
        },
        Route {
            permission: Permission::ReadPeople,
            parameters: vec![ID],
            gives: person(200, "The person."),
            ..route(Method::GET, one, "getUser", "Returns a person.", signed_in(users::get))
        },
        Route {
            permission: Permission::WritePeople,
            parameters: vec![ID, IF_MATCH],
            takes: body(spec, example),
            gives: person(200, "The person."),
            errors: CHANGE,
            ..route(Method::PUT, one, "replaceUser", "Replaces what is said about a person.", signed_in(users::replace))
        },
        Route {
            parameters: vec![ID, IF_MATCH],
            takes: body(spec, || json!({ "spec": { "name": "Ada" } })),
            gives: person(200, "The person."),
            errors: CHANGE,
            ..route(
                Method::PATCH,
                one,
                "changeUser",
                "Changes a person (RFC 7396); everybody may change their own name.",
                signed_in(users::merge),
            )
        },
        Route {
            permission: Permission::WritePeople,
            parameters: vec![ID, IF_MATCH],
            errors: CHANGE,
            ..route(Method::DELETE, one, "deleteUser", "Deletes a person.", signed_in(users::delete))
        },
        Route {
            parameters: vec![ID],
            rate: RateClass::Login,
            takes: body(|_| texts(&["old_password", "new_password"], &[]), || json!({})),
            gives: gives(200, "A new session, or the code.", invited),
            errors: CHANGE,
            ..route(Method::POST, "/admin/v1/users/{id}/password", "setPassword", password, signed_in(users::password))
        },
    ]
}

/// The way to an OpenID provider and back. A provider may add parameters of its own; the usual ones are passed over.
fn through_a_provider() -> Vec<Route> {
    let text = |name, what| Parameter::query(name, Form::Text { most: 8_192 }, what);
    let back = "Takes the browser back from the OpenID provider and signs in.";
    let start = "Sends the browser to the OpenID provider.";
    let entrance = |route: Route| Route {
        rate: RateClass::Outbound,
        errors: SIGN_IN,
        gives: Gives { headers: &["Location", "Set-Cookie"], ..nothing(303, "Where the browser goes.") },
        ..route
    };
    let parameters = vec![
        text("code", "The code."),
        text("state", "What was sent along at the start."),
        text("iss", "The provider (RFC 9207)."),
        text("error", "Why the provider refused."),
        text("error_description", "Passed over."),
        text("error_uri", "Passed over."),
        text("error_subcode", "Passed over."),
        text("session_state", "Passed over."),
        text("scope", "Passed over."),
        text("authuser", "Passed over."),
        text("hd", "Passed over."),
        text("prompt", "Passed over."),
        text("client_info", "Passed over."),
    ];
    let callback = "/admin/v1/oidc/callback";
    vec![
        entrance(route(Method::GET, "/admin/v1/oidc/start", "startOidc", start, open(oidc::start))),
        Route { parameters, ..entrance(route(Method::GET, callback, "finishOidc", back, open(oidc::callback))) },
    ]
}
