//! The part of a request that is not written yet.
//!
//! It exists so that a head and the pieces of a body leave in one vectored write, without being joined first. It does
//! not know what they mean.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use tokio::io::AsyncWrite;

use crate::io::BoxIo;

/// How many parts one write takes.
const MAX_SLICES: usize = 16;

/// The unwritten rest of a request: `first`, then `rest`.
pub(super) struct Outgoing<'a> {
    first: &'a [u8],
    rest: &'a [Bytes],
}

impl<'a> Outgoing<'a> {
    pub(super) fn new(head: &'a [u8], body: &'a [Bytes]) -> Self {
        let mut outgoing = Self { first: head, rest: body };
        outgoing.skip_empty();
        outgoing
    }

    pub(super) fn is_empty(&self) -> bool {
        self.first.is_empty()
    }

    /// Tries one write and returns how many bytes it took, always `Some`.
    pub(super) fn poll(&self, io: Pin<&mut BoxIo>, cx: &mut Context<'_>) -> Poll<io::Result<Option<usize>>> {
        if self.rest.is_empty() {
            return io.poll_write(cx, self.first).map_ok(Some);
        }
        let mut slices = [IoSlice::new(&[]); MAX_SLICES];
        let parts = std::iter::once(self.first).chain(self.rest.iter().map(AsRef::as_ref));
        let mut count = 0;
        for (slice, part) in slices.iter_mut().zip(parts) {
            *slice = IoSlice::new(part);
            count += 1;
        }
        io.poll_write_vectored(cx, slices.get(..count).unwrap_or_default()).map_ok(Some)
    }

    /// Forgets the `written` bytes at the front.
    pub(super) fn advance(&mut self, mut written: usize) {
        while written > 0 && !self.first.is_empty() {
            let taken = written.min(self.first.len());
            self.first = self.first.get(taken..).unwrap_or_default();
            written = written.saturating_sub(taken);
            self.skip_empty();
        }
        debug_assert_eq!(written, 0, "the stream took more than it was given");
    }

    fn skip_empty(&mut self) {
        while self.first.is_empty()
            && let Some((next, rest)) = self.rest.split_first()
        {
            self.first = next;
            self.rest = rest;
        }
    }
}
