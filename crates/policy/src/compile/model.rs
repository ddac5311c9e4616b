//! Models: the catalogue's, the operator's own, and the operator's changes to the catalogue's.

use std::sync::Arc;

use catalog::model::{Catalogue, CatalogueModel, Mode, Offer, fold_name};
use ir::money::{PriceRow, Prices};
use ir::plain::is_invisible;

use super::price::price_list;
use super::provider::ProviderDraft;
use super::{RESERVED_NAMES, Report};
use crate::problem::{Origin, did_you_mean};
use crate::snapshot::{Model, ModelIndex, ProviderIndex};
use crate::spec::model::ModelSpec;
use crate::spec::provider::ProviderSpec;
use crate::spec::{Entry, Specs};

/// What requests may need a model to be able to do, and what the catalogue says beside it.
const CAPABILITIES: [&str; 8] = ["vision", "tools", "json_schema", "reasoning", "audio", "pdf", "video", "streaming"];

/// A checked model whose provider is not numbered yet.
#[derive(Clone)]
pub(super) struct ModelDraft {
    /// The place of its provider among the drafts.
    pub(super) provider: usize,
    pub(super) slug: Arc<str>,
    pub(super) upstream_name: Arc<str>,
    pub(super) aliases: Vec<Box<str>>,
    /// The entry that it was written in; `None` for the catalogue's.
    pub(super) origin: Option<Origin>,
    mode: Mode,
    /// The price list as it is written; empty when no price is known.
    prices: Vec<PriceRow>,
    context_window: Option<u64>,
    max_output_tokens: Option<u64>,
    responses_only: bool,
    capabilities: Vec<Box<str>>,
    capabilities_known: bool,
    quality: Option<u32>,
    created: u64,
    enabled: bool,
}

impl ModelDraft {
    /// Returns the final model.
    pub(super) fn model(&self, provider: ProviderIndex) -> Model {
        Model {
            slug: Arc::clone(&self.slug),
            provider,
            upstream_name: Arc::clone(&self.upstream_name),
            responses_only: self.responses_only,
            mode: self.mode,
            prices: (!self.prices.is_empty()).then(|| Arc::new(Prices::new(&self.prices))),
            context_window: self.context_window,
            max_output_tokens: self.max_output_tokens,
            capabilities: self.capabilities.clone(),
            capabilities_known: self.capabilities_known,
            quality: self.quality,
            created: self.created,
            enabled: self.enabled,
        }
    }

    /// Returns a model of which only the name is known.
    fn unknown(provider: usize, slug: &str) -> Self {
        Self {
            provider,
            slug: Arc::from(slug),
            upstream_name: Arc::from(slug),
            aliases: Vec::new(),
            origin: None,
            responses_only: false,
            mode: Mode::Chat,
            prices: Vec::new(),
            context_window: None,
            max_output_tokens: None,
            capabilities: Vec::new(),
            capabilities_known: false,
            quality: None,
            created: 0,
            enabled: true,
        }
    }

    /// Returns a model as the catalogue knows it. Without an offer of the vendor its prices are unknown.
    fn known(provider: usize, model: &CatalogueModel, offer: Option<&Offer>) -> Self {
        Self {
            provider,
            slug: Arc::from(&*model.slug),
            upstream_name: Arc::from(offer.map_or(&*model.slug, |offer| &*offer.name)),
            aliases: model.aliases.clone(),
            origin: None,
            responses_only: offer.is_some_and(|offer| offer.responses_only),
            mode: model.mode,
            prices: offer.map(|offer| offer.prices.clone()).unwrap_or_default(),
            context_window: offer.and_then(|offer| offer.context_window).or(model.context_window),
            max_output_tokens: offer.and_then(|offer| offer.max_output_tokens).or(model.max_output_tokens),
            capabilities: model.capabilities.clone(),
            capabilities_known: !model.capabilities.is_empty(),
            quality: model.quality,
            created: model.released_unix(),
            enabled: true,
        }
    }

    /// Returns a model under the name that somebody wrote, with what the catalogue knows about it.
    fn named(provider: usize, name: &str, kind: &str, catalogue: &Catalogue) -> Self {
        match catalogue.resolve(name) {
            None => Self::unknown(provider, name),
            Some(model) => Self {
                slug: Arc::from(name),
                upstream_name: Arc::from(name),
                aliases: Vec::new(),
                ..Self::known(provider, model, model.offer_of(kind))
            },
        }
    }
}

