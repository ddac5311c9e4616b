//! The kinds of resources as the API serves them: where, to whom, with which schema. What they mean is
//! `control::kind`'s.

use control::access::Permission;
use policy::spec::alert::AlertSpec;
use policy::spec::byok::ByokSpec;
use policy::spec::environment::EnvironmentSpec;
use policy::spec::fallback::FallbackSpec;
use policy::spec::guardrail::GuardrailSpec;
use policy::spec::key::KeySpec;
use policy::spec::limit::LimitSpec;
use policy::spec::model::ModelSpec;
use policy::spec::plan::PlanSpec;
use policy::spec::prompt::PromptSpec;
use policy::spec::provider::ProviderSpec;
use policy::spec::route::RouteSpec;
use policy::spec::team::TeamSpec;
use policy::spec::webhook::WebhookSpec;
use serde_json::{Value, json};

use super::schemas::Schemas;

/// The kind that environments are.
pub const ENVIRONMENTS: &str = "environments";

/// One kind.
pub struct Kind {
    /// Its plural name, in paths.
    pub name: &'static str,
    /// Its name in sentences.
    pub singular: &'static str,
    /// Its name in schemas and in the names of operations.
    pub title: &'static str,
    /// The path of the collection.
    pub collection: &'static str,
    /// The path of one of them.
    pub item: &'static str,
    /// Who may read it.
    pub read: Permission,
    /// Who may make and delete it.
    pub write: Permission,
    /// Its schemas.
    pub schemas: Schemas,
    /// A body that makes one.
    pub example: fn() -> Value,
    /// A change of that one.
    pub patch: fn() -> Value,
    /// Its filters, and what they compare.
    pub filters: &'static [(&'static str, &'static str)],
}

impl Kind {
    /// Who may change one that is there. Teams have admins of their own, who make none.
    pub fn change(&self) -> Permission {
        if self.write == Permission::WriteTeams { Permission::ManageTeams } else { self.write }
    }
}

const Q: (&str, &str) = ("q", "Only those whose name holds this text, whatever the case.");

macro_rules! paths {
    ($name:literal) => {
        (concat!("/admin/v1/environments/{env}/", $name), concat!("/admin/v1/environments/{env}/", $name, "/{name}"))
    };
}

const PROVIDERS: (&str, &str) = paths!("providers");
const MODELS: (&str, &str) = paths!("models");
const KEYS: (&str, &str) = paths!("keys");
const TEAMS: (&str, &str) = paths!("teams");
const FALLBACKS: (&str, &str) = paths!("fallbacks");
const ROUTES: (&str, &str) = paths!("routes");
const GUARDRAILS: (&str, &str) = paths!("guardrails");
const LIMITS: (&str, &str) = paths!("limits");
const PLANS: (&str, &str) = paths!("plans");
const PROMPTS: (&str, &str) = paths!("prompts");
const WEBHOOKS: (&str, &str) = paths!("webhooks");
const ALERTS: (&str, &str) = paths!("alerts");
const BYOK: (&str, &str) = paths!("byok");

