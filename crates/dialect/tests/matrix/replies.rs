//! The features of replies: what a provider says, in its own words, and whether a caller of each surface gets it.

use bytes::Bytes;
use dialect::lane::Surface;
use dialect::lane::reply::Reply;
use dialect::translate::Label;
use ir::dialect::Dialect;
use serde_json::{Value, json};

use crate::DIALECTS;

/// One feature: its name, what must stand in the reply (one of several, divided by `|`), and the reply of every dialect that has it.
struct Feature {
    name: &'static str,
    mark: &'static str,
    samples: Vec<(Dialect, Value)>,
}

/// A row: its name, and a cell for every dialect.
pub type Row = (String, Vec<String>);

/// Returns the tables: a title, and the rows.
pub fn tables() -> Vec<(&'static str, Vec<Row>)> {
    let surfaces = [
        (Surface::OpenaiChat, "Replies of `POST /v1/chat/completions`"),
        (Surface::AnthropicMessages, "Replies of `POST /v1/messages`"),
    ];
    let table = |(surface, title)| {
        let row = |feature: &Feature| {
            (feature.name.to_owned(), DIALECTS.iter().map(|dialect| outcome(surface, feature, *dialect)).collect())
        };
        (title, features().iter().map(row).collect())
    };
    surfaces.into_iter().map(table).collect()
}

fn outcome(surface: Surface, feature: &Feature, dialect: Dialect) -> String {
    let Some((_, sample)) = feature.samples.iter().find(|(of, _)| *of == dialect) else { return "–".to_owned() };
    let label = Label { seed: "0123456789abcdef0123456789abcdef", model: "model-1", created: 1_795_000_000 };
    let reply = Reply::decode(surface, dialect, Bytes::from(sample.to_string()), "crossway", &label, None)
        .unwrap_or_else(|error| panic!("{} of {}: {error:?}", feature.name, dialect.name()));
    let body = reply.encode(b"\"crossway\":{}".to_vec()).concat();
    let body = String::from_utf8(body).unwrap();
    let value: Value = serde_json::from_str(&body).unwrap_or_else(|error| panic!("{error}: {body}"));
    assert!(value["crossway"].is_object(), "{body}");
    if feature.mark.split('|').any(|mark| body.contains(mark)) { "carried" } else { "left out" }.to_owned()
}

fn chat(message: Value, finish: &str, usage: Value) -> (Dialect, Value) {
    let choice = json!({ "index": 0, "message": message, "finish_reason": finish, "logprobs": null });
    let body = json!({ "id": "c", "object": "chat.completion", "created": 1, "model": "x", "choices": [choice], "usage": usage });
    (Dialect::OpenaiChat, body)
}

fn responses(output: Value, extra: Value) -> (Dialect, Value) {
    let mut body = json!({ "id": "r", "object": "response", "created_at": 1, "status": "completed", "model": "x", "output": output, "usage": { "input_tokens": 9, "output_tokens": 4, "total_tokens": 13, "input_tokens_details": { "cached_tokens": 0 }, "output_tokens_details": { "reasoning_tokens": 0 } } });
    for (name, value) in extra.as_object().unwrap() {
        body[name] = value.clone();
    }
    (Dialect::OpenaiResponses, body)
}

fn messages(content: Value, stop: &str, usage: Value) -> (Dialect, Value) {
    let body = json!({ "id": "m", "type": "message", "role": "assistant", "model": "x", "content": content, "stop_reason": stop, "stop_sequence": null, "usage": usage });
    (Dialect::Anthropic, body)
}

fn gemini(parts: Value, finish: &str, extra: Value) -> (Dialect, Value) {
    let mut candidate = json!({ "content": { "role": "model", "parts": parts }, "finishReason": finish, "index": 0 });
    for (name, value) in extra.as_object().unwrap() {
        candidate[name] = value.clone();
    }
    let usage = json!({ "promptTokenCount": 9, "candidatesTokenCount": 4, "totalTokenCount": 13 });
    (
        Dialect::Gemini,
        json!({ "candidates": [candidate], "usageMetadata": usage, "modelVersion": "x", "responseId": "g" }),
    )
}

fn cohere(message: Value, finish: &str) -> (Dialect, Value) {
    let usage = json!({ "billed_units": { "input_tokens": 9, "output_tokens": 4 }, "tokens": { "input_tokens": 9, "output_tokens": 4 } });
    (Dialect::Cohere, json!({ "id": "h", "finish_reason": finish, "message": message, "usage": usage }))
}

fn ollama(message: Value, done: &str) -> (Dialect, Value) {
    (
        Dialect::Ollama,
        json!({ "model": "x", "created_at": "2026-11-21T00:00:00Z", "message": message, "done": true, "done_reason": done, "prompt_eval_count": 9, "eval_count": 4 }),
    )
}

fn feature(name: &'static str, mark: &'static str, samples: Vec<(Dialect, Value)>) -> Feature {
    Feature { name, mark, samples }
}

