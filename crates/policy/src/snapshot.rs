//! The compiled configuration: immutable, swapped whole, read by every request.

mod fallback;
mod network;
pub mod route;
mod settings;

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use catalog::model::{Mode, fold_name};
use catalog::vendor::Vendor;
use ir::failure::ErrorTypes;
use ir::id::ResourceId;
use ir::money::{NanoUsd, Prices};
use url::Url;

pub use self::fallback::{Fallback, FallbackOn};
pub use self::network::{Network, NetworkFault};
use self::route::{Policies, Routes};
pub use self::settings::{AccountStatus, Billing, Hedging, LogContent, Retention, UnsupportedParams};
use crate::guard::scope::{Bound, Scoped};
use crate::limit::rule::Limit;
use crate::limit::zone::Zone;
use crate::notify::{Alert, Webhook};
use crate::secret::Secret;

/// Everything a request needs to know about the configuration of one environment.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// The environment's own settings.
    pub environment: Environment,
    /// The enabled providers, in the order in which they were configured; failover follows it.
    pub providers: Vec<Provider>,
    /// Every model that a provider serves. One slug may be served by several providers.
    pub models: Vec<Model>,
    /// Slugs, aliases and `provider/slug` (also `provider/upstream_name`), to the models that serve them, best first.
    /// Keys are lower case; look up with [`Snapshot::resolve`].
    pub names: HashMap<Box<str>, Vec<ModelIndex>>,
    /// Provider names to providers, and kinds to the first provider of the kind.
    pub provider_names: HashMap<Box<str>, ProviderIndex>,
    /// Fallback policies by the slug of their primary model.
    pub fallbacks: HashMap<Box<str>, Fallback>,
    /// Route configurations.
    pub routes: Routes,
    /// The model that savings are measured against.
    pub baseline: Option<ModelIndex>,
    /// The environment's limits, those of its teams, users and so on included.
    pub limits: Vec<Arc<Limit>>,
    /// The plans that keys may have, by name.
    pub plans: BTreeMap<Arc<str>, Plan>,
    /// Where events are sent.
    pub webhooks: Vec<Arc<Webhook>>,
    /// Who is told of which events.
    pub alerts: Vec<Arc<Alert>>,
    /// The credentials that people bring for their own keys.
    pub own_credentials: Vec<OwnCredential>,
}

/// A credential that somebody brings for a provider, for their own keys and nobody else's.
#[derive(Clone, Debug)]
pub struct OwnCredential {
    /// Its name.
    pub name: Arc<str>,
    /// The provider that takes it.
    pub provider: ProviderIndex,
    /// The owner of the keys it serves.
    pub owner: Option<Box<str>>,
    /// The team of the keys it serves.
    pub team: Option<Box<str>>,
    /// The keys it serves; empty for all of the owner and the team.
    pub keys: Vec<Box<str>>,
    /// Whether the platform's credential is used when the provider refuses this one.
    pub fallback_to_platform: bool,
    /// The credential.
    pub value: Secret,
}

impl OwnCredential {
    /// Returns whether it serves a key. It serves none when it says of none that it does.
    pub fn serves(&self, key: &CompiledKey) -> bool {
        let owner = self.owner.as_deref();
        let team = self.team.as_deref();
        (owner.is_some() || team.is_some() || !self.keys.is_empty())
            && owner.is_none_or(|owner| key.owner.as_deref() == Some(owner))
            && team.is_none_or(|team| key.team.as_deref() == Some(team))
            && (self.keys.is_empty() || self.keys.iter().any(|name| **name == *key.name))
    }
}

/// What keys have that name it as their plan.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// What each of them may use.
    pub limits: Vec<Arc<Limit>>,
    /// The features that requests may use; empty for all.
    pub features: Vec<&'static str>,
    /// How many days what is asked and answered is kept, where that is not the environment's setting.
    pub content_days: Option<u32>,
}

impl Snapshot {
    /// Returns the name of a key's plan: its own, or that of keys which have none.
    pub fn plan_name<'a>(&'a self, key: &'a CompiledKey) -> Option<&'a str> {
        key.plan.as_deref().or(self.environment.default_plan.as_deref())
    }

    /// Returns a key's plan; `None` when it has none, or its plan is gone.
    pub fn plan_of(&self, key: &CompiledKey) -> Option<&Plan> {
        self.plans.get(self.plan_name(key)?)
    }

