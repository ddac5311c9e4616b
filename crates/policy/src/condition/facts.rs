//! What a condition may know of a request.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::OnceLock;

use cel::common::types::{CelBool, CelInt};
use cel::common::value::{CowVal, Val};
use cel::context::VariableResolver;
use serde_json::Value as Json;

use super::text_value;
use super::value::{cut, of_features, of_headers, of_labels, of_metadata, of_time};
use crate::limit::zone::Civil;
use crate::snapshot::CompiledKey;

/// The name of a header, in lower case, and its value.
pub type Header = (Box<str>, Box<str>);

/// The facts of one request. What is a collection is made when a condition first asks for it, once for all rules.
pub struct Facts<'a> {
    /// The model it names; empty when none.
    pub model: &'a str,
    /// The provider it names; empty when none.
    pub provider: &'a str,
    /// The surface that was called, such as `openai.chat`.
    pub surface: &'a str,
    /// Whether the answer is asked for as a stream.
    pub stream: bool,
    /// Roughly how many tokens it has.
    pub input_tokens: u64,
    /// The most tokens the answer may have; 0 where nobody said.
    pub max_tokens: u64,
    /// The features it uses.
    pub features: &'a [&'static str],
    /// Its headers by their names in lower case, where they matter.
    pub headers: &'a [Header],
    /// What the caller says of it.
    pub metadata: &'a BTreeMap<String, Json>,
    /// The user it is made for; empty when unknown.
    pub user: &'a str,
    /// The session it belongs to; empty when unknown.
    pub session: &'a str,
    /// The key it acts as.
    pub key: Option<&'a CompiledKey>,
    /// The present, in the environment's zone.
    pub time: Civil,
    /// The collections that conditions have asked for.
    pub made: Made,
}

/// What nobody has said.
static NOTHING: BTreeMap<String, Json> = BTreeMap::new();

impl Default for Facts<'_> {
    fn default() -> Self {
        Self {
            model: "",
            provider: "",
            surface: "",
            stream: false,
            input_tokens: 0,
            max_tokens: 0,
            features: &[],
            headers: &[],
            metadata: &NOTHING,
            user: "",
            session: "",
            key: None,
            time: Civil::default(),
            made: Made::default(),
        }
    }
}

/// Collections as conditions see them.
#[derive(Default)]
pub struct Made {
    headers: OnceLock<Box<dyn Val>>,
    metadata: OnceLock<Box<dyn Val>>,
    features: OnceLock<Box<dyn Val>>,
    labels: OnceLock<Box<dyn Val>>,
    time: OnceLock<Box<dyn Val>>,
}

impl fmt::Debug for Facts<'_> {
    /// Nothing of what a request holds is printed.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Facts").finish_non_exhaustive()
    }
}

impl VariableResolver for Facts<'_> {
    fn resolve<'b>(&'b self, variable: &str) -> Option<CowVal<'b, 'b>> {
        let text = |text: &'b str| Some(CowVal::owned(text_value(cut(text))));
        let number = |number: u64| Some(CowVal::owned(CelInt::from(i64::try_from(number).unwrap_or(i64::MAX))));
        let made = |place: &'b OnceLock<Box<dyn Val>>, make: &dyn Fn() -> Box<dyn Val>| {
            Some(CowVal::Borrowed(place.get_or_init(make).as_ref()))
        };
        match variable {
            "model" => text(self.model),
            "provider" => text(self.provider),
            "surface" => text(self.surface),
            "user" => text(self.user),
            "key" => text(self.key.map_or("", |key| &*key.name)),
            "team" => text(self.key.and_then(|key| key.team.as_deref()).unwrap_or_default()),
            "stream" => Some(CowVal::owned(CelBool::from(self.stream))),
            "input_tokens" => number(self.input_tokens),
            "max_tokens" => number(self.max_tokens),
            "headers" => made(&self.made.headers, &|| of_headers(self.headers)),
            "metadata" => made(&self.made.metadata, &|| of_metadata(self.metadata)),
            "features" => made(&self.made.features, &|| of_features(self.features)),
            "labels" => made(&self.made.labels, &|| of_labels(self.key)),
            "time" => made(&self.made.time, &|| of_time(&self.time)),
            _ => None,
        }
    }
}
