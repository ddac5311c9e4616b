//! The ledger over its public functions, and what the audit says when somebody spoils it.

use ir::money::{Charge, Margin, NanoUsd};
use ir::settlement::Settlement;
use ir::usage::UsageOrigin;

use super::credit::{Ledger, NewCredit, PostError, Posted};
use super::read::EntryQuery;
use super::statement::{GroupBy, StatementQuery};
use super::verify::Verdict;
use super::*;
use crate::records::Records;
use crate::records::read::RecordsReader;
use crate::tests::requests::settlement;
use crate::tests::{Directory, NOW_MS};

const MARGIN: Margin = Margin(55_000);

fn charged(unix_ms: u64, key: &str, cost: u64) -> Settlement {
    let cost = NanoUsd(cost);
    Settlement { cost: Some(cost), charge: Some(Charge::of(cost, MARGIN)), ..settlement(unix_ms, key) }
}

fn credit(kind: CreditKind, credits: &str, reference: &str) -> NewCredit {
    NewCredit {
        environment: "default".into(),
        kind,
        credits: SignedNanos::dollars(credits).unwrap(),
        reference: reference.into(),
        note: "a note".into(),
        actor: "somebody".into(),
    }
}

fn verdict(dir: &Directory) -> Verdict {
    let reader = RecordsReader::open(dir).unwrap();
    let mut audit = reader.audit().unwrap();
    audit.tables().unwrap();
    audit.verdict()
}

fn good(dir: &Directory) -> Verdict {
    let verdict = verdict(dir);
    assert_eq!(verdict.named, Vec::<String>::new());
    verdict
}

fn balance(dir: &Directory) -> i64 {
    RecordsReader::open(dir).unwrap().ledger_accounts("default").unwrap().of(Account::Credits)
}

