//! Connection tests: is a provider there, does it take the credential, which models does it have.

use axum::http::StatusCode;
use control::plane::provider::ProviderOf;
use control::resource::Draft;
use policy::snapshot::Provider;
use serde_json::{Value, json};
use upstream::failure::{AttemptFailure, Class};
use upstream::models;

use super::call::{Call, json as answer};
use super::principal::{Operator, Principal, SignedIn};
use super::problem::Problem;
use super::route::Outcome;

/// How many models are listed.
const SHOWN: usize = 50;

/// The longest text of a provider that is passed on, in characters.
const SAID: usize = 500;

/// Tests a provider as it is stored, whether it is enabled or not.
pub(super) async fn stored(mut call: Call, who: Operator) -> Outcome {
    call.object()?.finish("the body is empty")?;
    let which = ProviderOf::Stored(call.path("name").to_owned());
    opened(call, who, which).await
}

/// Tests a credential of somebody's own with its provider.
pub(super) async fn own(mut call: Call, who: SignedIn) -> Outcome {
    call.object()?.finish("the body is empty")?;
    let (environment, name, actor) = (call.path("env").to_owned(), call.path("name").to_owned(), who.actor().clone());
    let provider = call.blocking(move |admin| admin.plane.opened_own(&actor, &environment, &name)).await??;
    test(&call, &provider).await
}

/// Tests a provider that is not stored. Nothing of it is kept.
pub(super) async fn draft(mut call: Call, who: Operator) -> Outcome {
    let mut members = call.object()?;
    let (name, spec) = (members.text("name")?, members.object("spec")?);
    members.finish("the body has `name` and `spec`: put it under spec")?;
    let spec = spec.ok_or_else(|| Problem::invalid("spec", "spec is missing"))?;
    opened(call, who, ProviderOf::Draft(Draft { name, spec })).await
}

async fn opened(call: Call, who: Operator, which: ProviderOf) -> Outcome {
    let (environment, actor) = (call.path("env").to_owned(), who.actor().clone());
    let opening = call.blocking(move |admin| admin.plane.opened_provider(&actor, &environment, which));
    let provider = opening.await??;
    test(&call, &provider).await
}

async fn test(call: &Call, provider: &Provider) -> Outcome {
    let clock = &call.admin.gateway.clock;
    let started = clock.now();
    // A provider without a host is built in: there is nothing to connect to.
    let listed = if provider.base_url.host_str().is_none() {
        Ok(Vec::new())
    } else {
        models::list(provider, &*call.admin.connector, &call.admin.user_agent).await
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
        Class::Loop => ("loop", "the base URL leads back to this gateway"),
        Class::Malformed => ("not_an_api", "what answers is not the API that was expected: is the base URL right?"),
        _ => ("failed", "the provider answered with an error"),
    };
    let said = failure.report.message.as_deref().filter(|text| !text.is_empty()).unwrap_or(&failure.detail);
    let said: String = said.chars().filter(|c| !c.is_control()).take(SAID).collect();
    let message = if said.is_empty() { words.to_owned() } else { format!("{words}: {said}") };
    json!({ "code": code, "message": message, "status": failure.status })
}
