//! A TOML document that is read entry by entry and field by field, so that one fault does not hide the next.
//!
//! Every field is deserialized on its own: the types of `spec` stay the only description of what may be written, and
//! still every wrong field is reported, with its line. Messages never repeat values.

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Arc;

use serde::de::DeserializeOwned;
use toml::Spanned;
use toml::de::{DeTable, DeValue, Error, ValueDeserializer};

use super::Lookup;
use super::fields::fields_of;
use crate::problem::{Origin, Problem, did_you_mean};

/// A table of a document.
pub(super) type Table<'i> = DeTable<'i>;

/// A TOML document and what is wrong with it.
pub(super) struct Document<'a> {
    file: Arc<str>,
    line_starts: Vec<usize>,
    env: Lookup<'a>,
    /// What is wrong so far.
    pub(super) problems: Vec<Problem>,
}

impl<'a> Document<'a> {
    /// Reads the syntax of a document. After a syntax error the table is not worth reading: `None`.
    pub(super) fn parse<'i>(file: &str, text: &'i str, env: Lookup<'a>) -> (Self, Option<Table<'i>>) {
        let line_starts = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n').map(|(at, _)| at + 1).collect();
        let mut document = Self { file: file.into(), line_starts, env, problems: Vec::new() };
        let (root, errors) = DeTable::parse_recoverable(text);
        for error in &errors {
            let line = error.span().map(|span| document.line(&span));
            let message = format!("not TOML: {}", error.message().lines().collect::<Vec<_>>().join(", "));
            document.problems.push(Problem::new(Arc::clone(&document.file), "", message).at(line));
        }
        (document, errors.is_empty().then(|| root.into_inner()))
    }

    /// Returns the line of a place, from 1.
    pub(super) fn line(&self, span: &Range<usize>) -> usize {
        self.line_starts.partition_point(|start| *start <= span.start) + 1
    }

    /// Returns the origin of an entry.
    pub(super) fn origin(&self, path: &str, span: Option<Range<usize>>) -> Origin {
        let mut origin = Origin::new(Arc::clone(&self.file), path);
        origin.line = span.map(|span| self.line(&span));
        origin
    }

    /// Reads one entry. Faulty fields are reported, left out, and marked as broken in the origin.
    pub(super) fn entry<T: DeserializeOwned + Default>(&mut self, table: Table<'_>, origin: &mut Origin) -> T {
        self.entry_among(table, origin, &[])
    }

    /// Reads one entry; `also` are names that are not its fields but may have been meant.
    pub(super) fn entry_among<T: DeserializeOwned + Default>(
        &mut self,
        table: Table<'_>,
        origin: &mut Origin,
        also: &[&str],
    ) -> T {
        let fields = fields_of::<T>();
        let mut good = DeTable::new();
        for (key, mut value) in table {
            let name = key.get_ref().to_string();
            if !fields.contains(&name.as_str()) {
                origin.lines.insert(name.clone(), self.line(&key.span()));
                let hint = did_you_mean(&name, fields.iter().chain(also).copied());
                self.problems.push(origin.problem(&name, "unknown setting").maybe_hint(hint));
                continue;
            }
            self.record_lines(&name, &value, origin);
            keep_price_text(&name, &mut value);
            if !self.substitute(&name, &mut value, origin) || !self.field_is_good::<T>(&key, &value, origin) {
                origin.broken.insert(name);
                continue;
            }
            good.insert(key, value);
        }
        let whole = Spanned::new(0..0, DeValue::Table(good));
        T::deserialize(ValueDeserializer::from(whole)).unwrap_or_default()
    }

    /// Takes a table of tables out of a table: `[providers.NAME]`. In the order in which they were written.
    pub(super) fn take_tables<'i>(
        &mut self,
        root: &mut Table<'i>,
        key: &str,
    ) -> Vec<(String, Range<usize>, Table<'i>)> {
        let mut found = Vec::new();
        for (name, value) in self.take_table(root, key).map(|(_, table)| table).unwrap_or_default() {
            let (span, path) = (name.span(), format!("{key}.{}", name.get_ref()));
            match value.into_inner() {
                DeValue::Table(table) => found.push((name.into_inner().into_owned(), span, table)),
                other => self.wrong_type(&path, &span, "a table", &other),
            }
        }
        found.sort_by_key(|(_, span, _)| span.start);
        found
    }

    /// Takes a list of tables out of a table: `[[models]]`.
    pub(super) fn take_list<'i>(&mut self, root: &mut Table<'i>, key: &str) -> Vec<(Range<usize>, Table<'i>)> {
        let Some(value) = root.remove(key) else { return Vec::new() };
        let span = value.span();
        let list = match value.into_inner() {
            DeValue::Array(list) => list,
            other => {
                self.wrong_type(key, &span, "a list of tables", &other);
                return Vec::new();
            }
        };
        let mut found = Vec::new();
        for (index, item) in list.into_iter().enumerate() {
            let span = item.span();
            match item.into_inner() {
                DeValue::Table(table) => found.push((span, table)),
                other => self.wrong_type(&format!("{key}[{index}]"), &span, "a table", &other),
            }
        }
        found
    }

    /// Takes a table out of a table: `[environment]`.
    pub(super) fn take_table<'i>(&mut self, root: &mut Table<'i>, key: &str) -> Option<(Range<usize>, Table<'i>)> {
        let value = root.remove(key)?;
        let span = value.span();
        match value.into_inner() {
            DeValue::Table(table) => Some((span, table)),
            other => {
                self.wrong_type(key, &span, "a table", &other);
                None
            }
        }
    }

    /// Notes the lines of a field and of everything in it.
    fn record_lines(&self, path: &str, value: &Spanned<DeValue<'_>>, origin: &mut Origin) {
        origin.lines.insert(path.to_owned(), self.line(&value.span()));
        match value.get_ref() {
            DeValue::Array(list) => {
                for (index, item) in list.iter().enumerate() {
                    self.record_lines(&format!("{path}[{index}]"), item, origin);
                }
            }
            DeValue::Table(table) => {
                for (key, item) in table {
                    self.record_lines(&format!("{path}.{}", key.get_ref()), item, origin);
                }
            }
            _ => {}
        }
    }

    /// Replaces `${NAME}` in every string of a value; false when one is not set, which is reported.
    fn substitute(&mut self, path: &str, value: &mut Spanned<DeValue<'_>>, origin: &Origin) -> bool {
        match value.get_mut() {
            DeValue::String(text) => match expand(text, self.env) {
                Ok(None) => true,
                Ok(Some(expanded)) => {
                    *text = expanded.into();
                    true
                }
                Err(problems) => {
                    self.problems.extend(problems.into_iter().map(|message| origin.problem(path, message)));
                    false
                }
            },
            DeValue::Array(list) => {
                let mut good = true;
                for (index, item) in list.iter_mut().enumerate() {
                    good &= self.substitute(&format!("{path}[{index}]"), item, origin);
                }
                good
            }
            DeValue::Table(table) => {
                let mut good = true;
                for (key, item) in table.iter_mut() {
                    good &= self.substitute(&format!("{path}.{}", key.get_ref()), item, origin);
                }
                good
            }
            _ => true,
        }
    }

    /// Deserializes one field alone, and reports what is wrong with it.
    fn field_is_good<T: DeserializeOwned>(
        &mut self,
        key: &Spanned<std::borrow::Cow<'_, str>>,
        value: &Spanned<DeValue<'_>>,
        origin: &mut Origin,
    ) -> bool {
        let mut alone = DeTable::new();
        alone.insert(key.clone(), value.clone());
        let alone = Spanned::new(value.span(), DeValue::Table(alone));
        let Err(error) = T::deserialize(ValueDeserializer::from(alone)) else { return true };
        let mut problem = origin.problem(key.get_ref(), describe(&error, value));
        if let Some(span) = error.span().filter(|span| span.start > 0) {
            problem.line = Some(self.line(&span));
        }
        self.problems.push(problem);
        false
    }

    /// Reports a value of the wrong type.
    pub(super) fn wrong_type(&mut self, path: &str, span: &Range<usize>, expected: &str, found: &DeValue<'_>) {
        let message = format!("expected {expected}, found {}", type_of(found));
        let line = Some(self.line(span));
        self.problems.push(Problem::new(Arc::clone(&self.file), path, message).at(line));
    }
}

