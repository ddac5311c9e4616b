//! A hundred thousand keys in the control plane: how long it takes to open, until a change is in effect, and how much
//! memory the process has. `cargo run --release -p server --example control_keys [COUNT]`
#![expect(clippy::print_stdout, clippy::expect_used, reason = "a measurement that a person runs")]

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use catalog::load::Vendors;
use catalog::model::Catalogue;
use control::actor::Actor;
use control::plane::{Plane, open};
use control::publish::Publish;
use control::resource::{Draft, Expect, ListQuery, Spec};
use engine::gateway::{Gateway, Options};
use engine::state::State;
use ir::id::ResourceId;
use policy::clock::Clock;
use policy::load::read_text;
use policy::snapshot::KeyStatus;
use server::publish::Publisher;
use store::resources::row::{Labels, Row, SecretRow};
use store::resources::sqlite::SqliteResources;
use store::resources::{ResourceReader, ResourceStore};
use store::seal::MasterKey;

const MASTER: &str = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";

fn main() {
    let count: u32 = std::env::args().nth(1).and_then(|count| count.parse().ok()).unwrap_or(100_000);
    let path = std::env::temp_dir().join(format!("crossway-control-keys-{}", ResourceId::new(1)));
    let clock = Clock::system();
    let mut steps = Steps { clock: clock.clone(), began: clock.now(), cpu_ms: cpu_ms() };
    println!("{:<44} {:>9} {:>9} {:>9}", "step", "ms", "CPU ms", "RSS MiB");
    drop(plane(&path, &clock));
    steps.done("an empty database");
    fill(&path, count, clock.unix_ms());
    steps.done(&format!("{count} keys written"));
    let (plane, gateway) = plane(&path, &clock);
    assert_eq!(gateway.state().keys.len(), count as usize);
    steps.done("opened, all in effect");
    let actor = Actor::local("measurement");
    let mut slowest = [Duration::ZERO; 3];
    for number in 0..50 {
        let name = format!("new {number}");
        let draft = Draft { name: Some(name.clone()), spec: Spec::new() };
        let before = clock.now();
        let created = plane.create(&actor, "default", "keys", draft).expect("a key");
        let hash = plane.key_hash(created.secret.as_ref().expect("a secret").expose());
        assert!(gateway.state().keys.get(&hash).is_some());
        slowest[0] = slowest[0].max(clock.now().since(before));
        let before = clock.now();
        plane.rotate_key(&actor, "default", &name, Duration::from_secs(60), Expect::Any).expect("a rotation");
        slowest[1] = slowest[1].max(clock.now().since(before));
        let before = clock.now();
        plane.revoke_key(&actor, "default", &name, Expect::Any).expect("a revocation");
        assert_eq!(gateway.state().keys.get(&hash).map(|slot| slot.key.compiled.status), Some(KeyStatus::Revoked));
        slowest[2] = slowest[2].max(clock.now().since(before));
    }
    steps.done("50 created, rotated, revoked");
    for (what, slowest) in ["created", "rotated", "revoked"].iter().zip(slowest) {
        println!("  {what} and in effect, slowest of 50: {:.1} ms", slowest.as_secs_f64() * 1e3);
    }
    let mut query = ListQuery { limit: Some(50), ..ListQuery::default() };
    plane.list(&actor, "default", "keys", &query).expect("a page");
    steps.done("the first page");
    for (filter, value) in [("team", "red"), ("owner", "ann"), ("status", "revoked"), ("q", "99999")] {
        query.filters = [(filter.to_owned(), value.to_owned())].into();
        let found = plane.list(&actor, "default", "keys", &query).expect("a page").data.len();
        steps.done(&format!("a page by {filter}={value} ({found})"));
    }
    for _ in 0..1_000 {
        plane.refresh().expect("nothing new");
    }
    steps.done("1000 looks for what is new");
    let draft = Draft { name: Some("main".into()), spec: Spec::from_iter([("kind".into(), "demo".into())]) };
    plane.create(&actor, "default", "providers", draft).expect("a provider");
    steps.done("a provider created");
    let before = gateway.state().keys.len();
    plane.delete(&actor, "default", "teams", "red", Expect::Any).expect("a team gone");
    assert_eq!(gateway.state().keys.len(), before);
    steps.done(&format!("a team of {} keys deleted", count / 10));
    drop(plane);
    let _ = fs::remove_dir_all(&path);
}

