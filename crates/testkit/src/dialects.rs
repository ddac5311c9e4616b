//! What providers of every dialect say: the same short answer, whole and as a stream, as text and as a tool call.
//!
//! The text is [`TEXT`], the call is `weather({"city":"Bern"})`; nine tokens in, four out.

use serde_json::{Value, json};

use crate::data;
use crate::script::Script;

/// The kinds of providers, one per dialect.
pub const KINDS: [&str; 6] = ["openai-compatible", "openai-responses", "anthropic", "gemini", "cohere", "ollama"];

/// What every provider says.
pub const TEXT: &str = "Grüße 🌍";

/// What an answer is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// [`TEXT`].
    Text,
    /// A call of `weather`.
    Call,
}

/// Returns a script that answers whole.
pub fn whole(kind: &str, answer: Answer) -> Script {
    Script::json(200, &body(kind, answer).to_string())
}

/// Returns a script that answers with a stream, its bytes cut into segments of a size.
pub fn streamed(kind: &str, answer: Answer, size: usize) -> Script {
    let media = if kind == "ollama" { "application/x-ndjson" } else { "text/event-stream" };
    let head = format!("HTTP/1.1 200 OK\r\ncontent-type: {media}\r\nconnection: close\r\n\r\n");
    Script::new().send(head).cut(stream(kind, answer), size).close()
}

fn arguments() -> Value {
    json!({ "city": "Bern" })
}

/// Returns a whole answer.
pub fn body(kind: &str, answer: Answer) -> Value {
    let text = answer == Answer::Text;
    let call = json!({ "id": "call_1", "type": "function", "function": { "name": "weather", "arguments": arguments().to_string() } });
    match kind {
        "openai-responses" => {
            let said = json!({ "type": "message", "id": "msg_1", "role": "assistant", "status": "completed", "content": [{ "type": "output_text", "text": TEXT, "annotations": [] }] });
            let called = json!({ "type": "function_call", "id": "fc_1", "call_id": "call_1", "name": "weather", "arguments": arguments().to_string(), "status": "completed" });
            let output = if text { said } else { called };
            json!({ "id": "resp_1", "object": "response", "created_at": 1, "status": "completed", "model": "up-m", "output": [output], "usage": { "input_tokens": 9, "output_tokens": 4, "total_tokens": 13 } })
        }
        "anthropic" => {
            let said = json!({ "type": "text", "text": TEXT });
            let called = json!({ "type": "tool_use", "id": "toolu_1", "name": "weather", "input": arguments() });
            let (block, stop) = if text { (said, "end_turn") } else { (called, "tool_use") };
            json!({ "id": "msg_1", "type": "message", "role": "assistant", "model": "up-m", "content": [block], "stop_reason": stop, "stop_sequence": null, "usage": { "input_tokens": 9, "output_tokens": 4 } })
        }
        "gemini" => {
            let part = if text {
                json!({ "text": TEXT })
            } else {
                json!({ "functionCall": { "name": "weather", "args": arguments() } })
            };
            json!({ "candidates": [{ "content": { "role": "model", "parts": [part] }, "finishReason": "STOP", "index": 0 }], "usageMetadata": { "promptTokenCount": 9, "candidatesTokenCount": 4, "totalTokenCount": 13 }, "modelVersion": "up-m", "responseId": "g1" })
        }
        "cohere" => {
            let message = if text {
                json!({ "role": "assistant", "content": [{ "type": "text", "text": TEXT }] })
            } else {
                json!({ "role": "assistant", "tool_calls": [call] })
            };
            let finish = if text { "COMPLETE" } else { "TOOL_CALL" };
            json!({ "id": "c1", "finish_reason": finish, "message": message, "usage": { "billed_units": { "input_tokens": 9, "output_tokens": 4 } } })
        }
        "ollama" => {
            let message = if text {
                json!({ "role": "assistant", "content": TEXT })
            } else {
                json!({ "role": "assistant", "content": "", "tool_calls": [{ "function": { "name": "weather", "arguments": arguments() } }] })
            };
            json!({ "model": "up-m", "created_at": "2026-11-21T00:00:00Z", "message": message, "done": true, "done_reason": "stop", "prompt_eval_count": 9, "eval_count": 4 })
        }
        _ if text => serde_json::from_str(&data::completion(TEXT)).unwrap_or_default(),
        _ => {
            let message = json!({ "role": "assistant", "content": null, "tool_calls": [call] });
            json!({ "id": data::UPSTREAM_ID, "object": "chat.completion", "created": 1, "model": "up-m", "choices": [{ "index": 0, "message": message, "finish_reason": "tool_calls" }], "usage": { "prompt_tokens": 9, "completion_tokens": 4, "total_tokens": 13 } })
        }
    }
}

