//! One request in two of `OpenAI`'s formats: what a library asked for as a chat completion and as a response means the
//! same once it is read.
//!
//! The members of a scenario agree in what the user says, in tools, pictures, files, the form of the answer and
//! streaming; instructions and parameters may differ.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;

use dialect::openai_responses::request;
use ir::chat::message::{Content, Part, Role, Source};
use ir::chat::request::{Format, Request, Tool};
use serde_json::Value;

use crate::exceptions;
use crate::exchanges::{self, Exchange};

/// What a request asks for, in words that both formats have.
#[derive(Debug, Default, PartialEq)]
struct Asked {
    stream: bool,
    texts: Vec<String>,
    /// Pictures and files: their address or data.
    attached: Vec<String>,
    /// Name, description, parameters.
    tools: Vec<(String, Option<String>, Value)>,
    /// The schema of the answer, or the word for its form.
    format: Option<Value>,
}

#[test]
fn a_response_asks_what_a_chat_completion_asks() {
    let listed = include_str!("exceptions/parallel_responses.txt");
    let mut scenarios: BTreeMap<String, [Option<Exchange>; 2]> = BTreeMap::new();
    for exchange in exchanges::read("parallel") {
        let at = match exchange.family.as_deref() {
            Some("openai.chat") => 0,
            Some("openai.responses") => 1,
            _ => continue,
        };
        if exchange.first_turn == Some(true)
            && exchange.asked().is_some()
            && let Some(scenario) = exchange.scenario.clone()
        {
            scenarios.entry(scenario).or_default()[at].get_or_insert(exchange);
        }
    }
    let pairs = scenarios.iter().filter_map(|(scenario, pair)| match pair {
        [Some(chat), Some(response)] => Some((scenario.as_str(), (chat, response))),
        _ => None,
    });
    exceptions::check("chat completions and responses", listed, pairs, |(chat, response)| {
        let chat = asked_of_chat(&serde_json::from_str(chat.asked().unwrap()).unwrap());
        let read = request::decode::decode(response.asked().unwrap()).map_err(|failure| failure.message)?;
        let response = asked(&read);
        for (what, same) in [
            ("stream", chat.stream == response.stream),
            ("texts", chat.texts == response.texts),
            ("attached", chat.attached == response.attached),
            ("tools", chat.tools == response.tools),
            ("format", chat.format == response.format),
        ] {
            if !same {
                return Err(format!("{what}: expected {chat:?}, found {response:?}"));
            }
        }
        Ok(())
    });
}

/// Returns what a canonical request asks for.
fn asked(request: &Request) -> Asked {
    let mut asked = Asked { stream: request.stream, ..Asked::default() };
    let user = request.messages.iter().filter(|message| message.role == Role::User);
    for part in user.flat_map(|message| &message.parts) {
        match &part.content {
            Content::Text { text, .. } => asked.texts.push(text.clone()),
            _ => asked.attached.extend(attached(part)),
        }
    }
    let functions = request.tools.iter().filter_map(|tool| match tool {
        Tool::Function(function) => Some(function),
        Tool::Foreign { .. } => None,
    });
    asked.tools = functions
        .map(|function| {
            let parameters = function.parameters.as_ref().map(|json| serde_json::from_str(json.as_str()).unwrap());
            let description = function.description.clone().filter(|text| !text.is_empty());
            (function.name.clone(), description, loose(parameters.unwrap_or_default()))
        })
        .collect();
    asked.format = match &request.format {
        Some(Format::JsonSchema(schema)) => {
            schema.schema.as_ref().map(|json| loose(serde_json::from_str(json.as_str()).unwrap()))
        }
        Some(Format::JsonObject) => Some("json_object".into()),
        Some(Format::Text) | None => None,
    };
    asked
}

fn attached(part: &Part) -> Option<String> {
    let source = match &part.content {
        Content::Image { source, .. } => source,
        Content::Document(document) => &document.source,
        _ => return None,
    };
    match source {
        Source::Url(at) | Source::File(at) => Some(at.clone()),
        Source::Base64 { media_type, data } => Some(format!("data:{media_type};base64,{data}")),
        Source::Text(_) | Source::Parts(_) => None,
    }
}

/// A schema without what clients add for strict functions.
fn loose(mut schema: Value) -> Value {
    if let Some(object) = schema.as_object_mut() {
        object.remove("additionalProperties");
        object.retain(|name, value| name != "required" || *value != serde_json::json!([]));
        object.values_mut().for_each(|value| *value = loose(value.take()));
    }
    schema
}

/// Returns what a chat completion asks for, from its JSON.
fn asked_of_chat(body: &Value) -> Asked {
    let mut asked = Asked { stream: body["stream"] == true, ..Asked::default() };
    let text = |value: &Value| value.as_str().map(str::to_owned);
    for message in body["messages"].as_array().unwrap().iter().filter(|message| message["role"] == "user") {
        asked.texts.extend(text(&message["content"]));
        for part in message["content"].as_array().into_iter().flatten() {
            asked.texts.extend(text(&part["text"]));
            let at = [&part["image_url"]["url"], &part["file"]["file_data"], &part["file"]["file_id"]];
            asked.attached.extend(at.into_iter().find_map(text));
        }
    }
    let functions = body["tools"].as_array().into_iter().flatten().map(|tool| &tool["function"]);
    asked.tools = functions
        .filter(|function| function.is_object())
        .map(|function| {
            let description = text(&function["description"]).filter(|text| !text.is_empty());
            (text(&function["name"]).unwrap(), description, loose(function["parameters"].clone()))
        })
        .collect();
    let format = &body["response_format"];
    asked.format = match format["type"].as_str() {
        Some("json_schema") => Some(loose(format["json_schema"]["schema"].clone())),
        Some("json_object") => Some("json_object".into()),
        _ => None,
    };
    asked
}
