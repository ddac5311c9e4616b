//! What is known about vendors and models before anybody configures anything, where it comes from, and what the sources
//! disagree about.

use std::collections::HashMap;

use axum::http::StatusCode;
use catalog::load::Vendors;
use catalog::model::Catalogue;
use catalog::sources::{ModelSources, Sources};
use catalog::vendor::Vendor;
use serde_json::{Value, json};

use super::call::{Call, json as answer};
use super::principal::SignedIn;
use super::route::Outcome;

/// Every vendor and model; `vendor` narrows it to one.
pub(super) async fn get(call: Call, _: SignedIn) -> Outcome {
    let (vendors, catalogue, sources) = (Vendors::builtin(), Catalogue::builtin(), Sources::builtin());
    let wanted = call.query("vendor");
    let vendors: Vec<Value> =
        vendors.iter().filter(|row| wanted.is_none_or(|wanted| *row.kind == *wanted)).map(|row| vendor(row)).collect();
    let by_slug: HashMap<&str, &ModelSources> = sources.models.iter().map(|model| (&*model.slug, model)).collect();
    let shown = catalogue.iter().filter(|model| wanted.is_none_or(|wanted| model.offer_of(wanted).is_some()));
    let models: Vec<Value> = shown
        .map(|model| {
            let mut shown = json!(model);
            if let Some(from) = by_slug.get(&*model.slug) {
                shown["sources"] = json!({ "fields": from.fields, "offers": from.offers });
            }
            shown
        })
        .collect();
    let disagreements = sources.disagreements.iter();
    let disagreements: Vec<_> =
        disagreements.filter(|one| wanted.is_none_or(|wanted| *one.vendor == *wanted)).collect();
    let body = json!({
        "as_of": sources.as_of,
        "inputs": sources.inputs,
        "vendors": vendors,
        "models": models,
        "disagreements": disagreements,
    });
    answer(StatusCode::OK, &body)
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
