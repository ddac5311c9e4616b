//! Where it goes: the targets to try, in order.

use dialect::lane::asked::Asked;
use ir::chat::needs::needs;
use ir::failure::Failure;
use ir::id::RequestId;
use policy::clock::Monotonic;
use policy::snapshot::CompiledKey;
use routing::goal::Goal;
use routing::plan::{Live, Plan, Wish};
use routing::signal::Kind;

use super::cache::Missed;
use super::gate::Gated;
use crate::gateway::Gateway;
use crate::refusal::Refusal;
use crate::state::Configuration;

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
    let circumstances = Circumstances {
        configuration: &gated.configuration,
        key: &gated.key.compiled,
        provider: gated.call.provider.as_deref(),
        input_tokens: gated.demand.likely_input(),
        now: gateway.clock.now(),
        seed: seed(gated.call.id),
    };
    decide(&circumstances, &mut gated.request)
}

/// What a plan depends on, beside the request.
pub(crate) struct Circumstances<'a> {
    /// The configuration that the request sees.
    pub configuration: &'a Configuration,
    /// The key it acts as.
    pub key: &'a CompiledKey,
    /// Its `x-llm-provider`.
    pub provider: Option<&'a str>,
    /// Roughly how many tokens it has.
    pub input_tokens: u64,
    /// Now.
    pub now: Monotonic,
    /// What its chances follow from.
    pub seed: u64,
}

/// Plans a request, or what would become of one.
///
/// # Errors
/// As [`plan`].
pub(crate) fn decide(around: &Circumstances<'_>, request: &mut Asked) -> Result<Plan, Failure> {
    let chosen = around.provider.is_none() && request.model().is_some_and(|name| Goal::named(name).is_some());
    // Only who leaves the choice open is asked what the answer needs.
    let needs: Vec<&'static str> = match chosen {
        true => needs(request.canonical()?).iter().map(|need| need.capability).collect(),
        false => Vec::new(),
    };
    let wish = Wish {
        model: request.model(),
        provider: around.provider,
        needs: &needs,
        input_tokens: around.input_tokens,
        max_tokens: request.max_tokens(),
    };
    let live = Live {
        signals: &|index| around.configuration.known(index),
        now: around.now,
        seed: around.seed,
        kind: if request.stream() { Kind::Stream } else { Kind::Whole },
    };
    routing::plan::plan(&around.configuration.snapshot, around.key, wish, &live)
}

/// Returns what a request's chances follow from: its id, the random half of it.
fn seed(id: RequestId) -> u64 {
    let [.., a, b, c, d, e, f, g, h] = id.0;
    u64::from_le_bytes([a, b, c, d, e, f, g, h])
}
