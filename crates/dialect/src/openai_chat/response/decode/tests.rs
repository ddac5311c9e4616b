//! Whole replies, as the vendors write them.

use ir::chat::message::{Citation, Content, Part, Source};
use ir::chat::response::Finish;
use ir::dialect::Dialect;
use proptest::prelude::*;

use super::*;

fn read(body: &str) -> Response {
    decode(body, "5eed").unwrap()
}

/// Returns the parts of a message.
fn parts(message: &str) -> Vec<Part> {
    let mut response = read(&format!(r#"{{"choices":[{{"index":0,"message":{message},"finish_reason":"stop"}}]}}"#));
    response.choices.pop().unwrap().parts
}

fn check(message: &str, expect: &[Content]) {
    let found: Vec<Content> = parts(message).into_iter().map(|part| part.content).collect();
    assert_eq!(found, expect, "{message}");
}

fn text(text: &str) -> Content {
    Content::Text { text: text.to_owned(), citations: Vec::new() }
}

fn thinking(text: &str) -> Content {
    Content::Thinking { text: text.to_owned(), id: None }
}

fn call(id: &str, arguments: &str, custom: bool) -> Content {
    let (id, name, arguments) = (id.to_owned(), "f".to_owned(), arguments.to_owned());
    Content::ToolCall(ir::chat::message::ToolCall { id, name, arguments, custom })
}

#[test]
fn messages_find_their_words() {
    check(r#"{"role":"assistant","content":"a","refusal":null}"#, &[text("a")]);
    check(r#"{"content":"","reasoning_content":""}"#, &[]);
    check(r#"{"content":"é 😀 \ud83d\ude00 \ude00"}"#, &[text("é 😀 😀 \u{fffd}")]);
    check(r#"{"content":null,"refusal":"no"}"#, &[Content::Refusal("no".to_owned())]);
    check(r#"{"content":{"a":1}}"#, &[text(r#"{"a":1}"#)]);
    check(
        r#"{"content":[{"type":"thinking","thinking":[{"type":"text","text":"t"}]},{"type":"text","text":"a"}]}"#,
        &[thinking("t"), text("a")],
    );
    check(r#"{"content":"a","reasoning_content":"t","reasoning":"t"}"#, &[thinking("t"), text("a")]);
    check(
        r#"{"content":"a","reasoning":"t","reasoning_details":[{"type":"reasoning.text","text":"t"},{"type":"new"},7]}"#,
        &[thinking("t"), text("a")],
    );
    check(
        r#"{"content":"a","reasoning":"t","reasoning_details":[{"type":"reasoning.encrypted","data":"d"}]}"#,
        &[thinking("t"), Content::Redacted, text("a")],
    );
}

#[test]
fn calls_find_their_words() {
    check(
        r#"{"content":null,"tool_calls":[
            {"id":"c","type":"function","index":0,"function":{"name":"f","arguments":"not json {"}},
            {"id":"d","index":0,"function":{"name":"f","arguments":{"a": 1}}},
            {"type":"function","function":{"name":"f","arguments":null}},
            {"id":"e","type":"custom","custom":{"name":"f","input":"x"}}]}"#,
        &[
            call("c", "not json {", false),
            call("d", r#"{"a": 1}"#, false),
            call("call_5eed_0_2", "", false),
            call("e", "x", true),
        ],
    );
    check(r#"{"function_call":{"name":"f","arguments":"{}"}}"#, &[call("call_5eed_0_0", "{}", false)]);
    let signed = parts(
        r#"{"tool_calls":[{"id":"c","function":{"name":"f"},"extra_content":{"google":{"thought_signature":"s"}}}]}"#,
    );
    assert_eq!(signed[0].signature.as_ref().map(|found| (found.by, found.text.as_str())), Some((Dialect::Gemini, "s")));
}

#[test]
fn media_are_kept_whole() {
    let data =
        |media_type: &str, data: &str| Source::Base64 { media_type: media_type.to_owned(), data: data.to_owned() };
    let found = parts(
        r#"{"content":null,"audio":{"id":"a","expires_at":7,"data":"UklGRg==","transcript":"hi"},
            "images":[{"type":"image_url","image_url":{"url":"data:image/png;base64,AA=="}}]}"#,
    );
    assert_eq!(found[0].content, Content::Audio(data("audio/wav", "UklGRg==")));
    assert_eq!(found[1].content, Content::Image { source: data("image/png", "AA=="), detail: None });
}

#[test]
fn citations_say_where_they_are_from() {
    let citation = |body: &str| {
        let mut response = read(body);
        let Content::Text { citations, .. } = response.choices.remove(0).parts.remove(0).content else {
            panic!("no text")
        };
        citations
    };
    let page =
        |span| Citation { url: Some("https://a".to_owned()), title: Some("t".to_owned()), span, ..Citation::default() };
    let annotated = |start, end| {
        format!(
            r#"{{"choices":[{{"message":{{"content":"x","annotations":[{{"type":"url_citation","url_citation":
            {{"url":"https://a","title":"t","start_index":{start},"end_index":{end}}}}}]}}}}]}}"#
        )
    };
    assert_eq!(citation(&annotated(2, 5)), [page(Some((2, 5)))]);
    assert_eq!(citation(&annotated(0, 0)), [page(None)]);
    let listed = r#"{"choices":[{"message":{"content":"x"}}],"citations":["https://a"],"search_results":[{"url":"https://a","title":"t"}]}"#;
    assert_eq!(citation(listed), [page(None)]);
    let other = citation(r#"{"choices":[{"message":{"content":"x","annotations":[{"type":"file","file":{}}]}}]}"#);
    assert_eq!(other[0].original.as_ref().unwrap().1.as_str(), r#"{"type":"file","file":{}}"#);
}

#[test]
fn what_is_said_of_the_whole_is_kept() {
    let response = read(
        r#"{"id":"i","object":"chat.completion","created":7,"model":"m","service_tier":"default","system_fingerprint":"f",
            "choices":[{"index":1,"message":{"content":"b"},"finish_reason":"length","native_finish_reason":"max"},
                       {"index":0,"message":{"content":"a"},"finish_reason":"eos","logprobs":{"content":[{"token":"a"}]}}],
            "usage":{"prompt_tokens":9,"completion_tokens":4,"prompt_tokens_details":{"cached_tokens":2}}}"#,
    );
    assert_eq!((response.id.as_str(), response.model.as_str(), response.created), ("i", "m", Some(7)));
    assert_eq!(response.usage.map(|usage| (usage.input, usage.cached_input, usage.output)), Some((7, 2, 4)));
    let names: Vec<&str> = response.extras.of(Dialect::OpenaiChat).map(|(name, _)| name).collect();
    assert_eq!(names, ["system_fingerprint"]);
    let choice = &response.choices[0];
    assert_eq!((choice.index, &choice.finish), (1, &Finish::Length));
    assert_eq!(choice.extras.get(Dialect::OpenaiChat, "native_finish_reason").unwrap().as_str(), "\"max\"");
    let choice = &response.choices[1];
    assert_eq!((choice.index, &choice.finish), (0, &Finish::Stop));
    assert!(choice.logprobs.is_some());
}

