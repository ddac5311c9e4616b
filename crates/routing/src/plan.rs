//! The plan: which targets are tried, in which order, and why.
//!
//! Precedence: `x-llm-provider`, then the request's `model` (a slug, an alias or `provider/slug`), then, without one,
//! every provider's default model in the configured order. The key's rights filter always.

use std::fmt;

use ir::failure::{Code, Failure, Fault};
use policy::snapshot::{CompiledKey, FallbackOn, Model, ModelIndex, Provider, ProviderIndex, Snapshot};

/// What a request asks for.
#[derive(Clone, Copy, Debug, Default)]
pub struct Wish<'a> {
    /// Its `model`, if any.
    pub model: Option<&'a str>,
    /// Its `x-llm-provider`, if any: a provider's name or kind.
    pub provider: Option<&'a str>,
}

/// Why a target is in the plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// The request names the model.
    RequestedModel,
    /// The request names the provider.
    RequestedProvider,
    /// The provider ignores the client's model.
    ForcedDefault,
    /// The request leaves the choice to us.
    Default,
    /// Another provider serves the same model.
    SameModel,
    /// The primary model's fallback policy.
    Fallback,
    /// The next configured provider, with its default model.
    NextProvider,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::RequestedModel => "requested model",
            Self::RequestedProvider => "requested provider",
            Self::ForcedDefault => "provider's forced default model",
            Self::Default => "default model",
            Self::SameModel => "same model at another provider",
            Self::Fallback => "fallback policy",
            Self::NextProvider => "next configured provider",
        })
    }
}

/// One target to try.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Planned {
    /// The model, which names its provider.
    pub model: ModelIndex,
    /// Why it is tried.
    pub reason: Reason,
}

/// One target that was left out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Excluded {
    /// The model.
    pub model: ModelIndex,
    /// Why it was left out.
    pub code: Code,
}

/// The targets to try, in order. There is at least one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// What is tried.
    pub attempts: Vec<Planned>,
    /// What was left out, and why.
    pub excluded: Vec<Excluded>,
    /// The policy that chose, when the caller left the choice open.
    pub policy: Option<&'static str>,
    /// The failures that lead to the next target.
    pub on: FallbackOn,
}

/// Model names that leave the choice to the router.
const POLICIES: [&str; 4] = ["auto", "cheapest", "fastest", "best"];

/// The most of an unknown model's name that an error repeats.
const MAX_SHOWN_CHARS: usize = 64;

/// Plans a request.
///
/// # Errors
/// 400 `unknown_model` for a model or provider that does not exist, 403 when every target is one that the key may not
/// use or that is switched off, 503 when nothing is configured.
pub fn plan(snapshot: &Snapshot, key: &CompiledKey, wish: Wish<'_>) -> Result<Plan, Failure> {
    let model = wish.model.filter(|model| !model.eq_ignore_ascii_case("auto"));
    let mut candidates = match (wish.provider, model) {
        (Some(name), model) => provider_first(snapshot, name, model)?,
        (None, Some(model)) => model_first(snapshot, model)?,
        (None, None) => Candidates { policy: Some("auto"), list: defaults(snapshot, None), on: FallbackOn::default() },
    };
    dedup(&mut candidates.list);
    let rights = Rights::of(snapshot, key);
    let mut excluded = Vec::new();
    candidates.list.retain(|planned| match rights.exclusion(planned.model) {
        Some(code) => {
            excluded.push(Excluded { model: planned.model, code });
            false
        }
        None => true,
    });
    if candidates.list.is_empty() {
        return Err(nothing_left(snapshot, &excluded));
    }
    Ok(Plan { attempts: candidates.list, excluded, policy: candidates.policy, on: candidates.on })
}

struct Candidates {
    list: Vec<Planned>,
    policy: Option<&'static str>,
    on: FallbackOn,
}

/// `x-llm-provider`: that provider, with the model if it serves it, else with its default; then the others in order.
fn provider_first(snapshot: &Snapshot, name: &str, model: Option<&str>) -> Result<Candidates, Failure> {
    let wanted = name.trim();
    let Some(index) = snapshot.provider_named(wanted) else {
        let valid: Vec<&str> = snapshot.providers.iter().map(|provider| &*provider.name).collect();
        let message = format!("unknown provider in x-llm-provider; valid providers: {}", valid.join(", "));
        return Err(Failure::invalid("x-llm-provider", message));
    };
    let provider = snapshot.provider(index);
    let served = model.filter(|_| !provider.is_some_and(|provider| provider.force_default_model)).and_then(|model| {
        snapshot.resolve(model).iter().copied().find(|m| snapshot.model(*m).is_some_and(|m| m.provider == index))
    });
    let first = match served.or(provider.and_then(|provider| provider.default_model)) {
        Some(model) => Planned { model, reason: Reason::RequestedProvider },
        None => {
            let message = format!("provider `{wanted}` has no default model: name one of its models in `model`");
            return Err(Failure::new(Code::UnknownModel, Fault::Caller, message).with_param("model"));
        }
    };
    let mut list = vec![first];
    list.extend(defaults(snapshot, Some(index)));
    Ok(Candidates { list, policy: None, on: FallbackOn::default() })
}

