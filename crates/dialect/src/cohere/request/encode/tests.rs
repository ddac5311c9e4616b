//! What Cohere is asked, what is left out, and what is refused.

use ir::chat::extras::Extras;
use ir::chat::message::{Content, Document, Message, Part, Role, Signature, Source, ToolCall, ToolResult};
use ir::chat::request::Schema;
use serde_json::{Value, json};

use super::*;

const CALLEE: Callee<'_> =
    Callee { model: "m", max_output_tokens: Some(8_000), ask_usage: true, quirks: &[], refuses: &[] };

fn said(role: Role, parts: Vec<Part>) -> Message {
    Message { role, parts, name: None, extras: Extras::default() }
}

fn with(role: Role, content: Content) -> Request {
    Request { messages: vec![said(role, vec![Part::new(content)])], ..Request::default() }
}

fn thought(text: &str) -> Part {
    Part::new(Content::Thinking { text: text.to_owned(), id: None })
}

fn call(id: &str, arguments: &str, custom: bool) -> Content {
    Content::ToolCall(ToolCall { id: id.to_owned(), name: "f".to_owned(), arguments: arguments.to_owned(), custom })
}

fn document(source: Source) -> Content {
    Content::Document(Document { source, title: Some("T".to_owned()), context: None, citations: Some(true) })
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
fn texts_and_pictures() {
    let image = |source, detail: Option<&str>| Part::new(Content::Image { source, detail: detail.map(str::to_owned) });
    let base64 = Source::Base64 { media_type: "image/png".to_owned(), data: "QUJD".to_owned() };
    let request = Request {
        messages: vec![
            said(Role::Developer, vec![Part::text("s")]),
            said(
                Role::User,
                vec![Part::text("a"), image(base64, None), image(Source::Url("https://x/y".to_owned()), Some("low"))],
            ),
            said(Role::Assistant, vec![thought("t"), Part::text("b")]),
            said(Role::User, vec![]),
        ],
        ..Request::default()
    };
    let expect = json!({"model": "m", "stream": false, "messages": [
        {"role": "system", "content": "s"},
        {"role": "user", "content": [
            {"type": "text", "text": "a"},
            {"type": "image_url", "image_url": {"url": "data:image/png;base64,QUJD"}},
            {"type": "image_url", "image_url": {"url": "https://x/y", "detail": "low"}},
        ]},
        {"role": "assistant", "content": [{"type": "thinking", "thinking": "t"}, {"type": "text", "text": "b"}]},
        {"role": "user", "content": ""},
    ]});
    check(&request, &expect, &[]);
}

#[test]
fn plans_calls_and_results() {
    let signed = Part { signature: Some(Signature { by: Dialect::Gemini, text: "s".to_owned() }), ..thought("theirs") };
    let result = |id: &str, parts| {
        Part::new(Content::ToolResult(ToolResult { call_id: id.to_owned(), name: None, parts, is_error: Some(true) }))
    };
    let found = Part::new(document(Source::Text("d".to_owned())));
    let request = Request {
        messages: vec![
            said(
                Role::Assistant,
                vec![signed, thought("p"), Part::new(call("c1", "{\"a\":1}", false)), Part::new(call("c2", "", false))],
            ),
            said(Role::User, vec![result("c1", vec![Part::text("7")]), result("c2", vec![found]), Part::text("and?")]),
        ],
        ..Request::default()
    };
    let expect = json!({"messages": [
        {"role": "assistant", "tool_plan": "p", "tool_calls": [
            {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{\"a\":1}"}},
            {"id": "c2", "type": "function", "function": {"name": "f", "arguments": "{}"}},
        ]},
        {"role": "tool", "tool_call_id": "c1", "content": "7"},
        {"role": "tool", "tool_call_id": "c2",
         "content": [{"type": "document", "document": {"data": {"title": "T", "text": "d"}}}]},
        {"role": "user", "content": "and?"},
    ]});
    check(&request, &expect, &["reasoning", "is_error"]);
}

#[test]
fn files_of_text_are_documents() {
    let mut request = with(Role::User, document(Source::Parts(vec![Part::text("a"), Part::text("b")])));
    request.extras.push(OURS, "documents", Json::of(&["own"]));
    let expect = json!({
        "messages": [{"role": "user", "content": ""}],
        "documents": ["own", {"data": {"title": "T", "text": "a\nb"}}],
    });
    check(&request, &expect, &[]);
}

#[test]
fn what_a_part_cannot_be() {
    let url = || Source::Url("https://x/y".to_owned());
    let image = |source| Content::Image { source, detail: None };
    let foreign = Content::Foreign { dialect: Dialect::Anthropic, block: Json::of(&1) };
    for (role, content) in [
        (Role::System, image(url())),
        (Role::User, image(Source::File("f".to_owned()))),
        (Role::User, Content::Audio(url())),
        (Role::User, Content::Video(url())),
        (Role::User, document(url())),
        (Role::User, document(Source::Parts(vec![Part::new(Content::Audio(url()))]))),
        (Role::Assistant, document(Source::Text("d".to_owned()))),
        (Role::Assistant, foreign),
        (Role::Assistant, call("c", "x", true)),
    ] {
        check_refused(&with(role, content), "messages[0].content[0]");
    }
    let result =
        ToolResult { call_id: "c".to_owned(), name: None, parts: vec![Part::new(image(url()))], is_error: None };
    check_refused(&with(Role::Tool, Content::ToolResult(result)), "messages[0].content[0].content[0]");
}

#[test]
fn tools_and_their_choice() {
    let function =
        |name: &str, strict| Tool::Function(Function { name: name.to_owned(), strict, ..Function::default() });
    let with = |choice| Request {
        tools: vec![function("f", Some(true)), function("g", Some(true))],
        tool_choice: choice,
        ..Request::default()
    };
    let tool = |name: &str| json!({"type": "function", "function": {"name": name, "parameters": {"type": "object", "properties": {}}}});
    let both = json!([tool("f"), tool("g")]);
    check(&with(None), &json!({"tools": both, "tool_choice": null, "strict_tools": true}), &[]);
    check(&with(Some(ToolChoice::Auto)), &json!({"tools": both, "tool_choice": null}), &[]);
    check(&with(Some(ToolChoice::None)), &json!({"tools": both, "tool_choice": "NONE"}), &[]);
    check(&with(Some(ToolChoice::Required)), &json!({"tools": both, "tool_choice": "REQUIRED"}), &[]);
    let chosen = Some(ToolChoice::Function("g".to_owned()));
    check(&with(chosen), &json!({"tools": [tool("g")], "tool_choice": "REQUIRED"}), &[]);
    check_refused(&with(Some(ToolChoice::Function("h".to_owned()))), "tool_choice");
    check(&Request { tool_choice: Some(ToolChoice::None), ..Request::default() }, &json!({"tool_choice": null}), &[]);

    let mixed = Request { tools: vec![function("f", Some(true)), function("g", None)], ..Request::default() };
    check(&mixed, &json!({"strict_tools": null}), &["strict"]);
    let foreign = Tool::Foreign { dialect: Dialect::OpenaiResponses, tool: Json::of(&1) };
    check_refused(&Request { tools: vec![foreign], ..Request::default() }, "tools[0]");
}

#[test]
fn how_much_it_thinks() {
    let of = |reasoning| Request { reasoning: Some(reasoning), ..Request::default() };
    let none = Reasoning::default;
    let enabled = |budget| json!({"thinking": {"type": "enabled", "token_budget": budget}});
    let disabled = json!({"thinking": {"type": "disabled"}});
    check(&of(none()), &json!({"thinking": null}), &[]);
    check(&of(Reasoning { enabled: Some(true), ..none() }), &json!({"thinking": {"type": "enabled"}}), &[]);
    check(&of(Reasoning { enabled: Some(false), budget_tokens: Some(5), ..none() }), &disabled, &[]);
    check(&of(Reasoning { effort: Some(Effort::None), ..none() }), &disabled, &[]);
    check(&of(Reasoning { budget_tokens: Some(5), ..none() }), &enabled(5), &[]);
    check(&of(Reasoning { effort: Some(Effort::Medium), ..none() }), &enabled(4_000), &[]);
}

#[test]
fn sampling_stays_in_range() {
    let of = |set: fn(&mut Request)| {
        let mut request = Request::default();
        set(&mut request);
        request
    };
    check(&of(|request| request.sampling.temperature = Json::parse("0.10")), &json!({"temperature": 0.1}), &[]);
    check(
        &of(|request| request.sampling.temperature = Json::parse("1.5")),
        &json!({"temperature": 1}),
        &["temperature"],
    );
    check(&of(|request| request.sampling.top_p = Json::parse("1")), &json!({"p": 0.99}), &["top_p"]);
    check(
        &of(|request| request.sampling.presence_penalty = Json::parse("-1")),
        &json!({"presence_penalty": 0}),
        &["presence_penalty"],
    );
    check(&of(|request| request.sampling.seed = Json::parse("-1")), &json!({"seed": null}), &["seed"]);
}

#[test]
fn the_form_of_the_answer() {
    let of = |format| Request { format: Some(format), ..Request::default() };
    let schema = Schema { name: Some("n".to_owned()), schema: Json::parse("{\"a\":1}"), ..Schema::default() };
    check(&of(Format::Text), &json!({"response_format": {"type": "text"}}), &[]);
    check(&of(Format::JsonObject), &json!({"response_format": {"type": "json_object"}}), &[]);
    let expect = json!({"response_format": {"type": "json_object", "json_schema": {"a": 1}}});
    check(&of(Format::JsonSchema(schema)), &expect, &[]);
}

#[test]
fn what_only_tunes_is_named() {
    let mut request = Request {
        choices: Some(2),
        parallel_tool_calls: Some(false),
        service_tier: Some("flex".to_owned()),
        user: Some("u".to_owned()),
        logprobs: Some(Logprobs { top: Some(2) }),
        ..Request::default()
    };
    request.extras.push(Dialect::OpenaiChat, "store", Json::of(&true));
    request.extras.push(OURS, "safety_mode", Json::of(&"OFF"));
    let left = ["store", "n", "parallel_tool_calls", "service_tier", "user", "top_logprobs"];
    check(&request, &json!({"logprobs": true, "safety_mode": "OFF", "store": null}), &left);
}
