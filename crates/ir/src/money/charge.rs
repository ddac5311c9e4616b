//! What a request is charged: its cost, and the operator's margin on that. Reservation and settlement use the one
//! function here, so that what was held covers what is charged.

use serde::{Deserialize, Serialize};

use super::NanoUsd;

/// A share of the cost that is charged on top of it, in millionths: 55,000 are 5.5 %.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Margin(pub u32);

/// Why a decimal percentage was not accepted.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum MarginError {
    /// Not a plain decimal number that is not negative.
    #[error("not a percentage that is not negative")]
    NotDecimal,
    /// More digits than a millionth can hold.
    #[error("finer than 0.0001 percent")]
    TooFine,
    /// Beyond the largest.
    #[error("more than 1000 percent")]
    TooLarge,
}

impl Margin {
    /// The largest: ten times the cost.
    pub const MOST: Self = Self(10_000_000);

    /// Reads a percentage as people write it (`5.5`).
    ///
    /// # Errors
    /// When the text is not a decimal, negative, finer than 0.0001, or more than 1000.
    pub fn percent(text: &str) -> Result<Self, MarginError> {
        let text = text.trim();
        let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
        let decimal = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
        if whole.is_empty() && fraction.is_empty() || !decimal(whole) || !decimal(fraction) {
            return Err(MarginError::NotDecimal);
        }
        let fraction = fraction.trim_end_matches('0');
        if fraction.len() > 4 {
            return Err(MarginError::TooFine);
        }
        let millionths: u128 = format!("{whole}{fraction:0<4}").parse().map_err(|_| MarginError::TooLarge)?;
        match u32::try_from(millionths) {
            Ok(millionths) if millionths <= Self::MOST.0 => Ok(Self(millionths)),
            _ => Err(MarginError::TooLarge),
        }
    }

    /// Returns the percentage as a plain decimal: `5.5`.
    pub fn percent_text(self) -> String {
        super::decimal_text(self.0.into(), 4)
    }

    /// Returns the margin on a cost, rounded half up to a nano-dollar. A higher cost never has a lower margin.
    pub fn on(self, cost: NanoUsd) -> NanoUsd {
        let exact = u128::from(cost.0) * u128::from(self.0);
        NanoUsd(u64::try_from((exact + 500_000) / 1_000_000).unwrap_or(u64::MAX))
    }

    /// Returns the highest cost that, with its margin, is surely not more than an amount; at most two nano-dollars less
    /// than it might be.
    pub fn within(self, amount: NanoUsd) -> NanoUsd {
        if self.0 == 0 {
            return amount;
        }
        // The margin is rounded to the nearest: one nano-dollar stays.
        let exact = u128::from(amount.0.saturating_sub(1)) * 1_000_000 / (1_000_000 + u128::from(self.0));
        NanoUsd(u64::try_from(exact).unwrap_or(u64::MAX))
    }
}

/// What a request is charged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Charge {
    /// What it cost.
    pub cost: NanoUsd,
    /// The margin on that.
    pub margin: NanoUsd,
}

impl Charge {
    /// The most that one request is taken to cost, in nano-dollars: a million US dollars. Sums of charges stay within
    /// 63 bits.
    pub const MOST_COST: NanoUsd = NanoUsd(1_000_000_000_000_000);

    /// Returns the charge of a cost.
    pub fn of(cost: NanoUsd, margin: Margin) -> Self {
        let cost = cost.min(Self::MOST_COST);
        Self { cost, margin: margin.on(cost) }
    }

    /// Returns cost and margin together.
    pub fn total(self) -> NanoUsd {
        self.cost.saturating_add(self.margin)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(text: &str, expect: Result<u32, MarginError>) {
        assert_eq!(Margin::percent(text).map(|margin| margin.0), expect, "{text}");
    }

    #[test]
    fn reads_percentages() {
        check("5.5", Ok(55_000));
        check("0", Ok(0));
        check("12", Ok(120_000));
        check(".0001", Ok(1));
        check("1000.00000", Ok(10_000_000));
        for wrong in ["", ".", "-1", "5,5", "5%", "1e2", "NaN", "+5"] {
            check(wrong, Err(MarginError::NotDecimal));
        }
        check("0.00001", Err(MarginError::TooFine));
        check("1000.0001", Err(MarginError::TooLarge));
        check("99999999999999999999999999999999999999999", Err(MarginError::TooLarge));
        assert_eq!(Margin(55_000).percent_text(), "5.5");
    }

    #[test]
    fn halves_are_rounded_up() {
        let margin = |cost, millionths| Margin(millionths).on(NanoUsd(cost)).0;
        assert_eq!(margin(50_000, 55_000), 2_750);
        assert_eq!(margin(10, 50_000), 1, "0.5");
        assert_eq!(margin(9, 50_000), 0, "0.45");
        assert_eq!(margin(0, 10_000_000), 0);
        assert_eq!(margin(u64::MAX, 10_000_000), u64::MAX);
    }

    proptest! {
        #[test]
        fn a_higher_cost_is_charged_no_less(a in any::<u64>(), b in any::<u64>(), margin in 0..=10_000_000u32) {
            let of = |cost: u64| Charge::of(NanoUsd(cost), Margin(margin)).total();
            prop_assert!(of(a.min(b)) <= of(a.max(b)));
        }

        #[test]
        fn what_an_amount_covers_is_covered(amount in 0..1_000_000_000_000_000u64, margin in 0..=10_000_000u32) {
            let margin = Margin(margin);
            let within = margin.within(NanoUsd(amount));
            prop_assert!(Charge::of(within, margin).total().0 <= amount);
            let more = NanoUsd(within.0 + 3);
            prop_assert!(Charge::of(more, margin).total().0 > amount);
        }
    }
}
