//! Sign-ins that have begun and not come back: each belongs to one browser, is good once and for a short time.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use aws_lc_rs::digest;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use policy::clock::Monotonic;
use policy::secret::Secret;
use store::people::Hash;
use url::Url;

use super::OidcError;
use super::discovery::Discovery;
use crate::people::token::{self, NoRandom, Purpose};

/// How long somebody may stay at the provider.
pub const LIFETIME: Duration = Duration::from_secs(600);

/// Sign-ins that may be open; beyond it the oldest are given up.
const MAX_OPEN: usize = 1_000;

/// Who asks, as the provider knows it.
#[derive(Clone, Copy, Debug)]
pub struct Client<'a> {
    /// The client's id.
    pub id: &'a str,
    /// What is asked for; `openid` is added when it is missing.
    pub scopes: &'a [String],
    /// Where the provider sends the browser back to.
    pub redirect_uri: &'a str,
}

/// A sign-in that has begun.
#[derive(Debug)]
pub struct Started {
    /// Where the browser goes.
    pub location: Url,
    /// What the browser keeps until it is back.
    pub browser: Secret,
}

/// What was said at the start, for the end.
#[derive(Debug)]
pub struct Open {
    /// What has to stand in the ID token.
    pub nonce: Secret,
    /// What proves to the provider that the one who began it ends it (RFC 7636).
    pub verifier: Secret,
    /// Where the provider was told to send the browser.
    pub redirect_uri: String,
    browser: Hash,
    since: Monotonic,
}

/// The sign-ins that are open.
#[derive(Debug, Default)]
pub struct Flows(Mutex<HashMap<String, Open>>);

impl Flows {
    /// Begins a sign-in.
    ///
    /// # Errors
    /// When the system gives no random bytes.
    pub fn start(&self, provider: &Discovery, client: Client<'_>, now: Monotonic) -> Result<Started, NoRandom> {
        let (state, nonce, verifier, browser) =
            (token::new_id()?, token::new_id()?, token::new_id()?, token::new_id()?);
        let mut location = provider.authorization_endpoint.clone();
        location
            .query_pairs_mut()
            .append_pair("response_type", "code")
            .append_pair("client_id", client.id)
            .append_pair("redirect_uri", client.redirect_uri)
            .append_pair("scope", &scope(client.scopes))
            .append_pair("state", state.expose())
            .append_pair("nonce", nonce.expose())
            .append_pair("code_challenge", &challenge(&verifier))
            .append_pair("code_challenge_method", "S256");
        let open = Open {
            nonce,
            verifier,
            redirect_uri: client.redirect_uri.to_owned(),
            browser: token::hash(Purpose::Browser, browser.expose()),
            since: now,
        };
        let mut flows = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        flows.retain(|_, open| now.since(open.since) < LIFETIME);
        if flows.len() >= MAX_OPEN {
            let oldest = flows.iter().min_by_key(|(_, open)| open.since).map(|(state, _)| state.clone());
            oldest.map(|state| flows.remove(&state));
        }
        flows.insert(state.expose().to_owned(), open);
        Ok(Started { location, browser })
    }

    /// Ends a sign-in: what began it is good once, for the browser that began it. One that another browser brings back
    /// is given up, too.
    ///
    /// # Errors
    /// [`OidcError::Flow`].
    pub fn take(&self, state: &str, browser: Option<&str>, now: Monotonic) -> Result<Open, OidcError> {
        let taken = self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(state);
        let open = taken.filter(|open| now.since(open.since) < LIFETIME);
        let open =
            open.ok_or(OidcError::Flow("this sign-in was not begun here, is over, or took too long: try again"))?;
        let same = browser.is_some_and(|browser| token::hash(Purpose::Browser, browser) == open.browser);
        if same { Ok(open) } else { Err(OidcError::Flow("this sign-in was begun in another browser: try again")) }
    }
}

/// Checks the issuer that an answer names (RFC 9207), so that the answer of one provider is not taken for another's.
///
/// # Errors
/// [`OidcError::Flow`].
pub fn check_issuer(provider: &Discovery, named: Option<&str>) -> Result<(), OidcError> {
    match named {
        Some(named) if named != provider.issuer => Err(OidcError::Flow("the answer is that of another provider")),
        None if provider.names_issuer => Err(OidcError::Flow("the answer does not name its provider")),
        _ => Ok(()),
    }
}

