//! Replies and streams of events: what is held, cut, rewritten and appended.

use std::slice::from_ref;

use bytes::Bytes;
use dialect::guard::anthropic::reply::judge;
use dialect::guard::anthropic::stream::MessagesGate;
use ir::guard::Reason;

use crate::rules::{Rules, run_events, run_pieces};

fn event(name: &str, members: &str) -> String {
    format!("event: {name}\ndata: {{\"type\":\"{name}\"{members}}}\n\n")
}

fn start(index: u32, block: &str) -> String {
    event("content_block_start", &format!(",\"index\":{index},\"content_block\":{block}"))
}

fn text(index: u32) -> String {
    start(index, r#"{"type":"text","text":""}"#)
}

fn delta(index: u32, text: &str) -> String {
    event(
        "content_block_delta",
        &format!(",\"index\":{index},\"delta\":{{\"type\":\"text_delta\",\"text\":\"{text}\"}}"),
    )
}

fn stop(index: u32) -> String {
    event("content_block_stop", &format!(",\"index\":{index}"))
}

fn finish(reason: &str, sequence: &str) -> String {
    let delta = format!(r#"{{"stop_reason":"{reason}","stop_sequence":{sequence}}}"#);
    event("message_delta", &format!(",\"delta\":{delta},\"usage\":{{\"output_tokens\":5}}"))
}

fn end() -> String {
    event("message_stop", "")
}

/// Runs events one by one: what passes with each of them, and how it ends.
fn check(rules: &Rules, events: &[(String, &[String])], blocked: Option<Reason>) {
    let input: Vec<String> = events.iter().map(|(event, _)| event.clone()).collect();
    let ran = run_events(MessagesGate::new(rules.watch()), &input);
    for ((event, expect), step) in events.iter().zip(&ran.steps) {
        assert_eq!(step, &expect.concat(), "at {event}");
    }
    assert_eq!(ran.blocked, blocked);
    // Byte by byte the same comes out.
    let text = input.concat();
    let bytes = run_pieces(MessagesGate::new(rules.watch()), text.as_bytes().chunks(1));
    assert_eq!((bytes.out, bytes.blocked), (ran.out, ran.blocked));
}

#[test]
fn events_are_held_whole_while_a_phrase_may_begin() {
    let rules = Rules::banned(&["obscene"]);
    let ping = event("ping", "");
    let (t, a, b, c) = (text(0), delta(0, "an ob"), delta(0, "sce"), delta(0, "ry."));
    check(
        &rules,
        &[
            (t.clone(), &[t]),
            (a.clone(), &[]),
            (ping.clone(), &[]),
            (b.clone(), &[]),
            (c.clone(), &[a, ping, b, c]),
            (stop(0), &[stop(0)]),
            (finish("end_turn", "null"), &[finish("end_turn", "null")]),
            (end(), &[end()]),
        ],
        None,
    );
}

#[test]
fn padding_does_not_hide_a_phrase() {
    let rules = Rules::banned(&["obscene"]);
    let padded = |text: &str, spaces: usize| delta(0, text).replace("}}", &format!("}}{}}}", " ".repeat(spaces)));
    let pass = ["so ", "ma", "ny "].map(|text| padded(text, text.len()));
    let [a, b, c] = &pass;
    check(
        &rules,
        &[
            (a.clone(), from_ref(a)),
            (b.clone(), from_ref(b)),
            (c.clone(), from_ref(c)),
            (padded("ob", 9), &[]),
            (padded("sce", 0), &[]),
            (padded("n\\u0065", 3), &[]),
        ],
        Some(Reason::Phrase(0)),
    );
}

#[test]
fn a_phrase_in_two_blocks_is_a_phrase() {
    let rules = Rules::banned(&["obscene"]);
    let (a, s, t) = (delta(0, "ob"), stop(0), text(1));
    check(&rules, &[(a, &[]), (s, &[]), (t, &[]), (delta(1, "SCENE"), &[])], Some(Reason::Phrase(0)));
    let thought = start(1, r#"{"type":"thinking","thinking":""}"#);
    check(
        &rules,
        &[
            (delta(0, "ob"), &[]),
            (stop(0), &[]),
            (thought.clone(), &[delta(0, "ob"), stop(0), thought]),
            (delta(2, "scene"), &[]),
        ],
        Some(Reason::Phrase(0)),
    );
}

#[test]
fn thoughts_and_arguments_are_not_judged() {
    let rules = Rules::banned(&["obscene"]);
    let thought = event("content_block_delta", r#","index":0,"delta":{"type":"thinking_delta","thinking":"obscene"}"#);
    let call =
        event("content_block_delta", r#","index":0,"delta":{"type":"input_json_delta","partial_json":"obscene"}"#);
    check(&rules, &[(thought.clone(), &[thought]), (call.clone(), &[call])], None);
}

#[test]
fn a_long_answer_is_cut() {
    let rules = Rules::most(4);
    let citation = event("content_block_delta", r#","index":0,"delta":{"type":"citations_delta","citation":{}}"#);
    check(
        &rules,
        &[
            (text(0), &[text(0)]),
            (citation.clone(), from_ref(&citation)),
            (delta(0, "abc"), &[delta(0, "abc")]),
            (delta(0, "def"), &[delta(0, "d")]),
            (delta(0, "g"), &[]),
            (citation.clone(), &[]),
            (stop(0), &[stop(0)]),
            (text(1), &[]),
            (delta(1, "h"), &[]),
            (stop(1), &[]),
            (start(2, "{\"type\":\"thinking\"}"), &[start(1, "{\"type\":\"thinking\"}")]),
            (stop(2), &[stop(1)]),
            (finish("stop_sequence", "\"x\""), &[finish("max_tokens", "null")]),
            (end(), &[end()]),
        ],
        None,
    );
    let calls = finish("tool_use", "null");
    check(&rules, &[(delta(0, "abcdef"), &[delta(0, "abcd")]), (calls.clone(), &[calls])], None);
}

#[test]
fn a_short_answer_is_held() {
    let rules = Rules::least(3);
    let (a, b) = (delta(0, "a"), delta(0, "bc"));
    check(&rules, &[(a.clone(), &[]), (b.clone(), &[a.clone(), b])], None);
    check(&rules, &[(a.clone(), &[]), (stop(0), &[]), (finish("end_turn", "null"), &[])], Some(Reason::TooShort(3)));
    check(&rules, &[(a.clone(), &[]), (end(), &[])], Some(Reason::TooShort(3)));
    let call = start(1, r#"{"type":"tool_use","id":"t","name":"f","input":{}}"#);
    check(&rules, &[(a.clone(), &[]), (call.clone(), &[a, call])], None);
}

#[test]
fn a_disclaimer_ends_the_last_text() {
    let rules = Rules::disclaimer("D");
    let (ours, fin) = (delta(0, "\\n\\nD"), finish("end_turn", "null"));
    let begin = [(text(0), [text(0)]), (delta(0, "a"), [delta(0, "a")])];
    let begin: Vec<(String, &[String])> = begin.iter().map(|(event, out)| (event.clone(), out.as_slice())).collect();
    let with = |more: &[(String, &[String])]| check(&rules, &[&begin, more].concat(), None);
    with(&[(stop(0), &[]), (fin.clone(), &[ours.clone(), stop(0), fin.clone()]), (end(), &[end()])]);
    with(&[(stop(0), &[]), (text(1), &[stop(0), text(1)]), (delta(1, " d"), &[delta(1, " d")])]);
    with(&[(stop(0), &[]), (end(), &[ours, stop(0), end()])]);
    let step = finish("pause_turn", "null");
    with(&[(stop(0), &[]), (step.clone(), &[stop(0), step])]);
    let thought = start(0, r#"{"type":"thinking","thinking":""}"#);
    check(
        &rules,
        &[(thought.clone(), &[thought]), (stop(0), &[stop(0)]), (fin.clone(), &[text(1), delta(1, "D"), stop(1), fin])],
        None,
    );
}

fn check_reply(rules: &Rules, body: &str, expect: Result<&str, Reason>) {
    let found = judge(Bytes::copy_from_slice(body.as_bytes()), &rules.watch());
    let found = found.map(|body| String::from_utf8(body.to_vec()).unwrap()).map_err(|blocked| blocked.reason);
    assert_eq!(found, expect.map(str::to_owned), "{body}");
}

fn reply(content: &str, reason: &str, sequence: &str) -> String {
    format!(r#"{{"type":"message", "content":[{content}],"stop_reason":"{reason}","stop_sequence":{sequence}}}"#)
}

#[test]
fn whole_replies_are_judged() {
    let part = |text: &str| format!(r#"{{"type":"text","text":"{text}"}}"#);
    let banned = Rules::banned(&["obscene"]);
    let call = r#"{"type":"tool_use","input":{"x":"obscene"}}"#;
    let fine = reply(&format!("{},{call}", part("fine")), "tool_use", "null");
    check_reply(&banned, &fine, Ok(&fine));
    let split = reply(&format!("{},{}", part("ob"), part("sc\\u0065ne")), "end_turn", "null");
    check_reply(&banned, &split, Err(Reason::Phrase(0)));
    check_reply(&Rules::least(5), &fine, Ok(&fine));
    check_reply(&Rules::least(5), &reply(&part("hi"), "end_turn", "null"), Err(Reason::TooShort(5)));
    let long = format!("{},{},{}", part("abc"), part("def"), part("g"));
    let cut = format!("{},{}", part("abc"), part("d"));
    let expect = reply(&cut, "max_tokens", "null");
    check_reply(&Rules::most(4), &reply(&long, "stop_sequence", "\"x\""), Ok(&expect));
    let disclaimer = Rules::disclaimer("D");
    let expect = reply(&part("a\\n\\nD"), "end_turn", "null");
    check_reply(&disclaimer, &reply(&part("a"), "end_turn", "null"), Ok(&expect));
    check_reply(&disclaimer, &reply("", "end_turn", "null"), Ok(&reply(&part("D"), "end_turn", "null")));
    check_reply(&disclaimer, &fine, Ok(&fine));
    check_reply(&disclaimer, r#"{"type":"error","error":{}}"#, Ok(r#"{"type":"error","error":{}}"#));
}
