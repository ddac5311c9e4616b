//! The native surface: what management keys call under `/api/v1`. The engine lets them in, as it lets callers of models in,
//! and reads the body; what is answered is the control plane's business, behind a port.

use std::future::Future;
use std::net::IpAddr;
use std::pin::Pin;

use bytes::Bytes;
use http::request::Parts;
use http::{Method, Response};
use http_body::Body;
use ir::failure::{Code, Failure, Fault};
use ir::id::RequestId;

use crate::body::ReplyBody;
use crate::gateway::{Gateway, Options};
use crate::limits;
use crate::pipeline::Arrival;
use crate::refusal::Refusal;
use crate::stage::authenticate::{Identity, identify, identify_manager};
use crate::stage::decode;

/// The largest body, in bytes.
const MAX_BODY_BYTES: usize = 256 << 10;

/// The largest body of what a caller says, in bytes.
const MAX_FEEDBACK_BYTES: usize = 16 << 10;

/// A call that the control plane answers.
pub struct Call {
    /// Its id.
    pub id: RequestId,
    /// The TCP peer.
    pub peer: IpAddr,
    /// The key, and its environment.
    pub identity: Identity,
    /// Its head.
    pub head: Box<Parts>,
    /// Its body.
    pub body: Bytes,
}

/// An answer that will be there later.
pub type Answering = Pin<Box<dyn Future<Output = Response<ReplyBody>> + Send>>;

/// What answers them. Nothing in it may block a data worker.
pub trait Native: Send + Sync {
    /// Answers a call of a management key.
    fn answer(&self, call: Call) -> Answering;

    /// Takes what the caller of a model says of an answer.
    fn feedback(&self, call: Call) -> Answering;
}

/// Takes what a caller says of an answer: `POST /v1/feedback`.
///
/// # Errors
/// What [`identify`] says, 404 where there is no control plane, and what is wrong with the body.
pub async fn feedback<B>(gateway: &Gateway, arrival: Arrival<B>) -> Result<Response<ReplyBody>, Refusal>
where
    B: Body<Data = Bytes> + Unpin,
{
    let identity = identify(gateway, &arrival)?;
    let (asker, peer) = (identity.clone(), arrival.peer.ip());
    let (native, call) = received(gateway, arrival, identity, MAX_FEEDBACK_BYTES).await?;
    let mut response = native.feedback(call).await;
    if let Some(standing) = limits::standing(gateway, &asker.key, &asker.configuration, peer) {
        standing.write(response.headers_mut());
    }
    Ok(response)
}

/// Answers a request under `/api/v1`.
///
/// # Errors
/// What [`identify_manager`] says, 404 where there is no control plane, and what is wrong with the body.
pub async fn manage<B>(gateway: &Gateway, arrival: Arrival<B>) -> Result<Response<ReplyBody>, Refusal>
where
    B: Body<Data = Bytes> + Unpin,
{
    let identity = identify_manager(gateway, &arrival)?;
    let bodiless = matches!(arrival.head.method, Method::GET | Method::HEAD | Method::DELETE);
    let (native, call) = received(gateway, arrival, identity, if bodiless { 0 } else { MAX_BODY_BYTES }).await?;
    Ok(native.answer(call).await)
}

/// Reads the body of a call, and finds who answers it.
async fn received<B>(
    gateway: &Gateway,
    arrival: Arrival<B>,
    identity: Identity,
    body_limit: usize,
) -> Result<(&dyn Native, Call), Refusal>
where
    B: Body<Data = Bytes> + Unpin,
{
    let (id, peer) = (arrival.id, arrival.peer.ip());
    let Some(native) = gateway.native.get() else {
        let failure = Failure::new(Code::NotFound, Fault::Caller, "unknown path");
        return Err(Refusal::closing(id, failure).of(gateway, &identity, peer));
    };
    let Arrival { at, peer: address, head, body, .. } = arrival;
    let options = Options { body_limit, ..gateway.options.clone() };
    let rest = Arrival { id, at, peer: address, head: head.clone(), body };
    let body = decode::read(rest, None, &options).await;
    let body = body.map_err(|failure| Refusal::closing(id, failure).of(gateway, &identity, peer))?;
    Ok((&**native, Call { id, peer, identity, head, body }))
}
