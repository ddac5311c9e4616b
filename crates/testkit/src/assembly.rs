//! The parts of a gateway put together as the binary does it, with a disk and a clock that the test holds.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use engine::gateway::{Anonymous, Gateway, Options};
use engine::state::{Change, Configuration, State};
use policy::clock::{Clock, Hands};
use policy::load::load_text;
use policy::snapshot::CompiledKey;
use policy::spec::key::KeySpec;
use policy::spec::settings;
use settle::drain::Drainer;
use settle::journal::disk::RealDisk;
use settle::journal::faults::FaultyDisk;
use settle::journal::{Journal, JournalOptions};
use store::records::Records;
use store::records::read::{ListQuery, RecordsReader};
use store::records::record::RequestRecord;
use store::resources::Control;
use store::seal::MasterKey;

use crate::directory::Directory;

/// The wall time at which every test starts, Unix milliseconds.
pub const NOW_MS: u64 = 1_795_000_000_000;

/// The master key of every test.
const MASTER: &str = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";

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
    /// The control database.
    pub control: Mutex<Control>,
    /// Where everything is.
    pub directory: Directory,
    master: MasterKey,
    drainer: Mutex<Drainer>,
    drained: AtomicUsize,
}

impl Assembly {
    /// Puts a gateway together from the text of a `crossway.toml`.
    pub fn new(config: &str) -> Self {
        let loaded = load_text("crossway.toml", config, &|_| None, false).unwrap_or_else(|problems| {
            panic!("{}", problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))
        });
        let directory = Directory::new();
        let (clock, hands) = Clock::manual(NOW_MS);
        let master = MasterKey::load_or_create(&directory.0, Some(MASTER)).expect("a master key");
        let control = Control::open(&directory.0).expect("a control database");
        let mut records = Records::open(&directory.0).expect("a records database");
        let disk = FaultyDisk::new(Arc::new(RealDisk));
        let options = JournalOptions { segment_bytes: SEGMENT_BYTES, ..JournalOptions::default() };
        let (journal, recovery) =
            Journal::open(&directory.0, Arc::new(disk.clone()), options, clock.clone()).expect("a journal");
        recovery.recover(&mut records).expect("nothing to recover");
        let drainer = Drainer::new(Arc::clone(&journal), records, clock.clone());
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
        let configuration = Arc::new(Configuration::new(loaded.snapshot, "crossway/test"));
        let state = State::default().with([Change::Environment(configuration)]);
        let hashing = MasterKey::load_or_create(&directory.0, Some(MASTER)).expect("a master key");
        let hasher = Box::new(move |secret: &str| hashing.key_hash(secret));
        let core = Arc::new(Gateway::new(state, hasher, clock, options));
        let (control, drainer) = (Mutex::new(control), Mutex::new(drainer));
        Self { core, journal, disk, hands, control, directory, master, drainer, drained: AtomicUsize::new(0) }
    }

    /// Creates an API key, puts it into effect and returns its secret.
    pub fn create_key(&self, name: &str, spec: KeySpec) -> String {
        let control = self.control.lock().expect("the control database");
        let created = control.create_key("default", name, spec, &self.master, NOW_MS).expect("a new key");
        self.put_keys_into_effect(control.all_keys_compiled().expect("the keys"));
        created.1.expose().to_owned()
    }

    /// Revokes a key and puts that into effect.
    pub fn revoke_key(&self, name: &str) {
        let control = self.control.lock().expect("the control database");
        control.revoke_key("default", name, NOW_MS).expect("a key to revoke");
        self.put_keys_into_effect(control.all_keys_compiled().expect("the keys"));
    }

    fn put_keys_into_effect(&self, keys: Vec<([u8; 32], CompiledKey)>) {
        let keys = keys.into_iter().map(|(hash, key)| (key, vec![(hash, None)])).collect();
        self.core.update(self.core.state().changes_to(keys));
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
