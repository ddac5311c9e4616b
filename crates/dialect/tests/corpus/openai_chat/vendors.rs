//! What recorded vendors took, they still get: a request that succeeded goes to its vendor as the same JSON, whatever is
//! known of the vendor's ways.

use bytes::Bytes;
use catalog::load::Vendors;
use catalog::vendor::{StreamUsage, Vendor};
use dialect::lane::Surface;
use dialect::lane::asked::Asked;
use dialect::openai_chat::request::encode::encode;
use dialect::translate::Callee;
use ir::dialect::Dialect;
use serde_json::{Value, json};

use super::{all, read};
use crate::exchanges::Exchange;
use crate::{exceptions, laws};

/// Returns the vendor that answered a recorded exchange.
fn vendor<'a>(vendors: &'a Vendors, exchange: &Exchange) -> Option<&'a Vendor> {
    let kind = match exchange.provider.as_str() {
        "vercel-gateway" => "vercel",
        kind => kind,
    };
    vendors.get(kind).map(|vendor| &**vendor).filter(|vendor| vendor.dialect == Dialect::OpenaiChat)
}

fn callee<'a>(vendor: &'a Vendor, asked: &Asked, model: &'a str) -> Callee<'a> {
    let ask_usage = asked.stream() && vendor.stream_usage == StreamUsage::Ask;
    Callee { model, max_output_tokens: None, ask_usage, quirks: &vendor.quirks, refuses: &vendor.refuses }
}

fn decoded(body: &str) -> Result<(Asked, String), String> {
    let asked = Asked::decode(Surface::OpenaiChat, Bytes::copy_from_slice(body.as_bytes()));
    let asked = asked.map_err(|failure| failure.message)?;
    let model = asked.model().unwrap_or_default().to_owned();
    Ok((asked, model))
}

/// Returns what is sent to a vendor, and what is not said.
fn sent(vendor: &Vendor, body: &str) -> Result<(Value, Vec<String>), String> {
    let (mut asked, model) = decoded(body)?;
    let callee = callee(vendor, &asked, &model);
    let outgoing = asked.outgoing(vendor.dialect, &callee, &[]).map_err(|failure| failure.message)?;
    let text = String::from_utf8(outgoing.body.concat()).map_err(|error| error.to_string())?;
    Ok((read(&text)?, outgoing.dropped))
}

/// Returns the same of a request that is encoded anew.
fn anew(vendor: &Vendor, body: &str) -> Result<(Value, Vec<String>), String> {
    let (mut asked, model) = decoded(body)?;
    let callee = callee(vendor, &asked, &model);
    let request = asked.canonical().map_err(|failure| failure.message)?;
    let encoded = encode(request, &callee).map_err(|failure| failure.message)?;
    Ok((read(std::str::from_utf8(&encoded.body).unwrap())?, encoded.dropped))
}

/// `send` is one of the ways there.
fn arrives(
    vendor: &Vendor,
    exchange: &Exchange,
    send: impl Fn(&Vendor, &str) -> Result<(Value, Vec<String>), String>,
) -> Result<(), String> {
    // Ids that the recording blotted out are given the form that the vendor's have.
    let body = exchange.asked().unwrap_or_default().replace("call_REDACTED_", "REDACTED");
    let (found, dropped) = send(vendor, &body)?;
    if !dropped.is_empty() {
        return Err(format!("dropped: {dropped:?}"));
    }
    let mut expect = read(&body)?;
    if expect["model"].is_null() {
        expect["model"] = "".into();
    }
    if expect["stream"] == true {
        match vendor.stream_usage {
            StreamUsage::Ask if expect["stream_options"].is_object() => {
                expect["stream_options"]["include_usage"] = true.into();
            }
            StreamUsage::Ask => expect["stream_options"] = json!({"include_usage": true}),
            StreamUsage::Always | StreamUsage::Never => expect["stream_options"] = Value::Null,
        }
    }
    laws::same_json(&read(&expect.to_string())?.to_string(), &found.to_string())
}

#[test]
fn what_succeeded_still_arrives() {
    let (vendors, all) = (Vendors::builtin(), all());
    let cases: Vec<_> = all
        .iter()
        .filter(|exchange| exchange.succeeded() && exchange.asked().is_some())
        .filter_map(|exchange| Some((exchange.id.as_str(), (vendor(&vendors, exchange)?, exchange))))
        .collect();
    // It names other models than the one that is asked for, which no vendor is told.
    let listed = "openrouter-cf87ba4d29-000 models";
    exceptions::check("openai_chat vendors", listed, cases, |(vendor, exchange)| {
        arrives(vendor, exchange, sent)?;
        arrives(vendor, exchange, anew)
    });
}

