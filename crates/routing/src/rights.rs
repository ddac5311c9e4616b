//! What a key may use, whatever it asks for.

use policy::snapshot::{CompiledKey, Model, ModelIndex, Snapshot};

use crate::exclusion::Exclusion;

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
    pub fn exclusion(&self, index: ModelIndex) -> Option<Exclusion> {
        let model: &Model = self.snapshot.model(index)?;
        let provider = self.snapshot.provider(model.provider)?;
        let providers = &self.key.providers;
        let named = |name: &str| providers.iter().any(|listed| listed.eq_ignore_ascii_case(name));
        if !model.enabled {
            Some(Exclusion::Disabled)
        } else if self.models.as_ref().is_some_and(|models| !models.iter().any(|meant| meant.contains(&index))) {
            Some(Exclusion::ModelNotAllowed)
        } else if !providers.is_empty() && !named(&provider.name) && !named(&provider.vendor.kind) {
            Some(Exclusion::ProviderNotAllowed)
        } else {
            None
        }
    }
}
