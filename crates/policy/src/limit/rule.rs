//! A limit as it was checked: whom it binds, and what it counts.

use std::sync::Arc;
use std::time::Duration;

use super::Meter;

/// A limit and what people call it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Limit {
    /// Its name, or where it is written; unique among those that bind a request only where people made it so.
    pub name: Arc<str>,
    /// What it says.
    pub rule: Rule,
}

/// What a limit says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// What is counted.
    pub meter: Meter,
    /// Over which time.
    pub window: Span,
    /// The most: requests, tokens, places, or nano-dollars.
    pub amount: u64,
    /// Who shares it.
    pub scope: Scope,
    /// Of what.
    pub target: Target,
    /// Whether it binds.
    pub enabled: bool,
    /// Among which processes it is counted together.
    pub enforce: Enforce,
}

/// Among which processes something is counted together. One process does the same under both.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Enforce {
    /// All of them share the amount.
    #[default]
    Cluster,
    /// Each one has the amount for itself.
    Node,
}

impl Default for Rule {
    /// Nothing for anybody, ever.
    fn default() -> Self {
        Self {
            meter: Meter::Requests,
            window: Span::Total,
            amount: 0,
            scope: Scope::Environment,
            target: Target::All,
            enabled: true,
            enforce: Enforce::Cluster,
        }
    }
}

/// Over which time something is counted, before the environment's time zone is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Span {
    /// The last so much time, at every instant.
    Rolling(Duration),
    /// A day of the calendar.
    Day,
    /// A month of the calendar.
    Month,
    /// A month that begins on the day on which the environment's billing periods do.
    BillingPeriod,
    /// For ever.
    Total,
}

/// Who shares a count.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Scope {
    /// Everybody in the environment.
    Environment,
    /// The keys of one team; of each team, without a name.
    Team(Option<Arc<str>>),
    /// One key; each one, without a name.
    Key(Option<Arc<str>>),
    /// One user, as the request's `user` names them; each one, without a name.
    User(Option<Arc<str>>),
    /// Each peer's address, or one.
    Ip(Option<Arc<str>>),
    /// Each bucket that requests name, or one.
    Bucket(Option<Arc<str>>),
}

/// What is counted.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Target {
    /// Everything.
    All,
    /// What is sent to one provider.
    Provider(Arc<str>),
    /// What one model answers, whoever serves it; its slug, in lower case.
    Model(Arc<str>),
}
