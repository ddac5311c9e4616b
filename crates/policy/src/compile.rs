//! Checks everything that was written about an environment, whole, and yields a snapshot or every problem at once.

mod byok;
pub mod effective;
mod environment;
mod fallback;
mod guard;
mod header;
pub mod key;
pub mod limit;
mod model;
mod names;
mod notify;
mod oidc;
mod plan;
mod price;
mod provider;
pub mod route;
pub mod settings;
mod smtp;
pub mod team;
mod text;

use std::collections::HashMap;

use catalog::load::Vendors;
use catalog::model::Catalogue;
use ir::money::Bucket;

use crate::problem::{Origin, Problem, Severity, did_you_mean};
use crate::snapshot::{Model, ModelIndex, Provider, ProviderIndex, Snapshot};
use crate::spec::Specs;
use model::ModelDraft;
use names::Names;
use provider::ProviderDraft;

/// Names that mean a policy, so that no model may bear them.
pub const RESERVED_NAMES: [&str; 4] = ["auto", "cheapest", "fastest", "best"];

/// What a configuration compiles to.
#[derive(Debug)]
pub struct Compiled {
    /// The environment.
    pub snapshot: Snapshot,
    /// What is worth knowing.
    pub warnings: Vec<Problem>,
}

/// Compiles an environment.
///
/// # Errors
/// With every problem, warnings included, when there is an error among them.
pub fn compile(specs: &Specs, vendors: &Vendors, catalogue: &Catalogue) -> Result<Compiled, Vec<Problem>> {
    let mut report = Report::default();
    let mut providers = provider::compile_providers(&specs.providers, vendors, &mut report);
    let models = model::compile_models(&mut providers, specs, catalogue, &mut report);
    report_idle_providers(&providers, &models, specs, &mut report);
    let (models, names) = number(&providers, models, specs, &mut report);
    let fallbacks = fallback::compile_fallbacks(&specs.fallbacks, &names, &models, &mut report);
    let baseline = compile_baseline(specs, &names, &models, &mut report);
    for entry in &specs.teams {
        report.problems.extend(team::check_team(entry));
    }
    let environment = environment::compile_environment(specs, &mut report);
    let within = limit::Within::Environment { specs, names: &names };
    let limits = limit::compile_limits(&specs.limits, &within, &mut report);
    let plans = plan::compile_plans(&specs.plans, &within, &mut report);
    let webhooks = notify::compile_webhooks(&specs.webhooks, &mut report);
    let alerts = notify::compile_alerts(specs, &mut report);
    let (providers, provider_names) = finish_providers(providers);
    let own_credentials = byok::compile_own(specs, &providers, &mut report);
    let known = route::Known { specs, names: &names, models: &models, providers: &providers };
    let routes = route::compile_routes(known, &mut report);
    let names = names.into_map();
    let snapshot = Snapshot {
        environment,
        providers,
        models,
        names,
        provider_names,
        fallbacks,
        routes,
        baseline,
        limits,
        plans,
        webhooks,
        alerts,
        own_credentials,
    };
    if report.problems.iter().any(|problem| problem.severity == Severity::Error) {
        return Err(report.problems);
    }
    Ok(Compiled { snapshot, warnings: report.problems })
}

/// The problems so far.
#[derive(Debug, Default)]
struct Report {
    problems: Vec<Problem>,
}

impl Report {
    /// Adds a problem of a field, unless the field has been reported already.
    fn add(&mut self, origin: &Origin, field: &str, message: impl Into<String>) {
        self.add_hint(origin, field, message, None);
    }

    /// Adds a problem of a field with a hint, unless the field has been reported already.
    fn add_hint(&mut self, origin: &Origin, field: &str, message: impl Into<String>, hint: Option<String>) {
        if !origin.is_broken(field) {
            self.problems.push(origin.problem(field, message).maybe_hint(hint));
        }
    }

