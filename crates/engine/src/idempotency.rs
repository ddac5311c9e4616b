//! `Idempotency-Key`: a request that is sent twice runs once.
//!
//! A name (the caller's environment, its API key and the header) is claimed before the request is admitted; the claim is
//! on the disk before a provider is asked, and what was answered is on the disk before its last byte leaves. Who comes
//! again gets the same answer. What nobody can answer for (the process was killed in between) is said, and not run again.
//!
//! The engine knows the store as [`Outcomes`] alone. Requests without the header come by none of this. What callers may
//! rely on is in `docs/idempotency.md`.

pub mod recorded;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use dialect::lane::Surface;
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};
use ir::failure::{Code, Failure, Fault};
use ir::id::ResourceId;
use net::deadline::{after, within};

use self::recorded::Recorded;
use crate::body::ReplyBody;
use crate::capture::Capture;
use crate::gateway::Gateway;
use crate::metrics::idempotency::Repeated;
use crate::refusal::Refusal;
use crate::stage::decode::Decoded;
use crate::worker::Worker;

/// The header.
pub const IDEMPOTENCY_KEY: &str = "Idempotency-Key";

/// `idempotent-replayed: true`, on a reply that was given before.
const REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");

/// The longest key, in bytes.
const MAX_KEY_BYTES: usize = 255;

/// How long a request waits for the store, before it runs and before its last byte leaves.
pub const PATIENCE: Duration = Duration::from_secs(2);

/// When it is sensible to ask again for what is in flight.
const IN_FLIGHT: Duration = Duration::from_secs(1);

/// What the head of a request that may be sent twice says.
#[derive(Debug)]
pub struct Once {
    /// The key that the caller chose.
    pub key: Box<str>,
    /// The path it was sent to.
    pub path: Box<str>,
}

impl Once {
    /// Reads the header's value.
    ///
    /// # Errors
    /// 400 for one that is empty, too long, or not printable ASCII.
    pub fn read(value: &HeaderValue, path: &str) -> Result<Box<Self>, Failure> {
        let text = value.to_str().map(str::trim).unwrap_or_default();
        let printable = text.bytes().all(|byte| (b' '..=b'~').contains(&byte));
        if text.is_empty() || text.len() > MAX_KEY_BYTES || !printable {
            let message =
                format!("the header {IDEMPOTENCY_KEY} must be 1 to {MAX_KEY_BYTES} printable ASCII characters");
            return Err(Failure::invalid(IDEMPOTENCY_KEY, message));
        }
        Ok(Box::new(Self { key: text.into(), path: path.into() }))
    }
}

/// A name under which a request runs once.
pub type Name = [u8; 32];

/// A request that wants to run under a name.
#[derive(Debug)]
pub struct Wanted {
    /// Its environment.
    pub environment: Arc<str>,
    /// The API key it acts as; `None` for the built-in one.
    pub api_key: Option<ResourceId>,
    /// The key that the caller chose.
    pub key: Box<str>,
    /// The parameters that change the answer, the body last.
    pub parameters: [Bytes; 4],
}

/// A reply that is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// Its status.
    pub status: StatusCode,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body.
    pub body: Bytes,
}

/// What a claim finds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Claimed {
    /// Nothing: the request may run.
    New(Name),
    /// The same request is running.
    InFlight,
    /// The same request ran, and this is its reply.
    Kept(Kept),
    /// The same request ran; its reply is not kept.
    NotKept,
    /// The same request began, and nobody knows how it ended.
    Unknown,
    /// Another request has the key.
    Another,
}

/// The store does not answer, or cannot do it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the store of idempotent requests is away")]
pub struct Away;

/// An answer of the store.
pub type Waiting<T> = Pin<Box<dyn Future<Output = Result<T, Away>> + Send>>;

/// What became of requests that may be sent twice. What is asked of it is begun at once and in the order in which it is
/// asked, whether somebody waits for the answer or not; it is on the disk when the answer comes.
pub trait Outcomes: Send + Sync {
    /// Claims a name. A claim that nobody waits for any more is freed.
    fn claim(&self, wanted: Wanted) -> Waiting<Claimed>;
    /// Keeps the reply of a name that is claimed; `None` says only that it was given.
    fn keep(&self, name: Name, reply: Option<Kept>) -> Waiting<()>;
    /// Frees a name that is claimed: whoever comes with it runs.
    fn free(&self, name: Name) -> Waiting<()>;
    /// Notes that nobody will say any more how a request ended.
    fn leave(&self, name: Name);
}

