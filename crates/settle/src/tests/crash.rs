//! The death of the process, at every point that matters.

use super::*;

fn check(dir: &Directory, settled: &[RequestId], orphaned: &[RequestId]) {
    let records = dir.records();
    let with = |orphan: bool| {
        let mut ids: Vec<_> =
            records.iter().filter(|one| (one.outcome == "orphaned") == orphan).map(|one| one.id).collect();
        ids.sort_unstable();
        ids
    };
    let sorted = |ids: &[RequestId]| {
        let mut ids = ids.to_vec();
        ids.sort_unstable();
        ids
    };
    assert_eq!((with(false), with(true)), (sorted(settled), sorted(orphaned)));
}

#[test]
fn orphans_are_settled_with_what_their_intent_estimated() {
    let dir = Directory::new();
    let process = Process::start(&dir.0, small());
    let (done, open) = (intent(), intent());
    let permit = process.begin(&open);
    process.begin(&done).settle(settlement(&done));
    let after = dir.copy();
    permit.abandon();
    let restarted = Process::start(&after.0, small());
    assert_eq!(restarted.report, RecoveryReport { settled: 1, orphans: 1, corrupt_tails: 0 });
    check(&after, &[done.subject.id], &[open.subject.id]);
    let orphan = after.records().into_iter().find(|one| one.outcome == "orphaned").unwrap();
    assert_eq!((orphan.status, orphan.cost_usd, orphan.usage.input_tokens), (500, Some(NanoUsd(14)), 7));
    assert_eq!(orphan.usage.origin, "estimated");
    assert_eq!(orphan.error.unwrap().code.as_deref(), Some("internal_error"));
}

#[test]
fn an_orphan_that_asked_two_targets_accounts_for_both() {
    let dir = Directory::new();
    let process = Process::start(&dir.0, small());
    let (open, done) = (intent(), intent());
    let both = |first: &Intent| Intent {
        model: "second".into(),
        provider: "other".into(),
        input_cost: Some(NanoUsd(40)),
        ..first.clone()
    };
    let (mut permit, mut settled) = (process.begin(&open), process.begin(&done));
    permit.intend_another(&both(&open)).unwrap().finish().unwrap();
    settled.intend_another(&both(&done)).unwrap().finish().unwrap();
    settled.settle(settlement(&done));
    let after = dir.copy();
    permit.abandon();
    let restarted = Process::start(&after.0, small());
    assert_eq!(restarted.report, RecoveryReport { settled: 1, orphans: 1, corrupt_tails: 0 });
    check(&after, &[done.subject.id], &[open.subject.id]);
    let orphan = after.records().into_iter().find(|one| one.outcome == "orphaned").unwrap();
    assert_eq!((orphan.cost_usd, orphan.usage.input_tokens), (Some(NanoUsd(40)), 7));
    assert_eq!(orphan.provider.as_deref(), Some(&*open.provider));
    let tried: Vec<_> = orphan.attempts.iter().map(|one| (&*one.model, &*one.provider, one.error.is_some())).collect();
    assert_eq!(tried, [(&*open.model, &*open.provider, false), ("second", "other", true)]);
}

