//! One HTTP/1.1 client connection, driven by the task that has the request.
//!
//! A request is [`send`](Connection::send), then [`head`](Connection::head), then [`data`](Connection::data) until
//! `None` (or [`collect`](Connection::collect)). There is no connection task and no channel, so a request costs one
//! write and as many reads as the peer makes segments. Peers are not trusted: framing follows RFC 9112 strictly, and
//! every buffer has a bound.
//!
//! It has no deadlines (the caller wraps its calls), no pipelining, no upgrades and no decompression.

mod body;
mod buffer;
mod chunked;
mod head;
mod outgoing;
pub mod serve;
#[cfg(test)]
mod tests;

use std::future::poll_fn;
use std::io;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker, ready};

use bytes::{BufMut, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};

use self::body::Body;
use self::buffer::ReadBuffer;
pub use self::head::ResponseHead;
use self::outgoing::Outgoing;
use crate::deadline::Alarm;
use crate::io::BoxIo;

/// How many interim (1xx) responses may come before the final one: some servers say 102 every few seconds while they work.
/// Each is dropped when the next is read.
const MAX_INTERIM: u16 = 256;
/// How much of an early response is read while the request is still being written.
const EARLY_LIMIT: usize = 4 * 1024;
/// How much `collect` allocates on the word of a content-length alone.
const MAX_PREALLOCATION: usize = 1024 * 1024;

