//! What is logged of the way through the targets.

use ir::failure::Fault;
use policy::limit::reservation::Denial;
use policy::snapshot::ModelIndex;
use upstream::classify::client_failure;
use upstream::failure::AttemptFailure;

use super::super::gate::Gated;
use crate::state::Configuration;

/// Logs a step of the failover, in the words and fields of the gateways that this one replaces.
pub(super) fn failover(
    configuration: &Configuration,
    gated: &Gated,
    from: ModelIndex,
    to: ModelIndex,
    failure: &AttemptFailure,
    at: usize,
) {
    let (request_id, error) = (gated.call.id, failure);
    let message = if at == 0 { "Primary provider failed" } else { "Failover provider failed" };
    let (provider, next) = (provider_name(configuration, from), provider_name(configuration, to));
    tracing::warn!(component = "failover", requestId = %request_id, provider, error = %error, "{message}");
    tracing::info!(component = "failover", requestId = %request_id, provider = next, "Attempting failover");
}

/// Logs that a target's own limit is reached.
pub(super) fn skipped(configuration: &Configuration, gated: &Gated, model: ModelIndex, denial: &Denial) {
    let (request_id, provider) = (gated.call.id, provider_name(configuration, model));
    let limit = &*denial.bound.limit.name;
    tracing::info!(component = "limits", requestId = %request_id, provider, limit, "Target skipped: its limit is reached");
}

/// Logs that nobody is left to ask.
pub(super) fn exhausted(configuration: &Configuration, gated: &Gated, model: ModelIndex, failure: &AttemptFailure) {
    if client_failure(failure).fault == Fault::Caller {
        return;
    }
    let (request_id, provider) = (gated.call.id, provider_name(configuration, model));
    tracing::warn!(component = "dispatch", requestId = %request_id, provider, error = %failure, "Provider failed");
}

fn provider_name(configuration: &Configuration, model: ModelIndex) -> &str {
    let provider = configuration.snapshot.model(model).and_then(|m| configuration.snapshot.provider(m.provider));
    provider.map_or("", |provider| &*provider.name)
}
