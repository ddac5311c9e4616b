//! What a buffered reply says, and what is none.

use super::*;

#[test]
fn a_whole_reply() {
    let reply = decode(
        r#"{"id":"r","message":{"role":"assistant","tool_plan":"p","content":[{"type":"thinking","thinking":"t"},
        {"type":"text","text":"one"},{"type":"text","text":"two"}],
        "citations":[{"start":0,"end":3,"text":"one","content_index":1},{"start":0,"end":3,"text":"two"},
        {"start":0,"end":1,"text":"t","content_index":0}],
        "tool_calls":[{"type":"function","function":{"name":"f"}}]},
        "finish_reason":"TOOL_CALL","usage":{"billed_units":{"input_tokens":1,"output_tokens":2}}}"#,
        "00ff",
    )
    .unwrap();
    let [plan, thought, one, two, call] = &reply.choices[0].parts[..] else { panic!("{reply:?}") };
    assert!(matches!(&plan.content, Content::Thinking { text, .. } if text == "p"));
    assert!(matches!(&thought.content, Content::Thinking { text, .. } if text == "t"));
    assert!(matches!(&one.content, Content::Text { citations, .. } if citations.len() == 1));
    assert!(matches!(&two.content, Content::Text { citations, .. } if citations.len() == 2));
    assert!(matches!(&call.content, Content::ToolCall(call) if call.id == "call_00ff0" && call.arguments == "{}"));
    assert_eq!((reply.id.as_str(), reply.usage.unwrap().output), ("r", 2));
    assert!(reply.extras.get(Dialect::Cohere, "usage").is_some());
}

#[test]
fn what_is_no_reply() {
    let error = |body| decode(body, "0").expect_err(body);
    for body in
        [r#"{"id":"1","message":"no"}"#, r#"{"error":"no"}"#, r#"{"message":{},"error":"no","finish_reason":"ERROR"}"#]
    {
        assert!(matches!(error(body), NotAReply::Error(report) if report.message.as_deref() == Some("no")), "{body}");
    }
    for body in ["", "[]", "{}", r#"{"message":{"content":[{"text":1},7]}}"#, r#"{"message":{"tool_calls":[{}]}}"#] {
        assert!(matches!(error(body), NotAReply::Malformed(_)), "{body}");
    }
}

proptest::proptest! {
    #[test]
    fn nothing_panics(body in r#"\{("(message|content|text|thinking|tool_calls|function|citations|usage|name)":[\[{]{0,2}("x"|-1|null)?[\]}]{0,2},?){0,6}\}"#) {
        let _ = decode(&body, "0");
    }
}
