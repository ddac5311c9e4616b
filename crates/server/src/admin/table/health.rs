//! Routes of health and metrics.

use axum::http::Method;
use control::access::Permission;

use crate::admin::health::{alive, metrics, ready};
use crate::admin::problem::Code;
use crate::admin::route::{Gives, Route, Takes, open};
use crate::admin::throttle::RateClass;

fn text(status: u16, meaning: &'static str) -> Gives {
    Gives {
        status,
        meaning,
        body: Some(("text/plain", schemars::SchemaGenerator::subschema_for::<String>)),
        headers: &[],
    }
}

/// Returns the routes.
pub(super) fn routes() -> Vec<Route> {
    vec![
        Route {
            method: Method::GET,
            path: "/healthz",
            id: "getHealth".into(),
            tag: "Health",
            permission: Permission::Open,
            rate: RateClass::Unlimited,
            summary: "Says that the process is alive.".into(),
            parameters: Vec::new(),
            takes: Takes::Nothing,
            gives: text(200, "It is alive."),
            errors: &[],
            handler: open(alive),
        },
        Route {
            method: Method::GET,
            path: "/readyz",
            id: "getReadiness".into(),
            tag: "Health",
            permission: Permission::Open,
            rate: RateClass::Unlimited,
            summary: "Says whether requests are served and can be recorded; 503 with the reason when not.".into(),
            parameters: Vec::new(),
            takes: Takes::Nothing,
            gives: text(200, "It is ready."),
            errors: &[Code::DependencyUnavailable],
            handler: open(ready),
        },
        Route {
            method: Method::GET,
            path: "/metrics",
            id: "getMetrics".into(),
            tag: "Health",
            permission: Permission::Open,
            rate: RateClass::Unlimited,
            summary: "Returns the counters in the OpenMetrics format.".into(),
            parameters: Vec::new(),
            takes: Takes::Nothing,
            gives: Gives {
                body: Some(("application/openmetrics-text", schemars::SchemaGenerator::subschema_for::<String>)),
                ..text(200, "The counters.")
            },
            errors: &[],
            handler: open(metrics),
        },
    ]
}
