//! Tests of the databases through their public functions, each in a directory of its own.

use std::fs;
use std::ops::Deref;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ir::id::{RequestId, ResourceId};
use ir::money::NanoUsd;
use ir::settlement::{AttemptRecord, Outcome, Settlement, Subject};
use ir::usage::{Usage, UsageOrigin};

use crate::StoreError;
use crate::records::Records;
use crate::records::filter::Filter;
use crate::records::read::{ListQuery, RecordsReader};
use crate::resources::sqlite::SqliteResources;
use crate::seal::{MasterKey, SealError, generate_secret};

mod audit;
mod backup;
mod events;
mod migrating;
mod people;
pub(crate) mod requests;
mod resources;
mod rollups;
mod seal;
mod searching;
mod together;

pub(crate) const NOW_MS: u64 = 1_795_000_000_123;

/// A directory that goes away with the test.
pub(crate) struct Directory(PathBuf);

impl Directory {
    pub(crate) fn new() -> Self {
        let path = std::env::temp_dir().join(format!("crossway-store-{}", ResourceId::new(NOW_MS)));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }
}

impl Deref for Directory {
    type Target = Path;

    fn deref(&self) -> &Path {
        &self.0
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn open_error<T>(opened: Result<T, StoreError>) -> StoreError {
    opened.err().unwrap()
}

#[test]
fn a_newer_database_is_refused() {
    let dir = Directory::new();
    drop(SqliteResources::open(&dir).unwrap());
    drop(Records::open(&dir).unwrap());
    for file in ["control.db", "records.db"] {
        rusqlite::Connection::open(dir.join(file)).unwrap().pragma_update(None, "user_version", 7).unwrap();
    }
    for error in [
        open_error(SqliteResources::open(&dir)),
        open_error(Records::open(&dir)),
        open_error(RecordsReader::open(&dir)),
    ] {
        assert!(matches!(error, StoreError::NewerVersion { found: 7, .. }), "{error}");
    }
}

#[test]
fn a_corrupt_database_is_named() {
    let dir = Directory::new();
    for file in ["control.db", "records.db"] {
        fs::write(dir.join(file), "this is not a database, it only stands in its place".repeat(200)).unwrap();
    }
    let error = open_error(SqliteResources::open(&dir)).to_string();
    assert!(error.starts_with("control.db is corrupt or not a database"), "{error}");
    let error = open_error(Records::open(&dir)).to_string();
    assert!(error.starts_with("records.db is corrupt or not a database"), "{error}");
}

#[test]
fn databases_are_private() {
    let dir = Directory::new();
    let _store = SqliteResources::open(&dir).unwrap();
    assert_eq!(fs::metadata(dir.join("control.db")).unwrap().permissions().mode() & 0o777, 0o600);
}
