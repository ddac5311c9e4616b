//! `GET /v1/models`: what a key may use.

use ir::money::{Bucket, Prices};
use policy::compile::RESERVED_NAMES;
use policy::snapshot::{CompiledKey, Model, ModelIndex};
use routing::rights::Rights;
use serde::Serialize;

use crate::state::Configuration;

/// One model, OpenAI's members first, ours after them.
#[derive(Debug, Serialize)]
pub struct ModelEntry<'a> {
    /// The name to put into `model`.
    pub id: &'a str,
    /// Always `model`.
    pub object: &'static str,
    /// Release date, Unix seconds; 0 when unknown.
    pub created: u64,
    /// The provider's name.
    pub owned_by: &'a str,
    /// Input and output tokens together.
    pub context_window: Option<u64>,
    /// The most it can write.
    pub max_output_tokens: Option<u64>,
    /// What it can do.
    pub capabilities: &'a [Box<str>],
    /// US dollars per million tokens; null when unknown.
    pub pricing: Option<Pricing>,
}

/// Prices of ordinary requests as decimal text, so that no reader rounds them; null where unknown.
#[derive(Debug, Serialize)]
pub struct Pricing {
    /// Per million input tokens.
    pub input: Option<String>,
    /// Per million output tokens.
    pub output: Option<String>,
    /// Per million cached input tokens.
    pub cached_input: Option<String>,
    /// Per million input tokens written to the provider's prompt cache.
    pub cache_write: Option<String>,
}

/// Returns the models that a key may use, each slug once, after the policies that choose among them.
pub fn list<'a>(configuration: &'a Configuration, key: &CompiledKey) -> Vec<ModelEntry<'a>> {
    let snapshot = &configuration.snapshot;
    let mut entries: Vec<ModelEntry<'a>> = Vec::new();
    let rights = Rights::of(snapshot, key);
    let mut seen = std::collections::HashSet::new();
    for (at, model) in snapshot.models.iter().enumerate() {
        if rights.exclusion(ModelIndex(at)).is_none() && seen.insert(&*model.slug) {
            let provider = snapshot.provider(model.provider).map_or("", |provider| &*provider.name);
            entries.push(entry(model, provider));
        }
    }
    // Where there is nothing to choose from, a policy chooses nothing.
    if !entries.is_empty() {
        entries.splice(0..0, RESERVED_NAMES.map(chooser));
    }
    entries
}

fn chooser(name: &'static str) -> ModelEntry<'static> {
    ModelEntry {
        id: name,
        object: "model",
        created: 0,
        owned_by: "crossway",
        context_window: None,
        max_output_tokens: None,
        capabilities: &[],
        pricing: None,
    }
}

fn entry<'a>(model: &'a Model, provider: &'a str) -> ModelEntry<'a> {
    ModelEntry {
        id: &model.slug,
        object: "model",
        created: model.created,
        owned_by: provider,
        context_window: model.context_window,
        max_output_tokens: model.max_output_tokens,
        capabilities: &model.capabilities,
        pricing: model.prices.as_deref().map(Pricing::of),
    }
}

impl Pricing {
    /// Returns the prices of ordinary requests.
    fn of(prices: &Prices) -> Self {
        let base = prices.base();
        let text = |bucket: Bucket| base.get(bucket).map(|price| bucket.write(price));
        Self {
            input: text(Bucket::Input),
            output: text(Bucket::Output),
            cached_input: text(Bucket::CachedInput),
            cache_write: text(Bucket::CacheWrite),
        }
    }
}
