//! Streams, as clients want them: every chunk to the byte.

use ir::chat::event::Started;
use ir::chat::message::Citation;
use serde_json::{Value, json};

use super::*;

const LABEL: Label<'_> = Label { seed: "5eed", model: "m", created: 7 };

fn written(events: Vec<Event>, wants_usage: bool) -> String {
    let mut encoder = Encoder::new(&LABEL, wants_usage, b"\"crossway\":{\"first\":1}".to_vec());
    let mut out = Vec::new();
    events.into_iter().for_each(|event| encoder.event(event, &mut out));
    encoder.finish(b"\"crossway\":{\"last\":1}", &mut out);
    String::from_utf8(out).unwrap()
}

fn opened(opening: Opening) -> Event {
    Event::Opened { choice: 0, part: 0, opening }
}

fn delta(delta: Delta) -> Event {
    Event::Delta { choice: 0, part: 0, delta }
}

/// Checks the deltas after the first.
fn check(events: Vec<Event>, expect: &[Value]) {
    let text = written(events, false);
    let chunks = text.split("\n\n").filter_map(|event| event.strip_prefix("data: "));
    let chunks: Vec<Value> = chunks.filter_map(|data| serde_json::from_str(data).ok()).collect();
    let deltas: Vec<Value> =
        chunks[1..chunks.len() - 1].iter().map(|chunk| chunk["choices"][0]["delta"].clone()).collect();
    assert_eq!(deltas, expect);
}

fn signature(by: Dialect) -> Event {
    delta(Delta::Signature(Signature { by, text: "s".to_owned() }))
}

fn thinking(id: Option<&str>) -> Event {
    opened(Opening::Thinking { id: id.map(str::to_owned) })
}

fn text(text: &str) -> Event {
    delta(Delta::Text(text.to_owned()))
}

fn answer() -> Vec<Event> {
    let mut extras = Extras::default();
    extras.push(OWN, "system_fingerprint", Json::of(&"f"));
    extras.push(OWN, "crossway", Json::of(&"old"));
    vec![
        Event::Started(Started { id: "i".to_owned(), ..Started::default() }),
        opened(Opening::Text),
        text("a\n"),
        Event::Closed { choice: 0, part: 0 },
        Event::Finished { choice: 0, finish: Finish::Pause },
        Event::Usage(Usage { input: 1, output: 2, ..Usage::default() }),
        Event::Extras(extras),
    ]
}

#[test]
fn the_whole_stream() {
    let head = r#"{"id":"i","object":"chat.completion.chunk","created":7,"model":"m","choices":["#;
    let expect = format!(
        r#"data: {head}{{"index":0,"delta":{{"role":"assistant","content":""}},"logprobs":null,"finish_reason":null}}],"crossway":{{"first":1}}}}

data: {head}{{"index":0,"delta":{{"content":"a\n"}},"logprobs":null,"finish_reason":null}}]}}

data: {head}{{"index":0,"delta":{{}},"logprobs":null,"finish_reason":"stop"}}],"system_fingerprint":"f","crossway":{{"last":1}}}}

data: [DONE]

"#
    );
    assert_eq!(written(answer(), false), expect);
}

