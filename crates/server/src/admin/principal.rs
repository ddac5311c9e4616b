//! Who asks: the admin token, or whoever an authenticator knows; and roles as types.
//!
//! A handler says in its signature whom it serves. The types here can be made by the frame alone, so that a handler for
//! operators cannot be called for anybody else.

use std::future::Future;
use std::net::IpAddr;
use std::pin::Pin;

use axum::http::header::AUTHORIZATION;
use axum::http::{HeaderMap, Method};
use control::actor::{Actor, Role};
use ir::id::RequestId;

use super::Admin;
use super::problem::Problem;
use super::throttle::RateClass;

/// Something that will be there later.
pub type Later<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// The name under which the admin token acts.
pub const TOKEN_NAME: &str = "admin token";

/// The name under which peers act that need no key.
pub const KEYLESS_NAME: &str = "anonymous";

/// What an authenticator is shown of a request: the head, never the body.
#[derive(Clone, Copy, Debug)]
pub struct Knock<'a> {
    /// The method; those that change something need a proof against cross-site requests.
    pub method: &'a Method,
    /// The headers.
    pub headers: &'a HeaderMap,
    /// Where it comes from: the TCP peer, or whom a trusted proxy speaks for.
    pub peer: IpAddr,
    /// The request.
    pub id: RequestId,
}

/// Somebody who has been recognised.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Who. The frame fills in address and request.
    pub actor: Actor,
    /// The id of their session, when they came with one. It is no secret.
    pub session: Option<String>,
}

/// Recognises people by something other than the admin token.
pub trait Authenticator: Send + Sync {
    /// Returns who sends a request, `None` when it bears nothing that this authenticator knows.
    ///
    /// # Errors
    /// When what it bears is known and not good: an expired session (401), a missing proof against cross-site
    /// requests (403), a database that is away (503).
    fn authenticate<'a>(&'a self, knock: Knock<'a>) -> Later<'a, Result<Option<Identity>, Problem>>;
}

/// Somebody who has signed in, in whichever role.
#[derive(Clone, Debug)]
pub struct SignedIn(Identity);

/// An operator or an owner.
#[derive(Clone, Debug)]
pub struct Operator(Identity);

/// Turns an identity into a type, when its role is one of those that the type stands for.
pub(super) trait Admit: Sized {
    /// Returns the typed principal.
    fn admit(identity: Identity) -> Option<Self>;
}

impl Admit for SignedIn {
    fn admit(identity: Identity) -> Option<Self> {
        Some(Self(identity))
    }
}

impl Admit for Operator {
    fn admit(identity: Identity) -> Option<Self> {
        matches!(identity.actor.role, Role::Operator | Role::Owner).then_some(Self(identity))
    }
}

impl SignedIn {
    /// Returns the id of their session, when they came with one.
    pub fn session(&self) -> Option<&str> {
        self.0.session.as_deref()
    }
}

/// Somebody who acts, of whichever type.
pub trait Principal: Send + 'static {
    /// Returns who it is.
    fn actor(&self) -> &Actor;
}

impl Principal for SignedIn {
    fn actor(&self) -> &Actor {
        &self.0.actor
    }
}

impl Principal for Operator {
    fn actor(&self) -> &Actor {
        &self.0.actor
    }
}

/// Finds out who sends a request. On a route with `keyless`, whoever is not recognised may be a peer that needs no key
/// (K8): what it bears does not matter then, as on the data plane.
///
/// # Errors
/// 401 when nobody is recognised, 429 when too many wrong tokens came from the peer, and what an authenticator says.
pub(super) async fn identify(admin: &Admin, knock: Knock<'_>, keyless: bool) -> Result<Identity, Problem> {
    let mut identity = match recognise(admin, knock).await? {
        Some(identity) => identity,
        None if keyless && admin.gateway.anonymous(knock.peer).is_some() => {
            let actor = Actor { role: Role::Operator, ..Actor::local(KEYLESS_NAME) };
            Identity { actor, session: None }
        }
        None => return Err(stranger(admin, knock)),
    };
    identity.actor.ip = Some(knock.peer);
    identity.actor.request_id = knock.id.to_string();
    Ok(identity)
}

