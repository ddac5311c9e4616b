//! Events and their deliveries: written together, due in order, bounded, kept for a while.

use std::collections::BTreeSet;

use ir::id::EventId;

use super::Directory;
use super::requests::settlement;
use crate::events::{Batch, Channel, DeliveryQuery, Events, EventsReader, Lane, NewEvent, Next, State, Tried};

const NOW: u64 = 1_795_000_000_000;

fn lane(name: &str) -> Lane {
    Lane { environment: "default".into(), channel: Channel::Webhook, name: name.into(), address: String::new() }
}

fn event(to: &[&str]) -> NewEvent {
    let to = to.iter().map(|name| lane(name)).collect();
    NewEvent { id: EventId::new(NOW), kind: "key.created".into(), created_ms: NOW, body: "{}".into(), to }
}

fn batch(events: Vec<NewEvent>) -> Batch {
    Batch { events, ..Batch::default() }
}

fn seqs(events: &Events, name: &str, now_ms: u64) -> Vec<u64> {
    events.due(&lane(name), now_ms, &[], 100).unwrap().iter().map(|due| due.seq).collect()
}

fn query(name: &str) -> DeliveryQuery {
    let channel = Channel::Webhook;
    let (environment, name) = ("default".to_owned(), name.to_owned());
    DeliveryQuery { environment, channel, name, state: None, kind: None, before: None, limit: 50 }
}

fn tried(next: Next) -> Tried {
    Tried { at_ms: NOW + 1, took_ms: 7, status: Some(500), error: Some("status 500".into()), next }
}

#[test]
fn an_event_waits_for_each_receiver() {
    let dir = Directory::new();
    let mut events = Events::open(&dir).unwrap();
    let all = Batch { marks: vec![("audit", 7)], ..batch(vec![event(&["a", "b"]), event(&["a"])]) };
    assert_eq!(events.enqueue(&all, NOW, 100).unwrap(), 0);
    assert_eq!((events.mark("audit").unwrap(), events.mark("other").unwrap()), (Some(7), None));
    assert_eq!(
        (seqs(&events, "a", NOW), seqs(&events, "b", NOW), seqs(&events, "c", NOW)),
        (vec![1, 3], vec![2], vec![])
    );
    assert!(seqs(&events, "a", NOW - 1).is_empty(), "nothing is due before it happened");
    let left: Vec<u64> = events.due(&lane("a"), NOW, &[1], 1).unwrap().iter().map(|due| due.seq).collect();
    assert_eq!((left, events.waiting().unwrap()), (vec![3], 3));
    events.tried(1, &tried(Next::Again(NOW + 50))).unwrap();
    assert_eq!((seqs(&events, "a", NOW), seqs(&events, "a", NOW + 50)), (vec![3], vec![3, 1]));
    events.tried(3, &Tried { status: Some(204), error: None, ..tried(Next::Delivered) }).unwrap();
    events.tried(1, &tried(Next::Dead)).unwrap();
    drop(events);
    let events = Events::open(&dir).unwrap();
    assert!(seqs(&events, "a", u64::MAX).is_empty(), "what is over stays over");
    let log = EventsReader::open(&dir).unwrap().unwrap().list(&query("a")).unwrap();
    let shown: Vec<_> = log.iter().map(|one| (one.seq, one.state, one.attempts, one.status, one.due_ms)).collect();
    let expect = [(3, State::Delivered, 1, Some(204), None), (1, State::Dead, 2, Some(500), None)];
    assert_eq!(shown, expect);
    assert_eq!((log[1].error.as_deref(), log[1].took_ms, &*log[1].kind), (Some("status 500"), Some(7), "key.created"));
}

