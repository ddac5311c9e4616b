//! A system prompt for every request: `[prompts.NAME]`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A system prompt that is appended to the caller's own.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct PromptSpec {
    /// The prompt.
    pub text: Option<String>,
    /// The teams whose keys it is for. Without these and without `keys` it is for the whole environment.
    pub teams: Option<Vec<String>>,
    /// The keys it is for, by their names.
    pub keys: Option<Vec<String>>,
    /// Whether it is used; true by default.
    pub enabled: Option<bool>,
}
