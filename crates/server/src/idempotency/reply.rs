//! A kept reply as bytes: a version, the status, the headers with their lengths, the body.

use bytes::Bytes;
use engine::idempotency::Kept;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use store::StoreError;

/// The version of the form.
const VERSION: u8 = 1;

/// Returns a reply as bytes.
pub(super) fn encode(reply: &Kept) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(reply.body.len() + 512);
    bytes.push(VERSION);
    bytes.extend_from_slice(&reply.status.as_u16().to_be_bytes());
    let count = u16::try_from(reply.headers.len()).unwrap_or(u16::MAX);
    bytes.extend_from_slice(&count.to_be_bytes());
    for (name, value) in reply.headers.iter().take(usize::from(count)) {
        for part in [name.as_str().as_bytes(), value.as_bytes()] {
            bytes.extend_from_slice(&u32::try_from(part.len()).unwrap_or(u32::MAX).to_be_bytes());
            bytes.extend_from_slice(part);
        }
    }
    bytes.extend_from_slice(&reply.body);
    bytes
}

/// Reads what [`encode`] wrote.
///
/// # Errors
/// When it is something else.
pub(super) fn decode(bytes: &[u8]) -> Result<Kept, StoreError> {
    read(bytes).ok_or(StoreError::Corrupt { file: "idempotency.db" })
}

fn read(bytes: &[u8]) -> Option<Kept> {
    let mut rest = bytes.strip_prefix(&[VERSION])?;
    let status = StatusCode::from_u16(u16::from_be_bytes(take(&mut rest)?)).ok()?;
    let count = u16::from_be_bytes(take(&mut rest)?);
    let mut headers = HeaderMap::with_capacity(usize::from(count).min(64));
    for _ in 0..count {
        let name = HeaderName::from_bytes(part(&mut rest)?).ok()?;
        headers.append(name, HeaderValue::from_bytes(part(&mut rest)?).ok()?);
    }
    Some(Kept { status, headers, body: Bytes::copy_from_slice(rest) })
}

fn take<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (taken, left) = rest.split_first_chunk()?;
    *rest = left;
    Some(*taken)
}

fn part<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let length = usize::try_from(u32::from_be_bytes(take(rest)?)).ok()?;
    let (taken, left) = rest.split_at_checked(length)?;
    *rest = left;
    Some(taken)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_reply_is_read_as_it_was_written(
            status in 200_u16..600,
            headers in proptest::collection::vec(("[a-z][a-z-]{0,20}", "[ -~]{0,40}"), 0..8),
            body in proptest::collection::vec(any::<u8>(), 0..2_000),
            cut in any::<prop::sample::Index>(),
        ) {
            let mut map = HeaderMap::new();
            for (name, value) in headers {
                map.append(HeaderName::from_bytes(name.as_bytes()).unwrap(), HeaderValue::from_str(value.trim()).unwrap());
            }
            let reply = Kept { status: StatusCode::from_u16(status).unwrap(), headers: map, body: body.into() };
            let bytes = encode(&reply);
            prop_assert_eq!(decode(&bytes).unwrap(), reply.clone());
            // Whatever is cut off before the body is missed.
            let head = bytes.len() - reply.body.len();
            prop_assert!(decode(bytes.get(..cut.index(head)).unwrap()).is_err());
        }
    }
}
