//! The keys of a provider, and the check of a signature.

use jsonwebtoken::jwk::{AlgorithmParameters, Jwk, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::OidcError;

/// What an ID token may be signed with. `none` and shared secrets are not among it.
const ALLOWED: [Algorithm; 4] = [Algorithm::RS256, Algorithm::PS256, Algorithm::ES256, Algorithm::EdDSA];

/// Keys of one provider that are looked at.
const MAX_KEYS: usize = 100;

/// The longest ID token that is looked at, in bytes.
const MAX_TOKEN: usize = 64 << 10;

/// The keys of a provider.
#[derive(Clone, Debug, Default)]
pub struct Keys(Vec<Jwk>);

#[derive(Deserialize)]
struct Raw {
    keys: Vec<Value>,
}

/// What became of the check of a signature.
#[derive(Debug, PartialEq)]
pub enum Verified {
    /// It is good: what the token says. Nothing of it has been checked yet.
    Good(Map<String, Value>),
    /// No key has the name that the token gives: perhaps newer keys have it.
    UnknownKey,
}

impl Keys {
    /// Reads a key set. Keys of other kinds are passed over.
    ///
    /// # Errors
    /// [`OidcError::Provider`] when it is none.
    pub fn read(document: &[u8]) -> Result<Self, OidcError> {
        let raw: Raw = serde_json::from_slice(document).map_err(|_| OidcError::provider("its key set is not one"))?;
        let known = raw.keys.into_iter().take(MAX_KEYS).filter_map(|key| serde_json::from_value(key).ok());
        Ok(Self(known.collect()))
    }

    /// Checks the signature of a token.
    ///
    /// # Errors
    /// [`OidcError::Token`].
    pub fn verify(&self, token: &str) -> Result<Verified, OidcError> {
        if token.len() > MAX_TOKEN {
            return Err(OidcError::Token("it is too long"));
        }
        let header = jsonwebtoken::decode_header(token)
            .map_err(|_| OidcError::Token("it is malformed, or its algorithm is not one that may be used"))?;
        if !ALLOWED.contains(&header.alg) {
            return Err(OidcError::Token("its algorithm is not one that may be used"));
        }
        if header.crit.is_some() {
            return Err(OidcError::Token("it demands extensions that are not known"));
        }
        let fits = |key: &&Jwk| fits(key, header.alg);
        let candidates: Vec<&Jwk> = match &header.kid {
            Some(kid) => self.0.iter().filter(|key| key.common.key_id.as_ref() == Some(kid)).filter(fits).collect(),
            None => self.0.iter().filter(fits).collect(),
        };
        if candidates.is_empty() {
            return Ok(Verified::UnknownKey);
        }
        let validation = validation(header.alg);
        for key in candidates {
            let Ok(key) = DecodingKey::from_jwk(key) else { continue };
            if let Ok(good) = jsonwebtoken::decode::<Map<String, Value>>(token, &key, &validation) {
                return Ok(Verified::Good(good.claims));
            }
        }
        Err(OidcError::Token("its signature is wrong"))
    }
}

/// Only the signature: times are checked on the injected clock, the rest with the rules of OpenID.
fn validation(algorithm: Algorithm) -> Validation {
    let mut validation = Validation::new(algorithm);
    validation.validate_exp = false;
    validation.validate_nbf = false;
    validation.validate_aud = false;
    validation.required_spec_claims.clear();
    validation
}

fn fits(key: &Jwk, algorithm: Algorithm) -> bool {
    let family = match algorithm {
        Algorithm::RS256 | Algorithm::PS256 => matches!(key.algorithm, AlgorithmParameters::RSA(_)),
        Algorithm::ES256 => matches!(key.algorithm, AlgorithmParameters::EllipticCurve(_)),
        Algorithm::EdDSA => matches!(key.algorithm, AlgorithmParameters::OctetKeyPair(_)),
        _ => false,
    };
    let signs = key.common.public_key_use.as_ref().is_none_or(|found| *found == PublicKeyUse::Signature);
    let says = key.common.key_algorithm.map(|found| found.to_string());
    family && signs && says.is_none_or(|found| found == format!("{algorithm:?}"))
}

#[cfg(test)]
mod tests;
