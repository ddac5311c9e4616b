//! Tokens and money, at the price of the dearest planned attempt, and the intent in the journal.

use std::sync::Arc;

use dialect::lane::least_output;
use ir::failure::Failure;
use ir::money::NanoUsd;
use policy::limit::Amounts;
use policy::limit::bind::Bindings;
use policy::limit::reservation::{Binding, Denial};
use policy::snapshot::{Model, ModelIndex, Snapshot};
use routing::plan::Plan;

use super::gate::{Gated, journal_unavailable};
use super::plan::Planned;
use crate::limits::{self, Demand};
use crate::refusal::Refusal;
use crate::worker::Worker;

/// A request that may be dispatched.
pub struct Reserved(pub Planned);

/// Extends the reservation to every planned attempt and writes the intent.
///
/// # Errors
/// 429 when a limit does not cover the request, 403 when money is limited and no target has a price, 503 when the intent
/// cannot be written.
pub async fn reserve(worker: &Worker, planned: Planned) -> Result<Reserved, Refusal> {
    let Planned { mut gated, mut plan } = planned;
    if !gated.configuration.own.is_empty() {
        let (configuration, key) = (Arc::clone(&gated.configuration), Arc::clone(&gated.key));
        let free = |planned: &routing::plan::Planned| configuration.is_free(&key.compiled, planned);
        if plan.attempts.iter().all(free) {
            gated.demand = gated.demand.free();
        }
        let first = plan.attempts.first();
        let own = first.is_some_and(|planned| configuration.credential(&key.compiled, planned, &[]).is_some());
        gated.ticket.bring(own);
    }
    if gated.demand.is_least() {
        gated.demand = raised(&gated, &plan);
    }
    let dearest = match bounded(&mut gated, &mut plan) {
        Ok(dearest) => dearest,
        Err(failure) => return Err(gated.ticket.refuse(failure)),
    };
    gated.ticket.serve_as(gated.demand.tier());
    let snapshot = &gated.configuration.snapshot;
    if let Some(reservation) = gated.ticket.reservation() {
        reservation.extend(dearest.input_tokens.saturating_add(dearest.output_tokens), NanoUsd(dearest.nanos));
        reservation.output_tokens = dearest.output_tokens;
    }
    let first = plan.attempts.first().and_then(|planned| snapshot.model(planned.model));
    let provider = first.and_then(|model| snapshot.provider(model.provider));
    if let (Some(model), Some(provider)) = (first, provider) {
        let due =
            gated.ticket.intend(&model.slug, &provider.name, model.prices.as_deref(), gated.demand.likely_input());
        let written = match due {
            Ok(Some(due)) => worker.on_file(due).await,
            Ok(None) => Ok(()),
            Err(error) => Err(error),
        };
        if written.is_err() {
            gated.ticket.forget_intent();
            return Err(gated.ticket.refuse(journal_unavailable()));
        }
    }
    Ok(Reserved(Planned { gated, plan }))
}

/// Returns the most that any of the planned attempts may use, after it was taken from the limits that bind. What is left
/// of a budget may cover some of the targets alone: then those are asked.
fn bounded(gated: &mut Gated, plan: &mut Plan) -> Result<Amounts, Failure> {
    let bindings = gated.ticket.limits().cloned();
    if let Some(bindings) = &bindings {
        leave_out_unpriced(gated, plan, bindings)?;
    }
    let configuration = Arc::clone(&gated.configuration);
    let snapshot = &configuration.snapshot;
    loop {
        let models = models(snapshot, plan);
        let most = dearest(&gated.demand, &models);
        let Some(bindings) = &bindings else { return Ok(most) };
        let denial = match take(gated, &models, bindings, most) {
            Ok(taken) => return Ok(taken),
            Err(denial) => denial,
        };
        if !denial.bound.counter.meter().is_money() || !leave_out_dearest(&gated.demand, snapshot, plan) {
            return Err(limits::failure(&denial));
        }
    }
}

