//! Recorded traffic of the dialect `cohere`.

use std::collections::HashSet;

use dialect::cohere::{error, request, response, stream};
use dialect::translate::{Callee, NotAReply};
use ir::chat::message::Content;
use ir::chat::response::{Finish, Response};
use ir::dialect::Dialect;
use serde_json::{Value, json};

use crate::exchanges::{self, Exchange};
use crate::{exceptions, laws};

const SEED: &str = "00112233445566778899aabbccddeeff";

/// Returns the dialect's exchanges of every file, each once.
fn recorded() -> Vec<Exchange> {
    let files = ["cohere", "parallel", "response_only"];
    let mut found: Vec<Exchange> = files.into_iter().flat_map(|file| exchanges::of(file, &["v2.chat"])).collect();
    let mut seen = HashSet::new();
    found.retain(|exchange| seen.insert(exchange.id.clone()));
    found
}

/// Brings spellings that mean the same to one: a text is a list of one block, what is absent by default is left out,
/// and the tool choice is taken in either case.
fn plain(text: &str) -> String {
    let mut body: Value = serde_json::from_str(text).unwrap();
    let object = body.as_object_mut().unwrap();
    object.entry("stream").or_insert(json!(false));
    object.retain(|name, value| !(["documents", "tools"].contains(&name.as_str()) && *value == json!([])));
    if let Some(choice) = object.get_mut("tool_choice") {
        *choice = json!(choice.as_str().unwrap().to_uppercase());
    }
    for message in body["messages"].as_array_mut().unwrap() {
        let message = message.as_object_mut().unwrap();
        if let Some(text) = message.get("content").and_then(Value::as_str) {
            let text = json!([{"type": "text", "text": text}]);
            message.insert("content".to_owned(), text);
        }
        let empty = ["content", "tool_calls", "tool_plan"];
        message.retain(|name, value| !(empty.contains(&name.as_str()) && [json!(null), json!([])].contains(value)));
    }
    body.to_string()
}

