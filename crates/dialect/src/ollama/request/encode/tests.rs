//! What Ollama is asked, what is left out, and what is refused.

use ir::chat::extras::Extras;
use ir::chat::message::{Document, Signature};
use ir::chat::request::{Logprobs, Schema};
use serde_json::{Value, json};

use super::*;

const CALLEE: Callee<'_> = Callee { model: "m", max_output_tokens: None, ask_usage: true, quirks: &[], refuses: &[] };

fn said(role: Role, parts: Vec<Part>) -> Message {
    Message { role, parts, name: None, extras: Extras::default() }
}

fn user(content: Content) -> Request {
    Request { messages: vec![said(Role::User, vec![Part::new(content)])], ..Request::default() }
}

/// Checks some members of the body, and the names of what was left out.
fn check(request: &Request, expect: &Value, dropped: &[&str]) {
    let encoded = encode(request, &CALLEE).unwrap();
    let body: Value = serde_json::from_slice(&encoded.body).unwrap();
    for (name, value) in expect.as_object().unwrap() {
        assert_eq!(body.get(name).unwrap_or(&Value::Null), value, "{name} of {body}");
    }
    assert_eq!(encoded.dropped, dropped);
}

fn check_refused(request: &Request, param: &str) {
    let failure = encode(request, &CALLEE).expect_err(param);
    assert_eq!((failure.param.as_deref(), failure.status, failure.fault), (Some(param), 400, Fault::Caller));
}

#[test]
fn stream_is_always_written() {
    check(&Request::default(), &json!({"model": "m", "messages": [], "stream": false, "options": null}), &[]);
    check(&Request { stream: true, ..Request::default() }, &json!({"stream": true}), &[]);
}

#[test]
fn parts_are_joined() {
    let image = Source::Base64 { media_type: "image/png".to_owned(), data: "QUJD".to_owned() };
    let parts = vec![
        Part::text("a"),
        Part::new(Content::Image { source: image, detail: Some("low".to_owned()) }),
        Part::text("b"),
    ];
    let request = Request {
        messages: vec![
            said(Role::Developer, vec![Part::text("s")]),
            said(Role::User, parts),
            said(Role::Assistant, vec![Part::text("x"), Part::new(Content::Refusal("y".to_owned()))]),
        ],
        ..Request::default()
    };
    let expect = json!({"messages": [
        {"role": "system", "content": "s"},
        {"role": "user", "content": "a\nb", "images": ["QUJD"]},
        {"role": "assistant", "content": "xy"},
    ]});
    check(&request, &expect, &["detail"]);
}

#[test]
fn calls_and_results() {
    let call =
        ToolCall { id: "c1".to_owned(), name: "f".to_owned(), arguments: "{\"a\":1.0}".to_owned(), custom: false };
    let bare = ToolCall { id: String::new(), name: "g".to_owned(), arguments: String::new(), custom: false };
    let result =
        ToolResult { call_id: "c1".to_owned(), name: None, parts: vec![Part::text("7")], is_error: Some(true) };
    let signed = Part {
        signature: Some(Signature { by: Dialect::Anthropic, text: "s".to_owned() }),
        ..Part::new(Content::Thinking { text: "theirs".to_owned(), id: None })
    };
    let ours = Part::new(Content::Thinking { text: "ours".to_owned(), id: None });
    let request = Request {
        messages: vec![
            said(
                Role::Assistant,
                vec![signed, ours, Part::new(Content::ToolCall(call)), Part::new(Content::ToolCall(bare))],
            ),
            said(Role::User, vec![Part::new(Content::ToolResult(result)), Part::text("and?")]),
        ],
        ..Request::default()
    };
    let expect = json!({"messages": [
        {"role": "assistant", "content": "", "thinking": "ours", "tool_calls": [
            {"id": "c1", "function": {"name": "f", "arguments": {"a": 1.0}}},
            {"function": {"name": "g", "arguments": {}}},
        ]},
        {"role": "tool", "content": "7", "tool_name": "f", "tool_call_id": "c1"},
        {"role": "user", "content": "and?"},
    ]});
    check(&request, &expect, &["reasoning", "is_error"]);
}

