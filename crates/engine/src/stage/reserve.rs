//! Tokens and money, at the price of the dearest planned attempt, and the intent in the journal.

use ir::money::NanoUsd;
use ir::usage::{Usage, estimate_tokens};

use super::gate::journal_unavailable;
use super::plan::Planned;
use crate::refusal::Refusal;

/// Output tokens that are assumed where neither the request nor the model bounds them.
const UNBOUNDED_OUTPUT_TOKENS: u64 = 16_384;

/// A request that may be dispatched.
pub struct Reserved(pub Planned);

/// Extends the reservation to every planned attempt and writes the intent.
///
/// # Errors
/// 503 when the intent cannot be written.
pub fn reserve(planned: Planned) -> Result<Reserved, Refusal> {
    let Planned { mut gated, plan } = planned;
    let snapshot = &gated.configuration.snapshot;
    // Every token has at least one byte: the bound. The estimate is what a settlement without a report uses.
    let bound = gated.request.body_bytes();
    let input = estimate_tokens(bound);
    let (mut tokens, mut cost) = (0, NanoUsd(0));
    for planned in &plan.attempts {
        let Some(model) = snapshot.model(planned.model) else { continue };
        let output = gated.request.max_tokens().or(model.max_output_tokens).unwrap_or(UNBOUNDED_OUTPUT_TOKENS);
        let usage =
            Usage { input: bound, output: output.saturating_mul(gated.request.choices().max(1)), ..Usage::default() };
        tokens = tokens.max(usage.input.saturating_add(usage.output));
        cost = cost.max(model.prices.map_or(NanoUsd(0), |prices| prices.cost(&usage)));
    }
    if let Some(reservation) = gated.ticket.reservation() {
        reservation.extend(tokens, cost);
    }
    let first = plan.attempts.first().and_then(|planned| snapshot.model(planned.model));
    let provider = first.and_then(|model| snapshot.provider(model.provider));
    if let (Some(model), Some(provider)) = (first, provider) {
        let written = gated.ticket.intend(&model.slug, &provider.name, model.prices, input);
        if written.is_err() {
            return Err(gated.ticket.refuse(journal_unavailable()));
        }
    }
    Ok(Reserved(Planned { gated, plan }))
}
