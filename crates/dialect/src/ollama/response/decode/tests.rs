//! What a buffered reply says, and what is none.

use ir::chat::message::{Content, Part};
use ir::chat::response::Finish;

use super::*;

#[test]
fn a_reply_is_its_last_line() {
    let reply = decode(
        r#"{"model":"m","created_at":"2026-01-01T00:00:00Z","message":{"role":"assistant","content":"hi","thinking":"t",
        "tool_calls":[{"function":{"name":"f","arguments":{"a":1}}},{"id":"x","function":{"name":"g"}}]},
        "done":true,"done_reason":"stop","prompt_eval_count":3,"eval_count":2}
"#,
        "00ff",
    )
    .unwrap();
    let choice = &reply.choices[0];
    assert_eq!((reply.model.as_str(), &choice.finish), ("m", &Finish::ToolCalls));
    assert_eq!(choice.parts[1], Part::text("hi"));
    let calls = choice.parts.iter().filter_map(|part| match &part.content {
        Content::ToolCall(call) => Some((call.id.as_str(), call.name.as_str(), call.arguments.as_str())),
        _ => None,
    });
    assert_eq!(calls.collect::<Vec<_>>(), [("call_00ff0", "f", "{\"a\":1}"), ("x", "g", "{}")]);
    assert_eq!(reply.usage.map(|usage| (usage.input, usage.output)), Some((3, 2)));
}

#[test]
fn what_is_no_reply() {
    let error = |body| decode(body, "0").expect_err(body);
    assert!(matches!(error(r#"{"error":"no"}"#), NotAReply::Error(report) if report.message.as_deref() == Some("no")));
    for body in ["", "[]", "{}", r#"{"message":{"content":"x"},"done":false}"#, r#"{"message":7,"done":true}"#] {
        assert!(matches!(error(body), NotAReply::Malformed(_)), "{body}");
    }
}
