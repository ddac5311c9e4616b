//! What a ticket holds of limits: taken at the gate, for the plan, at each target, and while a stream goes on.

use std::sync::Arc;

use ir::money::{NanoUsd, Prices};
use ir::usage::estimate_tokens;
use policy::clock::Clock;
use policy::limit::bind::Bindings;
use policy::limit::reservation::{Binding, Denial, Reservation};
use policy::limit::{Amounts, Meter};
use policy::snapshot::Model;

use super::Ticket;
use crate::limits::{Demand, STEP_TOKENS, Standing, now};

/// The output that is reserved, of the target that answers.
#[derive(Debug, Default)]
pub(super) struct Cover {
    /// How many output tokens.
    pub(super) tokens: u64,
    pub(super) demand: Demand,
    pub(super) prices: Option<Arc<Prices>>,
    pub(super) context_window: Option<u64>,
    /// Whether any limit minds.
    pub(super) binds: bool,
}

impl Ticket {
    /// Returns what binds the request, if anything does.
    pub fn limits(&self) -> Option<&Arc<Bindings>> {
        self.limits.as_ref()
    }

    /// Takes the request itself, and its place among those in flight.
    ///
    /// # Errors
    /// When a limit refuses.
    pub fn admit(&mut self, bindings: Arc<Bindings>) -> Result<(), Denial> {
        let bindings = self.limits.insert(bindings);
        let Some(open) = &mut self.open else { return Ok(()) };
        open.settlement.parties.clone_from(&bindings.parties);
        open.reservation.limits.add(&bindings.gate, &Amounts::default(), now(&open.gateway.clock))
    }

    /// Takes tokens and money.
    ///
    /// # Errors
    /// When a limit refuses; then nothing more is held than before.
    pub fn reserve(&mut self, amounts: &Amounts) -> Result<(), Denial> {
        let (Some(bindings), Some(open)) = (&self.limits, &mut self.open) else { return Ok(()) };
        open.reservation.limits.add(&bindings.spend, amounts, now(&open.gateway.clock))
    }

    /// Returns the output tokens of each choice that what is left of some limits covers, as far as one can see without
    /// taking it; `None` when that is not worth asking for.
    pub fn affordable(&self, demand: &Demand, models: &[&Model], limits: &Binding) -> Option<u64> {
        let now = now(&self.open.as_ref()?.gateway.clock);
        demand.affordable(models, &|bound| bound.amount.saturating_sub(bound.counter.used(now)), limits)
    }

    /// Takes what limits of a target want: the request, its place there, tokens and money at its model's price.
    ///
    /// # Errors
    /// When one of them refuses; then nothing is held of any of them.
    pub fn enter(&mut self, demand: &Demand, model: &Model, provider: &str) -> Result<(), Denial> {
        let (Some(bindings), Some(open)) = (&self.limits, &mut self.open) else { return Ok(()) };
        let tokens = demand.first_output(model);
        let target = bindings.at(model, provider);
        if !target.bounds().is_empty() {
            let amounts = demand.amounts(model, tokens);
            let entered = open.reservation.limits.add(&target, &amounts, now(&open.gateway.clock));
            self.refused = entered.as_ref().err().map(|denial| Box::new(denial.bound.clone()));
            entered?;
        }
        let bounds = bindings.spend.bounds().iter().chain(target.bounds());
        let binds = bounds.map(|bound| bound.counter.meter()).any(Meter::minds_output);
        let (prices, context_window) = (model.prices.clone(), model.context_window);
        (open.asking, open.cover) = (false, Cover { tokens, demand: *demand, prices, context_window, binds });
        (self.target, self.refused) = (target, None);
        Ok(())
    }

    /// Leaves a target that failed. Where it was asked, that counts with it, though nothing came of it.
    pub fn leave(&mut self) {
        let target = std::mem::take(&mut self.target);
        let Some(open) = self.open.as_mut().filter(|_| !target.bounds().is_empty()) else { return };
        if open.asking {
            open.reservation.limits.settle_of(&target, &Amounts::default());
        } else {
            open.reservation.limits.release(&target);
        }
    }

    /// Notes that the target is asked now, and that the request counts for it.
    pub fn knock(&mut self) {
        if let Some(open) = &mut self.open {
            (open.asked, open.asking) = (true, true);
        }
    }

    /// Takes out the request's place among those in flight, for whoever knows sooner when its caller is gone. That at a
    /// target stays: the target goes on.
    pub fn places(&mut self) -> Reservation {
        let Some(open) = &mut self.open else { return Reservation::default() };
        open.reservation.limits.split(|meter| meter == Meter::Concurrency)
    }

    /// Sees to it that the output so far, in bytes and as far as the provider reports it in tokens, is covered.
    ///
    /// # Errors
    /// When a limit refuses what is there already: nothing more may come.
    pub fn cover(&mut self, content_bytes: u64, reported: Option<u64>) -> Result<(), Denial> {
        let Some(open) = self.open.as_mut().filter(|open| open.cover.binds) else { return Ok(()) };
        let (tokens, demand) = (open.cover.tokens, open.cover.demand);
        let stepwise = demand.is_stepwise();
        // Ahead of an unbounded stream, tokens are taken to be short. Where the output is bounded, an estimate that is
        // too high must not cut off what the caller may have.
        let guess = if stepwise { content_bytes.div_ceil(2) } else { estimate_tokens(content_bytes) };
        // What cannot be true cuts nothing off.
        let reported = reported.filter(|reported| *reported <= open.most.output.max(content_bytes));
        let seen = guess.max(reported.unwrap_or(0));
        let wanted = if stepwise { seen.saturating_add(STEP_TOKENS / 2) } else { seen };
        if wanted <= tokens {
            return Ok(());
        }
        let raised = seen.saturating_add(STEP_TOKENS);
        let amounts = demand.amounts_at(open.cover.prices.as_deref(), open.cover.context_window, raised);
        match open.reservation.limits.raise(&amounts, now(&open.gateway.clock)) {
            Ok(()) => {
                let before = demand.amounts_at(open.cover.prices.as_deref(), open.cover.context_window, tokens);
                open.cover.tokens = raised;
                open.grow(raised.saturating_sub(tokens), NanoUsd(amounts.nanos.saturating_sub(before.nanos)));
            }
            Err(denial) if seen > tokens => return Err(denial),
            // What lies ahead may be had later.
            Err(_) => {}
        }
        Ok(())
    }

    /// Returns how the caller stands now.
    pub fn standing(&self, clock: &Clock) -> Option<Standing> {
        let bindings = self.limits.as_ref()?;
        let here = self.target.bounds().iter().chain(self.refused.as_deref());
        let bounds = bindings.gate.bounds().iter().chain(bindings.spend.bounds()).chain(here);
        Standing::read(bounds, now(clock))
    }
}
