//! LiteLLM's table: one object per model, prices in US dollars per token, 250 members of which a few dozen matter here.

use std::collections::{BTreeMap, BTreeSet};

use catalog::model::Mode;
use ir::money::{Bucket, Rates, ServiceTier};
use serde_json::{Map, Value};

use super::listing::{Book, Said, number, scaled, text, whole, words};
use super::vendors::Vendor;

/// Members that price a bucket. Others follow the same pattern with a row's marks behind them.
const BUCKETS: [(&str, Bucket); 12] = [
    ("cache_creation_input_token_cost_above_1hr", Bucket::CacheWrite1h),
    ("cache_creation_input_token_cost", Bucket::CacheWrite),
    ("cache_read_input_token_cost", Bucket::CachedInput),
    ("input_cost_per_audio_token", Bucket::AudioInput),
    ("input_cost_per_image_token", Bucket::ImageInput),
    ("input_cost_per_token", Bucket::Input),
    ("output_cost_per_audio_token", Bucket::AudioOutput),
    ("output_cost_per_image_token", Bucket::ImageOutput),
    ("output_cost_per_reasoning_token", Bucket::Reasoning),
    ("output_cost_per_token", Bucket::Output),
    ("output_cost_per_image", Bucket::Image),
    ("input_cost_per_character", Bucket::Character),
];

/// Returns what the table says of a vendor's models, by the vendor's names in lower case.
pub fn read(vendor: &Vendor, table: &Value) -> BTreeMap<String, Said> {
    let mut found = BTreeMap::new();
    for (key, entry) in table.as_object().into_iter().flatten() {
        let Some(entry) = entry.as_object() else { continue };
        let provider = entry.get("litellm_provider").and_then(Value::as_str).unwrap_or_default();
        let Some(name) = vendor.litellm.contains(&provider).then(|| own_name(vendor, key)).flatten() else { continue };
        if let Some(said) = said(name, entry) {
            found.entry(name.to_lowercase()).or_insert(said);
        }
    }
    found
}

/// Returns the vendor's name in a key; `None` for keys that name a size, a region or a fine-tuned model.
fn own_name<'a>(vendor: &Vendor, key: &'a str) -> Option<&'a str> {
    let prefix = vendor.litellm.first().copied().unwrap_or_default();
    let name = key.strip_prefix(prefix).and_then(|rest| rest.strip_prefix('/')).unwrap_or(key);
    let single = vendor.maker || vendor.kind == "azure";
    (!(name.contains(':') || single && name.contains('/'))).then_some(name)
}

fn said(name: &str, entry: &Map<String, Value>) -> Option<Said> {
    let value = Value::Object(entry.clone());
    let endpoints = words(&value, "supported_endpoints");
    let (mode, responses_only) = mode(entry, &endpoints)?;
    let flag = |member: &str| entry.get(member) == Some(&Value::Bool(true));
    Some(Said {
        name: name.to_owned(),
        mode: Some(mode),
        responses_only,
        title: None,
        context_window: number(&value, "max_input_tokens"),
        max_output_tokens: number(&value, "max_output_tokens"),
        capabilities: capabilities(flag),
        input_modalities: words(&value, "supported_modalities"),
        output_modalities: words(&value, "supported_output_modalities"),
        released: None,
        ends: text(&value, "deprecation_date"),
        deprecated: false,
        link: text(&value, "source").filter(|link| link.starts_with("https://")),
        prices: book(entry, mode),
    })
}

fn mode(entry: &Map<String, Value>, endpoints: &[String]) -> Option<(Mode, bool)> {
    let serves = |path: &str| endpoints.iter().any(|endpoint| endpoint == path);
    Some(match entry.get("mode")?.as_str()? {
        "chat" => (Mode::Chat, serves("/v1/responses") && !serves("/v1/chat/completions")),
        "responses" => (Mode::Chat, true),
        "completion" => (Mode::Completion, false),
        "embedding" => (Mode::Embedding, false),
        "image_generation" => (Mode::Image, false),
        "audio_transcription" => (Mode::Transcription, false),
        "audio_speech" => (Mode::Speech, false),
        "rerank" => (Mode::Rerank, false),
        "moderation" => (Mode::Moderation, false),
        "realtime" => (Mode::Realtime, false),
        _ => return None,
    })
}

fn capabilities(flag: impl Fn(&str) -> bool) -> BTreeSet<&'static str> {
    let known = [
        ("vision", "supports_vision"),
        ("tools", "supports_function_calling"),
        ("json_schema", "supports_response_schema"),
        ("reasoning", "supports_reasoning"),
        ("audio", "supports_audio_input"),
        ("video", "supports_video_input"),
        ("pdf", "supports_pdf_input"),
    ];
    known.into_iter().filter(|(_, member)| flag(member)).map(|(name, _)| name).collect()
}

