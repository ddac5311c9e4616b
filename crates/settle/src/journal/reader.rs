//! Reads a segment's file entry by entry through a small buffer: what a crash or a long outage of the database leaves
//! may be large, and none of it has to stay in memory.

use std::io;
use std::path::Path;

use super::disk::Disk;
use super::entry::{END_BYTES, Entries, Entry, MAX_SETTLEMENT_BYTES};
use super::segment::FORMAT_VERSION;

/// How much is read at once, in bytes.
const CHUNK_BYTES: u64 = 256 << 10;

/// An entry that begins with this much behind it, in bytes, is whole.
const WHOLE_BYTES: usize = MAX_SETTLEMENT_BYTES + END_BYTES;

/// A place in a segment's file.
pub struct SegmentReader<'a> {
    disk: &'a dyn Disk,
    path: &'a Path,
    chunk: Vec<u8>,
    /// Where the next entry begins in the chunk, and in the file.
    at: usize,
    offset: u64,
    to: u64,
    /// The version of the entries.
    version: u16,
    /// The chunk reaches to the end.
    last: bool,
    corrupt: bool,
}

impl<'a> SegmentReader<'a> {
    /// Returns a reader of a part of the file that begins with an entry. It may be longer than the file.
    pub fn new(disk: &'a dyn Disk, path: &'a Path, from: u64, to: u64) -> Self {
        let version = FORMAT_VERSION;
        Self { disk, path, chunk: Vec::new(), at: 0, offset: from, to, version, last: false, corrupt: false }
    }

    /// Reads entries of another version.
    #[must_use]
    pub fn of_version(self, version: u16) -> Self {
        Self { version, ..self }
    }

    /// Returns the next entry and the offset of its end; `None` at the end, and where something is torn or corrupt.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn next_entry(&mut self) -> io::Result<Option<(Entry, u64)>> {
        if !self.last && self.chunk.len().saturating_sub(self.at) < WHOLE_BYTES {
            let length = self.to.saturating_sub(self.offset).min(CHUNK_BYTES);
            self.chunk = self.disk.read(self.path, self.offset, length)?;
            self.at = 0;
            self.last = (self.chunk.len() as u64) < CHUNK_BYTES;
        }
        let mut entries = Entries::new(self.chunk.get(self.at..).unwrap_or_default(), self.offset);
        entries.version = self.version;
        let next = entries.next();
        self.corrupt = entries.is_corrupt();
        if let Some((_, end)) = next {
            self.at += usize::try_from(end - self.offset).unwrap_or(usize::MAX);
            self.offset = end;
        }
        Ok(next)
    }

    /// Returns whether reading stopped at something that is no entry.
    pub fn is_corrupt(&self) -> bool {
        self.corrupt
    }
}
