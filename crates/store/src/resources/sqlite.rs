//! The control database in a SQLite file.

mod keys;
mod read;
mod write;

use std::path::{Path, PathBuf};

use rusqlite::{Connection, TransactionBehavior};

use super::{ResourceReader, ResourceStore, Transaction};
use crate::{Schema, StoreError};

pub(crate) const SCHEMA: Schema = Schema {
    file: "control.db",
    page_bytes: 4096,
    // What an operator was told is done stays done, also when the power fails.
    synchronous: "FULL",
    migrations: &[
        include_str!("../../migrations/control/0001_resources.sql"),
        include_str!("../../migrations/control/0002_documents.sql"),
        include_str!("../../migrations/control/0003_people.sql"),
        include_str!("../../migrations/control/0004_audit_chain.sql"),
    ],
};

/// A connection to the control database. It is used from one thread at a time; several processes may have one each.
pub struct SqliteResources {
    connection: Connection,
    data_dir: PathBuf,
}

impl SqliteResources {
    /// Opens `control.db`, creates it when it does not exist and brings its schema up to date.
    ///
    /// # Errors
    /// When it cannot be opened, is corrupt, or was written by a newer version.
    pub fn open(data_dir: &Path) -> Result<Self, StoreError> {
        let connection = SCHEMA.open_writer(data_dir)?;
        let verdict: String = connection
            .query_row("PRAGMA quick_check(1)", [], |row| row.get(0))
            .map_err(|error| SCHEMA.explain(error))?;
        if verdict != "ok" {
            return Err(StoreError::Corrupt { file: SCHEMA.file });
        }
        Ok(Self { connection, data_dir: data_dir.to_owned() })
    }

    /// Lets the file grow by so many pages through this connection and no further: a disk that is full, for tests.
    ///
    /// # Errors
    /// When the database cannot be used.
    pub fn leave_room_for(&self, pages: u32) -> Result<(), StoreError> {
        let there: u32 = self.connection.query_row("PRAGMA page_count", [], |row| row.get(0))?;
        let most = there.saturating_add(pages);
        Ok(self.connection.pragma_update_and_check(None, "max_page_count", most, |_| Ok(()))?)
    }
}

impl ResourceStore for SqliteResources {
    fn begin(&mut self) -> Result<Box<dyn Transaction + '_>, StoreError> {
        let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        Ok(Box::new(SqliteTransaction { transaction }))
    }

    fn reader(&self) -> Result<Box<dyn ResourceReader + Send>, StoreError> {
        Ok(Box::new(SqliteReader { connection: SCHEMA.open_reader(&self.data_dir)? }))
    }
}

/// A connection that only reads.
struct SqliteReader {
    connection: Connection,
}

/// Writes that take effect together.
struct SqliteTransaction<'a> {
    transaction: rusqlite::Transaction<'a>,
}

/// Whatever has a connection can read.
pub(crate) trait Connected {
    fn connection(&self) -> &Connection;
}

impl Connected for SqliteResources {
    fn connection(&self) -> &Connection {
        &self.connection
    }
}

impl Connected for SqliteReader {
    fn connection(&self) -> &Connection {
        &self.connection
    }
}

impl Connected for SqliteTransaction<'_> {
    fn connection(&self) -> &Connection {
        &self.transaction
    }
}
