//! Reading how many tests passed from what the runners print.

use std::fmt;
use std::ops::Add;

/// How many tests passed, failed and were skipped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Tests that passed.
    pub passed: usize,
    /// Tests that failed or could not be run.
    pub failed: usize,
    /// Tests that were not run.
    pub skipped: usize,
}

impl Add for Counts {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            passed: self.passed + other.passed,
            failed: self.failed + other.failed,
            skipped: self.skipped + other.skipped,
        }
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} passed, {} failed, {} skipped", self.passed, self.failed, self.skipped)
    }
}

/// Returns the counts, unless the runner failed although no test did: then it never ran them.
pub fn must_agree(runner: &str, ok: bool, counts: Counts) -> Result<Counts, String> {
    if ok || counts.failed > 0 { Ok(counts) } else { Err(format!("{runner} failed before or beside its tests")) }
}

/// Reads nextest's `Summary [ 1.2s] 5 tests run: 3 passed (1 slow), 1 failed, 1 timed out, 0 skipped`.
pub fn of_nextest(text: &str) -> Counts {
    let summaries = text.lines().filter(|line| line.trim_start().starts_with("Summary ["));
    summaries.fold(Counts::default(), |sum, line| {
        let tail = line.split_once("run:").map_or("", |(_, tail)| tail);
        sum + Counts {
            passed: before(tail, "passed"),
            failed: before(tail, "failed") + before(tail, "exec failed") + before(tail, "timed out"),
            skipped: before(tail, "skipped"),
        }
    })
}

/// Reads every `test result: ok. 5 passed; 0 failed; 1 ignored; …` of cargo's own runner.
pub fn of_cargo_test(text: &str) -> Counts {
    let results = text.lines().filter_map(|line| line.trim_start().strip_prefix("test result: "));
    results.fold(Counts::default(), |sum, line| {
        let tail = line.replace([';', '.'], ",");
        sum + Counts {
            passed: before(&tail, "passed"),
            failed: before(&tail, "failed"),
            skipped: before(&tail, "ignored"),
        }
    })
}

/// Reads the attributes of the `<testsuite …>` elements of a JUnit report.
pub fn of_junit(text: &str) -> Counts {
    text.split("<testsuite ").skip(1).fold(Counts::default(), |sum, rest| {
        let tag = rest.split('>').next().unwrap_or_default();
        let failed = attribute(tag, "failures") + attribute(tag, "errors");
        let skipped = attribute(tag, "skipped");
        let passed = attribute(tag, "tests").saturating_sub(failed + skipped);
        sum + Counts { passed, failed, skipped }
    })
}

/// The number in front of a word, in a list such as `3 passed (1 slow), 1 failed`.
fn before(list: &str, word: &str) -> usize {
    list.split(',')
        .map(|part| part.split('(').next().unwrap_or_default().trim())
        .filter_map(|part| part.split_once(' '))
        .find(|(_, rest)| rest.trim() == word)
        .and_then(|(number, _)| number.parse().ok())
        .unwrap_or(0)
}

fn attribute(tag: &str, name: &str) -> usize {
    let (_, rest) = tag.split_once(&format!("{name}=\"")).unwrap_or_default();
    rest.split('"').next().and_then(|number| number.parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(passed: usize, failed: usize, skipped: usize) -> Counts {
        Counts { passed, failed, skipped }
    }

    #[test]
    fn nextest_summary() {
        let text = "   Compiling x\n     Summary [   0.010s] 7 tests run: 4 passed (1 slow), 2 failed, 1 timed out, 3 skipped\n";
        assert_eq!(of_nextest(text), counts(4, 3, 3));
        assert_eq!(of_nextest("nothing"), counts(0, 0, 0));
    }

    #[test]
    fn cargo_results_are_added() {
        let text = "test result: ok. 5 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.00s\n\
                    test result: FAILED. 2 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out\n";
        assert_eq!(of_cargo_test(text), counts(7, 1, 1));
    }

    #[test]
    fn junit_report() {
        let text = r#"<testsuites name="pytest tests"><testsuite name="pytest" errors="1" failures="2" skipped="3" tests="10">"#;
        assert_eq!(of_junit(text), counts(4, 3, 3));
    }

    #[test]
    fn a_runner_that_fails_without_a_failed_test_is_an_error() {
        assert!(must_agree("x", false, counts(5, 0, 0)).is_err());
        assert!(must_agree("x", false, counts(5, 1, 0)).is_ok());
        assert!(must_agree("x", true, counts(0, 0, 0)).is_ok());
    }

    #[test]
    fn the_line_is_plain() {
        assert_eq!(counts(1, 2, 3).to_string(), "1 passed, 2 failed, 3 skipped");
    }
}
