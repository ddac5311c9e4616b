//! Exactly once, whatever happens in whatever order.

use std::collections::HashMap;

use proptest::prelude::*;

use super::*;

/// What may happen.
#[derive(Clone, Copy, Debug)]
enum Event {
    Admit,
    /// Settles one of the open requests.
    Settle(usize),
    /// Gives a permit back that was never used.
    Refuse,
    Drain,
    Tick,
    Fail(Operation, Fault),
    Heal,
    Crash,
}

fn event() -> impl Strategy<Value = Event> {
    let operation = prop_oneof![Just(Operation::Create), Just(Operation::Write), Just(Operation::Sync)];
    let fault = prop_oneof![Just(Fault::NoSpace), Just(Fault::Broken)];
    prop_oneof![
        12 => Just(Event::Admit),
        12 => any::<usize>().prop_map(Event::Settle),
        1 => Just(Event::Refuse),
        3 => Just(Event::Drain),
        4 => Just(Event::Tick),
        1 => (operation, fault).prop_map(|(operation, fault)| Event::Fail(operation, fault)),
        2 => Just(Event::Heal),
        1 => Just(Event::Crash),
    ]
}

/// The requests, and what is known about each.
struct World {
    dir: Directory,
    process: Process,
    options: JournalOptions,
    open: Vec<(Permit, Intent)>,
    /// Whether the request may be recorded as an orphan.
    expected: HashMap<RequestId, Expect>,
    writes_fail: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Expect {
    Settled,
    Orphaned,
    /// Settled while the disk was broken: a crash makes it an orphan, unless it was drained or written before.
    Either,
}

impl World {
    fn new(options: JournalOptions) -> Self {
        let dir = Directory::new();
        let process = Process::start(&dir.0, options);
        Self { dir, process, options, open: Vec::new(), expected: HashMap::new(), writes_fail: false }
    }

    fn step(&mut self, event: Event) {
        match event {
            Event::Admit => self.admit(),
            Event::Settle(_) if self.open.is_empty() => {}
            Event::Settle(which) => {
                let (permit, intent) = self.open.swap_remove(which % self.open.len());
                let expect = if self.writes_fail { Expect::Either } else { Expect::Settled };
                self.expected.insert(intent.subject.id, expect);
                permit.settle(settlement(&intent));
            }
            Event::Refuse => drop(self.process.writer.permit()),
            Event::Drain => {
                self.process.drain();
            }
            Event::Tick => {
                self.process.hands.advance(Duration::from_millis(700));
                self.process.journal.tick();
            }
            Event::Fail(operation, fault) => {
                self.writes_fail |= operation == Operation::Write;
                self.process.disk.fail(operation, Some(fault));
            }
            Event::Heal => self.heal(),
            Event::Crash => self.crash(),
        }
    }

    fn admit(&mut self) {
        let intent = intent();
        let Ok(mut permit) = self.process.writer.permit() else { return };
        if permit.intent(&intent).is_ok() {
            self.open.push((permit, intent));
        }
    }

    fn heal(&mut self) {
        self.writes_fail = false;
        for operation in [Operation::Create, Operation::Write, Operation::Sync] {
            self.process.disk.fail(operation, None);
        }
    }

    /// The process dies: what is on the disk is copied, and another process starts with it.
    fn crash(&mut self) {
        let dir = self.dir.copy();
        for (permit, intent) in self.open.drain(..) {
            self.expected.insert(intent.subject.id, Expect::Orphaned);
            permit.abandon();
        }
        self.process = Process::start(&dir.0, self.options);
        self.dir = dir;
        self.writes_fail = false;
    }

    fn check(&mut self) {
        self.heal();
        self.crash();
        let records = self.dir.records();
        assert_eq!(records.len(), self.expected.len(), "each request once");
        for record in records {
            match (self.expected.get(&record.id), record.outcome.as_str()) {
                (Some(Expect::Settled | Expect::Either), "succeeded") => {}
                (Some(Expect::Orphaned | Expect::Either), "orphaned") => {}
                (expected, outcome) => panic!("{expected:?} but {outcome}"),
            }
        }
        assert_eq!(self.process.journal.lost_permits(), 0);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_admitted_request_is_recorded_once(
        events in proptest::collection::vec(event(), 1..160),
        handover_limit in prop_oneof![Just(2_usize), Just(50_000)],
    ) {
        let mut world = World::new(JournalOptions { handover_limit, ..small() });
        for event in events {
            world.step(event);
        }
        world.check();
    }
}
