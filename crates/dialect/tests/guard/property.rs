//! Whatever the text, the rules and the cutting: streamed and whole answers are judged alike, nothing of a phrase leaks,
//! and where nothing is found every byte stays.

use bytes::Bytes;
use dialect::guard::canonical::stream::{EventGate, EventGuarding};
use dialect::guard::{anthropic, canonical, openai_chat};
use dialect::openai_chat::response::ChatResponse;
use ir::chat::event::{Delta, Event, Opening};
use ir::chat::fold::Fold;
use ir::chat::message::Content;
use ir::chat::response::{Finish, Response};
use ir::guard::Reason;
use proptest::prelude::*;
use serde_json::Value;

use crate::case::{Case, Piece, case, fold};
use crate::rules::run_pieces;

/// Writes an answer as chunks, the choices in turn.
pub fn chat_stream(case: &Case) -> String {
    let mut events = String::new();
    let mut chunk = |choice: String| events.push_str(&format!("data: {{\"id\":\"c\",\"choices\":[{choice}]}}\n\n"));
    let longest = case.choices.iter().map(|answer| answer.pieces.len()).max().unwrap_or(0);
    for at in 0..longest {
        for (index, answer) in case.choices.iter().enumerate() {
            let delta = match answer.pieces.get(at) {
                Some(Piece::Text(text)) => format!("\"content\":{}", case.json(text)),
                Some(Piece::Thought) => "\"reasoning_content\":\"ab as\"".to_owned(),
                Some(Piece::NewPart) | None => continue,
            };
            chunk(format!("{{\"index\":{index},\"delta\":{{{delta}}},\"finish_reason\":null}}"));
        }
    }
    for (index, answer) in case.choices.iter().enumerate() {
        let reason = if answer.calls {
            chunk(format!("{{\"delta\":{{\"tool_calls\":[{{\"index\":0}}]}},\"index\":{index}}}"));
            "tool_calls"
        } else {
            "stop"
        };
        chunk(format!("{{\"index\":{index},\"delta\":{{}},\"finish_reason\":\"{reason}\"}}"));
    }
    events.push_str("data: [DONE]\n\n");
    events
}

/// Returns the data of every event that came out.
fn data(out: &str) -> Vec<Value> {
    let lines = out.lines().filter_map(|line| line.strip_prefix("data: ")).filter(|data| *data != "[DONE]");
    lines.map(|data| serde_json::from_str(data).unwrap()).collect()
}

pub fn read_chat_stream(case: &Case, out: &str) -> Vec<(String, bool)> {
    let mut found = vec![(String::new(), false); case.choices.len()];
    for choice in data(out).iter().flat_map(|chunk| chunk["choices"].as_array().unwrap()) {
        let (text, cut) = &mut found[choice["index"].as_u64().unwrap() as usize];
        text.push_str(choice["delta"]["content"].as_str().unwrap_or_default());
        *cut |= choice["finish_reason"] == "length";
    }
    found
}

pub fn chat_reply(case: &Case) -> String {
    let choices = case.choices.iter().enumerate().map(|(index, answer)| {
        let (calls, reason) = if answer.calls { (",\"tool_calls\":[{}]", "tool_calls") } else { ("", "stop") };
        let content = case.json(&answer.text());
        format!("{{\"index\":{index},\"message\":{{\"content\":{content}{calls}}},\"finish_reason\":\"{reason}\"}}")
    });
    format!("{{\"choices\":[{}]}}", choices.collect::<Vec<_>>().join(","))
}

/// Splits an answer into parts: texts, and `None` for a thought.
fn parts(pieces: &[Piece]) -> Vec<Option<Vec<&str>>> {
    let mut parts = vec![Some(Vec::new())];
    for piece in pieces {
        match (piece, parts.last_mut()) {
            (Piece::Text(text), Some(Some(part))) => part.push(text.as_str()),
            (Piece::Text(text), _) => parts.push(Some(vec![text.as_str()])),
            (Piece::NewPart, _) => parts.push(Some(Vec::new())),
            (Piece::Thought, _) => parts.push(None),
        }
    }
    parts
}

