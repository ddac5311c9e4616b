//! A model of the operator's own, or changes to one of the catalogue: `[[models]]`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::literal::Literal;

/// A model served by one provider. Fields that are left out come from the catalogue when it knows the model.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ModelSpec {
    /// Its name with us.
    pub slug: Option<String>,
    /// The provider that serves it.
    pub provider: Option<String>,
    /// What the provider calls it; the slug by default.
    pub upstream_name: Option<String>,
    /// US dollars per million input tokens.
    pub input_price: Option<Literal>,
    /// US dollars per million output tokens.
    pub output_price: Option<Literal>,
    /// US dollars per million input tokens that the provider read from its cache; the input price by default.
    pub cached_input_price: Option<Literal>,
    /// Input and output tokens together.
    pub context_window: Option<u64>,
    /// The most it can write.
    pub max_output_tokens: Option<u64>,
    /// `vision`, `tools`, `json_schema`, `reasoning`, `audio`, `pdf`, …
    pub capabilities: Option<Vec<String>>,
    /// 0 to 100.
    pub quality: Option<u32>,
    /// Whether requests may use it; true by default.
    pub enabled: Option<bool>,
    /// Other names for it.
    pub aliases: Vec<String>,
}