    /// Adds a problem that forbids to write this, and is a warning about what was written before it came up.
    fn stale(&mut self, origin: &Origin, field: &str, message: impl Into<String>) {
        if !origin.is_broken(field) {
            let hint = "it is skipped until it is enabled again";
            self.problems.push(origin.problem(field, message).hint(hint).stale());
        }
    }

    /// Adds a warning about a field.
    fn warn(&mut self, origin: &Origin, field: &str, message: impl Into<String>) {
        self.problems.push(origin.problem(field, message).warning());
    }
}

/// Gives the models of enabled providers their places, and indexes their names.
fn number(
    providers: &[ProviderDraft],
    drafts: Vec<ModelDraft>,
    specs: &Specs,
    report: &mut Report,
) -> (Vec<Model>, Names) {
    let mut places = Vec::with_capacity(providers.len());
    let mut next = 0;
    for provider in providers {
        places.push(provider.enabled.then_some(ProviderIndex(next)));
        next += usize::from(provider.enabled);
    }
    let mut models = Vec::with_capacity(drafts.len());
    let mut kept = Vec::with_capacity(drafts.len());
    let mut switched_off = Vec::new();
    for draft in drafts {
        match places.get(draft.provider).copied().flatten() {
            Some(place) => {
                models.push(draft.model(place));
                kept.push(draft);
            }
            None => switched_off.push(draft),
        }
    }
    let mut names = Names::compile(&kept, &models, &switched_off, providers, report);
    names.add_written(specs);
    (models, names)
}

/// Makes the final providers and the index of their names and kinds.
fn finish_providers(drafts: Vec<ProviderDraft>) -> (Vec<Provider>, HashMap<Box<str>, ProviderIndex>) {
    let mut names = HashMap::new();
    let enabled: Vec<ProviderDraft> = drafts.into_iter().filter(|draft| draft.enabled).collect();
    for (index, draft) in enabled.iter().enumerate() {
        names.insert(Box::from(&*draft.name), ProviderIndex(index));
    }
    for (index, draft) in enabled.iter().enumerate() {
        names.entry(draft.vendor.kind.clone()).or_insert(ProviderIndex(index));
    }
    (enabled.into_iter().filter_map(ProviderDraft::finish).collect(), names)
}

/// Warns of providers that serve nothing.
fn report_idle_providers(providers: &[ProviderDraft], models: &[ModelDraft], specs: &Specs, report: &mut Report) {
    for (index, provider) in providers.iter().enumerate().filter(|(_, provider)| provider.enabled) {
        let Some(entry) = specs.providers.get(provider.entry) else { continue };
        let serves = models.iter().any(|model| model.provider == index);
        if !serves && !entry.origin.is_broken("default_model") {
            report.warn(&entry.origin, "", "it serves no model: add default_model or a [[models]] entry");
        }
    }
}

/// Returns the model that savings are measured against: the one that is named, else the best priced one that is
/// enabled. Between equals the dearer one, else the first. The demo counts only when there is nothing else.
fn compile_baseline(specs: &Specs, names: &Names, models: &[Model], report: &mut Report) -> Option<ModelIndex> {
    let entry = &specs.environment;
    if let Some(name) = &entry.spec.baseline_model {
        let found = names.resolve(name);
        if found.is_empty() && !names.is_faulty(name) {
            let hint = did_you_mean(name, names.slugs());
            report.add_hint(&entry.origin, "baseline_model", "no provider serves this model", hint);
        }
        return found.first().copied();
    }
    let rank = |model: &Model| {
        let base = model.prices.as_ref()?.base();
        let (input, output) = (base.get(Bucket::Input)?, base.get(Bucket::Output)?);
        let price = input.0.saturating_add(output.0);
        Some((model.quality.unwrap_or(0), price))
    };
    let mut best: Option<(ModelIndex, (u32, u64))> = None;
    for (index, model) in models.iter().enumerate().filter(|(_, model)| model.enabled) {
        let Some(rank) = rank(model) else { continue };
        if best.is_none_or(|(_, other)| rank > other) {
            best = Some((ModelIndex(index), rank));
        }
    }
    best.map(|(index, _)| index)
}
