//! Who asks: the key, and the environment it belongs to. It needs the head alone, so that a stranger cannot make us
//! read a body.

pub(crate) mod memo;

use std::net::IpAddr;
use std::sync::Arc;

use dialect::lane::Surface;
use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderName};
use ir::failure::{Code, Failure, Fault};
use ir::id::{RequestId, ResourceId};
use policy::snapshot::{AccountStatus, CompiledKey, Environment, KeyStatus};

use crate::gateway::Gateway;
use crate::pipeline::Arrival;
use crate::refusal::Refusal;
use crate::state::{Configuration, LiveKey, Slot};

/// The header of Anthropic's SDKs.
const X_API_KEY: HeaderName = HeaderName::from_static("x-api-key");

/// The headers that name the environment.
static ENVIRONMENT: [HeaderName; 2] =
    [HeaderName::from_static("x-crossway-env"), HeaderName::from_static("x-chalk-env-id")];

/// A request whose key is known.
pub struct Authenticated<B> {
    /// The request.
    pub arrival: Arrival<B>,
    /// Who asks.
    pub identity: Identity,
}

/// Who asks, and in which environment. It is all that a request sees of the state, from here to its end.
#[derive(Clone)]
pub struct Identity {
    /// The key.
    pub key: Arc<LiveKey>,
    /// The key's environment.
    pub configuration: Arc<Configuration>,
}

/// Finds the key of a request.
///
/// # Errors
/// 401 for a key that is missing, unknown, revoked or expired, 403 for one that is switched off, belongs to another environment
/// or may not be used from there or for this, 429 for a peer that sent too many wrong ones.
pub fn authenticate<B>(gateway: &Gateway, surface: Surface, arrival: Arrival<B>) -> Result<Authenticated<B>, Refusal> {
    let identity = identify(gateway, &arrival)?;
    let environment = &identity.configuration.snapshot.environment;
    if let Err(failure) = may_call(&identity.key.compiled, surface).and_then(|()| is_active(environment)) {
        return Err(Refusal::closing(arrival.id, failure).of(gateway, &identity, arrival.peer.ip()));
    }
    Ok(Authenticated { arrival, identity })
}

/// Finds the key that a request names, and checks that it may be used now and from where the request comes. What may be
/// done with it is not looked at: every key may list its models.
///
/// # Errors
/// As [`authenticate`]; 403 for a key that manages others: it asks for nothing else.
pub fn identify<B>(gateway: &Gateway, arrival: &Arrival<B>) -> Result<Identity, Refusal> {
    of_kind(arrival.id, recognise(gateway, arrival)?, false)
}

/// Finds the management key that a request names.
///
/// # Errors
/// As [`authenticate`]; 403 for every other key.
pub fn identify_manager<B>(gateway: &Gateway, arrival: &Arrival<B>) -> Result<Identity, Refusal> {
    of_kind(arrival.id, recognise(gateway, arrival)?, true)
}

/// Lets a key through that is of the right kind.
fn of_kind(id: RequestId, identity: Identity, management: bool) -> Result<Identity, Refusal> {
    let message = match (identity.key.compiled.management, management) {
        (true, false) => "a management key calls /api/v1 alone: use another API key to ask a model",
        (false, true) => "this needs a management key, which begins with `sk-cw-mgmt-`",
        _ => return Ok(identity),
    };
    let failure = Failure::new(Code::SurfaceNotAllowed, Fault::Caller, message);
    Err(Refusal::closing(id, failure).with_types(identity.configuration.snapshot.environment.error_types.clone()))
}

fn recognise<B>(gateway: &Gateway, arrival: &Arrival<B>) -> Result<Identity, Refusal> {
    let (headers, peer) = (arrival.headers(), arrival.peer.ip());
    let refused = |failure| Refusal::closing(arrival.id, failure);
    let state = gateway.glance();
    let known = secret(headers).and_then(|secret| {
        memo::find(&gateway.tags, secret, |secret| gateway.hash(secret), |hash| state.keys.get(hash))
    });
    let key = match (known, gateway.anonymous(peer)) {
        (Some(slot), _) => &slot.key,
        (None, Some(anonymous)) => anonymous,
        (None, None) => return Err(refused(stranger(gateway, peer))),
    };
    let configuration = state.environment(&key.compiled.environment).ok_or_else(|| refused(unknown()))?;
    let environment = &configuration.snapshot.environment;
    known
        // The id says when it was: it was made when the head was complete.
        .map_or(Ok(()), |slot| usable(slot, arrival.id.unix_ms()))
        .and_then(|()| is_from(&key.compiled, peer))
        .map_err(|failure| refused(failure).with_types(environment.error_types.clone()))?;
    let agreed = agrees(headers, environment);
    let identity = Identity { key: Arc::clone(key), configuration: Arc::clone(configuration) };
    match agreed {
        Ok(()) => Ok(identity),
        Err(failure) => Err(refused(failure).of(gateway, &identity, peer)),
    }
}

