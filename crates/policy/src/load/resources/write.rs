//! Writes resources as files that [`super::parse`] reads back, the same text for the same resource.
//!
//! It writes the few forms that the product needs, not all of YAML or TOML: text is in quotes unless nothing else than
//! text can be meant, and what would be a variable is written so that it stays text.

use std::fmt::Write as _;

use serde_json::{Map, Value};

use super::node::Written;
use super::scalar::resolve;

/// A resource to write.
#[derive(Clone, Copy, Debug)]
pub struct Writable<'a> {
    /// The name of its kind.
    pub kind: &'a str,
    /// The environment it belongs to; `None` for an environment.
    pub environment: Option<&'a str>,
    /// Its name.
    pub name: &'a str,
    /// Its members.
    pub spec: &'a Map<String, Value>,
    /// What is to be said about it, one comment a line.
    pub comments: &'a [String],
}

/// Returns a resource as a YAML document, without a marker before it.
pub fn yaml(resource: &Writable<'_>) -> String {
    let mut out = comments(resource.comments);
    let _ = writeln!(out, "kind: {}", yaml_text(resource.kind));
    if let Some(environment) = resource.environment {
        let _ = writeln!(out, "environment: {}", yaml_text(environment));
    }
    let _ = writeln!(out, "name: {}", yaml_text(resource.name));
    out.push_str("spec:");
    yaml_value(&Value::Object(resource.spec.clone()), 1, &mut out);
    out
}

/// Returns a resource as a TOML document. TOML has no null, so that members without a value are left out.
pub fn toml(resource: &Writable<'_>) -> String {
    let mut out = comments(resource.comments);
    let _ = writeln!(out, "kind = {}", toml_text(resource.kind));
    if let Some(environment) = resource.environment {
        let _ = writeln!(out, "environment = {}", toml_text(environment));
    }
    let _ = writeln!(out, "name = {}\n\n[spec]", toml_text(resource.name));
    for (name, value) in resource.spec {
        if !value.is_null() {
            let _ = writeln!(out, "{} = {}", toml_name(name), toml_value(value));
        }
    }
    out
}

fn comments(lines: &[String]) -> String {
    lines.iter().map(|line| format!("# {}\n", line.replace(char::is_control, " "))).collect()
}

/// Writes a value behind the colon of its name, and ends the line.
fn yaml_value(value: &Value, level: usize, out: &mut String) {
    let indent = "  ".repeat(level);
    match value {
        Value::Object(members) if members.is_empty() => out.push_str(" {}\n"),
        Value::Object(members) => {
            out.push('\n');
            for (name, member) in members {
                let _ = write!(out, "{indent}{}:", yaml_name(name));
                yaml_value(member, level + 1, out);
            }
        }
        Value::Array(items) if items.iter().any(|item| item.is_object() || item.is_array()) => {
            out.push('\n');
            for item in items {
                let _ = writeln!(out, "{indent}- {}", yaml_inline(item));
            }
        }
        Value::String(text) if is_block(text) => {
            let clip = if text.ends_with('\n') { "" } else { "-" };
            let _ = writeln!(out, " |{clip}");
            for line in keep_literal(text).lines() {
                let _ = if line.is_empty() { writeln!(out) } else { writeln!(out, "{indent}{line}") };
            }
        }
        other => {
            let _ = writeln!(out, " {}", yaml_inline(other));
        }
    }
}

/// Returns whether a text is best written line by line. What a block would change is not.
fn is_block(text: &str) -> bool {
    let lines: Vec<&str> = text.strip_suffix('\n').unwrap_or(text).split('\n').collect();
    let plain = |line: &&str| line.chars().all(|c| !c.is_control() && !is_break(c)) && !line.ends_with(' ');
    lines.len() > 1
        && lines.iter().all(plain)
        && lines.first().is_some_and(|line| !line.is_empty() && !line.starts_with(' '))
        && lines.last().is_some_and(|line| !line.is_empty())
}

/// Returns whether other programs may take a character for the end of a line, or for nothing.
fn is_break(c: char) -> bool {
    matches!(c, '\u{85}' | '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}')
}

fn yaml_inline(value: &Value) -> String {
    match value {
        Value::Array(items) => {
            format!("[{}]", items.iter().map(yaml_inline).collect::<Vec<_>>().join(", "))
        }
        Value::Object(members) => {
            let member = |(name, value): (&String, &Value)| format!("{}: {}", yaml_name(name), yaml_inline(value));
            format!("{{{}}}", members.iter().map(member).collect::<Vec<_>>().join(", "))
        }
        Value::String(text) => yaml_text(text),
        other => other.to_string(),
    }
}

fn yaml_text(text: &str) -> String {
    yaml_name(&keep_literal(text))
}

fn yaml_name(text: &str) -> String {
    let safe = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.' | b'/' | b'+');
    let first = text.bytes().next().is_some_and(|byte| byte.is_ascii_alphabetic());
    let bare = first && text.bytes().all(safe) && matches!(resolve(text), Written::Text(_));
    // What older YAML takes for true and false is put in quotes, so that every program reads the same.
    let old = ["y", "n", "yes", "no", "on", "off"].contains(&text.to_ascii_lowercase().as_str());
    if bare && !old { text.to_owned() } else { quoted(text) }
}

/// Returns a text in double quotes, in a form that YAML and TOML share with JSON.
fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            c if c.is_control() || is_break(c) => _ = write!(out, "\\u{:04x}", u32::from(c)),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

fn toml_name(name: &str) -> String {
    let bare = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    if !name.is_empty() && name.bytes().all(bare) { name.to_owned() } else { quoted(name) }
}

fn toml_text(text: &str) -> String {
    quoted(&keep_literal(text))
}

fn toml_value(value: &Value) -> String {
    match value {
        Value::String(text) => toml_text(text),
        Value::Array(items) => format!("[{}]", items.iter().map(toml_value).collect::<Vec<_>>().join(", ")),
        Value::Object(members) => {
            let written = members.iter().filter(|(_, value)| !value.is_null());
            let members: Vec<String> =
                written.map(|(name, value)| format!("{} = {}", toml_name(name), toml_value(value))).collect();
            if members.is_empty() { "{}".to_owned() } else { format!("{{ {} }}", members.join(", ")) }
        }
        other => other.to_string(),
    }
}

/// Keeps what looks like a variable from being one. Names of members hold none.
fn keep_literal(text: &str) -> String {
    text.replace("${", "$${")
}