/// Returns a message that says what was expected, without the value: serde's own would repeat it.
fn describe(error: &Error, value: &Spanned<DeValue<'_>>) -> String {
    let message = error.message();
    let Some((_, expected)) = message.rsplit_once(", expected ") else {
        return "not valid here".to_owned();
    };
    let expected = match expected {
        "a string" => "a string in quotes".to_owned(),
        "a boolean" => "true or false".to_owned(),
        "u64" | "u32" => "a whole number that is not negative".to_owned(),
        "a sequence" => "a list in brackets".to_owned(),
        "a map" => "a table".to_owned(),
        other => other.to_owned(),
    };
    // The fault may lie deeper than the field; its type is only named when it does not.
    match error.span() {
        Some(span) if span == value.span() => {
            format!("expected {expected}, found {}", found(value.get_ref(), &expected))
        }
        _ => format!("expected {expected}"),
    }
}

/// Returns what was found instead: of a number that is whole, what else is wrong with it.
fn found(value: &DeValue<'_>, expected: &str) -> &'static str {
    match value {
        DeValue::Integer(number) if number.as_str().starts_with('-') => "a negative number",
        DeValue::Integer(_) if expected.starts_with("a whole number") => "one that is too large",
        value => type_of(value),
    }
}

/// Returns the name of a type for people.
fn type_of(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a string",
        DeValue::Integer(_) => "a whole number",
        DeValue::Float(_) => "a decimal number",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}

/// Keeps the source text of a price, because a binary float cannot hold it exactly.
fn keep_price_text(name: &str, value: &mut Spanned<DeValue<'_>>) {
    match value.get_mut() {
        DeValue::Float(float) if name.ends_with("_price") || name.starts_with("price_per_") => {
            let text = float.as_str().to_owned();
            *value.get_mut() = DeValue::String(text.into());
        }
        DeValue::Array(rows) if name == "price_rows" => {
            for row in rows.iter_mut() {
                if let DeValue::Table(table) = row.get_mut() {
                    table.iter_mut().for_each(|(name, value)| keep_price_text(name.get_ref(), value));
                }
            }
        }
        _ => {}
    }
}

/// Replaces every `${NAME}`; `$${` stands for `${`. `None` when there is nothing to replace.
pub(super) fn expand(text: &str, env: Lookup<'_>) -> Result<Option<String>, Vec<String>> {
    if !text.contains("${") {
        return Ok(None);
    }
    let (mut out, mut rest) = (String::with_capacity(text.len()), text);
    let mut unset = BTreeSet::new();
    while let Some((before, after)) = rest.split_once("${") {
        if let Some(before) = before.strip_suffix('$') {
            out.push_str(before);
            out.push_str("${");
            rest = after;
            continue;
        }
        out.push_str(before);
        let Some((name, after)) = after.split_once('}') else {
            return Err(vec!["a ${ without its }".to_owned()]);
        };
        if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
            return Err(vec!["${…} does not hold the name of an environment variable".to_owned()]);
        }
        match env(name) {
            Some(value) => out.push_str(&value),
            None => _ = unset.insert(format!("environment variable {name} is not set")),
        }
        rest = after;
    }
    out.push_str(rest);
    if unset.is_empty() { Ok(Some(out)) } else { Err(unset.into_iter().collect()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expect: Result<Option<&str>, &str>) {
        let env = |name: &str| (name == "SET").then(|| "value".to_owned());
        let found = expand(text, &env);
        assert_eq!(found, expect.map(|v| v.map(str::to_owned)).map_err(|e| vec![e.to_owned()]), "{text}");
    }

    #[test]
    fn expands_variables() {
        check("plain $x {y}", Ok(None));
        check("a ${SET} b ${SET}", Ok(Some("a value b value")));
        check("$${SET}", Ok(Some("${SET}")));
        check("${UNSET}", Err("environment variable UNSET is not set"));
        check("${SET", Err("a ${ without its }"));
        check("${}", Err("${…} does not hold the name of an environment variable"));
    }
}
