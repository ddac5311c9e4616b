//! How requests of Gemini are written: small cases, malformed ones among them.

use ir::chat::extras::Extras;
use ir::chat::message::{Content, Document, Message, Part, Role, Signature, Source, ToolCall, ToolResult};
use ir::chat::request::{Effort, Format, Function, Reasoning, Request, Schema, Tool, ToolChoice};
use ir::json::Json;
use serde_json::{Value, json};

use super::*;

fn message(role: Role, parts: Vec<Part>) -> Message {
    Message { role, parts, name: None, extras: Extras::default() }
}

fn says(role: Role, text: &str) -> Message {
    message(role, vec![Part::text(text)])
}

fn call(id: &str, name: &str, arguments: &str) -> Part {
    let (id, name, arguments) = (id.to_owned(), name.to_owned(), arguments.to_owned());
    Part::new(Content::ToolCall(ToolCall { id, name, arguments, custom: false }))
}

fn result(id: &str, parts: Vec<Part>, is_error: Option<bool>) -> Part {
    Part::new(Content::ToolResult(ToolResult { call_id: id.to_owned(), name: None, parts, is_error }))
}

fn signed(part: Part, by: Dialect) -> Part {
    Part { signature: Some(Signature { by, text: "sig".to_owned() }), ..part }
}

fn image(source: Source) -> Part {
    Part::new(Content::Image { source, detail: None })
}

fn png() -> Part {
    image(Source::Base64 { media_type: "image/png".to_owned(), data: "AAAA".to_owned() })
}

fn ask(messages: Vec<Message>) -> Request {
    Request { messages, ..Request::default() }
}

fn written(request: &Request, model: &str) -> Result<(Value, Vec<String>), Failure> {
    let callee = Callee { model, max_output_tokens: None, ask_usage: false, quirks: &[], refuses: &[] };
    let encoded = encode(request, &callee)?;
    Ok((serde_json::from_slice(&encoded.body).unwrap(), encoded.dropped))
}

/// Checks the body, and the names of what is left out.
fn check(request: &Request, model: &str, expect: &Value, dropped: &[&str]) {
    let (body, left) = written(request, model).unwrap();
    assert_eq!(&body, expect, "{model}");
    assert_eq!(left, dropped, "{model}");
}

/// Checks the contents of a conversation.
fn check_contents(messages: Vec<Message>, model: &str, expect: &Value, dropped: &[&str]) {
    check(&ask(messages), model, &json!({"contents": expect}), dropped);
}

fn check_refused(request: &Request, param: &str) {
    let failure = written(request, "gemini-2.5-flash").unwrap_err();
    assert_eq!((failure.status, failure.param.as_deref()), (400, Some(param)), "{}", failure.message);
}

#[test]
fn what_stands_above_goes_above() {
    let messages = vec![says(Role::System, "a"), says(Role::User, "hi"), says(Role::Developer, "b")];
    let expect = json!({
        "systemInstruction": {"parts": [{"text": "a"}, {"text": "b"}]},
        "contents": [{"role": "user", "parts": [{"text": "hi"}]}],
    });
    check(&ask(messages), "gemini-2.5-flash", &expect, &[]);
    check_contents(vec![says(Role::System, "a")], "m", &json!([{"role": "user", "parts": [{"text": "a"}]}]), &[]);
    check_contents(vec![message(Role::User, vec![])], "m", &json!([{"role": "user", "parts": [{"text": ""}]}]), &[]);
    check_refused(&ask(vec![]), "messages");
    check_refused(&ask(vec![message(Role::System, vec![png()])]), "messages[0].content[0]");
}

