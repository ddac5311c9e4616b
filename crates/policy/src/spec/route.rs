//! A route configuration: `[routes.NAME]`.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserializer, Error, MapAccess, Visitor};
use serde::{Deserialize, Serialize};

use super::literal::Literal;

/// How the requests of a key, or of every key that has no route of its own, are routed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RouteSpec {
    /// The key whose requests it routes, by its name.
    pub key: Option<String>,
    /// Whether it routes the requests of every key that has no route of its own.
    pub default: bool,
    /// Whether it is enforced; `true` by default. A key's route that is not lets its requests go where they say.
    pub active: Option<bool>,
    /// How: one of `fallback`, `split`, `rules` and `auto`.
    pub strategy: Option<StrategySpec>,
    /// On which failures the next target is tried, instead of the usual ones: `connect`, `timeout`, `408`, `409`, `429`,
    /// `5xx`, `overloaded`, `auth`, `404_model`, `context_length`, `content_filter`.
    pub on: Option<Vec<String>>,
    /// What it is for.
    pub description: String,
}

/// How a request is routed: exactly one member.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct StrategySpec {
    /// Targets in order of their priorities.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fallback: Option<ChainSpec>,
    /// Targets that share the requests by weight.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub split: Option<SplitSpec>,
    /// Conditions in their order; the first one that holds decides.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rules: Option<Vec<RuleSpec>>,
    /// With `rules`: where a request goes that meets none of them. Without it, where it says itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub otherwise: Option<ThenSpec>,
    /// A policy chooses.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub auto: Option<AutoSpec>,
}

/// A fallback chain.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ChainSpec {
    /// Its targets.
    pub targets: Vec<TargetSpec>,
}

/// A weighted split.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct SplitSpec {
    /// Its targets.
    pub targets: Vec<TargetSpec>,
    /// Who always gets the same target: `user`, `session` or `key`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sticky: Option<String>,
}

/// One target of a chain or a split.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct TargetSpec {
    /// The model: a slug, an alias or `provider/slug`.
    pub model: Option<String>,
    /// The provider, where only one of those that serve the model is meant.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub provider: Option<String>,
    /// The own credential (`byok`) it is asked with, by its name; `platform` for the operator's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub credential: Option<String>,
    /// In a chain: lower ones are tried first; 0 by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub priority: Option<u32>,
    /// Its share among its equals; 1 by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub weight: Option<Literal>,
}

/// One rule.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RuleSpec {
    /// A condition in CEL.
    pub when: Option<String>,
    /// Where a request goes that meets it.
    pub then: Option<ThenSpec>,
}

/// Where a rule leads: a model or a policy by its name, or a strategy that is no list of rules itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum ThenSpec {
    /// A model or a policy.
    Name(String),
    /// A chain, a split or a policy with its settings.
    Strategy(Box<StrategySpec>),
}

impl Default for ThenSpec {
    fn default() -> Self {
        Self::Strategy(Box::default())
    }
}

impl<'de> Deserialize<'de> for ThenSpec {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ThenVisitor)
    }
}

struct ThenVisitor;

impl<'de> Visitor<'de> for ThenVisitor {
    type Value = ThenSpec;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the name of a model or a policy, or a table with fallback, split or auto")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<ThenSpec, E> {
        Ok(ThenSpec::Name(text.to_owned()))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<ThenSpec, A::Error> {
        StrategySpec::deserialize(MapAccessDeserializer::new(map)).map(|spec| ThenSpec::Strategy(Box::new(spec)))
    }
}

impl JsonSchema for ThenSpec {
    fn schema_name() -> Cow<'static, str> {
        "ThenSpec".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let strategy = generator.subschema_for::<StrategySpec>();
        json_schema!({
            "description": "Where a request goes: a model or a policy by its name, or a strategy without rules.",
            "anyOf": [{ "type": "string" }, strategy],
        })
    }
}

/// A policy and its settings.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct AutoSpec {
    /// `auto` (default), `cheapest`, `fastest` or `best`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub policy: Option<String>,
    /// What it weighs, instead of the environment's setting.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub weights: Option<WeightsSpec>,
    /// The models it chooses among; all that the key may use by default.
    pub candidates: Vec<String>,
    /// The least quality, 0 to 100, instead of the environment's setting.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quality_bar: Option<u32>,
}

/// What a policy weighs. Only the proportions count; what is left out counts nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct WeightsSpec {
    /// The expected time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub latency: Option<Literal>,
    /// The expected cost.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cost: Option<Literal>,
    /// The expected quality.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quality: Option<Literal>,
    /// Being up.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub availability: Option<Literal>,
}

/// The settings of the policies.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct PoliciesSpec {
    /// Of `auto`.
    pub auto: PolicySpec,
    /// Of `cheapest`.
    pub cheapest: PolicySpec,
    /// Of `fastest`.
    pub fastest: PolicySpec,
    /// Of `best`.
    pub best: PolicySpec,
}

/// The settings of a policy.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct PolicySpec {
    /// What it weighs, instead of its own weights.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub weights: Option<WeightsSpec>,
    /// The least quality, 0 to 100: models below are left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quality_bar: Option<u32>,
}
