//! Where a response body ends (RFC 9112, section 6.3) and what of the buffer belongs to it.
//!
//! It exists to keep every framing decision in one place: this is where two parsers that disagree would make two
//! responses out of one. It does no IO; the connection asks it about bytes that it has already read.

use super::H1Error;
use super::buffer::ReadBuffer;
use super::chunked::Chunked;
use super::head::ResponseHead;
use bytes::Bytes;

/// The state of the body of the current response.
#[derive(Debug)]
pub(super) enum Body {
    /// The head has not come yet.
    Awaited,
    /// This many bytes are still to come, at least one.
    Length(u64),
    /// Chunks are still to come.
    Chunked(Chunked),
    /// Everything up to the end of the connection belongs to it.
    UntilEof,
    /// It is complete, or there is none.
    Ended,
    /// It can no longer be read.
    Failed,
}

/// What a head says about its body and about the connection.
#[derive(Debug)]
pub(super) struct Framing {
    pub(super) body: Body,
    pub(super) keep_alive: bool,
}

/// Decides where the body of `head` ends and whether the connection may be kept after it.
pub(super) fn framing(head: &ResponseHead, is_head_request: bool) -> Result<Framing, H1Error> {
    let chunked = is_chunked(head)?;
    // Transfer-encoding wins (RFC 9112, 6.3), and whoever sent both is not spoken to again on this connection.
    let length = if chunked { None } else { content_length(head)? };
    let has_both = chunked && head.contains("content-length");
    let keep_alive = keeps_alive(head) && !has_both;
    if is_head_request || matches!(head.status, 204 | 304) {
        return Ok(Framing { body: Body::Ended, keep_alive });
    }
    Ok(match (chunked, length) {
        (true, _) => Framing { body: Body::Chunked(Chunked::default()), keep_alive },
        (false, Some(0)) => Framing { body: Body::Ended, keep_alive },
        (false, Some(length)) => Framing { body: Body::Length(length), keep_alive },
        (false, None) => Framing { body: Body::UntilEof, keep_alive: false },
    })
}

impl Body {
    /// Takes from the buffer what belongs to the body; empty when it held only framing.
    pub(super) fn decode(&mut self, buffer: &mut ReadBuffer) -> Result<Bytes, H1Error> {
        match self {
            Self::Length(left) => {
                let taken = usize::try_from(*left).map_or(buffer.len(), |left| left.min(buffer.len()));
                *left = left.saturating_sub(taken as u64);
                if *left == 0 {
                    *self = Self::Ended;
                }
                Ok(buffer.take(0..taken, taken))
            }
            Self::Chunked(chunked) => {
                let decoded = chunked.decode(buffer.as_mut_slice())?;
                if chunked.ended() {
                    *self = Self::Ended;
                }
                Ok(buffer.take(decoded.data, decoded.consumed))
            }
            Self::UntilEof => Ok(buffer.take(0..buffer.len(), buffer.len())),
            Self::Awaited | Self::Ended | Self::Failed => Ok(Bytes::new()),
        }
    }
}

fn is_chunked(head: &ResponseHead) -> Result<bool, H1Error> {
    let mut codings = head.raw_values("transfer-encoding");
    let Some(coding) = codings.next() else { return Ok(false) };
    if codings.next().is_some() || !coding.eq_ignore_ascii_case(b"chunked") {
        return Err(H1Error::Malformed("unsupported transfer-encoding"));
    }
    // RFC 9112, 6.1: transfer-encoding in an HTTP/1.0 message means that its framing is faulty.
    if head.is_http10() {
        return Err(H1Error::Malformed("transfer-encoding in an http/1.0 response"));
    }
    Ok(true)
}

/// Reads the content-length; repeated values are accepted when they are all the same (RFC 9112, 6.3).
fn content_length(head: &ResponseHead) -> Result<Option<u64>, H1Error> {
    let mut length = None;
    for value in head.raw_values("content-length").flat_map(|value| value.split(|&byte| byte == b',')) {
        let digits = value.trim_ascii();
        // `u64::from_str` accepts a plus sign.
        if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
            return Err(H1Error::Malformed("invalid content-length"));
        }
        let parsed = std::str::from_utf8(digits).ok().and_then(|digits| digits.parse::<u64>().ok());
        match (parsed, length) {
            (None, _) => return Err(H1Error::Malformed("content-length overflows")),
            (Some(new), Some(old)) if new != old => return Err(H1Error::Malformed("content-lengths differ")),
            (Some(new), _) => length = Some(new),
        }
    }
    Ok(length)
}

fn keeps_alive(head: &ResponseHead) -> bool {
    let has = |option: &[u8]| {
        head.raw_values("connection")
            .flat_map(|value| value.split(|&byte| byte == b','))
            .any(|token| token.trim_ascii().eq_ignore_ascii_case(option))
    };
    !has(b"close") && (!head.is_http10() || has(b"keep-alive"))
}
