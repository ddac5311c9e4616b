//! A route decides: its targets, in its order, as far as the key may use them; then the fallback policy of the first.

use std::sync::Arc;

use ir::failure::{Code, Failure, Fault};
use policy::snapshot::route::{Level, Pick, Route, RouteTarget, Sticky, Strategy, Via};
use policy::snapshot::{CompiledKey, ModelIndex, Snapshot};

use super::choice::{Settings, choose, list};
use super::share::{by_caller, by_turn, caller};
use super::{By, Credential, Excluded, Live, Plan, Planned, Reason, Routed, Score, Wish, balance_family, requested};
use crate::exclusion::Exclusion;
use crate::rights::Rights;

/// Plans a request as a route says; one that meets no rule goes where it says itself.
///
/// # Errors
/// 503 with the reasons when no target is left; as [`super::plan`] where the request, or a policy, decides.
pub(super) fn follow(
    snapshot: &Snapshot,
    key: &CompiledKey,
    wish: &Wish<'_>,
    route: &Arc<Route>,
    live: &Live<'_>,
) -> Result<Plan, Failure> {
    let mut failed = Vec::new();
    let (by, pick) = decide(route, wish, live, &mut failed);
    let mut routed = Routed { route: Arc::clone(&route.name), by, failed, broken: Vec::new() };
    let planned = match pick {
        None => requested(snapshot, key, wish, live),
        Some(Pick::Policy(choice)) => choose(snapshot, key, wish, &Settings::of_route(choice, snapshot), live),
        Some(Pick::Targets { levels, split, sticky }) => {
            let caller = sticky.and_then(|sticky| who(sticky, key, wish));
            let chain = Chain { snapshot, key, live, split: *split, caller };
            chain.plan(route, levels, &mut routed)
        }
    };
    match planned {
        Ok(plan) => {
            let on = route.on.unwrap_or(plan.on);
            Ok(Plan { on, route: Some(Box::new(routed)), ..plan })
        }
        // What failed on the way is part of why it came to nothing.
        Err(failure) if routed.failed.is_empty() => Err(failure),
        Err(failure) => {
            let message = format!("{} ({routed})", failure.message);
            Err(Failure { message, ..failure })
        }
    }
}

/// Returns what of a route applies.
fn decide<'a>(
    route: &'a Route,
    wish: &Wish<'_>,
    live: &Live<'_>,
    failed: &mut Vec<(usize, String)>,
) -> (By, Option<&'a Pick>) {
    let (rules, otherwise) = match &route.strategy {
        Strategy::Always(pick) => return (By::Always, Some(pick)),
        Strategy::Rules { rules, otherwise } => (rules, otherwise),
    };
    let nothing = policy::condition::Facts::default();
    let facts = wish.facts.unwrap_or(&nothing);
    for (at, rule) in rules.iter().enumerate() {
        match rule.when.holds(facts) {
            Ok(true) => return (By::Rule(at), Some(&rule.then)),
            Ok(false) => {}
            Err(why) => {
                (live.failed)(&route.name, at, &why);
                failed.push((at, why));
            }
        }
    }
    (if otherwise.is_some() { By::Otherwise } else { By::Nothing }, otherwise.as_ref())
}

/// Returns a number for who always gets the same target; `None` for a request that does not say who it is for.
fn who(sticky: Sticky, key: &CompiledKey, wish: &Wish<'_>) -> Option<u64> {
    let said = |name: &'_ str, kind: u8| (!name.is_empty()).then(|| caller(kind, name));
    match sticky {
        Sticky::Key => said(&key.name, 0),
        Sticky::User => said(wish.facts?.user, 1),
        Sticky::Session => said(wish.facts?.session, 2),
    }
}

/// What the targets of one route are planned by.
struct Chain<'a, 'l> {
    snapshot: &'a Snapshot,
    key: &'a CompiledKey,
    live: &'a Live<'l>,
    split: bool,
    /// Who always gets the same target.
    caller: Option<u64>,
}

