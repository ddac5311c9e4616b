//! Addresses of names, and those that were good a while ago: a resolver that fails or hangs for some minutes stops nobody.
//!
//! Every new connection asks the resolver; nothing is answered from memory while that works, so that a change of
//! addresses is seen at once.

use std::collections::HashMap;
use std::future::Future;
use std::io;
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use crate::deadline::{after, passed};

/// How long addresses are used on when the name cannot be resolved any more.
const STALE: Duration = Duration::from_secs(5 * 60);

/// How long the resolver is waited for when older addresses are there.
const PATIENCE: Duration = Duration::from_secs(1);

/// The most names that are remembered: operators choose them, and have fewer.
const MOST: usize = 1_024;

/// What names resolved to.
#[derive(Default)]
pub(super) struct Names(Mutex<HashMap<Box<str>, Known>>);

struct Known {
    addresses: Vec<IpAddr>,
    until: Instant,
}

impl Names {
    /// Returns the addresses of a name: what the lookup says, else what it said in the last minutes.
    ///
    /// # Errors
    /// What the lookup says, when nothing is known.
    pub(super) async fn resolve<F>(&self, host: &str, lookup: F) -> io::Result<Vec<IpAddr>>
    where
        F: Future<Output = io::Result<Vec<IpAddr>>>,
    {
        let older = self.older(host);
        let found = match &older {
            None => lookup.await,
            Some(_) => match timeout_at(after(PATIENCE), lookup).await {
                Ok(found) => found,
                Err(_) => Err(io::Error::new(io::ErrorKind::TimedOut, "the resolver does not answer")),
            },
        };
        match (found, older) {
            (Ok(addresses), _) if !addresses.is_empty() => {
                self.remember(host, &addresses);
                Ok(addresses)
            }
            (_, Some(older)) => Ok(older),
            (found, None) => found,
        }
    }

    fn older(&self, host: &str) -> Option<Vec<IpAddr>> {
        self.known().get(host).filter(|known| !passed(known.until)).map(|known| known.addresses.clone())
    }

    fn remember(&self, host: &str, addresses: &[IpAddr]) {
        let mut known = self.known();
        if known.len() >= MOST && !known.contains_key(host) {
            known.retain(|_, known| !passed(known.until));
            if known.len() >= MOST {
                return;
            }
        }
        known.insert(host.into(), Known { addresses: addresses.to_vec(), until: after(STALE) });
    }

    fn known(&self) -> MutexGuard<'_, HashMap<Box<str>, Known>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn good(names: &Names, host: &str, address: &str) -> io::Result<Vec<IpAddr>> {
        let addresses = vec![address.parse().unwrap()];
        names.resolve(host, async move { Ok(addresses) }).await
    }

    async fn bad(names: &Names, host: &str) -> io::Result<Vec<IpAddr>> {
        names.resolve(host, async { Err(io::Error::other("SERVFAIL")) }).await
    }

    fn ip(address: &str) -> Vec<IpAddr> {
        vec![address.parse().unwrap()]
    }

    /// Acceptance DEP-04.
    #[tokio::test(start_paused = true)]
    async fn what_was_good_is_used_while_the_resolver_fails() {
        let names = Names::default();
        assert!(bad(&names, "a.test").await.is_err(), "nothing is known yet");
        assert_eq!(good(&names, "a.test", "192.0.2.1").await.unwrap(), ip("192.0.2.1"));
        tokio::time::advance(Duration::from_secs(299)).await;
        assert_eq!(bad(&names, "a.test").await.unwrap(), ip("192.0.2.1"));
        assert!(bad(&names, "b.test").await.is_err(), "another name is another name");
        tokio::time::advance(Duration::from_secs(2)).await;
        assert!(bad(&names, "a.test").await.is_err(), "five minutes are over");
    }

    #[tokio::test(start_paused = true)]
    async fn a_new_address_is_used_at_once() {
        let names = Names::default();
        good(&names, "a.test", "192.0.2.1").await.unwrap();
        assert_eq!(good(&names, "a.test", "192.0.2.2").await.unwrap(), ip("192.0.2.2"));
        assert_eq!(bad(&names, "a.test").await.unwrap(), ip("192.0.2.2"));
        let none = names.resolve("a.test", async { Ok(Vec::new()) }).await;
        assert_eq!(none.unwrap(), ip("192.0.2.2"), "a name without addresses is a failure too");
    }

    #[tokio::test(start_paused = true)]
    async fn a_resolver_that_hangs_costs_a_second() {
        let names = Names::default();
        good(&names, "a.test", "192.0.2.1").await.unwrap();
        let (early, late) = (after(PATIENCE / 2), after(PATIENCE * 2));
        let mut asked = std::pin::pin!(names.resolve("a.test", std::future::pending()));
        assert!(timeout_at(early, &mut asked).await.is_err());
        assert_eq!(timeout_at(late, asked).await.unwrap().unwrap(), ip("192.0.2.1"));
        let waited = timeout_at(after(PATIENCE * 9), names.resolve("new.test", std::future::pending())).await;
        assert!(waited.is_err(), "where nothing is known, it is waited for: the caller has a deadline");
    }

    #[tokio::test(start_paused = true)]
    async fn so_many_names_and_no_more_are_remembered() {
        let names = Names::default();
        for number in 0..=MOST {
            good(&names, &format!("{number}.test"), "192.0.2.1").await.unwrap();
        }
        assert_eq!(names.known().len(), MOST);
        tokio::time::advance(STALE + PATIENCE).await;
        good(&names, "new.test", "192.0.2.1").await.unwrap();
        assert_eq!(names.known().len(), 1, "what is too old makes room");
    }
}
