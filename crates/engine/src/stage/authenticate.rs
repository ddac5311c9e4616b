//! Who asks: the key, and the environment it belongs to. It needs the head alone, so that a stranger cannot make us
//! read a body.

use std::net::IpAddr;
use std::sync::Arc;

use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderName};
use ir::failure::{Code, Failure, Fault};
use policy::snapshot::{Environment, KeyStatus};

use crate::gateway::Gateway;
use crate::pipeline::Arrival;
use crate::refusal::Refusal;
use crate::state::{LiveKey, State};

/// The header of Anthropic's SDKs.
const X_API_KEY: HeaderName = HeaderName::from_static("x-api-key");

/// The headers that name the environment.
static ENVIRONMENT: [HeaderName; 2] =
    [HeaderName::from_static("x-crossway-env"), HeaderName::from_static("x-chalk-env-id")];

/// A request whose key is known.
pub struct Authenticated<B> {
    /// The request.
    pub arrival: Arrival<B>,
    /// The one state that it sees.
    pub state: Arc<State>,
    /// The key it acts as.
    pub key: Arc<LiveKey>,
}

/// Finds the key of a request.
///
/// # Errors
/// 401 for a key that is missing, unknown, revoked or expired, 403 for one that is switched off or belongs to another
/// environment, 429 for a peer that sent too many wrong ones.
pub fn authenticate<B>(gateway: &Gateway, arrival: Arrival<B>) -> Result<Authenticated<B>, Refusal> {
    let state = gateway.state();
    match identify(gateway, &state, arrival.headers(), arrival.peer.ip()) {
        Ok(key) => Ok(Authenticated { arrival, state, key }),
        Err(failure) => Err(Refusal::closing(arrival.id, failure)),
    }
}

/// Finds the key that a request's headers name, and checks that it may be used now.
///
/// # Errors
/// As [`authenticate`].
pub fn identify(gateway: &Gateway, state: &State, headers: &HeaderMap, peer: IpAddr) -> Result<Arc<LiveKey>, Failure> {
    let known = secret(headers).and_then(|secret| state.keys.get(&gateway.hash(secret)));
    let Some(key) = known else {
        if let Some(anonymous) = gateway.anonymous(peer) {
            return Ok(Arc::clone(anonymous));
        }
        return Err(match gateway.failed_logins.count(peer, gateway.clock.now()) {
            Some(wait) => Failure::new(Code::RateLimited, Fault::Caller, "too many wrong API keys from this address")
                .with_retry_after(wait),
            None => unknown(),
        });
    };
    match key.compiled.status {
        KeyStatus::Revoked => return Err(revoked()),
        KeyStatus::Disabled => {
            return Err(Failure::new(Code::KeyDisabled, Fault::Caller, "this API key is switched off"));
        }
        KeyStatus::Active => {}
    }
    if key.compiled.expires_unix_ms.is_some_and(|expires| gateway.clock.unix_ms() >= expires) {
        return Err(Failure::new(Code::ExpiredApiKey, Fault::Caller, "this API key has expired"));
    }
    agrees(headers, &state.configuration.snapshot.environment)?;
    Ok(Arc::clone(key))
}

/// One text for every key that is not ours, whatever is wrong with it.
fn unknown() -> Failure {
    let message = "Incorrect API key provided. Keys start with `sk-cw-` and go into the `Authorization: Bearer` or \
                   the `x-api-key` header.";
    Failure::new(Code::InvalidApiKey, Fault::Caller, message)
}

/// What a caller is told whose key was revoked, be it before or during its request.
pub fn revoked() -> Failure {
    Failure::new(Code::RevokedApiKey, Fault::Caller, "Incorrect API key provided. This key was revoked.")
}

/// Returns the secret of `Authorization: Bearer` or, without that header, of `x-api-key`. A header that is there
/// twice names no key.
fn secret(headers: &HeaderMap) -> Option<&str> {
    let single = |name: &HeaderName| {
        let mut values = headers.get_all(name).iter();
        values.next().filter(|_| values.next().is_none())
    };
    if headers.contains_key(AUTHORIZATION) {
        let (scheme, secret) = single(&AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
        return scheme.eq_ignore_ascii_case("bearer").then(|| secret.trim());
    }
    single(&X_API_KEY)?.to_str().ok().map(str::trim)
}

/// Checks that an environment named in a header is the key's own.
fn agrees(headers: &HeaderMap, environment: &Environment) -> Result<(), Failure> {
    for name in &ENVIRONMENT {
        for value in headers.get_all(name) {
            let named = value.to_str().unwrap_or_default().trim();
            let own = named.eq_ignore_ascii_case(&environment.name)
                || environment.aliases.iter().any(|alias| named.eq_ignore_ascii_case(alias));
            if !own {
                let message = "the environment named in the request is not the environment of this API key";
                return Err(Failure::new(Code::EnvironmentMismatch, Fault::Caller, message).with_param(name.as_str()));
            }
        }
    }
    Ok(())
}
