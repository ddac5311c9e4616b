//! With whose credential a target is asked: that of the caller, where it has brought one, else the platform's.

use std::borrow::Cow;

use routing::plan::{Credential, Plan, Planned};
use upstream::failure::{AttemptFailure, Class};

use super::super::gate::Gated;
use crate::state::Configuration;

/// Chooses the credential for an attempt, and returns which one of the caller's own it is, if any.
pub(super) fn bring(configuration: &Configuration, gated: &mut Gated, planned: &Planned) -> Option<usize> {
    let own = configuration.credential(&gated.key.compiled, planned, &gated.brought.refused);
    gated.brought.used = own;
    gated.ticket.bring(own.is_some());
    own
}

/// Returns why an attempt is made, and whether with a credential of the caller's own.
pub(crate) fn reason(plan: &Plan, planned: &Planned, own: bool) -> Cow<'static, str> {
    let reason = plan.reason(planned);
    if own { reason + ", own credential" } else { reason }
}

/// Whether the credential that the provider has just refused gives way to the platform's. One that a route names does
/// not: what follows it is what the route says.
pub(super) fn gives_way(
    configuration: &Configuration,
    gated: &mut Gated,
    planned: &Planned,
    failure: &AttemptFailure,
) -> bool {
    let Some(own) = gated.brought.used else { return false };
    let refused = matches!(failure.class, Class::Auth | Class::Payment | Class::RateLimited);
    if !refused || planned.credential != Credential::Usual || !configuration.falls_back(own) {
        return false;
    }
    gated.brought.refused.push(own);
    true
}
