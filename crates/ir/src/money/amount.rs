//! Amounts that may be below zero: balances, and what is posted to accounts.

use std::fmt;

use super::{NanoUsd, PicoUsd, PriceError};

/// An amount in nano-dollars, of either sign.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SignedNanos(pub i64);

/// Why a decimal amount was not accepted.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum AmountError {
    /// Not a plain decimal number.
    #[error("not a decimal number of US dollars, such as 25.50")]
    NotDecimal,
    /// More than nine digits behind the point.
    #[error("finer than a nano-dollar: at most nine digits behind the point")]
    TooFine,
    /// Beyond what is counted.
    #[error("too large")]
    TooLarge,
}

impl SignedNanos {
    /// Reads US dollars as people write them: digits, a point, nine digits behind it at most, perhaps a sign before.
    ///
    /// # Errors
    /// When the text is anything else, or beyond nine billion dollars.
    pub fn dollars(text: &str) -> Result<Self, AmountError> {
        let text = text.trim();
        let (negative, digits) = match text.strip_prefix('-') {
            Some(digits) => (true, digits),
            None => (false, text),
        };
        if !digits.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.') {
            return Err(AmountError::NotDecimal);
        }
        // What is written as a decimal times ten to the ninth.
        let nanos = PicoUsd::scaled(digits, 9).map_err(|error| match error {
            PriceError::TooFine => AmountError::TooFine,
            PriceError::TooLarge => AmountError::TooLarge,
            PriceError::NotDecimal | PriceError::Negative => AmountError::NotDecimal,
        })?;
        let nanos = i64::try_from(nanos.0).map_err(|_| AmountError::TooLarge)?;
        Ok(Self(if negative { -nanos } else { nanos }))
    }
}

impl fmt::Display for SignedNanos {
    /// Prints US dollars as a plain decimal without trailing zeros: `-0.0001225`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 < 0 {
            f.write_str("-")?;
        }
        NanoUsd(self.0.unsigned_abs()).fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expect: Result<i64, AmountError>) {
        assert_eq!(SignedNanos::dollars(text).map(|amount| amount.0), expect, "{text}");
    }

    #[test]
    fn reads_amounts() {
        check("25.50", Ok(25_500_000_000));
        check("-0.000000001", Ok(-1));
        check("0", Ok(0));
        check(" 9223372036.854775807 ", Ok(i64::MAX));
        check("9223372036.854775808", Err(AmountError::TooLarge));
        check("0.0000000001", Err(AmountError::TooFine));
        for wrong in ["", ".", "-", "1e3", "+1", "--1", "1,5", "1.5.", "$1", "NaN"] {
            check(wrong, Err(AmountError::NotDecimal));
        }
    }

    #[test]
    fn prints_what_it_reads() {
        for text in ["25.5", "-0.000000001", "0", "-3"] {
            assert_eq!(SignedNanos::dollars(text).unwrap().to_string(), text);
        }
    }
}
