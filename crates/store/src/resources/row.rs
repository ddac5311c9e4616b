//! What the control database holds, and how it is asked for.

use ir::id::ResourceId;

use crate::audit;

/// A stored document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// The plural name of its kind.
    pub kind: String,
    /// The environment it belongs to; empty for kinds that belong to none.
    pub environment: String,
    /// Its identity.
    pub id: ResourceId,
    /// Its name, unique among the documents of its kind and environment.
    pub name: String,
    /// Counts its changes, from 1.
    pub version: u64,
    /// The form of its spec, for kinds whose form has changed.
    pub schema: u32,
    /// What people wrote, as JSON. Secrets in it are sealed.
    pub spec: String,
    /// When it was created, Unix milliseconds.
    pub created_at_ms: u64,
    /// When it was changed last, Unix milliseconds.
    pub updated_at_ms: u64,
    /// When it was revoked, Unix milliseconds.
    pub revoked_at_ms: Option<u64>,
    /// What lists are filtered by.
    pub labels: Labels,
}

/// What lists of keys are filtered by: a copy of what the spec says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Labels {
    /// The team.
    pub team: Option<String>,
    /// Who answers for it; empty for nobody.
    pub owner: String,
    /// Whether it is switched on.
    pub enabled: bool,
    /// When it expires, Unix milliseconds.
    pub expires_at_ms: Option<u64>,
}

impl Default for Labels {
    fn default() -> Self {
        Self { team: None, owner: String::new(), enabled: true, expires_at_ms: None }
    }
}

/// A live secret of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecretRow {
    /// Its keyed hash.
    pub hash: [u8; 32],
    /// Its first characters.
    pub prefix: String,
    /// When it was made, Unix milliseconds.
    pub created_at_ms: u64,
    /// Until when it is good, Unix milliseconds; `None` for as long as the key is.
    pub until_ms: Option<u64>,
}

/// What a document refers to.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Reference {
    /// The plural name of the kind.
    pub kind: &'static str,
    /// The name, in the form in which names of the kind are compared.
    pub name: String,
    /// The field that says so, such as `fallbacks[0]`.
    pub field: String,
}

/// A document that refers to something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Referrer {
    /// The plural name of its kind.
    pub kind: String,
    /// Its name.
    pub name: String,
    /// Its identity.
    pub id: ResourceId,
}

/// What changed after a change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Changes {
    /// These documents, each once.
    Those(Vec<Changed>),
    /// So much, or so long ago, that everything has to be read again.
    Everything,
}

/// A document that was made, changed or removed.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Changed {
    /// The environment it belongs to; empty for kinds that belong to none.
    pub environment: String,
    /// The plural name of its kind.
    pub kind: String,
    /// Its identity.
    pub id: ResourceId,
}

/// Which keys to list. Absent conditions do not bind.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeyQuery {
    /// The environment.
    pub environment: Option<String>,
    /// Whose keys the asker may see; `None` for all.
    pub seen_by: Option<SeenBy>,
    /// The team.
    pub team: Option<String>,
    /// Who answers for it.
    pub owner: Option<String>,
    /// Its state now.
    pub state: Option<KeyState>,
    /// A part of the name, or the first characters of a secret; case does not matter in names.
    pub text: Option<String>,
    /// The time now, Unix milliseconds: it decides which keys have expired.
    pub now_ms: u64,
    /// Where the page before ended.
    pub after: Option<ResourceId>,
    /// How many.
    pub limit: usize,
}

/// Somebody who sees their own keys and those of some teams.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SeenBy {
    /// Who they are; nobody's keys for an empty name.
    pub owner: String,
    /// The teams whose keys they see.
    pub teams: Vec<String>,
}

/// Whether a key may be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyState {
    /// Yes.
    Active,
    /// It is switched off.
    Disabled,
    /// Its time is over.
    Expired,
    /// Never again.
    Revoked,
}

impl KeyState {
    /// The states and their names.
    pub const ALL: [(Self, &'static str); 4] = [
        (Self::Active, "active"),
        (Self::Disabled, "disabled"),
        (Self::Expired, "expired"),
        (Self::Revoked, "revoked"),
    ];

    /// Returns the state of a key at an instant (Unix milliseconds).
    pub fn of(row: &Row, now_ms: u64) -> Self {
        match row {
            Row { revoked_at_ms: Some(_), .. } => Self::Revoked,
            Row { labels, .. } if labels.expires_at_ms.is_some_and(|expires| now_ms >= expires) => Self::Expired,
            Row { labels, .. } if !labels.enabled => Self::Disabled,
            Row { .. } => Self::Active,
        }
    }

    /// Returns its name.
    pub fn name(self) -> &'static str {
        Self::ALL.iter().find(|(state, _)| *state == self).map_or("", |(_, name)| name)
    }

    /// Returns the state of a name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.iter().find(|(_, other)| *other == name).map(|(state, _)| *state)
    }
}

/// An entry of the audit log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AuditRow {
    /// Its number; given by the database.
    pub seq: u64,
    /// When it happened, Unix milliseconds.
    pub at_ms: u64,
    /// Who did it.
    pub actor: String,
    /// Their role.
    pub role: String,
    /// Where they were.
    pub ip: Option<String>,
    /// The request; empty outside of one.
    pub request_id: String,
    /// What they did, such as `create`.
    pub action: String,
    /// The plural name of the kind.
    pub kind: String,
    /// The environment.
    pub environment: String,
    /// The name of the thing.
    pub name: String,
    /// Its identity.
    pub resource_id: Option<ResourceId>,
    /// Its spec before, without secrets.
    pub before: Option<String>,
    /// Its spec after, without secrets.
    pub after: Option<String>,
    /// The hash of all that and of the entry before; given by the database. Entries of older versions have none.
    pub hash: Option<audit::Hash>,
}

/// Which entries of the audit log to list. Absent conditions do not bind.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AuditQuery {
    /// Who did it.
    pub actor: Option<String>,
    /// What they did.
    pub action: Option<String>,
    /// The plural name of the kind.
    pub kind: Option<String>,
    /// The environment.
    pub environment: Option<String>,
    /// The name of the thing.
    pub name: Option<String>,
    /// At this instant or later, Unix milliseconds.
    pub from_ms: Option<u64>,
    /// Before this instant, Unix milliseconds.
    pub to_ms: Option<u64>,
    /// Older than the entry of this number.
    pub before: Option<u64>,
    /// How many.
    pub limit: usize,
}
