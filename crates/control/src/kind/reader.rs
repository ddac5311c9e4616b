//! A JSON document that is read field by field, so that one fault does not hide the next: what `policy::load::document`
//! is for TOML.
//!
//! The types of `policy::spec` are the only description of what may be written. Each part of a document is tried alone
//! against the whole type; where it does not fit, its own parts are tried, down to the one that is wrong. Messages never
//! repeat values, which may be secrets in the wrong place.

use policy::problem::{Origin, Problem, did_you_mean};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::resource::Spec;

/// Reads a spec. Faulty fields are reported, left out, and marked as broken in the origin.
pub(crate) fn read<T: DeserializeOwned + Default>(spec: &Spec, origin: &mut Origin, problems: &mut Vec<Problem>) -> T {
    let mut value = Value::Object(spec.clone());
    let mut reading = Reading { origin, problems, fits: &|value| T::deserialize(value).err().map(|e| e.to_string()) };
    reading.check("", &mut value, &|value| value);
    let read = T::deserialize(&value);
    wipe(value);
    read.unwrap_or_else(|_| {
        // Parts that are good alone and bad together: no spec type is like that.
        reading.problems.push(reading.origin.problem("", "not valid"));
        T::default()
    })
}

/// The texts may be secrets.
fn wipe(value: Value) {
    match value {
        Value::String(text) => drop(policy::secret::Secret::new(text)),
        Value::Array(list) => list.into_iter().for_each(wipe),
        Value::Object(map) => map.into_iter().for_each(|(_, value)| wipe(value)),
        _ => {}
    }
}

/// Puts a part into its place in an otherwise empty document.
type Wrap<'a> = &'a dyn Fn(Value) -> Value;

struct Reading<'a> {
    origin: &'a mut Origin,
    problems: &'a mut Vec<Problem>,
    /// Returns serde's complaint about a document.
    fits: &'a dyn Fn(&Value) -> Option<String>,
}

impl Reading<'_> {
    /// Checks a part; false when it, or a list in it, cannot be kept.
    fn check(&mut self, path: &str, value: &mut Value, wrap: Wrap<'_>) -> bool {
        let complaint = |value: Value| {
            let whole = wrap(value);
            let complaint = (self.fits)(&whole);
            wipe(whole);
            complaint
        };
        let Some(message) = complaint(value.clone()) else { return true };
        let empty = match value {
            Value::Array(_) => complaint(Value::Array(Vec::new())),
            Value::Object(_) => complaint(Value::Object(Map::new())),
            _ => Some(String::new()),
        };
        match value {
            Value::Array(list) if empty.is_none() => {
                let mut good = true;
                for (index, item) in list.iter_mut().enumerate() {
                    good &= self.check(&format!("{path}[{index}]"), item, &|item| wrap(Value::Array(vec![item])));
                }
                good
            }
            Value::Object(members) if empty.is_none() => {
                let names: Vec<String> = members.keys().cloned().collect();
                for name in names {
                    let Some(item) = members.get_mut(&name) else { continue };
                    let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                    let wrap_member = |item| wrap(Value::Object(Map::from_iter([(name.clone(), item)])));
                    if !self.check(&path, item, &wrap_member) {
                        self.origin.broken.insert(path);
                        members.remove(&name);
                    }
                }
                true
            }
            _ => {
                self.report(path, &message, value);
                false
            }
        }
    }

    fn report(&mut self, path: &str, message: &str, value: &Value) {
        let (text, hint) = match unknown_field(message) {
            Some(known) => {
                let name = path.rsplit('.').next().unwrap_or(path);
                ("unknown field".to_owned(), did_you_mean(name, known.iter().map(String::as_str)))
            }
            None => (describe(message, value), None),
        };
        self.problems.push(self.origin.problem(path, text).maybe_hint(hint));
    }
}

/// Returns the names that serde lists when it does not know a field.
fn unknown_field(message: &str) -> Option<Vec<String>> {
    let rest = message.strip_prefix("unknown field `")?;
    let (_, known) = rest.split_once("`, ").unwrap_or_default();
    // `expected one of `a`, `b``: every second piece is a name.
    Some(known.split('`').skip(1).step_by(2).map(str::to_owned).collect())
}

