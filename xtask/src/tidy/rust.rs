//! The rules for Rust files: sizes, module documents, and what only some files may do.

use super::Problem;
use super::source::{self, Lines};

const FILE_LINES_HARD: usize = 600;
const FILE_LINES_SOFT: usize = 400;
const FUNCTION_LINES: usize = 80;

/// The files that may ask for the time: the clock, and the deadlines of the runtime's timers.
const CLOCKS: [&str; 2] = ["crates/policy/src/clock.rs", "crates/net/src/deadline.rs"];

/// Files that may start a task that nothing waits for, with the reason beside the call.
const SPAWN: [&str; 1] = ["crates/demo/src/connector.rs"];

/// Text that product code may not hold, and what to write instead.
const FORBIDDEN: [(&str, &str); 3] = [
    (".unwrap()", "give a safe answer or return the error"),
    ("todo!", "finish it or leave it out"),
    ("unimplemented!", "finish it or leave it out"),
];

/// The wire formats: folders of `dialect` that may not know each other.
const DIALECT: &str = "crates/dialect/src/";
const DIALECTS: [&str; 9] = [
    "anthropic",
    "bedrock",
    "cohere",
    "gemini",
    "mistral",
    "ollama",
    "openai_chat",
    "openai_media",
    "openai_responses",
];

/// Checks a Rust file.
pub fn check(file: &str, text: &str) -> Vec<Problem> {
    let code = source::code_only(text);
    let tests =
        if is_test(file) { vec![Lines { first: 1, last: usize::MAX - 1 }] } else { source::test_modules(&code) };
    let product = Product { file, code: &code, tests: &tests };
    let mut problems = Vec::new();
    if !text.starts_with("//!") {
        problems.push(Problem::new(file, 1, "opens without `//!`: say what the file is, and what it is not"));
    }
    if file.ends_with("/mod.rs") {
        problems.push(Problem::new(file, 1, "a module is `foo.rs` beside `foo/`, never `mod.rs`"));
    }
    problems.extend(product.file_length());
    problems.extend(product.function_length());
    problems.extend(product.forbidden());
    problems.extend(product.time());
    problems.extend(product.spawn());
    problems.extend(product.dialects());
    problems.extend(product.build_script());
    problems
}

/// Tells whether a whole file is test code.
fn is_test(file: &str) -> bool {
    file.starts_with("crates/testkit/")
        || file.contains("/tests/")
        || file.contains("/benches/")
        || file.ends_with("/tests.rs")
        || file.ends_with("_tests.rs")
}

/// Tells whether a file belongs to the tools around the product.
fn is_tool(file: &str) -> bool {
    file.starts_with("xtask/") || file.starts_with("bench/")
}

struct Product<'a> {
    file: &'a str,
    code: &'a str,
    tests: &'a [Lines],
}

