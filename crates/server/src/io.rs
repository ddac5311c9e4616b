//! A connection whose peer must keep going: once it has begun a request's head it must finish it, and it must keep
//! reading what is written. Between requests it may rest much longer.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use http_body::{Body, Frame, SizeHint};
use net::deadline::after;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep_until};

/// How long the head of a request may take, from its first byte.
const HEAD: Duration = Duration::from_secs(10);

/// How long a peer may take to read something of what is written.
const WRITE_IDLE: Duration = Duration::from_secs(60);

/// Whether a request is being served on a connection. The service takes it, the reply's body gives it back.
#[derive(Clone, Debug, Default)]
pub struct Serving(Arc<AtomicBool>);

impl Serving {
    /// Says that a request's head is complete.
    pub fn begin(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Says that its reply is over.
    pub fn end(&self) {
        self.0.store(false, Ordering::Relaxed);
    }

    fn is_on(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// The body of a reply; when it is over, the next request's head may come.
pub struct Served<B> {
    body: B,
    serving: Serving,
}

impl<B> Served<B> {
    /// Wraps the body of a reply to the request that is being served.
    pub fn new(body: B, serving: Serving) -> Self {
        Self { body, serving }
    }
}

impl<B: Body + Unpin> Body for Served<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl<B> Drop for Served<B> {
    fn drop(&mut self) {
        self.serving.end();
    }
}

/// Wraps a connection: a head that does not become complete, and a write that makes no progress, fail.
pub struct Impatient<T> {
    inner: T,
    serving: Serving,
    /// When the head that has begun must be complete.
    head: Option<Instant>,
    late: Option<Pin<Box<Sleep>>>,
    stuck: Option<Pin<Box<Sleep>>>,
}

impl<T> Impatient<T> {
    /// Wraps a connection.
    pub fn new(inner: T, serving: Serving) -> Self {
        Self { inner, serving, head: None, late: None, stuck: None }
    }

    fn watch<R>(&mut self, context: &mut Context<'_>, written: Poll<io::Result<R>>) -> Poll<io::Result<R>> {
        if written.is_ready() {
            self.stuck = None;
            return written;
        }
        let stuck = self.stuck.get_or_insert_with(|| Box::pin(sleep_until(after(WRITE_IDLE))));
        match stuck.as_mut().poll(context) {
            Poll::Ready(()) => Poll::Ready(Err(io::ErrorKind::TimedOut.into())),
            Poll::Pending => Poll::Pending,
        }
    }

    /// Bytes have come, or are waited for, before a head is complete.
    fn watch_head(&mut self, context: &mut Context<'_>, read: Poll<usize>) -> Poll<io::Result<()>> {
        if self.serving.is_on() {
            (self.head, self.late) = (None, None);
            return read.map(|_| Ok(()));
        }
        match read {
            Poll::Ready(bytes) => {
                if bytes > 0 && self.head.is_none() {
                    self.head = Some(after(HEAD));
                }
                Poll::Ready(Ok(()))
            }
            Poll::Pending => {
                // Most heads come in one piece: the timer is made only when more is waited for.
                let Some(head) = self.head else { return Poll::Pending };
                let late = self.late.get_or_insert_with(|| Box::pin(sleep_until(head)));
                std::task::ready!(late.as_mut().poll(context));
                Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
            }
        }
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Impatient<T> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let read = Pin::new(&mut self.inner).poll_read(cx, buf);
        match read {
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Ready(Ok(())) => self.watch_head(cx, Poll::Ready(buf.filled().len() - before)),
            Poll::Pending => self.watch_head(cx, Poll::Pending),
        }
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Impatient<T> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.inner).poll_write(cx, buf);
        self.watch(cx, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.inner).poll_write_vectored(cx, bufs);
        self.watch(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.inner).poll_flush(cx);
        self.watch(cx, flushed)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}
