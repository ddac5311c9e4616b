//! The reply of a request that may be sent twice, kept as it passes. Its last bytes wait until all of it is on the disk;
//! when the caller leaves before, the rest of it is read nevertheless.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use http::header::{CONNECTION, RETRY_AFTER};
use http::{HeaderMap, Response, StatusCode};
use http_body::{Body as _, SizeHint};
use ir::settlement::Outcome;
use net::deadline::{after, within};

use super::{Claim, Kept, PATIENCE};
use crate::body::ReplyBody;
use crate::gateway::Gateway;

/// The largest body that is kept, in bytes. Of a larger one it is kept that it was given.
pub const MAX_BODY_BYTES: usize = 4 << 20;

/// A reply on its way to the caller and to the store.
pub struct Recorded {
    gateway: Arc<Gateway>,
    body: ReplyBody,
    record: Option<Record>,
    step: Step,
    /// Whether its caller has left, and it is read to its end by itself.
    abandoned: bool,
}

enum Step {
    /// Bytes pass.
    Passing,
    /// The last bytes wait for the store.
    Keeping(Option<Bytes>, Pin<Box<dyn Future<Output = ()> + Send>>),
    /// Everything has passed.
    Over,
}

/// What is known of the reply so far.
struct Record {
    claim: Claim,
    status: StatusCode,
    headers: HeaderMap,
    /// `None` when it has become too large.
    body: Option<BytesMut>,
}

impl Recorded {
    /// Keeps a reply as it passes.
    pub(super) fn around(gateway: &Arc<Gateway>, claim: Claim, reply: Response<ReplyBody>) -> Response<ReplyBody> {
        let (head, body) = reply.into_parts();
        let headers = lasting(&head.headers);
        let record = Some(Record { claim, status: head.status, headers, body: Some(BytesMut::new()) });
        let recorded = Self { gateway: Arc::clone(gateway), body, record, step: Step::Passing, abandoned: false };
        Response::from_parts(head, ReplyBody::Recorded(Box::new(recorded)))
    }

    /// Returns the next bytes for the caller.
    pub(crate) fn poll(&mut self, context: &mut Context<'_>) -> Poll<Option<Bytes>> {
        loop {
            match &mut self.step {
                Step::Passing => {
                    let passed = ready!(Pin::new(&mut self.body).poll_frame(context));
                    let bytes = passed.and_then(|frame| frame.ok()?.into_data().ok());
                    if let (Some(record), Some(bytes)) = (&mut self.record, &bytes) {
                        record.append(bytes);
                    }
                    if bytes.is_some() && !self.body.is_end_stream() {
                        return Poll::Ready(bytes);
                    }
                    self.step = Step::Keeping(bytes, Box::pin(self.finish()));
                }
                Step::Keeping(last, keeping) => {
                    ready!(keeping.as_mut().poll(context));
                    let last = last.take();
                    self.step = Step::Over;
                    if last.is_some() {
                        return Poll::Ready(last);
                    }
                }
                Step::Over => return Poll::Ready(None),
            }
        }
    }

    /// Says how it ended, and waits for the store as long as is sensible. When the store does not answer, the caller
    /// gets what was paid for; who comes again is told that nobody knows.
    fn finish(&mut self) -> impl Future<Output = ()> + Send + 'static {
        let whole = matches!(self.body.outcome(), None | Some(Outcome::Succeeded | Outcome::Refused));
        let told = self.record.take().and_then(|record| if whole { record.keep() } else { record.claim.free() });
        async move {
            if let Some(told) = told
                && !matches!(within(|| after(PATIENCE), told).await, Ok(Ok(())))
            {
                tracing::warn!(component = "idempotency", "The outcome of an idempotent request could not be kept");
            }
        }
    }

    /// Whether nothing will come any more.
    pub(crate) fn is_over(&self) -> bool {
        matches!(self.step, Step::Over)
    }

    /// Returns how it ended, if it is a stream.
    pub(crate) fn outcome(&self) -> Option<Outcome> {
        self.body.outcome()
    }

    /// Returns how much will come.
    pub(crate) fn size_hint(&self) -> SizeHint {
        match &self.step {
            Step::Passing => self.body.size_hint(),
            Step::Keeping(last, _) => SizeHint::with_exact(last.as_ref().map_or(0, |last| last.len() as u64)),
            Step::Over => SizeHint::with_exact(0),
        }
    }
}

impl Drop for Recorded {
    fn drop(&mut self) {
        // What waits for the store is told already; what a panic has cut, or the end of the process, is unknown.
        let goes_on = !self.abandoned && !std::thread::panicking();
        let Some(record) = self.record.take().filter(|_| goes_on) else { return };
        // Without a runtime the process is on its way out, and the outcome unknown.
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        let body = std::mem::replace(&mut self.body, ReplyBody::parts(Vec::new()));
        let gateway = Arc::clone(&self.gateway);
        let mut rest = Self { gateway, body, record: Some(record), step: Step::Passing, abandoned: true };
        let read = async move { while poll_fn(|context| rest.poll(context)).await.is_some() {} };
        self.gateway.tasks.spawn_on(read, &runtime);
    }
}

impl Record {
    fn append(&mut self, bytes: &Bytes) {
        self.body = self.body.take().filter(|body| body.len() + bytes.len() <= MAX_BODY_BYTES);
        if let Some(body) = &mut self.body {
            body.extend_from_slice(bytes);
        }
    }

    fn keep(self) -> Option<super::Waiting<()>> {
        let Self { claim, status, headers, body } = self;
        claim.keep(body.map(|body| Kept { status, headers, body: body.freeze() }))
    }
}

/// Returns the headers that are true later, too: not how the caller stood, nor what concerned one connection.
fn lasting(headers: &HeaderMap) -> HeaderMap {
    let lasts =
        |name: &http::HeaderName| *name != CONNECTION && *name != RETRY_AFTER && !name.as_str().contains("ratelimit");
    headers.iter().filter(|(name, _)| lasts(name)).map(|(name, value)| (name.clone(), value.clone())).collect()
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn headers_that_are_stale_are_not_kept() {
        let mut headers = HeaderMap::new();
        for name in ["x-request-id", "x-ratelimit-remaining", "ratelimit-limit", "retry-after", "connection"] {
            headers.insert(name, HeaderValue::from_static("1"));
        }
        headers.insert("anthropic-ratelimit-tokens-limit", HeaderValue::from_static("1"));
        assert_eq!(lasting(&headers).keys().collect::<Vec<_>>(), ["x-request-id"]);
    }
}
