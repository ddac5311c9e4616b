//! The admin calls of the Ballerina gateway (S12), with its paths and bodies. They read and write the prompt, the
//! guardrail and the limit named `legacy` of the environment `default`, through the control plane like every other change.
//!
//! Its documentation reads with `curl --data ''`, which sends a POST without a body: such a POST answers as GET does.

use axum::http::StatusCode;
use control::plane::Plane;
use control::refusal::Refusal;
use control::resource::{Draft, Expect, Spec};
use policy::compile::limit::span_of;
use policy::limit::rule::Span;
use policy::spec::guardrail::GuardrailSpec;
use policy::spec::limit::LimitSpec;
use policy::spec::prompt::PromptSpec;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use super::call::{Call, Members, json};
use super::principal::{KEYLESS_NAME, Operator, Principal, SignedIn};
use super::problem::Problem;
use super::route::Outcome;

/// The environment that they are about.
const ENVIRONMENT: &str = "default";

/// The resources that they are about.
const NAME: &str = "legacy";

/// The members of a guardrail, here and in its spec.
const MEMBERS: [(&str, &str); 5] = [
    ("bannedPhrases", "banned_phrases"),
    ("minLength", "min_length"),
    ("maxLength", "max_length"),
    ("requireDisclaimer", "require_disclaimer"),
    ("disclaimer", "disclaimer"),
];

/// The members of a rate limit, here and in its spec.
const RATE_MEMBERS: [(&str, &str); 3] =
    [("name", "description"), ("requestsPerWindow", "amount"), ("windowSeconds", "window")];

/// What a rate limit is called that nobody has named.
const UNNAMED: &str = "default";

/// Returns what is to be said of calls of that gateway which are not there.
pub(super) fn missing(path: &str) -> Option<&'static str> {
    Some(match path {
        "/admin/cache" => "there is no response cache in this version",
        "/admin/logging" => "logs are not shipped in this version: they go to standard error",
        _ => return None,
    })
}

/// The system prompt.
pub(super) async fn get_prompt<P: Principal>(call: Call, who: P) -> Outcome {
    let found: Option<PromptSpec> = read(&call, &who, "prompts").await?;
    let text = found.filter(|spec| spec.enabled != Some(false)).and_then(|spec| spec.text);
    json(StatusCode::OK, &json!({ "prompt": text.unwrap_or_default() }))
}

/// Sets the system prompt; an empty one clears it. Without a body it is read.
pub(super) async fn set_prompt(mut call: Call, who: Operator) -> Outcome {
    if call.body.is_none() {
        return get_prompt(call, who).await;
    }
    let mut members = call.object()?;
    let prompt = members.required_text("prompt")?;
    members.finish("the body has `prompt`; an empty one clears it")?;
    let spec = (!prompt.trim().is_empty()).then(|| Map::from_iter([("text".to_owned(), Value::String(prompt))]));
    write(&call, &who, "prompts", spec).await.map_err(|refusal| named(refusal, &[("prompt", "text")]))?;
    get_prompt(call, who).await
}

/// The guardrails.
pub(super) async fn get_guardrails<P: Principal>(call: Call, who: P) -> Outcome {
    let found: Option<GuardrailSpec> = read(&call, &who, "guardrails").await?;
    let spec = found.filter(|spec| spec.enabled != Some(false)).unwrap_or_default();
    let mut shown = json!({
        "bannedPhrases": spec.banned_phrases,
        "minLength": spec.min_length.unwrap_or(0),
        "requireDisclaimer": spec.require_disclaimer.unwrap_or(false),
    });
    let rest = [("maxLength", spec.max_length.map(Value::from)), ("disclaimer", spec.disclaimer.map(Value::from))];
    for (name, value) in rest {
        if let (Some(shown), Some(value)) = (shown.as_object_mut(), value) {
            shown.insert(name.to_owned(), value);
        }
    }
    json(StatusCode::OK, &shown)
}

