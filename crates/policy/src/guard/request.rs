//! What may be asked: the texts of a request are judged one message at a time, its length over all that the user says.

use ir::guard::Blocked;

use super::banned::{Banned, BannedScan};
use super::length::Lengths;

/// The rules for requests.
#[derive(Clone, Debug, Default)]
pub struct RequestRules {
    /// What no message may hold.
    pub banned: Banned,
    /// How long the texts of the user must and may be, all together.
    pub lengths: Lengths,
}

impl RequestRules {
    /// Returns these rules and others together.
    #[must_use]
    pub fn join(&self, other: &Self) -> Self {
        let mut lengths = self.lengths.clone();
        lengths.merge(other.lengths.clone());
        Self { banned: self.banned.join(&other.banned), lengths }
    }

    /// Starts judging a request.
    pub fn watch(&self) -> RequestWatch<'_> {
        RequestWatch { rules: self, scan: BannedScan::default(), characters: 0 }
    }
}

/// A request as far as it was judged.
#[derive(Debug)]
pub struct RequestWatch<'a> {
    rules: &'a RequestRules,
    scan: BannedScan,
    characters: u64,
}

impl RequestWatch<'_> {
    /// Judges the next text. `starts` says whether a message begins with it: the texts of one message are joined, those
    /// of two are not. `by_user` says whether it counts for the length.
    ///
    /// # Errors
    /// When it holds a banned phrase, or the user says too much.
    pub fn push(&mut self, text: &str, starts: bool, by_user: bool) -> Result<(), Blocked> {
        if starts {
            self.scan = BannedScan::default();
        }
        self.rules.banned.push(&mut self.scan, text).map_err(|caught| caught.blocked)?;
        if by_user && !self.rules.lengths.is_empty() {
            self.characters += text.chars().count() as u64;
            self.rules.lengths.check_most(self.characters)?;
        }
        Ok(())
    }

    /// Judges the whole.
    ///
    /// # Errors
    /// When the user says too little.
    pub fn end(self) -> Result<(), Blocked> {
        self.rules.lengths.check_least(self.characters)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use ir::guard::Reason;

    use super::*;
    use crate::guard::length::Limit;

    fn check(texts: &[(&str, bool, bool)], expect: Result<(), Reason>) {
        let guard: Arc<str> = Arc::from("g");
        let limit = |characters| Some(Limit { characters, guard: Arc::clone(&guard) });
        let rules = RequestRules {
            banned: Banned::new(vec![(Arc::clone(&guard), 0, "bad word".to_owned())]),
            lengths: Lengths { least: limit(3), most: limit(20) },
        };
        let mut watch = rules.watch();
        let found = texts.iter().try_for_each(|(text, starts, user)| watch.push(text, *starts, *user));
        assert_eq!(found.and_then(|()| watch.end()).map_err(|blocked| blocked.reason), expect, "{texts:?}");
    }

    #[test]
    fn messages_are_judged() {
        check(&[("hello", true, true)], Ok(()));
        check(&[("a BAD Word", true, false), ("hello", true, true)], Err(Reason::Phrase(0)));
        check(&[("a bad", true, true), (" word", false, true)], Err(Reason::Phrase(0)));
        check(&[("a bad", true, true), (" word", true, true)], Ok(()));
        check(&[("hello, who are you", true, false), ("hi", true, true)], Err(Reason::TooShort(3)));
        check(&[("hello, hello", true, true), ("and again", true, true)], Err(Reason::TooLong(20)));
        check(&[("hello, hello", true, false), ("and again", true, true)], Ok(()));
    }
}
