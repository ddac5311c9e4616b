//! A credential of one's own for a provider: kind `byok`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::secret::Secret;

/// A credential that somebody brings for a provider, for their own keys.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ByokSpec {
    /// The provider that takes it, by its name.
    pub provider: Option<String>,
    /// The credential itself.
    #[serde(skip_serializing)]
    pub value: Option<Secret>,
    /// Whose keys it serves: those that name this owner.
    pub owner: Option<String>,
    /// The team whose keys it serves.
    pub team: Option<String>,
    /// The keys it serves, by their names; of the owner and of the team, where those are named.
    pub keys: Option<Vec<String>>,
    /// Whether the platform's credential is used when the provider refuses this one.
    pub fallback_to_platform: bool,
    /// What it is for.
    pub description: String,
    /// Whether it is used; true by default.
    pub enabled: Option<bool>,
}
