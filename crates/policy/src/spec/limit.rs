//! A limit: how much of something, over which time, for whom, and of what.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::literal::Literal;

/// What people write about a limit.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct LimitSpec {
    /// What is counted: `requests`, `tokens`, `input_tokens`, `output_tokens`, `usd` or `concurrency`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub meter: Option<String>,
    /// Over which time: a duration such as `60s` or `1h` (rolling: the last so much time at every instant), `day`,
    /// `month` or `billing_period` (calendar periods in the environment's time zone), or `total` (for ever). `concurrency`
    /// has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub window: Option<String>,
    /// The most: a whole number, or US dollars such as `25.50` where the meter is `usd`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub amount: Option<Literal>,
    /// Who shares it: `environment`, `team`, `key`, `user`, `ip` or `bucket`, with a name for one of them (`team:payments`).
    /// Without a name each one has a count of its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scope: Option<String>,
    /// The name of the scope, when it is not written behind it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// What it counts: `all`, `provider:NAME` or `model:SLUG`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// Among which processes it is counted together: `cluster` (default) or `node`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enforce: Option<String>,
    /// What it is for.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// Whether it binds; true by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
    /// When it tells of itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub alerts: Option<LimitAlertsSpec>,
}

/// When a limit tells of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct LimitAlertsSpec {
    /// At which shares of its amount, in percent, 1 to 100; none when the list is empty. By default 70, 90 and 100 for
    /// budgets, and for everything that is counted over an hour or longer.
    pub thresholds: Option<Vec<u32>>,
}
