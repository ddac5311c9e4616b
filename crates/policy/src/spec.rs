//! What people write: raw, unchecked, one type per kind of entry. [`crate::compile`] turns it into a snapshot.
//!
//! Every field is optional here, so that one pass can report everything that is missing or wrong.

pub mod alert;
pub mod byok;
pub mod environment;
pub mod fallback;
pub mod guardrail;
pub mod key;
pub mod limit;
pub mod literal;
pub mod model;
pub mod oidc;
pub mod plan;
pub mod prompt;
pub mod provider;
pub mod route;
pub mod settings;
pub mod smtp;
pub mod team;
pub mod timestamp;
pub mod webhook;

use crate::problem::Origin;
use alert::AlertSpec;
use byok::ByokSpec;
use environment::EnvironmentSpec;
use fallback::FallbackSpec;
use guardrail::GuardrailSpec;
use limit::LimitSpec;
use model::ModelSpec;
use plan::PlanSpec;
use prompt::PromptSpec;
use provider::ProviderSpec;
use route::RouteSpec;
use team::TeamSpec;
use webhook::WebhookSpec;

/// Something that somebody wrote, and where.
#[derive(Clone, Debug, Default)]
pub struct Entry<T> {
    /// Its name; empty for kinds without one.
    pub name: String,
    /// What it says.
    pub spec: T,
    /// Where it was written.
    pub origin: Origin,
}

/// Everything that is written about one environment, in the order in which it was written.
#[derive(Clone, Debug, Default)]
pub struct Specs {
    /// The environment's own settings.
    pub environment: Entry<EnvironmentSpec>,
    /// Its providers.
    pub providers: Vec<Entry<ProviderSpec>>,
    /// Its own models and overrides of the catalogue.
    pub models: Vec<Entry<ModelSpec>>,
    /// Its fallback policies.
    pub fallbacks: Vec<Entry<FallbackSpec>>,
    /// Its route configurations.
    pub routes: Vec<Entry<RouteSpec>>,
    /// Its guardrails.
    pub guardrails: Vec<Entry<GuardrailSpec>>,
    /// Its system prompts.
    pub prompts: Vec<Entry<PromptSpec>>,
    /// Its teams. No file has them: they are made while the gateway runs.
    pub teams: Vec<Entry<TeamSpec>>,
    /// Its limits.
    pub limits: Vec<Entry<LimitSpec>>,
    /// Its plans.
    pub plans: Vec<Entry<PlanSpec>>,
    /// Its webhooks. No file has them, nor alerts.
    pub webhooks: Vec<Entry<WebhookSpec>>,
    /// Its alerts.
    pub alerts: Vec<Entry<AlertSpec>>,
    /// The credentials that people bring for their own keys. No configuration file has them.
    pub byok: Vec<Entry<ByokSpec>>,
}
