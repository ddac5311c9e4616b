//! How streams of Gemini are written: small cases, malformed ones among them.

use ir::chat::event::Started;
use ir::chat::response::Finish;
use ir::usage::Usage;
use serde_json::{Value, json};

use super::*;

fn label() -> Label<'static> {
    Label { seed: "5eed", model: "m", created: 7 }
}

/// Checks the frames that events are written as.
fn check(events: Vec<Event>, expect: &[Value]) {
    let mut encoder = Encoder::new(&label(), br#""meta":{"n":1}"#.to_vec());
    let mut out = Vec::new();
    events.into_iter().for_each(|event| encoder.event(event, &mut out));
    encoder.finish(br#""meta":{"n":2}"#, &mut out);
    let text = String::from_utf8(out).unwrap();
    let frames: Vec<Value> = text
        .split_terminator("\r\n\r\n")
        .map(|frame| serde_json::from_str(frame.strip_prefix("data: ").unwrap()).unwrap())
        .collect();
    assert_eq!(frames, expect);
}

fn open(part: u32, opening: Opening) -> Event {
    Event::Opened { choice: 0, part, opening }
}

fn grow(part: u32, delta: Delta) -> Event {
    Event::Delta { choice: 0, part, delta }
}

#[test]
fn texts_go_at_once_and_the_rest_at_the_end() {
    let call = |name: &str| Opening::ToolCall { id: "i".to_owned(), name: name.to_owned(), custom: false };
    let signature = |by| Delta::Signature(Signature { by, text: "s".to_owned() });
    let usage = Usage { input: 3, output: 2, reasoning: 4, ..Usage::default() };
    let events = vec![
        Event::Started(Started { id: "r".to_owned(), model: "big".to_owned(), ..Started::default() }),
        open(0, Opening::Thinking { id: None }),
        grow(0, Delta::Text("t".to_owned())),
        grow(0, signature(Dialect::Anthropic)),
        Event::Closed { choice: 0, part: 0 },
        open(1, Opening::Text),
        grow(1, Delta::Text("a".to_owned())),
        grow(1, signature(Dialect::Gemini)),
        open(2, call("f")),
        open(3, call("g")),
        grow(3, Delta::Arguments("{\"b\":2}".to_owned())),
        grow(2, Delta::Arguments("{\"a\":1}".to_owned())),
        Event::Finished { choice: 0, finish: Finish::ToolCalls },
        Event::Usage(usage),
    ];
    let frame = |part: Value| {
        let content = json!({"role": "model", "parts": [part]});
        json!({"candidates": [{"content": content, "index": 0}], "modelVersion": "big", "responseId": "r"})
    };
    let mut first = frame(json!({"text": "t", "thought": true}));
    first["meta"] = json!({"n": 1});
    let calls = json!([
        {"functionCall": {"id": "i", "name": "f", "args": {"a": 1}}},
        {"functionCall": {"id": "i", "name": "g", "args": {"b": 2}}},
    ]);
    let last = json!({
        "candidates": [{"content": {"role": "model", "parts": calls}, "finishReason": "STOP", "index": 0}],
        "usageMetadata": {"promptTokenCount": 3, "candidatesTokenCount": 2, "thoughtsTokenCount": 4, "totalTokenCount": 9},
        "modelVersion": "big",
        "responseId": "r",
        "meta": {"n": 2},
    });
    check(events, &[first, frame(json!({"text": "a"})), frame(json!({"text": "", "thoughtSignature": "s"})), last]);
}

#[test]
fn an_empty_answer_is_one_frame() {
    let content = json!({"role": "model", "parts": []});
    let expect = json!({
        "candidates": [{"content": content, "finishReason": "SAFETY", "index": 0}],
        "modelVersion": "m",
        "responseId": "5eed",
        "meta": {"n": 2},
    });
    check(vec![Event::Finished { choice: 0, finish: Finish::ContentFilter }], &[expect]);
}
