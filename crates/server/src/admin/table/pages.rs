//! Routes of the pages that are there without the console: the way in, and the set-up that a start's link leads to.

use axum::http::Method;
use control::access::Permission;

use crate::admin::problem::Code;
use crate::admin::route::{Gives, Handler, Route, Takes, open};
use crate::admin::setup;
use crate::admin::throttle::RateClass;

/// Returns the routes.
pub(super) fn routes() -> Vec<Route> {
    let page =
        "Returns the page on which the first person becomes the owner; it works with the code of the start alone.";
    let invitation = "Returns the page on which whoever holds a one-time code sets their password.";
    vec![
        route("/", "getHome", "text/html", "Returns a page with the ways into the admin API.", open(setup::home)),
        Route {
            errors: &[Code::DependencyUnavailable],
            ..route("/setup", "getSetupPage", "text/html", page, open(setup::page))
        },
        route("/invitation", "getInvitationPage", "text/html", invitation, open(setup::invitation)),
        route("/setup.js", "getSetupScript", "text/javascript", "Returns the pages' script.", open(setup::script)),
        route("/setup.css", "getSetupStyle", "text/css", "Returns the pages' style.", open(setup::style)),
    ]
}

fn route(path: &'static str, id: &str, media: &'static str, summary: &str, handler: Handler) -> Route {
    Route {
        method: Method::GET,
        path,
        id: id.to_owned(),
        tag: "Pages",
        permission: Permission::Open,
        rate: RateClass::Read,
        summary: summary.to_owned(),
        parameters: Vec::new(),
        takes: Takes::Nothing,
        gives: Gives {
            status: 200,
            meaning: "It.",
            body: Some((media, schemars::SchemaGenerator::subschema_for::<String>)),
            headers: &["Content-Security-Policy"],
        },
        errors: &[],
        handler,
    }
}
