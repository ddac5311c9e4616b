//! `cargo xtask ci`: everything a change must pass, each step timed, the tests last.
//!
//! A failing step does not stop the others: one run shows everything that is wrong.

use std::process::Command;
use std::time::{Duration, Instant};

use crate::{shell, test, tidy};

/// Runs every step; fails when one of them fails.
pub fn run() -> Result<(), String> {
    let mut steps = Steps::default();
    steps.take("lock", lock);
    steps.take("fmt", || shell::run(shell::cargo().args(["fmt", "--all", "--check", "--", "--color", "never"])));
    steps.take("tidy", tidy::run);
    steps.take("clippy", || shell::run(&mut clippy()));
    steps.take("doc", || shell::run(&mut documentation()));
    steps.take("deny", deny);
    let mut counts = None;
    steps.take("test", || {
        let (found, outcome) = test::all();
        counts = Some(found);
        outcome
    });
    steps.report();
    // The counts close the output: that is where people, and whatever reads the log, look.
    if let Some(counts) = counts {
        println!("{counts}");
    }
    steps.outcome()
}

/// What is built is what `Cargo.lock` says, and git has the file.
fn lock() -> Result<(), String> {
    let mut git = shell::command("git");
    shell::read(git.args(["ls-files", "--error-unmatch", "Cargo.lock"])).ok_or("Cargo.lock is not in git")?;
    let mut metadata = shell::cargo();
    shell::read(metadata.args(["metadata", "--locked", "--format-version", "1"]))
        .ok_or("Cargo.lock does not fit the manifests: run `cargo check` and commit it")?;
    Ok(())
}

fn clippy() -> Command {
    let mut command = shell::cargo();
    command.args(["clippy", "--workspace", "--all-targets", "--quiet", "--", "-D", "warnings"]);
    command
}

fn documentation() -> Command {
    let mut command = shell::cargo();
    command.args(["doc", "--workspace", "--no-deps", "--quiet"]).env("RUSTDOCFLAGS", "-D warnings");
    command
}

/// Checks licences, bans and sources. Advisories need a database from outside and are not asked for.
fn deny() -> Result<(), String> {
    if !shell::exists("cargo-deny") {
        println!("cargo-deny is not installed: licences, bans and sources were not checked");
        return Ok(());
    }
    shell::run(shell::command("cargo-deny").args(["check", "licenses", "bans", "sources"]))
}

#[derive(Default)]
struct Steps(Vec<(&'static str, Duration, Result<(), String>)>);

impl Steps {
    #[expect(clippy::disallowed_methods, reason = "the clock of the product is not for the tools around it")]
    fn take(&mut self, name: &'static str, step: impl FnOnce() -> Result<(), String>) {
        println!("== {name}");
        let start = Instant::now();
        let outcome = step();
        if let Err(why) = &outcome {
            println!("{name}: {why}");
        }
        self.0.push((name, start.elapsed(), outcome));
    }

    fn report(&self) {
        println!("== steps");
        for (name, took, outcome) in &self.0 {
            println!("{name:<8} {:>7.1} s  {}", took.as_secs_f64(), if outcome.is_ok() { "ok" } else { "FAILED" });
        }
    }

    fn outcome(&self) -> Result<(), String> {
        let failed: Vec<&str> = self.0.iter().filter(|step| step.2.is_err()).map(|step| step.0).collect();
        if failed.is_empty() { Ok(()) } else { Err(format!("failed: {}", failed.join(", "))) }
    }
}
