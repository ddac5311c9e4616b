//! Signing in through an OpenID provider: `[oidc]` of `crossway.toml`.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::secret::Secret;

/// How people sign in through an OpenID provider, as written.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct OidcSpec {
    /// The provider, exactly as it calls itself.
    pub issuer: Option<String>,
    /// The client's id at the provider.
    pub client_id: Option<String>,
    /// The client's secret; absent for a public client.
    pub client_secret: Option<Secret>,
    /// What is asked for.
    pub scopes: Option<Vec<String>>,
    /// The claim that says what somebody may do; `a.b` for a member of an object.
    pub role_claim: Option<String>,
    /// Which value of that claim gives which role.
    pub role_map: BTreeMap<String, String>,
    /// The role of those whom nobody invited.
    pub default_role: Option<String>,
    /// Domains of email addresses.
    pub allowed_domains: Vec<String>,
    /// Where the provider sends the browser back to.
    pub redirect_url: Option<String>,
}

/// How people sign in through an OpenID provider, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Oidc {
    /// The provider, exactly as it calls itself: an http or https address.
    pub issuer: String,
    /// The client's id at the provider.
    pub client_id: String,
    /// The client's secret; `None` for a public client. Never empty.
    pub client_secret: Option<Secret>,
    /// What is asked for.
    pub scopes: Vec<String>,
    /// The claim that says what somebody may do; `a.b` for a member of an object.
    pub role_claim: Option<String>,
    /// Which value of that claim gives which role, by name.
    pub role_map: BTreeMap<String, String>,
    /// The role of those whom nobody invited; `None` keeps them out.
    pub default_role: Option<String>,
    /// Domains of email addresses in lower case; empty for all.
    pub allowed_domains: Vec<String>,
    /// Where the provider sends the browser back to; `None` to tell it from the request on this machine.
    pub redirect_url: Option<String>,
}
