//! The models that are known before anybody configures anything: `data/models.toml`.
//!
//! A model has offers, one per vendor that sells it, because its upstream name and its price differ between vendors.

use ir::money::{PicoUsd, Prices};
use serde::{Deserialize, Deserializer};

static FILE: &str = include_str!("../../../data/models.toml");

/// Every model that is known, in the order of the file.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Catalogue {
    models: Vec<CatalogueModel>,
}

/// One model, whoever serves it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CatalogueModel {
    /// Its name with us.
    pub slug: Box<str>,
    /// Other names that mean the same, such as dated snapshots.
    #[serde(default)]
    pub aliases: Vec<Box<str>>,
    /// Input and output tokens together.
    pub context_window: Option<u64>,
    /// The most it can write.
    pub max_output_tokens: Option<u64>,
    /// `vision`, `tools`, `json_schema`, `reasoning`, `audio`, `pdf`.
    #[serde(default)]
    pub capabilities: Vec<Box<str>>,
    /// 0 to 100: our own rough ordering.
    pub quality: u32,
    /// Release date, `YYYY-MM-DD`, when known.
    pub released: Option<Box<str>>,
    /// Who sells it.
    pub offers: Vec<Offer>,
}

/// One vendor's offer of a model. Prices are US dollars per million tokens.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Offer {
    /// The vendor's kind.
    pub vendor: Box<str>,
    /// What the vendor calls the model.
    pub name: Box<str>,
    /// Whether a provider of the vendor serves it when nothing else is said.
    #[serde(default)]
    pub default: bool,
    #[serde(deserialize_with = "price")]
    input: PicoUsd,
    #[serde(deserialize_with = "price")]
    output: PicoUsd,
    #[serde(default, deserialize_with = "some_price")]
    cached_input: Option<PicoUsd>,
    #[serde(default, deserialize_with = "some_price")]
    cache_write: Option<PicoUsd>,
    #[serde(default, deserialize_with = "some_price")]
    audio_input: Option<PicoUsd>,
    #[serde(default, deserialize_with = "some_price")]
    audio_output: Option<PicoUsd>,
    /// Whether the vendor serves it over its Responses interface alone.
    #[serde(default)]
    pub responses_only: bool,
    /// The context window, where the vendor's differs from the model's.
    pub context_window: Option<u64>,
    /// The output limit, where the vendor's differs from the model's.
    pub max_output_tokens: Option<u64>,
    /// The price list that the figures can be checked against.
    pub source: Box<str>,
}

impl Catalogue {
    /// Returns the models of `data/models.toml`; none when it does not parse, which a test rules out.
    pub fn builtin() -> Self {
        match toml::from_str(FILE) {
            Ok(catalogue) => catalogue,
            Err(error) => {
                debug_assert!(false, "data/models.toml: {error}");
                Self { models: Vec::new() }
            }
        }
    }

    /// Returns every model.
    pub fn iter(&self) -> impl Iterator<Item = &CatalogueModel> {
        self.models.iter()
    }

    /// Returns the model that a name means: a slug, else an alias, else an upstream name. Case does not matter, and
    /// dots and dashes are alike.
    pub fn resolve(&self, name: &str) -> Option<&CatalogueModel> {
        let name = fold_name(name);
        let same = |other: &str| fold_name(other) == name;
        let by_slug = self.models.iter().find(|model| same(&model.slug));
        by_slug
            .or_else(|| self.models.iter().find(|model| model.aliases.iter().any(|alias| same(alias))))
            .or_else(|| self.models.iter().find(|model| model.offers.iter().any(|offer| same(&offer.name))))
    }

    /// Returns the models that a vendor offers.
    pub fn of_vendor<'a>(&'a self, kind: &'a str) -> impl Iterator<Item = (&'a CatalogueModel, &'a Offer)> {
        self.models.iter().filter_map(move |model| model.offer_of(kind).map(|offer| (model, offer)))
    }
}

impl CatalogueModel {
    /// Returns the offer of a vendor.
    pub fn offer_of(&self, kind: &str) -> Option<&Offer> {
        self.offers.iter().find(|offer| &*offer.vendor == kind)
    }

    /// Returns the release date as Unix seconds, 0 when it is unknown.
    pub fn released_unix(&self) -> u64 {
        self.released.as_deref().and_then(unix_of_date).unwrap_or(0)
    }
}

