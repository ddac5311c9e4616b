//! Whole replies, as clients want them.

use ir::chat::message::{Citation, Signature, ToolCall};
use ir::chat::response::Finish;
use ir::json::Json;
use ir::usage::Usage;
use serde_json::{Value, json};

use super::*;

const LABEL: Label<'_> = Label { seed: "5eed", model: "m", created: 7 };

fn signed(content: Content, by: Dialect) -> Part {
    let mut part = Part::new(content);
    part.signature = Some(Signature { by, text: "s".to_owned() });
    part
}

fn thinking(text: &str) -> Content {
    Content::Thinking { text: text.to_owned(), id: None }
}

fn answer(parts: Vec<Part>, finish: Finish) -> Response {
    let choice = Choice { index: 0, parts, finish, logprobs: None, extras: Default::default() };
    Response { choices: vec![choice], ..Response::default() }
}

fn written(response: &Response) -> Value {
    serde_json::from_slice(&encode(response, &LABEL)).unwrap()
}

/// Checks a message, and that it ends with a reason.
fn check(parts: Vec<Part>, finish: Finish, message: Value, reason: &str) {
    let found = written(&answer(parts, finish));
    assert_eq!(found["choices"][0]["message"], message);
    assert_eq!(found["choices"][0]["finish_reason"], reason);
}

#[test]
fn every_member_that_clients_demand_is_there() {
    let mut response = answer(vec![Part::text("a"), Part::text("b")], Finish::Stop);
    assert_eq!(
        written(&response),
        json!({"id": "chatcmpl-5eed", "object": "chat.completion", "created": 7, "model": "m", "choices": [
            {"index": 0, "message": {"role": "assistant", "content": "ab", "refusal": null}, "logprobs": null, "finish_reason": "stop"}]})
    );
    response.id = "i".to_owned();
    response.usage = Some(Usage {
        input: 5,
        cached_input: 3,
        cache_write: 1,
        cache_write_1h: 1,
        output: 4,
        reasoning: 6,
        audio_input: 1,
        audio_output: 2,
        ..Usage::default()
    });
    response.extras.push(Dialect::OpenaiChat, "system_fingerprint", Json::of(&"f"));
    response.extras.push(Dialect::Gemini, "modelVersion", Json::of(&"f"));
    let found = written(&response);
    assert_eq!((&found["id"], &found["system_fingerprint"]), (&json!("i"), &json!("f")));
    assert!(found.get("modelVersion").is_none());
    assert_eq!(
        found["usage"],
        json!({"prompt_tokens": 11, "completion_tokens": 12, "total_tokens": 23,
            "prompt_tokens_details": {"cached_tokens": 3, "cache_write_tokens": 2, "audio_tokens": 1},
            "completion_tokens_details": {"reasoning_tokens": 6, "audio_tokens": 2, "accepted_prediction_tokens": 0, "rejected_prediction_tokens": 0}})
    );
}

#[test]
fn thoughts_are_said_twice() {
    check(
        vec![
            signed(thinking("t"), Dialect::Anthropic),
            signed(Content::Redacted, Dialect::Anthropic),
            Part::new(thinking("u")),
            Part::text("a"),
        ],
        Finish::Length,
        json!({"role": "assistant", "content": "a", "refusal": null, "reasoning_content": "tu", "reasoning_details": [
            {"type": "reasoning.text", "text": "t", "signature": "s", "format": "anthropic-claude-v1", "index": 0},
            {"type": "reasoning.encrypted", "data": "s", "format": "anthropic-claude-v1", "index": 1},
            {"type": "reasoning.text", "text": "u", "index": 2}]}),
        "length",
    );
}

#[test]
fn calls_carry_their_proof() {
    let call = |id: &str, custom| {
        let (id, name, arguments) = (id.to_owned(), "f".to_owned(), "x {".to_owned());
        Content::ToolCall(ToolCall { id, name, arguments, custom })
    };
    check(
        vec![signed(call("c", false), Dialect::Gemini), signed(call("", true), Dialect::Anthropic)],
        Finish::ToolCalls,
        json!({"role": "assistant", "content": null, "refusal": null, "tool_calls": [
            {"id": "c", "type": "function", "function": {"name": "f", "arguments": "x {"}, "extra_content": {"google": {"thought_signature": "s"}}},
            {"id": "call_5eed_0_1", "type": "custom", "custom": {"name": "f", "input": "x {"}}]}),
        "tool_calls",
    );
}

#[test]
fn citations_media_and_foreign_blocks_have_their_places() {
    let cited = |url: Option<&str>, span| Citation {
        url: url.map(str::to_owned),
        cited_text: Some("c".to_owned()),
        span,
        ..Citation::default()
    };
    let citations = vec![cited(Some("https://a"), Some((1, 2))), cited(None, None)];
    let data = |media_type: &str| Source::Base64 { media_type: media_type.to_owned(), data: "AA==".to_owned() };
    let block = Json::parse(r#"{"type":"server_tool_use"}"#).unwrap();
    check(
        vec![
            Part::new(Content::Foreign { dialect: Dialect::Anthropic, block }),
            Part::new(Content::Text { text: "a".to_owned(), citations }),
            Part::new(Content::Image { source: data("image/png"), detail: None }),
            Part::new(Content::Audio(data("audio/wav"))),
        ],
        Finish::Pause,
        json!({"role": "assistant", "content": "a", "refusal": null,
            "annotations": [
                {"type": "url_citation", "url_citation": {"url": "https://a", "title": "", "start_index": 1, "end_index": 2, "content": "c"}}],
            "citations": [{"cited_text": "c"}],
            "images": [{"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}, "index": 0}],
            "audio": {"id": "audio_5eed", "data": "AA==", "expires_at": 7, "transcript": ""},
            "provider_specific_fields": {"anthropic": [{"type": "server_tool_use"}]}}),
        "stop",
    );
}

#[test]
fn there_are_four_reasons() {
    let reason = |finish| written(&answer(vec![], finish))["choices"][0]["finish_reason"].clone();
    for (finish, expect) in [
        (Finish::StopSequence(None), "stop"),
        (Finish::ContextWindow, "length"),
        (Finish::ContentFilter, "content_filter"),
        (Finish::Refusal, "content_filter"),
        (Finish::Other("odd".to_owned()), "stop"),
    ] {
        assert_eq!(reason(finish), expect);
    }
}