#[test]
fn charges_are_posted_once_with_their_records() {
    let dir = Directory::new();
    let mut records = Records::open(&dir).unwrap();
    let mut batch: Vec<_> = (0..21).map(|n| charged(NOW_MS + n, "a", 1_000 + n)).collect();
    batch[3].charge = None;
    batch[4].charge = Some(Charge::default());
    batch[5].usage_origin = UsageOrigin::Estimated;
    let sum: u64 = batch.iter().filter_map(|one| one.charge).map(|charge| charge.total().0).sum();
    records.commit(&batch, &[], &[]).unwrap();
    records.commit(&batch, &[], &[]).unwrap();
    let late = charged(NOW_MS + 2, "a", 7);
    records.commit(&[batch[0].clone(), late.clone()], &[], &[]).unwrap();
    let sum = sum + late.charge.unwrap().total().0;
    assert_eq!(balance(&dir), -i64::try_from(sum).unwrap());
    let verdict = good(&dir);
    assert_eq!((verdict.charges, verdict.with_record, verdict.environments), (20, 20, 1));
    let reader = RecordsReader::open(&dir).unwrap();
    let page = reader.ledger_entries(&EntryQuery { environment: "default".into(), ..EntryQuery::default() }).unwrap();
    assert_eq!(page.data.len(), 20);
    let newest = &page.data[0];
    assert_eq!(newest.request_id.as_deref(), Some(&*batch[20].subject.id.to_string()));
    assert_eq!((newest.amount_usd.as_str(), newest.estimated), ("-0.000001076", Some(false)));
    let postings = serde_json::to_string(&newest.postings).unwrap();
    assert_eq!(postings, r#"{"credits":"-0.000001076","cost":"0.00000102","margin":"0.000000056"}"#);
    assert_eq!(page.data.iter().filter(|entry| entry.estimated == Some(true)).count(), 1);
    let record = reader.get("default", batch[0].subject.id).unwrap().unwrap();
    assert_eq!(record.charged_usd, Some(NanoUsd(1_055)));
}

#[test]
fn a_place_that_is_taken_is_passed_over() {
    let dir = Directory::new();
    let mut records = Records::open(&dir).unwrap();
    let first = charged(NOW_MS, "a", 10_000);
    records.commit(std::slice::from_ref(&first), &[], &[]).unwrap();
    // Its record is deleted, its charge stays; another request wants the same place.
    records.sweep("default", NOW_MS + 1, &mut Default::default()).unwrap();
    let mut second = charged(NOW_MS, "a", 20_000);
    second.subject.id = first.subject.id;
    second.subject.id.0[15] ^= 1;
    records.commit(&[second.clone(), charged(NOW_MS + 5, "a", 1)], &[], &[]).unwrap();
    // Delivered once more, although no record is left, the first is not charged again.
    records.commit(std::slice::from_ref(&first), &[], &[]).unwrap();
    assert_eq!(balance(&dir), -(10_550 + 21_100 + 1));
    let verdict = good(&dir);
    assert_eq!((verdict.charges, verdict.with_record), (3, 3));
}

#[test]
fn credits_are_posted_once_by_their_reference() {
    let dir = Directory::new();
    let mut ledger = Ledger::open(&dir).unwrap();
    let new = credit(CreditKind::TopUp, "25.50", "invoice 1");
    let Posted::Now { credit: posted, balance: after } = ledger.post(&new, NOW_MS).unwrap() else { panic!() };
    assert_eq!((posted.at_ms, after.to_string().as_str()), (NOW_MS, "25.5"));
    // The note and who posts it may differ: it is the same payment.
    let again = NewCredit { note: String::new(), actor: "other".into(), ..new.clone() };
    assert_eq!(ledger.post(&again, NOW_MS + 1).unwrap(), Posted::Before(posted.clone()));
    let other = credit(CreditKind::TopUp, "25.51", "invoice 1");
    let error = ledger.post(&other, NOW_MS).unwrap_err().to_string();
    assert_eq!(error, "the reference \"invoice 1\" was used for another transfer: top_up of 25.5 US dollars");
    let elsewhere = NewCredit { environment: "beta".into(), ..new };
    assert!(matches!(ledger.post(&elsewhere, NOW_MS).unwrap(), Posted::Now { .. }));
    ledger.post(&credit(CreditKind::Promotion, "5", "welcome"), NOW_MS + 1).unwrap();
    ledger.post(&credit(CreditKind::Refund, "-20.25", "refund 1"), NOW_MS + 2).unwrap();
    ledger.post(&credit(CreditKind::Adjustment, "-0.000000001", "fix"), NOW_MS + 3).unwrap();
    let error = ledger.post(&credit(CreditKind::Refund, "-10.25", "refund 2"), NOW_MS).unwrap_err();
    assert!(matches!(error, PostError::BalanceTooLow(SignedNanos(10_249_999_999))), "{error}");
    for (kind, amount) in [
        (CreditKind::TopUp, "0"),
        (CreditKind::TopUp, "-1"),
        (CreditKind::Promotion, "-1"),
        (CreditKind::Refund, "1"),
        (CreditKind::Adjustment, "0"),
        (CreditKind::TopUp, "1000000000.000000001"),
    ] {
        let error = ledger.post(&credit(kind, amount, "bad"), NOW_MS).unwrap_err();
        assert!(matches!(error, PostError::BadAmount(_)), "{kind:?} {amount}");
    }
    let accounts = RecordsReader::open(&dir).unwrap().ledger_accounts("default").unwrap();
    assert_eq!(accounts, Postings([10_249_999_999, -5_250_000_000, -5_000_000_000, 1, 0, 0]));
    assert_eq!((good(&dir).credits, good(&dir).environments), (5, 2));
    let reader = RecordsReader::open(&dir).unwrap();
    assert_eq!(reader.ledger_standing().unwrap().number, 5);
    let after: Vec<_> = reader.credits_after(2).unwrap().into_iter().map(|credit| credit.given.reference).collect();
    assert_eq!(after, ["welcome", "refund 1", "fix"]);
}

#[test]
fn a_balance_stays_within_what_is_counted() {
    let dir = Directory::new();
    let mut ledger = Ledger::open(&dir).unwrap();
    for number in 0..4 {
        ledger.post(&credit(CreditKind::TopUp, "1000000000", &number.to_string()), NOW_MS).unwrap();
    }
    let error = ledger.post(&credit(CreditKind::TopUp, "0.000000001", "more"), NOW_MS).unwrap_err();
    assert_eq!(error.to_string(), "the balance would be beyond four billion US dollars");
}

#[test]
fn nothing_is_changed_or_removed() {
    let dir = Directory::new();
    Records::open(&dir).unwrap().commit(&[charged(NOW_MS, "a", 1_000)], &[], &[]).unwrap();
    Ledger::open(&dir).unwrap().post(&credit(CreditKind::TopUp, "1", "r"), NOW_MS).unwrap();
    let connection = rusqlite::Connection::open(dir.join("records.db")).unwrap();
    for sql in [
        "UPDATE ledger_charges SET cost = cost + 1, margin = margin - 1",
        "DELETE FROM ledger_charges",
        "UPDATE ledger_credits SET note = ''",
        "DELETE FROM ledger_credits",
        "DELETE FROM ledger_accounts",
    ] {
        let error = connection.execute_batch(sql).unwrap_err().to_string();
        assert!(error.contains("append-only"), "{sql}: {error}");
    }
    let unbalanced = "UPDATE ledger_accounts SET credits = credits + 1";
    assert!(connection.execute_batch(unbalanced).unwrap_err().to_string().contains("CHECK"));
}

#[test]
fn pages_hold_every_entry_once_in_order() {
    let dir = Directory::new();
    let mut records = Records::open(&dir).unwrap();
    let mut ledger = Ledger::open(&dir).unwrap();
    let batch: Vec<_> = (0..40).map(|n| charged(NOW_MS + n / 2, "a", 1_000)).collect();
    records.commit(&batch, &[], &[]).unwrap();
    for n in 0..10 {
        ledger.post(&credit(CreditKind::TopUp, "1", &n.to_string()), NOW_MS + 2 * n).unwrap();
    }
    let other = NewCredit { environment: "beta".into(), ..credit(CreditKind::TopUp, "1", "beta") };
    ledger.post(&other, NOW_MS).unwrap();
    let reader = RecordsReader::open(&dir).unwrap();
    let all = |query: &EntryQuery| {
        let mut query = EntryQuery { environment: "default".into(), limit: Some(7), ..query.clone() };
        let mut all = Vec::new();
        loop {
            let page = reader.ledger_entries(&query).unwrap();
            assert!(page.data.len() == 7 || page.next_cursor.is_none());
            all.extend(page.data);
            query.cursor = page.next_cursor;
            if query.cursor.is_none() {
                return all;
            }
        }
    };
    let check = |query: EntryQuery, expect: usize| {
        let found = all(&query);
        let mut ids: Vec<_> = found.iter().map(|entry| entry.id.clone()).collect();
        assert!(found.is_sorted_by(|one, other| one.at >= other.at), "{query:?}");
        ids.sort_unstable();
        ids.dedup();
        assert_eq!((found.len(), ids.len()), (expect, expect), "{query:?}");
    };
    let of = |kind: &str| EntryQuery { kind: Some(kind.to_owned()), ..EntryQuery::default() };
    check(EntryQuery::default(), 50);
    check(of("charge"), 40);
    check(of("top_up"), 10);
    check(of("refund"), 0);
    check(EntryQuery { from_ms: Some(NOW_MS + 10), to_ms: Some(NOW_MS + 12), ..EntryQuery::default() }, 5);
    for wrong in ["", "l1_", "l1_00000000000000002", "c1_0000000000000000", "l1_000000000000000é"] {
        let query = EntryQuery { cursor: Some(wrong.into()), ..EntryQuery::default() };
        assert!(matches!(reader.ledger_entries(&query), Err(crate::StoreError::BadCursor)), "{wrong}");
    }
}

#[test]
fn a_statement_adds_up() {
    const DAY_MS: u64 = 86_400_000;
    let dir = Directory::new();
    let mut records = Records::open(&dir).unwrap();
    let mut ledger = Ledger::open(&dir).unwrap();
    ledger.post(&credit(CreditKind::TopUp, "10", "before"), NOW_MS - 9 * DAY_MS).unwrap();
    ledger.post(&credit(CreditKind::Promotion, "1", "in it"), NOW_MS).unwrap();
    ledger.post(&credit(CreditKind::Refund, "-2", "after"), NOW_MS + 9 * DAY_MS).unwrap();
    let mut batch = vec![charged(NOW_MS - 9 * DAY_MS, "a", 500), charged(NOW_MS + 9 * DAY_MS, "a", 700)];
    for n in 0..30 {
        let mut one = charged(NOW_MS + n, if n % 3 == 0 { "a" } else { "=b" }, 1_001 * n);
        one.subject.key = (n % 3 == 0).then_some(ir::id::ResourceId([1; 16]));
        one.subject.key_name = if n == 27 { "renamed".into() } else { one.subject.key_name };
        one.subject.team = (n % 2 == 0).then_some("search".into());
        one.subject.cost_tags = if n % 5 == 0 { ["x".into(), "y".into()].into() } else { [].into() };
        one.usage_origin = if n == 7 { UsageOrigin::Estimated } else { UsageOrigin::Reported };
        batch.push(one);
    }
    records.commit(&batch, &[], &[]).unwrap();
    let sum: u64 = batch[2..].iter().map(|one| one.charge.unwrap().total().0).sum();
    let reader = RecordsReader::open(&dir).unwrap();
    let statement = |group_by| {
        let span = (NOW_MS - DAY_MS, NOW_MS + DAY_MS);
        reader.statement(&StatementQuery { environment: "default".into(), span, group_by }).unwrap()
    };
    for (group_by, groups) in [(GroupBy::Account, 1), (GroupBy::Team, 2), (GroupBy::Key, 2), (GroupBy::Tag, 2)] {
        let found = statement(group_by);
        assert_eq!(found.rows.len(), groups, "{group_by:?}");
        assert_eq!(u64::try_from(found.total.charge()).unwrap(), sum);
        assert_eq!(found.rows.iter().map(|row| row.charged.charge()).sum::<i64>(), found.total.charge());
        assert_eq!((found.total.requests, found.total.estimated_requests), (29, 1), "what is free is no transfer");
        assert_eq!(found.total.estimated, 7_392, "1,001 x 7 and 5.5 percent");
        assert_eq!(found.opening.0, 10_000_000_000 - 528);
        assert_eq!(found.closing.0, found.opening.0 + 1_000_000_000 - found.total.charge());
        let csv = found.csv();
        let mut lines: Vec<Vec<&str>> = csv.lines().map(|line| line.split(',').collect()).collect();
        let amount = |line: &Vec<&str>| SignedNanos::dollars(line.last().unwrap()).unwrap().0;
        let last = amount(&lines.pop().unwrap());
        assert_eq!(lines[1..].iter().map(amount).sum::<i64>(), last, "{csv}");
    }
    let keys = statement(GroupBy::Key).csv();
    assert!(keys.contains("charge,renamed,res_01010101010101010101010101010101,9,"), "{keys}");
    assert!(keys.contains("charge,'=b,,20,"), "{keys}");
    let tags = serde_json::to_value(statement(GroupBy::Tag).lines()).unwrap();
    assert_eq!(tags[1]["tags"], serde_json::json!(["x", "y"]));
    let nobody =
        reader.statement(&StatementQuery { environment: "beta".into(), span: (0, NOW_MS), group_by: GroupBy::Account });
    assert_eq!(nobody.unwrap().closing, SignedNanos(0));
}

/// Somebody changes the file behind our back: each fault is named.
///
/// Acceptance MONEY-15.
#[test]
fn every_fault_is_named() {
    let check = |sql: &str, expect: &[&str]| {
        let dir = Directory::new();
        let batch: Vec<_> = (0..4).map(|n| charged(NOW_MS + n, "a", 1_000)).collect();
        Records::open(&dir).unwrap().commit(&batch, &[], &[]).unwrap();
        Ledger::open(&dir).unwrap().post(&credit(CreditKind::TopUp, "1", "r"), NOW_MS).unwrap();
        let connection = rusqlite::Connection::open(dir.join("records.db")).unwrap();
        let spoil = format!(
            "PRAGMA ignore_check_constraints = 1; DROP TRIGGER ledger_charges_stay; DROP TRIGGER
             ledger_charges_do_not_change; DROP TRIGGER ledger_credits_do_not_change; {sql}"
        );
        connection.execute_batch(&spoil).unwrap();
        let found = verdict(&dir);
        assert_eq!(found.faults, expect.len() as u64, "{sql}: {:?}", found.named);
        for (fault, expect) in found.named.iter().zip(expect) {
            assert!(fault.contains(expect), "{sql}: {fault}");
        }
    };
    let third = "(SELECT seq FROM ledger_charges ORDER BY seq LIMIT 1 OFFSET 2)";
    check("", &[]);
    check(
        &format!("UPDATE ledger_charges SET cost = 999 WHERE seq = {third}"),
        &[
            "adds up to -1 nano-dollars",
            "the balance of cost is 0.000004, and what was posted adds up to 0.000003999",
            "charged 0.000001054 in the ledger and 0.000001055 in its record",
            "its cost in the ledger is not that in its record",
        ],
    );
    check(
        &format!("DELETE FROM ledger_charges WHERE seq = {third}"),
        &[
            "the balance of credits is 0.99999578, and what was posted adds up to 0.999996835",
            "the balance of cost is 0.000004, and",
            "the balance of margin is 0.00000022, and",
            "charged 0.000001055 in its record, and not in the ledger",
        ],
    );
    check(&format!("DELETE FROM requests WHERE seq = {third}"), &["charged, and there is no record of it"]);
    check("DELETE FROM requests WHERE seq = (SELECT min(seq) FROM requests)", &[]);
    check(
        &format!("UPDATE requests SET charged_nanos = NULL WHERE seq = {third}"),
        &["charged 0.000001055 in the ledger and nothing in its record"],
    );
    check("UPDATE ledger_credits SET funding = 0", &["adds up to 1000000000 nano-dollars", "the balance of funding"]);
    check(
        "UPDATE ledger_accounts SET margin = margin + 5, credits = credits - 5",
        &["the balance of credits is 0.999995775, and", "the balance of margin is 0.000000225, and"],
    );
    check(
        "INSERT INTO ledger_charges SELECT environment, seq + 1, id, caller, tags, model, provider, estimated, credits,
            cost, margin FROM ledger_charges ORDER BY seq LIMIT 1",
        &["charged twice", "the balance of credits", "the balance of cost", "the balance of margin"],
    );
}
