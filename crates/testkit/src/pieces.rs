//! Streams of every dialect in pieces, and what each dialect calls an error.

use serde_json::{Value, json};

use crate::data;
use crate::dialects::{Answer, TEXT, body, stream};
use crate::script::{Script, chunk};

/// Returns the events of a stream, each with what ends it.
pub fn frames(kind: &str, answer: Answer) -> Vec<String> {
    let end = if kind == "ollama" { "\n" } else { "\n\n" };
    stream(kind, answer).split_inclusive(end).map(str::to_owned).collect()
}

/// Returns a piece of text as an event, in the middle of a text.
pub fn delta(kind: &str, text: &str) -> String {
    let frames = frames(kind, Answer::Text);
    let (first, _) = TEXT.split_at("Grü".len());
    let (quoted, wanted) = (json!(first).to_string(), json!(text).to_string());
    let frame = frames.iter().find(|frame| frame.contains(&quoted)).expect("an event with the first text");
    frame.replace(&quoted, &wanted)
}

/// Returns what comes before the first content: who speaks, empty blocks, pings. No dialect counts it as content.
pub fn preamble(kind: &str) -> String {
    match kind {
        "gemini" => {
            let nothing = json!({ "candidates": [{ "content": { "role": "model" }, "index": 0 }], "usageMetadata": { "promptTokenCount": 9, "totalTokenCount": 9 }, "modelVersion": "up-m", "responseId": "g1" });
            data::event(&nothing.to_string()) + &delta(kind, "")
        }
        "ollama" => delta(kind, ""),
        _ => {
            let frames = frames(kind, Answer::Text);
            let before = frames.iter().take_while(|frame| !frame.contains("\"Grü\"")).cloned().collect::<String>();
            let ping = if kind == "anthropic" { "event: ping\ndata: {\"type\": \"ping\"}\n\n" } else { ": ping\n\n" };
            before + ping
        }
    }
}

/// Returns the preamble and the first content.
pub fn begun(kind: &str, text: &str) -> String {
    let preamble = preamble(kind);
    preamble + &delta(kind, text)
}

/// Returns the events of a stream from the one after the last text on.
pub fn rest(kind: &str) -> String {
    let frames = frames(kind, Answer::Text);
    let (_, last) = TEXT.split_at("Grü".len());
    let last = json!(last).to_string();
    match kind {
        // The last text and the end are one.
        "gemini" => frames.last().expect("a last event").replace(&last, "\"\""),
        "openai-responses" => {
            // What sums the text up is left out, so that it fits any text.
            let end = frames.last().expect("a last event");
            end.replace(&json!(TEXT).to_string(), "\"\"")
        }
        _ => {
            let at = frames.iter().position(|frame| frame.contains(&last)).expect("an event with the last text");
            frames.get(at + 1..).unwrap_or_default().concat()
        }
    }
}

/// Begins a stream of a dialect: its head. What follows is sent as chunks.
pub fn head(kind: &str) -> Script {
    let media = if kind == "ollama" { "application/x-ndjson" } else { "text/event-stream" };
    let head = format!("HTTP/1.1 200 OK\r\ncontent-type: {media}\r\ntransfer-encoding: chunked\r\n\r\n");
    Script::new().send(head)
}

/// Returns a whole answer of these texts, as chunks that arrive together.
pub fn answered(kind: &str, texts: &[&str]) -> Script {
    let texts: String = texts.iter().map(|text| delta(kind, text)).collect();
    let all = [preamble(kind), texts, rest(kind)].concat();
    head(kind).send([chunk(all.as_bytes()), b"0\r\n\r\n".to_vec()].concat())
}

/// Returns the body of an error with a status.
pub fn error(kind: &str, status: u16, message: &str) -> Value {
    match kind {
        "anthropic" => {
            json!({ "type": "error", "error": { "type": anthropic(status), "message": message }, "request_id": "req_1" })
        }
        "gemini" => json!({ "error": { "code": status, "message": message, "status": google(status) } }),
        "cohere" => json!({ "id": "e1", "message": message }),
        "ollama" => json!({ "error": message }),
        _ => {
            json!({ "error": { "message": message, "type": "some_error", "param": null, "code": null } })
        }
    }
}

/// Returns an error in the middle of a stream, in the form of its dialect.
pub fn error_event(kind: &str, message: &str) -> String {
    match kind {
        "openai-responses" => {
            let failed = json!({ "type": "response.failed", "response": { "id": "resp_1", "object": "response", "status": "failed", "error": { "code": "server_error", "message": message }, "output": [] } });
            format!("event: response.failed\ndata: {failed}\n\n")
        }
        "anthropic" => format!("event: error\ndata: {}\n\n", error(kind, 500, message)),
        "cohere" => {
            let end = json!({ "type": "message-end", "delta": { "finish_reason": "ERROR", "error": message } });
            format!("event: message-end\ndata: {end}\n\n")
        }
        "ollama" => format!("{}\n", error(kind, 500, message)),
        _ => data::event(&error(kind, 500, message).to_string()),
    }
}

/// Returns a call of `weather` whose arguments are a text, whole.
pub fn call(kind: &str, arguments: &str) -> Value {
    let mut whole = body(kind, Answer::Call);
    let text = json!(arguments);
    let place = match kind {
        "openai-responses" => "/output/0/arguments",
        "anthropic" => "/content/0/input",
        "gemini" => "/candidates/0/content/parts/0/functionCall/args",
        "ollama" => "/message/tool_calls/0/function/arguments",
        "cohere" => "/message/tool_calls/0/function/arguments",
        _ => "/choices/0/message/tool_calls/0/function/arguments",
    };
    *whole.pointer_mut(place).expect("the arguments") = text;
    whole
}

/// <https://docs.claude.com/en/api/errors>
fn anthropic(status: u16) -> &'static str {
    match status {
        401 => "authentication_error",
        403 => "permission_error",
        404 => "not_found_error",
        413 => "request_too_large",
        429 => "rate_limit_error",
        529 => "overloaded_error",
        400..=499 => "invalid_request_error",
        _ => "api_error",
    }
}

/// <https://cloud.google.com/apis/design/errors#handling_errors>
fn google(status: u16) -> &'static str {
    match status {
        401 => "UNAUTHENTICATED",
        403 => "PERMISSION_DENIED",
        404 => "NOT_FOUND",
        429 => "RESOURCE_EXHAUSTED",
        400..=499 => "INVALID_ARGUMENT",
        503 | 529 => "UNAVAILABLE",
        _ => "INTERNAL",
    }
}
