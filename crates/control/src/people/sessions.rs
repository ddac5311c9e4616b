//! Sessions: begun by a sign-in, found by the hash of a random id, ended by time, by people, or by a change of who they
//! are.

use std::net::IpAddr;

use ir::civil::rfc3339;
use ir::id::ResourceId;
use policy::secret::Secret;
use serde::Serialize;
use serde_json::json;
use store::people::{Begin, Changed, SessionQuery, SessionRow, UserRow};
use store::resources::row::AuditRow;

use super::token::{self, Purpose};
use super::{ABSOLUTE, Begun, Denied, IDLE, People, Visitor, email, millis, password, rank, stranger, users};
use crate::actor::{Actor, Role};
use crate::refusal::Refusal;
use crate::resource::Page;

/// How exactly it is known when a session was used last: so seldom does a request write.
const TOUCH_MS: u64 = 60_000;

/// Sessions that one person may have; the oldest make room.
const KEEP: usize = 50;

/// Characters of a program's name that are kept.
const USER_AGENT_CHARACTERS: usize = 200;

/// Sessions on one page, when nothing is said, and at most.
const PAGE: (usize, usize) = (50, 200);

/// A session that is good now.
#[derive(Clone, Debug)]
pub struct Live {
    /// Who came with it.
    pub actor: Actor,
    /// What people call it by.
    pub id: ResourceId,
    /// When it ends at the latest, Unix milliseconds.
    pub expires_at_ms: u64,
    /// The token that goes with every change.
    pub csrf: Secret,
}

/// A session as people see it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SessionView {
    /// What it is called by; it opens nothing.
    pub id: String,
    /// Whose it is.
    pub user: String,
    /// How they signed in: `password`, `oidc`, `setup` or `invitation`.
    pub method: String,
    /// When it began, RFC 3339.
    pub created_at: String,
    /// When it was used last, to the minute, RFC 3339.
    pub last_seen_at: String,
    /// When it ends, used or not, RFC 3339.
    pub expires_at: String,
    /// Where it began.
    pub ip: Option<IpAddr>,
    /// What began it, as it names itself.
    pub user_agent: String,
    /// Whether it is the one that asks.
    pub current: bool,
}

impl People {
    /// Signs somebody in by their password.
    ///
    /// # Errors
    /// [`Denied::WrongPassword`], [`Denied::TooMany`], or when the database fails.
    pub fn sign_in(&self, address: &str, password: &Secret, visitor: &Visitor) -> Result<Begun, Denied> {
        let account = email::account(address);
        self.lockout.begin(visitor.ip, Some(&account), self.clock.now())?;
        let user = self.store.user_by_email(&account)?;
        // What is too long is nobody's password; it is not worth the work for anybody.
        let right = password.expose().len() <= password::MAX_BYTES
            && self.hasher.verify(password, user.as_ref().and_then(|user| user.password_hash.as_ref()));
        let Some(found) = user.as_ref().filter(|user| right && !user.disabled) else {
            self.note_failure(user.as_ref(), visitor);
            return Err(Denied::WrongPassword);
        };
        let found = self.with_todays_hash(found, password);
        let begun = self.begin(&found, "password", visitor)?;
        self.lockout.succeeded(visitor.ip, Some(&account));
        Ok(begun)
    }

    /// Begins a session with a new random id, whatever the browser had before.
    pub(super) fn begin(&self, user: &UserRow, method: &str, visitor: &Visitor) -> Result<Begun, Denied> {
        let (secret, now) = (token::new_id()?, self.clock.unix_ms());
        let session = SessionRow {
            id: ResourceId::new(now),
            user: user.id,
            method: method.to_owned(),
            created_at_ms: now,
            last_seen_at_ms: now,
            expires_at_ms: now.saturating_add(millis(ABSOLUTE)),
            ip: visitor.ip,
            user_agent: printable(&visitor.user_agent),
        };
        let hash = token::hash(Purpose::Session, secret.expose());
        let after = json!({"method": method, "session": session.id.to_string()}).to_string();
        let log = AuditRow { after: Some(after), ..self.entry(&self.actor(user, visitor), "sign_in", Some(user)) };
        let begin = Begin { hash: &hash, version: user.version, keep: KEEP };
        if !self.store.begin_session(&session, begin, &log)? {
            // They were changed between the check of the password and now.
            return Err(Denied::WrongPassword);
        }
        let shown = UserRow { last_sign_in_at_ms: Some(now), ..user.clone() };
        Ok(Begun {
            csrf: token::csrf(&secret),
            secret,
            id: session.id,
            expires_at_ms: session.expires_at_ms,
            user: users::show(&shown),
        })
    }

