//! The same logical request in several dialects, translated to OpenAI Responses: it must ask for what was recorded there.
//!
//! The members of a scenario agree in what the user says, in tools, pictures, files, the form of the answer and
//! streaming; instructions and parameters may differ.

use std::collections::BTreeMap;

use dialect::translate::Callee;
use dialect::{anthropic, openai_chat, openai_responses};
use ir::chat::message::{Content, Part, Role, Source};
use ir::chat::request::{Format, Request, Tool};
use ir::failure::Failure;
use serde_json::{Value, json};

use crate::exceptions;
use crate::exchanges::{self, Exchange};

/// What a request asks for.
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
fn openai_chat_to_responses() {
    let listed = include_str!("exceptions/parallel_openai_chat_to_responses.txt");
    to_responses("openai.chat", listed, openai_chat::request::decode::decode);
}

#[test]
fn anthropic_to_responses() {
    let listed = include_str!("exceptions/parallel_anthropic_to_responses.txt");
    to_responses("anthropic.messages", listed, anthropic::request::decode::decode);
}

fn to_responses(family: &str, listed: &str, decode: fn(&str) -> Result<Request, Failure>) {
    let mut scenarios: BTreeMap<String, [Option<Exchange>; 2]> = BTreeMap::new();
    for exchange in exchanges::read("parallel") {
        let Some(at) = [family, "openai.responses"].iter().position(|name| exchange.family.as_deref() == Some(name))
        else {
            continue;
        };
        if exchange.first_turn == Some(true)
            && exchange.asked().is_some()
            && let Some(scenario) = exchange.scenario.clone()
        {
            scenarios.entry(scenario).or_default()[at].get_or_insert(exchange);
        }
    }
    let pairs = scenarios.iter().filter_map(|(scenario, pair)| match pair {
        [Some(from), Some(to)] => Some((scenario.as_str(), (from.asked()?, to.asked()?))),
        _ => None,
    });
    exceptions::check(&format!("{family} -> openai.responses"), listed, pairs, |(from, to)| {
        let read = |body: &str| openai_responses::request::decode::decode(body).map_err(|failure| failure.message);
        let request = decode(from).map_err(|failure| failure.message)?;
        let callee = Callee { model: "m", max_output_tokens: None, ask_usage: false, quirks: &[], refuses: &[] };
        let encoded =
            openai_responses::request::encode::encode(&request, &callee).map_err(|failure| failure.message)?;
        let found = asked(&read(&String::from_utf8(encoded.body).unwrap())?);
        let expect = asked(&read(to)?);
        for (what, same) in [
            ("stream", expect.stream == found.stream),
            ("texts", expect.texts == found.texts),
            ("attached", expect.attached == found.attached),
            ("tools", expect.tools == found.tools),
            ("format", expect.format == found.format),
        ] {
            if !same {
                return Err(format!("{what}: expected {expect:?}, found {found:?}"));
            }
        }
        Ok(())
    });
}

fn asked(request: &Request) -> Asked {
    let mut asked = Asked { stream: request.stream, ..Asked::default() };
    let user = request.messages.iter().filter(|message| message.role == Role::User);
    for part in user.flat_map(|message| &message.parts) {
        match &part.content {
            Content::Text { text, .. } => asked.texts.push(text.trim().to_owned()),
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
        Some(Format::JsonObject) => Some(json!("json_object")),
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

/// A schema without what clients add for strict functions, its dialect and its title.
fn loose(mut schema: Value) -> Value {
    if let Some(object) = schema.as_object_mut() {
        object.retain(|name, value| match name.as_str() {
            "additionalProperties" | "$schema" => false,
            "title" => !value.is_string(),
            "required" => *value != json!([]),
            _ => true,
        });
        object.values_mut().for_each(|value| *value = loose(value.take()));
    }
    schema
}
