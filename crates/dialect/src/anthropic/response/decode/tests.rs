//! How whole replies of Anthropic Messages are read: small cases, malformed ones among them.

use super::*;

#[test]
fn reasons_to_end() {
    let check = |reason: &str, expect: Finish| {
        let body = format!(r#"{{"content":[],"stop_reason":{reason},"stop_sequence":"x"}}"#);
        assert_eq!(decode(&body, "s").unwrap().choices[0].finish, expect, "{reason}");
    };
    check("\"end_turn\"", Finish::Stop);
    check("\"max_tokens\"", Finish::Length);
    check("\"stop_sequence\"", Finish::StopSequence(Some("x".to_owned())));
    check("\"tool_use\"", Finish::ToolCalls);
    check("\"pause_turn\"", Finish::Pause);
    check("\"refusal\"", Finish::Refusal);
    check("\"model_context_window_exceeded\"", Finish::ContextWindow);
    check("\"compaction\"", Finish::Other("compaction".to_owned()));
    check("null", Finish::Other(String::new()));
    check("7", Finish::Other(String::new()));
}

#[test]
fn what_is_no_reply() {
    assert!(matches!(decode("<html>", "s"), Err(NotAReply::Malformed(_))));
    assert!(matches!(decode("{}", "s"), Err(NotAReply::Malformed(_))));
    assert!(matches!(decode(r#"{"content":"x"}"#, "s"), Err(NotAReply::Malformed(_))));
    let error = r#"{"type":"error","error":{"type":"overloaded_error","message":"m"}}"#;
    assert!(matches!(decode(error, "s"), Err(NotAReply::Error(report)) if report.message.as_deref() == Some("m")));
}

#[test]
fn blocks_are_read_liberally() {
    let body = r#"{"id":7,"content":[{"type":"text"},{"type":"tool_use","name":"f"},7],"usage":{"input_tokens":-1}}"#;
    let response = decode(body, "s").unwrap();
    let parts = &response.choices[0].parts;
    assert!(matches!(&parts[0].content, Content::Foreign { block, .. } if block.as_str() == r#"{"type":"text"}"#));
    assert!(matches!(&parts[1].content, Content::ToolCall(call) if call.id == "toolu_s0" && call.arguments == "{}"));
    assert!(matches!(&parts[2].content, Content::Foreign { .. }));
    assert_eq!((response.usage, response.id.as_str()), (None, ""));
}

proptest::proptest! {
    #[test]
    fn never_panics(text in r#"\{"content":\[(\{"type":"(text|thinking|tool_use|x)","(text|input|id)":(1|"a"|null|\{\})\},?){0,3}\],"usage":[\[\]{}0-9"a:,-]{0,12}\}"#) {
        let _ = decode(&text, "s");
    }
}
