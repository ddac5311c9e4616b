//! The data that ships: names, prices, dates, and what `data/models.toml` asks for.

use std::collections::{BTreeMap, BTreeSet};

use ir::money::{Bucket, ServiceTier};

use super::*;
use crate::load::Vendors;
use crate::sources::Sources;

#[test]
fn the_file_is_consistent() {
    let catalogue: Catalogue = serde_json::from_str(FILE).unwrap();
    let vendors = Vendors::builtin();
    let mut names = BTreeSet::new();
    assert!(catalogue.models.len() >= 200);
    assert!(catalogue.models.is_sorted_by(|a, b| a.slug < b.slug));
    for model in catalogue.iter() {
        let own: BTreeSet<String> = [&model.slug].into_iter().chain(&model.aliases).map(|n| fold_name(n)).collect();
        for name in own {
            assert!(names.insert(name.clone()), "{name} twice");
        }
        assert!(model.quality.is_none_or(|quality| quality <= 100), "{}", model.slug);
        assert!(!model.offers.is_empty() && !model.title.is_empty(), "{}", model.slug);
        assert!(model.released.is_none() || model.released_unix() > 0, "{}", model.slug);
        assert!(model.deprecation_date.is_none() || model.status == Status::Deprecated, "{}", model.slug);
        let sellers: BTreeSet<&str> = model.offers.iter().map(|offer| &*offer.vendor).collect();
        assert_eq!(sellers.len(), model.offers.len(), "{}: a vendor twice", model.slug);
        for offer in &model.offers {
            let vendor = vendors.get(&offer.vendor).unwrap_or_else(|| panic!("{}: {}", model.slug, offer.vendor));
            assert!(!offer.responses_only || vendor.responses_path.is_some(), "{}: {}", model.slug, offer.vendor);
        }
    }
    for group in catalogue.iter().filter_map(|model| model.group.as_deref()) {
        assert!(catalogue.iter().any(|model| &*model.slug == group), "{group} is nowhere");
    }
}

#[test]
fn every_price_list_begins_with_ordinary_requests() {
    for (slug, offer) in Catalogue::builtin().iter().flat_map(|m| m.offers.iter().map(|offer| (&m.slug, offer))) {
        assert!(!offer.prices.is_empty(), "{slug}: {} has no price", offer.vendor);
        let places: Vec<_> = offer.prices.iter().map(|row| (row.service_tier, row.above_input_tokens)).collect();
        assert_eq!(places.first(), Some(&(ServiceTier::Standard, 0)), "{slug}: {}", offer.vendor);
        assert!(places.is_sorted_by(|a, b| a < b), "{slug}: {}", offer.vendor);
        assert!(offer.prices.iter().all(|row| !row.rates.is_empty()), "{slug}: {}", offer.vendor);
    }
}

#[test]
fn an_offer_of_conversations_has_both_prices() {
    let catalogue = Catalogue::builtin();
    let chats = catalogue.iter().filter(|model| model.mode.is_served());
    let without: Vec<String> = chats
        .flat_map(|model| model.offers.iter().map(move |offer| (model, offer)))
        .filter(|(_, offer)| {
            let base = offer.prices().unwrap().base();
            base.get(Bucket::Input).is_none() || base.get(Bucket::Output).is_none()
        })
        .map(|(model, offer)| format!("{} at {}", model.slug, offer.vendor))
        .collect();
    assert!(without.is_empty(), "{without:?}");
}

#[test]
fn a_vendor_has_one_default() {
    let catalogue = Catalogue::builtin();
    for vendor in Vendors::builtin().iter() {
        let offers: Vec<_> = catalogue
            .of_vendor(&vendor.kind)
            .filter(|(model, offer)| model.mode.is_served() || offer.default)
            .collect();
        let expect = usize::from(!offers.is_empty() && vendor.base_url.is_some());
        let defaults: Vec<_> = offers.iter().filter(|(_, offer)| offer.default).map(|(model, _)| model).collect();
        assert_eq!(defaults.len(), expect, "{}: {offers:?}", vendor.kind);
        assert!(defaults.iter().all(|model| model.mode.is_served()), "{}", vendor.kind);
    }
}

fn check(name: &str, expect: &str) {
    let catalogue = Catalogue::builtin();
    assert_eq!(catalogue.resolve(name).map(|model| &*model.slug), Some(expect), "{name}");
}

