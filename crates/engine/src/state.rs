//! What a request sees of the configuration: one immutable state, swapped whole.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use http::HeaderValue;
use ir::money::Prices;
use policy::snapshot::{CompiledKey, ModelIndex, Provider, Snapshot};
use tokio_util::sync::CancellationToken;
use upstream::target::Target;

use crate::printable::header;

/// A key that requests may act as, and what stops them.
#[derive(Debug)]
pub struct LiveKey {
    /// The key as it is configured.
    pub compiled: CompiledKey,
    /// Cancelled when the key is revoked: every request in flight wakes and ends.
    pub revoked: CancellationToken,
}

/// The configuration of one environment, made ready for requests.
#[derive(Debug)]
pub struct Configuration {
    /// What was compiled.
    pub snapshot: Snapshot,
    /// The providers made ready, in the snapshot's order.
    pub targets: Vec<Target>,
    /// The same over their Responses interface, for the providers that have one beside the usual.
    pub responses: Vec<Option<Target>>,
    /// What replies say of each model, in the snapshot's order.
    pub labels: Vec<Label>,
    /// The baseline's slug and prices.
    pub baseline: Option<(Arc<str>, Arc<Prices>)>,
}

/// What the headers of a reply say of a model.
#[derive(Debug)]
pub struct Label {
    /// `x-crossway-model`
    pub model: HeaderValue,
    /// `x-crossway-provider`
    pub provider: HeaderValue,
}

/// Everything a request sees: it is loaded once per request.
pub struct State {
    /// The configuration; it changes less often than the keys.
    pub configuration: Arc<Configuration>,
    /// The keys by the keyed hash of their secret.
    pub keys: HashMap<[u8; 32], Arc<LiveKey>>,
}

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("State").field("keys", &self.keys.len()).finish_non_exhaustive()
    }
}

impl Configuration {
    /// Makes a snapshot ready.
    pub fn new(snapshot: Snapshot, user_agent: &str) -> Self {
        let label = |model: &policy::snapshot::Model| Label {
            model: header(&model.slug),
            provider: header(snapshot.provider(model.provider).map_or("", |provider| &*provider.name)),
        };
        let labels = snapshot.models.iter().map(label).collect();
        let targets = snapshot.providers.iter().map(|provider: &Provider| Target::new(provider, user_agent)).collect();
        let responses = snapshot.providers.iter().map(|provider| Target::responses(provider, user_agent)).collect();
        let baseline = snapshot
            .baseline
            .and_then(|index| snapshot.model(index))
            .and_then(|model| model.prices.as_ref().map(|prices| (Arc::clone(&model.slug), Arc::clone(prices))));
        Self { targets, responses, labels, baseline, snapshot }
    }

    /// Returns a model's provider made ready, over the interface that serves the model.
    pub fn target(&self, index: ModelIndex) -> Option<&Target> {
        let model = self.snapshot.model(index)?;
        let responses = self.responses.get(model.provider.0).filter(|_| model.responses_only);
        responses.and_then(Option::as_ref).or_else(|| self.targets.get(model.provider.0))
    }
}

impl State {
    /// Returns the same configuration with other keys. A key that stays keeps its token, a key that was revoked or
    /// removed wakes the requests that act as it.
    #[must_use]
    pub fn with_keys(&self, keys: Vec<([u8; 32], CompiledKey)>) -> Self {
        use policy::snapshot::KeyStatus;
        let keys: HashMap<_, _> = keys
            .into_iter()
            .map(|(hash, compiled)| {
                let before = self.keys.get(&hash);
                let live = match before {
                    Some(live) if live.compiled == compiled => Arc::clone(live),
                    _ => {
                        let revoked = before.map(|live| live.revoked.clone()).unwrap_or_default();
                        if compiled.status == KeyStatus::Revoked {
                            revoked.cancel();
                        }
                        Arc::new(LiveKey { compiled, revoked })
                    }
                };
                (hash, live)
            })
            .collect();
        for (hash, live) in &self.keys {
            if !keys.contains_key(hash) {
                live.revoked.cancel();
            }
        }
        Self { configuration: Arc::clone(&self.configuration), keys }
    }
}
