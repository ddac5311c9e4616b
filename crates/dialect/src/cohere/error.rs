//! Errors of Cohere: `{"id": "…", "message": "text"}` (<https://docs.cohere.com/reference/errors>), and `error` with
//! `error_type` at the end of a stream.

use ir::report::Report;

use crate::json::object::{Object, Path};

/// Reads an error body.
pub fn read(body: &[u8]) -> Report {
    let object = std::str::from_utf8(body).ok().and_then(|text| Object::read(text.trim(), Path::default()).ok());
    object.map(|mut object| member(&mut object)).unwrap_or_default()
}

/// Reads what an object says about an error. A proxy before the provider may call the text `error` or `detail`.
pub(super) fn member(object: &mut Object<'_>) -> Report {
    let mut text = |name| object.text(name).ok().flatten().filter(|text| !text.is_empty());
    Report {
        message: text("message").or_else(|| text("error")).or_else(|| text("detail")),
        code: text("error_type").or_else(|| text("code")),
        param: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(body: &str, message: Option<&str>, code: Option<&str>) {
        let report = read(body.as_bytes());
        assert_eq!((report.message.as_deref(), report.code.as_deref()), (message, code), "{body}");
    }

    #[test]
    fn messages_are_found() {
        check(r#"{"id":"1","message":"invalid api token"}"#, Some("invalid api token"), None);
        check(r#"{"message":null,"error":"m","error_type":"T"}"#, Some("m"), Some("T"));
        check(r#"{"detail":"m"}"#, Some("m"), None);
        check(r#"{"message":{"a":1}}"#, None, None);
        check("upstream connect error", None, None);
    }
}
