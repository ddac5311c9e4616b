//! Lock-out: wrong passwords and codes, counted by peer and by account, each with a delay that grows.
//!
//! An attempt is counted before its password is looked at, so that many at once are no way around it. Accounts are
//! counted whether or not they exist, so that being locked out says nothing. The peer is the TCP peer.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use policy::clock::Monotonic;

/// Wrong attempts of a peer before it has to wait.
const FREE_OF_PEER: u32 = 20;
/// Wrong attempts on an account before everybody has to wait for it.
const FREE_OF_ACCOUNT: u32 = 5;
/// The first wait; each further wrong attempt doubles it.
const FIRST_WAIT: Duration = Duration::from_secs(1);
/// The longest wait.
const LONGEST_WAIT: Duration = Duration::from_secs(15 * 60);
/// After this long without an attempt, the earlier ones are forgotten.
const MEMORY: Duration = Duration::from_secs(24 * 3_600);
/// Peers and accounts that are remembered, each.
const MAX_REMEMBERED: usize = 10_000;

/// Counts attempts.
#[derive(Debug, Default)]
pub struct Lockout {
    peers: Mutex<Table<IpAddr>>,
    accounts: Mutex<Table<String>>,
}

/// An attempt may not be made yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wait {
    /// For how long.
    pub time: Duration,
}

impl Lockout {
    /// Counts an attempt of a peer, on an account when it names one.
    ///
    /// # Errors
    /// When one of the two has to wait; the attempt is then not made and not counted.
    pub fn begin(&self, peer: Option<IpAddr>, account: Option<&str>, now: Monotonic) -> Result<(), Wait> {
        let mut peers = self.peers.lock().unwrap_or_else(PoisonError::into_inner);
        let mut accounts = self.accounts.lock().unwrap_or_else(PoisonError::into_inner);
        let peer = peer.map(network);
        let account = account.map(str::to_owned);
        let wait = peers.wait(peer.as_ref(), now).max(accounts.wait(account.as_ref(), now));
        if !wait.is_zero() {
            return Err(Wait { time: wait });
        }
        peers.count(peer, FREE_OF_PEER, now);
        accounts.count(account, FREE_OF_ACCOUNT, now);
        Ok(())
    }

    /// Takes back an attempt that was right. The account starts anew; the peer does not, or somebody with one account of
    /// their own could try others for ever.
    pub fn succeeded(&self, peer: Option<IpAddr>, account: Option<&str>) {
        if let Some(peer) = peer {
            self.peers.lock().unwrap_or_else(PoisonError::into_inner).take_back(&network(peer), FREE_OF_PEER);
        }
        if let Some(account) = account {
            self.accounts.lock().unwrap_or_else(PoisonError::into_inner).0.remove(account);
        }
    }
}

/// An IPv6 network of 64 bits is one peer: whoever has one has all of it.
fn network(peer: IpAddr) -> IpAddr {
    match peer.to_canonical() {
        IpAddr::V4(address) => address.into(),
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            std::net::Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into()
        }
    }
}

#[derive(Debug)]
struct Table<K>(HashMap<K, Count>);

#[derive(Clone, Copy, Debug, Default)]
struct Count {
    wrong: u32,
    last: Monotonic,
    until: Monotonic,
}

impl<K> Default for Table<K> {
    fn default() -> Self {
        Self(HashMap::new())
    }
}

impl<K: Eq + Hash + Clone> Table<K> {
    fn wait(&self, key: Option<&K>, now: Monotonic) -> Duration {
        key.and_then(|key| self.0.get(key)).map_or(Duration::ZERO, |count| count.until.since(now))
    }

    fn count(&mut self, key: Option<K>, free: u32, now: Monotonic) {
        let Some(key) = key else { return };
        if self.0.len() >= MAX_REMEMBERED && !self.0.contains_key(&key) {
            self.make_room(now);
        }
        let count = self.0.entry(key).or_default();
        if now.since(count.last) >= MEMORY {
            *count = Count::default();
        }
        count.wrong = count.wrong.saturating_add(1);
        count.last = now;
        count.until = later(now, delay(count.wrong, free));
    }

    fn take_back(&mut self, key: &K, free: u32) {
        let Some(count) = self.0.get_mut(key) else { return };
        count.wrong = count.wrong.saturating_sub(1);
        count.until = later(count.last, delay(count.wrong, free));
        if count.wrong == 0 {
            self.0.remove(key);
        }
    }

    /// Forgets what is old, else whoever waits least: a flood of names does not free the one that is attacked.
    fn make_room(&mut self, now: Monotonic) {
        self.0.retain(|_, count| now.since(count.last) < MEMORY);
        if self.0.len() >= MAX_REMEMBERED {
            let least = self.0.iter().min_by_key(|(_, count)| (count.wrong, count.last)).map(|(key, _)| key.clone());
            least.map(|key| self.0.remove(&key));
        }
    }
}

/// Returns how long to wait after a number of wrong attempts.
fn delay(wrong: u32, free: u32) -> Duration {
    wrong
        .checked_sub(free)
        .map_or(Duration::ZERO, |over| FIRST_WAIT.saturating_mul(1 << over.min(16)).min(LONGEST_WAIT))
}

