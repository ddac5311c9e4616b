//! The data listener: connections, and one service for every request on them.

use std::future::{Future, poll_fn};
use std::net::SocketAddr;
use std::panic::AssertUnwindSafe;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use dialect::lane::Surface;
use engine::body::ReplyBody;
use engine::gateway::Gateway;
use engine::pipeline::Arrival;
use engine::refusal::Refusal;
use engine::worker::Worker;
use http::header::{HOST, TRANSFER_ENCODING, UPGRADE};
use http::request::Parts;
use http::{HeaderMap, Response, Version};
use ir::failure::{Code, Failure, Fault};
use ir::id::RequestId;
use net::h1::serve::head::HeadError;
use net::h1::serve::{Handler, RequestBody};
use policy::clock::turn;
use tokio::sync::OwnedSemaphorePermit;
use tokio_util::sync::CancellationToken;

use crate::client;
use crate::listen::{Listener, now_and_then};
use crate::surface;

/// How often idle connections to providers are looked at.
///
/// It is short for another reason: a timer that is due before every other one makes tokio wake its own driver, which is
/// a system call. With this one always near, the deadlines of requests are never the next, and cost none.
const SWEEP: Duration = Duration::from_secs(1);

/// Serves connections until `stop`. Connections that are open then finish their request and close; the gateway's
/// tracker knows when they have.
pub async fn serve<L: Listener>(mut listener: L, worker: Arc<Worker>, stop: CancellationToken) {
    let sweeper = {
        let (worker, stop) = (Arc::clone(&worker), stop.clone());
        async move {
            let mut sweep = tokio::time::interval(SWEEP);
            while stop.run_until_cancelled(sweep.tick()).await.is_some() {
                worker.pool.sweep(worker.gateway.clock.now().0);
            }
        }
    };
    worker.gateway.tasks.spawn(sweeper);
    while let Some(Some(room)) = stop.run_until_cancelled(room(&worker.gateway)).await {
        let Some((io, peer)) = stop.run_until_cancelled(listener.accept()).await else { break };
        let served = connection(io, peer, Arc::clone(&worker), stop.clone());
        worker.gateway.tasks.spawn(async move {
            served.await;
            drop(room);
        });
    }
}

/// Waits for room for one more connection; those that come meanwhile wait to be accepted. `None` never happens: nobody
/// closes it.
async fn room(gateway: &Gateway) -> Option<OwnedSemaphorePermit> {
    if let Ok(room) = Arc::clone(&gateway.connections).try_acquire_owned() {
        return Some(room);
    }
    if now_and_then() {
        let most = gateway.options.connections;
        tracing::warn!(
            component = "listener",
            most,
            "As many connections are open as there are descriptors for: the next wait (raise the limit of open files)"
        );
    }
    Arc::clone(&gateway.connections).acquire_owned().await.ok()
}

async fn connection<I>(io: I, peer: SocketAddr, worker: Arc<Worker>, stop: CancellationToken)
where
    I: net::io::Io + 'static,
{
    let answers = Answers { worker, peer };
    // What is wrong with a connection concerns its peer alone.
    let http2 = {
        let mut served = pin!(net::h1::serve::serve(Box::new(io), &answers, &stop));
        poll_fn(|cx| turn(|| served.as_mut().poll(cx))).await
    };
    let Some(http2) = http2 else { return };
    let tasks = answers.worker.gateway.tasks.clone();
    let streams = net::h2::serve(http2, Arc::new(answers), &stop, |mut stream| {
        tasks.spawn(poll_fn(move |cx| turn(|| stream.as_mut().poll(cx))));
    });
    // Boxed, so that connections of HTTP/1.1 have no room for it.
    Box::pin(streams).await;
}

/// Answers the requests of one connection.
struct Answers {
    worker: Arc<Worker>,
    peer: SocketAddr,
}

impl Handler for Answers {
    type Body = ReplyBody;

    fn answer(&self, head: Box<Parts>, body: RequestBody) -> impl Future<Output = Response<ReplyBody>> + Send {
        respond(&self.worker, self.peer, head, body)
    }

    fn refuse(&self, path: &str, error: HeadError) -> Response<ReplyBody> {
        let gateway = &self.worker.gateway;
        let code = match error {
            HeadError::TooLarge => Code::HeadersTooLarge,
            HeadError::Malformed(_) => Code::InvalidRequest,
        };
        let failure = Failure::new(code, Fault::Caller, error.to_string());
        let refusal = Refusal::closing(RequestId::new(gateway.clock.unix_ms()), failure);
        gateway.metrics.rejected();
        surface::error(gateway, surface::of_path(path), &refusal)
    }

    fn unix_seconds(&self) -> u64 {
        self.worker.gateway.clock.unix_ms() / 1_000
    }
}

