//! Disclaimers: texts that stand under every answer, and are appended where the model has not written them itself.

use std::sync::Arc;

use super::phrases::{Phrases, Scan};

/// What stands between an answer and what is appended to it.
pub const SEPARATOR: &str = "\n\n";

/// The disclaimers that are required.
#[derive(Clone, Debug, Default)]
pub struct Disclaimers(Vec<Arc<(Phrases, Box<str>)>>);

/// Which of them a text holds so far.
#[derive(Clone, Debug, Default)]
pub struct Seen(Vec<Option<Scan>>);

impl Disclaimers {
    /// Takes the texts, none of them empty; one that says the same as an earlier one is left out.
    pub fn new(texts: impl IntoIterator<Item = String>) -> Self {
        let mut all = Self::default();
        for text in texts {
            if !all.holds(&text) {
                all.0.push(Arc::new((Phrases::new([text.as_str()]), text.into())));
            }
        }
        all
    }

    /// Returns these disclaimers and others together.
    #[must_use]
    pub fn join(&self, other: &Self) -> Self {
        let more = other.0.iter().filter(|disclaimer| !self.holds(&disclaimer.1));
        Self(self.0.iter().chain(more).cloned().collect())
    }

    fn holds(&self, text: &str) -> bool {
        self.0.iter().any(|disclaimer| *disclaimer.1 == *text)
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Starts reading a text.
    pub fn start(&self) -> Seen {
        Seen(vec![Some(Scan::default()); self.0.len()])
    }

    /// Reads the next piece of the text.
    pub fn push(&self, seen: &mut Seen, text: &str) {
        for (disclaimer, scan) in self.0.iter().zip(&mut seen.0) {
            if scan.as_mut().is_some_and(|scan| disclaimer.0.push(scan, text).is_some()) {
                *scan = None;
            }
        }
    }

    /// Returns what is to be appended to the text: the disclaimers that it does not hold, case aside.
    pub fn missing(&self, seen: &Seen, after_text: bool) -> Option<String> {
        let missing = self.0.iter().zip(&seen.0).filter(|(_, scan)| scan.is_some());
        let missing = missing.map(|(disclaimer, _)| &*disclaimer.1);
        let joined = missing.collect::<Vec<_>>().join(SEPARATOR);
        match (joined.is_empty(), after_text) {
            (true, _) => None,
            (false, true) => Some(format!("{SEPARATOR}{joined}")),
            (false, false) => Some(joined),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(disclaimers: &[&str], pieces: &[&str], expect: Option<&str>) {
        let set = Disclaimers::new(disclaimers.iter().map(|text| (*text).to_owned()));
        let mut seen = set.start();
        for piece in pieces {
            set.push(&mut seen, piece);
        }
        assert_eq!(set.missing(&seen, !pieces.is_empty()).as_deref(), expect, "{pieces:?}");
    }

    #[test]
    fn only_what_is_missing_is_appended() {
        check(&["No advice."], &["Buy!"], Some("\n\nNo advice."));
        check(&["No advice."], &["Buy! NO ADV", "ICE. Really"], None);
        check(&["No advice.", "Ask a doctor."], &["Buy! No advice."], Some("\n\nAsk a doctor."));
        check(&["One.", "Two.", "One."], &["x"], Some("\n\nOne.\n\nTwo."));
        check(&["No advice."], &[], Some("No advice."));
        check(&[], &["x"], None);
    }
}
