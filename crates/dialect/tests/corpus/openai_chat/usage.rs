//! Money: what recorded replies report is counted whole, each token once, in both lanes.

use bytes::Bytes;
use dialect::openai_chat::response::{ChatResponse, decode};
use dialect::openai_chat::stream::ChatStream;
use ir::dialect::Dialect;
use ir::usage::Usage;
use serde_json::Value;

use super::{LABEL, all};
use crate::exchanges::Exchange;
use crate::{exceptions, laws};

/// Returns the reports of a reply, in their order.
fn reports(exchange: &Exchange) -> Vec<Value> {
    let body = &exchange.response.body;
    let whole: Vec<Value> = match exchange.is_stream() {
        false => serde_json::from_str(body).into_iter().collect(),
        true => {
            let lines = body.lines().filter_map(|line| line.strip_prefix("data:"));
            lines.filter_map(|data| serde_json::from_str(data).ok()).collect()
        }
    };
    let own = whole.iter().map(|object| {
        let groq = &object["x_groq"]["usage"];
        if object["usage"].is_object() { &object["usage"] } else { groq }
    });
    own.filter(|usage| usage.is_object()).cloned().collect()
}

/// Returns what both lanes say was consumed.
fn consumed(exchange: &Exchange) -> Result<[Option<Usage>; 2], String> {
    let body = &exchange.response.body;
    if exchange.is_stream() {
        let mut stream = ChatStream::new("crossway", Vec::new(), true);
        stream.push(Bytes::copy_from_slice(body.as_bytes()), &mut Vec::new());
        let decoder = dialect::openai_chat::stream::decode::Decoder::new(LABEL.seed);
        let events = laws::events(Dialect::OpenaiChat, decoder, body.as_bytes(), usize::MAX);
        let events = events.map_err(|error| format!("{error:?}"))?;
        return Ok([stream.passed().usage, laws::folded(events).usage]);
    }
    let spliced = ChatResponse::decode(Bytes::copy_from_slice(body.as_bytes()), "crossway");
    let translated = decode::decode(body, LABEL.seed).map_err(|error| format!("{error:?}"))?;
    Ok([spliced.map_err(|error| format!("{error:?}"))?.usage, translated.usage])
}

/// The sum of the buckets is the provider's total, and what it says was cached is.
fn adds_up(exchange: &Exchange, report: &Value) -> Result<(), String> {
    let [spliced, translated] = consumed(exchange)?;
    if spliced != translated {
        return Err(format!("spliced {spliced:?}, translated {translated:?}"));
    }
    let usage = spliced.ok_or_else(|| format!("not believed: {report}"))?;
    let sum = usage.input_tokens() + usage.output_tokens();
    let total = report["total_tokens"].as_u64();
    if total != Some(sum) {
        return Err(format!("{sum} of {report}"));
    }
    let names = ["num_cached_tokens", "cached_tokens", "prompt_cache_hit_tokens"];
    let outside = names.iter().filter_map(|name| report[name].as_u64());
    let cached = outside.chain(report["prompt_tokens_details"]["cached_tokens"].as_u64()).max().unwrap_or(0);
    // Grok at Azure: what it caches of its own instructions is counted as cached and not as prompt.
    let cached = cached.min(report["prompt_tokens"].as_u64().unwrap_or(0));
    let named = |name: &str| report["completion_tokens_details"][name].as_u64().unwrap_or(0);
    let reasoning = named("reasoning_tokens").max(report["reasoning_tokens"].as_u64().unwrap_or(0));
    let expect = (cached, reasoning, named("audio_tokens"));
    let found = (usage.cached_input, usage.reasoning, usage.audio_output);
    if expect == found { Ok(()) } else { Err(format!("expected {expect:?}, found {found:?}: {report}")) }
}

#[test]
fn every_token_is_counted_once() {
    let mut all = all();
    all.retain(Exchange::succeeded);
    let cases: Vec<_> =
        all.iter().filter_map(|exchange| Some((exchange.id.as_str(), (exchange, reports(exchange).pop()?)))).collect();
    let listed = include_str!("../exceptions/openai_chat_usage.txt");
    exceptions::check("openai_chat usage", listed, cases, |(exchange, report)| adds_up(exchange, &report));
}
