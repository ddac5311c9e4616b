//! Streams, as the vendors cut them.

use ir::chat::fold::Fold;
use ir::chat::message::{Content, Part};
use ir::chat::response::{Finish, Response};
use ir::dialect::Dialect;
use proptest::prelude::*;

use super::*;
use crate::frames::Frames;

/// Reads data in one piece; the last step, and the answer so far.
fn read(data: &[&str]) -> Result<(Step, Response), NotAReply> {
    let mut decoder = Decoder::new("5eed");
    let (mut out, mut step) = (Vec::new(), Step::More);
    for data in data {
        step = decoder.frame(Frame { event: None, data }, &mut out)?;
    }
    if step == Step::More {
        step = decoder.end(&mut out)?;
    }
    let mut fold = Fold::default();
    out.into_iter().for_each(|event| fold.push(event));
    Ok((step, fold.finish()))
}

/// Wraps deltas of the first choice, and ends it.
fn parts(deltas: &[&str]) -> Vec<Part> {
    let chunk = |delta: &&str| format!(r#"{{"id":"i","choices":[{{"index":0,"delta":{delta}}}]}}"#);
    let chunks: Vec<String> = deltas.iter().map(chunk).collect();
    let mut data: Vec<&str> = chunks.iter().map(String::as_str).collect();
    data.push(r#"{"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}"#);
    let (step, mut response) = read(&data).unwrap();
    assert_eq!(step, Step::Complete);
    response.choices.remove(0).parts
}

fn check(deltas: &[&str], expect: &[Content]) {
    let found: Vec<Content> = parts(deltas).into_iter().map(|part| part.content).collect();
    assert_eq!(found, expect, "{deltas:?}");
}

fn text(text: &str) -> Content {
    Content::Text { text: text.to_owned(), citations: Vec::new() }
}

fn thinking(text: &str) -> Content {
    Content::Thinking { text: text.to_owned(), id: None }
}

fn call(id: &str, arguments: &str) -> Content {
    let (id, name, arguments) = (id.to_owned(), "f".to_owned(), arguments.to_owned());
    Content::ToolCall(ir::chat::message::ToolCall { id, name, arguments, custom: false })
}

#[test]
fn deltas_come_together() {
    check(
        &[r#"{"role":"assistant","content":""}"#, r#"{"content":"a"}"#, r#"{"content":null}"#, r#"{"content":"b"}"#],
        &[text("ab")],
    );
    check(&[r#"{"reasoning":"t"}"#, r#"{"reasoning_content":"u","content":"a"}"#], &[thinking("tu"), text("a")]);
    check(&[r#"{"refusal":"n"}"#, r#"{"refusal":"o"}"#], &[Content::Refusal("no".to_owned())]);
    check(
        &[r#"{"content":[{"type":"thinking","thinking":[{"text":"t"}]}]}"#, r#"{"content":"a"}"#],
        &[thinking("t"), text("a")],
    );
    check(
        &[r#"{"content":"a"}"#, r#"{"reasoning":"t"}"#, r#"{"content":"b"}"#],
        &[text("a"), thinking("t"), text("b")],
    );
}

#[test]
fn calls_are_told_apart() {
    let begin = r#"{"tool_calls":[{"index":0,"id":"c","function":{"name":"f","arguments":""}}]}"#;
    let more = r#"{"tool_calls":[{"index":0,"function":{"arguments":"{}"}}]}"#;
    check(&[begin, more], &[call("c", "{}")]);
    // Interleaved; with jumps.
    check(
        &[begin, r#"{"tool_calls":[{"index":7,"id":"d","function":{"name":"f","arguments":"[1"}}]}"#, more],
        &[call("c", "{}"), call("d", "[1")],
    );
    // The id is said with every piece, or is empty in the later ones.
    check(
        &[
            begin,
            r#"{"tool_calls":[{"index":0,"id":"c","function":{"name":"f","arguments":"{"}},{"index":0,"id":"","function":{"arguments":"}"}}]}"#,
        ],
        &[call("c", "{}")],
    );
    // Every call has the number 0, or none.
    check(
        &[begin, r#"{"tool_calls":[{"index":0,"id":"d","function":{"name":"f","arguments":"1"}}]}"#],
        &[call("c", ""), call("d", "1")],
    );
    let bare = r#"{"tool_calls":[{"id":"c","function":{"name":"f","arguments":"1"}},{"id":"d","function":{"name":"f","arguments":"2"}}]}"#;
    check(&[bare, r#"{"tool_calls":[{"function":{"arguments":"3"}}]}"#], &[call("c", "1"), call("d", "23")]);
    check(
        &[r#"{"function_call":{"name":"f","arguments":""}}"#, r#"{"function_call":{"arguments":"{}"}}"#],
        &[call("call_5eed_0_0", "{}")],
    );
}

#[test]
fn proofs_belong_to_their_thoughts() {
    let found = parts(&[
        r#"{"reasoning":"t","reasoning_details":[{"type":"reasoning.text","text":"t","index":0,"format":"anthropic-claude-v1"}]}"#,
        r#"{"reasoning_details":[{"type":"reasoning.text","signature":"s","index":0,"format":"anthropic-claude-v1"}]}"#,
        r#"{"reasoning_details":[{"type":"reasoning.text","text":"u","index":1}]}"#,
        r#"{"reasoning_details":[{"type":"reasoning.encrypted","data":"d","format":"google-gemini-v1"}],"content":"a"}"#,
    ]);
    let found: Vec<_> = found.iter().map(|part| (&part.content, part.signature.as_ref())).collect();
    let by = |at: usize| found[at].1.map(|signature| (signature.by, signature.text.as_str()));
    assert_eq!((found[0].0, by(0)), (&thinking("t"), Some((Dialect::Anthropic, "s"))));
    assert_eq!((found[1].0, by(1)), (&thinking("u"), None));
    assert_eq!((found[2].0, by(2)), (&Content::Redacted, Some((Dialect::Gemini, "d"))));
    assert_eq!(found[3].0, &text("a"));
}

#[test]
fn choices_come_in_any_order() {
    let (step, response) = read(&[
        r#"{"choices":[],"prompt_filter_results":[]}"#,
        r#"{"id":"i","model":"m","created":7,"choices":[{"index":1,"delta":{"content":"b"}}]}"#,
        r#"{"choices":[{"index":0,"delta":{"content":"a"},"logprobs":{"content":[{"token":"a"}]}}]}"#,
        r#"{"choices":[{"index":1,"delta":{"content":"c"},"finish_reason":"length"}]}"#,
        r#"{"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}"#,
        r#"{"choices":[],"usage":{"prompt_tokens":1,"completion_tokens":2},"x":1}"#,
        "[DONE]",
    ])
    .unwrap();
    assert_eq!((step, response.id.as_str(), response.created), (Step::Complete, "i", Some(7)));
    let said: Vec<_> = response.choices.iter().map(|choice| (choice.index, choice.parts[0].content.clone())).collect();
    assert_eq!(said, [(1, text("bc")), (0, text("a"))]);
    assert_eq!(response.choices[0].finish, Finish::Length);
    assert_eq!(response.usage.map(|usage| (usage.input, usage.output)), Some((1, 2)));
    assert_eq!(response.extras.get(Dialect::OpenaiChat, "x").unwrap().as_str(), "1");
}

#[test]
fn usage_is_found_where_vendors_hide_it() {
    let usage = |last: &str| {
        read(&[r#"{"choices":[{"delta":{"content":"a"},"finish_reason":"stop"}]}"#, last]).unwrap().1.usage
    };
    assert!(usage(r#"{"choices":[],"x_groq":{"usage":{"prompt_tokens":1,"completion_tokens":2}}}"#).is_some());
    assert!(usage(r#"{"choices":[{"delta":{},"usage":{"prompt_tokens":1,"completion_tokens":2}}]}"#).is_some());
    assert!(usage(r#"{"choices":[],"usage":{"prompt_tokens":99999999999999,"completion_tokens":2}}"#).is_none());
}

#[test]
fn an_answer_ends_or_does_not() {
    let content = r#"{"choices":[{"index":0,"delta":{"content":"a"}}]}"#;
    let end = r#"{"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}"#;
    assert_eq!(read(&[content, end]).unwrap().0, Step::Complete);
    assert_eq!(read(&[content, "[DONE]"]).unwrap().0, Step::Complete);
    assert_eq!(read(&[content]).unwrap().0, Step::More);
    assert_eq!(read(&[r#"{"type":"ping"}"#]).unwrap().0, Step::More);
    assert!(matches!(read(&[content, r#"{"error":{"message":"m"},"choices":[]}"#]), Err(NotAReply::Error(_))));
    assert!(matches!(read(&[content, "half a {"]), Err(NotAReply::Malformed(_))));
}

proptest! {
    #[test]
    fn never_panics(words in proptest::collection::vec(
        prop_oneof![
            Just(r#""content":"a""#), Just(r#""reasoning":"t""#), Just(r#""refusal":"n""#), Just(r#""tool_calls":[{}]"#),
            Just(r#""tool_calls":[{"index":3,"id":"c","function":{"name":"f","arguments":"x"}}]"#),
            Just(r#""tool_calls":[{"function":{"arguments":"y"}}]"#), Just(r#""function_call":{"arguments":"z"}"#),
            Just(r#""reasoning_details":[{"type":"reasoning.text","signature":"s","index":2}]"#),
            Just(r#""reasoning_details":[{"type":"reasoning.summary","summary":"s"}]"#),
            Just(r#""audio":{"data":"AA=="}"#), Just(r#""audio":{"id":"a"}"#), Just(r#""annotations":[{"type":"x"}]"#),
            Just(r#""images":[{"image_url":{"url":"data:image/png;base64,AA"}}]"#), Just("null"), Just("\"content\":[7]"),
        ],
        0..12,
    )) {
        let chunk = |delta: &&str| format!("data: {{\"choices\":[{{\"index\":0,\"delta\":{{{delta}}}}}]}}\n\n");
        let body: String = words.iter().map(chunk).collect();
        let mut decoder = Decoder::new("");
        let mut fold = Fold::default();
        let mut out = Vec::new();
        let _ = Frames::new(Dialect::OpenaiChat).push(body.as_bytes(), |frame| decoder.frame(frame, &mut out));
        // The fold asserts that events come in an order that can be.
        out.into_iter().for_each(|event| fold.push(event));
    }
}

#[test]
fn a_call_begins_with_its_name() {
    let id = r#"{"tool_calls":[{"index":0,"id":"a","type":"function","function":{"arguments":""}}]}"#;
    let early = r#"{"tool_calls":[{"index":0,"function":{"arguments":"{\"x\""}}]}"#;
    let name = r#"{"tool_calls":[{"index":0,"function":{"name":"f"}}]}"#;
    let rest = r#"{"tool_calls":[{"index":0,"function":{"arguments":":1}"}}]}"#;
    let whole = r#"{"x":1}"#;
    check(&[id, early, name, rest], &[call("a", whole)]);
    check(&[id, name, early, rest], &[call("a", whole)]);
    let other = r#"{"tool_calls":[{"index":1,"id":"b","function":{"name":"f","arguments":"{}"}}]}"#;
    check(&[id, early, other, name, rest], &[call("b", "{}"), call("a", whole)]);
    // A name that never comes is none.
    let nameless = Content::ToolCall(ir::chat::message::ToolCall {
        id: "a".into(),
        name: String::new(),
        arguments: whole.into(),
        custom: false,
    });
    check(&[id, early, rest], &[nameless]);
}

#[test]
fn a_name_may_come_in_pieces() {
    let named = |name: &str, arguments: &str| {
        let (id, name, arguments) = ("a".to_owned(), name.to_owned(), arguments.to_owned());
        Content::ToolCall(ir::chat::message::ToolCall { id, name, arguments, custom: false })
    };
    let piece = |id: &str, name: &str, arguments: &str| {
        format!(r#"{{"tool_calls":[{{"index":0,{id}"function":{{"name":"{name}","arguments":"{arguments}"}}}}]}}"#)
    };
    let begin = piece(r#""id":"a","#, "get_", "");
    let more = r#"{"tool_calls":[{"index":0,"function":{"arguments":"{}"}}]}"#;
    check(&[&begin, &piece("", "wea", ""), &piece("", "ther", ""), more], &[named("get_weather", "{}")]);
    // With the id again; the last piece with the arguments.
    check(&[&begin, &piece(r#""id":"a","#, "weather", "{}")], &[named("get_weather", "{}")]);
    // The name so far is said with every piece, or the whole of it.
    check(&[&begin, &piece("", "get_weather", ""), more], &[named("get_weather", "{}")]);
    check(&[&begin, &piece("", "get_", ""), &piece("", "get_", "{}")], &[named("get_", "{}")]);
    // Nothing is given to it, and something else begins, or the answer ends.
    check(&[&begin, r#"{"content":"b"}"#], &[named("get_", ""), text("b")]);
    let other = r#"{"tool_calls":[{"index":1,"id":"b","function":{"name":"f","arguments":"1"}}]}"#;
    check(&[&begin, other, more], &[named("get_", "{}"), call("b", "1")]);
    check(&[&begin, &piece("", "weather", "")], &[named("get_weather", "")]);
}

#[test]
fn an_error_is_told_by_the_name_of_its_event() {
    let mut decoder = Decoder::new("5eed");
    let frame = Frame { event: Some("error"), data: r#"{"message":"boom"}"# };
    let told = decoder.frame(frame, &mut Vec::new());
    assert!(matches!(told, Err(NotAReply::Error(report)) if report.message.as_deref() == Some("boom")));
    let nothing = r#"{"error":"","choices":[{"index":0,"delta":{"content":"a"},"finish_reason":"stop"}]}"#;
    assert!(read(&[nothing]).is_ok());
}
