//! A JSON value that is carried, not understood.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// The text of one JSON value. It is valid, and it is written as it was read: numbers keep their digits, objects
/// their order. Two values are equal when their texts are.
#[derive(Clone, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Json(Box<RawValue>);

impl Json {
    /// Reads a text that is one JSON value; anything else is `None`. A control character that stands in a string as it
    /// is, which JSON forbids and some clients send, is escaped.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let read = |text: String| RawValue::from_string(text).ok().map(Self);
        read(text.to_owned()).or_else(|| text.bytes().any(|byte| byte < 0x20).then(|| read(escaped(text))).flatten())
    }

    /// Returns the value of anything that can be written as JSON; `null` for what cannot.
    pub fn of(value: &impl Serialize) -> Self {
        Self(serde_json::value::to_raw_value(value).unwrap_or_else(|_| RawValue::NULL.to_owned()))
    }

    /// Returns the text.
    pub fn as_str(&self) -> &str {
        self.0.get()
    }
}

/// Escapes the control characters inside strings (RFC 8259, section 7).
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 16);
    let (mut inside, mut after_backslash) = (false, false);
    for character in text.chars() {
        if inside && character < ' ' {
            out.push_str(&format!("\\u{:04x}", u32::from(character)));
        } else {
            out.push(character);
        }
        inside ^= character == '"' && !after_backslash;
        after_backslash = inside && character == '\\' && !after_backslash;
    }
    out
}

impl PartialEq for Json {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl Eq for Json {}

impl fmt::Debug for Json {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expect: Option<&str>) {
        assert_eq!(Json::parse(text).as_ref().map(Json::as_str), expect, "{text:?}");
    }

    #[test]
    fn a_value_is_kept_as_it_is() {
        check(" {\"a\": 1.50}\n", Some("{\"a\": 1.50}"));
        check("{\"a\":", None);
        check("1 2", None);
    }

    #[test]
    fn control_characters_inside_strings_are_escaped() {
        check("{\n\t\"a\\\"\n\":\"\u{1}\"}", Some("{\n\t\"a\\\"\\u000a\":\"\\u0001\"}"));
        check("[\"\\\\\",\n\"\t\"]", Some("[\"\\\\\",\n\"\\u0009\"]"));
        check("\u{1}1", None);
    }
}
