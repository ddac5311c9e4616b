//! Entries: how an intent or a settlement is written into a segment, and read back.
//!
//! ```text
//! u32 length of the payload | u32 crc32 of kind and payload | u8 kind | payload (postcard)      little endian
//! ```
//! Every entry is written together with a zero length behind it, which the next entry replaces. A reader therefore stops
//! at the end even when a failed write left bytes beyond it. An entry has a largest size, so that room can be reserved
//! before it is known: what people could make long is cut to fit.

mod room;

use std::sync::Arc;

use ir::settlement::{AttemptRecord, Intent, Settlement, Subject};
use serde::Serialize;
use serde::de::DeserializeOwned;

use self::room::Room;
use super::segment::FORMAT_VERSION;

/// The room that one intent takes at most, in bytes.
pub const MAX_INTENT_BYTES: usize = 2_560;

/// The room that one settlement takes at most, in bytes.
pub const MAX_SETTLEMENT_BYTES: usize = 6_144;

/// The zero length behind the last entry, in bytes.
pub const END_BYTES: usize = 4;

/// A buffer that holds any entry and its end.
pub const BUFFER_BYTES: usize = MAX_SETTLEMENT_BYTES + END_BYTES;

const HEAD_BYTES: usize = 9;
const CHECKED_FROM: usize = 8;

const INTENT: u8 = 1;
const SETTLEMENT: u8 = 2;

/// The members that version 3 has behind those of version 2, when nothing is in them.
const NEWER_MEMBERS: [u8; 4] = [0; 4];

/// A user, an address, its network and a bucket, and some that may be thought of.
const MAX_PARTIES: usize = 8;

/// Writes an intent and the end behind it into the buffer. Returns the length of the entry, without the end; `None`
/// when it cannot be made to fit, which no intent of the product does.
pub fn encode_intent(intent: &Intent, buffer: &mut [u8]) -> Option<usize> {
    encode(intent, INTENT, MAX_INTENT_BYTES, buffer).or_else(|| {
        let mut intent = intent.clone();
        cut_intent(&mut intent);
        encode(&intent, INTENT, MAX_INTENT_BYTES, buffer)
    })
}

/// Writes a settlement like [`encode_intent`]. What has to be cut is cut in the settlement itself, so that everybody
/// sees the same.
pub fn encode_settlement(settlement: &mut Settlement, buffer: &mut [u8]) -> Option<usize> {
    encode(settlement, SETTLEMENT, MAX_SETTLEMENT_BYTES, buffer).or_else(|| {
        cut_settlement(settlement);
        encode(settlement, SETTLEMENT, MAX_SETTLEMENT_BYTES, buffer)
    })
}

fn encode<T: Serialize>(value: &T, kind: u8, room: usize, buffer: &mut [u8]) -> Option<usize> {
    let payload = postcard::serialize_with_flavor(value, Room::new(buffer.get_mut(HEAD_BYTES..room)?)).ok()?;
    let length = HEAD_BYTES + payload;
    buffer.get_mut(length..length + END_BYTES)?.fill(0);
    *buffer.get_mut(CHECKED_FROM)? = kind;
    let crc = crc32fast::hash(buffer.get(CHECKED_FROM..length)?);
    buffer.get_mut(..4)?.copy_from_slice(&u32::try_from(payload).ok()?.to_le_bytes());
    buffer.get_mut(4..8)?.copy_from_slice(&crc.to_le_bytes());
    Some(length)
}

fn cut_intent(intent: &mut Intent) {
    cut_subject(&mut intent.subject);
    cut_name(&mut intent.model, 256);
    cut_name(&mut intent.provider, 256);
    intent.parties.truncate(MAX_PARTIES);
}

fn cut_settlement(settlement: &mut Settlement) {
    cut_subject(&mut settlement.subject);
    for name in [&mut settlement.model, &mut settlement.provider, &mut settlement.baseline].into_iter().flatten() {
        cut_name(name, 256);
    }
    if let Some(code) = &mut settlement.error_code {
        cut_name(code, 64);
    }
    cut_text(&mut settlement.error_detail, 512);
    cut_text(&mut settlement.upstream_id, 256);
    cut_text(&mut settlement.finish_reason, 128);
    settlement.parties.truncate(MAX_PARTIES);
    settlement.attempts.truncate(4);
    settlement.attempts.iter_mut().for_each(cut_attempt);
}

