//! How a request is settled: what was used, as far as it can be believed, what it cost, and what becomes of what was held.

use dialect::meta::Account;
use ir::money::{Charge, NanoUsd};
use ir::settlement::{Held, Outcome, Settlement};
use ir::usage::most::{Doubt, Most, outgrown};
use ir::usage::{Usage, UsageOrigin, estimate_tokens};
use policy::limit::Amounts;
use settle::journal::batch::Due;

use super::limited::Cover;
use super::{Ending, Open};

/// What was used, as far as one knows.
struct Used {
    usage: Usage,
    origin: UsageOrigin,
    /// What the provider said, where it is not believed.
    report: Usage,
    doubt: Option<Doubt>,
}

impl Used {
    /// Believes what a provider reports as far as it can be true, and estimates what it does not report: `input_tokens` is the
    /// estimate of the input.
    fn of(ending: &Ending, dispatched: bool, most: Most, input_tokens: u64) -> Self {
        // Who has said something and reports nothing at all does not know.
        let reported = ending.usage.filter(|usage| !(usage.is_nothing() && ending.content_bytes > 0));
        let begun = ending.begun.filter(|usage| !usage.is_nothing());
        let report = reported.or(begun).unwrap_or_default();
        let (believed, doubt) = most.believe(&report, ending.content_bytes);
        let outgrown = || outgrown(&believed, ending.content_bytes).filter(|_| ending.partial);
        let (usage, origin) = match reported {
            Some(_) => match outgrown() {
                Some(usage) => (usage, UsageOrigin::Estimated),
                None if doubt.is_none() => (believed, UsageOrigin::Reported),
                None => (believed, UsageOrigin::Estimated),
            },
            None if dispatched => {
                let input = Usage { input: input_tokens, ..Usage::default() };
                let begun = begun.map_or(input, |_| believed);
                (begun.with_output(estimate_tokens(ending.content_bytes)), UsageOrigin::Estimated)
            }
            None => return Self { usage: Usage::default(), origin: UsageOrigin::None, report, doubt: None },
        };
        Self { usage, origin, report, doubt }
    }
}

impl Cover {
    /// Returns the most that a settlement's usage can have cost, where that is less than what its kinds and its tier of service
    /// amount to: no cap was asked for those. What was held already is enough for whatever costs no more.
    fn most_cost(&self, most: Most, settlement: &Settlement, held_nanos: u64) -> Option<NanoUsd> {
        let cost = settlement.cost.filter(|cost| self.binds && cost.0 > held_nanos)?;
        let prices = self.prices.as_deref()?;
        let most = self.demand.most_cost(prices, most, settlement.usage.output_tokens());
        (cost.0 > most).then_some(NanoUsd(most))
    }
}

/// Writes down what a provider reported and nobody believes.
fn note(settlement: &mut Settlement, doubt: Doubt, report: &Usage) {
    let (input, output, searches) = (report.input_tokens(), report.output_tokens(), report.searches);
    let (request_id, provider) = (settlement.subject.id, settlement.provider.as_deref().unwrap_or_default());
    tracing::warn!(
        component = "usage", requestId = %request_id, provider, doubt = doubt.name(), input, output, searches,
        "Usage report is more than the request can amount to: settled as an estimate"
    );
    let said = format!("{input} input tokens, {output} output tokens, {searches} searches");
    let more = format!("the provider's usage report cannot be true ({}): {said}", doubt.name());
    settlement.error_detail = Some(match settlement.error_detail.take() {
        Some(detail) => format!("{detail}; {more}"),
        None => more,
    });
}

impl Open {
    /// Settles the request.
    pub(super) fn settle(self, outcome: Outcome, ending: Ending) -> (Account, Due) {
        let lost = self.lost();
        let used = Used::of(&ending, self.dispatched, self.most, self.input_tokens);
        let mut settlement = self.settlement;
        settlement.outcome = outcome;
        settlement.status = ending.status;
        if let Some((code, detail)) = ending.error {
            settlement.error_code = Some(code.name().into());
            settlement.error_detail = detail;
        }
        settlement.upstream_id = ending.upstream_id;
        settlement.finish_reason = ending.finish_reason;
        let mut doubt = used.doubt;
        (settlement.usage, settlement.usage_origin) = (used.usage, used.origin);
        // What was given counts, not what was asked for: a provider may serve `priority` as usual.
        let tier = ending.service_tier.unwrap_or(self.service_tier);
        settlement.cost = match settlement.usage_origin {
            UsageOrigin::None => Some(NanoUsd(0)),
            _ => self.prices.as_ref().and_then(|prices| prices.call_cost(&settlement.usage, tier)),
        };
        if let Some(most) = self.cover.most_cost(self.most, &settlement, self.reservation.nanos()) {
            (settlement.cost, settlement.usage_origin) = (Some(most), UsageOrigin::Estimated);
            doubt = doubt.or(Some(Doubt::Cost));
        }
        if let Some(doubt) = doubt {
            self.gateway.metrics.doubted(doubt);
            note(&mut settlement, doubt, &used.report);
        }
        settlement.cost = settlement.cost.map(|cost| NanoUsd(cost.0.saturating_add(lost)));
        settlement.baseline_cost = self.baseline.and_then(|prices| prices.call_cost(&settlement.usage, tier));
        settlement.latency_us = self.gateway.clock.now_anew().micros_since(self.arrived);
        let account = Account {
            latency_us: settlement.latency_us,
            cost: settlement.cost,
            baseline_cost: settlement.baseline_cost,
            attempts: settlement.attempts.len(),
            cache: "bypass",
        };
        // What was answered counts, even where no target was asked for it.
        let counts = self.asked || outcome == Outcome::Succeeded;
        // Where part of what was used has no price, what was held is the best that is known.
        if settlement.cost.is_none() {
            let held = Held { output_tokens: settlement.usage.output_tokens(), nanos: self.reservation.nanos() };
            settlement.held = Some(held).filter(|held| held.nanos > 0);
        }
        let cost = settlement.cost.unwrap_or(NanoUsd(self.reservation.nanos()));
        let charged = if counts && !self.brought { cost } else { NanoUsd(0) };
        settlement.charge = self.margin.map(|margin| Charge::of(charged, margin));
        let used = Amounts {
            input_tokens: settlement.usage.input_tokens(),
            output_tokens: settlement.usage.output_tokens(),
            nanos: cost.0,
            charge: settlement.charge.map_or(0, |charge| charge.total().0),
        };
        self.gateway.metrics.settled(&settlement);
        let due = self.permit.settle_with(settlement);
        self.reservation.end(counts.then_some(&used));
        // Only now, so that what a second target held is never missing.
        drop(self.second);
        (account, due)
    }
}
