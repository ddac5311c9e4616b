//! Schemas that several routes share: envelopes of resources, pages, errors.

use std::borrow::Cow;
use std::marker::PhantomData;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::{Value, json};

use super::problem::Code;
use super::route::SchemaOf;

/// The media type of every body but those of probes.
pub const JSON: &str = "application/json";

/// The schemas of one kind, each made from its spec's.
#[derive(Clone, Copy)]
pub struct Schemas {
    /// The body that makes one.
    pub create: SchemaOf,
    /// The body that replaces or changes one.
    pub change: SchemaOf,
    /// One of them.
    pub item: SchemaOf,
    /// One of them with its secret, once.
    pub made: SchemaOf,
    /// A page of them.
    pub page: SchemaOf,
}

impl Schemas {
    /// Returns the schemas of the kind with this spec.
    pub const fn of<T: JsonSchema>() -> Self {
        Self {
            create: create::<T>,
            change: change::<T>,
            item: SchemaGenerator::subschema_for::<Item<T>>,
            made: made::<T>,
            page: page::<T>,
        }
    }
}

fn name() -> Value {
    json!({
        "type": ["string", "null"],
        "minLength": 1,
        "maxLength": 128,
        "description": "Its name, unique among those of its kind and environment. It cannot be changed.",
    })
}

fn create<T: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    let spec = generator.subschema_for::<Given<T>>();
    json_schema!({
        "type": "object",
        "properties": { "name": name(), "spec": { "anyOf": [spec, { "type": "null" }] } },
        "additionalProperties": false,
    })
}

fn change<T: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "required": ["spec"],
        "properties": { "name": name(), "spec": generator.subschema_for::<Given<T>>() },
        "additionalProperties": false,
    })
}

fn made<T: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    let mut schema = Item::<T>::json_schema(generator);
    if let Some(Value::Object(properties)) = schema.get_mut("properties") {
        let secret = json!({ "type": "string", "description": "The secret. It is shown here and never again." });
        properties.insert("secret".to_owned(), secret);
    }
    schema
}

fn page<T: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    list_of(generator.subschema_for::<Item<T>>())
}

/// Returns the schema of a page of something.
pub fn list_of(item: Schema) -> Schema {
    json_schema!({
        "type": "object",
        "required": ["data", "next_cursor"],
        "properties": {
            "data": { "type": "array", "items": item },
            "next_cursor": {
                "type": ["string", "null"],
                "description": "Where the next page begins; null when this is the last.",
            },
        },
    })
}

/// One resource.
struct Item<T>(PhantomData<T>);

impl<T: JsonSchema> JsonSchema for Item<T> {
    fn schema_name() -> Cow<'static, str> {
        T::schema_name().trim_end_matches("Spec").to_owned().into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let spec = generator.subschema_for::<Written<T>>();
        json_schema!({
            "type": "object",
            "required": [
                "id", "kind", "environment", "name", "version", "managed_by", "created_at", "updated_at", "spec", "status",
            ],
            "properties": {
                "id": { "type": "string", "description": "Its identity, which no other resource ever has." },
                "kind": { "type": "string", "description": "The plural name of its kind." },
                "environment": { "type": "string", "description": "The environment it belongs to." },
                "name": { "type": "string", "description": "Its name." },
                "version": {
                    "type": "integer", "minimum": 0, "description": "Counts its changes. `ETag` is this number in quotes.",
                },
                "managed_by": {
                    "enum": ["api", "file"],
                    "description": "`file`: the configuration file says it, and it is changed there.",
                },
                "created_at": { "type": "string", "format": "date-time", "description": "When it was created." },
                "updated_at": { "type": "string", "format": "date-time", "description": "When it was changed last." },
                "spec": spec,
                "status": { "type": "object", "description": "What the gateway says about it." },
            },
        })
    }
}

/// A spec as it is answered: secrets are left out, and of headers only the names are there.
struct Written<T>(PhantomData<T>);

impl<T: JsonSchema> JsonSchema for Written<T> {
    fn schema_name() -> Cow<'static, str> {
        format!("{}Read", T::schema_name()).into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let mut schema = T::json_schema(generator);
        if let Some(Value::Object(properties)) = schema.get_mut("properties") {
            properties
                .retain(|_, property| !property.to_string().contains("/Secret\"") || property["type"] == "object");
            for property in properties.values_mut() {
                if property["type"] == "object" && property.to_string().contains("/Secret\"") {
                    property["additionalProperties"] = json!({ "type": "null" });
                }
            }
        }
        schema
    }
}

/// A spec as it is given: every member may be null, which is as good as left out, and clears it in a PATCH (RFC 7396).
struct Given<T>(PhantomData<T>);

impl<T: JsonSchema> JsonSchema for Given<T> {
    fn schema_name() -> Cow<'static, str> {
        T::schema_name()
    }

    fn schema_id() -> Cow<'static, str> {
        format!("Given<{}>", T::schema_id()).into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let mut schema = T::json_schema(generator);
        schema.remove("required");
        if let Some(Value::Object(properties)) = schema.get_mut("properties") {
            for property in properties.values_mut() {
                if let Some(members) = property.as_object_mut() {
                    members.remove("default");
                }
                let clears = property["type"].as_array().is_some_and(|types| types.contains(&json!("null")));
                if !clears {
                    *property = json!({ "anyOf": [property.take(), { "type": "null" }] });
                }
            }
        }
        schema
    }
}

/// An error.
pub struct Error;

impl JsonSchema for Error {
    fn schema_name() -> Cow<'static, str> {
        "Error".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let text_or_null = json!({ "type": ["string", "null"] });
        json_schema!({
            "type": "object",
            "required": ["error"],
            "additionalProperties": false,
            "properties": { "error": {
                "type": "object",
                "required": ["code", "message", "field", "request_id", "hint"],
                "additionalProperties": false,
                "properties": {
                    "code": { "enum": Code::ALL.map(Code::name), "description": "What kind of error it is; stable." },
                    "message": { "type": "string", "description": "What is wrong, for people." },
                    "field": { "type": ["string", "null"], "description": "The member or parameter that is blamed." },
                    "request_id": { "type": "string", "description": "The `x-request-id` of this reply." },
                    "hint": { "type": ["string", "null"], "description": "What to do about it." },
                    "problems": {
                        "type": "array",
                        "description": "All of them, where there are several; the first is in the members above.",
                        "items": {
                            "type": "object",
                            "required": ["path", "message", "hint", "line"],
                            "properties": {
                                "document": {
                                    "type": "string",
                                    "description": "Which one it is about, where several documents were sent.",
                                },
                                "path": { "type": "string" },
                                "message": { "type": "string" },
                                "hint": text_or_null,
                                "line": { "type": ["integer", "null"] },
                            },
                        },
                    },
                },
            } },
        })
    }
}
