//! Replies and streams of chunks: what is held, cut, rewritten and appended.

use std::slice::from_ref;

use bytes::Bytes;
use dialect::guard::openai_chat::reply::judge;
use dialect::guard::openai_chat::stream::ChatGate;
use ir::guard::Reason;

use crate::rules::{Rules, run_events, run_pieces};

fn chunk(choices: &str) -> String {
    format!("data: {{\"id\":\"c1\",\"created\":1,\"model\":\"m\",\"choices\":[{choices}]}}\n\n")
}

fn choice(index: u32, delta: &str) -> String {
    format!(r#"{{"index":{index},"delta":{delta},"finish_reason":null}}"#)
}

fn said(text: &str) -> String {
    chunk(&choice(0, &format!(r#"{{"content":"{text}"}}"#)))
}

fn finish(reason: &str) -> String {
    chunk(&format!(r#"{{"index":0,"delta":{{}},"finish_reason":"{reason}"}}"#))
}

const DONE: &str = "data: [DONE]\n\n";

/// Runs events one by one: what passes with each of them, and how it ends.
fn check(rules: &Rules, events: &[(String, &[String])], blocked: Option<Reason>) {
    let input: Vec<String> = events.iter().map(|(event, _)| event.clone()).collect();
    let ran = run_events(ChatGate::new(rules.watch()), &input);
    for ((event, expect), step) in events.iter().zip(&ran.steps) {
        assert_eq!(step, &expect.concat(), "at {event}");
    }
    assert_eq!(ran.blocked, blocked);
    // Byte by byte the same comes out.
    let text = input.concat();
    let bytes = run_pieces(ChatGate::new(rules.watch()), text.as_bytes().chunks(1));
    assert_eq!((bytes.out, bytes.blocked), (ran.out, ran.blocked));
}

#[test]
fn events_are_held_whole_while_a_phrase_may_begin() {
    let rules = Rules::banned(&["obscene"]);
    let held = [said("an ob"), ": ping\n\n".to_owned(), said("sce"), said("ry."), finish("stop"), DONE.to_owned()];
    let [a, ping, b, c, end, done] = held.clone();
    check(
        &rules,
        &[
            (a.clone(), &[]),
            (ping.clone(), &[]),
            (b.clone(), &[]),
            (c.clone(), &[a, ping, b, c]),
            (end.clone(), &[end]),
            (done.clone(), &[done]),
        ],
        None,
    );
}

#[test]
fn nothing_of_a_phrase_leaks() {
    let rules = Rules::banned(&["obscene"]);
    let blocked = Some(Reason::Phrase(0));
    check(&rules, &[(said("so "), &[said("so ")]), (said("OB"), &[]), (said("scene!"), &[])], blocked);
    check(&rules, &[(said("\\u006fb"), &[]), (said("\\u0053CENE"), &[])], blocked);
    check(&rules, &[(said("an obscene word"), &[])], blocked);
    let refusal = chunk(&choice(0, r#"{"refusal":"obscene"}"#));
    check(&rules, &[(refusal, &[])], blocked);
    let parts = chunk(&choice(0, r#"{"content":[{"type":"text","text":"obs"},{"text":"cene","type":"text"}]}"#));
    check(&rules, &[(parts, &[])], blocked);
    let finishing = chunk(r#"{"finish_reason":"stop","delta":{"content":"cene"},"index":0}"#);
    check(&rules, &[(said("obs"), &[]), (finishing, &[])], blocked);
}

#[test]
fn padding_does_not_hide_a_phrase() {
    let rules = Rules::banned(&["obscene"]);
    let padded = |text: &str, padding: &str| {
        said(text).replace("}\n\n", &format!(",\"usage\":null,\"obfuscation\":\"{padding}\"}}\n\n"))
    };
    let pass = ["so ", "ma", "ny "].map(|text| padded(text, text));
    let [a, b, c] = &pass;
    check(
        &rules,
        &[
            (a.clone(), from_ref(a)),
            (b.clone(), from_ref(b)),
            (c.clone(), from_ref(c)),
            (padded("ob", "x"), &[]),
            (padded("sce", ""), &[]),
            (padded("n\\u0065", "abc"), &[]),
        ],
        Some(Reason::Phrase(0)),
    );
}

#[test]
fn the_end_of_the_text_lets_go() {
    let rules = Rules::banned(&["obscene"]);
    let (a, end) = (said("an ob"), finish("stop"));
    check(&rules, &[(a.clone(), &[]), (end.clone(), &[a.clone(), end])], None);
    // Without a finish reason the end marker does.
    check(&rules, &[(a.clone(), &[]), (DONE.to_owned(), &[a.clone(), DONE.to_owned()])], None);
    // A stream that breaks off does not.
    check(&rules, &[(a, &[])], None);
}

#[test]
fn choices_are_judged_apart_and_stay_in_order() {
    let rules = Rules::banned(&["obscene"]);
    let two = |text: &str| chunk(&choice(1, &format!(r#"{{"content":"{text}"}}"#)));
    let (a, b, c, d) = (said("ob"), two("scene"), two(" x"), said("x"));
    check(&rules, &[(a.clone(), &[]), (b.clone(), &[]), (c.clone(), &[]), (d.clone(), &[a, b, c, d])], None);
    check(&rules, &[(two("ob"), &[]), (said("x"), &[]), (two("scene"), &[])], Some(Reason::Phrase(0)));
}

#[test]
fn a_tool_call_lets_go_and_the_match_goes_on() {
    let rules = Rules::banned(&["obscene"]);
    let call = chunk(&choice(0, r#"{"tool_calls":[{"index":0,"id":"x","function":{"name":"f","arguments":""}}]}"#));
    let (a, end) = (said("ob"), finish("tool_calls"));
    check(&rules, &[(a.clone(), &[]), (call.clone(), &[a.clone(), call.clone()]), (end.clone(), &[end])], None);
    check(&rules, &[(a.clone(), &[]), (call.clone(), &[a, call]), (said("scene"), &[])], Some(Reason::Phrase(0)));
}

#[test]
fn errors_pass_and_what_cannot_be_read_does_not() {
    let rules = Rules::banned(&["obscene"]);
    let error = "data: {\"error\":{\"message\":\"boom\"}}\n\n".to_owned();
    check(&rules, &[(said("ob"), &[]), (error.clone(), &[error])], None);
    check(&rules, &[("data: {\"choices\":[{obscene\n\n".to_owned(), &[])], None);
}

#[test]
fn a_short_answer_is_held_until_it_is_long_enough() {
    let rules = Rules::least(5);
    let (role, a, b, c) =
        (chunk(&choice(0, r#"{"role":"assistant","content":""}"#)), said("üb"), said("er"), said("!!"));
    check(
        &rules,
        &[(role.clone(), &[role]), (a.clone(), &[]), (b.clone(), &[]), (c.clone(), &[a.clone(), b, c])],
        None,
    );
    check(&rules, &[(a.clone(), &[]), (finish("stop"), &[])], Some(Reason::TooShort(5)));
    check(&rules, &[(a.clone(), &[]), (DONE.to_owned(), &[])], Some(Reason::TooShort(5)));
    let end = finish("tool_calls");
    check(&rules, &[(a.clone(), &[]), (end.clone(), &[a, end])], None);
}

#[test]
fn a_long_answer_is_cut() {
    let rules = Rules::most(4);
    let (a, b) = (said("abc"), said("d\\u0065f"));
    let usage = "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":1}}\n\n".to_owned();
    check(
        &rules,
        &[
            (a.clone(), &[a]),
            (b, &[said("d")]),
            (said("more"), &[]),
            (finish("stop"), &[finish("length")]),
            (usage.clone(), &[usage]),
            (DONE.to_owned(), &[DONE.to_owned()]),
        ],
        None,
    );
    let calls = finish("tool_calls");
    check(&rules, &[(said("abcdef"), &[said("abcd")]), (calls.clone(), &[calls])], None);
    let exactly = [said("abcd"), finish("stop")];
    check(&rules, &[(said("abcd"), &exactly[..1]), (finish("stop"), &exactly[1..])], None);
}

#[test]
fn what_repeats_a_cut_text_is_cut_too() {
    let together =
        r#"{"index":0,"text":"abcdef","delta":{"content":"abcdef"},"logprobs":{"content":[{"token":"abcdef"}]}}"#;
    let cut = r#"{"index":0,"text":"","delta":{"content":"abcd"},"logprobs":null}"#;
    check(&Rules::most(4), &[(chunk(together), &[chunk(cut)])], None);
}

#[test]
fn a_disclaimer_comes_before_the_finish() {
    let rules = Rules::disclaimer("No \"advice\".");
    let ours = "data: {\"id\":\"c1\",\"created\":1,\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\
                \"\\n\\nNo \\\"advice\\\".\"},\"logprobs\":null,\"finish_reason\":null}]}\n\n"
        .to_owned();
    let (a, end) = (said("Buy!"), finish("stop"));
    check(&rules, &[(a.clone(), from_ref(&a)), (end.clone(), &[ours.clone(), end.clone()])], None);
    check(&rules, &[(a.clone(), from_ref(&a)), (DONE.to_owned(), &[ours, DONE.to_owned()])], None);
    let there = said("Buy! NO \\\"advice\\\". Really.");
    check(&rules, &[(there.clone(), &[there]), (end.clone(), &[end])], None);
    let both = |text: &str| chunk(&format!(r#"{{"index":0,"delta":{{"content":"{text}"}},"finish_reason":"stop"}}"#));
    check(&rules, &[(both("Buy!"), &[both("Buy!\\n\\nNo \\\"advice\\\".")])], None);
    let calls = finish("tool_calls");
    check(&rules, &[(a.clone(), &[a]), (calls.clone(), &[calls])], None);
}

#[test]
fn a_cut_answer_bears_its_disclaimer() {
    let rules = Rules { most: Some(3), ..Rules::disclaimer("D") };
    let both = |text: &str, reason: &str| {
        chunk(&format!(r#"{{"index":0,"delta":{{"content":"{text}"}},"finish_reason":"{reason}"}}"#))
    };
    check(&rules, &[(both("abcdef", "stop"), &[both("abc\\n\\nD", "length")])], None);
}

#[test]
fn other_line_ends_stay_and_joined_lines_are_read() {
    let rules = Rules::most(4);
    let crlf = said("abcdef").replace('\n', "\r\n");
    check(&rules, &[(crlf, &[said("abcd").replace('\n', "\r\n")])], None);
    let joined = "data: {\"choices\":[{\"delta\":\ndata: {\"content\":\"abcdef\"}}]}\n\n";
    let cut = "data: {\"choices\":[{\"delta\":\ndata: {\"content\":\"abcd\"}}]}\n\n";
    check(&rules, &[(joined.to_owned(), &[cut.to_owned()])], None);
}

fn check_reply(rules: &Rules, body: &str, expect: Result<&str, Reason>) {
    let found = judge(Bytes::copy_from_slice(body.as_bytes()), &rules.watch());
    let found = found.map(|body| String::from_utf8(body.to_vec()).unwrap()).map_err(|blocked| blocked.reason);
    assert_eq!(found, expect.map(str::to_owned), "{body}");
}

fn reply(message: &str, reason: &str) -> String {
    format!(r#"{{"id":"c1", "choices":[{{"index":0,"message":{message},"finish_reason":"{reason}"}}],"usage":{{}}}} "#)
}

#[test]
fn whole_replies_are_blocked() {
    let rules = Rules::banned(&["obscene"]);
    let fine = reply(r#"{"role":"assistant","content":"an obsc\u0065nery"}"#, "stop");
    check_reply(&rules, &fine.replace("obsc", "ob sc"), Ok(&fine.replace("obsc", "ob sc")));
    check_reply(&rules, &fine, Err(Reason::Phrase(0)));
    for message in [
        r#"{"content":null,"refusal":"OBSCENE"}"#,
        r#"{"content":[{"type":"text","text":"ob"},{"type":"text","text":"scene"}]}"#,
        r#"{"c\u006fntent":"obscene"}"#,
        r#"{"content":"obscene","content":"fine"}"#,
    ] {
        check_reply(&rules, &reply(message, "stop"), Err(Reason::Phrase(0)));
    }
    let thought = reply(r#"{"content":"fine","reasoning_content":"obscene"}"#, "stop");
    check_reply(&rules, &thought, Ok(&thought));
    check_reply(&Rules::least(5), &reply(r#"{"content":"hi"}"#, "stop"), Err(Reason::TooShort(5)));
    check_reply(&Rules::least(5), &reply(r#"{"content":null}"#, "stop"), Err(Reason::TooShort(5)));
    let calls = reply(r#"{"content":null,"tool_calls":[{"id":"x"}]}"#, "stop");
    check_reply(&Rules::least(5), &calls, Ok(&calls));
    for other in ["<html>", r#"{"error":{"message":"obscene"}}"#] {
        check_reply(&rules, other, Ok(other));
    }
}

#[test]
fn whole_replies_are_cut_and_completed() {
    let check = |rules: &Rules, message, reason, expect, new_reason| {
        check_reply(rules, &reply(message, reason), Ok(&reply(expect, new_reason)));
    };
    let most = Rules::most(4);
    check(&most, r#"{"content":"ab\ncdé"}"#, "stop", r#"{"content":"ab\nc"}"#, "length");
    check(&most, r#"{"content":"abcde"}"#, "tool_calls", r#"{"content":"abcd"}"#, "tool_calls");
    let parts = r#"{"content":[{"type":"text","text":"abc"},{"type":"text","text":"def"},{"type":"text","text":"g"}]}"#;
    let cut = r#"{"content":[{"type":"text","text":"abc"},{"type":"text","text":"d"},{"type":"text","text":""}]}"#;
    check(&most, parts, "stop", cut, "length");
    let disclaimer = Rules::disclaimer("D");
    check(&disclaimer, r#"{"content":"a"}"#, "stop", r#"{"content":"a\n\nD"}"#, "stop");
    check(&disclaimer, r#"{"content":"a d"}"#, "stop", r#"{"content":"a d"}"#, "stop");
    check(&disclaimer, r#"{"content":null}"#, "stop", r#"{"content":"D"}"#, "stop");
    check(&disclaimer, r#"{"role":"assistant"}"#, "stop", r#"{"content":"D","role":"assistant"}"#, "stop");
    check(&disclaimer, r#"{"content":[]}"#, "stop", r#"{"content":[{"type":"text","text":"D"}]}"#, "stop");
    let both = Rules { most: Some(2), ..disclaimer };
    check(&both, r#"{"content":"abc"}"#, "stop", r#"{"content":"ab\n\nD"}"#, "length");
}
