//! Runs one target under libFuzzer: the one that the environment variable `TARGET` names.

#![no_main]

#[path = "../targets/configuration.rs"]
mod targets;

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;

static TARGET: LazyLock<fn(&[u8])> = LazyLock::new(|| {
    let name = std::env::var("TARGET").unwrap_or_default();
    match targets::TARGETS.iter().find(|target| target.name == name) {
        Some(target) => target.run,
        None => {
            let line = |target: &targets::Target| format!("\n  TARGET={} … seeds/{}", target.name, target.seeds);
            panic!("TARGET={name:?} is none of{}", targets::TARGETS.iter().map(line).collect::<String>())
        }
    }
});

fuzz_target!(|data: &[u8]| TARGET(data));
