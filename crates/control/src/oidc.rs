//! Signing in through an OpenID provider (OpenID Connect Core 1.0, authorization code flow with PKCE): everything but
//! the network. Whoever fetches gives the bytes; what is checked is checked here.

use std::fmt;

pub mod claims;
pub mod discovery;
pub mod flow;
pub mod keys;

/// Why somebody did not come in through the provider. The text is for people and repeats nothing that is secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OidcError {
    /// The provider cannot be used: away, or it says what it must not.
    #[error("the OpenID provider cannot be used: {0}")]
    Provider(String),
    /// What came back from the browser does not belong to a sign-in that this browser began.
    #[error("{0}")]
    Flow(&'static str),
    /// The provider said no.
    #[error("the OpenID provider refused the sign-in: {0}")]
    Refused(String),
    /// The ID token is not good.
    #[error("the ID token is not good: {0}")]
    Token(&'static str),
}

impl OidcError {
    /// Returns a fault of the provider.
    pub fn provider(what: impl fmt::Display) -> Self {
        Self::Provider(what.to_string())
    }
}
