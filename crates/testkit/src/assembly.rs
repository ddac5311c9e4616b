//! The parts of a gateway put together as the binary does it, with a disk and a clock that the test holds.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use catalog::load::Vendors;
use catalog::model::Catalogue;
use control::actor::Actor;
use control::plane::{Plane, open};
use control::resource::{Draft, Expect};
use engine::gateway::{Anonymous, Gateway, Options};
use engine::state::State;
use policy::clock::{Clock, Hands};
use policy::compile::effective::Effective;
use policy::load::read_text;
use policy::spec::key::KeySpec;
use policy::spec::settings;
use server::publish::Publisher;
use server::totals::key_totals;
use settle::drain::Drainer;
use settle::housekeeping::{Housekeeping, Kept, RECORDS_KEPT};
use settle::journal::disk::RealDisk;
use settle::journal::faults::FaultyDisk;
use settle::journal::{Journal, JournalOptions};
use settle::payloads::{CONTENT_KEPT, Queue, Writer};
use settle::tail::Tail;
use store::records::Records;
use store::records::read::{ListQuery, RecordsReader};
use store::records::record::RequestRecord;
use store::resources::sqlite::SqliteResources;
use store::seal::MasterKey;

use crate::directory::Directory;

/// The wall time at which every test starts, Unix milliseconds.
pub const NOW_MS: u64 = 1_795_000_000_000;

/// The master key of every test.
const MASTER: &str = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";

/// How the gateway of a test names itself to providers.
pub const USER_AGENT: &str = "crossway/test";

/// Room for the content of a few requests.
const PAYLOAD_BYTES: usize = 256 << 10;

/// Room for some thirty requests.
const SEGMENT_BYTES: u64 = 256 << 10;

/// The parts of a gateway.
pub struct Assembly {
    /// The shared part of the data plane.
    pub core: Arc<Gateway>,
    /// The journal. Nothing runs in the background: [`Journal::tick`] is called by hand.
    pub journal: Arc<Journal>,
    /// The disk below the journal.
    pub disk: FaultyDisk,
    /// The hands of the clock.
    pub hands: Arc<Hands>,
    /// The control plane, on a database of its own.
    pub plane: Arc<Plane>,
    /// The settings of the process, for people.
    pub settings: Vec<Effective>,
    /// Where everything is.
    pub directory: Directory,
    /// New records, for those who watch.
    pub tail: Tail,
    drainer: Mutex<Drainer>,
    payloads: Mutex<Writer>,
    drained: AtomicUsize,
}

