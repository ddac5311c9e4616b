//! Targets that a request names: a provider, a model, or neither.

use ir::failure::{Code, Failure, Fault};
use policy::snapshot::{FallbackOn, ModelIndex, Provider, ProviderIndex, Snapshot};

use super::{Planned, Reason};

/// The most of an unknown model's name that an error repeats.
const MAX_SHOWN_CHARS: usize = 64;

/// Targets in the order in which they were configured.
pub(super) struct Named {
    /// The targets.
    pub list: Vec<Planned>,
    /// How many of them, from the first on, serve the same model: their order is the router's.
    pub family: usize,
    /// The failures that lead to the next one.
    pub on: FallbackOn,
}

/// `x-llm-provider`: that provider, with the model if it serves it, else with its default; then the others in order.
pub(super) fn provider_first(snapshot: &Snapshot, name: &str, model: Option<&str>) -> Result<Named, Failure> {
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
        Some(model) => Planned::new(model, Reason::RequestedProvider),
        None => {
            let message = format!("provider `{wanted}` has no default model: name one of its models in `model`");
            return Err(Failure::new(Code::UnknownModel, Fault::Caller, message).with_param("model"));
        }
    };
    let mut list = vec![first];
    list.extend(defaults(snapshot, Some(index)));
    Ok(Named { list, family: 1, on: FallbackOn::default() })
}

/// A named model: every provider that serves it, then its fallback policy.
pub(super) fn model_first(snapshot: &Snapshot, name: &str) -> Result<Named, Failure> {
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
            Some(model) => Planned::new(model, Reason::ForcedDefault),
            None if at == 0 => Planned::new(*index, Reason::RequestedModel),
            None => Planned::new(*index, Reason::SameModel),
        })
        .collect();
    let family = list.len();
    let fallback = snapshot.model(primary).and_then(|model| snapshot.fallbacks.get(&*model.slug));
    if let Some(fallback) = fallback {
        list.extend(fallback.models.iter().map(|model| Planned::new(*model, Reason::Fallback)));
    }
    Ok(Named { list, family, on: fallback.map(|fallback| fallback.on).unwrap_or_default() })
}

/// A name that nothing serves: for providers that ignore the client's model it does not matter.
fn unknown(snapshot: &Snapshot, name: &str) -> Result<Named, Failure> {
    let forced = |provider: &Provider| provider.default_model.filter(|_| provider.force_default_model);
    let list: Vec<Planned> =
        snapshot.providers.iter().filter_map(forced).map(|model| Planned::new(model, Reason::ForcedDefault)).collect();
    if !list.is_empty() {
        return Ok(Named { list, family: 1, on: FallbackOn::default() });
    }
    let shown: String = name.chars().take(MAX_SHOWN_CHARS).collect();
    let message = match shown.trim() {
        "" => "the model is empty: name one, or a policy such as `auto`; GET /v1/models lists what this key may use"
            .to_owned(),
        _ => format!("no configured provider serves the model `{shown}`; GET /v1/models lists what this key may use"),
    };
    Err(Failure::new(Code::UnknownModel, Fault::Caller, message).with_param("model"))
}

/// Every provider's default model, in the configured order, but for one provider.
pub(super) fn defaults(snapshot: &Snapshot, but: Option<ProviderIndex>) -> Vec<Planned> {
    let others = snapshot.providers.iter().enumerate().filter(|(at, _)| Some(ProviderIndex(*at)) != but);
    let reason = |at: usize| if but.is_none() && at == 0 { Reason::Default } else { Reason::NextProvider };
    others
        .filter_map(|(_, provider)| provider.default_model)
        .enumerate()
        .map(|(at, model)| Planned::new(model, reason(at)))
        .collect()
}
