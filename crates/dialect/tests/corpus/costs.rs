//! What recorded answers cost: our usage and prices against sums that know neither.
//!
//! `reference` reads the provider's own JSON and `data/catalogue.json` with nothing of ours, and adds up integers. Where
//! the catalogue does not know a model any more, both sides take the default model of its vendor: the sum is checked all
//! the same.

mod reference;

use std::collections::BTreeMap;

use bytes::Bytes;
use catalog::model::{Catalogue, CatalogueModel, Offer};
use dialect::lane::Surface;
use dialect::lane::reply::Reply;
use dialect::lane::stream::ReplyStream;
use dialect::translate::Label;
use ir::dialect::Dialect;
use ir::money::ServiceTier;
use ir::usage::Usage;
use serde_json::Value;

use crate::exchanges::{self, Exchange};
use crate::gemini;

const LABEL: Label<'_> = Label { seed: "0123456789abcdef0123456789abcdef", model: "m", created: 0 };
const FILES: [&str; 11] = [
    "anthropic",
    "azure",
    "cohere",
    "gemini",
    "mistral",
    "openai",
    "openai_compatible",
    "openrouter",
    "parallel",
    "perplexity",
    "together",
];

/// Returns the vendor and what it speaks; `None` for endpoints and providers that are no concern here.
fn spoken(exchange: &Exchange) -> Option<(&str, Dialect)> {
    let dialect = match exchange.endpoint.as_str() {
        "chat.completions" => Dialect::OpenaiChat,
        "messages" => Dialect::Anthropic,
        "generateContent" | "streamGenerateContent" => Dialect::Gemini,
        "v2.chat" => Dialect::Cohere,
        "responses" if exchange.provider == "openai" => Dialect::OpenaiResponses,
        _ => return None,
    };
    let vendor = match exchange.provider.as_str() {
        "vertex" => "gemini",
        "vercel-gateway" => "vercel",
        other => other,
    };
    Some((vendor, dialect))
}

/// Returns the model that was asked.
fn asked(exchange: &Exchange) -> String {
    let body: Value = exchange.asked().and_then(|body| serde_json::from_str(body).ok()).unwrap_or_default();
    body["model"].as_str().map_or_else(|| gemini::model(exchange).to_owned(), str::to_owned)
}

/// Returns the usage as the gateway reads it.
fn read(exchange: &Exchange, dialect: Dialect) -> Option<Usage> {
    let surface = if dialect == Dialect::Anthropic { Surface::AnthropicMessages } else { Surface::OpenaiChat };
    let body = Bytes::copy_from_slice(exchange.response.body.as_bytes());
    if !exchange.is_stream() {
        return Reply::decode(surface, dialect, body, "crossway", &LABEL, None).ok()?.usage;
    }
    let mut out = Vec::new();
    let mut stream = ReplyStream::new(surface, dialect, "crossway", br#""crossway":{}"#.to_vec(), true, &LABEL);
    stream.push(body, &mut out);
    stream.end(&mut out);
    stream.passed().usage
}

/// Returns the vendor's offer of a model, else that of its default model.
fn offer<'a>(catalogue: &'a Catalogue, vendor: &str, name: &str) -> Option<(&'a CatalogueModel, &'a Offer)> {
    let named = || catalogue.iter().filter_map(|model| Some((model, model.offer_of(vendor)?)));
    let by_name = named().find(|(model, offer)| &*offer.name == name || &*model.slug == name);
    by_name.or_else(|| named().find(|(_, offer)| offer.default))
}

/// Acceptance MONEY-07.
#[test]
fn costs_are_what_the_providers_figures_amount_to() {
    let (catalogue, lists) = (Catalogue::builtin(), reference::lists());
    let (mut compared, mut unreported, mut wrong) = (BTreeMap::<String, usize>::new(), 0, Vec::new());
    let mut nanos = 0u128;
    for exchange in FILES.into_iter().flat_map(exchanges::read).filter(Exchange::succeeded) {
        let Some((vendor, dialect)) = spoken(&exchange) else { continue };
        let Some((model, offer)) = offer(&catalogue, vendor, &asked(&exchange)) else { continue };
        let (Some(usage), Some(prices)) = (read(&exchange, dialect), offer.prices()) else {
            unreported += 1;
            continue;
        };
        let ours = prices.cost(&usage, ServiceTier::Standard).map(|cost| u128::from(cost.0));
        let list = &lists[&(model.slug.to_string(), vendor.to_owned())];
        let theirs = reference::cost(&exchange, dialect, list);
        *compared.entry(format!("{vendor} {}", exchange.endpoint)).or_default() += 1;
        nanos += ours.unwrap_or(0);
        if ours != theirs {
            wrong.push(format!("{} {}: {ours:?}, not {theirs:?} ({usage:?})", exchange.id, model.slug));
        }
    }
    let sum: usize = compared.values().sum();
    println!("costs: {sum} compared, {unreported} without a report, {nanos} nano-dollars in all; {compared:?}");
    assert!(wrong.is_empty(), "{} of {sum} differ:\n{}", wrong.len(), wrong.join("\n"));
}
