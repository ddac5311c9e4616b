//! The body of a reply: a few parts that are there, or a stream that comes.

pub mod stream;

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};
use http_body::{Body, Frame, SizeHint};
use ir::settlement::Outcome;

use self::stream::StreamBody;
use crate::capture::Captured;
use crate::idempotency::recorded::Recorded;

/// Below this many bytes parts are joined where there are many: one piece is cheaper to write than several.
const JOIN_BELOW: usize = 16 << 10;

/// So many parts are written as they are: to copy them costs more.
const FEW: usize = 4;

/// The body of a reply.
pub enum ReplyBody {
    /// What is left of a body that is there.
    Parts(std::vec::IntoIter<Bytes>, u64),
    /// A stream.
    Stream(Box<StreamBody>),
    /// Either of them, kept as it passes.
    Captured(Box<Captured>),
    /// One of a request that may be sent twice.
    Recorded(Box<Recorded>),
}

impl ReplyBody {
    /// Returns a body of parts.
    pub fn parts(parts: Vec<Bytes>) -> Self {
        let parts = join(parts);
        let length = parts.iter().map(|part| part.len() as u64).sum();
        Self::Parts(parts.into_iter(), length)
    }

    /// Returns how a stream ended; `None` while it goes on, and for what is no stream.
    pub fn outcome(&self) -> Option<Outcome> {
        match self {
            Self::Parts(..) => None,
            Self::Stream(stream) => stream.outcome(),
            Self::Captured(captured) => captured.outcome(),
            Self::Recorded(recorded) => recorded.outcome(),
        }
    }

    /// Returns a body of one part.
    pub fn full(body: impl Into<Bytes>) -> Self {
        Self::parts(vec![body.into()])
    }
}

/// Joins parts that are small together.
fn join(mut parts: Vec<Bytes>) -> Vec<Bytes> {
    parts.retain(|part| !part.is_empty());
    let length: usize = parts.iter().map(Bytes::len).sum();
    if parts.len() <= FEW || length > JOIN_BELOW {
        return parts;
    }
    let mut joined = BytesMut::with_capacity(length);
    for part in parts {
        joined.extend_from_slice(&part);
    }
    vec![joined.freeze()]
}

impl Body for ReplyBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        match &mut *self {
            Self::Parts(parts, left) => {
                let part = parts.next();
                *left -= part.as_ref().map_or(0, |part| part.len() as u64);
                Poll::Ready(part.map(|part| Ok(Frame::data(part))))
            }
            Self::Stream(stream) => stream.poll(context).map(|bytes| bytes.map(|bytes| Ok(Frame::data(bytes)))),
            Self::Captured(captured) => captured.poll(context),
            Self::Recorded(recorded) => recorded.poll(context).map(|bytes| bytes.map(|bytes| Ok(Frame::data(bytes)))),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Parts(parts, _) => parts.as_slice().is_empty(),
            Self::Stream(stream) => stream.is_over(),
            Self::Captured(captured) => captured.is_over(),
            Self::Recorded(recorded) => recorded.is_over(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Parts(_, left) => SizeHint::with_exact(*left),
            Self::Stream(_) => SizeHint::default(),
            Self::Captured(captured) => captured.size_hint(),
            Self::Recorded(recorded) => recorded.size_hint(),
        }
    }
}
