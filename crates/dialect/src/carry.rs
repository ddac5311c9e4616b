//! What a dialect carries for itself from decoding to encoding, and the names of what it must leave behind.
//!
//! Every dialect needs both: members that nobody understands are written again where their own dialect is spoken, and
//! named to the caller where it is not.

use ir::chat::extras::Extras;
use ir::dialect::Dialect;
use ir::json::Json;
use serde::{Serialize, Serializer};

use crate::json::object::Object;

/// A dialect's own members, written beside the known ones (`#[serde(flatten)]`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Own<'a>(Vec<(&'a str, &'a Json)>);

impl<'a> Own<'a> {
    /// Returns the members that belong to a dialect.
    pub fn of(extras: &'a Extras, dialect: Dialect) -> Self {
        Self(extras.of(dialect).collect())
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Takes one member out.
    pub fn take(&mut self, name: &str) -> Option<&'a Json> {
        let at = self.0.iter().position(|(found, _)| *found == name)?;
        Some(self.0.remove(at).1)
    }

    /// Takes out the members whose names start with `prefix`, under what follows it.
    #[must_use]
    pub fn take_under(&mut self, prefix: &str) -> Self {
        let taken = self.0.iter().filter_map(|(name, value)| Some((name.strip_prefix(prefix)?, *value))).collect();
        self.0.retain(|(name, _)| !name.starts_with(prefix));
        Self(taken)
    }
}

impl Serialize for Own<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().copied())
    }
}

/// Keeps what nobody took of an object, under `prefix` and the member's name.
pub fn keep(object: Object<'_>, dialect: Dialect, prefix: &str, extras: &mut Extras) {
    for (name, value) in object.leftovers() {
        if let Some(value) = Json::parse(value) {
            extras.push(dialect, format!("{prefix}{name}"), value);
        }
    }
}

/// Names of parameters that were left out, each once, in their order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Dropped(Vec<String>);

impl Dropped {
    /// Adds a name.
    pub fn name(&mut self, name: &str) {
        if !self.0.iter().any(|found| found == name) {
            self.0.push(name.to_owned());
        }
    }

    /// Adds a name if something is the case.
    pub fn name_if(&mut self, is: bool, name: &str) {
        if is {
            self.name(name);
        }
    }

    /// Adds the names of what a dialect cannot say.
    pub fn foreign(&mut self, extras: &Extras, dialect: Dialect) {
        extras.foreign_to(dialect).for_each(|name| self.name(name));
    }

    /// Returns the names.
    pub fn into_names(self) -> Vec<String> {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::object::Path;

    #[test]
    fn what_is_kept_is_written_again() {
        let mut extras = Extras::default();
        let read = |text| Object::read(text, Path::default()).unwrap();
        keep(read(r#"{"a":0.70,"b":null}"#), Dialect::Ollama, "", &mut extras);
        keep(read(r#"{"num_ctx":8}"#), Dialect::Ollama, "options.", &mut extras);
        keep(read(r#"{"safety_mode":"OFF"}"#), Dialect::Cohere, "", &mut extras);

        let mut own = Own::of(&extras, Dialect::Ollama);
        let options = own.take_under("options.");
        let text = |own: &Own<'_>| serde_json::to_string(own).unwrap();
        assert_eq!((text(&own), text(&options)), (r#"{"a":0.70}"#.to_owned(), r#"{"num_ctx":8}"#.to_owned()));
        assert_eq!(own.take("a").unwrap().as_str(), "0.70");
        assert!(own.is_empty());

        let mut dropped = Dropped::default();
        dropped.foreign(&extras, Dialect::Cohere);
        dropped.name("a");
        assert_eq!(dropped.into_names(), ["a", "options.num_ctx"]);
    }
}
