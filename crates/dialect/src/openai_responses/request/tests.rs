//! How requests of OpenAI Responses are read and written: small cases, malformed ones among them.

use ir::chat::message::{Citation, Content, Document, Message, Part, Role, Signature, Source, ToolCall, ToolResult};
use ir::chat::request::{Effort, Format, Function, Logprobs, Reasoning, Request, Schema, Tool, ToolChoice};
use ir::dialect::Dialect;
use ir::json::Json;
use serde_json::{Value, json};

use super::{decode::decode, encode::encode, encode::encode_again};
use crate::translate::Callee;

const CALLEE: Callee<'_> = Callee { model: "m", max_output_tokens: None, ask_usage: true, quirks: &[], refuses: &[] };

fn said(role: Role, parts: Vec<Part>) -> Message {
    Message { role, parts, name: None, extras: Default::default() }
}

fn part(content: Content) -> Part {
    Part::new(content)
}

fn raw(text: &str) -> Json {
    Json::parse(text).unwrap()
}

fn hello() -> Request {
    Request { messages: vec![said(Role::User, vec![Part::text("hello")])], ..Request::default() }
}

fn base64(media_type: &str) -> Source {
    Source::Base64 { media_type: media_type.to_owned(), data: "AAAA".to_owned() }
}

fn document(source: Source) -> Part {
    part(Content::Document(Document { source, title: None, context: None, citations: None }))
}

/// Checks what a request of another surface becomes: some of its members, and what is dropped.
fn check(request: &Request, expect: Value, dropped: &[&str]) {
    let encoded = encode(request, &CALLEE).unwrap();
    let body: Value = serde_json::from_slice(&encoded.body).unwrap();
    for (name, value) in expect.as_object().unwrap() {
        assert_eq!(&body[name], value, "{name} of {body}");
    }
    assert_eq!(encoded.dropped, dropped);
}

/// Checks the items that messages of another surface become.
fn check_input(messages: Vec<Message>, expect: Value, dropped: &[&str]) {
    check(&Request { messages, ..Request::default() }, json!({ "input": expect }), dropped);
}

fn check_refused(request: &Request, param: &str) {
    let failure = encode(request, &CALLEE).unwrap_err();
    assert_eq!((failure.status, failure.param.as_deref()), (400, Some(param)), "{}", failure.message);
}

#[test]
fn nothing_is_kept_at_the_provider() {
    let body = String::from_utf8(encode(&hello(), &CALLEE).unwrap().body).unwrap();
    let expect = json!({
        "model": "m", "input": [{"type": "message", "role": "user", "content": "hello"}],
        "include": ["reasoning.encrypted_content"], "store": false
    });
    assert_eq!(serde_json::from_str::<Value>(&body).unwrap(), expect);
    let body = String::from_utf8(encode_again(&hello(), &CALLEE).unwrap().body).unwrap();
    let expect = json!({"model": "m", "input": [{"type": "message", "role": "user", "content": "hello"}]});
    assert_eq!(serde_json::from_str::<Value>(&body).unwrap(), expect);
}

#[test]
fn a_turn_becomes_items() {
    let call = |id: &str, custom| {
        let (name, arguments) = ("f".to_owned(), "{}".to_owned());
        part(Content::ToolCall(ToolCall { id: id.to_owned(), name, arguments, custom }))
    };
    let answer = |id: &str, parts| {
        let result = ToolResult { call_id: id.to_owned(), name: None, parts, is_error: Some(true) };
        part(Content::ToolResult(result))
    };
    let messages = vec![
        said(Role::System, vec![Part::text("be brief")]),
        said(Role::User, vec![Part::text("a"), Part::text("b")]),
        said(Role::Assistant, vec![Part::text("c"), call("c1", false), call("c2", true)]),
        said(Role::Tool, vec![answer("c1", vec![Part::text("1")])]),
        said(
            Role::User,
            vec![answer("c2", vec![Part::text("2"), document(base64("application/pdf"))]), Part::text("d")],
        ),
    ];
    let expect = json!([
        {"type": "message", "role": "user", "content": [
            {"type": "input_text", "text": "a"}, {"type": "input_text", "text": "b"}]},
        {"type": "message", "role": "assistant", "content": "c"},
        {"type": "function_call", "call_id": "c1", "name": "f", "arguments": "{}"},
        {"type": "custom_tool_call", "call_id": "c2", "name": "f", "input": "{}"},
        {"type": "function_call_output", "call_id": "c1", "output": "1"},
        {"type": "custom_tool_call_output", "call_id": "c2", "output": [
            {"type": "input_text", "text": "2"},
            {"type": "input_file", "filename": "document.pdf", "file_data": "data:application/pdf;base64,AAAA"}]},
        {"type": "message", "role": "user", "content": "d"},
    ]);
    let request = Request { messages, ..Request::default() };
    check(&request, json!({"instructions": "be brief", "input": expect}), &["is_error"]);
}

