//! Recorded traffic of the dialect `openai_responses`.

use std::sync::LazyLock;

use dialect::openai_responses::stream::decode::Decoder;
use dialect::openai_responses::{error, request, response};
use dialect::translate::{Callee, NotAReply};
use ir::chat::event::Event;
use ir::chat::message::{Content, Part};
use ir::chat::response::Response;
use ir::dialect::Dialect;
use ir::json::Json;
use serde_json::{Value, json};

use crate::exceptions;
use crate::exchanges::{self, Exchange};
use crate::laws;

const SEED: &str = "0123456789abcdef0123456789abcdef";

static EXCHANGES: LazyLock<Vec<Exchange>> = LazyLock::new(|| {
    let files = ["openai", "azure", "openrouter", "openai_compatible", "response_only"];
    let mut all: Vec<_> = files.iter().flat_map(|file| exchanges::of(file, &["responses"])).collect();
    let parallel = exchanges::read("parallel").into_iter();
    all.extend(parallel.filter(|exchange| exchange.family.as_deref() == Some("openai.responses")));
    all
});

fn cases(keep: impl Fn(&Exchange) -> bool) -> impl Iterator<Item = (&'static str, &'static Exchange)> {
    EXCHANGES.iter().filter(move |exchange| keep(exchange)).map(|exchange| (exchange.id.as_str(), exchange))
}

#[test]
fn requests_come_out_as_they_went_in() {
    let asked = cases(|exchange| exchange.asked().is_some());
    exceptions::check("openai_responses requests", "", asked, |exchange| {
        let body = exchange.asked().unwrap();
        let read = request::decode::decode(body).map_err(|failure| failure.message)?;
        let mut asked: Value = serde_json::from_str(body).map_err(|error| error.to_string())?;
        plain(&mut asked);
        let model = asked["model"].as_str().unwrap_or_default();
        let callee = Callee { model, max_output_tokens: None, ask_usage: true, quirks: &[], refuses: &[] };
        let written = request::encode::encode_again(&read, &callee).map_err(|failure| failure.message)?;
        if !written.dropped.is_empty() {
            return Err(format!("dropped {:?}", written.dropped));
        }
        let written = String::from_utf8(written.body).map_err(|error| error.to_string())?;
        laws::same_json(&asked.to_string(), &written)
    });
}

/// A request without what is null, which is as good as absent. What is carried whole is left alone.
fn plain(request: &mut Value) {
    let Some(request) = request.as_object_mut() else { return };
    // A stored prompt may bring its own model; for us it is always said.
    request.entry("model").or_insert(json!(""));
    request.retain(|_, value| !value.is_null());
    let lists = ["input", "tools"].map(|name| request.get(name).and_then(Value::as_array).cloned().unwrap_or_default());
    for (name, mut list) in ["input", "tools"].into_iter().zip(lists) {
        let known = [Value::Null, json!("message"), json!("reasoning"), json!("function")];
        let understood = list.iter_mut().filter(|item| known.contains(&item["type"]));
        understood.filter_map(Value::as_object_mut).for_each(|item| item.retain(|_, value| !value.is_null()));
        if !list.is_empty() {
            request.insert(name.to_owned(), Value::Array(list));
        }
    }
    if let Some(reasoning) = request.get_mut("reasoning").and_then(Value::as_object_mut) {
        reasoning.retain(|_, value| !value.is_null());
    }
}

#[test]
fn replies_are_read() {
    let replies = cases(|exchange| exchange.succeeded() && !exchange.is_stream());
    exceptions::check("openai_responses replies", "", replies, |exchange| {
        let read = response::decode::decode(&exchange.response.body, SEED).map_err(|why| format!("{why:?}"))?;
        let body: Value = serde_json::from_str(&exchange.response.body).unwrap();
        counts(&read, &body)?;
        sound(&read)
    });
}

#[test]
fn errors_are_read() {
    let failed = cases(|exchange| exchange.response.status >= 400);
    exceptions::check("openai_responses errors", "", failed, |exchange| {
        let report = error::read(exchange.response.body.as_bytes());
        (report.message.is_some() && report.code.is_some()).then_some(()).ok_or(format!("{report:?}"))
    });
}

#[test]
fn streams_say_what_their_last_event_says() {
    let listed = include_str!("exceptions/openai_responses_streams.txt");
    let streams = cases(|exchange| exchange.succeeded() && exchange.is_stream());
    exceptions::check("openai_responses streams", listed, streams, |exchange| {
        let body = exchange.response.body.as_bytes();
        let whole = laws::events(Dialect::OpenaiResponses, Decoder::new(SEED), body, body.len());
        for size in [1, 7, 64] {
            let pieces = laws::events(Dialect::OpenaiResponses, Decoder::new(SEED), body, size);
            if pieces != whole {
                return Err(format!("in pieces of {size} it is another answer"));
            }
        }
        let last = last_response(&exchange.response.body).ok_or("there is no last event")?;
        let expect = response::decode::decode(&last, SEED);
        let events = match (whole, &expect) {
            (Ok(events), _) => events,
            (Err(NotAReply::Error(_)), Err(NotAReply::Error(_))) => return Ok(()),
            (Err(why), _) => return Err(format!("{why:?}")),
        };
        ordered(&events)?;
        same(&expect.map_err(|why| format!("{why:?}"))?, &laws::folded(events))
    });
}

