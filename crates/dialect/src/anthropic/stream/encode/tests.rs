//! How streams of Anthropic Messages are written: small cases, malformed ones among them.

use ir::chat::message::Citation;
use ir::dialect::Dialect;

use super::*;

const LABEL: Label<'_> = Label { seed: "5eed", model: "gpt-x", created: 0 };

fn opened(part: u32, opening: Opening) -> Event {
    Event::Opened { choice: 0, part, opening }
}

fn delta(part: u32, delta: Delta) -> Event {
    Event::Delta { choice: 0, part, delta }
}

fn closed(part: u32) -> Event {
    Event::Closed { choice: 0, part }
}

fn written(events: Vec<Event>, first_meta: &str, meta: &str) -> String {
    let mut encoder = Encoder::new(&LABEL, first_meta.as_bytes().to_vec());
    let mut out = Vec::new();
    events.into_iter().for_each(|event| encoder.event(event, &mut out));
    encoder.finish(meta.as_bytes(), &mut out);
    String::from_utf8(out).unwrap()
}

/// Checks the data of the events between `message_start` and `message_delta`.
fn check(events: Vec<Event>, expect: &[&str]) {
    let text = written(events, "", "");
    let datas: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("data: ")).collect();
    let [_, middle @ .., _, _] = datas.as_slice() else { panic!("{text}") };
    assert_eq!(middle, expect);
}

#[test]
fn the_events_are_anthropics() {
    let usage = Usage { input: 3, output: 2, ..Usage::default() };
    let events = vec![
        Event::Started(Started { id: "chatcmpl-1".to_owned(), usage: None, ..Started::default() }),
        opened(0, Opening::Text),
        delta(0, Delta::Text("h\"i".to_owned())),
        closed(0),
        Event::Finished { choice: 0, finish: Finish::Stop },
        Event::Usage(usage),
    ];
    let expect = concat!(
        "event: message_start\n",
        r#"data: {"type":"message_start","message":{"id":"chatcmpl-1","type":"message","role":"assistant","model":"gpt-x","content":[],"stop_reason":null,"stop_sequence":null,"stop_details":null,"usage":{"input_tokens":0,"cache_creation_input_tokens":0,"cache_read_input_tokens":0,"output_tokens":0,"cache_creation":null,"inference_geo":null,"server_tool_use":null,"service_tier":null},"crossway":{"a":1}}}"#,
        "\n\nevent: content_block_start\n",
        r#"data: {"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}"#,
        "\n\nevent: content_block_delta\n",
        r#"data: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"h\"i"}}"#,
        "\n\nevent: content_block_stop\n",
        r#"data: {"type":"content_block_stop","index":0}"#,
        "\n\nevent: message_delta\n",
        r#"data: {"type":"message_delta","delta":{"stop_reason":"end_turn","stop_sequence":null,"stop_details":null},"usage":{"input_tokens":3,"cache_creation_input_tokens":0,"cache_read_input_tokens":0,"output_tokens":2},"crossway":{"b":2}}"#,
        "\n\nevent: message_stop\n",
        r#"data: {"type":"message_stop"}"#,
        "\n\n",
    );
    assert_eq!(written(events, r#""crossway":{"a":1}"#, r#""crossway":{"b":2}"#), expect);
}

#[test]
fn an_answer_of_nothing_is_whole() {
    let text = written(Vec::new(), "", "");
    let names: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("event: ")).collect();
    assert_eq!(names, ["message_start", "message_delta", "message_stop"]);
    assert!(text.contains(r#""id":"msg_5eed""#), "{text}");
}

#[test]
fn what_cannot_be_said_takes_no_index() {
    let signature = |by, text: &str| Delta::Signature(Signature { by, text: text.to_owned() });
    let page = Citation { url: Some("u".to_owned()), ..Citation::default() };
    check(
        vec![
            opened(0, Opening::Redacted),
            delta(0, signature(Dialect::OpenaiResponses, "theirs")),
            closed(0),
            opened(1, Opening::Media { media_type: "image/png".to_owned() }),
            delta(1, Delta::Data("AA==".to_owned())),
            closed(1),
            opened(2, Opening::Redacted),
            delta(2, signature(DIALECT, "ours")),
            closed(2),
            opened(3, Opening::Thinking { id: None }),
            delta(3, Delta::Text("hm".to_owned())),
            delta(3, signature(Dialect::Gemini, "theirs")),
            closed(3),
            opened(4, Opening::Text),
            delta(4, Delta::Citation(page)),
            delta(4, Delta::Citation(Citation::default())),
            Event::Opened { choice: 1, part: 0, opening: Opening::Text },
        ],
        &[
            r#"{"type":"content_block_start","index":0,"content_block":{"type":"redacted_thinking","data":"ours"}}"#,
            r#"{"type":"content_block_stop","index":0}"#,
            r#"{"type":"content_block_start","index":1,"content_block":{"type":"thinking","thinking":"","signature":""}}"#,
            r#"{"type":"content_block_delta","index":1,"delta":{"type":"thinking_delta","thinking":"hm"}}"#,
            r#"{"type":"content_block_stop","index":1}"#,
            r#"{"type":"content_block_start","index":2,"content_block":{"type":"text","text":""}}"#,
            r#"{"type":"content_block_delta","index":2,"delta":{"type":"citations_delta","citation":{"type":"web_search_result_location","cited_text":"","url":"u","title":null,"encrypted_index":""}}}"#,
            r#"{"type":"content_block_stop","index":2}"#,
        ],
    );
}

#[test]
fn interleaved_calls_follow_each_other() {
    let call = |id: &str| Opening::ToolCall { id: id.to_owned(), name: "f".to_owned(), custom: false };
    let piece = |text: &str| Delta::Arguments(text.to_owned());
    let events = vec![
        opened(0, call("a")),
        delta(0, piece("{")),
        closed(0),
        opened(1, call("")),
        delta(1, piece("{}")),
        delta(0, piece("}")),
        Event::Finished { choice: 0, finish: Finish::Stop },
    ];
    assert!(written(events.clone(), "", "").contains(r#""stop_reason":"tool_use""#));
    check(
        events,
        &[
            r#"{"type":"content_block_start","index":0,"content_block":{"type":"tool_use","id":"a","name":"f","input":{}}}"#,
            r#"{"type":"content_block_delta","index":0,"delta":{"type":"input_json_delta","partial_json":"{"}}"#,
            r#"{"type":"content_block_delta","index":0,"delta":{"type":"input_json_delta","partial_json":"}"}}"#,
            r#"{"type":"content_block_stop","index":0}"#,
            r#"{"type":"content_block_start","index":1,"content_block":{"type":"tool_use","id":"toolu_5eed1","name":"f","input":{}}}"#,
            r#"{"type":"content_block_delta","index":1,"delta":{"type":"input_json_delta","partial_json":"{}"}}"#,
            r#"{"type":"content_block_stop","index":1}"#,
        ],
    );
}

#[test]
fn a_refusal_is_text() {
    let events = vec![opened(0, Opening::Refusal), delta(0, Delta::Text("no".to_owned())), closed(0)];
    assert!(written(events.clone(), "", "").contains(r#""stop_reason":"refusal""#));
    check(
        events,
        &[
            r#"{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}"#,
            r#"{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"no"}}"#,
            r#"{"type":"content_block_stop","index":0}"#,
        ],
    );
}
