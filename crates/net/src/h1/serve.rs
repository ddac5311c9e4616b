//! The server's side of HTTP/1.1: one connection, driven by one task.
//!
//! A request costs one read and one write where it comes and leaves in one piece, no task, no channel and no timer. Framing
//! follows RFC 9112 strictly: what two parsers could read as two requests is refused, and nothing is read behind it. A
//! request whose peer is gone is dropped at once, also while its reply is being made. A connection may rest for long
//! between two requests, but a head that was begun must be finished, and what is written must be read.
//!
//! It has no upgrades, and no trailers. A connection that begins with the preface of HTTP/2 is handed back, for
//! [`h2`](crate::h2).

pub(crate) mod body;
pub mod head;
pub(crate) mod reply;
#[cfg(test)]
pub(crate) mod tests;

use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http::header::CONNECTION;
use http::request::Parts;
use http::{Method, Response, StatusCode, Version};
use http_body::Body as HttpBody;
use tokio::io::AsyncWrite;
use tokio::time::Instant;
use tokio_util::sync::{CancellationToken, WaitForCancellationFuture};

pub use self::body::{BodyError, RequestBody};
use self::body::{Line, SharedLine, Source, lock};
use self::head::{HeadError, Length, RequestHead};
use self::reply::{DateLine, Framing, Outgoing, Persistence};
use super::body::Body;
use super::chunked::Chunked;
use crate::deadline::{Alarm, after};
use crate::io::BoxIo;

/// How long a connection may rest between two requests: longer than the proxies in front of us keep theirs, so that it
/// is they who close it.
pub(crate) const KEEP_ALIVE: Duration = Duration::from_secs(90);

/// How long the head of a request may take, from its first byte.
pub(crate) const HEAD: Duration = Duration::from_secs(10);

/// How long a peer may take to read something of what is written.
pub(crate) const WRITE_IDLE: Duration = Duration::from_secs(60);

/// How long is read, after a reply, of a request that nobody wants: who closes with bytes unread resets the connection,
/// and the peer may never see the reply.
const LINGER: Duration = Duration::from_secs(2);

/// How much of it is read.
const MAX_LINGER: usize = 1 << 20;

/// How much of a body is gathered before it is written.
const MAX_QUEUED: usize = 64 << 10;

/// Who answers.
pub trait Handler {
    /// The body of a reply.
    type Body: HttpBody<Data = Bytes, Error = Infallible> + Unpin;

    /// Answers a request. The future is dropped when the peer is gone.
    fn answer(&self, head: Box<Parts>, body: RequestBody) -> impl Future<Output = Response<Self::Body>> + Send;

    /// Answers what is no request; `path` is the one it seems to name. The connection ends after it.
    fn refuse(&self, path: &str, error: HeadError) -> Response<Self::Body>;

    /// Returns the seconds since 1970.
    fn unix_seconds(&self) -> u64;
}

/// How a connection of HTTP/2 begins whose client knows that it will be understood (RFC 9113, section 3.4), up to the
/// end of what reads like a head.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\n";

/// A connection that speaks HTTP/2. Nothing of it is consumed.
pub struct Http2(pub(crate) SharedLine);

/// Serves one connection to its end. After `stop` it serves the request that it is at, and no other.
///
/// Returns the connection when it turns out to speak HTTP/2. That is looked for in what is no request only, so that
/// others do not pay for it.
pub async fn serve<H: Handler>(io: BoxIo, handler: &H, stop: &CancellationToken) -> Option<Http2> {
    let mut connection = Connection {
        line: Arc::new(Mutex::new(Line::new(io))),
        outgoing: Outgoing::default(),
        alarm: Alarm::default(),
        stuck: None,
        date: DateLine::default(),
    };
    let mut stopped = pin!(stop.cancelled());
    let mut is_first = true;
    loop {
        let head = match connection.head(stopped.as_mut()).await {
            Next::Head(head) => head,
            Next::Refused(..) if is_first && lock(&connection.line).buffer.as_slice().starts_with(PREFACE) => {
                return Some(Http2(connection.line));
            }
            Next::Refused(path, error) => {
                let reply = handler.refuse(&path, error);
                connection.reply(reply, Asked::NOTHING, handler.unix_seconds(), false).await;
                break;
            }
            Next::End => return None,
        };
        is_first = false;
        let asked = Asked::of(&head);
        connection.begin(&head);
        let body = RequestBody(Source::Line(Arc::clone(&connection.line)));
        let reply = {
            // Pinned where it is made: it is large, and would be copied on its way into another future.
            let mut answer = pin!(handler.answer(head.parts, body));
            connection.answered(answer.as_mut()).await
        };
        let reply = reply?;
        if !connection.reply(reply, asked, handler.unix_seconds(), !stop.is_cancelled()).await {
            break;
        }
    }
    let is_read = {
        let line = lock(&connection.line);
        matches!(line.body, Body::Ended) && line.buffer.is_empty()
    };
    close(&connection.line, &mut connection.alarm, is_read).await;
    None
}

