//! A limit as it was checked: whom it binds, and what it counts.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use ir::settlement::{Party, PartyKind};

use super::book::Who;
use super::{Meter, party};

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
    /// At which shares of the amount it tells of itself, in percent, in order.
    pub thresholds: Box<[u8]>,
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
            thresholds: Box::default(),
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

impl Scope {
    /// Returns whether this is whose use somebody's counter counts. `key` is the name of the key, where it is one's.
    pub fn covers(&self, who: &Who, key: Option<&str>) -> bool {
        let is = |named: &Option<Arc<str>>, name: &str| named.as_deref().is_none_or(|named| named == name);
        match (self, who) {
            (Self::Environment, Who::Environment) => true,
            (Self::Team(named), Who::Team(team)) => is(named, team),
            (Self::Key(named), Who::Key(_)) => named.is_none() || named.as_deref() == key,
            (scope, Who::Party(party)) => {
                scope.party_kind() == Some(party.kind) && scope.party().is_none_or(|named| named == *party)
            }
            // A crowd is nobody in particular.
            (scope, Who::Crowd(kind, _)) => scope.party_kind() == Some(*kind) && scope.party().is_none(),
            _ => false,
        }
    }

    /// Returns which parties it is of; `None` when it is of none.
    fn party_kind(&self) -> Option<PartyKind> {
        match self {
            Self::User(_) => Some(PartyKind::User),
            Self::Ip(_) => Some(PartyKind::Address),
            Self::Bucket(_) => Some(PartyKind::Bucket),
            Self::Environment | Self::Team(_) | Self::Key(_) => None,
        }
    }

    /// Returns the one party that it names.
    fn party(&self) -> Option<Party> {
        match self {
            Self::User(Some(name)) => Some(party::user(name)),
            Self::Ip(Some(name)) => name.parse::<IpAddr>().ok().map(|address| party::address(address.to_canonical())),
            Self::Bucket(Some(name)) => Some(party::bucket(name)),
            _ => None,
        }
    }
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
