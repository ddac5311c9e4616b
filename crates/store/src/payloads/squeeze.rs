//! Compression of bodies: the first byte says how, so that another way can be added.

use std::io::Read as _;

use zstd::bulk::compress;
use zstd::stream::read::Decoder;

const PLAIN: u8 = 0;
const ZSTD: u8 = 1;

/// Below this many bytes it is not worth it.
const LEAST: usize = 64;

/// The fastest: the next ones save a twentieth of the space for a quarter more time.
const LEVEL: i32 = 1;

/// The most that is unpacked: more than is ever kept.
const MOST: u64 = 64 << 20;

/// Packs a body.
pub(super) fn squeeze(data: &[u8]) -> Vec<u8> {
    let packed = if data.len() < LEAST { None } else { compress(data, LEVEL).ok() };
    let (how, bytes) = match &packed {
        Some(packed) if packed.len() < data.len() => (ZSTD, packed.as_slice()),
        _ => (PLAIN, data),
    };
    let mut stored = Vec::with_capacity(bytes.len() + 1);
    stored.push(how);
    stored.extend_from_slice(bytes);
    stored
}

/// Unpacks a body; `None` when it is damaged or packed in an unknown way.
pub(super) fn unsqueeze(stored: &[u8]) -> Option<Vec<u8>> {
    match stored.split_first()? {
        (&PLAIN, data) => Some(data.to_vec()),
        (&ZSTD, packed) => {
            let mut data = Vec::new();
            Decoder::new(packed).ok()?.take(MOST).read_to_end(&mut data).ok()?;
            Some(data)
        }
        _ => None,
    }
}
