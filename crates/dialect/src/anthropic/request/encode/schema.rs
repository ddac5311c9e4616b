//! Schemas of answers, closed: Anthropic wants `additionalProperties: false` said of every object, which OpenAI wants in
//! strict mode only. A schema that says it everywhere, or says otherwise, stays as it is, to the byte.
//!
//! <https://platform.claude.com/docs/en/build-with-claude/structured-outputs>

use std::borrow::Cow;

use ir::json::Json;
use serde_json::{Map, Value};

/// Returns a schema whose objects are closed.
pub(super) fn closed(schema: &Json) -> Cow<'_, Json> {
    let mut value = serde_json::from_str::<Value>(schema.as_str()).unwrap_or_default();
    if close(&mut value) { Cow::Owned(Json::of(&value)) } else { Cow::Borrowed(schema) }
}

/// Closes a schema and the schemas in it, and tells whether one was open. What is data (`enum`, `const`, `default`) is
/// not looked into. It recurses as deep as `serde_json` lets a value nest, which is 128 levels.
fn close(schema: &mut Value) -> bool {
    let Value::Object(members) = schema else { return false };
    let mut changed = false;
    for (name, value) in members.iter_mut() {
        changed |= match (name.as_str(), value) {
            ("properties" | "$defs" | "definitions", Value::Object(named)) => each(named.values_mut()),
            ("anyOf" | "oneOf" | "allOf" | "prefixItems", Value::Array(list)) => each(list.iter_mut()),
            ("items", value) => close(value),
            _ => false,
        };
    }
    if is_object(members) && !members.contains_key("additionalProperties") {
        members.insert("additionalProperties".to_owned(), Value::Bool(false));
        changed = true;
    }
    changed
}

fn each<'a>(schemas: impl Iterator<Item = &'a mut Value>) -> bool {
    schemas.fold(false, |changed, schema| close(schema) | changed)
}

fn is_object(schema: &Map<String, Value>) -> bool {
    match schema.get("type") {
        Some(Value::String(kind)) => kind == "object",
        Some(Value::Array(kinds)) => kinds.iter().any(|kind| kind == "object"),
        _ => schema.contains_key("properties"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(schema: &str, expect: &str) {
        assert_eq!(closed(&Json::parse(schema).unwrap()).as_str(), expect);
    }

    #[test]
    fn every_object_is_closed() {
        check(
            r#"{"type":"object","properties":{"z":{"type":["object","null"]},"type":{"type":"string"},"l":{"type":"array","items":{"properties":{}}}}}"#,
            r#"{"type":"object","properties":{"z":{"type":["object","null"],"additionalProperties":false},"type":{"type":"string"},"l":{"type":"array","items":{"properties":{},"additionalProperties":false}}},"additionalProperties":false}"#,
        );
        check(
            r##"{"anyOf":[{"$ref":"#/$defs/a"}],"$defs":{"a":{"type":"object"}}}"##,
            r##"{"anyOf":[{"$ref":"#/$defs/a"}],"$defs":{"a":{"type":"object","additionalProperties":false}}}"##,
        );
    }

    #[test]
    fn what_is_closed_stays_as_it_is() {
        for schema in [
            r#"{ "type":"object", "additionalProperties":false }"#,
            r#"{"type":"object","additionalProperties":{"type":"string"}}"#,
            r#"{ "enum":[{"type":"object"}], "default":{"type":"object"} }"#,
            "true",
        ] {
            check(schema, schema);
        }
    }
}
