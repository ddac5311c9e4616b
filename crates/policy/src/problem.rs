//! What is wrong with a configuration, where, and what to do about it.
//!
//! No text of a problem ever repeats a value that may be a secret: credentials, header values, addresses.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

/// How bad a problem is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Worth knowing; the configuration is used.
    Warning,
    /// The configuration is not used.
    Error,
}

/// One fault of a configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The file, or `environment` for environment variables.
    pub file: Arc<str>,
    /// The line, from 1, when there is one.
    pub line: Option<usize>,
    /// The setting, such as `providers.openai.base_url`; empty for the whole file.
    pub path: String,
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
    /// How bad it is.
    pub severity: Severity,
    /// Whether a warning forbids to write what it is about, now that it is known: it names something that is switched
    /// off. What was written before that was so stays in use.
    pub stale: bool,
}

impl Problem {
    /// Returns an error without a line.
    pub fn new(file: impl Into<Arc<str>>, path: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            file: file.into(),
            line: None,
            path: path.into(),
            message: message.into(),
            hint: None,
            severity: Severity::Error,
            stale: false,
        }
    }

    /// Adds the line.
    #[must_use]
    pub fn at(mut self, line: Option<usize>) -> Self {
        self.line = line;
        self
    }

    /// Adds what to do about it.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Adds what to do about it, when that is known.
    #[must_use]
    pub fn maybe_hint(mut self, hint: Option<String>) -> Self {
        self.hint = hint;
        self
    }

    /// Makes it a warning that forbids to write this anew.
    #[must_use]
    pub fn stale(mut self) -> Self {
        (self.severity, self.stale) = (Severity::Warning, true);
        self
    }

    /// Makes it a warning.
    #[must_use]
    pub fn warning(mut self) -> Self {
        self.severity = Severity::Warning;
        self
    }
}

/// One line, whatever somebody wrote: what would end it or move a terminal's cursor is shown as an escape.
impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Inline(&self.file).fmt(f)?;
        if let Some(line) = self.line {
            write!(f, ":{line}")?;
        }
        if self.severity == Severity::Warning {
            f.write_str(": warning")?;
        }
        if !self.path.is_empty() {
            write!(f, ": {}", Inline(&self.path))?;
        }
        write!(f, ": {}", Inline(&self.message))?;
        match &self.hint {
            Some(hint) => write!(f, " ({})", Inline(hint)),
            None => Ok(()),
        }
    }
}

/// A text without control characters.
struct Inline<'a>(&'a str);

impl fmt::Display for Inline<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for piece in self.0.split_inclusive(char::is_control) {
            match piece.chars().next_back().filter(|last| last.is_control()) {
                Some(control) => write!(f, "{}{}", piece.trim_end_matches(control), control.escape_default())?,
                None => f.write_str(piece)?,
            }
        }
        Ok(())
    }
}

/// Where an entry was written, so that a fault found later can still name file, line and setting.
#[derive(Clone, Debug, Default)]
pub struct Origin {
    /// The file, or `environment`.
    pub file: Arc<str>,
    /// The entry, such as `providers.openai`; empty for the top of the file.
    pub path: String,
    /// The line of the entry.
    pub line: Option<usize>,
    /// The lines of its fields; `credentials[0].value` names a field of a list.
    pub lines: BTreeMap<String, usize>,
    /// The fields that have been reported already and are therefore missing from the entry.
    pub broken: BTreeSet<String>,
    /// What fields are called where they are written, when that is not our name.
    pub renamed: BTreeMap<String, String>,
    /// The environment variables that said fields, whatever the file says.
    pub variables: BTreeMap<String, String>,
}

impl Origin {
    /// Returns the origin of an entry without lines.
    pub fn new(file: impl Into<Arc<str>>, path: impl Into<String>) -> Self {
        Self { file: file.into(), path: path.into(), ..Self::default() }
    }

    /// Returns a problem of one field; an empty field names the entry itself.
    pub fn problem(&self, field: &str, message: impl Into<String>) -> Problem {
        if let Some(variable) = self.variables.get(field) {
            return Problem::new("environment", variable.as_str(), message);
        }
        let name = self.renamed.get(field).map_or(field, String::as_str);
        let path = match (self.path.is_empty(), name.is_empty()) {
            (true, _) => name.to_owned(),
            (false, true) => self.path.clone(),
            (false, false) => format!("{}.{name}", self.path),
        };
        Problem::new(Arc::clone(&self.file), path, message).at(self.line_of(field))
    }