#[test]
fn an_orphan_that_held_more_as_it_went_on_accounts_for_that() {
    let held = |nanos| Some(ir::settlement::Held { output_tokens: nanos, nanos });
    let (alone, hedged) = (Intent { held: held(1), ..intent() }, Intent { held: held(1), ..intent() });
    let dir = Directory::new();
    let process = Process::start(&dir.0, small());
    let mut permits = [process.begin(&alone), process.begin(&hedged)];
    let second = Intent { provider: "other".into(), held: held(2), ..hedged.clone() };
    permits[1].intend_another(&second).unwrap().finish().unwrap();
    for (permit, intent) in permits.iter_mut().zip([&alone, &second]) {
        for nanos in [5, 9] {
            let more =
                Intent { model: "".into(), provider: "".into(), input_cost: None, held: held(nanos), ..intent.clone() };
            permit.intend_another(&more).unwrap().finish().unwrap();
        }
    }
    let after = dir.copy();
    permits.into_iter().for_each(Permit::abandon);
    let restarted = Process::start(&after.0, small());
    assert_eq!(restarted.report, RecoveryReport { settled: 0, orphans: 2, corrupt_tails: 0 });
    let mut found = Vec::new();
    let reader = RecordsReader::open(&after.0).unwrap();
    reader.beside("default", 0, |beside| found.push((beside.held, beside.tries.len()))).unwrap();
    found.sort_by_key(|(_, tries)| *tries);
    assert_eq!(found, [(held(9), 0), (held(9), 1)]);
    assert!(after.records().iter().all(|one| one.provider.as_deref() == Some(&*alone.provider)));
    assert!(after.records().iter().all(|one| one.cost_usd.is_some()));
}

#[test]
fn a_second_intent_needs_room_and_takes_none_from_others() {
    let dir = Directory::new();
    let process = Process::start(&dir.0, small());
    let mut intents = vec![intent()];
    let mut permits = vec![process.begin(&intents[0])];
    let mut refused = 0;
    for _ in 0..2_000 {
        let another = permits[0].intend_another(&intents[0]);
        refused += usize::from(another.is_err());
        let _ = another.map(|due| due.finish());
        if refused == 1 {
            break;
        }
    }
    assert_eq!(refused, 1, "a segment is full some day");
    intents.push(intent());
    permits.push(process.begin(&intents[1]));
    let ids: Vec<_> = intents.iter().map(|intent| intent.subject.id).collect();
    for (permit, intent) in permits.into_iter().zip(&intents) {
        permit.settle(settlement(intent));
    }
    let after = dir.copy();
    Process::start(&after.0, small());
    check(&after, &ids, &[]);
}

#[test]
fn nothing_before_a_cut_is_lost_and_nothing_is_doubled() {
    let dir = Directory::new();
    let process = Process::start(&dir.0, small());
    let held = Some(ir::settlement::Held { output_tokens: 1, nanos: 1 });
    let (a, b) = (Intent { held, ..intent() }, Intent { held, ..intent() });
    let real_settlement = |intent: &Intent| Settlement { asked: 1, ..real_settlement(intent) };
    let (permit_a, permit_b) = (process.begin(&a), process.begin(&b));
    // No entry ends in a zero, so that the last other byte is the end.
    let written = || fs::read(longest(&dir)).unwrap();
    let length = |bytes: &[u8]| bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    let intents_end = length(&written());
    permit_b.settle(real_settlement(&b));
    let b_end = length(&written());
    permit_a.settle(real_settlement(&a));
    let bytes = written();
    let a_end = length(&bytes);
    for cut in intents_end..=a_end {
        let after = Directory::new();
        fs::create_dir_all(after.0.join("journal")).unwrap();
        let mut torn = bytes[..cut].to_vec();
        if cut % 2 == 0 {
            torn.resize(bytes.len(), 0);
        }
        fs::write(after.0.join("journal").join(longest(&dir).file_name().unwrap()), torn).unwrap();
        let report = Process::start(&after.0, small()).report;
        let settled: &[RequestId] = if cut >= a_end {
            &[a.subject.id, b.subject.id]
        } else if cut >= b_end {
            &[b.subject.id]
        } else {
            &[]
        };
        let orphaned: Vec<_> = [a.subject.id, b.subject.id].into_iter().filter(|id| !settled.contains(id)).collect();
        check(&after, settled, &orphaned);
        assert!(
            report.corrupt_tails <= 1 && (report.corrupt_tails == 0 || ![intents_end, b_end, a_end].contains(&cut))
        );
        let again = Process::start(&after.0, small()).report;
        assert_eq!(again, RecoveryReport::default());
    }
}