/// Returns a whole stream.
pub fn stream(kind: &str, answer: Answer) -> String {
    let text = answer == Answer::Text;
    let named = |event: &str, data: Value| format!("event: {event}\ndata: {data}\n\n");
    let typed = |data: Value| named(data["type"].as_str().unwrap_or_default(), data.clone());
    let (first, rest) = TEXT.split_at("Grü".len());
    match kind {
        "openai-responses" => {
            let whole = body(kind, answer);
            let item = whole["output"][0].clone();
            let mut events = vec![typed(
                json!({ "type": "response.created", "response": { "id": "resp_1", "object": "response", "created_at": 1, "status": "in_progress", "model": "up-m", "output": [] } }),
            )];
            if text {
                events.push(typed(json!({ "type": "response.output_item.added", "output_index": 0, "item": { "type": "message", "id": "msg_1", "role": "assistant", "status": "in_progress", "content": [] } })));
                events.push(typed(json!({ "type": "response.content_part.added", "item_id": "msg_1", "output_index": 0, "content_index": 0, "part": { "type": "output_text", "text": "", "annotations": [] } })));
                for piece in [first, rest] {
                    events.push(typed(json!({ "type": "response.output_text.delta", "item_id": "msg_1", "output_index": 0, "content_index": 0, "delta": piece })));
                }
                events.push(typed(json!({ "type": "response.output_text.done", "item_id": "msg_1", "output_index": 0, "content_index": 0, "text": TEXT })));
            } else {
                events.push(typed(json!({ "type": "response.output_item.added", "output_index": 0, "item": { "type": "function_call", "id": "fc_1", "call_id": "call_1", "name": "weather", "arguments": "", "status": "in_progress" } })));
                events.push(typed(json!({ "type": "response.function_call_arguments.delta", "item_id": "fc_1", "output_index": 0, "delta": arguments().to_string() })));
            }
            events.push(typed(json!({ "type": "response.output_item.done", "output_index": 0, "item": item })));
            events.push(typed(json!({ "type": "response.completed", "response": whole })));
            events.concat()
        }
        "anthropic" => {
            let whole = body(kind, answer);
            let mut message = whole.clone();
            message["content"] = json!([]);
            message["stop_reason"] = Value::Null;
            message["usage"] = json!({ "input_tokens": 9, "output_tokens": 1 });
            let (block, deltas) = if text {
                let delta = |piece: &str| json!({ "type": "text_delta", "text": piece });
                (json!({ "type": "text", "text": "" }), vec![delta(first), delta(rest)])
            } else {
                let block = json!({ "type": "tool_use", "id": "toolu_1", "name": "weather", "input": {} });
                (block, vec![json!({ "type": "input_json_delta", "partial_json": arguments().to_string() })])
            };
            let mut events = vec![typed(json!({ "type": "message_start", "message": message }))];
            events.push(typed(json!({ "type": "content_block_start", "index": 0, "content_block": block })));
            events.extend(
                deltas
                    .into_iter()
                    .map(|delta| typed(json!({ "type": "content_block_delta", "index": 0, "delta": delta }))),
            );
            events.push(typed(json!({ "type": "content_block_stop", "index": 0 })));
            events.push(typed(json!({ "type": "message_delta", "delta": { "stop_reason": whole["stop_reason"], "stop_sequence": null }, "usage": { "output_tokens": 4 } })));
            events.push(typed(json!({ "type": "message_stop" })));
            events.concat()
        }
        "gemini" => {
            let whole = body(kind, answer);
            let part = |part: Value| json!({ "candidates": [{ "content": { "role": "model", "parts": [part] }, "index": 0 }], "modelVersion": "up-m", "responseId": "g1" });
            let last = |last: Value| {
                let mut end = whole.clone();
                end["candidates"][0]["content"]["parts"] = json!([last]);
                end
            };
            let events =
                if text { vec![part(json!({ "text": first })), last(json!({ "text": rest }))] } else { vec![whole] };
            events.iter().map(|event| data::event(&event.to_string())).collect()
        }
        "cohere" => {
            let mut events = vec![typed(
                json!({ "type": "message-start", "id": "c1", "delta": { "message": { "role": "assistant", "content": [], "tool_calls": [] } } }),
            )];
            if text {
                events.push(typed(json!({ "type": "content-start", "index": 0, "delta": { "message": { "content": { "type": "text", "text": "" } } } })));
                for piece in [first, rest] {
                    events.push(typed(json!({ "type": "content-delta", "index": 0, "delta": { "message": { "content": { "text": piece } } } })));
                }
                events.push(typed(json!({ "type": "content-end", "index": 0 })));
            } else {
                events.push(typed(json!({ "type": "tool-call-start", "index": 0, "delta": { "message": { "tool_calls": { "id": "call_1", "type": "function", "function": { "name": "weather", "arguments": "" } } } } })));
                events.push(typed(json!({ "type": "tool-call-delta", "index": 0, "delta": { "message": { "tool_calls": { "function": { "arguments": arguments().to_string() } } } } })));
                events.push(typed(json!({ "type": "tool-call-end", "index": 0 })));
            }
            let finish = if text { "COMPLETE" } else { "TOOL_CALL" };
            events.push(typed(json!({ "type": "message-end", "delta": { "finish_reason": finish, "usage": { "billed_units": { "input_tokens": 9, "output_tokens": 4 } } } })));
            events.concat()
        }
        "ollama" => {
            let line = |message: Value| {
                format!(
                    "{}\n",
                    json!({ "model": "up-m", "created_at": "2026-11-21T00:00:00Z", "message": message, "done": false })
                )
            };
            let mut end = body(kind, answer);
            let lines = if text {
                end["message"] = json!({ "role": "assistant", "content": "" });
                [first, rest].map(|piece| line(json!({ "role": "assistant", "content": piece }))).concat()
            } else {
                let message = end["message"].clone();
                end["message"] = json!({ "role": "assistant", "content": "" });
                line(message)
            };
            format!("{lines}{end}\n")
        }
        _ if text => data::stream(&[first, rest]),
        _ => {
            let chunk = |delta: Value, finish: Value| {
                data::event(&json!({ "id": data::UPSTREAM_ID, "object": "chat.completion.chunk", "created": 1, "model": "up-m", "choices": [{ "index": 0, "delta": delta, "finish_reason": finish }] }).to_string())
            };
            let call = json!([{ "index": 0, "id": "call_1", "type": "function", "function": { "name": "weather", "arguments": "" } }]);
            let more = json!([{ "index": 0, "function": { "arguments": arguments().to_string() } }]);
            [
                chunk(json!({ "role": "assistant", "content": null, "tool_calls": call }), Value::Null),
                chunk(json!({ "tool_calls": more }), Value::Null),
                chunk(json!({}), json!("tool_calls")),
                data::usage(),
                data::DONE.to_owned(),
            ]
            .concat()
        }
    }
}
