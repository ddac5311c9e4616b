//! Errors in OpenAI's shape, rendered for callers and read from providers.
//!
//! <https://platform.openai.com/docs/guides/error-codes>; all four members are always present.

use std::borrow::Cow;

use ir::failure::{ErrorTypes, Failure};
use ir::report::Report;
use serde::Serialize;
use serde_json::Value;

#[derive(Serialize)]
struct Envelope<'a> {
    error: Body<'a>,
}

#[derive(Serialize)]
struct Body<'a> {
    message: &'a str,
    #[serde(rename = "type")]
    kind: Cow<'static, str>,
    param: Option<&'a str>,
    code: &'a str,
}

/// Returns the `type` of a failure.
fn kind(failure: &Failure, types: &ErrorTypes) -> Cow<'static, str> {
    match types {
        ErrorTypes::Computeboard => computeboard(failure.status).into(),
        ErrorTypes::Routerlink { prefix } => format!("{prefix}{}", routerlink(failure)).into(),
    }
}

/// Computeboard's types, which are OpenAI's.
fn computeboard(status: u16) -> &'static str {
    match status {
        401 => "authentication_error",
        403 => "permission_error",
        404 => "not_found_error",
        402 | 429 => "rate_limit_error",
        400..=499 => "invalid_request_error",
        _ => "server_error",
    }
}

/// The types that `RouterLink` documents, without their prefix.
fn routerlink(failure: &Failure) -> &'static str {
    match failure.status {
        401 => "unauthorized",
        403 => "forbidden",
        404 => "not_found",
        402 => "budget_exceeded",
        429 if matches!(failure.code.name(), "budget_exceeded" | "insufficient_credits") => "budget_exceeded",
        429 => "rate_limited",
        400..=499 => "invalid_request",
        502 => "upstream_error",
        503 | 504 => "upstream_unavailable",
        _ => "internal_error",
    }
}

/// Returns the body of an error reply.
pub fn render(failure: &Failure, types: &ErrorTypes) -> Vec<u8> {
    let envelope = Envelope {
        error: Body {
            message: &failure.message,
            kind: kind(failure, types),
            param: failure.param.as_deref(),
            code: failure.code.name(),
        },
    };
    // Serialising strings into a vector cannot fail.
    serde_json::to_vec(&envelope).unwrap_or_default()
}

/// Returns the event that ends a stream which failed after its first content. No end marker follows it.
pub fn render_event(failure: &Failure, types: &ErrorTypes) -> Vec<u8> {
    [b"data: ".as_slice(), &render(failure, types), b"\n\n"].concat()
}

/// Reads an error body. Vendors differ: `{"error":{…}}` (OpenAI and most), `{"error":"…"}`, `{"message":"…"}`,
/// `[{"error":{…}}]` (Gemini's compatible surface), and, for requests that do not validate (Mistral, vLLM),
/// `{"detail":"…" or [{"msg","loc"}]}`, which may also stand in `message`.
pub fn read(body: &[u8]) -> Report {
    match serde_json::from_slice::<Value>(body) {
        Ok(Value::Array(list)) => list.first().map(read_value).unwrap_or_default(),
        Ok(value) => read_value(&value),
        Err(_) => Report::default(),
    }
}

/// Whether the value of an `error` member says that there is none.
pub fn is_nothing(error: &[u8]) -> bool {
    matches!(error, b"null" | b"false" | b"\"\"" | b"{}" | b"[]")
}

/// Reads the value of an `error` member of a chunk or of a reply.
pub fn read_member(error: &[u8]) -> Report {
    serde_json::from_slice(error).map(|error| read_error(&error, &Value::Null)).unwrap_or_default()
}

fn read_value(value: &Value) -> Report {
    match value.get("error") {
        Some(error) if !error.is_null() => read_error(error, value),
        _ => read_object(value),
    }
}

fn read_error(error: &Value, around: &Value) -> Report {
    let Some(message) = error.as_str() else { return read_object(error) };
    let (more, param) = said(around);
    let message = more.or_else(|| Some(message.to_owned()));
    Report { message, code: text(around.get("code")), param }
}

fn read_object(value: &Value) -> Report {
    let (message, param) = said(value);
    Report {
        message,
        code: text(value.get("code")).or_else(|| text(value.get("type"))),
        param: text(value.get("param")).or(param),
    }
}

/// Returns what an object says is wrong, and where: in its message, or in its detail.
fn said(value: &Value) -> (Option<String>, Option<String>) {
    let message = value.get("message").map(words).unwrap_or_default();
    if message.0.is_some() { message } else { value.get("detail").map(words).unwrap_or_default() }
}

