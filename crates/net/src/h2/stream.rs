//! One stream: a request, its body as it is read, and the reply.

use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, ready};

use ::h2::server::SendResponse;
use ::h2::{Reason, RecvStream, SendStream};
use bytes::Bytes;
use http::header::{CONNECTION, CONTENT_LENGTH, DATE, EXPECT, TRANSFER_ENCODING, UPGRADE};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode};
use http_body::Body;
use tokio::time::Instant;

use super::Tally;
use crate::deadline::{Alarm, after};
use crate::h1::serve::body::Source;
use crate::h1::serve::reply::DateLine;
use crate::h1::serve::{BodyError, Handler, RequestBody, WRITE_IDLE};

/// Says something about a connection, which no stream may (RFC 9113, section 8.2.2).
const OF_CONNECTIONS: [HeaderName; 5] = [
    CONNECTION,
    TRANSFER_ENCODING,
    UPGRADE,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
];

/// The body of a request.
pub(crate) struct Incoming(RecvStream);

impl Incoming {
    /// Returns the next piece of it. Pieces without a byte are no progress.
    pub(crate) fn poll_data(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, BodyError>>> {
        loop {
            match ready!(self.0.poll_data(cx)) {
                None => return Poll::Ready(None),
                Some(Err(_)) => return Poll::Ready(Some(Err(BodyError::Truncated))),
                Some(Ok(data)) if data.is_empty() && !self.0.is_end_stream() => {}
                Some(Ok(data)) => {
                    // Who handles it bounds what it gathers, so that the peer may go on. It fails for a stream that is
                    // over, which needs no room.
                    let _ = self.0.flow_control().release_capacity(data.len());
                    return Poll::Ready(Some(Ok(data)));
                }
            }
        }
    }

    pub(crate) fn is_over(&self) -> bool {
        self.0.is_end_stream()
    }
}

/// Serves one stream to its end.
pub(super) async fn serve<H>(
    request: Request<RecvStream>,
    mut respond: SendResponse<Bytes>,
    handler: Arc<H>,
    tally: Arc<Tally>,
) where
    H: Handler,
{
    let (parts, incoming) = request.into_parts();
    let no_body = parts.method == Method::HEAD;
    let waits = !incoming.is_end_stream()
        && parts.headers.get(EXPECT).is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"100-continue"));
    let reply = {
        let body = RequestBody(Source::Stream(Incoming(incoming)));
        let mut answer = pin!(handler.answer(Box::new(parts), body));
        answered(answer.as_mut(), &mut respond, waits).await
    };
    let Some(reply) = reply else {
        tally.reset.fetch_add(1, Ordering::Relaxed);
        return;
    };
    let (mut parts, body) = reply.into_parts();
    let length = body.size_hint().exact();
    let has_none = matches!(parts.status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
    complete(&mut parts.headers, length.filter(|_| !has_none), handler.unix_seconds());
    let over = no_body || has_none || length == Some(0);
    // It fails when the peer has gone meanwhile.
    let Ok(stream) = respond.send_response(Response::from_parts(parts, ()), over) else { return };
    if !over {
        send(stream, body).await;
    }
}

/// Returns the reply; `None` when the peer has gone, or wants it no more.
async fn answered<B>(
    mut answer: Pin<&mut impl Future<Output = Response<B>>>,
    respond: &mut SendResponse<Bytes>,
    mut waits: bool,
) -> Option<Response<B>> {
    poll_fn(|cx| {
        // Looked at first: nothing is begun for a stream that came with its reset.
        if respond.poll_reset(cx).is_ready() {
            return Poll::Ready(None);
        }
        if let Poll::Ready(reply) = answer.as_mut().poll(cx) {
            return Poll::Ready(Some(reply));
        }
        if std::mem::take(&mut waits) {
            // What is refused by its head alone has been by now.
            let mut interim = Response::new(());
            *interim.status_mut() = StatusCode::CONTINUE;
            let _ = respond.send_informational(interim);
        }
        Poll::Pending
    })
    .await
}

pub(super) fn complete(headers: &mut HeaderMap, length: Option<u64>, unix_seconds: u64) {
    for name in &OF_CONNECTIONS {
        headers.remove(name);
    }
    match length {
        Some(length) => headers.insert(CONTENT_LENGTH, HeaderValue::from(length)),
        None => headers.remove(CONTENT_LENGTH),
    };
    if let Ok(date) = HeaderValue::try_from(DateLine::default().at(unix_seconds)) {
        headers.insert(DATE, date);
    }
}

/// Sends a body, as much at a time as the peer has room for. A peer that makes none for long is given up.
async fn send<B>(mut stream: SendStream<Bytes>, mut body: B)
where
    B: Body<Data = Bytes, Error = Infallible> + Unpin,
{
    let mut alarm = Alarm::default();
    let mut sending = Sending { left: Bytes::new(), over: false, stuck: None };
    poll_fn(|cx| {
        loop {
            if sending.left.is_empty() {
                if sending.over {
                    return Poll::Ready(());
                }
                match Pin::new(&mut body).poll_frame(cx) {
                    // Whoever waits for more with us may leave.
                    Poll::Pending => return stream.poll_reset(cx).map(|_| ()),
                    Poll::Ready(frame) => sending.take(frame, body.is_end_stream(), &mut stream),
                }
            } else {
                ready!(sending.poll_some(cx, &mut stream, &mut alarm));
            }
        }
    })
    .await;
}

struct Sending {
    left: Bytes,
    /// Nothing comes after what is left.
    over: bool,
    /// When a peer that makes no room is given up.
    stuck: Option<Instant>,
}

impl Sending {
    /// Takes the next frame of the body; `None` is its end.
    fn take(
        &mut self,
        frame: Option<Result<http_body::Frame<Bytes>, Infallible>>,
        is_last: bool,
        stream: &mut SendStream<Bytes>,
    ) {
        self.over = frame.is_none() || is_last;
        self.left = frame.and_then(|frame| frame.ok()?.into_data().ok()).unwrap_or_default();
        if !self.left.is_empty() {
            stream.reserve_capacity(self.left.len());
        } else if self.over {
            // It fails for a stream that is over already.
            let _ = stream.send_data(Bytes::new(), true);
        }
    }

    /// Sends what there is room for. A stream that cannot be gone on with is over.
    fn poll_some(&mut self, cx: &mut Context<'_>, stream: &mut SendStream<Bytes>, alarm: &mut Alarm) -> Poll<()> {
        let room = ready!(self.poll_room(cx, stream, alarm)).unwrap_or(0);
        self.stuck = None;
        let part = self.left.split_to(room.min(self.left.len()));
        if room == 0 || stream.send_data(part, self.over && self.left.is_empty()).is_err() {
            (self.left, self.over) = (Bytes::new(), true);
        } else if !self.left.is_empty() {
            stream.reserve_capacity(self.left.len());
        }
        Poll::Ready(())
    }

    /// Waits for room; there is none for who is gone, or is given up.
    fn poll_room(
        &mut self,
        cx: &mut Context<'_>,
        stream: &mut SendStream<Bytes>,
        alarm: &mut Alarm,
    ) -> Poll<Option<usize>> {
        match stream.capacity() {
            0 => {}
            room => return Poll::Ready(Some(room)),
        }
        if let Poll::Ready(room) = stream.poll_capacity(cx) {
            return Poll::Ready(room.and_then(Result::ok));
        }
        let deadline = *self.stuck.get_or_insert_with(|| after(WRITE_IDLE));
        ready!(alarm.poll_until(cx, deadline));
        stream.send_reset(Reason::CANCEL);
        Poll::Ready(None)
    }
}
