//! Recorded traffic of the dialect `anthropic`.

use dialect::anthropic::request;
use dialect::anthropic::response;
use dialect::anthropic::stream::decode::Decoder;
use dialect::anthropic::stream::encode::Encoder;
use dialect::translate::{Callee, Encode as _, Label, NotAReply};
use ir::chat::event::Event;
use ir::chat::response::Response;
use ir::dialect::Dialect;
use serde_json::{Map, Value, json};

use crate::exceptions;
use crate::exchanges::{self, Exchange};
use crate::laws;

const SEED: &str = "0123456789abcdef0123456789abcdef";
const LABEL: Label<'_> = Label { seed: SEED, model: "m", created: 0 };
const META: &[u8] = br#""crossway":{"cost":1}"#;

/// Returns every recorded exchange of the dialect.
fn all() -> Vec<Exchange> {
    let mut found = exchanges::of("anthropic", &["messages"]);
    found.extend(exchanges::of("vertex", &["anthropic.rawPredict", "anthropic.streamRawPredict"]));
    let parallel = exchanges::read("parallel").into_iter();
    found.extend(parallel.filter(|exchange| exchange.family.as_deref() == Some("anthropic.messages")));
    let alone = exchanges::read("response_only").into_iter();
    found.extend(alone.filter(|exchange| exchange.provider == "anthropic" && exchange.endpoint == "messages"));
    found
}

#[test]
fn requests_survive_the_round_trip() {
    let all = all();
    let asked = all.iter().filter_map(|exchange| Some((exchange.id.as_str(), exchange.asked()?)));
    let listed = include_str!("exceptions/anthropic_requests.txt");
    exceptions::check("anthropic requests", listed, asked, |body| {
        let given: Value = serde_json::from_str(body).unwrap();
        let request = request::decode::decode(body).map_err(|failure| failure.message)?;
        let callee = Callee {
            model: given["model"].as_str().unwrap_or_default(),
            max_output_tokens: None,
            ask_usage: false,
            quirks: &[],
            refuses: &[],
        };
        let encoded = request::encode::encode(&request, &callee).map_err(|failure| failure.message)?;
        let mut found: Value = serde_json::from_slice(&encoded.body).unwrap();
        if given.get("model").is_none() {
            // Vertex AI names the model in the path.
            found.as_object_mut().unwrap().remove("model");
        }
        if !encoded.dropped.is_empty() {
            return Err(format!("dropped: {:?}", encoded.dropped));
        }
        laws::same_json(&plain_request(given).to_string(), &plain_request(found).to_string())
    });
}

#[test]
fn replies_survive_the_round_trip() {
    let all = all();
    let replies = all.iter().filter(|exchange| exchange.succeeded() && !exchange.is_stream());
    let replies = replies.map(|exchange| (exchange.id.as_str(), exchange.response.body.as_str()));
    let listed = include_str!("exceptions/anthropic_replies.txt");
    exceptions::check("anthropic replies", listed, replies, |body| {
        let response = response::decode::decode(body, SEED).map_err(|error| format!("{error:?}"))?;
        let encoded = String::from_utf8(response::encode::encode(&response, &LABEL)).unwrap();
        laws::same_json(&plain_reply(body), &plain_reply(&encoded))
    });
}

#[test]
fn errors_are_read() {
    let all = all();
    let failed = all.iter().filter(|exchange| exchange.response.status != 200);
    let failed = failed.map(|exchange| (exchange.id.as_str(), exchange.response.body.as_str()));
    exceptions::check("anthropic errors", "", failed, |body| {
        let report = dialect::anthropic::error::read(body.as_bytes());
        let given: Value = serde_json::from_str(body).unwrap();
        let expect = (given["error"]["message"].as_str(), given["error"]["type"].as_str());
        if (report.message.as_deref(), report.code.as_deref()) != expect {
            return Err(format!("{report:?}"));
        }
        match response::decode::decode(body, SEED) {
            Err(NotAReply::Error(found)) if found == report => Ok(()),
            other => Err(format!("{other:?}")),
        }
    });
}

