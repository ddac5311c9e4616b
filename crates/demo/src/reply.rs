//! What the demo provider says, buffered and streamed.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame};
use hyper::Response;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use serde_json::{Value, json};

use crate::example::instance;

/// The most of a prompt that is repeated.
const MAX_ECHO_CHARS: usize = 200;

/// A body: frames that are there.
pub(crate) struct Reply(VecDeque<Bytes>);

impl Body for Reply {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(self.0.pop_front().map(|bytes| Ok(Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_empty()
    }
}

/// What is said: text, or a call of a tool.
enum Content {
    Text(String),
    ToolCall { name: String, arguments: String },
}

struct Answer<'a> {
    model: &'a str,
    id: String,
    content: Content,
    finish_reason: &'static str,
    usage: Value,
}

/// Answers a chat completion request.
pub(crate) fn answer(request: &Value) -> Response<Reply> {
    let prompt = last_text(request);
    let (content, finish_reason) = limit(content(request, &prompt), request);
    let said = match &content {
        Content::Text(text) => text.len(),
        Content::ToolCall { name, arguments } => name.len() + arguments.len(),
    };
    let input = tokens(request.get("messages").map_or(0, |messages| messages.to_string().len()));
    let output = tokens(said);
    let answer = Answer {
        model: request.get("model").and_then(Value::as_str).unwrap_or("demo-1"),
        id: format!("chatcmpl-demo-{:016x}", fingerprint(&request.to_string())),
        content,
        finish_reason,
        usage: json!({"prompt_tokens": input, "completion_tokens": output, "total_tokens": input + output}),
    };
    if request.get("stream").and_then(Value::as_bool).unwrap_or(false) {
        let usage = request.pointer("/stream_options/include_usage").and_then(Value::as_bool).unwrap_or(false);
        stream(&answer, usage)
    } else {
        buffered(&answer)
    }
}

/// Answers a request that cannot be understood.
pub(crate) fn error(message: &str) -> Response<Reply> {
    let body = json!({"error": {"message": message, "type": "invalid_request_error", "param": null, "code": null}});
    let mut response = respond("application/json", [body.to_string().into()].into());
    *response.status_mut() = hyper::StatusCode::BAD_REQUEST;
    response
}

fn respond(kind: &'static str, frames: VecDeque<Bytes>) -> Response<Reply> {
    let mut response = Response::new(Reply(frames));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}

/// Returns the text of the last message.
fn last_text(request: &Value) -> String {
    let last = request.get("messages").and_then(Value::as_array).and_then(|messages| messages.last());
    match last.and_then(|message| message.get("content")) {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Array(parts)) => {
            parts.iter().filter_map(|part| part.get("text").and_then(Value::as_str)).collect::<Vec<_>>().join(" ")
        }
        _ => String::new(),
    }
}

fn content(request: &Value, prompt: &str) -> Content {
    let prompt: String = prompt.chars().take(MAX_ECHO_CHARS).collect();
    if let Some((name, schema)) = wanted_tool(request) {
        return Content::ToolCall { arguments: instance(&schema, &prompt).to_string(), name };
    }
    match request.pointer("/response_format/type").and_then(Value::as_str) {
        Some("json_schema") => {
            let schema = request.pointer("/response_format/json_schema/schema").cloned().unwrap_or(json!({}));
            Content::Text(instance(&schema, &prompt).to_string())
        }
        Some("json_object") => Content::Text(json!({"demo": true, "you_said": prompt}).to_string()),
        _ => Content::Text(format!(
            "This is Crossway's built-in demo provider: it shows that the gateway works, and it is not a language \
             model. You said: {prompt}"
        )),
    }
}