#[test]
fn the_names_that_people_write_resolve() {
    for name in ["gpt-3.5-turbo", "gpt-4", "gpt-4o", "gpt-4o-mini", "gpt-4.1", "gpt-5", "o3", "o4-mini"] {
        check(name, name);
        check(&name.replace('.', "-"), name);
    }
    check("GPT-3-5-Turbo", "gpt-3.5-turbo");
    check("claude-4", "claude-sonnet-4");
    check("claude-3-5-sonnet", "claude-3-5-sonnet");
    check("claude-3.5-sonnet-20241022", "claude-3-5-sonnet");
    check("claude-haiku-4.5", "claude-haiku-4-5");
    check("claude-haiku-4-5", "claude-haiku-4-5");
    check("claude-sonnet-4.5", "claude-sonnet-4-5");
    check("claude-sonnet-4-6", "claude-sonnet-4-6");
    check("claude-sonnet-4-20250514", "claude-sonnet-4");
    check("gemini-2.5", "gemini-2.5-pro");
    check("gemini-2.5-pro", "gemini-2.5-pro");
    check("gemini-2-5-pro", "gemini-2.5-pro");
    check("gemini-pro", "gemini-2.5-pro");
    check("llama3.1:latest", "llama3.1");
    check("llama3.2", "llama3.2");
    check("mistral-small-latest", "mistral-small-latest");
    check("command-r-plus-08-2024", "command-r-plus-08-2024");
    check("demo-1", "demo-1");
    // Dated editions are models of their own.
    check("gpt-4o-2024-08-06", "gpt-4o-2024-08-06");
}

#[test]
fn editions_are_grouped_under_their_parent() {
    let catalogue = Catalogue::builtin();
    let group = |name: &str| catalogue.resolve(name).unwrap().group.clone();
    assert_eq!(group("gpt-4o-2024-08-06").as_deref(), Some("gpt-4o"));
    assert_eq!(group("claude-haiku-4-5-20251001").as_deref(), Some("claude-haiku-4-5"));
    assert_eq!(group("gpt-4o-mini"), None);
    let parent = catalogue.resolve("gpt-4o").unwrap();
    assert_eq!(catalogue.resolve("gpt-4o-2024-08-06").unwrap().quality, parent.quality, "it inherits the quality");
}

#[test]
fn every_mode_that_vendors_sell_is_there() {
    let catalogue = Catalogue::builtin();
    let mode = |name: &str| catalogue.resolve(name).unwrap().mode;
    assert_eq!(mode("text-embedding-3-small"), Mode::Embedding);
    assert_eq!(mode("gpt-image-2"), Mode::Image);
    assert_eq!(mode("whisper-1"), Mode::Transcription);
    assert_eq!(mode("tts-1"), Mode::Speech);
    assert_eq!(mode("rerank-v4.0-pro"), Mode::Rerank);
    assert_eq!(mode("omni-moderation-latest"), Mode::Moderation);
    assert_eq!(mode("gpt-realtime"), Mode::Realtime);
    for mode in Mode::ALL {
        assert_eq!(Mode::of_name(mode.name()), Some(mode));
        assert!(catalogue.iter().any(|model| model.mode == mode), "{mode:?}");
    }
}

#[test]
fn price_lists_have_tiers() {
    let catalogue = Catalogue::builtin();
    let prices =
        |name: &str, vendor: &str| catalogue.resolve(name).unwrap().offer_of(vendor).unwrap().prices().unwrap();
    let rate =
        |name, vendor, tokens, tier, bucket| prices(name, vendor).rates(tokens, tier).unwrap().get(bucket).unwrap().0;
    use {Bucket::*, ServiceTier::*};
    assert_eq!(rate("demo-1", "demo", 1, Standard, Input), 100_000);
    assert_eq!(rate("demo-1", "demo", 1, Standard, CacheWrite), 100_000);
    assert_eq!(rate("claude-haiku-4-5", "anthropic", 1, Standard, CacheWrite), 1_250_000);
    assert_eq!(rate("claude-haiku-4-5", "anthropic", 1, Standard, CacheWrite1h), 2_000_000);
    assert_eq!(rate("claude-haiku-4-5", "anthropic", 1, Standard, Search), 10_000_000_000);
    assert_eq!(rate("gemini-2.5-pro", "gemini", 200_000, Standard, Input), 1_250_000);
    assert_eq!(rate("gemini-2.5-pro", "gemini", 200_001, Standard, Input), 2_500_000);
    assert_eq!(rate("gpt-5.4", "openai", 1, Flex, Input), 1_250_000);
    assert_eq!(rate("gpt-5.4", "openai", 1, Priority, Output), 30_000_000);
    assert_eq!(rate("whisper-1", "openai", 0, Standard, AudioSecond), 100_000_000);
}