#[test]
fn usage_comes_when_it_is_asked_for() {
    let text = written(answer(), true);
    let events: Vec<&str> = text.split_terminator("\n\n").collect();
    assert!(events[0].contains(r#""usage":null,"#) && events[0].ends_with(r#""crossway":{"first":1}}"#));
    assert!(events[2].contains(r#""usage":null"#) && !events[2].contains("crossway"));
    let usage: Value = serde_json::from_str(events[3].strip_prefix("data: ").unwrap()).unwrap();
    assert_eq!(
        (&usage["choices"], &usage["crossway"]["last"], &usage["usage"]["total_tokens"]),
        (&json!([]), &json!(1), &json!(3))
    );
    // Nothing was reported: no chunk pretends that nothing was consumed.
    let mut events = answer();
    events.retain(|event| !matches!(event, Event::Usage(_)));
    let text = written(events, true);
    assert!(
        text.contains(r#""finish_reason":"stop"}],"usage":null,"system_fingerprint":"f","crossway":{"last":1}}"#),
        "{text}"
    );
}

#[test]
fn nothing_at_all_is_still_an_answer() {
    let text = written(vec![], false);
    assert_eq!(text.matches("data: ").count(), 3, "{text}");
    assert!(text.contains(r#""id":"chatcmpl-5eed""#) && text.contains(r#""first":1"#) && text.contains(r#""last":1"#));
}

#[test]
fn thoughts_are_said_twice() {
    let detail = |more: Value| {
        let mut detail = json!({"type": "reasoning.text", "index": 0});
        detail.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        json!([detail])
    };
    let format = "anthropic-claude-v1";
    check(
        vec![thinking(None), text("t"), signature(Dialect::Anthropic)],
        &[
            json!({"reasoning_content": "t", "reasoning_details": detail(json!({"text": "t"}))}),
            json!({"reasoning_details": detail(json!({"text": "", "signature": "s", "format": format}))}),
        ],
    );
    check(
        vec![thinking(None), signature(Dialect::Anthropic)],
        &[json!({"reasoning_details": detail(json!({"text": "", "signature": "s", "format": format}))})],
    );
    let hidden = |more: Value| detail(more);
    check(
        vec![opened(Opening::Redacted), signature(Dialect::Anthropic)],
        &[json!({"reasoning_details": hidden(json!({"type": "reasoning.encrypted", "data": "s", "format": format}))})],
    );
    check(
        vec![thinking(Some("rs")), signature(Dialect::OpenaiResponses)],
        &[
            json!({"reasoning_details": hidden(json!({"type": "reasoning.encrypted", "data": "s", "id": "rs", "format": "openai-responses-v1"}))}),
        ],
    );
}

#[test]
fn calls_come_in_pieces() {
    let open = |id: &str, custom| opened(Opening::ToolCall { id: id.to_owned(), name: "f".to_owned(), custom });
    let arguments = |text: &str| delta(Delta::Arguments(text.to_owned()));
    check(
        vec![open("c", false), arguments("{\""), signature(Dialect::Gemini), signature(Dialect::Anthropic)],
        &[
            json!({"tool_calls": [{"index": 0, "id": "c", "type": "function", "function": {"name": "f", "arguments": ""}}]}),
            json!({"tool_calls": [{"index": 0, "function": {"arguments": "{\""}}]}),
            json!({"tool_calls": [{"index": 0, "extra_content": {"google": {"thought_signature": "s"}}}]}),
        ],
    );
    check(
        vec![open("", true), arguments("x")],
        &[
            json!({"tool_calls": [{"index": 0, "id": "call_5eed_0_0", "type": "custom", "custom": {"name": "f", "input": ""}}]}),
            json!({"tool_calls": [{"index": 0, "custom": {"input": "x"}}]}),
        ],
    );
}

#[test]
fn media_citations_and_foreign_blocks_have_their_places() {
    let media = |media_type: &str| opened(Opening::Media { media_type: media_type.to_owned() });
    let data = || delta(Delta::Data("AA".to_owned()));
    check(
        vec![media("image/png"), data(), data(), Event::Closed { choice: 0, part: 0 }],
        &[json!({"images": [{"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}, "index": 0}]})],
    );
    check(
        vec![media("audio/pcm16"), data(), data()],
        &[json!({"audio": {"id": "audio_5eed", "data": "AA"}}), json!({"audio": {"data": "AA"}})],
    );
    let citation = Citation { url: Some("https://a".to_owned()), ..Citation::default() };
    let url_citation = json!({"url": "https://a", "title": "", "start_index": 0, "end_index": 0});
    check(
        vec![opened(Opening::Text), delta(Delta::Citation(citation))],
        &[json!({"annotations": [{"type": "url_citation", "url_citation": url_citation}]})],
    );
    let block = Json::parse(r#"{"type":"server_tool_use"}"#).unwrap();
    check(
        vec![
            opened(Opening::Foreign { dialect: Dialect::Anthropic, block: block.clone() }),
            delta(Delta::Foreign { dialect: Dialect::Anthropic, delta: block }),
        ],
        &[json!({"provider_specific_fields": {"anthropic": [{"type": "server_tool_use"}]}})],
    );
}

#[test]
fn choices_are_introduced_when_they_begin() {
    let text = written(
        vec![
            Event::Started(Started::default()),
            Event::Opened { choice: 2, part: 0, opening: Opening::Refusal },
            Event::Delta { choice: 2, part: 0, delta: Delta::Text("n".to_owned()) },
            Event::Logprobs { choice: 2, logprobs: Json::parse(r#"{"content":[]}"#).unwrap() },
            Event::Finished { choice: 0, finish: Finish::Stop },
            Event::Finished { choice: 2, finish: Finish::Refusal },
        ],
        false,
    );
    assert_eq!(text.matches(r#""role":"assistant""#).count(), 2);
    assert_eq!(text.matches("crossway").count(), 2);
    assert!(text.contains(r#"{"index":2,"delta":{"refusal":"n"}"#));
    assert!(text.contains(r#"{"index":2,"delta":{},"logprobs":{"content":[]},"finish_reason":null}"#));
    assert!(text.contains(r#"{"index":2,"delta":{},"logprobs":null,"finish_reason":"content_filter"}],"crossway""#));
}
