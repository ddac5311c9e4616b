//! The head of a request: its end, its parts, and where its body ends (RFC 9112, sections 2, 5 and 6).
//!
//! Every framing decision about requests is made here: this is where two parsers that disagree would make two requests
//! out of one. It does no IO.

use std::mem::MaybeUninit;

use bytes::Bytes;
use http::header::{CONNECTION, CONTENT_LENGTH, EXPECT, TRANSFER_ENCODING};
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Uri, Version};
use memchr::memchr_iter;

/// The largest head, in bytes.
pub const MAX_HEAD: usize = 64 << 10;

/// The most fields of a head.
const MAX_FIELDS: usize = 100;

/// How many empty lines may stand before a request line (RFC 9112, section 2.2).
const MAX_EMPTY_LINES: usize = 4;

/// Why a head is no request. The connection ends after the answer: what follows cannot be framed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HeadError {
    /// It breaks a rule; the text says which.
    #[error("{0}")]
    Malformed(&'static str),
    /// It has more bytes or fields than are read.
    #[error("the request's head is larger than {} bytes or has more than {} fields", MAX_HEAD, MAX_FIELDS)]
    TooLarge,
}

/// Where the body of a request ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Length {
    /// After so many bytes; without a length there is no body.
    Known(u64),
    /// It comes in chunks.
    Chunked,
}

/// A request's head, understood.
#[derive(Debug)]
pub struct RequestHead {
    /// Its parts; boxed, because they walk far.
    pub parts: Box<Parts>,
    /// Where its body ends.
    pub length: Length,
    /// Whether the peer wants to go on with the connection, and nothing in the head forbids it.
    pub keep_alive: bool,
    /// Whether the peer waits for an interim response before it sends the body.
    pub expects_continue: bool,
}

/// Returns where the head ends, `None` when its end has not come yet.
///
/// `scanned` remembers how far the last call looked, so that a head that comes byte by byte is looked at once.
///
/// # Errors
/// When it cannot become a head any more.
pub fn find_end(bytes: &[u8], scanned: &mut usize) -> Result<Option<usize>, HeadError> {
    let fresh = bytes.get(*scanned..).unwrap_or_default();
    for found in memchr_iter(b'\n', fresh) {
        let at = scanned.saturating_add(found);
        let before = bytes.get(..at).unwrap_or_default();
        if !before.ends_with(b"\r") {
            return Err(HeadError::Malformed("a line of the head ends without a carriage return"));
        }
        if at >= MAX_HEAD {
            return Err(HeadError::TooLarge);
        }
        if before.ends_with(b"\r\n\r") {
            return Ok(Some(at.saturating_add(1)));
        }
    }
    *scanned = bytes.len();
    if bytes.len() >= MAX_HEAD { Err(HeadError::TooLarge) } else { Ok(None) }
}

/// Returns how many bytes of empty lines stand before the request line.
///
/// # Errors
/// When there are more than a careless client sends.
pub fn empty_lines(bytes: &[u8]) -> Result<usize, HeadError> {
    let lines = bytes.chunks_exact(2).take_while(|pair| *pair == b"\r\n").count();
    if lines > MAX_EMPTY_LINES { Err(HeadError::Malformed("empty lines before the request")) } else { Ok(lines * 2) }
}

/// Parses a complete head, its empty line included.
///
/// # Errors
/// When it is no HTTP/1 request, or one that two parsers could frame differently.
pub fn parse(raw: &Bytes) -> Result<RequestHead, HeadError> {
    let mut fields = [const { MaybeUninit::uninit() }; MAX_FIELDS];
    let mut request = httparse::Request::new(&mut []);
    // The default configuration refuses folded lines, and spaces between a name and its colon.
    let parsed = httparse::ParserConfig::default().parse_request_with_uninit_headers(&mut request, raw, &mut fields);
    match parsed {
        Ok(httparse::Status::Complete(length)) if length == raw.len() => {}
        Ok(_) => return Err(HeadError::Malformed("the head ends within a line")),
        Err(error) => return Err(malformed(error)),
    }
    let (Some(method), Some(target), Some(version)) = (request.method, request.path, request.version) else {
        return Err(HeadError::Malformed("the request line is invalid"));
    };
    let mut parts = Box::new(Request::new(()).into_parts().0);
    parts.method = Method::from_bytes(method.as_bytes()).map_err(|_| HeadError::Malformed("the method is invalid"))?;
    parts.uri = Uri::from_maybe_shared(raw.slice_ref(target.as_bytes()))
        .map_err(|_| HeadError::Malformed("the request target is invalid"))?;
    parts.version = if version == 0 { Version::HTTP_10 } else { Version::HTTP_11 };
    let mut headers = HeaderMap::with_capacity(request.headers.len());
    for field in request.headers.iter() {
        let name = HeaderName::from_bytes(field.name.as_bytes())
            .map_err(|_| HeadError::Malformed("the name of a header is invalid"))?;
        let value = HeaderValue::from_maybe_shared(raw.slice_ref(field.value))
            .map_err(|_| HeadError::Malformed("the value of a header is invalid"))?;
        headers.append(name, value);
    }
    parts.headers = headers;
    frame(parts)
}

