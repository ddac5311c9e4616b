//! The limits that bind a request. What binds a key is found once for each configuration and kept with the key; where
//! nothing binds, nothing is done.

mod demand;
mod denied;
mod standing;

use std::net::IpAddr;
use std::sync::Arc;

use arc_swap::ArcSwapOption;
use policy::clock::Clock;
use policy::limit::Now;
use policy::limit::bind::{Asker, Bindings};

pub(crate) use self::demand::is_priced;
pub use self::demand::{Demand, STEP_TOKENS};
pub(crate) use self::denied::{failure, unpriced};
pub use self::standing::Standing;
use crate::gateway::Gateway;
use crate::state::{Configuration, LiveKey};

/// The monotonic clock starts with the process; counters look further back, to what is restored of the time before it.
/// This is more than the longest window has.
const BEFORE_START_MS: u64 = 500 * 86_400_000;

/// Returns the present, as counters want it.
pub fn now(clock: &Clock) -> Now {
    Now { monotonic_ms: clock.now().0 / 1_000_000 + BEFORE_START_MS, unix_ms: clock.unix_ms() }
}

/// What was found for a key under one configuration.
#[derive(Debug, Default)]
pub struct Cache(ArcSwapOption<Found>);

#[derive(Debug)]
struct Found {
    configuration: u64,
    bindings: Option<Arc<Bindings>>,
}

/// Returns what binds a key; `None` when nothing does.
pub fn of_key(gateway: &Gateway, key: &LiveKey, configuration: &Configuration) -> Option<Arc<Bindings>> {
    let (snapshot, compiled) = (&configuration.snapshot, &key.compiled);
    let billed = snapshot.environment.billing.enabled;
    if snapshot.limits.is_empty() && compiled.limits.is_empty() && compiled.plan.is_none() && !billed {
        return None;
    }
    if let Some(found) = &*key.limits.0.load()
        && found.configuration == configuration.serial
    {
        return found.bindings.clone();
    }
    let bindings = Bindings::of_key(snapshot, compiled, &gateway.book, now(&gateway.clock)).map(Arc::new);
    key.limits.0.store(Some(Arc::new(Found { configuration: configuration.serial, bindings: bindings.clone() })));
    bindings
}

/// Returns what binds a request of a key, from a peer. `user` is asked only where it matters for whom it is.
pub fn of_request(
    gateway: &Gateway,
    key: &LiveKey,
    configuration: &Configuration,
    peer: IpAddr,
    user: impl FnOnce() -> Option<String>,
) -> Option<Arc<Bindings>> {
    let of_key = of_key(gateway, key, configuration)?;
    if !of_key.is_personal() {
        return Some(of_key);
    }
    let user = user();
    let asker = Asker { user: user.as_deref(), peer };
    let (snapshot, now) = (&configuration.snapshot, now(&gateway.clock));
    Some(Arc::new(of_key.of_request(snapshot, &key.compiled, asker, &gateway.book, now)))
}

/// Returns how a key stands that asks for no model.
pub fn standing(gateway: &Gateway, key: &LiveKey, configuration: &Configuration, peer: IpAddr) -> Option<Standing> {
    let bindings = of_request(gateway, key, configuration, peer, || None)?;
    let bounds = bindings.gate.bounds().iter().chain(bindings.spend.bounds());
    Standing::read(bounds, now(&gateway.clock))
}
