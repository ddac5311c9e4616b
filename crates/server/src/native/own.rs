//! What only management keys are told: who they are, what binds them, what is left.

use std::sync::Arc;

use axum::body::Body;
use engine::limits;
use engine::native::Call;
use http::Response;
use http_body_util::BodyExt as _;
use ir::civil::rfc3339;
use serde_json::{Map, Value, json};

use super::{Own, answer, run};
use crate::admin::Admin;
use crate::admin::limits::bound;
use crate::admin::problem::Problem;
use crate::admin::route::Route;

/// What of a balance is the environment's own business.
const STANDING: [&str; 8] =
    ["environment", "currency", "enabled", "status", "balance_usd", "held_usd", "available_usd", "as_of"];

/// Answers one of them. `balance` is the admin API's route, where there is one.
pub(super) async fn answered(
    admin: &Arc<Admin>,
    own: Own,
    balance: Option<Route>,
    call: Call,
) -> Result<Response<Body>, Problem> {
    if own != Own::Credits && call.head.uri.query().is_some_and(|query| !query.is_empty()) {
        return Err(Problem::invalid("query", "this path takes no parameters"));
    }
    match own {
        Own::Account => answer(&account(&call)),
        Own::Plan => answer(&plan(admin, &call)),
        Own::Credits => credits(admin, balance, call).await,
    }
}

/// The limits that bind whatever the key's environment, team and plan have, and how much of each is left.
fn plan(admin: &Admin, call: &Call) -> Value {
    let (key, configuration) = (&call.identity.key, &call.identity.configuration);
    let gateway = &admin.gateway;
    let now = limits::now(&gateway.clock);
    let bindings = limits::of_key(gateway, key, configuration);
    json!({
        "object": "plan",
        "plan": key.compiled.plan.as_deref(),
        "team": key.compiled.team.as_deref(),
        "limits": bound(bindings.as_deref(), now),
        "as_of": rfc3339(now.unix_ms),
    })
}

/// What the environment may still spend. Whoever reaches a part of its keys does not see the whole of its money.
async fn credits(admin: &Arc<Admin>, balance: Option<Route>, call: Call) -> Result<Response<Body>, Problem> {
    let key = &call.identity.key.compiled;
    if key.team.is_some() || key.owner.is_some() {
        return Err(Problem::forbidden("credits belong to the whole environment, and this key to a part of it")
            .hint("use a management key without a team and an owner"));
    }
    let Some(route) = balance else {
        return Err(Problem::not_found("this gateway keeps no credits"));
    };
    let standing = run(admin, &route, None, call).await?;
    let Ok(body) = standing.into_body().collect().await else {
        return Err(Problem::internal("the balance could not be read"));
    };
    let Ok(Value::Object(mut members)) = serde_json::from_slice(&body.to_bytes()) else {
        return Err(Problem::internal("the balance could not be read"));
    };
    members.retain(|name, _| STANDING.contains(&name.as_str()));
    let mut shown = Map::new();
    shown.insert("object".to_owned(), "credits".into());
    shown.extend(members);
    answer(&Value::Object(shown))
}

fn account(call: &Call) -> Value {
    let key = &call.identity.key.compiled;
    let environment = &call.identity.configuration.snapshot.environment;
    let owner = key.owner.as_deref();
    let reach = match (owner, &key.team) {
        (Some(_), Some(_)) => "owner_in_team",
        (Some(_), None) => "owner",
        (None, Some(_)) => "team",
        (None, None) => "environment",
    };
    json!({
        "object": "account",
        "environment": { "name": &*environment.name, "id": environment.id.map(|id| id.to_string()) },
        "key": {
            "id": key.id.map(|id| id.to_string()),
            "name": &*key.name,
            "expires_at": key.expires_unix_ms.map(rfc3339),
        },
        "team": key.team.as_deref(),
        "owner": owner,
        "reach": reach,
    })
}
