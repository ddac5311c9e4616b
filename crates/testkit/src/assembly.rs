//! The parts of a gateway put together as the binary does it, with a disk and a clock that the test holds.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use catalog::load::Vendors;
use catalog::model::Catalogue;
use control::actor::Actor;
use control::plane::{Plane, open};
use control::refusal::Refusal;
use control::resource::{Draft, Expect, Spec};
use engine::gateway::{Anonymous, Gateway, Options};
use engine::state::{Change, Configuration, State};
use ir::id::ResourceId;
use policy::clock::{Clock, Hands};
use policy::compile::effective::Effective;
use policy::compile::key::{KeyIdentity, compile_key};
use policy::limit::credits::counter_id;
use policy::load::{Written, load_text, read_text};
use policy::snapshot::KeyStatus;
use policy::spec::Entry;
use policy::spec::key::KeySpec;
use policy::spec::oidc::Oidc;
use policy::spec::settings;
use serde_json::Value;
use server::credits::Credits;
use server::events::{address_check, announcing};
use server::idempotency::Keeper;
use server::publish::Publisher;
use server::restore::restore_limits;
use server::totals::key_totals;
use settle::audit::audit_journal;
use settle::drain::Drainer;
use settle::housekeeping::{Housekeeping, Kept, RECORDS_KEPT};
use settle::journal::disk::RealDisk;
use settle::journal::faults::FaultyDisk;
use settle::journal::{Journal, JournalOptions};
use settle::payloads::{CONTENT_KEPT, Queue, Writer};
use settle::tail::Tail;
use store::records::Records;
use store::records::ledger::Account;
use store::records::read::{ListQuery, RecordsReader};
use store::records::record::RequestRecord;
use store::resources::sqlite::SqliteResources;
use store::seal::{MasterKey, generate_secret};

use crate::directory::Directory;
use crate::outcomes::Outcomes;

/// The wall time at which every test starts, Unix milliseconds.
pub const NOW_MS: u64 = 1_795_000_000_000;

/// The master key of every test.
const MASTER: &str = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";

/// How the gateway of a test names itself to providers.
pub const USER_AGENT: &str = "crossway/test";

/// Room for the content of a few requests.
const PAYLOAD_BYTES: usize = 256 << 10;

/// Room for the kept replies of a few requests.
const OUTCOME_BYTES: u64 = 5 << 20;

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
    /// The OpenID provider.
    pub oidc: Option<Oidc>,
    /// Where people reach the admin side.
    pub public_url: Option<String>,
    /// Whether webhooks may have private addresses.
    pub webhooks_private: bool,
    /// Where everything is.
    pub directory: Directory,
    /// What environments may still spend.
    pub credits: Arc<Credits>,
    /// New records, for those who watch.
    pub tail: Tail,
    /// What became of requests that may be sent twice, and how that store is.
    pub outcomes: Arc<Outcomes>,
    drainer: Mutex<Drainer>,
    payloads: Mutex<Writer>,
    drained: AtomicUsize,
    environments: Mutex<Vec<String>>,
}

impl Assembly {
    /// Puts a gateway together from the text of a `crossway.toml`.
    pub fn new(config: &str) -> Self {
        Self::open(config, Directory::new(), NOW_MS, None)
    }

    /// The same, with a control database that may grow by so many pages: then the disk is full.
    pub fn with_control_pages(config: &str, pages: u32) -> Self {
        Self::open(config, Directory::new(), NOW_MS, Some(pages))
    }

    /// Puts a gateway together that starts after this one was killed at this moment, so much later. This one lives on.
    pub fn restarted(&self, config: &str, after: Duration) -> Self {
        let after = u64::try_from(after.as_millis()).expect("a time");
        Self::open(config, self.directory.copy(), self.core.clock.unix_ms() + after, None)
    }

