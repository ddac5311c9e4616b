//! Numbers for the words that many rows share. An index of numbers is several times cheaper to keep than one of text,
//! and a row gets shorter.
//!
//! The numbers are remembered as long as they are true: when a transaction fails, what it added is gone, and everything
//! has to be [`Names::forget`]ten.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::Arc;

use ir::id::ResourceId;
use ir::settlement::{Outcome, Settlement, Subject};
use ir::usage::UsageOrigin;
use rusqlite::{Connection, OptionalExtension as _, Params};

use super::recent::Recent;
use super::rollup::sums::Key;
use crate::StoreError;

/// The most words remembered; the database remembers all.
const MAX_REMEMBERED: usize = 10_000;

/// What is remembered of the tables `names`, `callers` and `tag_sets`.
#[derive(Default)]
pub(super) struct Names {
    names: HashMap<Box<str>, u32, FastHash>,
    recent_names: Recent<str, u32>,
    /// By the key's name.
    recent_callers: Recent<str, (Caller, u32)>,
    recent_tags: Recent<[Arc<str>], u32>,
    /// The numbers of outcomes and of origins of usage, 0 where none is known.
    outcomes: [u32; Outcome::ALL.len()],
    origins: [u32; UsageOrigin::Estimated as usize + 1],
    /// The surface of the record before: every settlement has a text of its own.
    surface: (Box<str>, u32),
    /// By a hash of what tells callers apart soonest.
    callers: HashMap<u64, Vec<(Caller, u32)>, FastHash>,
    tag_sets: HashMap<Arc<[Arc<str>]>, u32, FastHash>,
}

/// Who asks.
struct Caller {
    environment: Arc<str>,
    key_name: Arc<str>,
    key: Option<ResourceId>,
    team: Option<Arc<str>>,
}

/// The numbers of everything that a row names.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Numbers {
    /// What the rollups tell apart.
    pub(super) key: Key,
    pub(super) usage_origin: u32,
    pub(super) baseline: u32,
}

impl Names {
    /// Returns the numbers of what a settlement names; what has none gets one.
    pub(super) fn numbers(&mut self, connection: &Connection, one: &Settlement) -> Result<Numbers, StoreError> {
        let Settlement { subject, .. } = one;
        Ok(Numbers {
            key: Key {
                caller: self.caller(connection, subject)?,
                tags: self.tags(connection, &subject.cost_tags)?,
                model: self.optional(connection, one.model.as_ref())?,
                provider: self.optional(connection, one.provider.as_ref())?,
                surface: self.surface(connection, &subject.surface)?,
                outcome: self.outcome(connection, one.outcome)?,
                error: self.optional(connection, one.error_code.as_ref())?,
                status: one.status,
                stream: subject.stream,
                fallback: one.attempts.len() > 1,
            },
            usage_origin: self.origin(connection, one.usage_origin)?,
            baseline: self.optional(connection, one.baseline.as_ref())?,
        })
    }

    /// Returns the number of a word of the configuration.
    pub(super) fn shared(&mut self, connection: &Connection, word: &Arc<str>) -> Result<u32, StoreError> {
        if let Some(number) = self.recent_names.get(word) {
            return Ok(*number);
        }
        let number = self.name(connection, word)?;
        self.recent_names.put(word, number);
        Ok(number)
    }

    /// Returns the number of a word that may be absent, 0 when it is.
    fn optional(&mut self, connection: &Connection, word: Option<&Arc<str>>) -> Result<u32, StoreError> {
        word.map_or(Ok(0), |word| self.shared(connection, word))
    }

    fn surface(&mut self, connection: &Connection, surface: &str) -> Result<u32, StoreError> {
        let (last, number) = &self.surface;
        if **last == *surface && *number != 0 {
            return Ok(*number);
        }
        let number = self.name(connection, surface)?;
        self.surface = (surface.into(), number);
        Ok(number)
    }

    fn outcome(&mut self, connection: &Connection, outcome: Outcome) -> Result<u32, StoreError> {
        let known = self.outcomes.get(outcome as usize).copied().unwrap_or_default();
        if known != 0 {
            return Ok(known);
        }
        let number = self.name(connection, outcome.name())?;
        self.outcomes.get_mut(outcome as usize).into_iter().for_each(|known| *known = number);
        Ok(number)
    }

    fn origin(&mut self, connection: &Connection, origin: UsageOrigin) -> Result<u32, StoreError> {
        let known = self.origins.get(origin as usize).copied().unwrap_or_default();
        if known != 0 {
            return Ok(known);
        }
        let number = self.name(connection, origin.name())?;
        self.origins.get_mut(origin as usize).into_iter().for_each(|known| *known = number);
        Ok(number)
    }

    fn name(&mut self, connection: &Connection, name: &str) -> Result<u32, StoreError> {
        if let Some(number) = self.names.get(name) {
            return Ok(*number);
        }
        let number =
            intern(connection, "SELECT id FROM names WHERE name = ?1", "INSERT INTO names (name) VALUES (?1)", [name])?;
        make_room(&mut self.names);
        self.names.insert(name.into(), number);
        Ok(number)
    }

