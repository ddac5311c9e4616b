//! Every counter, by what it counts and not by the limit that looks at it: a limit that is renamed, or whose amount or
//! plan changes, finds what was used.
//!
//! Anybody with a key can name users and buckets without end, so only so many of them are told apart at a time. Those that
//! there is no room for are counted in crowds: a few counters that each stand for all whose digests end alike. A crowd only
//! ever refuses sooner. Whoever was counted in a crowd stays there until nothing is used of it, so that nobody gets a fresh
//! count by moving out.

use std::collections::HashMap;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ir::id::ResourceId;
use ir::settlement::{Party, PartyKind};

use super::counter::Counter;
use super::party::Called;
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
    /// A user's, an address's or a bucket's.
    Party(Party),
    /// That of all those of a kind that there is no room to tell apart, and whose digests end alike.
    Crowd(PartyKind, u8),
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

/// How many counters of users, addresses and buckets there are at most: some 100 MB where all of them are of rolling windows.
pub const PARTIES: usize = 131_072;

/// How many crowds a shard has for each limit at most.
const CROWDS: u8 = 64;

/// How often a shard that is full is swept at most, in milliseconds: whoever fills it must not make everybody wait.
const SWEEP_MS: u64 = 1_000;

/// The counters of a process. A counter comes into being when it is first asked for, and is forgotten when nothing is
/// used of it and nobody holds it; that is looked after when a shard has doubled, so that it needs no timer.
#[derive(Debug)]
pub struct Book {
    shards: [Mutex<Shard>; SHARDS],
    hasher: RandomState,
    /// How many counters of parties a shard has at most.
    room: usize,
}

#[derive(Debug)]
struct Shard {
    counters: HashMap<CounterId, Entry>,
    sweep_at: usize,
    /// How many counters are of parties.
    parties: usize,
    /// When it was swept because it was full, by the monotonic clock.
    swept_ms: Option<u64>,
}

#[derive(Debug)]
struct Entry {
    counter: Arc<Counter>,
    /// The zone that its periods begin in.
    zone: Zone,
    /// Who it is, where somebody has said so since the process began. It is never written anywhere from here.
    name: Option<Box<str>>,
}

impl Default for Shard {
    fn default() -> Self {
        Self { counters: HashMap::new(), sweep_at: FEW, parties: 0, swept_ms: None }
    }
}

impl Default for Book {
    fn default() -> Self {
        Self::with_room(PARTIES)
    }
}

impl Book {
    /// Returns a book that tells so many users, addresses and buckets apart, and at least one in each shard.
    pub fn with_room(parties: usize) -> Self {
        Self { shards: Default::default(), hasher: RandomState::new(), room: (parties / SHARDS).max(1) }
    }

    /// Returns a counter, new or as it stands. When the time zone of a counter of the calendar is another than before,
    /// what was used in the current period counts in the new one: a change of zone gives no budget back.
    pub fn counter(&self, id: CounterId, zone: &Zone, now: Now) -> Arc<Counter> {
        self.counter_of(id, None, zone, now)
    }

    /// Returns a counter as [`Self::counter`] does, and remembers who it is as long as it lives.
    pub fn counter_of(&self, id: CounterId, called: Option<Called<'_>>, zone: &Zone, now: Now) -> Arc<Counter> {
        let mut shard = self.shard(&id);
        let id = shard.place(id, self.room, now);
        // A crowd is nobody in particular.
        let called = called.filter(|_| matches!(id.who, Who::Party(_)));
        if let Some(entry) = shard.counters.get_mut(&id) {
            if let (None, Some(called)) = (&entry.name, called) {
                entry.name = Some(called.to_string().into());
            }
            if matches!(id.span, Span::Day | Span::Month | Span::BillingPeriod) && entry.zone != *zone {
                let used = entry.counter.read(now).used;
                let counter = Arc::new(Counter::new(id.meter, &zone.window(id.span)));
                counter.restore(used, 0, now);
                (entry.counter, entry.zone) = (counter, zone.clone());
            }
            return Arc::clone(&entry.counter);
        }
        if shard.counters.len() >= shard.sweep_at {
            shard.sweep(now);
        }
        let counter = Arc::new(Counter::new(id.meter, &zone.window(id.span)));
        shard.parties += usize::from(matches!(id.who, Who::Party(_)));
        let name = called.map(|called| called.to_string().into());
        shard.counters.insert(id, Entry { counter: Arc::clone(&counter), zone: zone.clone(), name });
        counter
    }

