//! The databases: what people configure (`control.db`), what happened (`records.db`, `payloads.db`) and what must not
//! happen twice (`idempotency.db`).
//!
//! This is the only crate that knows SQL. They are SQLite files in write-ahead mode, each with its own list of
//! migrations; the number of the last one applied is the file's `user_version`. The crate does not decide what a
//! request costs or who may use a key: it keeps what it is told.

use std::fs::{self, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, OpenFlags, TransactionBehavior};

pub mod audit;
pub mod backup;
pub mod events;
pub mod feedback;
pub mod idempotency;
pub mod payloads;
pub mod people;
pub mod records;
pub mod resources;
pub mod seal;

/// Why a database did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The file was written by a newer version of the product.
    #[error("{file} has schema version {found}, newer than the {known} that this version knows: upgrade crossway")]
    NewerVersion {
        /// The file's name.
        file: &'static str,
        /// The version found in the file.
        found: i64,
        /// The newest version that this build knows.
        known: i64,
    },
    /// The file is not a database, or a damaged one.
    #[error("{file} is corrupt or not a database: restore it from a backup, or move it away to start empty")]
    Corrupt {
        /// The file's name.
        file: &'static str,
    },
    /// The file cannot be created or opened.
    #[error("cannot open {file}")]
    Open {
        /// The file's name.
        file: &'static str,
        /// What the system says.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A statement failed.
    #[error("database error")]
    Database(#[from] rusqlite::Error),
    /// Another resource of the environment has the name.
    #[error("the name {name:?} is taken in environment {environment:?}")]
    NameTaken {
        /// The environment.
        environment: String,
        /// The name.
        name: String,
    },
    /// A stored document cannot be read.
    #[error("the stored document of {what} cannot be read")]
    Document {
        /// Which resource or request.
        what: String,
        /// What is wrong with it.
        #[source]
        source: serde_json::Error,
    },
    /// A listing was continued with a cursor that no listing returned.
    #[error("the cursor is not one that a listing returned")]
    BadCursor,
    /// The stored sums cannot be read.
    #[error(transparent)]
    Rollup(#[from] records::rollup::blob::DamagedRollup),
    /// What is asked would read too much.
    #[error("{0}")]
    TooBroad(&'static str),
    /// A time zone that this machine does not know.
    #[error(transparent)]
    Zone(#[from] records::zone::UnknownZone),
    /// A secret could not be made.
    #[error(transparent)]
    Seal(#[from] seal::SealError),
}

impl StoreError {
    /// Returns what whoever runs the gateway can do about it, when something can be done.
    pub fn advice(&self) -> Option<&'static str> {
        let Self::Database(error) = self else {
            return matches!(self, Self::Corrupt { .. }).then_some("restore the data directory from a backup");
        };
        match error.sqlite_error_code()? {
            ErrorCode::DiskFull => Some("the disk is full: make room where the data directory is, then try again"),
            ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked => Some("another process holds it: try again"),
            ErrorCode::SystemIoFailure | ErrorCode::ReadOnly | ErrorCode::CannotOpen | ErrorCode::PermissionDenied => {
                Some("the data directory cannot be written: look at the disk and at the permissions")
            }
            ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase => Some("restore the data directory from a backup"),
            _ => None,
        }
    }
}

/// One database file and its migrations, oldest first.
struct Schema {
    file: &'static str,
    page_bytes: u32,
    /// `NORMAL` keeps the file whole when the power fails, `FULL` also the last commits.
    synchronous: &'static str,
    migrations: &'static [&'static str],
}

impl Schema {
    /// Returns a connection to an up-to-date database, which is created when it does not exist.
    fn open_writer(&self, data_dir: &Path) -> Result<Connection, StoreError> {
        let path = data_dir.join(self.file);
        fs::create_dir_all(data_dir).map_err(|error| self.cannot_open(error))?;
        // SQLite gives the files beside it the same permissions.
        OpenOptions::new()
            .append(true)
            .create(true)
            .mode(0o600)
            .open(&path)
            .map_err(|error| self.cannot_open(error))?;
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let mut connection = Connection::open_with_flags(path, flags).map_err(|error| self.explain(error))?;
        self.prepare(&mut connection)?;
        Ok(connection)
    }

    /// Returns a connection that cannot write, to a database that exists.
    fn open_reader(&self, data_dir: &Path) -> Result<Connection, StoreError> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection =
            Connection::open_with_flags(data_dir.join(self.file), flags).map_err(|error| self.explain(error))?;
        connection.busy_timeout(BUSY_TIMEOUT)?;
        self.version(&connection)?;
        Ok(connection)
    }

    /// Returns a connection that cannot write; `None` when there is no database yet, or one that is being made: its file
    /// is there before its tables are.
    fn open_reader_if_made(&self, data_dir: &Path) -> Result<Option<Connection>, StoreError> {
        if !data_dir.join(self.file).exists() {
            return Ok(None);
        }
        let connection = self.open_reader(data_dir)?;
        Ok((self.version(&connection)? > 0).then_some(connection))
    }

    fn prepare(&self, connection: &mut Connection) -> Result<(), StoreError> {
        connection.busy_timeout(BUSY_TIMEOUT)?;
        self.version(connection)?;
        // The page size has to stand before the first page is written.
        connection.pragma_update(None, "page_size", self.page_bytes).map_err(|error| self.explain(error))?;
        connection
            .pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(()))
            .map_err(|error| self.explain(error))?;
        connection.pragma_update(None, "synchronous", self.synchronous)?;
        connection.pragma_update(None, "foreign_keys", true)?;
        self.migrate(connection).map_err(|error| match error {
            StoreError::Database(error) => self.explain(error),
            other => other,
        })
    }

    /// Applies what is missing in one transaction. The version is read again inside it: another process may have been
    /// faster.
    fn migrate(&self, connection: &mut Connection) -> Result<(), StoreError> {
        if self.version(connection)? == self.migrations.len() {
            return Ok(());
        }
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let done = self.version(&transaction)?;
        for (version, sql) in (1_i64..).zip(self.migrations).skip(done) {
            transaction.execute_batch(sql)?;
            transaction.pragma_update(None, "user_version", version)?;
        }
        transaction.commit()?;
        Ok(())
    }

    /// Returns the number of migrations applied.
    fn version(&self, connection: &Connection) -> Result<usize, StoreError> {
        let found: i64 =
            connection.query_row("PRAGMA user_version", [], |row| row.get(0)).map_err(|error| self.explain(error))?;
        match usize::try_from(found) {
            Ok(version) if version <= self.migrations.len() => Ok(version),
            Ok(_) => {
                let known = i64::try_from(self.migrations.len()).unwrap_or(i64::MAX);
                Err(StoreError::NewerVersion { file: self.file, found, known })
            }
            Err(_) => Err(StoreError::Corrupt { file: self.file }),
        }
    }

    fn explain(&self, error: rusqlite::Error) -> StoreError {
        match error.sqlite_error_code() {
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => StoreError::Corrupt { file: self.file },
            Some(ErrorCode::CannotOpen) => self.cannot_open(error),
            _ => StoreError::Database(error),
        }
    }

    fn cannot_open(&self, source: impl std::error::Error + Send + Sync + 'static) -> StoreError {
        StoreError::Open { file: self.file, source: Box::new(source) }
    }
}

/// How long a statement waits for another process before it fails.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// Returns a count as SQLite stores it: signed, the largest when it does not fit.
fn to_sql(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

/// Returns a stored count, 0 when somebody made it negative.
fn from_sql(value: i64) -> u64 {
    u64::try_from(value).unwrap_or(0)
}

#[cfg(test)]
mod tests;
