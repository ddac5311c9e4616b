//! The head of a response: its end, its parts, and how to look fields up.
//!
//! It exists because a gateway asks for three or four fields and drops the rest: the bytes are kept as they came, with
//! offsets, and no map is built. What the fields mean for the body is decided in `body`.

use std::mem::MaybeUninit;
use std::ops::Range;

use bytes::Bytes;
use memchr::memchr_iter;

use super::H1Error;

const MAX_HEAD: usize = 64 * 1024;
/// Proxies on the way to a provider add some each: their offsets alone are kept.
const MAX_FIELDS: usize = 256;
const VERSION_PREFIX: &[u8] = b"HTTP/1.";

/// The status and the fields of a response.
#[derive(Debug, Clone)]
pub struct ResponseHead {
    /// The status code, 200 to 999.
    pub status: u16,
    is_http10: bool,
    raw: Bytes,
    fields: Box<[Field]>,
}

/// Where a field lies in the raw head.
#[derive(Debug, Clone)]
struct Field {
    name: Range<u32>,
    value: Range<u32>,
}

impl ResponseHead {
    /// Returns the first value of a field (its name compared without case), `None` when it is not text.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.raw_values(name).next().and_then(text)
    }

    /// Returns every value of a field that is text, in order.
    pub fn get_all<'a>(&'a self, name: &str) -> impl Iterator<Item = &'a str> {
        self.raw_values(name).filter_map(text)
    }

    /// Returns all names, as they were written, with their raw values.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.fields.iter().map(|field| (self.name(field), self.slice(&field.value)))
    }

    /// Returns all fields as they came: name and value.
    pub fn fields(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.fields.iter().map(|field| (self.slice(&field.name), self.slice(&field.value)))
    }

    pub(super) fn raw_values<'a>(&'a self, name: &str) -> impl Iterator<Item = &'a [u8]> {
        let wanted = move |field: &&Field| self.slice(&field.name).eq_ignore_ascii_case(name.as_bytes());
        self.fields.iter().filter(wanted).map(|field| self.slice(&field.value))
    }

    pub(super) fn contains(&self, name: &str) -> bool {
        self.raw_values(name).next().is_some()
    }

    pub(super) fn is_http10(&self) -> bool {
        self.is_http10
    }

    fn name(&self, field: &Field) -> &str {
        text(self.slice(&field.name)).unwrap_or_default()
    }

    fn slice(&self, range: &Range<u32>) -> &[u8] {
        self.raw.get(range.start as usize..range.end as usize).unwrap_or_default()
    }
}

/// Returns where the head ends, `None` when its end has not come yet.
///
/// `scanned` remembers how far the last call looked, so that a head that comes byte by byte is looked at once. What
/// can no longer become a head is refused at once rather than at the caller's deadline.
pub(super) fn find_end(bytes: &[u8], scanned: &mut usize) -> Result<Option<usize>, H1Error> {
    let known = bytes.len().min(VERSION_PREFIX.len());
    if bytes.get(..known) != VERSION_PREFIX.get(..known) {
        return Err(H1Error::Malformed("not an http/1 response"));
    }
    let fresh = bytes.get(*scanned..).unwrap_or_default();
    for found in memchr_iter(b'\n', fresh) {
        let at = scanned.saturating_add(found);
        let before = bytes.get(..at).unwrap_or_default();
        if !before.ends_with(b"\r") {
            return Err(H1Error::Malformed("bare line feed in head"));
        }
        if at >= MAX_HEAD {
            return Err(H1Error::TooLarge);
        }
        if before.ends_with(b"\r\n\r") {
            return Ok(Some(at.saturating_add(1)));
        }
    }
    *scanned = bytes.len();
    if bytes.len() >= MAX_HEAD { Err(H1Error::TooLarge) } else { Ok(None) }
}

/// Parses a complete head.
pub(super) fn parse(raw: Bytes) -> Result<ResponseHead, H1Error> {
    let mut fields = [const { MaybeUninit::uninit() }; MAX_FIELDS];
    let mut response = httparse::Response::new(&mut []);
    // The default configuration refuses folded lines, and spaces between a name and its colon.
    let parsed = httparse::ParserConfig::default().parse_response_with_uninit_headers(&mut response, &raw, &mut fields);
    match parsed {
        Ok(httparse::Status::Complete(length)) if length == raw.len() => {}
        Ok(_) => return Err(H1Error::Malformed("incomplete head")),
        Err(httparse::Error::TooManyHeaders) => return Err(H1Error::Malformed("more than 256 header fields")),
        Err(httparse::Error::Version) => return Err(H1Error::Malformed("invalid version")),
        Err(httparse::Error::Status) => return Err(H1Error::Malformed("invalid status line")),
        Err(httparse::Error::HeaderName) => return Err(H1Error::Malformed("invalid field name")),
        Err(httparse::Error::HeaderValue) => return Err(H1Error::Malformed("invalid field value")),
        Err(_) => return Err(H1Error::Malformed("invalid head")),
    }
    let (Some(status @ 100..), Some(version)) = (response.code, response.version) else {
        return Err(H1Error::Malformed("invalid status line"));
    };
    let fields = response
        .headers
        .iter()
        .map(|field| Field { name: range_in(&raw, field.name.as_bytes()), value: range_in(&raw, field.value) });
    let fields = fields.collect();
    Ok(ResponseHead { status, is_http10: version == 0, fields, raw })
}

/// Whether the bytes begin a final response that refuses the request.
pub(super) fn is_refusal(bytes: &[u8]) -> bool {
    bytes.starts_with(VERSION_PREFIX) && matches!(bytes.get(8..12), Some([b' ', b'4' | b'5', _, _]))
}

/// Returns where `part`, a slice of `whole`, lies in it.
fn range_in(whole: &[u8], part: &[u8]) -> Range<u32> {
    let start = (part.as_ptr() as usize).saturating_sub(whole.as_ptr() as usize);
    // A head has at most 64 KiB, so both fit; an empty value may point anywhere and selects nothing.
    let start = u32::try_from(start).unwrap_or_default();
    start..start.saturating_add(u32::try_from(part.len()).unwrap_or_default())
}

fn text(value: &[u8]) -> Option<&str> {
    std::str::from_utf8(value).ok()
}
