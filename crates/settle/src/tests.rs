//! Tests of the journal, the drainer and the recovery together. No test sleeps: the threads' bodies are called by hand.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use ir::id::RequestId;
use ir::money::NanoUsd;
use ir::settlement::{AttemptRecord, Intent, Outcome, Settlement, Subject};
use ir::usage::{Usage, UsageOrigin};
use policy::clock::{Clock, Hands};
use store::records::Records;
use store::records::read::{ListQuery, RecordsReader};
use store::records::record::RequestRecord;

use crate::drain::Drainer;
use crate::journal::disk::RealDisk;
use crate::journal::faults::{Fault, FaultyDisk, Operation};
use crate::journal::permit::Permit;
use crate::journal::segment::{MIN_SEGMENT_BYTES, PERMIT_BYTES};
use crate::journal::writer::{JournalUnavailable, Writer};
use crate::journal::{Journal, JournalError, JournalOptions};
use crate::recover::RecoveryReport;

mod auditing;
mod crash;
mod entries;
mod failing;
mod keeping;
mod property;
mod roundtrip;
mod together;

const NOW_MS: u64 = 1_795_000_000_000;

/// A directory that goes away with the test.
struct Directory(PathBuf);

impl Directory {
    fn new() -> Self {
        let path = std::env::temp_dir().join(format!("crossway-settle-{}", RequestId::new(NOW_MS)));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    /// Copies what a process that dies now leaves behind.
    fn copy(&self) -> Self {
        let copy = Self::new();
        fs::create_dir_all(copy.0.join("journal")).unwrap();
        for dir in ["", "journal"] {
            for entry in fs::read_dir(self.0.join(dir)).unwrap().map(Result::unwrap) {
                // The index of the write-ahead log is memory shared by living processes, and is built anew.
                if entry.file_type().unwrap().is_file() && !entry.file_name().to_str().unwrap().ends_with("-shm") {
                    fs::copy(entry.path(), copy.0.join(dir).join(entry.file_name())).unwrap();
                }
            }
        }
        copy
    }

    fn segments(&self) -> Vec<PathBuf> {
        let files = fs::read_dir(self.0.join("journal")).unwrap().map(|entry| entry.unwrap().path());
        files.filter(|path| path.extension().is_some_and(|extension| extension == "seg")).collect()
    }

    /// Returns every record, newest first.
    fn records(&self) -> Vec<RequestRecord> {
        let reader = RecordsReader::open(&self.0).unwrap();
        let mut query = ListQuery { environment: "default".into(), limit: Some(200), ..ListQuery::default() };
        let mut all = Vec::new();
        loop {
            let page = reader.list(&query).unwrap();
            all.extend(page.data);
            query.cursor = page.next_cursor;
            if query.cursor.is_none() {
                return all;
            }
        }
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A running process: a journal, a writer and a drainer on a disk that can be made to fail.
struct Process {
    journal: Arc<Journal>,
    writer: Writer,
    drainer: Drainer,
    disk: FaultyDisk,
    hands: Arc<Hands>,
    report: RecoveryReport,
}

impl Process {
    fn start(dir: &Path, options: JournalOptions) -> Self {
        let disk = FaultyDisk::new(Arc::new(RealDisk));
        let (clock, hands) = Clock::manual(NOW_MS);
        let (journal, recovery) = Journal::open(dir, Arc::new(disk.clone()), options, clock.clone()).unwrap();
        let mut records = Records::open(dir).unwrap();
        let report = recovery.recover(&mut records).unwrap();
        let writer = journal.writer();
        let drainer = Drainer::new(Arc::clone(&journal), records, clock);
        Self { journal, writer, drainer, disk, hands, report }
    }

    fn begin(&self, intent: &Intent) -> Permit {
        let mut permit = self.writer.permit().unwrap();
        permit.intent(intent).unwrap();
        permit
    }

    fn drain(&mut self) -> usize {
        self.drainer.drain_once().unwrap().settlements
    }
}

/// Segments with room for a handful of requests.
fn small() -> JournalOptions {
    JournalOptions { segment_bytes: MIN_SEGMENT_BYTES + 3 * PERMIT_BYTES, ..JournalOptions::default() }
}

fn intent() -> Intent {
    Intent {
        subject: Subject {
            id: RequestId::new(NOW_MS),
            admitted_unix_ms: NOW_MS,
            environment: "default".into(),
            key: None,
            key_name: "ci".into(),
            team: None,
            cost_tags: Arc::from([]),
            surface: "openai.chat".into(),
            requested_model: "m".into(),
            stream: false,
        },
        model: "m".into(),
        provider: "p".into(),
        input_tokens: 7,
        input_cost: Some(NanoUsd(14)),
        charge: None,
        parties: Vec::new(),
        held: None,
    }
}

fn settlement(intent: &Intent) -> Settlement {
    Settlement {
        subject: intent.subject.clone(),
        outcome: Outcome::Succeeded,
        status: 200,
        error_code: None,
        error_detail: None,
        model: Some("m".into()),
        provider: Some("p".into()),
        upstream_id: None,
        finish_reason: Some("stop".into()),
        usage: Usage { input: 7, output: 3, ..Usage::default() },
        usage_origin: UsageOrigin::Reported,
        cost: Some(NanoUsd(14)),
        baseline: None,
        baseline_cost: None,
        latency_us: 10,
        first_content_us: Some(5),
        attempts: Vec::new(),
        charge: None,
        parties: Vec::new(),
        held: None,
        asked: 0,
    }
}

/// Returns a settlement of the size of a real one.
fn real_settlement(intent: &Intent) -> Settlement {
    Settlement {
        upstream_id: Some("chatcmpl-9x8y7z6w5v4u3t2s1r0q".into()),
        baseline: Some("gpt-4o".into()),
        baseline_cost: Some(NanoUsd(2_000)),
        attempts: vec![AttemptRecord {
            provider: "openai".into(),
            model: "gpt-4o-mini".into(),
            reason: "requested model".into(),
            status: Some(200),
            error: None,
            duration_us: 1_234,
        }],
        ..settlement(intent)
    }
}
