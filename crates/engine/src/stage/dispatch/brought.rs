//! With whose credential a target is asked: that of the caller, where it has brought one, else the platform's.

use std::borrow::Cow;
use std::sync::Arc;

use routing::plan::Planned;
use upstream::failure::{AttemptFailure, Class};

use super::super::gate::Gated;
use crate::state::Configuration;

/// Chooses the credential for an attempt, and returns why the attempt is made, for the record.
pub(super) fn bring(configuration: &Configuration, gated: &mut Gated, planned: &Planned) -> Arc<str> {
    let own = configuration.brings(&gated.key.compiled, planned.model, &gated.brought.refused);
    gated.brought.used = own;
    gated.ticket.bring(own.is_some());
    match reason(planned, own.is_some()) {
        Cow::Borrowed(reason) => reason.into(),
        Cow::Owned(reason) => reason.into(),
    }
}

/// Returns why an attempt is made, and whether with a credential of the caller's own.
pub(crate) fn reason(planned: &Planned, own: bool) -> Cow<'static, str> {
    let reason = planned.reason.words();
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
