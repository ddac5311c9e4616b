//! People: who they are, how they sign in, and what ends their sessions.
//!
//! It knows no HTTP and no SQL. Calls that look at a password take tens of milliseconds and block; whoever makes them
//! does so on a thread that may block, and bounds how many run at once.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use ir::id::ResourceId;
use policy::clock::Clock;
use policy::secret::Secret;
use store::StoreError;
use store::people::{PeopleStore, UserRow};
use store::resources::row::AuditRow;

use self::lockout::{Lockout, Wait};
use self::password::{HashFailure, Hasher};
use self::token::NoRandom;
use crate::actor::{Actor, Role};
use crate::refusal::Refusal;
use crate::resource::Resource;

mod email;
mod federated;
pub mod lockout;
mod memberships;
mod own_password;
pub mod password;
pub mod rank;
mod sessions;
mod setup;
pub mod token;
mod users;

#[cfg(test)]
mod tests;

pub use self::federated::{Admission, Claimed};
pub use self::sessions::{Live, SessionView, Whose};
pub use self::setup::FirstPerson;

/// A session that was not used for this long has ended.
pub const IDLE: Duration = Duration::from_secs(12 * 3_600);

/// A session ends after this long, used or not.
pub const ABSOLUTE: Duration = Duration::from_secs(7 * 24 * 3_600);

/// How long the code of the set-up is good.
pub const SETUP_CODE: Duration = Duration::from_secs(24 * 3_600);

/// How long an invitation, or a code for a new password, is good.
pub const INVITATION: Duration = Duration::from_secs(72 * 3_600);

/// Knows who belongs to which teams.
pub trait Memberships: Send + Sync {
    /// Returns the teams of somebody, by environment and name.
    fn teams_of(&self, email: &str) -> Vec<(String, String)>;
}

/// Nobody belongs to a team.
impl Memberships for () {
    fn teams_of(&self, _: &str) -> Vec<(String, String)> {
        Vec::new()
    }
}

/// Who knocks, before it is known who they are.
#[derive(Clone, Debug, Default)]
pub struct Visitor {
    /// The TCP peer; `None` on the command line.
    pub ip: Option<IpAddr>,
    /// How the program names itself.
    pub user_agent: String,
    /// The request.
    pub request_id: String,
}

/// A session that has just begun. The secret goes into a cookie and nowhere else.
#[derive(Clone, Debug)]
pub struct Begun {
    /// The random id.
    pub secret: Secret,
    /// What people call the session by.
    pub id: ResourceId,
    /// The token that goes with every change.
    pub csrf: Secret,
    /// When it ends at the latest, Unix milliseconds.
    pub expires_at_ms: u64,
    /// Whose it is.
    pub user: Resource,
}

/// A code with which somebody sets a password of their own, once.
#[derive(Clone, Debug)]
pub struct Invitation {
    /// The code.
    pub code: Secret,
    /// Until when it is good, Unix milliseconds.
    pub expires_at_ms: u64,
}

/// Why somebody was not let in.
#[derive(Debug, thiserror::Error)]
pub enum Denied {
    /// The address or the password is wrong, or they are disabled: nobody is told which.
    #[error("the email address or the password is wrong")]
    WrongPassword,
    /// The code is wrong, used up or expired.
    #[error("the code is wrong, used up or expired")]
    WrongCode,
    /// Too many wrong attempts.
    #[error("too many wrong attempts: wait before the next one")]
    TooMany(Duration),
    /// Who they are is known, and they may not come in.
    #[error("{0}")]
    NotAdmitted(String),
    /// Anything else.
    #[error(transparent)]
    Refused(#[from] Refusal),
}

impl From<StoreError> for Denied {
    fn from(error: StoreError) -> Self {
        Self::Refused(error.into())
    }
}

impl From<Wait> for Denied {
    fn from(wait: Wait) -> Self {
        Self::TooMany(wait.time)
    }
}

impl From<HashFailure> for Denied {
    fn from(_: HashFailure) -> Self {
        Self::Refused(Refusal::Unavailable(StoreError::Seal(store::seal::SealError::Random)))
    }
}

impl From<NoRandom> for Denied {
    fn from(_: NoRandom) -> Self {
        Self::Refused(NoRandom.into())
    }
}

impl From<NoRandom> for Refusal {
    fn from(_: NoRandom) -> Self {
        Self::Unavailable(StoreError::Seal(store::seal::SealError::Random))
    }
}

/// Everything about people. It is shared by all requests.
pub struct People {
    store: Box<dyn PeopleStore>,
    clock: Clock,
    hasher: Hasher,
    lockout: Lockout,
    memberships: Arc<dyn Memberships>,
}

impl People {
    /// Puts the parts together.
    pub fn new(store: Box<dyn PeopleStore>, clock: Clock, hasher: Hasher, memberships: Arc<dyn Memberships>) -> Self {
        Self { store, clock, hasher, lockout: Lockout::default(), memberships }
    }

    /// Returns how many passwords were verified so far.
    pub fn verified(&self) -> u64 {
        self.hasher.verified()
    }

    /// Returns somebody as they act now.
    fn actor(&self, user: &UserRow, visitor: &Visitor) -> Actor {
        Actor {
            name: user.email.clone(),
            user: Some(user.id),
            role: rank::stored(&user.role),
            teams: self.memberships.teams_of(&user.email),
            ip: visitor.ip,
            request_id: visitor.request_id.clone(),
        }
    }

    /// Returns an entry of the audit log: who did what to whom.
    fn entry(&self, actor: &Actor, action: &str, user: Option<&UserRow>) -> AuditRow {
        AuditRow {
            at_ms: self.clock.unix_ms(),
            actor: actor.name.clone(),
            role: actor.role.name().to_owned(),
            ip: actor.ip.map(|ip| ip.to_string()),
            request_id: actor.request_id.clone(),
            action: action.to_owned(),
            kind: users::KIND.to_owned(),
            environment: String::new(),
            name: user.map(|user| user.email.clone()).unwrap_or_default(),
            resource_id: user.map(|user| user.id),
            ..AuditRow::default()
        }
    }

    /// Writes down what was refused. That it cannot be written does not let anybody in.
    fn note(&self, entry: &AuditRow) {
        if let Err(error) = self.store.log(entry) {
            tracing::error!(component = "audit", error = %error, action = entry.action, "An act could not be noted");
        }
    }
}

/// Somebody of whom nothing is known but where they are.
fn stranger(visitor: &Visitor) -> Actor {
    Actor {
        name: "nobody".to_owned(),
        role: Role::Viewer,
        ip: visitor.ip,
        request_id: visitor.request_id.clone(),
        ..Actor::local("")
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
