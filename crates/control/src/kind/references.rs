//! What documents refer to, and what becomes of that when the thing is deleted.

use catalog::model::fold_name;
use serde_json::Value;
use store::resources::row::Reference;

use super::Kind;
use crate::resource::Spec;

/// The key that stands for callers without one. Nobody made it, and it is always there.
const ANONYMOUS: &str = "anonymous";

/// The field of limits that says whose use is counted: `team:NAME`, `key:NAME`, or with the name in `name`.
pub(crate) const SCOPE: &str = "scope";

/// A field that names resources of a kind.
#[derive(Debug)]
pub(crate) struct Rule {
    /// The field; `[]` at its end for a list of names, `**.` before it for a member at any depth. [`SCOPE`] names one of
    /// several kinds.
    pub(crate) field: &'static str,
    /// The plural name of the kind.
    pub(crate) kind: &'static str,
    /// What becomes of it.
    pub(crate) on_delete: OnDelete,
}

/// What becomes of a field when what it names is deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OnDelete {
    /// It forbids that.
    Restrict,
    /// It is cleared.
    Null,
}

/// Returns what a document refers to.
pub(crate) fn of(kind: &Kind, name: &str, spec: &Spec) -> Vec<Reference> {
    let mut found = Vec::new();
    for rule in kind.references {
        let mut add = |field: String, name: &str| {
            found.push(Reference { kind: rule.kind, name: normal(rule.kind, name), field });
        };
        if rule.field == SCOPE {
            if let Some((_, name)) = scoped(spec).filter(|(kind, _)| *kind == rule.kind) {
                add(SCOPE.to_owned(), name);
            }
            continue;
        }
        if let Some(member) = rule.field.strip_prefix("**.") {
            deep("", spec, member, &mut add);
            continue;
        }
        match rule.field.strip_suffix("[]") {
            Some(list) => {
                let items = spec.get(list).and_then(Value::as_array).into_iter().flatten();
                for (index, item) in items.enumerate() {
                    if let Some(name) = item.as_str() {
                        add(format!("{list}[{index}]"), name);
                    }
                }
            }
            None => match spec.get(rule.field).and_then(Value::as_str) {
                Some(name) => add(rule.field.to_owned(), name),
                None if kind.name_field == Some(rule.field) => add(rule.field.to_owned(), name),
                None => {}
            },
        }
    }
    found
}

/// Returns the kind and the name of the one resource whose use a limit counts.
fn scoped(spec: &Spec) -> Option<(&'static str, &str)> {
    let scope = spec.get(SCOPE)?.as_str()?.trim();
    let (word, name) = scope.split_once(':').unwrap_or_else(|| (scope, spec_text(spec, "name")));
    let kind = match word {
        "team" => "teams",
        "key" => super::KEYS,
        _ => return None,
    };
    // Every limit may be about the key that stands for callers without one.
    let name = name.trim();
    (!name.is_empty() && (word, name) != ("key", ANONYMOUS)).then_some((kind, name))
}

fn spec_text<'a>(spec: &'a Spec, field: &str) -> &'a str {
    spec.get(field).and_then(Value::as_str).unwrap_or_default()
}

/// Finds the members of a name, at any depth, and adds what they name.
fn deep(path: &str, members: &Spec, wanted: &str, add: &mut dyn FnMut(String, &str)) {
    let (name, list) = wanted.strip_suffix("[]").map_or((wanted, false), |name| (name, true));
    for (member, value) in members {
        let path = if path.is_empty() { member.clone() } else { format!("{path}.{member}") };
        let named = member == name;
        match value {
            Value::String(text) if named && !list => add(path, text),
            Value::Object(inner) => deep(&path, inner, wanted, add),
            Value::Array(items) => {
                for (index, item) in items.iter().enumerate() {
                    let path = format!("{path}[{index}]");
                    match item {
                        Value::String(text) if named && list => add(path, text),
                        Value::Object(inner) => deep(&path, inner, wanted, add),
                        _ => {}
                    }
                }
            }
            _ => {}
        }
    }
}

/// Returns the field of keys that is cleared when a resource of a kind is deleted.
pub(crate) fn cleared_in_keys(kind: &Kind) -> Option<&'static str> {
    let keys = super::kind(super::KEYS)?;
    let mut rules = keys.references.iter();
    rules.find(|rule| rule.kind == kind.plural && rule.on_delete == OnDelete::Null).map(|rule| rule.field)
}

/// Returns a name in the form in which names of the kind are compared.
pub(crate) fn normal(kind: &str, name: &str) -> String {
    match kind {
        "models" => fold_name(name),
        "providers" => name.trim().to_ascii_lowercase(),
        _ => name.to_owned(),
    }
}
