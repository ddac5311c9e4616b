//! Disks that are full or broken, and databases that are away.

use super::*;

/// Acceptance DUR-03.
#[test]
fn a_full_disk_refuses_permits_until_it_has_room() {
    let dir = Directory::new();
    let mut process = Process::start(&dir.0, small());
    process.disk.fail(Operation::Create, Some(Fault::NoSpace));
    let mut settled = 0;
    while let Ok(mut permit) = process.writer.permit() {
        let one = intent();
        permit.intent(&one).unwrap();
        permit.settle(settlement(&one));
        settled += 1;
        process.journal.tick();
    }
    assert!(settled > 10 && !process.journal.healthy());
    process.disk.fail(Operation::Create, None);
    assert!(process.writer.permit().is_err(), "the caller creates no segment");
    process.journal.tick();
    assert!(process.writer.permit().is_ok() && process.journal.healthy());
    assert_eq!(process.drain(), settled);
    assert_eq!(dir.records().len(), settled);
}

#[test]
fn a_writer_made_on_a_full_disk_recovers() {
    let dir = Directory::new();
    let process = Process::start(&dir.0, small());
    process.disk.fail(Operation::Create, Some(Fault::NoSpace));
    let writer = process.journal.writer();
    assert_eq!(writer.permit().err(), Some(JournalUnavailable));
    process.disk.fail(Operation::Create, None);
    process.journal.tick();
    assert!(writer.permit().is_ok());
}

#[test]
fn a_failed_intent_forbids_the_dispatch() {
    for fault in [Fault::NoSpace, Fault::Broken] {
        let dir = Directory::new();
        let process = Process::start(&dir.0, small());
        process.disk.fail(Operation::Write, Some(fault));
        let mut permit = process.writer.permit().unwrap();
        assert_eq!(permit.intent(&intent()), Err(JournalUnavailable));
        drop(permit);
        process.disk.fail(Operation::Write, None);
        let one = intent();
        process.begin(&one).settle(settlement(&one));
        let after = dir.copy();
        assert_eq!(
            Process::start(&after.0, small()).report,
            RecoveryReport { settled: 1, ..RecoveryReport::default() }
        );
    }
}

#[test]
fn a_settlement_that_the_disk_does_not_take_is_recorded_once_and_written_later() {
    for (fault, drain_first) in [(Fault::NoSpace, true), (Fault::Broken, true), (Fault::Broken, false)] {
        let dir = Directory::new();
        let mut process = Process::start(&dir.0, small());
        let (one, other) = (intent(), intent());
        let (permit, other_permit) = (process.begin(&one), process.begin(&other));
        process.disk.fail(Operation::Write, Some(fault));
        permit.settle(settlement(&one));
        process.journal.tick();
        assert!(!process.journal.healthy());
        if drain_first {
            assert_eq!(process.drain(), 1);
        }
        process.disk.fail(Operation::Write, None);
        other_permit.settle(settlement(&other));
        process.journal.tick();
        assert!(process.journal.healthy());
        let written = dir.copy();
        process.drain();
        assert_eq!((dir.records().len(), process.drain()), (2, 0));
        let report = Process::start(&written.0, small()).report;
        assert_eq!((written.records().len(), report.orphans, report.corrupt_tails), (2, 0, 0));
        assert_eq!(report.settled, if drain_first { 1 } else { 2 });
    }
}

#[test]
fn a_settlement_written_late_lets_its_segment_go() {
    let dir = Directory::new();
    let mut process = Process::start(&dir.0, small());
    let slow = intent();
    let permit = process.begin(&slow);
    for _ in 0..200 {
        let one = intent();
        process.begin(&one).settle(settlement(&one));
        process.journal.tick();
    }
    process.disk.fail(Operation::Write, Some(Fault::Broken));
    permit.settle(settlement(&slow));
    process.drain();
    let kept = process.journal.segment_count();
    process.disk.fail(Operation::Write, None);
    process.journal.tick();
    process.drain();
    assert_eq!((kept, process.journal.segment_count(), dir.records().len()), (3, 2, 201));
}

#[test]
fn a_sync_that_fails_is_tried_again() {
    let dir = Directory::new();
    let process = Process::start(&dir.0, small());
    process.disk.fail(Operation::Sync, Some(Fault::Broken));
    process.journal.tick();
    assert!(process.journal.healthy(), "it is not time yet");
    process.hands.advance(Duration::from_secs(1));
    process.journal.tick();
    assert!(!process.journal.healthy());
    process.disk.fail(Operation::Sync, None);
    process.hands.advance(Duration::from_secs(1));
    process.journal.tick();
    assert!(process.journal.healthy());
}

/// Acceptance DUR-03.
#[test]
fn settlements_wait_for_a_database_that_fails_in_the_middle() {
    let dir = Directory::new();
    let mut process = Process::start(&dir.0, JournalOptions { spare_segments: 2, ..JournalOptions::default() });
    let database = rusqlite::Connection::open(dir.0.join("records.db")).unwrap();
    let trigger = "CREATE TRIGGER full BEFORE INSERT ON requests WHEN (SELECT count(*) FROM requests) >= 1500
                   BEGIN SELECT RAISE(ABORT, 'full'); END";
    database.execute_batch(trigger).unwrap();
    for _ in 0..2_500 {
        let one = intent();
        process.begin(&one).settle(settlement(&one));
    }
    assert!(process.drainer.drain_once().is_err() && process.drainer.drain_once().is_err());
    assert_eq!(dir.records().len(), 1_000, "one batch went through, the other not at all");
    let died_now = dir.copy();
    database.execute_batch("DROP TRIGGER full").unwrap();
    assert_eq!((process.drain(), dir.records().len()), (1_500, 2_500));
    rusqlite::Connection::open(died_now.0.join("records.db")).unwrap().execute_batch("DROP TRIGGER full").unwrap();
    assert_eq!(
        Process::start(&died_now.0, small()).report,
        RecoveryReport { settled: 1_500, ..RecoveryReport::default() }
    );
}
