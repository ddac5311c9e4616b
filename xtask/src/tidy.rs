//! `cargo xtask tidy`: the rules of the house that no compiler checks.
//!
//! Every rule is a function from a file's text to problems, so that it can be tested on a few lines. It is a reader of
//! text, not a parser of Rust: it sees past comments and literals (`source`) and knows braces, and that is enough.

mod docs;
mod edges;
mod paths;
mod rust;
mod source;

use std::fmt;
use std::path::Path;

use crate::shell;

/// Something that is against a rule.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Problem {
    file: String,
    line: usize,
    what: String,
    /// A warning is shown and fails nothing.
    warning: bool,
}

impl Problem {
    fn new(file: &str, line: usize, what: impl Into<String>) -> Self {
        Self { file: file.to_owned(), line, what: what.into(), warning: false }
    }

    fn warning(file: &str, line: usize, what: impl Into<String>) -> Self {
        Self { warning: true, ..Self::new(file, line, what) }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mark = if self.warning { "warning: " } else { "" };
        write!(f, "{}:{}: {mark}{}", self.file, self.line, self.what)
    }
}

/// Checks every file that git knows or would add.
pub fn run() -> Result<(), String> {
    let root = shell::root();
    let files = files(&root)?;
    let mut problems: Vec<Problem> = files.iter().flat_map(|file| check(&root, file)).collect();
    problems.sort();
    for problem in &problems {
        println!("{problem}");
    }
    let wrong = problems.iter().filter(|problem| !problem.warning).count();
    println!("tidy: {} files, {wrong} problems, {} warnings", files.len(), problems.len() - wrong);
    if wrong == 0 { Ok(()) } else { Err(format!("{wrong} problems")) }
}

fn files(root: &Path) -> Result<Vec<String>, String> {
    let mut git = shell::command("git");
    let listing = shell::read(git.args(["ls-files", "--cached", "--others", "--exclude-standard"]))
        .ok_or("failed to list the files: is this a git checkout?")?;
    let mut files: Vec<String> = listing.lines().map(str::to_owned).filter(|file| root.join(file).is_file()).collect();
    files.sort();
    files.dedup();
    Ok(files)
}

/// Checks one file with every rule that applies to its kind. Binary files have no rules.
fn check(root: &Path, file: &str) -> Vec<Problem> {
    let Ok(text) = std::fs::read_to_string(root.join(file)) else { return Vec::new() };
    let mut problems = paths::check(file, &text);
    if file.ends_with(".rs") {
        problems.extend(rust::check(file, &text));
    } else if file.ends_with(".md") {
        problems.extend(docs::check(root, file, &text));
    } else if file.ends_with("Cargo.toml") {
        problems.extend(edges::check(file, &text));
    }
    problems
}
