//! A system prompt for every request: `[prompts.NAME]`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A system prompt that is appended to the caller's own.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct PromptSpec {
    /// The prompt.
    pub text: Option<String>,
    /// Whether it is used; true by default.
    pub enabled: Option<bool>,
}
