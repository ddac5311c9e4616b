//! The admin listener: connections, and the router on each.

use std::net::SocketAddr;
use std::pin::pin;

use axum::Router;
use axum::body::Body;
use axum::http::header::CONNECTION;
use axum::http::{HeaderValue, Request, Response};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use ir::id::RequestId;
use policy::clock::Clock;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::task::JoinSet;

use super::frame::{Peer, mark};
use super::problem::{Code, Problem};
use super::unread::Explained;
use crate::data::unacceptable;
use crate::io::{Impatient, Served, Serving};
use crate::listen::Listener;

/// The most connections that are open at once; the next waits until one ends.
pub const MAX_CONNECTIONS: usize = 1_024;

/// The most that is buffered of a connection; a head must fit.
const MAX_BUFFER: usize = 64 << 10;

/// Serves connections until it is dropped, at most so many at once: readiness is read while the data plane drains.
pub async fn serve<L: Listener>(mut listener: L, router: Router, clock: Clock, most: usize) {
    let mut open = JoinSet::new();
    loop {
        tokio::select! {
            (io, peer) = listener.accept(), if open.len() < most => {
                open.spawn(connection(io, peer, router.clone(), clock.clone()));
            }
            Some(_) = open.join_next() => {}
        }
    }
}

/// Serves one connection to its end.
pub async fn connection<I>(io: I, peer: SocketAddr, router: Router, clock: Clock)
where
    I: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let serving = Serving::default();
    let router = TowerToHyperService::new(router);
    let service = service_fn(|mut request: Request<Incoming>| {
        serving.begin();
        let refused = refused(&request, &clock);
        request.extensions_mut().insert(Peer(peer));
        let (routed, serving) = (router.call(request), serving.clone());
        async move {
            let response = match refused {
                Some(response) => response,
                None => routed.await?,
            };
            Ok::<_, std::convert::Infallible>(response.map(|body| Served::new(body, serving)))
        }
    });
    let connection = http1::Builder::new()
        .max_buf_size(MAX_BUFFER)
        .half_close(false)
        .serve_connection(TokioIo::new(Explained::new(Impatient::new(io, serving.clone()), clock.clone())), service);
    // What is wrong with a connection concerns its peer alone.
    let _ = pin!(connection).await;
}

/// Refuses heads that two parsers could frame differently.
fn refused(request: &Request<Incoming>, clock: &Clock) -> Option<Response<Body>> {
    let failure = unacceptable(request.version(), request.headers())?;
    let id = RequestId::new(clock.unix_ms());
    let problem =
        Problem::new(Code::InvalidRequest, failure.message).header(CONNECTION, HeaderValue::from_static("close"));
    let mut response = problem.render(id);
    mark(response.headers_mut(), id);
    Some(response)
}
