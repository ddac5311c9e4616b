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
}

impl Extras {
    /// Adds a member.
    pub fn push(&mut self, dialect: Dialect, name: impl Into<Box<str>>, value: Json) {
        self.0.push(Extra { dialect, name: name.into(), value });
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns the members of a dialect, in their order.
    pub fn of(&self, dialect: Dialect) -> impl Iterator<Item = (&str, &Json)> {
        self.0.iter().filter(move |extra| extra.dialect == dialect).map(|extra| (&*extra.name, &extra.value))
    }

    /// Returns one member of a dialect.
    pub fn get(&self, dialect: Dialect, name: &str) -> Option<&Json> {
        self.of(dialect).find(|(found, _)| *found == name).map(|(_, value)| value)
    }

    /// Returns the names of what a dialect cannot say, for the caller to be told.
    pub fn foreign_to(&self, dialect: Dialect) -> impl Iterator<Item = &str> {
        self.0.iter().filter(move |extra| extra.dialect != dialect).map(|extra| &*extra.name)
    }
}
