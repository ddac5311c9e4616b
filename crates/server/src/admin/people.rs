//! The HTTP side of people: which session a request bears, and the proof that its own pages sent it.
//!
//! What is true of people is in [`control::people`]; here are cookies, headers, and the bounds on work that is dear.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::header::{AUTHORIZATION, SET_COOKIE, USER_AGENT};
use axum::http::{HeaderMap, HeaderValue, Response, StatusCode};
use control::people::{Begun, Denied, People, Visitor, token};
use ir::civil::rfc3339;
use net::deadline::after;
use policy::secret::Secret;
use serde_json::json;
use tokio::sync::Semaphore;
use tokio::time::timeout_at;

use self::cookie::Ours;
use super::blocking::Blocking;
use super::call::{Call, json as answer};
use super::oidc::Relying;
use super::principal::{Authenticator, Identity, Knock, Later};
use super::problem::{Code, Problem};
use super::route::Outcome;

pub mod cookie;
pub mod origin;

/// The cookie that holds a session's random id.
pub const SESSION_COOKIE: Ours =
    Ours { plain: "crossway_session", guarded: "__Host-crossway_session", same_site: "Strict" };

/// The header that proves a change comes from a page that could read the session's token.
pub const CSRF_HEADER: &str = "x-crossway-csrf";

/// How many passwords are looked at at once: each takes 19 MiB and a core for tens of milliseconds.
const PASSWORDS_AT_ONCE: usize = 2;

/// How long one waits for its turn.
const TURN: Duration = Duration::from_secs(5);

/// What the admin side knows of people.
pub struct Front {
    /// The people.
    pub people: Arc<People>,
    /// Where people reach the admin side, when a proxy stands before it.
    pub public_url: Option<String>,
    /// The OpenID provider, when there is one.
    pub oidc: Option<Relying>,
    sessions: Blocking,
    passwords: Arc<Semaphore>,
}

impl Front {
    /// Puts the parts together.
    pub fn new(people: Arc<People>, public_url: Option<String>, oidc: Option<Relying>) -> Self {
        let passwords = Arc::new(Semaphore::new(PASSWORDS_AT_ONCE));
        Self { people, public_url, oidc, sessions: Blocking::default(), passwords }
    }

