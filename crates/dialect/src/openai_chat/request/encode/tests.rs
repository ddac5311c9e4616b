//! Requests of other dialects, written for the vendors of this one.

use ir::chat::message::{Document, Message, Role, Signature, Source, ToolCall, ToolResult};
use ir::chat::request::{Sampling, Schema};
use ir::json::Json;
use serde_json::{Value, json};

use super::*;

const CALLEE: Callee<'_> = Callee { model: "m", max_output_tokens: None, ask_usage: false, quirks: &[], refuses: &[] };

fn message(role: Role, parts: Vec<Part>) -> Message {
    Message { role, parts, name: None, extras: Extras::default() }
}

fn of(messages: Vec<Message>) -> Request {
    Request { messages, ..Request::default() }
}

fn call(id: &str, name: &str) -> Part {
    Part::new(Content::ToolCall(ToolCall {
        id: id.to_owned(),
        name: name.to_owned(),
        arguments: "{}".to_owned(),
        custom: false,
    }))
}

fn result(id: &str, parts: Vec<Part>) -> Part {
    Part::new(Content::ToolResult(ToolResult { call_id: id.to_owned(), name: None, parts, is_error: None }))
}

fn image() -> Part {
    let source = Source::Base64 { media_type: "image/png".to_owned(), data: "AA==".to_owned() };
    Part::new(Content::Image { source, detail: None })
}

fn thinking(text: &str, by: Option<Dialect>) -> Part {
    let mut part = Part::new(Content::Thinking { text: text.to_owned(), id: None });
    part.signature = by.map(|by| Signature { by, text: "s".to_owned() });
    part
}

fn written(request: &Request, quirks: &[Quirk]) -> (Value, Vec<String>) {
    let encoded = encode(request, &Callee { quirks, ..CALLEE }).unwrap();
    (serde_json::from_slice(&encoded.body).unwrap(), encoded.dropped)
}

fn check(messages: Vec<Message>, quirks: &[Quirk], expect: Value, dropped: &[&str]) {
    let (found, names) = written(&of(messages), quirks);
    assert_eq!(found["messages"], expect);
    assert_eq!(names, dropped);
}

#[test]
fn results_become_messages_of_their_own() {
    let texts = vec![Part::text("1"), Part::text("2")];
    check(
        vec![
            message(Role::Assistant, vec![Part::text("a"), call("c", "f"), call("d", "g")]),
            message(Role::User, vec![Part::text("go on"), result("c", texts), result("d", vec![])]),
        ],
        &[],
        json!([
            {"role": "assistant", "content": "a", "tool_calls": [
                {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}},
                {"id": "d", "type": "function", "function": {"name": "g", "arguments": "{}"}}]},
            {"role": "tool", "tool_call_id": "c", "content": "1\n2"},
            {"role": "tool", "tool_call_id": "d", "content": ""},
            {"role": "user", "content": "go on"},
        ]),
        &[],
    );
}

