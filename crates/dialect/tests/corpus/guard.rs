//! Recorded traffic through guards: what is not banned stays as it came, byte by byte and event by event; what is banned
//! does not leak.

use std::collections::HashSet;
use std::sync::Arc;

use bytes::Bytes;
use dialect::guard::anthropic::stream::MessagesGate;
use dialect::guard::canonical::stream::{EventGate, EventGuarding};
use dialect::guard::openai_chat::stream::ChatGate;
use dialect::guard::stream::{Gate, StreamGuard, StreamGuarding};
use dialect::guard::{ReplyGuard, Said, anthropic, openai_chat};
use dialect::passed::Progress;
use dialect::translate::{Decode, NotAReply};
use dialect::{cohere, gemini, ollama, openai_responses, splice};
use ir::chat::event::Event;
use ir::chat::message::Content;
use ir::dialect::Dialect;
use policy::guard::banned::Banned;
use policy::guard::disclaimer::Disclaimers;
use policy::guard::length::{Lengths, Limit};
use policy::guard::reply::{ReplyRules, ReplyWatch};
use serde_json::{Value, json};

use crate::exchanges::{self, Exchange};
use crate::{exceptions, laws};

const FILES: [&str; 13] = [
    "anthropic",
    "azure",
    "cohere",
    "gemini",
    "mistral",
    "ollama",
    "openai",
    "openai_compatible",
    "openrouter",
    "parallel",
    "perplexity",
    "response_only",
    "together",
];
const CHAT: [&str; 3] = ["chat.completions", "v1.chat.completions", "openai_compat.chat.completions"];
const MESSAGES: [&str; 1] = ["messages"];
/// Streams whose phrase stands around tool calls.
const AROUND_CALLS: &str = include_str!("exceptions/guard_message_streams.txt");

const SEED: &str = "00112233445566778899aabbccddeeff";

fn recorded(endpoints: &[&str]) -> Vec<Exchange> {
    let mut seen = HashSet::new();
    let mut found: Vec<Exchange> = FILES.iter().flat_map(|file| exchanges::of(file, endpoints)).collect();
    found.retain(|exchange| exchange.succeeded() && seen.insert(exchange.id.clone()));
    found
}

fn watch(phrase: Option<&str>, most: Option<u64>) -> ReplyWatch {
    let guard: Arc<str> = Arc::from("g");
    let banned = phrase.map(|phrase| (Arc::clone(&guard), 0, phrase.to_owned()));
    ReplyWatch::new(&Arc::new(ReplyRules {
        banned: Banned::new(Vec::from_iter(banned)),
        lengths: Lengths { least: None, most: most.map(|characters| Limit { characters, guard }) },
        disclaimers: Disclaimers::default(),
    }))
}

/// Nobody says this, but every letter of it is said all the time.
const UNSAID: &str = "the a o e i of\u{e000}";

fn run(gate: impl Gate + Send, body: &str, size: usize) -> (String, Progress) {
    let mut guard = StreamGuard::new(gate);
    let (mut out, mut progress) = (Vec::new(), Progress::More);
    for piece in body.as_bytes().chunks(size) {
        progress = guard.push(Bytes::copy_from_slice(piece), &mut out);
        if progress != Progress::More {
            break;
        }
    }
    if progress == Progress::More {
        progress = guard.end(&mut out);
    }
    (String::from_utf8(out.concat()).unwrap(), progress)
}

/// Returns the text that a stream says, of its first choice.
fn said(stream: &str) -> String {
    let mut text = String::new();
    for data in stream.lines().filter_map(|line| line.strip_prefix("data:")) {
        let Ok(event) = serde_json::from_str::<Value>(data) else { continue };
        let choices = event["choices"].as_array().into_iter().flatten();
        for choice in choices.filter(|choice| choice["index"].as_u64().unwrap_or(0) == 0) {
            match &choice["delta"]["content"] {
                Value::Array(parts) => parts.iter().for_each(|part| text.push_str(part["text"].as_str().unwrap_or(""))),
                content => text.push_str(content.as_str().unwrap_or_default()),
            }
        }
        if event["type"] == "content_block_delta" && event["delta"]["type"] == "text_delta" {
            text.push_str(event["delta"]["text"].as_str().unwrap_or_default());
        }
    }
    text
}

