//! Routes about the installation.

use axum::http::Method;
use control::access::Permission;
use schemars::{Schema, SchemaGenerator, json_schema};

use crate::admin::problem::Code;
use crate::admin::route::{Form, Gives, Handler, Outcome, Parameter, Route, SchemaOf, Takes, open, operator, signed_in};
use crate::admin::schemas::JSON;
use crate::admin::throttle::RateClass;
use crate::admin::{catalogue, me, openapi, settings, status};

fn object(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "object" })
}

fn get(path: &'static str, id: &str, permission: Permission, summary: &str, handler: Handler, schema: SchemaOf) -> Route {
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
        gives: Gives { status: 200, meaning: "The answer.", body: Some((JSON, schema)), headers: &[] },
        errors: &[Code::DependencyUnavailable],
        handler,
    }
}
