//! Where it goes: the targets to try, in order.

use ir::chat::needs::needs;
use ir::failure::Failure;
use ir::id::RequestId;
use routing::goal::Goal;
use routing::plan::{Live, Plan, Wish};
use routing::signal::Kind;

use super::cache::Missed;
use super::gate::Gated;
use crate::gateway::Gateway;
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
/// As [`routing::plan::plan`]; 400 when a policy is to choose and the request cannot be understood whole.
pub fn plan(gateway: &Gateway, missed: Missed) -> Result<Planned, Refusal> {
    let mut gated = missed.0;
    match planned(gateway, &mut gated) {
        Ok(plan) => Ok(Planned { gated, plan }),
        Err(failure) => Err(gated.ticket.refuse(failure)),
    }
}

fn planned(gateway: &Gateway, gated: &mut Gated) -> Result<Plan, Failure> {
    let chosen = gated.call.provider.is_none() && gated.request.model().is_some_and(|name| Goal::named(name).is_some());
    // Only who leaves the choice open is asked what the answer needs.
    let needs: Vec<&'static str> = match chosen {
        true => needs(gated.request.canonical()?).iter().map(|need| need.capability).collect(),
        false => Vec::new(),
    };
    let configuration = &gated.configuration;
    let wish = Wish {
        model: gated.request.model(),
        provider: gated.call.provider.as_deref(),
        needs: &needs,
        input_tokens: gated.demand.likely_input(),
        max_tokens: gated.request.max_tokens(),
    };
    let live = Live {
        signals: &|index| configuration.known(index),
        now: gateway.clock.now(),
        seed: seed(gated.call.id),
        kind: if gated.request.stream() { Kind::Stream } else { Kind::Whole },
    };
    routing::plan::plan(&configuration.snapshot, &gated.key.compiled, wish, &live)
}

/// Returns what a request's chances follow from: its id, the random half of it.
fn seed(id: RequestId) -> u64 {
    let [.., a, b, c, d, e, f, g, h] = id.0;
    u64::from_le_bytes([a, b, c, d, e, f, g, h])
}
