//! The bytes of a connection: those that were read before it was known what it speaks, then those that come. A peer that
//! reads nothing of what is written is given up.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Instant;

use crate::deadline::{Alarm, after};
use crate::h1::serve::WRITE_IDLE;
use crate::h1::serve::body::{SharedLine, lock};

/// A connection, shared with whoever ends it.
pub(super) struct Wire {
    line: SharedLine,
    alarm: Alarm,
    /// When a write that makes no progress is given up.
    stuck: Option<Instant>,
}

impl Wire {
    pub(super) fn new(line: SharedLine) -> Self {
        Self { line, alarm: Alarm::default(), stuck: None }
    }

    fn watch<R>(&mut self, cx: &mut Context<'_>, written: Poll<io::Result<R>>) -> Poll<io::Result<R>> {
        if written.is_ready() {
            self.stuck = None;
            return written;
        }
        let deadline = *self.stuck.get_or_insert_with(|| after(WRITE_IDLE));
        self.alarm.poll_until(cx, deadline).map(|()| Err(io::ErrorKind::TimedOut.into()))
    }
}

impl AsyncRead for Wire {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, out: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let line = &mut *lock(&self.line);
        if line.buffer.is_empty() {
            return Pin::new(&mut line.io).poll_read(cx, out);
        }
        let read = line.buffer.as_slice().get(..out.remaining()).unwrap_or(line.buffer.as_slice());
        let length = read.len();
        out.put_slice(read);
        line.buffer.skip(length);
        if line.buffer.is_empty() {
            line.buffer.release();
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Wire {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut lock(&self.line).io).poll_write(cx, bytes);
        self.watch(cx, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut lock(&self.line).io).poll_write_vectored(cx, slices);
        self.watch(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        lock(&self.line).io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut lock(&self.line).io).poll_flush(cx);
        self.watch(cx, flushed)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut lock(&self.line).io).poll_shutdown(cx)
    }
}