/// What a chain comes to.
#[derive(Default)]
struct Found {
    attempts: Vec<Planned>,
    excluded: Vec<Excluded>,
    scores: Vec<Score>,
}

impl Chain<'_, '_> {
    fn plan(&self, route: &Route, levels: &[Level], routed: &mut Routed) -> Result<Plan, Failure> {
        let rights = Rights::of(self.snapshot, self.key);
        let mut found = Found::default();
        let alone = levels.len() == 1 && levels.first().is_some_and(|level| level.targets.len() == 1);
        for (depth, level) in levels.iter().enumerate() {
            let usable = self.usable(level, &rights, &mut found, routed);
            let order = self.order(level, depth, usable);
            for (place, (target, members)) in order.into_iter().enumerate() {
                let reason = match (self.split, place, self.caller) {
                    _ if alone => Reason::Target,
                    (false, ..) => Reason::Priority(level.priority),
                    (true, 0, Some(_)) => Reason::Sticky,
                    (true, 0, None) => Reason::Split,
                    (true, ..) => Reason::NextInSplit,
                };
                self.add(target, members, reason, &mut found);
            }
        }
        let on = self.fallbacks(levels, &rights, &mut found);
        if found.attempts.is_empty() {
            return Err(self.nothing(route, &found, routed));
        }
        let Found { attempts, excluded, scores } = found;
        Ok(Plan { attempts, excluded, scores, policy: None, weights: None, on, route: None })
    }

