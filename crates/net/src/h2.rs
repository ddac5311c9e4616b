//! The server's side of HTTP/2 (RFC 9113), for connections that begin with its preface.
//!
//! Frames, header compression and flow control are the `h2` crate's. Here is what a server owes besides: the same
//! [`Handler`] as for HTTP/1.1, a task for each stream, and bounds on what a peer can make us hold or do. A stream that
//! its peer resets is dropped at once, and so are all of them when the connection ends.
//!
//! | what | bound |
//! |---|---|
//! | streams at once | 128 |
//! | headers of a request | 64 KiB, 32 bytes for each field counted in (431 beyond) |
//! | what is received and not read | 1 MiB a connection |
//! | what is queued to be sent | 64 KiB a stream |
//! | a stream, or the connection, whose peer reads nothing | 60 s |
//! | a connection without a stream | 90 to 180 s |
//! | the preface | 10 s |
//! | resets by the peer before the reply | half of all requests, once there are 100 (GOAWAY `ENHANCE_YOUR_CALM` beyond) |
//! | resets of streams not yet looked at; frames that make us reset | 20; 1,024 |
//!
//! Floods of CONTINUATION, of empty and of small DATA are bounded in `h2`; PING and SETTINGS are answered one at a time.

mod stream;
#[cfg(test)]
mod tests;
mod wire;

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Poll, ready};
use std::time::Duration;

use ::h2::Reason;
use ::h2::server::{Builder, Connection};
use bytes::Bytes;
use tokio_util::sync::CancellationToken;

pub(crate) use self::stream::Incoming;
use self::wire::Wire;
use crate::deadline::{Alarm, after};
use crate::h1::serve::{HEAD, Handler, Http2, KEEP_ALIVE, close};

const MAX_STREAMS: u32 = 128;

const MAX_HEADER_LIST: u32 = 64 << 10;

/// The window of a stream, and of the connection.
const WINDOW: u32 = 1 << 20;

const MAX_QUEUED: usize = 64 << 10;

/// How many requests of a connection may be reset before their reply, however few are answered.
const FREE_RESETS: u64 = 100;

/// Resets of streams that wait to be looked at, and frames that make us reset a stream.
const MAX_PENDING_RESETS: usize = 20;
const MAX_ERROR_RESETS: usize = 1_024;

/// How long a peer may take, once it has no stream any more, to take leave.
const FAREWELL: Duration = Duration::from_secs(2);

/// What one stream does.
pub type Work = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Serves one connection to its end; `spawn` runs its streams. After `stop` its streams are finished, and no other is begun.
pub async fn serve<H>(connection: Http2, handler: Arc<H>, stop: &CancellationToken, spawn: impl Fn(Work))
where
    H: Handler<Body: Send> + Send + Sync + 'static,
{
    let line = connection.0;
    let mut alarm = Alarm::default();
    let handshake = builder().handshake(Wire::new(Arc::clone(&line)));
    let opened = alarm.within(after(HEAD), handshake).await;
    if let Some(Ok(connection)) = opened {
        drive(connection, handler, stop, &mut alarm, spawn).await;
    }
    close(&line, &mut alarm, false).await;
}

fn builder() -> Builder {
    let mut builder = Builder::new();
    builder
        .max_concurrent_streams(MAX_STREAMS)
        .max_header_list_size(MAX_HEADER_LIST)
        .initial_window_size(WINDOW)
        .initial_connection_window_size(WINDOW)
        .max_send_buffer_size(MAX_QUEUED)
        .max_pending_accept_reset_streams(MAX_PENDING_RESETS)
        .max_local_error_reset_streams(Some(MAX_ERROR_RESETS));
    builder
}

/// How the requests of a connection ended.
#[derive(Debug, Default)]
struct Tally {
    begun: AtomicU64,
    reset: AtomicU64,
}

impl Tally {
    /// Whether the peer resets streams to make us work for nothing (CVE-2023-44487).
    fn is_abused(&self) -> bool {
        let reset = self.reset.load(Ordering::Relaxed);
        reset > FREE_RESETS && reset > self.begun.load(Ordering::Relaxed) / 2
    }
}

/// Takes streams, and lets bytes come and go, until the connection ends.
async fn drive<H>(
    mut connection: Connection<Wire, Bytes>,
    handler: Arc<H>,
    stop: &CancellationToken,
    alarm: &mut Alarm,
    spawn: impl Fn(Work),
) where
    H: Handler<Body: Send> + Send + Sync + 'static,
{
    let mut stopped = pin!(stop.cancelled());
    let tally = Arc::new(Tally::default());
    let (mut is_closing, mut is_abused, mut seen) = (false, false, 0);
    let mut deadline = after(KEEP_ALIVE);
    poll_fn(|cx| {
        loop {
            if !is_abused && tally.is_abused() {
                is_abused = true;
                connection.abrupt_shutdown(Reason::ENHANCE_YOUR_CALM);
            }
            match connection.poll_accept(cx) {
                Poll::Ready(Some(Ok((request, respond)))) => {
                    tally.begun.fetch_add(1, Ordering::Relaxed);
                    spawn(Box::pin(stream::serve(request, respond, Arc::clone(&handler), Arc::clone(&tally))));
                    continue;
                }
                // What is wrong with a connection concerns its peer alone, which has been told.
                Poll::Ready(_) => return Poll::Ready(()),
                Poll::Pending => {}
            }
            if !is_closing && stopped.as_mut().poll(cx).is_ready() {
                (is_closing, deadline) = (true, after(FAREWELL));
                connection.graceful_shutdown();
                continue;
            }
            ready!(alarm.poll_until(cx, deadline));
            // A pause is found by looking twice, so that nobody has to note when a stream ended.
            let begun = tally.begun.load(Ordering::Relaxed);
            if connection.has_streams() || begun != seen {
                seen = begun;
            } else if is_closing {
                return Poll::Ready(());
            } else {
                is_closing = true;
                connection.graceful_shutdown();
            }
            deadline = after(if is_closing { FAREWELL } else { KEEP_ALIVE });
        }
    })
    .await;
}
