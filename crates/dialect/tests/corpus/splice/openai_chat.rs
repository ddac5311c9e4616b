//! The lane of `openai_chat`.

use bytes::Bytes;
use dialect::openai_chat::request::{AskUsage, ChatRequest};
use dialect::openai_chat::response::ChatResponse;
use dialect::openai_chat::stream::ChatStream;
use serde_json::{Value, json};

use super::{ACCOUNT, META, count, data, ends_with_meta, member, recorded, same, same_bytes, stream, up_to};
use crate::exceptions;
use crate::exchanges::Exchange;
use crate::laws::same_json;

const FILES: [&str; 12] = [
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

/// Whether something is a usage report.
fn reports(usage: &Value) -> bool {
    usage["prompt_tokens"].is_u64()
}

fn text(value: &Value) -> Option<String> {
    value.as_str().map(str::to_owned)
}

#[test]
fn requests_are_sent_as_they_came() {
    let exchanges = recorded(&FILES, &CHAT);
    count("openai_chat requests", &exchanges);
    let cases = exchanges.iter().filter_map(|exchange| Some((exchange.id.as_str(), exchange.asked()?)));
    exceptions::check("openai_chat requests", "", cases, |body| {
        let request = ChatRequest::decode(Bytes::copy_from_slice(body.as_bytes())).map_err(|f| f.message)?;
        let sent = |model: &str, usage| String::from_utf8(request.encode(model, usage).concat()).unwrap();
        let mut expect: Value = serde_json::from_str(body).map_err(|error| error.to_string())?;
        same("model", text(&expect["model"]), request.model.clone())?;
        same("stream", expect["stream"].as_bool().unwrap_or(false), request.stream)?;
        let asks = expect["stream_options"]["include_usage"] == true;
        same("include_usage", request.stream && asks, request.wants_usage())?;
        if let Some(model) = request.model.as_deref().filter(|_| asks || !request.stream) {
            same_bytes(body, &sent(model, AskUsage::Ask))?;
        }
        expect["model"] = "another".into();
        if request.stream {
            match expect["stream_options"].as_object_mut() {
                Some(options) => {
                    options.insert("include_usage".to_owned(), true.into());
                }
                None => expect["stream_options"] = json!({"include_usage": true}),
            }
        }
        same_json(&expect.to_string(), &sent("another", AskUsage::Ask))?;
        if let Some(object) = expect.as_object_mut().filter(|_| request.stream) {
            object.remove("stream_options");
        }
        same_json(&expect.to_string(), &sent("another", AskUsage::Leave))
    });
}

#[test]
fn replies_pass_but_for_the_meta_block() {
    let mut exchanges = recorded(&FILES, &CHAT);
    exchanges.retain(|exchange| exchange.succeeded() && !exchange.is_stream());
    count("openai_chat replies", &exchanges);
    let cases = exchanges.iter().map(|exchange| (exchange.id.as_str(), exchange.response.body.as_str()));
    let listed = include_str!("../exceptions/openai_chat_splice_replies.txt");
    exceptions::check("openai_chat replies", listed, cases, |body| {
        let reply = ChatResponse::decode(Bytes::copy_from_slice(body.as_bytes()), "crossway");
        let reply = reply.map_err(|error| format!("{error:?}"))?;
        let expect: Value = serde_json::from_str(body).map_err(|error| error.to_string())?;
        same("id", text(&expect["id"]), reply.id.clone())?;
        same("finish_reason", text(&expect["choices"][0]["finish_reason"]), reply.finish_reason.clone())?;
        same("usage", reports(&expect["usage"]), reply.usage.is_some())?;
        let seen = String::from_utf8(reply.encode(member(META)).concat()).unwrap();
        same("last member", true, serde_json::from_str(&seen).is_ok_and(|seen: Value| ends_with_meta(&seen)))?;
        same_bytes(body, &seen.replacen(META, "", 1))
    });
}

/// Returns a recorded stream as the caller must see it, but for the meta blocks.
fn expected(body: &str, wants_usage: bool) -> String {
    let mut text = up_to(body, "data: [DONE]");
    if !text.contains("data: [DONE]") {
        text.push_str("data: [DONE]\n\n");
    }
    let is_usage = |event: &str| {
        let data = event.lines().find_map(|line| serde_json::from_str::<Value>(line.strip_prefix("data:")?).ok());
        let none = |choices: &Value| choices.as_array().is_none_or(Vec::is_empty);
        data.is_some_and(|data| none(&data["choices"]) && !data["usage"].is_null())
    };
    let unfinished = !data(&text).iter().any(|event| event.to_string().contains(r#""finish_reason":""#));
    if wants_usage && !unfinished {
        return text;
    }
    // Where nothing finishes (sound), we do, and what was consumed is said last.
    let (usage, mut rest): (Vec<&str>, Vec<&str>) = text.split_inclusive("\n\n").partition(|event| is_usage(event));
    let own = data(&text).first().filter(|_| unfinished).map(finishing).unwrap_or_default();
    let done = rest.pop().unwrap_or_default();
    let usage = if wants_usage { usage.concat() } else { String::new() };
    format!("{}{own}{usage}{done}", rest.concat())
}

/// Returns the event that finishes an answer.
fn finishing(first: &Value) -> String {
    let names = ["id", "object", "created", "model", "system_fingerprint", "service_tier"];
    let common: String = names.iter().map(|name| format!("\"{name}\":{},", first[*name])).collect();
    format!("data: {{{common}\"choices\":[{{\"index\":0,\"delta\":{{}},\"finish_reason\":\"stop\"}}]}}\n\n")
}

fn check_stream(exchange: &Exchange) -> Result<(), String> {
    let body = &exchange.response.body;
    for wants_usage in [true, false] {
        let (seen, passed) = stream(body, || ChatStream::new("crossway", member(META), wants_usage))?;
        same_bytes(&expected(body, wants_usage), &seen.replacen(META, "", 1).replacen(ACCOUNT, "", 1))?;
        let events = data(&seen);
        same("the first event's last member", true, events.first().is_some_and(ends_with_meta))?;
        same("the accounts", 1, seen.matches(ACCOUNT).count())?;
        let whole = data(body);
        let choices = |event: &Value| event["choices"].as_array().cloned().unwrap_or_default();
        let mut reasons = whole.iter().flat_map(choices).filter_map(|choice| text(&choice["finish_reason"]));
        same("finish_reason", reasons.next(), passed.finish_reason)?;
        same("id", whole.iter().find_map(|event| text(&event["id"])), passed.id)?;
        let reported = whole.iter().any(|event| reports(&event["usage"]) || reports(&event["x_groq"]["usage"]));
        same("usage", reported, passed.usage.is_some())?;
    }
    Ok(())
}

#[test]
fn streams_pass_but_for_the_meta_blocks() {
    let mut exchanges = recorded(&FILES, &CHAT);
    exchanges.retain(|exchange| exchange.succeeded() && exchange.is_stream());
    count("openai_chat streams", &exchanges);
    let cases = exchanges.iter().map(|exchange| (exchange.id.as_str(), exchange));
    let listed = include_str!("../exceptions/openai_chat_splice_streams.txt");
    exceptions::check("openai_chat streams", listed, cases, check_stream);
}
