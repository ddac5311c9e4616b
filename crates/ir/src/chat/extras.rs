//! What a dialect says that has no word in the canonical vocabulary.

use crate::dialect::Dialect;
use crate::json::Json;

/// Members that only one dialect knows, with its name: they are written again where the same dialect is spoken, and
/// named to the caller where they are not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Extras(Vec<Extra>);

/// One such member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Extra {
    /// The dialect that it belongs to.
    pub dialect: Dialect,
    /// Its name.
    pub name: Box<str>,
    /// Its value.
    pub value: Json,
    /// Whether it is a note of [`Extras::note`].
    pub note: bool,
}

impl Extras {
    /// Adds a member.
    pub fn push(&mut self, dialect: Dialect, name: impl Into<Box<str>>, value: Json) {
        self.0.push(Extra { dialect, name: name.into(), value, note: false });
    }

    /// Notes how a dialect had written what the canonical fields say (a list of one, an older name), so that the same
    /// dialect writes it alike. A note is no member: no other dialect asks for it, and nobody is told of it.
    pub fn note(&mut self, dialect: Dialect, name: impl Into<Box<str>>, value: Json) {
        self.0.push(Extra { dialect, name: name.into(), value, note: true });
    }

    /// Returns a note of a dialect.
    pub fn noted(&self, dialect: Dialect, name: &str) -> Option<&Json> {
        let mut notes = self.0.iter().filter(|extra| extra.note && extra.dialect == dialect);
        notes.find(|extra| &*extra.name == name).map(|extra| &extra.value)
    }

    /// Takes members of a name out, whichever dialect they belong to.
    pub fn remove(&mut self, name: &str) {
        self.0.retain(|extra| &*extra.name != name);
    }

    /// Whether there is none; notes do not count.
    pub fn is_empty(&self) -> bool {
        self.0.iter().all(|extra| extra.note)
    }

    /// Returns the members of a dialect, in their order.
    pub fn of(&self, dialect: Dialect) -> impl Iterator<Item = (&str, &Json)> {
        let own = self.0.iter().filter(move |extra| extra.dialect == dialect && !extra.note);
        own.map(|extra| (&*extra.name, &extra.value))
    }

    /// Returns one member of a dialect.
    pub fn get(&self, dialect: Dialect, name: &str) -> Option<&Json> {
        self.of(dialect).find(|(found, _)| *found == name).map(|(_, value)| value)
    }

    /// Returns the members of a name, each with its dialect.
    pub fn named(&self, name: &str) -> impl Iterator<Item = (Dialect, &Json)> {
        let found = self.0.iter().filter(move |extra| &*extra.name == name && !extra.note);
        found.map(|extra| (extra.dialect, &extra.value))
    }

    /// Returns the names of what a dialect cannot say, for the caller to be told.
    pub fn foreign_to(&self, dialect: Dialect) -> impl Iterator<Item = &str> {
        self.0.iter().filter(move |extra| extra.dialect != dialect && !extra.note).map(|extra| &*extra.name)
    }
}