/// Returns a phrase from the middle of a text: long enough to lie in several deltas.
fn phrase_of(text: &str) -> Option<String> {
    let count = text.chars().count();
    let phrase: String = text.chars().skip(count / 3).take(25).collect();
    (phrase.trim().len() > 4).then_some(phrase)
}

fn check_stream<G: Gate + Send>(body: &str, gate: impl Fn(ReplyWatch) -> G) -> Result<(), String> {
    // A byte order mark means nothing and is left out.
    let body = body.trim_start_matches('\u{feff}');
    // So does an empty line that is missing at the end, and is put there.
    let text = said(body);
    let phrase = phrase_of(&text);
    let most = (text.chars().count() / 2) as u64;
    for size in [usize::MAX, 64, 7, 1] {
        let (out, progress) = run(gate(watch(Some(UNSAID), None)), body, size);
        // A stream that does not end its text leaves what may begin a phrase behind.
        let whole = out.trim_end() == body.trim_end() || (!body.contains("[DONE]") && body.starts_with(&out));
        if !whole || progress != Progress::More {
            return Err(format!("{progress:?}, in pieces of {size}: {}", differ(body, &out)));
        }
        if let Some(phrase) = &phrase {
            let (out, progress) = run(gate(watch(Some(phrase), None)), body, size);
            let begins = text.to_lowercase().find(&phrase.to_lowercase()).unwrap_or(0);
            let leaked = said(&out);
            if !matches!(progress, Progress::Blocked(_)) || leaked.len() > begins || !text.starts_with(&leaked) {
                return Err(format!("{progress:?}, in pieces of {size}: {phrase:?} is not held: {leaked:?}"));
            }
        }
        if most > 0 {
            let (out, progress) = run(gate(watch(None, Some(most))), body, size);
            let expect: String = text.chars().take(most as usize).collect();
            if said(&out) != expect || progress != Progress::More {
                return Err(format!("{progress:?}, in pieces of {size}: cut to {:?}", said(&out)));
            }
        }
    }
    Ok(())
}

fn differ(expect: &str, found: &str) -> String {
    let at = expect.bytes().zip(found.bytes()).take_while(|(a, b)| a == b).count();
    let around = |text: &str| String::from_utf8_lossy(text.as_bytes().get(at..).unwrap_or_default()).into_owned();
    let short = |text: String| text.chars().take(200).collect::<String>();
    format!("at byte {at}: {:?} became {:?}", short(around(expect)), short(around(found)))
}

#[test]
fn chat_streams() {
    let mut exchanges = recorded(&CHAT);
    exchanges.retain(Exchange::is_stream);
    let cases = exchanges.iter().map(|exchange| (exchange.id.as_str(), exchange.response.body.as_str()));
    exceptions::check("guarded openai_chat streams", "", cases, |body| check_stream(body, ChatGate::new));
}

#[test]
fn message_streams() {
    let mut exchanges = recorded(&MESSAGES);
    exchanges.retain(Exchange::is_stream);
    let cases = exchanges.iter().map(|exchange| (exchange.id.as_str(), exchange.response.body.as_str()));
    exceptions::check("guarded anthropic streams", AROUND_CALLS, cases, |body| check_stream(body, MessagesGate::new));
}

/// Checks a whole reply: unchanged, blocked and cut.
fn check_reply(
    body: &str,
    judge: impl Fn(&ReplyWatch, Bytes) -> Result<Bytes, ir::guard::Blocked>,
    said: impl Fn(&Value) -> String,
) -> Result<(), String> {
    let bytes = Bytes::copy_from_slice(body.as_bytes());
    let value: Value = serde_json::from_str(body).map_err(|error| error.to_string())?;
    let text = said(&value);
    if judge(&watch(Some(UNSAID), None), bytes.clone()).as_ref() != Ok(&bytes) {
        return Err("it is changed".to_owned());
    }
    if let Some(phrase) = phrase_of(&text).filter(|phrase| judge(&watch(Some(phrase), None), bytes.clone()).is_ok()) {
        return Err(format!("{phrase:?} passes"));
    }
    let most = text.chars().count() / 2;
    if most > 0 {
        let cut = judge(&watch(None, Some(most as u64)), bytes).map_err(|blocked| format!("{blocked:?}"))?;
        let cut: Value = serde_json::from_slice(&cut).map_err(|error| error.to_string())?;
        let expect: String = text.chars().take(most).collect();
        if said(&cut) != expect {
            return Err(format!("cut to {:?}", said(&cut)));
        }
    }
    Ok(())
}

