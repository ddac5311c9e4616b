//! Entries that leave in one write.

use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Wake, Waker};

use super::*;
use crate::journal::batch::Due;

/// Puts the intents of several requests into one write.
fn intend(process: &Process, intents: &[Intent]) -> Vec<(Permit, Due)> {
    let begun = intents.iter().map(|intent| {
        let mut permit = process.writer.permit().unwrap();
        let due = permit.intend(intent).unwrap();
        (permit, due)
    });
    begun.collect()
}

#[test]
fn the_first_that_is_finished_writes_them_all() {
    let dir = Directory::new();
    let mut process = Process::start(&dir.0, JournalOptions::default());
    let intents = [intent(), intent(), intent()];
    let mut open = Vec::new();
    for (place, (permit, due)) in intend(&process, &intents).into_iter().enumerate() {
        assert_eq!(due.is_open(), place == 0, "one write for all");
        due.finish().unwrap();
        open.push(permit);
    }
    let settled: Vec<Due> =
        open.into_iter().zip(&intents).map(|(permit, intent)| permit.settle_with(settlement(intent))).collect();
    assert_eq!(process.drain(), 0, "what is not written is not committed");
    drop(settled);
    assert_eq!(process.drain(), 3);
    assert_eq!(dir.records().len(), 3);
}

#[test]
fn what_is_not_written_yet_dies_with_the_process() {
    let dir = Directory::new();
    let process = Process::start(&dir.0, JournalOptions::default());
    let [written, waits] = [intent(), intent()];
    let before = process.begin(&written);
    let mut permit = process.writer.permit().unwrap();
    let due = permit.intend(&waits).unwrap();
    let settled = before.settle_with(settlement(&written));
    let copy = dir.copy();
    assert!(due.is_open() && settled.is_open());
    let next = Process::start(&copy.0, JournalOptions::default());
    assert_eq!(next.report.orphans, 1, "the one that was dispatched, and no other");
    let outcomes: Vec<String> = copy.records().into_iter().map(|record| record.outcome).collect();
    assert_eq!(outcomes, ["orphaned"]);
    drop((due, settled));
    permit.settle(settlement(&waits));
}

#[test]
fn what_is_dropped_is_written() {
    let dir = Directory::new();
    let mut process = Process::start(&dir.0, JournalOptions::default());
    let one = intent();
    let mut permit = process.writer.permit().unwrap();
    drop(permit.intend(&one).unwrap());
    drop(permit.settle_with(settlement(&one)));
    assert_eq!(process.drain(), 1);
}

#[test]
fn a_write_that_fails_forbids_every_dispatch_and_keeps_every_settlement() {
    for fault in [Fault::NoSpace, Fault::Broken] {
        let dir = Directory::new();
        let mut process = Process::start(&dir.0, JournalOptions::default());
        let before = [intent(), intent()];
        let open: Vec<Permit> = before.iter().map(|intent| process.begin(intent)).collect();
        process.disk.fail(Operation::Write, Some(fault));
        let after = [intent(), intent()];
        let begun = intend(&process, &after);
        let settled: Vec<Due> =
            open.into_iter().zip(&before).map(|(permit, intent)| permit.settle_with(settlement(intent))).collect();
        for (mut permit, due) in begun {
            assert_eq!(due.finish(), Err(JournalUnavailable));
            permit.forget_intent();
        }
        assert!(settled.into_iter().all(|due| due.finish().is_ok()), "a settlement cannot fail");
        assert!(!process.journal.healthy());
        process.disk.fail(Operation::Write, None);
        process.journal.tick();
        assert!(process.journal.healthy());
        assert_eq!(process.drain(), 2);
        let again = intent();
        process.begin(&again).settle(settlement(&again));
        process.drain();
        assert_eq!(dir.records().len(), 3, "{fault:?}");
        assert_eq!(process.journal.lost_permits(), 0);
    }
}