impl Offer {
    /// Returns the prices. A bucket without a price of its own costs what plain input or output costs.
    pub fn prices(&self) -> Prices {
        Prices {
            input: self.input,
            cached_input: self.cached_input.unwrap_or(self.input),
            cache_write: self.cache_write.unwrap_or(self.input),
            output: self.output,
            audio_input: self.audio_input.unwrap_or(self.input),
            audio_output: self.audio_output.unwrap_or(self.output),
        }
    }
}

/// Returns a name in the form in which names are compared: lower case, dots as dashes.
pub fn fold_name(name: &str) -> String {
    name.trim().to_ascii_lowercase().replace('.', "-")
}

/// Returns the Unix seconds of midnight UTC of a `YYYY-MM-DD` date from 1970 on (proleptic Gregorian calendar).
fn unix_of_date(date: &str) -> Option<u64> {
    let mut parts = date.splitn(3, '-').map(|part| part.parse::<u64>().ok());
    let (year, month, day) = (parts.next()??, parts.next()??, parts.next()??);
    if !(1970..=9999).contains(&year) || !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    // Years counted from March, so that the leap day is the last one: days of whole years, then of whole months.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days = year * 365 + year / 4 - year / 100 + year / 400 + (month * 153 + 2) / 5 + day - 1;
    days.checked_sub(719_468).map(|days| days * 86_400)
}

fn price<'de, D: Deserializer<'de>>(deserializer: D) -> Result<PicoUsd, D::Error> {
    let text = String::deserialize(deserializer)?;
    PicoUsd::per_million(&text).map_err(serde::de::Error::custom)
}

fn some_price<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<PicoUsd>, D::Error> {
    price(deserializer).map(Some)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::load::Vendors;

    #[test]
    fn the_file_is_consistent() {
        let catalogue: Catalogue = toml::from_str(FILE).unwrap();
        let vendors = Vendors::builtin();
        let mut names = BTreeSet::new();
        assert!(catalogue.models.len() >= 60);
        for model in catalogue.iter() {
            let own: BTreeSet<String> = [&model.slug].into_iter().chain(&model.aliases).map(|n| fold_name(n)).collect();
            for name in own {
                assert!(names.insert(name.clone()), "{name} twice");
            }
            assert!(model.quality <= 100 && !model.offers.is_empty(), "{}", model.slug);
            assert!(model.released.is_none() || model.released_unix() > 0, "{}", model.slug);
            for offer in &model.offers {
                assert!(vendors.get(&offer.vendor).is_some(), "{}: {}", model.slug, offer.vendor);
                assert!(!offer.source.is_empty(), "{}", model.slug);
            }
        }
    }

    #[test]
    fn a_vendor_has_one_default() {
        let catalogue = Catalogue::builtin();
        for vendor in Vendors::builtin().iter() {
            let offers: Vec<_> = catalogue.of_vendor(&vendor.kind).collect();
            let expect = usize::from(!offers.is_empty() && vendor.base_url.is_some());
            assert_eq!(offers.iter().filter(|(_, offer)| offer.default).count(), expect, "{}", vendor.kind);
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
        }
        check("gpt-4-1", "gpt-4.1");
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
        check("gemini-pro", "gemini-2.5-pro");
        check("llama3.1:latest", "llama3.1");
        check("llama3.2", "llama3.2");
        check("mistral-small-latest", "mistral-small-latest");
        check("command-r-plus-08-2024", "command-r-plus-08-2024");
        check("demo-1", "demo-1");
    }

    #[test]
    fn prices_fall_back_to_plain_ones() {
        let catalogue = Catalogue::builtin();
        let prices = catalogue.resolve("demo-1").unwrap().offer_of("demo").unwrap().prices();
        assert_eq!((prices.input.0, prices.output.0), (100_000, 400_000));
        assert_eq!((prices.cached_input.0, prices.cache_write.0), (100_000, 100_000));
    }

    #[test]
    fn dates_are_unix_seconds() {
        assert_eq!(unix_of_date("1970-01-01"), Some(0));
        assert_eq!(unix_of_date("2024-02-29"), Some(1_709_164_800));
        assert_eq!(unix_of_date("2026-11-21"), Some(1_795_219_200));
        assert_eq!(unix_of_date("2026-13-21"), None);
        assert_eq!(unix_of_date("soon"), None);
    }
}
