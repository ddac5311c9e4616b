//! The same logical request in several dialects: what is translated from one must be what was recorded in another.
//!
//! Compared is what the recordings agree in (`shared/corpus/README.md`): what the user says and shows, the tools with
//! their schemas, the form of the answer, whether it is streamed; and, where both say it, the choice of tools and the
//! output limit. System prompts, sampling and earlier turns of the model differ from recording to recording.

use std::collections::{BTreeMap, BTreeSet};

use dialect::anthropic;
use dialect::openai_chat;
use dialect::translate::Callee;
use ir::chat::request::Request;
use ir::failure::Failure;
use serde_json::Value;

use crate::exceptions;
use crate::exchanges::{self, Exchange};

/// The first turns of every scenario, by family.
type Scenarios = BTreeMap<String, BTreeMap<String, Exchange>>;

fn scenarios() -> Scenarios {
    let mut found = Scenarios::new();
    for exchange in exchanges::read("parallel") {
        if let (Some(scenario), Some(family), Some(true)) = (&exchange.scenario, &exchange.family, exchange.first_turn)
            && exchange.asked().is_some()
        {
            found.entry(scenario.clone()).or_default().entry(family.clone()).or_insert(exchange);
        }
    }
    found
}

/// Translates the requests of one family to Anthropic's dialect and compares them with what was recorded there.
fn to_anthropic(family: &str, listed: &str, decode: fn(&str) -> Result<Request, Failure>) {
    let scenarios = scenarios();
    let cases = scenarios.iter().filter_map(|(scenario, families)| {
        let (from, to) = (families.get(family)?, families.get("anthropic.messages")?);
        Some((scenario.as_str(), (from.asked()?, to.asked()?)))
    });
    exceptions::check(&format!("{family} -> anthropic.messages"), listed, cases, |(from, to)| {
        let expect: Value = serde_json::from_str(to).unwrap();
        let request = decode(from).map_err(|failure| failure.message)?;
        let model = expect["model"].as_str().unwrap_or_default();
        let callee = Callee { model, max_output_tokens: None, ask_usage: false, quirks: &[], refuses: &[] };
        let encoded = anthropic::request::encode::encode(&request, &callee).map_err(|failure| failure.message)?;
        let found: Value = serde_json::from_slice(&encoded.body).unwrap();
        let limited = request.max_tokens.is_some();
        for (what, said) in asked() {
            if what == "the output limit" && !limited {
                continue;
            }
            let (expect, found) = (said(&expect), said(&found));
            if expect != found {
                return Err(format!("{what}: expected {expect}, found {found}"));
            }
        }
        Ok(())
    });
}

#[test]
fn anthropic_to_anthropic() {
    to_anthropic("anthropic.messages", "", anthropic::request::decode::decode);
}

#[test]
fn openai_chat_to_anthropic() {
    let listed = include_str!("exceptions/parallel_openai_chat_to_anthropic.txt");
    to_anthropic("openai.chat", listed, openai_chat::request::decode::decode);
}

type Said = fn(&Value) -> String;

/// What is compared, of a request in Anthropic's dialect.
fn asked() -> [(&'static str, Said); 7] {
    [
        ("the user's texts", |body| format!("{:?}", users(body).filter_map(text).collect::<Vec<_>>())),
        ("pictures and files", |body| format!("{:?}", users(body).filter_map(attachment).collect::<Vec<_>>())),
        ("tools", |body| format!("{:?}", list(&body["tools"]).iter().map(tool).collect::<BTreeSet<_>>())),
        ("the choice of tools", |body| choice(&body["tool_choice"])),
        ("the form of the answer", |body| {
            let format = [&body["output_config"]["format"], &body["output_format"]];
            format.iter().map(|format| schema(&format["schema"])).collect()
        }),
        ("streaming", |body| (body["stream"] == true).to_string()),
        ("the output limit", |body| body["max_tokens"].to_string()),
    ]
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map(Vec::as_slice).unwrap_or_default()
}

/// Returns what users say: strings, or blocks.
fn users(body: &Value) -> impl Iterator<Item = &Value> {
    let messages = list(&body["messages"]).iter().filter(|message| message["role"] == "user");
    messages.flat_map(|message| match &message["content"] {
        Value::Array(blocks) => blocks.as_slice(),
        content => std::slice::from_ref(content),
    })
}

fn text(block: &Value) -> Option<&str> {
    block.as_str().or_else(|| block["text"].as_str()).map(str::trim)
}

/// Returns what is shown: the kind, and the address or how much there is of it.
fn attachment(block: &Value) -> Option<String> {
    let source = &block["source"];
    let place = source["url"].as_str().map(str::to_owned);
    let place = place.or_else(|| source["data"].as_str().map(|data| format!("{} bytes", data.len())));
    matches!(block["type"].as_str(), Some("image" | "document")).then(|| format!("{} {place:?}", block["type"]))
}

fn tool(tool: &Value) -> String {
    format!("{} {}", tool["name"], schema(&tool["input_schema"]))
}

/// Returns what a schema says of its properties. Libraries differ in what else they say (titles, whether it is closed).
fn schema(schema: &Value) -> String {
    let Some(properties) = schema["properties"].as_object() else { return String::new() };
    let required: BTreeSet<&str> = list(&schema["required"]).iter().filter_map(Value::as_str).collect();
    let types: BTreeMap<&str, &Value> =
        properties.iter().map(|(name, property)| (name.as_str(), &property["type"])).collect();
    format!("{types:?} {required:?}")
}

fn choice(choice: &Value) -> String {
    match choice["type"].as_str() {
        None | Some("auto") => "auto".to_owned(),
        Some(kind) => format!("{kind} {}", choice["name"]),
    }
}