/// Returns the segment that was written to.
fn longest(dir: &Directory) -> PathBuf {
    let used = |path: &PathBuf| fs::read(path).unwrap().iter().filter(|byte| **byte != 0).count();
    dir.segments().into_iter().max_by_key(used).unwrap()
}

#[test]
fn a_crash_between_commit_and_removal_delivers_again_and_doubles_nothing() {
    let dir = Directory::new();
    let mut process = Process::start(&dir.0, JournalOptions::default());
    let (a, b, c) = (intent(), intent(), intent());
    process.begin(&a).settle(settlement(&a));
    let before_commit = dir.copy();
    process.drain();
    process.begin(&b).settle(settlement(&b));
    let permit = process.begin(&c);
    let after_commit = dir.copy();
    permit.abandon();
    assert_eq!(
        Process::start(&after_commit.0, small()).report,
        RecoveryReport { settled: 1, orphans: 1, corrupt_tails: 0 }
    );
    check(&after_commit, &[a.subject.id, b.subject.id], &[c.subject.id]);
    // The records of the first copy, but a watermark that was lost with a power failure.
    assert_eq!(Process::start(&before_commit.0, small()).report.settled, 1);
    check(&before_commit, &[a.subject.id], &[]);
}

#[test]
fn recovery_may_die_before_it_removes_the_segments() {
    let dir = Directory::new();
    let process = Process::start(&dir.0, small());
    let (done, open) = (intent(), intent());
    let permit = process.begin(&open);
    process.begin(&done).settle(settlement(&done));
    let after = dir.copy();
    permit.abandon();
    let segments: Vec<_> = after.segments().into_iter().map(|path| (fs::read(&path).unwrap(), path)).collect();
    drop(Process::start(&after.0, small()));
    for (bytes, path) in segments {
        fs::write(path, bytes).unwrap();
    }
    assert_eq!(Process::start(&after.0, small()).report, RecoveryReport::default());
    check(&after, &[done.subject.id], &[open.subject.id]);
}

#[test]
fn old_segments_go_when_they_are_recovered() {
    let dir = Directory::new();
    drop(Process::start(&dir.0, small()));
    drop(Process::start(&dir.0, small()));
    assert_eq!(dir.segments().len(), 2);
}

#[test]
fn a_newer_segment_is_refused_and_a_foreign_file_left_alone() {
    let dir = Directory::new();
    fs::create_dir_all(dir.0.join("journal")).unwrap();
    fs::write(dir.0.join("journal/foreign.seg"), "not a segment, but somebody's file").unwrap();
    fs::write(dir.0.join("journal/blank.seg"), [0; 100]).unwrap();
    let process = Process::start(&dir.0, small());
    assert_eq!(process.report.corrupt_tails, 1);
    assert!(dir.0.join("journal/foreign.seg").exists() && !dir.0.join("journal/blank.seg").exists());
    drop(process);
    let mut newer = b"CWJ1\x09\x00".to_vec();
    newer.resize(64, 1);
    fs::write(dir.0.join("journal/newer.seg"), newer).unwrap();
    let (clock, _hands) = Clock::manual(NOW_MS);
    let error = Journal::open(&dir.0, Arc::new(RealDisk), small(), clock).err().unwrap();
    assert!(matches!(error, JournalError::NewerVersion { found: 9 }), "{error}");
}

#[test]
fn a_segment_longer_than_the_buffer_is_read_whole() {
    let dir = Directory::new();
    let process = Process::start(&dir.0, JournalOptions::default());
    let open = intent();
    let permit = process.begin(&open);
    let done: Vec<_> = (0..2_500).map(|_| intent()).collect();
    for one in &done {
        process.begin(one).settle(real_settlement(one));
    }
    let after = dir.copy();
    permit.abandon();
    assert!(Process::start(&after.0, small()).report.settled == 2_500);
    check(&after, &done.iter().map(|one| one.subject.id).collect::<Vec<_>>(), &[open.subject.id]);
}