/// Sets the guardrails, all of them: what is left out is not guarded. Without a body they are read.
pub(super) async fn set_guardrails(mut call: Call, who: Operator) -> Outcome {
    if call.body.is_none() {
        return get_guardrails(call, who).await;
    }
    let mut members = call.object()?;
    let spec = guardrail(&mut members)?;
    let names = MEMBERS.map(|(name, _)| format!("`{name}`")).join(", ");
    members.finish(&format!("known: {names}"))?;
    write(&call, &who, "guardrails", spec).await.map_err(|refusal| named(refusal, &MEMBERS))?;
    get_guardrails(call, who).await
}

/// Reads a guardrail; `None` when it says nothing.
fn guardrail(members: &mut Members) -> Result<Option<Spec>, Problem> {
    let mut spec = Spec::new();
    for (name, field) in MEMBERS {
        let Some(value) = members.take(name) else { continue };
        let (good, must) = match name {
            "bannedPhrases" => {
                (value.as_array().is_some_and(|all| all.iter().all(Value::is_string)), "a list of strings")
            }
            "minLength" | "maxLength" => (value.is_u64(), "a whole number that is not negative"),
            "requireDisclaimer" => (value.is_boolean(), "true or false"),
            _ => (value.is_string(), "a string"),
        };
        if !good {
            return Err(Problem::invalid(name, format!("{name} must be {must}")));
        }
        let nothing = match &value {
            Value::Array(list) => list.is_empty(),
            Value::Number(number) => name == "minLength" && number.as_u64() == Some(0),
            Value::Bool(flag) => !flag,
            Value::String(text) => text.trim().is_empty(),
            _ => false,
        };
        if !nothing {
            spec.insert(field.to_owned(), value);
        }
    }
    Ok((!spec.is_empty()).then_some(spec))
}

/// The rate limit; an empty object when there is none.
pub(super) async fn get_rate_limit<P: Principal>(call: Call, who: P) -> Outcome {
    let found: Option<LimitSpec> = read(&call, &who, "limits").await?;
    json(StatusCode::OK, &found.as_ref().and_then(rate_shown).unwrap_or_else(|| json!({})))
}

/// Sets the rate limit. Without a body it is read.
pub(super) async fn set_rate_limit(mut call: Call, who: Operator) -> Outcome {
    if call.body.is_none() {
        return get_rate_limit(call, who).await;
    }
    let mut members = call.object()?;
    let spec = rate_limit(&mut members)?;
    let names = RATE_MEMBERS.map(|(name, _)| format!("`{name}`")).join(", ");
    members.finish(&format!("known: {names}"))?;
    write(&call, &who, "limits", Some(spec)).await.map_err(|refusal| named(refusal, &RATE_MEMBERS))?;
    get_rate_limit(call, who).await
}

/// Takes the rate limit away. That there was none is no fault.
pub(super) async fn clear_rate_limit(call: Call, who: Operator) -> Outcome {
    write(&call, &who, "limits", None).await.map_err(|refusal| named(refusal, &RATE_MEMBERS))?;
    get_rate_limit(call, who).await
}

/// Returns a limit in Ballerina's words; `None` when it binds nobody, or is one that they cannot say.
fn rate_shown(spec: &LimitSpec) -> Option<Value> {
    let everybody = matches!(spec.scope.as_deref(), None | Some("environment" | "account")) && spec.name.is_none();
    let everything = matches!(spec.target.as_deref(), None | Some("all"));
    let binds = spec.enabled != Some(false) && spec.meter.as_deref() == Some("requests");
    if !(everybody && everything && binds) {
        return None;
    }
    let amount: u64 = spec.amount.as_ref()?.0.replace('_', "").trim().parse().ok()?;
    let seconds = match span_of(spec.window.as_deref()?)? {
        Span::Rolling(length) => length.as_secs(),
        Span::Day | Span::Month | Span::BillingPeriod | Span::Total => return None,
    };
    let name = if spec.description.is_empty() { UNNAMED } else { &spec.description };
    Some(json!({ "name": name, "requestsPerWindow": amount, "windowSeconds": seconds }))
}