/// The right to run under a name. Who drops it leaves it unsaid how that ended.
pub struct Claim {
    outcomes: Arc<dyn Outcomes>,
    name: Option<Name>,
}

impl Claim {
    /// Keeps the reply, or that there was one.
    fn keep(mut self, reply: Option<Kept>) -> Option<Waiting<()>> {
        self.name.take().map(|name| self.outcomes.keep(name, reply))
    }

    /// Lets the name go, as if it had never been claimed.
    fn free(mut self) -> Option<Waiting<()>> {
        self.name.take().map(|name| self.outcomes.free(name))
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        if let Some(name) = self.name.take() {
            self.outcomes.leave(name);
        }
    }
}

/// Answers a request in flight.
pub type Serving = Pin<Box<dyn Future<Output = Result<Response<ReplyBody>, Refusal>> + Send>>;

/// Runs a request under its key, or answers as it was answered before. Once it runs it is finished, whether its caller
/// stays or not, so that who comes again finds what was paid for.
///
/// # Errors
/// 409 and 422 for a key that has a request already, 503 when the store is away, and what `serve` says.
pub async fn once(
    worker: &Arc<Worker>,
    decoded: Decoded,
    serve: impl FnOnce(Arc<Worker>, Decoded) -> Serving + Send + 'static,
) -> Result<Response<ReplyBody>, Refusal> {
    let id = decoded.call.id;
    let claim = match claim(&worker.gateway, &decoded).await {
        Ok(Ok(claim)) => claim,
        Ok(Err(kept)) => return Ok(replay(kept)),
        Err(failure) => return Err(Refusal::early(id, failure)),
    };
    let running = worker.gateway.tasks.spawn(run(Arc::clone(worker), decoded, claim, serve));
    running.await.unwrap_or_else(|error| match error.try_into_panic() {
        Ok(panic) => std::panic::resume_unwind(panic),
        Err(_) => Err(Refusal::early(id, Failure::new(Code::InternalError, Fault::Gateway, "the gateway is stopping"))),
    })
}

/// Claims the request's name, or finds its reply.
async fn claim(gateway: &Gateway, decoded: &Decoded) -> Result<Result<Claim, Kept>, Failure> {
    let (Some(once), Some(outcomes)) = (&decoded.call.once, gateway.outcomes.get()) else { return Err(away(gateway)) };
    let (key, call) = (&decoded.identity.key.compiled, &decoded.call);
    let text = |text: Option<&str>| Bytes::copy_from_slice(text.unwrap_or_default().as_bytes());
    let wanted = Wanted {
        environment: Arc::clone(&key.environment),
        api_key: key.id,
        key: once.key.clone(),
        parameters: [
            text(Some(&once.path)),
            text(call.provider.as_deref()),
            text(call.anthropic.as_deref()),
            decoded.request.body().clone(),
        ],
    };
    let metrics = &gateway.metrics.idempotency;
    let claimed = match within(|| after(PATIENCE), outcomes.claim(wanted)).await {
        Ok(Ok(claimed)) => claimed,
        Ok(Err(Away)) | Err(_) => return Err(away(gateway)),
    };
    let refused = |code, message: &str| Failure::new(code, Fault::Caller, message).with_param(IDEMPOTENCY_KEY);
    let (repeated, failure) = match claimed {
        Claimed::New(name) => return Ok(Ok(Claim { outcomes: Arc::clone(outcomes), name: Some(name) })),
        Claimed::Kept(kept) => {
            metrics.count(Repeated::Replayed);
            return Ok(Err(kept));
        }
        Claimed::InFlight => {
            let message = "a request with this Idempotency-Key is still running: ask again for its result";
            let failure = refused(Code::IdempotencyInProgress, message).with_retry_after(IN_FLIGHT);
            (Repeated::InProgress, Failure { should_retry: Some(true), ..failure })
        }
        Claimed::NotKept => {
            let message = "a request with this Idempotency-Key was answered, but its result is too large to be kept: send \
                           a new key to run it again";
            (Repeated::NotReplayable, refused(Code::IdempotencyNotReplayable, message).hopeless())
        }
        Claimed::Unknown => {
            let message = "outcome unknown: a request with this Idempotency-Key began, and the gateway cannot tell whether \
                           the provider answered and charged for it; send a new key to run it again";
            (Repeated::Unknown, refused(Code::IdempotencyOutcomeUnknown, message).hopeless())
        }
        Claimed::Another => {
            let message = "this Idempotency-Key was used for a request with other parameters: use a new key";
            (Repeated::Reused, refused(Code::IdempotencyKeyReused, message).hopeless())
        }
    };
    metrics.count(repeated);
    Err(failure)
}

