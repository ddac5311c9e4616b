//! Where each field of the catalogue comes from, and where its sources disagree: `data/catalogue-sources.json`.
//!
//! It is read when somebody asks for it: requests never need it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

static FILE: &str = include_str!("../../../data/catalogue-sources.json");

/// Where the catalogue comes from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sources {
    /// The day for which dated prices and ends were read, `YYYY-MM-DD`.
    pub as_of: Box<str>,
    /// What was read.
    pub inputs: Vec<Input>,
    /// The prices about which the sources disagree.
    pub disagreements: Vec<Disagreement>,
    /// Where the fields of each model come from, in the order of the catalogue.
    pub models: Vec<ModelSources>,
}

/// One source.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Input {
    /// Its name in the fields: `crossway`, `litellm`, `genai-prices`, `models.dev`.
    pub name: Box<str>,
    /// The packages and versions that it was read from.
    pub packages: Vec<Box<str>>,
    /// Its licence.
    pub licence: Box<str>,
}

/// Where the fields of a model come from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelSources {
    /// The model.
    pub slug: Box<str>,
    /// Field to source.
    pub fields: BTreeMap<Box<str>, Box<str>>,
    /// Vendor, then price to the sources that say so, joined by `+`. A price is named by its bucket, with
    /// `flex/`, `priority/` or `batch/` before it and `>200000` behind it where the row has them.
    pub offers: BTreeMap<Box<str>, BTreeMap<Box<str>, Box<str>>>,
}

/// A price about which the sources disagree.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Disagreement {
    /// The model.
    pub slug: Box<str>,
    /// The vendor.
    pub vendor: Box<str>,
    /// The price, named as in [`ModelSources::offers`].
    pub price: Box<str>,
    /// The one that was taken.
    pub taken: Box<str>,
    /// What each source says.
    pub said: BTreeMap<Box<str>, Box<str>>,
}

impl Sources {
    /// Returns `data/catalogue-sources.json`; nothing when it does not parse, which a test rules out.
    pub fn builtin() -> Self {
        match serde_json::from_str(FILE) {
            Ok(sources) => sources,
            Err(error) => {
                debug_assert!(false, "data/catalogue-sources.json: {error}");
                Self::default()
            }
        }
    }
}
