//! A bounded run of fuzzing targets, on a stable toolchain.
//!
//! It is not guided by coverage: a deterministic mutator changes the seeds of `fuzz/seeds`, so that every machine runs
//! the same cases and a failure can be run again. `fuzz/README.md` says how to search for longer, and with guidance.

#[path = "bounded/mutate.rs"]
mod mutate;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::{fs, io};

pub use mutate::Grammar;
use mutate::Mutator;

use crate::targets::Target;

/// How many cases of each target are run unless `FUZZ_CASES` says another number.
const CASES: u64 = 4_000;

/// Runs every target, or the one that `FUZZ_TARGET` names.
pub fn run_all(targets: &[Target], grammar: &Grammar) {
    let only = std::env::var("FUZZ_TARGET").ok();
    let cases = std::env::var("FUZZ_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(CASES);
    let mut failed = Vec::new();
    for target in targets.iter().filter(|target| only.as_deref().is_none_or(|only| target.name == only)) {
        if let Err(said) = run(target, grammar, cases) {
            failed.push(said);
        }
    }
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}

/// Runs the seeds of a target and then `cases` changes of them, each of which depends on its number alone.
fn run(target: &Target, grammar: &Grammar, cases: u64) -> Result<(), String> {
    let seeds = seeds(target);
    let attempt = |what: &str, data: &[u8]| {
        catch_unwind(AssertUnwindSafe(|| (target.run)(data)))
            .map_err(|_| format!("{}, {what}: {:?}", target.name, String::from_utf8_lossy(data)))
    };
    for seed in &seeds {
        attempt("a seed", seed)?;
    }
    for case in 0..cases {
        attempt(&format!("case {case}"), &Mutator::new(case, grammar).change(&seeds))?;
    }
    println!("{}: {} seeds, {cases} cases", target.name, seeds.len());
    Ok(())
}

fn seeds(target: &Target) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/seeds").join(target.seeds);
    let read = || {
        let files: Result<Vec<_>, io::Error> = fs::read_dir(&folder)?.map(|file| Ok(file?.path())).collect();
        let mut files = files?;
        files.sort();
        files.iter().map(fs::read).collect::<Result<Vec<_>, io::Error>>()
    };
    let seeds = read().unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    assert!(!seeds.is_empty(), "{} is empty", folder.display());
    seeds
}
