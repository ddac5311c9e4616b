//! Requests: every text is found, whatever its spelling; the system prompt is appended to the caller's.

use bytes::Bytes;
use dialect::guard::{Said, anthropic, canonical, openai_chat};
use dialect::splice::apply;
use ir::chat::message::{Content, Message, Part, Role, ToolResult};
use ir::chat::request::Request;

type Found = Vec<(String, bool, bool)>;

fn note(found: &mut Found) -> impl FnMut(Said<'_>) -> Result<(), ()> {
    |said| {
        found.push((said.text.to_owned(), said.starts, said.by_user));
        Ok(())
    }
}

fn check(found: &Found, expect: &[(&str, bool, bool)]) {
    let found: Vec<(&str, bool, bool)> =
        found.iter().map(|(text, starts, user)| (text.as_str(), *starts, *user)).collect();
    assert_eq!(found, expect);
}

#[test]
fn texts_of_a_chat_are_found() {
    let body = r#"{"messages":[
        {"role":"system","content":"s"},
        {"content":"\u006fb\nscene","role":"user","name":"n"},
        {"role":"user","content":[{"type":"text","text":"a"},{"type":"image_url","image_url":{"url":"data:text"}},
            {"t\u0065xt":"b"},{"type":"input_audio","input_audio":{"data":"AAAA"}}]},
        {"role":"assistant","content":null,"refusal":"r","tool_calls":[{"function":{"arguments":"x"}}]},
        {"role":"tool","content":"t"},
        {"role":"user","content":"one","cont\u0065nt":"two"}
    ],"model":"m"}"#;
    let mut found = Found::new();
    openai_chat::request::texts(body.as_bytes(), note(&mut found)).unwrap();
    check(
        &found,
        &[
            ("s", true, false),
            ("ob\nscene", true, true),
            ("a", true, true),
            ("b", false, true),
            ("r", true, false),
            ("t", true, false),
            ("one", true, true),
            ("two", false, true),
        ],
    );
    let mut count = 0;
    let stopped = openai_chat::request::texts(body.as_bytes(), |_| {
        count += 1;
        Err("first")
    });
    assert_eq!((stopped, count), (Err("first"), 1));
}

#[test]
fn texts_of_messages_are_found() {
    let body = r#"{"system":[{"type":"text","text":"s","cache_control":{"type":"ephemeral"}}],"messages":[
        {"role":"user","content":"hi"},
        {"role":"assistant","content":[{"type":"thinking","thinking":"no"},{"type":"text","text":"a"}]},
        {"role":"user","content":[
            {"type":"tool_result","tool_use_id":"x","content":"found"},
            {"type":"tool_result","content":[{"type":"text","text":"part"},{"type":"image","source":{"type":"base64","data":"AA"}}]},
            {"type":"document","title":"T","source":{"type":"text","media_type":"text/plain","data":"doc"}},
            {"type":"document","source":{"type":"content","content":[{"type":"text","text":"in"}]}},
            {"type":"text","text":"what?"}]}
    ]}"#;
    let mut found = Found::new();
    anthropic::request::texts(body.as_bytes(), note(&mut found)).unwrap();
    check(
        &found,
        &[
            ("s", true, false),
            ("hi", true, true),
            ("a", true, false),
            ("found", true, false),
            ("part", false, false),
            ("T", false, true),
            ("doc", false, true),
            ("in", false, true),
            ("what?", false, true),
        ],
    );
    let mut found = Found::new();
    anthropic::request::texts(br#"{"messages":[],"system":"s"}"#, note(&mut found)).unwrap();
    check(&found, &[("s", true, false)]);
}

#[test]
fn texts_of_canonical_requests_are_found() {
    let message = |role, parts| Message { role, parts, name: None, extras: Default::default() };
    let result = ToolResult { call_id: "c".to_owned(), name: None, parts: vec![Part::text("found")], is_error: None };
    let request = Request {
        messages: vec![
            message(Role::System, vec![Part::text("s")]),
            message(Role::User, vec![Part::new(Content::ToolResult(result)), Part::text("hi")]),
        ],
        ..Request::default()
    };
    let mut found = Found::new();
    canonical::request::texts(&request, note(&mut found)).unwrap();
    check(&found, &[("s", true, false), ("found", true, false), ("hi", false, true)]);
}

