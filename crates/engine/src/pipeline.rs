//! The corridor on one screen.

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use dialect::lane::Surface;
use http::request::Parts;
use http::{HeaderMap, Response};
use http_body::Body;
use ir::id::RequestId;
use policy::clock::Monotonic;

use crate::body::ReplyBody;
use crate::capture::Capture;
use crate::idempotency;
use crate::refusal::Refusal;
use crate::stage::authenticate::Authenticated;
use crate::stage::cache::Looked;
use crate::stage::decode::Decoded;
use crate::stage::gate::Gated;
use crate::stage::{authenticate, cache, decode, dispatch, gate, guard, plan, reply, reserve};
use crate::worker::Worker;

/// A request as it arrives: its head is read, its body is not.
pub struct Arrival<B> {
    /// Its id, which the caller sees as `x-request-id`.
    pub id: RequestId,
    /// When its head was complete.
    pub at: Monotonic,
    /// The TCP peer.
    pub peer: SocketAddr,
    /// Its head; boxed, because it walks through several rooms.
    pub head: Box<Parts>,
    /// Its body.
    pub body: B,
}

impl<B> Arrival<B> {
    /// Returns its headers.
    pub fn headers(&self) -> &HeaderMap {
        &self.head.headers
    }
}

/// Answers one request to a model, in the dialect of the surface that was called.
///
/// # Errors
/// A refusal, for the surface to render.
pub async fn chat<B>(
    worker: &Arc<Worker>,
    surface: Surface,
    arrival: Arrival<B>,
) -> Result<Response<ReplyBody>, Refusal>
where
    B: Body<Data = Bytes> + Unpin,
{
    let authenticated = authenticate::authenticate(&worker.gateway, surface, arrival)?;
    let identity = authenticated.identity.clone();
    let peer = authenticated.arrival.peer.ip();
    let answer = answer(worker, surface, authenticated).await;
    answer.map_err(|refusal| refusal.of(&worker.gateway, &identity, peer))
}

async fn answer<B>(
    worker: &Arc<Worker>,
    surface: Surface,
    authenticated: Authenticated<B>,
) -> Result<Response<ReplyBody>, Refusal>
where
    B: Body<Data = Bytes> + Unpin,
{
    let decoded = decode::decode(&worker.gateway, surface, authenticated).await?;
    if decoded.call.once.is_some() {
        return idempotency::once(worker, decoded, |worker, decoded| Box::pin(serve(worker, decoded))).await;
    }
    served(worker, decoded).await
}

/// Answers a request that is understood; a future that owns what it needs.
async fn serve(worker: Arc<Worker>, decoded: Decoded) -> Result<Response<ReplyBody>, Refusal> {
    served(&worker, decoded).await
}

async fn served(worker: &Arc<Worker>, decoded: Decoded) -> Result<Response<ReplyBody>, Refusal> {
    let gated = gate::gate(worker, decoded)?;
    let capture = Capture::begin(&worker.gateway, &gated);
    match admitted(worker, gated).await {
        Ok(reply) => Ok(Capture::around(capture, reply)),
        Err(refusal) => Err(Refusal { capture, ..refusal }),
    }
}

/// Answers a request that is admitted.
async fn admitted(worker: &Arc<Worker>, gated: Box<Gated>) -> Result<Response<ReplyBody>, Refusal> {
    let guarded = guard::guard(&worker.gateway, gated)?;
    let missed = match cache::look_up(guarded)? {
        Looked::Hit(reply) => return Ok(reply),
        Looked::Missed(missed) => missed,
    };
    let planned = plan::plan(&worker.gateway, missed)?;
    let reserved = reserve::reserve(worker, planned).await?;
    let answered = dispatch::dispatch(worker, reserved).await?;
    Ok(reply::reply(worker, answered))
}
