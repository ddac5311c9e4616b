//! Proving that nothing of the journal is missing in the records and the ledger. It reads what is there and changes
//! nothing: it may run beside a gateway, or on a copy of its data directory.
//!
//! The database is looked at first. What a segment holds before the watermark of that look was committed then: each
//! settlement has to be in the records, and charged as it says. What stands behind it is still to be committed, by the
//! running gateway or by the next start.

use std::io;
use std::path::Path;

use store::StoreError;
use store::records::ledger::verify::{Audit, Journalled};

use crate::journal::disk::Disk;
use crate::journal::entry::Entry;
use crate::journal::reader::SegmentReader;
use crate::journal::segment::{HEADER_BYTES, Header, read_header};

/// Why the journal cannot be checked.
#[derive(Debug, thiserror::Error)]
pub enum AuditError {
    /// The database failed.
    #[error("cannot read the records")]
    Store(#[from] StoreError),
    /// A segment cannot be read.
    #[error("cannot read the journal")]
    Disk(#[from] io::Error),
}

/// What was looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Journal {
    /// How many segments.
    pub segments: u64,
    /// How many settlements they hold that are committed.
    pub committed: u64,
    /// How many are not committed yet.
    pub pending: u64,
}

/// Checks the journal of a data directory against an audit that has begun.
///
/// # Errors
/// When the database or the disk fails; not for a segment that a running gateway removes meanwhile.
pub fn audit_journal(disk: &dyn Disk, data_dir: &Path, audit: &mut Audit<'_>) -> Result<Journal, AuditError> {
    let mut found = Journal::default();
    let watermarks = audit.watermarks()?;
    let dir = data_dir.join("journal");
    let files = if dir.is_dir() { disk.list(&dir)? } else { Vec::new() };
    for path in files.iter().filter(|path| path.extension().is_some_and(|extension| extension == "seg")) {
        let head = match disk.read(path, 0, HEADER_BYTES) {
            // It was done with, and all of it committed.
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            read => read?,
        };
        let Header::Segment(version, id) = read_header(&head) else { continue };
        found.segments += 1;
        let watermark = watermarks.get(&id).copied().unwrap_or(0);
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let mut reader = SegmentReader::new(disk, path, HEADER_BYTES, u64::MAX).of_version(version);
        loop {
            let next = match reader.next_entry() {
                Err(error) if error.kind() == io::ErrorKind::NotFound => break,
                next => next?,
            };
            let Some((entry, end)) = next else { break };
            let Entry::Settlement(one) = entry else { continue };
            if end > watermark && !audit.is_recorded(one.subject.id)? {
                found.pending += 1;
                continue;
            }
            found.committed += 1;
            let environment = one.subject.environment.as_ref().to_owned();
            audit.settled(&Journalled { id: one.subject.id, environment, charge: one.charge }, &name)?;
        }
    }
    Ok(found)
}
