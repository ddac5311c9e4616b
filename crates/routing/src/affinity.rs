//! Where the beginning of a prompt is cached: a conversation that goes on where it was is cheaper and faster there.
//!
//! A prompt is known by digests of its beginnings, one every `BLOCK` bytes. A target that has answered is noted under the
//! longest of them; the next turn of the conversation has that one among its own. Only the bytes count, as with providers'
//! own caches (<https://platform.openai.com/docs/guides/prompt-caching>,
//! <https://docs.claude.com/en/docs/build-with-claude/prompt-caching>).

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use policy::clock::Monotonic;
use policy::snapshot::ModelIndex;

/// The shortest beginning that is worth staying for, in bytes: providers cache from 1,024 tokens on.
pub const LEAST_BYTES: usize = 4_096;

/// The longest that is looked at, in bytes: two turns of a longer conversation have that much in common too.
const MOST_BYTES: usize = 32 << 10;

/// How far apart two digests of a prompt are, in bytes.
const BLOCK: usize = 256;

/// For how long a beginning is taken to be cached, in seconds: five minutes since it was last used, as both providers say.
const KEPT_S: u64 = 300;

/// How many beginnings are remembered; the oldest of [`WAYS`] gives way to a new one.
const SLOTS: usize = 16_384;
const WAYS: usize = 4;

/// The bits of a slot: the model, the second, and the length in blocks.
const MODEL_BITS: u32 = 20;
const BLOCK_BITS: u32 = 12;

/// The beginnings of one prompt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prefix {
    /// The length of what stands before the messages, in bytes.
    head: usize,
    /// A digest for each block, from the first on.
    marks: Vec<u64>,
}

/// Where a beginning is cached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Warm {
    /// The target.
    pub model: ModelIndex,
    /// How many tokens of the prompt are cached there, roughly.
    pub tokens: u64,
}

impl Prefix {
    /// Digests the beginnings of a prompt: `head` is what providers put before the messages (the system prompt, where it
    /// is not one of them), `messages` the array of messages as it was sent. `None` when it is too short to be cached.
    pub fn of(head: &[u8], messages: &[u8]) -> Option<Self> {
        // The bracket at the end is not what the next turn has there.
        let open = messages.get(..messages.len().saturating_sub(1)).unwrap_or_default();
        let open = open.get(..open.len().min(MOST_BYTES)).unwrap_or_default();
        if head.len() + open.len() < LEAST_BYTES {
            return None;
        }
        let mut digest = block(0x51_7c_c1_b7_27_22_0a_95, head.get(..head.len().min(MOST_BYTES)).unwrap_or_default());
        let mut marks = Vec::with_capacity(open.len() / BLOCK);
        for bytes in open.chunks_exact(BLOCK) {
            digest = block(digest, bytes);
            marks.push(digest);
        }
        Some(Self { head: head.len(), marks })
    }
}

/// What is remembered of where beginnings are cached: of a bounded size, made with the first, and read and written without
/// waiting for anybody.
#[derive(Debug, Default)]
pub struct Warmth {
    slots: OnceLock<Box<[Slot]>>,
}

/// One beginning. The key is the digest mixed with the value: two writers at once leave a slot that nobody's digest fits.
#[derive(Debug, Default)]
struct Slot {
    key: AtomicU64,
    value: AtomicU64,
}

impl Warmth {
    /// Notes that a target has answered a prompt.
    pub fn note(&self, prefix: &Prefix, model: ModelIndex, now: Monotonic) {
        let Some(digest) = prefix.marks.last().copied() else { return };
        let Some(value) = pack(model, second(now), prefix.marks.len()) else { return };
        let slots = self.slots.get_or_init(|| (0..SLOTS).map(|_| Slot::default()).collect());
        let ways = ways(slots, digest);
        let own = ways.iter().find(|slot| slot.read().is_some_and(|(known, _)| known == digest));
        let oldest = || ways.iter().min_by_key(|slot| slot.read().map_or(0, |(_, value)| unpack(value).1));
        if let Some(slot) = own.or_else(oldest) {
            slot.value.store(value, Ordering::Relaxed);
            slot.key.store(digest ^ value, Ordering::Relaxed);
        }
    }

