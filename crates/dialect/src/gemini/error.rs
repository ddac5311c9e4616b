//! Errors, read and written: <https://ai.google.dev/gemini-api/docs/troubleshooting>.

use ir::failure::Failure;
use ir::report::Report;
use serde::Serialize;
use serde_json::Value;

#[derive(Serialize)]
struct Envelope<'a> {
    error: Body<'a>,
}

#[derive(Serialize)]
struct Body<'a> {
    code: u16,
    message: &'a str,
    status: &'static str,
}

/// Returns the body of an error reply.
pub fn render(failure: &Failure) -> Vec<u8> {
    let body = Body { code: failure.status, message: &failure.message, status: status(failure.status) };
    // Serialising strings into a vector cannot fail.
    serde_json::to_vec(&Envelope { error: body }).unwrap_or_default()
}

/// Returns the event that ends a stream which failed after its first content.
pub fn render_event(failure: &Failure) -> Vec<u8> {
    [b"data: ".as_slice(), &render(failure), b"\r\n\r\n"].concat()
}

/// Returns Google's word for an HTTP status: <https://cloud.google.com/apis/design/errors#handling_errors>.
fn status(status: u16) -> &'static str {
    match status {
        401 => "UNAUTHENTICATED",
        403 => "PERMISSION_DENIED",
        404 => "NOT_FOUND",
        409 => "ABORTED",
        402 | 429 => "RESOURCE_EXHAUSTED",
        499 => "CANCELLED",
        400..=499 => "INVALID_ARGUMENT",
        501 => "UNIMPLEMENTED",
        502 | 503 => "UNAVAILABLE",
        504 => "DEADLINE_EXCEEDED",
        _ => "INTERNAL",
    }
}

/// Reads an error body: `{"error":{"code","message","status","details"}}`, or the same in a list, as it comes where a
/// stream was asked for. The code is the reason that the details give (`API_KEY_INVALID`, say, of a 400), or else the
/// status (`INVALID_ARGUMENT`).
pub fn read(body: &[u8]) -> Report {
    match serde_json::from_slice::<Value>(body) {
        Ok(Value::Array(list)) => list.first().map(report).unwrap_or_default(),
        Ok(value) => report(&value),
        Err(_) => Report::default(),
    }
}

fn report(value: &Value) -> Report {
    let Some(error) = value.get("error").filter(|error| !error.is_null()) else { return Report::default() };
    if let Some(message) = error.as_str() {
        return Report { message: Some(message.to_owned()), ..Report::default() };
    }
    let details = error.get("details").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let reason = details.iter().find_map(|detail| text(detail.get("reason")));
    let field = |detail: &Value| text(detail.get("fieldViolations")?.get(0)?.get("field"));
    Report {
        message: text(error.get("message")),
        code: reason.or_else(|| text(error.get("status"))).or_else(|| text(error.get("code"))),
        param: details.iter().find_map(field),
    }
}

/// Returns a non-empty string, or a number as text.
fn text(value: Option<&Value>) -> Option<String> {
    match value? {
        Value::String(text) if !text.is_empty() => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use ir::failure::{Code, Fault};

    use super::*;

    #[test]
    fn what_is_written_is_understood() {
        let failure = Failure::new(Code::RateLimited, Fault::Caller, "no \"x\"");
        let expect = r#"{"error":{"code":429,"message":"no \"x\"","status":"RESOURCE_EXHAUSTED"}}"#;
        assert_eq!(render(&failure), expect.as_bytes());
        assert_eq!(read(&render(&failure)).code.as_deref(), Some("RESOURCE_EXHAUSTED"));
        assert_eq!(render_event(&failure), format!("data: {expect}\r\n\r\n").as_bytes());
    }

    fn check(body: &str, message: Option<&str>, code: Option<&str>, param: Option<&str>) {
        let report = read(body.as_bytes());
        let found = (report.message.as_deref(), report.code.as_deref(), report.param.as_deref());
        assert_eq!(found, (message, code, param), "{body}");
    }

    #[test]
    fn understands_google() {
        let plain = r#"{"error":{"code":404,"message":"m","status":"NOT_FOUND"}}"#;
        check(plain, Some("m"), Some("NOT_FOUND"), None);
        check(&format!("[{plain}\n]"), Some("m"), Some("NOT_FOUND"), None);
        check(
            r#"{"error":{"code":400,"message":"m","status":"INVALID_ARGUMENT","details":[{"@type":"t","reason":"API_KEY_INVALID"}]}}"#,
            Some("m"),
            Some("API_KEY_INVALID"),
            None,
        );
        check(
            r#"{"error":{"code":400,"message":"m","details":[{"fieldViolations":[{"field":"contents[0]"}]}]}}"#,
            Some("m"),
            Some("400"),
            Some("contents[0]"),
        );
        check(r#"{"error":"m"}"#, Some("m"), None, None);
        check("[]", None, None, None);
        check("<html>", None, None, None);
    }
}