    fn caller(&mut self, connection: &Connection, subject: &Subject) -> Result<u32, StoreError> {
        if let Some((caller, number)) = self.recent_callers.get(&subject.key_name)
            && caller.is_of(subject)
        {
            return Ok(*number);
        }
        let number = self.find_caller(connection, subject)?;
        self.recent_callers.put(&subject.key_name, (Caller::of(subject), number));
        Ok(number)
    }

    fn find_caller(&mut self, connection: &Connection, subject: &Subject) -> Result<u32, StoreError> {
        let Subject { environment, key_name, key, team, .. } = subject;
        let mut hasher = Fx::default();
        match key {
            // The end of an id is random.
            Some(ResourceId([.., a, b, c, d, e, f])) => hasher.write(&[*a, *b, *c, *d, *e, *f]),
            None => hasher.write(key_name.as_bytes()),
        }
        let hash = hasher.finish();
        let known =
            self.callers.get(&hash).and_then(|callers| callers.iter().find(|(caller, _)| caller.is_of(subject)));
        if let Some((_, number)) = known {
            return Ok(*number);
        }
        let number = intern(
            connection,
            "SELECT id FROM callers WHERE environment = ?1 AND key_name = ?2 AND key_id IS ?3 AND team IS ?4",
            "INSERT INTO callers (environment, key_name, key_id, team) VALUES (?1, ?2, ?3, ?4)",
            (&**environment, &**key_name, key.map(|id| id.0), team.as_deref()),
        )?;
        make_room(&mut self.callers);
        self.callers.entry(hash).or_default().push((Caller::of(subject), number));
        Ok(number)
    }

    fn tags(&mut self, connection: &Connection, tags: &Arc<[Arc<str>]>) -> Result<u32, StoreError> {
        if tags.is_empty() {
            return Ok(0);
        }
        if let Some(number) = self.recent_tags.get(tags) {
            return Ok(*number);
        }
        let number = self.find_tags(connection, tags)?;
        self.recent_tags.put(tags, number);
        Ok(number)
    }

    fn find_tags(&mut self, connection: &Connection, tags: &Arc<[Arc<str>]>) -> Result<u32, StoreError> {
        if let Some(number) = self.tag_sets.get(tags) {
            return Ok(*number);
        }
        let text = serde_json::to_string(tags)
            .map_err(|source| StoreError::Document { what: "cost tags".to_owned(), source })?;
        let number = intern(
            connection,
            "SELECT id FROM tag_sets WHERE tags = ?1",
            "INSERT INTO tag_sets (tags) VALUES (?1)",
            [text.as_str()],
        )?;
        make_room(&mut self.tag_sets);
        self.tag_sets.insert(Arc::clone(tags), number);
        Ok(number)
    }

    /// Forgets what a failed transaction may have taken back.
    pub(super) fn forget(&mut self) {
        *self = Self::default();
    }
}

impl Caller {
    fn of(subject: &Subject) -> Self {
        let Subject { environment, key_name, key, team, .. } = subject;
        let (environment, key_name) = (Arc::clone(environment), Arc::clone(key_name));
        Self { environment, key_name, key: *key, team: team.clone() }
    }

    fn is_of(&self, subject: &Subject) -> bool {
        let same = |one: &Arc<str>, other: &Arc<str>| Arc::ptr_eq(one, other) || one == other;
        self.key == subject.key
            && same(&self.key_name, &subject.key_name)
            && same(&self.environment, &subject.environment)
            && match (&self.team, &subject.team) {
                (Some(team), Some(other)) => same(team, other),
                (None, None) => true,
                _ => false,
            }
    }
}

fn intern<P: Params + Clone>(connection: &Connection, find: &str, add: &str, values: P) -> Result<u32, StoreError> {
    let found = connection.prepare_cached(find)?.query_row(values.clone(), |row| row.get(0)).optional()?;
    let number: i64 = match found {
        Some(number) => number,
        None => connection.prepare_cached(add)?.insert(values)?,
    };
    Ok(u32::try_from(number).unwrap_or(u32::MAX))
}

fn make_room<K, V>(remembered: &mut HashMap<K, V, FastHash>) {
    if remembered.len() >= MAX_REMEMBERED {
        remembered.clear();
    }
}

type FastHash = BuildHasherDefault<Fx>;

/// Firefox's hash, of eight bytes at a time. The words come from the configuration, and are short: the standard hash would
/// cost more than the comparison.
struct Fx(u64);

impl Default for Fx {
    fn default() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }
}

impl Fx {
    fn add(&mut self, word: u64) {
        self.0 = (self.0.rotate_left(5) ^ word).wrapping_mul(0x517c_c1b7_2722_0a95);
    }
}

impl Hasher for Fx {
    fn write(&mut self, bytes: &[u8]) {
        let (words, rest) = bytes.as_chunks::<8>();
        for word in words {
            self.add(u64::from_le_bytes(*word));
        }
        for byte in rest {
            self.add(u64::from(*byte));
        }
    }

    /// The high bits are the good ones, and tables go by the low ones.
    fn finish(&self) -> u64 {
        self.0 ^ (self.0 >> 32)
    }
}
