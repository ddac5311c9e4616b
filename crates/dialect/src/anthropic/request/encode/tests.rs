//! How requests of Anthropic Messages are written: small cases, malformed ones among them.

use ir::chat::extras::Extras;
use ir::chat::message::{Content, Document, Message, Part, Role, Signature, Source, ToolCall, ToolResult};
use ir::chat::request::{Effort, Reasoning, Sampling, Schema};
use serde_json::{Value, json};

use super::*;

fn message(role: Role, parts: Vec<Part>) -> Message {
    Message { role, parts, name: None, extras: Extras::default() }
}

fn says(role: Role, text: &str) -> Message {
    message(role, vec![Part::text(text)])
}

fn call(id: &str, arguments: &str) -> Part {
    let (id, name, arguments) = (id.to_owned(), "f".to_owned(), arguments.to_owned());
    Part::new(Content::ToolCall(ToolCall { id, name, arguments, custom: false }))
}

fn result(id: &str, text: &str) -> Part {
    let parts = vec![Part::text(text)];
    Part::new(Content::ToolResult(ToolResult { call_id: id.to_owned(), name: None, parts, is_error: None }))
}

fn asking() -> Request {
    Request { messages: vec![says(Role::User, "hi")], ..Request::default() }
}

fn callee(model: &str) -> Callee<'_> {
    Callee { model, max_output_tokens: None, ask_usage: false, quirks: &[], refuses: &[] }
}

fn encoded(request: &Request, model: &str) -> (Value, Vec<String>) {
    let encoded = encode(request, &callee(model)).unwrap();
    (serde_json::from_slice(&encoded.body).unwrap(), encoded.dropped)
}

/// Checks the members that are named, and what is dropped.
fn check(request: &Request, model: &str, expect: Value, dropped: &[&str]) {
    let (body, names) = encoded(request, model);
    for (name, value) in expect.as_object().unwrap() {
        assert_eq!(body.get(name).unwrap_or(&Value::Null), value, "{name} of {body}");
    }
    assert_eq!(names, dropped, "{body}");
}

fn refused(request: &Request, model: &str, param: &str) {
    let failure = encode(request, &callee(model)).unwrap_err();
    assert_eq!((failure.code, failure.param.as_deref()), (Code::UnsupportedParameter, Some(param)), "{failure:?}");
}

