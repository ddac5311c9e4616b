//! Every counter, by what it counts and not by the limit that looks at it: a limit that is renamed, or whose amount or
//! plan changes, finds what was used.

use std::collections::HashMap;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ir::id::ResourceId;

use super::counter::Counter;
use super::rule::{Span, Target};
use super::zone::Zone;
use super::{Meter, Now};

/// Whose use is counted.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Who {
    /// Everybody's in the environment.
    Environment,
    /// That of a team's keys together, by its name.
    Team(Arc<str>),
    /// A key's, which keeps its id when it is renamed; `None` for the built-in key `anonymous`.
    Key(Option<ResourceId>),
    /// A user's, as requests name them.
    User(Arc<str>),
    /// A peer's, by its address; of an IPv6 address the network of 64 bits, which one peer has whole.
    Ip(IpAddr),
}

/// What is counted. Two limits that mean the same look at one counter.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct CounterId {
    /// In which environment.
    pub environment: Arc<str>,
    /// Whose use.
    pub who: Who,
    /// Of what.
    pub meter: Meter,
    /// Over which time.
    pub span: Span,
    /// At which target: a provider by its name, a model by its slug in lower case.
    pub target: Target,
}

/// As many shards as threads that may want a counter at the same time, and more.
const SHARDS: usize = 16;

/// Below this many counters a shard is not worth sweeping.
const FEW: usize = 64;

/// The counters of a process. A counter comes into being when it is first asked for, and is forgotten when nothing is
/// used of it and nobody holds it; that is looked after when a shard has doubled, so that it needs no timer.
#[derive(Debug, Default)]
pub struct Book {
    shards: [Mutex<Shard>; SHARDS],
    hasher: RandomState,
}

#[derive(Debug)]
struct Shard {
    counters: HashMap<CounterId, Entry>,
    sweep_at: usize,
}

#[derive(Debug)]
struct Entry {
    counter: Arc<Counter>,
    /// The zone that its periods begin in.
    zone: Zone,
}

impl Default for Shard {
    fn default() -> Self {
        Self { counters: HashMap::new(), sweep_at: FEW }
    }
}

impl Book {
    /// Returns a counter, new or as it stands. When the time zone of a counter of the calendar is another than before,
    /// what was used in the current period counts in the new one: a change of zone gives no budget back.
    pub fn counter(&self, id: CounterId, zone: &Zone, now: Now) -> Arc<Counter> {
        let mut shard = self.shard(&id);
        if let Some(entry) = shard.counters.get_mut(&id) {
            if matches!(id.span, Span::Day | Span::Month) && entry.zone != *zone {
                let used = entry.counter.read(now).used;
                let counter = Arc::new(Counter::new(id.meter, &zone.window(id.span)));
                counter.restore(used, 0, now);
                *entry = Entry { counter, zone: zone.clone() };
            }
            return Arc::clone(&entry.counter);
        }
        if shard.counters.len() >= shard.sweep_at {
            shard.sweep(now);
        }
        let counter = Arc::new(Counter::new(id.meter, &zone.window(id.span)));
        shard.counters.insert(id, Entry { counter: Arc::clone(&counter), zone: zone.clone() });
        counter
    }

    /// Returns a counter if it is there.
    pub fn find(&self, id: &CounterId) -> Option<Arc<Counter>> {
        self.shard(id).counters.get(id).map(|entry| Arc::clone(&entry.counter))
    }

    /// Forgets every counter that is empty and that nobody holds.
    pub fn sweep(&self, now: Now) {
        self.shards.iter().for_each(|shard| lock(shard).sweep(now));
    }

    /// Returns how many counters there are.
    pub fn len(&self) -> usize {
        self.shards.iter().map(|shard| lock(shard).counters.len()).sum()
    }

    /// Returns whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn shard(&self, id: &CounterId) -> MutexGuard<'_, Shard> {
        let index = self.hasher.hash_one(id) as usize % SHARDS;
        // The index is less than the number of shards.
        lock(self.shards.get(index).unwrap_or(&self.shards[0]))
    }
}