    fn open(config: &str, directory: Directory, unix_ms: u64, control_pages: Option<u32>) -> Self {
        let written = written(config);
        let (clock, hands) = Clock::manual(unix_ms);
        let master = MasterKey::load_or_create(&directory.0, Some(MASTER)).expect("a master key");
        let store = SqliteResources::open(&directory.0).expect("a control database");
        if let Some(pages) = control_pages {
            store.leave_room_for(pages).expect("a control database");
        }
        let mut records = Records::open(&directory.0).expect("a records database");
        let disk = FaultyDisk::new(Arc::new(RealDisk));
        let options = JournalOptions { segment_bytes: SEGMENT_BYTES, ..JournalOptions::default() };
        let (journal, recovery) =
            Journal::open(&directory.0, Arc::new(disk.clone()), options, clock.clone()).expect("a journal");
        recovery.recover(&mut records).expect("nothing to recover");
        let tail = Tail::default();
        let kept = || vec![Kept { environment: "default".to_owned(), records: RECORDS_KEPT }];
        let options = Options {
            body_limit: usize::try_from(written.settings.request_body_limit_bytes).expect("a limit"),
            anonymous: match written.settings.anonymous {
                settings::Anonymous::Off => Anonymous::Off,
                settings::Anonymous::Loopback => Anonymous::Loopback,
                settings::Anonymous::All => Anonymous::All,
            },
            fetch_private: written.settings.fetch_private,
            trusted_proxies: written.settings.trusted_proxies.clone(),
            ..Options::default()
        };
        let hashing = MasterKey::load_or_create(&directory.0, Some(MASTER)).expect("a master key");
        let outcomes = Keeper::with_room(directory.0.clone(), hashing.results(), clock.clone(), OUTCOME_BYTES);
        let outcomes = Arc::new(Outcomes::new(outcomes));
        let hasher = Box::new(move |secret: &str| hashing.key_hash(secret));
        let core = Arc::new(Gateway::new(State::default(), hasher, clock.clone(), options));
        assert!(core.outcomes.set(Arc::clone(&outcomes) as _).is_ok(), "it is set once");
        let drainer = Drainer::new(Arc::clone(&journal), records, clock.clone())
            .with_tail(tail.clone())
            .with_announcing(announcing(&core))
            .with_housekeeping(Housekeeping::new(Box::new(kept)));
        let plane = Plane::open(open::Options {
            store: Box::new(store),
            master,
            vendors: Arc::new(Vendors::builtin()),
            catalogue: Arc::new(Catalogue::builtin()),
            written: written.specs,
            stand_in: written.stand_in,
            publish: Arc::new(Publisher::new(Arc::clone(&core), USER_AGENT)),
            clock: clock.clone(),
            key_totals: Some(key_totals(directory.0.clone())),
            addresses: address_check(written.settings.webhooks_private),
        });
        let plane = Arc::new(plane.expect("a control plane"));
        restore_limits(&core, &directory.0).expect("limits are restored");
        let credits = Arc::new(Credits::restore(&core, &directory.0).expect("a ledger"));
        let queue = Arc::new(Queue::with_room(PAYLOAD_BYTES));
        let content = || vec![("default".to_owned(), CONTENT_KEPT)];
        let writer = Writer::new(Arc::clone(&queue), directory.0.clone(), Box::new(content), clock);
        assert!(core.payloads.set(queue).is_ok(), "it is set once");
        let (drainer, payloads) = (Mutex::new(drainer), Mutex::new(writer));
        let environments = Mutex::new(vec!["default".to_owned()]);
        let (oidc, public_url) = (written.settings.oidc, written.settings.public_url);
        let webhooks_private = written.settings.webhooks_private;
        Self {
            core,
            plane,
            settings: written.effective,
            oidc,
            public_url,
            webhooks_private,
            journal,
            disk,
            hands,
            directory,
            credits,
            tail,
            outcomes,
            drainer,
            payloads,
            drained: AtomicUsize::new(0),
            environments,
        }
    }

    /// Creates an API key, puts it into effect and returns its secret.
    pub fn create_key(&self, name: &str, spec: KeySpec) -> String {
        self.create_key_in("default", name, spec)
    }

    /// Creates an API key of an environment, puts it into effect and returns its secret. One that the control plane
    /// refuses is put into effect as if it had become faulty later.
    pub fn create_key_in(&self, environment: &str, name: &str, written: KeySpec) -> String {
        let Ok(Value::Object(mut spec)) = serde_json::to_value(&written) else { panic!("a spec is an object") };
        spec.retain(|_, value| !value.is_null());
        if let Some(team) = spec.get("team").and_then(Value::as_str) {
            let draft = Draft { name: Some(team.to_owned()), spec: Spec::new() };
            // It may be there already.
            let _ = self.plane.create(&Actor::local("test"), environment, "teams", draft);
        }
        let draft = Draft { name: Some(name.to_owned()), spec };
        match self.plane.create(&Actor::local("test"), environment, "keys", draft) {
            Ok(created) => created.secret.expect("a key has a secret").expose().to_owned(),
            Err(Refusal::Invalid(_) | Refusal::NotFound(_)) => self.put_faulty_key(environment, name, &written),
            Err(other) => panic!("{other}"),
        }
    }

    /// Puts a key into effect that nobody could create: a stored one may have become faulty, when a model is gone, say.
    fn put_faulty_key(&self, environment: &str, name: &str, spec: &KeySpec) -> String {
        let secret = generate_secret().expect("a secret");
        let entry = Entry { name: name.to_owned(), spec: spec.clone(), ..Entry::default() };
        let identity = KeyIdentity {
            id: ResourceId::new(NOW_MS),
            environment: environment.into(),
            status: KeyStatus::Active,
            now_unix_ms: 0,
        };
        let (key, _) = compile_key(&entry, identity, None);
        self.core.update(vec![Change::Key { key, secrets: vec![(self.core.hash(secret.expose()), None)] }]);
        secret.expose().to_owned()
    }

    /// Puts an environment into effect: what the text of a `crossway.toml` says, under another name.
    pub fn put_environment(&self, name: &str, id: Option<ResourceId>, config: &str) {
        let mut environments = self.environments.lock().expect("the environments");
        if !environments.iter().any(|known| known == name) {
            environments.push(name.to_owned());
            let draft = Draft { name: Some(name.to_owned()), spec: Spec::new() };
            self.plane.create(&Actor::local("test"), "", "environments", draft).expect("a new environment");
        }
        let loaded = load_text("crossway.toml", config, &|_| None, false).expect("a configuration");
        let mut snapshot = loaded.snapshot;
        snapshot.environment.name = name.into();
        snapshot.environment.id = id;
        let configuration = Configuration::new(snapshot, USER_AGENT);
        self.core.update(vec![Change::Environment(Arc::new(configuration))]);
    }

