//! Prices of models: what operators write, over what the catalogue knows.

use ir::money::{Bucket, PicoUsd, PriceRow, Rates, ServiceTier};

use super::Report;
use crate::problem::Origin;
use crate::spec::literal::Literal;
use crate::spec::model::{ModelSpec, WrittenPrice};

/// Returns the price list: what is written, else what is known; empty when no price is. `known` is absent where it
/// cannot be told because of another fault.
///
/// A new input price belongs to another price list: it also replaces the known prices of the other input buckets, and a
/// new output price those of the other output buckets. Either, or a written row, also replaces the known rows of long
/// inputs and of service tiers.
pub(super) fn price_list(
    spec: &ModelSpec,
    known: Option<&Vec<PriceRow>>,
    origin: &Origin,
    report: &mut Report,
) -> Vec<PriceRow> {
    let written = read(&spec.prices(), "", origin, report);
    let rows = rows(spec, origin, report);
    let Some(known) = known else { return Vec::new() };
    let mut list = known.clone();
    let mut base = known.first().map(|row| row.rates).unwrap_or_default();
    let named = |bucket: Bucket| spec.prices().iter().any(|(_, priced, text)| *priced == bucket && text.is_some());
    let per_token = |bucket: Bucket| bucket.fallback().is_some() || matches!(bucket, Bucket::Input | Bucket::Output);
    if known.is_empty() && Bucket::ALL.into_iter().any(|bucket| per_token(bucket) && named(bucket)) {
        for (field, bucket) in [("input_price", Bucket::Input), ("output_price", Bucket::Output)] {
            let needless = bucket == Bucket::Output && has_no_output(spec);
            if !named(bucket) && !needless {
                report.add(origin, field, "missing: another price of this model is set");
            }
        }
    }
    for plain in [Bucket::Input, Bucket::Output].into_iter().filter(|plain| named(*plain)) {
        for bucket in Bucket::ALL {
            let stands_in = |bucket: Bucket| bucket.fallback().map(|next| next.fallback().unwrap_or(next));
            if stands_in(bucket) == Some(plain) {
                base.set(bucket, None);
            }
        }
        list.truncate(1);
    }
    for (bucket, price) in written.iter() {
        base.set(bucket, Some(price));
    }
    if !rows.is_empty() {
        list.truncate(1);
    }
    if base.is_empty() && rows.is_empty() {
        return Vec::new();
    }
    let first = PriceRow { rates: base, ..PriceRow::default() };
    let others = list.into_iter().skip(1).chain(rows);
    std::iter::once(first).chain(others).collect()
}

/// Returns whether what a model of this mode gives is not counted in tokens.
fn has_no_output(spec: &ModelSpec) -> bool {
    matches!(spec.mode.as_deref(), Some("embedding" | "rerank" | "moderation" | "transcription" | "speech" | "image"))
}

/// Returns the written rows.
fn rows(spec: &ModelSpec, origin: &Origin, report: &mut Report) -> Vec<PriceRow> {
    let mut rows: Vec<PriceRow> = Vec::new();
    for (index, row) in spec.price_rows.iter().enumerate() {
        let at = format!("price_rows[{index}].");
        let rates = read(&row.prices(), &at, origin, report);
        let service_tier = match row.service_tier.as_deref() {
            None => ServiceTier::Standard,
            Some(name @ ("flex" | "priority" | "batch")) => ServiceTier::of_name(name),
            Some(_) => {
                report.add(origin, &format!("{at}service_tier"), "not one of flex, priority, batch");
                continue;
            }
        };
        let above_input_tokens = row.above_input_tokens.unwrap_or(0);
        let place = (service_tier, above_input_tokens);
        if place == (ServiceTier::Standard, 0) {
            let message = "neither service_tier nor above_input_tokens: these are the usual prices, written above";
            report.add(origin, &format!("price_rows[{index}]"), message);
        } else if rows.iter().any(|other| (other.service_tier, other.above_input_tokens) == place) {
            report.add(origin, &format!("price_rows[{index}]"), "the same service_tier and above_input_tokens twice");
        } else if row.prices().iter().all(|(_, _, text)| text.is_none()) {
            report.add(origin, &format!("price_rows[{index}]"), "no price");
        } else {
            rows.push(PriceRow { service_tier, above_input_tokens, rates });
        }
    }
    rows
}

/// Returns the prices among the written ones, and reports those that are none.
fn read(written: &[WrittenPrice<'_>], at: &str, origin: &Origin, report: &mut Report) -> Rates {
    let mut rates = Rates::default();
    for (field, bucket, text) in written {
        rates.set(*bucket, price(*text, *bucket, origin, &format!("{at}{field}"), report));
    }
    rates
}

fn price(
    written: Option<&Literal>,
    bucket: Bucket,
    origin: &Origin,
    field: &str,
    report: &mut Report,
) -> Option<PicoUsd> {
    // TOML allows underscores between digits, and the source text keeps them.
    let text = written?.0.replace('_', "");
    match bucket.read(&text) {
        Ok(price) => Some(price),
        Err(error) => {
            let unit = match bucket {
                Bucket::Character => "US dollars per million characters",
                Bucket::Image => "US dollars per image",
                Bucket::AudioSecond => "US dollars per second",
                Bucket::Search => "US dollars per search",
                Bucket::Request => "US dollars per call",
                _ => "US dollars per million tokens",
            };
            report.add_hint(origin, field, error.to_string(), Some(unit.to_owned()));
            None
        }
    }
}
