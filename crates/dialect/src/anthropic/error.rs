//! Errors in Anthropic's shape, rendered for callers and read from providers.
//!
//! <https://docs.claude.com/en/api/errors>

use std::borrow::Cow;

use ir::failure::Failure;
use ir::id::RequestId;
use ir::report::Report;
use serde::Serialize;
use serde_json::Value;

#[derive(Serialize)]
struct Envelope<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    error: Body<'a>,
    request_id: String,
}

#[derive(Serialize)]
struct Body<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    message: &'a str,
}

/// Returns the `type` that goes with a status.
fn kind(status: u16) -> &'static str {
    match status {
        401 => "authentication_error",
        402 => "billing_error",
        403 => "permission_error",
        404 => "not_found_error",
        408 | 504 => "timeout_error",
        413 => "request_too_large",
        429 => "rate_limit_error",
        529 => "overloaded_error",
        400..=499 => "invalid_request_error",
        _ => "api_error",
    }
}

/// Returns the body of an error reply.
pub fn render(failure: &Failure, request_id: RequestId) -> Vec<u8> {
    // The shape has no place for the field that is wrong: the message begins with it, as Anthropic's own do.
    let message = match &failure.param {
        Some(param) if !param.is_empty() && !failure.message.contains(&**param) => {
            Cow::Owned(format!("{param}: {}", failure.message))
        }
        _ => Cow::Borrowed(failure.message.as_str()),
    };
    let envelope = Envelope {
        kind: "error",
        error: Body { kind: kind(if failure.overloaded { 529 } else { failure.status }), message: &message },
        request_id: request_id.to_string(),
    };
    // Serialising strings into a vector cannot fail.
    serde_json::to_vec(&envelope).unwrap_or_default()
}

/// Returns the event that ends a stream which failed after its first content. No `message_stop` follows it.
pub fn render_event(failure: &Failure, request_id: RequestId) -> Vec<u8> {
    [b"event: error\ndata: ".as_slice(), &render(failure, request_id), b"\n\n"].concat()
}

/// Reads an error body, or the data of an `error` event. Besides Anthropic's own there are Vertex AI's (`{"error":
/// {"code", "message", "status"}}`, alone or in an array) and Bedrock's (`{"message"}`).
pub fn read(body: &[u8]) -> Report {
    match serde_json::from_slice::<Value>(body) {
        Ok(Value::Array(list)) => list.first().map(read_value).unwrap_or_default(),
        Ok(value) => read_value(&value),
        Err(_) => Report::default(),
    }
}

fn read_value(value: &Value) -> Report {
    // A whole answer says nothing of an error.
    if value.get("type").is_some_and(|kind| kind == "message") {
        return Report::default();
    }
    let error = value.get("error").filter(|error| !error.is_null()).unwrap_or(value);
    if let Some(message) = text(Some(error)) {
        return Report { message: Some(message), code: None, param: None };
    }
    let code = text(error.get("type")).or_else(|| text(error.get("status"))).or_else(|| text(error.get("code")));
    Report { message: text(error.get("message")), code, param: None }
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

    fn check(body: &str, message: Option<&str>, code: Option<&str>) {
        let report = read(body.as_bytes());
        assert_eq!((report.message.as_deref(), report.code.as_deref()), (message, code), "{body}");
    }

    #[test]
    fn understands_the_vendors() {
        check(
            r#"{"type":"error","error":{"type":"overloaded_error","message":"m"},"request_id":null}"#,
            Some("m"),
            Some("overloaded_error"),
        );
        check(r#"[{"error":{"code":404,"message":"m","status":"NOT_FOUND"}}]"#, Some("m"), Some("NOT_FOUND"));
        check(r#"{"error":{"code":404,"message":"m"}}"#, Some("m"), Some("404"));
        check(r#"{"message":"m"}"#, Some("m"), None);
        check(r#"{"error":"m"}"#, Some("m"), None);
        check(r#"{"type":"message","content":[],"stop_reason":"end_turn"}"#, None, None);
        check("<html>502</html>", None, None);
        check("", None, None);
    }

    #[test]
    fn types_go_with_the_status() {
        let id = RequestId([1; 16]);
        for (status, expect) in [
            (400, "invalid_request_error"),
            (401, "authentication_error"),
            (402, "billing_error"),
            (403, "permission_error"),
            (404, "not_found_error"),
            (409, "invalid_request_error"),
            (413, "request_too_large"),
            (429, "rate_limit_error"),
            (500, "api_error"),
            (502, "api_error"),
            (503, "api_error"),
            (504, "timeout_error"),
            (529, "overloaded_error"),
        ] {
            let mut failure = Failure::new(Code::UpstreamError, Fault::Provider, "no \"x\"");
            failure.status = status;
            let value: Value = serde_json::from_slice(&render(&failure, id)).unwrap();
            let error = serde_json::json!({"type": expect, "message": "no \"x\""});
            let request_id = "req_01010101010101010101010101010101";
            assert_eq!(value, serde_json::json!({"type": "error", "error": error, "request_id": request_id}));
        }
    }

    #[test]
    fn the_field_that_is_wrong_is_named() {
        for (message, expect) in
            [("must be an object", "messages[0]: must be an object"), ("messages[0] is odd", "messages[0] is odd")]
        {
            let body = render(&Failure::invalid("messages[0]", message), RequestId([1; 16]));
            assert_eq!(read(&body).message.as_deref(), Some(expect));
        }
    }

    #[test]
    fn an_event_has_its_name() {
        let failure = Failure::new(Code::UpstreamTimeout, Fault::Provider, "m");
        let event = String::from_utf8(render_event(&failure, RequestId([0; 16]))).unwrap();
        assert!(event.starts_with("event: error\ndata: {\"type\":\"error\"") && event.ends_with("}\n\n"), "{event}");
    }
}
