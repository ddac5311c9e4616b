//! The lane of `anthropic`.

use bytes::Bytes;
use dialect::anthropic::request::MessagesRequest;
use dialect::anthropic::response::MessagesResponse;
use dialect::anthropic::stream::MessagesStream;
use dialect::translate::NotAReply;
use ir::usage::Usage;
use serde_json::Value;

use super::{ACCOUNT, META, count, data, ends_with_meta, member, recorded, same, same_bytes, stream, up_to};
use crate::exceptions;
use crate::exchanges::Exchange;
use crate::laws::same_json;

const FILES: [&str; 4] = ["anthropic", "parallel", "response_only", "vertex"];
const REPLIES: [&str; 3] = ["messages", "anthropic.rawPredict", "anthropic.streamRawPredict"];

/// Returns the usage that a report amounts to: input, read from the cache, written to it, output, reasoning, searches.
fn usage(report: &Value) -> Usage {
    let number = |value: &Value, name: &str| value[name].as_u64().unwrap_or(0);
    let mut usage = Usage {
        input: number(report, "input_tokens"),
        cached_input: number(report, "cache_read_input_tokens"),
        cache_write: number(report, "cache_creation_input_tokens"),
        reasoning: number(&report["output_tokens_details"], "thinking_tokens"),
        ..Usage::default()
    };
    usage.output = number(report, "output_tokens") - usage.reasoning;
    usage.cache_write_1h = number(&report["cache_creation"], "ephemeral_1h_input_tokens");
    usage.cache_write -= usage.cache_write_1h;
    usage.searches = number(&report["server_tool_use"], "web_search_requests");
    let iterations = report["iterations"].as_array().into_iter().flatten();
    for compaction in iterations.filter(|iteration| iteration["type"] == "compaction") {
        usage.input += number(compaction, "input_tokens");
        usage.output += number(compaction, "output_tokens");
    }
    usage
}

fn text(value: &Value) -> Option<String> {
    value.as_str().map(str::to_owned)
}

#[test]
fn requests_are_sent_as_they_came() {
    let exchanges = recorded(&FILES, &["messages"]);
    count("anthropic requests", &exchanges);
    let cases = exchanges.iter().filter_map(|exchange| Some((exchange.id.as_str(), exchange.asked()?)));
    exceptions::check("anthropic requests", "", cases, |body| {
        let request = MessagesRequest::decode(Bytes::copy_from_slice(body.as_bytes())).map_err(|f| f.message)?;
        let sent = |model: &str| String::from_utf8(request.encode(model).concat()).unwrap();
        let mut expect: Value = serde_json::from_str(body).map_err(|error| error.to_string())?;
        same("model", text(&expect["model"]), request.model.clone())?;
        same("stream", expect["stream"].as_bool().unwrap_or(false), request.stream)?;
        same("max_tokens", expect["max_tokens"].as_u64(), request.max_tokens)?;
        same_bytes(body, &sent(request.model.as_deref().unwrap_or_default()))?;
        expect["model"] = "another".into();
        same_json(&expect.to_string(), &sent("another"))
    });
}

#[test]
fn requests_to_count_are_sent_as_they_came() {
    let exchanges = recorded(&FILES, &["messages.count_tokens"]);
    count("anthropic counts", &exchanges);
    let cases = exchanges.iter().filter_map(|exchange| Some((exchange.id.as_str(), exchange.asked()?)));
    exceptions::check("anthropic counts", "", cases, |body| {
        let request = MessagesRequest::decode_count(Bytes::copy_from_slice(body.as_bytes())).map_err(|f| f.message)?;
        let sent = request.encode(request.model.as_deref().unwrap_or_default()).concat();
        same_bytes(body, &String::from_utf8(sent).unwrap())
    });
}

#[test]
fn replies_pass_but_for_the_meta_block() {
    let mut exchanges = recorded(&FILES, &REPLIES);
    exchanges.retain(|exchange| exchange.succeeded() && !exchange.is_stream());
    count("anthropic replies", &exchanges);
    let cases = exchanges.iter().map(|exchange| (exchange.id.as_str(), exchange.response.body.as_str()));
    exceptions::check("anthropic replies", "", cases, |body| {
        let reply = MessagesResponse::decode(Bytes::copy_from_slice(body.as_bytes()), "crossway");
        let reply = reply.map_err(|error| format!("{error:?}"))?;
        let expect: Value = serde_json::from_str(body).map_err(|error| error.to_string())?;
        same("id", text(&expect["id"]), reply.id.clone())?;
        same("stop_reason", text(&expect["stop_reason"]), reply.finish_reason.clone())?;
        same("usage", Some(usage(&expect["usage"])), reply.usage)?;
        let seen = String::from_utf8(reply.encode(member(META)).concat()).unwrap();
        same("last member", true, serde_json::from_str(&seen).is_ok_and(|seen: Value| ends_with_meta(&seen)))?;
        same_bytes(body, &seen.replacen(META, "", 1))
    });
}

#[test]
fn errors_are_no_replies() {
    let mut exchanges = recorded(&FILES, &REPLIES);
    exchanges.retain(|exchange| exchange.response.status >= 400);
    count("anthropic errors", &exchanges);
    let cases = exchanges.iter().map(|exchange| (exchange.id.as_str(), exchange.response.body.as_str()));
    exceptions::check("anthropic errors", "", cases, |body| {
        let expect: Value = serde_json::from_str(body).map_err(|error| error.to_string())?;
        match MessagesResponse::decode(Bytes::copy_from_slice(body.as_bytes()), "crossway") {
            Err(NotAReply::Error(report)) => {
                same("message", text(&expect["error"]["message"]), report.message)?;
                same("type", text(&expect["error"]["type"]), report.code)
            }
            other => Err(format!("{other:?}")),
        }
    });
}

fn check_stream(exchange: &Exchange) -> Result<(), String> {
    let body = &exchange.response.body;
    let (seen, passed) = stream(body, || MessagesStream::new("crossway", member(META)))?;
    same_bytes(&up_to(body, "event: message_stop"), &seen.replacen(META, "", 1).replacen(ACCOUNT, "", 1))?;
    let (mut report, mut reason, mut begun) = (Value::Null, None, None);
    for event in data(&seen) {
        match event["type"].as_str() {
            Some("message_start") => {
                // One stream starts a second message in the middle of the first.
                if report.is_null() {
                    same("the message's last member", true, ends_with_meta(&event["message"]))?;
                    same("id", text(&event["message"]["id"]), passed.id.clone())?;
                }
                report = event["message"]["usage"].clone();
                begun = Some(Usage { output: 0, reasoning: 0, ..usage(&report) });
            }
            Some("message_delta") => {
                same("the last member", true, ends_with_meta(&event))?;
                reason = text(&event["delta"]["stop_reason"]);
                for (name, value) in event["usage"].as_object().into_iter().flatten() {
                    report[name] = value.clone();
                }
            }
            _ => {}
        }
    }
    same("stop_reason", reason, passed.finish_reason)?;
    same("begun", begun, passed.begun)?;
    same("usage", Some(usage(&report)), passed.usage)?;
    same("content", true, passed.has_content)
}

#[test]
fn streams_pass_but_for_the_meta_blocks() {
    let mut exchanges = recorded(&FILES, &REPLIES);
    exchanges.retain(|exchange| exchange.succeeded() && exchange.is_stream());
    count("anthropic streams", &exchanges);
    let cases = exchanges.iter().map(|exchange| (exchange.id.as_str(), exchange));
    exceptions::check("anthropic streams", "", cases, check_stream);
}
