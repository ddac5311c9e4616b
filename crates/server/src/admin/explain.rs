//! What would become of a request of a key, and why: `POST …/route`.

use std::sync::Arc;

use axum::http::StatusCode;
use bytes::Bytes;
use control::kind::KEYS;
use dialect::lane::Surface;
use engine::explain::{self, Decided, Explanation, Question, Scores, Step};
use ir::failure::Failure;
use ir::money::NanoUsd;
use policy::condition::facts::Header;
use policy::snapshot::route::Weights;
use serde_json::{Map, Value, json};

use super::call::{Call, json as reply};
use super::principal::{Principal, SignedIn};
use super::problem::Problem;
use super::requests::known;
use super::route::Outcome;

/// Explains a request without making it.
pub(super) async fn route(mut call: Call, who: SignedIn) -> Outcome {
    known(&call)?;
    let mut members = call.object()?;
    let key = members.required_text("key")?;
    let request = members.object("request")?.ok_or_else(|| Problem::invalid("request", "request is missing"))?;
    let headers = members.object("headers")?.unwrap_or_default();
    let surface = members.text("surface")?;
    let seed = seed(members.take("seed"))?;
    members.finish("the body has `key`, `request`, `headers`, `surface` and `seed`")?;
    let question = Question {
        surface: named(surface.as_deref())?,
        body: Bytes::from(Value::Object(request).to_string()),
        provider: header(&headers, "x-llm-provider")?,
        headers: all(&headers)?,
        seed,
    };
    let (plane, actor, environment) = (Arc::clone(&call.admin.plane), who.actor().clone(), call.path("env").to_owned());
    let found = call.admin.blocking.run(move || plane.get(&actor, &environment, KEYS, &key)).await??;
    let gateway = &call.admin.gateway;
    let state = gateway.state();
    let key = state.keys.by_id(found.id).ok_or_else(|| Problem::not_found("the key is not in use"))?;
    let configuration = state.environment(&key.compiled.environment);
    let configuration = configuration.ok_or_else(|| Problem::not_found("no such environment"))?;
    let explained = explain::explain(gateway, key, configuration, &question);
    let shown = match &explained {
        Ok(explanation) => shown(explanation),
        Err(failure) => refused(failure),
    };
    reply(StatusCode::OK, &shown)
}

/// Returns what chance follows from: fresh, as that of a request, where nobody says it.
fn seed(given: Option<Value>) -> Result<u64, Problem> {
    let found = match given {
        None | Some(Value::Null) => Some(fastrand::u64(..)),
        Some(Value::Number(number)) => number.as_u64(),
        Some(Value::String(text)) => explain::seed_of(&text),
        Some(_) => None,
    };
    found.ok_or_else(|| Problem::invalid("seed", "seed must be the id of a request, or a whole number from 0"))
}

fn named(surface: Option<&str>) -> Result<Surface, Problem> {
    let known = [Surface::OpenaiChat, Surface::AnthropicMessages];
    match surface {
        None => Ok(Surface::OpenaiChat),
        Some(name) => known.into_iter().find(|surface| surface.name() == name).ok_or_else(|| {
            let names = known.map(Surface::name).join(", ");
            Problem::invalid("surface", format!("no such surface; there are {names}"))
        }),
    }
}

/// Returns a header of the request, whatever the case of its name.
fn header(headers: &Map<String, Value>, name: &str) -> Result<Option<String>, Problem> {
    match headers.iter().find(|(other, _)| other.eq_ignore_ascii_case(name)) {
        None => Ok(None),
        Some((_, Value::String(value))) => Ok(Some(value.trim().to_owned()).filter(|value| !value.is_empty())),
        Some(_) => Err(Problem::invalid("headers", format!("{name}: a text is expected"))),
    }
}

/// Returns the headers by their names in lower case.
fn all(headers: &Map<String, Value>) -> Result<Vec<Header>, Problem> {
    let text = |(name, value): (&String, &Value)| match value {
        Value::String(value) => Ok((name.to_ascii_lowercase().into(), value.trim().into())),
        _ => Err(Problem::invalid("headers", "each value must be a text")),
    };
    headers.iter().map(text).collect()
}

/// What the caller would be told instead of an answer.
pub(crate) fn refused(failure: &Failure) -> Value {
    let error = json!({
        "status": failure.status, "code": failure.code.name(), "message": failure.message, "param": failure.param,
    });
    json!({
        "attempts": [], "excluded": [], "policy": null, "weights": null, "route": null, "estimated_cost": null, "baseline": null,
        "baseline_cost": null, "seed": null, "error": error,
    })
}

pub(crate) fn shown(explanation: &Explanation) -> Value {
    let attempts: Vec<Value> = explanation.attempts.iter().map(attempt).collect();
    let excluded: Vec<Value> = explanation.excluded.iter().map(exclusion).collect();
    let baseline = explanation.baseline.as_ref();
    json!({
        "attempts": attempts,
        "excluded": excluded,
        "policy": explanation.policy,
        "weights": explanation.weights.as_ref().map(weights),
        "route": explanation.route.as_ref().map(decided),
        "input_tokens": explanation.input_tokens,
        "estimated_cost": dollars(explanation.estimated_cost),
        "baseline": baseline.map(|(slug, _)| &**slug),
        "baseline_cost": dollars(baseline.and_then(|(_, cost)| *cost)),
        // As a text, so that no reader rounds it.
        "seed": explanation.seed.to_string(),
        "error": null,
    })
}

/// What a route has to say.
fn decided(decided: &Decided) -> Value {
    let failed: Vec<Value> = decided.failed.iter().map(|(rule, why)| json!({ "rule": rule, "reason": why })).collect();
    let skipped: Vec<Value> =
        decided.skipped.iter().map(|(model, why)| json!({ "model": &**model, "reason": why })).collect();
    json!({
        "name": &*decided.route, "decided_by": decided.by, "rule": decided.rule, "failed_rules": failed,
        "skipped": skipped,
    })
}

fn weights(weights: &Weights) -> Value {
    let Weights { latency, cost, quality, availability } = weights;
    json!({ "latency": latency, "cost": cost, "quality": quality, "availability": availability })
}

/// Money is a decimal as text, so that no reader rounds it.
fn dollars(amount: Option<NanoUsd>) -> Option<String> {
    amount.map(|amount| amount.to_string())
}

fn attempt(step: &Step) -> Value {
    json!({
        "model": &*step.model, "provider": &*step.provider, "reason": step.reason, "scores": scores(step),
        "passed_over": step.passed_over,
    })
}

fn exclusion(step: &Step) -> Value {
    json!({ "model": &*step.model, "provider": &*step.provider, "reason": step.reason, "scores": scores(step) })
}

/// Three digits say enough.
fn scores(step: &Step) -> Option<Value> {
    let Scores { state, terms, chance } = step.scores?;
    let short = |value: f64| (value * 1000.0).round() / 1000.0;
    Some(json!({
        "state": state,
        "chance": short(chance),
        "score": short(terms.score),
        "latency": short(terms.latency),
        "cost": short(terms.cost),
        "quality": short(terms.quality),
        "availability": short(terms.availability),
        "expected_seconds": short(terms.seconds),
    }))
}