#[test]
fn pictures_of_results_follow_in_a_user_message() {
    let picture = json!({"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}});
    let note = |id| json!({"type": "text", "text": format!("From the result of the tool call {id}:")});
    check(
        vec![
            message(Role::Tool, vec![result("c", vec![Part::text("1"), image()])]),
            message(Role::Tool, vec![result("d", vec![image()])]),
            message(Role::Assistant, vec![Part::text("a")]),
            message(Role::User, vec![result("e", vec![image()]), Part::text("b")]),
        ],
        &[],
        json!([
            {"role": "tool", "tool_call_id": "c", "content": "1"},
            {"role": "tool", "tool_call_id": "d", "content": "The result follows in the next message."},
            {"role": "user", "content": [note("c"), picture, note("d"), picture]},
            {"role": "assistant", "content": "a"},
            {"role": "tool", "tool_call_id": "e", "content": "The result follows in the next message."},
            {"role": "user", "content": [note("e"), picture, {"type": "text", "text": "b"}]},
        ]),
        &[],
    );
}

#[test]
fn texts_are_joined_where_a_text_will_do() {
    let two = || vec![Part::text("a"), Part::text("b")];
    let list = json!([{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]);
    check(
        vec![message(Role::System, two()), message(Role::Assistant, two()), message(Role::User, two())],
        &[],
        json!([
            {"role": "system", "content": "a\n\nb"},
            {"role": "assistant", "content": "ab"},
            {"role": "user", "content": list},
        ]),
        &[],
    );
    check(
        vec![message(Role::Developer, vec![Part::text("a")]), message(Role::Developer, vec![])],
        &[Quirk::NoDeveloperRole],
        json!([{"role": "system", "content": "a"}, {"role": "system", "content": ""}]),
        &[],
    );
}

#[test]
fn cache_marks_go_where_they_are_understood() {
    let mut part = Part::text("a");
    part.cache_control = Json::parse(r#"{"type":"ephemeral"}"#);
    let messages = || vec![message(Role::System, vec![part.clone()])];
    check(messages(), &[], json!([{"role": "system", "content": "a"}]), &["cache_control"]);
    let marked = json!([{"type": "text", "text": "a", "cache_control": {"type": "ephemeral"}}]);
    check(messages(), &[Quirk::CacheControl], json!([{"role": "system", "content": marked}]), &[]);
}

#[test]
fn thoughts_go_back_as_the_vendor_wants_them() {
    let said = |part: Part| vec![message(Role::Assistant, vec![part, Part::text("a")])];
    let plain = json!([{"role": "assistant", "content": "a"}]);
    let content = json!([{"role": "assistant", "content": "a", "reasoning_content": "t"}]);
    check(said(thinking("t", None)), &[], plain.clone(), &["reasoning"]);
    check(said(thinking("t", None)), &[Quirk::ReasoningContent], content, &[]);
    check(said(thinking("t", Some(Dialect::Anthropic))), &[Quirk::ReasoningContent], plain, &["reasoning"]);
    let details = |entries: Value| json!([{"role": "assistant", "content": "a", "reasoning_details": entries}]);
    check(
        said(thinking("t", Some(Dialect::Anthropic))),
        &[Quirk::ReasoningDetails],
        details(
            json!([{"type": "reasoning.text", "text": "t", "signature": "s", "format": "anthropic-claude-v1", "index": 0}]),
        ),
        &[],
    );
    let summary = json!({"type": "reasoning.summary", "summary": "t", "format": "openai-responses-v1", "index": 0});
    let proof = json!({"type": "reasoning.encrypted", "data": "s", "format": "openai-responses-v1", "index": 0});
    check(
        said(thinking("t", Some(Dialect::OpenaiResponses))),
        &[Quirk::ReasoningDetails],
        details(json!([summary, proof])),
        &[],
    );
    let mut hidden = Part::new(Content::Redacted);
    hidden.signature = Some(Signature { by: Dialect::Anthropic, text: "s".to_owned() });
    check(
        said(hidden),
        &[Quirk::ReasoningDetails],
        details(json!([{"type": "reasoning.encrypted", "data": "s", "format": "anthropic-claude-v1", "index": 0}])),
        &[],
    );
    // Nothing is left to say.
    check(
        vec![message(Role::Assistant, vec![thinking("t", None)])],
        &[],
        json!([{"role": "assistant", "content": ""}]),
        &["reasoning"],
    );
}

#[test]
fn ids_are_what_the_vendor_takes() {
    let messages = vec![
        message(Role::Assistant, vec![call("", "f"), call("", "g")]),
        message(Role::Tool, vec![result("", vec![])]),
    ];
    let (found, _) = written(&of(messages), &[]);
    assert_eq!(found["messages"][0]["tool_calls"][1]["id"], "call_2");
    assert_eq!(found["messages"][1]["tool_call_id"], "call_1");
    let messages = || {
        vec![
            message(Role::Assistant, vec![call("toolu_01", "f")]),
            message(Role::Tool, vec![result("toolu_01", vec![])]),
        ]
    };
    let (found, _) = written(&of(messages()), &[Quirk::NineCharacterToolIds]);
    let id = found["messages"][0]["tool_calls"][0]["id"].as_str().unwrap();
    assert!(id.len() == 9 && id.bytes().all(|byte| byte.is_ascii_alphanumeric()), "{id}");
    assert_eq!(found["messages"][1]["tool_call_id"], id);
}

#[test]
fn parameters_follow_the_vendor() {
    let request = Request {
        max_tokens: Some(9),
        sampling: Sampling { top_k: Json::parse("4"), seed: Json::parse("7"), ..Sampling::default() },
        tool_choice: Some(ToolChoice::Required),
        stop: vec!["s".to_owned()],
        stream: true,
        service_tier: Some("standard_only".to_owned()),
        reasoning: Some(Reasoning { budget_tokens: Some(20_000), ..Reasoning::default() }),
        format: Some(Format::JsonSchema(Schema { schema: Json::parse("{}"), ..Schema::default() })),
        ..Request::default()
    };
    let (found, dropped) = written(&request, &[]);
    let expect = json!({"model": "m", "messages": [], "max_completion_tokens": 9, "seed": 7, "tool_choice": "required",
        "stop": ["s"], "stream": true, "service_tier": "default", "reasoning_effort": "medium",
        "response_format": {"type": "json_schema", "json_schema": {"name": "answer", "schema": {}}}});
    assert_eq!(found, expect);
    assert_eq!(dropped, ["top_k"]);

    let (found, _) = written(&request, &[Quirk::MaxTokens, Quirk::RandomSeed, Quirk::ReasoningDetails]);
    assert_eq!((&found["max_tokens"], &found["random_seed"]), (&json!(9), &json!(7)));
    assert_eq!(found["reasoning"], json!({"max_tokens": 20_000}));
    for name in ["max_completion_tokens", "seed", "reasoning_effort", "stream_options"] {
        assert!(found.get(name).is_none(), "{name}");
    }
    let asked = encode(&request, &Callee { ask_usage: true, ..CALLEE }).unwrap();
    let found: Value = serde_json::from_slice(&asked.body).unwrap();
    assert_eq!(found["stream_options"], json!({"include_usage": true}));
}

fn refusing(request: &Request, quirks: &[Quirk], refuses: &[&str]) -> (Value, Vec<String>) {
    let refuses: Vec<Box<str>> = refuses.iter().map(|path| Box::from(*path)).collect();
    let encoded = encode(request, &Callee { quirks, refuses: &refuses, ..CALLEE }).unwrap();
    (serde_json::from_slice(&encoded.body).unwrap(), encoded.dropped)
}

#[test]
fn thoughts_go_back_among_the_content_or_as_a_text() {
    let said = |part: Part| vec![message(Role::Assistant, vec![part, Part::text("a")])];
    let part = json!({"type": "thinking", "thinking": [{"type": "text", "text": "t"}]});
    let parts = json!([{"role": "assistant", "content": [part, {"type": "text", "text": "a"}]}]);
    let plain = json!([{"role": "assistant", "content": "a"}]);
    check(said(thinking("t", None)), &[Quirk::ReasoningParts], parts.clone(), &[]);
    // The words go, their proof does not.
    check(said(thinking("t", Some(OWN))), &[Quirk::ReasoningParts], parts, &["reasoning"]);
    check(said(thinking("t", Some(Dialect::Gemini))), &[Quirk::ReasoningParts], plain.clone(), &["reasoning"]);
    let text = json!([{"role": "assistant", "content": "a", "reasoning": "t"}]);
    check(said(thinking("t", None)), &[Quirk::Reasoning], text, &[]);
    check(said(thinking("t", Some(Dialect::Gemini))), &[Quirk::Reasoning], plain, &["reasoning"]);
    // Thoughts before a call.
    let (found, _) = written(
        &of(vec![message(Role::Assistant, vec![thinking("t", None), call("abcDEF123", "f")])]),
        &[Quirk::ReasoningParts],
    );
    assert_eq!(found["messages"][0]["content"][0]["type"], "thinking");
    assert_eq!(found["messages"][0]["tool_calls"][0]["id"], "abcDEF123");
}

#[test]
fn parameters_go_as_high_as_the_vendor_lets_them() {
    let warm = |temperature: &str| Request {
        sampling: Sampling { temperature: Json::parse(temperature), ..Sampling::default() },
        ..Request::default()
    };
    for (asked, sent, named) in [("0.70", 0.7, false), ("1.5", 1.5, false), ("2", 1.5, true)] {
        let (found, dropped) = written(&warm(asked), &[Quirk::LowTemperature]);
        assert_eq!((found["temperature"].as_f64(), !dropped.is_empty()), (Some(sent), named), "{asked}");
        assert_eq!(written(&warm(asked), &[]).1, Vec::<String>::new());
    }
    let effort = |effort| Request {
        reasoning: Some(Reasoning { effort: Some(effort), ..Reasoning::default() }),
        ..Request::default()
    };
    for (asked, sent, named) in
        [(Effort::None, "none", false), (Effort::Low, "high", true), (Effort::High, "high", false)]
    {
        let (found, dropped) = written(&effort(asked), &[Quirk::NoneOrHighEffort]);
        assert_eq!((found["reasoning_effort"].as_str(), !dropped.is_empty()), (Some(sent), named));
    }
}

#[test]
fn messages_follow_the_vendor() {
    let mut named = message(Role::User, vec![Part::text("a")]);
    named.name = Some("n".to_owned());
    check(vec![named], &[Quirk::NoNames], json!([{"role": "user", "content": "a"}]), &["name"]);
    let document = |source| {
        let document = Document { source, title: Some("t".to_owned()), context: None, citations: None };
        vec![message(Role::User, vec![Part::new(Content::Document(document))])]
    };
    let user = |part: Value| json!([{"role": "user", "content": [part]}]);
    let url = |url: &str| user(json!({"type": "document_url", "document_url": url, "document_name": "t"}));
    let data = Source::Base64 { media_type: "application/pdf".to_owned(), data: "AA==".to_owned() };
    let quirks = &[Quirk::DocumentUrl];
    check(document(data), quirks, url("data:application/pdf;base64,AA=="), &[]);
    check(document(Source::Url("https://a".to_owned())), quirks, url("https://a"), &[]);
    check(document(Source::File("f".to_owned())), quirks, user(json!({"type": "file", "file_id": "f"})), &[]);
}

#[test]
fn what_is_refused_has_another_form_or_is_left_out() {
    let asked = |body: &str| crate::openai_chat::request::decode::decode(body).unwrap();
    let refuses = ["functions", "function_call", "reasoning", "user", "messages.refusal", "messages.function_call"];
    let request = asked(
        r#"{"functions":[{"name":"f"}],"function_call":{"name":"f"},"reasoning":{"effort":"low"},"user":"u","messages":[
            {"role":"assistant","content":null,"function_call":{"name":"f","arguments":"{}"}},
            {"role":"function","name":"f","content":"1"},
            {"role":"assistant","content":null,"refusal":"no"},
            {"role":"assistant","content":"a","refusal":"no"}]}"#,
    );
    let (found, dropped) = refusing(&request, &[], &refuses);
    let id = "call_function_1";
    let expect = json!({"model": "m", "reasoning_effort": "low",
        "tools": [{"type": "function", "function": {"name": "f"}}],
        "tool_choice": {"type": "function", "function": {"name": "f"}},
        "messages": [
            {"role": "assistant", "content": null,
                "tool_calls": [{"id": id, "type": "function", "function": {"name": "f", "arguments": "{}"}}]},
            {"role": "tool", "tool_call_id": id, "name": "f", "content": "1"},
            {"role": "assistant", "content": "no"},
            {"role": "assistant", "content": "a\n\nno"}]});
    assert_eq!(found, expect);
    assert_eq!(dropped, ["user"]);
    assert_eq!(refusing(&request, &[], &[]).1, Vec::<String>::new());
}

#[test]
fn what_others_only_know_is_named() {
    let mut request = of(vec![]);
    request.extras.push(Dialect::Anthropic, "container", Json::of(&1));
    request.extras.push(Dialect::OpenaiChat, "store", Json::of(&true));
    request.reasoning = Some(Reasoning { enabled: Some(false), ..Reasoning::default() });
    let (found, dropped) = written(&request, &[]);
    assert_eq!(found, json!({"model": "m", "messages": [], "store": true}));
    assert_eq!(dropped, ["container", "reasoning"]);
}

#[test]
fn what_the_answer_depends_on_is_refused() {
    let refuse = |request: &Request, param: &str| {
        let failure = encode(request, &CALLEE).unwrap_err();
        assert_eq!((failure.code, failure.param.as_deref()), (Code::UnsupportedParameter, Some(param)));
    };
    let json = || Json::parse("{}").unwrap();
    let foreign = Content::Foreign { dialect: Dialect::Anthropic, block: json() };
    let document = |source| Content::Document(Document { source, title: None, context: None, citations: None });
    for content in [
        foreign,
        Content::Audio(Source::Url("https://a".to_owned())),
        Content::Image { source: Source::File("f".to_owned()), detail: None },
        document(Source::Url("https://a".to_owned())),
    ] {
        refuse(&of(vec![message(Role::User, vec![Part::text("a"), Part::new(content)])]), "messages[0].content[1]");
    }
    let tool = Tool::Foreign { dialect: Dialect::Anthropic, tool: json() };
    refuse(&Request { tools: vec![tool], ..Request::default() }, "tools[0]");
    let choice = ToolChoice::Foreign { dialect: Dialect::OpenaiResponses, choice: json() };
    refuse(&Request { tool_choice: Some(choice), ..Request::default() }, "tool_choice");
}

#[test]
fn documents_go_as_files_or_as_text() {
    let document = |source| {
        let document = Document { source, title: Some("t".to_owned()), context: None, citations: Some(true) };
        vec![message(Role::User, vec![Part::new(Content::Document(document))])]
    };
    let data = Source::Base64 { media_type: "application/pdf".to_owned(), data: "AA==".to_owned() };
    let file = json!({"type": "file", "file": {"filename": "t", "file_data": "data:application/pdf;base64,AA=="}});
    check(document(data), &[], json!([{"role": "user", "content": [file]}]), &["citations"]);
    let text = json!({"type": "text", "text": "t\n\na"});
    check(document(Source::Text("a".to_owned())), &[], json!([{"role": "user", "content": [text]}]), &["citations"]);
}
