//! The control database: what people configure, as versioned documents in one table for every kind.
//!
//! [`ResourceStore`] says what the control plane needs of a database, [`sqlite`] gives it. The store keeps documents as
//! text and does not look into them: kinds, rules and secrets are the control plane's affair. A key's secret is never
//! here, only its keyed hash and the ten characters that people tell keys apart by.

pub mod row;
pub mod sqlite;

use ir::id::ResourceId;

use crate::StoreError;
use row::{AuditQuery, AuditRow, Changes, KeyQuery, Reference, Referrer, Row, SecretRow};

/// The plural name of the kind that has secrets of its own making.
pub const KEYS: &str = "keys";

/// What can be read, inside a transaction and outside.
pub trait ResourceReader {
    /// Returns the number of the last change that was committed, by whichever process.
    ///
    /// # Errors
    /// When the database fails, as every function here.
    fn sequence(&self) -> Result<u64, StoreError>;

    /// Returns what changed after a change.
    ///
    /// # Errors
    /// When the database fails.
    fn changes_after(&self, sequence: u64) -> Result<Changes, StoreError>;

    /// Returns a document by its name.
    ///
    /// # Errors
    /// When the database fails.
    fn by_name(&self, kind: &str, environment: &str, name: &str) -> Result<Option<Row>, StoreError>;

    /// Returns a document by its id.
    ///
    /// # Errors
    /// When the database fails.
    fn by_id(&self, id: ResourceId) -> Result<Option<Row>, StoreError>;

    /// Returns every document of every kind but keys, in the order of their ids.
    ///
    /// # Errors
    /// When the database fails.
    fn all_but_keys(&self) -> Result<Vec<Row>, StoreError>;

    /// Returns a page of keys, in the order of their ids, each with its secrets.
    ///
    /// # Errors
    /// When the database fails.
    fn keys(&self, query: &KeyQuery) -> Result<Vec<(Row, Vec<SecretRow>)>, StoreError>;

    /// Hands over every key with its secrets, in the order of their ids, without holding all of them.
    ///
    /// # Errors
    /// When the database fails.
    fn each_key(&self, visit: &mut dyn FnMut(Row, Vec<SecretRow>)) -> Result<(), StoreError>;

    /// Returns the secrets of a key: the current one, then those that were replaced, the newest first.
    ///
    /// # Errors
    /// When the database fails.
    fn secrets_of(&self, key: ResourceId) -> Result<Vec<SecretRow>, StoreError>;

    /// Returns the ids of an environment's keys that have a secret of this prefix; at most two.
    ///
    /// # Errors
    /// When the database fails.
    fn keys_by_prefix(&self, environment: &str, prefix: &str) -> Result<Vec<ResourceId>, StoreError>;

    /// Returns who refers to a name, at most so many.
    ///
    /// # Errors
    /// When the database fails.
    fn referrers(&self, environment: &str, kind: &str, name: &str, limit: usize) -> Result<Vec<Referrer>, StoreError>;

    /// Returns how many documents of each kind an environment has.
    ///
    /// # Errors
    /// When the database fails.
    fn counts(&self, environment: &str) -> Result<Vec<(String, u64)>, StoreError>;

    /// Returns a page of the audit log, newest first.
    ///
    /// # Errors
    /// When the database fails.
    fn audit(&self, query: &AuditQuery) -> Result<Vec<AuditRow>, StoreError>;

    /// Returns entries of the audit log behind a number, oldest first.
    ///
    /// # Errors
    /// When the database fails.
    fn audit_after(&self, after: u64, limit: usize) -> Result<Vec<AuditRow>, StoreError>;

    /// Returns the number of the last entry of the audit log.
    ///
    /// # Errors
    /// When the database fails.
    fn audit_end(&self) -> Result<u64, StoreError>;

    /// Returns a fact about the database itself.
    ///
    /// # Errors
    /// When the database fails.
    fn fact(&self, name: &str) -> Result<Option<String>, StoreError>;
}

/// A database of documents. It has one writer at a time among all processes.
pub trait ResourceStore: ResourceReader + Send {
    /// Begins to write. What is read in the transaction stays true until it ends.
    ///
    /// # Errors
    /// When another process does not let go of the database in time, or the database fails.
    fn begin(&mut self) -> Result<Box<dyn Transaction + '_>, StoreError>;

    /// Returns another connection, which only reads and waits for no writer.
    ///
    /// # Errors
    /// When it cannot be made.
    fn reader(&self) -> Result<Box<dyn ResourceReader + Send>, StoreError>;
}

/// Writes that take effect together, or, when it is dropped, not at all.
pub trait Transaction: ResourceReader {
    /// Adds a document.
    ///
    /// # Errors
    /// [`StoreError::NameTaken`], or when the database fails.
    fn insert(&mut self, row: &Row) -> Result<(), StoreError>;

    /// Puts a document in the place of the one with its id.
    ///
    /// # Errors
    /// When the database fails.
    fn update(&mut self, row: &Row) -> Result<(), StoreError>;

    /// Removes a document, its secrets and its references.
    ///
    /// # Errors
    /// When the database fails.
    fn delete(&mut self, row: &Row) -> Result<(), StoreError>;

    /// Says what a document refers to, instead of what was said before.
    ///
    /// # Errors
    /// When the database fails.
    fn refer(&mut self, environment: &str, from: ResourceId, references: &[Reference]) -> Result<(), StoreError>;

    /// Says which secrets a key has, instead of what was said before.
    ///
    /// # Errors
    /// When the database fails.
    fn put_secrets(&mut self, key: ResourceId, secrets: &[SecretRow]) -> Result<(), StoreError>;

    /// Adds an entry to the audit log. Its number is given by the database.
    ///
    /// # Errors
    /// When the database fails.
    fn log(&mut self, entry: &AuditRow) -> Result<(), StoreError>;

    /// Puts down a fact about the database itself.
    ///
    /// # Errors
    /// When the database fails.
    fn put_fact(&mut self, name: &str, value: &str) -> Result<(), StoreError>;

    /// Makes it all so, on the disk, and returns the number of the last change.
    ///
    /// # Errors
    /// When the database fails: then nothing was written.
    fn commit(self: Box<Self>) -> Result<u64, StoreError>;
}
