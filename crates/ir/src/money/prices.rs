//! What a model costs: a price for every bucket of a usage, by length of the input and by service tier.
//!
//! A price list has one row for ordinary requests and further rows for long inputs and for other service tiers. The
//! row that applies prices the whole request, as the vendors bill it. A price that nobody knows is absent, never 0: a
//! usage that needs it has no known cost.

use std::fmt;

use serde::de::{self, MapAccess, Visitor};
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{NanoUsd, PicoUsd};
use crate::usage::Usage;

/// What has a price of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Bucket {
    /// An input token.
    Input,
    /// An input token read from the provider's prompt cache.
    CachedInput,
    /// An input token written to the provider's prompt cache.
    CacheWrite,
    /// An input token written to the provider's prompt cache for an hour.
    CacheWrite1h,
    /// An output token.
    Output,
    /// An output token spent on reasoning.
    Reasoning,
    /// An input token of audio.
    AudioInput,
    /// An output token of audio.
    AudioOutput,
    /// An input token of an image.
    ImageInput,
    /// An output token of an image.
    ImageOutput,
    /// An image that was made.
    Image,
    /// A second of audio.
    AudioSecond,
    /// A character that was spoken.
    Character,
    /// A web search.
    Search,
    /// A call.
    Request,
}

impl Bucket {
    /// Every bucket, in the order of [`Rates`].
    pub const ALL: [Self; 15] = [
        Self::Input,
        Self::CachedInput,
        Self::CacheWrite,
        Self::CacheWrite1h,
        Self::Output,
        Self::Reasoning,
        Self::AudioInput,
        Self::AudioOutput,
        Self::ImageInput,
        Self::ImageOutput,
        Self::Image,
        Self::AudioSecond,
        Self::Character,
        Self::Search,
        Self::Request,
    ];

    /// Returns the name used in data and in the API.
    pub fn name(self) -> &'static str {
        match self {
            Self::Input => "input",
            Self::CachedInput => "cached_input",
            Self::CacheWrite => "cache_write",
            Self::CacheWrite1h => "cache_write_1h",
            Self::Output => "output",
            Self::Reasoning => "reasoning",
            Self::AudioInput => "audio_input",
            Self::AudioOutput => "audio_output",
            Self::ImageInput => "image_input",
            Self::ImageOutput => "image_output",
            Self::Image => "image",
            Self::AudioSecond => "audio_second",
            Self::Character => "character",
            Self::Search => "search",
            Self::Request => "request",
        }
    }

    /// Returns whether its price is printed per million (tokens, characters) rather than per unit.
    pub fn is_per_million(self) -> bool {
        !matches!(self, Self::Image | Self::AudioSecond | Self::Search | Self::Request)
    }

    /// Returns the bucket whose price applies when this one has none of its own.
    pub fn fallback(self) -> Option<Self> {
        match self {
            Self::CachedInput | Self::CacheWrite | Self::AudioInput | Self::ImageInput => Some(Self::Input),
            Self::CacheWrite1h => Some(Self::CacheWrite),
            Self::Reasoning | Self::AudioOutput | Self::ImageOutput => Some(Self::Output),
            Self::Input | Self::Output => None,
            Self::Image | Self::AudioSecond | Self::Character | Self::Search | Self::Request => None,
        }
    }

    /// Reads a price of this bucket as US dollars, per million or per unit as the bucket is priced.
    ///
    /// # Errors
    /// When it is not a price.
    pub fn read(self, text: &str) -> Result<PicoUsd, super::PriceError> {
        if self.is_per_million() { PicoUsd::per_million(text) } else { PicoUsd::per_unit(text) }
    }

    /// Returns a price of this bucket as US dollars, per million or per unit as the bucket is priced.
    pub fn write(self, price: PicoUsd) -> String {
        if self.is_per_million() { price.per_million_text() } else { price.per_unit_text() }
    }
}

/// A price for each bucket, as far as it is known. Serialises as an object of decimal strings in US dollars: per
/// million for tokens and characters, per unit for the others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rates([Option<PicoUsd>; Bucket::ALL.len()]);

impl Rates {
    /// Returns rates of which only plain input and output are known.
    pub fn plain(input: PicoUsd, output: PicoUsd) -> Self {
        Self::default().with(Bucket::Input, input).with(Bucket::Output, output)
    }

