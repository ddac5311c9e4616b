//! The kinds of resources that a file may hold, and the types of their specs.

use super::node::Member;
use super::typed::read;
use crate::problem::{Origin, Problem, did_you_mean};
use crate::spec::alert::AlertSpec;
use crate::spec::byok::ByokSpec;
use crate::spec::environment::EnvironmentSpec;
use crate::spec::fallback::FallbackSpec;
use crate::spec::guardrail::GuardrailSpec;
use crate::spec::key::KeySpec;
use crate::spec::limit::LimitSpec;
use crate::spec::model::ModelSpec;
use crate::spec::plan::PlanSpec;
use crate::spec::prompt::PromptSpec;
use crate::spec::provider::ProviderSpec;
use crate::spec::route::RouteSpec;
use crate::spec::team::TeamSpec;
use crate::spec::webhook::WebhookSpec;
use crate::spec::{Entry, Specs};

/// A kind of resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// An environment and its settings.
    Environment,
    /// A configured upstream.
    Provider,
    /// A model of the operator's own, or changes to one of the catalogue.
    Model,
    /// A team.
    Team,
    /// An API key, without its secret.
    Key,
    /// A fallback policy.
    Fallback,
    /// A route configuration.
    Route,
    /// A guardrail.
    Guardrail,
    /// A system prompt.
    Prompt,
    /// A limit.
    Limit,
    /// A plan: limits under one name.
    Plan,
    /// A webhook.
    Webhook,
    /// An alert.
    Alert,
    /// A credential of one's own for a provider.
    Byok,
}

/// What a document's spec means.
#[derive(Clone, Debug)]
pub enum Typed {
    /// An environment.
    Environment(Box<EnvironmentSpec>),
    /// A provider.
    Provider(ProviderSpec),
    /// A model.
    Model(Box<ModelSpec>),
    /// A team.
    Team(TeamSpec),
    /// A key.
    Key(Box<KeySpec>),
    /// A fallback policy.
    Fallback(FallbackSpec),
    /// A route configuration.
    Route(Box<RouteSpec>),
    /// A guardrail.
    Guardrail(GuardrailSpec),
    /// A prompt.
    Prompt(PromptSpec),
    /// A limit.
    Limit(LimitSpec),
    /// A plan.
    Plan(PlanSpec),
    /// A webhook.
    Webhook(Box<WebhookSpec>),
    /// An alert.
    Alert(Box<AlertSpec>),
    /// A credential of one's own.
    Byok(ByokSpec),
}

impl Kind {
    /// Every kind, in the order in which resources refer to each other.
    pub const ALL: [Self; 14] = [
        Self::Environment,
        Self::Provider,
        Self::Model,
        Self::Team,
        Self::Plan,
        Self::Key,
        Self::Fallback,
        Self::Guardrail,
        Self::Prompt,
        Self::Limit,
        Self::Webhook,
        Self::Alert,
        Self::Byok,
        Self::Route,
    ];