pub fn messages_stream(case: &Case) -> String {
    let answer = &case.choices[0];
    let mut events = String::new();
    let mut event = |name: &str, members: String| {
        events.push_str(&format!("event: {name}\ndata: {{\"type\":\"{name}\"{members}}}\n\n"));
    };
    event("message_start", ",\"message\":{\"content\":[]}".to_owned());
    let list = parts(&answer.pieces);
    let count = list.len();
    for (index, part) in list.into_iter().enumerate() {
        let kind = if part.is_some() { "text" } else { "thinking" };
        event(
            "content_block_start",
            format!(",\"index\":{index},\"content_block\":{{\"type\":\"{kind}\",\"{kind}\":\"\"}}"),
        );
        for text in part.unwrap_or_default() {
            let delta = format!("{{\"type\":\"text_delta\",\"text\":{}}}", case.json(text));
            event("content_block_delta", format!(",\"index\":{index},\"delta\":{delta}"));
        }
        event("content_block_stop", format!(",\"index\":{index}"));
    }
    if answer.calls {
        event("content_block_start", format!(",\"index\":{count},\"content_block\":{{\"type\":\"tool_use\"}}"));
        event("content_block_stop", format!(",\"index\":{count}"));
    }
    let reason = if answer.calls { "tool_use" } else { "end_turn" };
    event("message_delta", format!(",\"delta\":{{\"stop_reason\":\"{reason}\",\"stop_sequence\":null}}"));
    event("message_stop", String::new());
    events
}

/// Reads what came out, and checks that blocks are numbered from 0 and are begun and ended.
pub fn read_messages_stream(out: &str) -> Vec<(String, bool)> {
    let (mut text, mut cut, mut blocks, mut open) = (String::new(), false, 0, None);
    for event in data(out) {
        let index = event["index"].as_u64();
        match event["type"].as_str().unwrap() {
            "content_block_start" => {
                assert_eq!((index, open), (Some(blocks), None));
                (open, blocks) = (index, blocks + 1);
            }
            "content_block_delta" => {
                assert_eq!(index, open);
                text.push_str(event["delta"]["text"].as_str().unwrap());
            }
            "content_block_stop" => assert_eq!(index, open.take()),
            "message_delta" => cut = event["delta"]["stop_reason"] == "max_tokens",
            _ => {}
        }
    }
    vec![(text, cut)]
}

pub fn messages_reply(case: &Case) -> String {
    let answer = &case.choices[0];
    let block = |part: Option<Vec<&str>>| match part {
        Some(texts) => format!("{{\"type\":\"text\",\"text\":{}}}", case.json(&texts.concat())),
        None => "{\"type\":\"thinking\",\"thinking\":\"ab as\"}".to_owned(),
    };
    let mut blocks: Vec<String> = parts(&answer.pieces).into_iter().map(block).collect();
    blocks.extend(answer.calls.then(|| "{\"type\":\"tool_use\"}".to_owned()));
    let reason = if answer.calls { "tool_use" } else { "end_turn" };
    format!("{{\"content\":[{}],\"stop_reason\":\"{reason}\"}}", blocks.join(", "))
}

fn events(case: &Case) -> Vec<Event> {
    let mut events = Vec::new();
    for (choice, answer) in (0..).zip(&case.choices) {
        let list = parts(&answer.pieces);
        let count = list.len() as u32;
        for (part, texts) in (0..).zip(list) {
            let opening = if texts.is_some() { Opening::Text } else { Opening::Thinking { id: None } };
            events.push(Event::Opened { choice, part, opening });
            for text in texts.unwrap_or_default() {
                events.push(Event::Delta { choice, part, delta: Delta::Text(text.to_owned()) });
            }
            events.push(Event::Closed { choice, part });
        }
        if answer.calls {
            let opening = Opening::ToolCall { id: String::new(), name: String::new(), custom: false };
            events.push(Event::Opened { choice, part: count, opening });
            events.push(Event::Closed { choice, part: count });
        }
        let finish = if answer.calls { Finish::ToolCalls } else { Finish::Stop };
        events.push(Event::Finished { choice, finish });
    }
    events
}

fn folded(events: &[Event]) -> Response {
    let mut fold = Fold::default();
    events.iter().for_each(|event| fold.push(event.clone()));
    fold.finish()
}

fn read_response(case: &Case, response: &Response) -> Vec<(String, bool)> {
    let mut found = vec![(String::new(), false); case.choices.len()];
    for choice in &response.choices {
        let (text, cut) = &mut found[choice.index as usize];
        *cut = choice.finish == Finish::Length;
        for part in &choice.parts {
            if let Content::Text { text: more, .. } = &part.content {
                text.push_str(more);
            }
        }
    }
    found
}

