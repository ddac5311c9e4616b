//! What is known about vendors and models before anybody configures anything.

use axum::http::StatusCode;
use catalog::load::Vendors;
use catalog::model::{Catalogue, CatalogueModel};
use catalog::vendor::Vendor;
use ir::money::PicoUsd;
use serde_json::{Value, json};

use super::call::{Call, json as answer};
use super::principal::SignedIn;
use super::route::Outcome;

/// Every vendor and model; `vendor` narrows it to one.
pub(super) async fn get(call: Call, _: SignedIn) -> Outcome {
    let (vendors, catalogue) = (Vendors::builtin(), Catalogue::builtin());
    let wanted = call.query("vendor");
    let vendors: Vec<Value> =
        vendors.iter().filter(|row| wanted.is_none_or(|wanted| *row.kind == *wanted)).map(|row| vendor(row)).collect();
    let models: Vec<Value> = catalogue
        .iter()
        .filter(|model| wanted.is_none_or(|wanted| model.offer_of(wanted).is_some()))
        .map(model)
        .collect();
    answer(StatusCode::OK, &json!({ "vendors": vendors, "models": models }))
}

fn vendor(vendor: &Vendor) -> Value {
    json!({
        "kind": vendor.kind,
        "title": vendor.title,
        "base_url": vendor.base_url,
        "credential_env": vendor.credential_env,
        "credential_optional": vendor.credential_optional,
        "documentation": vendor.documentation,
    })
}

fn model(model: &CatalogueModel) -> Value {
    let offers: Vec<Value> = model
        .offers
        .iter()
        .map(|offer| {
            let prices = offer.prices();
            json!({
                "vendor": offer.vendor,
                "name": offer.name,
                "default": offer.default,
                "input_price": dollars(prices.input),
                "output_price": dollars(prices.output),
                "cached_input_price": dollars(prices.cached_input),
                "context_window": offer.context_window.or(model.context_window),
                "max_output_tokens": offer.max_output_tokens.or(model.max_output_tokens),
                "source": offer.source,
            })
        })
        .collect();
    json!({
        "slug": model.slug,
        "aliases": model.aliases,
        "context_window": model.context_window,
        "max_output_tokens": model.max_output_tokens,
        "capabilities": model.capabilities,
        "quality": model.quality,
        "released": model.released,
        "offers": offers,
    })
}

/// Returns US dollars per million as decimal text, so that no reader rounds them: a pico-dollar each is a micro-dollar
/// per million.
fn dollars(each: PicoUsd) -> String {
    let (whole, micros) = (each.0 / 1_000_000, each.0 % 1_000_000);
    let text = format!("{whole}.{micros:06}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prices_are_exact() {
        for (pico, expect) in [(0, "0"), (1, "0.000001"), (2_000_000, "2"), (150_000, "0.15"), (75_500_000, "75.5")] {
            assert_eq!(dollars(PicoUsd(pico)), expect);
            assert_eq!(PicoUsd::per_million(expect).unwrap(), PicoUsd(pico));
        }
    }
}