/// A named model: every provider that serves it, then its fallback policy.
fn model_first(snapshot: &Snapshot, name: &str) -> Result<Candidates, Failure> {
    let found = snapshot.resolve(name);
    let Some(primary) = found.first().copied() else {
        return unknown(snapshot, name);
    };
    let forced = |index: &ModelIndex| {
        let provider = snapshot.model(*index).and_then(|model| snapshot.provider(model.provider))?;
        provider.default_model.filter(|_| provider.force_default_model)
    };
    let mut list: Vec<Planned> = found
        .iter()
        .enumerate()
        .map(|(at, index)| match forced(index) {
            Some(model) => Planned { model, reason: Reason::ForcedDefault },
            None if at == 0 => Planned { model: *index, reason: Reason::RequestedModel },
            None => Planned { model: *index, reason: Reason::SameModel },
        })
        .collect();
    let fallback = snapshot.model(primary).and_then(|model| snapshot.fallbacks.get(&*model.slug));
    if let Some(fallback) = fallback {
        list.extend(fallback.models.iter().map(|model| Planned { model: *model, reason: Reason::Fallback }));
    }
    Ok(Candidates { list, policy: None, on: fallback.map(|fallback| fallback.on).unwrap_or_default() })
}

/// A name that nothing serves: for providers that ignore the client's model it does not matter.
fn unknown(snapshot: &Snapshot, name: &str) -> Result<Candidates, Failure> {
    let forced = |provider: &Provider| provider.default_model.filter(|_| provider.force_default_model);
    let list: Vec<Planned> = snapshot
        .providers
        .iter()
        .filter_map(forced)
        .map(|model| Planned { model, reason: Reason::ForcedDefault })
        .collect();
    if !list.is_empty() {
        return Ok(Candidates { list, policy: None, on: FallbackOn::default() });
    }
    let message = if POLICIES.contains(&name.to_ascii_lowercase().as_str()) {
        format!("the policy `{name}` is not available here: name a model, or use `auto`")
    } else {
        let shown: String = name.chars().take(MAX_SHOWN_CHARS).collect();
        format!("no configured provider serves the model `{shown}`; GET /v1/models lists what this key may use")
    };
    Err(Failure::new(Code::UnknownModel, Fault::Caller, message).with_param("model"))
}

/// Every provider's default model, in the configured order, but for one provider.
fn defaults(snapshot: &Snapshot, but: Option<ProviderIndex>) -> Vec<Planned> {
    let others = snapshot.providers.iter().enumerate().filter(|(at, _)| Some(ProviderIndex(*at)) != but);
    let reason = |at: usize| if but.is_none() && at == 0 { Reason::Default } else { Reason::NextProvider };
    others
        .filter_map(|(_, provider)| provider.default_model)
        .enumerate()
        .map(|(at, model)| Planned { model, reason: reason(at) })
        .collect()
}

/// Keeps the first of each target.
fn dedup(list: &mut Vec<Planned>) {
    let mut seen = Vec::with_capacity(list.len());
    list.retain(|planned| {
        let new = !seen.contains(&planned.model);
        seen.push(planned.model);
        new
    });
}

/// What a key may use, made ready for the targets of one request. What counts is the target that a request would be
/// sent to, never the name it was asked for by.
pub struct Rights<'a> {
    snapshot: &'a Snapshot,
    key: &'a CompiledKey,
    /// What the names of its models mean now; `None` where it may use all of them.
    models: Option<Vec<&'a [ModelIndex]>>,
}

impl<'a> Rights<'a> {
    /// Looks the key's models up, once: what a name means changes with the configuration, and not with the key.
    pub fn of(snapshot: &'a Snapshot, key: &'a CompiledKey) -> Self {
        let meant = || key.models.iter().map(|name| snapshot.resolve(name)).collect();
        Self { snapshot, key, models: (!key.models.is_empty()).then(meant) }
    }

    /// Returns why the key may not use a target; `None` when it may.
    pub fn exclusion(&self, index: ModelIndex) -> Option<Code> {
        let model: &Model = self.snapshot.model(index)?;
        let provider = self.snapshot.provider(model.provider)?;
        let providers = &self.key.providers;
        let named = |name: &str| providers.iter().any(|listed| listed.eq_ignore_ascii_case(name));
        if !model.enabled {
            Some(Code::ModelDisabled)
        } else if self.models.as_ref().is_some_and(|models| !models.iter().any(|meant| meant.contains(&index))) {
            Some(Code::ModelNotAllowed)
        } else if !providers.is_empty() && !named(&provider.name) && !named(&provider.vendor.kind) {
            Some(Code::ProviderNotAllowed)
        } else {
            None
        }
    }
}

fn nothing_left(snapshot: &Snapshot, excluded: &[Excluded]) -> Failure {
    let Some(first) = excluded.first() else {
        let message = "no provider is configured that could serve this request";
        return Failure::new(Code::UpstreamUnavailable, Fault::Operator, message);
    };
    let name = snapshot.model(first.model).map_or("", |model| &*model.slug);
    let message = match first.code {
        Code::ModelDisabled => format!("the model `{name}` is disabled"),
        Code::ProviderNotAllowed => format!("this key may not use the provider of `{name}`"),
        _ => format!("this key may not use the model `{name}`"),
    };
    Failure::new(first.code, Fault::Caller, message).with_param("model")
}

#[cfg(test)]
mod tests;
