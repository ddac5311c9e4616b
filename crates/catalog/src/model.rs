//! The models that are known before anybody configures anything: `data/catalogue.json`.
//!
//! `cargo xtask catalog` writes that file from public price lists and from `data/models.toml`, which holds what no list
//! says and what we say otherwise; `docs/catalogue.md` has the rules. A model has offers, one per vendor that sells it,
//! because its upstream name and its price differ between vendors.

use ir::money::{PriceRow, Prices};
use serde::{Deserialize, Deserializer, Serialize};

static FILE: &str = include_str!("../../../data/catalogue.json");

/// Every model that is known, in alphabetical order of slugs.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Catalogue {
    #[serde(deserialize_with = "exact")]
    models: Vec<CatalogueModel>,
}

/// One model, whoever serves it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CatalogueModel {
    /// Its name with us.
    pub slug: Box<str>,
    /// Its name for people.
    pub title: Box<str>,
    /// What it is asked for.
    #[serde(default)]
    pub mode: Mode,
    /// The slug of the model that this one is a dated or a special edition of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<Box<str>>,
    /// Other names that mean the same.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub aliases: Vec<Box<str>>,
    /// `text`, `image`, `audio`, `video`, `pdf`; empty when unknown.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub input_modalities: Vec<Box<str>>,
    /// `text`, `image`, `audio`, `video`; empty when unknown.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub output_modalities: Vec<Box<str>>,
    /// Input and output tokens together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub context_window: Option<u64>,
    /// The most it can write.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_output_tokens: Option<u64>,
    /// `vision`, `tools`, `json_schema`, `reasoning`, `audio`, `video`, `pdf`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub capabilities: Vec<Box<str>>,
    /// 0 to 100: our own rough ordering; absent where we have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quality: Option<u32>,
    /// Release date, `YYYY-MM-DD`, when known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub released: Option<Box<str>>,
    /// Whether its maker has announced its end.
    #[serde(default, skip_serializing_if = "Status::is_active")]
    pub status: Status,
    /// The day on which its maker stops serving it, `YYYY-MM-DD`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deprecation_date: Option<Box<str>>,
    /// Who sells it.
    #[serde(deserialize_with = "exact")]
    pub offers: Vec<Offer>,
}

/// What a model is asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// Answers to conversations.
    #[default]
    Chat,
    /// The continuation of a text.
    Completion,
    /// Vectors.
    Embedding,
    /// Images.
    Image,
    /// The text of speech.
    Transcription,
    /// Speech.
    Speech,
    /// The order of documents by relevance.
    Rerank,
    /// A judgement of content.
    Moderation,
    /// Spoken conversations over a socket.
    Realtime,
}

impl Mode {
    /// Every mode, in the order of the documentation.
    pub const ALL: [Self; 9] = [
        Self::Chat,
        Self::Completion,
        Self::Embedding,
        Self::Image,
        Self::Transcription,
        Self::Speech,
        Self::Rerank,
        Self::Moderation,
        Self::Realtime,
    ];

    /// Returns the name used in data, in the configuration and in the API.
    pub fn name(self) -> &'static str {
        match self {
            Self::Chat => "chat",
            Self::Completion => "completion",
            Self::Embedding => "embedding",
            Self::Image => "image",
            Self::Transcription => "transcription",
            Self::Speech => "speech",
            Self::Rerank => "rerank",
            Self::Moderation => "moderation",
            Self::Realtime => "realtime",
        }
    }

    /// Returns the mode of a name.
    pub fn of_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|mode| mode.name() == name)
    }

    /// Returns whether a surface of the gateway serves it. Models of the other modes are known, and not offered.
    pub fn is_served(self) -> bool {
        self == Self::Chat
    }
}

/// Whether a model stays.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Nothing else is known.
    #[default]
    Active,
    /// Its maker has announced its end, or has ended it.
    Deprecated,
}

impl Status {
    /// Returns whether nothing else is known.
    pub fn is_active(&self) -> bool {
        *self == Self::Active
    }
}

/// One vendor's offer of a model.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Offer {
    /// The vendor's kind.
    pub vendor: Box<str>,
    /// What the vendor calls the model.
    pub name: Box<str>,
    /// Whether a provider of the vendor serves it when nothing else is said.
    #[serde(default, skip_serializing_if = "is_false")]
    pub default: bool,
    /// Whether the vendor serves it over its Responses interface alone.
    #[serde(default, skip_serializing_if = "is_false")]
    pub responses_only: bool,
    /// The context window, where the vendor's differs from the model's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub context_window: Option<u64>,
    /// The output limit, where the vendor's differs from the model's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_output_tokens: Option<u64>,
    /// The day on which the vendor stops serving it, `YYYY-MM-DD`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deprecation_date: Option<Box<str>>,
    /// The price list as the sources give it; empty when no price is known.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "exact")]
    pub prices: Vec<PriceRow>,
    /// The vendor's own price list, to check the figures against.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<Box<str>>,
}

impl Catalogue {
    /// Returns the models of `data/catalogue.json`; none when it does not parse, which a test rules out.
    pub fn builtin() -> Self {
        match serde_json::from_str(FILE) {
            Ok(catalogue) => catalogue,
            Err(error) => {
                debug_assert!(false, "data/catalogue.json: {error}");
                Self::default()
            }
        }
    }

    /// Makes a catalogue of models.
    pub fn new(mut models: Vec<CatalogueModel>) -> Self {
        models.sort_by(|a, b| a.slug.cmp(&b.slug));
        Self { models }
    }

    /// Returns every model.
    pub fn iter(&self) -> impl Iterator<Item = &CatalogueModel> {
        self.models.iter()
    }

    /// Returns the model that a name means: a slug, else an alias, else an upstream name. Case does not matter, and
    /// dots and dashes are alike.
    pub fn resolve(&self, name: &str) -> Option<&CatalogueModel> {
        let name = name.trim();
        let same = |other: &str| same_name(other, name);
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
    /// Returns the price list; `None` when no price is known.
    pub fn prices(&self) -> Option<Prices> {
        (!self.prices.is_empty()).then(|| Prices::new(&self.prices))
    }
}

/// Reads a list into no more memory than it needs. A list that grows has room for four at first; of offers and prices
/// most have one, and they are kept as long as the process runs.
fn exact<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<Vec<T>, D::Error> {
    let mut list = Vec::deserialize(deserializer)?;
    list.shrink_to_fit();
    Ok(list)
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
fn is_false(flag: &bool) -> bool {
    !*flag
}

/// Returns whether two names are the same: case does not matter, and dots and dashes are alike.
fn same_name(one: &str, other: &str) -> bool {
    let fold = |byte: u8| if byte == b'.' { b'-' } else { byte.to_ascii_lowercase() };
    one.len() == other.len() && one.bytes().zip(other.bytes()).all(|(a, b)| fold(a) == fold(b))
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

#[cfg(test)]
mod tests;
