//! Lengths, in characters (Unicode scalar values), as people count them when they configure a limit.

use std::sync::Arc;

use ir::guard::{Blocked, Reason};

/// A length, and the guardrail that asks for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limit {
    /// How many characters.
    pub characters: u64,
    /// The guardrail.
    pub guard: Arc<str>,
}

/// How long a text must and may be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lengths {
    /// At least.
    pub least: Option<Limit>,
    /// At most.
    pub most: Option<Limit>,
}

impl Lengths {
    /// Whether there is no limit.
    pub fn is_empty(&self) -> bool {
        self.least.is_none() && self.most.is_none()
    }

    /// Adds the limits of another guardrail: the stricter ones count, the first of equal ones.
    pub fn merge(&mut self, other: Self) {
        let characters = |limit: &Option<Limit>| limit.as_ref().map(|limit| limit.characters);
        if characters(&other.least) > characters(&self.least) {
            self.least = other.least;
        }
        if let Some(most) = other.most
            && characters(&self.most).is_none_or(|own| most.characters < own)
        {
            self.most = Some(most);
        }
    }

    /// Whether a text of so many characters is long enough so far.
    pub fn reached(&self, characters: u64) -> bool {
        self.least.as_ref().is_none_or(|least| characters >= least.characters)
    }

    /// Returns how many characters may follow so many.
    pub fn left(&self, characters: u64) -> Option<u64> {
        self.most.as_ref().map(|most| most.characters.saturating_sub(characters))
    }

    /// Judges a complete text.
    ///
    /// # Errors
    /// When it is too short.
    pub fn check_least(&self, characters: u64) -> Result<(), Blocked> {
        match &self.least {
            Some(least) if characters < least.characters => {
                Err(Blocked { guard: Arc::clone(&least.guard), reason: Reason::TooShort(least.characters) })
            }
            _ => Ok(()),
        }
    }

    /// Judges a text that goes on.
    ///
    /// # Errors
    /// When it is too long already.
    pub fn check_most(&self, characters: u64) -> Result<(), Blocked> {
        match &self.most {
            Some(most) if characters > most.characters => {
                Err(Blocked { guard: Arc::clone(&most.guard), reason: Reason::TooLong(most.characters) })
            }
            _ => Ok(()),
        }
    }
}

/// Returns the characters and the bytes of as much of a text as has at most so many characters.
pub fn cut(text: &str, most: u64) -> (u64, usize) {
    // No text has more characters than bytes.
    if text.len() as u64 <= most {
        return (text.chars().count() as u64, text.len());
    }
    let most_here = usize::try_from(most).unwrap_or(usize::MAX);
    match text.char_indices().nth(most_here) {
        Some((at, _)) => (most, at),
        None => (text.chars().count() as u64, text.len()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lengths(guard: &str, least: Option<u64>, most: Option<u64>) -> Lengths {
        let limit = |characters| Limit { characters, guard: Arc::from(guard) };
        Lengths { least: least.map(limit), most: most.map(limit) }
    }

    #[test]
    fn the_stricter_limit_counts() {
        let mut merged = lengths("a", Some(5), Some(100));
        merged.merge(lengths("b", Some(5), Some(50)));
        merged.merge(lengths("c", Some(7), None));
        merged.merge(lengths("d", None, Some(60)));
        let expect = Lengths { least: lengths("c", Some(7), None).least, most: lengths("b", None, Some(50)).most };
        assert_eq!(merged, expect);
        assert!(!merged.reached(6) && merged.reached(7));
        assert_eq!((merged.left(48), merged.left(60)), (Some(2), Some(0)));
        assert!(merged.check_least(6).is_err() && merged.check_most(50).is_ok() && merged.check_most(51).is_err());
    }

    #[test]
    fn texts_are_cut_between_characters() {
        for (text, most, expect) in [
            ("abc", 3, (3, 3)),
            ("abc", 2, (2, 2)),
            ("üüü", 2, (2, 4)),
            ("", 0, (0, 0)),
            ("a", 0, (0, 0)),
            ("机", 1, (1, 3)),
        ] {
            assert_eq!(cut(text, most), expect, "{text:?} to {most}");
        }
    }
}
