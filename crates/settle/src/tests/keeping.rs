//! What happens beside recording: the live tail, housekeeping, and the content of requests.

use std::time::Duration;

use store::payloads::{Part, PayloadsReader, State};
use store::records::filter::Filter;

use super::*;
use crate::housekeeping::{Housekeeping, Kept, RECORDS_KEPT};
use crate::payloads::{Payload, Queue, Writer as PayloadWriter};
use crate::tail::{Seen, Tail, Watch};

/// Returns what a watcher sees now.
fn seen(watch: &mut Watch) -> Vec<String> {
    let mut seen = Vec::new();
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    while let std::task::Poll::Ready(Some(next)) = std::pin::pin!(watch.next()).poll(&mut context) {
        seen.push(match next {
            Seen::Record(record) => record.id.to_string(),
            Seen::Missed(missed) => format!("missed {missed}"),
        });
    }
    seen
}

#[test]
fn a_tail_shows_each_record_once_after_it_is_committed() {
    let dir = Directory::new();
    let mut process = Process::start(&dir.0, JournalOptions::default());
    let tail = Tail::default();
    process.drainer = process.drainer.with_tail(tail.clone());
    let unseen = intent();
    process.begin(&unseen).settle(settlement(&unseen));
    process.drain();
    let (mut first, mut second) = (tail.watch(), tail.watch());
    assert_eq!(tail.watchers(), 2);
    let intents: Vec<_> = (0..3).map(|_| intent()).collect();
    for one in &intents {
        process.begin(one).settle(settlement(one));
    }
    assert_eq!(seen(&mut first), [""; 0], "nothing is shown before it is committed");
    process.drain();
    let mut expect: Vec<_> = intents.iter().map(|one| one.subject.id.to_string()).collect();
    let mut shown = seen(&mut first);
    expect.sort();
    shown.sort();
    assert_eq!(shown, expect);
    assert_eq!(seen(&mut second).len(), 3);
    process.drain();
    assert_eq!(seen(&mut first), [""; 0]);
    tail.show(&[settlement(&intents[0]), settlement(&unseen)], &[0]);
    assert_eq!(seen(&mut first), [unseen.subject.id.to_string()], "what was recorded before is not shown again");
}

#[test]
fn a_slow_watcher_is_told_how_many_it_missed() {
    let tail = Tail::default();
    let mut watch = tail.watch();
    let batch: Vec<_> = (0..1_500).map(|_| settlement(&intent())).collect();
    tail.show(&batch, &[]);
    let seen = seen(&mut watch);
    assert_eq!((seen[0].as_str(), seen.len()), ("missed 476", 1_025));
}

#[test]
fn old_records_are_deleted_between_drains_and_young_ones_are_not() {
    let dir = Directory::new();
    let mut process = Process::start(&dir.0, JournalOptions::default());
    let days = std::sync::Arc::new(std::sync::atomic::AtomicU64::new(10));
    let policy = {
        let days = Arc::clone(&days);
        move || {
            let records = Duration::from_secs(days.load(std::sync::atomic::Ordering::Relaxed) * 86_400);
            vec![Kept { environment: "default".into(), records }]
        }
    };
    process.drainer = process.drainer.with_housekeeping(Housekeeping::new(Box::new(policy)));
    for _ in 0..3 {
        let one = intent();
        process.begin(&one).settle(settlement(&one));
    }
    process.drain();
    assert_eq!(process.drainer.keep_house().unwrap(), 0);
    process.hands.advance(Duration::from_secs(9 * 86_400));
    assert_eq!(process.drainer.keep_house().unwrap(), 0);
    days.store(8, std::sync::atomic::Ordering::Relaxed);
    process.hands.advance(Duration::from_secs(3_600));
    assert_eq!(process.drainer.keep_house().unwrap(), 3, "a change takes effect with the next pass");
    assert_eq!(dir.records().len(), 0);
    let reader = RecordsReader::open(&dir.0).unwrap();
    let count = reader.count("default", &Filter::default(), (0, NOW_MS * 2)).unwrap();
    assert_eq!(count.count, 3, "the rollups survive, and are folded");
}

/// Acceptance LEAK-07.
#[test]
fn records_of_an_environment_that_is_gone_are_kept_for_thirteen_months() {
    let dir = Directory::new();
    let mut process = Process::start(&dir.0, JournalOptions::default());
    process.drainer = process.drainer.with_housekeeping(Housekeeping::new(Box::new(Vec::new)));
    let one = intent();
    process.begin(&one).settle(settlement(&one));
    process.drain();
    process.hands.advance(RECORDS_KEPT - Duration::from_secs(60));
    assert_eq!(process.drainer.keep_house().unwrap(), 0);
    process.hands.advance(Duration::from_secs(3_600));
    assert_eq!(process.drainer.keep_house().unwrap(), 1);
    assert_eq!(dir.records().len(), 0);
}

