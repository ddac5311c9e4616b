//! Where it goes: the targets to try, in order.

pub(crate) mod facts;

use std::sync::Arc;

use dialect::lane::Surface;
use dialect::lane::asked::Asked;
use ir::chat::needs::needs;
use ir::failure::Failure;
use ir::id::RequestId;
use policy::clock::Monotonic;
use policy::condition::facts::Header;
use policy::snapshot::CompiledKey;
use routing::affinity::{LEAST_BYTES, Prefix};
use routing::goal::Goal;
use routing::plan::{Live, Plan, Wish};
use routing::signal::Kind;

use self::facts::Known;
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
    let configuration = &gated.configuration;
    let (environment, routes) = (&configuration.snapshot.environment.name, &configuration.snapshot.routes);
    let id = gated.call.id;
    let prefix = prefix(configuration, &gated.request);
    let failed = |route: &Arc<str>, rule: usize, why: &str| {
        gateway.metrics.routes.failed(environment, route, rule);
        let at = routes.all.iter().position(|other| other.name == *route);
        if at.is_some_and(|at| configuration.turns.is_first(at, rule)) {
            let rule = rule + 1;
            tracing::warn!(component = "routing", requestId = %id, route = %route, rule, error = why, "A rule could not be held against a request; it is said once");
        }
    };
    let circumstances = Circumstances {
        configuration,
        key: &gated.key.compiled,
        provider: gated.call.provider.as_deref(),
        headers: &gated.call.headers,
        input_tokens: gated.demand.likely_input(),
        now: gateway.clock.now(),
        unix_ms: &|| gateway.clock.unix_ms(),
        seed: seed(id),
        // To count tokens is to ask for no answer: it is nobody's turn.
        takes: gated.request.surface() != Surface::AnthropicCount,
        prefix: prefix.as_ref(),
        failed: &failed,
    };
    let plan = decide(&circumstances, &mut gated.request)?;
    gated.prefix = prefix.filter(|_| plan.attempts.len() > 1).map(Box::new);
    Ok(plan)
}

/// Returns the beginnings of a prompt, where it is long enough to be cached and several targets may get it.
pub(crate) fn prefix(configuration: &Configuration, request: &Asked) -> Option<Prefix> {
    let long = request.body().len() >= LEAST_BYTES;
    if !long || !(configuration.shares || request.model().is_none_or(|model| Goal::named(model).is_some())) {
        return None;
    }
    let (head, messages) = request.prompt_parts();
    Prefix::of(head, messages)
}

/// What a plan depends on, beside the request.
pub(crate) struct Circumstances<'a> {
    /// The configuration that the request sees.
    pub configuration: &'a Configuration,
    /// The key it acts as.
    pub key: &'a CompiledKey,
    /// Its `x-llm-provider`.
    pub provider: Option<&'a str>,
    /// Its headers, where the key's route looks at them.
    pub headers: &'a [Header],
    /// Roughly how many tokens it has.
    pub input_tokens: u64,
    /// Now.
    pub now: Monotonic,
    /// The same on the wall, asked for where the time of the day matters.
    pub unix_ms: &'a dyn Fn() -> u64,
    /// What its chances follow from.
    pub seed: u64,
    /// Whether it takes its turn where targets share requests.
    pub takes: bool,
    /// What may be cached of it, where targets share requests.
    pub prefix: Option<&'a Prefix>,
    /// Told of every rule that could not be held against it.
    pub failed: &'a dyn Fn(&Arc<str>, usize, &str),
}

/// Plans a request, or what would become of one.
///
/// # Errors
/// As [`plan`].
pub(crate) fn decide(around: &Circumstances<'_>, request: &mut Asked) -> Result<Plan, Failure> {
    let snapshot = &around.configuration.snapshot;
    let route = snapshot.routes.route_of(&around.key.name, around.provider.is_some());
    let named = || around.provider.is_none() && request.model().is_some_and(|name| Goal::named(name).is_some());
    let chosen = route.is_some_and(|route| route.chooses) || named();
    // Only who leaves the choice open is asked what the answer needs.
    let needs: Vec<&'static str> = match chosen {
        true => needs(request.canonical()?).iter().map(|need| need.capability).collect(),
        false => Vec::new(),
    };
    let known =
        route.filter(|route| route.looks.any).map(|route| Known::of(route.looks, around, request)).transpose()?;
    let facts = known.as_ref().map(|known| known.facts(around, request));
    let wish = Wish {
        model: request.model(),
        provider: around.provider,
        needs: &needs,
        input_tokens: around.input_tokens,
        max_tokens: request.max_tokens(),
        facts: facts.as_ref(),
    };
    let turns = &around.configuration.turns;
    let live = Live {
        signals: &|index| around.configuration.known(index),
        now: around.now,
        seed: around.seed,
        kind: if request.stream() { Kind::Stream } else { Kind::Whole },
        warm: around.prefix.and_then(|prefix| around.configuration.warmth.find(prefix, around.now)),
        turn: &|slot| if around.takes { turns.take(slot) } else { turns.look(slot) },
        failed: around.failed,
    };
    routing::plan::plan(snapshot, around.key, wish, &live)
}

/// Returns what a request's chances follow from: its id, the random half of it.
pub(crate) fn seed(id: RequestId) -> u64 {
    let [.., a, b, c, d, e, f, g, h] = id.0;
    u64::from_le_bytes([a, b, c, d, e, f, g, h])
}