#[test]
fn knows_what_is_no_reply() {
    for body in ["", "<html>", "[]", "{}", r#"{"choices":{}}"#, r#"{"choices":["#] {
        assert!(matches!(decode(body, ""), Err(NotAReply::Malformed(_))), "{body}");
    }
    let error = decode(r#"{"error":{"message":"m"}}"#, "");
    assert!(matches!(error, Err(NotAReply::Error(report)) if report.message.as_deref() == Some("m")));
    assert!(read(r#"{"choices":[],"error":null}"#).choices.is_empty());
    assert!(read(r#"{"choices":[7,{},{"message":null}],"usage":{"prompt_tokens":-1}}"#).usage.is_none());
}

proptest! {
    #[test]
    fn never_panics(words in proptest::collection::vec(
        prop_oneof![
            Just("{"), Just("}"), Just("["), Just("]"), Just(","), Just(":"), Just("null"), Just("1"), Just("\"a\""),
            Just("\"content\""), Just("\"type\""), Just("\"text\""), Just("\"tool_calls\""), Just("\"reasoning_details\""),
            Just("\"function\""), Just("\"annotations\""), Just("\"audio\""), Just("\"images\""), Just("\"\\ud800\""),
        ],
        0..40,
    )) {
        let text = words.concat();
        let _ = decode(&text, "");
        let _ = decode(&format!(r#"{{"choices":[{{"message":{{{text}}}}}]}}"#), "");
    }
}