    /// Returns what is remembered of the targets that `to` knows, under the names it gives them.
    #[must_use]
    pub fn moved(&self, to: impl Fn(ModelIndex) -> Option<ModelIndex>) -> Self {
        let Some(slots) = self.slots.get() else { return Self::default() };
        let moved = |slot: &Slot| {
            let (digest, value) = slot.read()?;
            let (model, second, blocks) = unpack(value);
            let value = pack(to(model)?, second, blocks)?;
            Some(Slot { key: AtomicU64::new(digest ^ value), value: AtomicU64::new(value) })
        };
        Self { slots: OnceLock::from(slots.iter().map(|slot| moved(slot).unwrap_or_default()).collect::<Box<[_]>>()) }
    }

    /// Returns where the longest beginning of a prompt is cached, if any is.
    pub fn find(&self, prefix: &Prefix, now: Monotonic) -> Option<Warm> {
        let slots = self.slots.get()?;
        let now = second(now);
        let fresh = |digest: &u64| {
            let found = ways(slots, *digest).iter().filter_map(Slot::read).find(|(known, _)| known == digest)?;
            let (model, noted, blocks) = unpack(found.1);
            let length = prefix.head + blocks * BLOCK;
            let is_fresh = now.saturating_sub(noted) < KEPT_S && length >= LEAST_BYTES;
            is_fresh.then(|| Warm { model, tokens: ir::usage::estimate_tokens(length as u64) })
        };
        prefix.marks.iter().rev().find_map(fresh)
    }
}

impl Slot {
    /// Returns digest and value, if there are any.
    fn read(&self) -> Option<(u64, u64)> {
        let (key, value) = (self.key.load(Ordering::Relaxed), self.value.load(Ordering::Relaxed));
        (value != 0).then_some((key ^ value, value))
    }
}

fn ways(slots: &[Slot], digest: u64) -> &[Slot] {
    let sets = slots.len() / WAYS;
    let set = usize::try_from(digest >> 40).unwrap_or(0) % sets.max(1);
    slots.get(set * WAYS..(set + 1) * WAYS).unwrap_or_default()
}

/// Returns a value that is never 0; `None` for a model beyond what fits.
fn pack(model: ModelIndex, second: u64, blocks: usize) -> Option<u64> {
    let model = u64::try_from(model.0).ok().filter(|model| *model < 1 << MODEL_BITS)?;
    let blocks = u64::try_from(blocks).ok()?.min((1 << BLOCK_BITS) - 1);
    Some((second << (MODEL_BITS + BLOCK_BITS)) | (blocks << MODEL_BITS) | model)
}

fn unpack(value: u64) -> (ModelIndex, u64, usize) {
    let part = |from: u32, bits: u32| usize::try_from((value >> from) & ((1 << bits) - 1)).unwrap_or(0);
    (ModelIndex(part(0, MODEL_BITS)), value >> (MODEL_BITS + BLOCK_BITS), part(MODEL_BITS, BLOCK_BITS))
}

/// Seconds from 1 on, so that no value is 0.
fn second(now: Monotonic) -> u64 {
    now.0 / 1_000_000_000 + 1
}

/// Mixes bytes into a digest, eight at a time (a folded multiplication, as in wyhash).
fn block(seed: u64, bytes: &[u8]) -> u64 {
    let mut digest = seed ^ bytes.len() as u64;
    let mut words = bytes.chunks_exact(8);
    for word in words.by_ref() {
        let word = word.try_into().map_or(0, u64::from_le_bytes);
        digest = folded(digest ^ word, 0xa076_1d64_78bd_642f);
    }
    let rest = words.remainder().iter().fold(0_u64, |rest, byte| (rest << 8) | u64::from(*byte));
    folded(digest ^ rest, 0xe703_7ed1_a0b4_28db)
}

#[expect(clippy::cast_possible_truncation, reason = "both halves are used")]
fn folded(a: u64, b: u64) -> u64 {
    let product = u128::from(a) * u128::from(b);
    (product as u64) ^ ((product >> 64) as u64)
}

#[cfg(test)]
mod tests;
