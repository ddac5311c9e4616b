//! Every name that a model may be asked for by.
//!
//! A name in an earlier tier hides the same name in a later one: a slug is never taken over by somebody else's alias.

use std::collections::{HashMap, HashSet};

use catalog::model::fold_name;

use super::Report;
use super::model::ModelDraft;
use super::provider::ProviderDraft;
use crate::snapshot::{Model, ModelIndex};
use crate::spec::Specs;

type Map = HashMap<Box<str>, Vec<ModelIndex>>;

/// The index of names.
pub(super) struct Names {
    map: Map,
    /// Names that only models of switched-off providers have.
    switched_off: HashSet<String>,
    /// Names that are written in the configuration, whether their entries are good or not.
    written: HashSet<String>,
}

impl Names {
    /// Indexes models. `drafts` and `models` are the same ones, in the same order.
    pub(super) fn compile(
        drafts: &[ModelDraft],
        models: &[Model],
        switched_off: &[ModelDraft],
        providers: &[ProviderDraft],
        report: &mut Report,
    ) -> Self {
        // Slugs; aliases and upstream names; then all of them with dots as dashes.
        let mut tiers: [Map; 3] = Default::default();
        for (index, draft) in drafts.iter().enumerate() {
            let names = all_names(draft, providers);
            let [slugs, others, folded] = &mut tiers;
            for name in &names.slugs {
                add(slugs, name, ModelIndex(index));
            }
            for name in &names.others {
                add(others, name, ModelIndex(index));
            }
            for name in names.slugs.iter().chain(&names.others) {
                add(folded, &fold_name(name), ModelIndex(index));
            }
        }
        report_hidden_aliases(drafts, &tiers, report);
        let mut map = Map::new();
        for (name, indexes) in tiers.into_iter().flatten() {
            map.entry(name).or_insert(indexes);
        }
        // Models that may not be used come last, so that the first one is the best.
        for indexes in map.values_mut() {
            indexes.sort_by_key(|index| models.get(index.0).is_none_or(|model| !model.enabled));
        }
        let gone = switched_off.iter().map(|draft| all_names(draft, providers));
        let gone = gone.flat_map(|names| names.slugs.into_iter().chain(names.others)).map(|name| fold_name(&name));
        Self { map, switched_off: gone.collect(), written: HashSet::new() }
    }

    /// Returns the models that a name may mean.
    pub(super) fn resolve(&self, name: &str) -> &[ModelIndex] {
        let lower = name.trim().to_ascii_lowercase();
        let found = self.map.get(lower.as_str()).or_else(|| self.map.get(fold_name(&lower).as_str()));
        found.map_or(&[], Vec::as_slice)
    }

    /// Returns whether a name belongs to a model of a switched-off provider.
    pub(super) fn is_switched_off(&self, name: &str) -> bool {
        self.switched_off.contains(&fold_name(name))
    }

    /// Notes the names of every written model.
    pub(super) fn add_written(&mut self, specs: &Specs) {
        let names = specs.models.iter().flat_map(|entry| entry.spec.slug.iter().chain(&entry.spec.aliases));
        self.written.extend(names.map(|name| fold_name(name)));
    }

    /// Returns whether a name that does not resolve is that of a written model: its own fault has been reported.
    pub(super) fn is_faulty(&self, name: &str) -> bool {
        self.written.contains(&fold_name(name))
    }

    /// Returns the names that a misspelt one may have meant.
    pub(super) fn slugs(&self) -> impl Iterator<Item = &str> {
        self.map.keys().map(|name| &**name)
    }

    pub(super) fn into_map(self) -> Map {
        self.map
    }
}

struct AllNames {
    slugs: Vec<String>,
    others: Vec<String>,
}

/// Returns the names of a model, in lower case.
fn all_names(draft: &ModelDraft, providers: &[ProviderDraft]) -> AllNames {
    let slug = draft.slug.to_ascii_lowercase();
    let upstream = draft.upstream_name.to_ascii_lowercase();
    let mut names = AllNames { slugs: vec![slug.clone()], others: vec![upstream.clone()] };
    names.others.extend(draft.aliases.iter().map(|alias| alias.to_ascii_lowercase()));
    if let Some(provider) = providers.get(draft.provider) {
        let mut qualified: Vec<String> = names.others.iter().map(|name| format!("{}/{name}", provider.name)).collect();
        names.slugs.push(format!("{}/{slug}", provider.name));
        names.others.append(&mut qualified);
    }
    names
}

fn add(map: &mut Map, name: &str, index: ModelIndex) {
    let indexes = map.entry(Box::from(name)).or_default();
    if !indexes.contains(&index) {
        indexes.push(index);
    }
}

/// Warns of written aliases that lead nowhere, because a model of another slug bears the name.
fn report_hidden_aliases(drafts: &[ModelDraft], tiers: &[Map; 3], report: &mut Report) {
    let [slugs, others, _] = tiers;
    for (index, draft) in drafts.iter().enumerate() {
        let Some(origin) = &draft.origin else { continue };
        for alias in &draft.aliases {
            let name = alias.to_ascii_lowercase();
            let other = |found: &ModelIndex| drafts.get(found.0).is_some_and(|other| other.slug != draft.slug);
            if slugs.get(name.as_str()).is_some_and(|found| !found.contains(&ModelIndex(index))) {
                report.warn(origin, "aliases", format!("{alias} is the slug of another model and means that one"));
            } else if others.get(name.as_str()).is_some_and(|found| found.iter().any(other)) {
                report.warn(origin, "aliases", format!("{alias} is also a name of another model"));
            }
        }
    }
}