#[test]
fn more_than_one_write_takes_leaves_in_several() {
    let dir = Directory::new();
    let mut process = Process::start(&dir.0, JournalOptions::default());
    let intents: Vec<Intent> = (0..900).map(|_| intent()).collect();
    let permits: Vec<Permit> = intend(&process, &intents)
        .into_iter()
        .map(|(permit, due)| {
            due.finish().unwrap();
            permit
        })
        .collect();
    let settled: Vec<Due> =
        permits.into_iter().zip(&intents).map(|(permit, intent)| permit.settle_with(settlement(intent))).collect();
    assert!(!settled[0].is_open() && settled[899].is_open());
    drop(settled);
    assert_eq!(process.drain(), 900);
}

#[test]
fn a_write_holds_entries_of_one_segment() {
    let dir = Directory::new();
    let mut process = Process::start(&dir.0, small());
    for _ in 0..40 {
        let intents = [intent(), intent()];
        for ((permit, due), intent) in intend(&process, &intents).into_iter().zip(&intents) {
            due.finish().unwrap();
            drop(permit.settle_with(settlement(intent)));
        }
        process.journal.tick();
        process.drain();
    }
    assert_eq!(dir.records().len(), 80);
}

/// Counts how often it is woken.
#[derive(Default)]
struct Bell(AtomicUsize);

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// Whether an entry has been seen to. `bell` rings when it is worth asking again.
fn is_written(due: &Due, bell: &Arc<Bell>) -> bool {
    let waker = Waker::from(Arc::clone(bell));
    pin!(due.written()).poll(&mut Context::from_waker(&waker)).is_ready()
}

#[test]
fn one_leads_a_write_and_wakes_the_others() {
    for finishes in [true, false] {
        let dir = Directory::new();
        let process = Process::start(&dir.0, JournalOptions::default());
        let intents = [intent(), intent(), intent()];
        let (permits, mut dues): (Vec<Permit>, Vec<Due>) = intend(&process, &intents).into_iter().unzip();
        // The last in the write is the first that waits.
        assert!(dues[2].leads() && !dues[0].leads() && !dues[1].leads());
        let bell = Arc::new(Bell::default());
        assert!(!is_written(&dues[0], &bell) && !is_written(&dues[1], &bell));
        let leader = dues.pop().unwrap();
        assert_eq!(bell.0.load(Ordering::Relaxed), 0, "nobody is woken before");
        if finishes {
            leader.finish().unwrap();
        } else {
            drop(leader);
        }
        assert_eq!(bell.0.load(Ordering::Relaxed), 2, "each once");
        assert!(dues.iter().all(|due| is_written(due, &bell) && !due.is_open() && !due.leads()));
        let mut later = process.writer.permit().unwrap();
        let next = later.intend(&intent()).unwrap();
        assert!(next.leads(), "each write has its own");
        drop((dues, next));
        permits.into_iter().zip(&intents).for_each(|(permit, intent)| permit.settle(settlement(intent)));
        later.settle(settlement(&intent()));
    }
}

#[test]
fn who_sleeps_is_woken_by_a_write_that_nobody_leads_and_told_of_one_that_fails() {
    let dir = Directory::new();
    let mut process = Process::start(&dir.0, JournalOptions::default());
    process.disk.fail(Operation::Write, Some(Fault::Broken));
    let intents: Vec<Intent> = (0..900).map(|_| intent()).collect();
    let mut begun = intend(&process, &intents[..1]);
    let (mut permit, sleeper) = begun.pop().unwrap();
    let bell = Arc::new(Bell::default());
    assert!(!is_written(&sleeper, &bell));
    // There is no room for all of them in one write.
    let others = intend(&process, &intents[1..]);
    assert_eq!(bell.0.load(Ordering::Relaxed), 1);
    assert_eq!(sleeper.finish(), Err(JournalUnavailable));
    permit.forget_intent();
    drop(permit);
    process.disk.fail(Operation::Write, None);
    for ((mut permit, due), intent) in others.into_iter().zip(&intents[1..]) {
        match due.finish() {
            Ok(()) => permit.settle(settlement(intent)),
            Err(_) => permit.forget_intent(),
        }
    }
    process.journal.tick();
    process.drain();
    assert_eq!(process.journal.lost_permits(), 0);
}
