//! Recorded traffic of the dialect `gemini`.

use dialect::gemini::error;
use dialect::gemini::request::{decode, encode};
use dialect::gemini::response::{decode as reply, encode as render};
use dialect::gemini::stream::decode::Decoder;
use dialect::gemini::stream::encode::Encoder;
use dialect::translate::{Callee, Encode, Label, NotAReply};
use ir::chat::message::{Content, Part};
use ir::chat::response::{Finish, Response};
use ir::dialect::Dialect;
use serde_json::{Map, Value};

use crate::exceptions;
use crate::exchanges::{self, Exchange};
use crate::laws::{events, folded, same_json};

const SEED: &str = "0123456789abcdef0123456789abcdef";

const LABEL: Label<'_> = Label { seed: SEED, model: "", created: 0 };

/// Returns the exchanges of Google's own API, of Vertex AI and of the parallel scenarios.
pub fn recorded() -> Vec<Exchange> {
    let endpoints = ["generateContent", "streamGenerateContent"];
    ["gemini", "vertex", "parallel"].iter().flat_map(|file| exchanges::of(file, &endpoints)).collect()
}

/// Returns the model of a path: `/v1beta/models/gemini-2.5-flash:generateContent`.
pub fn model(exchange: &Exchange) -> &str {
    let path = exchange.request.as_ref().map(|request| request.path.as_str());
    let name = path.and_then(|path| path.split("models/").nth(1)).and_then(|rest| rest.split(':').next());
    name.unwrap_or_default()
}

pub fn callee(model: &str) -> Callee<'_> {
    Callee { model, max_output_tokens: None, ask_usage: false, quirks: &[], refuses: &[] }
}

#[test]
fn requests_go_there_and_back() {
    let recorded = recorded();
    let cases = recorded.iter().filter_map(|exchange| Some((exchange.id.as_str(), (exchange, exchange.asked()?))));
    exceptions::check("gemini requests", include_str!("exceptions/gemini_requests.txt"), cases, |(exchange, asked)| {
        let request = decode::decode(asked).map_err(|failure| failure.message)?;
        let encoded = encode::encode(&request, &callee(model(exchange))).map_err(|failure| failure.message)?;
        if !encoded.dropped.is_empty() {
            return Err(format!("dropped {:?}", encoded.dropped));
        }
        let said = |text: &[u8]| meaning(&serde_json::from_slice(text).unwrap(), "").to_string();
        same_json(&said(asked.as_bytes()), &said(&encoded.body))
    });
}

/// Returns what protobuf's JSON means by a value, as far as the recordings leave a choice: camel case and snake case,
/// `null` and absent, an empty message and none, a list of one and its element, both alphabets of base64, enums in
/// either case; and without what Gemini passes over: `thought: false`, the role of the system prompt, the model (it
/// stands in the path). Schemas and arguments stay as they are.
fn meaning(value: &Value, within: &str) -> Value {
    let opaque = ["args", "response", "properties", "responseSchema", "responseJsonSchema"].contains(&within)
        || within.starts_with("parameters");
    match value {
        _ if opaque => value.clone(),
        Value::Object(members) => {
            let mut out = Map::new();
            for (name, value) in members {
                let name = camel(name);
                let value = match (name.as_str(), value) {
                    ("model", _) | (_, Value::Null) | ("thought", Value::Bool(false)) => continue,
                    ("role", _) if within == "systemInstruction" => continue,
                    ("parts", Value::Object(_)) => meaning(&Value::Array(vec![value.clone()]), &name),
                    ("data", Value::String(text)) => Value::String(text.replace('-', "+").replace('_', "/")),
                    ("mode" | "thinkingLevel", Value::String(text)) => Value::String(text.to_ascii_uppercase()),
                    _ => meaning(value, &name),
                };
                if name.ends_with("Config") && value == Value::Object(Map::new()) {
                    continue;
                }
                out.insert(name, value);
            }
            Value::Object(out)
        }
        Value::Array(list) => Value::Array(list.iter().map(|value| meaning(value, within)).collect()),
        value => value.clone(),
    }
}

fn camel(name: &str) -> String {
    let mut words = name.split('_');
    let first = words.next().unwrap_or_default().to_owned();
    first + &words.map(|word| word[..1].to_ascii_uppercase() + &word[1..]).collect::<String>()
}

