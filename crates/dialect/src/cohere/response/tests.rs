//! What replies and streams share.

use super::*;

fn object(text: &str) -> Object<'_> {
    Object::read(text, Path::default()).unwrap()
}

#[test]
fn what_is_billed_counts() {
    let check = |text: &str, expect: Option<(u64, u64, u64, u64)>| {
        let found = usage(object(text)).map(|usage| (usage.input, usage.cached_input, usage.output, usage.reasoning));
        assert_eq!(found, expect, "{text}");
    };
    let tokens = r#""tokens":{"input_tokens":600,"output_tokens":13,"reasoning_tokens":4},"cached_tokens":480"#;
    check(&format!(r#"{{"billed_units":{{"input_tokens":5,"output_tokens":10}},{tokens}}}"#), Some((5, 0, 6, 4)));
    check(&format!(r#"{{"billed_units":{{"input_tokens":5.0,"output_tokens":2}},{tokens}}}"#), Some((5, 0, 0, 2)));
    check(&format!("{{{tokens}}}"), Some((120, 480, 9, 4)));
    check(&format!(r#"{{"billed_units":{{"search_units":1}},{tokens}}}"#), Some((120, 480, 9, 4)));
    check("{}", None);
    check(r#"{"billed_units":{"input_tokens":-5,"output_tokens":10}}"#, None);
    check(r#"{"billed_units":{"input_tokens":5,"output_tokens":99999999999}}"#, None);
    check(r#"{"billed_units":{"input_tokens":1.5,"output_tokens":1}}"#, None);
    check(r#"{"billed_units":[1]}"#, None);
}

#[test]
fn citations_name_their_source() {
    let text = r#"{"start":3,"end":5,"text":"ab","content_index":1,"type":"TEXT_CONTENT","sources":[
        {"type":"tool","id":"f:0","tool_output":{"rows":1}},{"type":"document","id":"d","document":{"url":"u","title":"T"}}]}"#;
    let (found, block) = citation(text).unwrap();
    assert_eq!((found.url.as_deref(), found.title.as_deref()), (Some("u"), Some("T")));
    assert_eq!((found.span, found.cited_text.as_deref(), block), (Some((3, 5)), Some("ab"), Some(1)));
    assert_eq!(found.original.unwrap().0, Dialect::Cohere);
    assert_eq!(citation(r#"{"start":0,"end":1,"text":"a","type":"PLAN"}"#), None);
    assert_eq!(citation("7"), None);
    assert_eq!(citation("{}").unwrap().0.span, None);
}

#[test]
fn log_probabilities_of_pieces() {
    let found = logprobs([
        r#"{"text":"Hello","token_ids":[1],"logprobs":[-0.10]}"#,
        r#"{"text":"!?","logprobs":[-0.5,-0.25]}"#,
        "7",
    ]);
    let expect = r#"{"content":[{"token":"Hello","logprob":-0.10,"bytes":null,"top_logprobs":[]},{"token":"!?","logprob":-0.75,"bytes":null,"top_logprobs":[]}],"refusal":null}"#;
    assert_eq!(found.unwrap().as_str(), expect);
    assert_eq!(logprobs([]), None);
}

#[test]
fn what_failed_is_no_answer() {
    let check = |reason: &str, expect: Option<Finish>| assert_eq!(finish(Some(reason), Report::default()).ok(), expect);
    check("COMPLETE", Some(Finish::Stop));
    check("TOOL_CALL", Some(Finish::ToolCalls));
    check("LATER", Some(Finish::Other("LATER".to_owned())));
    check("ERROR", None);
    check("TIMEOUT", None);
}