#[test]
fn what_a_part_cannot_be() {
    let url = || Source::Url("https://x/y".to_owned());
    let document = Document { source: url(), title: None, context: None, citations: None };
    let foreign = Content::Foreign { dialect: Dialect::Anthropic, block: Json::of(&1) };
    let custom = ToolCall { id: String::new(), name: "f".to_owned(), arguments: "x".to_owned(), custom: true };
    let text = ToolCall { custom: false, ..custom.clone() };
    for content in [
        Content::Image { source: url(), detail: None },
        Content::Audio(url()),
        Content::Video(url()),
        Content::Document(document),
        foreign,
        Content::ToolCall(custom),
        Content::ToolCall(text),
    ] {
        check_refused(&user(content), "messages[0].content[0]");
    }
    let result = ToolResult {
        call_id: String::new(),
        name: None,
        parts: vec![Part::text("t"), Part::new(Content::Audio(url()))],
        is_error: None,
    };
    check_refused(&user(Content::ToolResult(result)), "messages[0].content[0].content[1]");
}

#[test]
fn tools_and_their_choice() {
    let function = Function { name: "f".to_owned(), strict: Some(true), ..Function::default() };
    let with =
        |choice| Request { tools: vec![Tool::Function(function.clone())], tool_choice: choice, ..Request::default() };
    let expect = json!({"tools": [
        {"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {}}}},
    ]});
    check(&with(None), &expect, &["strict"]);
    check(&with(Some(ToolChoice::Auto)), &expect, &["strict"]);
    check(&with(Some(ToolChoice::None)), &json!({"tools": null}), &[]);
    check_refused(&with(Some(ToolChoice::Required)), "tool_choice");
    check_refused(&with(Some(ToolChoice::Function("f".to_owned()))), "tool_choice");
    let foreign = Tool::Foreign { dialect: Dialect::Anthropic, tool: Json::of(&1) };
    check_refused(&Request { tools: vec![foreign], ..Request::default() }, "tools[0]");
}

#[test]
fn how_much_it_thinks() {
    let of = |reasoning| Request { reasoning: Some(reasoning), ..Request::default() };
    let none = Reasoning::default;
    check(&of(Reasoning { enabled: Some(true), ..none() }), &json!({"think": true}), &[]);
    check(&of(Reasoning { enabled: Some(false), effort: Some(Effort::High), ..none() }), &json!({"think": false}), &[]);
    check(&of(Reasoning { effort: Some(Effort::None), ..none() }), &json!({"think": false}), &[]);
    check(&of(Reasoning { effort: Some(Effort::Minimal), ..none() }), &json!({"think": "low"}), &[]);
    check(&of(Reasoning { effort: Some(Effort::Max), ..none() }), &json!({"think": "max"}), &[]);
    check(&of(Reasoning { budget_tokens: Some(16_000), ..none() }), &json!({"think": "medium"}), &[]);
    check(&of(Reasoning { visible: Some(false), ..none() }), &json!({"think": null}), &["reasoning.visible"]);
}

#[test]
fn format_and_options() {
    let schema =
        Schema { name: Some("n".to_owned()), schema: Json::parse(r#"{"type":"object"}"#), ..Schema::default() };
    let mut request = Request {
        format: Some(Format::JsonSchema(schema)),
        max_tokens: Some(5),
        stop: vec!["x".to_owned()],
        logprobs: Some(Logprobs { top: Some(2) }),
        ..Request::default()
    };
    request.sampling.temperature = Json::parse("0.10");
    request.extras.push(OURS, "options.num_ctx", Json::of(&8));
    request.extras.push(OURS, "keep_alive", Json::of(&"5m"));
    let expect = json!({
        "format": {"type": "object"},
        "options": {"num_predict": 5, "temperature": 0.1, "stop": ["x"], "num_ctx": 8},
        "keep_alive": "5m", "logprobs": true, "top_logprobs": 2,
    });
    check(&request, &expect, &[]);
    let none = Request { max_tokens: Some(0), ..Request::default() };
    check(&none, &json!({"options": {"num_predict": 1}}), &["max_tokens"]);
    check(&Request { format: Some(Format::JsonObject), ..Request::default() }, &json!({"format": "json"}), &[]);
    check(&Request { format: Some(Format::Text), ..Request::default() }, &json!({"format": null}), &[]);
}

#[test]
fn what_only_tunes_is_named() {
    let mut request = Request {
        choices: Some(2),
        parallel_tool_calls: Some(false),
        service_tier: Some("flex".to_owned()),
        user: Some("u".to_owned()),
        ..Request::default()
    };
    request.extras.push(Dialect::OpenaiChat, "store", Json::of(&true));
    request.messages = vec![Message { name: Some("ann".to_owned()), ..said(Role::User, vec![Part::text("a")]) }];
    let left = ["store", "n", "parallel_tool_calls", "service_tier", "user", "name"];
    check(&request, &json!({"messages": [{"role": "user", "content": "a"}]}), &left);
}
