//! The same logical request in Gemini's dialect and in OpenAI's or Anthropic's, as one library sent it to each: what a
//! request means must not depend on the dialect.
//!
//! Compared is what `shared/corpus/README.md` says the members of a scenario agree in: texts of the user, tools, the
//! form of the answer, attachments.

use std::collections::BTreeMap;

use dialect::gemini::request::decode;
use dialect::gemini::request::encode;
use ir::chat::message::{Content, Part, Role, Source};
use ir::chat::request::{Format, Request, Tool, ToolChoice};
use serde_json::Value;

use crate::exceptions;
use crate::exchanges::{self, Exchange};
use crate::gemini::{callee, model};

/// What a request asks, whatever its dialect.
#[derive(Debug, Default, PartialEq)]
struct Asked {
    /// What the user says.
    texts: Vec<String>,
    /// The base64 of what the user shows.
    data: Vec<String>,
    /// The tools, with the names of their parameters.
    tools: BTreeMap<String, Vec<String>>,
    /// Whether a tool must be called, and which.
    choice: Option<String>,
    /// The names at the top of the answer's schema.
    schema: Option<Vec<String>>,
}

#[test]
fn requests_mean_the_same() {
    let recorded = exchanges::read("parallel");
    let mut scenarios: BTreeMap<&str, BTreeMap<&str, &Exchange>> = BTreeMap::new();
    for exchange in recorded.iter().filter(|exchange| exchange.first_turn == Some(true) && exchange.asked().is_some()) {
        if let (Some(scenario), Some(family)) = (&exchange.scenario, &exchange.family) {
            scenarios.entry(scenario).or_default().entry(family).or_insert(exchange);
        }
    }
    let pairs = scenarios.values().flat_map(|members| {
        let gemini = members.get("gemini").filter(|exchange| exchange.endpoint.ends_with("enerateContent"));
        let others = ["openai.chat", "anthropic.messages"].into_iter().filter_map(|family| members.get(family));
        others.filter_map(move |other| Some((other.id.as_str(), (*gemini?, *other))))
    });
    let listed = include_str!("exceptions/gemini_parallel.txt");
    exceptions::check("gemini beside openai and anthropic", listed, pairs, |(gemini, other)| {
        let request = decode::decode(gemini.asked().unwrap_or_default()).map_err(|failure| failure.message)?;
        let other: Value =
            serde_json::from_str(other.asked().unwrap_or_default()).map_err(|error| error.to_string())?;
        let (found, expect) = (asked(&request), asked_elsewhere(&other));
        if found != expect {
            return Err(format!("{}: {found:?}\n is not {expect:?}", gemini.id));
        }
        // Without its own ways of saying it, the request still says the same.
        let again = encode::encode(&canonical(request), &callee(model(gemini))).map_err(|failure| failure.message)?;
        let again = decode::decode(&String::from_utf8_lossy(&again.body)).map_err(|failure| failure.message)?;
        if asked(&again) == expect {
            Ok(())
        } else {
            Err(format!("{}: written again it says {:?}", gemini.id, asked(&again)))
        }
    });
}

/// Returns a request as another dialect would have read it: without what only Gemini can say, and without notes.
fn canonical(mut request: Request) -> Request {
    request.extras = Default::default();
    for tool in &mut request.tools {
        if let Tool::Function(function) = tool {
            function.extras = Default::default();
        }
    }
    request
}

fn asked(request: &Request) -> Asked {
    let mut asked = Asked::default();
    let users = request.messages.iter().filter(|message| message.role == Role::User);
    for part in users.flat_map(|message| &message.parts) {
        asked.part(part);
    }
    for tool in &request.tools {
        if let Tool::Function(function) = tool {
            let schema = function.parameters.as_ref().and_then(|schema| serde_json::from_str(schema.as_str()).ok());
            asked.tools.insert(function.name.clone(), names(&schema.unwrap_or_default()));
        }
    }
    asked.choice = match &request.tool_choice {
        Some(ToolChoice::Required) => Some(String::new()),
        Some(ToolChoice::Function(name)) => Some(name.clone()),
        _ => None,
    };
    if let Some(Format::JsonSchema(schema)) = &request.format {
        let schema = schema.schema.as_ref().and_then(|schema| serde_json::from_str(schema.as_str()).ok());
        asked.schema = Some(names(&schema.unwrap_or_default()));
    }
    asked
}

impl Asked {
    fn part(&mut self, part: &Part) {
        let source = match &part.content {
            Content::Text { text, .. } => return self.texts.push(text.clone()),
            Content::Image { source, .. } | Content::Audio(source) | Content::Video(source) => source,
            Content::Document(document) => &document.source,
            _ => return,
        };
        if let Source::Base64 { data, .. } = source {
            self.data.push(data.clone());
        }
    }
}

/// Reads a request of OpenAI's or of Anthropic's by other means.
fn asked_elsewhere(body: &Value) -> Asked {
    let mut asked = Asked::default();
    let word = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    for message in body["messages"].as_array().into_iter().flatten().filter(|message| message["role"] == "user") {
        if let Some(text) = message["content"].as_str() {
            asked.texts.push(text.to_owned());
        }
        for part in message["content"].as_array().into_iter().flatten() {
            let at_address = ["/image_url/url", "/file/file_data"].iter().find_map(|path| part.pointer(path)?.as_str());
            let here = ["/input_audio/data", "/source/data"].iter().find_map(|path| part.pointer(path)?.as_str());
            match (part["text"].as_str(), at_address.and_then(|url| url.split_once(";base64,")), here) {
                (Some(text), ..) => asked.texts.push(text.to_owned()),
                (_, Some((_, data)), _) | (_, _, Some(data)) => asked.data.push(data.to_owned()),
                _ => {}
            }
        }
    }
    for tool in body["tools"].as_array().into_iter().flatten() {
        let (function, schema) = match tool.get("function") {
            Some(function) => (function, &function["parameters"]),
            None => (tool, &tool["input_schema"]),
        };
        if !schema.is_null() {
            asked.tools.insert(word(&function["name"]), names(schema));
        }
    }
    let choice = &body["tool_choice"];
    asked.choice = match (choice.as_str().or_else(|| choice["type"].as_str()), choice.pointer("/function/name")) {
        (Some("required" | "any"), _) => Some(String::new()),
        (Some("function"), Some(name)) => Some(word(name)),
        (Some("tool"), _) => Some(word(&choice["name"])),
        _ => None,
    };
    let schemas = ["/response_format/json_schema/schema", "/output_config/format/schema", "/output_format/schema"];
    asked.schema = schemas.iter().find_map(|path| body.pointer(path)).map(names);
    asked
}

/// Returns the names of a schema's properties.
fn names(schema: &Value) -> Vec<String> {
    let mut names: Vec<String> =
        schema["properties"].as_object().into_iter().flatten().map(|(name, _)| name.clone()).collect();
    names.sort();
    names
}