#[test]
fn a_list_is_narrowed_and_continued() {
    let dir = Directory::new();
    assert!(EventsReader::open(&dir).unwrap().is_none());
    let mut events = Events::open(&dir).unwrap();
    events.enqueue(&batch((0..5).map(|_| event(&["a"])).collect()), NOW, 100).unwrap();
    events.tried(2, &tried(Next::Dead)).unwrap();
    let reader = EventsReader::open(&dir).unwrap().unwrap();
    let check = |query: DeliveryQuery, expect: &[u64]| {
        let found: Vec<u64> = reader.list(&query).unwrap().iter().map(|one| one.seq).collect();
        assert_eq!(found, expect, "{query:?}");
    };
    check(query("a"), &[5, 4, 3, 2, 1]);
    check(DeliveryQuery { limit: 2, ..query("a") }, &[5, 4]);
    check(DeliveryQuery { before: Some(4), ..query("a") }, &[3, 2, 1]);
    check(DeliveryQuery { state: Some(State::Dead), ..query("a") }, &[2]);
    check(DeliveryQuery { kind: Some("key.created".into()), before: Some(2), ..query("a") }, &[1]);
    check(DeliveryQuery { kind: Some("x".into()), ..query("a") }, &[]);
    check(DeliveryQuery { environment: "beta".into(), ..query("a") }, &[]);
    check(DeliveryQuery { channel: Channel::Email, ..query("a") }, &[]);
}

#[test]
fn what_is_too_much_for_one_receiver_drops_its_oldest() {
    let mut events = Events::open(&Directory::new()).unwrap();
    events.enqueue(&batch(vec![event(&["a", "b"]), event(&["a"])]), NOW, 2).unwrap();
    assert_eq!(events.enqueue(&batch(vec![event(&["a"]), event(&["a"])]), NOW, 2).unwrap(), 2);
    assert_eq!((seqs(&events, "a", NOW), seqs(&events, "b", NOW)), (vec![4, 5], vec![2]));
}

#[test]
fn a_dead_letter_is_delivered_again_under_its_id() {
    let mut events = Events::open(&Directory::new()).unwrap();
    events.enqueue(&batch(vec![event(&["a"])]), NOW, 10).unwrap();
    let id = events.due(&lane("a"), NOW, &[], 1).unwrap()[0].event_id.clone();
    assert_eq!(events.redeliver(&lane("b"), 1, NOW).unwrap(), None, "another webhook's");
    events.tried(1, &tried(Next::Again(NOW + 9_000))).unwrap();
    assert_eq!(events.redeliver(&lane("a"), 1, NOW + 5).unwrap(), Some(1), "what waits is due at once");
    assert_eq!(seqs(&events, "a", NOW + 5), [1]);
    events.tried(1, &tried(Next::Dead)).unwrap();
    assert_eq!(events.redeliver(&lane("a"), 1, NOW + 6).unwrap(), Some(2));
    let due = events.due(&lane("a"), NOW + 6, &[], 10).unwrap();
    assert_eq!((due.len(), due[0].event_id.as_str(), due[0].attempts), (1, id.as_str(), 0));
}

#[test]
fn what_waits_for_nobody_is_given_up() {
    let dir = Directory::new();
    let mut events = Events::open(&dir).unwrap();
    events.enqueue(&batch(vec![event(&["a", "gone"])]), NOW, 10).unwrap();
    assert_eq!(events.abandon(&|lane| lane.name == "a").unwrap(), 1);
    assert_eq!((seqs(&events, "a", NOW), seqs(&events, "gone", NOW)), (vec![1], vec![]));
    let log = EventsReader::open(&dir).unwrap().unwrap().list(&query("gone")).unwrap();
    assert_eq!((log[0].state, log[0].error.as_deref()), (State::Dead, Some("the receiver is gone")));
}

