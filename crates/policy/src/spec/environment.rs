//! The settings of an environment: `[environment]`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::literal::Literal;
use super::route::PoliciesSpec;

/// The settings of an environment.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct EnvironmentSpec {
    /// Accepted and ignored: the file describes the environment `default`.
    pub name: Option<String>,
    /// Other names that `X-Crossway-Env` may use.
    pub aliases: Vec<String>,
    /// The key of the meta block in replies; `crossway` by default.
    pub meta_key: Option<String>,
    /// The model that savings are measured against; by default the best priced one that is enabled.
    pub baseline_model: Option<String>,
    /// What becomes of parameters that a provider cannot be told: `drop` (default) or `refuse`.
    pub unsupported_params: Option<String>,
    /// Whose words the `type` of an error uses on OpenAI surfaces: `computeboard` (default) or `routerlink`.
    pub error_types: Option<String>,
    /// What stands before `routerlink`'s words; `crossway_` by default.
    pub error_type_prefix: Option<String>,
    /// Whether what is asked and answered is kept: `off` (default), `redacted` or `full`.
    pub log_content: Option<String>,
    /// How long it is kept.
    pub retention: RetentionSpec,
    /// Where days and months begin: a name of the IANA time zone database; `UTC` by default.
    pub timezone: Option<String>,
    /// Whether usage is charged.
    pub billing: BillingSpec,
    /// The plan of keys that name none.
    pub default_plan: Option<String>,
    /// When a second target is asked because the first is late.
    pub hedging: HedgingSpec,
    /// What the policies `auto`, `cheapest`, `fastest` and `best` weigh, and the least quality they choose.
    pub policies: PoliciesSpec,
    /// The least quality, 0 to 100, that `cheapest` chooses, unless `policies.cheapest` says another one.
    pub quality_bar: Option<u32>,
}

/// When a second target is asked because the first is late.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct HedgingSpec {
    /// The policies whose requests may have a second one; `fastest` by default.
    pub policies: Option<Vec<String>>,
    /// How many tokens second requests may have, in percent of those of all these requests, 0 to 50; 5 by default.
    pub extra_tokens_percent: Option<u32>,
}

/// How long is kept what is kept.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RetentionSpec {
    /// What was asked and answered, in days; 30 by default.
    pub content_days: Option<u32>,
    /// The request records, in days; 396 by default.
    pub records_days: Option<u32>,
    /// The same in months.
    pub records_months: Option<u32>,
}

/// Whether usage is charged.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct BillingSpec {
    /// Whether it is; `false` by default.
    pub enabled: Option<bool>,
    /// What is charged on top of the cost, in percent, such as 5.5; 0 by default.
    pub margin_percent: Option<Literal>,
    /// `active` (default), or `suspended`: then no request is served.
    pub status: Option<String>,
    /// The day of the month on which limits of the window `billing_period` begin anew, 1 to 28; 1 by default.
    pub period_day: Option<u32>,
    /// How few credits somebody is told of, in US dollars, such as 50: at most ten amounts; none by default.
    pub low_credits: Vec<Literal>,
}