async fn recognise(admin: &Admin, knock: Knock<'_>) -> Result<Option<Identity>, Problem> {
    let given = bearer(knock.headers);
    let right = match (&admin.token, given) {
        (Some(token), Some(given)) => same(given, token.expose()),
        _ => false,
    };
    if right {
        let actor = Actor { name: TOKEN_NAME.to_owned(), ..Actor::local(TOKEN_NAME) };
        return Ok(Some(Identity { actor, session: None }));
    }
    for authenticator in &admin.authenticators {
        if let Some(identity) = authenticator.authenticate(knock).await? {
            return Ok(Some(identity));
        }
    }
    Ok(None)
}

/// What somebody is told who is not recognised. Wrong tokens are counted by peer; a right one is never held up by it, so
/// that one bad client behind a shared address cannot lock the others out.
fn stranger(admin: &Admin, knock: Knock<'_>) -> Problem {
    if knock.headers.contains_key(AUTHORIZATION) {
        let wait = admin.buckets.take(RateClass::WrongToken, &peer_name(knock.peer), admin.gateway.clock.now());
        if let Err(wait) = wait {
            return Problem::rate_limited("too many wrong admin tokens came from this address", wait);
        }
    }
    if admin.token.is_none() {
        let ways = if admin.authenticators.is_empty() { "" } else { ", or sign in" };
        return Problem::unauthorized(format!(
            "no admin token is set: start the gateway with CROSSWAY_ADMIN_TOKEN{ways}"
        ));
    }
    Problem::unauthorized("the admin token is missing or wrong")
}

/// Returns the name under which a peer is counted: an IPv6 network of 64 bits is one peer.
pub(super) fn peer_name(peer: IpAddr) -> String {
    match peer.to_canonical() {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            format!("{a:x}:{b:x}:{c:x}:{d:x}::/64")
        }
    }
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let (first, more) = (values.next()?, values.next());
    let (scheme, token) = first.to_str().ok()?.split_once(' ')?;
    (more.is_none() && scheme.eq_ignore_ascii_case("bearer")).then_some(token)
}

/// Compares without telling by the time taken where the difference is.
fn same(given: &str, expected: &str) -> bool {
    let differences =
        given.bytes().zip(expected.bytes()).fold(0u8, |differences, (one, other)| differences | (one ^ other));
    std::hint::black_box(differences) == 0 && given.len() == expected.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_whole_token_is_right() {
        assert!(same("token", "token"));
        for given in ["", "t", "toke", "tokens", "Token", "tokem"] {
            assert!(!same(given, "token"), "{given}");
        }
    }

    #[test]
    fn one_bearer_token_is_read() {
        let check = |values: &[&str], expect: Option<&str>| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(AUTHORIZATION, value.parse().unwrap());
            }
            assert_eq!(bearer(&headers), expect, "{values:?}");
        };
        check(&["Bearer x"], Some("x"));
        check(&["bearer x"], Some("x"));
        check(&["Basic x"], None);
        check(&["Bearer"], None);
        check(&["Bearer x", "Bearer y"], None);
        check(&[], None);
    }

    #[test]
    fn a_network_of_ipv6_is_one_peer() {
        let name = |text: &str| peer_name(text.parse().unwrap());
        assert_eq!(name("2001:db8:1:2:3:4:5:6"), name("2001:db8:1:2::9"));
        assert_ne!(name("2001:db8:1:2::9"), name("2001:db8:1:3::9"));
        assert_eq!(name("::ffff:10.0.0.1"), name("10.0.0.1"));
        assert_ne!(name("10.0.0.1"), name("10.0.0.2"));
    }

    #[test]
    fn roles_are_types() {
        for role in Role::ALL {
            let identity = Identity { actor: Actor { role, ..Actor::local("x") }, session: None };
            assert_eq!(Operator::admit(identity.clone()).is_some(), role >= Role::Operator, "{role:?}");
            assert!(SignedIn::admit(identity).is_some());
        }
    }
}
