//! Merging small tables: the same bytes for the same inputs, and who has the last word.

use ir::money::{Bucket, ServiceTier};
use serde_json::{Value, json};

use super::*;

const HAND: &str = r#"
[[models]]
slug = "gpt-x"
aliases = ["gpt-x-2026-01-02", "x"]
quality = 50
[[models.offers]]
vendor = "openai"
name = "gpt-x"
default = true
[[models]]
slug = "old"
keep = true
[[models.offers]]
vendor = "openai"
name = "old"
[[models]]
slug = "local"
[[models.offers]]
vendor = "ollama"
name = "local"
input = "0"
output = "0"
"#;

fn litellm(mode: &str, provider: &str, input: &str, more: Value) -> Value {
    let mut entry = json!({
        "litellm_provider": provider, "mode": mode, "source": "https://prices.example",
        "input_cost_per_token": input, "output_cost_per_token": "0.00001", "max_input_tokens": 1000,
        "max_output_tokens": 100, "supports_vision": true,
    });
    entry.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    entry
}

fn tables() -> Tables {
    let dev = |provider: &str, id: &str, input: &str| {
        json!({"provider_id": provider, "id": id, "name": format!("{id} by {provider}"), "released": "2026-01-02",
            "limit_context": 2000, "input": ["text"], "output": ["text"],
            "prices": [{"min_context": 0, "cost_input": input, "cost_output": "10"}]})
    };
    Tables {
        litellm: json!({
            "gpt-x": litellm("chat", "openai", "0.000002", json!({"input_cost_per_token_flex": "0.000001"})),
            "gpt-x-2026-01-02": litellm("chat", "openai", "0.000002", json!({"deprecation_date": "2027-05-05"})),
            "old": litellm("chat", "openai", "0.000002", json!({"deprecation_date": "2026-01-01"})),
            "gone": litellm("chat", "openai", "0.000002", json!({"deprecation_date": "2026-11-21"})),
            "embedder": litellm("embedding", "openai", "0.00000002", json!({"output_cost_per_token": "0"})),
            "ft:gpt-x": litellm("chat", "openai", "0.000009", json!({})),
            "novita/lonely": litellm("chat", "novita", "0.000009", json!({})),
            "novita/a/both": litellm("chat", "novita", "0.000009", json!({})),
        }),
        genai: json!([{"id": "openai", "ids": {"gpt-x": "gpt-x"}, "models": [
            {"id": "gpt-x", "name": "GPT X", "prices": {"input_mtok": "1", "output_mtok": "10"}}]}]),
        models_dev: json!([
            dev("openai", "gpt-x", "1"),
            dev("novita-ai", "a/both", "9"),
            dev("openrouter", "openai/gpt-x", "3"),
            dev("openrouter", "unranked/other", "3"),
        ]),
        as_of: "2026-11-21".to_owned(),
    }
}

fn merged() -> Merged {
    merge(&tables(), &Hand::read(HAND).unwrap()).unwrap()
}

fn model(merged: &Merged, slug: &str) -> CatalogueModel {
    merged.catalogue.iter().find(|model| &*model.slug == slug).unwrap().clone()
}

#[test]
fn the_same_inputs_give_the_same_bytes() {
    let text = |merged: Merged| {
        let models: Vec<_> = merged.catalogue.iter().cloned().collect();
        serde_json::to_string(&(models, merged.models, merged.disagreements)).unwrap()
    };
    assert_eq!(text(merged()), text(merged()));
}

#[test]
fn only_what_is_known_well_enough_is_listed() {
    let merged = merged();
    let slugs: Vec<&str> = merged.catalogue.iter().map(|model| &*model.slug).collect();
    // `gone` has ended, `lonely` has one source and no maker, resellers pass on what is ranked.
    assert_eq!(slugs, ["both", "embedder", "gpt-x", "gpt-x-2026-01-02", "local", "old"]);
    let old = model(&merged, "old");
    assert_eq!((old.status, old.deprecation_date.as_deref()), (Status::Deprecated, Some("2026-01-01")));
    assert_eq!(model(&merged, "embedder").mode, Mode::Embedding);
}

#[test]
fn the_majority_has_the_price_and_the_rest_is_listed() {
    let merged = merged();
    let offer = model(&merged, "gpt-x").offer_of("openai").unwrap().clone();
    assert_eq!(offer.prices[0].rates.get(Bucket::Input).unwrap().0, 1_000_000);
    let flex = offer.prices.iter().find(|row| row.service_tier == ServiceTier::Flex).unwrap();
    assert_eq!(flex.rates.get(Bucket::Input).unwrap().0, 1_000_000);
    let differ: Vec<_> = merged.disagreements.iter().map(|d| (&*d.slug, &*d.vendor, &*d.price, &*d.taken)).collect();
    assert_eq!(differ, [("gpt-x", "openai", "input", "1")]);
    let from = merged.models.iter().find(|from| &*from.slug == "gpt-x").unwrap();
    assert_eq!(&*from.offers["openai"]["input"], "genai-prices+models.dev");
    assert_eq!(&*from.offers["openai"]["flex/input"], "litellm");
    assert_eq!(&*from.fields["quality"], "crossway");
    assert_eq!(&*from.fields["title"], "models.dev");
}

#[test]
fn dated_editions_are_models_of_their_own() {
    let merged = merged();
    let dated = model(&merged, "gpt-x-2026-01-02");
    assert_eq!((dated.group.as_deref(), dated.quality), (Some("gpt-x"), Some(50)));
    assert_eq!(dated.released.as_deref(), Some("2026-01-02"));
    let aliases: Vec<String> = model(&merged, "gpt-x").aliases.iter().map(ToString::to_string).collect();
    assert_eq!(aliases, ["x"]);
    let sellers: Vec<String> = model(&merged, "gpt-x").offers.iter().map(|offer| offer.vendor.to_string()).collect();
    assert_eq!(sellers, ["openai"], "a reseller's offer needs two sources as well");
}