pub fn reply_body(body: &str) -> Bytes {
    Bytes::copy_from_slice(body.as_bytes())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn chat_streams(case in case(3)) {
        let input = chat_stream(&case);
        let gate = openai_chat::stream::ChatGate::new(case.rules.watch());
        let ran = run_pieces(gate, input.as_bytes().chunks(case.read));
        case.check(ran.blocked, &read_chat_stream(&case, &ran.out));
        if case.is_untouched() {
            prop_assert_eq!(ran.out, input);
        }
    }

    #[test]
    fn chat_replies(case in case(3)) {
        let input = chat_reply(&case);
        let found = openai_chat::reply::judge(reply_body(&input), &case.rules.watch());
        prop_assert_eq!(found.is_err(), case.is_blocked());
        let mut reading = openai_chat::reply::Reading::default();
        ChatResponse::decode_and_read(reply_body(&input), "crossway", Some(&mut reading)).unwrap();
        let read = openai_chat::reply::judge_read(reply_body(&input), &reading, &case.rules.watch());
        prop_assert_eq!(&read, &found);
        if let Ok(body) = found {
            let value: Value = serde_json::from_slice(&body).unwrap();
            let read = |choice: &Value| {
                let text = choice["message"]["content"].as_str().unwrap().to_owned();
                (text, choice["finish_reason"] == "length")
            };
            case.check(None, &value["choices"].as_array().unwrap().iter().map(read).collect::<Vec<_>>());
            if case.is_untouched() {
                prop_assert_eq!(body.as_ref(), input.as_bytes());
            }
        }
    }

    #[test]
    fn messages_streams(case in case(1)) {
        let input = messages_stream(&case);
        let gate = anthropic::stream::MessagesGate::new(case.rules.watch());
        let ran = run_pieces(gate, input.as_bytes().chunks(case.read));
        case.check(ran.blocked, &read_messages_stream(&ran.out));
        if case.is_untouched() && case.rules.most.is_none() {
            prop_assert_eq!(ran.out, input);
        }
    }

    #[test]
    fn messages_replies(case in case(1)) {
        let input = messages_reply(&case);
        let found = anthropic::reply::judge(reply_body(&input), &case.rules.watch());
        prop_assert_eq!(found.is_err(), case.is_blocked());
        if let Ok(body) = found {
            let value: Value = serde_json::from_slice(&body).unwrap();
            let texts = value["content"].as_array().unwrap().iter().filter_map(|block| block["text"].as_str());
            case.check(None, &[(texts.collect(), value["stop_reason"] == "max_tokens")]);
            if case.is_untouched() {
                prop_assert_eq!(body.as_ref(), input.as_bytes());
            }
        }
    }

    #[test]
    fn canonical_streams_and_replies(case in case(3)) {
        let input = events(&case);
        let mut gate = EventGate::new(case.rules.watch());
        let mut out = Vec::new();
        let run = input.iter().try_for_each(|event| gate.push(event.clone(), &mut out)).and_then(|()| gate.end(&mut out));
        let blocked: Option<Reason> = run.err().map(|blocked| blocked.reason);
        let streamed = folded(&out);
        case.check(blocked, &read_response(&case, &streamed));
        if case.is_untouched() && case.rules.most.is_none() {
            prop_assert_eq!(&out, &input);
        }
        let mut whole = folded(&input);
        let judged = canonical::reply::judge(&mut whole, &case.rules.watch());
        prop_assert_eq!(judged.is_err(), case.is_blocked());
        if judged.is_ok() {
            case.check(None, &read_response(&case, &whole));
        }
    }

    #[test]
    fn no_more_is_held_than_a_phrase_is_long(case in case(1)) {
        // One event per character, and no more rules than phrases.
        let rules = crate::rules::Rules { phrases: case.rules.phrases.clone(), ..Default::default() };
        let longest = rules.phrases.iter().map(|phrase| fold(phrase).len()).max().unwrap_or(1);
        let text = case.choices[0].text();
        let chunk = |character: char| {
            let content = case.json(&character.to_string());
            format!("data: {{\"choices\":[{{\"index\":0,\"delta\":{{\"content\":{content}}}}}]}}\n\n")
        };
        let events: Vec<String> = text.chars().map(chunk).collect();
        let ran = crate::rules::run_events(openai_chat::stream::ChatGate::new(rules.watch()), &events);
        let (mut came, mut went) = (String::new(), String::new());
        for (character, step) in text.chars().zip(&ran.steps) {
            came.push(character);
            went.push_str(&read_chat_stream(&case, step)[0].0);
            let held = fold(&came[went.len()..]).len();
            // A character may fold to more bytes than the phrase needs of it.
            prop_assert!(ran.blocked.is_some() || held < longest + 2, "{held} bytes held of {came:?}");
        }
    }
}