/// What a caller is told when it cannot be known whether its request ran before.
fn away(gateway: &Gateway) -> Failure {
    gateway.metrics.idempotency.count(Repeated::Unavailable);
    let message = "the gateway cannot look up Idempotency-Keys at the moment; nothing was run";
    Failure::new(Code::DependencyUnavailable, Fault::Gateway, message).with_retry_after(PATIENCE)
}

async fn run(
    worker: Arc<Worker>,
    decoded: Decoded,
    claim: Claim,
    serve: impl FnOnce(Arc<Worker>, Decoded) -> Serving,
) -> Result<Response<ReplyBody>, Refusal> {
    let gateway = Arc::clone(&worker.gateway);
    let (identity, peer, surface) = (decoded.identity.clone(), decoded.call.peer, decoded.request.surface());
    match serve(worker, decoded).await {
        Ok(reply) => Ok(Recorded::around(&gateway, claim, reply)),
        Err(refusal) => {
            let mut refusal = refusal.of(&gateway, &identity, peer);
            if is_final(surface, &refusal) {
                let capture = refusal.capture.take();
                let reply = Capture::around(capture, refusal.render(&gateway, surface));
                return Ok(Recorded::around(&gateway, claim, reply));
            }
            if let Some(freed) = claim.free() {
                // Where it cannot be freed it stays claimed: it is refused then, and not run.
                let _ = within(|| after(PATIENCE), freed).await;
            }
            Err(refusal)
        }
    }
}

/// Whether a refusal is what the same request would meet again, after a provider was asked. What was never sent, and
/// what may go better next time, frees the key.
fn is_final(surface: Surface, refusal: &Refusal) -> bool {
    let passing = matches!(refusal.failure.code, Code::RevokedApiKey | Code::RateLimited | Code::ConcurrencyLimited);
    let status = surface.status(&refusal.failure);
    refusal.attempts > 0 && !passing && matches!(status, 400..=499) && !matches!(status, 408 | 409 | 425 | 429 | 499)
}

/// Answers as it was answered before.
fn replay(kept: Kept) -> Response<ReplyBody> {
    let mut response = Response::new(ReplyBody::full(kept.body));
    *response.status_mut() = kept.status;
    *response.headers_mut() = kept.headers;
    response.headers_mut().insert(REPLAYED, HeaderValue::from_static("true"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(value: &[u8], expect: Option<&str>) {
        let value = HeaderValue::from_bytes(value).unwrap();
        let read = Once::read(&value, "/v1/messages");
        match expect {
            Some(key) => assert_eq!(&*read.unwrap().key, key),
            None => assert_eq!(read.unwrap_err().param.as_deref(), Some(IDEMPOTENCY_KEY)),
        }
    }

    #[test]
    fn a_key_is_short_and_printable() {
        check(b"a", Some("a"));
        check(b" 8e03978e-40d5-43dd-bc93-6894a57f9324 ", Some("8e03978e-40d5-43dd-bc93-6894a57f9324"));
        check(b"\"quoted, with a comma\"", Some("\"quoted, with a comma\""));
        check(&[b'x'; 255], Some(&"x".repeat(255)));
        check(&[b'x'; 256], None);
        check(b"", None);
        check(b"  ", None);
        check("gr\u{fc}n".as_bytes(), None);
        check(b"a\tb", None);
    }
}