#[test]
fn whole_replies() {
    let parts = |content: &Value| match content {
        Value::Array(parts) => parts.iter().filter_map(|part| part["text"].as_str()).collect(),
        other => other.as_str().unwrap_or_default().to_owned(),
    };
    for (topic, endpoints) in
        [("guarded openai_chat replies", CHAT.as_slice()), ("guarded anthropic replies", &MESSAGES)]
    {
        let mut exchanges = recorded(endpoints);
        exchanges.retain(|exchange| !exchange.is_stream() && exchange.response.body.starts_with('{'));
        let cases = exchanges.iter().map(|exchange| (exchange.id.as_str(), exchange.response.body.as_str()));
        exceptions::check(topic, "", cases, |body| {
            if endpoints == CHAT {
                let said = |reply: &Value| parts(&reply["choices"][0]["message"]["content"]);
                check_reply(body, |watch, body| watch.chat(body), said)
            } else {
                check_reply(body, |watch, body| watch.messages(body), |reply: &Value| parts(&reply["content"]))
            }
        });
    }
}

/// Returns the text of the first choice that events amount to.
fn text_of(events: &[Event]) -> String {
    let response = laws::folded(events.to_vec());
    let parts = response.choices.first().map(|choice| choice.parts.clone()).unwrap_or_default();
    let texts = parts.iter().filter_map(|part| match &part.content {
        Content::Text { text, .. } | Content::Refusal(text) => Some(text.as_str()),
        _ => None,
    });
    texts.collect()
}

fn check_events(events: &[Event]) -> Result<(), String> {
    let run = |watch: ReplyWatch| {
        let mut gate = EventGate::new(watch);
        let mut out = Vec::new();
        let judged = events.iter().try_for_each(|event| gate.push(event.clone(), &mut out));
        (judged.and_then(|()| gate.end(&mut out)), out)
    };
    let (judged, out) = run(watch(Some(UNSAID), None));
    if judged.is_err() || out != events {
        return Err(format!("events are changed: {judged:?}"));
    }
    let text = text_of(events);
    if let Some(phrase) = phrase_of(&text) {
        let (judged, out) = run(watch(Some(&phrase), None));
        let begins = text.to_lowercase().find(&phrase.to_lowercase()).unwrap_or(0);
        if judged.is_ok() || text_of(&out).len() > begins {
            return Err(format!("{phrase:?} is not held: {:?}", text_of(&out)));
        }
    }
    let most = text.chars().count() / 2;
    if most > 0 {
        let (judged, out) = run(watch(None, Some(most as u64)));
        let expect: String = text.chars().take(most).collect();
        if judged.is_err() || text_of(&out) != expect {
            return Err(format!("{judged:?}: cut to {:?}", text_of(&out)));
        }
    }
    Ok(())
}

fn check_dialect<D: Decode>(dialect: Dialect, endpoints: &[&str], listed: &str, decoder: impl Fn() -> D) {
    let mut exchanges = recorded(endpoints);
    exchanges.retain(Exchange::is_stream);
    let decode =
        |body: &str| -> Result<Vec<Event>, NotAReply> { laws::events(dialect, decoder(), body.as_bytes(), body.len()) };
    // What cannot be decoded is not a guard's affair.
    let decoded: Vec<(&str, Vec<Event>)> = exchanges
        .iter()
        .filter_map(|exchange| Some((exchange.id.as_str(), decode(&exchange.response.body).ok()?)))
        .collect();
    let topic = format!("guarded events of {}", dialect.name());
    exceptions::check(&topic, listed, decoded, |events| check_events(&events));
}

