//! People, their sessions and their one-time codes, as they are kept. Who may do what is decided elsewhere.
//!
//! Random ids and codes arrive as hashes: what is stored is no credential.

use std::net::IpAddr;

use ir::id::ResourceId;
use policy::secret::Secret;

use crate::StoreError;
use crate::resources::row::AuditRow;

mod sqlite;

pub use self::sqlite::People;

/// The role of which somebody enabled always remains.
pub const OWNER: &str = "owner";

/// The hash of a session's random id, or of a code.
pub type Hash = [u8; 32];

/// A person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserRow {
    /// Their id.
    pub id: ResourceId,
    /// Their address, in lower case; no two people have the same.
    pub email: String,
    /// What they are called; may be empty.
    pub name: String,
    /// The name of their role.
    pub role: String,
    /// Whether the OpenID provider gave the role, and may change it at the next sign-in.
    pub role_from_issuer: bool,
    /// The hash of their password in PHC form; `None` when they have none.
    pub password_hash: Option<Secret>,
    /// Issuer and subject at the OpenID provider; no two people have the same.
    pub identity: Option<(String, String)>,
    /// Whether they are kept out.
    pub disabled: bool,
    /// Counts the changes, from 1. A sign-in is none.
    pub version: u64,
    /// When they were created, Unix milliseconds.
    pub created_at_ms: u64,
    /// When they were changed last, Unix milliseconds.
    pub updated_at_ms: u64,
    /// When they signed in last, Unix milliseconds.
    pub last_sign_in_at_ms: Option<u64>,
}

/// A session of a signed-in person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionRow {
    /// What people call it by; it opens nothing.
    pub id: ResourceId,
    /// Whose it is.
    pub user: ResourceId,
    /// How they signed in, such as `password`.
    pub method: String,
    /// When it began, Unix milliseconds.
    pub created_at_ms: u64,
    /// When it was used last, Unix milliseconds, to the minute.
    pub last_seen_at_ms: u64,
    /// When it ends at the latest, Unix milliseconds.
    pub expires_at_ms: u64,
    /// Where it began.
    pub ip: Option<IpAddr>,
    /// What began it, as it names itself.
    pub user_agent: String,
}

/// Which people to list, in the order of their creation.
#[derive(Clone, Debug, Default)]
pub struct UserQuery {
    /// Only those of this role.
    pub role: Option<String>,
    /// Only those who are, or are not, disabled.
    pub disabled: Option<bool>,
    /// Only the one with this address, in lower case.
    pub email: Option<String>,
    /// Only those after this one.
    pub after: Option<ResourceId>,
    /// How many.
    pub limit: usize,
}

/// Which sessions to list, in the order of their creation.
#[derive(Clone, Debug, Default)]
pub struct SessionQuery {
    /// Only those of this person.
    pub user: Option<ResourceId>,
    /// Only those that end later, Unix milliseconds.
    pub alive_at_ms: u64,
    /// Only those used since, Unix milliseconds.
    pub seen_since_ms: u64,
    /// Only those after this one.
    pub after: Option<ResourceId>,
    /// How many.
    pub limit: usize,
}

/// What became of a change to a person.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Changed {
    /// It was made.
    Done,
    /// There is no such person.
    Gone,
    /// Somebody else changed them first: they have this version now.
    Stale(u64),
    /// Somebody else has the address, or the identity at the OpenID provider.
    Taken,
    /// No enabled owner would be left.
    LastOwner,
}

/// What became of the first person.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SetUp {
    /// They were created, and the code is used up.
    Done,
    /// There are people already.
    AlreadyDone,
    /// There is no such code, or it has expired.
    WrongCode,
}

/// With what a session begins.
#[derive(Clone, Copy, Debug)]
pub struct Begin<'a> {
    /// The hash of its random id.
    pub hash: &'a Hash,
    /// The version of the person that their credential was checked against.
    pub version: u64,
    /// How many sessions they may have.
    pub keep: usize,
}

/// Keeps people. Every call is one transaction, in which the act is also written down in the audit log; the calls block.
pub trait PeopleStore: Send + Sync {
    /// Returns whether there is anybody.
    ///
    /// # Errors
    /// When the database fails; so do all others.
    fn any_user(&self) -> Result<bool, StoreError>;

    /// Returns a person by their id.
    fn user(&self, id: ResourceId) -> Result<Option<UserRow>, StoreError>;

    /// Returns a person by their address, which is given in lower case.
    fn user_by_email(&self, email: &str) -> Result<Option<UserRow>, StoreError>;

    /// Returns a person by their identity at an OpenID provider.
    fn user_by_identity(&self, issuer: &str, subject: &str) -> Result<Option<UserRow>, StoreError>;

    /// Returns people, oldest first.
    fn list_users(&self, query: &UserQuery) -> Result<Vec<UserRow>, StoreError>;

    /// Creates a person: [`Changed::Done`] or [`Changed::Taken`].
    fn create_user(&self, user: &UserRow, log: &AuditRow) -> Result<Changed, StoreError>;

    /// Creates the first person when there is none and the code is a live one, and uses up every set-up code.
    fn set_up(&self, user: &UserRow, code: &Hash, now_ms: u64, log: &AuditRow) -> Result<SetUp, StoreError>;

    /// Writes a person in place of the one who has the version before theirs. `ends_sessions` ends their sessions and
    /// voids their codes with it. Without an entry for the log it is no act of anybody.
    fn change_user(&self, user: &UserRow, ends_sessions: bool, log: Option<&AuditRow>) -> Result<Changed, StoreError>;

    /// Deletes a person of a version, with their sessions and codes.
    fn delete_user(&self, id: ResourceId, version: u64, log: &AuditRow) -> Result<Changed, StoreError>;

    /// Begins a session when the person is enabled and still has the version that their credential was checked against;
    /// returns whether it did. Notes the sign-in, and forgets sessions of theirs that have ended or that are the oldest
    /// beyond [`Begin::keep`].
    fn begin_session(&self, session: &SessionRow, begin: Begin<'_>, log: &AuditRow) -> Result<bool, StoreError>;

    /// Returns a session and whose it is.
    fn session_by_hash(&self, hash: &Hash) -> Result<Option<(SessionRow, UserRow)>, StoreError>;

    /// Returns a session by what people call it.
    fn session(&self, id: ResourceId) -> Result<Option<SessionRow>, StoreError>;

    /// Returns sessions, oldest first.
    fn list_sessions(&self, query: &SessionQuery) -> Result<Vec<SessionRow>, StoreError>;

    /// Notes that a session is in use.
    fn touch_session(&self, id: ResourceId, now_ms: u64) -> Result<(), StoreError>;

    /// Ends a session; returns whether there was one. Without an entry for the log it ended by itself.
    fn end_session(&self, id: ResourceId, log: Option<&AuditRow>) -> Result<bool, StoreError>;

    /// Puts a code in place of the earlier ones of the same person, or of the set-up.
    fn put_code(
        &self,
        hash: &Hash,
        user: Option<ResourceId>,
        now_ms: u64,
        expires_at_ms: u64,
        log: Option<&AuditRow>,
    ) -> Result<(), StoreError>;

    /// Returns whose live code it is; a set-up code is nobody's.
    fn code_user(&self, hash: &Hash, now_ms: u64) -> Result<Option<ResourceId>, StoreError>;

    /// Writes down what changed nothing, such as a wrong password.
    fn log(&self, entry: &AuditRow) -> Result<(), StoreError>;
}
