//! What requests see of the configuration: one immutable state, swapped whole.
//!
//! A state is persistent: the next one shares with it everything that a change does not touch, so that a change of one
//! key among a hundred thousand copies a few hundred entries.

mod keys;
pub mod own;
pub mod turns;

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use http::HeaderValue;
use ir::id::ResourceId;
use ir::money::Prices;
use policy::snapshot::{CompiledKey, Model, ModelIndex, Provider, Snapshot};
use routing::affinity::Warmth;
use routing::hedge::HedgeBudget;
use routing::signal::Signals;
use tokio_util::sync::CancellationToken;
use upstream::target::Target;

pub use self::keys::{Keys, SecretHash, Slot};
use self::turns::Turns;
use crate::limits::Cache;
use crate::printable::header;

/// The environment that always exists: the files describe it, and strangers act in it.
pub const DEFAULT_ENVIRONMENT: &str = "default";

/// Numbers the configurations.
static SERIAL: AtomicU64 = AtomicU64::new(0);

/// A key that requests may act as, and what stops them.
#[derive(Debug)]
pub struct LiveKey {
    /// The key as it is configured.
    pub compiled: CompiledKey,
    /// Cancelled when the key is revoked, or gone: every request in flight wakes and ends.
    pub revoked: CancellationToken,
    /// What binds it.
    pub limits: Cache,
    /// The hashes of its secrets, under which [`Keys`] knows it.
    secrets: Box<[SecretHash]>,
}

impl LiveKey {
    /// Returns a key that no secret leads to.
    pub fn without_secret(compiled: CompiledKey) -> Self {
        Self { compiled, revoked: CancellationToken::new(), limits: Cache::default(), secrets: Box::default() }
    }
}

/// The configuration of one environment, made ready for requests.
#[derive(Debug)]
pub struct Configuration {
    /// Tells it apart from every other that this process ever had.
    pub serial: u64,
    /// What was compiled.
    pub snapshot: Snapshot,
    /// The providers made ready, in the snapshot's order.
    pub targets: Vec<Target>,
    /// The same over their Responses interface, for the providers that have one beside the usual.
    pub responses: Vec<Option<Target>>,
    /// The providers as some keys ask them, with credentials of their own.
    pub own: Vec<own::Own>,
    /// What replies say of each model, in the snapshot's order.
    pub labels: Vec<Label>,
    /// The baseline's slug and prices.
    pub baseline: Option<(Arc<str>, Arc<Prices>)>,
    /// Whether any model has several providers: then conversations stay where they are cached.
    pub shares: bool,
    /// Where prompts are cached.
    pub warmth: Arc<Warmth>,
    /// What second requests have cost lately.
    pub hedges: Arc<HedgeBudget>,
    /// Whose turn it is where targets share requests.
    pub turns: Turns,
    /// What each model is like at the moment, in the snapshot's order; made when it is first asked.
    signals: Box<[OnceLock<Arc<Signals>>]>,
}

/// What the headers of a reply say of a model.
#[derive(Debug)]
pub struct Label {
    /// `x-crossway-model`
    pub model: HeaderValue,
    /// `x-crossway-provider`
    pub provider: HeaderValue,
}

