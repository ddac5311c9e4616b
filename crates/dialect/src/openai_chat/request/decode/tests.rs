//! Requests, member by member: what is read, and that it comes back.

use ir::chat::message::{Content, Part, Role, Source};
use ir::chat::request::{Effort, Format, ToolChoice};
use proptest::prelude::*;

use super::*;
use crate::openai_chat::request::encode::encode;
use crate::translate::Callee;

const USER: &str = r#""messages":[{"role":"user","content":"x"}]"#;

fn read(members: &str) -> Request {
    decode(&format!("{{{members}}}")).unwrap()
}

fn parts(message: &str) -> Vec<Part> {
    let mut request = read(&format!(r#""messages":[{message}]"#));
    request.messages.pop().unwrap().parts
}

fn contents(message: &str) -> Vec<Content> {
    parts(message).into_iter().map(|part| part.content).collect()
}

fn text(text: &str) -> Content {
    Content::Text { text: text.to_owned(), citations: Vec::new() }
}

fn base64(media_type: &str, data: &str) -> Source {
    Source::Base64 { media_type: media_type.to_owned(), data: data.to_owned() }
}

/// What is written for the same dialect is what was read.
fn check_returns(members: &str) {
    let body = format!(r#"{{"model":"m",{members}}}"#);
    let request = decode(&body).unwrap();
    let callee = Callee { model: "m", max_output_tokens: None, ask_usage: true, quirks: &[], refuses: &[] };
    let encoded = encode(&request, &callee).unwrap();
    let value = |bytes: &[u8]| serde_json::from_slice::<serde_json::Value>(bytes).unwrap();
    assert_eq!(value(&encoded.body), value(body.as_bytes()), "{members}");
    assert_eq!(encoded.dropped, Vec::<String>::new(), "{members}");
}

#[test]
fn whatever_is_asked_comes_back() {
    for members in [
        r#""max_tokens":5"#,
        r#""max_completion_tokens":5"#,
        r#""max_completion_tokens":5,"max_tokens":5"#,
        r#""stop":"a""#,
        r#""stop":["a"]"#,
        r#""stop":[]"#,
        r#""temperature":0.70,"top_p":1,"top_k":4,"seed":7,"n":2,"user":"u","service_tier":"flex""#,
        r#""random_seed":7,"tool_choice":"any""#,
        r#""logprobs":true,"top_logprobs":3"#,
        r#""logprobs":false"#,
        r#""logprobs":2"#,
        r#""stream":true,"stream_options":{"include_usage":true,"include_obfuscation":false}"#,
        r#""stream":false"#,
        r#""response_format":{"type":"text"}"#,
        r#""response_format":{"type":"json_object"}"#,
        r#""response_format":{"type":"json_object","schema":{"type":"object"}}"#,
        r#""response_format":{"type":"json_schema","json_schema":{"name":"n","schema":{},"strict":true,"x":1}}"#,
        r#""response_format":{"type":"json_schema","json_schema":{"name":"n","type":"object","properties":{}}}"#,
        r#""response_format":{"type":"grammar","grammar":"g"}"#,
        r#""reasoning_effort":"low""#,
        r#""reasoning_effort":"default""#,
        r#""reasoning":{"effort":"high","exclude":true,"x":1}"#,
        r#""reasoning":{"enabled":true,"max_tokens":2000}"#,
        r#""tool_choice":{"type":"function","function":{"name":"f"}}"#,
        r#""tool_choice":{"type":"allowed_tools","allowed_tools":{"mode":"auto","tools":[]}}"#,
        r#""functions":[{"name":"f","parameters":{}}],"function_call":{"name":"f"}"#,
        r#""tools":[{"type":"function","function":{"name":"f","strict":true,"y":1},"cache_control":{"type":"ephemeral"},"x":1}]"#,
        r#""tools":[{"function":{"name":"f"}},{"type":"custom","custom":{"name":"c"}}],"parallel_tool_calls":false"#,
        r#""store":true,"metadata":{"a":"b"},"logit_bias":{"1":-100},"prediction":{"type":"content","content":"x"}"#,
        r#""modalities":["text","audio"],"audio":{"voice":"v","format":"wav"},"verbosity":"low","web_search_options":{}"#,
    ] {
        check_returns(&format!("{USER},{members}"));
    }
}

#[test]
fn whatever_is_said_comes_back() {
    for message in [
        r#"{"role":"system","content":"a","name":"n"}"#,
        r#"{"role":"developer","content":[{"type":"text","text":"a","cache_control":{"type":"ephemeral"}}]}"#,
        r#"{"role":"user","content":"a","cache_control":{"type":"ephemeral"}}"#,
        r#"{"role":"user","content":[{"type":"image_url","image_url":{"url":"data:image/png;base64,AA==","detail":"low","x":1}}]}"#,
        r#"{"role":"user","content":[{"type":"image_url","image_url":"https://a/b.png"}]}"#,
        r#"{"role":"user","content":[{"type":"input_audio","input_audio":{"data":"AA==","format":"wav"}}]}"#,
        r#"{"role":"user","content":[{"type":"input_audio","input_audio":"SUQzAA=="}]}"#,
        r#"{"role":"user","content":[{"type":"file","file":{"file_id":"f"}},{"type":"file","file":{"filename":"a.pdf","file_data":"data:application/pdf;base64,AA=="}}]}"#,
        r#"{"role":"user","content":[{"type":"file","file":{"file_data":"https://a/b.pdf"}},{"type":"document_url","document_url":"https://a/b"}]}"#,
        r#"{"role":"user","content":[{"type":"video_url","video_url":{"url":"https://a/b.mp4"}},{"type":"new","x":[1]}]}"#,
        r#"{"role":"assistant","content":null,"tool_calls":[{"id":"c","type":"function","function":{"name":"f","arguments":"{\"a\": 1}"}}]}"#,
        r#"{"role":"assistant","content":"","tool_calls":[{"id":"c","type":"custom","custom":{"name":"f","input":"not json {"},"index":0}]}"#,
        r#"{"role":"assistant","content":null,"tool_calls":[{"id":"c","type":"function","function":{"name":"f","arguments":""},"extra_content":{"google":{"thought_signature":"s"}}}]}"#,
        r#"{"role":"assistant","content":null,"refusal":"no"}"#,
        r#"{"role":"assistant","content":[{"type":"text","text":"a"},{"type":"refusal","refusal":"no"}],"audio":{"id":"a"}}"#,
        r#"{"role":"assistant","content":"a","reasoning_content":"t"}"#,
        r#"{"role":"assistant","content":"a","reasoning_content":"","prefix":true}"#,
        r#"{"role":"assistant","content":"a","reasoning":"t","reasoning_details":[{"type":"reasoning.text","text":"t","signature":"s","format":"anthropic-claude-v1","index":0},{"type":"reasoning.encrypted","data":"d","format":"anthropic-claude-v1","index":1}]}"#,
        r#"{"role":"assistant","content":"a","reasoning_details":[{"type":"reasoning.summary","summary":"t","format":"openai-responses-v1","index":0},{"type":"reasoning.encrypted","data":"d","id":"rs_1","format":"openai-responses-v1","index":0}]}"#,
        r#"{"role":"assistant","content":"a","reasoning_details":[{"type":"reasoning.text","text":"t"},{"type":"new"}]}"#,
        r#"{"role":"assistant","content":[{"type":"thinking","thinking":[{"type":"text","text":"a"},{"type":"text","text":"b"}],"closed":true},{"type":"text","text":"c"}]}"#,
        r#"{"role":"tool","tool_call_id":"c","content":"a","name":"n"}"#,
        r#"{"role":"tool","tool_call_id":"c","content":[{"type":"text","text":"a"}]}"#,
    ] {
        check_returns(&format!(r#""messages":[{message}]"#));
    }
    check_returns(
        r#""messages":[{"role":"assistant","content":null,"function_call":{"name":"f","arguments":"{}"}},{"role":"function","name":"f","content":"1"}]"#,
    );
}

#[test]
fn members_find_their_words() {
    let request = read(&format!(
        r#"{USER},"max_tokens":9,"max_completion_tokens":5,"stop":"s","reasoning_effort":"xhigh","tool_choice":"required",
        "logprobs":true,"top_logprobs":2,"n":3,"response_format":{{"type":"json_schema","json_schema":{{"name":"n","schema":{{"a":1}}}}}},
        "stream":true,"stream_options":{{"include_usage":true}},"temperature":0.50,"metadata":{{"k":"v"}}"#
    ));
    assert_eq!((request.max_tokens, request.choices), (Some(5), Some(3)));
    assert_eq!(request.stop, ["s"]);
    assert_eq!(request.reasoning.unwrap().effort, Some(Effort::XHigh));
    assert_eq!(request.tool_choice, Some(ToolChoice::Required));
    assert_eq!(request.logprobs.unwrap().top, Some(2));
    assert!(request.stream && request.stream_usage);
    assert_eq!(request.sampling.temperature.unwrap().as_str(), "0.50");
    assert!(
        matches!(request.format, Some(Format::JsonSchema(schema)) if schema.schema.as_ref().unwrap().as_str() == r#"{"a":1}"#)
    );
    // Only what no word exists for is named to a caller whose provider speaks another dialect.
    assert_eq!(request.extras.foreign_to(Dialect::Anthropic).collect::<Vec<_>>(), ["metadata"]);
    let request = read(&format!(r#"{USER},"reasoning":{{"max_tokens":100,"exclude":true}}"#));
    let reasoning = request.reasoning.unwrap();
    assert_eq!((reasoning.budget_tokens, reasoning.visible, reasoning.enabled), (Some(100), Some(false), None));
}

#[test]
fn parts_find_their_words() {
    let user = |part: &str| contents(&format!(r#"{{"role":"user","content":[{part}]}}"#)).pop().unwrap();
    let image = |source, detail| Content::Image { source, detail };
    assert_eq!(
        user(r#"{"type":"image_url","image_url":{"url":"data:image/png;base64,AA=="}}"#),
        image(base64("image/png", "AA=="), None)
    );
    assert_eq!(
        user(r#"{"type":"image_url","image_url":{"url":"https://a","detail":"high"}}"#),
        image(Source::Url("https://a".to_owned()), Some("high".to_owned()))
    );
    assert_eq!(
        user(r#"{"type":"input_audio","input_audio":{"data":"AA==","format":"mp3"}}"#),
        Content::Audio(base64("audio/mp3", "AA=="))
    );
    let Content::Document(document) =
        user(r#"{"type":"file","file":{"filename":"a.pdf","file_data":"data:application/pdf;base64,AA=="}}"#)
    else {
        panic!("no document")
    };
    assert_eq!((document.source, document.title.as_deref()), (base64("application/pdf", "AA=="), Some("a.pdf")));
    assert_eq!(contents(r#"{"role":"user","content":"é 😀 \ud83d\ude00 \ud83d"}"#), [text("é 😀 😀 \u{fffd}")]);
}

#[test]
fn thoughts_have_their_proofs() {
    let found = parts(
        r#"{"role":"assistant","content":"a","reasoning":"t","reasoning_details":[
            {"type":"reasoning.text","text":"t","signature":"s","format":"anthropic-claude-v1"},
            {"type":"reasoning.encrypted","data":"d","format":"anthropic-claude-v1"},
            {"type":"reasoning.encrypted","data":"e","id":"rs","format":"openai-responses-v1"}]}"#,
    );
    let thinking =
        |text: &str, id: Option<&str>| Content::Thinking { text: text.to_owned(), id: id.map(str::to_owned) };
    let expect = [
        (thinking("t", None), Some((Dialect::Anthropic, "s"))),
        (Content::Redacted, Some((Dialect::Anthropic, "d"))),
        (thinking("", Some("rs")), Some((Dialect::OpenaiResponses, "e"))),
        (text("a"), None),
    ];
    for (part, (content, signature)) in found.iter().zip(expect) {
        assert_eq!(part.content, content);
        assert_eq!(part.signature.as_ref().map(|signature| (signature.by, signature.text.as_str())), signature);
    }
    let call = parts(
        r#"{"role":"assistant","tool_calls":[{"id":"c","function":{"name":"f"},"extra_content":{"google":{"thought_signature":"g"}}}]}"#,
    );
    assert_eq!(call[0].signature.as_ref().map(|signature| signature.by), Some(Dialect::Gemini));
    assert_eq!(call[0].extras.foreign_to(Dialect::Gemini).count(), 0);
}

#[test]
fn older_calls_get_ids() {
    let request = read(
        r#""messages":[{"role":"assistant","function_call":{"name":"f","arguments":"{}"}},{"role":"function","name":"f","content":"1"}]"#,
    );
    let Content::ToolCall(call) = &request.messages[0].parts[0].content else { panic!("no call") };
    let Content::ToolResult(result) = &request.messages[1].parts[0].content else { panic!("no result") };
    assert_eq!((call.id.as_str(), request.messages[1].role), (result.call_id.as_str(), Role::Tool));
}

#[test]
fn what_is_wrong_is_named() {
    let check = |members: &str, param: &str| {
        let failure = decode(&format!("{{{members}}}")).unwrap_err();
        assert_eq!((failure.status, failure.param.as_deref()), (400, Some(param)), "{members}");
    };
    check(r#""model":"m""#, "messages");
    check(r#""messages":{}"#, "messages");
    check(r#""messages":[{"role":"king","content":""}]"#, "messages[0].role");
    check(r#""messages":[{"content":""}]"#, "messages[0].role");
    check(r#""messages":[{"role":"user","content":7}]"#, "messages[0].content");
    check(r#""messages":[{"role":"user","content":[{"type":"text"}]}]"#, "messages[0].content[0].text");
    check(r#""messages":[{"role":"user","content":[{"type":"image_url"}]}]"#, "messages[0].content[0].image_url");
    check(r#""messages":[{"role":"tool","content":""}]"#, "messages[0].tool_call_id");
    check(
        r#""messages":[{"role":"assistant","tool_calls":[{"id":"c","type":"function"}]}]"#,
        "messages[0].tool_calls[0].function",
    );
    check(&format!(r#"{USER},"temperature":"0.5""#), "temperature");
    check(&format!(r#"{USER},"n":-1"#), "n");
    check(&format!(r#"{USER},"stop":[1]"#), "stop");
    check(&format!(r#"{USER},"tool_choice":"maybe""#), "tool_choice");
    check(&format!(r#"{USER},"tools":[{{"type":"function","function":{{}}}}]"#), "tools[0].function.name");
    check(&format!(r#"{USER},"n":1,"n":2"#), "n");
    for body in ["", "[]", "{", "null", r#"{"messages":[}"#] {
        assert_eq!(decode(body).unwrap_err().status, 400, "{body}");
    }
}

#[test]
fn large_arguments_pass_unread() {
    let arguments = "x".repeat(1 << 20);
    let message = format!(
        r#"{{"role":"assistant","content":null,"tool_calls":[{{"id":"c","type":"function","function":{{"name":"f","arguments":"{arguments}"}}}}]}}"#
    );
    check_returns(&format!(r#""messages":[{message}]"#));
}

proptest! {
    #[test]
    fn never_panics(words in proptest::collection::vec(
        prop_oneof![
            Just("{"), Just("}"), Just("["), Just("]"), Just(","), Just(":"), Just("null"), Just("1"), Just("\"text\""),
            Just("\"messages\""), Just("\"role\""), Just("\"assistant\""), Just("\"content\""), Just("\"type\""),
            Just("\"tool_calls\""), Just("\"reasoning_details\""), Just("\"function\""), Just("\"\\ud800\""),
        ],
        0..40,
    )) {
        let text = words.concat();
        let _ = decode(&text);
        let _ = decode(&format!(r#"{{"messages":[{{"role":"assistant",{text}}}]}}"#));
    }
}