fn words(value: &Value) -> (Option<String>, Option<String>) {
    match value {
        Value::Array(list) => {
            let faults: Vec<_> =
                list.iter().filter_map(|fault| Some((text(fault.get("msg"))?, place(fault)))).collect();
            let first = faults.iter().find_map(|(_, place)| place.clone());
            let each = faults.into_iter().map(|(fault, place)| match place {
                Some(place) => format!("{place}: {fault}"),
                None => fault,
            });
            let all = each.collect::<Vec<_>>().join("; ");
            (Some(all).filter(|all| !all.is_empty()), first)
        }
        Value::Object(_) => said(value),
        other => (text(Some(other)), None),
    }
}

/// Returns where a fault is: `loc` is a list of names and numbers from the body on.
fn place(fault: &Value) -> Option<String> {
    let mut place = String::new();
    for step in fault.get("loc")?.as_array()? {
        match step {
            Value::Number(index) => place.push_str(&format!("[{index}]")),
            Value::String(name) if name == "body" && place.is_empty() => {}
            Value::String(name) if place.is_empty() => place.push_str(name),
            Value::String(name) => place.push_str(&format!(".{name}")),
            _ => return None,
        }
    }
    Some(place).filter(|place| !place.is_empty())
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
        check(r#"{"error":{"message":"m","type":"t","param":null,"code":"c"}}"#, Some("m"), Some("c"));
        check(r#"{"error":{"message":"m","type":"t","code":null}}"#, Some("m"), Some("t"));
        check(r#"{"error":{"message":"m","code":404}}"#, Some("m"), Some("404"));
        check(r#"{"error":"m"}"#, Some("m"), None);
        check(
            r#"{"object":"error","message":"m","type":"invalid_request_error","code":null}"#,
            Some("m"),
            Some("invalid_request_error"),
        );
        check(r#"{"detail":[{"loc":["body"],"msg":"a"},{"msg":"b"}]}"#, Some("a; b"), None);
        check(r#"{"detail":"m"}"#, Some("m"), None);
        check(r#"{"error":{"message":{"message":"m","code":"c"}}}"#, Some("m"), None);
        check(r#"{"message":{},"detail":"m"}"#, Some("m"), None);
        check(r#"[{"error":{"code":400,"message":"m","status":"INVALID_ARGUMENT"}}]"#, Some("m"), Some("400"));
        check("<html>502</html>", None, None);
        check("", None, None);
    }

    #[test]
    fn faults_of_validation_say_where() {
        let faults = r#"[{"type":"extra_forbidden","loc":["body","messages",0,"user","name"],"msg":"not permitted"},
            {"loc":["body","seed"],"msg":"not permitted"}]"#;
        for body in [
            format!(r#"{{"object":"error","message":{{"detail":{faults}}},"type":"t","param":null,"code":null}}"#),
            format!(r#"{{"object":"Error","detail":{faults},"message":{faults},"type":"t","code":3001}}"#),
            format!(r#"{{"detail":{faults}}}"#),
        ] {
            let report = read(body.as_bytes());
            let message = "messages[0].user.name: not permitted; seed: not permitted";
            assert_eq!(report.message.as_deref(), Some(message), "{body}");
            assert_eq!(report.param.as_deref(), Some("messages[0].user.name"));
        }
    }

    #[test]
    fn always_has_four_members() {
        let failure = Failure::new(Code::UnknownModel, Fault::Caller, "no \"x\"");
        let body = render(&failure, &ErrorTypes::default());
        let value: Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(
            value,
            serde_json::json!({"error": {"message": "no \"x\"", "type": "invalid_request_error", "param": null, "code": "unknown_model"}})
        );
    }

    #[test]
    fn routerlinks_types_follow_its_table() {
        let types = ErrorTypes::Routerlink { prefix: "routerlink_".into() };
        let check = |status: u16, expect: &str| {
            let failure = Failure { status, ..Failure::new(Code::InvalidRequest, Fault::Caller, "m") };
            let value: Value = serde_json::from_slice(&render(&failure, &types)).unwrap();
            assert_eq!(value["error"]["type"], format!("routerlink_{expect}"), "{status}");
            assert_eq!(value["error"]["code"], "invalid_request", "the code stays");
        };
        for (status, expect) in [
            (400, "invalid_request"),
            (401, "unauthorized"),
            (402, "budget_exceeded"),
            (403, "forbidden"),
            (404, "not_found"),
            (405, "invalid_request"),
            (413, "invalid_request"),
            (422, "invalid_request"),
            (429, "rate_limited"),
            (500, "internal_error"),
            (502, "upstream_error"),
            (503, "upstream_unavailable"),
            (504, "upstream_unavailable"),
        ] {
            check(status, expect);
        }
    }
}