#[test]
fn instructions_need_a_conversation() {
    let system = || said(Role::System, vec![Part::text("s")]);
    let item = json!([{"type": "message", "role": "system", "content": "s"}]);
    check_input(vec![system()], item, &[]);
    let developer = said(Role::Developer, vec![Part::text("d")]);
    let item = json!([{"type": "message", "role": "developer", "content": "d"}]);
    check_input(vec![system(), developer], item, &[]);
}

#[test]
fn pictures_and_files() {
    let image = |source, detail: Option<&str>| part(Content::Image { source, detail: detail.map(str::to_owned) });
    let parts = vec![
        image(Source::Url("https://x/y.png".to_owned()), Some("low")),
        image(base64("image/png"), None),
        image(Source::File("f1".to_owned()), None),
        document(Source::Url("https://x/y.pdf".to_owned())),
        document(Source::File("f2".to_owned())),
        document(Source::Text("plain".to_owned())),
        document(Source::Parts(vec![Part::text("inner")])),
    ];
    let expect = json!([{"type": "message", "role": "user", "content": [
        {"type": "input_image", "image_url": "https://x/y.png", "detail": "low"},
        {"type": "input_image", "image_url": "data:image/png;base64,AAAA"},
        {"type": "input_image", "file_id": "f1"},
        {"type": "input_file", "file_url": "https://x/y.pdf"},
        {"type": "input_file", "file_id": "f2"},
        {"type": "input_text", "text": "plain"},
        {"type": "input_text", "text": "inner"},
    ]}]);
    check_input(vec![said(Role::User, parts)], expect, &[]);
}

#[test]
fn only_its_own_reasoning_goes_back() {
    let thought = |by: Option<Dialect>, id: Option<&str>| {
        let content = Content::Thinking { text: "hm".to_owned(), id: id.map(str::to_owned) };
        Part { signature: by.map(|by| Signature { by, text: "sealed".to_owned() }), ..part(content) }
    };
    let own = thought(Some(Dialect::OpenaiResponses), Some("rs_1"));
    let expect = json!([
        {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "hm"}],
         "encrypted_content": "sealed"},
        {"type": "message", "role": "assistant", "content": "x"},
    ]);
    check_input(vec![said(Role::Assistant, vec![own, Part::text("x")])], expect, &[]);
    let rest = json!([{"type": "message", "role": "assistant", "content": "x"}]);
    let redacted = Part { signature: thought(Some(Dialect::Anthropic), None).signature, ..part(Content::Redacted) };
    for left_out in [thought(Some(Dialect::Anthropic), None), thought(None, None), redacted] {
        let messages = vec![said(Role::Assistant, vec![left_out, Part::text("x")])];
        check_input(messages, rest.clone(), &["reasoning"]);
    }
}

#[test]
fn a_changed_thought_does_not_go_back_in_its_old_form() {
    let body = r#"{"input":[{"type":"reasoning","id":"r","summary":[{"type":"summary_text","text":"a"},{"type":"summary_text","text":"b"}]}]}"#;
    let mut request = decode(body).unwrap();
    check(&request, json!({"input": serde_json::from_str::<Value>(body).unwrap()["input"]}), &[]);
    if let Content::Thinking { text, .. } = &mut request.messages[0].parts[0].content {
        assert_eq!(text, "a\n\nb");
        *text = "a".to_owned();
    }
    let expect = json!([{"type": "reasoning", "id": "r", "summary": [{"type": "summary_text", "text": "a"}]}]);
    check(&request, json!({ "input": expect }), &[]);
}