    /// Returns the models that a requested name may mean, best first; empty when it is unknown. Case does not matter;
    /// dots and dashes are alike unless that would be ambiguous.
    pub fn resolve(&self, name: &str) -> &[ModelIndex] {
        if let Some(found) = self.names.get(name) {
            return found;
        }
        let lower = name.trim().to_ascii_lowercase();
        let found = self.names.get(lower.as_str()).or_else(|| self.names.get(fold_name(&lower).as_str()));
        found.map_or(&[], Vec::as_slice)
    }

    /// Returns the provider that `x-llm-provider` names: a provider's name or a kind, whatever the case.
    pub fn provider_named(&self, name: &str) -> Option<ProviderIndex> {
        self.provider_names.get(name.trim().to_ascii_lowercase().as_str()).copied()
    }

    /// Returns a model by its index.
    pub fn model(&self, index: ModelIndex) -> Option<&Model> {
        self.models.get(index.0)
    }

    /// Returns a provider by its index.
    pub fn provider(&self, index: ProviderIndex) -> Option<&Provider> {
        self.providers.get(index.0)
    }
}

/// The place of a provider in [`Snapshot::providers`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ProviderIndex(pub usize);

/// The place of a model in [`Snapshot::models`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ModelIndex(pub usize);

/// The settings of an environment.
#[derive(Clone, Debug)]
pub struct Environment {
    /// Its resource; `None` for one that is described by files alone.
    pub id: Option<ResourceId>,
    /// Its name; `default` always exists.
    pub name: Arc<str>,
    /// Other names that `X-Crossway-Env` may use.
    pub aliases: Vec<Box<str>>,
    /// The key of the meta block in replies.
    pub meta_key: Arc<str>,
    /// What becomes of parameters that a provider cannot be told, where the caller does not say.
    pub unsupported_params: UnsupportedParams,
    /// The `type` values of errors on OpenAI surfaces.
    pub error_types: ErrorTypes,
    /// Whether what is asked and answered is kept, where the key does not say.
    pub log_content: LogContent,
    /// How long it is kept.
    pub retention: Retention,
    /// Where its days and months begin: a name of the IANA time zone database.
    pub timezone: Arc<str>,
    /// The same, made ready.
    pub zone: Zone,
    /// Whether usage is charged.
    pub billing: Billing,
    /// How few credits somebody is told of, the most first.
    pub low_credits: Vec<NanoUsd>,
    /// The plan of keys that name none.
    pub default_plan: Option<Arc<str>>,
    /// When a second target is asked because the first is late.
    pub hedging: Hedging,
    /// The settings of the policies that choose a model.
    pub policies: Policies,
    /// What may not be asked and not be answered, and the system prompt that requests get after the caller's own:
    /// whichever key asks.
    pub bound: Bound,
    /// The same for teams and keys that have something of their own.
    pub scoped: Scoped,
}

/// A configured upstream. Its `Debug` shows the names of its headers, not their values, which may be credentials.
#[derive(Clone)]
pub struct Provider {
    /// Its name, unique in the environment.
    pub name: Arc<str>,
    /// The vendor row it is an instance of: dialect, path, authentication, quirks.
    pub vendor: Arc<Vendor>,
    /// Where requests go: scheme, host, port and path prefix, without a trailing slash.
    pub base_url: Url,
    /// Its credentials; empty when it wants none.
    pub credentials: Vec<Credential>,
    /// The model it serves when a request names none, or one that it does not serve (`x-llm-provider`).
    pub default_model: Option<ModelIndex>,
    /// Whether the client's `model` is ignored.
    pub force_default_model: bool,
    /// Headers added to every request to it.
    pub headers: Vec<(http_name::HeaderName, String)>,
    /// Its deadlines.
    pub timeouts: Timeouts,
}

impl fmt::Debug for Provider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let headers: Vec<&str> = self.headers.iter().map(|(name, _)| name.as_str()).collect();
        f.debug_struct("Provider")
            .field("name", &self.name)
            .field("kind", &self.vendor.kind)
            .field("base_url", &self.base_url.as_str())
            .field("credentials", &self.credentials)
            .field("default_model", &self.default_model)
            .field("force_default_model", &self.force_default_model)
            .field("headers", &headers)
            .field("timeouts", &self.timeouts)
            .finish()
    }
}

