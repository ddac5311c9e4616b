//! Errors of Ollama: `{"error": "text"}`, as a body or as a line of a stream
//! (<https://docs.ollama.com/api/errors>).

use ir::report::Report;

use crate::json::object::{Object, Path, string};

/// Reads an error body.
pub fn read(body: &[u8]) -> Report {
    let object = std::str::from_utf8(body).ok().and_then(|text| Object::read(text.trim(), Path::default()).ok());
    object.and_then(|mut object| object.take("error").map(member)).unwrap_or_default()
}

/// Reads the value of an `error` member. A proxy before the server may send OpenAI's object instead of a text.
pub(super) fn member(value: &str) -> Report {
    if let Some(message) = string(value) {
        return Report { message: Some(message), ..Report::default() };
    }
    let Ok(mut object) = Object::read(value, Path::default()) else { return Report::default() };
    let mut text = |name| object.text(name).ok().flatten();
    Report { message: text("message"), code: text("code").or_else(|| text("type")), param: text("param") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(body: &str, message: Option<&str>, code: Option<&str>) {
        let report = read(body.as_bytes());
        assert_eq!((report.message.as_deref(), report.code.as_deref()), (message, code), "{body}");
    }

    #[test]
    fn texts_and_objects() {
        check(r#"{"error":"model 'x' not found"}"#, Some("model 'x' not found"), None);
        check(r#"{"error":{"message":"m","type":"t","code":null}}"#, Some("m"), Some("t"));
        check(r#"{"error":7}"#, None, None);
        check(r#"{"message":"m"}"#, None, None);
        check("502 Bad Gateway", None, None);
        check("", None, None);
    }
}