fn features() -> Vec<Feature> {
    let used = || json!({ "prompt_tokens": 9, "completion_tokens": 4, "total_tokens": 13 });
    let spent = || json!({ "input_tokens": 9, "output_tokens": 4 });
    let none = || json!({});
    let said = |text: &str| json!({ "role": "assistant", "content": text });
    let written = |text: &str, more: Value| json!([{ "type": "message", "id": "msg_1", "role": "assistant", "status": "completed", "content": [{ "type": "output_text", "text": text, "annotations": more, "logprobs": [] }] }]);
    let text = |text: &str| json!([{ "type": "text", "text": text }]);
    let call = json!({ "id": "call_1", "type": "function", "function": { "name": "weather", "arguments": "{\"city\":\"MARK\"}" } });
    let city = json!({ "city": "MARK" });
    let page = "https://example.com/MARK";
    vec![
        feature(
            "text",
            "MARK",
            vec![
                chat(said("MARK"), "stop", used()),
                responses(written("MARK", json!([])), none()),
                messages(text("MARK"), "end_turn", spent()),
                gemini(json!([{ "text": "MARK" }]), "STOP", none()),
                cohere(json!({ "role": "assistant", "content": text("MARK") }), "COMPLETE"),
                ollama(said("MARK"), "stop"),
            ],
        ),
        feature(
            "tool call",
            "MARK",
            vec![
                chat(json!({ "role": "assistant", "content": null, "tool_calls": [call] }), "tool_calls", used()),
                responses(
                    json!([{ "type": "function_call", "id": "fc_1", "call_id": "call_1", "name": "weather", "arguments": "{\"city\":\"MARK\"}", "status": "completed" }]),
                    none(),
                ),
                messages(
                    json!([{ "type": "tool_use", "id": "toolu_1", "name": "weather", "input": city }]),
                    "tool_use",
                    spent(),
                ),
                gemini(json!([{ "functionCall": { "name": "weather", "args": city } }]), "STOP", none()),
                cohere(json!({ "role": "assistant", "tool_calls": [call] }), "TOOL_CALL"),
                ollama(
                    json!({ "role": "assistant", "content": "", "tool_calls": [{ "function": { "name": "weather", "arguments": city } }] }),
                    "stop",
                ),
            ],
        ),
        feature(
            "reasoning",
            "MARK",
            vec![
                chat(json!({ "role": "assistant", "content": "a", "reasoning_content": "MARK" }), "stop", used()),
                responses(
                    json!([{ "type": "reasoning", "id": "rs_1", "summary": [{ "type": "summary_text", "text": "MARK" }] }]),
                    none(),
                ),
                messages(
                    json!([{ "type": "thinking", "thinking": "MARK", "signature": "s" }, { "type": "text", "text": "a" }]),
                    "end_turn",
                    spent(),
                ),
                gemini(json!([{ "text": "MARK", "thought": true }, { "text": "a" }]), "STOP", none()),
                cohere(
                    json!({ "role": "assistant", "content": [{ "type": "thinking", "thinking": "MARK" }, { "type": "text", "text": "a" }] }),
                    "COMPLETE",
                ),
                ollama(json!({ "role": "assistant", "content": "a", "thinking": "MARK" }), "stop"),
            ],
        ),
        feature(
            "signature of reasoning",
            "MARK",
            vec![
                responses(
                    json!([{ "type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "MARK" }]),
                    none(),
                ),
                messages(
                    json!([{ "type": "thinking", "thinking": "t", "signature": "MARK" }, { "type": "text", "text": "a" }]),
                    "end_turn",
                    spent(),
                ),
                gemini(
                    json!([{ "functionCall": { "name": "weather", "args": {} }, "thoughtSignature": "MARK" }]),
                    "STOP",
                    none(),
                ),
            ],
        ),
        feature(
            "redacted reasoning",
            "MARK",
            vec![messages(
                json!([{ "type": "redacted_thinking", "data": "MARK" }, { "type": "text", "text": "a" }]),
                "end_turn",
                spent(),
            )],
        ),
        feature(
            "refusal",
            "MARK",
            vec![
                chat(json!({ "role": "assistant", "content": null, "refusal": "MARK" }), "stop", used()),
                responses(
                    json!([{ "type": "message", "id": "msg_1", "role": "assistant", "status": "completed", "content": [{ "type": "refusal", "refusal": "MARK" }] }]),
                    none(),
                ),
                messages(text("MARK"), "refusal", spent()),
            ],
        ),
        feature(
            "citation of a page",
            page,
            vec![
                chat(
                    json!({ "role": "assistant", "content": "a", "annotations": [{ "type": "url_citation", "url_citation": { "url": page, "title": "t", "start_index": 0, "end_index": 1 } }] }),
                    "stop",
                    used(),
                ),
                responses(
                    written(
                        "a",
                        json!([{ "type": "url_citation", "url": page, "title": "t", "start_index": 0, "end_index": 1 }]),
                    ),
                    none(),
                ),
                messages(
                    json!([{ "type": "text", "text": "a", "citations": [{ "type": "web_search_result_location", "url": page, "title": "t", "cited_text": "c", "encrypted_index": "e" }] }]),
                    "end_turn",
                    spent(),
                ),
                gemini(
                    json!([{ "text": "a" }]),
                    "STOP",
                    json!({ "groundingMetadata": { "groundingChunks": [{ "web": { "uri": page, "title": "t" } }], "groundingSupports": [{ "segment": { "startIndex": 0, "endIndex": 1, "text": "a" }, "groundingChunkIndices": [0] }] } }),
                ),
            ],
        ),
        feature(
            "citation of a document",
            "MARK",
            vec![
                messages(
                    json!([{ "type": "text", "text": "a", "citations": [{ "type": "char_location", "cited_text": "MARK", "document_index": 0, "document_title": "t", "start_char_index": 0, "end_char_index": 4 }] }]),
                    "end_turn",
                    spent(),
                ),
                cohere(
                    json!({ "role": "assistant", "content": text("a"), "citations": [{ "start": 0, "end": 1, "text": "MARK", "sources": [{ "type": "document", "id": "d", "document": { "id": "d", "text": "x" } }] }] }),
                    "COMPLETE",
                ),
            ],
        ),
        feature(
            "log probabilities",
            "-0.25",
            vec![
                {
                    let (dialect, mut body) = chat(said("a"), "stop", used());
                    body["choices"][0]["logprobs"] = json!({ "content": [{ "token": "a", "logprob": -0.25, "bytes": [97], "top_logprobs": [] }], "refusal": null });
                    (dialect, body)
                },
                gemini(
                    json!([{ "text": "a" }]),
                    "STOP",
                    json!({ "logprobsResult": { "chosenCandidates": [{ "token": "a", "logProbability": -0.25 }], "topCandidates": [] } }),
                ),
            ],
        ),
        feature(
            "cut at the output limit",
            "\"length\"|\"max_tokens\"",
            vec![
                chat(said("a"), "length", used()),
                responses(
                    written("a", json!([])),
                    json!({ "status": "incomplete", "incomplete_details": { "reason": "max_output_tokens" } }),
                ),
                messages(text("a"), "max_tokens", spent()),
                gemini(json!([{ "text": "a" }]), "MAX_TOKENS", none()),
                cohere(json!({ "role": "assistant", "content": text("a") }), "MAX_TOKENS"),
                ollama(said("a"), "length"),
            ],
        ),
        feature(
            "cached input tokens",
            "3333",
            vec![
                chat(
                    said("a"),
                    "stop",
                    json!({ "prompt_tokens": 5000, "completion_tokens": 4, "total_tokens": 5004, "prompt_tokens_details": { "cached_tokens": 3333 } }),
                ),
                responses(
                    written("a", json!([])),
                    json!({ "usage": { "input_tokens": 5000, "output_tokens": 4, "total_tokens": 5004, "input_tokens_details": { "cached_tokens": 3333 }, "output_tokens_details": { "reasoning_tokens": 0 } } }),
                ),
                messages(
                    text("a"),
                    "end_turn",
                    json!({ "input_tokens": 9, "output_tokens": 4, "cache_read_input_tokens": 3333 }),
                ),
                {
                    let (dialect, mut body) = gemini(json!([{ "text": "a" }]), "STOP", none());
                    body["usageMetadata"] = json!({ "promptTokenCount": 5000, "cachedContentTokenCount": 3333, "candidatesTokenCount": 4, "totalTokenCount": 5004 });
                    (dialect, body)
                },
            ],
        ),
        feature(
            "tokens of reasoning",
            "777",
            vec![
                chat(
                    said("a"),
                    "stop",
                    json!({ "prompt_tokens": 9, "completion_tokens": 1000, "total_tokens": 1009, "completion_tokens_details": { "reasoning_tokens": 777 } }),
                ),
                responses(
                    written("a", json!([])),
                    json!({ "usage": { "input_tokens": 9, "output_tokens": 1000, "total_tokens": 1009, "input_tokens_details": { "cached_tokens": 0 }, "output_tokens_details": { "reasoning_tokens": 777 } } }),
                ),
                {
                    let (dialect, mut body) = gemini(json!([{ "text": "a" }]), "STOP", none());
                    body["usageMetadata"] = json!({ "promptTokenCount": 9, "candidatesTokenCount": 4, "thoughtsTokenCount": 777, "totalTokenCount": 790 });
                    (dialect, body)
                },
            ],
        ),
        feature(
            "a picture",
            "TUFSSw==",
            vec![
                chat(
                    json!({ "role": "assistant", "content": "a", "images": [{ "type": "image_url", "image_url": { "url": "data:image/png;base64,TUFSSw==" } }] }),
                    "stop",
                    used(),
                ),
                gemini(json!([{ "inlineData": { "mimeType": "image/png", "data": "TUFSSw==" } }]), "STOP", none()),
            ],
        ),
    ]
}
