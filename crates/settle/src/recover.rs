//! Recovery: what earlier processes left in the journal is settled before new traffic is recorded.
//!
//! Settlements behind the watermarks are delivered to the records. A request that has an intent and no settlement
//! anywhere was in flight when its process died: it is settled as an orphan, with the usage that its intent estimated.
//! Every step may be repeated: a process that dies in the middle leaves files that the next one reads again.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ir::failure::Code;
use ir::id::RequestId;
use ir::settlement::{AttemptRecord, Intent, Outcome, Settlement};
use ir::usage::{Usage, UsageOrigin};
use store::StoreError;
use store::records::{Records, SegmentId};

use crate::journal::disk::Disk;
use crate::journal::entry::Entry;
use crate::journal::reader::SegmentReader;
use crate::journal::segment::{HEADER_BYTES, Header, read_header};

/// The most settlements in one transaction.
const BATCH: usize = 1_000;

/// What the record of an orphan says.
const STOPPED: &str = "the gateway stopped while the request was in flight";

/// Why recovery stopped. It can be called again, and nothing is lost.
#[derive(Debug, thiserror::Error)]
pub enum RecoverError {
    /// The records failed.
    #[error("cannot commit recovered settlements to the records")]
    Store(#[from] StoreError),
    /// A segment cannot be read or removed.
    #[error("cannot read or remove a journal segment")]
    Disk(#[from] io::Error),
}

/// What was recovered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RecoveryReport {
    /// Settlements that were on file and not in the records.
    pub settled: usize,
    /// Requests that were in flight when their process died.
    pub orphans: usize,
    /// Segments whose last entry is torn, or that hold something else behind it.
    pub corrupt_tails: usize,
}

/// The segments that earlier processes left.
#[must_use = "call recover, or what earlier processes left is not recorded"]
pub struct Recovery {
    disk: Arc<dyn Disk>,
    files: Vec<PathBuf>,
}

/// The first intent of a request and, where a second target was asked, its.
type Both = (Box<Intent>, Option<Box<Intent>>);

/// What one pass over the segments collects.
struct Pass<'a> {
    records: &'a mut Records,
    watermarks: HashMap<SegmentId, u64>,
    /// Requests whose segment holds no settlement: their first intent and, where a second target was asked, its.
    open: HashMap<RequestId, Both>,
    batch: Vec<Settlement>,
    report: RecoveryReport,
}

impl Recovery {
    pub(crate) fn new(disk: Arc<dyn Disk>, files: Vec<PathBuf>) -> Self {
        Self { disk, files }
    }

    /// Commits what the segments hold to the records, settles orphans, and removes the segments. A file that is not a
    /// segment is counted as corrupt and left where it is.
    ///
    /// # Errors
    /// When the records or the disk fail.
    pub fn recover(&self, records: &mut Records) -> Result<RecoveryReport, RecoverError> {
        let watermarks: HashMap<_, _> = records.watermarks()?.into_iter().collect();
        let mut forget: Vec<SegmentId> = watermarks.keys().copied().collect();
        let report = RecoveryReport::default();
        let mut pass = Pass { records, watermarks, open: HashMap::new(), batch: Vec::new(), report };
        let mut done = Vec::new();
        for path in &self.files {
            if let Some(id) = pass.read(&*self.disk, path)? {
                forget.extend(id);
                done.push(path);
            }
        }
        pass.flush()?;
        pass.settle_orphans()?;
        let report = pass.report;
        // Only when all of it is on the disk may the files go.
        records.forget_durably(&forget)?;
        for path in done {
            self.disk.remove(path)?;
        }
        Ok(report)
    }
}