/// Returns the response that the last event carries.
fn last_response(body: &str) -> Option<String> {
    let lines = body.lines().filter_map(|line| line.strip_prefix("data:"));
    let mut events = lines.filter_map(|data| serde_json::from_str::<Value>(data).ok());
    events.find_map(|event| {
        let last = ["response.completed", "response.incomplete", "response.failed"];
        last.contains(&event["type"].as_str()?).then(|| event["response"].to_string())
    })
}

/// Whether a stream and a whole answer say the same. What only the form of the items says (ids, phases) is not
/// streamed, and the tier is not known at the start.
fn same(expect: &Response, found: &Response) -> Result<(), String> {
    let expected: Vec<_> = expect.choices[0].parts.iter().map(bare).collect();
    let parts: Vec<_> = found.choices.iter().flat_map(|choice| &choice.parts).map(bare).collect();
    if expected != parts {
        return Err(format!("expected {expected:?}, found {parts:?}"));
    }
    let probed = |reply: &Response| reply.choices[0].logprobs.as_ref().map(entries);
    for (what, same) in [
        ("finish", expect.choices[0].finish == found.choices[0].finish),
        ("usage", expect.usage == found.usage),
        ("model", expect.model == found.model),
        ("created", expect.created == found.created),
        ("logprobs", probed(expect) == probed(found)),
    ] {
        if !same {
            return Err(format!("another {what}: {expect:?} {found:?}"));
        }
    }
    Ok(())
}

/// A part without what is not streamed. The cipher of a thought is made anew for the last event, and so is the id of
/// an item by one proxy; a part that only this dialect knows is compared by its type.
fn bare(part: &Part) -> (Content, bool) {
    let content = match part.content.clone() {
        Content::Foreign { dialect, block } => {
            let block: Value = serde_json::from_str(block.as_str()).unwrap();
            Content::Foreign { dialect, block: Json::of(&block["type"]) }
        }
        Content::Thinking { text, .. } => Content::Thinking { text, id: None },
        content => content,
    };
    (content, part.signature.is_some())
}

fn entries(json: &Json) -> Vec<Value> {
    let value: Value = serde_json::from_str(json.as_str()).unwrap();
    value["content"].as_array().cloned().unwrap_or_default()
}

/// Whether events come in an order that an encoder can rely on.
fn ordered(events: &[Event]) -> Result<(), String> {
    let (mut opened, mut closed) = (0, 0);
    for (at, event) in events.iter().enumerate() {
        match event {
            Event::Started(_) if at != 0 => return Err("a second start".to_owned()),
            Event::Opened { part, .. } if *part != opened || opened != closed => return Err(format!("opened {part}")),
            Event::Opened { .. } => opened += 1,
            Event::Closed { part, .. } if *part != closed => return Err(format!("closed {part}")),
            Event::Closed { .. } => closed += 1,
            Event::Delta { part, .. } if *part >= opened => return Err(format!("delta of {part}")),
            Event::Finished { .. } if opened != closed => return Err("finished with an open part".to_owned()),
            _ => {}
        }
    }
    Ok(())
}

/// Whether every item of a reply that says something is a part of the answer.
fn counts(read: &Response, body: &Value) -> Result<(), String> {
    let has = |item: &Value, name: &str| !matches!(&item[name], Value::Null) && item[name] != json!([]);
    let says = |item: &&Value| match item["type"].as_str() {
        Some("reasoning") => ["summary", "content", "encrypted_content"].iter().any(|name| has(item, name)),
        Some("message") => item["content"] != json!([]) && item["content"][0]["text"] != json!(""),
        _ => true,
    };
    let items = body["output"].as_array().map_or(0, |items| items.iter().filter(says).count());
    let beside = usize::from(body["reasoning"].is_string());
    let parts = read.choices[0].parts.len();
    if parts == items + beside { Ok(()) } else { Err(format!("{items} items are {parts} parts")) }
}

/// Whether a whole answer has what accounting and callers need.
fn sound(read: &Response) -> Result<(), String> {
    let named = !read.id.is_empty() && !read.model.is_empty() && read.created.is_some();
    let calls = read.choices[0].parts.iter().all(|part| match &part.content {
        Content::ToolCall(call) => !call.id.is_empty() && !call.name.is_empty() && !call.arguments.is_empty(),
        _ => true,
    });
    if named && calls && read.usage.is_some() { Ok(()) } else { Err(format!("{read:?}")) }
}