#[test]
fn what_is_written_by_hand_wins() {
    let text = include_str!("../../../../data/models.toml");
    let hand: toml::Table = toml::from_str(text).unwrap();
    let catalogue = Catalogue::builtin();
    for model in hand["models"].as_array().unwrap() {
        let slug = model["slug"].as_str().unwrap();
        let stale = "run `cargo xtask catalog`";
        let found = catalogue.iter().find(|found| &*found.slug == slug).unwrap_or_else(|| panic!("{slug}: {stale}"));
        let number = |field: &str| model.get(field).and_then(toml::Value::as_integer).map(|number| number as u64);
        assert_eq!(found.quality.map(u64::from), number("quality"), "{slug}: {stale}");
        if let Some(window) = number("context_window") {
            assert_eq!(found.context_window, Some(window), "{slug}: {stale}");
        }
        for offer in model["offers"].as_array().unwrap() {
            let (vendor, name) = (offer["vendor"].as_str().unwrap(), offer["name"].as_str().unwrap());
            let default = offer.get("default").is_some_and(|default| default.as_bool() == Some(true));
            let found = found.offer_of(vendor).unwrap_or_else(|| panic!("{slug}: {vendor}: ended? take it out"));
            assert_eq!((&*found.name, found.default), (name, default), "{slug}: {stale}");
            for bucket in Bucket::ALL {
                let Some(price) = offer.get(bucket.name()).and_then(toml::Value::as_str) else { continue };
                let taken = found.prices().unwrap().base().get(bucket);
                assert_eq!(taken, bucket.read(price).ok(), "{slug}: {vendor}: {stale}");
            }
        }
        for alias in model.get("aliases").and_then(toml::Value::as_array).into_iter().flatten() {
            assert!(catalogue.resolve(alias.as_str().unwrap()).is_some(), "{slug}: {alias:?}: {stale}");
        }
    }
}

#[test]
fn every_field_has_a_source() {
    let (catalogue, sources) = (Catalogue::builtin(), Sources::builtin());
    let by_slug: BTreeMap<&str, _> = sources.models.iter().map(|model| (&*model.slug, model)).collect();
    let known: BTreeSet<&str> = sources.inputs.iter().map(|input| &*input.name).chain(["name", "group"]).collect();
    assert_eq!(by_slug.len(), catalogue.models.len());
    for model in catalogue.iter() {
        let from = by_slug[&*model.slug];
        assert!(from.fields.values().all(|source| known.contains(&**source)), "{}", model.slug);
        let needs = [
            ("title", true),
            ("mode", true),
            ("context_window", model.context_window.is_some()),
            ("max_output_tokens", model.max_output_tokens.is_some()),
            ("capabilities", !model.capabilities.is_empty()),
            ("quality", model.quality.is_some()),
            ("released", model.released.is_some()),
        ];
        for (field, there) in needs {
            assert!(!there || from.fields.contains_key(field), "{}: {field}", model.slug);
        }
        for offer in &model.offers {
            let prices = offer.prices.iter().flat_map(|row| row.rates.iter()).count();
            let said = from.offers.get(&offer.vendor).map_or(0, |fields| {
                fields.keys().filter(|field| !matches!(&***field, "context_window" | "max_output_tokens")).count()
            });
            assert_eq!(said, prices, "{}: {}", model.slug, offer.vendor);
        }
    }
    for differ in &sources.disagreements {
        assert!(differ.said.values().any(|price| *price == differ.taken), "{differ:?}");
        assert!(differ.said.values().any(|price| *price != differ.taken), "{differ:?}");
        assert!(by_slug.contains_key(&*differ.slug), "{differ:?}");
    }
}

#[test]
fn it_serialises_as_it_is_read() {
    let catalogue = Catalogue::builtin();
    let text = serde_json::to_string(&catalogue).unwrap();
    let again: Catalogue = serde_json::from_str(&text).unwrap();
    assert_eq!(again.models, catalogue.models);
    assert!(text.contains(r#""rates":{"input":"0.1","output":"0.4"}"#), "prices are decimal strings");
    serde_json::to_string(&Sources::builtin()).unwrap();
}

#[test]
fn dates_are_unix_seconds() {
    assert_eq!(unix_of_date("1970-01-01"), Some(0));
    assert_eq!(unix_of_date("2024-02-29"), Some(1_709_164_800));
    assert_eq!(unix_of_date("2026-11-21"), Some(1_795_219_200));
    assert_eq!(unix_of_date("2026-13-21"), None);
    assert_eq!(unix_of_date("soon"), None);
}
