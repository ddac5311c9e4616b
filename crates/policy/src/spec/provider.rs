//! A provider: `[providers.NAME]`.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::ser::{Serialize, Serializer};
use serde::{Deserialize, Serialize as SerializeFields};

use crate::secret::Secret;

/// A configured upstream.
#[derive(Clone, Debug, Default, SerializeFields, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ProviderSpec {
    /// Its vendor; its own name by default.
    pub kind: Option<String>,
    /// Where requests go; the vendor's address by default.
    pub base_url: Option<String>,
    /// Its only credential: short for `credentials` with one entry.
    #[serde(skip_serializing)]
    pub api_key: Option<Secret>,
    /// Its credentials.
    pub credentials: Vec<CredentialSpec>,
    /// The model it serves when a request names none, or one that it does not serve.
    pub default_model: Option<String>,
    /// Whether the client's `model` is ignored.
    pub force_default_model: bool,
    /// Headers added to every request to it.
    #[serde(serialize_with = "names_alone")]
    #[schemars(with = "BTreeMap<String, Option<Secret>>")]
    pub headers: BTreeMap<String, Secret>,
    /// Whether it is used; true by default.
    pub enabled: Option<bool>,
    /// From the arrival of a request to the end of the answer, in milliseconds.
    pub timeout_ms: Option<u64>,
    /// Until the connection stands, in milliseconds.
    pub connect_timeout_ms: Option<u64>,
    /// Until the first content of an answer, in milliseconds.
    pub first_token_timeout_ms: Option<u64>,
    /// Between two pieces of a stream, in milliseconds.
    pub idle_timeout_ms: Option<u64>,
    /// Whether an unknown `default_model` becomes a model of its own, as in a `Config.toml`. Nobody writes this.
    #[serde(skip)]
    pub adopt_default_model: bool,
    /// Whether it exists only once it has a credential, as in a `Config.toml`. Nobody writes this.
    #[serde(skip)]
    pub needs_credential: bool,
}

/// One credential of a provider.
#[derive(Clone, Debug, Default, SerializeFields, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct CredentialSpec {
    /// What people tell it apart by, unique in the provider.
    pub name: Option<String>,
    /// The credential itself.
    #[serde(skip_serializing)]
    pub value: Option<Secret>,
    /// Its share among the provider's credentials; 1 by default.
    pub weight: Option<u32>,
}

/// Writes the names of headers, without their values, which may be credentials.
pub(super) fn names_alone<S: Serializer>(headers: &BTreeMap<String, Secret>, serializer: S) -> Result<S::Ok, S::Error> {
    headers.keys().map(|name| (name, ())).collect::<BTreeMap<_, _>>().serialize(serializer)
}