/// Returns the tool to call: the one that is forced, or the first, unless tools are off or a result has just come.
fn wanted_tool(request: &Value) -> Option<(String, Value)> {
    let tools = request.get("tools")?.as_array()?;
    let last = request.get("messages")?.as_array()?.last()?.get("role")?.as_str()?;
    let choice = request.get("tool_choice");
    if last == "tool" || choice.and_then(Value::as_str) == Some("none") {
        return None;
    }
    let forced = choice.and_then(|choice| choice.pointer("/function/name")).and_then(Value::as_str);
    let name = |tool: &Value| tool.pointer("/function/name").and_then(Value::as_str).map(str::to_owned);
    let tool = tools.iter().find(|tool| forced.is_none() || name(tool).as_deref() == forced)?;
    Some((name(tool)?, tool.pointer("/function/parameters").cloned().unwrap_or(json!({"type": "object"}))))
}

/// Cuts a text at `max_completion_tokens` or `max_tokens`, four bytes a token.
fn limit(content: Content, request: &Value) -> (Content, &'static str) {
    let max = ["max_completion_tokens", "max_tokens"].iter().find_map(|name| request.get(*name)?.as_u64());
    match (content, max.and_then(|max| usize::try_from(max.saturating_mul(4)).ok())) {
        (Content::Text(text), Some(max)) if text.len() > max => {
            let cut = text.get(..text.floor_char_boundary(max)).unwrap_or_default().to_owned();
            (Content::Text(cut), "length")
        }
        (Content::ToolCall { name, arguments }, _) => (Content::ToolCall { name, arguments }, "tool_calls"),
        (text, _) => (text, "stop"),
    }
}

fn tokens(bytes: usize) -> usize {
    bytes.div_ceil(4)
}

/// FNV-1a, so that the same request has the same id.
fn fingerprint(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

fn call(name: &str, arguments: &str) -> Value {
    json!({"id": "call_demo_1", "type": "function", "function": {"name": name, "arguments": arguments}})
}

fn buffered(answer: &Answer<'_>) -> Response<Reply> {
    let message = match &answer.content {
        Content::Text(text) => json!({"role": "assistant", "content": text, "refusal": null}),
        Content::ToolCall { name, arguments } => {
            json!({"role": "assistant", "content": null, "refusal": null, "tool_calls": [call(name, arguments)]})
        }
    };
    let body = json!({
        "id": answer.id, "object": "chat.completion", "created": 0, "model": answer.model,
        "choices": [{"index": 0, "message": message, "logprobs": null, "finish_reason": answer.finish_reason}],
        "usage": answer.usage,
    });
    respond("application/json", [body.to_string().into()].into())
}

fn stream(answer: &Answer<'_>, include_usage: bool) -> Response<Reply> {
    let chunk = |choices: Value, usage: Value| {
        let mut chunk = json!({
            "id": answer.id, "object": "chat.completion.chunk", "created": 0, "model": answer.model,
            "choices": choices,
        });
        if let (true, Some(object)) = (include_usage, chunk.as_object_mut()) {
            object.insert("usage".into(), usage);
        }
        Bytes::from(format!("data: {chunk}\n\n"))
    };
    let delta = |delta: Value, finish: Value| {
        chunk(json!([{"index": 0, "delta": delta, "logprobs": null, "finish_reason": finish}]), Value::Null)
    };
    let mut frames = VecDeque::new();
    frames.push_back(delta(json!({"role": "assistant", "content": ""}), Value::Null));
    match &answer.content {
        Content::Text(text) => {
            frames.extend(text.split_inclusive(' ').map(|word| delta(json!({"content": word}), Value::Null)));
        }
        Content::ToolCall { name, arguments } => {
            let mut opening = call(name, "");
            opening["index"] = json!(0);
            frames.push_back(delta(json!({"tool_calls": [opening]}), Value::Null));
            let rest = json!([{"index": 0, "function": {"arguments": arguments}}]);
            frames.push_back(delta(json!({"tool_calls": rest}), Value::Null));
        }
    }
    frames.push_back(delta(json!({}), json!(answer.finish_reason)));
    if include_usage {
        frames.push_back(chunk(json!([]), answer.usage.clone()));
    }
    frames.push_back(Bytes::from_static(b"data: [DONE]\n\n"));
    respond("text/event-stream", frames)
}
