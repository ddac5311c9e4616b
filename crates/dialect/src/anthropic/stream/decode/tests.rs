//! How streams of Anthropic Messages are read: small cases, malformed ones among them.

use ir::chat::response::Finish;

use super::*;

fn run(frames: &[&str]) -> (Vec<Event>, Result<Step, NotAReply>) {
    let mut decoder = Decoder::new("s");
    let mut out = Vec::new();
    for data in frames {
        match decoder.frame(Frame { event: None, data }, &mut out) {
            Ok(Step::More) => {}
            done => return (out, done),
        }
    }
    let step = decoder.end(&mut out);
    (out, step)
}

const START: &str = r#"{"type":"message_start","message":{"id":"m","model":"c","usage":{"input_tokens":3,"output_tokens":1,"service_tier":"standard"}}}"#;
const STOP: &str = r#"{"type":"message_stop"}"#;

fn opened(part: u32, opening: Opening) -> Event {
    Event::Opened { choice: 0, part, opening }
}

fn delta(part: u32, delta: Delta) -> Event {
    Event::Delta { choice: 0, part, delta }
}

fn closed(part: u32) -> Event {
    Event::Closed { choice: 0, part }
}

#[test]
fn an_answer_from_start_to_stop() {
    let (events, step) = run(&[
        START,
        r#"{"type":"ping"}"#,
        r#"{"type":"content_block_start","index":0,"content_block":{"type":"thinking","thinking":"","signature":""}}"#,
        r#"{"type":"content_block_delta","index":0,"delta":{"type":"signature_delta","signature":"sig"}}"#,
        r#"{"type":"content_block_stop","index":0}"#,
        r#"{"type":"content_block_start","index":1,"content_block":{"type":"tool_use","id":"","name":"f","input":{}}}"#,
        r#"{"type":"content_block_stop","index":1}"#,
        r#"{"type":"message_delta","delta":{"stop_reason":"tool_use","stop_sequence":null},"usage":{"output_tokens":7}}"#,
        STOP,
    ]);
    assert_eq!(step, Ok(Step::Complete));
    let call = Opening::ToolCall { id: "toolu_s0".to_owned(), name: "f".to_owned(), custom: false };
    let proof = Signature { by: DIALECT, text: "sig".to_owned() };
    let [Event::Started(started), rest @ ..] = events.as_slice() else { panic!() };
    assert_eq!((started.id.as_str(), started.service_tier.as_deref()), ("m", Some("standard")));
    let usage = ir::usage::Usage { input: 3, output: 7, ..Default::default() };
    assert_eq!(
        rest,
        [
            opened(0, Opening::Thinking { id: None }),
            delta(0, Delta::Signature(proof)),
            closed(0),
            opened(1, call),
            delta(1, Delta::Arguments("{}".to_owned())),
            closed(1),
            Event::Usage(usage),
            Event::Finished { choice: 0, finish: Finish::ToolCalls },
        ]
    );
}

#[test]
fn what_vendors_leave_out_is_made_good() {
    let text = |text: &str| delta(0, Delta::Text(text.to_owned()));
    let (events, step) = run(&[
        r#"{"type":"content_block_start","content_block":{"type":"text","text":"a"}}"#,
        r#"{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"b"}}"#,
        r#"{"type":"content_block_delta","index":9,"delta":{"type":"text_delta","text":"lost"}}"#,
        r#"{"type":"content_block_start","index":5,"content_block":{"type":"tool_use","id":"t","name":"f","input":{"q":1}}}"#,
        r#"{"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":null}"#,
        "[DONE]",
    ]);
    assert_eq!(step, Ok(Step::Complete));
    let call = Opening::ToolCall { id: "t".to_owned(), name: "f".to_owned(), custom: false };
    assert_eq!(
        events[1..],
        [
            opened(0, Opening::Text),
            text("a"),
            text("b"),
            closed(0),
            opened(1, call),
            delta(1, Delta::Arguments("{\"q\":1}".to_owned())),
            closed(1),
            Event::Finished { choice: 0, finish: Finish::Stop },
        ]
    );
}

#[test]
fn what_only_anthropic_knows_is_carried() {
    let block = r#"{"type":"server_tool_use","id":"t","name":"web_search","input":{}}"#;
    let piece = r#"{"type":"input_json_delta","partial_json":"{}"}"#;
    let (events, _) = run(&[
        START,
        &format!(r#"{{"type":"content_block_start","index":0,"content_block":{block}}}"#),
        &format!(r#"{{"type":"content_block_delta","index":0,"delta":{piece}}}"#),
        r#"{"type":"something_new","index":0}"#,
        r#"{"type":"message_delta","delta":{"stop_reason":"end_turn","container":{"id":"c"}},"usage":{"speed":"fast"}}"#,
        STOP,
    ]);
    let json = |text: &str| Json::parse(text).unwrap();
    assert_eq!(events[1], opened(0, Opening::Foreign { dialect: DIALECT, block: json(block) }));
    assert_eq!(events[2], delta(0, Delta::Foreign { dialect: DIALECT, delta: json(piece) }));
    let Some(Event::Extras(extras)) = events.last() else { panic!() };
    let names: Vec<&str> = extras.of(DIALECT).map(|(name, _)| name).collect();
    assert_eq!(names, ["container", "usage.speed"]);
}

#[test]
fn what_breaks_off() {
    assert_eq!(run(&[START]).1, Ok(Step::More));
    assert!(matches!(run(&[START, "{"]).1, Err(NotAReply::Malformed(_))));
    let error = r#"{"type":"error","error":{"type":"overloaded_error","message":"m"}}"#;
    assert!(
        matches!(run(&[START, error]).1, Err(NotAReply::Error(report)) if report.code.as_deref() == Some("overloaded_error"))
    );
}

proptest::proptest! {
    #[test]
    fn never_panics_and_folds(
        frames in proptest::collection::vec(
            r#"\{"type":"(message_start|content_block_start|content_block_delta|content_block_stop|message_delta)","index":[0-3],"(content_block|delta|message)":\{"type":"(text|thinking|tool_use|redacted_thinking|x|text_delta|thinking_delta|input_json_delta|signature_delta|citations_delta)","(text|thinking|partial_json|signature|data|name)":("a"|1|null|\{\})\}\}"#,
            0..12,
        ),
    ) {
        let frames: Vec<&str> = frames.iter().map(String::as_str).collect();
        let mut fold = ir::chat::fold::Fold::default();
        run(&frames).0.into_iter().for_each(|event| fold.push(event));
        fold.finish();
    }
}
