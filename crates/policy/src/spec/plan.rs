//! A plan: limits under one name, for keys to have.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::environment::RetentionSpec;
use super::limit::LimitSpec;

/// What people write about a plan. A key names its plan.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct PlanSpec {
    /// What it is for.
    pub description: String,
    /// What every key of the plan may use, each key for itself. A limit here has no scope.
    pub limits: Vec<LimitSpec>,
    /// The features that requests may use: `streaming`, `tools`, `vision`, `audio`, `pdf`, `json_schema`, `reasoning`; empty
    /// for all.
    pub features: Vec<String>,
    /// How long what is asked and answered is kept (`content_days`); the environment's setting by default.
    pub retention: RetentionSpec,
}
