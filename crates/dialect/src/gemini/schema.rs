//! Gemini's own schemas, as JSON Schemas.
//!
//! `parameters` and `responseSchema` follow OpenAPI 3.0 with types in capitals
//! (<https://ai.google.dev/api/caching#Schema>). What is written goes into `parametersJsonSchema` and
//! `responseJsonSchema`, which take JSON Schemas as they are; so only this direction is needed.

use ir::json::Json;
use serde_json::{Map, Value};

/// Returns the schema as a JSON Schema; one that is none stays as it is.
pub(super) fn to_json_schema(schema: &str) -> Option<Json> {
    let value: Value = serde_json::from_str(schema).ok()?;
    Some(Json::of(&converted(value)))
}

/// Converts one level and those below. The reader has bounded the depth.
fn converted(schema: Value) -> Value {
    let Value::Object(members) = schema else { return schema };
    let mut out = Map::new();
    let mut nullable = false;
    for (name, value) in members {
        match (name.as_str(), value) {
            ("nullable", Value::Bool(yes)) => nullable = yes,
            ("type", value) => {
                out.insert(name, kind(value));
            }
            ("items" | "additionalProperties" | "additional_properties", value) => {
                out.insert(camel(name), converted(value));
            }
            ("properties" | "$defs" | "defs", Value::Object(below)) => {
                let below = below.into_iter().map(|(name, value)| (name, converted(value))).collect();
                out.insert(name, Value::Object(below));
            }
            ("anyOf" | "any_of" | "oneOf" | "allOf" | "prefixItems", Value::Array(list)) => {
                out.insert(camel(name), Value::Array(list.into_iter().map(converted).collect()));
            }
            // Protobuf's JSON writes 64-bit integers as text.
            (
                "minItems" | "maxItems" | "minLength" | "maxLength" | "minProperties" | "maxProperties" | "min_items"
                | "max_items" | "min_length" | "max_length" | "min_properties" | "max_properties",
                Value::String(number),
            ) => {
                let value = number.parse::<u64>().map_or(Value::String(number), Value::from);
                out.insert(camel(name), value);
            }
            (_, value) => {
                out.insert(camel(name), value);
            }
        }
    }
    if nullable {
        allow_null(&mut out);
    }
    Value::Object(out)
}

/// Returns a type as JSON Schema names it: `STRING`, or its number in the protocol.
fn kind(value: Value) -> Value {
    const NAMES: [&str; 8] = ["", "string", "number", "integer", "boolean", "array", "object", "null"];
    match value {
        Value::String(name) => Value::String(name.to_ascii_lowercase()),
        Value::Number(number) => {
            let name = number.as_u64().and_then(|at| NAMES.get(usize::try_from(at).ok()?));
            name.map_or(Value::Number(number), |name| Value::from(*name))
        }
        Value::Array(list) => Value::Array(list.into_iter().map(kind).collect()),
        value => value,
    }
}

/// Adds `null` to the types and values that a schema allows.
fn allow_null(schema: &mut Map<String, Value>) {
    if let Some(kind) = schema.get_mut("type").filter(|kind| kind.is_string()) {
        *kind = Value::Array(vec![kind.take(), Value::from("null")]);
    }
    if let Some(Value::Array(values)) = schema.get_mut("enum").filter(|values| values.is_array()) {
        values.push(Value::Null);
    }
    if let Some(Value::Array(list)) = schema.get_mut("anyOf") {
        list.push(serde_json::json!({"type": "null"}));
    }
}

fn camel(name: String) -> String {
    let Some(at) = name.find('_') else { return name };
    let (head, tail) = name.split_at(at);
    let tail = tail.split('_').map(|word| {
        let mut letters = word.chars();
        letters.next().map(|first| first.to_ascii_uppercase()).into_iter().chain(letters).collect::<String>()
    });
    head.to_owned() + &tail.collect::<String>()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(schema: &str, expect: &str) {
        assert_eq!(to_json_schema(schema).unwrap().as_str(), expect);
    }

    #[test]
    fn types_are_spelled_as_json_schema_does() {
        check(
            r#"{"type":"OBJECT","properties":{"type":{"type":"STRING","nullable":true,"enum":["a"]}},"required":["type"]}"#,
            r#"{"type":"object","properties":{"type":{"type":["string","null"],"enum":["a",null]}},"required":["type"]}"#,
        );
        check(
            r#"{"type":5,"items":{"type":1},"maxItems":"3"}"#,
            r#"{"type":"array","items":{"type":"string"},"maxItems":3}"#,
        );
        check(
            r#"{"any_of":[{"type":"NUMBER"}],"nullable":true,"property_ordering":["a"]}"#,
            r#"{"anyOf":[{"type":"number"},{"type":"null"}],"propertyOrdering":["a"]}"#,
        );
        check(
            r#"{"type":["string","null"],"description":"STRING"}"#,
            r#"{"type":["string","null"],"description":"STRING"}"#,
        );
        check("true", "true");
    }
}
