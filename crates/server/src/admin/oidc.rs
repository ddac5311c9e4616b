//! Signing in through an OpenID provider: the browser's way there and back, and the calls to the provider.
//!
//! Every check is in [`control::oidc`]; here is the network. The issuer is the operator's choice, so that its address may
//! be a private one.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::body::Body;
use axum::http::header::{HOST, LOCATION, SET_COOKIE};
use axum::http::{HeaderMap, HeaderValue, Response, StatusCode};
use control::oidc::OidcError;
use control::oidc::claims::{self, Expected};
use control::oidc::discovery::{self, Discovery};
use control::oidc::flow::{Client, Flows, LIFETIME, Open, check_issuer};
use control::oidc::keys::{Keys, Verified};
use control::people::{Admission, Claimed, rank};
use net::connector::Connector;
use policy::clock::{Clock, Monotonic};
use policy::secret::Secret;
use policy::spec::oidc::Oidc;
use serde_json::{Map, Value};

use self::fetch::{Tokens, exchange, get_json};
use super::call::Call;
use super::people::cookie::Ours;
use super::people::{Front, visitor};
use super::problem::{Code, Problem};
use super::route::Outcome;

pub mod fetch;

/// The cookie that binds a sign-in to the browser that began it.
const BROWSER_COOKIE: Ours = Ours { plain: "crossway_oidc", guarded: "__Host-crossway_oidc", same_site: "Lax" };

/// Where the provider sends the browser back to.
const CALLBACK: &str = "/admin/v1/oidc/callback";

/// How long what a provider says of itself, and its keys, are believed.
const FRESH: Duration = Duration::from_secs(3_600);

/// How long it is still used when the provider cannot be asked.
const STALE: Duration = Duration::from_secs(24 * 3_600);

/// How often, at most, keys are fetched because a token names an unknown one.
const KEY_HUNT: Duration = Duration::from_secs(30);

/// A client of one OpenID provider.
pub struct Relying {
    settings: Oidc,
    connector: Arc<dyn Connector>,
    clock: Clock,
    flows: Flows,
    cache: Mutex<Cache>,
}

#[derive(Clone, Default)]
struct Cache {
    discovery: Option<(Arc<Discovery>, Monotonic)>,
    keys: Option<(Arc<Keys>, Monotonic)>,
}

impl Relying {
    /// Makes a client. Nothing is asked of the provider until somebody signs in.
    pub fn new(settings: Oidc, connector: Arc<dyn Connector>, clock: Clock) -> Self {
        Self { settings, connector, clock, flows: Flows::default(), cache: Mutex::default() }
    }

    async fn discovery(&self) -> Result<Arc<Discovery>, OidcError> {
        let cached = self.cached().discovery;
        if let Some((found, since)) = &cached
            && self.clock.now().since(*since) < FRESH
        {
            return Ok(Arc::clone(found));
        }
        let issuer = &self.settings.issuer;
        let fetched = get_json(&*self.connector, &discovery::address(issuer), None).await;
        match (fetched.and_then(|document| discovery::read(issuer, &document)), cached) {
            (Ok(read), _) => {
                let read = Arc::new(read);
                self.cache().discovery = Some((Arc::clone(&read), self.clock.now()));
                Ok(read)
            }
            (Err(_), Some((old, since))) if self.clock.now().since(since) < STALE => Ok(old),
            (Err(error), _) => Err(error),
        }
    }

    async fn keys(&self, provider: &Discovery, no_older_than: Duration) -> Result<Arc<Keys>, OidcError> {
        if let Some((found, since)) = &self.cached().keys
            && self.clock.now().since(*since) < no_older_than
        {
            return Ok(Arc::clone(found));
        }
        let document = get_json(&*self.connector, provider.jwks_uri.as_str(), None).await?;
        let keys = Arc::new(Keys::read(&document)?);
        self.cache().keys = Some((Arc::clone(&keys), self.clock.now()));
        Ok(keys)
    }

    async fn verified(&self, provider: &Discovery, token: &str) -> Result<Map<String, Value>, OidcError> {
        let keys = self.keys(provider, FRESH).await?;
        let first = keys.verify(token)?;
        if let Verified::Good(claims) = first {
            return Ok(claims);
        }
        // The provider may have changed its keys; whoever sends made-up names does not make us ask each time.
        match self.keys(provider, KEY_HUNT).await?.verify(token)? {
            Verified::Good(claims) => Ok(claims),
            Verified::UnknownKey => Err(OidcError::Token("no key of the provider signed it")),
        }
    }

    /// Turns a code into somebody.
    async fn recognise(&self, provider: &Discovery, open: &Open, code: &Secret) -> Result<Claimed, OidcError> {
        let Tokens { id_token, access_token } =
            exchange(&*self.connector, provider, &self.settings, open, code).await?;
        let mut claims = self.verified(provider, id_token.expose()).await?;
        let expected = Expected {
            issuer: &self.settings.issuer,
            client_id: &self.settings.client_id,
            nonce: open.nonce.expose(),
            now: self.clock.unix_ms() / 1_000,
        };
        let subject = claims::check(&claims, expected)?;
        let role_claim = self.settings.role_claim.as_deref();
        if let (true, Some(address), Some(token)) =
            (claims::is_incomplete(&claims, role_claim), &provider.userinfo_endpoint, &access_token)
        {
            let more = get_json(&*self.connector, address.as_str(), Some(token)).await?;
            let more = serde_json::from_slice(&more).map_err(|_| OidcError::provider("its user info is not JSON"))?;
            claims::complete(&mut claims, more)?;
        }
        Ok(claims::claimed(&claims, &self.settings.issuer, subject, role_claim, &self.settings.role_map))
    }

