//! Copies of the databases that are whole although somebody writes, and their migrations as an act of their own.
//!
//! What a backup is made of besides databases, and how it is packed, is the command line's business.

use std::path::Path;

use aws_lc_rs::digest::{Context, SHA256};
use rusqlite::backup::{Backup, StepResult};
use rusqlite::{Connection, ErrorCode, OpenFlags};

use crate::resources::sqlite;
use crate::{Schema, StoreError, events, feedback, idempotency, payloads, records};

/// The databases, in the order in which they are copied: what happened before what is configured, so that every record
/// finds the key that it names.
const SCHEMAS: [Schema; 6] =
    [payloads::SCHEMA, idempotency::SCHEMA, feedback::SCHEMA, events::SCHEMA, records::SCHEMA, sqlite::SCHEMA];

/// Why a database could not be copied or checked.
#[derive(Debug, thiserror::Error)]
pub enum CopyError {
    /// The original cannot be read.
    #[error(transparent)]
    Source(#[from] StoreError),
    /// The copy cannot be written: the disk is full.
    #[error("no room is left on the disk")]
    Full,
    /// The copy cannot be written.
    #[error("the copy cannot be written")]
    Copy(#[source] rusqlite::Error),
    /// Another process keeps the original locked.
    #[error("{file} is locked by another process: try again")]
    Locked {
        /// The file's name.
        file: &'static str,
    },
    /// The copy is not whole.
    #[error("{file} is damaged: {verdict}")]
    Damaged {
        /// The file's name.
        file: String,
        /// What SQLite says.
        verdict: String,
    },
}

/// What a migration did to one database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Migrated {
    /// The file's name.
    pub file: &'static str,
    /// The version before; `None` when there was no such file.
    pub before: Option<usize>,
    /// The version now.
    pub after: usize,
}

/// Returns the names of the databases in the order in which they are copied.
pub fn databases() -> impl Iterator<Item = &'static str> {
    SCHEMAS.iter().map(|schema| schema.file)
}

/// Copies one database of a data directory into a new file, as of one instant, while others write to it. Returns false
/// when the directory has no such database.
///
/// # Errors
/// When it is no database, of a newer version or locked, and when the copy cannot be written.
pub fn copy(data_dir: &Path, file: &str, to: &Path) -> Result<bool, CopyError> {
    let known = SCHEMAS.iter().find(|schema| schema.file == file && data_dir.join(file).exists());
    let Some(schema) = known else { return Ok(false) };
    let file = schema.file;
    let source = schema.open_reader(data_dir)?;
    let written = |error: rusqlite::Error| match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => CopyError::Full,
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => StoreError::Corrupt { file }.into(),
        _ => CopyError::Copy(error),
    };
    let mut target = Connection::open(to).map_err(written)?;
    // One step reads all of it in one transaction; several would begin anew whenever somebody else has written.
    let step = Backup::new(&source, &mut target).and_then(|backup| backup.step(-1)).map_err(written)?;
    match step {
        StepResult::Done => Ok(true),
        _ => Err(CopyError::Locked { file }),
    }
}

/// Checks that a database is whole: every page, index and constraint.
///
/// # Errors
/// [`CopyError::Damaged`] with the first fault, and when the file cannot be read.
pub fn check(path: &Path) -> Result<(), CopyError> {
    let file = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let damaged = |error: rusqlite::Error| CopyError::Damaged { file: file.clone(), verdict: error.to_string() };
    let connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE).map_err(damaged)?;
    let verdict: String = connection.query_row("PRAGMA integrity_check(1)", [], |row| row.get(0)).map_err(damaged)?;
    if verdict == "ok" { Ok(()) } else { Err(CopyError::Damaged { file, verdict }) }
}

/// Brings the databases of a data directory up to date; one that is not there yet is left to be made at the first
/// start.
///
/// # Errors
/// When one is damaged, of a newer version or cannot be opened; those before it are up to date then.
pub fn migrate(data_dir: &Path) -> Result<Vec<Migrated>, StoreError> {
    // A newer version is found before anything is changed.
    let mut found = Vec::new();
    for schema in &SCHEMAS {
        let there = data_dir.join(schema.file).exists();
        let before = there.then(|| schema.open_reader(data_dir).and_then(|reader| schema.version(&reader)));
        found.push((schema, before.transpose()?));
    }
    let mut done = Vec::new();
    for (schema, before) in found {
        let after = match before {
            Some(_) => schema.version(&schema.open_writer(data_dir)?)?,
            None => 0,
        };
        done.push(Migrated { file: schema.file, before, after });
    }
    Ok(done)
}

/// The SHA-256 of what is put in.
pub struct Digest(Context);

impl Default for Digest {
    fn default() -> Self {
        Self(Context::new(&SHA256))
    }
}

impl Digest {
    /// Adds bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// Returns the digest in lower-case hexadecimal digits.
    pub fn finish(self) -> String {
        self.0.finish().as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
    }
}