impl Configuration {
    /// Makes a snapshot ready.
    pub fn new(snapshot: Snapshot, user_agent: &str) -> Self {
        let label = |model: &Model| Label {
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
        let serial = SERIAL.fetch_add(1, Ordering::Relaxed);
        let shares = snapshot.names.values().any(|models| models.len() > 1);
        let own = own::ready(&snapshot, user_agent);
        let signals = snapshot.models.iter().map(|_| OnceLock::new()).collect();
        let turns = Turns::of(&snapshot.routes);
        let hedges = Arc::default();
        Self {
            serial,
            targets,
            responses,
            own,
            labels,
            baseline,
            shares,
            warmth: Arc::default(),
            hedges,
            turns,
            signals,
            snapshot,
        }
    }

    /// Returns the live state of a model, to be added to.
    pub fn signals(&self, index: ModelIndex) -> Option<&Arc<Signals>> {
        Some(self.signals.get(index.0)?.get_or_init(Arc::default))
    }

    /// Returns the live state of a model, if it was ever asked.
    pub fn known(&self, index: ModelIndex) -> Option<&Signals> {
        self.signals.get(index.0)?.get().map(Arc::as_ref)
    }

    /// Takes over what is known of the models that are still served by the same provider, at the same address, with the
    /// same credentials. Whatever else changed, the others begin anew: a new credential is to be used at once.
    fn keep_signals(&mut self, before: &Self) {
        self.hedges = Arc::clone(&before.hedges);
        self.turns.keep(&self.snapshot.routes, &before.turns, &before.snapshot.routes);
        let name = |snapshot: &Snapshot, model: &Model| {
            Some((Arc::clone(&snapshot.provider(model.provider)?.name), Arc::clone(&model.slug)))
        };
        let models = before.snapshot.models.iter().zip(&before.signals).enumerate();
        let asked = |(at, (model, kept)): (usize, (&'_ Model, &'_ OnceLock<_>))| {
            Some((name(&before.snapshot, model)?, (ModelIndex(at), Arc::clone(kept.get()?))))
        };
        let known: HashMap<_, _> = models.filter_map(asked).collect();
        let mut places = HashMap::with_capacity(known.len());
        for (at, (model, signals)) in self.snapshot.models.iter().zip(&self.signals).enumerate() {
            let Some((was, kept)) = name(&self.snapshot, model).and_then(|name| known.get(&name)) else { continue };
            let Some(old) = before.snapshot.model(*was) else { continue };
            let providers = (before.snapshot.provider(old.provider), self.snapshot.provider(model.provider));
            if old.upstream_name == model.upstream_name && is_same_place(providers) {
                // It is new and nobody has asked it yet.
                let _ = signals.set(Arc::clone(kept));
                places.insert(*was, ModelIndex(at));
            }
        }
        // Where all are in their places, requests under way go on adding to what is remembered.
        let stay = known.values().all(|(was, _)| places.get(was) == Some(was));
        self.warmth = match stay {
            true => Arc::clone(&before.warmth),
            false => Arc::new(before.warmth.moved(|was| places.get(&was).copied())),
        };
    }

    /// Returns a model's provider made ready, over the interface that serves the model.
    pub fn target(&self, index: ModelIndex) -> Option<&Target> {
        let model = self.snapshot.model(index)?;
        let responses = self.responses.get(model.provider.0).filter(|_| model.responses_only);
        responses.and_then(Option::as_ref).or_else(|| self.targets.get(model.provider.0))
    }
}

/// Whether two configurations of a provider lead to the same place as the same account.
fn is_same_place(providers: (Option<&Provider>, Option<&Provider>)) -> bool {
    let (Some(one), Some(other)) = providers else { return false };
    let credentials =
        |provider: &Provider| provider.credentials.iter().map(|one| one.value.clone()).collect::<Vec<_>>();
    one.base_url == other.base_url && credentials(one) == credentials(other)
}

/// One step from a state to the next.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "nearly all are keys")]
pub enum Change {
    /// An environment is new, or its configuration is: it is known by `snapshot.environment.name`.
    Environment(Arc<Configuration>),
    /// An environment was deleted: its keys are refused from now on, and requests in flight that act as them are cut
    /// like those of a revoked key. The keys stay, in case it comes back. [`DEFAULT_ENVIRONMENT`] is never deleted.
    EnvironmentGone(Arc<str>),
    /// A key is new or changed, by its id.
    ///
    /// A secret that is not listed any more is gone; that does not cut the requests which came with it. A key that is
    /// revoked cuts its requests. A key without an id is not taken: the only one is built in.
    Key {
        /// The key.
        key: CompiledKey,
        /// The keyed hashes of its secrets, each with the instant (Unix milliseconds) from which on it is refused.
        secrets: Vec<(SecretHash, Option<u64>)>,
    },
    /// A key was deleted: requests in flight are cut like those of a revoked key.
    KeyGone(ResourceId),
}

/// A key, and the keyed hashes of its secrets as in [`Change::Key`].
pub type KeyAndSecrets = (CompiledKey, Vec<(SecretHash, Option<u64>)>);

/// Everything that requests see. A request looks up its key and the key's environment once, and keeps those.
#[derive(Clone, Default)]
pub struct State {
    /// The environments by name. They are few: a name is found by comparing, not by hashing.
    pub environments: Arc<BTreeMap<Arc<str>, Arc<Configuration>>>,
    /// The keys.
    pub keys: Keys,
}

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let environments: Vec<&str> = self.environments.keys().map(|name| &**name).collect();
        f.debug_struct("State").field("environments", &environments).field("keys", &self.keys.len()).finish()
    }
}

impl State {
    /// Returns the configuration of an environment.
    pub fn environment(&self, name: &str) -> Option<&Arc<Configuration>> {
        self.environments.get(name)
    }

    /// Returns the state after some changes, made in their order. This one stays as it is, apart from the tokens of
    /// keys that end.
    #[must_use]
    pub fn with(&self, changes: impl IntoIterator<Item = Change>) -> Self {
        let mut next = self.clone();
        for change in changes {
            match change {
                Change::Environment(mut configuration) => {
                    let name = Arc::clone(&configuration.snapshot.environment.name);
                    // Nobody else has it yet.
                    if let (Some(before), Some(new)) = (next.environments.get(&name), Arc::get_mut(&mut configuration))
                    {
                        new.keep_signals(before);
                    }
                    Arc::make_mut(&mut next.environments).insert(name, configuration);
                }
                Change::EnvironmentGone(name) => {
                    Arc::make_mut(&mut next.environments).remove(&name);
                    next.keys.cut(&name);
                }
                Change::Key { mut key, secrets } => {
                    // All keys of an environment share its name.
                    if let Some((name, _)) = next.environments.get_key_value(&key.environment) {
                        key.environment = Arc::clone(name);
                    }
                    next.keys.put(key, &secrets);
                }
                Change::KeyGone(id) => next.keys.remove(id),
            }
        }
        next
    }

    /// Returns the changes after which these keys are all there are.
    pub fn changes_to(&self, keys: Vec<KeyAndSecrets>) -> Vec<Change> {
        let stay: std::collections::HashSet<ResourceId> = keys.iter().filter_map(|(key, _)| key.id).collect();
        let gone = self.keys.ids().filter(|id| !stay.contains(id)).map(Change::KeyGone);
        gone.chain(keys.into_iter().map(|(key, secrets)| Change::Key { key, secrets })).collect()
    }
}

#[cfg(test)]
mod tests;
