//! For whom a guardrail or a prompt is: the whole environment, a team, or a key.
//!
//! Everything that binds applies: what a team or a key has comes on top of the environment's, and loosens nothing. What
//! binds a team is merged with the environment's beforehand, and so is what binds a key; only where both a team and a key
//! of it have something of their own are the two joined for the request, which compiles nothing anew.

use std::collections::HashMap;
use std::sync::Arc;

use super::{Guards, prompt};

/// The guards and the system prompt that bind a request.
#[derive(Clone, Debug, Default)]
pub struct Bound {
    /// The guards.
    pub guards: Guards,
    /// The system prompt.
    pub prompt: Option<Arc<str>>,
}

impl Bound {
    /// Returns this and what comes on top of it.
    #[must_use]
    pub fn join(&self, other: &Self) -> Self {
        let prompts = self.prompt.iter().chain(&other.prompt).map(|prompt| &**prompt);
        Self { guards: self.guards.join(&other.guards), prompt: prompt::join(prompts) }
    }
}

/// What binds teams and keys of an environment, in addition to what binds everybody.
#[derive(Clone, Debug, Default)]
pub struct Scoped {
    teams: HashMap<Arc<str>, Arc<Bound>>,
    keys: HashMap<Arc<str>, OfKey>,
}

#[derive(Clone, Debug)]
struct OfKey {
    /// What only the key has.
    own: Bound,
    /// The same with the environment's.
    all: Arc<Bound>,
}

impl Scoped {
    /// Takes what teams and keys have of their own, by their names, and what the environment has.
    pub fn new(
        environment: &Bound,
        teams: impl IntoIterator<Item = (Arc<str>, Bound)>,
        keys: impl IntoIterator<Item = (Arc<str>, Bound)>,
    ) -> Self {
        let of_key = |own: Bound| OfKey { all: Arc::new(environment.join(&own)), own };
        Self {
            teams: teams.into_iter().map(|(name, own)| (name, Arc::new(environment.join(&own)))).collect(),
            keys: keys.into_iter().map(|(name, own)| (name, of_key(own))).collect(),
        }
    }

    /// Returns all that binds a key of a team; `None` when that is what the environment has.
    pub fn find(&self, team: Option<&str>, key: &str) -> Option<Arc<Bound>> {
        // A map without entries does not even hash.
        let team = team.and_then(|team| self.teams.get(team));
        match (team, self.keys.get(key)) {
            (None, None) => None,
            (Some(team), None) => Some(Arc::clone(team)),
            (None, Some(key)) => Some(Arc::clone(&key.all)),
            (Some(team), Some(key)) => Some(Arc::new(team.join(&key.own))),
        }
    }
}
