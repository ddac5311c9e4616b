//! An instant that people write.

use std::borrow::Cow;
use std::fmt;

use ir::civil::{parse_rfc3339, rfc3339};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Deserialize, Deserializer, Error, Visitor};
use serde::ser::{Serialize, Serializer};

/// An instant in whole Unix seconds. It is read from RFC 3339 text (`2027-01-31T00:00:00Z`) or from Unix seconds, and
/// written as text in UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Timestamp(pub u64);

impl Timestamp {
    /// Returns the instant in Unix milliseconds.
    pub fn unix_ms(self) -> u64 {
        self.0.saturating_mul(1_000)
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&rfc3339(self.unix_ms()))
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TimestampVisitor)
    }
}

/// The last second of the year 9999, the last that RFC 3339 can write.
const LAST: u64 = 253_402_300_799;

impl JsonSchema for Timestamp {
    fn schema_name() -> Cow<'static, str> {
        "Timestamp".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "An instant: RFC 3339 text, or whole Unix seconds. It is answered as text in UTC.",
            "anyOf": [
                { "type": "string", "format": "date-time" },
                { "type": "integer", "minimum": 0, "maximum": LAST },
            ],
            "examples": ["2027-01-31T00:00:00Z"],
        })
    }
}

struct TimestampVisitor;

impl Visitor<'_> for TimestampVisitor {
    type Value = Timestamp;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a date and time such as 2027-01-31T00:00:00Z, or Unix seconds")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Timestamp, E> {
        let ms = parse_rfc3339(text.trim()).ok_or_else(|| E::invalid_value(serde::de::Unexpected::Str(text), &self))?;
        Ok(Timestamp(ms / 1_000))
    }

    fn visit_u64<E: Error>(self, seconds: u64) -> Result<Timestamp, E> {
        if seconds > LAST {
            return Err(E::invalid_value(serde::de::Unexpected::Unsigned(seconds), &self));
        }
        Ok(Timestamp(seconds))
    }

    fn visit_i64<E: Error>(self, seconds: i64) -> Result<Timestamp, E> {
        match u64::try_from(seconds) {
            Ok(seconds) => self.visit_u64(seconds),
            Err(_) => Err(E::invalid_value(serde::de::Unexpected::Signed(seconds), &self)),
        }
    }
}