    /// Changes the secrets of a key, which one of them names: each with the instant from which on it is refused.
    pub fn rotate(&self, secret: &str, secrets: &[(&str, Option<u64>)]) {
        let state = self.core.state();
        let slot = state.keys.get(&self.core.hash(secret)).expect("a key");
        let secrets = secrets.iter().map(|(secret, until)| (self.core.hash(secret), *until)).collect();
        self.core.update(vec![Change::Key { key: slot.key.compiled.clone(), secrets }]);
    }

    /// Revokes a key and puts that into effect.
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
        let records = self.recorded();
        let drained = self.drained.load(Ordering::Relaxed);
        assert_eq!(drained, expected, "the journal holds one settlement for each admitted request");
        assert_eq!(records.len(), expected, "one record for each admitted request: {records:#?}");
        records
    }

    /// As [`Assembly::records`], where nobody knows how many requests were admitted.
    pub fn recorded(&self) -> Vec<RequestRecord> {
        assert_eq!(self.core.held.now(), (0, 0, 0), "what requests held is given back");
        assert_eq!(self.journal.lost_permits(), 0, "no permit is lost");
        self.journal.tick();
        let mut drainer = self.drainer.lock().expect("the drainer");
        let report = drainer.drain_once().expect("the records take it");
        let drained = self.drained.fetch_add(report.settlements, Ordering::Relaxed) + report.settlements;
        let again = drainer.drain_once().expect("the records take it");
        assert_eq!(again.settlements, 0, "nothing is delivered twice");
        drainer.keep_house().expect("the records are kept in order");
        self.payloads.lock().expect("the payloads").turn().expect("the payloads take it");
        self.verify_ledger();
        let records = self.read(&self.directory);
        assert_eq!(records.len(), drained, "one record for each settlement");
        records
    }

    /// Commits what the journal holds, whatever is in flight.
    pub fn drain(&self) {
        let report = self.drainer.lock().expect("the drainer").drain_once().expect("the records take it");
        self.drained.fetch_add(report.settlements, Ordering::Relaxed);
    }

    /// Checks that the ledger balances and matches the records, and that what the counters say is what it says: nothing
    /// is in flight.
    fn verify_ledger(&self) {
        let reader = audit(&self.directory);
        self.credits.catch_up().expect("the ledger can be read");
        for environment in self.environments.lock().expect("the environments").iter() {
            let id = counter_id(&environment.as_str().into());
            if let Some(counter) = self.core.book.find(&id) {
                let balance = reader.ledger_accounts(environment).expect("accounts").of(Account::Credits);
                assert_eq!(counter.available(), balance, "counter and ledger of {environment}");
            }
        }
    }

    /// Returns the records, oldest first, that a process finds which starts after this one was killed at this moment.
    pub fn after_a_kill(&self) -> Vec<RequestRecord> {
        let copy = self.directory.copy();
        let mut records = Records::open(&copy.0).expect("a records database");
        let options = JournalOptions { segment_bytes: SEGMENT_BYTES, ..JournalOptions::default() };
        let (clock, _) = Clock::manual(NOW_MS);
        let (_journal, recovery) = Journal::open(&copy.0, Arc::new(RealDisk), options, clock).expect("a journal");
        recovery.recover(&mut records).expect("the journal is recovered");
        audit(&copy);
        self.read(&copy)
    }

    /// Returns every record of every environment, oldest first.
    fn read(&self, directory: &Directory) -> Vec<RequestRecord> {
        let environments = self.environments.lock().expect("the environments");
        let mut all: Vec<RequestRecord> =
            environments.iter().flat_map(|environment| read(directory, environment)).collect();
        if environments.len() > 1 {
            all.sort_by_key(|record| record.id);
        }
        all
    }
}

fn written(config: &str) -> Written {
    read_text("crossway.toml", config, &|_| None, false).unwrap_or_else(|problems| {
        panic!("{}", problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))
    })
}

/// Checks that the ledger has no fault, nothing of the journal missing included.
fn audit(directory: &Directory) -> RecordsReader {
    let reader = RecordsReader::open(&directory.0).expect("a reader");
    let mut audit = reader.audit().expect("an audit");
    audit.tables().expect("the tables can be read");
    audit_journal(&RealDisk, &directory.0, &mut audit).expect("the journal can be read");
    assert_eq!(audit.verdict().named, Vec::<String>::new(), "the ledger has no fault");
    reader
}

/// Returns every record of an environment, oldest first.
fn read(directory: &Directory, environment: &str) -> Vec<RequestRecord> {
    let reader = RecordsReader::open(&directory.0).expect("a reader");
    let mut query = ListQuery { environment: environment.into(), limit: Some(200), ..ListQuery::default() };
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
