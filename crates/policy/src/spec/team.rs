//! A team: a group of keys.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What people write about a team. Its keys name it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct TeamSpec {
    /// What it is for.
    pub description: String,
    /// The people who belong to it, by email.
    pub members: Vec<String>,
}
