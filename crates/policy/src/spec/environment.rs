//! The settings of an environment: `[environment]`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The settings of an environment.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
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
}
