//! Costs from the providers' own JSON: no usage type, no price type, no table of ours, but the file of the catalogue.

use std::collections::BTreeMap;

use ir::dialect::Dialect;
use serde_json::Value;

use crate::exchanges::Exchange;

const FILE: &str = include_str!("../../../../../data/catalogue.json");

/// Price lists by slug and vendor.
pub type Lists = BTreeMap<(String, String), Value>;

/// Reads the catalogue.
pub fn lists() -> Lists {
    let file: Value = serde_json::from_str(FILE).unwrap();
    let mut lists = Lists::new();
    for model in file["models"].as_array().unwrap() {
        for offer in model["offers"].as_array().unwrap() {
            let text = |value: &Value| value.as_str().unwrap().to_owned();
            lists.insert((text(&model["slug"]), text(&offer["vendor"])), offer["prices"].clone());
        }
    }
    lists
}

/// Returns the cost in nano-dollars, rounded half up; `None` when a price is missing.
pub fn cost(exchange: &Exchange, dialect: Dialect, list: &Value) -> Option<u128> {
    let report = report(exchange, dialect);
    let number = |path: &str| report.pointer(path).and_then(Value::as_u64).unwrap_or(0);
    let lines = match dialect {
        Dialect::Anthropic => anthropic(&report),
        Dialect::Gemini => gemini(&report),
        Dialect::Cohere => {
            // What is billed stands apart from what was read and written.
            let billed = |path: &str| {
                let path =
                    format!("/{}{path}", if report["billed_units"].is_object() { "billed_units" } else { "tokens" });
                report.pointer(&path).and_then(Value::as_u64).unwrap_or(0)
            };
            let (input, output) = (billed("/input_tokens"), billed("/output_tokens"));
            let (cached, thoughts) = (number("/cached_tokens"), number("/tokens/reasoning_tokens"));
            vec![
                ("input", input.saturating_sub(cached)),
                ("cached_input", cached.min(input)),
                ("output", output - thoughts.min(output)),
                ("reasoning", thoughts.min(output)),
            ]
        }
        Dialect::OpenaiResponses => {
            let (input, output) = (number("/input_tokens"), number("/output_tokens"));
            let cached = number("/input_tokens_details/cached_tokens");
            let written = number("/input_tokens_details/cache_write_tokens");
            let thoughts = number("/output_tokens_details/reasoning_tokens");
            vec![
                ("input", input - cached - written),
                ("cached_input", cached),
                ("cache_write", written),
                ("output", output - thoughts),
                ("reasoning", thoughts),
            ]
        }
        _ => openai(&report),
    };
    let inputs = ["input", "cached_input", "cache_write", "cache_write_1h", "audio_input"];
    let prompt: u64 = lines.iter().filter(|(bucket, _)| inputs.contains(bucket)).map(|(_, units)| units).sum();
    let mut pico = 0u128;
    for (bucket, units) in lines.into_iter().filter(|(_, units)| *units > 0) {
        pico += u128::from(units) * price(list, prompt, bucket)?;
    }
    Some((pico + 500) / 1_000)
}

fn openai(report: &Value) -> Vec<(&'static str, u64)> {
    let number = |path: &str| report.pointer(path).and_then(Value::as_u64).unwrap_or(0);
    let (prompt, completion) = (number("/prompt_tokens"), number("/completion_tokens"));
    let cached =
        ["/prompt_tokens_details/cached_tokens", "/num_cached_tokens", "/cached_tokens", "/prompt_cache_hit_tokens"];
    let cached = cached.into_iter().map(number).max().unwrap_or(0);
    let written = number("/prompt_tokens_details/cache_write_tokens").max(number("/cache_creation_input_tokens"));
    let heard = number("/prompt_tokens_details/audio_tokens");
    let spoken = number("/completion_tokens_details/audio_tokens");
    let thoughts = number("/completion_tokens_details/reasoning_tokens").max(number("/reasoning_tokens"));
    // What the total counts beside both is billed too: sound (Mistral), else thoughts that are not in the completion.
    let beside = number("/total_tokens").saturating_sub(prompt + completion);
    let (sound, beside) = if number("/prompt_audio_seconds") > 0 { (beside, 0) } else { (0, beside) };
    let heard = if sound > 0 { 0 } else { heard };
    // More thoughts than completion: they stand apart (Vercel, whose own `cost` says so; Perplexity's research).
    let apart = number("/completion_tokens_details/reasoning_tokens") > completion || number("/citation_tokens") > 0;
    let inside = if apart { 0 } else { thoughts.saturating_sub(beside).min(completion) };
    let beside = if apart { thoughts } else { beside };
    let spoken = spoken.min(completion - inside);
    vec![
        ("input", prompt.saturating_sub(cached + written + heard) + number("/citation_tokens")),
        ("cached_input", cached),
        ("cache_write", written),
        ("audio_input", heard + sound),
        ("output", completion - inside - spoken),
        ("reasoning", inside + beside),
        ("audio_output", spoken),
    ]
}