impl Pass<'_> {
    /// Reads a file. Returns whether it may be removed, and the segment's id if it has one.
    fn read(&mut self, disk: &dyn Disk, path: &Path) -> Result<Option<Option<SegmentId>>, RecoverError> {
        match read_header(&disk.read(path, 0, HEADER_BYTES)?) {
            Header::Segment(version, id) => {
                self.read_segment(disk, path, (version, id))?;
                Ok(Some(Some(id)))
            }
            Header::Blank => Ok(Some(None)),
            Header::Newer(_) | Header::Foreign => {
                self.report.corrupt_tails += 1;
                tracing::warn!(file = %path.display(), "a file in the journal is not a segment and was left alone");
                Ok(None)
            }
        }
    }

    fn read_segment(
        &mut self,
        disk: &dyn Disk,
        path: &Path,
        (version, id): (u16, SegmentId),
    ) -> Result<(), RecoverError> {
        let watermark = self.watermarks.get(&id).copied().unwrap_or(0);
        let mut reader = SegmentReader::new(disk, path, HEADER_BYTES, u64::MAX).of_version(version);
        while let Some((entry, end)) = reader.next_entry()? {
            match entry {
                Entry::Intent(intent) => {
                    let id = intent.subject.id;
                    let both = match self.open.remove(&id) {
                        Some(both) => later(both, intent),
                        None => (intent, None),
                    };
                    self.open.insert(id, both);
                }
                Entry::Settlement(settlement) => {
                    self.open.remove(&settlement.subject.id);
                    if end > watermark {
                        self.push(*settlement)?;
                    }
                }
            }
        }
        if reader.is_corrupt() {
            self.report.corrupt_tails += 1;
            tracing::warn!(file = %path.display(), "a journal segment ends in a torn or corrupt entry");
        }
        Ok(())
    }

    fn push(&mut self, settlement: Settlement) -> Result<(), StoreError> {
        self.batch.push(settlement);
        if self.batch.len() >= BATCH { self.flush() } else { Ok(()) }
    }

    /// Commits the batch, and counts what was not in the records before.
    fn flush(&mut self) -> Result<(), StoreError> {
        let ids: Vec<_> = self.batch.iter().map(|settlement| settlement.subject.id).collect();
        let known = self.records.contains(&ids)?.len();
        self.records.commit(&self.batch, &[], &[])?;
        self.report.settled += ids.len().saturating_sub(known);
        self.batch.clear();
        Ok(())
    }

    /// Settles the requests that are settled neither on file nor in the records.
    fn settle_orphans(&mut self) -> Result<(), StoreError> {
        let ids: Vec<_> = self.open.keys().copied().collect();
        let known = self.records.contains(&ids)?;
        let mut orphans: Vec<Settlement> =
            self.open.drain().filter(|(id, _)| !known.contains(id)).map(|(_, both)| orphan(both)).collect();
        orphans.sort_unstable_by_key(|settlement| settlement.subject.id);
        for batch in orphans.chunks(BATCH) {
            self.records.commit(batch, &[], &[])?;
            self.report.orphans += batch.len();
        }
        Ok(())
    }
}

/// Takes a later intent of a request: one that names a target says that a second one was asked, one that names none what is
/// held meanwhile.
fn later((mut first, mut second): Both, intent: Box<Intent>) -> Both {
    if !intent.provider.is_empty() || !intent.model.is_empty() {
        return (first, Some(intent));
    }
    second.as_mut().unwrap_or(&mut first).held = intent.held;
    (first, second)
}

/// Returns the settlement of a request whose process died: what its intents estimated, and no output. Where two targets were
/// asked at the same time, the second intent has the cost of both.
fn orphan((first, second): Both) -> Settlement {
    let attempts = second.as_ref().map_or_else(Vec::new, |second| {
        let attempt = |intent: &Intent, reason: &str, error: Option<&str>| AttemptRecord {
            provider: Arc::clone(&intent.provider),
            model: Arc::clone(&intent.model),
            reason: Arc::from(reason),
            status: None,
            error: error.map(str::to_owned),
            duration_us: 0,
        };
        vec![attempt(&first, "first target", None), attempt(second, "hedge", Some(STOPPED))]
    });
    let asked = if attempts.is_empty() { 0 } else { 0b11 };
    let last = second.unwrap_or_else(|| first.clone());
    let intent = Intent { input_cost: last.input_cost, charge: last.charge, held: last.held, ..*first };
    let usage = Usage { input: intent.input_tokens, ..Usage::default() };
    let named = |name: Arc<str>| (!name.is_empty()).then_some(name);
    Settlement {
        subject: intent.subject,
        outcome: Outcome::Orphaned,
        status: Code::InternalError.status(),
        error_code: Some(Arc::from(Code::InternalError.name())),
        error_detail: Some(STOPPED.to_owned()),
        model: named(intent.model),
        provider: named(intent.provider),
        upstream_id: None,
        finish_reason: None,
        usage,
        usage_origin: UsageOrigin::Estimated,
        cost: intent.input_cost,
        baseline: None,
        baseline_cost: None,
        latency_us: 0,
        first_content_us: None,
        attempts,
        charge: intent.charge,
        parties: intent.parties,
        held: intent.held,
        asked,
    }
}