    fn admission(&self) -> Admission {
        Admission {
            default_role: self.settings.default_role.as_deref().and_then(rank::parse),
            allowed_domains: self.settings.allowed_domains.clone(),
        }
    }

    fn cached(&self) -> Cache {
        self.cache().clone()
    }

    fn cache(&self) -> std::sync::MutexGuard<'_, Cache> {
        self.cache.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Sends the browser to the provider.
pub(super) async fn start(call: Call) -> Outcome {
    let front = &call.admin.people;
    let relying = relying(front)?;
    let redirect_uri = redirect_uri(&call, relying)?;
    let provider = relying.discovery().await.map_err(problem)?;
    let client =
        Client { id: &relying.settings.client_id, scopes: &relying.settings.scopes, redirect_uri: &redirect_uri };
    let started = relying.flows.start(&provider, client, relying.clock.now());
    let started = started.map_err(|_| Problem::unavailable("the system's random generator failed"))?;
    let mut response = redirect(started.location.as_str())?;
    let secure = front.is_secure(&call.headers);
    let kept = BROWSER_COOKIE.set(started.browser.expose(), LIFETIME.as_secs(), secure)?;
    response.headers_mut().append(SET_COOKIE, kept);
    Ok(response)
}

/// Takes the browser back, and signs in whoever the provider has recognised.
pub(super) async fn callback(call: Call) -> Outcome {
    let over = BROWSER_COOKIE.taken_away()?.into_iter();
    match come_back(&call).await {
        Ok(mut response) => {
            over.for_each(|cookie| _ = response.headers_mut().append(SET_COOKIE, cookie));
            Ok(response)
        }
        Err(problem) => Err(over.fold(problem, |problem, cookie| problem.header(SET_COOKIE, cookie))),
    }
}

async fn come_back(call: &Call) -> Outcome {
    let front = &call.admin.people;
    let relying = relying(front)?;
    let browsers = BROWSER_COOKIE.values(&call.headers, front.only_https());
    let browser = if let [one] = browsers.as_slice() { Some(*one) } else { None };
    let state = call.query("state").unwrap_or_default();
    let open = relying.flows.take(state, browser, relying.clock.now()).map_err(problem)?;
    let provider = relying.discovery().await.map_err(problem)?;
    check_issuer(&provider, call.query("iss")).map_err(problem)?;
    let recognised = match (call.query("error"), call.query("code")) {
        (Some(error), _) => Err(OidcError::Refused(fetch::printable(error))),
        (None, Some(code)) if !code.is_empty() => relying.recognise(&provider, &open, &Secret::new(code)).await,
        (None, _) => Err(OidcError::Flow("the answer holds no code: try again")),
    };
    let visitor = visitor(call);
    let claimed = match recognised {
        Ok(claimed) => claimed,
        Err(error) => {
            let why = error.to_string();
            front.run(move |people| people.refuse_federated(&why, &visitor)).await?;
            return Err(problem(error));
        }
    };
    let rules = relying.admission();
    let begun = front.run(move |people| people.sign_in_federated(&claimed, &rules, &visitor)).await?;
    let mut response = redirect(&home(front))?;
    response.headers_mut().append(SET_COOKIE, front.session_cookie(&call.headers, &begun)?);
    Ok(response)
}

fn relying(front: &Front) -> Result<&Relying, Problem> {
    front.oidc.as_ref().ok_or_else(|| {
        Problem::not_found("signing in through an OpenID provider is not set up").hint("write [oidc] in crossway.toml")
    })
}

/// Returns where the provider sends the browser back to: what the settings say, else this machine by the name in the
/// request, which has been checked to be this machine's.
fn redirect_uri(call: &Call, relying: &Relying) -> Result<String, Problem> {
    if let Some(url) = &relying.settings.redirect_url {
        return Ok(url.clone());
    }
    if let Some(url) = &call.admin.people.public_url {
        return Ok(format!("{url}{CALLBACK}"));
    }
    match host(&call.headers) {
        Some(host) if call.admin.address.ip().is_loopback() => Ok(format!("http://{host}{CALLBACK}")),
        _ => Err(Problem::new(Code::Conflict, "it is not known under which address people come here")
            .hint("set public_url, or oidc.redirect_url, in crossway.toml")),
    }
}

fn host(headers: &HeaderMap) -> Option<&str> {
    headers.get(HOST)?.to_str().ok()
}

/// Returns the path of the console.
fn home(front: &Front) -> String {
    let path = front.public_url.as_deref().and_then(|url| url.split_once("://")?.1.split_once('/'));
    path.map_or_else(|| "/".to_owned(), |(_, path)| format!("/{path}/"))
}

fn redirect(location: &str) -> Outcome {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::SEE_OTHER;
    let Ok(location) = HeaderValue::from_str(location) else {
        return Err(Problem::internal("the redirect could not be written"));
    };
    response.headers_mut().insert(LOCATION, location);
    Ok(response)
}

fn problem(error: OidcError) -> Problem {
    let message = error.to_string();
    match error {
        OidcError::Provider(_) => {
            tracing::warn!(component = "oidc", error = %message, "A sign-in failed");
            Problem::unavailable(message)
        }
        OidcError::Flow(_) => Problem::new(Code::InvalidRequest, message),
        OidcError::Refused(_) => Problem::forbidden(message),
        OidcError::Token(_) => {
            tracing::warn!(component = "oidc", error = %message, "A sign-in failed");
            Problem::new(Code::Unauthorized, message)
        }
    }
}