impl Product<'_> {
    fn in_tests(&self, line: usize) -> bool {
        self.tests.iter().any(|lines| lines.contains(line))
    }

    fn file_length(&self) -> Option<Problem> {
        let count = (1..=self.code.lines().count()).filter(|line| !self.in_tests(*line)).count();
        let what = format!("{count} lines without tests, {FILE_LINES_SOFT} is the aim and {FILE_LINES_HARD} the end");
        if count > FILE_LINES_HARD {
            return Some(Problem::new(self.file, 1, what));
        }
        (count > FILE_LINES_SOFT).then(|| Problem::warning(self.file, 1, what))
    }

    fn function_length(&self) -> Vec<Problem> {
        let long = source::functions(self.code).into_iter().filter(|(_, lines)| lines.count() > FUNCTION_LINES);
        long.filter(|(_, lines)| !self.in_tests(lines.first))
            .map(|(name, lines)| {
                let what = format!("`{name}` has {} lines, {FUNCTION_LINES} is the end", lines.count());
                Problem::new(self.file, lines.first, what)
            })
            .collect()
    }

    /// Every line of product code that holds one of the words.
    fn lines_with<'w>(&self, words: &'w [&'w str]) -> Vec<(usize, &'w str)> {
        let mut found = Vec::new();
        for (index, line) in self.code.lines().enumerate() {
            let hits = words.iter().filter(|word| line.contains(**word));
            found.extend(hits.map(|word| (index + 1, *word)).filter(|(line, _)| !self.in_tests(*line)));
        }
        found
    }

    fn forbidden(&self) -> Vec<Problem> {
        let words = FORBIDDEN.map(|(word, _)| word);
        let because = |word: &str| FORBIDDEN.iter().find(|(other, _)| *other == word).map_or("", |(_, why)| *why);
        let found = self.lines_with(&words).into_iter();
        found.map(|(line, word)| Problem::new(self.file, line, format!("`{word}`: {}", because(word)))).collect()
    }

    /// A build script of ours runs no program and opens no connection: what is built is what is in the repository.
    fn build_script(&self) -> Vec<Problem> {
        if !self.file.ends_with("/build.rs") {
            return Vec::new();
        }
        let found = self.lines_with(&["Command", "net::"]).into_iter();
        found.map(|(line, word)| Problem::new(self.file, line, format!("`{word}` in a build script"))).collect()
    }

    fn time(&self) -> Vec<Problem> {
        if CLOCKS.contains(&self.file) || is_tool(self.file) {
            return Vec::new();
        }
        let found = self.lines_with(&["Instant::now", "SystemTime::now"]).into_iter();
        found
            .map(|(line, word)| Problem::new(self.file, line, format!("`{word}`: take the time from the `Clock`")))
            .collect()
    }

    fn spawn(&self) -> Vec<Problem> {
        if SPAWN.contains(&self.file) || is_tool(self.file) {
            return Vec::new();
        }
        let found = self.lines_with(&["tokio::spawn", "task::spawn("]).into_iter();
        found
            .map(|(line, word)| Problem::new(self.file, line, format!("`{word}`: give it to the task tracker")))
            .collect()
    }

    fn dialects(&self) -> Vec<Problem> {
        let Some(own) = self.file.strip_prefix(DIALECT).and_then(|rest| rest.split(['/', '.']).next()) else {
            return Vec::new();
        };
        if !DIALECTS.contains(&own) {
            return Vec::new();
        }
        let mut problems = Vec::new();
        for other in DIALECTS.into_iter().filter(|other| *other != own) {
            let ways = [format!("crate::{other}::"), format!("super::{other}::"), format!("crate::{other};")];
            let words: Vec<&str> = ways.iter().map(String::as_str).collect();
            let found = self.lines_with(&words).into_iter();
            problems.extend(found.map(|(line, _)| {
                Problem::new(self.file, line, format!("the dialect `{own}` knows `{other}`: both know only `ir`"))
            }));
        }
        problems
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_at(file: &str, body: &str, expect: &[&str]) {
        let text = format!("//! A file.\n{body}");
        let found: Vec<String> = check(file, &text).into_iter().map(|problem| problem.to_string()).collect();
        assert_eq!(found.len(), expect.len(), "{found:?}");
        for (found, expect) in found.iter().zip(expect) {
            assert!(found.contains(expect), "{found:?} does not hold {expect:?}");
        }
    }

    const FILE: &str = "crates/engine/src/a.rs";

    #[test]
    fn a_file_opens_with_its_document() {
        let found = check(FILE, "fn a() {}\n");
        assert!(found[0].to_string().contains("opens without"));
        check_at(FILE, "fn a() {}\n", &[]);
    }

    #[test]
    fn no_mod_rs() {
        check_at("crates/engine/src/a/mod.rs", "", &["never `mod.rs`"]);
    }

    #[test]
    fn long_files_warn_and_then_fail_and_tests_do_not_count() {
        check_at(FILE, &"\n".repeat(399), &[]);
        check_at(FILE, &"\n".repeat(400), &["warning"]);
        let long = check(FILE, &format!("//! A file.\n{}", "\n".repeat(600)));
        assert!(!long[0].warning);
        check_at(FILE, &format!("#[cfg(test)]\nmod tests {{\n{}}}\n", "\n".repeat(700)), &[]);
        check_at("crates/engine/tests/a.rs", &"\n".repeat(700), &[]);
    }

    #[test]
    fn long_functions_fail() {
        check_at(FILE, &format!("fn a() {{\n{}}}\n", "    x();\n".repeat(78)), &[]);
        check_at(FILE, &format!("fn a() {{\n{}}}\n", "    x();\n".repeat(79)), &["`a` has 81 lines"]);
    }

    #[test]
    fn unfinished_and_panicking_code_fails_outside_tests() {
        check_at(FILE, "fn a() { b().unwrap(); }\nfn c() { todo!() }\n", &[":2: `.unwrap()`", ":3: `todo!`"]);
        check_at(FILE, "// .unwrap() here\nconst A: &str = \".unwrap()\";\n", &[]);
        check_at(FILE, "#[cfg(test)]\nmod tests {\n    fn a() { b().unwrap(); }\n}\n", &[]);
        check_at("crates/engine/src/stage/tests.rs", "fn a() { b().unwrap(); }\n", &[]);
    }

    #[test]
    fn time_comes_from_the_clock() {
        check_at(FILE, "fn a() { let t = std::time::Instant::now(); }\n", &["`Instant::now`"]);
        check_at(CLOCKS[0], "fn a() { let t = std::time::Instant::now(); }\n", &[]);
        check_at("xtask/src/ci.rs", "fn a() { let t = std::time::Instant::now(); }\n", &[]);
    }

    #[test]
    fn build_scripts_stay_here() {
        check_at("crates/a/build.rs", "fn main() { std::process::Command::new(x); }\n", &["`Command` in a build"]);
        check_at("crates/a/build.rs", "use std::net::TcpStream;\n", &["`net::` in a build"]);
        check_at("crates/a/build.rs", "use std::fs;\n", &[]);
        check_at(FILE, "use std::net::TcpStream;\n", &[]);
    }

    #[test]
    fn tasks_belong_to_a_tracker() {
        check_at(FILE, "fn a() { tokio::spawn(b()); }\n", &["task tracker"]);
        check_at(SPAWN[0], "fn a() { tokio::spawn(b()); }\n", &[]);
        check_at(FILE, "fn a() { tracker.spawn(b()); }\n", &[]);
    }

    #[test]
    fn dialects_do_not_know_each_other() {
        let inside = "crates/dialect/src/anthropic/request.rs";
        check_at(inside, "use crate::openai_chat::wire;\n", &["knows `openai_chat`"]);
        check_at(inside, "use crate::anthropic::wire;\nuse crate::sse;\n", &[]);
        check_at("crates/dialect/src/lib.rs", "use crate::openai_chat::wire;\n", &[]);
    }
}
