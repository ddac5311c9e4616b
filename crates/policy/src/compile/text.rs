//! Checks of free text, and of words that must be one of a few.

use super::Report;
use crate::problem::{Origin, did_you_mean};
use crate::snapshot::LogContent;

/// Checks a label or a tag: 1 to 64 characters that can be seen.
pub(super) fn check_label(text: &str, origin: &Origin, field: &str, report: &mut Report) {
    let characters = text.chars().count();
    if !(1..=64).contains(&characters) || text.chars().any(char::is_control) || text.trim() != text {
        let message = "not a label: 1 to 64 printable characters, without a blank at either end";
        report.add(origin, field, message);
    }
}

/// Checks a text for people: it may be empty and have several lines.
pub(super) fn check_prose(text: &str, most: usize, origin: &Origin, field: &str, report: &mut Report) {
    let characters = text.chars().count();
    if characters > most {
        report.add(origin, field, format!("too long: {characters} characters, at most {most} are allowed"));
    } else if text.chars().any(|letter| letter.is_control() && !matches!(letter, '\n' | '\r' | '\t')) {
        report.add(origin, field, "not text: it has control characters");
    }
}

/// Checks a text for people of one line.
pub(super) fn check_line(text: &str, most: usize, origin: &Origin, field: &str, report: &mut Report) {
    if text.chars().any(char::is_control) {
        report.add(origin, field, "not one line of text: it has control characters");
    } else {
        check_prose(text, most, origin, field, report);
    }
}

/// Returns what a word means; a word that is none of them is reported.
pub(super) fn choice<T: Copy>(
    word: &str,
    choices: &[(&str, T)],
    origin: &Origin,
    field: &str,
    report: &mut Report,
) -> Option<T> {
    let found = choices.iter().find(|(name, _)| *name == word);
    if found.is_none() {
        let names: Vec<&str> = choices.iter().map(|(name, _)| *name).collect();
        let hint = did_you_mean(word, names.iter().copied());
        report.add_hint(origin, field, format!("must be one of {}", names.join(", ")), hint);
    }
    found.map(|(_, meaning)| *meaning)
}

/// Reads `log_content`.
pub(super) fn log_content(word: &str, origin: &Origin, report: &mut Report) -> Option<LogContent> {
    let choices = [("off", LogContent::Off), ("redacted", LogContent::Redacted), ("full", LogContent::Full)];
    choice(word, &choices, origin, "log_content", report)
}
