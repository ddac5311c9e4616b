//! Route configurations: what may not be written is refused here, so that a request never meets it.

mod targets;
mod weights;

use std::sync::Arc;

use self::targets::Strategist;
pub(super) use self::weights::compile_policies;
use super::Report;
use super::fallback::failures;
use super::key::MAX_DESCRIPTION;
use super::names::Names;
use super::text::check_prose;
use crate::condition::{Condition, Looks};
use crate::problem::Origin;
use crate::snapshot::route::{Pick, Route, Routes, Rule, Sticky, Strategy};
use crate::snapshot::{Model, Provider};
use crate::spec::route::{RouteSpec, RuleSpec, StrategySpec, ThenSpec};
use crate::spec::{Entry, Specs};

/// The most rules of a route: a request may have to be held against each.
pub const MAX_RULES: usize = 100;

/// What names may mean.
#[derive(Clone, Copy)]
pub(super) struct Known<'a> {
    /// Everything that is written.
    pub(super) specs: &'a Specs,
    /// The names of models.
    pub(super) names: &'a Names,
    /// The models.
    pub(super) models: &'a [Model],
    /// The enabled providers.
    pub(super) providers: &'a [Provider],
}

/// Compiles the routes of an environment.
pub(super) fn compile_routes(known: Known<'_>, report: &mut Report) -> Routes {
    let mut routes = Routes::default();
    for entry in &known.specs.routes {
        let (at, before) = (routes.all.len(), report.problems.len());
        bind(entry, at, &mut routes, report);
        let mut strategist = Strategist { known, entry, slots: routes.slots, looks: Looks::default(), chooses: false };
        let strategy = strategy(&mut strategist, report);
        let Strategist { slots, looks, chooses, .. } = strategist;
        routes.slots = slots;
        let Entry { name, spec, origin } = entry;
        check_prose(&spec.description, MAX_DESCRIPTION, origin, "description", report);
        let on = spec.on.as_deref().map(|on| failures(Some(on), origin, report));
        let broken = report.problems.iter().skip(before).any(|problem| problem.stale);
        routes.all.push(Arc::new(Route {
            name: name.as_str().into(),
            active: spec.active.unwrap_or(true),
            // What is faulty is not used: the report says so.
            strategy: strategy.unwrap_or(Strategy::Rules { rules: Vec::new(), otherwise: None }),
            on,
            looks,
            chooses,
            broken,
        }));
    }
    routes
}

/// Notes whose requests a route is for.
fn bind(entry: &Entry<RouteSpec>, at: usize, routes: &mut Routes, report: &mut Report) {
    let Entry { spec, origin, .. } = entry;
    let other =
        |routes: &Routes, at: usize| routes.all.get(at).map_or_else(String::new, |route| route.name.to_string());
    match (spec.key.as_deref().map(str::trim), spec.default) {
        (Some(_), true) => report.add(origin, "default", "either for a key or the default: leave one of them out"),
        (Some(""), false) => report.add(origin, "key", "empty"),
        (Some(key), false) => match routes.of_keys.get(key) {
            Some(taken) => {
                let message = format!("the key has a route already: {}", other(routes, *taken));
                report.add_hint(origin, "key", message, Some("change that one, or delete it".to_owned()));
            }
            None => _ = routes.of_keys.insert(key.into(), at),
        },
        (None, true) => match routes.default {
            Some(taken) => {
                report.add(origin, "default", format!("there is a default route already: {}", other(routes, taken)));
            }
            None => routes.default = Some(at),
        },
        (None, false) => {
            let hint = "name a key, or write default: true".to_owned();
            report.add_hint(origin, "key", "whose requests it routes is missing", Some(hint));
        }
    }
}

/// Compiles the strategy; `None` when it is faulty, which has been reported.
fn strategy(strategist: &mut Strategist<'_>, report: &mut Report) -> Option<Strategy> {
    let origin = &strategist.entry.origin;
    let Some(spec) = &strategist.entry.spec.strategy else {
        report.add_hint(origin, "strategy", "missing", Some("one of fallback, split, rules and auto".to_owned()));
        return None;
    };
    if let Some(rules) = &spec.rules {
        only(spec, "rules", origin, "strategy", report);
        return Some(self::rules(strategist, rules, spec.otherwise.as_ref(), report));
    }
    if spec.otherwise.is_some() {
        report.add(origin, "strategy.otherwise", "it belongs to rules");
    }
    strategist.pick(spec, "strategy", report).map(Strategy::Always)
}

/// Complains of a strategy that is several.
pub(super) fn only(spec: &StrategySpec, one: &str, origin: &Origin, path: &str, report: &mut Report) {
    let there = [
        ("fallback", spec.fallback.is_some()),
        ("split", spec.split.is_some()),
        ("rules", spec.rules.is_some()),
        ("auto", spec.auto.is_some()),
    ];
    for (name, _) in there.iter().filter(|(name, there)| *there && *name != one) {
        report.add(origin, &format!("{path}.{name}"), format!("a strategy is one thing: there is `{one}` already"));
    }
}

fn rules(
    strategist: &mut Strategist<'_>,
    specs: &[RuleSpec],
    otherwise: Option<&ThenSpec>,
    report: &mut Report,
) -> Strategy {
    let origin = &strategist.entry.origin;
    if specs.is_empty() {
        report.add(origin, "strategy.rules", "empty: write at least one rule");
    }
    if specs.len() > MAX_RULES {
        report.add(origin, "strategy.rules", format!("too many: at most {MAX_RULES}"));
    }
    let mut rules = Vec::with_capacity(specs.len());
    for (index, spec) in specs.iter().take(MAX_RULES).enumerate() {
        let field = format!("strategy.rules[{index}]");
        let when = condition(spec.when.as_deref(), origin, &format!("{field}.when"), report);
        let path = format!("{field}.then");
        let then = match &spec.then {
            Some(then) => strategist.then(then, &path, report),
            None => {
                report.add(origin, &path, "missing");
                None
            }
        };
        if let (Some(when), Some(then)) = (when, then) {
            strategist.looks = strategist.looks.and(when.looks);
            rules.push(Rule { when: Arc::new(when), then });
        }
    }
    let otherwise: Option<Pick> = otherwise.and_then(|then| strategist.then(then, "strategy.otherwise", report));
    Strategy::Rules { rules, otherwise }
}

fn condition(text: Option<&str>, origin: &Origin, field: &str, report: &mut Report) -> Option<Condition> {
    match Condition::compile(text.unwrap_or_default()) {
        Ok(condition) => Some(condition),
        Err(fault) if text.is_none() => {
            report.add_hint(origin, field, "missing", fault.hint);
            None
        }
        Err(fault) => {
            let message = fault.to_string();
            report.add_hint(origin, field, message, fault.hint);
            None
        }
    }
}

/// Reads `sticky`.
pub(super) fn sticky(word: &str, origin: &Origin, field: &str, report: &mut Report) -> Option<Sticky> {
    let choices = [("user", Sticky::User), ("session", Sticky::Session), ("key", Sticky::Key)];
    super::text::choice(word, &choices, origin, field, report)
}

#[cfg(test)]
mod tests;