fn plane(path: &Path, clock: &Clock) -> (Plane, Arc<Gateway>) {
    let master = || MasterKey::load_or_create(path, Some(MASTER)).expect("a master key");
    let (hashing, written) = (master(), read_text("crossway.toml", "", &|_| None, true).expect("a configuration"));
    let hasher = Box::new(move |secret: &str| hashing.key_hash(secret));
    let gateway = Arc::new(Gateway::new(State::default(), hasher, clock.clone(), Options::default()));
    let publish: Arc<dyn Publish> = Arc::new(Publisher::new(Arc::clone(&gateway), "crossway/example"));
    let plane = Plane::open(open::Options {
        store: Box::new(SqliteResources::open(path).expect("a database")),
        master: master(),
        vendors: Arc::new(Vendors::builtin()),
        catalogue: Arc::new(Catalogue::builtin()),
        written: written.specs,
        stand_in: written.stand_in,
        publish,
        clock: clock.clone(),
        key_totals: None,
        addresses: Box::new(|_| Ok(())),
    });
    (plane.expect("a control plane"), gateway)
}

/// Writes keys as creating them does, in one transaction.
fn fill(path: &Path, count: u32, now_ms: u64) {
    let mut store = SqliteResources::open(path).expect("a database");
    assert!(store.sequence().is_ok());
    let mut transaction = store.begin().expect("a transaction");
    let row = |kind: &str, name: String, spec: String, labels| Row {
        kind: kind.to_owned(),
        environment: "default".to_owned(),
        id: ResourceId::new(now_ms),
        name,
        version: 1,
        schema: 1,
        spec,
        created_at_ms: now_ms,
        updated_at_ms: now_ms,
        revoked_at_ms: None,
        labels,
    };
    transaction.insert(&row("teams", "red".to_owned(), "{}".to_owned(), Labels::default())).expect("a team");
    for number in 0..count {
        let team = number.is_multiple_of(10).then(|| "red".to_owned());
        let owner = if number.is_multiple_of(1_000) { "ann" } else { "" };
        let spec = match &team {
            Some(team) => {
                format!(r#"{{"team":"{team}","owner":"{owner}","models":["demo-1"],"description":"measured"}}"#)
            }
            None => format!(r#"{{"owner":"{owner}","models":["demo-1"],"description":"measured"}}"#),
        };
        let labels = Labels { team: team.clone(), owner: owner.to_owned(), ..Labels::default() };
        let key = row("keys", format!("key {number}"), spec, labels);
        let mut hash = [0; 32];
        fastrand::fill(&mut hash);
        let secret = SecretRow { hash, prefix: format!("sk-cw-{number:04x}"), created_at_ms: now_ms, until_ms: None };
        transaction.insert(&key).expect("a key");
        transaction.put_secrets(key.id, &[secret]).expect("a secret");
        if let Some(team) = team {
            let reference = store::resources::row::Reference { kind: "teams", name: team, field: "team".to_owned() };
            transaction.refer("default", key.id, &[reference]).expect("a reference");
        }
    }
    transaction.commit().expect("a commit");
}

struct Steps {
    clock: Clock,
    began: policy::clock::Monotonic,
    cpu_ms: u64,
}

impl Steps {
    fn done(&mut self, what: &str) {
        let took = self.clock.now().since(self.began);
        let cpu = cpu_ms() - self.cpu_ms;
        println!("{what:<44} {:>9.1} {cpu:>9} {:>9.1}", took.as_secs_f64() * 1e3, resident_mib());
        (self.began, self.cpu_ms) = (self.clock.now(), cpu_ms());
    }
}

/// Returns the processor time of this thread, which other processes on the machine do not change.
fn cpu_ms() -> u64 {
    let stat = fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    stat.split_whitespace().next().and_then(|nanos| nanos.parse::<u64>().ok()).unwrap_or(0) / 1_000_000
}

fn resident_mib() -> f64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap_or_default();
    let kib: f64 = line.split_whitespace().nth(1).and_then(|text| text.parse().ok()).unwrap_or(0.0);
    kib / 1024.0
}
