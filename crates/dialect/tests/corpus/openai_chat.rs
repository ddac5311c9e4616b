//! Recorded traffic of the dialect `openai_chat`.

use dialect::openai_chat::stream::{decode::Decoder, encode::Encoder};
use dialect::openai_chat::{request, response};
use dialect::translate::{Callee, Encode, Label};
use ir::chat::event::Event;
use ir::chat::message::{Content, Part};
use ir::chat::response::{Choice, Finish, Response};
use ir::dialect::Dialect;
use serde_json::Value;

use crate::exchanges::{self, Exchange};
use crate::{exceptions, laws};

mod others;
mod usage;
mod vendors;

const FILES: [&str; 9] = [
    "openai",
    "azure",
    "openai_compatible",
    "openrouter",
    "together",
    "perplexity",
    "mistral",
    "response_only",
    "parallel",
];

const LABEL: Label<'_> = Label { seed: "0123456789abcdef0123456789abcdef", model: "a-model", created: 7 };

/// Returns every recorded exchange of the dialect.
fn all() -> Vec<Exchange> {
    let mut found: Vec<Exchange> = FILES.iter().flat_map(|file| exchanges::of(file, &["chat.completions"])).collect();
    found.extend(exchanges::of("ollama", &["v1.chat.completions"]));
    found
}

/// Takes the `null`s out: they say what absence says.
fn without_nulls(value: &mut Value) {
    match value {
        Value::Object(members) => {
            members.retain(|_, value| !value.is_null());
            members.values_mut().for_each(without_nulls);
        }
        Value::Array(list) => list.iter_mut().for_each(without_nulls),
        _ => {}
    }
}

fn read(text: &str) -> Result<Value, String> {
    let mut value = serde_json::from_str(text).map_err(|error| format!("{error}"))?;
    without_nulls(&mut value);
    Ok(value)
}

fn returns(asked: &str) -> Result<(), String> {
    let value = read(asked)?;
    let callee = Callee {
        model: value["model"].as_str().unwrap_or_default(),
        max_output_tokens: None,
        ask_usage: value["stream_options"]["include_usage"] == true,
        quirks: &[],
        refuses: &[],
    };
    let request = request::decode::decode(asked).map_err(|failure| failure.message)?;
    let encoded = request::encode::encode(&request, &callee).map_err(|failure| failure.message)?;
    if !encoded.dropped.is_empty() {
        return Err(format!("dropped: {:?}", encoded.dropped));
    }
    let mut found = read(std::str::from_utf8(&encoded.body).unwrap())?;
    if value.get("model").is_none() {
        found["model"].take();
        without_nulls(&mut found);
    }
    laws::same_json(&value.to_string(), &found.to_string())
}

#[test]
fn requests_come_back_as_they_were() {
    let all = all();
    let asked = all.iter().filter_map(|exchange| Some((exchange.id.as_str(), exchange.asked()?)));
    exceptions::check("openai_chat requests", include_str!("exceptions/openai_chat_requests.txt"), asked, returns);
}

/// Returns what a recorded message, or its deltas, say in a member.
fn said<'a>(messages: impl Iterator<Item = &'a Value>, name: &str) -> String {
    messages.map(|message| words(&message[name], "text")).collect()
}

fn words(value: &Value, kind: &str) -> String {
    match value {
        Value::String(text) if kind == "text" => text.clone(),
        Value::Array(parts) => {
            let own = parts.iter().filter(|part| part["type"] == kind);
            own.map(
                |part| {
                    if kind == "text" { part["text"].as_str().unwrap().to_owned() } else { words(&part[kind], "text") }
                },
            )
            .collect()
        }
        Value::Object(_) if kind == "text" => value.to_string(),
        _ => String::new(),
    }
}

/// Returns the thoughts that recorded messages show.
fn thought(messages: &[&Value]) -> String {
    let each = |message: &&Value| {
        let details = message["reasoning_details"].as_array().into_iter().flatten();
        let details: String =
            details.filter_map(|entry| entry["text"].as_str().or(entry["summary"].as_str())).collect();
        let plain = [&message["reasoning_content"], &message["reasoning"]];
        let plain = plain.iter().find_map(|text| text.as_str().filter(|text| !text.is_empty()));
        let shown = if details.is_empty() { plain.unwrap_or_default().to_owned() } else { details };
        shown + &words(&message["content"], "thinking")
    };
    messages.iter().map(each).collect()
}

/// What a choice says, for comparison.
#[derive(Debug, Default, PartialEq)]
struct Said {
    text: String,
    thoughts: String,
    refusal: String,
    calls: Vec<(String, String, String)>,
    logprobs: usize,
    finish: String,
}

