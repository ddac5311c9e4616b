//! Credentials that people bring for their own keys, made ready: the provider that takes one, asked with it.

use policy::snapshot::{self, CompiledKey, ModelIndex, OwnCredential, Provider, Snapshot};
use routing::plan::{Credential, Planned};
use upstream::target::Target;

use super::Configuration;

/// A provider with a credential of somebody's own.
#[derive(Debug)]
pub struct Own {
    /// The credential, and whom it serves.
    pub credential: OwnCredential,
    target: Target,
    responses: Option<Target>,
}

/// Makes the credentials of an environment ready; those that name keys come before those that serve more.
pub(super) fn ready(snapshot: &Snapshot, user_agent: &str) -> Vec<Own> {
    let made = |credential: &OwnCredential| {
        let credentials = vec![snapshot::Credential { value: credential.value.clone(), weight: 1 }];
        let provider = Provider { credentials, ..snapshot.provider(credential.provider)?.clone() };
        let (target, responses) = (Target::new(&provider, user_agent), Target::responses(&provider, user_agent));
        Some(Own { credential: credential.clone(), target, responses })
    };
    let mut own: Vec<Own> = snapshot.own_credentials.iter().filter_map(made).collect();
    own.sort_by_key(|own| (own.credential.keys.is_empty(), own.credential.owner.is_none()));
    own
}

/// Which of the caller's own credentials a request is asked with.
#[derive(Debug, Default)]
pub struct Brought {
    /// The one that the target at hand is asked with; `None` for the platform's.
    pub used: Option<usize>,
    /// Those that their providers refused.
    pub refused: Vec<usize>,
}

impl Configuration {
    /// Returns the credential of its own that a key has for a model's provider, but for those that were refused.
    pub fn brings(&self, key: &CompiledKey, model: ModelIndex, refused: &[usize]) -> Option<usize> {
        if self.own.is_empty() {
            return None;
        }
        let provider = self.snapshot.model(model)?.provider;
        let fits = |(at, own): &(usize, &Own)| {
            own.credential.provider == provider && own.credential.serves(key) && !refused.contains(at)
        };
        self.own.iter().enumerate().find(fits).map(|(at, _)| at)
    }

    /// Returns the own credential that a planned target is asked with; `None` for the platform's.
    pub fn credential(&self, key: &CompiledKey, planned: &Planned, refused: &[usize]) -> Option<usize> {
        match planned.credential {
            Credential::Usual => self.brings(key, planned.model, refused),
            Credential::Platform => None,
            Credential::Own(at) => {
                let name = &self.snapshot.own_credentials.get(at)?.name;
                self.own.iter().position(|own| own.credential.name == *name)
            }
        }
    }

    /// Returns a model's provider made ready, asked with a credential of the caller's own where there is one.
    pub fn asked(&self, model: ModelIndex, own: Option<usize>) -> Option<&Target> {
        let Some(own) = own else { return self.target(model) };
        let (own, model) = (self.own.get(own)?, self.snapshot.model(model)?);
        Some(own.responses.as_ref().filter(|_| model.responses_only).unwrap_or(&own.target))
    }

    /// Whether a key asks a target with its own credential or not at all: then the platform has no bill.
    pub fn is_free(&self, key: &CompiledKey, planned: &Planned) -> bool {
        let named = planned.credential != Credential::Usual;
        let own = self.credential(key, planned, &[]).and_then(|own| self.own.get(own));
        // What a route names it means: the platform's credential stands there too, where it may be used.
        own.is_some_and(|own| named || !own.credential.fallback_to_platform)
    }

    /// Whether a credential that was refused gives way to the platform's.
    pub fn falls_back(&self, own: usize) -> bool {
        self.own.get(own).is_some_and(|own| own.credential.fallback_to_platform)
    }
}