fn check_chat(messages: &str, expect: &str) {
    let body = format!(r#"{{"model":"m", "messages": [{messages}] ,"n":1}}"#);
    let patch = openai_chat::request::inject(body.as_bytes(), "Be \"nice\".").unwrap();
    let found = apply(&Bytes::from(body), vec![patch]).concat();
    let expect = format!(r#"{{"model":"m", "messages": [{expect}] ,"n":1}}"#);
    assert_eq!(String::from_utf8(found).unwrap(), expect);
}

#[test]
fn a_prompt_joins_the_system_message_of_a_chat() {
    let user = r#"{"role":"user","content":"hi"}"#;
    let ours = r#"{"role":"system","content":"Be \"nice\"."}"#;
    check_chat(user, &format!("{ours},{user}"));
    check_chat("", ours);
    let cases = [
        (r#"{"role":"system","content":"Rhyme."}"#, r#"{"role":"system","content":"Rhyme.\n\nBe \"nice\"."}"#),
        (r#"{"content":"\u0041", "role":"developer"}"#, r#"{"content":"\u0041\n\nBe \"nice\".", "role":"developer"}"#),
        (r#"{"role":"system","content":""}"#, ours),
        (r#"{"role":"system","content":null}"#, ours),
        (
            r#"{"role":"system","content":[{"type":"text","text":"a"}]}"#,
            r#"{"role":"system","content":[{"type":"text","text":"a"},{"type":"text","text":"Be \"nice\"."}]}"#,
        ),
        (
            r#"{"role":"system","content":[ ]}"#,
            r#"{"role":"system","content":[ {"type":"text","text":"Be \"nice\"."}]}"#,
        ),
    ];
    for (system, expect) in cases {
        check_chat(&format!("{system},{user}"), &format!("{expect},{user}"));
    }
    let two = r#"{"role":"system","content":"a"},{"role":"system","content":"b"}"#;
    check_chat(&format!("{two},{user}"), &format!("{},{user}", two.replace("\"b\"", r#""b\n\nBe \"nice\".""#)));
    // A later system message is not at the start.
    check_chat(&format!("{user},{two}"), &format!("{ours},{user},{two}"));
}

fn check_messages(body: &str, expect: &str) {
    let patch = anthropic::request::inject(body.as_bytes(), "Be nice.").unwrap();
    let found = apply(&Bytes::copy_from_slice(body.as_bytes()), vec![patch]).concat();
    assert_eq!(String::from_utf8(found).unwrap(), expect);
}

#[test]
fn a_prompt_joins_the_system_prompt_of_messages() {
    check_messages(r#"{ "messages":[]}"#, r#"{"system":"Be nice.", "messages":[]}"#);
    check_messages(r#"{"a":1,"system":"Rhyme.\n"}"#, r#"{"a":1,"system":"Rhyme.\n\n\nBe nice."}"#);
    check_messages(r#"{"system":null,"a":1}"#, r#"{"system":"Be nice.","a":1}"#);
    check_messages(
        r#"{"system":[{"type":"text","text":"a","cache_control":{"type":"ephemeral"}}]}"#,
        r#"{"system":[{"type":"text","text":"a","cache_control":{"type":"ephemeral"}},{"type":"text","text":"Be nice."}]}"#,
    );
    check_messages(r#"{}"#, r#"{"system":"Be nice."}"#);
}

#[test]
fn a_prompt_joins_a_canonical_request() {
    let message = |role, parts| Message { role, parts, name: None, extras: Default::default() };
    let check = |messages: Vec<Message>, expect: Vec<Message>| {
        let mut request = Request { messages, ..Request::default() };
        canonical::request::inject(&mut request, "P");
        assert_eq!(request.messages, expect);
    };
    let user = message(Role::User, vec![Part::text("hi")]);
    let ours = message(Role::System, vec![Part::text("P")]);
    check(vec![user.clone()], vec![ours, user.clone()]);
    let system = |texts: &[&str]| message(Role::System, texts.iter().map(|text| Part::text(*text)).collect());
    check(vec![system(&["a"]), user.clone()], vec![system(&["a\n\nP"]), user.clone()]);
    check(vec![system(&["a", "b"]), user.clone()], vec![system(&["a", "b", "P"]), user]);
}
