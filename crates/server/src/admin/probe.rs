//! Connection tests: is a provider there, does it take the credential, which models does it have.

use std::sync::Arc;

use axum::http::StatusCode;
use control::refusal::Refusal;
use policy::snapshot::Provider;
use serde_json::{Value, json};
use upstream::failure::{AttemptFailure, Class};
use upstream::models;

use super::call::{Call, json as answer};
use super::principal::{Operator, Principal};
use super::problem::{Code, Problem};
use super::route::Outcome;

/// How many models are listed.
const SHOWN: usize = 50;

/// The longest text of a provider that is passed on, in characters.
const SAID: usize = 500;

/// Tests a provider as it is in effect.
pub(super) async fn stored(mut call: Call, who: Operator) -> Outcome {
    call.object()?.finish("the body is empty")?;
    let (environment, name) = (call.path("env").to_owned(), call.path("name").to_owned());
    let actor = who.actor().clone();
    let found = call
        .blocking({
            let environment = environment.clone();
            move |admin| admin.plane.get(&actor, &environment, "providers", &name)
        })
        .await??;
    let state = call.admin.gateway.state();
    let live = state.environment(&environment).and_then(|live| {
        let index = live.snapshot.provider_named(&found.name)?;
        live.snapshot.provider(index)
    });
    match live {
        Some(provider) => test(&call, provider).await,
        None => Err(Problem::new(Code::Conflict, "the provider is not in effect")
            .hint("enable it, or test a draft at …/providers/test")),
    }
}

/// Tests a provider that is not stored. Nothing of it is kept.
pub(super) async fn draft(mut call: Call, who: Operator) -> Outcome {
    let mut members = call.object()?;
    let (name, spec) = (members.text("name")?, members.object("spec")?);
    members.finish("the body has `name` and `spec`: put it under spec")?;
    let spec = spec.ok_or_else(|| Problem::invalid("spec", "spec is missing"))?;
    let (environment, actor) = (call.path("env").to_owned(), who.actor().clone());
    let provider = call
        .blocking(move |admin| {
            // Whose environment does not exist tests nothing.
            admin.plane.get(&actor, "", "environments", &environment)?;
            control::draft::provider(name.as_deref().unwrap_or("draft"), &spec)
        })
        .await?
        .map_err(|refusal: Refusal| Problem::from(refusal))?;
    test(&call, &provider).await
}

async fn test(call: &Call, provider: &Provider) -> Outcome {
    let clock = &call.admin.gateway.clock;
    let started = clock.now();
    // A provider without a host is built in: there is nothing to connect to.
    let listed = if provider.base_url.host_str().is_none() {
        Ok(Vec::new())
    } else {
        models::list(provider, &*Arc::clone(&call.admin.connector), &call.admin.user_agent).await
    };
    let latency_ms = clock.now().micros_since(started) / 1_000;
    let (names, failure) = match listed {
        Ok(names) => (names, None),
        Err(failure) => (Vec::new(), Some(failure)),
    };
    let verdict = json!({
        "ok": failure.is_none(),
        "latency_ms": latency_ms,
        "models": names.iter().take(SHOWN).collect::<Vec<_>>(),
        "models_total": names.len(),
        "error": failure.as_ref().map(error),
    });
    answer(StatusCode::OK, &verdict)
}

/// Says what broke, in our words first and in the provider's, scrubbed of secrets, after them.
fn error(failure: &AttemptFailure) -> Value {
    let (code, words) = match failure.class {
        Class::Auth => ("credential_refused", "the provider refused the credential"),
        Class::Payment => ("no_credit", "the provider's account has no credit"),
        Class::Connect => ("unreachable", "no connection could be made"),
        Class::Timeout | Class::RequestTimeout => ("timeout", "the provider did not answer in time"),
        Class::NotFound => ("no_model_list", "there is no list of models at this address: is the base URL right?"),
        Class::RateLimited => ("rate_limited", "the provider takes no more requests at the moment"),
        Class::Malformed => ("not_an_api", "what answers is not the API that was expected: is the base URL right?"),
        _ => ("failed", "the provider answered with an error"),
    };
    let said = failure.report.message.as_deref().filter(|text| !text.is_empty()).unwrap_or(&failure.detail);
    let said: String = said.chars().filter(|c| !c.is_control()).take(SAID).collect();
    let message = if said.is_empty() { words.to_owned() } else { format!("{words}: {said}") };
    json!({ "code": code, "message": message, "status": failure.status })
}
