//! A provider with its credentials open, for whoever tries it out.

use std::sync::Arc;

use policy::snapshot::{Credential, Provider};
use serde_json::Value;

use super::read::{Found, not_found};
use super::{Plane, edit};
use crate::actor::Actor;
use crate::kind::BYOK;
use crate::refusal::Refusal;
use crate::resource::{Draft, Spec};
use crate::set::{Documents, compile_set};

/// Which provider is meant.
#[derive(Clone, Debug)]
pub enum ProviderOf {
    /// The one of this name, as it is stored, whether it is enabled or not.
    Stored(String),
    /// One that is not stored yet. With the name of one that is, secrets that the draft leaves out are the stored ones.
    Draft(Draft),
}

impl Plane {
    /// Returns the provider of a credential of somebody's own, with that credential alone. It is for a test of the
    /// connection and goes nowhere else.
    ///
    /// # Errors
    /// [`Refusal::NotFound`], also for what the actor does not see, [`Refusal::Forbidden`] for those who only look, and
    /// [`Refusal::Conflict`] while it is not in effect.
    pub fn opened_own(&self, actor: &Actor, environment: &str, name: &str) -> Result<Provider, Refusal> {
        actor.check_may_change_keys()?;
        let own = self.get(actor, environment, BYOK, name)?;
        let state = self.look();
        let snapshot = state.environments.get(environment).and_then(|current| current.snapshot.as_deref());
        let found = snapshot.and_then(|snapshot| {
            let credential = snapshot.own_credentials.iter().find(|credential| *credential.name == *own.name)?;
            let provider = snapshot.provider(credential.provider)?;
            let credentials = vec![Credential { value: credential.value.clone(), weight: 1 }];
            Some(Provider { credentials, ..provider.clone() })
        });
        found.ok_or_else(|| Refusal::Conflict(format!("the credential `{}` is not in effect", own.name)))
    }
}

/// The name of a draft that has none.
const DRAFT: &str = "draft";

impl Plane {
    /// Returns a provider, compiled, credentials included. It is for a test of the connection and goes nowhere else.
    ///
    /// # Errors
    /// [`Refusal::NotFound`], [`Refusal::Forbidden`] for those who may not change providers, and [`Refusal::Invalid`]
    /// when the provider cannot be used as it is.
    pub fn opened_provider(&self, actor: &Actor, environment: &str, which: ProviderOf) -> Result<Provider, Refusal> {
        actor.check_may_configure()?;
        let kind = self.kind_of(environment, "providers")?;
        let state = self.look();
        let current = state.environments.get(environment).ok_or_else(|| not_found(kind, environment, ""))?;
        let (name, draft) = match which {
            ProviderOf::Stored(name) => (name, None),
            ProviderOf::Draft(draft) => (draft.name.unwrap_or_else(|| DRAFT.to_owned()), Some(draft.spec)),
        };
        let stored = match state.find(kind, environment, &name) {
            Ok(Found::Stored(document)) => Some(document),
            Ok(Found::Filed { name, .. }) if draft.is_none() => {
                let snapshot = current.snapshot.as_ref();
                let found = snapshot.and_then(|snapshot| snapshot.providers.iter().find(|own| *own.name == *name));
                return found
                    .cloned()
                    .ok_or_else(|| Refusal::Conflict(format!("the provider `{name}` is not in effect")));
            }
            Ok(Found::Filed { .. }) | Err(_) => None,
        };
        let mut document = match (stored, draft) {
            (None, None) => return Err(not_found(kind, environment, &name)),
            (Some(stored), None) => (**stored).clone(),
            (Some(stored), Some(spec)) => edit::changed(stored, spec, self.clock.unix_ms(), &self.tools)?,
            (None, Some(spec)) => edit::made(kind, environment, name, spec, self.clock.unix_ms(), &self.tools)?,
        };
        document.spec.insert("enabled".to_owned(), Value::Bool(true));
        let own = |spec: &Spec| spec.get("provider").and_then(Value::as_str) == Some(document.name.as_str());
        // Its models go with it, because its default may be one of them.
        let models = current.documents.iter().filter(|((kind, _), model)| *kind == "models" && own(&model.spec));
        let mut alone: Documents = models.map(|(key, model)| (key.clone(), Arc::clone(model))).collect();
        let (name, label) = (document.name.clone(), document.label());
        alone.insert((kind.plural, name.clone()), Arc::new(document));
        let outcome = compile_set(environment, &alone, None, &self.tools);
        let found = outcome.snapshot.and_then(|snapshot| snapshot.providers.into_iter().find(|own| *own.name == *name));
        found.ok_or_else(|| {
            let (own, others): (Vec<_>, Vec<_>) = outcome.errors.into_iter().partition(|error| *error.file == *label);
            Refusal::Invalid(if own.is_empty() { others } else { own })
        })
    }
}
