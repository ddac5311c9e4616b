//! Answers and events in the canonical vocabulary.

use dialect::guard::canonical::reply::judge;
use dialect::guard::canonical::stream::{EventGate, EventGuarding};
use ir::chat::event::{Delta, Event, Opening};
use ir::chat::message::{Content, Part, ToolCall};
use ir::chat::response::{Choice, Finish, Response};
use ir::guard::Reason;
use ir::json::Json;

use crate::rules::Rules;

fn open(part: u32) -> Event {
    Event::Opened { choice: 0, part, opening: Opening::Text }
}

fn text(part: u32, text: &str) -> Event {
    Event::Delta { choice: 0, part, delta: Delta::Text(text.to_owned()) }
}

fn close(part: u32) -> Event {
    Event::Closed { choice: 0, part }
}

fn finish(finish: Finish) -> Event {
    Event::Finished { choice: 0, finish }
}

/// Runs events one by one: what passes with each of them, and how it ends.
fn check(rules: &Rules, events: &[(Event, &[Event])], blocked: Option<Reason>) {
    let mut gate = EventGate::new(rules.watch());
    let mut found = None;
    for (event, expect) in events {
        let mut out = Vec::new();
        found = gate.push(event.clone(), &mut out).err().map(|blocked| blocked.reason);
        assert_eq!(out.as_slice(), *expect, "at {event:?}");
    }
    assert_eq!(found, blocked);
}

#[test]
fn events_are_held_while_a_phrase_may_begin() {
    let rules = Rules::banned(&["obscene"]);
    check(
        &rules,
        &[
            (open(0), &[open(0)]),
            (text(0, "an ob"), &[]),
            (text(0, "vious"), &[text(0, "an ob"), text(0, "vious")]),
            (text(0, " ob"), &[]),
            (close(0), &[]),
            (finish(Finish::Stop), &[text(0, " ob"), close(0), finish(Finish::Stop)]),
        ],
        None,
    );
    let call = Opening::ToolCall { id: "c".to_owned(), name: "f".to_owned(), custom: false };
    let call = Event::Opened { choice: 0, part: 1, opening: call };
    check(
        &rules,
        &[
            (open(0), &[open(0)]),
            (text(0, "ob"), &[]),
            (close(0), &[]),
            (call.clone(), &[text(0, "ob"), close(0), call]),
            (open(2), &[open(2)]),
            (text(2, "SCENE"), &[]),
        ],
        Some(Reason::Phrase(0)),
    );
}

#[test]
fn thoughts_are_not_judged() {
    let opened = Event::Opened { choice: 0, part: 0, opening: Opening::Thinking { id: None } };
    let thought = text(0, "obscene");
    let rules = Rules::banned(&["obscene"]);
    check(&rules, &[(opened.clone(), &[opened]), (thought.clone(), &[thought])], None);
}

#[test]
fn only_the_end_of_the_last_part_waits() {
    let thought = Event::Opened { choice: 0, part: 1, opening: Opening::Thinking { id: None } };
    let rules = Rules::disclaimer("D");
    check(&rules, &[(open(0), &[open(0)]), (thought.clone(), &[thought]), (close(0), &[close(0)])], None);
}

#[test]
fn log_probabilities_wait_for_their_text() {
    let rules = Rules::banned(&["obscene"]);
    let logprobs = || Event::Logprobs { choice: 0, logprobs: Json::parse(r#"{"content":[]}"#).unwrap() };
    check(&rules, &[(open(0), &[open(0)]), (logprobs(), &[]), (text(0, "obscene"), &[])], Some(Reason::Phrase(0)));
    check(&rules, &[(open(0), &[open(0)]), (logprobs(), &[]), (text(0, "a"), &[logprobs(), text(0, "a")])], None);
}

#[test]
fn an_answer_is_cut_and_completed() {
    let rules = Rules { most: Some(3), ..Rules::disclaimer("D") };
    check(
        &rules,
        &[
            (open(0), &[open(0)]),
            (text(0, "ab"), &[text(0, "ab")]),
            (text(0, "cd"), &[text(0, "c")]),
            (text(0, "e"), &[]),
            (close(0), &[]),
            (finish(Finish::Stop), &[text(0, "\n\nD"), close(0), finish(Finish::Length)]),
        ],
        None,
    );
    let rules = Rules::disclaimer("D");
    check(&rules, &[(finish(Finish::Stop), &[open(0), text(0, "D"), close(0), finish(Finish::Stop)])], None);
    check(&rules, &[(finish(Finish::ToolCalls), &[finish(Finish::ToolCalls)])], None);
    check(&Rules::least(2), &[(finish(Finish::Stop), &[])], Some(Reason::TooShort(2)));
}

#[test]
fn an_end_without_a_finish_is_judged() {
    let mut gate = EventGate::new(Rules::disclaimer("D").watch());
    let mut out = Vec::new();
    for event in [open(0), text(0, "a"), close(0)] {
        gate.push(event, &mut out).unwrap();
    }
    gate.end(&mut out).unwrap();
    assert_eq!(out, [open(0), text(0, "a"), text(0, "\n\nD"), close(0)]);
    let mut short = EventGate::new(Rules::least(2).watch());
    for event in [open(0), text(0, "a"), close(0)] {
        short.push(event, &mut out).unwrap();
    }
    assert!(short.end(&mut out).is_err());
}

fn response(parts: Vec<Part>, finish: Finish) -> Response {
    let choice = Choice { index: 0, parts, finish, logprobs: None, extras: Default::default() };
    Response { choices: vec![choice], ..Response::default() }
}

fn check_reply(rules: &Rules, reply: Response, expect: Result<Response, Reason>) {
    let mut found = reply;
    let judged = judge(&mut found, &rules.watch()).map_err(|blocked| blocked.reason);
    assert_eq!(judged.map(|()| found), expect);
}

#[test]
fn whole_answers_are_judged() {
    let texts = |texts: &[&str]| texts.iter().map(|text| Part::text(*text)).collect::<Vec<_>>();
    let banned = Rules::banned(&["obscene"]);
    check_reply(&banned, response(texts(&["ob", "scene"]), Finish::Stop), Err(Reason::Phrase(0)));
    check_reply(
        &Rules { most: Some(4), ..Rules::disclaimer("Z") },
        response(texts(&["abc", "def", "g"]), Finish::Stop),
        Ok(response(texts(&["abc", "d\n\nZ"]), Finish::Length)),
    );
    let call = ToolCall { id: "c".to_owned(), name: "f".to_owned(), arguments: "obscene".to_owned(), custom: false };
    let step = response(vec![Part::text("hm"), Part::new(Content::ToolCall(call))], Finish::ToolCalls);
    check_reply(&Rules { least: Some(9), disclaimer: Some("D".to_owned()), ..banned }, step.clone(), Ok(step));
    check_reply(&Rules::least(9), response(texts(&["hm"]), Finish::Stop), Err(Reason::TooShort(9)));
}