/// Returns what was expected, without the value: serde's own message would repeat it.
fn describe(message: &str, value: &Value) -> String {
    let Some((_, expected)) = message.rsplit_once(", expected ") else { return "not valid here".to_owned() };
    let expected = match expected {
        "a boolean" => "true or false",
        "u64" | "u32" => "a whole number that is not negative",
        "a sequence" => "a list",
        "a map" | "a Map" => "an object",
        other if other.starts_with("struct ") => "an object",
        other => other,
    };
    let found = match value {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Number(number) if number.is_f64() => "a decimal number",
        Value::Number(number) if number.as_i64().is_some_and(|number| number < 0) => "a negative number",
        Value::Number(_) if expected.starts_with("a whole number") => "one that is too large",
        Value::Number(_) => "a whole number",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    };
    format!("expected {expected}, found {found}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use policy::spec::key::KeySpec;
    use policy::spec::model::ModelSpec;
    use policy::spec::provider::ProviderSpec;
    use serde_json::json;

    fn check<T: DeserializeOwned + Default>(spec: Value, expect: &[&str]) -> T {
        let mut origin = Origin::new("here", "spec");
        let mut problems = Vec::new();
        let Value::Object(spec) = spec else { panic!("an object") };
        let read = read(&spec, &mut origin, &mut problems);
        let lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
        assert_eq!(lines, expect);
        read
    }

    #[test]
    fn reports_every_fault_with_its_path() {
        let spec: ProviderSpec = check(
            json!({
                "kind": 5, "base_url": "https://x", "timeout_ms": "10s", "idle_timeout_ms": -1, "bas_url": "canary",
                "credentials": [{"value": "a", "weight": 1.5}, {"valu": "canary", "name": "b"}],
                "headers": {"x-a": 1, "x-b": "b"}, "enabled": "yes",
            }),
            &[
                "here: spec.kind: expected a string, found a whole number",
                "here: spec.timeout_ms: expected a whole number that is not negative, found a string",
                "here: spec.idle_timeout_ms: expected a whole number that is not negative, found a negative number",
                "here: spec.bas_url: unknown field (did you mean base_url?)",
                "here: spec.credentials[0].weight: expected a whole number that is not negative, found a decimal number",
                "here: spec.credentials[1].valu: unknown field (did you mean value?)",
                "here: spec.headers.x-a: expected a string, found a whole number",
                "here: spec.enabled: expected true or false, found a string",
            ],
        );
        assert_eq!(spec.base_url.as_deref(), Some("https://x"));
        assert_eq!((spec.credentials.len(), spec.headers.len()), (2, 1));
    }

    #[test]
    fn the_type_of_a_container_is_reported_once() {
        check::<ProviderSpec>(
            json!({"credentials": {"value": "canary"}, "headers": ["canary"]}),
            &[
                "here: spec.credentials: expected a list, found an object",
                "here: spec.headers: expected an object, found a list",
            ],
        );
        check::<ProviderSpec>(
            json!({"credentials": ["canary"]}),
            &["here: spec.credentials[0]: expected an object, found a string"],
        );
    }

    #[test]
    fn lists_name_the_place() {
        let spec: ModelSpec = check(
            json!({"aliases": ["a", 5, "c", null], "input_price": 2.5, "output_price": [1]}),
            &[
                "here: spec.aliases[1]: expected a string, found a whole number",
                "here: spec.aliases[3]: expected a string, found null",
                "here: spec.output_price: expected a number, true or false, or a string with one, found a list",
            ],
        );
        assert_eq!(spec.input_price.map(|price| price.0).as_deref(), Some("2.5"));
    }

    #[test]
    fn instants_say_how_they_are_written() {
        check::<KeySpec>(
            json!({"expires_at": "tomorrow", "labels": {"a": 1}}),
            &[
                "here: spec.expires_at: expected a date and time such as 2027-01-31T00:00:00Z, or Unix seconds, found a string",
                "here: spec.labels.a: expected a string, found a whole number",
            ],
        );
    }
}