#[test]
fn requests_are_written_as_they_were_read() {
    let recorded = recorded();
    let cases = recorded.iter().filter_map(|exchange| Some((exchange.id.as_str(), exchange.asked()?)));
    exceptions::check("cohere requests", include_str!("exceptions/cohere_requests.txt"), cases, |body| {
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
    exceptions::check("cohere answers", "", cases, |exchange| {
        let body = &exchange.response.body;
        if !exchange.is_stream() {
            let whole = response::decode::decode(body, SEED).map_err(|error| format!("{error:?}"))?;
            return same_answer(&Said::of_reply(body), &whole);
        }
        let events = |size| laws::events(Dialect::Cohere, stream::decode::Decoder::new(SEED), body.as_bytes(), size);
        let (whole, expect) = (events(body.len()), Said::of_stream(body));
        if let Some(size) = [1, 7, 64].into_iter().find(|size| events(*size) != whole) {
            return Err(format!("other events in pieces of {size}"));
        }
        match whole {
            Ok(whole) => same_answer(&expect, &laws::folded(whole)),
            Err(NotAReply::Error(report)) if expect.finish == "ERROR" && report.message == expect.error => Ok(()),
            Err(error) => Err(format!("{error:?}")),
        }
    });
}

/// What an answer says, told from its raw JSON.
#[derive(Debug, Default, PartialEq)]
struct Said {
    id: String,
    text: String,
    thoughts: String,
    calls: Vec<(String, String, String)>,
    citations: Vec<Value>,
    finish: String,
    error: Option<String>,
    billed: Option<(u64, u64)>,
}

impl Said {
    fn message(&mut self, message: &Value) {
        let list = |value: &Value| match value {
            Value::Array(list) => list.clone(),
            Value::Null => Vec::new(),
            one => vec![one.clone()],
        };
        self.thoughts += message["tool_plan"].as_str().unwrap_or_default();
        for block in list(&message["content"]) {
            self.text += block["text"].as_str().unwrap_or_default();
            self.thoughts += block["thinking"].as_str().unwrap_or_default();
        }
        for call in list(&message["tool_calls"]) {
            let function = |name: &str| call["function"][name].as_str().unwrap_or_default().to_owned();
            match (call["id"].as_str(), self.calls.last_mut()) {
                (None, Some(last)) => last.2 += &function("arguments"),
                (id, _) => self.calls.push((id.unwrap().to_owned(), function("name"), function("arguments"))),
            }
        }
        self.citations.extend(list(&message["citations"]));
    }

    fn end(&mut self, end: &Value) {
        self.finish = end["finish_reason"].as_str().unwrap_or_default().to_owned();
        self.error = end["error"].as_str().map(str::to_owned);
        let billed = |name: &str| end["usage"]["billed_units"][name].as_u64();
        self.billed = billed("input_tokens").zip(billed("output_tokens"));
        for call in self.calls.iter_mut().filter(|call| call.2.is_empty()) {
            call.2.push_str("{}");
        }
    }

    fn of_reply(body: &str) -> Self {
        let reply: Value = serde_json::from_str(body).unwrap();
        let mut said = Self { id: reply["id"].as_str().unwrap_or_default().to_owned(), ..Self::default() };
        said.message(&reply["message"]);
        said.end(&reply);
        said
    }

    fn of_stream(body: &str) -> Self {
        let mut said = Self::default();
        for data in body.lines().filter_map(|line| line.strip_prefix("data:")).filter(|data| !data.contains("[DONE]")) {
            let event: Value = serde_json::from_str(data).unwrap();
            match event["type"].as_str().unwrap() {
                "message-start" => said.id = event["id"].as_str().unwrap_or_default().to_owned(),
                "message-end" => said.end(&event["delta"]),
                _ => said.message(&event["delta"]["message"]),
            }
        }
        said
    }
}

fn same_answer(expect: &Said, found: &Response) -> Result<(), String> {
    let choice = found.choices.first().ok_or("no choice")?;
    let mut said = Said { id: found.id.clone(), ..Said::default() };
    for part in &choice.parts {
        match &part.content {
            Content::Text { text, citations } => {
                said.text += text;
                for citation in citations {
                    let (_, original) = citation.original.as_ref().unwrap();
                    said.citations.push(serde_json::from_str(original.as_str()).unwrap());
                    let (from, to) = citation.span.unwrap();
                    let cited: String = text.chars().skip(from as usize).take((to - from) as usize).collect();
                    if Some(&cited) != citation.cited_text.as_ref() {
                        return Err(format!("the cited words are elsewhere: {citation:?}"));
                    }
                }
            }
            Content::Thinking { text, .. } => said.thoughts += text,
            Content::ToolCall(call) => said.calls.push((call.id.clone(), call.name.clone(), call.arguments.clone())),
            other => return Err(format!("a part of another kind: {other:?}")),
        }
    }
    said.finish = match &choice.finish {
        Finish::Stop => "COMPLETE",
        Finish::StopSequence(None) => "STOP_SEQUENCE",
        Finish::Length => "MAX_TOKENS",
        Finish::ToolCalls => "TOOL_CALL",
        other => return Err(format!("ended by {other:?}")),
    }
    .to_owned();
    said.billed = found.usage.map(|usage| (usage.input_tokens(), usage.output_tokens()));
    if said == *expect { Ok(()) } else { Err(format!("expected {expect:?}, found {said:?}")) }
}

#[test]
fn errors_are_read() {
    let mut read = 0;
    for exchange in recorded().iter().filter(|exchange| exchange.response.status >= 400) {
        let body = &exchange.response.body;
        let expect = serde_json::from_str::<Value>(body).unwrap()["message"].as_str().map(str::to_owned);
        assert!(expect.is_some(), "{}", exchange.id);
        assert_eq!(error::read(body.as_bytes()).message, expect, "{}", exchange.id);
        assert!(
            matches!(response::decode::decode(body, SEED), Err(NotAReply::Error(report)) if report.message == expect)
        );
        read += 1;
    }
    println!("cohere errors: {read} read");
}