    /// Returns the targets of a level that may be asked, with the models they mean.
    fn usable<'t>(
        &self,
        level: &'t Level,
        rights: &Rights<'_>,
        found: &mut Found,
        routed: &mut Routed,
    ) -> Vec<(usize, &'t RouteTarget, Vec<ModelIndex>)> {
        let mut usable = Vec::with_capacity(level.targets.len());
        for (at, target) in level.targets.iter().enumerate() {
            if let Some(why) = target.broken {
                routed.broken.push((target.name.clone(), why));
                continue;
            }
            let mut members = Vec::with_capacity(target.models.len());
            for model in target.models.iter().copied() {
                let why = rights.exclusion(model).or_else(|| self.unserved(&target.credential, model));
                match why {
                    Some(why) => exclude(&mut found.excluded, model, why),
                    None => members.push(model),
                }
            }
            if !members.is_empty() {
                usable.push((at, target, members));
            }
        }
        usable
    }

    /// Orders them: whose turn it is first, or who always serves the caller.
    fn order<'t>(
        &self,
        level: &Level,
        depth: usize,
        mut usable: Vec<(usize, &'t RouteTarget, Vec<ModelIndex>)>,
    ) -> Vec<(&'t RouteTarget, Vec<ModelIndex>)> {
        let places: Vec<usize> = usable.iter().map(|(at, ..)| *at).collect();
        let order = match (self.caller, places.len()) {
            (_, 0 | 1) => places,
            (Some(caller), _) => by_caller(level, &places, caller),
            (None, _) if depth == 0 => by_turn(level, &places, (self.live.turn)(level.slot)),
            // Who comes so far is no fair sample of all requests: counting them would be no share.
            (None, _) => by_caller(level, &places, self.live.seed),
        };
        usable.sort_by_key(|(at, ..)| order.iter().position(|other| other == at));
        usable.into_iter().map(|(_, target, members)| (target, members)).collect()
    }

    /// Adds a target: the providers of its model, by their live state.
    fn add(&self, target: &RouteTarget, members: Vec<ModelIndex>, reason: Reason, found: &mut Found) {
        let begin = found.attempts.len();
        for model in members {
            let credential = self.credential(&target.credential, model, found.attempts.as_slice());
            let planned = Planned { model, reason, credential };
            let same = |other: &Planned| other.model == model && other.credential == credential;
            if !found.attempts.iter().any(same) {
                found.attempts.push(planned);
            }
        }
        let family = found.attempts.get_mut(begin..).unwrap_or_default();
        if family.len() > 1 {
            // Credentials differ by provider and move with their models.
            let before: Vec<Planned> = family.to_vec();
            let scores = balance_family(family, self.live);
            for planned in family.iter_mut() {
                let own = before.iter().find(|other| other.model == planned.model);
                planned.credential = own.map_or(planned.credential, |own| own.credential);
            }
            found.scores.extend(scores);
        }
        for planned in found.attempts.iter_mut().skip(begin + 1) {
            planned.reason = Reason::SameModel;
        }
    }

    /// Returns the credential of an attempt. One that has been asked with an own credential by name is asked with the
    /// operator's when it comes again without one.
    fn credential(&self, via: &Via, model: ModelIndex, before: &[Planned]) -> Credential {
        let own = |one: &Planned| one.model == model && matches!(one.credential, Credential::Own(_));
        match via {
            Via::Usual if before.iter().any(own) => Credential::Platform,
            Via::Usual => Credential::Usual,
            Via::Platform => Credential::Platform,
            Via::Own(name) => {
                let at = self.snapshot.own_credentials.iter().position(|own| own.name == *name);
                at.map_or(Credential::Usual, Credential::Own)
            }
        }
    }

    /// Returns why a target cannot be asked with the credential that it names.
    fn unserved(&self, via: &Via, model: ModelIndex) -> Option<Exclusion> {
        let Via::Own(name) = via else { return None };
        let provider = self.snapshot.model(model)?.provider;
        let own = self.snapshot.own_credentials.iter().find(|own| own.name == *name);
        let serves = own.is_some_and(|own| own.provider == provider && own.serves(self.key));
        (!serves).then_some(Exclusion::CredentialNotServing)
    }

    /// Adds what the first model's fallback policy says, and returns on which failures.
    fn fallbacks(&self, levels: &[Level], rights: &Rights<'_>, found: &mut Found) -> policy::snapshot::FallbackOn {
        let written = || levels.first()?.targets.first()?.models.first().copied();
        let first = found.attempts.first().map(|planned| planned.model).or_else(written);
        let slug = first.and_then(|index| self.snapshot.model(index)).map(|model| model.slug.to_ascii_lowercase());
        let Some(fallback) = slug.and_then(|slug| self.snapshot.fallbacks.get(slug.as_str())) else {
            return policy::snapshot::FallbackOn::default();
        };
        for model in fallback.models.iter().copied() {
            match rights.exclusion(model) {
                Some(why) => exclude(&mut found.excluded, model, why),
                None if found.attempts.iter().any(|planned| planned.model == model) => {}
                None => found.attempts.push(Planned::new(model, Reason::Fallback)),
            }
        }
        fallback.on
    }

    /// Returns what the caller is told when no target is left.
    fn nothing(&self, route: &Route, found: &Found, routed: &Routed) -> Failure {
        let mut message = format!("the route `{}` leaves no target for this request:", route.name);
        let excluded = found.excluded.iter().map(|one| {
            let model = self.snapshot.model(one.model);
            let provider = model.and_then(|model| self.snapshot.provider(model.provider));
            let (slug, at) = (model.map_or("", |model| &*model.slug), provider.map_or("", |provider| &*provider.name));
            format!("`{slug}` at {at}: {}", one.why)
        });
        let broken = routed.broken.iter().map(|(name, why)| format!("`{name}`: {why}"));
        let reasons: Vec<String> = excluded.chain(broken).collect();
        list(&mut message, reasons.into_iter());
        Failure::new(Code::UpstreamUnavailable, Fault::Operator, message)
    }
}

fn exclude(excluded: &mut Vec<Excluded>, model: ModelIndex, why: Exclusion) {
    if !excluded.iter().any(|other| other.model == model && other.why == why) {
        excluded.push(Excluded { model, why });
    }
}

#[cfg(test)]
mod tests;
