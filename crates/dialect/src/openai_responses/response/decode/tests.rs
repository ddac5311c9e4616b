//! How whole replies of OpenAI Responses are read: small cases, malformed ones among them.

use ir::chat::message::ToolCall;
use ir::usage::Usage;
use proptest::prelude::*;

use super::*;

/// Checks the parts, in a word each, and why the answer ended.
fn check(body: &str, parts: &[&str], finish: Finish) {
    let reply = decode(body, "seed").unwrap();
    let word = |part: &Part| match &part.content {
        Content::Text { text, citations } => format!("text {text} {}", citations.len()),
        Content::Thinking { text, .. } => format!("thinking {text} {}", part.signature.is_some()),
        Content::Refusal(text) => format!("refusal {text}"),
        Content::ToolCall(ToolCall { id, name, arguments, custom }) => format!("call {id} {name} {arguments} {custom}"),
        Content::Foreign { .. } => "foreign".to_owned(),
        other => format!("{other:?}"),
    };
    let found: Vec<_> = reply.choices[0].parts.iter().map(word).collect();
    assert_eq!(found, parts, "{body}");
    assert_eq!(reply.choices[0].finish, finish, "{body}");
}

#[test]
fn items_are_parts_in_their_order() {
    check(
        r#"{"id":"r","status":"completed","output":[
            {"type":"reasoning","id":"rs","summary":[{"type":"summary_text","text":"a"},{"text":"b"}],"encrypted_content":"e"},
            {"type":"reasoning","id":"rs","summary":[]},
            {"type":"web_search_call","id":"ws"},
            {"type":"message","role":"assistant","content":[
                {"type":"output_text","text":"hi","annotations":[{"type":"file_citation","filename":"f","index":1}]},
                {"type":"output_text","text":""},{"type":"refusal","refusal":"no"}]},
            {"type":"custom_tool_call","call_id":"c2","name":"g","input":"x"}]}"#,
        &["thinking a\n\nb true", "foreign", "text hi 1", "refusal no", "call c2 g x true"],
        Finish::ToolCalls,
    );
}

#[test]
fn why_it_ended() {
    let check = |status: &str, finish| check(&format!(r#"{{"output":[]{status}}}"#), &[], finish);
    check("", Finish::Stop);
    check(r#","status":"completed","error":null"#, Finish::Stop);
    check(r#","status":"complete""#, Finish::Stop);
    check(r#","status":"incomplete","incomplete_details":{"reason":"max_output_tokens"}"#, Finish::Length);
    check(r#","status":"incomplete","incomplete_details":{"reason":"content_filter"}"#, Finish::ContentFilter);
    check(r#","status":"incomplete","incomplete_details":null"#, Finish::Other("incomplete".to_owned()));
    check(r#","status":"cancelled""#, Finish::Other("cancelled".to_owned()));
}

#[test]
fn what_vendors_do() {
    // mistral.rs: the thought beside the output. A thought in the open, as open models have it. A call without an id.
    check(r#"{"reasoning":"hm","output":[]}"#, &["thinking hm false"], Finish::Stop);
    check(
        r#"{"reasoning":{"effort":null},"output":[
            {"type":"reasoning","summary":[],"content":[{"type":"reasoning_text","text":"hm"}]},
            {"type":"function_call","name":"f","arguments":"{}"}]}"#,
        &["thinking hm false", "call call_seed1 f {} false"],
        Finish::ToolCalls,
    );
    check(r#"{"output":[{"type":"function_call_output","call_id":"c","output":"x"}]}"#, &["foreign"], Finish::Stop);
}

#[test]
fn the_head_and_the_account() {
    let reply = decode(
        r#"{"id":"r","model":"m","created_at":7,"service_tier":"flex","output":[{"type":"message","content":[
            {"type":"output_text","text":"a","logprobs":[{"token":"a","logprob":-1}]},
            {"type":"output_text","text":"b","logprobs":[{"token":"b","logprob":-2}]}]}],
            "usage":{"input_tokens":3,"output_tokens":2}}"#,
        "seed",
    );
    let reply = reply.unwrap();
    assert_eq!((reply.id.as_str(), reply.model.as_str(), reply.created), ("r", "m", Some(7)));
    assert_eq!(reply.service_tier.as_deref(), Some("flex"));
    assert_eq!(reply.usage, Some(Usage { input: 3, output: 2, ..Usage::default() }));
    let logprobs = r#"{"content":[{"token":"a","logprob":-1},{"token":"b","logprob":-2}],"refusal":null}"#;
    assert_eq!(reply.choices[0].logprobs.as_ref().unwrap().as_str(), logprobs);
}

#[test]
fn what_is_not_a_reply() {
    let report = |body: &str| match decode(body, "") {
        Err(NotAReply::Error(report)) => Some((report.message.unwrap_or_default(), report.code.unwrap_or_default())),
        Err(NotAReply::Malformed(_)) => None,
        Ok(reply) => panic!("{reply:?}"),
    };
    let said = |message: &str, code: &str| Some((message.to_owned(), code.to_owned()));
    assert_eq!(report(r#"{"status":"failed","error":{"code":"c","message":"m"},"output":[]}"#), said("m", "c"));
    assert_eq!(report(r#"{"code":"c","error":"m"}"#), said("m", "c"));
    assert_eq!(report(r#"{"status":"failed","output":[]}"#), said("", ""));
    for body in ["", "[]", "{}", r#"{"output":7}"#, r#"{"output":[7]}"#, r#"{"status":"in_progress","output":[]}"#] {
        assert_eq!(report(body), None, "{body}");
    }
}

proptest! {
    #[test]
    fn nothing_panics(text in r#"(\{|\[|\}|\]|:|,|"type"|"content"|"summary"|"message"|"reasoning"|"output_text"|"error"|null|7){0,24}"#) {
        for body in [text.clone(), format!(r#"{{"output":[{{{text}}}]}}"#), format!(r#"{{"output":[],{text}}}"#)] {
            let _ = decode(&body, "seed");
        }
    }
}