impl Said {
    fn of(choice: &Choice) -> Self {
        let mut said = Self {
            finish: match &choice.finish {
                Finish::Stop => "stop".to_owned(),
                Finish::Length => "length".to_owned(),
                Finish::ToolCalls => "tool_calls".to_owned(),
                Finish::ContentFilter => "content_filter".to_owned(),
                Finish::Other(word) => word.clone(),
                other => format!("{other:?}"),
            },
            ..Self::default()
        };
        if let Some(logprobs) = &choice.logprobs {
            let value: Value = serde_json::from_str(logprobs.as_str()).unwrap();
            let count = |name: &str| value[name].as_array().map_or(0, Vec::len);
            said.logprobs = count("content") + count("refusal");
        }
        for part in &choice.parts {
            match &part.content {
                Content::Text { text, .. } => said.text.push_str(text),
                Content::Thinking { text, .. } => said.thoughts.push_str(text),
                Content::Refusal(text) => said.refusal.push_str(text),
                Content::ToolCall(call) => {
                    let id = if call.id.starts_with("call_0123456789") { "" } else { &call.id };
                    said.calls.push((id.to_owned(), call.name.clone(), call.arguments.clone()));
                }
                _ => {}
            }
        }
        said
    }

    /// Reads the recording, by other means than the decoder's. `choices`: the pieces of one choice, in order.
    fn recorded(choices: &[&Value]) -> Self {
        let message = |choice: &&'_ Value| -> bool { choice.get("message").is_some() && choice.get("delta").is_none() };
        let whole = choices.iter().all(|choice| choice.get("message").is_some()) && choices.len() == 1;
        let messages: Vec<&Value> = choices
            .iter()
            .map(|choice| if whole || message(choice) { &choice["message"] } else { &choice["delta"] })
            .collect();
        let mut calls: Vec<(Value, String, String, String)> = Vec::new();
        let owned = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        for message in &messages {
            for call in message["tool_calls"].as_array().into_iter().flatten() {
                let (id, inner) = (owned(&call["id"]), &call["function"]);
                let found = calls.iter_mut().rev().find(|(index, ..)| !whole && *index == call["index"]);
                match found.filter(|(_, known, ..)| id.is_empty() || *known == id) {
                    Some((_, _, _, arguments)) => arguments.push_str(&owned(&inner["arguments"])),
                    None => {
                        calls.push((call["index"].clone(), id, owned(&inner["name"]), owned(&inner["arguments"])));
                    }
                }
            }
            let function = &message["function_call"];
            match (function.is_object(), calls.last_mut()) {
                (true, Some((.., arguments))) => arguments.push_str(&owned(&function["arguments"])),
                (true, None) => {
                    let (name, arguments) = (owned(&function["name"]), owned(&function["arguments"]));
                    calls.push((Value::Null, String::new(), name, arguments));
                }
                _ => {}
            }
        }
        let count = |choice: &&Value, name: &str| choice["logprobs"][name].as_array().map_or(0, Vec::len);
        let finish = choices.iter().find_map(|choice| choice["finish_reason"].as_str().filter(|word| !word.is_empty()));
        Self {
            text: said(messages.iter().copied(), "content"),
            thoughts: thought(&messages),
            refusal: said(messages.iter().copied(), "refusal"),
            calls: calls.into_iter().map(|(_, id, name, arguments)| (id, name, arguments)).collect(),
            logprobs: choices.iter().map(|choice| count(choice, "content") + count(choice, "refusal")).sum(),
            finish: finish.unwrap_or_default().replace("function_call", "tool_calls"),
        }
    }
}

/// Compares an answer with the recorded chunks, or the recorded whole.
fn compare(response: &Response, recorded: &[Value]) -> Result<(), String> {
    let pieces: Vec<&Value> = recorded.iter().filter_map(|chunk| chunk["choices"].as_array()).flatten().collect();
    for choice in &response.choices {
        let own: Vec<&Value> = pieces
            .iter()
            .copied()
            .filter(|piece| piece["index"].as_u64().unwrap_or(0) == u64::from(choice.index))
            .collect();
        let (expect, found) = (Said::recorded(&own), Said::of(choice));
        if expect != found {
            return Err(format!("expected {expect:?}\n found {found:?}"));
        }
    }
    Ok(())
}

/// What is written differently from how it was read, and may be.
fn settled(mut response: Response) -> Response {
    for choice in &mut response.choices {
        let has_calls = choice.parts.iter().any(|part| matches!(part.content, Content::ToolCall(_)));
        match &choice.finish {
            Finish::Other(_) if has_calls => choice.finish = Finish::ToolCalls,
            Finish::Other(_) => choice.finish = Finish::Stop,
            _ => {}
        }
        // Blocks that the schema has no place for are told beside the content.
        choice.parts.retain(|part| !matches!(part.content, Content::Foreign { .. }));
        for part in &mut choice.parts {
            audio(part);
        }
    }
    if response.id.is_empty() {
        response.id = format!("chatcmpl-{}", LABEL.seed);
    }
    if response.model.is_empty() {
        LABEL.model.clone_into(&mut response.model);
    }
    response.created = response.created.or(Some(LABEL.created));
    response
}

/// Sound that came in several deltas is told in one.
fn audio(part: &mut Part) {
    if matches!(part.content, Content::Audio(_)) {
        part.extras = ir::chat::extras::Extras::default();
    }
}