/// Returns whose request it is, as far as that is known: for answers that need no key and yet say how its limits stand.
/// Nothing is counted against strangers.
pub fn glimpse<B>(gateway: &Gateway, arrival: &Arrival<B>) -> Option<Identity> {
    let (state, peer) = (gateway.glance(), arrival.peer.ip());
    let slot = secret(arrival.headers()).and_then(|secret| state.keys.get(&gateway.hash(secret)));
    let key = match slot {
        Some(slot) => usable(slot, arrival.id.unix_ms()).is_ok().then_some(&slot.key)?,
        None => gateway.anonymous(peer)?,
    };
    is_from(&key.compiled, peer).ok()?;
    let configuration = state.environment(&key.compiled.environment)?;
    Some(Identity { key: Arc::clone(key), configuration: Arc::clone(configuration) })
}

/// Counts a wrong key against its peer.
fn stranger(gateway: &Gateway, peer: IpAddr) -> Failure {
    match gateway.failed_logins.count(peer, gateway.clock.now()) {
        Some(wait) => Failure::new(Code::RateLimited, Fault::Caller, "too many wrong API keys from this address")
            .with_retry_after(wait),
        None => unknown(),
    }
}

/// Checks that a secret and its key may be used now.
fn usable(slot: &Slot, now_ms: u64) -> Result<(), Failure> {
    let key = &slot.key.compiled;
    let past = |instant: Option<u64>| instant.is_some_and(|instant| now_ms >= instant);
    let (code, message) = match key.status {
        KeyStatus::Revoked => return Err(revoked()),
        _ if past(slot.until_unix_ms) => {
            (Code::ExpiredApiKey, "this secret of the API key was rotated out: use the key's new secret")
        }
        KeyStatus::Disabled => (Code::KeyDisabled, "this API key is switched off"),
        KeyStatus::Active if past(key.expires_unix_ms) => (Code::ExpiredApiKey, "this API key has expired"),
        KeyStatus::Active => return Ok(()),
    };
    Err(Failure::new(code, Fault::Caller, message))
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

/// Checks that a key may be used by a peer. Who may say for whom it asks is nowhere configured: headers that do
/// (`X-Forwarded-For`, `Forwarded`) say nothing here.
fn is_from(key: &CompiledKey, peer: IpAddr) -> Result<(), Failure> {
    let networks = &key.allowed_networks;
    if networks.is_empty() || networks.iter().any(|network| network.contains(peer)) {
        return Ok(());
    }
    let message = "this API key may not be used from this address";
    Err(Failure::new(Code::NetworkNotAllowed, Fault::Caller, message))
}

/// Checks that a key may call a surface: one place for all of them, whatever header the key came in.
fn may_call(key: &CompiledKey, surface: Surface) -> Result<(), Failure> {
    let right = surface.right();
    if key.surfaces.is_empty() || key.surfaces.iter().any(|allowed| **allowed == *right) {
        return Ok(());
    }
    let message = format!("this API key may not call `{right}`");
    Err(Failure::new(Code::SurfaceNotAllowed, Fault::Caller, message))
}

/// Checks that an environment's account serves requests.
fn is_active(environment: &Environment) -> Result<(), Failure> {
    match environment.billing.status {
        AccountStatus::Active => Ok(()),
        AccountStatus::Suspended => {
            let message = "the account of this API key is suspended: ask the operator";
            Err(Failure::new(Code::AccountSuspended, Fault::Caller, message).hopeless())
        }
    }
}

/// Checks that an environment named in a header is the key's own.
fn agrees(headers: &HeaderMap, environment: &Environment) -> Result<(), Failure> {
    for name in &ENVIRONMENT {
        for value in headers.get_all(name) {
            let named = value.to_str().unwrap_or_default().trim();
            let own = named.eq_ignore_ascii_case(&environment.name)
                || environment.id.is_some() && ResourceId::parse(named) == environment.id
                || environment.aliases.iter().any(|alias| named.eq_ignore_ascii_case(alias));
            if !own {
                let message = "the environment named in the request is not the environment of this API key";
                return Err(Failure::new(Code::EnvironmentMismatch, Fault::Caller, message).with_param(name.as_str()));
            }
        }
    }
    Ok(())
}