/// Every kind.
pub static KINDS: [Kind; 14] = [
    Kind {
        name: ENVIRONMENTS,
        singular: "environment",
        title: "Environment",
        collection: "/admin/v1/environments",
        item: "/admin/v1/environments/{env}",
        read: Permission::ReadModels,
        write: Permission::WriteConfiguration,
        schemas: Schemas::of::<EnvironmentSpec>(),
        example: || json!({ "name": "staging", "spec": { "aliases": ["test"] } }),
        patch: || json!({ "spec": { "aliases": ["test", "preview"] } }),
        filters: &[Q],
    },
    Kind {
        name: "providers",
        singular: "provider",
        title: "Provider",
        collection: PROVIDERS.0,
        item: PROVIDERS.1,
        read: Permission::ReadConfiguration,
        write: Permission::WriteConfiguration,
        schemas: Schemas::of::<ProviderSpec>(),
        example: || {
            json!({ "name": "local", "spec": {
                "kind": "openai-compatible", "base_url": "http://10.0.0.5:8000/v1",
                "credentials": [{ "value": "REPLACE-ME", "weight": 1 }],
            } })
        },
        patch: || json!({ "spec": { "timeout_ms": 60_000 } }),
        filters: &[Q, ("kind", "Only those of this vendor.")],
    },
    Kind {
        name: "models",
        singular: "model",
        title: "Model",
        collection: MODELS.0,
        item: MODELS.1,
        read: Permission::ReadModels,
        write: Permission::WriteConfiguration,
        schemas: Schemas::of::<ModelSpec>(),
        example: || {
            json!({ "name": "small", "spec": {
                "slug": "small", "provider": "local", "upstream_name": "qwen3-8b", "input_price": "0.05",
                "output_price": "0.20", "max_output_tokens": 8_192,
            } })
        },
        patch: || json!({ "spec": { "output_price": "0.25", "aliases": ["tiny"] } }),
        filters: &[Q, ("provider", "Only those of this provider.")],
    },
    Kind {
        name: "keys",
        singular: "key",
        title: "Key",
        collection: KEYS.0,
        item: KEYS.1,
        read: Permission::ReadKeys,
        write: Permission::WriteKeys,
        schemas: Schemas::of::<KeySpec>(),
        example: || {
            json!({ "name": "billing-service", "spec": {
                "description": "the nightly reports", "labels": { "service": "billing" },
                "expires_at": "2099-01-31T00:00:00Z",
            } })
        },
        patch: || json!({ "spec": { "enabled": false } }),
        filters: &[
            Q,
            ("team", "Only those of this team."),
            ("owner", "Only those of this owner."),
            ("status", "Only those that are `active`, `disabled`, `expired` or `revoked`."),
        ],
    },
    Kind {
        name: "teams",
        singular: "team",
        title: "Team",
        collection: TEAMS.0,
        item: TEAMS.1,
        read: Permission::ReadTeams,
        write: Permission::WriteTeams,
        schemas: Schemas::of::<TeamSpec>(),
        example: || json!({ "name": "search", "spec": { "description": "search and ranking" } }),
        patch: || json!({ "spec": { "members": ["ada@example.com"] } }),
        filters: &[Q],
    },
    Kind {
        name: "fallbacks",
        singular: "fallback policy",
        title: "Fallback",
        collection: FALLBACKS.0,
        item: FALLBACKS.1,
        read: Permission::ReadModels,
        write: Permission::WriteConfiguration,
        schemas: Schemas::of::<FallbackSpec>(),
        example: || json!({ "name": "m", "spec": { "model": "m", "fallbacks": ["small"] } }),
        patch: || json!({ "spec": { "on": ["5xx", "timeout"] } }),
        filters: &[Q, ("model", "Only those of this model.")],
    },
    Kind {
        name: "routes",
        singular: "route",
        title: "Route",
        collection: ROUTES.0,
        item: ROUTES.1,
        read: Permission::ReadModels,
        write: Permission::WriteKeys,
        schemas: Schemas::of::<RouteSpec>(),
        example: || {
            json!({
                "name": "everybody",
                "spec": { "default": true, "strategy": { "fallback": { "targets": [{ "model": "m" }] } } },
            })
        },
        patch: || json!({ "spec": { "active": false } }),
        filters: &[Q, ("key", "Only that of this key.")],
    },
    Kind {
        name: "guardrails",
        singular: "guardrail",
        title: "Guardrail",
        collection: GUARDRAILS.0,
        item: GUARDRAILS.1,
        read: Permission::ReadConfiguration,
        write: Permission::WriteConfiguration,
        schemas: Schemas::of::<GuardrailSpec>(),
        example: || json!({ "name": "names", "spec": { "banned_phrases": ["project aurora"] } }),
        patch: || json!({ "spec": { "enabled": false } }),
        filters: &[Q],
    },
    Kind {
        name: "prompts",
        singular: "prompt",
        title: "Prompt",
        collection: PROMPTS.0,
        item: PROMPTS.1,
        read: Permission::ReadConfiguration,
        write: Permission::WriteConfiguration,
        schemas: Schemas::of::<PromptSpec>(),
        example: || json!({ "name": "tone", "spec": { "text": "Answer in plain words." } }),
        patch: || json!({ "spec": { "enabled": false } }),
        filters: &[Q],
    },
    Kind {
        name: "byok",
        singular: "own credential",
        title: "OwnCredential",
        collection: BYOK.0,
        item: BYOK.1,
        read: Permission::ReadKeys,
        write: Permission::WriteKeys,
        schemas: Schemas::of::<ByokSpec>(),
        example: || {
            json!({ "name": "ada-local", "spec": {
                "provider": "local", "value": "REPLACE-ME", "owner": "ada@example.com", "fallback_to_platform": true,
            } })
        },
        patch: || json!({ "spec": { "fallback_to_platform": false } }),
        filters: &[
            Q,
            ("provider", "Only those for this provider."),
            ("owner", "Only those of this owner."),
            ("team", "Only those of this team."),
        ],
    },
    Kind {
        name: "limits",
        singular: "limit",
        title: "Limit",
        collection: LIMITS.0,
        item: LIMITS.1,
        read: Permission::ReadConfiguration,
        write: Permission::WriteConfiguration,
        schemas: Schemas::of::<LimitSpec>(),
        example: || {
            json!({ "name": "per-key", "spec": {
                "meter": "requests", "window": "60s", "amount": 600, "scope": "key", "target": "all",
            } })
        },
        patch: || json!({ "spec": { "amount": 1_200 } }),
        filters: &[Q],
    },
    Kind {
        name: "plans",
        singular: "plan",
        title: "Plan",
        collection: PLANS.0,
        item: PLANS.1,
        read: Permission::ReadConfiguration,
        write: Permission::WriteConfiguration,
        schemas: Schemas::of::<PlanSpec>(),
        example: || {
            json!({ "name": "free", "spec": {
                "description": "to try it", "limits": [
                    { "meter": "requests", "window": "60s", "amount": 60 },
                    { "meter": "tokens", "window": "60s", "amount": 60_000 },
                    { "meter": "tokens", "window": "month", "amount": 2_000_000 },
                ],
            } })
        },
        patch: || json!({ "spec": { "description": "to try it out" } }),
        filters: &[Q],
    },
    Kind {
        name: "webhooks",
        singular: "webhook",
        title: "Webhook",
        collection: WEBHOOKS.0,
        item: WEBHOOKS.1,
        read: Permission::ReadConfiguration,
        write: Permission::WriteConfiguration,
        schemas: Schemas::of::<WebhookSpec>(),
        example: || {
            json!({ "name": "operations", "spec": {
                "url": "https://hooks.example.com/crossway", "events": ["budget.*", "key.*"],
            } })
        },
        patch: || json!({ "spec": { "events": ["*"] } }),
        filters: &[Q],
    },
    Kind {
        name: "alerts",
        singular: "alert",
        title: "Alert",
        collection: ALERTS.0,
        item: ALERTS.1,
        read: Permission::ReadAlerts,
        write: Permission::WriteAlerts,
        schemas: Schemas::of::<AlertSpec>(),
        example: || json!({ "name": "budgets", "spec": { "emails": ["ops@example.com"], "thresholds": [50, 100] } }),
        patch: || json!({ "spec": { "thresholds": [70, 90, 100] } }),
        filters: &[Q],
    },
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use policy::load::resources::kind::Kind as Written;

    use super::*;

    /// Three lists know the kinds: how they are served, what they mean, how they stand in files.
    #[test]
    fn every_list_of_kinds_holds_the_same() {
        let served: BTreeSet<(&str, &str)> = KINDS.iter().map(|kind| (kind.name, kind.singular)).collect();
        let known: BTreeSet<(&str, &str)> =
            control::kind::KINDS.iter().map(|kind| (kind.plural, kind.singular)).collect();
        assert_eq!(served, known);
        let written: BTreeSet<&str> = Written::ALL.into_iter().map(Written::plural).collect();
        assert_eq!(written, known.iter().map(|(plural, _)| *plural).collect());
        for kind in &KINDS {
            let meant =
                control::kind::kind(kind.name).map(|kind| kind.filters.iter().copied().collect::<BTreeSet<_>>());
            let offered: BTreeSet<&str> = kind.filters.iter().map(|(name, _)| *name).collect();
            assert_eq!(Some(offered), meant, "{}", kind.name);
            let collection = kind.collection.rsplit('/').next();
            assert_eq!(collection, Some(kind.name));
        }
    }
}
