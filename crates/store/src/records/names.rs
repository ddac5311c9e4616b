//! Numbers for the words that many rows share. An index of numbers is several times cheaper to keep than one of text,
//! and a row gets shorter.
//!
//! The numbers are remembered as long as they are true: when a transaction fails, what it added is gone, and everything
//! has to be [`Names::forget`]ten.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension as _, Params};

use crate::StoreError;

/// The most words remembered; the database remembers all.
const MAX_REMEMBERED: usize = 10_000;

/// What is remembered of the tables `names` and `callers`.
#[derive(Default)]
pub(super) struct Names {
    names: HashMap<Box<str>, i64, FastHash>,
    callers: HashMap<(Arc<str>, Arc<str>), i64, FastHash>,
}

impl Names {
    /// Returns the number of a word, which it gets if it has none.
    pub(super) fn name(&mut self, connection: &Connection, name: &str) -> Result<i64, StoreError> {
        if let Some(number) = self.names.get(name) {
            return Ok(*number);
        }
        let number =
            intern(connection, "SELECT id FROM names WHERE name = ?1", "INSERT INTO names (name) VALUES (?1)", [name])?;
        make_room(&mut self.names);
        self.names.insert(name.into(), number);
        Ok(number)
    }

    /// Returns the number of a word that may be absent.
    pub(super) fn optional(&mut self, connection: &Connection, name: Option<&str>) -> Result<Option<i64>, StoreError> {
        name.map(|name| self.name(connection, name)).transpose()
    }

    /// Returns the number of a key's name in an environment, which it gets if it has none.
    pub(super) fn caller(
        &mut self,
        connection: &Connection,
        environment: &Arc<str>,
        key_name: &Arc<str>,
    ) -> Result<i64, StoreError> {
        let caller = (Arc::clone(environment), Arc::clone(key_name));
        if let Some(number) = self.callers.get(&caller) {
            return Ok(*number);
        }
        let number = intern(
            connection,
            "SELECT id FROM callers WHERE environment = ?1 AND key_name = ?2",
            "INSERT INTO callers (environment, key_name) VALUES (?1, ?2)",
            (&**environment, &**key_name),
        )?;
        make_room(&mut self.callers);
        self.callers.insert(caller, number);
        Ok(number)
    }

    /// Forgets what a failed transaction may have taken back.
    pub(super) fn forget(&mut self) {
        self.names.clear();
        self.callers.clear();
    }
}

fn intern<P: Params + Clone>(connection: &Connection, find: &str, add: &str, values: P) -> Result<i64, StoreError> {
    let found = connection.prepare_cached(find)?.query_row(values.clone(), |row| row.get(0)).optional()?;
    Ok(match found {
        Some(number) => number,
        None => connection.prepare_cached(add)?.insert(values)?,
    })
}

fn make_room<K, V>(remembered: &mut HashMap<K, V, FastHash>) {
    if remembered.len() >= MAX_REMEMBERED {
        remembered.clear();
    }
}

type FastHash = BuildHasherDefault<Fnv>;

/// FNV-1a. The words come from the configuration, and are short: the standard hash would cost more than the comparison.
struct Fnv(u64);

impl Default for Fnv {
    fn default() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }
}

impl Hasher for Fnv {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }

    fn finish(&self) -> u64 {
        self.0
    }
}
