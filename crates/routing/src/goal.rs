//! What a request wants of the router when it leaves the choice open: `auto`, `cheapest`, `fastest`, `best`.

use std::fmt;

/// A routing policy, as a request names it in `model`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Goal {
    /// A balance of all four terms.
    Auto,
    /// The lowest expected cost.
    Cheapest,
    /// The shortest expected time.
    Fastest,
    /// The highest quality.
    Best,
}

impl Goal {
    /// All of them, in the order in which they are listed.
    pub const ALL: [Self; 4] = [Self::Auto, Self::Cheapest, Self::Fastest, Self::Best];

    /// Returns the policy of a name, whatever its case.
    pub fn named(name: &str) -> Option<Self> {
        let name = name.trim();
        Self::ALL.into_iter().find(|goal| goal.name().eq_ignore_ascii_case(name))
    }

    /// Returns its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Cheapest => "cheapest",
            Self::Fastest => "fastest",
            Self::Best => "best",
        }
    }

    /// Returns what it weighs the terms by.
    pub fn weights(self) -> Weights {
        let only = Weights { latency: 0.0, cost: 0.0, quality: 0.0, availability: 0.0 };
        match self {
            Self::Auto => Weights { latency: 0.2, cost: 0.3, quality: 0.4, availability: 0.1 },
            Self::Cheapest => Weights { cost: 1.0, ..only },
            Self::Fastest => Weights { latency: 1.0, ..only },
            Self::Best => Weights { quality: 1.0, ..only },
        }
    }
}

impl fmt::Display for Goal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What the terms of a score are multiplied by. Only their proportions count.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Weights {
    /// Of the expected time.
    pub latency: f64,
    /// Of the expected cost.
    pub cost: f64,
    /// Of the expected quality.
    pub quality: f64,
    /// Of being up.
    pub availability: f64,
}

impl Weights {
    /// Returns their sum; 1 when there is none, so that it divides.
    pub(crate) fn sum(&self) -> f64 {
        let sum = self.latency + self.cost + self.quality + self.availability;
        if sum > 0.0 && sum.is_finite() { sum } else { 1.0 }
    }
}
