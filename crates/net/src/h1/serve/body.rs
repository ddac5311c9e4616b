//! The body of a request, read by whoever handles it from the connection that it came on.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Frame, SizeHint};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::super::body::Body;
use super::super::buffer::ReadBuffer;
use crate::io::BoxIo;

/// The interim response that asks for the body (RFC 9110, section 10.1.1).
const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

/// Why a body cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BodyError {
    /// The peer is gone, or stopped in the middle.
    #[error("the request's body was cut short")]
    Truncated,
    /// Its chunks are not framed as they must be, or have too much around them.
    #[error("the request's body is malformed")]
    Malformed,
}

/// The reading side of a connection, which its driver and the body of the request at hand share. Both run in one task, so
/// the lock is never waited for.
pub(crate) struct Line {
    pub(crate) io: BoxIo,
    pub(crate) buffer: ReadBuffer,
    pub(super) body: Body,
    /// What is left to write of the interim response, before the body is read.
    interim: &'static [u8],
}

pub(crate) type SharedLine = Arc<Mutex<Line>>;

pub(crate) fn lock(line: &Mutex<Line>) -> MutexGuard<'_, Line> {
    // Whoever panicked with it has its request fail; what is left of the connection says so itself.
    line.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Line {
    pub(super) fn new(io: BoxIo) -> Self {
        Self { io, buffer: ReadBuffer::default(), body: Body::Ended, interim: &[] }
    }

    /// Begins the body of a request.
    pub(super) fn begin(&mut self, body: Body, expects_continue: bool) {
        let waits = expects_continue && !matches!(body, Body::Ended);
        self.body = body;
        // Who has sent something of the body already does not wait.
        self.interim = if waits && self.buffer.is_empty() { CONTINUE } else { &[] };
    }

    pub(super) fn fill(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        self.buffer.poll_fill(&mut self.io, cx)
    }

    /// Whether the peer has gone, asked while nothing of it is wanted. What it sends ahead is kept; then no more is read,
    /// so that who sends much ahead is not read for.
    pub(super) fn is_gone(&mut self, cx: &mut Context<'_>) -> bool {
        if !matches!(self.body, Body::Ended) || !self.buffer.is_empty() {
            return false;
        }
        let mut ahead = [0; 256];
        let mut ahead = ReadBuf::new(&mut ahead);
        match Pin::new(&mut self.io).poll_read(cx, &mut ahead) {
            Poll::Pending => false,
            Poll::Ready(Ok(())) if !ahead.filled().is_empty() => {
                self.buffer.keep(ahead.filled());
                false
            }
            Poll::Ready(_) => true,
        }
    }

    fn poll_data(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, BodyError>>> {
        while !self.interim.is_empty() {
            match ready!(Pin::new(&mut self.io).poll_write(cx, self.interim)) {
                Ok(count @ 1..) => self.interim = self.interim.get(count..).unwrap_or_default(),
                Ok(_) | Err(_) => return self.failed(BodyError::Truncated),
            }
        }
        loop {
            match self.body {
                Body::Ended => return Poll::Ready(None),
                Body::Awaited | Body::UntilEof | Body::Failed => return self.failed(BodyError::Truncated),
                Body::Length(_) | Body::Chunked(_) => {}
            }
            if !self.buffer.is_empty() {
                // Either all of the buffer is consumed or the body has ended, so the loop goes on.
                match self.body.decode(&mut self.buffer) {
                    Ok(bytes) if bytes.is_empty() => continue,
                    Ok(bytes) => return Poll::Ready(Some(Ok(bytes))),
                    Err(_) => return self.failed(BodyError::Malformed),
                }
            }
            match ready!(self.fill(cx)) {
                Ok(1..) => {}
                Ok(_) | Err(_) => return self.failed(BodyError::Truncated),
            }
        }
    }

    fn failed(&mut self, error: BodyError) -> Poll<Option<Result<Bytes, BodyError>>> {
        self.body = Body::Failed;
        Poll::Ready(Some(Err(error)))
    }
}

/// The body of a request.
pub struct RequestBody(pub(crate) Source);

/// Where a body comes from.
pub(crate) enum Source {
    /// The connection, which has no other request.
    Line(SharedLine),
    /// One of its streams.
    Stream(crate::h2::Incoming),
}

impl http_body::Body for RequestBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let data = match &mut self.0 {
            Source::Line(line) => lock(line).poll_data(cx),
            Source::Stream(stream) => stream.poll_data(cx),
        };
        data.map(|data| data.map(|data| data.map(Frame::data)))
    }

    fn is_end_stream(&self) -> bool {
        match &self.0 {
            Source::Line(line) => matches!(lock(line).body, Body::Ended),
            Source::Stream(stream) => stream.is_over(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        let Source::Line(line) = &self.0 else { return SizeHint::default() };
        match lock(line).body {
            Body::Length(left) => SizeHint::with_exact(left),
            Body::Ended => SizeHint::with_exact(0),
            _ => SizeHint::default(),
        }
    }
}
