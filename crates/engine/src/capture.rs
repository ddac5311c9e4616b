//! Keeping what was asked and what was answered, of the keys that say so.
//!
//! The request is what the caller sent, the reply what the caller got, byte for byte, each up to a bound. Nothing is
//! looked at here, and nothing waits: what was gathered is offered to a queue when the reply is over, however it ends.
//! Where content is not kept, a request pays one comparison.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::Response;
use http_body::{Body as _, Frame, SizeHint};
use ir::settlement::Outcome;
use policy::snapshot::{CompiledKey, Environment, LogContent, Snapshot};
use settle::payloads::{MAX_BODY_BYTES, Part, Payload};

use crate::body::ReplyBody;
use crate::gateway::Gateway;
use crate::stage::gate::Gated;

/// The content of a request on its way. Dropping it hands it over.
pub struct Capture {
    gateway: Arc<Gateway>,
    payload: Option<Payload>,
}

impl std::fmt::Debug for Capture {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Whatever is in it is nobody's business.
        f.debug_struct("Capture").finish_non_exhaustive()
    }
}

/// Returns whether the content of a key's requests is kept: the key's own word, or else its environment's.
fn setting(key: &CompiledKey, environment: &Environment) -> LogContent {
    key.log_content.unwrap_or(environment.log_content)
}

/// Returns for how many days it is kept, where the key or its plan say so.
fn kept_days(key: &CompiledKey, snapshot: &Snapshot) -> Option<u32> {
    key.content_days.or_else(|| snapshot.plan_of(key)?.content_days)
}

impl Capture {
    /// Begins with what was asked, when that is to be kept.
    pub fn begin(gateway: &Arc<Gateway>, gated: &Gated) -> Option<Box<Self>> {
        let redacted = match setting(&gated.key.compiled, &gated.configuration.snapshot.environment) {
            LogContent::Off => return None,
            LogContent::Redacted => true,
            LogContent::Full => false,
        };
        gateway.payloads.get()?;
        let mut request = Part::default();
        append(&mut request, gated.request.body());
        let payload = Payload {
            id: gated.call.id,
            environment: Arc::clone(&gated.key.compiled.environment),
            redacted,
            kept_days: kept_days(&gated.key.compiled, &gated.configuration.snapshot),
            request,
            response: None,
        };
        Some(Box::new(Self { gateway: Arc::clone(gateway), payload: Some(payload) }))
    }

    /// Goes on with what is answered, as it passes.
    pub fn around(capture: Option<Box<Self>>, reply: Response<ReplyBody>) -> Response<ReplyBody> {
        match capture {
            None => reply,
            Some(capture) => reply.map(|body| ReplyBody::Captured(Box::new(Captured { body, capture }))),
        }
    }

    fn passed(&mut self, bytes: &[u8]) {
        if let Some(payload) = &mut self.payload {
            append(payload.response.get_or_insert_default(), bytes);
        }
    }
}

impl Drop for Capture {
    fn drop(&mut self) {
        if let (Some(payload), Some(queue)) = (self.payload.take(), self.gateway.payloads.get())
            && !queue.offer(payload)
        {
            self.gateway.metrics.payload_dropped();
        }
    }
}

/// Adds bytes to what is kept of a body, up to the bound.
fn append(part: &mut Part, bytes: &[u8]) {
    part.bytes += bytes.len() as u64;
    let room = MAX_BODY_BYTES.saturating_sub(part.data.len());
    let kept = bytes.get(..room).unwrap_or(bytes);
    part.data.extend_from_slice(kept);
    part.cut |= kept.len() < bytes.len();
}

/// A reply that is kept as it passes.
pub struct Captured {
    body: ReplyBody,
    capture: Box<Capture>,
}

impl Captured {
    /// Returns the next bytes for the caller.
    pub(crate) fn poll(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, std::convert::Infallible>>> {
        let polled = Pin::new(&mut self.body).poll_frame(context);
        if let Poll::Ready(Some(Ok(frame))) = &polled
            && let Some(bytes) = frame.data_ref()
        {
            self.capture.passed(bytes);
        }
        polled
    }

    /// Returns how it ended, if it is a stream.
    pub(crate) fn outcome(&self) -> Option<Outcome> {
        self.body.outcome()
    }

    /// Whether nothing will come any more.
    pub(crate) fn is_over(&self) -> bool {
        self.body.is_end_stream()
    }

    /// Returns how much will come.
    pub(crate) fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_is_kept_up_to_its_bound() {
        let mut part = Part::default();
        append(&mut part, b"abc");
        assert_eq!((part.bytes, part.data.len(), part.cut), (3, 3, false));
        append(&mut part, &vec![b'x'; MAX_BODY_BYTES - 3]);
        assert!(!part.cut);
        append(&mut part, b"yz");
        append(&mut part, b"");
        assert_eq!((part.bytes, part.data.len(), part.cut), (MAX_BODY_BYTES as u64 + 2, MAX_BODY_BYTES, true));
    }
}