    /// Returns its name in a file.
    pub fn name(self) -> &'static str {
        match self {
            Self::Environment => "environment",
            Self::Provider => "provider",
            Self::Model => "model",
            Self::Team => "team",
            Self::Key => "key",
            Self::Fallback => "fallback",
            Self::Route => "route",
            Self::Guardrail => "guardrail",
            Self::Prompt => "prompt",
            Self::Limit => "limit",
            Self::Plan => "plan",
            Self::Webhook => "webhook",
            Self::Alert => "alert",
            Self::Byok => "byok",
        }
    }

    /// Returns its name in the admin API.
    pub fn plural(self) -> &'static str {
        match self {
            Self::Environment => "environments",
            Self::Provider => "providers",
            Self::Model => "models",
            Self::Team => "teams",
            Self::Key => "keys",
            Self::Fallback => "fallbacks",
            Self::Route => "routes",
            Self::Guardrail => "guardrails",
            Self::Prompt => "prompts",
            Self::Limit => "limits",
            Self::Plan => "plans",
            Self::Webhook => "webhooks",
            Self::Alert => "alerts",
            Self::Byok => "byok",
        }
    }

    /// Returns the kind that a name stands for, the singular or the plural.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name || kind.plural() == name)
    }

    /// Returns the names of all kinds.
    pub(super) fn list() -> String {
        Self::ALL.map(Self::name).join(", ")
    }

    /// Returns what to write instead of a name that is no kind.
    pub(super) fn hint(name: &str) -> String {
        let near = did_you_mean(name, Self::ALL.into_iter().flat_map(|kind| [kind.name(), kind.plural()]));
        near.unwrap_or_else(|| format!("one of {}", Self::list()))
    }

    /// Returns the member of the spec that also names the resource.
    pub(super) fn names_itself(self) -> Option<&'static str> {
        match self {
            Self::Model => Some("slug"),
            Self::Fallback => Some("model"),
            _ => None,
        }
    }

    /// Returns a name in the form in which names of the kind are compared: those of models case and dots do not tell
    /// apart.
    pub(super) fn compared(self, name: &str) -> String {
        match self {
            Self::Model | Self::Fallback => name.to_lowercase().replace('.', "-"),
            _ => name.to_owned(),
        }
    }

    /// Returns what a resource of the kind is called in problems.
    pub(super) fn path_of(self, name: &str) -> String {
        format!("{}.{name}", self.plural())
    }

    /// Reads the members of a spec. Faulty ones are reported.
    pub(super) fn read(
        self,
        members: &[Member],
        name: &str,
        origin: &mut Origin,
        problems: &mut Vec<Problem>,
    ) -> Typed {
        match self {
            Self::Environment => Typed::Environment(Box::new(read(members, origin, problems))),
            Self::Provider => Typed::Provider(read(members, origin, problems)),
            Self::Model => {
                let mut spec: ModelSpec = read(members, origin, problems);
                spec.slug.get_or_insert_with(|| name.to_owned());
                Typed::Model(Box::new(spec))
            }
            Self::Team => Typed::Team(read(members, origin, problems)),
            Self::Key => Typed::Key(Box::new(read(members, origin, problems))),
            Self::Fallback => {
                let mut spec: FallbackSpec = read(members, origin, problems);
                spec.model.get_or_insert_with(|| name.to_owned());
                Typed::Fallback(spec)
            }
            Self::Route => Typed::Route(Box::new(read(members, origin, problems))),
            Self::Guardrail => Typed::Guardrail(read(members, origin, problems)),
            Self::Prompt => Typed::Prompt(read(members, origin, problems)),
            Self::Limit => Typed::Limit(read(members, origin, problems)),
            Self::Plan => Typed::Plan(read(members, origin, problems)),
            Self::Webhook => Typed::Webhook(Box::new(read(members, origin, problems))),
            Self::Alert => Typed::Alert(Box::new(read(members, origin, problems))),
            Self::Byok => Typed::Byok(read(members, origin, problems)),
        }
    }
}

impl super::Document {
    /// Adds what the document says to an environment's specs. Teams and keys are no part of those.
    pub fn add_to(&self, specs: &mut Specs) {
        fn entry<T: Clone>(document: &super::Document, spec: &T) -> Entry<T> {
            Entry { name: document.name.clone(), spec: spec.clone(), origin: document.origin.clone() }
        }
        match &self.typed {
            Typed::Environment(spec) => specs.environment = entry(self, &**spec),
            Typed::Provider(spec) => specs.providers.push(entry(self, spec)),
            Typed::Model(spec) => specs.models.push(entry(self, &**spec)),
            Typed::Fallback(spec) => specs.fallbacks.push(entry(self, spec)),
            Typed::Route(spec) => specs.routes.push(entry(self, &**spec)),
            Typed::Guardrail(spec) => specs.guardrails.push(entry(self, spec)),
            Typed::Prompt(spec) => specs.prompts.push(entry(self, spec)),
            Typed::Limit(spec) => specs.limits.push(entry(self, spec)),
            Typed::Plan(spec) => specs.plans.push(entry(self, spec)),
            Typed::Webhook(spec) => specs.webhooks.push(entry(self, &**spec)),
            Typed::Alert(spec) => specs.alerts.push(entry(self, &**spec)),
            Typed::Byok(spec) => specs.byok.push(entry(self, spec)),
            Typed::Team(_) | Typed::Key(_) => {}
        }
    }
}
