//! Secrets inside specs. They are taken out of a document as soon as it arrives, and are kept beside it under a path of
//! their own; what is left can be shown, compared, and written down.
//!
//! Paths name credentials by their names and not by their places, so that a list may be put in another order:
//! `api_key`, `credentials[backup].value`, `headers.x-team`.

use std::collections::{BTreeMap, BTreeSet};

use policy::secret::Secret;
use serde_json::Value;

use super::Kind;
use crate::resource::Spec;

/// Where a spec holds secrets.
#[derive(Clone, Copy, Debug)]
pub(crate) enum SecretPath {
    /// A field. What is read does not show it.
    Field(&'static str),
    /// A field of each item of a list; the items have names.
    Each {
        /// The list.
        list: &'static str,
        /// The field.
        field: &'static str,
    },
    /// Every member of an object. What is read shows null for each.
    Members(&'static str),
}

/// The secrets of a document by their paths.
pub(crate) type Secrets = BTreeMap<String, Secret>;

/// Takes the secrets out of a spec. Items of lists get the names that they lack; what is not of the right form is left
/// for the reader to complain about.
pub(crate) fn take(kind: &Kind, spec: &mut Spec) -> Secrets {
    let mut found = Secrets::new();
    for path in kind.secrets {
        match path {
            SecretPath::Field(field) => {
                if let Some(Value::String(_)) = spec.get(*field)
                    && let Some(Value::String(text)) = spec.shift_remove(*field)
                {
                    found.insert((*field).to_owned(), Secret::new(text));
                }
            }
            SecretPath::Each { list, field } => {
                let Some(items) = spec.get_mut(*list).and_then(Value::as_array_mut) else { continue };
                name_items(items);
                for item in items.iter_mut().filter_map(Value::as_object_mut) {
                    let name = item.get("name").and_then(Value::as_str).map(|name| item_path(list, name, field));
                    if let (Some(path), Some(Value::String(_))) = (name, item.get(*field))
                        && let Some(Value::String(text)) = item.shift_remove(*field)
                    {
                        found.insert(path, Secret::new(text));
                    }
                }
            }
            SecretPath::Members(field) => {
                let Some(members) = spec.get_mut(*field).and_then(Value::as_object_mut) else { continue };
                for (name, value) in members.iter_mut().filter(|(_, value)| value.is_string()) {
                    if let Value::String(text) = value.take() {
                        found.insert(format!("{field}.{name}"), Secret::new(text));
                    }
                }
            }
        }
    }
    found
}

/// Whether a secret is nothing but `${NAME}`, as files name a variable of the environment.
pub(crate) fn is_variable(secret: &Secret) -> bool {
    let name = secret.expose().strip_prefix("${").and_then(|rest| rest.strip_suffix('}'));
    name.is_some_and(|name| name.bytes().all(|byte| byte == b'_' || byte.is_ascii_alphanumeric()))
}

/// Puts texts back where [`take`] took them from.
pub(crate) fn put_back(kind: &Kind, spec: &mut Spec, mut text: impl FnMut(&str) -> Option<String>) {
    for path in kind.secrets {
        match path {
            SecretPath::Field(field) => {
                if let Some(text) = text(field) {
                    spec.insert((*field).to_owned(), Value::String(text));
                }
            }
            SecretPath::Each { list, field } => {
                let items = spec.get_mut(*list).and_then(Value::as_array_mut);
                for item in items.into_iter().flatten().filter_map(Value::as_object_mut) {
                    let name = item.get("name").and_then(Value::as_str).unwrap_or_default();
                    if let Some(text) = text(&item_path(list, name, field)) {
                        item.insert((*field).to_owned(), Value::String(text));
                    }
                }
            }
            SecretPath::Members(field) => {
                let members = spec.get_mut(*field).and_then(Value::as_object_mut);
                for (name, value) in members.into_iter().flatten() {
                    if let Some(text) = text(&format!("{field}.{name}")) {
                        *value = Value::String(text);
                    }
                }
            }
        }
    }
}

/// Returns the paths under which a spec wants a secret that may have been stored before. A single field is wanted
/// unless it is null, or a list takes its place.
pub(crate) fn wanted(kind: &Kind, spec: &Spec) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for path in kind.secrets {
        match path {
            SecretPath::Field(field) => {
                let listed = spec.get("credentials").and_then(Value::as_array).is_some_and(|list| !list.is_empty());
                if !spec.contains_key(*field) && !listed {
                    found.insert((*field).to_owned());
                }
            }
            SecretPath::Each { list, field } => {
                let items = spec.get(*list).and_then(Value::as_array).into_iter().flatten();
                let names = items
                    .filter_map(Value::as_object)
                    .filter(|item| item.get(*field).is_none_or(Value::is_null))
                    .filter_map(|item| item.get("name").and_then(Value::as_str));
                found.extend(names.map(|name| item_path(list, name, field)));
            }
            SecretPath::Members(field) => {
                let members = spec.get(*field).and_then(Value::as_object).into_iter().flatten();
                let empty = members.filter(|(_, value)| value.is_null());
                found.extend(empty.map(|(name, _)| format!("{field}.{name}")));
            }
        }
    }
    found
}

fn item_path(list: &str, name: &str, field: &str) -> String {
    format!("{list}[{name}].{field}")
}

/// Names the items that have no name by their place, or by the next number that is free.
fn name_items(items: &mut [Value]) {
    let named = |item: &Value| item.get("name").and_then(Value::as_str).map(str::to_owned);
    let mut taken: BTreeSet<String> = items.iter().filter_map(named).collect();
    for (index, item) in items.iter_mut().enumerate() {
        let Some(members) = item.as_object_mut() else { continue };
        if members.get("name").is_some_and(|name| !name.is_null()) {
            continue;
        }
        let free = (index + 1..).map(|number| number.to_string()).find(|name| !taken.contains(name));
        let Some(name) = free else { continue };
        taken.insert(name.clone());
        members.shift_insert(0, "name".to_owned(), Value::String(name));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kind::kind;
    use serde_json::json;

    fn spec(value: Value) -> Spec {
        let Value::Object(spec) = value else { panic!("an object") };
        spec
    }

    #[test]
    fn takes_and_puts_back() {
        let providers = kind("providers").unwrap();
        let whole = spec(json!({
            "kind": "openai", "api_key": "one",
            "credentials": [{"value": "two"}, {"name": "1", "value": "three"}, {"name": "x"}, 5],
            "headers": {"X-A": "four", "X-B": null},
        }));
        let mut shown = whole.clone();
        let secrets = take(providers, &mut shown);
        assert_eq!(
            Value::Object(shown.clone()),
            json!({
                "kind": "openai",
                "credentials": [{"name": "2"}, {"name": "1"}, {"name": "x"}, 5],
                "headers": {"X-A": null, "X-B": null},
            })
        );
        let paths: Vec<&str> = secrets.keys().map(String::as_str).collect();
        assert_eq!(paths, ["api_key", "credentials[1].value", "credentials[2].value", "headers.X-A"]);
        let wanted: Vec<String> = wanted(providers, &shown).into_iter().collect();
        let all =
            ["credentials[1].value", "credentials[2].value", "credentials[x].value", "headers.X-A", "headers.X-B"];
        assert_eq!(wanted, all);
        put_back(providers, &mut shown, |path| secrets.get(path).map(|secret| secret.expose().to_owned()));
        assert_eq!(shown.get("api_key"), whole.get("api_key"));
        assert_eq!(shown.get("headers"), whole.get("headers"));
    }

    #[test]
    fn a_list_takes_the_place_of_a_single_credential() {
        let providers = kind("providers").unwrap();
        let wants = |value| wanted(providers, &spec(value)).contains("api_key");
        assert!(wants(json!({})));
        assert!(wants(json!({"credentials": []})));
        assert!(!wants(json!({"api_key": null})));
        assert!(!wants(json!({"credentials": [{"name": "1"}]})));
    }
}