fn payload(text: &str, redacted: bool) -> Payload {
    let part = |text: &str| Part { data: text.into(), bytes: text.len() as u64, cut: false };
    Payload {
        kept_days: None,
        id: RequestId::new(NOW_MS),
        environment: "default".into(),
        redacted,
        request: part(text),
        response: Some(part("answer to jane@example.com")),
    }
}

#[test]
fn content_is_redacted_on_its_way_and_deleted_when_it_is_old() {
    let dir = Directory::new();
    let (clock, hands) = Clock::manual(NOW_MS);
    let queue = Arc::new(Queue::default());
    let kept = || vec![("default".to_owned(), Duration::from_secs(30 * 86_400))];
    let mut writer = PayloadWriter::new(Arc::clone(&queue), dir.0.clone(), Box::new(kept), clock);
    writer.turn().unwrap();
    assert!(PayloadsReader::open(&dir.0).unwrap().is_none(), "who keeps nothing has no file");
    let (full, redacted) = (payload("sk-cw-0123456789abcdef", false), payload("sk-cw-0123456789abcdef", true));
    let gone = Payload { environment: "gone".into(), ..payload("of an environment that was deleted", false) };
    assert!(queue.offer(full.clone()) && queue.offer(redacted.clone()) && queue.offer(gone.clone()));
    writer.turn().unwrap();
    let get = |id| PayloadsReader::open(&dir.0).unwrap().unwrap().get("default", id).unwrap();
    let stored = get(full.id).unwrap();
    assert_eq!((stored.state, stored.request, stored.response), (State::Full, Some(full.request), full.response));
    let stored = get(redacted.id).unwrap();
    assert_eq!((stored.state, stored.request.unwrap().data), (State::Redacted, b"[secret]".to_vec()));
    assert_eq!(stored.response.unwrap().data, b"answer to [email]");
    hands.advance(Duration::from_secs(29 * 86_400));
    writer.turn().unwrap();
    let gone_is_there = || PayloadsReader::open(&dir.0).unwrap().unwrap().get("gone", gone.id).unwrap().is_some();
    assert!(get(full.id).is_some() && gone_is_there());
    hands.advance(Duration::from_secs(2 * 86_400));
    writer.turn().unwrap();
    assert_eq!((get(full.id), get(redacted.id)), (None, None));
    assert!(!gone_is_there());
}

#[test]
fn what_does_not_fit_is_dropped_and_marked() {
    let dir = Directory::new();
    let (clock, _) = Clock::manual(NOW_MS);
    let queue = Arc::new(Queue::with_room(1_000));
    let mut writer = PayloadWriter::new(Arc::clone(&queue), dir.0.clone(), Box::new(Vec::new), clock);
    let (first, second) = (payload(&"x".repeat(600), false), payload(&"y".repeat(600), false));
    assert!(queue.offer(first.clone()));
    assert!(!queue.offer(second.clone()));
    assert_eq!(queue.dropped(), 1);
    writer.turn().unwrap();
    let state = |id| PayloadsReader::open(&dir.0).unwrap().unwrap().get("default", id).unwrap().unwrap().state;
    assert_eq!((state(first.id), state(second.id)), (State::Full, State::Dropped));
    assert!(queue.offer(payload(&"z".repeat(600), false)), "there is room again");
}

/// Acceptance LEAK-07.
#[test]
fn content_is_kept_for_as_long_as_its_key_or_plan_says() {
    let dir = Directory::new();
    let (clock, hands) = Clock::manual(NOW_MS);
    let queue = Arc::new(Queue::default());
    let policy = || vec![("default".to_owned(), Duration::from_secs(30 * 86_400))];
    let mut writer = PayloadWriter::new(Arc::clone(&queue), dir.0.clone(), Box::new(policy), clock);
    let kept = |days| Payload { kept_days: days, ..payload("x", false) };
    let all = [kept(Some(7)), kept(None), kept(Some(60))];
    all.iter().for_each(|one| assert!(queue.offer(one.clone())));
    let there = || {
        all.iter()
            .map(|one| PayloadsReader::open(&dir.0).unwrap().unwrap().get("default", one.id).unwrap().is_some())
            .collect::<Vec<_>>()
    };
    for (days, expect) in
        [(6, [true, true, true]), (2, [false, true, true]), (23, [false, false, true]), (30, [false; 3])]
    {
        hands.advance(Duration::from_secs(days * 86_400));
        // A pass that deletes something is followed by another.
        for _ in 0..3 {
            writer.turn().unwrap();
        }
        assert_eq!(there(), expect, "{days}");
    }
}