/// What clients of OpenAI's send, vendors that refuse it do not get: it is spelled otherwise or left out, and named.
#[test]
fn what_is_refused_is_not_sent() {
    let body = r#"{"model":"m","max_completion_tokens":9,"seed":1,"store":true,"temperature":2,"user":"u","logprobs":true,
        "verbosity":"low","reasoning_effort":"medium","prompt_cache_key":"k","messages":[
        {"role":"developer","name":"n","content":"s"},
        {"role":"assistant","content":"a","refusal":null,"reasoning_content":"t","tool_calls":
            [{"id":"call_1","type":"function","function":{"name":"f","arguments":"{}"}}]},
        {"role":"tool","tool_call_id":"call_1","content":"1"}]}"#;
    let vendors = Vendors::builtin();
    let check = |kind: &str, names: &[&str], dropped: &[&str], thinks: Value| {
        let (found, named) = sent(vendors.get(kind).unwrap(), body).unwrap();
        let mut members: Vec<&str> = found.as_object().unwrap().keys().map(String::as_str).collect();
        members.retain(|name| !matches!(*name, "model" | "messages" | "temperature"));
        members.sort_unstable();
        assert_eq!(members, names, "{kind}");
        assert_eq!(named, dropped, "{kind}");
        let mut said = found["messages"][1].clone();
        said.as_object_mut().unwrap().retain(|name, _| !matches!(name.as_str(), "role" | "tool_calls"));
        assert_eq!(said, thinks, "{kind}");
    };
    let all = [
        "logprobs",
        "max_completion_tokens",
        "prompt_cache_key",
        "reasoning_effort",
        "seed",
        "store",
        "user",
        "verbosity",
    ];
    check("openai", &all, &[], json!({"content": "a", "reasoning_content": "t"}));
    check(
        "mistral",
        &["max_tokens", "prompt_cache_key", "random_seed", "reasoning_effort"],
        &["name", "reasoning_effort", "temperature", "logprobs", "user", "store", "verbosity"],
        json!({"content": [{"type": "thinking", "thinking": [{"type": "text", "text": "t"}]}, {"type": "text", "text": "a"}]}),
    );
    check(
        "groq",
        &["max_completion_tokens", "reasoning_effort", "seed", "user"],
        &["store", "logprobs", "verbosity", "prompt_cache_key", "name", "reasoning_content"],
        json!({"content": "a"}),
    );
    check(
        "cerebras",
        &["logprobs", "max_completion_tokens", "prompt_cache_key", "reasoning_effort", "seed", "user"],
        &["temperature", "store", "verbosity"],
        json!({"content": "a", "reasoning": "t"}),
    );
    let mut deepseek = all;
    deepseek[1] = "max_tokens";
    check("deepseek", &deepseek, &[], json!({"content": "a", "reasoning_content": "t"}));
}

/// What a model can do is asked of a vendor of the caller's own dialect, even where the request is encoded anew.
#[test]
fn a_vendor_of_the_same_dialect_judges_itself() {
    let (vendors, capabilities) = (Vendors::builtin(), ["json_schema".into()]);
    let mistral = vendors.get("mistral").unwrap();
    let body = r#"{"model":"m","seed":1,"messages":[],"tools":[{"type":"function","function":{"name":"f"}}]}"#;
    let (mut asked, model) = decoded(body).unwrap();
    let callee = callee(mistral, &asked, &model);
    assert!(asked.outgoing(Dialect::OpenaiChat, &callee, &capabilities).is_ok());
    assert!(asked.outgoing(Dialect::Anthropic, &callee, &capabilities).is_err());
}

#[test]
fn what_the_answer_depends_on_is_refused() {
    let vendors = Vendors::builtin();
    for (kind, body) in [
        ("mistral", r#"{"model":"m","messages":[],"modalities":["audio"],"audio":{"voice":"v"}}"#),
        (
            "deepseek",
            r#"{"model":"m","messages":[{"role":"user","content":[{"type":"file","file":{"file_id":"f"}}]}]}"#,
        ),
        ("groq", r#"{"model":"m","messages":[],"web_search_options":{"search_context_size":"low"}}"#),
    ] {
        let said = sent(vendors.get(kind).unwrap(), body).unwrap_err();
        assert!(said.starts_with("the provider cannot be asked for"), "{kind}: {said}");
    }
}
