//! `data/models.toml`: what no list says, and what we say otherwise. It wins over every source.

use std::collections::BTreeMap;

use ir::money::{Bucket, Rates, ServiceTier};
use serde::Deserialize;

use super::listing::Book;

/// The file.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Hand {
    /// The models that it speaks of.
    pub models: Vec<HandModel>,
}

/// What is said of a model. Everything but its slug may be left to the sources.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct HandModel {
    /// Its name with us.
    pub slug: String,
    /// Its name for people.
    pub title: Option<String>,
    /// Other names that mean the same.
    pub aliases: Vec<String>,
    /// Input and output tokens together.
    pub context_window: Option<u64>,
    /// The most it can write.
    pub max_output_tokens: Option<u64>,
    /// What it can do.
    pub capabilities: Option<Vec<String>>,
    /// 0 to 100.
    pub quality: Option<u32>,
    /// `YYYY-MM-DD`
    pub released: Option<String>,
    /// Whether it stays when its vendor has ended it: documents name it.
    pub keep: bool,
    /// Who sells it, under which name.
    pub offers: Vec<HandOffer>,
}

/// A vendor's offer: which of the vendor's names means the model, and what the sources do not say of it.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct HandOffer {
    /// The vendor's kind.
    pub vendor: String,
    /// What the vendor calls the model.
    pub name: String,
    /// Whether a provider of the vendor serves it when nothing else is said.
    pub default: bool,
    /// Whether it is served over the Responses interface alone.
    pub responses_only: bool,
    /// The context window, where the vendor's differs.
    pub context_window: Option<u64>,
    /// The output limit, where the vendor's differs.
    pub max_output_tokens: Option<u64>,
    /// The vendor's price list.
    pub source: Option<String>,
    /// Prices by bucket, as decimal strings.
    #[serde(flatten)]
    pub prices: BTreeMap<String, String>,
}

impl Hand {
    /// Reads the file.
    pub fn read(text: &str) -> Result<Self, String> {
        let hand: Self = toml::from_str(text).map_err(|why| format!("data/models.toml: {why}"))?;
        for model in &hand.models {
            for offer in &model.offers {
                offer.book().map_err(|why| format!("data/models.toml: {}, {}: {why}", model.slug, offer.vendor))?;
            }
        }
        Ok(hand)
    }
}

impl HandOffer {
    /// Returns the prices; the fault when one of them is none.
    pub fn book(&self) -> Result<Book, String> {
        let mut rates = Rates::default();
        for (name, text) in &self.prices {
            let bucket = Bucket::ALL.into_iter().find(|bucket| bucket.name() == name);
            let bucket = bucket.ok_or_else(|| format!("{name}: neither a field nor a price"))?;
            rates.set(bucket, Some(bucket.read(text).map_err(|why| format!("{name}: {why}"))?));
        }
        Ok(if rates.is_empty() { Book::new() } else { Book::from([((ServiceTier::Standard, 0), rates)]) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_are_named() {
        let check = |offer: &str, expect: &str| {
            let text = format!("[[models]]\nslug = \"m\"\n[[models.offers]]\nvendor = \"v\"\nname = \"m\"\n{offer}\n");
            let error = Hand::read(&text).map(|_| ()).unwrap_err();
            assert!(error.contains(expect), "{error}");
        };
        check("inptu = \"1\"", "m, v: inptu: neither a field nor a price");
        check("input = \"-1\"", "m, v: input: a price cannot be negative");
        assert!(Hand::read("[[models]]\nslug = \"m\"\nqality = 1\n").is_err());
    }
}
