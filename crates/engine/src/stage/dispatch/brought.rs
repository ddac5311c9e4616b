//! With whose credential a target is asked: that of the caller, where it has brought one, else the platform's.

use routing::plan::Planned;
use upstream::failure::{AttemptFailure, Class};

use super::super::gate::Gated;
use crate::state::Configuration;

/// Chooses the credential for an attempt, and returns which one of the caller's own it is, if any.
pub(super) fn bring(configuration: &Configuration, gated: &mut Gated, planned: &Planned) -> Option<usize> {
    let own = configuration.brings(&gated.key.compiled, planned.model, &gated.brought.refused);
    gated.brought.used = own;
    gated.ticket.bring(own.is_some());
    own
}

/// Returns why an attempt is made, and whether with a credential of the caller's own.
pub(crate) fn reason(planned: &Planned, own: bool) -> String {
    let reason = planned.reason.to_string();
    if own { reason + ", own credential" } else { reason }
}

/// Whether the credential that the provider has just refused gives way to the platform's.
pub(super) fn gives_way(configuration: &Configuration, gated: &mut Gated, failure: &AttemptFailure) -> bool {
    let Some(own) = gated.brought.used else { return false };
    let refused = matches!(failure.class, Class::Auth | Class::Payment | Class::RateLimited);
    if !refused || !configuration.falls_back(own) {
        return false;
    }
    gated.brought.refused.push(own);
    true
}