fn cut_attempt(attempt: &mut AttemptRecord) {
    for name in [&mut attempt.provider, &mut attempt.model, &mut attempt.reason] {
        cut_name(name, 128);
    }
    cut_text(&mut attempt.error, 128);
}

/// The environment and the key are what settlements are grouped by. Their names have at most 128 characters, hence 512
/// bytes, and are not cut in truth.
fn cut_subject(subject: &mut Subject) {
    cut_name(&mut subject.environment, 512);
    cut_name(&mut subject.key_name, 512);
    cut_name(&mut subject.surface, 128);
    cut_name(&mut subject.requested_model, 256);
}

fn cut_name(name: &mut Arc<str>, bytes: usize) {
    if name.len() > bytes {
        *name = Arc::from(head(name, bytes));
    }
}

fn cut_text(text: &mut Option<String>, bytes: usize) {
    if let Some(text) = text {
        text.truncate(head(text, bytes).len());
    }
}

/// Returns as many whole characters as fit.
fn head(text: &str, bytes: usize) -> &str {
    text.get(..text.floor_char_boundary(bytes)).unwrap_or(text)
}

/// What an entry says.
#[derive(Debug)]
pub enum Entry {
    /// A request is about to be dispatched.
    Intent(Box<Intent>),
    /// A request is over.
    Settlement(Box<Settlement>),
}

/// Reads entries one after the other until the end, or until one is torn or corrupt: then nothing behind it counts.
#[derive(Debug)]
pub struct Entries<'a> {
    rest: &'a [u8],
    offset: u64,
    corrupt: bool,
    /// The version that they were written in.
    pub(super) version: u16,
}

impl<'a> Entries<'a> {
    /// Reads bytes that begin at an offset of their segment.
    pub fn new(bytes: &'a [u8], offset: u64) -> Self {
        Self { rest: bytes, offset, corrupt: false, version: FORMAT_VERSION }
    }

    /// Returns whether reading stopped at something that is no entry.
    pub fn is_corrupt(&self) -> bool {
        self.corrupt
    }

    fn read(&mut self) -> Option<Entry> {
        let (length, rest) = self.rest.split_first_chunk::<4>()?;
        let payload = usize::try_from(u32::from_le_bytes(*length)).ok()?;
        let (crc, rest) = rest.split_first_chunk::<4>()?;
        let (checked, rest) = rest.split_at_checked(payload.checked_add(1)?)?;
        if crc32fast::hash(checked) != u32::from_le_bytes(*crc) {
            return None;
        }
        let (kind, payload) = checked.split_first()?;
        let entry = match *kind {
            INTENT => Entry::Intent(self.decoded(payload)?),
            SETTLEMENT => Entry::Settlement(self.decoded(payload)?),
            _ => return None,
        };
        self.offset += (HEAD_BYTES + payload.len()) as u64;
        self.rest = rest;
        Some(entry)
    }
}

impl Entries<'_> {
    /// Entries of version 2 end where the newer members of both begin: none of them was there, which zeros say.
    fn decoded<T: DeserializeOwned>(&self, payload: &[u8]) -> Option<T> {
        if self.version < FORMAT_VERSION {
            let with_none = [payload, &NEWER_MEMBERS].concat();
            return postcard::from_bytes(&with_none).ok();
        }
        postcard::from_bytes(payload).ok()
    }
}

impl Iterator for Entries<'_> {
    /// The entry, and the offset of its end in the segment.
    type Item = (Entry, u64);

    fn next(&mut self) -> Option<Self::Item> {
        let at_end = self.rest.iter().take(END_BYTES).all(|byte| *byte == 0);
        if self.corrupt || at_end {
            return None;
        }
        let entry = self.read();
        self.corrupt = entry.is_none();
        Some((entry?, self.offset))
    }
}