fn malformed(error: httparse::Error) -> HeadError {
    match error {
        httparse::Error::TooManyHeaders => HeadError::TooLarge,
        httparse::Error::Version => HeadError::Malformed("the version of the protocol is not HTTP/1.1 or HTTP/1.0"),
        httparse::Error::HeaderName => HeadError::Malformed("the name of a header is invalid"),
        httparse::Error::HeaderValue => HeadError::Malformed("the value of a header is invalid"),
        _ => HeadError::Malformed("the request line is invalid"),
    }
}

/// Decides where the body ends and whether the connection may go on after it.
fn frame(parts: Box<Parts>) -> Result<RequestHead, HeadError> {
    let headers = &parts.headers;
    let is_http10 = parts.version == Version::HTTP_10;
    let (mut codings, mut length) = (0_usize, None);
    let (mut close, mut stay, mut expects_continue) = (false, false, false);
    for (name, value) in headers {
        if *name == CONTENT_LENGTH {
            if length.is_some() {
                return Err(HeadError::Malformed("a request has one Content-Length"));
            }
            length = Some(content_length(value.as_bytes())?);
        } else if *name == TRANSFER_ENCODING {
            codings += 1;
            if codings > 1 || is_http10 || !value.as_bytes().eq_ignore_ascii_case(b"chunked") {
                let rule = "the only Transfer-Encoding of a request is one `chunked`, in HTTP/1.1";
                return Err(HeadError::Malformed(rule));
            }
        } else if *name == CONNECTION {
            for option in value.as_bytes().split(|byte| *byte == b',').map(<[u8]>::trim_ascii) {
                close |= option.eq_ignore_ascii_case(b"close");
                stay |= option.eq_ignore_ascii_case(b"keep-alive");
            }
        } else if *name == EXPECT {
            expects_continue = !is_http10 && value.as_bytes().eq_ignore_ascii_case(b"100-continue");
        }
    }
    let length = match (codings, length) {
        (0, length) => Length::Known(length.unwrap_or(0)),
        (_, None) => Length::Chunked,
        // RFC 9112, section 6.3, leaves the choice: whoever sends both may mean to be read in two ways.
        (_, Some(_)) => return Err(HeadError::Malformed("a Content-Length stands beside a Transfer-Encoding")),
    };
    let ends = close || (is_http10 && !stay);
    Ok(RequestHead { parts, length, keep_alive: !ends, expects_continue })
}

/// Reads a length. Lists are refused even where they say one number, and so are leading zeros: not everybody reads them
/// as the same number.
fn content_length(digits: &[u8]) -> Result<u64, HeadError> {
    // `u64::from_str` accepts a plus sign.
    let plain = digits.iter().all(u8::is_ascii_digit) && (digits == b"0" || !digits.starts_with(b"0"));
    if digits.is_empty() || !plain {
        return Err(HeadError::Malformed("the Content-Length is no plain number"));
    }
    let parsed = std::str::from_utf8(digits).ok().and_then(|digits| digits.parse::<u64>().ok());
    parsed.ok_or(HeadError::Malformed("the Content-Length is too large"))
}

/// Returns the path that a head names, as far as it can be made out: it decides about the shape of an error.
pub fn path_of(bytes: &[u8]) -> &str {
    let line = bytes.split(|byte| *byte == b'\r' || *byte == b'\n').find(|line| !line.is_empty()).unwrap_or_default();
    let target = line.split(|byte| *byte == b' ').nth(1).unwrap_or_default();
    let path = target.split(|byte| *byte == b'?').next().unwrap_or_default();
    std::str::from_utf8(path).unwrap_or_default()
}