#[test]
fn streams_are_the_same_however_they_are_cut() {
    let all = all();
    let listed = include_str!("exceptions/anthropic_streams.txt");
    exceptions::check("anthropic streams", listed, streams(&all), |body| {
        let whole = events(body, body.len())?;
        for size in [1, 7, 64] {
            if events(body, size)? != whole {
                return Err(format!("other events in pieces of {size}"));
            }
        }
        Ok(())
    });
}

#[test]
fn streams_fold_into_what_the_sdk_accumulates() {
    let all = all();
    let listed = include_str!("exceptions/anthropic_folds.txt");
    exceptions::check("anthropic folds", listed, streams(&all), |body| {
        let response = laws::folded(events(body, body.len())?);
        let found = String::from_utf8(response::encode::encode(&response, &LABEL)).unwrap();
        laws::same_json(&plain_reply(&accumulated(body).to_string()), &plain_reply(&found))
    });
}

#[test]
fn streams_survive_the_round_trip() {
    let all = all();
    let listed = include_str!("exceptions/anthropic_streams.txt");
    exceptions::check("anthropic streams written", listed, streams(&all), |body| {
        let whole = events(body, body.len())?;
        let text = written(whole.clone());
        let again = events(&text, text.len())?;
        if sorted(laws::folded(whole.clone())) != sorted(laws::folded(again.clone())) {
            return Err("the answer is another".to_owned());
        }
        let steps = |events: &[Event]| {
            let told = |event: &&Event| !matches!(event, Event::Extras(_));
            events.iter().filter(told).cloned().collect::<Vec<_>>()
        };
        if steps(&whole) != steps(&again) {
            return Err("the events are others".to_owned());
        }
        let last = text.rsplit("event: message_delta").next().unwrap_or_default();
        let first = text.split("event: content_block").next().unwrap_or_default();
        let metas = first.contains(r#","crossway":{"first":1}}}"#) && last.contains(r#","crossway":{"cost":1}}"#);
        if metas { Ok(()) } else { Err("the meta blocks are missing".to_owned()) }
    });
}

fn streams(all: &[Exchange]) -> impl Iterator<Item = (&str, &str)> {
    let streams = all.iter().filter(|exchange| exchange.succeeded() && exchange.is_stream());
    streams.map(|exchange| (exchange.id.as_str(), exchange.response.body.as_str()))
}

fn events(body: &str, size: usize) -> Result<Vec<Event>, String> {
    laws::events(Dialect::Anthropic, Decoder::new(SEED), body.as_bytes(), size).map_err(|error| format!("{error:?}"))
}

fn written(events: Vec<Event>) -> String {
    let mut encoder = Encoder::new(&LABEL, br#""crossway":{"first":1}"#.to_vec());
    let mut out = Vec::new();
    events.into_iter().for_each(|event| encoder.event(event, &mut out));
    encoder.finish(META, &mut out);
    String::from_utf8(out).unwrap()
}

/// Returns an answer with its extras in the order of their names, without our own.
fn sorted(response: Response) -> String {
    let mut extras: Vec<String> = response
        .extras
        .of(Dialect::Anthropic)
        .filter(|(name, _)| *name != "crossway")
        .map(|(name, value)| format!("{name}: {value:?}"))
        .collect();
    extras.sort();
    let Response { id, model, choices, usage, service_tier, .. } = response;
    format!("{id} {model} {choices:?} {usage:?} {service_tier:?} {extras:?}")
}

/// Takes `null`s out of the blocks of a request: they say nothing. What is carried whole keeps them.
fn plain_request(mut request: Value) -> Value {
    for message in request["messages"].as_array_mut().unwrap() {
        content(message);
    }
    request
}

fn content(holder: &mut Value) {
    let Some(blocks) = holder.get_mut("content").and_then(Value::as_array_mut) else { return };
    let own = |block: &&mut Value| matches!(block["type"].as_str(), Some("text" | "tool_result" | "tool_use"));
    for block in blocks.iter_mut().filter(own) {
        block.as_object_mut().unwrap().retain(|_, value| !value.is_null());
        content(block);
    }
}

/// Brings a reply to one form: `null` says nothing, nor do empty citations. The newest keys are written, the recorded
/// replies may be older.
fn plain_reply(reply: &str) -> String {
    let mut reply: Value = serde_json::from_str(reply).unwrap();
    prune(&mut reply);
    for block in reply["content"].as_array_mut().unwrap() {
        if block["citations"] == json!([]) {
            block.as_object_mut().unwrap().remove("citations");
        }
    }
    for name in ["cache_creation_input_tokens", "cache_read_input_tokens"] {
        let usage = reply["usage"].as_object_mut().unwrap();
        usage.entry(name).or_insert(json!(0));
    }
    reply.to_string()
}

fn prune(value: &mut Value) {
    match value {
        Value::Object(members) => {
            members.retain(|_, value| !value.is_null());
            members.values_mut().for_each(prune);
        }
        Value::Array(list) => list.iter_mut().for_each(prune),
        _ => {}
    }
}

/// Accumulates a stream as the official SDKs do (anthropic-sdk-python `lib/streaming/_messages.py`,
/// `accumulate_event`), with every member of `message_delta` that they know.
fn accumulated(body: &str) -> Value {
    let mut message = Value::Null;
    let mut inputs: Vec<String> = Vec::new();
    let datas = body.lines().filter_map(|line| line.strip_prefix("data:"));
    for event in datas.map(|data| serde_json::from_str::<Value>(data).unwrap()) {
        match event["type"].as_str().unwrap() {
            "message_start" => message = event["message"].clone(),
            "content_block_start" => {
                let mut block = event["content_block"].clone();
                if block["caller"] == json!({"type": "direct"}) && block["type"] == "tool_use" {
                    block.as_object_mut().unwrap().remove("caller");
                }
                message["content"].as_array_mut().unwrap().push(block);
                inputs.push(String::new());
            }
            "content_block_delta" => {
                let at = usize::try_from(event["index"].as_u64().unwrap()).unwrap();
                accumulate(&mut message["content"][at], &mut inputs[at], &event["delta"]);
            }
            "message_delta" => {
                merge(&mut message, event["delta"].as_object().unwrap());
                merge(&mut message["usage"], event["usage"].as_object().unwrap());
                if event.get("context_management").is_some() {
                    message["context_management"] = event["context_management"].clone();
                }
            }
            "message_stop" => break,
            _ => {}
        }
    }
    message
}

fn merge(into: &mut Value, from: &Map<String, Value>) {
    for (name, value) in from.iter().filter(|(_, value)| !value.is_null()) {
        into[name] = value.clone();
    }
}

fn accumulate(block: &mut Value, input: &mut String, delta: &Value) {
    let append = |block: &mut Value, name: &str| {
        let text = block[name].as_str().unwrap_or_default().to_owned() + delta[name].as_str().unwrap();
        block[name] = json!(text);
    };
    match delta["type"].as_str().unwrap() {
        "text_delta" => append(block, "text"),
        "thinking_delta" => append(block, "thinking"),
        "signature_delta" => block["signature"] = delta["signature"].clone(),
        "citations_delta" => {
            if !block["citations"].is_array() {
                block["citations"] = json!([]);
            }
            block["citations"].as_array_mut().unwrap().push(delta["citation"].clone());
        }
        "input_json_delta" => {
            input.push_str(delta["partial_json"].as_str().unwrap());
            if let Ok(whole) = serde_json::from_str(input) {
                block["input"] = whole;
            }
        }
        "compaction_delta" => block["content"] = delta["content"].clone(),
        other => panic!("a delta that nobody knows: {other}"),
    }
}
