//! An API key: what people write about it. Its secret is made by the gateway and never written.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::environment::RetentionSpec;
use super::limit::LimitSpec;
use super::timestamp::Timestamp;

/// What people write about an API key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct KeySpec {
    /// The team it belongs to.
    pub team: Option<String>,
    /// The providers it may use, by name or kind; empty for all.
    pub providers: Vec<String>,
    /// The models it may use; empty for all.
    pub models: Vec<String>,
    /// Free labels.
    pub labels: BTreeMap<String, String>,
    /// The tags its cost is booked under.
    pub cost_tags: Vec<String>,
    /// From this instant on it is refused.
    pub expires_at: Option<Timestamp>,
    /// Whether it may be used.
    pub enabled: bool,
    /// Whether what is asked and answered is kept: `off`, `redacted` or `full`; the environment's setting by default.
    pub log_content: Option<String>,
    /// What it is for.
    pub description: String,
    /// Who answers for it.
    pub owner: String,
    /// The networks it may be used from, such as `10.0.0.0/8`; empty for all.
    pub allowed_networks: Vec<String>,
    /// The surfaces it may call, such as `openai.chat`; empty for all.
    pub surfaces: Vec<String>,
    /// What it may use, beside what its plan, its team and its environment allow. A limit here has no scope.
    pub limits: Vec<LimitSpec>,
    /// The plan whose limits it has; the environment's `default_plan` by default.
    pub plan: Option<String>,
    /// Whether it manages keys over `/api/v1` instead of asking models. It stays what it was made as.
    pub management: bool,
    /// How long what is asked and answered is kept (`content_days`); its plan's or its environment's setting by default.
    pub retention: RetentionSpec,
}

impl Default for KeySpec {
    fn default() -> Self {
        Self {
            team: None,
            providers: Vec::new(),
            models: Vec::new(),
            labels: BTreeMap::new(),
            cost_tags: Vec::new(),
            expires_at: None,
            enabled: true,
            log_content: None,
            description: String::new(),
            owner: String::new(),
            allowed_networks: Vec::new(),
            surfaces: Vec::new(),
            limits: Vec::new(),
            plan: None,
            management: false,
            retention: RetentionSpec::default(),
        }
    }
}