#[test]
fn what_is_over_is_kept_for_a_while() {
    let dir = Directory::new();
    let mut events = Events::open(&dir).unwrap();
    events.enqueue(&batch((0..4).map(|_| event(&["a"])).collect()), NOW, 10).unwrap();
    events.enqueue(&batch(vec![event(&["a"])]), NOW + 100, 10).unwrap();
    for seq in 2..=5 {
        events.tried(seq, &tried(Next::Delivered)).unwrap();
    }
    assert_eq!(events.sweep(NOW, 0, 100).unwrap(), 0);
    assert_eq!(events.sweep(NOW, 0, 3).unwrap(), 1, "the oldest of more than three");
    assert_eq!(events.sweep(NOW + 1, 0, 100).unwrap(), 2);
    let left: Vec<u64> =
        EventsReader::open(&dir).unwrap().unwrap().list(&query("a")).unwrap().iter().map(|one| one.seq).collect();
    assert_eq!(left, [5, 1], "what waits is not old");
    let connection = rusqlite::Connection::open(dir.join("events.db")).unwrap();
    let events: i64 = connection.query_row("SELECT count(*) FROM events", [], |row| row.get(0)).unwrap();
    assert_eq!(events, 2, "an event goes with its last delivery");
}

#[test]
fn what_was_raised_is_remembered() {
    let dir = Directory::new();
    let mut events = Events::open(&dir).unwrap();
    let raised = Batch { raised: vec![("a".into(), 5), ("b".into(), 0)], ..Batch::default() };
    events.enqueue(&raised, NOW, 10).unwrap();
    events
        .enqueue(&Batch { raised: vec![("a".into(), 6)], calm: vec!["b".into()], ..Batch::default() }, NOW, 10)
        .unwrap();
    assert_eq!(Events::open(&dir).unwrap().raised().unwrap(), [("a".to_owned(), 6, NOW)]);
    events.sweep(0, NOW + 1, 10).unwrap();
    assert!(events.raised().unwrap().is_empty());
}

#[test]
fn requests_are_announced_once_and_with_their_records() {
    use crate::records::{Records, read::RecordsReader};
    let dir = Directory::new();
    let mut records = Records::open(&dir).unwrap();
    let (one, two) = (settlement(NOW + 1, "ci"), settlement(NOW + 2, "ci"));
    records.commit(std::slice::from_ref(&one), &[], &[]).unwrap();
    let environments = BTreeSet::from([one.subject.environment.as_ref().to_owned()]);
    records.announce(&environments).unwrap();
    records.commit(&[one.clone(), two.clone()], &[], &[]).unwrap();
    drop(records);
    // A start that recovers the journal knows what is announced before anything is configured.
    let mut records = Records::open(&dir).unwrap();
    let three = settlement(NOW + 3, "ci");
    records.commit(std::slice::from_ref(&three), &[], &[]).unwrap();
    let reader = RecordsReader::open(&dir).unwrap();
    let found = reader.outbox(0, 10).unwrap();
    assert_eq!(found.iter().map(|row| row.id).collect::<Vec<_>>(), [two.subject.id, three.subject.id]);
    assert_eq!(reader.outbox(found[0].seq, 10).unwrap().len(), 1);
    assert_eq!(records.trim_outbox(found[0].seq, 100).unwrap(), 0);
    assert_eq!((reader.outbox(0, 10).unwrap().len(), reader.outbox_end().unwrap()), (1, found[1].seq));
    assert_eq!(records.trim_outbox(0, 0).unwrap(), 1, "the bound drops what nobody came for");
    assert_eq!(reader.outbox_end().unwrap(), found[1].seq);
    records.announce(&BTreeSet::new()).unwrap();
    records.commit(&[settlement(NOW + 4, "ci")], &[], &[]).unwrap();
    assert!(reader.outbox(0, 10).unwrap().is_empty());
}

/// Whoever asks while the first event is being written finds nothing yet, and no fault.
#[test]
fn a_log_that_is_being_made_is_empty() {
    let dir = Directory::new();
    std::fs::write(dir.join("events.db"), "").unwrap();
    assert!(EventsReader::open(&dir).unwrap().is_none());
    let half = rusqlite::Connection::open(dir.join("events.db")).unwrap();
    half.pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(())).unwrap();
    assert!(EventsReader::open(&dir).unwrap().is_none());
    drop(Events::open(&dir).unwrap());
    assert!(EventsReader::open(&dir).unwrap().unwrap().list(&query("a")).unwrap().is_empty());
}