    /// Returns whether a field has been reported already.
    pub fn is_broken(&self, field: &str) -> bool {
        self.broken.contains(field)
    }

    /// Returns the line of a field, else of the closest thing that contains it.
    fn line_of(&self, field: &str) -> Option<usize> {
        let mut field = field;
        loop {
            if let Some(line) = self.lines.get(field) {
                return Some(*line);
            }
            match field.rfind(['.', '[']) {
                Some(end) => field = field.get(..end).unwrap_or_default(),
                None => return self.line,
            }
        }
    }
}

/// Returns `did you mean …?` with the candidate nearest to a word, when one is near.
pub fn did_you_mean<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<String> {
    nearest(word, candidates).map(|near| format!("did you mean {near}?"))
}

/// Returns the candidate nearest to a word, when one is near: a third of its letters away, and three at most.
pub fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let word = word.to_ascii_lowercase();
    let limit = (word.chars().count() / 3).clamp(1, 3);
    let near = candidates
        .into_iter()
        .map(|candidate| (distance(&word, &candidate.to_ascii_lowercase()), candidate))
        .filter(|(distance, _)| *distance <= limit)
        .min_by_key(|(distance, _)| *distance)?;
    Some(near.1)
}

/// Returns how many letters have to be added, removed, replaced or swapped with their neighbour. Long words are not
/// compared.
fn distance(a: &str, b: &str) -> usize {
    if a.len() > 100 || b.len() > 100 {
        return usize::MAX;
    }
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut rows: Vec<Vec<usize>> = vec![(0..=b.len()).collect()];
    let cell = |rows: &[Vec<usize>], i: usize, j: usize| rows.get(i).and_then(|row| row.get(j)).copied().unwrap_or(0);
    for i in 1..=a.len() {
        rows.push(vec![i]);
        for j in 1..=b.len() {
            let replaced = cell(&rows, i - 1, j - 1) + usize::from(a.get(i - 1) != b.get(j - 1));
            let mut best = replaced.min(cell(&rows, i - 1, j) + 1).min(cell(&rows, i, j - 1) + 1);
            let swapped = i > 1 && j > 1 && a.get(i - 1) == b.get(j - 2) && a.get(i - 2) == b.get(j - 1);
            if swapped {
                best = best.min(cell(&rows, i - 2, j - 2) + 1);
            }
            if let Some(row) = rows.last_mut() {
                row.push(best);
            }
        }
    }
    cell(&rows, a.len(), b.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn measures_distances() {
        assert_eq!(distance("kitten", "sitting"), 3);
        assert_eq!(distance("slgu", "slug"), 1);
        assert_eq!(distance("", "abc"), 3);
        assert_eq!(distance("abc", ""), 3);
        assert_eq!(distance("same", "same"), 0);
    }

    #[test]
    fn suggests_only_what_is_near() {
        let names = ["base_url", "api_key"];
        assert_eq!(did_you_mean("base_ur", names).as_deref(), Some("did you mean base_url?"));
        assert_eq!(did_you_mean("apikey", names).as_deref(), Some("did you mean api_key?"));
        assert_eq!(did_you_mean("colour", names), None);
    }

    #[test]
    fn prints_like_a_compiler() {
        let problem =
            Problem::new("crossway.toml", "providers.openai.base_url", "not a URL").at(Some(12)).hint("write it");
        assert_eq!(problem.to_string(), "crossway.toml:12: providers.openai.base_url: not a URL (write it)");
        let warning = Problem::new("environment", "X", "ignored").warning();
        assert_eq!(warning.to_string(), "environment: warning: X: ignored");
    }

    #[test]
    fn finds_the_closest_line() {
        let mut origin = Origin::new("f", "providers.a");
        origin.line = Some(3);
        origin.lines.insert("credentials".to_owned(), 5);
        assert_eq!(origin.problem("credentials[1].value", "m").line, Some(5));
        assert_eq!(origin.problem("kind", "m").line, Some(3));
    }
}
