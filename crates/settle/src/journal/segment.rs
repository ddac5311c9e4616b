//! A segment: one preallocated file of entries, written by one writer.
//!
//! ```text
//! "CWJ1" | u16 format version | u16 writer | 16 bytes segment id | u64 created, Unix ms      little endian, 32 bytes
//! ```
//! Its id is random, so that a copy of a data directory never continues a sequence that the original continues too. The
//! counters here change under the writer's lock; others only read them.

use std::fmt::Write as _;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use store::records::SegmentId;

use super::disk::{Disk, SegmentFile};
use super::entry::{END_BYTES, MAX_INTENT_BYTES, MAX_SETTLEMENT_BYTES};

/// The length of the header, in bytes, and the offset of the first entry.
pub const HEADER_BYTES: u64 = 32;

/// The room that a permit reserves, in bytes.
pub const PERMIT_BYTES: u64 = (MAX_INTENT_BYTES + MAX_SETTLEMENT_BYTES) as u64;

/// The version of the entries. It is raised with every change to `ir::settlement` or to the framing.
pub const FORMAT_VERSION: u16 = 3;

/// The oldest version whose entries can be read.
const OLDEST_VERSION: u16 = 2;

/// The smallest segment that can be used, in bytes.
pub const MIN_SEGMENT_BYTES: u64 = HEADER_BYTES + PERMIT_BYTES + END_BYTES as u64;

const MAGIC: [u8; 4] = *b"CWJ1";

/// A segment of this process.
pub struct Segment {
    /// Its id.
    pub id: SegmentId,
    /// Where it lies.
    pub path: PathBuf,
    file: Box<dyn SegmentFile>,
    capacity: u64,
    /// Where the next entry goes: everything before is whole.
    written: AtomicU64,
    /// How many bytes permits may still write.
    reserved: AtomicU64,
    /// How many permits are out.
    permits: AtomicU64,
    /// Up to where the settlements are committed to the records.
    committed: AtomicU64,
    /// No permit is given any more.
    sealed: AtomicBool,
    /// Something was written since the last sync.
    dirty: AtomicBool,
    /// A settlement was not handed over: the drainer reads the file.
    spilled: AtomicBool,
}

impl Segment {
    /// Creates the file and writes its header.
    ///
    /// # Errors
    /// When the disk is full or broken.
    pub fn create(disk: &dyn Disk, dir: &Path, bytes: u64, writer: u16, created_ms: u64) -> io::Result<Self> {
        let id = fastrand::u128(1..).to_be_bytes();
        let path = dir.join(file_name(&id));
        let file = disk.create_segment(&path, bytes)?;
        if let Err(error) = file.write_at(&header(&id, writer, created_ms), 0) {
            let _ = disk.remove(&path);
            return Err(error);
        }
        Ok(Self {
            id,
            path,
            file,
            capacity: bytes - END_BYTES as u64,
            written: AtomicU64::new(HEADER_BYTES),
            reserved: AtomicU64::new(0),
            permits: AtomicU64::new(0),
            committed: AtomicU64::new(HEADER_BYTES),
            sealed: AtomicBool::new(false),
            dirty: AtomicBool::new(true),
            spilled: AtomicBool::new(false),
        })
    }

    /// Reserves room for one intent and one settlement. The caller holds the writer's lock.
    pub fn reserve(&self) -> bool {
        let reserved = self.reserved.load(Ordering::Relaxed) + PERMIT_BYTES;
        let fits = self.written() + reserved <= self.capacity;
        if fits {
            self.reserved.store(reserved, Ordering::Relaxed);
            self.permits.fetch_add(1, Ordering::Relaxed);
        }
        fits
    }

    /// Reserves room for one more intent of a permit that is out. The caller holds the writer's lock.
    pub fn reserve_intent(&self) -> bool {
        let reserved = self.reserved.load(Ordering::Relaxed) + MAX_INTENT_BYTES as u64;
        let fits = self.written() + reserved <= self.capacity;
        if fits {
            self.reserved.store(reserved, Ordering::Relaxed);
        }
        fits
    }

    /// Gives reserved room back. The caller holds the writer's lock.
    pub fn give_back(&self, bytes: u64) {
        self.reserved.fetch_sub(bytes, Ordering::Relaxed);
    }

    /// Says that a permit is done with. What it wrote has been handed over before.
    pub fn permit_done(&self) {
        self.permits.fetch_sub(1, Ordering::Release);
    }

