//! An alert: who is told of which events.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What people write about an alert.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct AlertSpec {
    /// What it is for.
    pub description: String,
    /// Which events: their types, `PREFIX.*`, or `*`. By default those of limits and credits: `usage.threshold` (of what
    /// is no budget), `budget.alert`, `budget.exceeded`, `credits.low` and `credits.exhausted`.
    pub events: Option<Vec<String>>,
    /// Of limits only these, by their names; a `*` at the end stands for the rest of a name.
    pub limits: Option<Vec<String>>,
    /// Only what concerns these keys, by their names.
    pub keys: Option<Vec<String>>,
    /// Only what concerns these teams or a key of theirs.
    pub teams: Option<Vec<String>>,
    /// At which shares of a limit, in percent, instead of the limit's own.
    pub thresholds: Option<Vec<u32>>,
    /// Who gets an email.
    pub emails: Vec<String>,
    /// Which webhooks get the event, whatever else they subscribe to.
    pub webhooks: Vec<String>,
    /// Whether it is in effect; true by default.
    pub enabled: Option<bool>,
}