impl Assembly {
    /// Puts a gateway together from the text of a `crossway.toml`.
    pub fn new(config: &str) -> Self {
        let loaded = read_text("crossway.toml", config, &|_| None, false).unwrap_or_else(|problems| {
            panic!("{}", problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))
        });
        let directory = Directory::new();
        let (clock, hands) = Clock::manual(NOW_MS);
        let master = MasterKey::load_or_create(&directory.0, Some(MASTER)).expect("a master key");
        let store = SqliteResources::open(&directory.0).expect("a control database");
        let mut records = Records::open(&directory.0).expect("a records database");
        let disk = FaultyDisk::new(Arc::new(RealDisk));
        let options = JournalOptions { segment_bytes: SEGMENT_BYTES, ..JournalOptions::default() };
        let (journal, recovery) =
            Journal::open(&directory.0, Arc::new(disk.clone()), options, clock.clone()).expect("a journal");
        recovery.recover(&mut records).expect("nothing to recover");
        let tail = Tail::default();
        let kept = || vec![Kept { environment: "default".to_owned(), records: RECORDS_KEPT }];
        let drainer = Drainer::new(Arc::clone(&journal), records, clock.clone())
            .with_tail(tail.clone())
            .with_housekeeping(Housekeeping::new(Box::new(kept)));
        let options = Options {
            body_limit: usize::try_from(loaded.settings.request_body_limit_bytes).expect("a limit"),
            anonymous: match loaded.settings.anonymous {
                settings::Anonymous::Off => Anonymous::Off,
                settings::Anonymous::Loopback => Anonymous::Loopback,
                settings::Anonymous::All => Anonymous::All,
            },
            fetch_private: loaded.settings.fetch_private,
            ..Options::default()
        };
        let hashing = MasterKey::load_or_create(&directory.0, Some(MASTER)).expect("a master key");
        let hasher = Box::new(move |secret: &str| hashing.key_hash(secret));
        let core = Arc::new(Gateway::new(State::default(), hasher, clock.clone(), options));
        let plane = Plane::open(open::Options {
            store: Box::new(store),
            master,
            vendors: Arc::new(Vendors::builtin()),
            catalogue: Arc::new(Catalogue::builtin()),
            written: loaded.specs,
            stand_in: loaded.stand_in,
            publish: Arc::new(Publisher::new(Arc::clone(&core), USER_AGENT)),
            clock: clock.clone(),
            key_totals: Some(key_totals(directory.0.clone())),
        });
        let plane = Arc::new(plane.expect("a control plane"));
        let (settings, drainer) = (loaded.effective, Mutex::new(drainer));
        let queue = Arc::new(Queue::with_room(PAYLOAD_BYTES));
        let content = || vec![("default".to_owned(), CONTENT_KEPT)];
        let writer = Writer::new(Arc::clone(&queue), directory.0.clone(), Box::new(content), clock);
        assert!(core.payloads.set(queue).is_ok(), "it is set once");
        let (payloads, drained) = (Mutex::new(writer), AtomicUsize::new(0));
        Self { core, plane, settings, journal, disk, hands, directory, tail, drainer, payloads, drained }
    }

    /// Creates an API key, which is in effect at once, and returns its secret.
    pub fn create_key(&self, name: &str, spec: KeySpec) -> String {
        let Ok(serde_json::Value::Object(mut spec)) = serde_json::to_value(spec) else { panic!("a spec is an object") };
        spec.retain(|_, value| !value.is_null());
        let draft = Draft { name: Some(name.to_owned()), spec };
        let created = self.plane.create(&Actor::local("test"), "default", "keys", draft).expect("a new key");
        created.secret.expect("a key has a secret").expose().to_owned()
    }

    /// Revokes a key, which is in effect at once.
    pub fn revoke_key(&self, name: &str) {
        self.plane.revoke_key(&Actor::local("test"), "default", name, Expect::Any).expect("a key to revoke");
    }

    /// Waits until nothing is in flight, in the time of the runtime.
    pub async fn quiet(&self) {
        for _ in 0..100_000 {
            if self.core.held.now().0 == 0 {
                return;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("a request never ends");
    }

    /// Commits what the journal holds and returns every record, oldest first, after checking what must hold when
    /// nothing is in flight: exactly one settlement for each of the `expected` requests, nothing held, no permit lost.
    pub fn records(&self, expected: usize) -> Vec<RequestRecord> {
        assert_eq!(self.core.held.now(), (0, 0, 0), "what requests held is given back");
        assert_eq!(self.journal.lost_permits(), 0, "no permit is lost");
        self.journal.tick();
        let mut drainer = self.drainer.lock().expect("the drainer");
        let report = drainer.drain_once().expect("the records take it");
        let drained = self.drained.fetch_add(report.settlements, Ordering::Relaxed) + report.settlements;
        assert_eq!(drained, expected, "the journal holds one settlement for each admitted request");
        let again = drainer.drain_once().expect("the records take it");
        assert_eq!(again.settlements, 0, "nothing is delivered twice");
        drainer.keep_house().expect("the records are kept in order");
        self.payloads.lock().expect("the payloads").turn().expect("the payloads take it");
        let records = read(&self.directory);
        assert_eq!(records.len(), expected, "one record for each admitted request: {records:#?}");
        records
    }

    /// Returns the records, oldest first, that a process finds which starts after this one was killed at this moment.
    pub fn after_a_kill(&self) -> Vec<RequestRecord> {
        let copy = self.directory.copy();
        let mut records = Records::open(&copy.0).expect("a records database");
        let options = JournalOptions { segment_bytes: SEGMENT_BYTES, ..JournalOptions::default() };
        let (clock, _) = Clock::manual(NOW_MS);
        let (_journal, recovery) = Journal::open(&copy.0, Arc::new(RealDisk), options, clock).expect("a journal");
        recovery.recover(&mut records).expect("the journal is recovered");
        read(&copy)
    }
}

/// Returns every record, oldest first.
fn read(directory: &Directory) -> Vec<RequestRecord> {
    let reader = RecordsReader::open(&directory.0).expect("a reader");
    let mut query = ListQuery { environment: "default".into(), limit: Some(200), ..ListQuery::default() };
    let mut all = Vec::new();
    loop {
        let page = reader.list(&query).expect("a page");
        all.extend(page.data);
        query.cursor = page.next_cursor;
        if query.cursor.is_none() {
            all.reverse();
            return all;
        }
    }
}