    /// Returns who a counter of a user, an address or a bucket is of, as requests have named it since the process began.
    pub fn name(&self, id: &CounterId) -> Option<Box<str>> {
        self.shard(id).counters.get(id)?.name.clone()
    }

    /// Returns a counter if it is there.
    pub fn find(&self, id: &CounterId) -> Option<Arc<Counter>> {
        self.shard(id).counters.get(id).map(|entry| Arc::clone(&entry.counter))
    }

    /// Returns the counters that somebody wants to look at. Each shard is locked for as long as it takes to ask that.
    pub fn which(&self, wanted: &dyn Fn(&CounterId) -> bool) -> Vec<(CounterId, Arc<Counter>)> {
        let mut found = Vec::new();
        for shard in &self.shards {
            let shard = lock(shard);
            let counters = shard.counters.iter().filter(|(id, _)| wanted(id));
            found.extend(counters.map(|(id, entry)| (id.clone(), Arc::clone(&entry.counter))));
        }
        found
    }

    /// Forgets every counter but those of credits, which are not restored with the others. Only for when nothing was asked
    /// yet: who holds one goes on with it alone.
    pub fn clear(&self) {
        for shard in &self.shards {
            let mut shard = lock(shard);
            shard.counters.retain(|id, _| id.meter == Meter::Credits);
            (shard.sweep_at, shard.parties, shard.swept_ms) = (FEW, 0, None);
        }
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
        self.counters.retain(|id, entry| id.meter == Meter::Credits || entry.is_busy(now));
        self.sweep_at = (2 * self.counters.len()).max(FEW);
        self.parties = self.counters.keys().filter(|id| matches!(id.who, Who::Party(_))).count();
    }

    /// Returns where something is counted: a party that is new is counted in its crowd while anything is used of that, and
    /// when there is no room.
    fn place(&mut self, id: CounterId, room: usize, now: Now) -> CounterId {
        let Who::Party(party) = id.who else { return id };
        if self.counters.contains_key(&id) {
            return id;
        }
        let last = party.digest.last().copied().unwrap_or_default();
        let crowd = CounterId { who: Who::Crowd(party.kind, last % CROWDS), ..id.clone() };
        if self.counters.get(&crowd).is_some_and(|entry| entry.is_busy(now)) {
            return crowd;
        }
        let due = self.swept_ms.is_none_or(|swept| now.monotonic_ms >= swept.saturating_add(SWEEP_MS));
        if self.parties >= room && due {
            self.swept_ms = Some(now.monotonic_ms);
            self.sweep(now);
        }
        if self.parties >= room { crowd } else { id }
    }
}

