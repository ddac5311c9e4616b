//! A webhook: an address that events are sent to.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::provider::names_alone;
use super::timestamp::Timestamp;
use crate::secret::Secret;

/// What people write about a webhook.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct WebhookSpec {
    /// What it is for.
    pub description: String,
    /// Where events are sent: http or https, a public address unless the installation allows others.
    pub url: Option<String>,
    /// Which events: their types, `PREFIX.*`, or `*` for all.
    pub events: Option<Vec<String>>,
    /// What deliveries are signed with: 16 to 256 visible ASCII characters. One is made when none is given.
    #[serde(skip_serializing)]
    pub secret: Option<Secret>,
    /// The secret before, with which deliveries are signed too until `previous_until`.
    #[serde(skip_serializing)]
    pub previous_secret: Option<Secret>,
    /// Until when the secret before is used.
    pub previous_until: Option<Timestamp>,
    /// The header of the signature; `X-Crossway-Signature` by default.
    pub signature_header: Option<String>,
    /// Headers added to every delivery.
    #[serde(serialize_with = "names_alone")]
    #[schemars(with = "BTreeMap<String, Option<Secret>>")]
    pub headers: BTreeMap<String, Secret>,
    /// Whether events are sent; true by default. What waits when it is switched off goes on when it is switched on again.
    pub enabled: Option<bool>,
}