#[test]
fn events_of_every_dialect() {
    check_dialect(Dialect::OpenaiChat, &CHAT, "", || dialect::openai_chat::stream::decode::Decoder::new(SEED));
    check_dialect(Dialect::Anthropic, &MESSAGES, AROUND_CALLS, || {
        dialect::anthropic::stream::decode::Decoder::new(SEED)
    });
    check_dialect(Dialect::OpenaiResponses, &["responses"], "", || {
        openai_responses::stream::decode::Decoder::new(SEED)
    });
    check_dialect(Dialect::Gemini, &["streamGenerateContent"], "", || gemini::stream::decode::Decoder::new(SEED));
    check_dialect(Dialect::Ollama, &["api.chat"], "", || ollama::stream::decode::Decoder::new(SEED));
    check_dialect(Dialect::Cohere, &["v2.chat"], "", || cohere::stream::decode::Decoder::new(SEED));
}

/// Returns every text in a content, found the slow way.
fn texts_in(content: &Value, out: &mut Vec<String>) {
    match content {
        Value::String(text) => out.push(text.clone()),
        Value::Array(parts) => {
            for part in parts {
                for name in ["text", "refusal"] {
                    out.extend(part[name].as_str().map(str::to_owned));
                }
                texts_in(&part["content"], out);
                if part["source"]["type"] == "text" {
                    out.extend(part["source"]["data"].as_str().map(str::to_owned));
                }
                texts_in(&part["source"]["content"], out);
            }
        }
        _ => {}
    }
}

#[test]
fn requests() {
    let prompt = "Be \"nice\".";
    for (topic, endpoints) in
        [("guarded openai_chat requests", CHAT.as_slice()), ("guarded anthropic requests", &MESSAGES)]
    {
        let exchanges: Vec<Exchange> = FILES.iter().flat_map(|file| exchanges::of(file, endpoints)).collect();
        let cases = exchanges.iter().filter_map(|exchange| Some((exchange.id.as_str(), exchange.asked()?)));
        exceptions::check(topic, "", cases, |body| {
            let Ok(mut value) = serde_json::from_str::<Value>(body) else { return Ok(()) };
            let mut found = Vec::new();
            let note = |said: Said<'_>| -> Result<(), ()> {
                found.push(said.text.to_owned());
                Ok(())
            };
            let patch = if endpoints == CHAT {
                openai_chat::request::texts(body.as_bytes(), note).unwrap();
                openai_chat::request::inject(body.as_bytes(), prompt)
            } else {
                anthropic::request::texts(body.as_bytes(), note).unwrap();
                anthropic::request::inject(body.as_bytes(), prompt)
            };
            let mut expect = Vec::new();
            texts_in(&value["system"], &mut expect);
            for message in value["messages"].as_array().into_iter().flatten() {
                texts_in(&message["content"], &mut expect);
            }
            expect.retain(|text| !found.contains(text));
            if !expect.is_empty() {
                return Err(format!("not found: {expect:?}"));
            }
            let sent = splice::apply(&Bytes::copy_from_slice(body.as_bytes()), Vec::from_iter(patch)).concat();
            append(&mut value, endpoints == CHAT, prompt);
            laws::same_json(&value.to_string(), std::str::from_utf8(&sent).unwrap())
        });
    }
}

/// Appends a system prompt to a request, the slow way.
fn append(request: &mut Value, chat: bool, prompt: &str) {
    let system = if chat {
        let messages = request["messages"].as_array_mut().unwrap();
        let leads = |message: &&mut Value| message["role"] == "system" || message["role"] == "developer";
        if let Some(message) = messages.iter_mut().take_while(leads).last() {
            &mut message["content"]
        } else {
            messages.insert(0, json!({"role": "system", "content": prompt}));
            return;
        }
    } else {
        &mut request["system"]
    };
    match system {
        Value::Array(parts) => parts.push(json!({"type": "text", "text": prompt})),
        Value::String(text) if !text.is_empty() => *text = format!("{text}\n\n{prompt}"),
        other => *other = prompt.into(),
    }
}
