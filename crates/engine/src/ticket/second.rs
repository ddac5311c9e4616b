//! Two targets asked for one request: what the second holds, and what becomes of the account of both. It stays one
//! settlement: the usage is that of the answer, the cost that of both where both are charged.

use std::sync::Arc;

use ir::money::{NanoUsd, Prices};
use ir::settlement::AttemptRecord;
use ir::usage::Usage;
use ir::usage::most::Most;
use policy::limit::Amounts;
use policy::limit::reservation::{Binding, Denial, Reservation};
use policy::snapshot::Model;

use super::limited::Cover;
use super::{Open, Ticket};
use crate::limits::{Demand, now};

/// The second target of a request.
#[derive(Debug)]
pub(super) struct Second {
    pub(super) model: Arc<str>,
    pub(super) provider: Arc<str>,
    pub(super) prices: Option<Arc<Prices>>,
    /// What both use together is more than what one of them does: held to the end.
    _spend: Reservation,
    /// What limits of the target itself hold.
    place: Reservation,
    target: Binding,
    cover: Cover,
    /// The most that its report can be believed to say.
    most: Most,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// It is asked, and so is the first.
    Asked,
    /// One of the two is out of it, and has cost so many nano-dollars.
    Over(u64),
}

impl Ticket {
    /// Holds what a second target may use, beside what the first one may.
    ///
    /// # Errors
    /// When a limit refuses; then nothing more is held than before.
    pub fn second(&mut self, demand: &Demand, model: &Model, provider: &Arc<str>) -> Result<(), Denial> {
        let Some(open) = &mut self.open else { return Ok(()) };
        let tokens = demand.first_output(model);
        let amounts = demand.amounts(model, tokens);
        let (mut spend, mut place, mut target) = (Reservation::default(), Reservation::default(), Binding::default());
        let mut binds = false;
        if let Some(bindings) = &self.limits {
            let now = now(&open.gateway.clock);
            spend = Reservation::take(&bindings.spend, &amounts, now)?;
            target = bindings.at(model, provider);
            place = Reservation::take(&target, &amounts, now)?;
            let mut bounds = bindings.spend.bounds().iter().chain(target.bounds());
            binds = bounds.any(|bound| bound.counter.meter().minds_output());
        }
        open.reservation.add(amounts.input_tokens.saturating_add(amounts.output_tokens), NanoUsd(amounts.nanos));
        let cover = Cover {
            tokens,
            demand: *demand,
            prices: model.prices.clone(),
            context_window: model.context_window,
            binds,
        };
        let most = demand.most(model);
        let (model, prices, provider) = (Arc::clone(&model.slug), model.prices.clone(), Arc::clone(provider));
        let state = State::Asked;
        let second = Second { model, provider, prices, _spend: spend, place, target, cover, most, state };
        open.second = Some(Box::new(second));
        Ok(())
    }

    /// Gives back what the second target held: it was not asked, or has failed, while the first goes on.
    pub fn second_failed(&mut self, record: Option<AttemptRecord>) {
        let Some(open) = &mut self.open else { return };
        let Some(mut second) = open.second.take() else { return };
        if let Some(record) = record {
            let target = std::mem::take(&mut second.target);
            second.place.settle_of(&target, &Amounts::default());
            open.note(record, true);
        }
    }

    /// Notes that the first target has answered, and the second was given up: it is charged with its input and so many
    /// output tokens.
    pub fn second_lost(&mut self, record: AttemptRecord, output_tokens: u64) {
        let Some(open) = &mut self.open else { return };
        open.note(record, true);
        let (input, output_tokens) = (open.input_tokens, output_tokens.min(open.most.output));
        if let Some(second) = &mut open.second {
            let target = std::mem::take(&mut second.target);
            second.place.settle_of(&target, &Amounts::default());
            let cost = cost(second.prices.as_deref(), input, output_tokens, open.service_tier);
            second.state = State::Over(cost);
        }
    }

    /// Puts the second target into the place of the first, which has failed, or which was given up and is charged with
    /// its input and so many output tokens.
    pub fn second_instead(&mut self, first: AttemptRecord, charged_output: Option<u64>) {
        let target = std::mem::take(&mut self.target);
        let Some(open) = &mut self.open else { return };
        open.note(first, true);
        let input = open.input_tokens;
        let Some(second) = &mut open.second else { return };
        open.reservation.limits.settle_of(&target, &Amounts::default());
        open.reservation.limits.append(std::mem::take(&mut second.place));
        self.target = std::mem::take(&mut second.target);
        open.cover = std::mem::take(&mut second.cover);
        let before = std::mem::replace(&mut open.prices, second.prices.clone());
        open.most = second.most;
        let charged_output = charged_output.map(|output| output.min(open.most.output));
        let lost = charged_output.map_or(0, |output| cost(before.as_deref(), input, output, open.service_tier));
        second.state = State::Over(lost);
        open.settlement.model = Some(Arc::clone(&second.model));
        open.settlement.provider = Some(Arc::clone(&second.provider));
        (open.dispatched, open.asked, open.asking) = (true, true, true);
    }
}

impl Open {
    /// Returns what the target cost that did not answer. Where nobody has said that one of the two was given up, both
    /// were asked until the request ended.
    pub(super) fn lost(&self) -> u64 {
        let Some(second) = &self.second else { return 0 };
        match second.state {
            State::Asked => cost(second.prices.as_deref(), self.input_tokens, 0, self.service_tier),
            State::Over(nanos) => nanos,
        }
    }
}

fn cost(prices: Option<&Prices>, input: u64, output: u64, tier: ir::money::ServiceTier) -> u64 {
    let usage = Usage { input, output, ..Usage::default() };
    prices.and_then(|prices| prices.call_cost(&usage, tier)).map_or(0, |cost| cost.0)
}
