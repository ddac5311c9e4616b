//! Reads the members of a spec into its type, one by one, so that one fault does not hide the next.
//!
//! The types of `spec` stay the only description of what may be written. What fails is taken apart until the smallest
//! part that fails alone is found: every faulty item of a list and every faulty member of a mapping is named with its
//! line. Messages never repeat values.

use std::fmt;

use serde::de::value::StrDeserializer;
use serde::de::{
    DeserializeOwned, DeserializeSeed, Deserializer, Error as _, Expected, IntoDeserializer, MapAccess, SeqAccess,
    Unexpected, Visitor,
};
use serde::forward_to_deserialize_any;

use super::super::fields::fields_of;
use super::node::{Member, Node, Written};
use crate::problem::{Origin, Problem, did_you_mean};

/// Reads members into a type. Faulty ones are reported, left out, and marked as broken in the origin.
pub(super) fn read<T: DeserializeOwned + Default>(
    members: &[Member],
    origin: &mut Origin,
    problems: &mut Vec<Problem>,
) -> T {
    let fields = fields_of::<T>();
    let mut good = Vec::new();
    for member in members {
        if !fields.contains(&member.name.as_str()) {
            problems.push(unknown(&member.name, fields.iter().copied(), origin));
        } else if origin.is_broken(&member.name) {
            // Reported already.
        } else if faults::<T>(member, origin, problems) {
            origin.broken.insert(member.name.clone());
        } else {
            good.push(member.clone());
        }
    }
    T::deserialize(&mapping(good)).unwrap_or_default()
}

/// Returns the problem of a member that does not exist.
pub(super) fn unknown<'a>(name: &str, known: impl IntoIterator<Item = &'a str>, origin: &Origin) -> Problem {
    let hint = match name {
        "<<" => Some("merge keys are not read: write the members out".to_owned()),
        _ => did_you_mean(name, known),
    };
    origin.problem(name, "unknown setting").maybe_hint(hint)
}

fn mapping(members: Vec<Member>) -> Node {
    Node { line: 0, value: Written::Members(members) }
}

/// Reports the faults of one member, if any.
fn faults<T: DeserializeOwned>(member: &Member, origin: &Origin, problems: &mut Vec<Problem>) -> bool {
    let alone = |node: Node| {
        let member = Member { name: member.name.clone(), line: member.line, node };
        T::deserialize(&mapping(vec![member])).err()
    };
    search(&member.name, &member.node, &alone, origin, problems)
}

/// Looks for the smallest parts of a value that fail on their own; `try_it` says how a value in this place fails.
fn search(
    path: &str,
    node: &Node,
    try_it: &dyn Fn(Node) -> Option<Fault>,
    origin: &Origin,
    problems: &mut Vec<Problem>,
) -> bool {
    let Some(fault) = try_it(node.clone()) else { return false };
    let mut found = false;
    // Where nothing of the kind is taken, its parts are not at fault.
    let taken = |empty: Written| {
        let fault = try_it(Node { line: node.line, value: empty });
        fault.is_none_or(|fault| matches!(fault.kind, FaultKind::Missing(_)))
    };
    match &node.value {
        Written::List(items) if taken(Written::List(Vec::new())) => {
            for (index, item) in items.iter().enumerate() {
                let alone = |item: Node| try_it(Node { line: node.line, value: Written::List(vec![item]) });
                found |= search(&format!("{path}[{index}]"), item, &alone, origin, problems);
            }
        }
        Written::Members(members) if taken(Written::Members(Vec::new())) => {
            for member in members {
                let alone = |inner: Node| {
                    let member = Member { name: member.name.clone(), line: member.line, node: inner };
                    let fault = try_it(Node { line: node.line, value: Written::Members(vec![member]) });
                    // What is missing may only be missing because the member stands alone here.
                    fault.filter(|fault| !matches!(fault.kind, FaultKind::Missing(_)))
                };
                found |= search(&format!("{path}.{}", member.name), &member.node, &alone, origin, problems);
            }
        }
        _ => {}
    }
    if !found {
        problems.push(fault.problem(path, node, origin));
    }
    true
}

/// Why a value was not taken.
#[derive(Debug)]
pub(super) struct Fault {
    kind: FaultKind,
}

#[derive(Debug)]
enum FaultKind {
    /// Something else was expected.
    Expected(String),
    /// There is no such member.
    Unknown { name: String, known: &'static [&'static str] },
    /// A member is missing.
    Missing(&'static str),
    /// Another reason, whose text may repeat the value.
    Other,
}