    /// Returns the rates with one price more.
    #[must_use]
    pub fn with(mut self, bucket: Bucket, price: PicoUsd) -> Self {
        self.set(bucket, Some(price));
        self
    }

    /// Returns the price of a bucket.
    pub fn get(&self, bucket: Bucket) -> Option<PicoUsd> {
        self.0.get(bucket as usize).copied().flatten()
    }

    /// Sets or removes the price of a bucket.
    pub fn set(&mut self, bucket: Bucket, price: Option<PicoUsd>) {
        if let Some(place) = self.0.get_mut(bucket as usize) {
            *place = price;
        }
    }

    /// Returns whether no price is known.
    pub fn is_empty(&self) -> bool {
        self.0.iter().all(Option::is_none)
    }

    /// Returns the known prices.
    pub fn iter(&self) -> impl Iterator<Item = (Bucket, PicoUsd)> {
        Bucket::ALL.into_iter().filter_map(|bucket| self.get(bucket).map(|price| (bucket, price)))
    }

    /// Returns the rates with every bucket filled that something else prices: the list's first row where it has a
    /// price of its own, else the bucket that stands in for it.
    fn resolved(&self, first: &Self) -> Self {
        let mut all = *self;
        // In the order of the buckets each fallback comes before those that fall back to it.
        for bucket in Bucket::ALL {
            if all.get(bucket).is_none() {
                let plain = bucket.fallback().and_then(|plain| all.get(plain));
                all.set(bucket, first.get(bucket).or(plain));
            }
        }
        all
    }

    /// Returns the cost of a usage: the exact sum, rounded once, half up, to nano-dollars; the largest amount when
    /// that does not fit; `None` when a price that it needs is unknown.
    pub fn cost(&self, usage: &Usage) -> Option<NanoUsd> {
        let nanos = self.femto(usage)?.saturating_add(500_000) / 1_000_000;
        Some(NanoUsd(u64::try_from(nanos).unwrap_or(u64::MAX)))
    }

    /// Returns the cost of a usage in femto-dollars; `None` when a price that it needs is unknown.
    fn femto(&self, usage: &Usage) -> Option<u128> {
        let mut sum = 0u128;
        for (units, price) in units(usage).iter().zip(&self.0) {
            if *units > 0 {
                // The product of two `u64` always fits.
                sum = sum.saturating_add(u128::from(*units) * u128::from(price.as_ref()?.0));
            }
        }
        sum = sum.saturating_mul(1_000);
        if usage.audio_ms > 0 {
            // A second's price for a thousandth of a second: no factor.
            let price = self.get(Bucket::AudioSecond)?;
            sum = sum.saturating_add(u128::from(usage.audio_ms).saturating_mul(u128::from(price.0)));
        }
        Some(sum)
    }
}

/// Returns the units of a usage in the order of [`Bucket::ALL`]. Seconds of audio are left out: they are fractions.
fn units(usage: &Usage) -> [u64; Bucket::ALL.len()] {
    [
        usage.input,
        usage.cached_input,
        usage.cache_write,
        usage.cache_write_1h,
        usage.output,
        usage.reasoning,
        usage.audio_input,
        usage.audio_output,
        usage.image_input,
        usage.image_output,
        usage.images,
        0,
        usage.characters,
        usage.searches,
        usage.requests,
    ]
}

impl Serialize for Rates {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for (bucket, price) in self.iter() {
            map.serialize_entry(bucket.name(), &bucket.write(price))?;
        }
        map.end()
    }
}

impl<'de> Deserialize<'de> for Rates {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(RatesVisitor)
    }
}

struct RatesVisitor;

impl<'de> Visitor<'de> for RatesVisitor {
    type Value = Rates;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("prices by bucket")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Rates, A::Error> {
        let mut rates = Rates::default();
        while let Some(name) = map.next_key::<std::borrow::Cow<'de, str>>()? {
            let Some(bucket) = Bucket::ALL.into_iter().find(|bucket| bucket.name() == name) else {
                return Err(de::Error::custom(format_args!("{name}: not a bucket")));
            };
            let text = map.next_value::<std::borrow::Cow<'de, str>>()?;
            let price = bucket.read(&text).map_err(|error| de::Error::custom(format_args!("{name}: {error}")))?;
            rates.set(bucket, Some(price));
        }
        Ok(rates)
    }
}

