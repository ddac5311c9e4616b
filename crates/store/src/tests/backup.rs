//! Copies made while somebody writes, and migrations.

use std::thread;

use rusqlite::Connection;

use super::Directory;
use crate::StoreError;
use crate::backup::{CopyError, Digest, Migrated, check, copy, databases, migrate};
use crate::records::Records;
use crate::resources::sqlite::SqliteResources;

#[test]
fn a_copy_is_whole_while_somebody_writes() {
    let dir = Directory::new();
    let mut records = Records::open(&dir).unwrap();
    let path = dir.to_path_buf();
    // Both watermarks of a commit have the same value, so that a copy that mixes two commits shows.
    let writer = thread::spawn(move || {
        for offset in 0..2_000 {
            let marks: Vec<_> = (1..200_u8).map(|segment| ([segment; 16], offset)).collect();
            records.commit(&[], &marks, &[]).unwrap();
        }
    });
    for number in 0..20 {
        let to = path.join(format!("copy-{number}.db"));
        assert!(copy(&path, "records.db", &to).unwrap());
        check(&to).unwrap();
        let connection = Connection::open(&to).unwrap();
        let kinds: i64 =
            connection.query_row("SELECT count(DISTINCT offset) FROM watermarks", [], |row| row.get(0)).unwrap();
        assert!(kinds <= 1, "{kinds} instants in one copy");
    }
    writer.join().unwrap();
}

#[test]
fn what_is_not_there_is_not_copied() {
    let dir = Directory::new();
    assert!(!copy(&dir, "control.db", &dir.join("copy")).unwrap());
    assert!(!copy(&dir, "other.db", &dir.join("copy")).unwrap());
    assert_eq!(
        databases().collect::<Vec<_>>(),
        ["payloads.db", "idempotency.db", "feedback.db", "events.db", "records.db", "control.db"]
    );
    for file in ["payloads.db", "idempotency.db", "feedback.db"] {
        let connection = Connection::open(dir.join(file)).unwrap();
        connection.execute_batch("CREATE TABLE t (x); INSERT INTO t VALUES (7)").unwrap();
        let to = dir.join(format!("copy of {file}"));
        assert!(copy(&dir, file, &to).unwrap());
        let copied = Connection::open(to).unwrap();
        assert_eq!(copied.query_row("SELECT x FROM t", [], |row| row.get::<_, i64>(0)).unwrap(), 7);
    }
}

#[test]
fn damage_is_found() {
    let dir = Directory::new();
    drop(SqliteResources::open(&dir).unwrap());
    let file = dir.join("control.db");
    check(&file).unwrap();
    let mut bytes = std::fs::read(&file).unwrap();
    for byte in bytes.iter_mut().skip(4_096).step_by(3) {
        *byte ^= 0x5a;
    }
    std::fs::write(&file, bytes).unwrap();
    assert!(matches!(check(&file), Err(CopyError::Damaged { .. })));
    std::fs::write(&file, b"this is no database, but it is long enough to look at").unwrap();
    assert!(matches!(check(&file), Err(CopyError::Damaged { .. })));
    assert!(matches!(
        copy(&dir, "control.db", &dir.join("copy")),
        Err(CopyError::Source(StoreError::Corrupt { file: "control.db" }))
    ));
}

#[test]
fn migrations_say_what_they_did_and_refuse_what_is_newer() {
    let dir = Directory::new();
    let none = |file| Migrated { file, before: None, after: 0 };
    let files = ["payloads.db", "idempotency.db", "feedback.db", "events.db", "records.db", "control.db"];
    assert_eq!(migrate(&dir).unwrap(), files.map(none));
    drop(SqliteResources::open(&dir).unwrap());
    let done = migrate(&dir).unwrap();
    let control = done.iter().find(|one| one.file == "control.db").unwrap();
    assert!(control.before == Some(control.after) && control.after > 0);
    assert!(!dir.join("records.db").exists(), "nothing is made that was not there");
    drop(Records::open(&dir).unwrap());
    let connection = Connection::open(dir.join("records.db")).unwrap();
    connection.pragma_update(None, "user_version", 999).unwrap();
    drop(connection);
    let refused = migrate(&dir).unwrap_err();
    assert!(matches!(refused, StoreError::NewerVersion { file: "records.db", found: 999, .. }), "{refused}");
    let copied = copy(&dir, "records.db", &dir.join("copy"));
    assert!(matches!(copied, Err(CopyError::Source(StoreError::NewerVersion { .. }))), "{copied:?}");
}

#[test]
fn digests_are_sha256() {
    let mut digest = Digest::default();
    digest.update(b"a");
    digest.update(b"bc");
    assert_eq!(digest.finish(), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}
