//! Money in integers: prices are pico-dollars per unit, amounts are nano-dollars.
//!
//! A price of 0.15 USD per million tokens is 150,000 pico-dollars per token. A cost is the exact sum of
//! `units x price` in 128 bits, rounded once per attempt, half up, to nano-dollars. There is no floating point here.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::usage::Usage;

/// A price: pico-dollars (1e-12 USD) per unit (token, image, character, …).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct PicoUsd(pub u64);

/// An amount: nano-dollars (1e-9 USD), never negative.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct NanoUsd(pub u64);

impl NanoUsd {
    /// Returns the sum, or the largest amount when it does not fit.
    pub fn saturating_add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

impl NanoUsd {
    /// Appends US dollars as a plain decimal without trailing zeros: `0`, `0.0001225`, `12.5`. It is a JSON number.
    pub fn write(self, out: &mut Vec<u8>) {
        push_digits(out, self.0 / 1_000_000_000);
        let mut fraction = self.0 % 1_000_000_000;
        if fraction == 0 {
            return;
        }
        out.push(b'.');
        let mut unit = 100_000_000;
        while fraction > 0 {
            out.push(digit(fraction / unit));
            fraction %= unit;
            unit /= 10;
        }
    }
}

impl fmt::Display for NanoUsd {
    /// Prints as [`NanoUsd::write`] does.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = Vec::with_capacity(24);
        self.write(&mut text);
        f.write_str(std::str::from_utf8(&text).unwrap_or_default())
    }
}

/// Appends a number in decimal.
pub fn push_digits(out: &mut Vec<u8>, number: u64) {
    let mut unit = 1;
    while number / unit >= 10 {
        unit *= 10;
    }
    while unit > 0 {
        out.push(digit(number / unit % 10));
        unit /= 10;
    }
}

/// Returns a digit's character.
fn digit(value: u64) -> u8 {
    b'0' + (value % 10) as u8
}

/// Why a decimal price was not accepted.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum PriceError {
    /// Not a plain decimal number.
    #[error("not a decimal number of US dollars")]
    NotDecimal,
    /// Below zero.
    #[error("a price cannot be negative")]
    Negative,
    /// More digits than a pico-dollar per unit can hold.
    #[error("finer than a millionth of a dollar per million units")]
    TooFine,
    /// Beyond 18 million dollars per million units.
    #[error("too large")]
    TooLarge,
}

impl PicoUsd {
    /// Reads US dollars per million units, as price lists print them (`0.15`, `2.5e-1`, `30`).
    ///
    /// # Errors
    /// When the text is not a decimal, negative, finer than 1e-6 USD per million, or too large.
    pub fn per_million(text: &str) -> Result<Self, PriceError> {
        let text = text.trim();
        if text.starts_with('-') {
            return Err(PriceError::Negative);
        }
        let (mantissa, exponent) = match text.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().map_err(|_| PriceError::NotDecimal)?),
            None => (text, 0),
        };
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let digits = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
        if (whole.is_empty() && fraction.is_empty()) || !digits(whole) || !digits(fraction) {
            return Err(PriceError::NotDecimal);
        }
        let significant = format!("{whole}{fraction}");
        let significant = significant.trim_start_matches('0');
        if significant.is_empty() {
            return Ok(Self(0));
        }
        // One US dollar per million units is 1e6 pico-dollars per unit.
        let shift = 6 + i64::from(exponent) - fraction.len() as i64;
        let value: u128 = significant.parse().map_err(|_| PriceError::TooLarge)?;
        let pico = match u32::try_from(shift) {
            Ok(up) => 10u128.checked_pow(up).and_then(|scale| value.checked_mul(scale)).ok_or(PriceError::TooLarge)?,
            Err(_) => {
                let down = u32::try_from(-shift).map_err(|_| PriceError::TooFine)?;
                let scale = 10u128.checked_pow(down).ok_or(PriceError::TooFine)?;
                if !value.is_multiple_of(scale) {
                    return Err(PriceError::TooFine);
                }
                value / scale
            }
        };
        u64::try_from(pico).map(Self).map_err(|_| PriceError::TooLarge)
    }
}

/// What a model costs: one price per bucket of [`Usage`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Prices {
    /// Per uncached input token.
    pub input: PicoUsd,
    /// Per input token that the provider read from its prompt cache.
    pub cached_input: PicoUsd,
    /// Per input token that the provider wrote to its prompt cache.
    pub cache_write: PicoUsd,
    /// Per output token, reasoning included.
    pub output: PicoUsd,
    /// Per input token of audio.
    pub audio_input: PicoUsd,
    /// Per output token of audio.
    pub audio_output: PicoUsd,
}

impl Prices {
    /// Returns the cost of a usage: the exact sum in pico-dollars, rounded once, half up, to nano-dollars; the
    /// largest amount when that does not fit.
    pub fn cost(&self, usage: &Usage) -> NanoUsd {
        let pico: u128 = [
            (usage.input, self.input),
            (usage.cached_input, self.cached_input),
            (usage.cache_write, self.cache_write),
            (usage.output, self.output),
            (usage.reasoning, self.output),
            (usage.audio_input, self.audio_input),
            (usage.audio_output, self.audio_output),
        ]
        .iter()
        .map(|(units, price)| u128::from(*units) * u128::from(price.0))
        .fold(0, u128::saturating_add);
        NanoUsd(u64::try_from(pico.saturating_add(500) / 1_000).unwrap_or(u64::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expect: Result<u64, PriceError>) {
        assert_eq!(PicoUsd::per_million(text).map(|p| p.0), expect, "{text}");
    }

    #[test]
    fn reads_price_lists() {
        check("0.15", Ok(150_000));
        check("30", Ok(30_000_000));
        check("2.5e-1", Ok(250_000));
        check("0.000001", Ok(1));
        check("0", Ok(0));
        check("0.0", Ok(0));
        check("7.5e0", Ok(7_500_000));
    }

    #[test]
    fn refuses_what_is_not_a_price() {
        check("", Err(PriceError::NotDecimal));
        check(".", Err(PriceError::NotDecimal));
        check("1,5", Err(PriceError::NotDecimal));
        check("NaN", Err(PriceError::NotDecimal));
        check("-1", Err(PriceError::Negative));
        check("0.0000001", Err(PriceError::TooFine));
        check("1e40", Err(PriceError::TooLarge));
        check("99999999999999999", Err(PriceError::TooLarge));
    }

    #[test]
    fn rounds_once_half_up() {
        let prices = Prices { input: PicoUsd(1), output: PicoUsd(1), ..Prices::default() };
        let cost = |input, output| prices.cost(&Usage { input, output, ..Usage::default() });
        assert_eq!(cost(249, 250), NanoUsd(0));
        assert_eq!(cost(250, 250), NanoUsd(1));
        assert_eq!(cost(1_499, 0), NanoUsd(1));
    }

    #[test]
    fn saturates_instead_of_wrapping() {
        let prices = Prices { input: PicoUsd(u64::MAX), output: PicoUsd(u64::MAX), ..Prices::default() };
        assert_eq!(prices.cost(&Usage { input: u64::MAX, output: u64::MAX, ..Usage::default() }), NanoUsd(u64::MAX));
    }

    #[test]
    fn prints_dollars() {
        assert_eq!(NanoUsd(0).to_string(), "0");
        assert_eq!(NanoUsd(122_500).to_string(), "0.0001225");
        assert_eq!(NanoUsd(12_500_000_000).to_string(), "12.5");
        assert_eq!(NanoUsd(1).to_string(), "0.000000001");
    }
}