#[test]
fn results_of_one_turn_stand_together() {
    let messages = vec![
        says(Role::User, "hi"),
        message(Role::Assistant, vec![call("1", "f", r#"{"a":1}"#), call("2", "g", "")]),
        message(Role::Tool, vec![result("1", vec![Part::text("x")], None)]),
        message(Role::User, vec![Part::text("go on"), result("2", vec![Part::text(r#"{"b":2}"#)], None)]),
    ];
    let expect = json!([
        {"role": "user", "parts": [{"text": "hi"}]},
        {"role": "model", "parts": [
            {"functionCall": {"id": "1", "name": "f", "args": {"a": 1}}},
            {"functionCall": {"id": "2", "name": "g", "args": {}}},
        ]},
        {"role": "user", "parts": [
            {"functionResponse": {"id": "1", "name": "f", "response": {"result": "x"}}},
            {"functionResponse": {"id": "2", "name": "g", "response": {"b": 2}}},
        ]},
        {"role": "user", "parts": [{"text": "go on"}]},
    ]);
    check_contents(messages, "gemini-2.5-flash", &expect, &[]);
    check_refused(&ask(vec![message(Role::Tool, vec![result("9", vec![], None)])]), "messages[0].content[0]");
}

#[test]
fn turns_of_the_model_are_one() {
    let messages = vec![says(Role::Assistant, "a"), message(Role::Assistant, vec![call("", "f", "{}")])];
    let expect = json!([{"role": "model", "parts": [{"text": "a"}, {"functionCall": {"name": "f", "args": {}}}]}]);
    check_contents(messages, "gemini-2.5-flash", &expect, &[]);
}

#[test]
fn arguments_and_results_are_objects() {
    let args = |text: &str, custom| {
        let (id, name) = (String::new(), "f".to_owned());
        let part = Part::new(Content::ToolCall(ToolCall { id, name, arguments: text.to_owned(), custom }));
        let (body, _) = written(&ask(vec![message(Role::Assistant, vec![part])]), "gemini-2.5-flash").unwrap();
        body["contents"][0]["parts"][0]["functionCall"]["args"].clone()
    };
    assert_eq!(args(r#" {"a":1.50} "#, false), json!({"a": 1.5}));
    assert_eq!(args("[1]", false), json!({"arguments": [1]}));
    assert_eq!(args(r#"{"a":"#, false), json!({"arguments": r#"{"a":"#}));
    assert_eq!(args(r#"{"a":1}"#, true), json!({"input": r#"{"a":1}"#}));
    let said = |texts: &[&str], is_error| {
        let parts = texts.iter().map(|text| Part::text(*text)).collect();
        let messages = vec![
            message(Role::Assistant, vec![call("1", "f", "")]),
            message(Role::Tool, vec![result("1", parts, is_error)]),
        ];
        let (body, _) = written(&ask(messages), "gemini-2.5-flash").unwrap();
        body["contents"][1]["parts"][0]["functionResponse"]["response"].clone()
    };
    assert_eq!(said(&[], None), json!({}));
    assert_eq!(said(&["a", "b"], Some(false)), json!({"result": "a\nb"}));
    assert_eq!(said(&["a"], Some(true)), json!({"error": "a"}));
    assert_eq!(said(&[r#"{"a":1}"#], Some(true)), json!({"error": {"a": 1}}));
    assert_eq!(said(&[r#"{"error":1}"#], Some(true)), json!({"error": 1}));
    assert_eq!(said(&["7"], None), json!({"result": "7"}));
}

#[test]
fn media_of_results_stand_where_the_model_takes_them() {
    let pdf = Document {
        source: Source::Base64 { media_type: "application/pdf".to_owned(), data: "AAAA".to_owned() },
        title: None,
        context: None,
        citations: None,
    };
    let sound = Content::Audio(Source::Base64 { media_type: "audio/wav".to_owned(), data: "AAAA".to_owned() });
    let parts = vec![Part::text("x"), png(), Part::new(Content::Document(pdf)), Part::new(sound)];
    let messages = vec![
        message(Role::Assistant, vec![signed(call("1", "f", ""), Dialect::Gemini)]),
        message(Role::Tool, vec![result("1", parts, None)]),
        says(Role::Assistant, "ok"),
    ];
    let inline = |kind: &str| json!({"inlineData": {"mimeType": kind, "data": "AAAA"}});
    let turn = json!({"role": "model", "parts": [{"functionCall": {"id": "1", "name": "f", "args": {}}, "thoughtSignature": "sig"}]});
    let ok = json!({"role": "model", "parts": [{"text": "ok"}]});
    let expect = json!([
        turn,
        {"role": "user", "parts": [{"functionResponse": {"id": "1", "name": "f", "response": {"result": "x"},
            "parts": [inline("image/png"), inline("application/pdf")]}}]},
        {"role": "user", "parts": [inline("audio/wav")]},
        ok,
    ]);
    check_contents(messages.clone(), "gemini-3-pro-preview", &expect, &[]);
    let expect = json!([
        turn,
        {"role": "user", "parts": [{"functionResponse": {"id": "1", "name": "f", "response": {"result": "x"}}}]},
        {"role": "user", "parts": [inline("image/png"), inline("application/pdf"), inline("audio/wav")]},
        ok,
    ]);
    check_contents(messages, "gemini-2.5-pro", &expect, &[]);
}

#[test]
fn calls_of_other_models_are_excused_in_the_current_turn() {
    let messages = || {
        vec![
            says(Role::User, "a"),
            message(Role::Assistant, vec![call("0", "f", "")]),
            message(Role::Tool, vec![result("0", vec![], None)]),
            says(Role::User, "b"),
            message(Role::Assistant, vec![signed(call("1", "f", ""), Dialect::Anthropic), call("2", "f", "")]),
            message(Role::Tool, vec![result("1", vec![], None), result("2", vec![], None)]),
            message(Role::Assistant, vec![signed(call("3", "f", ""), Dialect::Gemini)]),
        ]
    };
    let signatures = |model| {
        let (body, _) = written(&ask(messages()), model).unwrap();
        let contents = body["contents"].as_array().unwrap().clone();
        let parts = contents.iter().flat_map(|content| content["parts"].as_array().unwrap().clone());
        let calls = parts.filter(|part| part.get("functionCall").is_some());
        calls.map(|call| call["thoughtSignature"].as_str().unwrap_or("-").to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(signatures("gemini-3-flash-preview"), ["-", "skip_thought_signature_validator", "-", "sig"]);
    assert_eq!(signatures("gemini-2.5-flash"), ["-", "-", "-", "sig"]);
}

#[test]
fn thoughts_go_back_to_whom_they_came_from() {
    let thought = |text: &str| Part::new(Content::Thinking { text: text.to_owned(), id: None });
    let parts = vec![
        signed(thought("a"), Dialect::Anthropic),
        Part::new(Content::Redacted),
        thought("b"),
        signed(thought(""), Dialect::Gemini),
        signed(Part::text("c"), Dialect::Gemini),
        Part::new(Content::Refusal("d".to_owned())),
    ];
    let expect = json!([{"role": "model", "parts": [
        {"text": "b", "thought": true},
        {"thought": true, "thoughtSignature": "sig"},
        {"text": "c", "thoughtSignature": "sig"},
        {"text": "d"},
    ]}]);
    check_contents(vec![message(Role::Assistant, parts)], "gemini-3-pro", &expect, &["reasoning"]);
}

#[test]
fn data_is_here_or_where_the_provider_finds_it() {
    let url = |url: &str| image(Source::Url(url.to_owned()));
    let document = |source| {
        let (title, context) = (Some("t".to_owned()), Some("c".to_owned()));
        Part::new(Content::Document(Document { source, title, context, citations: Some(true) }))
    };
    let parts = vec![
        url("gs://b/a.png"),
        Part::new(Content::Video(Source::Url("https://youtu.be/x".to_owned()))),
        image(Source::File("files/x".to_owned())),
        document(Source::Text("d".to_owned())),
        document(Source::Parts(vec![Part::text("e"), png()])),
    ];
    let expect = json!([{"role": "user", "parts": [
        {"fileData": {"fileUri": "gs://b/a.png", "mimeType": "image/png"}},
        {"fileData": {"fileUri": "https://youtu.be/x", "mimeType": "video/mp4"}},
        {"fileData": {"fileUri": "https://generativelanguage.googleapis.com/v1beta/files/x"}},
        {"text": "c"}, {"text": "d"},
        {"text": "c"}, {"text": "e"}, {"inlineData": {"mimeType": "image/png", "data": "AAAA"}},
    ]}]);
    check_contents(vec![message(Role::User, parts)], "gemini-2.5-flash", &expect, &["title", "citations"]);
    let refused =
        |part| check_refused(&ask(vec![message(Role::User, vec![Part::text("a"), part])]), "messages[0].content[1]");
    refused(url("https://example.org/a.png"));
    refused(image(Source::File("file-abc".to_owned())));
    refused(Part::new(Content::Foreign { dialect: Dialect::Anthropic, block: Json::of(&1) }));
}

fn check_thinking(model: &str, reasoning: Reasoning, expect: &Value, dropped: &[&str]) {
    let request = Request { reasoning: Some(reasoning), ..ask(vec![says(Role::User, "a")]) };
    let (body, left) = written(&request, model).unwrap();
    assert_eq!(&body["generationConfig"]["thinkingConfig"], expect, "{model}");
    assert_eq!(left, dropped, "{model}");
}

#[test]
fn thought_is_a_budget_or_a_level() {
    let effort = |effort| Reasoning { effort: Some(effort), ..Reasoning::default() };
    let budget = |tokens| Reasoning { budget_tokens: Some(tokens), ..Reasoning::default() };
    let enabled = |enabled| Reasoning { enabled: Some(enabled), ..Reasoning::default() };
    check_thinking("gemini-2.5-flash", effort(Effort::Low), &json!({"thinkingBudget": 1024}), &[]);
    check_thinking("gemini-2.5-flash", effort(Effort::Max), &json!({"thinkingBudget": 24576}), &[]);
    check_thinking("gemini-2.5-pro", effort(Effort::Max), &json!({"thinkingBudget": 32768}), &[]);
    check_thinking("gemini-2.5-pro", effort(Effort::None), &json!({"thinkingBudget": 128}), &[]);
    check_thinking("gemini-2.5-flash", enabled(false), &json!({"thinkingBudget": 0}), &[]);
    check_thinking("gemini-2.5-flash", enabled(true), &json!({"thinkingBudget": -1}), &[]);
    check_thinking("gemini-2.5-flash", budget(60_000), &json!({"thinkingBudget": 24576}), &[]);
    check_thinking("gemini-3-pro-preview", effort(Effort::Medium), &json!({"thinkingLevel": "high"}), &[]);
    check_thinking("gemini-3-flash-preview", effort(Effort::None), &json!({"thinkingLevel": "minimal"}), &[]);
    check_thinking("gemini-3-flash-preview", effort(Effort::XHigh), &json!({"thinkingLevel": "high"}), &[]);
    check_thinking("gemini-3-flash-preview", budget(2_000), &json!({"thinkingBudget": 2000}), &[]);
    check_thinking("gemini-3-flash-preview", enabled(true), &Value::Null, &[]);
    check_thinking("gemini-2.0-flash", effort(Effort::Low), &Value::Null, &["reasoning"]);
    check_thinking("gemini-2.0-flash", effort(Effort::None), &Value::Null, &[]);
    let shown = Reasoning { visible: Some(true), ..effort(Effort::High) };
    check_thinking("gemini-3-pro", shown, &json!({"thinkingLevel": "high", "includeThoughts": true}), &[]);
}

#[test]
fn what_only_tunes_is_named() {
    let mut request = ask(vec![Message { name: Some("n".to_owned()), ..says(Role::User, "a") }]);
    request.parallel_tool_calls = Some(false);
    request.service_tier = Some("flex".to_owned());
    request.user = Some("u".to_owned());
    request.stop = ["1", "2", "3", "4", "5", "6"].map(str::to_owned).to_vec();
    request.sampling.seed = Json::parse("4294967296");
    request.sampling.temperature = Json::parse("0.70");
    request.format = Some(Format::Text);
    request.extras.push(Dialect::OpenaiChat, "metadata", Json::of(&1));
    request.extras.push(Dialect::Gemini, "safetySettings", Json::of(&["s"]));
    request.extras.push(Dialect::Gemini, "generationConfig.speechConfig", Json::of(&2));
    request.extras.push(Dialect::Gemini, "toolConfig.retrievalConfig", Json::of(&3));
    let expect = json!({
        "contents": [{"role": "user", "parts": [{"text": "a"}]}],
        "generationConfig": {"temperature": 0.7, "stopSequences": ["1", "2", "3", "4", "5"],
            "responseMimeType": "text/plain", "speechConfig": 2},
        "toolConfig": {"retrievalConfig": 3},
        "safetySettings": ["s"],
    });
    let dropped = ["metadata", "name", "seed", "stop", "parallel_tool_calls", "service_tier", "user"];
    check(&request, "gemini-2.5-flash", &expect, &dropped);
}

#[test]
fn tools_and_forms_are_said_in_json_schema() {
    let schema = || Json::parse(r#"{"type":"object","additionalProperties":false}"#);
    let function = |strict| Function { name: "f".to_owned(), parameters: schema(), strict, ..Function::default() };
    let search = Json::parse(r#"{"googleSearch":{}}"#).unwrap();
    let mut request = ask(vec![says(Role::User, "a")]);
    request.tools = vec![
        Tool::Function(function(None)),
        Tool::Foreign { dialect: Dialect::Gemini, tool: search },
        Tool::Function(function(Some(true))),
    ];
    request.tool_choice = Some(ToolChoice::Function("f".to_owned()));
    request.format = Some(Format::JsonSchema(Schema { schema: schema(), strict: Some(true), ..Schema::default() }));
    let declared = json!({"name": "f", "parametersJsonSchema": {"type": "object", "additionalProperties": false}});
    let expect = json!({
        "contents": [{"role": "user", "parts": [{"text": "a"}]}],
        "tools": [{"functionDeclarations": [declared, declared]}, {"googleSearch": {}}],
        "toolConfig": {"functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": ["f"]}},
        "generationConfig": {"responseMimeType": "application/json",
            "responseJsonSchema": {"type": "object", "additionalProperties": false}},
    });
    check(&request, "gemini-2.5-flash", &expect, &["strict"]);
    request.tool_choice = Some(ToolChoice::Foreign { dialect: Dialect::OpenaiChat, choice: Json::of(&1) });
    check_refused(&request, "tool_choice");
    request.tools.push(Tool::Foreign { dialect: Dialect::Anthropic, tool: Json::of(&1) });
    check_refused(&request, "tools[3]");
}
