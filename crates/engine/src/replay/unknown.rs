//! What a plan of the past looked at that its record does not say: then the plan may have been another one.

use std::sync::Arc;

use policy::condition::Looks;
use policy::snapshot::route::{Pick, Route, Rule, Sticky, Strategy};
use policy::snapshot::{CompiledKey, Snapshot};
use routing::plan::By;

/// Something that was looked at and is not known.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Unknown {
    /// The route; `None` for a policy that the request names itself.
    pub route: Option<Arc<str>>,
    /// The rule that looked at it, from 1; `None` for what the route does in any case.
    pub rule: Option<usize>,
    /// What it is, in the words of conditions.
    pub fact: &'static str,
}

/// Returns what is not known of a request that went to a plan. `by` is what of the key's route decided; `None` when nothing
/// could be planned. `chose` is whether a policy chose the model.
pub(super) fn unknown(
    snapshot: &Snapshot,
    key: &CompiledKey,
    names_provider: bool,
    (by, chose): (Option<By>, bool),
) -> Vec<Unknown> {
    let route = snapshot.routes.route_of(&key.name, names_provider);
    let mut found = route.map(|route| of_route(route, by)).unwrap_or_default();
    if chose {
        // What the answer needs is known of the whole request alone.
        let (name, rule) = (route.map(|route| Arc::clone(&route.name)), by.and_then(rule_of));
        found.push(Unknown { route: name, rule, fact: "features" });
    }
    found.dedup();
    found
}

fn rule_of(by: By) -> Option<usize> {
    match by {
        By::Rule(at) => Some(at + 1),
        By::Always | By::Otherwise | By::Nothing => None,
    }
}

fn of_route(route: &Route, by: Option<By>) -> Vec<Unknown> {
    let one = |rule, fact| Unknown { route: Some(Arc::clone(&route.name)), rule, fact };
    let (rules, otherwise): (&[Rule], Option<&Pick>) = match &route.strategy {
        Strategy::Always(pick) => (&[], Some(pick)),
        Strategy::Rules { rules, otherwise } => (rules, otherwise.as_ref()),
    };
    // Rules after the one that decided were not held against the request.
    let (asked, pick) = match by.map(|by| (by, rule_of(by))) {
        Some((_, Some(rule))) => (rule, rules.get(rule - 1).map(|rule| &rule.then)),
        _ => (rules.len(), otherwise),
    };
    let mut found = Vec::new();
    for (at, rule) in rules.iter().take(asked).enumerate() {
        found.extend(facts(rule.when.looks).map(|fact| one(Some(at + 1), fact)));
    }
    let sticky = pick.and_then(|pick| match pick {
        Pick::Targets { sticky, .. } => *sticky,
        Pick::Policy(_) => None,
    });
    let rule = by.and_then(rule_of);
    match sticky {
        Some(Sticky::User) => found.push(one(rule, "user")),
        Some(Sticky::Session) => found.push(one(rule, "session")),
        Some(Sticky::Key) | None => {}
    }
    found
}

/// Returns what of a condition's facts no record says.
fn facts(looks: Looks) -> impl Iterator<Item = &'static str> {
    let Looks { headers, user, session, metadata, features, any: _ } = looks;
    let all =
        [(headers, "headers"), (user, "user"), (session, "session"), (metadata, "metadata"), (features, "features")];
    all.into_iter().filter(|(is, _)| *is).map(|(_, fact)| fact)
}
