//! What the events of a stream say.

use ir::chat::response::Finish;

use super::*;

fn run(events: &[&str]) -> Result<(Vec<Event>, Step), NotAReply> {
    let (mut decoder, mut out) = (Decoder::new("00ff"), Vec::new());
    let mut step = Step::More;
    for data in events {
        step = decoder.frame(Frame { event: None, data }, &mut out)?;
    }
    Ok((out, step))
}

fn open(part: u32, opening: Opening) -> Event {
    Event::Opened { choice: 0, part, opening }
}

fn thinking(part: u32) -> Event {
    open(part, Opening::Thinking { id: None })
}

fn text(part: u32, text: &str) -> Event {
    Event::Delta { choice: 0, part, delta: Delta::Text(text.to_owned()) }
}

fn arguments(part: u32, text: &str) -> Event {
    Event::Delta { choice: 0, part, delta: Delta::Arguments(text.to_owned()) }
}

fn closed(part: u32) -> Event {
    Event::Closed { choice: 0, part }
}

fn started(id: &str) -> Event {
    Event::Started(Started { id: id.to_owned(), ..Started::default() })
}

const END: &str = r#"{"type":"message-end","delta":{"finish_reason":"COMPLETE"}}"#;

fn check(events: &[&str], expect: &[Event]) {
    let (found, step) = run(events).unwrap();
    assert_eq!((&found[..], step), (expect, Step::Complete));
}

#[test]
fn blocks_follow_each_other_whatever_their_index() {
    check(
        &[
            r#"{"id":"r","type":"message-start","delta":{"message":{"role":"assistant","content":[],"tool_plan":""}}}"#,
            r#"{"type":"content-start","index":0,"delta":{"message":{"content":{"type":"thinking","thinking":""}}}}"#,
            r#"{"type":"content-delta","index":0,"delta":{"message":{"content":{"thinking":"a"}}}}"#,
            r#"{"type":"content-end","index":0}"#,
            r#"{"type":"content-start","index":0,"delta":{"message":{"content":{"type":"text","text":"b"}}}}"#,
            r#"{"type":"content-delta","index":0,"delta":{"message":{"content":{"text":"c"}}}}"#,
            r#"{"type":"citation-end","index":0}"#,
            r#"{"type":"unheard-of","delta":{"message":{"content":{"text":"no"}}}}"#,
            r#"{"type":"content-end","index":0}"#,
            END,
        ],
        &[
            started("r"),
            thinking(0),
            text(0, "a"),
            closed(0),
            open(1, Opening::Text),
            text(1, "b"),
            text(1, "c"),
            closed(1),
            Event::Finished { choice: 0, finish: Finish::Stop },
        ],
    );
}

#[test]
fn a_plan_and_its_calls() {
    let call = |id: &str, name: &str| Opening::ToolCall { id: id.to_owned(), name: name.to_owned(), custom: false };
    check(
        &[
            r#"{"type":"tool-plan-delta","delta":{"message":{"tool_plan":"I "}}}"#,
            r#"{"type":"tool-plan-delta","delta":{"message":{"tool_plan":"will"}}}"#,
            r#"{"type":"tool-call-start","index":0,"delta":{"message":{"tool_calls":{"id":"x","function":{"name":"f","arguments":""}}}}}"#,
            r#"{"type":"tool-call-start","index":1,"delta":{"message":{"tool_calls":{"function":{"name":"g","arguments":"{"}}}}}"#,
            r#"{"type":"tool-call-delta","index":1,"delta":{"message":{"tool_calls":{"function":{"arguments":"}"}}}}}"#,
            r#"{"type":"tool-call-end","index":1}"#,
            r#"{"type":"message-end","delta":{"finish_reason":"TOOL_CALL","usage":{}}}"#,
        ],
        &[
            started(""),
            thinking(0),
            text(0, "I "),
            text(0, "will"),
            closed(0),
            open(1, call("x", "f")),
            closed(1),
            open(2, call("call_00ff1", "g")),
            arguments(2, "{"),
            arguments(2, "}"),
            closed(2),
            arguments(1, "{}"),
            Event::Extras({
                let mut extras = Extras::default();
                extras.push(Dialect::Cohere, "usage", Json::parse("{}").unwrap());
                extras
            }),
            Event::Finished { choice: 0, finish: Finish::ToolCalls },
        ],
    );
}

#[test]
fn citations_belong_to_the_last_text() {
    let (events, _) = run(&[
        r#"{"type":"content-delta","index":0,"delta":{"message":{"content":{"text":"Ruby"}}}}"#,
        r#"{"type":"content-end","index":0}"#,
        r#"{"type":"citation-start","index":0,"delta":{"message":{"citations":{"start":0,"end":4,"text":"Ruby"}}}}"#,
    ])
    .unwrap();
    assert!(
        matches!(events.last(), Some(Event::Delta { part: 0, delta: Delta::Citation(citation), .. }) if citation.span == Some((0, 4)))
    );
}

#[test]
fn what_breaks_it_off() {
    let error = |events: &[&str]| run(events).expect_err("an error");
    let failed = r#"{"type":"message-end","delta":{"finish_reason":"ERROR","error":"no","error_type":"T"}}"#;
    for event in [failed, r#"{"message":"no","error_type":"T"}"#] {
        let NotAReply::Error(report) = error(&[event]) else { panic!("{event}") };
        assert_eq!((report.message.as_deref(), report.code.as_deref()), (Some("no"), Some("T")));
    }
    assert!(matches!(error(&["nonsense"]), NotAReply::Malformed(_)));
    assert!(matches!(error(&[r#"{"type":"message-end"}"#]), NotAReply::Malformed(_)));
    assert_eq!(run(&["[DONE]"]).unwrap(), (Vec::new(), Step::More));
}

proptest::proptest! {
    #[test]
    fn nothing_panics(events in proptest::collection::vec((
        "(message-start|content-start|content-delta|tool-plan-delta|tool-call-start|tool-call-delta|tool-call-end|citation-start|message-end)",
        r#"\{("(message|content|text|tool_calls|function|citations|usage|name|arguments)":\{{0,2}("x"|-1|null)?\}{0,2},?){0,5}\}"#,
    ), 0..6)) {
        let events: Vec<_> = events.iter().map(|(kind, delta)| format!(r#"{{"type":"{kind}","index":0,"delta":{delta}}}"#)).collect();
        let _ = run(&events.iter().map(String::as_str).collect::<Vec<_>>());
    }
}
