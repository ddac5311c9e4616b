//! Errors, as providers of this dialect say them.
//!
//! <https://platform.openai.com/docs/guides/error-codes>

use ir::report::Report;

use crate::json::object::{Object, Path, string};

/// Reads an error body: `{"error":{"message","type","param","code"}}` (`OpenAI`), `{"code","error":"…"}` (xAI),
/// `{"message":"…"}`, `{"detail":"…"}`.
pub fn read(body: &[u8]) -> Report {
    let body = std::str::from_utf8(body).unwrap_or_default();
    Object::read(body, Path::default()).map(report).unwrap_or_default()
}

/// Returns what an object says of an error: a body, or the event `error`, whose members stand in it or in an `error`
/// of its own (<https://platform.openai.com/docs/api-reference/responses-streaming/error>).
pub(super) fn report(mut around: Object<'_>) -> Report {
    match around.take("error") {
        Some(error) if error.starts_with('{') => member(error),
        Some(error) => Report { message: text(error), code: code(&mut around), param: None },
        None => said(around),
    }
}

/// Returns what the value of a member `error` says.
pub(super) fn member(error: &str) -> Report {
    match Object::read(error, Path::default()) {
        Ok(error) => said(error),
        Err(_) => Report { message: text(error), ..Report::default() },
    }
}

fn said(mut error: Object<'_>) -> Report {
    let message = error.take("message").and_then(text);
    Report {
        message: message.or_else(|| error.take("detail").and_then(text)),
        code: code(&mut error),
        param: error.take("param").and_then(text),
    }
}

/// Takes the code, or the type where there is none. `error` is the type of the event.
fn code(error: &mut Object<'_>) -> Option<String> {
    let kind = error.take("type").and_then(text).filter(|kind| kind != "error");
    error.take("code").and_then(text).or(kind)
}

/// Returns a string that is not empty, or a number as text.
fn text(value: &str) -> Option<String> {
    let number = || value.starts_with(|first: char| first.is_ascii_digit()).then(|| value.to_owned());
    string(value).or_else(number).filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(body: &str, message: Option<&str>, code: Option<&str>, param: Option<&str>) {
        let report = read(body.as_bytes());
        let found = (report.message.as_deref(), report.code.as_deref(), report.param.as_deref());
        assert_eq!(found, (message, code, param), "{body}");
    }

    #[test]
    fn understands_the_vendors() {
        check(r#"{"error":{"message":"m","type":"t","param":"p","code":"c"}}"#, Some("m"), Some("c"), Some("p"));
        check(r#"{"error":{"message":"m","type":"t","param":null,"code":null}}"#, Some("m"), Some("t"), None);
        check(r#"{"code":"c","error":"m"}"#, Some("m"), Some("c"), None);
        check(r#"{"type":"error","code":"c","message":"m","param":null}"#, Some("m"), Some("c"), None);
        check(r#"{"type":"error","error":{"code":404,"message":"m"}}"#, Some("m"), Some("404"), None);
        check(r#"{"detail":"m"}"#, Some("m"), None, None);
        check("<html>502</html>", None, None, None);
        check("", None, None, None);
    }
}
