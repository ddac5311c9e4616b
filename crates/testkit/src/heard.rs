//! What a caller makes of a stream: read as strictly as the standard and the vendors' SDKs read it.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::caller::Caller;
use crate::client::Reply;

/// One server-sent event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// Its name.
    pub event: Option<String>,
    /// Its data.
    pub data: String,
}

/// What a stream amounts to.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Heard {
    /// The text of the first choice.
    pub text: String,
    /// The text of the others.
    pub others: BTreeMap<u64, String>,
    /// Tool calls: name and arguments.
    pub calls: Vec<(String, String)>,
    /// The finish reason of the first choice.
    pub finish: Option<String>,
    /// Input and output tokens.
    pub usage: Option<(u64, u64)>,
    /// The event that ended it instead of an end marker.
    pub error: Option<Value>,
    /// Whether the end marker came.
    pub ended: bool,
    /// Data that is no JSON.
    pub unreadable: Vec<String>,
}

/// Reads server-sent events (WHATWG HTML, section 9.2.6). Nothing may be left over.
pub fn frames(text: &str) -> Vec<Frame> {
    let text = text.replace("\r\n", "\n").replace('\r', "\n");
    let mut found = Vec::new();
    let mut rest = text.strip_prefix('\u{feff}').unwrap_or(&text);
    while !rest.is_empty() {
        let (event, after) = rest.split_once("\n\n").unwrap_or_else(|| panic!("an event is cut off: {rest:?}"));
        rest = after.trim_start_matches('\n');
        let values = |name: &str| -> Vec<String> {
            let fields = event.lines().map(|line| line.split_once(':').unwrap_or((line, "")));
            let of = fields.filter(|(field, _)| *field == name);
            of.map(|(_, value)| value.strip_prefix(' ').unwrap_or(value).to_owned()).collect()
        };
        let data = values("data");
        if !data.is_empty() {
            found.push(Frame { event: values("event").pop(), data: data.join("\n") });
        }
    }
    found
}

/// Reads the stream of a reply.
pub fn heard(caller: Caller, reply: &Reply) -> Heard {
    assert_eq!((reply.status, reply.whole), (200, true), "{}", reply.text());
    assert_eq!(reply.header("content-type"), Some("text/event-stream; charset=utf-8"));
    let mut heard = Heard::default();
    let frames = frames(reply.text());
    match caller {
        Caller::Openai => openai(&frames, &mut heard),
        Caller::Anthropic => anthropic(&frames, &mut heard),
    }
    heard
}

fn openai(frames: &[Frame], heard: &mut Heard) {
    let mut calls: BTreeMap<u64, (String, String)> = BTreeMap::new();
    for frame in frames {
        assert!(!heard.ended && heard.error.is_none(), "something follows the end: {frame:?}");
        if frame.data == "[DONE]" {
            heard.ended = true;
            continue;
        }
        let Ok(chunk) = serde_json::from_str::<Value>(&frame.data) else {
            heard.unreadable.push(frame.data.clone());
            continue;
        };
        if chunk["error"].is_object() {
            heard.error = Some(chunk);
            continue;
        }
        for choice in chunk["choices"].as_array().expect("choices") {
            let index = choice["index"].as_u64().expect("an index");
            let text = choice["delta"]["content"].as_str().unwrap_or_default();
            if index > 0 {
                heard.others.entry(index).or_default().push_str(text);
                continue;
            }
            heard.text.push_str(text);
            for call in choice["delta"]["tool_calls"].as_array().into_iter().flatten() {
                let (name, arguments) = calls.entry(call["index"].as_u64().expect("an index")).or_default();
                name.push_str(call["function"]["name"].as_str().unwrap_or_default());
                arguments.push_str(call["function"]["arguments"].as_str().unwrap_or_default());
            }
            if let Some(finish) = choice["finish_reason"].as_str() {
                heard.finish = Some(finish.to_owned());
            }
        }
        heard.usage = numbers(&chunk["usage"], "prompt_tokens", "completion_tokens").or(heard.usage);
    }
    heard.calls = calls.into_values().collect();
}

/// A block of a message.
#[derive(Default)]
struct Block {
    call: Option<(String, String)>,
    stopped: bool,
}

fn anthropic(frames: &[Frame], heard: &mut Heard) {
    let mut blocks: Vec<Block> = Vec::new();
    let mut input = None;
    for (at, frame) in frames.iter().enumerate() {
        assert!(!heard.ended && heard.error.is_none(), "something follows the end: {frame:?}");
        let Ok(event) = serde_json::from_str::<Value>(&frame.data) else {
            heard.unreadable.push(frame.data.clone());
            continue;
        };
        let kind = event["type"].as_str().expect("a type");
        assert_eq!(frame.event.as_deref(), Some(kind), "every event bears its type as its name: {frames:?}");
        assert!(at > 0 || kind == "message_start" || kind == "ping" || kind == "error", "{event}");
        let index = event["index"].as_u64().and_then(|index| usize::try_from(index).ok());
        match kind {
            "message_start" => input = event["message"]["usage"]["input_tokens"].as_u64(),
            "content_block_start" => {
                assert_eq!(index, Some(blocks.len()), "blocks have one index after the other: {event}");
                assert!(blocks.iter().all(|block| block.stopped), "blocks follow each other: {event}");
                let block = &event["content_block"];
                let name = block["name"].as_str().filter(|_| block["type"] == "tool_use");
                heard.text.push_str(block["text"].as_str().unwrap_or_default());
                blocks.push(Block { call: name.map(|name| (name.to_owned(), String::new())), stopped: false });
            }
            "content_block_delta" => {
                let block = index.and_then(|index| blocks.get_mut(index)).expect("a block that was started");
                let delta = &event["delta"];
                heard.text.push_str(delta["text"].as_str().unwrap_or_default());
                if let Some(json) = delta["partial_json"].as_str() {
                    assert!(!block.stopped, "arguments after the stop of their block: {event}");
                    block.call.as_mut().expect("a block that is a call").1.push_str(json);
                }
            }
            "content_block_stop" => {
                index.and_then(|index| blocks.get_mut(index)).expect("a block that was started").stopped = true;
            }
            "message_delta" => {
                if let Some(finish) = event["delta"]["stop_reason"].as_str() {
                    heard.finish = Some(finish.to_owned());
                }
                let usage = &event["usage"];
                let output = usage["output_tokens"].as_u64();
                heard.usage = usage["input_tokens"].as_u64().or(input).zip(output).or(heard.usage);
            }
            "message_stop" => {
                assert!(blocks.iter().all(|block| block.stopped), "a block is open at the end");
                heard.ended = true;
            }
            "error" => heard.error = Some(event),
            _ => {}
        }
    }
    heard.calls = blocks.into_iter().filter_map(|block| block.call).collect();
}

fn numbers(usage: &Value, input: &str, output: &str) -> Option<(u64, u64)> {
    usage[input].as_u64().zip(usage[output].as_u64())
}
