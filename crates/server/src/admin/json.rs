//! Strict JSON: what two parsers could read differently is refused.
//!
//! A member that stands twice, nesting deeper than 64 levels, and anything after the value are errors that name the
//! line and the column. No message repeats the text: it may be a secret.

use std::cell::Cell;
use std::fmt;

use serde::de::{DeserializeSeed, Error, MapAccess, SeqAccess, Visitor};
use serde::{Deserializer, de};
use serde_json::{Map, Number, Value};

use super::problem::{Code, Problem};

/// How deep arrays and objects may nest.
pub const MAX_DEPTH: usize = 64;

/// Reads a body.
///
/// # Errors
/// 400 with the position.
pub fn parse(body: &[u8]) -> Result<Value, Problem> {
    let fault = Cell::new(None);
    let mut deserializer = serde_json::Deserializer::from_slice(body);
    let value = Strict { depth: 0, fault: &fault }.deserialize(&mut deserializer);
    value.and_then(|value| deserializer.end().map(|()| value)).map_err(|error| {
        let (line, column) = (error.line(), error.column());
        let what = match (fault.take(), error.classify()) {
            (Some(what), _) => what,
            (None, serde_json::error::Category::Eof) => "the JSON text ends too early",
            (None, _) => "the body is not valid JSON",
        };
        Problem::new(Code::InvalidRequest, format!("{what} (line {line}, column {column})"))
    })
}

#[derive(Clone, Copy)]
struct Strict<'a> {
    depth: usize,
    fault: &'a Cell<Option<&'static str>>,
}

impl Strict<'_> {
    fn deeper<E: Error>(self) -> Result<Self, E> {
        if self.depth == MAX_DEPTH {
            return Err(self.fail("the JSON text is nested deeper than 64 levels"));
        }
        Ok(Self { depth: self.depth + 1, ..self })
    }

    fn fail<E: Error>(self, what: &'static str) -> E {
        self.fault.set(Some(what));
        E::custom(what)
    }
}

impl<'de> DeserializeSeed<'de> for Strict<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E: Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Value, E> {
        Ok(Value::from(number))
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Value, E> {
        Ok(Value::from(number))
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<Value, E> {
        Number::from_f64(number).map(Value::Number).ok_or_else(|| self.fail("a number is too large"))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Value, E> {
        Ok(Value::from(text))
    }

    fn visit_string<E: Error>(self, text: String) -> Result<Value, E> {
        Ok(Value::from(text))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Value, A::Error> {
        let inner = self.deeper()?;
        let mut values = Vec::new();
        while let Some(value) = elements.next_element_seed(inner)? {
            values.push(value);
        }
        Ok(Value::Array(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let inner = self.deeper()?;
        let mut values = Map::new();
        while let Some(name) = members.next_key::<String>()? {
            if values.contains_key(&name) {
                return Err(de::Error::custom(self.fail::<A::Error>("a member stands twice in an object")));
            }
            let value = members.next_value_seed(inner)?;
            values.insert(name, value);
        }
        Ok(Value::Object(values))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(body: &str) -> String {
        let Err(problem) = parse(body.as_bytes()) else { panic!("taken: {body}") };
        problem.message().to_owned()
    }

    #[test]
    fn plain_json_is_read_as_it_is() {
        for body in ["null", "[]", "{}", r#"{"b":1,"a":[true,-1,1.5,"é\n",null]}"#, " 1 ", r#"{"a":{"a":1}}"#] {
            let expected: Value = serde_json::from_str(body).unwrap();
            assert_eq!(parse(body.as_bytes()).unwrap().to_string(), expected.to_string(), "{body}");
        }
    }

    #[test]
    fn what_is_wrong_is_named_with_its_place() {
        let check = |body: &str, expect: &str| assert_eq!(refused(body), expect, "{body}");
        check("", "the JSON text ends too early (line 1, column 0)");
        check("{\n  \"a\": }", "the body is not valid JSON (line 2, column 8)");
        check("{\"a\":1", "the JSON text ends too early (line 1, column 6)");
        check("{} {}", "the body is not valid JSON (line 1, column 4)");
        check("{\"a\":1,\n\"a\":2}", "a member stands twice in an object (line 2, column 3)");
        check(r#"{"a":1,"\u0061":2}"#, "a member stands twice in an object (line 1, column 15)");
        check("{'a':1}", "the body is not valid JSON (line 1, column 2)");
        check("NaN", "the body is not valid JSON (line 1, column 1)");
        check("[1,]", "the body is not valid JSON (line 1, column 4)");
    }

    #[test]
    fn depth_is_bounded() {
        let nested = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
        assert!(parse(nested(MAX_DEPTH).as_bytes()).is_ok());
        assert!(refused(&nested(MAX_DEPTH + 1)).starts_with("the JSON text is nested deeper than 64 levels"));
        assert!(refused(&nested(100_000)).starts_with("the JSON text is nested deeper"));
        assert!(refused(&"{\"a\":".repeat(100_000)).starts_with("the JSON text is nested deeper"));
    }

    #[test]
    fn no_message_repeats_the_text() {
        for body in [r#"{"value":"sk-canary""#, r#"{"value":sk-canary}"#, r#"{"sk-canary":1,"sk-canary":1}"#] {
            assert!(!refused(body).contains("canary"), "{body}");
        }
        assert!(!refused("{\"value\":\"sk-canary\u{1}\"}").contains("canary"));
    }

    #[test]
    fn bytes_that_are_no_text_are_refused() {
        for body in [&b"\"\xff\""[..], b"\xef\xbb\xbf{}", b"\"\\ud800\"", b"\x00"] {
            assert!(parse(body).is_err(), "{body:?}");
        }
    }
}
