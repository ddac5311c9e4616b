//! Money in integers: prices are pico-dollars per unit, amounts are nano-dollars.
//!
//! A price of 0.15 USD per million tokens is 150,000 pico-dollars per token. A cost is the exact sum of
//! `units x price` in 128 bits, rounded once per attempt, half up, to nano-dollars. There is no floating point here.

use std::fmt;

use serde::{Deserialize, Serialize};

mod amount;
mod charge;
mod prices;

pub use amount::{AmountError, SignedNanos};
pub use charge::{Charge, Margin, MarginError};
pub use prices::{Bucket, PriceRow, Prices, Rates, ServiceTier};

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
    let (digits, first) = digits(number);
    out.extend_from_slice(digits.get(first..).unwrap_or_default());
}

/// Returns a number in decimal: the digits stand at the end, from the place that is returned beside them on.
pub fn digits(mut number: u64) -> ([u8; 20], usize) {
    let mut digits = [b'0'; 20];
    let (pairs, _) = digits.as_chunks_mut::<2>();
    let mut written = 0;
    // Two at a time: a division takes longer than everything else.
    for pair in pairs.iter_mut().rev() {
        let two = number % 100;
        *pair = [digit(two / 10), digit(two)];
        written += if number < 10 { 1 } else { 2 };
        number /= 100;
        if number == 0 {
            break;
        }
    }
    (digits, 20 - written)
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
        // One US dollar per million units is 1e6 pico-dollars per unit.
        Self::scaled(text, 6)
    }

    /// Reads US dollars per unit, as price lists print what an image or a search costs (`0.04`).
    ///
    /// # Errors
    /// When the text is not a decimal, negative, finer than 1e-12 USD, or too large.
    pub fn per_unit(text: &str) -> Result<Self, PriceError> {
        Self::scaled(text, 12)
    }

    /// Reads a decimal and returns it times ten to the power of `digits`.
    fn scaled(text: &str, digits: i64) -> Result<Self, PriceError> {
        let text = text.trim();
        if text.starts_with('-') {
            return Err(PriceError::Negative);
        }
        let (mantissa, exponent) = match text.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().map_err(|_| PriceError::NotDecimal)?),
            None => (text, 0),
        };
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let decimal = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
        if (whole.is_empty() && fraction.is_empty()) || !decimal(whole) || !decimal(fraction) {
            return Err(PriceError::NotDecimal);
        }
        let significant = format!("{whole}{fraction}");
        let significant = significant.trim_start_matches('0');
        if significant.is_empty() {
            return Ok(Self(0));
        }
        let shift = digits + i64::from(exponent) - fraction.len() as i64;
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

    /// Returns US dollars per million units as a plain decimal: `0.15`.
    pub fn per_million_text(self) -> String {
        decimal_text(self.0, 6)
    }

    /// Returns US dollars per unit as a plain decimal: `0.04`.
    pub fn per_unit_text(self) -> String {
        decimal_text(self.0, 12)
    }
}

/// Returns `number` divided by ten to the power of `digits` as a plain decimal without trailing zeros.
fn decimal_text(number: u64, digits: usize) -> String {
    let scale = 10u64.pow(digits as u32);
    let fraction = format!("{:0digits$}", number % scale);
    let fraction = fraction.trim_end_matches('0');
    if fraction.is_empty() { (number / scale).to_string() } else { format!("{}.{fraction}", number / scale) }
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
    fn prints_dollars() {
        assert_eq!(NanoUsd(0).to_string(), "0");
        assert_eq!(NanoUsd(122_500).to_string(), "0.0001225");
        assert_eq!(NanoUsd(12_500_000_000).to_string(), "12.5");
        assert_eq!(NanoUsd(1).to_string(), "0.000000001");
    }

    #[test]
    fn prices_print_as_they_are_read() {
        for text in ["0.15", "30", "0", "0.000001", "7.5", "18446744073709.551615"] {
            assert_eq!(PicoUsd::per_million(text).unwrap().per_million_text(), text);
        }
        for text in ["0.04", "0", "12", "0.000000000001"] {
            assert_eq!(PicoUsd::per_unit(text).unwrap().per_unit_text(), text);
        }
        assert_eq!(PicoUsd::per_unit("0.04"), Ok(PicoUsd(40_000_000_000)));
        assert_eq!(PicoUsd::per_unit("1e-13"), Err(PriceError::TooFine));
        assert_eq!(PicoUsd::per_unit("18446745"), Err(PriceError::TooLarge));
    }
}