/// What a request says about its reply.
#[derive(Clone, Copy)]
struct Asked {
    no_body: bool,
    is_http10: bool,
    keep_alive: bool,
}

impl Asked {
    const NOTHING: Self = Self { no_body: false, is_http10: false, keep_alive: false };

    fn of(head: &RequestHead) -> Self {
        Self {
            no_body: head.parts.method == Method::HEAD,
            is_http10: head.parts.version == Version::HTTP_10,
            keep_alive: head.keep_alive,
        }
    }
}

/// What comes next on a connection.
enum Next {
    Head(RequestHead),
    Refused(String, HeadError),
    End,
}

struct Connection {
    line: SharedLine,
    outgoing: Outgoing,
    alarm: Alarm,
    /// When a write that makes no progress is given up.
    stuck: Option<Instant>,
    date: DateLine,
}

/// Reading heads.
impl Connection {
    /// Waits for the next head.
    async fn head(&mut self, mut stopped: Pin<&mut WaitForCancellationFuture<'_>>) -> Next {
        let (mut scanned, mut deadline, mut begun) = (0, None, false);
        let (line, alarm) = (&self.line, &mut self.alarm);
        poll_fn(|cx| {
            let line = &mut *lock(line);
            loop {
                match take_head(line, &mut scanned) {
                    Ok(None) => {}
                    Ok(Some(head)) => return Poll::Ready(Next::Head(head)),
                    Err(error) => {
                        let path = head::path_of(line.buffer.as_slice()).to_owned();
                        // Nothing of it is read as a body.
                        line.body = Body::Failed;
                        return Poll::Ready(Next::Refused(path, error));
                    }
                }
                match line.fill(cx) {
                    Poll::Ready(Ok(1..)) => {}
                    Poll::Ready(Ok(_) | Err(_)) => return Poll::Ready(Next::End),
                    Poll::Pending => break,
                }
            }
            if line.buffer.is_empty() {
                if stopped.as_mut().poll(cx).is_ready() {
                    return Poll::Ready(Next::End);
                }
            } else if !begun {
                (begun, deadline) = (true, None);
            }
            let wait = if begun { HEAD } else { KEEP_ALIVE };
            let deadline = *deadline.get_or_insert_with(|| after(wait));
            ready!(alarm.poll_until(cx, deadline));
            Poll::Ready(Next::End)
        })
        .await
    }
}

/// Takes a head that is complete out of the buffer.
fn take_head(line: &mut Line, scanned: &mut usize) -> Result<Option<RequestHead>, HeadError> {
    if line.buffer.as_slice().starts_with(b"\r\n") {
        let empty = head::empty_lines(line.buffer.as_slice())?;
        line.buffer.skip(empty);
        *scanned = 0;
    }
    let Some(end) = head::find_end(line.buffer.as_slice(), scanned)? else { return Ok(None) };
    let raw = line.buffer.as_slice().get(..end).unwrap_or_default();
    let head = head::parse(&Bytes::copy_from_slice(raw))?;
    line.buffer.skip(end);
    Ok(Some(head))
}

/// Answering.
impl Connection {
    fn begin(&mut self, head: &RequestHead) {
        let body = match head.length {
            Length::Known(0) => Body::Ended,
            Length::Known(length) => Body::Length(length),
            Length::Chunked => Body::Chunked(Chunked::default()),
        };
        lock(&self.line).begin(body, head.expects_continue);
    }

    /// Returns the reply; `None` when the peer has gone.
    async fn answered<B>(&self, mut answer: Pin<&mut impl Future<Output = Response<B>>>) -> Option<Response<B>> {
        poll_fn(|cx| match answer.as_mut().poll(cx) {
            Poll::Ready(reply) => Poll::Ready(Some(reply)),
            Poll::Pending if lock(&self.line).is_gone(cx) => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        })
        .await
    }

