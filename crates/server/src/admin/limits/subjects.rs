//! Whose use a limit counts, and how much of it each has left.

use std::cmp::Reverse;
use std::sync::{Arc, atomic};

use axum::http::StatusCode;
use engine::limits;
use ir::civil::rfc3339;
use policy::limit::book::{CounterId, Who};
use policy::limit::counter::Reading;
use policy::limit::rule::Limit;
use policy::snapshot::Snapshot;
use serde_json::{Value, json};

use super::{amount, meter, scope_of, target_text, window};
use crate::admin::call::{Call, json as reply};
use crate::admin::principal::SignedIn;
use crate::admin::problem::Problem;
use crate::admin::requests::known;
use crate::admin::route::Outcome;
use crate::events::limits::{limits_of, percent_of, subject};

/// How many are listed at most, and when nothing is said.
pub(in crate::admin) const MOST: u64 = 1_000;
const USUAL: u64 = 50;

/// Lists whose use a limit of the environment or of a plan counts, those who used most first.
pub(in crate::admin) async fn get(call: Call, _who: SignedIn) -> Outcome {
    known(&call)?;
    let gateway = &call.admin.gateway;
    if gateway.limits_unknown.load(atomic::Ordering::Acquire) {
        return Err(Problem::unavailable("what limits have left is not known yet: the request log cannot be read"));
    }
    let state = gateway.state();
    let environment = call.path("env");
    let missing = || Problem::not_found(format!("there is no environment {environment:?}"));
    let configuration = state.environment(environment).ok_or_else(missing)?;
    let name = call.path("name");
    let limit = named(&configuration.snapshot, name).ok_or_else(|| {
        Problem::not_found(
            "there is no limit of this name among those of the environment and its plans; a key's own are shown with the key: \
             limits/effective?key=NAME, or crossway limits show --key NAME",
        )
    })?;
    let (rule, now) = (&limit.rule, limits::now(&gateway.clock));
    let same = |id: &CounterId| *id.environment == *environment && id.meter == rule.meter && id.span == rule.window;
    let mut found: Vec<(CounterId, Option<&str>, Reading)> = Vec::new();
    let counters = gateway.book.which(&same);
    for (id, counter) in counters {
        let key = match &id.who {
            Who::Key(Some(key)) => state.keys.by_id(*key),
            _ => None,
        };
        let key = key.map(|key| &**key);
        if limits_of(configuration, key, &id).iter().any(|one| one.name == limit.name) {
            found.push((id, key.map(|key| &*key.compiled.name), counter.read(now)));
        }
    }
    let counts = found.len();
    found.sort_by_key(|(.., reading)| Reverse(reading.used));
    let most = usize::try_from(call.number("limit").unwrap_or(USUAL)).unwrap_or(usize::MAX);
    let shown = |(id, key, reading): &(CounterId, Option<&str>, Reading)| {
        let resets_at = reading.resets_ms.map(|ms| rfc3339(now.unix_ms.saturating_add(ms)));
        json!({
            "subject": subject::of(id, &rule.scope, *key, gateway.book.name(id).as_deref()),
            "target": target_text(&id.target),
            "used": amount(rule.meter, reading.used),
            "remaining": amount(rule.meter, rule.amount.saturating_sub(reading.used)),
            "used_pct": percent_of(reading.used, rule.amount),
            "resets_at": resets_at.filter(|_| reading.used > 0),
        })
    };
    let data: Vec<Value> = found.iter().take(most).map(shown).collect();
    let answer = json!({
        "limit": &*limit.name,
        "meter": meter(rule.meter),
        "window": window(rule.meter, rule.window),
        "scope": scope_of(&rule.scope).0,
        "amount": amount(rule.meter, rule.amount),
        "as_of": rfc3339(now.unix_ms),
        "counts": counts,
        "data": data,
    });
    reply(StatusCode::OK, &answer)
}

/// Returns a limit of the environment or of one of its plans.
fn named<'a>(snapshot: &'a Snapshot, name: &str) -> Option<&'a Arc<Limit>> {
    let of_plans = snapshot.plans.values().flat_map(|plan| &plan.limits);
    snapshot.limits.iter().chain(of_plans).find(|limit| *limit.name == *name)
}
