//! A fallback policy: `[[fallbacks]]`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What happens when a model fails.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct FallbackSpec {
    /// The model that fails.
    pub model: Option<String>,
    /// The models tried next, in order.
    pub fallbacks: Vec<String>,
    /// On which failures, instead of the usual ones: `connect`, `timeout`, `408`, `409`, `429`, `5xx`, `overloaded`,
    /// `auth`, `404_model`, `context_length`, `content_filter`.
    pub on: Option<Vec<String>>,
}
