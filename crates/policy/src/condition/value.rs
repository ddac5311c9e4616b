//! Collections of a request as values of CEL. Credentials are no part of them.

use std::collections::{BTreeMap, HashMap};

use cel::Value;
use cel::common::types::CelNull;
use cel::common::value::Val;
use serde_json::Value as Json;

use super::facts::Header;
use crate::limit::zone::Civil;
use crate::snapshot::CompiledKey;

/// The most entries of a collection that the caller makes up: a macro may have to walk through it.
pub(super) const MAX_ENTRIES: usize = 100;

/// The most bytes of a text that a condition sees: what it costs to look at one is bounded by it.
pub(super) const MAX_TEXT: usize = 2_048;

/// Headers that hold a credential, or may.
const CREDENTIALS: [&str; 6] =
    ["authorization", "proxy-authorization", "x-api-key", "api-key", "x-goog-api-key", "cookie"];

/// Returns headers by their names in lower case. Of one that stands there several times, the first counts.
pub(super) fn of_headers(headers: &[Header]) -> Box<dyn Val> {
    let mut map: HashMap<String, Value> = HashMap::new();
    for (name, value) in headers.iter().filter(|(name, _)| !CREDENTIALS.contains(&&**name)).take(MAX_ENTRIES) {
        map.entry(name.to_string()).or_insert_with(|| text(value.trim()));
    }
    boxed(map.into())
}

/// Returns what the caller says of a request: texts, numbers and truth values.
pub(super) fn of_metadata(metadata: &BTreeMap<String, Json>) -> Box<dyn Val> {
    let mut map: HashMap<String, Value> = HashMap::new();
    for (name, value) in metadata.iter().take(MAX_ENTRIES) {
        let value = match value {
            Json::String(value) => text(value),
            Json::Bool(value) => Value::Bool(*value),
            Json::Number(number) => match (number.as_i64(), number.as_f64()) {
                (Some(whole), _) => Value::Int(whole),
                (None, Some(float)) => Value::Float(float),
                (None, None) => continue,
            },
            _ => continue,
        };
        map.insert(name.clone(), value);
    }
    boxed(map.into())
}

pub(super) fn of_features(features: &[&'static str]) -> Box<dyn Val> {
    boxed(features.iter().map(|feature| text(feature)).collect::<Vec<Value>>().into())
}

pub(super) fn of_labels(key: Option<&CompiledKey>) -> Box<dyn Val> {
    let labels = key.into_iter().flat_map(|key| key.labels.iter());
    let map: HashMap<String, Value> = labels.map(|(name, label)| (name.to_string(), text(label))).collect();
    boxed(map.into())
}

pub(super) fn of_time(time: &Civil) -> Box<dyn Val> {
    let parts = [
        ("year", i64::from(time.year)),
        ("month", i64::from(time.month)),
        ("day", i64::from(time.day)),
        ("hour", i64::from(time.hour)),
        ("minute", i64::from(time.minute)),
        ("weekday", i64::from(time.weekday)),
    ];
    let map: HashMap<String, Value> = parts.into_iter().map(|(name, part)| (name.to_owned(), part.into())).collect();
    boxed(map.into())
}

fn text(text: &str) -> Value {
    Value::from(cut(text))
}

/// Cuts a text at a character's start.
pub(super) fn cut(text: &str) -> &str {
    text.get(..text.floor_char_boundary(MAX_TEXT)).unwrap_or_default()
}

/// Every value that is made here has such a form.
fn boxed(value: Value) -> Box<dyn Val> {
    TryInto::<Box<dyn Val>>::try_into(value).unwrap_or_else(|_| Box::new(CelNull))
}
