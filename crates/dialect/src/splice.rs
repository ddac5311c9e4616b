//! Putting a text together again around what was changed in it.

pub mod control;
pub mod events;
pub mod slot;

use std::ops::Range;

use bytes::Bytes;

/// One change: the bytes of `range` give way to `with`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Patch {
    /// What is replaced; empty where something is only inserted.
    pub range: Range<usize>,
    /// What stands there instead.
    pub with: Bytes,
}

/// Returns the text with the patches applied, as parts that share the text's memory. The patches must be sorted and
/// must not overlap.
pub fn apply(text: &Bytes, patches: Vec<Patch>) -> Vec<Bytes> {
    let mut parts = Vec::with_capacity(patches.len() * 2 + 1);
    let mut from = 0;
    for patch in patches {
        debug_assert!(from <= patch.range.start && patch.range.end <= text.len(), "patches sorted and inside");
        let start = patch.range.start.clamp(from, text.len());
        if from < start {
            parts.push(text.slice(from..start));
        }
        if !patch.with.is_empty() {
            parts.push(patch.with);
        }
        from = patch.range.end.clamp(start, text.len());
    }
    if from < text.len() {
        parts.push(text.slice(from..));
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replaces_inserts_and_removes() {
        let text = Bytes::from_static(b"abcdef");
        let patch = |range, with: &'static str| Patch { range, with: Bytes::from_static(with.as_bytes()) };
        let joined = |patches| apply(&text, patches).concat();
        assert_eq!(joined(vec![]), b"abcdef");
        assert_eq!(joined(vec![patch(0..0, "x"), patch(2..3, "YY"), patch(4..6, "")]), b"xabYYd");
        assert_eq!(joined(vec![patch(6..6, "!")]), b"abcdef!");
    }
}