/// Compiles the models of every provider, and finds the providers' default models.
pub(super) fn compile_models(
    providers: &mut [ProviderDraft],
    specs: &Specs,
    catalogue: &Catalogue,
    report: &mut Report,
) -> Vec<ModelDraft> {
    let mut models = Vec::new();
    for (index, provider) in providers.iter().enumerate().filter(|(_, provider)| provider.vendor.base_url.is_some()) {
        let offers = catalogue.of_vendor(&provider.vendor.kind);
        let served = offers.filter(|(model, _)| model.mode.is_served());
        models.extend(served.map(|(model, offer)| ModelDraft::known(index, model, Some(offer))));
    }
    for entry in &specs.models {
        apply_entry(&mut models, entry, providers, specs, catalogue, report);
    }
    let mut defaults = Vec::with_capacity(providers.len());
    for (index, provider) in providers.iter().enumerate() {
        let Some(entry) = specs.providers.get(provider.entry) else { continue };
        defaults.push(default_model(&mut models, index, provider, entry, catalogue, report));
    }
    // Models of providers that are switched off get no place.
    let enabled: Vec<bool> = providers.iter().map(|provider| provider.enabled).collect();
    let served = |model: &ModelDraft| enabled.get(model.provider).copied().unwrap_or(false);
    let place = |at: usize| models.iter().take(at).filter(|model| served(model)).count();
    for (provider, default) in providers.iter_mut().zip(defaults) {
        provider.default_model = default.filter(|_| provider.enabled).map(|at| ModelIndex(place(at)));
    }
    models
}

/// Applies one `[[models]]` entry: a change to a model that is there, or a new one.
fn apply_entry(
    models: &mut Vec<ModelDraft>,
    entry: &Entry<ModelSpec>,
    providers: &[ProviderDraft],
    specs: &Specs,
    catalogue: &Catalogue,
    report: &mut Report,
) {
    let (spec, origin) = (&entry.spec, &entry.origin);
    let slug = spec.slug.as_deref();
    match slug {
        None => report.add(origin, "slug", "missing"),
        Some(slug) => check_name(slug, origin, "slug", report),
    }
    for (index, alias) in spec.aliases.iter().enumerate() {
        check_name(alias, origin, &format!("aliases[{index}]"), report);
    }
    check_numbers(spec, origin, report);
    let provider = provider_of(entry, providers, specs, report);
    let (Some(slug), Some(provider)) = (slug, provider) else {
        // Prices are checked nevertheless, so that every fault is reported; whether one is missing cannot be known.
        price_list(spec, None, origin, report);
        return;
    };
    let kind = providers.get(provider).map_or("", |draft| &*draft.vendor.kind);
    let same = |model: &&mut ModelDraft| model.provider == provider && fold_name(&model.slug) == fold_name(slug);
    let existing = models.iter_mut().find(same);
    if let Some(first) = existing.as_ref().and_then(|model| model.origin.as_ref()) {
        let line = first.line.map(|line| format!("the first one is on line {line}"));
        report.add_hint(origin, "slug", "the provider has a model of this slug already", line);
        return;
    }
    let mut draft = match &existing {
        Some(model) => (**model).clone(),
        None => {
            let mut draft = ModelDraft::named(provider, slug, kind, catalogue);
            let offer = catalogue.resolve(slug).and_then(|model| model.offer_of(kind));
            draft.upstream_name = Arc::from(offer.map_or(slug, |offer| &*offer.name));
            draft
        }
    };
    fill(&mut draft, spec, slug, origin, report);
    if !draft.mode.is_served() {
        let message = format!("no surface serves {} models yet: it is left out", draft.mode.name());
        report.warn(origin, "mode", message);
        return;
    }
    match existing {
        Some(model) => *model = draft,
        None => models.push(draft),
    }
}

/// Returns what a model is asked for.
fn mode(spec: &ModelSpec, known: Mode, origin: &Origin, report: &mut Report) -> Mode {
    let Some(name) = spec.mode.as_deref() else { return known };
    Mode::of_name(name).unwrap_or_else(|| {
        let names = Mode::ALL.map(Mode::name);
        report.add_hint(origin, "mode", format!("not one of {}", names.join(", ")), did_you_mean(name, names));
        known
    })
}

/// Takes over what an entry says.
fn fill(draft: &mut ModelDraft, spec: &ModelSpec, slug: &str, origin: &Origin, report: &mut Report) {
    draft.slug = Arc::from(slug);
    if let Some(name) = &spec.upstream_name {
        let invalid = name.is_empty() || name.len() > 400 || name.chars().any(char::is_control);
        if invalid {
            report.add(origin, "upstream_name", "not a model name");
        }
        draft.upstream_name = Arc::from(name.as_str());
    }
    draft.prices = price_list(spec, Some(&draft.prices), origin, report);
    draft.mode = mode(spec, draft.mode, origin, report);
    draft.context_window = spec.context_window.or(draft.context_window);
    draft.max_output_tokens = spec.max_output_tokens.or(draft.max_output_tokens);
    if let Some(capabilities) = &spec.capabilities {
        draft.capabilities = capabilities.iter().map(|capability| capability.as_str().into()).collect();
        // An empty list says that it can do nothing of the kind.
        draft.capabilities_known = true;
    }
    draft.quality = spec.quality.or(draft.quality);
    draft.enabled = spec.enabled.unwrap_or(true);
    draft.aliases.extend(spec.aliases.iter().map(|alias| alias.as_str().into()));
    draft.origin = Some(origin.clone());
}