    /// Writes a reply. Returns whether another request may come.
    async fn reply<B>(&mut self, reply: Response<B>, asked: Asked, unix_seconds: u64, stay: bool) -> bool
    where
        B: HttpBody<Data = Bytes, Error = Infallible> + Unpin,
    {
        let (parts, mut body) = reply.into_parts();
        let framing = framing(parts.status, &body, asked);
        let unread = {
            let mut line = lock(&self.line);
            if framing == Framing::Chunked && line.buffer.is_empty() {
                // A stream may take long, and nothing is read meanwhile.
                line.buffer.release();
            }
            !matches!(line.body, Body::Ended)
        };
        let closes = parts.headers.get(CONNECTION).is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"close"));
        let stays = asked.keep_alive && stay && !unread && !closes && framing != Framing::UntilEof;
        let persistence = match (stays, asked.is_http10) {
            (false, _) => Persistence::Ends,
            (true, true) => Persistence::Stays,
            (true, false) => Persistence::Usual,
        };
        let date = (&mut self.date, unix_seconds);
        reply::head(self.outgoing.head(), parts.status, &parts.headers, framing, persistence, date);
        drop(parts);
        let mut over = framing == Framing::None || asked.no_body;
        let written = poll_fn(|cx| self.poll_reply(cx, &mut body, framing, &mut over)).await;
        self.outgoing.rest();
        written && stays
    }

    /// Gathers what there is of a reply, and writes it. Ready once all of it is written, or cannot be.
    fn poll_reply<B>(&mut self, cx: &mut Context<'_>, body: &mut B, framing: Framing, over: &mut bool) -> Poll<bool>
    where
        B: HttpBody<Data = Bytes, Error = Infallible> + Unpin,
    {
        loop {
            while !*over && self.outgoing.queued() < MAX_QUEUED {
                match Pin::new(&mut *body).poll_frame(cx) {
                    Poll::Pending => break,
                    Poll::Ready(Some(frame)) => {
                        let Ok(frame) = frame;
                        if let Some(data) = frame.into_data().ok().filter(|data| !data.is_empty()) {
                            self.outgoing.push(data, framing);
                        }
                        *over = body.is_end_stream();
                    }
                    Poll::Ready(None) => *over = true,
                }
                if *over {
                    self.outgoing.end(framing);
                }
            }
            let line = &mut *lock(&self.line);
            if self.outgoing.is_empty() {
                if *over {
                    return Pin::new(&mut line.io).poll_flush(cx).map(|flushed| flushed.is_ok());
                }
                // Whoever waits for more with us may leave.
                return if line.is_gone(cx) { Poll::Ready(false) } else { Poll::Pending };
            }
            match self.outgoing.poll_write(&mut line.io, cx) {
                Poll::Ready(Ok(())) => self.stuck = None,
                Poll::Ready(Err(_)) => return Poll::Ready(false),
                Poll::Pending => {
                    let deadline = *self.stuck.get_or_insert_with(|| after(WRITE_IDLE));
                    ready!(self.alarm.poll_until(cx, deadline));
                    return Poll::Ready(false);
                }
            }
        }
    }
}

/// Ends a connection, in a way that lets the peer see the last reply. `is_read` says that nothing of the peer is unread.
pub(crate) async fn close(line: &SharedLine, alarm: &mut Alarm, is_read: bool) {
    let shut = poll_fn(|cx| Pin::new(&mut lock(line).io).poll_shutdown(cx)).await;
    if shut.is_err() || is_read {
        return;
    }
    let (deadline, mut left) = (after(LINGER), MAX_LINGER);
    poll_fn(|cx| {
        let line = &mut *lock(line);
        loop {
            line.buffer.release();
            match line.fill(cx) {
                Poll::Ready(Ok(count @ 1..)) if count < left => left -= count,
                Poll::Ready(_) => return Poll::Ready(()),
                Poll::Pending => return alarm.poll_until(cx, deadline),
            }
        }
    })
    .await;
}

fn framing<B: HttpBody>(status: StatusCode, body: &B, asked: Asked) -> Framing {
    match body.size_hint().exact() {
        _ if status == StatusCode::NO_CONTENT || status == StatusCode::NOT_MODIFIED => Framing::None,
        Some(length) => Framing::Length(length),
        None if asked.no_body => Framing::None,
        None if asked.is_http10 => Framing::UntilEof,
        None => Framing::Chunked,
    }
}