/// Header names are checked when they are compiled, so that nothing downstream has to.
pub mod http_name {
    /// A lower-case HTTP field name (RFC 9110 section 5.1) that an operator may set.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct HeaderName(pub(crate) Box<str>);

    impl HeaderName {
        /// Returns the name.
        pub fn as_str(&self) -> &str {
            &self.0
        }
    }
}

/// One credential of a provider.
#[derive(Clone, Debug)]
pub struct Credential {
    /// The credential itself.
    pub value: Secret,
    /// Its share among the provider's credentials.
    pub weight: u32,
}

/// How long a provider may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// Until the connection stands, TLS included.
    pub connect: Duration,
    /// From the request's last byte to the first content of the answer.
    pub first_token: Duration,
    /// Between two pieces of content of a stream.
    pub idle: Duration,
    /// From the arrival of the request to the end of the answer.
    pub total: Duration,
}

impl Default for Timeouts {
    /// 5 s to connect, 600 s to the first content (reasoning models think long), 120 s between two pieces, 600 s in all.
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(5),
            first_token: Duration::from_secs(600),
            idle: Duration::from_secs(120),
            total: Duration::from_secs(600),
        }
    }
}

/// One model served by one provider.
#[derive(Clone, Debug)]
pub struct Model {
    /// The name in our catalogue.
    pub slug: Arc<str>,
    /// The provider that serves it.
    pub provider: ProviderIndex,
    /// What the provider calls it.
    pub upstream_name: Arc<str>,
    /// What it is asked for. Only models of modes that a surface serves are compiled.
    pub mode: Mode,
    /// Whether the provider serves it over its Responses interface alone.
    pub responses_only: bool,
    /// Its prices; `None` when unknown.
    pub prices: Option<Arc<Prices>>,
    /// Input and output tokens together, when known.
    pub context_window: Option<u64>,
    /// The most it can write, when known.
    pub max_output_tokens: Option<u64>,
    /// `vision`, `tools`, `json_schema`, `reasoning`, `audio`, …
    pub capabilities: Vec<Box<str>>,
    /// Whether that is all it can do. Of a model that nobody has described the provider knows what it can do.
    pub capabilities_known: bool,
    /// 0 to 100, when known.
    pub quality: Option<u32>,
    /// Release date as Unix seconds, 0 when unknown (`created` in `/v1/models`).
    pub created: u64,
    /// Whether requests may use it.
    pub enabled: bool,
}

/// An API key as a request sees it. It never holds the secret.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CompiledKey {
    /// Its resource; `None` for the built-in key `anonymous`.
    pub id: Option<ResourceId>,
    /// Its name.
    pub name: Arc<str>,
    /// The environment it belongs to.
    pub environment: Arc<str>,
    /// Whether it may be used.
    pub status: KeyStatus,
    /// After this instant (Unix milliseconds) it is refused.
    pub expires_unix_ms: Option<u64>,
    /// The providers it may use; empty for all.
    pub providers: Vec<Box<str>>,
    /// The models it may use, by slug, alias or `provider/slug`, as [`Snapshot::resolve`] understands them; empty for
    /// all.
    pub models: Vec<Box<str>>,
    /// The team it belongs to.
    pub team: Option<Arc<str>>,
    /// Free labels, by name.
    pub labels: Arc<BTreeMap<Box<str>, Box<str>>>,
    /// The tags its cost is booked under.
    pub cost_tags: Arc<[Arc<str>]>,
    /// The networks it may be used from; empty for all.
    pub allowed_networks: Vec<Network>,
    /// The surfaces it may call; empty for all.
    pub surfaces: Vec<Box<str>>,
    /// Whether what is asked and answered is kept; the environment's setting by default.
    pub log_content: Option<LogContent>,
    /// Its own limits.
    pub limits: Vec<Arc<Limit>>,
    /// Its plan.
    pub plan: Option<Arc<str>>,
    /// Who answers for it.
    pub owner: Option<Arc<str>>,
    /// Whether it manages others and asks no model.
    pub management: bool,
    /// How many days what is asked and answered is kept; its plan's or its environment's setting by default.
    pub content_days: Option<u32>,
}

/// Whether a key may be used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum KeyStatus {
    /// Yes.
    #[default]
    Active,
    /// Switched off by the operator; it can be switched on again.
    Disabled,
    /// Never again.
    Revoked,
}
