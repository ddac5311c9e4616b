//! A value as somebody wrote it, with the line of everything in it: what YAML, JSON and TOML have in common.
//!
//! Numbers keep their text, because a binary float cannot hold a price exactly.

use serde_json::{Map, Number, Value};

/// A value and its line.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Node {
    /// The line on which it begins, from 1.
    pub(super) line: usize,
    /// What it is.
    pub(super) value: Written,
}

/// What a value is.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Written {
    /// Nothing.
    Null,
    /// True or false.
    Bool(bool),
    /// A whole number, as text that [`i128`] reads.
    Integer(String),
    /// A decimal number, as text that [`f64`] reads.
    Decimal(String),
    /// Text.
    Text(String),
    /// A list.
    List(Vec<Node>),
    /// Members in the order in which they were written.
    Members(Vec<Member>),
}

/// A member of a mapping.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Member {
    /// Its name.
    pub(super) name: String,
    /// The line of its name.
    pub(super) line: usize,
    /// Its value.
    pub(super) node: Node,
}

impl Node {
    /// Returns the name of the type for people.
    pub(super) fn type_name(&self) -> &'static str {
        match &self.value {
            Written::Null => "nothing",
            Written::Bool(_) => "true or false",
            Written::Integer(text) if text.starts_with('-') => "a negative number",
            Written::Integer(_) => "a whole number",
            Written::Decimal(_) => "a decimal number",
            Written::Text(_) => "a string",
            Written::List(_) => "a list",
            Written::Members(_) => "a mapping",
        }
    }

    /// Returns the value as JSON.
    pub(super) fn to_json(&self) -> Value {
        match &self.value {
            Written::Null => Value::Null,
            Written::Bool(value) => Value::Bool(*value),
            Written::Integer(text) => integer(text),
            Written::Decimal(text) => {
                let number = text.parse().ok().and_then(Number::from_f64);
                number.map_or_else(|| Value::String(text.clone()), Value::Number)
            }
            Written::Text(text) => Value::String(text.clone()),
            Written::List(items) => Value::Array(items.iter().map(|item| item.to_json()).collect()),
            Written::Members(members) => Value::Object(members_to_json(members)),
        }
    }
}

/// Returns members as a JSON object. Null is kept: a server takes it for a secret that stays as it is, or for nothing.
pub(super) fn members_to_json(members: &[Member]) -> Map<String, Value> {
    members.iter().map(|member| (member.name.clone(), member.node.to_json())).collect()
}

/// Returns a whole number; one that JSON programs cannot hold stays text, which no field takes for a number.
fn integer(text: &str) -> Value {
    match (text.parse::<u64>(), text.parse::<i64>()) {
        (Ok(number), _) => Value::Number(number.into()),
        (_, Ok(number)) => Value::Number(number.into()),
        _ => Value::String(text.to_owned()),
    }
}
