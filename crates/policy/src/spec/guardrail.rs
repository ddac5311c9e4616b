//! A guardrail: `[guardrails.NAME]`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What may not be asked or answered.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct GuardrailSpec {
    /// What no text may hold, whatever the case.
    pub banned_phrases: Vec<String>,
    /// The fewest characters.
    pub min_length: Option<u64>,
    /// The most characters.
    pub max_length: Option<u64>,
    /// Whether every reply bears the disclaimer.
    pub require_disclaimer: Option<bool>,
    /// The disclaimer.
    pub disclaimer: Option<String>,
    /// To what it applies: `request`, `reply`; replies by default.
    pub apply_to: Option<Vec<String>>,
    /// The teams whose keys it is for. Without these and without `keys` it is for the whole environment.
    pub teams: Option<Vec<String>>,
    /// The keys it is for, by their names.
    pub keys: Option<Vec<String>>,
    /// What it does with what it finds: `enforce`, or `observe` to have it counted and logged alone; enforce by default.
    pub mode: Option<String>,
    /// Whether it applies; true by default.
    pub enabled: Option<bool>,
}
