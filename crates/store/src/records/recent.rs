//! Numbers of words by the address of the word. Settlements do not bring words of their own: they share those of the
//! configuration, so that most words of most records are found without looking at their text.

use std::sync::Arc;

/// How many words are remembered; the later of two that want one place stays.
const PLACES: usize = 128;

/// What was seen last. It holds the words, so that no other one gets their address.
pub(super) struct Recent<T: ?Sized, V>([Option<(Arc<T>, V)>; PLACES]);

impl<T: ?Sized, V> Default for Recent<T, V> {
    fn default() -> Self {
        Self(std::array::from_fn(|_| None))
    }
}

impl<T: ?Sized, V> Recent<T, V> {
    /// Returns what was remembered of a word.
    pub(super) fn get(&self, word: &Arc<T>) -> Option<&V> {
        let (held, value) = self.0.get(place(word))?.as_ref()?;
        Arc::ptr_eq(held, word).then_some(value)
    }

    /// Remembers a word.
    pub(super) fn put(&mut self, word: &Arc<T>, value: V) {
        if let Some(held) = self.0.get_mut(place(word)) {
            *held = Some((Arc::clone(word), value));
        }
    }
}

/// Words lie 16 bytes apart or more.
fn place<T: ?Sized>(word: &Arc<T>) -> usize {
    let address = Arc::as_ptr(word).cast::<u8>().addr();
    (address >> 4 ^ address >> 11) % PLACES
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_is_known_by_its_address() {
        let mut recent = Recent::default();
        let words: Vec<Arc<str>> = (0..3 * PLACES).map(|n| n.to_string().into()).collect();
        for (n, word) in words.iter().enumerate() {
            assert_eq!(recent.get(word), None, "{word}");
            recent.put(word, n);
            assert_eq!(recent.get(word), Some(&n));
        }
        for (n, word) in words.iter().enumerate() {
            assert!(recent.get(word).is_none_or(|held| *held == n), "{word}");
            assert_eq!(recent.get(&Arc::from(&**word)), None, "its text is not looked at");
        }
    }

    #[test]
    fn what_is_remembered_is_held() {
        let mut recent = Recent::default();
        let word: Arc<str> = "gpt-4o".into();
        recent.put(&word, 1);
        assert_eq!(Arc::strong_count(&word), 2);
        drop(recent);
        assert_eq!(Arc::strong_count(&word), 1);
    }
}
