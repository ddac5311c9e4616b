//! What the journal is told before a target is asked, so that the request is accounted for even if the process dies.

use std::sync::Arc;

use ir::money::{Charge, NanoUsd, Prices};
use ir::settlement::Intent;
use ir::usage::Usage;
use settle::journal::batch::Due;
use settle::journal::writer::JournalUnavailable;

use super::{Open, Ticket};

impl Ticket {
    /// Puts the intent into the journal's next write: once that is finished, the request leaves a trace even if the process
    /// dies, and it may be dispatched. `None` when the request is settled.
    ///
    /// # Errors
    /// When the journal cannot be written: then nothing may be dispatched.
    pub fn intend(
        &mut self,
        model: &Arc<str>,
        provider: &Arc<str>,
        prices: Option<&Prices>,
        input: u64,
    ) -> Result<Option<Due>, JournalUnavailable> {
        let limited = self.limits.is_some();
        let Some(open) = &mut self.open else { return Ok(None) };
        open.input_tokens = input;
        let usage = Usage { input, ..Usage::default() };
        let input_cost = prices.and_then(|prices| prices.call_cost(&usage, open.service_tier));
        let intent = open.intent((model, provider), input_cost, limited);
        open.permit.intend(&intent).map(Some)
    }

    /// Notes that the write with the intent failed.
    pub fn forget_intent(&mut self) {
        if let Some(open) = &mut self.open {
            open.permit.forget_intent();
        }
    }

    /// Puts into the journal's next write that the second target is asked too: once that is finished, both are accounted for
    /// even if the process dies. `None` when the request is settled.
    ///
    /// # Errors
    /// When the journal has no room or cannot be written: then the second target must not be asked.
    pub fn intend_second(&mut self) -> Result<Option<Due>, JournalUnavailable> {
        let limited = self.limits.is_some();
        let Some(open) = &mut self.open else { return Ok(None) };
        let Some(second) = &open.second else { return Ok(None) };
        let usage = Usage { input: open.input_tokens, ..Usage::default() };
        let cost = |prices: Option<&Prices>| prices.and_then(|prices| prices.call_cost(&usage, open.service_tier));
        let both = cost(open.prices.as_deref()).zip(cost(second.prices.as_deref()));
        let both = both.map(|(first, second)| first.saturating_add(second));
        let intent = open.intent((&second.model, &second.provider), both, limited);
        open.permit.intend_another(&intent).map(Some)
    }
}

impl Open {
    /// Holds more for what a stream goes on to write, and tells the journal: else what the stream has used by then would be
    /// free again if the process died.
    pub(super) fn grow(&mut self, output_tokens: u64, cost: NanoUsd) {
        self.reservation.add(output_tokens, cost);
        self.reservation.output_tokens = self.reservation.output_tokens.saturating_add(output_tokens);
        let nobody: Arc<str> = Arc::default();
        let intent = self.intent((&nobody, &nobody), None, true);
        // Where the journal has no room, what was told before stands. Dropping it writes it.
        drop(self.permit.intend_another(&intent));
    }

    /// Returns what the journal is told before a target is asked.
    fn intent(&self, (model, provider): (&Arc<str>, &Arc<str>), input_cost: Option<NanoUsd>, limited: bool) -> Intent {
        Intent {
            subject: self.settlement.subject.clone(),
            model: Arc::clone(model),
            provider: Arc::clone(provider),
            input_tokens: self.input_tokens,
            input_cost,
            charge: input_cost.and_then(|cost| self.margin.map(|margin| Charge::of(self.charged(cost), margin))),
            parties: self.settlement.parties.clone(),
            held: limited.then(|| self.reservation.held()),
        }
    }
}