/// Returns a demand for so few output tokens that some targets are asked for more, with as many as those are.
fn raised(gated: &Gated, plan: &Plan) -> Demand {
    let targets = plan.attempts.iter().filter_map(|planned| gated.configuration.target(planned.model));
    let least = targets.map(|target| least_output(target.dialect)).max().unwrap_or_default();
    if gated.demand.asks_for_less(least) { gated.demand.capped(least) } else { gated.demand }
}

/// Takes the targets out of the plan that may cost most; `false` when none may cost less.
fn leave_out_dearest(demand: &Demand, snapshot: &Snapshot, plan: &mut Plan) -> bool {
    let cost = |planned: &routing::plan::Planned| {
        snapshot.model(planned.model).map_or(0, |model| demand.amounts(model, demand.first_output(model)).nanos)
    };
    let most = plan.attempts.iter().map(cost).max().unwrap_or_default();
    let is_less = |planned: &routing::plan::Planned| cost(planned) < most;
    let leaves_some = plan.attempts.iter().any(is_less);
    if leaves_some {
        plan.attempts.retain(is_less);
    }
    leaves_some
}

fn models<'a>(snapshot: &'a Snapshot, plan: &Plan) -> Vec<&'a Model> {
    plan.attempts.iter().filter_map(|planned| snapshot.model(planned.model)).collect()
}

/// Returns the most that any of the attempts may use.
fn dearest(demand: &Demand, models: &[&Model]) -> Amounts {
    models.iter().map(|model| demand.amounts(model, demand.first_output(model))).fold(
        Amounts::default(),
        |most, one| Amounts {
            input_tokens: most.input_tokens.max(one.input_tokens),
            output_tokens: most.output_tokens.max(one.output_tokens),
            nanos: most.nanos.max(one.nanos),
            charge: most.charge.max(one.charge),
        },
    )
}

/// Takes targets out of the plan whose cost nobody can say, where money is limited.
fn leave_out_unpriced(gated: &Gated, plan: &mut Plan, bindings: &Bindings) -> Result<(), Failure> {
    let snapshot = &gated.configuration.snapshot;
    let first = plan.attempts.first().and_then(|planned| snapshot.model(planned.model));
    plan.attempts.retain(|planned| !lacks_price(snapshot, bindings, planned.model));
    match first {
        Some(model) if plan.attempts.is_empty() => Err(limits::unpriced(&model.slug)),
        _ => Ok(()),
    }
}

/// Whether nobody can say what a target costs, where money is limited.
pub(crate) fn lacks_price(snapshot: &Snapshot, bindings: &Bindings, target: ModelIndex) -> bool {
    let Some(model) = snapshot.model(target).filter(|model| !limits::is_priced(model)) else { return false };
    let is_money = |binding: &Binding| binding.bounds().iter().any(|bound| bound.counter.meter().is_money());
    let provider = snapshot.provider(model.provider).map_or("", |provider| &*provider.name);
    is_money(&bindings.spend) || is_money(&bindings.at(model, provider))
}

/// Takes tokens and money from every limit that binds whatever is asked, and returns how much. An answer that nobody has
/// bounded, and that the limits do not cover as long as it might be, is bounded by what they do cover.
fn take(gated: &mut Gated, models: &[&Model], bindings: &Bindings, most: Amounts) -> Result<Amounts, Denial> {
    let taken = gated.ticket.reserve(&most);
    let bound = match &taken {
        Ok(()) => gated.demand.missing_bound(models).filter(|_| bindings.minds_output()),
        Err(_) if gated.demand.is_open() && !gated.demand.is_stepwise() => {
            let cap = gated.ticket.affordable(&gated.demand, models, &bindings.spend);
            // Somebody else may be faster: then it is refused as it was at first.
            cap.filter(|cap| gated.ticket.reserve(&dearest(&gated.demand.capped(*cap), models)).is_ok())
        }
        Err(_) => None,
    };
    let Some(cap) = bound else { return taken.map(|()| most) };
    gated.cap_at(cap);
    Ok(dearest(&gated.demand, models))
}
