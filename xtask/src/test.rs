//! `cargo xtask test`: installs what the tests need and is missing, then runs all of them.
//!
//! It ends with one plain line, `N passed, N failed, N skipped`, the sum over cargo's tests and the end-to-end suites.

mod counts;
mod install;

use std::path::{Path, PathBuf};

use crate::shell;
use counts::Counts;
use install::Parts;

/// Runs every test.
pub fn run() -> Result<(), String> {
    let (counts, outcome) = all();
    println!("{counts}");
    outcome
}

/// Runs every test and returns the sum; what could not be run at all counts as a failure.
pub fn all() -> (Counts, Result<(), String>) {
    let root = shell::root();
    let mut sum = Counts::default();
    let mut wrong = Vec::new();
    // What the end-to-end suites need comes from outside: it is fetched while the compiler works.
    let outcomes = std::thread::scope(|scope| {
        let parts = scope.spawn(|| install::end_to_end(&root));
        let rust = [rust_tests(), doc_tests()];
        let parts = parts.join().unwrap_or_else(|_| Err("the installation panicked".to_owned()));
        rust.into_iter().chain([parts.and_then(|parts| end_to_end(&root, &parts))]).collect::<Vec<_>>()
    });
    for outcome in outcomes {
        match outcome {
            Ok(counts) => sum = sum + counts,
            Err(why) => {
                sum.failed += 1;
                wrong.push(why);
            }
        }
    }
    if sum.failed > 0 && wrong.is_empty() {
        wrong.push("tests failed".to_owned());
    }
    if sum.skipped > 0 && std::env::var_os("CI").is_some_and(|value| value == "true") {
        wrong.push(format!("{} skipped: under CI=true a skipped test is a failure", sum.skipped));
    }
    (sum, if wrong.is_empty() { Ok(()) } else { Err(wrong.join("; ")) })
}

fn rust_tests() -> Result<Counts, String> {
    let mut command = shell::cargo();
    if shell::exists("cargo-nextest") {
        command.args(["nextest", "run", "--workspace", "--no-fail-fast", "--no-tests=pass"]);
        if std::env::var_os("CI").is_some() {
            command.args(["--profile", "ci"]);
        }
        let (ok, text) = shell::tee(&mut command)?;
        counts::must_agree("cargo nextest", ok, counts::of_nextest(&text))
    } else {
        command.args(["test", "--workspace", "--all-targets", "--no-fail-fast"]);
        let (ok, text) = shell::tee(&mut command)?;
        counts::must_agree("cargo test", ok, counts::of_cargo_test(&text))
    }
}

fn doc_tests() -> Result<Counts, String> {
    let mut command = shell::cargo();
    command.args(["test", "--workspace", "--doc", "--no-fail-fast", "--quiet"]);
    let (ok, text) = shell::tee(&mut command)?;
    counts::must_agree("cargo test --doc", ok, counts::of_cargo_test(&text))
}

fn end_to_end(root: &Path, parts: &Parts) -> Result<Counts, String> {
    let binary = match std::env::var_os("CROSSWAY_BIN") {
        Some(path) => PathBuf::from(path),
        None => {
            shell::run(shell::cargo().args(["build", "--package", "crossway"]))?;
            shell::binary(root)
        }
    };
    // What waits and what computes share the cores; what measures them has them for itself, afterwards.
    let beside =
        suites(root, parts, &binary, "not alone", &["--numprocesses=2", "--dist=loadfile", "--no-loadscope-reorder"]);
    let alone = suites(root, parts, &binary, "alone", &[]);
    Ok(beside? + alone?)
}

/// Runs the end-to-end suites that a marker selects.
fn suites(root: &Path, parts: &Parts, binary: &Path, marked: &str, how: &[&str]) -> Result<Counts, String> {
    let report = parts.folder.join(format!("report-{}.xml", marked.replace(' ', "-")));
    // A report of an earlier run must not be counted for this one.
    let _ = std::fs::remove_file(&report);
    let mut command = shell::command(&parts.python);
    command.args(["-m", "pytest", "--color=no", "-q", "-m", marked]).args(how);
    command.arg(format!("--junitxml={}", report.display())).arg(root.join("tests/e2e"));
    // Whatever the machine's language is, files are UTF-8.
    command.env("CROSSWAY_BIN", binary).env("CROSSWAY_E2E_NODE_MODULES", &parts.node).env("PYTHONUTF8", "1");
    let (ok, _) = shell::tee(&mut command)?;
    let text = std::fs::read_to_string(&report).map_err(|why| format!("pytest wrote no report: {why}"))?;
    counts::must_agree("pytest", ok, counts::of_junit(&text))
}