fn anthropic(report: &Value) -> Vec<(&'static str, u64)> {
    let number = |value: &Value, path: &str| value.pointer(path).and_then(Value::as_u64).unwrap_or(0);
    let hour = number(report, "/cache_creation/ephemeral_1h_input_tokens");
    let thoughts = number(report, "/output_tokens_details/thinking_tokens");
    let mut lines = vec![
        ("input", number(report, "/input_tokens")),
        ("cached_input", number(report, "/cache_read_input_tokens")),
        ("cache_write", number(report, "/cache_creation_input_tokens") - hour),
        ("cache_write_1h", hour),
        ("output", number(report, "/output_tokens") - thoughts),
        ("reasoning", thoughts),
        ("search", number(report, "/server_tool_use/web_search_requests")),
    ];
    for iteration in report["iterations"].as_array().into_iter().flatten() {
        if iteration["type"] == "compaction" {
            lines.push(("input", number(iteration, "/input_tokens")));
            lines.push(("output", number(iteration, "/output_tokens")));
        }
    }
    lines
}

fn gemini(report: &Value) -> Vec<(&'static str, u64)> {
    let number = |name: &str| report[name].as_u64().unwrap_or(0);
    let of = |list: &str, kind: &str| -> u64 {
        let all = report[list].as_array().into_iter().flatten();
        all.filter(|entry| entry["modality"] == kind).filter_map(|entry| entry["tokenCount"].as_u64()).sum()
    };
    let (output, thoughts, tools) =
        (number("candidatesTokenCount"), number("thoughtsTokenCount"), number("toolUsePromptTokenCount"));
    let counted = report["promptTokenCount"].as_u64();
    let prompt = counted.unwrap_or_else(|| number("totalTokenCount") - output - thoughts - tools);
    let cached = number("cachedContentTokenCount");
    let heard = of("promptTokensDetails", "AUDIO") - of("cacheTokensDetails", "AUDIO");
    let (spoken, drawn) = (of("candidatesTokensDetails", "AUDIO"), of("candidatesTokensDetails", "IMAGE"));
    vec![
        ("input", prompt - cached - heard + tools),
        ("cached_input", cached),
        ("audio_input", heard),
        ("output", output - spoken - drawn),
        ("reasoning", thoughts),
        ("audio_output", spoken),
        ("image_output", drawn),
    ]
}

/// Returns what the provider reports in the end; of a stream the last word on each member.
fn report(exchange: &Exchange, dialect: Dialect) -> Value {
    let find = |body: &Value| -> Value {
        let places: &[&str] = match dialect {
            Dialect::Gemini => &["/usageMetadata"],
            Dialect::Anthropic => &["/usage", "/message/usage"],
            Dialect::OpenaiResponses => &["/usage", "/response/usage"],
            Dialect::Cohere => &["/usage", "/delta/usage"],
            _ => &["/x_groq/usage", "/usage"],
        };
        places
            .iter()
            .filter_map(|place| body.pointer(place))
            .rfind(|found| found.is_object())
            .cloned()
            .unwrap_or_default()
    };
    let body = &exchange.response.body;
    if !exchange.is_stream() {
        return find(&serde_json::from_str(body).unwrap());
    }
    let mut last = serde_json::Map::new();
    for data in body.lines().filter_map(|line| line.trim_start().strip_prefix("data:")) {
        let frame: Value = serde_json::from_str(data.trim()).unwrap_or_default();
        if let Value::Object(found) = find(&frame) {
            last.extend(found.into_iter().filter(|(_, value)| !value.is_null()));
        }
    }
    Value::Object(last)
}

/// Returns a price in pico-dollars per unit.
fn price(list: &Value, prompt: u64, bucket: &str) -> Option<u128> {
    let rows = || list.as_array().unwrap().iter().filter(|row| row.get("service_tier").is_none());
    let above = |row: &Value| row["above_input_tokens"].as_u64().unwrap_or(0);
    let row = rows().filter(|row| above(row) == 0 || prompt > above(row)).max_by_key(|row| above(row)).unwrap();
    let first = rows().next().unwrap();
    let mut bucket = bucket;
    loop {
        let found = [row, first].into_iter().find_map(|row| row["rates"][bucket].as_str());
        if let Some(text) = found {
            return Some(decimal(text, if bucket == "search" { 12 } else { 6 }));
        }
        bucket = match bucket {
            "cache_write_1h" => "cache_write",
            "cached_input" | "cache_write" | "audio_input" => "input",
            "reasoning" | "audio_output" | "image_output" => "output",
            _ => return None,
        };
    }
}

/// Returns a decimal times ten to the power of `digits`.
fn decimal(text: &str, digits: usize) -> u128 {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    format!("{whole}{fraction:0<digits$}").parse().unwrap()
}
