//! Route configurations, compiled: what is left to do for a request is to look.

use std::collections::HashMap;
use std::sync::Arc;

use super::{FallbackOn, ModelIndex};
use crate::condition::{Condition, Looks};

/// The route configurations of an environment.
#[derive(Clone, Debug, Default)]
pub struct Routes {
    /// All of them, in the order in which they were configured.
    pub all: Vec<Arc<Route>>,
    /// Those of keys, by the key's name, to their places.
    pub of_keys: HashMap<Box<str>, usize>,
    /// The one for keys without a route of their own.
    pub default: Option<usize>,
    /// How many places of [`Level::slot`] there are.
    pub slots: usize,
}

/// What is to be done with a request, as far as routes decide it.
#[derive(Clone, Copy, Debug)]
pub enum Binding<'a> {
    /// Its key's own route is active.
    Key(&'a Arc<Route>),
    /// Its key has one that is not: requests go where they say.
    Bypassed,
    /// The environment's, unless the request names a provider.
    Default(&'a Arc<Route>),
    /// None.
    Free,
}

impl Routes {
    /// Returns which route binds a key.
    pub fn binding(&self, key: &str) -> Binding<'_> {
        if self.all.is_empty() {
            return Binding::Free;
        }
        let of_key = self.of_keys.get(key).and_then(|at| self.all.get(*at));
        let default = || self.default.and_then(|at| self.all.get(at)).filter(|route| route.active);
        match of_key {
            Some(route) if route.active => Binding::Key(route),
            Some(_) => Binding::Bypassed,
            None => default().map_or(Binding::Free, Binding::Default),
        }
    }

    /// Returns what has to be known of a key's requests.
    pub fn looks(&self, key: &str) -> Looks {
        match self.binding(key) {
            Binding::Key(route) | Binding::Default(route) => route.looks,
            Binding::Bypassed | Binding::Free => Looks::default(),
        }
    }

    /// Returns every level, to the end that its requests are counted.
    pub fn levels(&self) -> impl Iterator<Item = &Level> {
        self.all.iter().flat_map(|route| match &route.strategy {
            Strategy::Always(pick) => pick.levels().iter().collect::<Vec<&Level>>(),
            Strategy::Rules { rules, otherwise } => {
                rules.iter().map(|rule| &rule.then).chain(otherwise).flat_map(Pick::levels).collect()
            }
        })
    }

    /// Returns what is said of the state of a route: `active`, `inactive`, `broken` when it names something that is
    /// switched off, which is then skipped, or `unknown` for one that there is not.
    pub fn state_of(&self, name: &str) -> &'static str {
        match self.all.iter().find(|route| *route.name == *name) {
            None => "unknown",
            Some(route) if route.broken => "broken",
            Some(route) if route.active => "active",
            Some(_) => "inactive",
        }
    }

    /// Returns the route that decides about a request; `None` where the request does itself.
    pub fn route_of(&self, key: &str, names_provider: bool) -> Option<&Arc<Route>> {
        match self.binding(key) {
            Binding::Key(route) => Some(route),
            Binding::Default(route) if !names_provider => Some(route),
            _ => None,
        }
    }
}

/// One route configuration.
#[derive(Clone, Debug)]
pub struct Route {
    /// Its name.
    pub name: Arc<str>,
    /// Whether it is enforced.
    pub active: bool,
    /// How it routes.
    pub strategy: Strategy,
    /// On which failures the next target is tried; `None` for what the first model's fallback policy says.
    pub on: Option<FallbackOn>,
    /// What it has to know of a request.
    pub looks: Looks,
    /// Whether a policy may choose, so that it matters what the request needs.
    pub chooses: bool,
    /// Whether it names something that is switched off by now.
    pub broken: bool,
}

/// How a route decides.
#[derive(Clone, Debug)]
pub enum Strategy {
    /// The same for every request.
    Always(Pick),
    /// By the first rule that matches.
    Rules {
        /// The rules.
        rules: Vec<Rule>,
        /// What happens to a request that meets none; `None`: it goes where it says.
        otherwise: Option<Pick>,
    },
}

/// One rule.
#[derive(Clone, Debug)]
pub struct Rule {
    /// When it applies.
    pub when: Arc<Condition>,
    /// Where it leads.
    pub then: Pick,
}

/// Where a request goes.
#[derive(Clone, Debug)]
pub enum Pick {
    /// To targets, in levels: all of one before any of the next.
    Targets {
        /// The levels, none of them empty.
        levels: Vec<Level>,
        /// Whether it is a split: one level, of which every request gets one.
        split: bool,
        /// Who always gets the same target.
        sticky: Option<Sticky>,
    },
    /// Where a policy sends it.
    Policy(Choice),
}

impl Pick {
    /// Returns its levels; none where a policy chooses.
    pub fn levels(&self) -> &[Level] {
        match self {
            Self::Targets { levels, .. } => levels,
            Self::Policy(_) => &[],
        }
    }
}

/// Targets that share requests.
#[derive(Clone, Debug)]
pub struct Level {
    /// Lower ones are tried first.
    pub priority: u32,
    /// The targets.
    pub targets: Vec<RouteTarget>,
    /// Whose turn it is, by the number of the request, modulo its length; empty where there is one target.
    pub schedule: Arc<[u8]>,
    /// The number of the counter of its requests.
    pub slot: usize,
    /// Where it is written: the name of that counter over changes of the configuration.
    pub place: Box<str>,
}

/// One target.
#[derive(Clone, Debug)]
pub struct RouteTarget {
    /// The model as it is written.
    pub name: Box<str>,
    /// The provider as it is written, if one is named.
    pub provider: Option<Box<str>>,
    /// What it means: the same model at several providers.
    pub models: Vec<ModelIndex>,
    /// Whose credential it is asked with.
    pub credential: Via,
    /// Its share.
    pub weight: u32,
    /// Why it cannot be asked at all.
    pub broken: Option<&'static str>,
}

/// Whose credential a target is asked with.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Via {
    /// The caller's own where there is one, else the operator's.
    #[default]
    Usual,
    /// The operator's.
    Platform,
    /// The own credential of this name.
    Own(Arc<str>),
}

/// Who always gets the same target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sticky {
    /// A user.
    User,
    /// A session.
    Session,
    /// A key.
    Key,
}

/// A policy and its settings.
#[derive(Clone, Debug)]
pub struct Choice {
    /// `auto`, `cheapest`, `fastest` or `best`.
    pub policy: &'static str,
    /// What it weighs; the environment's setting by default.
    pub weights: Option<Weights>,
    /// The models it chooses among; `None` for all.
    pub candidates: Option<Vec<ModelIndex>>,
    /// The least quality; the environment's setting by default.
    pub quality_bar: Option<u32>,
}

/// What the environment says about policies.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct PolicySettings {
    /// What it weighs, where that is not its own weights.
    pub weights: Option<Weights>,
    /// The least quality, 0 to 100.
    pub quality_bar: Option<u32>,
}

/// The settings of `auto`, `cheapest`, `fastest` and `best`, in the order of [`crate::compile::RESERVED_NAMES`].
pub type Policies = [PolicySettings; 4];

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
    pub fn sum(&self) -> f64 {
        let sum = self.latency + self.cost + self.quality + self.availability;
        if sum > 0.0 && sum.is_finite() { sum } else { 1.0 }
    }
}
