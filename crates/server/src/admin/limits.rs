//! What limits a key has, wherever they come from, and what is left of each.

use std::cmp::Ordering;
use std::sync::{Arc, atomic};
use std::time::Duration;

use axum::http::StatusCode;
use control::kind::KEYS;
use engine::limits;
use ir::civil::rfc3339;
use ir::money::NanoUsd;
use policy::limit::bind::{Asker, Bindings};
use policy::limit::reservation::Bound;
use policy::limit::rule::{Enforce, Scope, Span, Target};
use policy::limit::{Meter, Now};
use serde_json::{Value, json};

use super::call::{Call, json as reply};
use super::principal::{Principal, SignedIn};
use super::problem::Problem;
use super::requests::known;
use super::route::Outcome;

pub(super) mod subjects;

/// Every limit that binds a key, the one with the least left first. Those of users, addresses and buckets are among them
/// where the query names one.
pub(super) async fn effective(call: Call, who: SignedIn) -> Outcome {
    known(&call)?;
    let Some(name) = call.query("key").filter(|name| !name.is_empty()).map(str::to_owned) else {
        return Err(Problem::invalid("key", "missing: the key's name, or its id"));
    };
    let peer = match call.query("ip").filter(|ip| !ip.is_empty()) {
        None => None,
        Some(ip) => Some(ip.parse().map_err(|_| Problem::invalid("ip", "ip must be an IP address"))?),
    };
    if call.admin.gateway.limits_unknown.load(atomic::Ordering::Acquire) {
        return Err(Problem::unavailable("what limits have left is not known yet: the request log cannot be read"));
    }
    let (plane, actor) = (Arc::clone(&call.admin.plane), who.actor().clone());
    let environment = call.path("env").to_owned();
    let found = call.admin.blocking.run(move || plane.get(&actor, &environment, KEYS, &name)).await??;
    let gateway = &call.admin.gateway;
    let asker = Asker { user: call.query("user"), peer, bucket: call.query("bucket") };
    let state = gateway.state();
    let bindings = state.keys.by_id(found.id).and_then(|key| {
        let configuration = state.environment(&key.compiled.environment)?;
        let of_key = limits::of_key(gateway, key, configuration)?;
        Some(limits::of_asker(gateway, key, configuration, &of_key, asker))
    });
    let now = limits::now(&gateway.clock);
    let shown = bound(bindings.as_deref(), now);
    reply(StatusCode::OK, &json!({ "key": found.name, "as_of": rfc3339(now.unix_ms), "data": shown }))
}

/// Returns what binds a key, the one with the least left first.
pub(crate) fn bound(bindings: Option<&Bindings>, now: Now) -> Vec<Value> {
    let mut all = bindings.map(Bindings::all).unwrap_or_default();
    all.sort_by(|(_, one), (_, other)| tightness(one, other, now));
    all.iter().map(|(target, bound)| shown(target, bound, now)).collect()
}

/// Orders limits by the share that is left.
fn tightness(one: &Bound, other: &Bound, now: Now) -> Ordering {
    // Credits have no most of which they could be a share.
    let credits = |bound: &Bound| bound.counter.meter() == Meter::Credits;
    let left = |bound: &Bound| u128::from(bound.amount.saturating_sub(bound.counter.read(now).used));
    let scaled = |bound: &Bound, by: &Bound| left(bound) * u128::from(by.amount.max(1));
    credits(one).cmp(&credits(other)).then(scaled(one, other).cmp(&scaled(other, one)))
}

fn shown(target: &Target, bound: &Bound, now: Now) -> Value {
    let (rule, reading) = (&bound.limit.rule, bound.counter.read(now));
    let left = bound.amount.saturating_sub(reading.used);
    let resets_at = reading.resets_ms.map(|ms| rfc3339(now.unix_ms.saturating_add(ms)));
    let ((scope, name), target) = (scope_of(&rule.scope), target_text(target));
    let credits = rule.meter == Meter::Credits;
    json!({
        "limit": &*bound.limit.name,
        "meter": meter(rule.meter),
        "window": window(rule.meter, rule.window),
        "scope": scope,
        "name": name,
        "target": target,
        "enforce": match rule.enforce {
            Enforce::Cluster => "cluster",
            Enforce::Node => "node",
        },
        "amount": (!credits).then(|| amount(rule.meter, bound.amount)),
        "used": (!credits).then(|| amount(rule.meter, reading.used)),
        "remaining": amount(rule.meter, left),
        "resets_at": resets_at.filter(|_| reading.used > 0),
    })
}

/// Returns a scope in words, and its name.
pub(crate) fn scope_of(scope: &Scope) -> (&'static str, Option<&str>) {
    match scope {
        Scope::Environment => ("environment", None),
        Scope::Team(name) => ("team", name.as_deref()),
        Scope::Key(name) => ("key", name.as_deref()),
        Scope::User(name) => ("user", name.as_deref()),
        Scope::Ip(name) => ("ip", name.as_deref()),
        Scope::Bucket(name) => ("bucket", name.as_deref()),
    }
}

/// Returns a target as limits are written.
pub(crate) fn target_text(target: &Target) -> String {
    match target {
        Target::All => "all".to_owned(),
        Target::Provider(name) => format!("provider:{name}"),
        Target::Model(slug) => format!("model:{slug}"),
    }
}

/// Money is a decimal as text, so that no reader rounds it.
pub(crate) fn amount(meter: Meter, amount: u64) -> Value {
    if meter.is_money() { Value::from(NanoUsd(amount).to_string()) } else { Value::from(amount) }
}

/// Returns a meter as limits are written.
pub(crate) fn meter(meter: Meter) -> &'static str {
    match meter {
        Meter::Requests => "requests",
        Meter::Tokens => "tokens",
        Meter::InputTokens => "input_tokens",
        Meter::OutputTokens => "output_tokens",
        Meter::Usd => "usd",
        Meter::Credits => "credits",
        Meter::Concurrency => "concurrency",
    }
}

/// Returns a window as limits are written.
pub(crate) fn window(meter: Meter, span: Span) -> Option<String> {
    match span {
        _ if meter == Meter::Concurrency => None,
        Span::Rolling(length) => Some(rolling(length)),
        Span::Day => Some("day".to_owned()),
        Span::Month => Some("month".to_owned()),
        Span::BillingPeriod => Some("billing_period".to_owned()),
        Span::Total => Some("total".to_owned()),
    }
}

/// A duration as limits are written.
fn rolling(length: Duration) -> String {
    let seconds = length.as_secs();
    match seconds {
        _ if length.subsec_millis() > 0 => format!("{}ms", length.as_millis()),
        _ if seconds.is_multiple_of(86_400) => format!("{}d", seconds / 86_400),
        _ if seconds.is_multiple_of(3_600) => format!("{}h", seconds / 3_600),
        _ => format!("{seconds}s"),
    }
}
