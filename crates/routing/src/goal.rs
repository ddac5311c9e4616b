//! What a request wants of the router when it leaves the choice open: `auto`, `cheapest`, `fastest`, `best`.

use std::fmt;

use policy::snapshot::Snapshot;
use policy::snapshot::route::{PolicySettings, Weights};

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

    /// Returns what an environment says about it.
    pub fn settings(self, snapshot: &Snapshot) -> PolicySettings {
        let at = Self::ALL.into_iter().position(|goal| goal == self);
        at.and_then(|at| snapshot.environment.policies.get(at)).copied().unwrap_or_default()
    }

    /// Returns what it weighs the terms by, where nobody says otherwise.
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
