//! Where it goes: the targets to try, in order.

use routing::plan::{Plan, Wish};

use super::cache::Missed;
use super::gate::Gated;
use crate::refusal::Refusal;

/// A request with a plan.
pub struct Planned {
    /// The request.
    pub gated: Box<Gated>,
    /// The targets.
    pub plan: Plan,
}

/// Plans a request.
///
/// # Errors
/// As [`routing::plan::plan`].
pub fn plan(missed: Missed) -> Result<Planned, Refusal> {
    let gated = missed.0;
    let wish = Wish { model: gated.request.model(), provider: gated.call.provider.as_deref() };
    match routing::plan::plan(&gated.configuration.snapshot, &gated.key.compiled, wish) {
        Ok(plan) => Ok(Planned { gated, plan }),
        Err(failure) => Err(gated.ticket.refuse(failure)),
    }
}