#[test]
fn a_limit_is_always_said() {
    check(
        &asking(),
        "claude-haiku-4-5",
        json!({"max_tokens": 4096, "messages": [{"role": "user", "content": "hi"}]}),
        &[],
    );
    let body = encode(&asking(), &Callee { max_output_tokens: Some(64_000), ..callee("m") }).unwrap().body;
    assert!(String::from_utf8(body).unwrap().contains(r#""max_tokens":64000"#));
    let small = Request { max_tokens: Some(7), ..asking() };
    check(&small, "m", json!({"max_tokens": 7}), &[]);
}

#[test]
fn system_prompts_are_hoisted() {
    let messages = vec![
        says(Role::System, "a"),
        says(Role::User, "hi"),
        says(Role::Developer, "b"),
        says(Role::User, "there"),
        says(Role::Assistant, ""),
    ];
    let blocks = |one: &str, two: &str| json!([{"type": "text", "text": one}, {"type": "text", "text": two}]);
    check(
        &Request { messages, ..Request::default() },
        "m",
        json!({"system": blocks("a", "b"), "messages": [{"role": "user", "content": blocks("hi", "there")}]}),
        &[],
    );
}

#[test]
fn a_system_prompt_alone_is_what_the_user_says() {
    let request = Request { messages: vec![says(Role::Developer, "a")], ..Request::default() };
    check(&request, "m", json!({"system": null, "messages": [{"role": "user", "content": "a"}]}), &[]);
}

#[test]
fn results_of_one_answer_are_one_message_in_the_order_of_the_calls() {
    let messages = vec![
        message(Role::Assistant, vec![call("a", "{}"), call("b:1", "[1]")]),
        message(Role::Tool, vec![result("b:1", "two")]),
        message(Role::Tool, vec![result("a", "")]),
        says(Role::User, "go on"),
    ];
    let (body, _) = encoded(&Request { messages, ..Request::default() }, "m");
    let mapped = body["messages"][0]["content"][1]["id"].clone();
    assert_eq!(body["messages"][0]["content"][1]["input"], json!({"input": "[1]"}));
    assert_eq!(
        body["messages"][1],
        json!({"role": "user", "content": [
            {"type": "tool_result", "tool_use_id": "a", "content": ""},
            {"type": "tool_result", "tool_use_id": mapped, "content": "two"},
            {"type": "text", "text": "go on"},
        ]})
    );
}

#[test]
fn what_anthropic_has_no_word_for_is_refused() {
    let user =
        |content| Request { messages: vec![message(Role::User, vec![Part::new(content)])], ..Request::default() };
    let place = "messages[0].content[0]";
    let data = |media_type: &str| Source::Base64 { media_type: media_type.to_owned(), data: String::new() };
    let file = |source| Content::Document(Document { source, title: None, context: None, citations: None });
    refused(&user(Content::Audio(data("audio/wav"))), "m", place);
    refused(&user(Content::Video(Source::Url("u".to_owned()))), "m", place);
    refused(&user(file(data("text/csv"))), "m", place);
    refused(&user(file(Source::File("file-openai".to_owned()))), "m", place);
    refused(&user(Content::Foreign { dialect: Dialect::Gemini, block: Json::of(&1) }), "m", place);
    refused(&Request { choices: Some(2), ..asking() }, "m", "n");
    let tool = Tool::Foreign { dialect: Dialect::OpenaiResponses, tool: Json::of(&1) };
    refused(&Request { tools: vec![tool], ..asking() }, "m", "tools[0]");
    let choice = ToolChoice::Foreign { dialect: Dialect::OpenaiChat, choice: Json::of(&1) };
    let tools = vec![Tool::Function(Function::default())];
    refused(&Request { tool_choice: Some(choice), tools: tools.clone(), ..asking() }, "m", "tool_choice");
    let forced = Request { tool_choice: Some(ToolChoice::Required), tools, ..asking() };
    refused(&forced, "claude-opus-5-5", "tool_choice");
    let schema = Schema { schema: Json::parse("{}"), ..Schema::default() };
    let schema = Request { format: Some(Format::JsonSchema(schema)), ..asking() };
    refused(&schema, "claude-3-haiku-20240307", "response_format");
}

#[test]
fn thoughts_are_replayed_to_whom_made_them() {
    let thought = |signature: Option<(Dialect, &str)>| {
        let mut part = Part::new(Content::Thinking { text: "hm".to_owned(), id: None });
        part.signature = signature.map(|(by, text)| Signature { by, text: text.to_owned() });
        let parts = vec![part, Part::text("so")];
        Request { messages: vec![message(Role::Assistant, parts)], ..Request::default() }
    };
    let kept = json!([{"role": "assistant", "content": [
        {"type": "thinking", "thinking": "hm", "signature": "s"}, {"type": "text", "text": "so"}]}]);
    let left = json!([{"role": "assistant", "content": "so"}]);
    check(&thought(Some((Dialect::Anthropic, "s"))), "m", json!({"messages": kept}), &[]);
    check(&thought(Some((Dialect::Anthropic, ""))), "m", json!({"messages": left}), &["thinking"]);
    check(&thought(Some((Dialect::Gemini, "s"))), "m", json!({"messages": left}), &["reasoning"]);
    check(&thought(None), "m", json!({"messages": left}), &["reasoning"]);
}

#[test]
fn effort_is_said_as_the_model_knows_it() {
    let ask = |effort| Request {
        max_tokens: Some(10_000),
        reasoning: Some(Reasoning { effort: Some(effort), ..Reasoning::default() }),
        ..asking()
    };
    let budget = |tokens: u64| json!({"thinking": {"type": "enabled", "budget_tokens": tokens}, "output_config": null});
    check(&ask(Effort::Low), "claude-haiku-4-5", budget(2_000), &[]);
    check(&ask(Effort::Max), "claude-sonnet-4-20250514", budget(9_500), &[]);
    check(&ask(Effort::Minimal), "kimi-k2", budget(1_024), &[]);
    let adaptive = |effort: &str| json!({"thinking": {"type": "adaptive"}, "output_config": {"effort": effort}});
    check(&ask(Effort::XHigh), "claude-opus-4-6", adaptive("high"), &[]);
    check(&ask(Effort::Minimal), "claude-opus-4-7", adaptive("low"), &[]);
    let alone = |effort: &str| json!({"thinking": null, "output_config": {"effort": effort}});
    check(&ask(Effort::XHigh), "claude-opus-5", alone("xhigh"), &[]);
    let off = json!({"thinking": {"type": "disabled"}, "output_config": null});
    check(&ask(Effort::None), "claude-haiku-4-5", off.clone(), &[]);
    check(&ask(Effort::None), "claude-opus-5", off, &[]);
    check(&ask(Effort::None), "claude-sonnet-5-5", json!({"thinking": {"type": "between_tools"}}), &[]);
    check(&ask(Effort::None), "claude-opus-5-5", alone("low"), &["reasoning_effort"]);
    let nothing = json!({"thinking": null, "output_config": null});
    check(&ask(Effort::High), "claude-3-5-haiku-latest", nothing.clone(), &["reasoning_effort"]);
    check(
        &Request { max_tokens: Some(1_024), ..ask(Effort::High) },
        "claude-haiku-4-5",
        nothing,
        &["reasoning_effort"],
    );
}

#[test]
fn a_budget_goes_with_little() {
    let ask = || Request {
        max_tokens: Some(10_000),
        reasoning: Some(Reasoning { budget_tokens: Some(20_000), ..Reasoning::default() }),
        ..asking()
    };
    let cut = json!({"thinking": {"type": "enabled", "budget_tokens": 9_999}});
    check(&ask(), "claude-sonnet-4-5", cut.clone(), &[]);
    check(&ask(), "claude-sonnet-4-6", cut.clone(), &[]);
    check(
        &ask(),
        "claude-opus-4-7",
        json!({"thinking": {"type": "adaptive"}, "output_config": {"effort": "medium"}}),
        &[],
    );
    let sampling = Sampling {
        temperature: Json::parse("0.5"),
        top_p: Json::parse("0.9"),
        top_k: Json::parse("5"),
        ..Sampling::default()
    };
    let sampled = Request { sampling, ..ask() };
    let none = json!({"temperature": null, "top_p": null, "top_k": null});
    check(&sampled, "claude-sonnet-4-5", none, &["temperature", "top_p", "top_k"]);
    let tools = vec![Tool::Function(Function { name: "f".to_owned(), ..Function::default() })];
    let forced = Request { tool_choice: Some(ToolChoice::Required), tools, ..ask() };
    check(
        &forced,
        "claude-sonnet-4-5",
        json!({"thinking": null, "tool_choice": {"type": "any"}}),
        &["reasoning_effort"],
    );
    let messages = vec![message(Role::Assistant, vec![call("a", "")]), message(Role::Tool, vec![result("a", "1")])];
    check(&Request { messages, ..ask() }, "claude-sonnet-4-5", json!({"thinking": null}), &["reasoning_effort"]);
}

#[test]
fn sampling_is_cut_to_the_model() {
    let ask = |temperature: &str, top_p: Option<&str>| Request {
        sampling: Sampling {
            temperature: Json::parse(temperature),
            top_p: top_p.and_then(Json::parse),
            ..Sampling::default()
        },
        ..asking()
    };
    check(&ask("0.70", Some("0.9")), "claude-3-opus-20240229", json!({"temperature": 0.7, "top_p": 0.9}), &[]);
    check(&ask("0.7", Some("0.9")), "claude-haiku-4-5", json!({"temperature": 0.7, "top_p": null}), &["top_p"]);
    check(&ask("1.5", None), "claude-haiku-4-5", json!({"temperature": 1}), &["temperature"]);
    check(&ask("0", None), "claude-opus-4-7", json!({"temperature": null}), &["temperature"]);
    check(&ask("1", None), "claude-opus-4-7", json!({"temperature": 1}), &[]);
}

#[test]
fn what_only_tunes_is_dropped_by_name() {
    let mut request = Request {
        sampling: Sampling {
            seed: Json::parse("1"),
            frequency_penalty: Json::parse("1"),
            presence_penalty: Json::parse("1"),
            ..Sampling::default()
        },
        logprobs: Some(ir::chat::request::Logprobs { top: None }),
        stop: vec!["\n".to_owned(), "END".to_owned()],
        service_tier: Some("flex".to_owned()),
        user: Some("u".repeat(513)),
        tool_choice: Some(ToolChoice::Auto),
        ..asking()
    };
    request.extras.push(Dialect::OpenaiChat, "logit_bias", Json::of(&1));
    request.messages[0].name = Some("Ann".to_owned());
    check(
        &request,
        "m",
        json!({"stop_sequences": ["END"], "service_tier": null, "metadata": null, "tool_choice": null}),
        &[
            "name",
            "stop",
            "user",
            "service_tier",
            "frequency_penalty",
            "presence_penalty",
            "seed",
            "logprobs",
            "logit_bias",
        ],
    );
}

#[test]
fn json_mode_is_an_instruction() {
    let request = Request { format: Some(Format::JsonObject), ..asking() };
    check(&request, "m", json!({"system": JSON_INSTRUCTION, "output_config": null}), &["response_format"]);
}

#[test]
fn schemas_are_what_anthropic_accepts() {
    let function = |parameters: Option<&str>| {
        let parameters = parameters.and_then(Json::parse);
        let function = Function { name: "f".to_owned(), parameters, strict: Some(true), ..Function::default() };
        Request { tools: vec![Tool::Function(function)], parallel_tool_calls: Some(false), ..asking() }
    };
    let tools = |schema: Value| {
        json!({
            "tools": [{"name": "f", "input_schema": schema, "strict": true}],
            "tool_choice": {"type": "auto", "disable_parallel_tool_use": true},
        })
    };
    check(&function(None), "m", tools(json!({"type": "object", "properties": {}})), &[]);
    check(&function(Some("{}")), "m", tools(json!({"type": "object"})), &[]);
    check(&function(Some(r#"{"properties":{}}"#)), "m", tools(json!({"type": "object", "properties": {}})), &[]);
    let (body, dropped) = encoded(&function(None), "claude-3-haiku-20240307");
    assert_eq!((body["tools"][0].get("strict"), dropped), (None, vec!["strict".to_owned()]));
}

#[test]
fn anthropics_own_words_come_back() {
    for body in [
        r#"{"model":"claude-opus-4-8","max_tokens":9,"messages":[{"role":"user","content":"a"},{"role":"system","content":"b","clear_at":"x"}],"thinking":{"type":"between_tools"},"speed":"fast"}"#,
        r#"{"model":"claude-opus-4-6","max_tokens":9,"system":[{"type":"text","text":"s","cache_control":{"type":"ephemeral"}}],"messages":[{"role":"user","content":[{"type":"text","text":"a"}]}],"output_config":{"effort":"low","task_budget":{"total":1}},"metadata":{"user_id":"u","x":1}}"#,
        r#"{"model":"claude-haiku-4-5","max_tokens":9,"messages":[],"tools":[],"stream":false,"output_format":{"type":"json_schema","schema":{"type":"string"}}}"#,
        r#"{"model":"claude-haiku-4-5","max_tokens":9,"messages":[],"tools":[{"type":"bash_20250124","name":"bash"}],"tool_choice":{"type":"auto","disable_parallel_tool_use":false},"stream":true}"#,
    ] {
        let request = crate::anthropic::request::decode::decode(body).unwrap();
        let model: Value = serde_json::from_str(body).unwrap();
        let (found, dropped) = encoded(&request, model["model"].as_str().unwrap());
        assert_eq!(found, model);
        assert!(dropped.is_empty(), "{dropped:?}");
    }
}