impl Shard {
    /// Nobody can take a counter meanwhile: whoever wants one has to come by here.
    fn sweep(&mut self, now: Now) {
        let stays = |id: &CounterId, entry: &Entry| {
            let held = Arc::strong_count(&entry.counter) > 1;
            held || id.meter == Meter::Credits || entry.counter.read(now).used > 0
        };
        self.counters.retain(|id, entry| stays(id, entry));
        self.sweep_at = (2 * self.counters.len()).max(FEW);
    }
}

/// A thread that panicked here has left a map whose entries are whole.
fn lock(shard: &Mutex<Shard>) -> MutexGuard<'_, Shard> {
    shard.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::limit::Amounts;
    use crate::limit::reservation::{Binding, Bound, Reservation};

    const NOW: Now = Now { monotonic_ms: 1_000_000, unix_ms: 1_795_000_000_000 };

    fn id(who: Who, meter: Meter, span: Span) -> CounterId {
        CounterId { environment: "default".into(), who, meter, span, target: Target::All }
    }

    fn user(number: u64) -> CounterId {
        let name = format!("u{number}");
        id(Who::User(name.into()), Meter::Requests, Span::Rolling(Duration::from_secs(60)))
    }

    fn use_up(counter: &Arc<Counter>, nanos: u64, now: Now) {
        let bound = Bound { counter: Arc::clone(counter), amount: u64::MAX, limit: Arc::default() };
        let amounts = Amounts { nanos, ..Amounts::default() };
        Reservation::take(&Binding::new(vec![bound]), &amounts, now).unwrap().settle(&amounts);
    }

    #[test]
    fn what_means_the_same_is_one_counter() {
        let book = Book::default();
        let zone = Zone::default();
        let one = book.counter(user(1), &zone, NOW);
        assert!(Arc::ptr_eq(&one, &book.counter(user(1), &zone, NOW)));
        let others = [
            user(2),
            CounterId { environment: "beta".into(), ..user(1) },
            CounterId { meter: Meter::Tokens, ..user(1) },
            CounterId { span: Span::Day, ..user(1) },
            CounterId { target: Target::Model("m".into()), ..user(1) },
            CounterId { who: Who::Team("u1".into()), ..user(1) },
        ];
        for other in others {
            assert!(!Arc::ptr_eq(&one, &book.counter(other.clone(), &zone, NOW)), "{other:?}");
        }
        assert_eq!(book.len(), 7);
    }

    #[test]
    fn what_is_empty_and_held_by_nobody_is_forgotten() {
        let book = Book::default();
        let zone = Zone::default();
        let held = book.counter(user(0), &zone, NOW);
        let spent = id(Who::Key(None), Meter::Usd, Span::Rolling(Duration::from_secs(60)));
        use_up(&book.counter(spent.clone(), &zone, NOW), 5, NOW);
        for number in 1..10_000 {
            book.counter(user(number), &zone, NOW);
        }
        assert!(book.len() <= 2 * FEW * SHARDS, "a shard that has doubled is swept: {}", book.len());
        book.sweep(NOW);
        assert_eq!(book.len(), 2);
        assert!(Arc::ptr_eq(&held, &book.find(&user(0)).unwrap()));
        let later = Now { monotonic_ms: NOW.monotonic_ms + 62_000, unix_ms: NOW.unix_ms + 62_000 };
        book.sweep(later);
        assert!(book.find(&spent).is_none(), "its window has passed");
        drop(held);
        book.sweep(later);
        assert!(book.is_empty());
    }

    #[test]
    fn a_change_of_zone_gives_nothing_back() {
        let book = Book::default();
        let month = id(Who::Environment, Meter::Usd, Span::Month);
        let (utc, berlin) = (Zone::default(), Zone::named("Europe/Berlin").unwrap());
        let before = book.counter(month.clone(), &utc, NOW);
        use_up(&before, 70, NOW);
        let after = book.counter(month.clone(), &berlin, NOW);
        assert!(!Arc::ptr_eq(&before, &after));
        assert_eq!(after.read(NOW).used, 70);
        assert_eq!(before.read(NOW).resets_ms.unwrap() - after.read(NOW).resets_ms.unwrap(), 3_600_000);
        let rolling = CounterId { span: Span::Rolling(Duration::from_secs(60)), ..month };
        let before = book.counter(rolling.clone(), &utc, NOW);
        assert!(Arc::ptr_eq(&before, &book.counter(rolling, &berlin, NOW)), "it does not concern rolling windows");
    }
}
