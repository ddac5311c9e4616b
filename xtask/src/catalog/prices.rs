//! Which price is taken where the sources say different things.
//!
//! What we say ourselves counts. Otherwise the price that most sources name; between equals LiteLLM, then genai-prices,
//! then models.dev. Every price about which two sources differ is a disagreement, whichever is taken.

use std::collections::{BTreeMap, BTreeSet};

use catalog::sources::Disagreement;
use ir::money::{Bucket, PicoUsd, PriceRow, Rates, ServiceTier};

use super::listing::Book;

/// A source: the earlier one counts where nothing else decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Source {
    /// `data/models.toml`
    Crossway,
    /// LiteLLM.
    Litellm,
    /// genai-prices.
    Genai,
    /// models.dev.
    ModelsDev,
}

impl Source {
    /// Returns the name used in the data.
    pub fn name(self) -> &'static str {
        match self {
            Self::Crossway => "crossway",
            Self::Litellm => "litellm",
            Self::Genai => "genai-prices",
            Self::ModelsDev => "models.dev",
        }
    }
}

/// What the sources agreed on, or did not.
#[derive(Debug, Default)]
pub struct Agreed {
    /// The price list.
    pub rows: Vec<PriceRow>,
    /// Each price's sources.
    pub sources: BTreeMap<Box<str>, Box<str>>,
    /// Prices on which they differ; model and vendor are left empty.
    pub disagreements: Vec<Disagreement>,
}

/// Merges the price lists of the sources.
pub fn agree(books: &[(Source, Book)]) -> Agreed {
    let mut agreed = Agreed::default();
    let places: BTreeSet<(ServiceTier, u64)> = books.iter().flat_map(|(_, book)| book.keys().copied()).collect();
    let mut first = Rates::default();
    for (service_tier, above_input_tokens) in places {
        let mut row = PriceRow { service_tier, above_input_tokens, rates: Rates::default() };
        let mut votes: Vec<(Bucket, Votes)> = Vec::new();
        for bucket in Bucket::ALL {
            let said: Votes = books
                .iter()
                .filter_map(|(source, book)| {
                    Some((*source, book.get(&(service_tier, above_input_tokens))?.get(bucket)?))
                })
                .collect();
            if let Some(price) = choose(&said) {
                row.rates.set(bucket, Some(price));
                votes.push((bucket, said));
            }
        }
        tidy(&mut row.rates, &first);
        if row.rates.is_empty() {
            continue;
        }
        if (service_tier, above_input_tokens) == (ServiceTier::Standard, 0) {
            first = row.rates;
        }
        for (bucket, said) in votes {
            if let Some(price) = row.rates.get(bucket) {
                agreed.note(&row, bucket, price, &said);
            }
        }
        agreed.rows.push(row);
    }
    agreed
}

type Votes = Vec<(Source, PicoUsd)>;

/// Returns the price that counts.
fn choose(said: &Votes) -> Option<PicoUsd> {
    if let Some((Source::Crossway, price)) = said.first() {
        return Some(*price);
    }
    let votes = |price: PicoUsd| said.iter().filter(|(_, other)| *other == price).count();
    // Of those with the most votes the first one counts: `max_by_key` would return the last.
    let most = said.iter().map(|(_, price)| votes(*price)).max()?;
    said.iter().find(|(_, price)| votes(*price) == most).map(|(_, price)| *price)
}

/// Leaves out what says nothing: a price that equals the one which stands in for it, unless the first row has one of
/// its own, and prices by unit beside prices by token.
fn tidy(rates: &mut Rates, first: &Rates) {
    for bucket in Bucket::ALL.into_iter().rev() {
        let stand_in = bucket.fallback().and_then(|plain| rates.get(plain));
        let implied = bucket != Bucket::CachedInput && stand_in.is_some() && rates.get(bucket) == stand_in;
        if implied && first.get(bucket).is_none() {
            rates.set(bucket, None);
        }
    }
    if rates.get(Bucket::ImageOutput).is_some() {
        rates.set(Bucket::Image, None);
    }
    if rates.get(Bucket::Input).is_some() {
        rates.set(Bucket::AudioSecond, None);
        rates.set(Bucket::Character, None);
    }
}

