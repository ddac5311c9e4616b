//! Recorded traffic of the dialect `ollama`.

use std::collections::HashSet;

use dialect::ollama::{error, request, response, stream};
use dialect::translate::{Callee, NotAReply};
use ir::chat::message::Content;
use ir::chat::response::{Finish, Response};
use ir::dialect::Dialect;
use serde_json::{Map, Value, json};

use crate::exchanges::{self, Exchange};
use crate::{exceptions, laws};

const SEED: &str = "00112233445566778899aabbccddeeff";

/// Returns the dialect's exchanges of every file, each once.
fn recorded() -> Vec<Exchange> {
    let mut found = exchanges::of("ollama", &["api.chat"]);
    found.extend(exchanges::of("parallel", &["api.chat"]));
    found.extend(exchanges::of("response_only", &["api.chat"]).into_iter().filter(|one| one.provider == "ollama"));
    let mut seen = HashSet::new();
    found.retain(|exchange| seen.insert(exchange.id.clone()));
    found
}

/// Brings spellings that mean the same to one: what is absent by default is left out, and so is the `type` of a call,
/// which is always a function's.
fn plain(text: &str) -> String {
    let mut body: Value = serde_json::from_str(text).unwrap();
    let object = body.as_object_mut().unwrap();
    object.entry("stream").or_insert(json!(true));
    without(object, &["format", "tools", "options", "keep_alive"]);
    for message in body["messages"].as_array_mut().into_iter().flatten() {
        let message = message.as_object_mut().unwrap();
        without(message, &["content", "tool_calls", "images"]);
        for call in message.get_mut("tool_calls").and_then(Value::as_array_mut).into_iter().flatten() {
            call.as_object_mut().unwrap().remove("type");
        }
    }
    body.to_string()
}

fn without(object: &mut Map<String, Value>, empty: &[&str]) {
    let nothing = |value: &Value| [json!(null), json!(""), json!([]), json!({})].contains(value);
    object.retain(|name, value| !(empty.contains(&name.as_str()) && nothing(value)));
}

#[test]
fn requests_are_written_as_they_were_read() {
    let recorded = recorded();
    let cases = recorded.iter().filter_map(|exchange| Some((exchange.id.as_str(), exchange.asked()?)));
    exceptions::check("ollama requests", "", cases, |body| {
        let model = serde_json::from_str::<Value>(body).unwrap()["model"].as_str().unwrap_or_default().to_owned();
        let decoded = request::decode::decode(body).map_err(|failure| failure.message)?;
        let callee = Callee { model: &model, max_output_tokens: None, ask_usage: true, quirks: &[], refuses: &[] };
        let encoded = request::encode::encode(&decoded, &callee).map_err(|failure| failure.message)?;
        if !encoded.dropped.is_empty() {
            return Err(format!("left out: {:?}", encoded.dropped));
        }
        laws::same_json(&plain(body), &plain(std::str::from_utf8(&encoded.body).unwrap()))
    });
}

#[test]
fn replies_and_streams_are_understood() {
    let recorded = recorded();
    let answers = recorded.iter().filter(|exchange| exchange.succeeded());
    let cases = answers.map(|exchange| (exchange.id.as_str(), exchange));
    exceptions::check("ollama answers", "", cases, |exchange| {
        let body = &exchange.response.body;
        let whole = if exchange.is_stream() {
            let events = |size| {
                laws::events(Dialect::Ollama, stream::decode::Decoder::new(SEED), body.as_bytes(), size)
                    .map_err(|error| format!("{error:?}"))
            };
            let whole = events(body.len())?;
            for size in [1, 7, 64] {
                if events(size)? != whole {
                    return Err(format!("other events in pieces of {size}"));
                }
            }
            laws::folded(whole)
        } else {
            response::decode::decode(body, SEED).map_err(|error| format!("{error:?}"))?
        };
        same_answer(body, &whole)
    });
}

/// Compares an answer with the raw lines that it was read from.
fn same_answer(body: &str, found: &Response) -> Result<(), String> {
    let lines: Vec<Value> = serde_json::Deserializer::from_str(body).into_iter().map(Result::unwrap).collect();
    let text = |name: &str| -> String { lines.iter().filter_map(|line| line["message"][name].as_str()).collect() };
    let calls = lines.iter().filter_map(|line| line["message"]["tool_calls"].as_array()).flatten();
    let calls: Vec<_> =
        calls.map(|call| (call["function"]["name"].clone(), call["function"]["arguments"].clone())).collect();
    let last = lines.last().unwrap();

    let choice = found.choices.first().ok_or("no choice")?;
    let (mut content, mut thinking, mut called) = (String::new(), String::new(), Vec::new());
    for part in &choice.parts {
        match &part.content {
            Content::Text { text, .. } => content.push_str(text),
            Content::Thinking { text, .. } => thinking.push_str(text),
            Content::ToolCall(call) => {
                assert!(call.id.starts_with("call_"), "{}", call.id);
                called.push((json!(call.name), serde_json::from_str(&call.arguments).unwrap()));
            }
            other => return Err(format!("a part of another kind: {other:?}")),
        }
    }
    let finish = match last["done_reason"].as_str() {
        Some("length") => Finish::Length,
        Some("stop") if calls.is_empty() => Finish::Stop,
        Some("stop") => Finish::ToolCalls,
        other => Finish::Other(other.unwrap_or_default().to_owned()),
    };
    let tokens = |name: &str| last[name].as_u64();
    let counted = tokens("prompt_eval_count").zip(tokens("eval_count"));
    let usage = found.usage.map(|usage| (usage.input_tokens(), usage.output_tokens()));
    let same = (text("content"), text("thinking"), calls, finish) == (content, thinking, called, choice.finish.clone())
        && usage == counted
        && last["model"] == found.model;
    if same { Ok(()) } else { Err(format!("another answer: {found:?}")) }
}

#[test]
fn errors_are_read() {
    let mut read = 0;
    for exchange in recorded().iter().filter(|exchange| exchange.response.status >= 400) {
        let body = &exchange.response.body;
        let expect = serde_json::from_str::<Value>(body).unwrap()["error"].as_str().map(str::to_owned);
        assert!(expect.is_some(), "{}", exchange.id);
        assert_eq!(error::read(body.as_bytes()).message, expect, "{}", exchange.id);
        assert!(
            matches!(response::decode::decode(body, SEED), Err(NotAReply::Error(report)) if report.message == expect)
        );
        read += 1;
    }
    println!("ollama errors: {read} read");
}