/// How a request was processed, where that changes its price.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ServiceTier {
    /// As usual.
    #[default]
    Standard,
    /// Cheaper and slower.
    Flex,
    /// Dearer and faster.
    Priority,
    /// In a batch, within a day.
    Batch,
}

impl ServiceTier {
    /// Returns the tier that a request or a reply names; what has no price list of its own is the usual one.
    pub fn of_name(name: &str) -> Self {
        match name {
            "flex" => Self::Flex,
            "priority" => Self::Priority,
            "batch" => Self::Batch,
            _ => Self::Standard,
        }
    }
}

/// One row of a price list.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PriceRow {
    /// The service tier that it is for.
    #[serde(default, skip_serializing_if = "is_standard")]
    pub service_tier: ServiceTier,
    /// It applies to requests with more input tokens than this, cached ones included.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub above_input_tokens: u64,
    /// The prices.
    pub rates: Rates,
}

/// A price list, ready to compute with.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Prices {
    /// The first row is the one for ordinary requests; per service tier the thresholds rise.
    rows: Box<[PriceRow]>,
}

impl Prices {
    /// Makes a price list of written rows: sorts them, and fills in what a row leaves out.
    ///
    /// A bucket that a row leaves out costs what the first row says of it, else what its plain bucket costs in the
    /// row: cached, written, audio and image input the input price, reasoning, audio and image output the output
    /// price.
    pub fn new(rows: &[PriceRow]) -> Self {
        let mut rows: Vec<PriceRow> = rows.to_vec();
        rows.sort_by_key(|row| (row.service_tier, row.above_input_tokens));
        rows.dedup_by_key(|row| (row.service_tier, row.above_input_tokens));
        if rows.first().is_none_or(|row| (row.service_tier, row.above_input_tokens) != (ServiceTier::Standard, 0)) {
            rows.insert(0, PriceRow::default());
        }
        let first = rows.first().map(|row| row.rates).unwrap_or_default();
        for row in &mut rows {
            row.rates = row.rates.resolved(&first);
        }
        Self { rows: rows.into() }
    }

    /// Makes a price list of one row.
    pub fn flat(rates: Rates) -> Self {
        Self::new(&[PriceRow { rates, ..PriceRow::default() }])
    }

    /// Returns the prices of ordinary requests.
    pub fn base(&self) -> Rates {
        self.rows.first().map(|row| row.rates).unwrap_or_default()
    }

    /// Returns the rows, the one of ordinary requests first.
    pub fn rows(&self) -> &[PriceRow] {
        &self.rows
    }

    /// Returns the prices that apply to a request: of the rows of its service tier (the usual ones when it has none of
    /// its own) the last one whose threshold is exceeded.
    pub fn rates(&self, input_tokens: u64, tier: ServiceTier) -> Option<&Rates> {
        let of = |tier: ServiceTier| {
            let applies = |row: &&PriceRow| {
                row.service_tier == tier && (row.above_input_tokens == 0 || input_tokens > row.above_input_tokens)
            };
            self.rows.iter().rev().find(applies)
        };
        of(tier).or_else(|| of(ServiceTier::Standard)).map(|row| &row.rates)
    }

    /// Returns the cost of one call that used this: where calls have a price of their own, the provider takes it once, on
    /// top of what was used, and does not report it.
    pub fn call_cost(&self, usage: &Usage, tier: ServiceTier) -> Option<NanoUsd> {
        let has_price = |rates: &Rates| rates.get(Bucket::Request).is_some();
        let call = self.rates(usage.input_tokens(), tier).is_some_and(has_price);
        self.cost(&Usage { requests: usage.requests.max(u64::from(call)), ..*usage }, tier)
    }

    /// Returns the cost of a usage at the prices that apply to it. See [`Rates::cost`].
    pub fn cost(&self, usage: &Usage, tier: ServiceTier) -> Option<NanoUsd> {
        match self.rates(usage.input_tokens(), tier) {
            Some(rates) => rates.cost(usage),
            None => Rates::default().cost(usage),
        }
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
fn is_standard(tier: &ServiceTier) -> bool {
    *tier == ServiceTier::Standard
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

#[cfg(test)]
mod tests;
