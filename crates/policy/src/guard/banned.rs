//! The banned phrases of several guardrails. Those of one scope are one automaton; where several scopes bind a request,
//! their automata read side by side, so that what a team and its keys ban is not compiled for every pair of them.

use std::sync::Arc;

use ir::guard::{Blocked, Reason};

use super::phrases::{Phrases, Scan};

/// The banned phrases of several guardrails.
#[derive(Clone, Debug, Default)]
pub struct Banned {
    /// One for each scope that bans something.
    layers: Vec<Arc<Layer>>,
}

/// What one scope bans.
#[derive(Debug)]
struct Layer {
    phrases: Phrases,
    /// Of each phrase, its guardrail and its number there.
    owners: Box<[(Arc<str>, usize)]>,
}

/// How far a text was read.
#[derive(Clone, Debug, Default)]
pub struct BannedScan {
    /// By the first layer: nearly always there is no other.
    first: Scan,
    /// By the other layers that have read something.
    rest: Vec<Scan>,
}

/// A banned phrase that a piece of text completes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caught {
    /// The guardrail and the phrase.
    pub blocked: Blocked,
    /// Where it ends in the piece, in bytes.
    pub end: usize,
}

impl Banned {
    /// Takes phrases, each with its guardrail and its number there.
    pub fn new(phrases: Vec<(Arc<str>, usize, String)>) -> Self {
        if phrases.is_empty() {
            return Self::default();
        }
        let set = Phrases::new(phrases.iter().map(|(_, _, phrase)| phrase.as_str()));
        let owners = phrases.into_iter().map(|(guard, index, _)| (guard, index)).collect();
        Self { layers: vec![Arc::new(Layer { phrases: set, owners })] }
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.layers.is_empty()
    }

    /// Returns these phrases and others together.
    #[must_use]
    pub fn join(&self, other: &Self) -> Self {
        Self { layers: [&*self.layers, &*other.layers].concat() }
    }

    /// Reads the next piece of a text.
    ///
    /// # Errors
    /// When a phrase is complete: the one that ends first, whichever layer bans it.
    pub fn push(&self, scan: &mut BannedScan, text: &str) -> Result<(), Caught> {
        if self.layers.len() > scan.rest.len() + 1 {
            scan.rest.resize(self.layers.len() - 1, Scan::default());
        }
        let scans = std::iter::once(&mut scan.first).chain(&mut scan.rest);
        let mut first: Option<(&Layer, super::phrases::Found)> = None;
        for (layer, scan) in self.layers.iter().zip(scans) {
            // What follows a phrase that was found already is of no interest.
            let left = text.get(..first.map_or(text.len(), |(_, found)| found.end)).unwrap_or_default();
            if let Some(found) = layer.phrases.push(scan, left)
                && first.is_none_or(|(_, other)| found.end < other.end)
            {
                first = Some((layer, found));
            }
        }
        let Some((layer, found)) = first else { return Ok(()) };
        let (guard, index) = layer.owners.get(found.phrase).cloned().unwrap_or_else(|| (Arc::from(""), found.phrase));
        Err(Caught { blocked: Blocked { guard, reason: Reason::Phrase(index) }, end: found.end })
    }
}

impl BannedScan {
    /// Returns how many bytes of the text's end may be the beginning of a phrase.
    pub fn pending_bytes(&self) -> usize {
        self.rest.iter().map(Scan::pending_bytes).fold(self.first.pending_bytes(), usize::max)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn banned(guard: &str, phrases: &[&str]) -> Banned {
        let numbered = phrases.iter().enumerate();
        Banned::new(numbered.map(|(index, phrase)| (Arc::from(guard), index, (*phrase).to_owned())).collect())
    }

    fn check(layers: &[&[&str]], pieces: &[&str], expect: Result<usize, (&str, usize, usize)>) {
        let names = ["a", "b", "c"];
        let layers = layers.iter().zip(names).map(|(phrases, name)| banned(name, phrases));
        let all = layers.fold(Banned::default(), |all, layer| all.join(&layer));
        let mut scan = BannedScan::default();
        let found = pieces.iter().try_for_each(|piece| all.push(&mut scan, piece));
        let found = found.map(|()| scan.pending_bytes()).map_err(|caught| match caught.blocked.reason {
            Reason::Phrase(index) => (caught.blocked.guard.to_string(), index, caught.end),
            other => panic!("{other:?}"),
        });
        assert_eq!(found, expect.map_err(|(guard, index, end)| (guard.to_owned(), index, end)), "{pieces:?}");
    }

    #[test]
    fn the_phrase_that_ends_first_is_found() {
        check(&[&["late"], &["soon"]], &["soon and late"], Err(("b", 0, 4)));
        check(&[&["late"], &["soon"]], &["late and soon"], Err(("a", 0, 4)));
        check(&[&["x", "word"], &["word"]], &["a word"], Err(("a", 1, 6)));
        check(&[&["xword"], &["or", "rd"], &["word"]], &["xw", "ord"], Err(("b", 0, 2)));
    }

    #[test]
    fn the_longest_beginning_is_pending() {
        check(&[&["abc"], &["bcdef"]], &["ab"], Ok(2));
        check(&[&["abc"], &["bcdef"]], &["xb", "cd"], Ok(3));
        check(&[], &["anything"], Ok(0));
        check(&[&["abc"]], &["xab", "d"], Ok(0));
    }
}
