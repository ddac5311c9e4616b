//! Where a route leads: targets with their priorities and weights, and policies.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::super::Report;
use super::weights::{ONE, quality_bar, weight, weights};
use super::{Known, only, sticky};
use crate::compile::RESERVED_NAMES;
use crate::condition::Looks;
use crate::problem::did_you_mean;
use crate::schedule::{MAX_TURNS, schedule, turns};
use crate::snapshot::ModelIndex;
use crate::snapshot::route::{Choice, Level, Pick, RouteTarget, Sticky, Via};
use crate::spec::Entry;
use crate::spec::route::{AutoSpec, RouteSpec, StrategySpec, TargetSpec, ThenSpec};

/// The most targets of a chain or a split.
const MAX_TARGETS: usize = 64;

/// The word for the operator's own credential.
const PLATFORM: &str = "platform";

/// What the parts of one route have in common.
pub(super) struct Strategist<'a> {
    pub(super) known: Known<'a>,
    pub(super) entry: &'a Entry<RouteSpec>,
    /// How many levels have been numbered.
    pub(super) slots: usize,
    /// What the route has to know of a request.
    pub(super) looks: Looks,
    /// Whether a policy may choose.
    pub(super) chooses: bool,
}

/// What is wrong with a name: for good, or only for the time being.
enum Fault {
    Unknown(&'static str, Option<String>),
    Off(&'static str),
}

impl Strategist<'_> {
    /// Compiles where a rule leads.
    pub(super) fn then(&mut self, spec: &ThenSpec, path: &str, report: &mut Report) -> Option<Pick> {
        let name = match spec {
            ThenSpec::Strategy(spec) => return self.pick(spec, path, report),
            ThenSpec::Name(name) => name.trim(),
        };
        if let Some(policy) = policy_named(name) {
            self.chooses = true;
            return Some(Pick::Policy(Choice { policy, weights: None, candidates: None, quality_bar: None }));
        }
        let spec = TargetSpec { model: Some(name.to_owned()), ..TargetSpec::default() };
        let target = self.target(&spec, path, "", report)?;
        Some(Pick::Targets { levels: vec![self.level(0, vec![target], path)], split: false, sticky: None })
    }

    /// Compiles a strategy that is no list of rules.
    pub(super) fn pick(&mut self, spec: &StrategySpec, path: &str, report: &mut Report) -> Option<Pick> {
        let origin = &self.entry.origin;
        if spec.rules.is_some() {
            report.add(origin, &format!("{path}.rules"), "rules do not lead to rules");
            return None;
        }
        if let Some(chain) = &spec.fallback {
            only(spec, "fallback", origin, path, report);
            let path = format!("{path}.fallback.targets");
            let levels = self.chain(&chain.targets, &path, report)?;
            return Some(Pick::Targets { levels, split: false, sticky: None });
        }
        if let Some(split) = &spec.split {
            only(spec, "split", origin, path, report);
            let sticky_path = format!("{path}.split.sticky");
            let sticky = split.sticky.as_deref().and_then(|word| sticky(word, origin, &sticky_path, report));
            self.looks.any |= sticky.is_some();
            self.looks.user |= sticky == Some(Sticky::User);
            self.looks.session |= sticky == Some(Sticky::Session);
            let level = self.split(&split.targets, &format!("{path}.split.targets"), report)?;
            return Some(Pick::Targets { levels: vec![level], split: true, sticky });
        }
        if let Some(auto) = &spec.auto {
            return self.auto(auto, &format!("{path}.auto"), report);
        }
        report.add_hint(origin, path, "empty", Some("one of fallback, split, rules and auto".to_owned()));
        None
    }

    fn chain(&mut self, specs: &[TargetSpec], path: &str, report: &mut Report) -> Option<Vec<Level>> {
        let targets = self.targets(specs, path, report)?;
        let mut by_priority: BTreeMap<u32, Vec<RouteTarget>> = BTreeMap::new();
        for (spec, target) in specs.iter().zip(targets) {
            by_priority.entry(spec.priority.unwrap_or(0)).or_default().push(target);
        }
        let mut levels = Vec::with_capacity(by_priority.len());
        for (priority, targets) in by_priority {
            self.check_turns(&targets, path, report)?;
            levels.push(self.level(priority, targets, &format!("{path}@{priority}")));
        }
        Some(levels)
    }

    fn split(&mut self, specs: &[TargetSpec], path: &str, report: &mut Report) -> Option<Level> {
        for (index, _) in specs.iter().enumerate().filter(|(_, spec)| spec.priority.is_some()) {
            let hint = "leave it out: a split shares by weight".to_owned();
            let field = format!("{path}[{index}].priority");
            report.add_hint(&self.entry.origin, &field, "a split has no priorities", Some(hint));
        }
        let targets = self.targets(specs, path, report)?;
        self.check_turns(&targets, path, report)?;
        Some(self.level(0, targets, path))
    }

    /// Compiles targets; `None` when one of them is faulty, which has been reported.
    fn targets(&mut self, specs: &[TargetSpec], path: &str, report: &mut Report) -> Option<Vec<RouteTarget>> {
        let origin = &self.entry.origin;
        if specs.is_empty() {
            report.add(origin, path, "empty: name at least one target");
            return None;
        }
        if specs.len() > MAX_TARGETS {
            report.add(origin, path, format!("too many: at most {MAX_TARGETS}"));
            return None;
        }
        let mut targets: Vec<RouteTarget> = Vec::with_capacity(specs.len());
        let mut good = true;
        for (index, spec) in specs.iter().enumerate() {
            let field = format!("{path}[{index}]");
            let Some(target) = self.target(spec, &field, ".model", report) else {
                good = false;
                continue;
            };
            let same = |other: &RouteTarget| {
                !target.models.is_empty() && other.models == target.models && other.credential == target.credential
            };
            if targets.iter().any(same) {
                report.add(origin, &field, "the same target twice");
                good = false;
            }
            targets.push(target);
        }
        good.then_some(targets)
    }

    /// Compiles one target, with what is wrong about its model at `field` and `member`.
    fn target(&mut self, spec: &TargetSpec, field: &str, member: &str, report: &mut Report) -> Option<RouteTarget> {
        let origin = &self.entry.origin;
        let Some(name) = spec.model.as_deref().map(str::trim).filter(|name| !name.is_empty()) else {
            report.add(origin, &format!("{field}{member}"), "missing");
            return None;
        };
        let weight = match &spec.weight {
            None => Some(ONE),
            Some(written) => weight(written, origin, &format!("{field}.weight"), report),
        };
        let credential = self.credential(spec.credential.as_deref(), &format!("{field}.credential"), report);
        let mut broken = None;
        let models = match self.models(name, spec.provider.as_deref()) {
            Ok(models) => models,
            Err((of_provider, Fault::Off(why))) => {
                let at = if of_provider { format!("{field}.provider") } else { format!("{field}{member}") };
                report.stale(origin, &at, why);
                broken = Some(why);
                Vec::new()
            }
            Err((of_provider, Fault::Unknown(why, hint))) => {
                let at = if of_provider { format!("{field}.provider") } else { format!("{field}{member}") };
                // A model whose own entry is faulty has been reported.
                if of_provider || !self.known.names.is_faulty(name) {
                    report.add_hint(origin, &at, why, hint);
                }
                return None;
            }
        };
        let off = !models.is_empty() && !models.iter().any(|index| self.is_enabled(*index));
        if off {
            report.stale(origin, &format!("{field}{member}"), "this model is disabled");
        }
        let provider = spec.provider.as_deref().map(|name| name.trim().into());
        Some(RouteTarget { name: name.into(), provider, models, credential: credential?, weight: weight?, broken })
    }

    fn is_enabled(&self, index: ModelIndex) -> bool {
        self.known.models.get(index.0).is_some_and(|model| model.enabled)
    }

    /// Returns the models that a name means, at a provider if one is named. The fault says whether it is the provider's.
    fn models(&self, name: &str, provider: Option<&str>) -> Result<Vec<ModelIndex>, (bool, Fault)> {
        let Known { names, models, providers, specs } = self.known;
        if policy_named(name).is_some() {
            let hint = "write auto: {policy: …} instead of targets".to_owned();
            return Err((false, Fault::Unknown("a policy is no target", Some(hint))));
        }
        let found = names.resolve(name);
        if found.is_empty() {
            if names.is_switched_off(name) {
                return Err((false, Fault::Off("only disabled providers serve this model")));
            }
            let hint = did_you_mean(name, names.slugs());
            return Err((false, Fault::Unknown("no provider serves this model", hint)));
        }
        let Some(wanted) = provider.map(str::trim) else { return Ok(found.to_vec()) };
        let of = |index: &ModelIndex| {
            let at = models.get(index.0).and_then(|model| providers.get(model.provider.0));
            at.is_some_and(|at| at.name.eq_ignore_ascii_case(wanted) || at.vendor.kind.eq_ignore_ascii_case(wanted))
        };
        let at_provider: Vec<ModelIndex> = found.iter().copied().filter(of).collect();
        if !at_provider.is_empty() {
            return Ok(at_provider);
        }
        let written = || specs.providers.iter().map(|entry| entry.name.as_str());
        let enabled = providers.iter().any(|other| other.name.eq_ignore_ascii_case(wanted));
        Err((
            true,
            match (enabled, written().any(|other| other.eq_ignore_ascii_case(wanted))) {
                (true, _) => Fault::Unknown("this provider does not serve this model", None),
                (false, true) => Fault::Off("this provider is disabled"),
                (false, false) => {
                    Fault::Unknown("no configured provider has this name", did_you_mean(wanted, written()))
                }
            },
        ))
    }

    fn credential(&self, name: Option<&str>, field: &str, report: &mut Report) -> Option<Via> {
        let Some(name) = name.map(str::trim) else { return Some(Via::Usual) };
        if name == PLATFORM {
            return Some(Via::Platform);
        }
        let origin = &self.entry.origin;
        match self.known.specs.byok.iter().find(|own| own.name == name) {
            Some(own) if own.spec.enabled == Some(false) => {
                report.stale(origin, field, "this own credential is switched off");
                Some(Via::Own(name.into()))
            }
            Some(_) => Some(Via::Own(name.into())),
            None => {
                let names = self.known.specs.byok.iter().map(|own| own.name.as_str()).chain([PLATFORM]);
                report.add_hint(origin, field, "no own credential has this name", did_you_mean(name, names));
                None
            }
        }
    }

    fn auto(&mut self, spec: &AutoSpec, path: &str, report: &mut Report) -> Option<Pick> {
        let origin = &self.entry.origin;
        self.chooses = true;
        let word = spec.policy.as_deref().unwrap_or("auto");
        let Some(policy) = policy_named(word) else {
            let message = format!("must be one of {}", RESERVED_NAMES.join(", "));
            report.add_hint(origin, &format!("{path}.policy"), message, did_you_mean(word, RESERVED_NAMES));
            return None;
        };
        let weights = spec.weights.as_ref().map(|spec| weights(spec, origin, &format!("{path}.weights"), report));
        let bar = quality_bar(spec.quality_bar, origin, &format!("{path}.quality_bar"), report);
        let mut candidates = Vec::new();
        for (index, name) in spec.candidates.iter().enumerate() {
            let target = TargetSpec { model: Some(name.clone()), ..TargetSpec::default() };
            let found = self.target(&target, &format!("{path}.candidates[{index}]"), "", report);
            candidates.extend(found.into_iter().flat_map(|target| target.models));
        }
        let candidates = (!spec.candidates.is_empty()).then_some(candidates);
        Some(Pick::Policy(Choice { policy, weights: weights.unwrap_or(None), candidates, quality_bar: bar }))
    }

    /// Checks that the shares of a level come out even soon enough.
    fn check_turns(&self, targets: &[RouteTarget], path: &str, report: &mut Report) -> Option<()> {
        let shares: Vec<u32> = targets.iter().map(|target| target.weight).collect();
        let turns = turns(&shares);
        if turns <= MAX_TURNS {
            return Some(());
        }
        let message = format!("the weights are too fine: they come out even after {turns} requests, not {MAX_TURNS}");
        report.add_hint(&self.entry.origin, path, message, Some("round them, such as 2 and 1".to_owned()));
        None
    }

    /// Numbers a level.
    fn level(&mut self, priority: u32, targets: Vec<RouteTarget>, path: &str) -> Level {
        let shares: Vec<u32> = targets.iter().map(|target| target.weight).collect();
        let schedule: Arc<[u8]> = if targets.len() > 1 { schedule(&shares).into() } else { Arc::from([]) };
        self.slots += 1;
        Level { priority, targets, schedule, slot: self.slots - 1, place: format!("{}/{path}", self.entry.name).into() }
    }
}

fn policy_named(name: &str) -> Option<&'static str> {
    RESERVED_NAMES.into_iter().find(|policy| policy.eq_ignore_ascii_case(name.trim()))
}