/// Returns the provider that an entry names; `None` also when the provider itself is faulty and has been reported.
fn provider_of(
    entry: &Entry<ModelSpec>,
    providers: &[ProviderDraft],
    specs: &Specs,
    report: &mut Report,
) -> Option<usize> {
    let Some(name) = entry.spec.provider.as_deref() else {
        report.add(&entry.origin, "provider", "missing");
        return None;
    };
    if !specs.providers.iter().any(|provider| provider.name == name) {
        let hint = did_you_mean(name, specs.providers.iter().map(|provider| provider.name.as_str()));
        report.add_hint(&entry.origin, "provider", "no provider of this name is configured", hint);
    }
    providers.iter().position(|provider| *provider.name == *name)
}

fn check_name(name: &str, origin: &Origin, field: &str, report: &mut Report) {
    if name.is_empty()
        || name.len() > 200
        || name.chars().any(|c| c.is_whitespace() || c.is_control() || is_invisible(c))
    {
        report.add(origin, field, "not a model name: 1 to 200 characters, no spaces");
    } else if RESERVED_NAMES.iter().any(|reserved| name.eq_ignore_ascii_case(reserved)) {
        report.add(origin, field, format!("reserved for a policy: {}", RESERVED_NAMES.join(", ")));
    }
}

fn check_numbers(spec: &ModelSpec, origin: &Origin, report: &mut Report) {
    for (field, number) in [("context_window", spec.context_window), ("max_output_tokens", spec.max_output_tokens)] {
        if number == Some(0) {
            report.add(origin, field, "zero");
        }
    }
    if spec.quality.is_some_and(|quality| quality > 100) {
        report.add(origin, "quality", "not between 0 and 100");
    }
    for (index, capability) in spec.capabilities.iter().flatten().enumerate() {
        let word = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
        if capability.is_empty() || !capability.bytes().all(word) {
            let message = "not a capability: lower-case letters, digits and underscores";
            report.add(origin, &format!("capabilities[{index}]"), message);
        } else if !CAPABILITIES.contains(&capability.as_str()) {
            // A word of somebody's own is no fault; one that nearly is one of ours is meant to be it.
            if let Some(hint) = did_you_mean(capability, CAPABILITIES) {
                report.warn(origin, &format!("capabilities[{index}]"), format!("no request asks for it; {hint}"));
            }
        }
    }
}

/// Finds the default model of a provider among the drafts; makes it when the vendor has no known models.
fn default_model(
    models: &mut Vec<ModelDraft>,
    index: usize,
    provider: &ProviderDraft,
    entry: &Entry<ProviderSpec>,
    catalogue: &Catalogue,
    report: &mut Report,
) -> Option<usize> {
    let kind = &*provider.vendor.kind;
    let Some(name) = entry.spec.default_model.as_deref() else {
        return usual_default(models, index, kind, catalogue);
    };
    let adopt = entry.spec.adopt_default_model;
    let found = find(models, index, name, !adopt);
    if let Some(found) = found {
        if models.get(found).is_some_and(|model| !model.enabled) {
            report.add(&entry.origin, "default_model", "this model is disabled");
        }
        return Some(found);
    }
    let listed = provider.vendor.base_url.is_some()
        && !provider.vendor.serves_others
        && catalogue.of_vendor(kind).next().is_some();
    if listed && !adopt {
        let slugs = models.iter().filter(|model| model.provider == index).map(|model| &*model.slug);
        let hint = did_you_mean(name, slugs).unwrap_or_else(|| "add a [[models]] entry for it".to_owned());
        report.add_hint(&entry.origin, "default_model", "the provider has no model of this name", Some(hint));
        return None;
    }
    check_name(name, &entry.origin, "default_model", report);
    models.push(ModelDraft::named(index, name, kind, catalogue));
    Some(models.len() - 1)
}

/// Returns the model that the catalogue marks as the vendor's default, else the first one of the provider.
fn usual_default(models: &[ModelDraft], index: usize, kind: &str, catalogue: &Catalogue) -> Option<usize> {
    let marked = catalogue.of_vendor(kind).find(|(_, offer)| offer.default).map(|(model, _)| fold_name(&model.slug));
    let own = |model: &ModelDraft| model.provider == index && model.enabled;
    models
        .iter()
        .position(|model| own(model) && Some(fold_name(&model.slug)) == marked)
        .or_else(|| models.iter().position(own))
}

/// Finds a model of a provider: by slug, by upstream name, and, when asked to be generous, by any of its names.
fn find(models: &[ModelDraft], index: usize, name: &str, generous: bool) -> Option<usize> {
    let position = |test: &dyn Fn(&ModelDraft) -> bool| models.iter().position(|m| m.provider == index && test(m));
    let folded = fold_name(name);
    position(&|model| model.slug.eq_ignore_ascii_case(name))
        .or_else(|| position(&|model| model.upstream_name.eq_ignore_ascii_case(name)))
        .or_else(|| position(&|model| generous && fold_name(&model.slug) == folded))
        .or_else(|| position(&|model| generous && model.aliases.iter().any(|alias| fold_name(alias) == folded)))
}
