//! Compression of bodies: the first byte says how, so that another way can be added.

use std::io::{Read as _, Write as _};

use flate2::Compression;
use flate2::read::DeflateDecoder;
use flate2::write::DeflateEncoder;

const PLAIN: u8 = 0;
const DEFLATE: u8 = 1;

/// Below this many bytes it is not worth it.
const LEAST: usize = 64;

/// Level 3 takes a third of the time of level 6 and a tenth more space on chat bodies.
const LEVEL: u32 = 3;

/// The most that is unpacked: more than is ever kept.
const MOST: u64 = 64 << 20;

/// Packs a body.
pub(super) fn squeeze(data: &[u8]) -> Vec<u8> {
    if data.len() >= LEAST {
        let mut encoder = DeflateEncoder::new(vec![DEFLATE], Compression::new(LEVEL));
        // Writing to memory does not fail; if it did, the body would be kept as it is.
        if encoder.write_all(data).is_ok()
            && let Ok(packed) = encoder.finish()
            && packed.len() < data.len()
        {
            return packed;
        }
    }
    let mut plain = Vec::with_capacity(data.len() + 1);
    plain.push(PLAIN);
    plain.extend_from_slice(data);
    plain
}

/// Unpacks a body; `None` when it is damaged or packed in an unknown way.
pub(super) fn unsqueeze(packed: &[u8]) -> Option<Vec<u8>> {
    match packed.split_first()? {
        (&PLAIN, data) => Some(data.to_vec()),
        (&DEFLATE, data) => {
            let mut unpacked = Vec::new();
            DeflateDecoder::new(data).take(MOST).read_to_end(&mut unpacked).ok()?;
            Some(unpacked)
        }
        _ => None,
    }
}