    /// Runs something short about people on a thread that may block.
    ///
    /// # Errors
    /// 503 when no turn comes in time, and what the work says.
    pub async fn run<T, E>(&self, work: impl FnOnce(&People) -> Result<T, E> + Send + 'static) -> Result<T, Problem>
    where
        T: Send + 'static,
        E: Into<Problem> + Send + 'static,
    {
        let people = Arc::clone(&self.people);
        self.sessions.run(move || work(&people)).await?.map_err(Into::into)
    }

    /// Runs something that looks at a password: few at a time, so that a flood of sign-ins takes neither the memory nor
    /// the cores from requests.
    ///
    /// # Errors
    /// As [`Front::run`].
    pub async fn run_dear<T, E>(
        &self,
        work: impl FnOnce(&People) -> Result<T, E> + Send + 'static,
    ) -> Result<T, Problem>
    where
        T: Send + 'static,
        E: Into<Problem> + Send + 'static,
    {
        let turn = timeout_at(after(TURN), Arc::clone(&self.passwords).acquire_owned()).await;
        let Ok(Ok(turn)) = turn else {
            return Err(Problem::unavailable("too many people sign in at the moment"));
        };
        self.run(move |people| {
            let done = work(people);
            drop(turn);
            done
        })
        .await
    }

    /// Returns the answer to a sign-in: who it is, the token for changes, and the cookie.
    ///
    /// # Errors
    /// 500 when it cannot be written.
    pub fn signed_in(&self, status: StatusCode, headers: &HeaderMap, begun: &Begun) -> Outcome {
        let body = json!({
            "user": begun.user,
            "csrf_token": begun.csrf.expose(),
            "expires_at": rfc3339(begun.expires_at_ms),
            "session": begun.id.to_string(),
        });
        let mut response = answer(status, &body)?;
        response.headers_mut().append(SET_COOKIE, self.session_cookie(headers, begun)?);
        Ok(response)
    }

    /// Returns the cookie of a new session.
    ///
    /// # Errors
    /// 500 when it cannot be written.
    pub fn session_cookie(&self, headers: &HeaderMap, begun: &Begun) -> Result<HeaderValue, Problem> {
        let seconds = control::people::ABSOLUTE.as_secs();
        SESSION_COOKIE.set(begun.secret.expose(), seconds, self.is_secure(headers))
    }

    /// Returns the random id of the session that a request bears, when it bears one.
    ///
    /// # Errors
    /// 401 when it bears several.
    pub fn session_of(&self, headers: &HeaderMap) -> Result<Option<Secret>, Problem> {
        match SESSION_COOKIE.values(headers, self.only_https()).as_slice() {
            [] => Ok(None),
            [one] => Ok(Some(Secret::new(*one))),
            _ => Err(Problem::unauthorized("the request bears several session cookies: sign in again")),
        }
    }

    /// Whether people come over https alone, as far as the settings say.
    pub fn only_https(&self) -> bool {
        self.public_url.as_ref().is_some_and(|url| url.starts_with("https://"))
    }

    /// Whether a cookie may be kept from plain connections: people come over https.
    pub fn is_secure(&self, headers: &HeaderMap) -> bool {
        origin::is_https(headers) || self.only_https()
    }

    /// Refuses what a page of another site sends: with `must_say` also what does not say where it comes from.
    ///
    /// # Errors
    /// 403.
    pub fn same_origin(&self, headers: &HeaderMap, must_say: bool) -> Result<(), Problem> {
        match origin::judge(headers, self.public_url.as_deref()) {
            origin::Verdict::Same => Ok(()),
            origin::Verdict::Silent if !must_say => Ok(()),
            origin::Verdict::Silent => Err(Problem::forbidden("a change with a cookie must say where it comes from")
                .hint("send the Origin header, or use the admin token")),
            origin::Verdict::Other => Err(Problem::forbidden("the request comes from a page of another site")),
        }
    }
}

/// Returns who knocks with a call.
pub fn visitor(call: &Call) -> Visitor {
    visitor_of(&call.headers, call.peer, call.id)
}

fn visitor_of(headers: &HeaderMap, peer: std::net::IpAddr, id: ir::id::RequestId) -> Visitor {
    let user_agent = headers.get(USER_AGENT).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned();
    Visitor { ip: Some(peer), user_agent, request_id: id.to_string() }
}

/// Returns an empty answer that takes the session's cookie away.
///
/// # Errors
/// 500 when it cannot be written.
pub fn signed_out() -> Outcome {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    for cookie in SESSION_COOKIE.taken_away()? {
        response.headers_mut().append(SET_COOKIE, cookie);
    }
    Ok(response)
}

/// Recognises people by the cookie of their session.
pub struct Sessions(pub Arc<Front>);

impl Authenticator for Sessions {
    fn authenticate<'a>(&'a self, knock: Knock<'a>) -> Later<'a, Result<Option<Identity>, Problem>> {
        Box::pin(self.recognise(knock))
    }
}

impl Sessions {
    async fn recognise(&self, knock: Knock<'_>) -> Result<Option<Identity>, Problem> {
        // Whoever sends a token means the token.
        if knock.headers.contains_key(AUTHORIZATION) {
            return Ok(None);
        }
        let Some(secret) = self.0.session_of(knock.headers)? else { return Ok(None) };
        let visitor = visitor_of(knock.headers, knock.peer, knock.id);
        let asked = secret.clone();
        let live = self.0.run(move |people| people.authenticate(&asked, &visitor)).await?;
        let Some(live) = live else {
            let over = Problem::unauthorized("the session is over: sign in again");
            let cookies = SESSION_COOKIE.taken_away()?.into_iter();
            return Err(cookies.fold(over, |over, cookie| over.header(SET_COOKIE, cookie)));
        };
        if !knock.method.is_safe() {
            self.0.same_origin(knock.headers, true)?;
            let mut given = knock.headers.get_all(CSRF_HEADER).iter();
            let right = match (given.next(), given.next()) {
                (Some(one), None) => one.to_str().is_ok_and(|given| token::csrf_matches(&secret, given)),
                _ => false,
            };
            if !right {
                return Err(Problem::forbidden(format!("the header {CSRF_HEADER} is missing or wrong"))
                    .hint("send the csrf_token of GET /admin/v1/session"));
            }
        }
        Ok(Some(Identity { actor: live.actor, session: Some(live.id.to_string()) }))
    }
}

impl From<Denied> for Problem {
    fn from(denied: Denied) -> Self {
        let message = denied.to_string();
        match denied {
            Denied::WrongPassword | Denied::WrongCode => Self::new(Code::Unauthorized, message),
            Denied::TooMany(wait) => Self::rate_limited(message, wait),
            Denied::NotAdmitted(_) => Self::forbidden(message),
            Denied::Refused(refusal) => refusal.into(),
        }
    }
}
