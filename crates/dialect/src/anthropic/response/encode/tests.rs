//! How whole replies of Anthropic Messages are written: small cases, malformed ones among them.

use ir::chat::message::{Citation, Source, ToolCall};
use ir::dialect::Dialect;
use ir::usage::Usage;
use serde_json::json;

use super::*;

const LABEL: Label<'_> = Label { seed: "5eed", model: "gpt-x", created: 0 };

fn answer(parts: Vec<Part>, finish: Finish) -> Response {
    let choice = Choice { index: 0, parts, finish, logprobs: None, extras: Extras::default() };
    Response { choices: vec![choice], ..Response::default() }
}

fn written(response: &Response) -> Value {
    serde_json::from_slice(&encode(response, &LABEL)).unwrap()
}

#[test]
fn every_key_that_the_sdks_demand_is_there() {
    let usage = Usage { input: 3, cached_input: 2, output: 1, ..Usage::default() };
    let response = Response { usage: Some(usage), ..answer(vec![Part::text("hi")], Finish::Stop) };
    assert_eq!(
        String::from_utf8(encode(&response, &LABEL)).unwrap(),
        concat!(
            r#"{"id":"msg_5eed","type":"message","role":"assistant","model":"gpt-x","content":[{"type":"text","text":"hi"}],"#,
            r#""stop_reason":"end_turn","stop_sequence":null,"stop_details":null,"usage":{"input_tokens":3,"#,
            r#""cache_creation_input_tokens":0,"cache_read_input_tokens":2,"output_tokens":1,"cache_creation":null,"#,
            r#""inference_geo":null,"server_tool_use":null,"service_tier":null}}"#,
        )
    );
    assert_eq!(written(&Response::default())["stop_reason"], "end_turn");
}

#[test]
fn other_providers_parts_are_said_as_well_as_they_can_be() {
    let call = |id: &str, arguments: &str| {
        let (id, name, arguments) = (id.to_owned(), "f".to_owned(), arguments.to_owned());
        Part::new(Content::ToolCall(ToolCall { id, name, arguments, custom: false }))
    };
    let mut thought = Part::new(Content::Thinking { text: "hm".to_owned(), id: Some("rs_1".to_owned()) });
    thought.signature = Some(Signature { by: Dialect::OpenaiResponses, text: "secret".to_owned() });
    let hidden = Part { content: Content::Redacted, ..thought.clone() };
    let page = Citation { url: Some("u".to_owned()), ..Citation::default() };
    let parts = vec![
        thought,
        hidden,
        Part::new(Content::Text { text: "t".to_owned(), citations: vec![page, Citation::default()] }),
        Part::new(Content::Image { source: Source::Url("u".to_owned()), detail: None }),
        Part::new(Content::Foreign { dialect: Dialect::Gemini, block: Json::of(&1) }),
        call("call_1", "{\"a\":1}"),
        call("", ""),
    ];
    let message = written(&answer(parts, Finish::Stop));
    assert_eq!(
        message["content"],
        json!([
            {"type": "thinking", "thinking": "hm", "signature": ""},
            {"type": "text", "text": "t", "citations": [{"type": "web_search_result_location", "cited_text": "",
                "url": "u", "title": null, "encrypted_index": ""}]},
            {"type": "tool_use", "id": "call_1", "name": "f", "input": {"a": 1}},
            {"type": "tool_use", "id": "toolu_5eed1", "name": "f", "input": {}},
        ])
    );
    assert_eq!(message["stop_reason"], "tool_use");
}

#[test]
fn reasons_to_end() {
    let check = |finish: Finish, expect: Value| {
        let message = written(&answer(Vec::new(), finish.clone()));
        assert_eq!(json!([message["stop_reason"], message["stop_sequence"]]), expect, "{finish:?}");
    };
    check(Finish::StopSequence(Some("x".to_owned())), json!(["stop_sequence", "x"]));
    check(Finish::StopSequence(None), json!(["stop_sequence", null]));
    check(Finish::Length, json!(["max_tokens", null]));
    check(Finish::ContextWindow, json!(["model_context_window_exceeded", null]));
    check(Finish::ContentFilter, json!(["refusal", null]));
    check(Finish::Pause, json!(["pause_turn", null]));
    check(Finish::Other("compaction".to_owned()), json!(["compaction", null]));
    check(Finish::Other("MALFORMED".to_owned()), json!(["end_turn", null]));
    let refusal = answer(vec![Part::new(Content::Refusal("no".to_owned()))], Finish::Stop);
    let message = written(&refusal);
    assert_eq!((&message["stop_reason"], &message["content"][0]["text"]), (&json!("refusal"), &json!("no")));
}

#[test]
fn deltas_of_a_fold_are_put_together() {
    let check = |block: &str, deltas: &[&str], expect: &str| {
        let mut extras = Extras::default();
        deltas.iter().for_each(|delta| extras.push(DIALECT, "delta", Json::parse(delta).unwrap()));
        assert_eq!(accumulated(&Json::parse(block).unwrap(), &extras).as_str(), expect);
    };
    check(r#"{ "type":"fallback" }"#, &[], r#"{ "type":"fallback" }"#);
    check(
        r#"{"type":"server_tool_use","input":{}}"#,
        &[
            r#"{"type":"input_json_delta","partial_json":"{\"q\""}"#,
            r#"{"type":"input_json_delta","partial_json":":1}"}"#,
        ],
        r#"{"type":"server_tool_use","input":{"q":1}}"#,
    );
    check(
        r#"{"type":"compaction","content":null}"#,
        &[r#"{"type":"compaction_delta","content":"c"}"#],
        r#"{"type":"compaction","content":"c"}"#,
    );
}
