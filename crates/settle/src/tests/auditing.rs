//! The audit of the journal: what is missing behind a watermark is named, what waits before it is not.

use ir::money::{Charge, Margin};
use store::records::read::RecordsReader;

use super::*;
use crate::audit::{Journal as Found, audit_journal};

fn charged(intent: &Intent) -> Settlement {
    let settlement = settlement(intent);
    Settlement { charge: settlement.cost.map(|cost| Charge::of(cost, Margin(100_000))), ..settlement }
}

fn audit(dir: &Directory) -> (Found, Vec<String>) {
    let reader = RecordsReader::open(&dir.0).unwrap();
    let mut audit = reader.audit().unwrap();
    audit.tables().unwrap();
    let found = audit_journal(&RealDisk, &dir.0, &mut audit).unwrap();
    (found, audit.verdict().named)
}

#[test]
fn what_waits_is_pending_and_what_is_committed_is_compared() {
    let dir = Directory::new();
    let mut process = Process::start(&dir.0, JournalOptions::default());
    let intents = [intent(), intent(), intent()];
    for one in &intents {
        process.begin(one).settle(charged(one));
    }
    assert_eq!(audit(&dir), (Found { segments: 2, committed: 0, pending: 3 }, vec![]));
    assert_eq!(process.drain(), 3);
    let late = intent();
    process.begin(&late).settle(charged(&late));
    assert_eq!(audit(&dir), (Found { segments: 2, committed: 3, pending: 1 }, vec![]));
    // Beside a running gateway nothing is removed; afterwards nothing is left.
    let check = |sql: &str, expect: &str| {
        let spoilt = dir.copy();
        let connection = rusqlite::Connection::open(spoilt.0.join("records.db")).unwrap();
        let id = intents[1].subject.id.0;
        connection.execute_batch("DROP TRIGGER ledger_charges_stay").unwrap();
        for sql in sql.split(';') {
            connection.execute(sql, [id]).unwrap();
        }
        let (_, faults) = audit(&spoilt);
        assert!(faults.iter().any(|fault| fault.contains(expect)), "{sql}: {faults:?}");
    };
    check("DELETE FROM requests WHERE id = ?1;DELETE FROM ledger_charges WHERE id = ?1", "and not in the records");
    check("DELETE FROM ledger_charges WHERE id = ?1", "charged 0 in the ledger and 0.000000015 in the journal");
}

#[test]
fn a_directory_without_a_journal_has_nothing_to_miss() {
    let dir = Directory::new();
    Records::open(&dir.0).unwrap();
    assert_eq!(audit(&dir), (Found::default(), vec![]));
}
