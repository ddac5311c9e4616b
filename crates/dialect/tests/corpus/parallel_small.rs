//! The same question recorded in several dialects: what Ollama and Cohere were asked, next to what a vendor of OpenAI's
//! dialect was asked.
//!
//! The members of a scenario agree in the user's texts, the tools' names, streaming, structured output and attachments;
//! they may differ in everything else.

use std::collections::BTreeMap;

use dialect::translate::{Callee, Encoded};
use dialect::{cohere, ollama};
use ir::chat::message::{Content, Part, Role};
use ir::chat::request::{Format, Request, Tool, ToolChoice};
use ir::failure::Failure;
use serde_json::Value;

use crate::exceptions;
use crate::exchanges::{self, Exchange};

const CALLEE: Callee<'_> = Callee { model: "m", max_output_tokens: None, ask_usage: true, quirks: &[], refuses: &[] };

/// What the members of a scenario agree in.
#[derive(Debug, Default, PartialEq, Eq)]
struct Facts {
    texts: String,
    tools: Vec<String>,
    stream: bool,
    structured: bool,
    images: usize,
    documents: usize,
}

impl Facts {
    fn text(&mut self, text: &str) {
        self.texts += text.trim();
    }

    /// Told from the raw JSON of OpenAI's dialect.
    fn of_openai(body: &Value) -> Self {
        let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
        let format = body["response_format"]["type"].as_str().unwrap_or("text");
        let mut facts = Self { stream: body["stream"] == true, structured: format != "text", ..Self::default() };
        for message in list(&body["messages"]).iter().filter(|message| message["role"] == "user") {
            facts.text(message["content"].as_str().unwrap_or_default());
            for part in list(&message["content"]) {
                match part["type"].as_str() {
                    Some("text") => facts.text(part["text"].as_str().unwrap_or_default()),
                    Some("image_url") => facts.images += 1,
                    _ => facts.documents += 1,
                }
            }
        }
        let name = |tool: &Value| tool["function"]["name"].as_str().unwrap_or_default().to_owned();
        facts.tools = list(&body["tools"]).iter().map(name).collect();
        facts.tools.sort();
        facts
    }

    fn of(request: &Request) -> Self {
        let structured = matches!(request.format, Some(Format::JsonObject | Format::JsonSchema(_)));
        let mut facts = Self { stream: request.stream, structured, ..Self::default() };
        let users = request.messages.iter().filter(|message| message.role == Role::User);
        for Part { content, .. } in users.flat_map(|message| &message.parts) {
            match content {
                Content::Text { text, .. } => facts.text(text),
                Content::Image { .. } => facts.images += 1,
                _ => facts.documents += 1,
            }
        }
        facts.tools = request
            .tools
            .iter()
            .map(|tool| match tool {
                Tool::Function(function) => function.name.clone(),
                Tool::Foreign { tool, .. } => format!("{tool:?}"),
            })
            .collect();
        facts.tools.sort();
        facts
    }
}

/// Returns what each first turn asked, by scenario and dialect.
fn scenarios() -> BTreeMap<String, BTreeMap<String, Exchange>> {
    let mut found: BTreeMap<String, BTreeMap<String, Exchange>> = BTreeMap::new();
    for exchange in exchanges::read("parallel").into_iter().filter(|exchange| exchange.first_turn == Some(true)) {
        if let (Some(scenario), Some(family)) = (exchange.scenario.clone(), exchange.family.clone()) {
            found.entry(scenario).or_default().insert(family, exchange);
        }
    }
    found
}

fn asked(exchange: &Exchange) -> &str {
    exchange.asked().unwrap_or_default()
}

fn decoded(family: &str, body: &str) -> Result<Request, String> {
    let decoded = match family {
        "ollama.chat" => ollama::request::decode::decode(body),
        _ => cohere::request::decode::decode(body),
    };
    decoded.map_err(|failure| failure.message)
}

#[test]
fn they_ask_what_openai_is_asked() {
    let scenarios = scenarios();
    let mut cases = Vec::new();
    for members in scenarios.values() {
        let openai = ["openai.chat", "azure.chat", "mistral.chat"].iter().find_map(|family| members.get(*family));
        for family in ["ollama.chat", "cohere.v2"] {
            if let (Some(openai), Some(ours)) = (openai, members.get(family)) {
                cases.push((ours.id.as_str(), (openai, family, ours)));
            }
        }
    }
    exceptions::check("ollama and cohere next to openai", "", cases, |(openai, family, ours)| {
        let body = serde_json::from_str(asked(openai)).map_err(|error| error.to_string())?;
        same(&Facts::of_openai(&body), &Facts::of(&decoded(family, asked(ours))?))
    });
}

#[test]
fn one_becomes_the_other() {
    type Translate = fn(&Request, &Callee<'_>) -> Result<Encoded, Failure>;
    let scenarios = scenarios();
    let ways: [(&str, &str, Translate); 2] = [
        ("cohere.v2", "ollama.chat", ollama::request::encode::encode),
        ("ollama.chat", "cohere.v2", cohere::request::encode::encode),
    ];
    let mut cases = Vec::new();
    for members in scenarios.values() {
        for (from, to, encode) in ways {
            if let (Some(from_exchange), Some(to_exchange)) = (members.get(from), members.get(to)) {
                cases.push((from_exchange.id.as_str(), (from, from_exchange, to, to_exchange, encode)));
            }
        }
    }
    exceptions::check("ollama and cohere, one to the other", "", cases, |(from, asked_from, to, asked_to, encode)| {
        let request = decoded(from, asked(asked_from))?;
        let forced = matches!(request.tool_choice, Some(ToolChoice::Required));
        let encoded = match encode(&request, &CALLEE) {
            Err(failure) if forced && failure.param.as_deref() == Some("tool_choice") => return Ok(()),
            encoded => encoded.map_err(|failure| failure.message)?,
        };
        let body = String::from_utf8(encoded.body).map_err(|error| error.to_string())?;
        same(&Facts::of(&decoded(to, asked(asked_to))?), &Facts::of(&decoded(to, &body)?))
    });
}

fn same(expect: &Facts, found: &Facts) -> Result<(), String> {
    if expect == found { Ok(()) } else { Err(format!("expected {expect:?}, found {found:?}")) }
}
