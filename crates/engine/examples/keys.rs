//! Measures what many keys cost: the time to load them, the time of one change, the time of a look-up, the memory.
//!
//! `cargo run --release -p engine --example keys -- 100000`

#![expect(clippy::print_stdout, clippy::expect_used, reason = "a measurement that a person runs")]

use std::fs;
use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use engine::gateway::{Gateway, Options};
use engine::state::{Change, Configuration, SecretHash, State};
use ir::id::ResourceId;
use policy::clock::Clock;
use policy::load::load_text;
use policy::snapshot::CompiledKey;

/// How often what takes little time is done.
const TIMES: usize = 2_000;

/// A keyed hash is as good as random.
fn hash() -> SecretHash {
    let mut hash = [0; 32];
    fastrand::fill(&mut hash);
    hash
}

fn key(number: usize) -> CompiledKey {
    CompiledKey {
        id: Some(ResourceId::new(1_795_000_000_000 + number as u64)),
        name: format!("application-{number}").into(),
        environment: "default".into(),
        team: Some(format!("team-{}", number % 500).into()),
        models: vec!["gpt-5-mini".into(), "claude-sonnet-4-5".into()],
        ..CompiledKey::default()
    }
}

/// Returns the resident memory of this process in KiB (`proc_pid_status(5)`).
fn resident() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|rest| rest.trim().trim_end_matches(" kB").parse().ok()).unwrap_or(0)
}

fn quantiles(mut times: Vec<Duration>) -> String {
    times.sort();
    let at = |share: usize| times.get(times.len() * share / 100).copied().unwrap_or_default();
    format!("p50 {:?}, p99 {:?}, max {:?}", at(50), at(99), times.last().copied().unwrap_or_default())
}

fn main() {
    let count: usize = std::env::args().nth(1).map_or(100_000, |count| count.parse().expect("a number of keys"));
    let clock = Clock::system();
    let snapshot = load_text("crossway.toml", "", &|_| None, false).expect("an empty configuration").snapshot;
    let environment = Change::Environment(Arc::new(Configuration::new(snapshot, "crossway/bench")));
    let state = State::default().with([environment]);
    let gateway = Gateway::new(state, Box::new(|_| [0; 32]), clock.clone(), Options::default());
    let empty = resident();

    let hashes: Vec<SecretHash> = (0..count).map(|_| hash()).collect();
    let secrets = |at: usize| vec![(hashes.get(at).copied().unwrap_or_default(), None)];
    let all = (0..count).map(|number| Change::Key { key: key(number), secrets: secrets(number) }).collect();
    let started = clock.now();
    gateway.update(all);
    println!("{count} keys loaded at once in {:?}", clock.now().since(started));
    println!("resident: {empty} KiB without keys, {} KiB with them", resident());

    let state = gateway.state();
    let compiled = |at: usize| hashes.get(at).and_then(|hash| state.keys.get(hash)).map(|slot| &slot.key.compiled);
    let again = (0..count).filter_map(|at| Some((compiled(at)?.clone(), secrets(at)))).collect();
    let started = clock.now();
    gateway.update(gateway.state().changes_to(again));
    println!("all of them told again, nothing new: {:?}", clock.now().since(started));

    let mut times = Vec::with_capacity(TIMES);
    for _ in 0..TIMES {
        let at = fastrand::usize(..count);
        let Some(key) = compiled(at) else { continue };
        let key = CompiledKey { name: format!("renamed-{}", fastrand::u32(..)).into(), ..key.clone() };
        let change = vec![Change::Key { key, secrets: secrets(at) }];
        let started = clock.now();
        gateway.update(change);
        times.push(clock.now().since(started));
    }
    println!("one key changed among {count}: {}", quantiles(times));

    let started = clock.now();
    let mut found = 0;
    for hash in &hashes {
        found += usize::from(black_box(gateway.glance().keys.get(black_box(hash))).is_some());
    }
    assert_eq!(found, count, "every key is found");
    println!("look-up: {:?} each", clock.now().since(started) / u32::try_from(count).unwrap_or(1));
}
