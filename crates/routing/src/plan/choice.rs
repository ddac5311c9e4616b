//! A policy chooses among everything that is configured: what cannot serve the request is left out with the reason,
//! the rest is ranked.

use std::borrow::Cow;
use std::fmt::Write as _;

use ir::failure::{Code, Failure, Fault};
use ir::money::{Bucket, NanoUsd, ServiceTier};
use ir::usage::Usage;
use policy::snapshot::route::{Choice, Weights};
use policy::snapshot::{CompiledKey, FallbackOn, Model, ModelIndex, Snapshot};

use super::{Excluded, Live, Plan, Planned, Reason, Wish, nothing_left, scores};
use crate::exclusion::Exclusion;
use crate::goal::Goal;
use crate::quality::quality;
use crate::rank::{Candidate, rank};
use crate::rights::Rights;

/// Targets that are tried at most: each may have to be paid, and what they may cost is reserved.
const MOST_ATTEMPTS: usize = 5;

/// Tokens that an answer is expected to have, where it may be longer.
const EXPECTED_OUTPUT: u64 = 300;

/// Reasons that an error lists at most.
const MOST_REASONS: usize = 5;

/// How a policy chooses.
pub(super) struct Settings<'a> {
    pub(super) goal: Goal,
    weights: Weights,
    quality_bar: Option<u32>,
    /// What it chooses among; `None` for all models.
    candidates: Option<&'a [ModelIndex]>,
}

impl<'a> Settings<'a> {
    /// Returns what an environment says about a policy.
    pub(super) fn of(goal: Goal, snapshot: &Snapshot) -> Self {
        let said = goal.settings(snapshot);
        let weights = said.weights.unwrap_or_else(|| goal.weights());
        Self { goal, weights, quality_bar: said.quality_bar, candidates: None }
    }

    /// Returns what a route says about a policy, and else its environment.
    pub(super) fn of_route(choice: &'a Choice, snapshot: &Snapshot) -> Self {
        let common = Self::of(Goal::named(choice.policy).unwrap_or(Goal::Auto), snapshot);
        Self {
            weights: choice.weights.unwrap_or(common.weights),
            quality_bar: choice.quality_bar.or(common.quality_bar),
            candidates: choice.candidates.as_deref(),
            ..common
        }
    }
}

/// Chooses.
///
/// # Errors
/// 403 when the key may use nothing, 503 with the reasons when nothing that it may use can serve the request.
pub(super) fn choose(
    snapshot: &Snapshot,
    key: &CompiledKey,
    wish: &Wish<'_>,
    settings: &Settings<'_>,
    live: &Live<'_>,
) -> Result<Plan, Failure> {
    let (rights, goal) = (Rights::of(snapshot, key), settings.goal);
    let (mut able, mut excluded) = (Vec::with_capacity(snapshot.models.len()), Vec::new());
    let all = || (0..snapshot.models.len()).map(ModelIndex).collect();
    let listed: Cow<'_, [ModelIndex]> = settings.candidates.map_or_else(|| Cow::Owned(all()), Cow::Borrowed);
    for index in listed.iter().copied() {
        let Some(model) = snapshot.model(index) else { continue };
        match rights.exclusion(index).or_else(|| unable(snapshot, index, model, wish)) {
            Some(why) => excluded.push(Excluded { model: index, why }),
            None => able.push((index, candidate(snapshot, index, model, wish, live))),
        }
    }
    leave_out_unknown(goal, &mut able, &mut excluded);
    settings.quality_bar.inspect(|bar| leave_out_low(*bar, &mut able, &mut excluded));
    if able.is_empty() {
        return Err(nothing_serves(snapshot, goal, &excluded));
    }
    let candidates: Vec<Candidate> = able.iter().map(|(_, candidate)| *candidate).collect();
    let mut ranked = Vec::with_capacity(candidates.len());
    rank(&candidates, &settings.weights, live.seed, &mut ranked);
    let order: Vec<ModelIndex> = ranked.iter().filter_map(|one| Some(able.get(one.at)?.0)).collect();
    let reason = |at| if at == 0 { Reason::Policy(goal) } else { Reason::NextBest(goal) };
    let tried = order.iter().take(MOST_ATTEMPTS).enumerate();
    let attempts = tried.map(|(at, model)| Planned::new(*model, reason(at))).collect();
    let behind = order.iter().skip(MOST_ATTEMPTS);
    excluded.extend(behind.map(|model| Excluded { model: *model, why: Exclusion::Behind }));
    let scores = scores(&ranked, &order);
    let (policy, weights) = (Some(goal.name()), Some(settings.weights));
    Ok(Plan { attempts, excluded, scores, policy, weights, on: FallbackOn::default(), route: None })
}

/// Returns why a model cannot serve the request.
fn unable(snapshot: &Snapshot, index: ModelIndex, model: &Model, wish: &Wish<'_>) -> Option<Exclusion> {
    let provider = snapshot.provider(model.provider)?;
    if provider.force_default_model && provider.default_model.is_some_and(|forced| forced != index) {
        return Some(Exclusion::Forced);
    }
    // Where nobody said what it can do, the provider will say.
    let can = |capability: &&str| model.capabilities.iter().any(|known| **known == **capability);
    let lacks = wish.needs.iter().find(|need| model.capabilities_known && !can(need));
    let too_long = model.context_window.filter(|window| wish.input_tokens > *window);
    lacks.map(|need| Exclusion::Lacks(need)).or(too_long.map(Exclusion::TooLong))
}