#[test]
fn whole_answers_are_understood() {
    let recorded = recorded();
    let cases = recorded.iter().filter(|exchange| exchange.succeeded() && !exchange.is_stream());
    let cases = cases.map(|exchange| (exchange.id.as_str(), exchange));
    exceptions::check("gemini replies", "", cases, |exchange| {
        let body = &exchange.response.body;
        let response = reply::decode(body, SEED).map_err(|error| format!("{error:?}"))?;
        let said = [serde_json::from_str(body).unwrap()];
        compare(&said, &response)?;
        let again = render::encode(&response, &LABEL);
        let again = reply::decode(&String::from_utf8_lossy(&again), SEED).map_err(|error| format!("{error:?}"))?;
        if again == response { Ok(()) } else { Err(format!("written again it is {again:?}, not {response:?}")) }
    });
}

#[test]
fn streams_are_understood_however_they_are_cut() {
    let recorded = recorded();
    let cases = recorded.iter().filter(|exchange| exchange.succeeded() && exchange.is_stream());
    let cases = cases.map(|exchange| (exchange.id.as_str(), exchange));
    exceptions::check("gemini streams", "", cases, |exchange| {
        let body = &as_events(&exchange.response.body);
        let read = |size| {
            events(Dialect::Gemini, Decoder::new(SEED), body.as_bytes(), size).map_err(|error| format!("{error:?}"))
        };
        let whole = read(body.len())?;
        for size in [1, 7, 64] {
            if read(size)? != whole {
                return Err(format!("in pieces of {size} it says something else"));
            }
        }
        let frames: Vec<Value> = body
            .lines()
            .filter_map(|line| line.strip_prefix("data:"))
            .map(|data| serde_json::from_str(data).unwrap())
            .collect();
        compare(&frames, &folded(whole.clone()))?;
        let (mut encoder, mut again) = (Encoder::new(&LABEL, Vec::new()), Vec::new());
        whole.into_iter().for_each(|event| encoder.event(event, &mut again));
        encoder.finish(b"", &mut again);
        let again = events(Dialect::Gemini, Decoder::new(SEED), &again, again.len());
        let again = again.map_err(|error| format!("written again: {error:?}"))?;
        compare(&frames, &folded(again)).map_err(|said| format!("written again: {said}"))
    });
}

/// Returns a stream as events: without `alt=sse` the same comes as the elements of a list.
fn as_events(body: &str) -> String {
    let list = serde_json::from_str::<Vec<Value>>(body).unwrap_or_default();
    let events: String = list.iter().map(|element| format!("data: {element}\n\n")).collect();
    if events.is_empty() { body.to_owned() } else { events }
}

#[test]
fn errors_are_understood() {
    let recorded = recorded();
    let cases = recorded.iter().filter(|exchange| exchange.response.status != 200);
    let cases = cases.map(|exchange| (exchange.id.as_str(), exchange));
    exceptions::check("gemini errors", "", cases, |exchange| {
        let body = &exchange.response.body;
        let said: Value = serde_json::from_str(body).unwrap();
        let report = error::read(body.as_bytes());
        if report.message.as_deref() != said["error"]["message"].as_str() || report.code.is_none() {
            return Err(format!("{report:?}"));
        }
        match reply::decode(body, SEED) {
            Err(NotAReply::Error(again)) if again == report => Ok(()),
            other => Err(format!("{other:?}")),
        }
    });
}

