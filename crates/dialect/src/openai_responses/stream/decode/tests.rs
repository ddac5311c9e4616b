//! How streams of OpenAI Responses are read: small cases, malformed ones among them.

use ir::chat::fold::Fold;
use ir::chat::response::{Finish, Response};
use proptest::prelude::*;

use super::*;

fn run(events: &[&str]) -> Result<Response, NotAReply> {
    let mut decoder = Decoder::new("seed");
    let (mut out, mut fold) = (Vec::new(), Fold::default());
    let mut step = Step::More;
    for data in events {
        step = decoder.frame(Frame { event: None, data }, &mut out)?;
    }
    assert_eq!(step, Step::Complete, "{out:?}");
    out.into_iter().for_each(|event| fold.push(event));
    Ok(fold.finish())
}

/// Checks the parts, in a word each.
fn check(events: &[&str], parts: &[&str]) {
    let reply = run(&[events, &[r#"{"type":"response.completed","response":{}}"#]].concat()).unwrap();
    let word = |part: &Part| match &part.content {
        Content::Text { text, citations } => format!("text {text} {}", citations.len()),
        Content::Thinking { text, id } => format!("thinking {text} {id:?} {}", part.signature.is_some()),
        Content::Refusal(text) => format!("refusal {text}"),
        Content::ToolCall(call) => format!("call {} {} {}", call.id, call.name, call.arguments),
        Content::Foreign { .. } => "foreign".to_owned(),
        other => format!("{other:?}"),
    };
    let found: Vec<_> = reply.choices[0].parts.iter().map(word).collect();
    assert_eq!(found, parts, "{events:?}");
}

#[test]
fn text_grows() {
    check(
        &[
            r#"{"type":"response.created","response":{"id":"r","model":"m"}}"#,
            r#"{"type":"response.output_item.added","output_index":0,"item":{"type":"message","id":"a","content":[]}}"#,
            r#"{"type":"response.output_text.delta","output_index":0,"content_index":0,"delta":"Hel"}"#,
            r#"{"type":"response.output_text.delta","output_index":0,"content_index":0,"delta":"lo"}"#,
            r#"{"type":"response.output_text.annotation.added","output_index":0,"content_index":0,"annotation":{"type":"url_citation","url":"u"}}"#,
            r#"{"type":"response.refusal.delta","output_index":0,"content_index":1,"delta":"no"}"#,
            r#"{"type":"response.output_item.done","output_index":0,"item":{"type":"message","content":[
                {"type":"output_text","text":"Hello","annotations":[{"url":"u"},{"url":"v"}]},{"type":"refusal","refusal":"no"}]}}"#,
        ],
        &["text Hello 2", "refusal no"],
    );
}

#[test]
fn what_was_not_streamed_is_taken_from_the_end() {
    let item = r#"{"type":"response.output_item.done","output_index":0,"item":{"type":"message","content":[{"type":"output_text","text":"x"}]}}"#;
    check(&[item, item], &["text x 0"]);
    let call = r#"{"type":"response.output_item.done","output_index":0,"item":{"type":"function_call","name":"f","arguments":"{}"}}"#;
    let lost = r#"{"type":"response.function_call_arguments.delta","output_index":0,"delta":"lost"}"#;
    check(&[lost, call], &["call call_seed0 f {}"]);
    let last = r#"{"type":"response.completed","response":{"output":[{"type":"message","content":[{"type":"output_text","text":"x"}]}]}}"#;
    assert_eq!(run(&[last]).unwrap().choices[0].parts.len(), 1);
}

#[test]
fn calls_may_be_mixed() {
    check(
        &[
            r#"{"type":"response.output_item.added","output_index":0,"item":{"type":"function_call","id":"a","call_id":"c1","name":"f","arguments":""}}"#,
            r#"{"type":"response.output_item.added","output_index":1,"item":{"type":"custom_tool_call","id":"b","call_id":"c2","name":"g","input":""}}"#,
            r#"{"type":"response.function_call_arguments.delta","item_id":"a","delta":"{"}"#,
            r#"{"type":"response.custom_tool_call_input.delta","item_id":"b","delta":"x"}"#,
            r#"{"type":"response.function_call_arguments.delta","item_id":"other","output_index":0,"delta":"}"}"#,
            r#"{"type":"response.output_item.done","output_index":1,"item":{"type":"custom_tool_call","call_id":"c2","name":"g","input":"x"}}"#,
        ],
        &["call c1 f {}", "call c2 g x"],
    );
}