    /// Returns whether no permit will ever fit, whatever is given back.
    pub fn is_full(&self) -> bool {
        self.written() + PERMIT_BYTES > self.capacity
    }

    /// Returns whether it holds entries and nothing is in flight.
    pub fn is_idle(&self) -> bool {
        self.permits.load(Ordering::Acquire) == 0 && self.written() > HEADER_BYTES
    }

    /// Appends an entry and the end behind it, and returns the offset of the entry's end. The caller holds the writer's
    /// lock and has reserved the room.
    ///
    /// # Errors
    /// When the disk fails; then nothing counts as written.
    pub fn append(&self, entry_and_end: &[u8]) -> io::Result<u64> {
        let at = self.written();
        self.file.write_at(entry_and_end, at)?;
        let end = at + entry_and_end.len().saturating_sub(END_BYTES) as u64;
        self.dirty.store(true, Ordering::Release);
        self.written.store(end, Ordering::Release);
        Ok(end)
    }

    /// Returns where the next entry goes.
    pub fn written(&self) -> u64 {
        self.written.load(Ordering::Acquire)
    }

    /// Gives no permit any more.
    pub fn seal(&self) {
        self.sealed.store(true, Ordering::Release);
    }

    /// Waits until what was written is on the disk, when something was.
    ///
    /// # Errors
    /// When the disk fails; the next call tries again.
    pub fn sync(&self) -> io::Result<()> {
        if !self.dirty.swap(false, Ordering::AcqRel) {
            return Ok(());
        }
        self.file.sync().inspect_err(|_| self.dirty.store(true, Ordering::Release))
    }

    /// Leaves the rest of the segment to be read from the file.
    pub fn spill(&self) {
        self.spilled.store(true, Ordering::Release);
    }

    /// Returns whether the drainer has to read the file.
    pub fn is_spilled(&self) -> bool {
        self.spilled.load(Ordering::Acquire)
    }

    /// Returns up to where the settlements are committed.
    pub fn committed(&self) -> u64 {
        self.committed.load(Ordering::Acquire)
    }

    /// Says that everything up to an offset is committed.
    pub fn advance_committed(&self, to: u64) {
        self.committed.fetch_max(to, Ordering::AcqRel);
    }

    /// Returns whether nothing will be written and everything that was is committed. The order of the loads matters:
    /// once it is sealed and no permit is out, nothing else changes.
    pub fn is_spent(&self) -> bool {
        self.sealed.load(Ordering::Acquire)
            && self.permits.load(Ordering::Acquire) == 0
            && self.committed() >= self.written()
    }
}

/// What the header of a file says.
#[derive(Debug, PartialEq, Eq)]
pub enum Header {
    /// A segment that can be read: the version of its entries, and its id.
    Segment(u16, SegmentId),
    /// A segment of a newer format.
    Newer(u16),
    /// Zeros: the process died before it wrote the header, so that nothing is lost.
    Blank,
    /// Not a segment.
    Foreign,
}

/// Reads the header of a file.
pub fn read_header(bytes: &[u8]) -> Header {
    let head = bytes.get(..32).unwrap_or(bytes);
    if head.iter().all(|byte| *byte == 0) {
        return Header::Blank;
    }
    match parse_header(head) {
        Some((version, _)) if version > FORMAT_VERSION => Header::Newer(version),
        Some((version, id)) if version >= OLDEST_VERSION => Header::Segment(version, id),
        _ => Header::Foreign,
    }
}

fn parse_header(head: &[u8]) -> Option<(u16, SegmentId)> {
    let (magic, rest) = head.split_first_chunk::<4>()?;
    let (version, rest) = rest.split_first_chunk::<2>()?;
    let (_writer, rest) = rest.split_first_chunk::<2>()?;
    let (id, rest) = rest.split_first_chunk::<16>()?;
    (*magic == MAGIC && rest.len() == 8).then(|| (u16::from_le_bytes(*version), *id))
}

fn header(id: &SegmentId, writer: u16, created_ms: u64) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(32);
    bytes.extend_from_slice(&MAGIC);
    bytes.extend_from_slice(&FORMAT_VERSION.to_le_bytes());
    bytes.extend_from_slice(&writer.to_le_bytes());
    bytes.extend_from_slice(id);
    bytes.extend_from_slice(&created_ms.to_le_bytes());
    bytes
}

fn file_name(id: &SegmentId) -> String {
    let mut name = String::with_capacity(36);
    for byte in id {
        // Writing into a string does not fail.
        let _ = write!(name, "{byte:02x}");
    }
    name.push_str(".seg");
    name
}
