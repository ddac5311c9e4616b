//! The ledger: what environments paid, were given and were charged, as transfers between accounts.
//!
//! It is double entry: every transfer adds up to nothing over its accounts, and the balance of an account is the sum of
//! what was posted to it. Rows are never changed. A transfer is posted once, however often it is delivered: that of a
//! request by the request's id, any other by the reference that whoever posts it gives it. What requests are charged is
//! posted with their records, in one transaction. All amounts are nano-dollars.

use ir::money::SignedNanos;
use rusqlite::Row;

pub mod credit;
pub(super) mod post;
pub mod read;
pub mod statement;
pub mod verify;

/// An account of an environment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Account {
    /// What the environment may still spend.
    Credits,
    /// What was paid from outside.
    Funding,
    /// What was given away.
    Promotions,
    /// What was corrected.
    Adjustments,
    /// What providers charge.
    Cost,
    /// What the operator adds.
    Margin,
}

impl Account {
    /// Every account, in the order of the columns.
    pub const ALL: [Self; 6] =
        [Self::Credits, Self::Funding, Self::Promotions, Self::Adjustments, Self::Cost, Self::Margin];

    /// Returns its name, which is also that of its column.
    pub fn name(self) -> &'static str {
        match self {
            Self::Credits => "credits",
            Self::Funding => "funding",
            Self::Promotions => "promotions",
            Self::Adjustments => "adjustments",
            Self::Cost => "cost",
            Self::Margin => "margin",
        }
    }
}

/// What is posted to, or stands on, each account.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Postings(pub [i64; 6]);

impl Postings {
    /// Returns what is posted to an account.
    pub fn of(&self, account: Account) -> i64 {
        let [credits, funding, promotions, adjustments, cost, margin] = self.0;
        match account {
            Account::Credits => credits,
            Account::Funding => funding,
            Account::Promotions => promotions,
            Account::Adjustments => adjustments,
            Account::Cost => cost,
            Account::Margin => margin,
        }
    }

    /// Returns the accounts that something is posted to.
    pub fn posted(&self) -> impl Iterator<Item = (Account, SignedNanos)> {
        Account::ALL.into_iter().zip(self.0).filter(|(_, amount)| *amount != 0).map(|(of, it)| (of, SignedNanos(it)))
    }

    /// Returns the sum, which is zero.
    pub fn sum(&self) -> i128 {
        self.0.iter().map(|amount| i128::from(*amount)).sum()
    }

    /// Reads six columns.
    fn read(row: &Row<'_>, from: usize) -> rusqlite::Result<Self> {
        let mut all = [0; 6];
        for (index, amount) in all.iter_mut().enumerate() {
            *amount = row.get(from + index)?;
        }
        Ok(Self(all))
    }
}

/// Why credits change, other than by requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CreditKind {
    /// A payment came in.
    TopUp,
    /// Credits are given away.
    Promotion,
    /// A payment is given back: it takes credits away.
    Refund,
    /// A correction, of either sign.
    Adjustment,
}

impl CreditKind {
    /// Every kind, and its name.
    pub const NAMES: [(&'static str, Self); 4] = [
        ("top_up", Self::TopUp),
        ("promotion", Self::Promotion),
        ("refund", Self::Refund),
        ("adjustment", Self::Adjustment),
    ];

    /// Returns its name.
    pub fn name(self) -> &'static str {
        Self::NAMES.iter().find(|(_, kind)| *kind == self).map_or("", |(name, _)| name)
    }

    /// Returns the kind of a name.
    pub fn named(name: &str) -> Option<Self> {
        Self::NAMES.into_iter().find(|(known, _)| *known == name).map(|(_, kind)| kind)
    }

    /// Returns by how much the credits change when people name an amount: what is refunded is taken away.
    #[must_use]
    pub fn signed(self, amount: SignedNanos) -> SignedNanos {
        match self {
            Self::Refund => SignedNanos(amount.0.saturating_neg()),
            Self::TopUp | Self::Promotion | Self::Adjustment => amount,
        }
    }

    /// Returns what is posted when the credits change by an amount.
    fn postings(self, credits: i64) -> Postings {
        let other = -credits;
        Postings(match self {
            Self::TopUp | Self::Refund => [credits, other, 0, 0, 0, 0],
            Self::Promotion => [credits, 0, other, 0, 0, 0],
            Self::Adjustment => [credits, 0, 0, other, 0, 0],
        })
    }
}

#[cfg(test)]
mod tests;
