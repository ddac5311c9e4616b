//! The way of a settlement when nothing goes wrong.

use std::collections::BTreeSet;
use std::sync::Mutex;

use super::*;
use crate::stop::StopSignal;

#[test]
fn a_settlement_becomes_one_record() {
    let dir = Directory::new();
    let mut process = Process::start(&dir.0, JournalOptions::default());
    let one = intent();
    process.begin(&one).settle(real_settlement(&one));
    assert_eq!((process.drain(), process.drain()), (1, 0));
    let records = dir.records();
    assert_eq!((records.len(), records[0].id), (1, one.subject.id));
    assert!(process.journal.healthy());
}

#[test]
fn a_refusal_needs_no_intent() {
    let dir = Directory::new();
    let mut process = Process::start(&dir.0, JournalOptions::default());
    process.writer.permit().unwrap().settle(settlement(&intent()));
    drop(process.writer.permit().unwrap());
    assert_eq!((process.drain(), process.journal.lost_permits()), (1, 0));
}

#[test]
fn spent_segments_go() {
    let dir = Directory::new();
    let mut process = Process::start(&dir.0, small());
    for _ in 0..1_000 {
        let one = intent();
        process.begin(&one).settle(real_settlement(&one));
        process.journal.tick();
    }
    assert!(process.journal.segment_count() > 5);
    process.drain();
    assert!(process.journal.segment_count() <= 2, "{}", process.journal.segment_count());
    assert_eq!((dir.segments().len(), dir.records().len()), (process.journal.segment_count(), 1_000));
}

#[test]
fn many_requests_at_once_open_more_segments() {
    let dir = Directory::new();
    let mut process = Process::start(&dir.0, small());
    let mut open = Vec::new();
    for _ in 0..40 {
        let one = intent();
        open.push((process.begin(&one), one));
        process.journal.tick();
    }
    assert!(process.journal.segment_count() > 4);
    for (permit, one) in open {
        permit.settle(settlement(&one));
    }
    process.journal.tick();
    process.drain();
    assert_eq!((process.journal.segment_count(), dir.records().len()), (2, 40));
}

#[test]
fn an_open_request_keeps_its_segment() {
    let dir = Directory::new();
    let mut process = Process::start(&dir.0, small());
    let slow = intent();
    let permit = process.begin(&slow);
    for _ in 0..300 {
        let one = intent();
        process.begin(&one).settle(settlement(&one));
        process.journal.tick();
    }
    process.drain();
    assert_eq!(process.journal.segment_count(), 3);
    permit.settle(settlement(&slow));
    process.journal.tick();
    process.drain();
    assert_eq!((process.journal.segment_count(), dir.records().len()), (2, 301));
}

#[test]
fn a_full_handover_is_read_from_the_file() {
    let dir = Directory::new();
    let mut process = Process::start(&dir.0, JournalOptions { handover_limit: 3, ..small() });
    let slow = intent();
    let permit = process.begin(&slow);
    for round in 1..=3 {
        for _ in 0..10 {
            let one = intent();
            process.begin(&one).settle(settlement(&one));
            process.journal.tick();
        }
        process.drain();
        assert_eq!(dir.records().len(), round * 10);
    }
    permit.settle(settlement(&slow));
    process.drain();
    assert_eq!(dir.records().len(), 31);
}

#[test]
fn the_threads_drain_what_is_left_when_they_are_stopped() {
    let dir = Directory::new();
    let process = Process::start(&dir.0, small());
    let stop = Arc::new(StopSignal::default());
    let threads =
        [process.journal.spawn(Arc::clone(&stop)).unwrap(), process.drainer.spawn(Arc::clone(&stop)).unwrap()];
    let mut settled = 0;
    while settled < 2_000 {
        let one = intent();
        let Ok(mut permit) = process.writer.permit() else {
            std::thread::yield_now();
            continue;
        };
        permit.intent(&one).unwrap();
        permit.settle(settlement(&one));
        settled += 1;
    }
    stop.stop();
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    assert_eq!((dir.records().len(), dir.segments()), (2_000, Vec::new()), "nothing is left to recover");
}

#[test]
fn a_clean_stop_leaves_only_what_is_in_flight() {
    for in_flight in [false, true] {
        let dir = Directory::new();
        let process = Process::start(&dir.0, JournalOptions { spare_segments: 3, ..JournalOptions::default() });
        let (one, other) = (intent(), intent());
        process.begin(&one).settle(settlement(&one));
        drop(process.writer.permit().unwrap());
        let slow = in_flight.then(|| process.begin(&other));
        let stop = StopSignal::default();
        stop.stop();
        process.drainer.run(&stop);
        process.journal.tick();
        assert!(process.writer.permit().is_err());
        assert_eq!((dir.records().len(), dir.segments().len()), (1, usize::from(in_flight)));
        if let Some(permit) = slow {
            permit.abandon();
            drop((process.journal, process.writer));
            assert_eq!(Process::start(&dir.0, small()).report.orphans, 1);
        }
    }
}

#[test]
fn the_journal_is_private() {
    use std::os::unix::fs::PermissionsExt as _;
    let dir = Directory::new();
    let _process = Process::start(&dir.0, small());
    assert_eq!(fs::metadata(dir.0.join("journal")).unwrap().permissions().mode() & 0o777, 0o700);
}

#[test]
fn only_one_process_writes() {
    let dir = Directory::new();
    let process = Process::start(&dir.0, small());
    let (clock, _hands) = Clock::manual(NOW_MS);
    let second = Journal::open(&dir.0, Arc::new(RealDisk), small(), clock).err().unwrap();
    assert!(matches!(second, JournalError::InUse), "{second}");
    drop(process);
    Process::start(&dir.0, small());
}

/// Somebody subscribes, and a request ends, while a drain has already asked who wants to be told.
#[test]
fn what_ends_after_a_subscription_is_announced() {
    for handover_limit in [50_000, 1] {
        let dir = Directory::new();
        let options = JournalOptions { handover_limit, ..JournalOptions::default() };
        let Process { writer, drainer, .. } = Process::start(&dir.0, options);
        let (before, one) = (intent(), intent());
        writer.permit().unwrap().settle(settlement(&before));
        let open = Mutex::new(Some(writer.permit().unwrap()));
        let settled = one.clone();
        let mut drainer = drainer.with_announcing(Box::new(move || match open.lock().unwrap().take() {
            Some(permit) => {
                permit.settle(settlement(&settled));
                Some(BTreeSet::new())
            }
            None => Some(BTreeSet::from(["default".to_owned()])),
        }));
        assert_eq!(drainer.drain_once().unwrap().settlements, 2);
        let announced = RecordsReader::open(&dir.0).unwrap().outbox(0, 10).unwrap();
        assert!(announced.iter().any(|row| row.id == one.subject.id), "{handover_limit}: {announced:?}");
    }
}