    /// Returns the session of a random id, `None` when there is none that is good now.
    ///
    /// # Errors
    /// When the database fails.
    pub fn authenticate(&self, secret: &Secret, visitor: &Visitor) -> Result<Option<Live>, Refusal> {
        if !token::is_id(secret.expose()) {
            return Ok(None);
        }
        let hash = token::hash(Purpose::Session, secret.expose());
        let Some((session, user)) = self.store.session_by_hash(&hash)? else { return Ok(None) };
        let now = self.clock.unix_ms();
        let idle = now.saturating_sub(session.last_seen_at_ms);
        if user.disabled || now >= session.expires_at_ms || idle >= millis(IDLE) {
            self.store.end_session(session.id, None)?;
            return Ok(None);
        }
        if idle >= TOUCH_MS {
            self.store.touch_session(session.id, now)?;
        }
        let actor = self.actor(&user, visitor);
        let csrf = token::csrf(secret);
        Ok(Some(Live { actor, id: session.id, expires_at_ms: session.expires_at_ms, csrf }))
    }

    /// Returns sessions that are good now, oldest first: the actor's own, those of another person, or with `everybody`
    /// those of all. `current` is the one that asks.
    ///
    /// # Errors
    /// [`Refusal::Forbidden`] for sessions of others unless the actor is an operator, [`Refusal::BadParameter`].
    pub fn list_sessions(
        &self,
        actor: &Actor,
        whose: Whose,
        limit: Option<usize>,
        cursor: Option<&str>,
        current: Option<ResourceId>,
    ) -> Result<Page<SessionView>, Refusal> {
        let user = match whose {
            Whose::Own => match actor.user {
                Some(user) => Some(user),
                None => return Ok(Page { data: Vec::new(), next_cursor: None }),
            },
            Whose::Of(user) => Some(user),
            Whose::Everybody => None,
        };
        if user.is_none_or(|user| actor.user != Some(user)) && actor.role < Role::Operator {
            return Err(Refusal::Forbidden("the sessions of others are seen by operators and owners".to_owned()));
        }
        let (limit, after) = users::page_of(limit, cursor, PAGE)?;
        let now = self.clock.unix_ms();
        let seen_since_ms = now.saturating_sub(millis(IDLE));
        let query = SessionQuery { user, alive_at_ms: now, seen_since_ms, after, limit: limit + 1 };
        let rows = self.store.list_sessions(&query)?;
        let (rows, next) = users::cut(rows, limit, |row| row.id);
        Ok(Page { data: rows.iter().map(|row| view(row, current)).collect(), next_cursor: next })
    }

    /// Ends a session: any of one's own, and those of people whom the actor may manage.
    ///
    /// # Errors
    /// [`Refusal::NotFound`], also for a session of which the actor may not know; [`Refusal::Forbidden`] by rank.
    pub fn end_session(&self, actor: &Actor, id: ResourceId) -> Result<(), Refusal> {
        let unknown = || Refusal::NotFound("no such session".to_owned());
        let session = self.store.session(id)?.ok_or_else(unknown)?;
        let own = actor.user == Some(session.user);
        if !own && actor.role < Role::Operator {
            return Err(unknown());
        }
        let user = self.store.user(session.user)?.ok_or_else(unknown)?;
        if !own {
            rank::check(actor, rank::stored(&user.role))?;
        }
        let action = if own { "sign_out" } else { "end_session" };
        let before = Some(json!({"session": id.to_string()}).to_string());
        let log = AuditRow { before, ..self.entry(actor, action, Some(&user)) };
        if self.store.end_session(id, Some(&log))? { Ok(()) } else { Err(unknown()) }
    }

    /// Writes down a failed sign-in. A name that nobody has is not written down: it may be a password.
    fn note_failure(&self, user: Option<&UserRow>, visitor: &Visitor) {
        let after = user.filter(|user| user.disabled).map(|_| json!({"disabled": true}).to_string());
        self.note(&AuditRow { after, ..self.entry(&stranger(visitor), "refuse_sign_in", user) });
    }

    /// Hashes the password anew when the stored hash was made with other parameters than today's.
    fn with_todays_hash(&self, user: &UserRow, password: &Secret) -> UserRow {
        let outdated = user.password_hash.as_ref().is_some_and(|hash| self.hasher.is_outdated(hash));
        let Some(hash) = outdated.then(|| self.hasher.hash(password).ok()).flatten() else { return user.clone() };
        let renewed = UserRow { password_hash: Some(hash), version: user.version + 1, ..user.clone() };
        match self.store.change_user(&renewed, false, None) {
            Ok(Changed::Done) => renewed,
            _ => user.clone(),
        }
    }
}

/// Whose sessions are meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whose {
    /// The actor's.
    Own,
    /// Those of a person.
    Of(ResourceId),
    /// Those of all.
    Everybody,
}

fn view(row: &SessionRow, current: Option<ResourceId>) -> SessionView {
    SessionView {
        id: row.id.to_string(),
        user: row.user.to_string(),
        method: row.method.clone(),
        created_at: rfc3339(row.created_at_ms),
        last_seen_at: rfc3339(row.last_seen_at_ms),
        expires_at: rfc3339(row.expires_at_ms),
        ip: row.ip,
        user_agent: row.user_agent.clone(),
        current: current == Some(row.id),
    }
}

/// Returns what a program says of itself, short and without control characters.
fn printable(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(USER_AGENT_CHARACTERS).collect()
}
