//! Ids of tool calls, in the form that the provider takes. The same id gives the same id, so that calls and their
//! results find each other, and prompts stay the same from turn to turn.

use std::borrow::Cow;
use std::collections::VecDeque;

use ir::dialect::Quirk;

use crate::translate::Callee;

/// OpenAI refuses longer ids.
const MAX_LENGTH: usize = 40;

/// Mistral's ids have this length: <https://docs.mistral.ai/capabilities/function_calling>.
const MISTRAL_LENGTH: usize = 9;

/// The ids of one conversation.
#[derive(Debug)]
pub(super) struct Ids<'a> {
    nine: bool,
    /// The calls without an id so far.
    made: usize,
    /// Those that wait for their result, with the tool's name.
    waiting: VecDeque<(&'a str, String)>,
}

impl<'a> Ids<'a> {
    pub fn new(callee: &Callee<'_>) -> Self {
        Self { nine: callee.has(Quirk::NineCharacterToolIds), made: 0, waiting: VecDeque::new() }
    }

    /// Returns the id of a call; one is made up where the caller's dialect has none.
    pub fn of_call(&mut self, id: &'a str, name: &'a str) -> Cow<'a, str> {
        if !id.is_empty() {
            return self.fitted(id);
        }
        self.made += 1;
        let made = self.fitted(&format!("call_{}", self.made)).into_owned();
        self.waiting.push_back((name, made.clone()));
        Cow::Owned(made)
    }

    /// Returns the id of the call that a result answers. Without one it is the first call of the tool that waits, or
    /// the first that waits at all.
    pub fn of_result(&mut self, id: &'a str, name: Option<&str>) -> Cow<'a, str> {
        if !id.is_empty() {
            return self.fitted(id);
        }
        let at = self.waiting.iter().position(|(waiting, _)| Some(*waiting) == name).unwrap_or(0);
        Cow::Owned(self.waiting.remove(at).map(|(_, id)| id).unwrap_or_default())
    }

    fn fitted<'b>(&self, id: &'b str) -> Cow<'b, str> {
        match self.nine {
            true if has_nine(id) => Cow::Borrowed(id),
            true => Cow::Owned(digest(id, MISTRAL_LENGTH)),
            false if id.len() <= MAX_LENGTH => Cow::Borrowed(id),
            false => Cow::Owned(format!("call_{}", digest(id, 20))),
        }
    }
}

/// Whether an id is nine letters and digits.
pub(in crate::openai_chat::request) fn has_nine(id: &str) -> bool {
    id.len() == MISTRAL_LENGTH && id.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

/// Returns letters and digits that a text determines: FNV-1a (<https://datatracker.ietf.org/doc/html/rfc9923>), 128
/// bits wide. It need not withstand an enemy: who makes ids collide confuses only a conversation of its own.
fn digest(text: &str, length: usize) -> String {
    const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    const BASIS: u128 = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d;
    const PRIME: u128 = 0x0000_0000_0100_0000_0000_0000_0000_013b;
    let hash = text.bytes().fold(BASIS, |hash, byte| (hash ^ u128::from(byte)).wrapping_mul(PRIME));
    let mut rest = hash ^ (hash >> 64);
    let mut next = || {
        let digit = DIGITS.get((rest % 62) as usize).copied().unwrap_or(b'0');
        rest /= 62;
        char::from(digit)
    };
    (0..length).map(|_| next()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(nine: bool, id: &str) -> String {
        let ids = Ids { nine, made: 0, waiting: VecDeque::new() };
        ids.fitted(id).into_owned()
    }

    #[test]
    fn ids_fit_and_stay_apart() {
        assert_eq!(check(false, "call_1"), "call_1");
        assert_eq!(check(true, "abcDEF123"), "abcDEF123");
        let long = "x".repeat(41);
        for (nine, ids, length) in [(true, ["call_1", "call_2"], 9), (false, [long.as_str(), &long.repeat(2)], 25)] {
            let found = ids.map(|id| check(nine, id));
            assert_ne!(found[0], found[1]);
            for (id, found) in ids.iter().zip(&found) {
                assert_eq!(found.len(), length, "{found}");
                assert_eq!(*found, check(nine, id));
            }
        }
    }

    #[test]
    fn results_without_ids_find_their_calls() {
        let mut ids = Ids { nine: false, made: 0, waiting: VecDeque::new() };
        let calls = ["a", "b", "a"].map(|name| ids.of_call("", name).into_owned());
        assert_eq!(ids.of_result("", Some("b")), calls[1]);
        assert_eq!(ids.of_result("", Some("a")), calls[0]);
        assert_eq!(ids.of_result("", None), calls[2]);
        assert_eq!(ids.of_result("", None), "");
    }
}