fn scope(scopes: &[String]) -> String {
    let mut all: Vec<&str> = scopes.iter().map(String::as_str).collect();
    if !all.contains(&"openid") {
        all.insert(0, "openid");
    }
    all.join(" ")
}

fn challenge(verifier: &Secret) -> String {
    URL_SAFE_NO_PAD.encode(digest::digest(&digest::SHA256, verifier.expose().as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    fn provider() -> Discovery {
        let url = |path: &str| Url::parse(&format!("https://i.test/{path}")).unwrap();
        Discovery {
            issuer: "https://i.test".to_owned(),
            authorization_endpoint: url("auth?tenant=1"),
            token_endpoint: url("token"),
            jwks_uri: url("jwks"),
            userinfo_endpoint: None,
            secret_in_body: false,
            names_issuer: false,
        }
    }

    fn start(flows: &Flows, at_seconds: u64) -> (String, Started) {
        let client = Client { id: "c", scopes: &["email".to_owned()], redirect_uri: "http://127.0.0.1/cb" };
        let started = flows.start(&provider(), client, at(at_seconds)).unwrap();
        let state = started.location.query_pairs().find(|(name, _)| name == "state").unwrap().1.into_owned();
        (state, started)
    }

    fn at(seconds: u64) -> Monotonic {
        Monotonic(seconds * 1_000_000_000)
    }

    #[test]
    fn the_browser_is_sent_with_everything_that_binds_it() {
        let flows = Flows::default();
        let (state, started) = start(&flows, 0);
        let asked: BTreeMap<String, String> = started.location.query_pairs().into_owned().collect();
        let open = flows.take(&state, Some(started.browser.expose()), at(1)).unwrap();
        assert_eq!(asked["scope"], "openid email");
        assert_eq!((asked["response_type"].as_str(), asked["tenant"].as_str()), ("code", "1"));
        assert_eq!(asked["nonce"], open.nonce.expose());
        assert_eq!((asked["code_challenge_method"].as_str(), asked["code_challenge"].len()), ("S256", 43));
        assert_eq!(asked["code_challenge"], challenge(&open.verifier));
        assert!(!started.location.as_str().contains(open.verifier.expose()));
        assert!(!started.location.as_str().contains(started.browser.expose()));
    }

    /// RFC 7636 appendix B.
    #[test]
    fn the_challenge_is_the_standards() {
        let verifier = Secret::new("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk");
        assert_eq!(challenge(&verifier), "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM");
    }

    #[test]
    fn a_state_is_good_once_in_its_browser_and_in_time() {
        let flows = Flows::default();
        let (state, started) = start(&flows, 0);
        let browser = started.browser.expose();
        assert!(flows.take("", Some(browser), at(1)).is_err());
        assert!(flows.take(&state, Some(browser), at(1)).is_ok());
        assert!(flows.take(&state, Some(browser), at(1)).is_err(), "it is used up");
        for wrong in [None, Some(""), Some("x")] {
            let (state, started) = start(&flows, 0);
            assert!(flows.take(&state, wrong, at(1)).is_err());
            assert!(flows.take(&state, Some(started.browser.expose()), at(1)).is_err(), "it is given up");
        }
        let ((one, _), (_, other)) = (start(&flows, 0), start(&flows, 0));
        assert!(flows.take(&one, Some(other.browser.expose()), at(1)).is_err());
        let (state, started) = start(&flows, 0);
        assert!(flows.take(&state, Some(started.browser.expose()), at(600)).is_err(), "it took too long");
    }

    #[test]
    fn a_flood_is_bounded() {
        let flows = Flows::default();
        for second in 0..3_000 {
            start(&flows, second / 10);
        }
        assert_eq!(flows.0.lock().unwrap().len(), MAX_OPEN);
        let (state, started) = start(&flows, 300);
        assert!(flows.take(&state, Some(started.browser.expose()), at(301)).is_ok());
    }

    #[test]
    fn answers_of_other_providers_are_refused() {
        let quiet = provider();
        assert!(check_issuer(&quiet, None).is_ok());
        assert!(check_issuer(&quiet, Some("https://i.test")).is_ok());
        assert!(check_issuer(&quiet, Some("https://evil.test")).is_err());
        assert!(check_issuer(&Discovery { names_issuer: true, ..provider() }, None).is_err());
    }
}