async fn respond(worker: &Arc<Worker>, peer: SocketAddr, head: Box<Parts>, body: RequestBody) -> Response<ReplyBody> {
    let gateway = &worker.gateway;
    let id = RequestId::new(gateway.clock.unix_ms());
    let surface = surface::of(&head);
    let refused = unacceptable(head.version, &head.headers);
    if let Some(failure) = refused.or_else(|| (head.version == Version::HTTP_2).then(|| ambiguous(&head)).flatten()) {
        return surface::error(gateway, surface, &Refusal::closing(id, failure));
    }
    let peer = SocketAddr::new(client::of(peer.ip(), &head.headers, &gateway.options.trusted_proxies), peer.port());
    let arrival = Arrival { id, at: gateway.clock.now(), peer, head, body };
    Contained { handler: pin!(surface::answer(worker, surface, arrival)), gateway, surface, id }.await
}

/// The most that the names and values of a request's headers may take together.
const MAX_HEADER_BYTES: usize = 48 << 10;

/// Refuses heads that two parsers could frame differently, and heads that are too large.
///
/// The data listener has refused most of it already (`net::h1::serve::head`). The server of the admin listener drops
/// Content-Length where Transfer-Encoding stands too, and closes the connection after it (RFC 9112, section 6.3).
///
/// An offer to go on in HTTP/2 (`Upgrade: h2c`) is passed over, as RFC 9110, section 7.8, lets a server do: Java's client
/// makes it with every first request. Who wants a WebSocket would wait for one.
pub(crate) fn unacceptable(version: Version, headers: &HeaderMap) -> Option<Failure> {
    let (mut size, mut hosts, mut codings) = (0, 0, Vec::new());
    for (name, value) in headers {
        size += name.as_str().len() + value.len();
        hosts += usize::from(name == HOST);
        if name == TRANSFER_ENCODING {
            codings.push(value);
        }
        if name == UPGRADE && value.as_bytes().to_ascii_lowercase().starts_with(b"websocket") {
            let message = "there is no WebSocket here: leave the Upgrade header out";
            return Some(Failure::new(Code::InvalidRequest, Fault::Caller, message).with_param("upgrade"));
        }
    }
    if let [coding, more @ ..] = codings.as_slice() {
        let plain = coding.as_bytes().eq_ignore_ascii_case(b"chunked") && more.is_empty();
        if !plain || version == Version::HTTP_10 {
            let message = "the only Transfer-Encoding of a request is one `chunked`, in HTTP/1.1";
            return Some(Failure::new(Code::InvalidRequest, Fault::Caller, message));
        }
    }
    // RFC 9112, section 3.2.
    if hosts > 1 || (hosts == 0 && version == Version::HTTP_11) {
        return Some(Failure::new(Code::InvalidRequest, Fault::Caller, "a request has one Host header"));
    }
    if size > MAX_HEADER_BYTES {
        let message = format!("the headers are larger than {MAX_HEADER_BYTES} bytes");
        return Some(Failure::new(Code::HeadersTooLarge, Fault::Caller, message));
    }
    None
}

/// The most fields of a request of HTTP/2; `net::h1::serve::head` has the same bound.
const MAX_FIELDS: usize = 100;

/// Refuses what only a request of HTTP/2 can get wrong: `net::h2` bounds the bytes of its fields, not their number, and
/// it has two places for its host (RFC 9113, section 8.3.1).
fn ambiguous(head: &Parts) -> Option<Failure> {
    if head.headers.len() > MAX_FIELDS {
        let message = format!("the request has more than {MAX_FIELDS} fields");
        return Some(Failure::new(Code::HeadersTooLarge, Fault::Caller, message));
    }
    let (authority, host) = (head.uri.authority()?, head.headers.get(HOST)?);
    if authority.as_str().as_bytes().eq_ignore_ascii_case(host.as_bytes()) {
        return None;
    }
    Some(Failure::new(Code::InvalidRequest, Fault::Caller, "the Host header and :authority name two hosts"))
}

/// Runs a handler; when it panics, that request alone fails.
struct Contained<'a, F> {
    handler: Pin<&'a mut F>,
    gateway: &'a Gateway,
    surface: Surface,
    id: RequestId,
}

impl<F: Future<Output = Response<ReplyBody>>> Future for Contained<'_, F> {
    type Output = Response<ReplyBody>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let (gateway, surface, id) = (self.gateway, self.surface, self.id);
        let handler = &mut self.handler;
        match std::panic::catch_unwind(AssertUnwindSafe(|| handler.as_mut().poll(context))) {
            Ok(poll) => poll,
            Err(_) => Poll::Ready(surface::panicked(gateway, surface, id)),
        }
    }
}