impl Entry {
    /// Whether anything is used of it, or somebody may be about to use it.
    fn is_busy(&self, now: Now) -> bool {
        Arc::strong_count(&self.counter) > 1 || self.counter.read(now).used > 0
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
    use crate::limit::reservation::{Binding, Bound, Reservation};
    use crate::limit::{Amounts, party};

    const NOW: Now = Now { monotonic_ms: 1_000_000, unix_ms: 1_795_000_000_000 };

    fn id(who: Who, meter: Meter, span: Span) -> CounterId {
        CounterId { environment: "default".into(), who, meter, span, target: Target::All }
    }

    fn user(number: u64) -> CounterId {
        id(Who::Party(party::user(&format!("u{number}"))), Meter::Requests, Span::Rolling(Duration::from_secs(60)))
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

    #[test]
    fn who_it_is_is_known_as_long_as_it_counts() {
        let (book, zone) = (Book::with_room(SHARDS), Zone::default());
        let counter = book.counter(user(1), &zone, NOW);
        assert_eq!(book.name(&user(1)), None, "restored, and nobody has said it");
        let named = book.counter_of(user(1), Some(Called::User("u1")), &zone, NOW);
        assert!(Arc::ptr_eq(&counter, &named));
        book.counter_of(user(1), Some(Called::User("again")), &zone, NOW);
        assert_eq!(book.name(&user(1)).as_deref(), Some("u1"));
        // Those that there is no room for are in crowds, which have no name.
        let many: Vec<_> =
            (2..400).map(|number| book.counter_of(user(number), Some(Called::User("somebody")), &zone, NOW)).collect();
        let crowds = book.which(&|id| matches!(id.who, Who::Crowd(..)));
        assert!(!crowds.is_empty() && crowds.iter().all(|(id, _)| book.name(id).is_none()));
        drop((counter, named, many));
        book.sweep(NOW);
        assert_eq!(book.name(&user(1)), None, "forgotten with its counter");
        let month = CounterId { span: Span::Month, ..user(1) };
        use_up(&book.counter_of(month.clone(), Some(Called::User("u1")), &zone, NOW), 1, NOW);
        book.counter(month.clone(), &Zone::named("Europe/Berlin").unwrap(), NOW);
        assert_eq!(book.name(&month).as_deref(), Some("u1"), "another zone, the same user");
    }

    fn ask(counter: &Arc<Counter>, amount: u64, now: Now) -> bool {
        let bound = Bound { counter: Arc::clone(counter), amount, limit: Arc::default() };
        let taken = Reservation::take(&Binding::new(vec![bound]), &Amounts::default(), now);
        taken.map(|taken| taken.settle(&Amounts::default())).is_ok()
    }

    #[test]
    fn nobody_makes_it_grow() {
        let (book, zone) = (Book::with_room(64), Zone::default());
        for number in 0..20_000 {
            ask(&book.counter(user(number), &zone, NOW), 5, NOW);
        }
        assert!(book.len() <= 64 + SHARDS * usize::from(CROWDS), "{}", book.len());
        // Who was counted before goes on as before, who comes now shares.
        let known = (0..20_000).filter(|number| book.find(&user(*number)).is_some()).count();
        assert_eq!(known, 64);
        let later = Now { monotonic_ms: NOW.monotonic_ms + 62_000, unix_ms: NOW.unix_ms + 62_000 };
        assert!(ask(&book.counter(user(30_000), &zone, later), 5, later));
        assert!(book.find(&user(30_000)).is_some(), "there is room again");
    }

    proptest::proptest! {
        #![proptest_config(proptest::prelude::ProptestConfig::with_cases(300))]

        /// However full it is, and whoever comes and goes, nobody has more than the limit in any window.
        #[test]
        fn nobody_gets_more_by_being_many(
            room in 1..40_usize,
            amount in 1..4_u64,
            steps in proptest::collection::vec((0..60_u64, 0..9_000_u64), 1..600),
        ) {
            let (book, zone) = (Book::with_room(room), Zone::default());
            let (mut now, mut admitted) = (NOW, HashMap::<u64, Vec<u64>>::new());
            for (number, wait_ms) in steps {
                now = Now { monotonic_ms: now.monotonic_ms + wait_ms, unix_ms: now.unix_ms + wait_ms };
                if ask(&book.counter(user(number), &zone, now), amount, now) {
                    let times = admitted.entry(number).or_default();
                    times.push(now.monotonic_ms);
                    let within = times.iter().filter(|at| **at + 60_000 > now.monotonic_ms).count() as u64;
                    proptest::prop_assert!(within <= amount, "{within} of {amount}");
                }
            }
        }
    }
}
