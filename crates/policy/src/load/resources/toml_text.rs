//! TOML as a tree with lines.

use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::node::{Member, Node, Written};
use super::yaml::Flaw;

/// Reads a TOML document; flaws of its form are reported, and then there is none.
pub(super) fn read(text: &str) -> (Option<Node>, Vec<Flaw>) {
    let starts: Vec<usize> =
        text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n').map(|(at, _)| at + 1).collect();
    let line = |span: &Range<usize>| starts.partition_point(|start| *start <= span.start) + 1;
    let (root, errors) = DeTable::parse_recoverable(text);
    let flaws: Vec<Flaw> = errors
        .iter()
        .map(|error| Flaw {
            line: error.span().map_or(1, |span| line(&span)),
            message: format!("not TOML: {}", error.message().lines().collect::<Vec<_>>().join(", ")),
            hint: None,
        })
        .collect();
    if !flaws.is_empty() {
        return (None, flaws);
    }
    let members = members(root.get_ref(), &line);
    let root = (!members.is_empty()).then_some(Node { line: 1, value: Written::Members(members) });
    (root, flaws)
}

fn members(table: &DeTable<'_>, line: &dyn Fn(&Range<usize>) -> usize) -> Vec<Member> {
    let mut found: Vec<(usize, Member)> = table
        .iter()
        .map(|(key, value)| {
            let member = Member { name: key.get_ref().to_string(), line: line(&key.span()), node: node(value, line) };
            (key.span().start, member)
        })
        .collect();
    found.sort_by_key(|(start, _)| *start);
    found.into_iter().map(|(_, member)| member).collect()
}

fn node(value: &Spanned<DeValue<'_>>, line: &dyn Fn(&Range<usize>) -> usize) -> Node {
    let written = match value.get_ref() {
        DeValue::String(text) => Written::Text(text.to_string()),
        DeValue::Integer(number) => match i128::from_str_radix(number.as_str(), number.radix()) {
            Ok(number) => Written::Integer(number.to_string()),
            Err(_) => Written::Text(number.as_str().to_owned()),
        },
        DeValue::Float(number) => match number.as_str().parse::<f64>() {
            Ok(float) if float.is_finite() => Written::Decimal(number.as_str().to_owned()),
            _ => Written::Text(number.as_str().to_owned()),
        },
        DeValue::Boolean(value) => Written::Bool(*value),
        DeValue::Datetime(instant) => Written::Text(instant.to_string()),
        DeValue::Array(items) => Written::List(items.iter().map(|item| node(item, line)).collect()),
        DeValue::Table(table) => Written::Members(members(table, line)),
    };
    Node { line: line(&value.span()), value: written }
}