/// Returns how many tokens an answer is expected to have.
fn expected_output(max_tokens: Option<u64>) -> u64 {
    max_tokens.map_or(EXPECTED_OUTPUT, |most| most.min(EXPECTED_OUTPUT))
}

/// Returns what a request is expected to cost with a model; `None` where its price is unknown.
pub fn expected_cost(model: &Model, input_tokens: u64, max_tokens: Option<u64>) -> Option<NanoUsd> {
    let usage = Usage { input: input_tokens, output: expected_output(max_tokens), ..Usage::default() };
    model.prices.as_ref()?.call_cost(&usage, ServiceTier::Standard)
}

/// Returns what a model is ranked by.
fn candidate(snapshot: &Snapshot, index: ModelIndex, model: &Model, wish: &Wish<'_>, live: &Live<'_>) -> Candidate {
    let output = expected_output(wish.max_tokens);
    let first = snapshot.resolve(&model.slug).first().copied().unwrap_or(index);
    let warm = live.is_warm(index);
    Candidate {
        reading: live.read(index),
        nanos: expected_with(model, wish, if warm { live.warm.map_or(0, |warm| warm.tokens) } else { 0 }),
        quality: quality(&wish.facts(), model, live.liking(index)).map(|estimate| estimate.value),
        output_tokens: if live.kind == crate::signal::Kind::Stream { output } else { 0 },
        family: u32::try_from(first.0).unwrap_or(u32::MAX),
        warm,
    }
}

/// Returns what a request is expected to cost where so many of its tokens are cached.
fn expected_with(model: &Model, wish: &Wish<'_>, cached: u64) -> Option<u64> {
    let prices = model.prices.as_ref()?;
    let known = prices.base().get(Bucket::CachedInput).is_some();
    let cached = if known { cached.min(wish.input_tokens) } else { 0 };
    let output = expected_output(wish.max_tokens);
    let usage = Usage { input: wish.input_tokens - cached, cached_input: cached, output, ..Usage::default() };
    prices.call_cost(&usage, ServiceTier::Standard).map(|cost| cost.0)
}

/// Leaves out what nobody knows the deciding figure of, as long as there is anything whose figure is known.
fn leave_out_unknown(goal: Goal, able: &mut Vec<(ModelIndex, Candidate)>, excluded: &mut Vec<Excluded>) {
    let (known, why): (fn(&Candidate) -> bool, Exclusion) = match goal {
        Goal::Cheapest => (|one| one.nanos.is_some(), Exclusion::PriceUnknown),
        Goal::Auto | Goal::Best => (|one| one.quality.is_some(), Exclusion::QualityUnknown),
        Goal::Fastest => return,
    };
    if !able.iter().any(|(_, one)| known(one)) {
        return;
    }
    able.retain(|(model, one)| {
        let kept = known(one);
        if !kept {
            excluded.push(Excluded { model: *model, why });
        }
        kept
    });
}

/// Leaves out what is below the bar, and what nobody knows the quality of as long as anything clears it.
fn leave_out_low(bar: u32, able: &mut Vec<(ModelIndex, Candidate)>, excluded: &mut Vec<Excluded>) {
    let clears = |one: &Candidate| one.quality.map(|quality| quality >= f64::from(bar));
    let any = able.iter().any(|(_, one)| clears(one) == Some(true));
    able.retain(|(model, one)| {
        let why = match clears(one) {
            Some(true) => return true,
            Some(false) => Exclusion::BelowBar(bar),
            None if any => Exclusion::QualityUnknown,
            None => return true,
        };
        excluded.push(Excluded { model: *model, why });
        false
    });
}

/// Returns what the caller is told when nothing is left: what every target lacks.
fn nothing_serves(snapshot: &Snapshot, goal: Goal, excluded: &[Excluded]) -> Failure {
    let able: Vec<&Excluded> = excluded.iter().filter(|one| !one.why.is_right()).collect();
    if able.is_empty() {
        return nothing_left(snapshot, excluded);
    }
    let mut message = format!("the policy `{goal}` finds no model that can serve this request:");
    let reason =
        |one: &&Excluded| format!("`{}`: {}", snapshot.model(one.model).map_or("", |model| &*model.slug), one.why);
    list(&mut message, able.iter().map(reason));
    Failure::new(Code::UpstreamUnavailable, Fault::Caller, message)
}

/// Adds reasons to a message, as many as one reads.
pub(super) fn list(message: &mut String, reasons: impl ExactSizeIterator<Item = String>) {
    let more = reasons.len().saturating_sub(MOST_REASONS);
    for (at, reason) in reasons.take(MOST_REASONS).enumerate() {
        // Writing into a string cannot fail.
        let _ = write!(message, "{} {reason}", if at == 0 { "" } else { ";" });
    }
    if more > 0 {
        let _ = write!(message, "; and {more} more");
    }
}
