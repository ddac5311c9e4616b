//! Finds the places of a long text where a phrase may be, without looking at every byte.
//!
//! Every phrase begins with at least `least` bytes. Of these, any `least - 3` places in a row hold one that is looked
//! at, and the four bytes there are four bytes of the phrase: where they are not, no phrase begins. A hundred kilobytes
//! take some ten microseconds instead of the hundred that a walk through the automaton takes.

/// A set of four-byte pieces of phrases.
#[derive(Clone, Debug)]
pub(super) struct Grid {
    /// One bit for each hash.
    bits: Box<[u64; WORDS]>,
    /// The bytes with which every phrase begins.
    least: usize,
}

const WORDS: usize = 1 << 10;

/// The bytes of a piece.
const PIECE: usize = 4;

impl Grid {
    /// Takes the folded phrases. `None` where there is nothing to be gained: a phrase is shorter than a piece, or
    /// there are so many that a piece of one would be found everywhere.
    pub(super) fn new(phrases: &[Vec<u8>]) -> Option<Self> {
        let least = phrases.iter().map(Vec::len).min().filter(|least| *least >= PIECE)?;
        let mut bits = Box::new([0; WORDS]);
        for phrase in phrases {
            for piece in phrase.get(..least)?.windows(PIECE).filter_map(|piece| piece.first_chunk()) {
                let (word, bit) = place(*piece);
                *bits.get_mut(word)? |= bit;
            }
        }
        let set: u32 = bits.iter().map(|word| word.count_ones()).sum();
        (set as usize <= WORDS * 64 / 8).then_some(Self { bits, least })
    }

    /// Returns where a phrase may begin, at `from` or later: a first place, and where the search goes on after the
    /// last. With no such place both are where a phrase might begin that does not end in the text. The text must be
    /// ASCII, because what is not may fold to another length.
    pub(super) fn next(&self, ascii: &[u8], from: usize) -> (usize, usize) {
        let lead = self.least - PIECE;
        let mut at = from + lead;
        while let Some(piece) = ascii.get(at..).and_then(|rest| rest.first_chunk()) {
            let (word, bit) = place(*piece);
            if self.bits.get(word).is_some_and(|bits| bits & bit != 0) {
                return (at - lead, at + 1);
            }
            at += lead + 1;
        }
        (at - lead, at - lead)
    }
}

/// Returns the word and the bit of a piece. Upper and lower case have the same; so have a few signs.
fn place(piece: [u8; PIECE]) -> (usize, u64) {
    let hash = (u32::from_le_bytes(piece) | 0x2020_2020).wrapping_mul(0x9e37_79b1) >> 16;
    (hash as usize >> 6, 1 << (hash & 63))
}
