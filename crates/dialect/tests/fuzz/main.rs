//! A bounded run of every fuzzing target, on a stable toolchain.
//!
//! It is not guided by coverage: a deterministic mutator changes the seeds of `fuzz/seeds`, so that every machine runs
//! the same cases and a failure can be run again. `fuzz/README.md` says how to search for longer, and with guidance.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test fails by panicking and says what it did"
)]

mod mutate;
#[path = "../../../../fuzz/targets.rs"]
mod targets;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use mutate::Mutator;
use targets::{TARGETS, Target};

/// How many cases of each target are run unless `FUZZ_CASES` says another number.
const CASES: u64 = 4_000;

#[test]
fn no_target_fails() {
    let only = std::env::var("FUZZ_TARGET").ok();
    let cases = std::env::var("FUZZ_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(CASES);
    let mut failed = Vec::new();
    for target in TARGETS.iter().filter(|target| only.as_deref().is_none_or(|only| target.name == only)) {
        if let Err(said) = run(target, cases) {
            failed.push(said);
        }
    }
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}

/// Runs the seeds of a target and then `cases` changes of them, each of which depends on its number alone.
fn run(target: &Target, cases: u64) -> Result<(), String> {
    let seeds = seeds(target);
    let attempt = |what: &str, data: &[u8]| {
        catch_unwind(AssertUnwindSafe(|| (target.run)(data)))
            .map_err(|_| format!("{}, {what}: {:?}", target.name, String::from_utf8_lossy(data)))
    };
    for seed in &seeds {
        attempt("a seed", seed)?;
    }
    for case in 0..cases {
        attempt(&format!("case {case}"), &Mutator::new(case).change(&seeds))?;
    }
    println!("{}: {} seeds, {cases} cases", target.name, seeds.len());
    Ok(())
}

fn seeds(target: &Target) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/seeds").join(target.seeds);
    let mut files: Vec<_> = std::fs::read_dir(&folder)
        .unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
        .map(|file| file.unwrap().path())
        .collect();
    files.sort();
    assert!(!files.is_empty(), "{} is empty", folder.display());
    files.iter().map(|file| std::fs::read(file).unwrap()).collect()
}
