//! models.dev's table: names, dates, modalities, limits, and plain prices in US dollars per million.

use std::collections::{BTreeMap, BTreeSet};

use ir::money::{Bucket, ServiceTier};
use serde_json::Value;

use super::listing::{Book, Said, number, scaled, text, words};
use super::vendors::Vendor;

const PRICES: [(&str, Bucket); 7] = [
    ("cost_input", Bucket::Input),
    ("cost_output", Bucket::Output),
    ("cost_reasoning", Bucket::Reasoning),
    ("cost_cache_read", Bucket::CachedInput),
    ("cost_cache_write", Bucket::CacheWrite),
    ("cost_input_audio", Bucket::AudioInput),
    ("cost_output_audio", Bucket::AudioOutput),
];

/// Returns what the table says of a vendor's models, by the vendor's names in lower case.
pub fn read(vendor: &Vendor, models: &Value) -> BTreeMap<String, Said> {
    let mut found = BTreeMap::new();
    for model in models.as_array().into_iter().flatten() {
        let Some(name) = text(model, "id").filter(|name| !name.contains(':')) else { continue };
        if text(model, "provider_id").as_deref() == Some(vendor.models_dev) {
            found.insert(name.to_lowercase(), said(name, model));
        }
    }
    found
}

fn said(name: String, model: &Value) -> Said {
    let (inputs, outputs) = (words(model, "input"), words(model, "output"));
    let reads = |kind: &str| inputs.iter().any(|input| input == kind);
    let is = |member: &str| model.get(member).and_then(Value::as_i64) == Some(1);
    let known = [
        ("vision", reads("image")),
        ("audio", reads("audio")),
        ("video", reads("video")),
        ("pdf", reads("pdf")),
        ("tools", is("tool_call")),
        ("json_schema", is("structured_output")),
        ("reasoning", is("reasoning")),
    ];
    let capabilities: BTreeSet<_> = known.into_iter().filter(|(_, has)| *has).map(|(name, _)| name).collect();
    Said {
        name,
        title: text(model, "name"),
        context_window: number(model, "limit_context"),
        max_output_tokens: number(model, "limit_output"),
        capabilities,
        input_modalities: inputs,
        output_modalities: outputs,
        released: text(model, "released").filter(|date| date.len() == 10),
        deprecated: text(model, "status").as_deref() == Some("deprecated"),
        prices: book(model),
        ..Said::default()
    }
}

fn book(model: &Value) -> Book {
    let mut book = Book::new();
    for row in model.get("prices").and_then(Value::as_array).into_iter().flatten() {
        let above = number(row, "min_context").unwrap_or(0);
        let rates = book.entry((ServiceTier::Standard, above)).or_default();
        for (member, bucket) in PRICES {
            let price = row.get(member).and_then(|price| scaled(price, 6, 1));
            rates.set(bucket, price.filter(|price| price.0 > 0));
        }
    }
    book.retain(|_, rates| !rates.is_empty());
    book
}