impl Agreed {
    fn note(&mut self, row: &PriceRow, bucket: Bucket, price: PicoUsd, said: &Votes) {
        let name: Box<str> = place(row, bucket).into();
        let agreeing: Vec<&str> =
            said.iter().filter(|(_, other)| *other == price).map(|(source, _)| source.name()).collect();
        self.sources.insert(name.clone(), agreeing.join("+").into());
        if said.iter().any(|(_, other)| *other != price) {
            let said = said.iter().map(|(source, price)| (source.name().into(), bucket.write(*price).into()));
            self.disagreements.push(Disagreement {
                price: name,
                taken: bucket.write(price).into(),
                said: said.collect(),
                ..Disagreement::default()
            });
        }
    }
}

/// Returns the name of a price in a price list.
fn place(row: &PriceRow, bucket: Bucket) -> String {
    let tier = match row.service_tier {
        ServiceTier::Standard => "",
        ServiceTier::Flex => "flex/",
        ServiceTier::Priority => "priority/",
        ServiceTier::Batch => "batch/",
    };
    let above = if row.above_input_tokens > 0 { format!(">{}", row.above_input_tokens) } else { String::new() };
    format!("{tier}{}{above}", bucket.name())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn book(input: u64) -> Book {
        let rates = Rates::default().with(Bucket::Input, PicoUsd(input));
        Book::from([((ServiceTier::Standard, 0), rates)])
    }

    fn check(books: &[(Source, u64)], expect: u64, sources: &str, disagreements: usize) {
        let books: Vec<_> = books.iter().map(|(source, input)| (*source, book(*input))).collect();
        let agreed = agree(&books);
        assert_eq!(agreed.rows[0].rates.get(Bucket::Input), Some(PicoUsd(expect)), "{books:?}");
        assert_eq!(&*agreed.sources["input"], sources);
        assert_eq!(agreed.disagreements.len(), disagreements);
    }

    #[test]
    fn the_majority_decides() {
        use Source::{Crossway, Genai, Litellm, ModelsDev};
        check(&[(Litellm, 1), (Genai, 1), (ModelsDev, 1)], 1, "litellm+genai-prices+models.dev", 0);
        check(&[(Litellm, 1), (Genai, 2), (ModelsDev, 2)], 2, "genai-prices+models.dev", 1);
        check(&[(Litellm, 1), (Genai, 2)], 1, "litellm", 1);
        check(&[(Litellm, 1), (Genai, 2), (ModelsDev, 3)], 1, "litellm", 1);
        check(&[(Genai, 2), (ModelsDev, 3)], 2, "genai-prices", 1);
        check(&[(Crossway, 9), (Litellm, 1), (Genai, 1)], 9, "crossway", 1);
    }

    #[test]
    fn a_disagreement_says_who_says_what() {
        let mut agreed = agree(&[(Source::Litellm, book(2_000_000)), (Source::Genai, book(1_000_000))]);
        let found = agreed.disagreements.pop().unwrap();
        assert_eq!((&*found.price, &*found.taken), ("input", "2"));
        let said: Vec<_> = found.said.iter().map(|(source, price)| (&**source, &**price)).collect();
        assert_eq!(said, [("genai-prices", "1"), ("litellm", "2")]);
    }

    #[test]
    fn what_is_implied_is_left_out() {
        let rates = Rates::plain(PicoUsd(5), PicoUsd(9))
            .with(Bucket::Reasoning, PicoUsd(9))
            .with(Bucket::CacheWrite, PicoUsd(5))
            .with(Bucket::CachedInput, PicoUsd(5))
            .with(Bucket::ImageOutput, PicoUsd(30))
            .with(Bucket::Image, PicoUsd(40))
            .with(Bucket::AudioSecond, PicoUsd(1));
        let agreed = agree(&[(Source::Litellm, Book::from([((ServiceTier::Standard, 0), rates)]))]);
        let kept: Vec<Bucket> = agreed.rows[0].rates.iter().map(|(bucket, _)| bucket).collect();
        assert_eq!(kept, [Bucket::Input, Bucket::CachedInput, Bucket::Output, Bucket::ImageOutput]);
    }
}
