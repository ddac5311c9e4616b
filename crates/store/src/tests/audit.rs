//! The chain of the audit log: what it shows, and that nobody changes an entry through the product.

use rusqlite::Connection;

use super::Directory;
use crate::audit::{Anchor, Fault, NoAnchor, Verdict, verify};
use crate::resources::row::{AuditQuery, AuditRow};
use crate::resources::sqlite::SqliteResources;
use crate::resources::{ResourceReader as _, ResourceStore as _};

fn entry(number: u64) -> AuditRow {
    AuditRow {
        at_ms: number,
        actor: "ann".to_owned(),
        role: "owner".to_owned(),
        action: "create".to_owned(),
        name: format!("thing-{number}"),
        ip: (number % 2 == 0).then(|| "10.0.0.1".to_owned()),
        after: Some("{}".to_owned()),
        ..AuditRow::default()
    }
}

/// Returns a log of so many entries, and a connection that does what the product does not.
fn log_of(entries: u64) -> (Directory, Connection) {
    let dir = Directory::new();
    let mut store = SqliteResources::open(&dir).unwrap();
    for number in 0..entries {
        let mut transaction = store.begin().unwrap();
        transaction.log(&entry(number)).unwrap();
        transaction.commit().unwrap();
    }
    let connection = Connection::open(dir.join("control.db")).unwrap();
    (dir, connection)
}

fn past_the_product(connection: &Connection, sql: &str) {
    connection
        .execute_batch(&format!(
            "DROP TRIGGER IF EXISTS audit_is_not_changed; DROP TRIGGER IF EXISTS audit_is_not_deleted; {sql}"
        ))
        .unwrap();
}

#[test]
fn a_whole_log_is_whole() {
    let (dir, _) = log_of(5);
    let verdict = verify(&dir, None).unwrap();
    let head = verdict.head.unwrap();
    assert_eq!(verdict, Verdict { entries: 5, without_hash: 0, head: Some(head), fault: None });
    assert_eq!(verify(&dir, Some(head)).unwrap().fault, None);
    let store = SqliteResources::open(&dir).unwrap();
    let newest = store.audit(&AuditQuery { limit: 1, ..AuditQuery::default() }).unwrap();
    assert_eq!((newest[0].seq, newest[0].hash), (head.seq, Some(head.hash)));
}

#[test]
fn entries_cannot_be_changed_or_deleted() {
    let (_dir, connection) = log_of(2);
    for sql in ["UPDATE audit SET actor = 'bob'", "DELETE FROM audit WHERE seq = 2", "UPDATE audit SET hash = NULL"] {
        let refused = connection.execute_batch(sql).unwrap_err().to_string();
        assert!(refused.contains("only ever added to"), "{sql}: {refused}");
    }
}

#[test]
fn what_was_tampered_with_is_named() {
    let check = |sql: &str, expect: Fault| {
        let (dir, connection) = log_of(6);
        let remembered = verify(&dir, None).unwrap().head;
        past_the_product(&connection, sql);
        assert_eq!(verify(&dir, remembered).unwrap().fault, Some(expect), "{sql}");
    };
    check("UPDATE audit SET actor = 'bob' WHERE seq = 3", Fault::Changed(3));
    check("UPDATE audit SET after = NULL WHERE seq = 3", Fault::Changed(3));
    check("UPDATE audit SET ip = '' WHERE seq = 2", Fault::Changed(2));
    check("UPDATE audit SET role = 'ownercreate', action = '' WHERE seq = 4", Fault::Changed(4));
    check("UPDATE audit SET hash = NULL WHERE seq = 5", Fault::Changed(5));
    check("UPDATE audit SET hash = (SELECT hash FROM audit WHERE seq = 1) WHERE seq = 2", Fault::Changed(2));
    check("DELETE FROM audit WHERE seq = 2", Fault::Missing(2));
    check("DELETE FROM audit WHERE seq = 1", Fault::Missing(1));
    check("DELETE FROM audit WHERE seq = 2; UPDATE audit SET seq = seq - 1 WHERE seq > 2", Fault::Changed(2));
    check("DELETE FROM audit WHERE seq > 4", Fault::Missing(6));
}

#[test]
fn an_end_that_was_cut_off_shows_with_an_anchor_alone() {
    let (dir, connection) = log_of(4);
    let head = verify(&dir, None).unwrap().head.unwrap();
    past_the_product(&connection, "DELETE FROM audit WHERE seq = 4");
    assert_eq!(verify(&dir, None).unwrap().fault, None, "by itself it looks whole");
    assert_eq!(verify(&dir, Some(head)).unwrap().fault, Some(Fault::Missing(4)));
    let other = Anchor { hash: [7; 32], ..Anchor { seq: 3, ..head } };
    assert_eq!(verify(&dir, Some(other)).unwrap().fault, Some(Fault::Replaced(3)));
}

#[test]
fn entries_of_older_versions_have_no_hash() {
    let (dir, connection) = log_of(4);
    past_the_product(&connection, "UPDATE audit SET hash = NULL WHERE seq < 3");
    // The third was chained to the second, which has a hash no longer.
    assert_eq!(verify(&dir, None).unwrap().fault, Some(Fault::Changed(3)));
    past_the_product(&connection, "DELETE FROM audit WHERE seq > 2");
    let mut store = SqliteResources::open(&dir).unwrap();
    let mut transaction = store.begin().unwrap();
    transaction.log(&entry(9)).unwrap();
    transaction.commit().unwrap();
    let verdict = verify(&dir, None).unwrap();
    assert_eq!((verdict.entries, verdict.without_hash, verdict.fault), (3, 2, None));
}

#[test]
fn anchors_are_read_as_they_are_written() {
    let anchor = Anchor { seq: 12, hash: std::array::from_fn(|at| u8::try_from(at * 7).unwrap()) };
    assert_eq!(anchor.to_string().parse(), Ok(anchor));
    let long = "é".repeat(32);
    for text in ["", "12", "12:", "x:00", "12:zz", &format!("12:{long}"), &format!("12:{}", "0".repeat(63))] {
        assert_eq!(text.parse::<Anchor>(), Err(NoAnchor), "{text}");
    }
}