impl Fault {
    fn problem(&self, path: &str, node: &Node, origin: &Origin) -> Problem {
        match &self.kind {
            FaultKind::Expected(expected) => {
                let message = format!("expected {}, found {}", in_plain_words(expected), node.type_name());
                origin.problem(path, message)
            }
            FaultKind::Unknown { name, known } => {
                // A reserved name of an enumeration is a value, which is not repeated.
                let message = if path.ends_with(name.as_str()) { "unknown setting" } else { "not one of the values" };
                let one_of = || (!known.is_empty()).then(|| format!("one of {}", known.join(", ")));
                let hint = did_you_mean(name, known.iter().copied()).or_else(one_of);
                origin.problem(path, message).maybe_hint(hint)
            }
            FaultKind::Missing(name) => origin.problem(path, format!("{name} is missing")),
            FaultKind::Other => origin.problem(path, "not valid here"),
        }
    }
}

fn in_plain_words(expected: &str) -> &str {
    match expected {
        "a string" => "a string in quotes",
        "a boolean" => "true or false",
        "u64" | "u32" | "u16" | "u8" => "a whole number that is not negative",
        "i64" | "i32" => "a whole number",
        "a sequence" => "a list",
        "a map" => "a mapping",
        other => match other.strip_prefix("struct ") {
            Some(_) => "a mapping",
            None => other,
        },
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not valid")
    }
}

impl std::error::Error for Fault {}

impl serde::de::Error for Fault {
    fn custom<M: fmt::Display>(_: M) -> Self {
        Self { kind: FaultKind::Other }
    }

    fn invalid_type(_: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self { kind: FaultKind::Expected(expected.to_string()) }
    }

    fn invalid_value(_: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self { kind: FaultKind::Expected(expected.to_string()) }
    }

    fn unknown_field(name: &str, known: &'static [&'static str]) -> Self {
        Self { kind: FaultKind::Unknown { name: name.to_owned(), known } }
    }

    fn unknown_variant(name: &str, known: &'static [&'static str]) -> Self {
        Self { kind: FaultKind::Unknown { name: name.to_owned(), known } }
    }

    fn missing_field(name: &'static str) -> Self {
        Self { kind: FaultKind::Missing(name) }
    }
}

impl<'de> Deserializer<'de> for &'de Node {
    type Error = Fault;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match &self.value {
            Written::Null => visitor.visit_unit(),
            Written::Bool(value) => visitor.visit_bool(*value),
            Written::Integer(text) => integer(text, visitor),
            Written::Decimal(text) => match text.parse() {
                Ok(number) => visitor.visit_f64(number),
                Err(_) => visitor.visit_str(text),
            },
            Written::Text(text) => visitor.visit_str(text),
            Written::List(items) => visitor.visit_seq(Items(items.iter())),
            Written::Members(members) => visitor.visit_map(Members { rest: members.iter(), value: None }),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match self.value {
            Written::Null => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Fault> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        match &self.value {
            Written::Text(text) => visitor.visit_enum(text.as_str().into_deserializer()),
            Written::Members(members) => visitor.visit_enum(serde::de::value::MapAccessDeserializer::new(Members {
                rest: members.iter(),
                value: None,
            })),
            _ => Err(Fault { kind: FaultKind::Expected("a string".to_owned()) }),
        }
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct
        seq tuple tuple_struct map struct identifier ignored_any
    }
}

fn integer<'de, V: Visitor<'de>>(text: &str, visitor: V) -> Result<V::Value, Fault> {
    match (text.parse::<u64>(), text.parse::<i64>(), text.parse::<i128>()) {
        (Ok(number), ..) => visitor.visit_u64(number),
        (_, Ok(number), _) => visitor.visit_i64(number),
        (.., Ok(number)) => visitor.visit_i128(number),
        _ => Err(Fault::custom("out of range")),
    }
}

struct Items<'de>(std::slice::Iter<'de, Node>);

impl<'de> SeqAccess<'de> for Items<'de> {
    type Error = Fault;

    fn next_element_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, Fault> {
        self.0.next().map(|item| seed.deserialize(item)).transpose()
    }
}

struct Members<'de> {
    rest: std::slice::Iter<'de, Member>,
    value: Option<&'de Node>,
}

impl<'de> MapAccess<'de> for Members<'de> {
    type Error = Fault;

    fn next_key_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, Fault> {
        // A member without a value is one that was not written.
        let Some(member) = self.rest.by_ref().find(|member| member.node.value != Written::Null) else {
            return Ok(None);
        };
        self.value = Some(&member.node);
        let name: StrDeserializer<'_, Fault> = member.name.as_str().into_deserializer();
        seed.deserialize(name).map(Some)
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, Fault> {
        match self.value.take() {
            Some(node) => seed.deserialize(node),
            None => Err(Fault::custom("a value without its name")),
        }
    }
}