/// Compares an answer with what its frames (or its only body) say.
fn compare(frames: &[Value], found: &Response) -> Result<(), String> {
    let mut expect = Expect::default();
    frames.iter().for_each(|frame| expect.add(frame));
    let first = found.choices.first().ok_or("no choice")?;
    let parts: &[Part] = &first.parts;
    let (mut text, mut thoughts, mut calls, mut foreign, mut signed) = (String::new(), String::new(), Vec::new(), 0, 0);
    let mut cited = 0;
    for part in parts {
        signed += usize::from(part.signature.is_some());
        match &part.content {
            Content::Text { text: more, citations } => {
                text += more;
                cited += citations.len();
            }
            Content::Thinking { text: more, .. } => thoughts += more,
            Content::ToolCall(call) => {
                if call.id.is_empty() {
                    return Err("a call has no id".to_owned());
                }
                let arguments = serde_json::from_str(&call.arguments).map_err(|error| error.to_string())?;
                calls.push((call.name.clone(), arguments));
            }
            Content::Foreign { block, .. } => {
                foreign += 1;
                signed += usize::from(block.as_str().contains("houghtSignature"));
            }
            other => return Err(format!("a part that no one expected: {other:?}")),
        }
    }
    let finish = match expect.reason.as_str() {
        "STOP" if !calls.is_empty() => Finish::ToolCalls,
        "STOP" => Finish::Stop,
        "MAX_TOKENS" => Finish::Length,
        "" => Finish::ContentFilter,
        other => return Err(format!("no finish is known for {other}")),
    };
    let same = [
        ("choices", found.choices.len() == expect.choices.max(1)),
        ("text", text == expect.text),
        ("thoughts", thoughts == expect.thoughts),
        ("calls", calls == expect.calls),
        ("foreign blocks", foreign == expect.foreign),
        ("signatures", signed == expect.signed),
        ("citations", cited == expect.cited),
        ("finish", first.finish == finish),
        ("model", found.model == expect.model),
        ("id", found.id == expect.id),
        ("logprobs", first.logprobs.is_some() == expect.logprobs),
        ("usage", found.usage.map(|usage| (usage.input_tokens(), usage.output_tokens())) == expect.usage),
        ("cached", found.usage.map_or(0, |usage| usage.cached_input) == expect.cached),
        ("reasoning", found.usage.map_or(0, |usage| usage.reasoning) == expect.reasoning),
    ];
    match same.iter().find(|(_, same)| !same) {
        Some((what, _)) => Err(format!("{what}: {expect:?} is not {found:?}")),
        None => Ok(()),
    }
}

/// What frames say, read by other means.
#[derive(Debug, Default)]
struct Expect {
    choices: usize,
    text: String,
    thoughts: String,
    calls: Vec<(String, Value)>,
    foreign: usize,
    signed: usize,
    cited: usize,
    reason: String,
    model: String,
    id: String,
    logprobs: bool,
    usage: Option<(u64, u64)>,
    cached: u64,
    reasoning: u64,
}

impl Expect {
    fn add(&mut self, frame: &Value) {
        let word = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        (self.model, self.id) = (word(&frame["modelVersion"]), word(&frame["responseId"]));
        self.choices = self.choices.max(frame["candidates"].as_array().map_or(0, Vec::len));
        let candidate = &frame["candidates"][0];
        for part in candidate["content"]["parts"].as_array().into_iter().flatten() {
            self.signed += usize::from(part.get("thoughtSignature").is_some());
            match (part["text"].as_str(), part["thought"] == true, part.get("functionCall")) {
                (Some(text), true, _) => self.thoughts += text,
                (Some(text), false, _) => self.text += text,
                (None, _, Some(call)) => self.calls.push((word(&call["name"]), call["args"].clone())),
                (None, ..) => self.foreign += 1,
            }
        }
        match &candidate["finishReason"] {
            Value::Number(number) if number.as_u64() == Some(1) => self.reason = "STOP".to_owned(),
            Value::String(reason) => self.reason = reason.clone(),
            _ => {}
        }
        self.logprobs |= candidate.get("logprobsResult").is_some();
        let grounding = &candidate["groundingMetadata"];
        let supports: usize = grounding["groundingSupports"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|support| support["groundingChunkIndices"].as_array().map_or(0, Vec::len))
            .sum();
        self.cited += if supports > 0 { supports } else { grounding["groundingChunks"].as_array().map_or(0, Vec::len) };
        let usage = &frame["usageMetadata"];
        let count = |name: &str| usage[name].as_u64().unwrap_or(0);
        if usage["totalTokenCount"].is_u64() {
            let output = count("candidatesTokenCount") + count("thoughtsTokenCount");
            self.usage = Some((count("totalTokenCount") - output, output));
            (self.cached, self.reasoning) = (count("cachedContentTokenCount"), count("thoughtsTokenCount"));
        }
    }
}
