//! What lines of a stream say.

use super::*;

fn run(lines: &[&str]) -> Result<(Vec<Event>, Step), NotAReply> {
    let (mut decoder, mut out) = (Decoder::new("00ff"), Vec::new());
    let mut step = Step::More;
    for data in lines {
        step = decoder.frame(Frame { event: None, data }, &mut out)?;
    }
    Ok((out, step))
}

fn open(part: u32, opening: Opening) -> Event {
    Event::Opened { choice: 0, part, opening }
}

fn text(part: u32, text: &str) -> Event {
    Event::Delta { choice: 0, part, delta: Delta::Text(text.to_owned()) }
}

fn closed(part: u32) -> Event {
    Event::Closed { choice: 0, part }
}

fn usage_of(last: &str) -> Option<Usage> {
    let (events, _) = run(&[last]).unwrap();
    events.into_iter().find_map(|event| match event {
        Event::Usage(usage) => Some(usage),
        _ => None,
    })
}

#[test]
fn thoughts_text_and_calls_are_parts() {
    let (events, step) = run(&[
        r#"{"model":"m","message":{"role":"assistant","content":"","thinking":"a"},"done":false}"#,
        r#"{"model":"m","message":{"role":"assistant","content":"","thinking":"b"},"done":false}"#,
        r#"{"model":"m","message":{"role":"assistant","content":"c"},"done":false}"#,
        r#"{"model":"m","message":{"content":"","tool_calls":[{"function":{"name":"f","arguments":{"x":1}}}]}}"#,
        r#"{"model":"m","message":{"content":"d"},"unheard":{}}"#,
        r#"{"model":"m","message":{"content":""},"done":true,"done_reason":"stop","eval_count":2,"load_duration":5}"#,
    ])
    .unwrap();
    let mut extras = Extras::default();
    extras.push(Dialect::Ollama, "load_duration", Json::of(&5));
    let expect = [
        Event::Started(Started { model: "m".to_owned(), ..Started::default() }),
        open(0, Opening::Thinking { id: None }),
        text(0, "a"),
        text(0, "b"),
        closed(0),
        open(1, Opening::Text),
        text(1, "c"),
        closed(1),
        open(2, Opening::ToolCall { id: "call_00ff0".to_owned(), name: "f".to_owned(), custom: false }),
        Event::Delta { choice: 0, part: 2, delta: Delta::Arguments("{\"x\":1}".to_owned()) },
        closed(2),
        open(3, Opening::Text),
        text(3, "d"),
        closed(3),
        Event::Usage(Usage { output: 2, ..Usage::default() }),
        Event::Extras(extras),
        Event::Finished { choice: 0, finish: Finish::ToolCalls },
    ];
    assert_eq!((events, step), (expect.to_vec(), Step::Complete));
}

#[test]
fn why_it_ended() {
    for (line, expect) in [
        (r#"{"done":true}"#, Finish::Stop),
        (r#"{"done":true,"done_reason":"length"}"#, Finish::Length),
        (r#"{"done":true,"done_reason":"load"}"#, Finish::Other("load".to_owned())),
        (r#"{"message":{"tool_calls":[{"function":{"name":"f"}}]},"done":true}"#, Finish::ToolCalls),
    ] {
        let (events, _) = run(&[line]).unwrap();
        assert_eq!(events.last(), Some(&Event::Finished { choice: 0, finish: expect }), "{line}");
    }
}

#[test]
fn an_error_ends_it() {
    let lines = [r#"{"message":{"content":"a"}}"#, r#"{"error":"out of memory"}"#];
    assert!(matches!(run(&lines), Err(NotAReply::Error(report)) if report.message.as_deref() == Some("out of memory")));
    assert!(matches!(run(&["nonsense"]), Err(NotAReply::Malformed(_))));
    assert_eq!(run(&[r#"{"message":{"content":"a"}}"#]).unwrap().1, Step::More);
}

#[test]
fn lies_are_not_believed() {
    assert_eq!(usage_of(r#"{"done":true,"prompt_eval_count":3,"eval_count":2}"#).map(|usage| usage.input), Some(3));
    for counts in [
        r#""prompt_eval_count":null"#,
        r#""prompt_eval_count":-3,"eval_count":2"#,
        r#""prompt_eval_count":3,"eval_count":99999999999"#,
        r#""prompt_eval_count":"3""#,
    ] {
        assert_eq!(usage_of(&format!(r#"{{"done":true,{counts}}}"#)), None, "{counts}");
    }
}

#[test]
fn log_probabilities_and_pictures() {
    let (events, _) = run(&[
        r#"{"message":{"content":"","images":["iVBORw0KGgo="]},"logprobs":[{"token":"H","logprob":-0.250,"bytes":[72]}]}"#,
    ])
    .unwrap();
    let logprobs = r#"{"content":[{"token":"H","logprob":-0.250,"bytes":[72],"top_logprobs":[]}],"refusal":null}"#;
    assert_eq!(events[1], open(0, Opening::Media { media_type: "image/png".to_owned() }));
    assert_eq!(events[4], Event::Logprobs { choice: 0, logprobs: Json::parse(logprobs).unwrap() });
}

proptest::proptest! {
    #[test]
    fn nothing_panics(lines in proptest::collection::vec(
        r#"\{("(message|content|thinking|tool_calls|function|done|error|name|eval_count)":[\[{]{0,2}("x"|true|-1|null)?[\]}]{0,2},?){0,4}\}"#, 0..4,
    )) {
        let _ = run(&lines.iter().map(String::as_str).collect::<Vec<_>>());
    }
}