#[test]
fn reasoning_in_every_form() {
    let summary = |index: u32, text: &str| {
        format!(
            r#"{{"type":"response.reasoning_summary_text.delta","item_id":"rs","output_index":0,"summary_index":{index},"delta":"{text}"}}"#
        )
    };
    let thought =
        r#"{"type":"response.reasoning_text.delta","item_id":"rs","output_index":0,"content_index":0,"delta":"t"}"#;
    let done = r#"{"type":"response.output_item.done","output_index":0,"item":{"type":"reasoning","id":"rs","summary":[],"encrypted_content":"e"}}"#;
    check(
        &[&summary(0, "a"), &summary(0, "b"), &summary(1, "c"), thought, done],
        &["thinking ab\n\nc Some(\"rs\") true"],
    );
    check(&[thought, &summary(0, "a")], &["thinking t Some(\"rs\") false"]);
    check(&[done], &["thinking  Some(\"rs\") true"]);
    let nothing =
        r#"{"type":"response.output_item.done","output_index":0,"item":{"type":"reasoning","id":"rs","summary":[]}}"#;
    check(&[nothing], &[]);
}

#[test]
fn what_says_nothing_is_passed_over() {
    check(
        &[
            "[DONE]",
            "{}",
            r#"{"type":"response.queued"}"#,
            r#"{"type":"keepalive"}"#,
            r#"{"type":"response.output_text.delta","delta":null}"#,
            r#"{"type":"response.output_item.added"}"#,
            r#"{"type":"response.web_search_call.searching","output_index":0}"#,
        ],
        &[],
    );
}

#[test]
fn how_it_ends() {
    let reply = run(&[
        r#"{"type":"response.created","response":{"id":"r","model":"m","created_at":7,"service_tier":"auto"}}"#,
        r#"{"type":"response.incomplete","response":{"status":"incomplete","incomplete_details":{"reason":"max_output_tokens"},"usage":{"input_tokens":1,"output_tokens":2}}}"#,
    ]);
    let reply = reply.unwrap();
    assert_eq!((reply.id.as_str(), reply.created, reply.service_tier), ("r", Some(7), None));
    assert_eq!(reply.usage.unwrap().output, 2);
    assert_eq!(reply.choices[0].finish, Finish::Length);
    for (event, code) in [
        (r#"{"type":"error","code":"c","message":"m"}"#, Some("c")),
        (r#"{"type":"error","error":{"code":"c","message":"m"}}"#, Some("c")),
        (r#"{"type":"response.failed","response":{"status":"failed","error":{"code":"c","message":"m"}}}"#, Some("c")),
        (r#"{"type":"response.failed"}"#, None),
    ] {
        let Err(NotAReply::Error(report)) = run(&[event]) else { panic!("{event}") };
        assert_eq!(report.code.as_deref(), code, "{event}");
    }
    assert!(matches!(run(&["<html>"]), Err(NotAReply::Malformed(_))));
}

proptest! {
    #[test]
    fn nothing_panics(kinds in proptest::collection::vec((0..12_usize, 0..3_u64, "[a-z{}\\[\\]\",:]{0,12}"), 0..12)) {
        const KINDS: [&str; 12] = [
            "output_item.added", "output_item.done", "output_text.delta", "refusal.delta", "reasoning_text.delta",
            "reasoning_summary_text.delta", "function_call_arguments.delta", "custom_tool_call_input.delta",
            "output_text.annotation.added", "completed", "created", "failed",
        ];
        let mut decoder = Decoder::new("seed");
        let (mut out, mut fold) = (Vec::new(), Fold::default());
        for (kind, place, noise) in kinds {
            let noise = Json::of(&noise);
            let data = format!(
                r#"{{"type":"response.{}","output_index":{place},"delta":{noise:?},"annotation":{noise:?},"item":{{"type":"reasoning","content":{noise:?}}},"response":{{"output":[{{"type":"function_call","name":{noise:?}}}]}}}}"#,
                KINDS[kind]
            );
            let _ = decoder.frame(Frame { event: None, data: &data }, &mut out);
        }
        out.into_iter().for_each(|event| fold.push(event));
    }
}
