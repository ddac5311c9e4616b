//! What the secrets in use hash to.
//!
//! The keyed hash under which a key is known takes half a microsecond, and a caller sends the same secret with every request.
//! Each thread remembers the hashes of the keys that it found last, under a tag of the whole secret: 128 bits of SipHash
//! (Aumasson and Bernstein, 2012), keyed by what this process has drawn. The secret is not kept, and nothing is kept of
//! secrets that lead nowhere. A hash says nothing about what its key may do: that is looked up with every request.

use std::cell::Cell;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;

/// How many hashes a thread remembers.
const PLACES: usize = 256;

thread_local! {
    static MEMO: [Cell<(u128, [u8; 32])>; PLACES] = const { [const { Cell::new((0, [0; 32])) }; PLACES] };
}

/// Makes the tags of secrets; those of two processes have nothing in common.
#[derive(Debug, Default)]
pub struct Tags(RandomState, RandomState);

impl Tags {
    fn of(&self, secret: &str) -> u128 {
        let half = |state: &RandomState| u128::from(state.hash_one(secret));
        half(&self.0) << 64 | half(&self.1)
    }
}

/// Finds what a secret leads to: by the hash that is remembered for it, or else by the one that `hash` computes, which is
/// remembered when it leads to something.
pub(super) fn find<T>(
    tags: &Tags,
    secret: &str,
    hash: impl FnOnce(&str) -> [u8; 32],
    look_up: impl Fn(&[u8; 32]) -> Option<T>,
) -> Option<T> {
    let tag = tags.of(secret);
    MEMO.with(|memo| {
        let place = memo.get(tag as usize % PLACES)?;
        let (known, remembered) = place.get();
        if known == tag
            && let Some(found) = look_up(&remembered)
        {
            return Some(found);
        }
        let hash = hash(secret);
        let found = look_up(&hash)?;
        place.set((tag, hash));
        Some(found)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Looks a secret up whose hash is its length, where the lengths 3 and 5 lead somewhere. Returns what was found, and
    /// whether it was hashed.
    fn look(tags: &Tags, secret: &str) -> (Option<u8>, bool) {
        let hashed = Cell::new(false);
        let hash = |secret: &str| {
            hashed.set(true);
            [secret.len() as u8; 32]
        };
        let found = find(tags, secret, hash, |hash| Some(hash[0]).filter(|length| [3, 5].contains(length)));
        (found, hashed.get())
    }

    #[test]
    fn a_secret_is_hashed_once() {
        let tags = Tags::default();
        assert_eq!(look(&tags, "abc"), (Some(3), true));
        assert_eq!(look(&tags, "abc"), (Some(3), false));
        assert_eq!(look(&tags, "abcde"), (Some(5), true));
        assert_eq!(look(&tags, "abc"), (Some(3), false));
    }

    #[test]
    fn what_leads_nowhere_is_not_remembered() {
        let tags = Tags::default();
        assert_eq!(look(&tags, "ab"), (None, true));
        assert_eq!(look(&tags, "ab"), (None, true));
    }

    #[test]
    fn every_byte_of_a_secret_counts() {
        let tags = Tags::default();
        let secret = "sk-cw-0123456789abcdefghijklmnopqrstuvwxyz";
        let own = tags.of(secret);
        for at in 0..secret.len() {
            let mut other = secret.as_bytes().to_vec();
            other[at] ^= 1;
            assert_ne!(tags.of(std::str::from_utf8(&other).unwrap()), own, "byte {at}");
        }
        assert_ne!(tags.of(&secret[..41]), own);
    }

    #[test]
    fn what_is_remembered_of_one_gateway_is_nothing_to_another() {
        assert_ne!(Tags::default().of("abc"), Tags::default().of("abc"));
    }

    #[test]
    fn a_hash_that_leads_nowhere_any_more_is_computed_anew() {
        let tags = Tags::default();
        let find_in = |known: [u8; 1]| find(&tags, "abc", |_| [1; 32], |hash| known.contains(&hash[0]).then_some(()));
        assert_eq!(find_in([1]), Some(()));
        assert_eq!(find_in([2]), None);
        assert_eq!(find_in([1]), Some(()));
    }
}
