//! The read buffer of a connection.
//!
//! It exists to keep three promises at once: what was read is handed out without a copy, a fast body is read in large
//! pieces, and a stream that waits holds next to nothing. It knows no protocol.
//!
//! The buffer starts at 4 KiB and doubles while reads fill it, up to 64 KiB. Once a read finds nothing, an allocation
//! of more than 8 KiB is given back; the size that the next read should have is remembered, and halves while reads
//! stay far below it.

use std::io;
use std::ops::Range;
use std::pin::pin;
use std::task::{Context, Poll};

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::AsyncReadExt;

use crate::io::BoxIo;

const MIN_SIZE: usize = 4 * 1024;
const MAX_SIZE: usize = 64 * 1024;
/// The largest allocation that is kept while waiting.
const MAX_WAITING: usize = 8 * 1024;

/// Bytes that were read and not consumed, and room for more.
pub(crate) struct ReadBuffer {
    bytes: BytesMut,
    /// The size of the allocation behind `bytes`, parts that were handed out included.
    allocated: usize,
    /// The size of the next allocation.
    target: usize,
}

impl Default for ReadBuffer {
    fn default() -> Self {
        Self { bytes: BytesMut::new(), allocated: 0, target: MIN_SIZE }
    }
}

impl ReadBuffer {
    pub(crate) fn len(&self) -> usize {
        self.bytes.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    pub(crate) fn as_slice(&self) -> &[u8] {
        &self.bytes
    }

    pub(crate) fn as_mut_slice(&mut self) -> &mut [u8] {
        &mut self.bytes
    }

    /// Appends what one read gives; 0 is the end of the stream.
    pub(crate) fn poll_fill(&mut self, io: &mut BoxIo, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        self.make_room();
        let room = self.bytes.capacity().saturating_sub(self.bytes.len());
        let polled = pin!(io.read_buf(&mut self.bytes)).poll(cx);
        match &polled {
            Poll::Pending => self.shrink(),
            Poll::Ready(Ok(count)) => self.adapt(*count, room),
            Poll::Ready(Err(_)) => {}
        }
        polled
    }

    /// Appends bytes that were read elsewhere.
    pub(crate) fn keep(&mut self, bytes: &[u8]) {
        self.make_room();
        self.bytes.extend_from_slice(bytes);
    }

    /// Drops the first `length` bytes.
    pub(crate) fn skip(&mut self, length: usize) {
        self.bytes.advance(length.min(self.bytes.len()));
    }

    /// Consumes the first `consumed` bytes and returns those of them that `range` selects, without a copy.
    pub(crate) fn take(&mut self, range: Range<usize>, consumed: usize) -> Bytes {
        let consumed = consumed.min(self.bytes.len());
        if range.is_empty() {
            self.bytes.advance(consumed);
            return Bytes::new();
        }
        let mut taken = self.bytes.split_to(consumed);
        taken.truncate(range.end);
        taken.advance(range.start.min(taken.len()));
        taken.freeze()
    }

    /// Consumes the first `length` bytes and returns them in a way that does not keep a large allocation alive.
    pub(crate) fn take_head(&mut self, length: usize) -> Bytes {
        if self.allocated <= MAX_WAITING {
            return self.take(0..length, length);
        }
        let copy = Bytes::copy_from_slice(self.bytes.get(..length).unwrap_or_default());
        self.bytes.advance(length.min(self.bytes.len()));
        copy
    }

    /// Drops what is buffered, and the buffer.
    pub(crate) fn release(&mut self) {
        *self = Self::default();
    }

    /// The size of the allocation that is held, for tests of its bound.
    #[cfg(test)]
    pub(crate) fn allocated(&self) -> usize {
        self.allocated
    }

    fn make_room(&mut self) {
        let room = self.bytes.capacity().saturating_sub(self.bytes.len());
        if room >= self.target / 4 {
            return;
        }
        if self.allocated >= self.target && self.bytes.try_reclaim(self.target / 2) {
            return;
        }
        self.move_to(self.target.max(self.bytes.len().saturating_add(MIN_SIZE)));
    }

    fn adapt(&mut self, count: usize, room: usize) {
        if count == room && room >= self.target / 2 {
            self.target = self.target.saturating_mul(2).min(MAX_SIZE);
        } else if count < self.target / 4 {
            self.target = (self.target / 2).max(MIN_SIZE);
        }
    }

    fn shrink(&mut self) {
        if self.allocated <= MAX_WAITING {
            return;
        }
        if self.bytes.is_empty() {
            self.bytes = BytesMut::new();
            self.allocated = 0;
        } else if self.bytes.len() <= MIN_SIZE {
            self.move_to(MAX_WAITING);
        }
    }

    fn move_to(&mut self, size: usize) {
        let mut bytes = BytesMut::with_capacity(size);
        bytes.extend_from_slice(&self.bytes);
        self.bytes = bytes;
        self.allocated = size;
    }
}