fn whole(body: &str) -> Result<(), String> {
    let decode = |body: &str| response::decode::decode(body, LABEL.seed).map_err(|error| format!("{error:?}"));
    let first = decode(body)?;
    let recorded: Value = serde_json::from_str(body).unwrap();
    compare(&first, &[recorded])?;
    let encoded = String::from_utf8(response::encode::encode(&first, &LABEL)).unwrap();
    let (expect, found) = (settled(first), settled(decode(&encoded)?));
    if expect == found { Ok(()) } else { Err(format!("expected {expect:?}\n found {found:?}")) }
}

#[test]
fn replies_are_read_and_written() {
    let all = all();
    let replies = all.iter().filter(|exchange| exchange.succeeded() && !exchange.is_stream());
    let replies = replies.map(|exchange| (exchange.id.as_str(), exchange.response.body.as_str()));
    exceptions::check("openai_chat replies", include_str!("exceptions/openai_chat_replies.txt"), replies, whole);
}

fn chunks(body: &str) -> Vec<Value> {
    let lines = body.split(['\n', '\r']).filter_map(|line| line.strip_prefix("data:"));
    lines.filter_map(|data| serde_json::from_str(data).ok()).collect()
}

fn streams(body: &str) -> Result<(), String> {
    let decode = |body: &[u8], size| {
        laws::events(Dialect::OpenaiChat, Decoder::new(LABEL.seed), body, size).map_err(|error| format!("{error:?}"))
    };
    let events = decode(body.as_bytes(), body.len())?;
    for size in [1, 7, 64] {
        if decode(body.as_bytes(), size)? != events {
            return Err(format!("in pieces of {size} the events are others"));
        }
    }
    ordered(&events)?;
    let first = laws::folded(events.clone());
    compare(&first, &chunks(body))?;
    for wants_usage in [true, false] {
        let mut encoder = Encoder::new(&LABEL, wants_usage, b"\"crossway\":{\"first\":1}".to_vec());
        let mut out = Vec::new();
        events.iter().for_each(|event| encoder.event(event.clone(), &mut out));
        encoder.finish(b"\"crossway\":{\"last\":1}", &mut out);
        metas(std::str::from_utf8(&out).unwrap(), wants_usage && first.usage.is_some())?;
        let mut again = laws::folded(decode(&out, out.len())?);
        let mut expect = settled(first.clone());
        expect.extras = stripped(&expect);
        again.extras = stripped(&again);
        if !wants_usage {
            expect.usage = None;
        }
        let mut again = settled(again);
        if !wants_usage {
            // Groq says it in a member of its own, too, which is carried.
            again.usage = None;
        }
        if expect != again {
            return Err(format!("expected {expect:?}\n found {again:?}"));
        }
    }
    Ok(())
}

fn stripped(response: &Response) -> ir::chat::extras::Extras {
    let mut extras = ir::chat::extras::Extras::default();
    for (name, value) in response.extras.of(Dialect::OpenaiChat) {
        if name != "crossway" {
            extras.push(Dialect::OpenaiChat, name, value.clone());
        }
    }
    extras
}

/// Checks the frame around what is said: meta blocks in the first chunk and in the last, usage in a chunk of its own.
fn metas(text: &str, has_usage: bool) -> Result<(), String> {
    let chunks = chunks(text);
    let (first, last) = (chunks.first().unwrap(), chunks.last().unwrap());
    let marked = chunks.iter().filter(|chunk| chunk.get("crossway").is_some()).count();
    let role = &first["choices"][0]["delta"]["role"];
    let empty = last["choices"].as_array().is_some_and(Vec::is_empty);
    if marked != 2 || first["crossway"]["first"] != 1 || last["crossway"]["last"] != 1 || role != "assistant" {
        return Err(format!("{marked} meta blocks, {first} … {last}"));
    }
    if empty != has_usage || (has_usage && !last["usage"].is_object()) || !text.ends_with("data: [DONE]\n\n") {
        return Err(format!("the end is {last}"));
    }
    Ok(())
}

/// Checks that events come in an order that can be.
fn ordered(events: &[Event]) -> Result<(), String> {
    let mut open: Vec<(u32, u32)> = Vec::new();
    for (at, event) in events.iter().enumerate() {
        match event {
            Event::Started(_) if at != 0 => return Err("started late".to_owned()),
            Event::Opened { choice, .. } if open.iter().any(|(other, _)| other == choice) => {
                return Err("two parts are open".to_owned());
            }
            Event::Opened { choice, part, .. } => open.push((*choice, *part)),
            Event::Closed { choice, part } => open.retain(|place| place != &(*choice, *part)),
            Event::Finished { choice, .. } if open.iter().any(|(other, _)| other == choice) => {
                return Err("finished while a part is open".to_owned());
            }
            _ => {}
        }
    }
    if open.is_empty() { Ok(()) } else { Err("a part was left open".to_owned()) }
}

#[test]
fn streams_are_read_and_written() {
    let all = all();
    let replies = all.iter().filter(|exchange| exchange.succeeded() && exchange.is_stream());
    let replies = replies.map(|exchange| (exchange.id.as_str(), exchange.response.body.as_str()));
    exceptions::check("openai_chat streams", include_str!("exceptions/openai_chat_streams.txt"), replies, streams);
}
