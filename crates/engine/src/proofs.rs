//! What providers signed, kept for the turn that follows a tool call.
//!
//! It lives in memory, for an hour, within a bound; whoever comes later than that goes without, as with any gateway.
//! The environment is part of every key, and nothing of it reaches a log, a record or a disk. Only translated answers
//! that call tools touch it.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use dialect::lane::proofs::Proofs;
use policy::clock::Monotonic;

/// How long a proof is kept.
const KEPT: Duration = Duration::from_secs(3_600);

/// The most that is kept, in bytes; the oldest go first.
const MAX_BYTES: usize = 64 << 20;

/// An environment and the id of a tool call.
type Key = (Arc<str>, Box<str>);

/// What providers signed, by the calls that bring it back.
#[derive(Debug, Default)]
pub struct Kept(Mutex<Shelf>);

#[derive(Debug, Default)]
struct Shelf {
    messages: HashMap<Key, (Arc<str>, Monotonic)>,
    order: VecDeque<(Key, Monotonic)>,
    bytes: usize,
}

impl Kept {
    /// Keeps what an answer signed.
    pub fn keep(&self, environment: &Arc<str>, proofs: Proofs, now: Monotonic) {
        let message: Arc<str> = proofs.message.into();
        let mut shelf = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for call in proofs.calls {
            let key: Key = (Arc::clone(environment), call.into());
            shelf.bytes += size(&key, &message);
            if let Some((before, _)) = shelf.messages.insert(key.clone(), (Arc::clone(&message), now)) {
                shelf.bytes -= size(&key, &before);
            }
            shelf.order.push_back((key, now));
        }
        shelf.shorten(now);
    }

    /// Returns the message that is kept under a call.
    pub fn recall(&self, environment: &Arc<str>, call: &str, now: Monotonic) -> Option<String> {
        let mut shelf = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        shelf.shorten(now);
        shelf.messages.get(&(Arc::clone(environment), call.into())).map(|(message, _)| message.to_string())
    }
}

/// What an entry counts for: several calls of one answer share a message, which is counted for each.
fn size(key: &Key, message: &str) -> usize {
    key.1.len() + message.len() + 128
}

impl Shelf {
    /// Lets go of what is too old, and of the oldest while there is too much.
    fn shorten(&mut self, now: Monotonic) {
        while let Some((key, since)) = self.order.front() {
            let old = now.micros_since(*since) > KEPT.as_micros() as u64;
            if !old && self.bytes <= MAX_BYTES {
                return;
            }
            // A call that was kept anew since then stays.
            let same = self.messages.get(key).is_some_and(|(_, kept)| kept == since);
            if let Some((message, _)) = same.then(|| self.messages.remove(key)).flatten() {
                self.bytes = self.bytes.saturating_sub(size(key, &message));
            }
            self.order.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use policy::clock::Clock;

    use super::*;

    fn proofs(call: &str, length: usize) -> Proofs {
        Proofs { calls: vec![call.to_owned()], message: "m".repeat(length) }
    }

    #[test]
    fn it_is_kept_for_an_hour_in_its_environment() {
        let (clock, hands) = Clock::manual(0);
        let (kept, own, other): (_, Arc<str>, Arc<str>) = (Kept::default(), "own".into(), "other".into());
        kept.keep(&own, proofs("c", 1), clock.now());
        assert_eq!(kept.recall(&own, "c", clock.now()).as_deref(), Some("m"));
        assert_eq!(kept.recall(&other, "c", clock.now()), None);
        hands.advance(KEPT + Duration::from_secs(1));
        assert_eq!(kept.recall(&own, "c", clock.now()), None);
        assert_eq!(kept.0.lock().unwrap().bytes, 0);
    }

    #[test]
    fn the_oldest_go_first() {
        let (clock, _) = Clock::manual(0);
        let (kept, own): (_, Arc<str>) = (Kept::default(), "own".into());
        for call in ["a", "b", "a", "c"] {
            kept.keep(&own, proofs(call, MAX_BYTES / 3), clock.now());
        }
        let there = |call| kept.recall(&own, call, clock.now()).is_some();
        assert!(there("c") && !(there("a") && there("b")));
        assert!(kept.0.lock().unwrap().bytes <= MAX_BYTES);
    }
}
