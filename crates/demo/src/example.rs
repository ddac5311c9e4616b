//! The smallest instance of a JSON Schema, for tool arguments and structured outputs.

use serde_json::{Map, Value, json};

/// Deeper schemas are answered with null from there on.
const MAX_DEPTH: usize = 32;

/// Returns a value that the schema accepts, made from its `const`, `default`, `enum`, `examples` and types.
/// `text` stands for every string without a format.
pub(crate) fn instance(schema: &Value, text: &str) -> Value {
    build(schema, schema, text, 0)
}

fn build(root: &Value, schema: &Value, text: &str, depth: usize) -> Value {
    if depth > MAX_DEPTH {
        return Value::Null;
    }
    if let Some(reference) = schema.get("$ref").and_then(Value::as_str) {
        let target = reference.strip_prefix('#').and_then(|pointer| root.pointer(pointer));
        return target.map_or(Value::Null, |target| build(root, target, text, depth + 1));
    }
    for given in ["const", "default"] {
        if let Some(value) = schema.get(given) {
            return value.clone();
        }
    }
    for list in ["enum", "examples"] {
        if let Some(value) = schema.get(list).and_then(|list| list.get(0)) {
            return value.clone();
        }
    }
    for choice in ["anyOf", "oneOf", "allOf"] {
        if let Some(first) = schema.get(choice).and_then(|list| list.get(0)) {
            return build(root, first, text, depth + 1);
        }
    }
    let kind = match schema.get("type") {
        Some(Value::Array(kinds)) => kinds.first().and_then(Value::as_str),
        Some(kind) => kind.as_str(),
        None if schema.get("properties").is_some() => Some("object"),
        None => None,
    };
    match kind {
        Some("object") => object(root, schema, text, depth),
        Some("array") => array(root, schema, text, depth),
        Some("integer" | "number") => number(schema),
        Some("boolean") => json!(true),
        Some("null") => Value::Null,
        _ => string(schema, text),
    }
}

fn object(root: &Value, schema: &Value, text: &str, depth: usize) -> Value {
    let properties = schema.get("properties").and_then(Value::as_object);
    let members = properties.into_iter().flatten();
    Value::Object(members.map(|(name, of)| (name.clone(), build(root, of, text, depth + 1))).collect::<Map<_, _>>())
}

fn array(root: &Value, schema: &Value, text: &str, depth: usize) -> Value {
    let count = schema.get("minItems").and_then(Value::as_u64).unwrap_or(1).min(16);
    let item = schema.get("items").map_or(Value::Null, |of| build(root, of, text, depth + 1));
    Value::Array((0..count).map(|_| item.clone()).collect())
}

fn number(schema: &Value) -> Value {
    let bound = |name: &str, step: i64| schema.get(name).and_then(Value::as_i64).map(|bound| bound + step);
    json!(
        bound("minimum", 0).or(bound("exclusiveMinimum", 1)).or(bound("maximum", 0).map(|max| max.min(1))).unwrap_or(1)
    )
}

fn string(schema: &Value, text: &str) -> Value {
    json!(match schema.get("format").and_then(Value::as_str) {
        Some("date-time") => "2026-01-01T00:00:00Z",
        Some("date") => "2026-01-01",
        Some("time") => "00:00:00Z",
        Some("email") => "demo@example.com",
        Some("uri") => "https://example.com/",
        Some("uuid") => "00000000-0000-4000-8000-000000000000",
        _ => text,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn follows_the_schema() {
        let schema = json!({
            "type": "object",
            "properties": {
                "city": {"type": "string"},
                "unit": {"enum": ["c", "f"]},
                "days": {"type": "integer", "minimum": 3},
                "when": {"$ref": "#/$defs/when"},
                "tags": {"type": "array", "items": {"type": ["string", "null"]}, "minItems": 2}
            },
            "$defs": {"when": {"type": "string", "format": "date"}}
        });
        let expect = json!({"city": "x", "unit": "c", "days": 3, "when": "2026-01-01", "tags": ["x", "x"]});
        assert_eq!(instance(&schema, "x"), expect);
    }

    #[test]
    fn a_schema_that_holds_itself_ends() {
        let schema = json!({"type": "object", "properties": {"next": {"$ref": "#"}}});
        assert!(instance(&schema, "x").is_object());
    }
}
