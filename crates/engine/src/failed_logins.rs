//! Wrong keys by peer: after too many in a minute, further wrong keys are answered with 429.
//!
//! A right key is never held up by it, so that one bad client behind a shared address cannot lock the others out. The
//! peer is the TCP peer: what a request says of itself (`X-Forwarded-For`) is not believed.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use policy::clock::Monotonic;

/// Wrong keys that a peer may send in one window.
const ALLOWED: u32 = 300;
/// The window: it starts with the first wrong key.
const WINDOW: Duration = Duration::from_secs(60);
/// Peers that are remembered; beyond it the oldest windows are forgotten.
const MAX_PEERS: usize = 10_000;

/// Counts wrong keys. The lock is taken only when a key was wrong.
#[derive(Debug, Default)]
pub struct FailedLogins(Mutex<HashMap<IpAddr, (Monotonic, u32)>>);

impl FailedLogins {
    /// Counts a wrong key; returns how long the peer has to wait when it sent too many.
    pub fn count(&self, peer: IpAddr, now: Monotonic) -> Option<Duration> {
        let mut peers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if peers.len() >= MAX_PEERS {
            peers.retain(|_, (start, _)| now.since(*start) < WINDOW);
            if peers.len() >= MAX_PEERS {
                peers.clear();
            }
        }
        let (start, count) = peers.entry(peer).or_insert((now, 0));
        if now.since(*start) >= WINDOW {
            (*start, *count) = (now, 0);
        }
        *count += 1;
        (*count > ALLOWED).then(|| WINDOW.saturating_sub(now.since(*start)).max(Duration::from_secs(1)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_waits_for_its_window_and_others_do_not() {
        let logins = FailedLogins::default();
        let (one, other) = (IpAddr::from([127, 0, 0, 1]), IpAddr::from([127, 0, 0, 2]));
        let at = |seconds: u64| Monotonic(seconds * 1_000_000_000);
        for _ in 0..ALLOWED {
            assert_eq!(logins.count(one, at(1)), None);
        }
        assert_eq!(logins.count(one, at(11)), Some(Duration::from_secs(50)));
        assert_eq!(logins.count(other, at(11)), None);
        assert_eq!(logins.count(one, at(61)), None);
    }
}
