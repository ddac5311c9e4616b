//! What one source says of one vendor's model, in one form whatever the source.

use std::collections::{BTreeMap, BTreeSet};

use catalog::model::Mode;
use ir::money::{PicoUsd, Rates, ServiceTier};
use serde_json::Value;

/// Prices by service tier and by the number of input tokens above which they apply.
pub type Book = BTreeMap<(ServiceTier, u64), Rates>;

/// What a source says.
#[derive(Clone, Debug, Default)]
pub struct Said {
    /// The vendor's name of the model, in the vendor's spelling.
    pub name: String,
    /// `None` when the source does not tell modes apart.
    pub mode: Option<Mode>,
    /// Whether it is served over the Responses interface alone.
    pub responses_only: bool,
    /// Its name for people.
    pub title: Option<String>,
    /// Input and output tokens together.
    pub context_window: Option<u64>,
    /// The most it can write.
    pub max_output_tokens: Option<u64>,
    /// What it can do; empty when the source says nothing of it.
    pub capabilities: BTreeSet<&'static str>,
    /// What it reads.
    pub input_modalities: Vec<String>,
    /// What it writes.
    pub output_modalities: Vec<String>,
    /// `YYYY-MM-DD`
    pub released: Option<String>,
    /// The day on which it is no longer served.
    pub ends: Option<String>,
    /// Whether it is said to be on its way out.
    pub deprecated: bool,
    /// The price list that it was read from.
    pub link: Option<String>,
    /// The prices.
    pub prices: Book,
}

/// Returns a text member.
pub fn text(object: &Value, name: &str) -> Option<String> {
    object.get(name)?.as_str().map(str::to_owned)
}

/// Returns a whole number, whether it is written as a number or as a decimal string; `None` when it is 0 or none.
pub fn number(object: &Value, name: &str) -> Option<u64> {
    whole(object.get(name)?)
}

/// Returns a value as a whole number.
pub fn whole(value: &Value) -> Option<u64> {
    let found = match value {
        Value::String(text) => text.split('.').next()?.parse().ok(),
        other => other.as_u64(),
    };
    found.filter(|number| *number > 0)
}

/// Returns a list of words.
pub fn words(object: &Value, name: &str) -> Vec<String> {
    let list = object.get(name).and_then(Value::as_array).into_iter().flatten();
    list.filter_map(|word| word.as_str().map(str::to_owned)).collect()
}

/// Reads a decimal, multiplies it with ten to the power of `digits`, divides it by `by`, and rounds half up: prices in
/// lists are at times finer than a pico-dollar. `None` when it is no positive number, or too large.
pub fn scaled(value: &Value, digits: usize, by: u64) -> Option<PicoUsd> {
    let written = match value {
        Value::String(text) => text.clone(),
        Value::Number(number) => number.as_u64()?.to_string(),
        _ => return None,
    };
    let (whole, fraction) = written.split_once('.').unwrap_or((&written, ""));
    // Twelve digits more than needed keep the rounding exact for every price list there is.
    let mut fraction = fraction.to_owned();
    while fraction.len() < digits + 12 {
        fraction.push('0');
    }
    fraction.truncate(digits + 12);
    let scaled: u128 = format!("{whole}{fraction}").parse().ok()?;
    let unit = 1_000_000_000_000 * u128::from(by);
    let rounded = (scaled + unit / 2) / unit;
    u64::try_from(rounded).ok().map(PicoUsd)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, digits: usize, by: u64, expect: Option<u64>) {
        assert_eq!(scaled(&Value::from(text), digits, by).map(|price| price.0), expect, "{text}");
    }

    #[test]
    fn decimals_become_pico_dollars() {
        check("0.0000025", 12, 1, Some(2_500_000));
        check("2.5", 6, 1, Some(2_500_000));
        check("0.00000000000049", 12, 1, Some(0));
        check("0.0000000000005", 12, 1, Some(1));
        check("0.111", 12, 3_600, Some(30_833_333));
        check("10", 12, 1_000, Some(10_000_000_000));
        check("-1", 12, 1, None);
        check("free", 12, 1, None);
        assert_eq!(scaled(&Value::from(3), 6, 1).map(|price| price.0), Some(3_000_000));
    }
}