fn later(now: Monotonic, by: Duration) -> Monotonic {
    Monotonic(now.0.saturating_add(u64::try_from(by.as_nanos()).unwrap_or(u64::MAX)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SECOND: u64 = 1_000_000_000;

    fn at(seconds: u64) -> Monotonic {
        Monotonic(seconds * SECOND)
    }

    fn peer(last: u8) -> Option<IpAddr> {
        Some([10, 0, 0, last].into())
    }

    #[test]
    fn delays_grow_to_their_bound() {
        let seconds: Vec<u64> = (4..18).map(|wrong| delay(wrong, 5).as_secs()).collect();
        assert_eq!(seconds, [0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 900, 900, 900]);
        assert_eq!(delay(u32::MAX, 5), LONGEST_WAIT);
    }

    #[test]
    fn an_account_waits_wherever_it_is_tried_from() {
        let lockout = Lockout::default();
        for number in 0..5 {
            assert_eq!(lockout.begin(peer(number), Some("ann"), at(0)), Ok(()), "{number}");
        }
        assert_eq!(lockout.begin(peer(9), Some("ann"), at(0)), Err(Wait { time: Duration::from_secs(1) }));
        assert_eq!(lockout.begin(peer(9), Some("bob"), at(0)), Ok(()), "others are not held up");
        assert_eq!(lockout.begin(peer(9), Some("ann"), at(1)), Ok(()));
        assert_eq!(lockout.begin(peer(9), Some("ann"), at(1)), Err(Wait { time: Duration::from_secs(2) }));
        lockout.succeeded(peer(9), Some("ann"));
        assert_eq!(lockout.begin(peer(9), Some("ann"), at(1)), Ok(()), "it starts anew");
    }

    #[test]
    fn a_peer_waits_whichever_account_it_tries() {
        let lockout = Lockout::default();
        for number in 0..20 {
            assert_eq!(lockout.begin(peer(1), Some(&format!("a{number}")), at(0)), Ok(()));
        }
        assert!(lockout.begin(peer(1), Some("new"), at(0)).is_err());
        assert!(lockout.begin(peer(1), None, at(0)).is_err(), "codes count too");
        assert_eq!(lockout.begin(peer(2), Some("new"), at(0)), Ok(()));
    }

    #[test]
    fn an_account_of_ones_own_does_not_help_to_try_others() {
        let lockout = Lockout::default();
        for number in 0..20 {
            lockout.begin(peer(1), Some(&format!("a{number}")), at(0)).unwrap();
            if number < 19 {
                lockout.begin(peer(1), Some("mine"), at(0)).unwrap();
                lockout.succeeded(peer(1), Some("mine"));
            }
        }
        assert!(lockout.begin(peer(1), Some("mine"), at(0)).is_err());
    }

    #[test]
    fn a_network_of_ipv6_is_one_peer() {
        let lockout = Lockout::default();
        for number in 0..20 {
            let peer: IpAddr = format!("2001:db8::{number}").parse().unwrap();
            lockout.begin(Some(peer), None, at(0)).unwrap();
        }
        assert!(lockout.begin(Some("2001:db8::ffff".parse().unwrap()), None, at(0)).is_err());
        assert!(lockout.begin(Some("2001:db8:0:1::1".parse().unwrap()), None, at(0)).is_ok());
    }

    #[test]
    fn a_flood_of_names_frees_nobody() {
        let lockout = Lockout::default();
        for _ in 0..5 {
            lockout.begin(None, Some("ann"), at(0)).unwrap();
        }
        for number in 0..MAX_REMEMBERED + 100 {
            lockout.begin(None, Some(&format!("x{number}")), at(0)).unwrap();
        }
        assert!(lockout.begin(None, Some("ann"), at(0)).is_err());
        assert!(lockout.accounts.lock().unwrap().0.len() <= MAX_REMEMBERED);
    }

    #[test]
    fn a_day_of_rest_is_a_new_start() {
        let lockout = Lockout::default();
        for second in 0..30 {
            let _ = lockout.begin(None, Some("ann"), at(second * 1_000));
        }
        assert_eq!(lockout.begin(None, Some("ann"), at(30_000 + 24 * 3_600)), Ok(()));
        assert_eq!(lockout.begin(None, Some("ann"), at(30_000 + 24 * 3_600)), Ok(()));
    }

    proptest! {
        /// However attempts are spread over peers and time, an account sees few of them.
        #[test]
        fn attempts_on_an_account_are_bounded(steps in prop::collection::vec((0_u64..30, 0_u8..200), 1..400)) {
            let lockout = Lockout::default();
            let (mut now, mut made) = (0, 0_u32);
            for (wait, from) in steps {
                now += wait;
                made += u32::from(lockout.begin(peer(from), Some("ann"), at(now)).is_ok());
            }
            // Five are free; after that the n-th needs that 2^n - 1 seconds have passed, up to fifteen minutes each.
            let doubling = 64 - (now + 1).leading_zeros();
            let bound = 5 + doubling + u32::try_from(now / 900).unwrap() + 1;
            prop_assert!(made <= bound, "{made} attempts in {now} s");
        }
    }
}