/// Why an exchange failed.
#[derive(Debug, thiserror::Error)]
pub enum H1Error {
    /// The peer closed before the first byte of a response.
    #[error("connection closed before a response")]
    Closed,
    /// The peer closed inside a head or a body.
    #[error("response cut short")]
    Truncated,
    /// The peer does not speak the protocol; the text says which rule it broke.
    #[error("malformed response: {0}")]
    Malformed(&'static str),
    /// A head, a trailer section, a chunk extension or a collected body exceeds its bound.
    #[error("response too large")]
    TooLarge,
    /// The socket failed.
    #[error("connection failed")]
    Io(#[source] io::Error),
}

/// A connection to one origin, with at most one exchange on it at a time.
pub struct Connection {
    io: BoxIo,
    buffer: ReadBuffer,
    body: Body,
    /// Bytes at the front of the buffer already searched for the end of the head.
    scanned: usize,
    interim: u16,
    is_head_request: bool,
    request_complete: bool,
    keep_alive: bool,
    response_bytes: u64,
    alarm: Alarm,
}

impl Connection {
    /// Wraps a stream on which nothing has been exchanged yet.
    pub fn new(io: BoxIo) -> Self {
        Self {
            io,
            buffer: ReadBuffer::default(),
            body: Body::Ended,
            scanned: 0,
            interim: 0,
            is_head_request: false,
            request_complete: true,
            keep_alive: true,
            response_bytes: 0,
            alarm: Alarm::default(),
        }
    }

    /// Writes a whole request and flushes it.
    ///
    /// `head` is the request line and fields up to and with the empty line. When the peer refuses (4xx, 5xx) while
    /// the body is still being written, the rest is not sent and this returns `Ok`. When it fails the connection stays
    /// readable: a peer that answered early and closed may have left its answer, so call [`head`](Self::head) before
    /// giving up. A dropped future leaves the connection unusable for another request.
    ///
    /// # Errors
    /// [`H1Error::Closed`] when the connection cannot take a request, [`H1Error::Io`] when writing fails.
    pub async fn send(&mut self, head: &[u8], body: &[Bytes]) -> Result<(), H1Error> {
        if !self.is_reusable() {
            return Err(H1Error::Closed);
        }
        self.body = Body::Awaited;
        self.scanned = 0;
        self.interim = 0;
        self.is_head_request = head.starts_with(b"HEAD ");
        self.request_complete = false;
        self.response_bytes = 0;
        let mut outgoing = Outgoing::new(head, body);
        poll_fn(|cx| self.poll_send(cx, &mut outgoing)).await
    }

    /// Reads the head of the response, passing over interim (1xx) ones.
    ///
    /// Dropping the future loses nothing; call again.
    ///
    /// # Errors
    /// [`H1Error::Closed`] when the peer closed without a byte; 101 is malformed, for no upgrade was asked.
    pub async fn head(&mut self) -> Result<ResponseHead, H1Error> {
        let result = poll_fn(|cx| self.poll_head(cx)).await;
        if result.is_err() {
            self.body = Body::Failed;
        }
        result
    }

    /// Returns the next decoded bytes of the body, `None` at its end.
    ///
    /// One read of the socket gives one `Bytes`, however many chunks it held, and nothing is read ahead.
    pub fn poll_data(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, H1Error>>> {
        let polled = self.poll_decoded(cx);
        if let Poll::Ready(Some(Err(_))) = &polled {
            self.body = Body::Failed;
        }
        polled
    }

    /// [`poll_data`](Self::poll_data) as a future; dropping it loses nothing.
    pub async fn data(&mut self) -> Option<Result<Bytes, H1Error>> {
        poll_fn(|cx| self.poll_data(cx)).await
    }

    /// Reads the remaining body, at most `limit` bytes of it, as one `Bytes`.
    ///
    /// # Errors
    /// [`H1Error::TooLarge`] beyond `limit`, otherwise as [`data`](Self::data); the connection is then unusable. A
    /// dropped call loses what it had read.
    pub async fn collect(&mut self, limit: usize) -> Result<Bytes, H1Error> {
        let result = match self.body {
            Body::Length(length) => self.collect_length(length, limit).await,
            _ => self.collect_frames(limit).await,
        };
        if result.is_err() {
            self.body = Body::Failed;
        }
        result
    }

    /// Whether the body has been read to its end.
    pub fn body_ended(&self) -> bool {
        matches!(self.body, Body::Ended)
    }

    /// Whether another request may be sent: the exchange is over on both sides, the peer did not refuse to keep the
    /// connection, and it sent nothing beyond the response.
    pub fn is_reusable(&self) -> bool {
        self.body_ended() && self.request_complete && self.keep_alive && self.buffer.is_empty()
    }

    /// Whether the peer has closed, or has sent something, while the connection was idle; such a one must not be used.
    pub fn is_stale(&mut self) -> bool {
        let mut byte = [0_u8; 1];
        let mut context = Context::from_waker(Waker::noop());
        Pin::new(&mut self.io).poll_read(&mut context, &mut ReadBuf::new(&mut byte)).is_ready()
    }

    /// Lends the timer that goes with the connection, so that requests on it need none of their own. Give it back.
    pub fn alarm(&mut self) -> &mut Alarm {
        &mut self.alarm
    }

    /// Bytes received since the last request was started, interim responses included.
    ///
    /// Zero means that nothing came back: a failed request on a reused connection may then be retried on a new one.
    pub fn response_bytes(&self) -> u64 {
        self.response_bytes
    }

    /// Gives the read buffer back, for an idle connection needs none.
    pub(crate) fn release_buffer(&mut self) {
        self.buffer.release();
    }
}

// === writing ===

impl Connection {
    fn poll_send(&mut self, cx: &mut Context<'_>, outgoing: &mut Outgoing<'_>) -> Poll<Result<(), H1Error>> {
        loop {
            let io = Pin::new(&mut self.io);
            let polled = if outgoing.is_empty() { io.poll_flush(cx).map_ok(|()| None) } else { outgoing.poll(io, cx) };
            match polled {
                Poll::Ready(Ok(None)) => {
                    self.request_complete = true;
                    return Poll::Ready(Ok(()));
                }
                Poll::Ready(Ok(Some(0))) => return Poll::Ready(Err(H1Error::Io(io::ErrorKind::WriteZero.into()))),
                Poll::Ready(Ok(Some(written))) => outgoing.advance(written),
                Poll::Ready(Err(error)) => return Poll::Ready(Err(H1Error::Io(error))),
                Poll::Pending if self.is_refused_early(cx) => return Poll::Ready(Ok(())),
                Poll::Pending => return Poll::Pending,
            }
        }
    }

    /// Looks for a refusal that came before the request was written: the peer may have stopped reading for good.
    fn is_refused_early(&mut self, cx: &mut Context<'_>) -> bool {
        while self.buffer.len() < EARLY_LIMIT {
            // An end or an error is left for the writer to run into and for `head` to report.
            let Poll::Ready(Ok(1..)) = self.poll_fill(cx) else { break };
        }
        head::is_refusal(self.buffer.as_slice())
    }
}

// === reading ===

impl Connection {
    fn poll_head(&mut self, cx: &mut Context<'_>) -> Poll<Result<ResponseHead, H1Error>> {
        if !matches!(self.body, Body::Awaited) {
            return Poll::Ready(Err(H1Error::Closed));
        }
        loop {
            if let Some(end) = head::find_end(self.buffer.as_slice(), &mut self.scanned)? {
                self.scanned = 0;
                let head = head::parse(self.buffer.take_head(end))?;
                if head.status >= 200 {
                    return Poll::Ready(self.begin_body(head));
                }
                self.interim = self.interim.saturating_add(1);
                if head.status == 101 {
                    return Poll::Ready(Err(H1Error::Malformed("unexpected switch of protocols")));
                }
                if self.interim > MAX_INTERIM {
                    return Poll::Ready(Err(H1Error::Malformed("more than 256 interim responses")));
                }
                continue;
            }
            match ready!(self.poll_fill(cx)) {
                Ok(1..) => {}
                Err(error) if error.kind() != io::ErrorKind::UnexpectedEof => {
                    return Poll::Ready(Err(H1Error::Io(error)));
                }
                Ok(_) | Err(_) if self.response_bytes == 0 => return Poll::Ready(Err(H1Error::Closed)),
                Ok(_) | Err(_) => return Poll::Ready(Err(H1Error::Truncated)),
            }
        }
    }

    fn begin_body(&mut self, head: ResponseHead) -> Result<ResponseHead, H1Error> {
        let framing = body::framing(&head, self.is_head_request)?;
        self.keep_alive = framing.keep_alive;
        self.body = framing.body;
        Ok(head)
    }

    fn poll_decoded(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, H1Error>>> {
        loop {
            match self.body {
                Body::Ended => return Poll::Ready(None),
                Body::Awaited | Body::Failed => return Poll::Ready(Some(Err(H1Error::Truncated))),
                Body::Length(_) | Body::Chunked(_) | Body::UntilEof => {}
            }
            if !self.buffer.is_empty() {
                // Either all of the buffer is consumed or the body has ended, so the loop goes on.
                match self.body.decode(&mut self.buffer) {
                    Ok(bytes) if bytes.is_empty() => continue,
                    result => return Poll::Ready(Some(result)),
                }
            }
            match ready!(self.poll_fill(cx)) {
                Ok(1..) => {}
                Ok(_) if matches!(self.body, Body::UntilEof) => self.body = Body::Ended,
                // TLS without a closing alert is `UnexpectedEof`: somebody may have cut the body.
                Err(error) if error.kind() != io::ErrorKind::UnexpectedEof => {
                    return Poll::Ready(Some(Err(H1Error::Io(error))));
                }
                Ok(_) | Err(_) => return Poll::Ready(Some(Err(H1Error::Truncated))),
            }
        }
    }

    fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let polled = self.buffer.poll_fill(&mut self.io, cx);
        if let Poll::Ready(Ok(count)) = &polled {
            self.response_bytes = self.response_bytes.saturating_add(*count as u64);
        }
        polled
    }

    /// Joins what reads give; a body that came in one read is not copied.
    async fn collect_frames(&mut self, limit: usize) -> Result<Bytes, H1Error> {
        let mut first = Bytes::new();
        let mut joined = BytesMut::new();
        while let Some(frame) = self.data().await {
            let frame = frame?;
            let total = first.len().max(joined.len()).saturating_add(frame.len());
            if total > limit {
                return Err(H1Error::TooLarge);
            }
            if first.is_empty() && joined.is_empty() {
                first = frame;
                continue;
            }
            if joined.is_empty() {
                joined.reserve(total.saturating_mul(2).min(limit));
                joined.extend_from_slice(&std::mem::take(&mut first));
            }
            joined.extend_from_slice(&frame);
        }
        Ok(if joined.is_empty() { first } else { joined.freeze() })
    }

    /// Reads exactly `length` bytes, straight into the buffer that is returned.
    async fn collect_length(&mut self, length: u64, limit: usize) -> Result<Bytes, H1Error> {
        let length = usize::try_from(length).ok().filter(|&length| length <= limit).ok_or(H1Error::TooLarge)?;
        if self.buffer.len() >= length {
            self.body = Body::Ended;
            return Ok(self.buffer.take(0..length, length));
        }
        // Holds while this waits: a dropped future takes bytes of the body with it.
        self.body = Body::Failed;
        let mut out = BytesMut::with_capacity(length.min(MAX_PREALLOCATION.max(self.buffer.len())));
        out.extend_from_slice(self.buffer.as_slice());
        self.buffer.release();
        while out.len() < length {
            let missing = length.saturating_sub(out.len());
            if out.len() == out.capacity() {
                out.reserve(missing.min(out.len()));
            }
            let count = poll_fn(|cx| self.poll_read_into(cx, &mut out, missing)).await?;
            self.response_bytes = self.response_bytes.saturating_add(count as u64);
        }
        self.body = Body::Ended;
        Ok(out.freeze())
    }

    fn poll_read_into(
        &mut self,
        cx: &mut Context<'_>,
        out: &mut BytesMut,
        limit: usize,
    ) -> Poll<Result<usize, H1Error>> {
        let mut limited = out.limit(limit);
        let read = pin!(self.io.read_buf(&mut limited));
        Poll::Ready(match ready!(read.poll(cx)) {
            Ok(0) => Err(H1Error::Truncated),
            Ok(count) => Ok(count),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Err(H1Error::Truncated),
            Err(error) => Err(H1Error::Io(error)),
        })
    }
}
