//! genai-prices' table: prices in US dollars per million, with dates, thresholds and variants of processing.

use std::collections::BTreeMap;

use ir::money::{Bucket, PicoUsd, Rates, ServiceTier};
use serde_json::Value;

use super::listing::{Book, Said, number, scaled, text, whole};
use super::vendors::Vendor;

/// Members of a price, the digits and the divisor that make pico-dollars per unit of them.
const PRICES: [(&str, Bucket, usize, u64); 15] = [
    ("input_mtok", Bucket::Input, 6, 1),
    ("cache_read_mtok", Bucket::CachedInput, 6, 1),
    ("cache_write_mtok", Bucket::CacheWrite, 6, 1),
    ("cache_write_1h_mtok", Bucket::CacheWrite1h, 6, 1),
    ("output_mtok", Bucket::Output, 6, 1),
    ("output_reasoning_mtok", Bucket::Reasoning, 6, 1),
    ("input_audio_mtok", Bucket::AudioInput, 6, 1),
    ("output_audio_mtok", Bucket::AudioOutput, 6, 1),
    ("input_image_mtok", Bucket::ImageInput, 6, 1),
    ("output_image_mtok", Bucket::ImageOutput, 6, 1),
    ("input_mchars", Bucket::Character, 6, 1),
    ("web_searches_kcount", Bucket::Search, 12, 1_000),
    ("requests_kcount", Bucket::Request, 12, 1_000),
    ("input_audio_hours", Bucket::AudioSecond, 12, 3_600),
    ("audio_hours", Bucket::AudioSecond, 12, 3_600),
];

/// A vendor's part of the table.
pub struct Table<'a> {
    models: BTreeMap<&'a str, &'a Value>,
    ids: BTreeMap<&'a str, &'a str>,
    as_of: &'a str,
}

/// Returns the part of the table that a vendor has.
pub fn table<'a>(vendor: &Vendor, providers: &'a Value, as_of: &'a str) -> Table<'a> {
    let mut table = Table { models: BTreeMap::new(), ids: BTreeMap::new(), as_of };
    let named = |provider: &&Value| provider.get("id").and_then(Value::as_str) == Some(vendor.genai);
    let Some(provider) = providers.as_array().into_iter().flatten().find(named) else { return table };
    for model in provider.get("models").and_then(Value::as_array).into_iter().flatten() {
        if let Some(id) = model.get("id").and_then(Value::as_str) {
            table.models.insert(id, model);
        }
    }
    for (name, id) in provider.get("ids").and_then(Value::as_object).into_iter().flatten() {
        table.ids.extend(id.as_str().map(|id| (name.as_str(), id)));
    }
    table
}

impl Table<'_> {
    /// Returns what the table says of a name of the vendor, in lower case.
    pub fn said(&self, name: &str) -> Option<Said> {
        let by_id = || self.models.iter().find(|(id, _)| id.eq_ignore_ascii_case(name)).map(|(_, model)| *model);
        let model = self.ids.get(name).and_then(|id| self.models.get(id)).copied().or_else(by_id)?;
        Some(Said {
            name: name.to_owned(),
            title: text(model, "name"),
            context_window: number(model, "context_window"),
            deprecated: model.get("deprecated") == Some(&Value::Bool(true)),
            prices: self.book(model),
            ..Said::default()
        })
    }

    fn book(&self, model: &Value) -> Book {
        let mut book = Book::new();
        if let Some(prices) = self.standard(model) {
            add(&mut book, ServiceTier::Standard, prices);
        }
        for variant in model.get("price_variants").and_then(Value::as_array).into_iter().flatten() {
            let when = variant.get("when").and_then(Value::as_object).into_iter().flatten();
            let named: Vec<(&str, &str)> =
                when.filter_map(|(name, value)| value.as_str().map(|value| (name.as_str(), value))).collect();
            let tier = match named.as_slice() {
                [("service_tier", "flex")] => ServiceTier::Flex,
                [("service_tier", "priority")] => ServiceTier::Priority,
                [("processing", "batch")] => ServiceTier::Batch,
                _ => continue,
            };
            if self.active(variant.get("constraint")) {
                variant.get("prices").into_iter().for_each(|prices| add(&mut book, tier, prices));
            }
        }
        book.retain(|_, rates| !rates.is_empty());
        book
    }

    /// Returns the prices of ordinary requests on the day: of dated ones the last that has begun. Prices by the time of
    /// day are left out.
    fn standard<'a>(&self, model: &'a Value) -> Option<&'a Value> {
        let prices = model.get("prices")?;
        let Some(list) = prices.as_array() else { return Some(prices) };
        let active = list.iter().rev().find(|entry| self.active(entry.get("constraint")));
        active.or_else(|| list.first())?.get("prices")
    }

    fn active(&self, constraint: Option<&Value>) -> bool {
        match constraint {
            None | Some(Value::Null) => true,
            Some(constraint) => text(constraint, "start_date").is_some_and(|start| start.as_str() <= self.as_of),
        }
    }
}

/// Adds prices to the rows of a service tier. What stands there already stays: the first variant counts.
fn add(book: &mut Book, tier: ServiceTier, prices: &Value) {
    for (member, bucket, digits, by) in PRICES {
        let Some(price) = prices.get(member) else { continue };
        put(book, (tier, 0), bucket, scaled(price.get("base").unwrap_or(price), digits, by));
        for step in price.get("tiers").and_then(Value::as_array).into_iter().flatten() {
            let above = step.get("start").and_then(whole).unwrap_or(0);
            put(book, (tier, above), bucket, step.get("price").and_then(|price| scaled(price, digits, by)));
        }
    }
}

fn put(book: &mut Book, row: (ServiceTier, u64), bucket: Bucket, price: Option<PicoUsd>) {
    let rates: &mut Rates = book.entry(row).or_default();
    if rates.get(bucket).is_none() {
        rates.set(bucket, price.filter(|price| price.0 > 0));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::vendors::VENDORS;

    #[test]
    fn the_price_of_the_day_counts() {
        let providers = serde_json::json!([{"id": "openai", "ids": {"m-latest": "m"}, "models": [{
            "id": "m",
            "prices": [
                {"prices": {"input_mtok": "1"}},
                {"constraint": {"start_date": "2026-01-01"}, "prices": {"input_mtok": {"base": "2", "tiers": [{"start": 200000, "price": "4"}]}}},
                {"constraint": {"start_date": "2027-01-01"}, "prices": {"input_mtok": "9"}},
                {"constraint": {"start_time": "16:30:00", "end_time": "00:30:00"}, "prices": {"input_mtok": "0.5"}}
            ],
            "price_variants": [
                {"when": {"service_tier": "flex"}, "prices": {"input_mtok": "1"}},
                {"when": {"service_tier": "flex"}, "prices": {"input_mtok": "7"}},
                {"when": {"speed": "fast"}, "prices": {"input_mtok": "8"}}
            ]
        }]}]);
        let said = table(&VENDORS[0], &providers, "2026-11-21").said("m-latest").unwrap();
        let found: Vec<_> =
            said.prices.iter().map(|(row, rates)| (*row, rates.get(Bucket::Input).unwrap().0)).collect();
        assert_eq!(
            found,
            [
                ((ServiceTier::Standard, 0), 2_000_000),
                ((ServiceTier::Standard, 200_000), 4_000_000),
                ((ServiceTier::Flex, 0), 1_000_000)
            ]
        );
        assert!(table(&VENDORS[0], &providers, "2026-11-21").said("other").is_none());
    }
}