fn book(entry: &Map<String, Value>, mode: Mode) -> Book {
    let mut book = Book::new();
    for (member, value) in entry {
        let Some((bucket, row)) = place(member) else { continue };
        // A zero fills a place that the vendor does not price; only moderation is known to be free.
        let price = scaled(value, 12, 1).filter(|price| price.0 > 0 || mode == Mode::Moderation);
        if let Some(price) = price {
            book.entry(row).or_default().set(bucket, Some(price));
        }
    }
    let base = book.entry((ServiceTier::Standard, 0)).or_default();
    let positive = |member: &str| scaled(entry.get(member)?, 12, 1).filter(|price| price.0 > 0);
    let seconds = ["input_cost_per_second", "input_cost_per_audio_per_second", "output_cost_per_second"];
    if matches!(mode, Mode::Transcription | Mode::Speech) {
        base.set(Bucket::AudioSecond, seconds.into_iter().find_map(positive));
    }
    base.set(Bucket::Request, ["input_cost_per_query", "input_cost_per_request"].into_iter().find_map(positive));
    let searches = entry.get("search_context_cost_per_query");
    let search = searches.and_then(|by_size| scaled(by_size.get("search_context_size_medium")?, 12, 1));
    base.set(Bucket::Search, search.filter(|price| price.0 > 0));
    for (above, rates) in graded(entry) {
        book.insert((ServiceTier::Standard, above), rates);
    }
    book.retain(|_, rates| !rates.is_empty());
    book
}

/// Returns the bucket and the row that a member prices.
fn place(member: &str) -> Option<(Bucket, (ServiceTier, u64))> {
    let (name, bucket) = BUCKETS.into_iter().find(|(name, _)| member.starts_with(name))?;
    let mut rest = member.strip_prefix(name)?;
    let mut row = (ServiceTier::Standard, 0);
    if let Some((tokens, after)) = rest.strip_prefix("_above_").and_then(|above| above.split_once("k_tokens")) {
        row.1 = tokens.parse::<u64>().ok()? * 1_000;
        rest = after;
    }
    row.0 = match rest {
        "" => ServiceTier::Standard,
        "_flex" => ServiceTier::Flex,
        "_priority" => ServiceTier::Priority,
        "_batches" => ServiceTier::Batch,
        _ => return None,
    };
    Some((bucket, row))
}

/// Returns the rows of `tiered_pricing`: ranges of input tokens with prices of their own.
fn graded(entry: &Map<String, Value>) -> Vec<(u64, Rates)> {
    let mut rows = Vec::new();
    for range in entry.get("tiered_pricing").and_then(Value::as_array).into_iter().flatten() {
        let Some(from) = range.get("range").and_then(|range| range.get(0)) else { continue };
        let mut rates = Rates::default();
        for (member, value) in range.as_object().into_iter().flatten() {
            if let Some((bucket, (ServiceTier::Standard, 0))) = place(member) {
                rates.set(bucket, scaled(value, 12, 1).filter(|price| price.0 > 0));
            }
        }
        rows.push((whole(from).unwrap_or(0), rates));
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_name_their_row() {
        let check = |member: &str, expect| assert_eq!(place(member), expect, "{member}");
        check("input_cost_per_token", Some((Bucket::Input, (ServiceTier::Standard, 0))));
        check(
            "output_cost_per_token_above_272k_tokens_priority",
            Some((Bucket::Output, (ServiceTier::Priority, 272_000))),
        );
        check("cache_read_input_token_cost_batches", Some((Bucket::CachedInput, (ServiceTier::Batch, 0))));
        check(
            "cache_creation_input_token_cost_above_1hr_above_200k_tokens",
            Some((Bucket::CacheWrite1h, (ServiceTier::Standard, 200_000))),
        );
        check("cache_creation_input_token_cost_above_12hr", None);
        check("input_cost_per_token_ultrafast", None);
        check("output_cost_per_image_1K", None);
        check("input_cost_per_token_cache_hit", None);
    }

    #[test]
    fn zeros_are_no_prices() {
        let entry = serde_json::json!({"mode": "embedding", "input_cost_per_token": "0.00000002", "output_cost_per_token": "0"});
        let said = said("e", entry.as_object().unwrap()).unwrap();
        let base = said.prices[&(ServiceTier::Standard, 0)];
        assert_eq!(base.get(Bucket::Input).map(|price| price.0), Some(20_000));
        assert_eq!(base.get(Bucket::Output), None);
    }
}