/// Reads a rate limit.
fn rate_limit(members: &mut Members) -> Result<Spec, Problem> {
    let name = members.text("name")?.unwrap_or_default();
    let mut whole = |name: &str, hint: &str| match members.take(name) {
        None => Err(Problem::invalid(name, format!("{name} is missing"))),
        Some(value) => match value.as_u64() {
            Some(number) if number > 0 => Ok(number),
            _ => Err(Problem::invalid(name, format!("{name} must be a whole number of at least 1")).hint(hint)),
        },
    };
    let requests = whole("requestsPerWindow", "DELETE /admin/ratelimit switches the rate limit off")?;
    let seconds = whole("windowSeconds", "the length of the window")?;
    let mut spec = Spec::new();
    for (field, value) in [
        ("description", Value::from(name.trim())),
        ("meter", Value::from("requests")),
        ("window", Value::from(format!("{seconds}s"))),
        ("amount", Value::from(requests)),
    ] {
        spec.insert(field.to_owned(), value);
    }
    Ok(spec)
}

/// Reads the resource of a kind; `None` when there is none.
async fn read<T: DeserializeOwned>(
    call: &Call,
    who: &impl Principal,
    kind: &'static str,
) -> Result<Option<T>, Problem> {
    let actor = who.actor().clone();
    match call.blocking(move |admin| admin.plane.get(&actor, ENVIRONMENT, kind, NAME)).await? {
        Ok(resource) => {
            let read = serde_json::from_value(Value::Object(resource.spec));
            read.map(Some).map_err(|_| Problem::internal("what is stored cannot be read"))
        }
        Err(Refusal::NotFound(_)) => Ok(None),
        Err(refusal) => Err(refusal.into()),
    }
}

/// Puts a resource in place, or takes it away.
async fn write(call: &Call, who: &Operator, kind: &'static str, spec: Option<Spec>) -> Result<(), Said> {
    let actor = who.actor().clone();
    if actor.name == KEYLESS_NAME {
        tracing::warn!(component = "admin", requestId = %call.id, peer = %call.peer, kind, "Changed without a key");
    }
    let done = call.blocking(move |admin| match spec {
        Some(spec) => put(&admin.plane, &actor, kind, &spec),
        None => match admin.plane.delete(&actor, ENVIRONMENT, kind, NAME, Expect::Any) {
            Err(Refusal::NotFound(_)) => Ok(()),
            other => other,
        },
    });
    done.await.map_err(Said::Problem)?.map_err(Said::Refusal)
}

/// Replaces a resource, or creates it. Somebody else may do the opposite meanwhile: then once more.
fn put(plane: &Plane, actor: &control::actor::Actor, kind: &str, spec: &Spec) -> Result<(), Refusal> {
    let mut refusal = None;
    for _ in 0..3 {
        match plane.replace(actor, ENVIRONMENT, kind, NAME, spec.clone(), Expect::Any) {
            Err(Refusal::NotFound(_)) => {}
            other => return other.map(drop),
        }
        let draft = Draft { name: Some(NAME.to_owned()), spec: spec.clone() };
        match plane.create(actor, ENVIRONMENT, kind, draft) {
            Err(taken @ Refusal::NameTaken(_)) => refusal = Some(taken),
            other => return other.map(drop),
        }
    }
    refusal.map_or(Ok(()), Err)
}

/// Why nothing was written.
enum Said {
    Problem(Problem),
    Refusal(Refusal),
}

/// Names the members as these calls do.
fn named(said: Said, members: &[(&str, &str)]) -> Problem {
    let mut problems = match said {
        Said::Problem(problem) => return problem,
        Said::Refusal(Refusal::Invalid(problems)) => problems,
        Said::Refusal(refusal) => return refusal.into(),
    };
    for problem in &mut problems {
        let path = problem.path.rsplit("spec.").next().unwrap_or_default();
        let path = path.strip_prefix("guardrails.legacy.").unwrap_or(path);
        let member = members.iter().find_map(|(name, field)| Some((*name, path.strip_prefix(field)?)));
        if let Some((name, rest)) = member {
            problem.path = format!("{name}{rest}");
        }
        for (name, field) in members {
            problem.message = problem.message.replace(field, name);
        }
    }
    Refusal::Invalid(problems).into()
}

/// What the process did since it was started.
pub(super) async fn stats(call: Call, _: SignedIn) -> Outcome {
    json(StatusCode::OK, &call.admin.gateway.metrics.totals())
}