#[test]
fn tools_are_not_strict_unless_they_say_so() {
    let mut request = hello();
    request.tools = vec![
        Tool::Function(Function { name: "f".to_owned(), ..Function::default() }),
        Tool::Function(Function {
            name: "g".to_owned(),
            description: Some("d".to_owned()),
            parameters: Some(raw(r#"{"type":"object"}"#)),
            strict: Some(true),
            cache_control: Some(raw("{}")),
            ..Function::default()
        }),
    ];
    request.tool_choice = Some(ToolChoice::Function("f".to_owned()));
    request.parallel_tool_calls = Some(false);
    let expect = json!({
        "tools": [
            {"type": "function", "name": "f", "parameters": {"type": "object", "properties": {}}, "strict": false},
            {"type": "function", "name": "g", "description": "d", "parameters": {"type": "object"}, "strict": true}],
        "tool_choice": {"type": "function", "name": "f"},
        "parallel_tool_calls": false,
    });
    check(&request, expect, &["cache_control"]);
}

#[test]
fn what_tunes_is_carried_or_named() {
    let mut request = hello();
    request.max_tokens = Some(5);
    request.stop = vec!["x".to_owned()];
    request.choices = Some(1);
    request.sampling.temperature = Some(raw("0.50"));
    request.sampling.top_k = Some(raw("4"));
    request.sampling.seed = Some(raw("4"));
    request.sampling.presence_penalty = Some(raw("1"));
    request.sampling.frequency_penalty = Some(raw("1"));
    request.logprobs = Some(Logprobs { top: Some(2) });
    request.messages[0].name = Some("ann".to_owned());
    request.messages[0].parts[0].cache_control = Some(raw("{}"));
    for name in ["metadata", "verbosity", "logit_bias"] {
        request.extras.push(Dialect::OpenaiChat, name, raw(r#""v""#));
    }
    let expect = json!({
        "max_output_tokens": 16, "temperature": 0.5, "top_logprobs": 2, "metadata": "v", "text": {"verbosity": "v"},
        "include": ["reasoning.encrypted_content", "message.output_text.logprobs"],
    });
    let dropped = [
        "stop",
        "top_k",
        "frequency_penalty",
        "presence_penalty",
        "seed",
        "logit_bias",
        "name",
        "cache_control",
        "max_tokens",
    ];
    check(&request, expect, &dropped);
}

#[test]
fn how_much_it_thinks() {
    let check = |reasoning: Reasoning, expect: Value| {
        check(&Request { reasoning: Some(reasoning), ..hello() }, json!({ "reasoning": expect }), &[]);
    };
    let none = Reasoning::default;
    check(
        Reasoning { effort: Some(Effort::XHigh), visible: Some(true), ..none() },
        json!({"effort": "xhigh", "summary": "auto"}),
    );
    check(Reasoning { enabled: Some(false), ..none() }, json!({"effort": "none"}));
    check(Reasoning { enabled: Some(true), budget_tokens: Some(8_000), ..none() }, json!({"effort": "low"}));
    check(Reasoning { enabled: Some(true), visible: Some(false), ..none() }, json!({}));
}

#[test]
fn the_form_of_the_answer() {
    let check = |format: Format, expect: Value| {
        check(&Request { format: Some(format), ..hello() }, json!({"text": {"format": expect}}), &[]);
    };
    check(Format::JsonObject, json!({"type": "json_object"}));
    check(
        Format::JsonSchema(Schema { schema: Some(raw(r#"{"type":"object"}"#)), ..Schema::default() }),
        json!({"type": "json_schema", "name": "answer", "schema": {"type": "object"}}),
    );
}

#[test]
fn what_cannot_be_said_is_refused() {
    check_refused(&Request { choices: Some(2), ..hello() }, "n");
    let tool = Tool::Foreign { dialect: Dialect::Anthropic, tool: raw("{}") };
    check_refused(&Request { tools: vec![tool], ..hello() }, "tools[0]");
    let choice = ToolChoice::Foreign { dialect: Dialect::OpenaiChat, choice: raw("{}") };
    check_refused(&Request { tool_choice: Some(choice), ..hello() }, "tool_choice");
    let mut sound = hello();
    sound.extras.push(Dialect::OpenaiChat, "audio", raw("{}"));
    check_refused(&sound, "audio");
    for content in [
        Content::Audio(base64("audio/wav")),
        Content::Video(base64("video/mp4")),
        Content::Image { source: Source::Text(String::new()), detail: None },
        Content::Foreign { dialect: Dialect::Anthropic, block: raw("{}") },
    ] {
        let mut request = hello();
        request.messages.push(said(Role::User, vec![Part::text("see"), part(content)]));
        check_refused(&request, "messages[1].content[1]");
    }
}

#[test]
fn citations_of_others_are_named() {
    let citations = vec![Citation { url: Some("https://x".to_owned()), ..Citation::default() }];
    let text = part(Content::Text { text: "x".to_owned(), citations });
    let expect = json!([{"type": "message", "role": "assistant", "content": "x"}]);
    check_input(vec![said(Role::Assistant, vec![text])], expect, &["citations"]);
}

/// Checks that a body is written as it was read.
fn check_again(body: &Value) {
    let request = decode(&body.to_string()).unwrap();
    let encoded = encode_again(&request, &CALLEE).unwrap();
    assert_eq!(&serde_json::from_slice::<Value>(&encoded.body).unwrap(), body);
    assert!(encoded.dropped.is_empty(), "{:?}", encoded.dropped);
}

#[test]
fn what_was_read_is_written_again() {
    check_again(&json!({
        "model": "m", "instructions": "s", "store": true, "background": true, "stream": true,
        "reasoning": {"effort": "low", "summary": "detailed", "context": "all_turns"},
        "text": {"format": {"type": "json_schema", "name": "n", "schema": {}, "strict": true}, "verbosity": "low"},
        "tools": [{"type": "web_search"}, {"type": "function", "name": "f", "strict": true, "defer_loading": true}],
        "tool_choice": {"type": "allowed_tools", "mode": "auto", "tools": []},
        "include": ["reasoning.encrypted_content"], "top_logprobs": 1, "max_output_tokens": 5,
        "input": [
            {"type": "message", "role": "user", "content": [
                {"type": "input_text", "text": "x", "prompt_cache_breakpoint": {"mode": "explicit"}},
                {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}},
                {"type": "input_image", "detail": "auto", "image_url": "data:image/png;base64,AAAA"}]},
            {"type": "reasoning", "id": "rs", "summary": [], "content": [{"type": "reasoning_text", "text": "t"}]},
            {"type": "message", "role": "assistant", "id": "a", "phase": "commentary", "status": "completed",
             "content": [{"type": "output_text", "text": "y", "annotations": [
                {"type": "url_citation", "url": "https://x", "title": "t", "start_index": 0, "end_index": 1}]},
                {"type": "refusal", "refusal": "no"}]},
            {"type": "message", "role": "assistant", "id": "b", "content": [
                {"type": "output_text", "text": "z", "annotations": []},
                {"type": "output_text", "text": "z", "annotations": []}]},
            {"type": "web_search_call", "id": "ws", "status": "completed"},
            {"type": "function_call", "id": "fc", "call_id": "c1", "name": "f", "arguments": "{}", "namespace": "n"},
            {"type": "custom_tool_call", "call_id": "c2", "name": "g", "input": "x"},
            {"type": "custom_tool_call_output", "call_id": "c2", "output": "done"},
            {"type": "custom_tool_call_output", "call_id": "of an earlier request", "output": "done"},
            {"type": "function_call_output", "call_id": "c1", "output": [
                {"type": "input_text", "text": "1"}, {"type": "input_text", "text": "2"}]},
            {"id": "msg", "type": "item_reference"},
        ],
    }));
    check_again(&json!({"model": "m", "previous_response_id": "resp", "instructions": "new ones", "input": [
        {"type": "message", "role": "user", "content": "x"}]}));
}

#[test]
fn a_turn_is_one_message() {
    let request = decode(
        r#"{"input":[{"role":"user","content":"q"},{"type":"reasoning","summary":[],"encrypted_content":"e"},
            {"role":"assistant","content":"a"},{"type":"function_call","call_id":"c","name":"f","arguments":"{}"},
            {"type":"function_call_output","call_id":"c","output":"1"},{"role":"assistant","content":"b"},
            {"role":"assistant","content":"c"}]}"#,
    );
    let request = request.unwrap();
    let turns: Vec<_> = request.messages.iter().map(|message| (message.role, message.parts.len())).collect();
    let expect = [(Role::User, 1), (Role::Assistant, 3), (Role::Tool, 1), (Role::Assistant, 1), (Role::Assistant, 1)];
    assert_eq!(turns, expect);
}

#[test]
fn what_is_malformed_is_named() {
    for (body, param) in [
        ("[]", "the body"),
        (r#"{"input":7}"#, "input"),
        (r#"{"input":[7]}"#, "input[0]"),
        (r#"{"input":[{"role":"robot","content":""}]}"#, "input[0].role"),
        (r#"{"input":[{"role":"user","content":[{"type":"input_text","text":7}]}]}"#, "input[0].content[0].text"),
        (r#"{"input":[{"type":"function_call_output","output":""}]}"#, "input[0].call_id"),
        (r#"{"tools":[{"type":"function"}]}"#, "tools[0].name"),
        (r#"{"max_output_tokens":-1}"#, "max_output_tokens"),
        (r#"{"text":{"format":{"type":"json_schema","name":1}}}"#, "text.format.name"),
        (r#"{"stream":"yes"}"#, "stream"),
        (r#"{"user":"a","user":"b"}"#, "user"),
        ("{\"input\":[{\"type\":\"item_reference\",\"id\":\"\n\"}]}", ""),
    ] {
        let failure = decode(body).unwrap_err();
        assert_eq!((failure.status, failure.param.as_deref()), (400, Some(param)), "{body}: {}", failure.message);
    }
}

proptest::proptest! {
    #[test]
    fn nothing_panics(text in r#"(\{|\[|\}|\]|:|,|"type"|"input"|"role"|"user"|"content"|"summary"|"message"|"reasoning"|"output"|null|7){0,24}"#) {
        for body in [text.clone(), format!(r#"{{"input":[{{{text}}}]}}"#), format!(r#"{{"text":{{{text}}}}}"#)] {
            if let Ok(request) = decode(&body) {
                let _ = encode(&request, &CALLEE);
            }
        }
    }
}
