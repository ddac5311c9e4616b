//! What would become of a request: the plan that it would get now, made by the function that plans requests. Nobody is
//! asked, nothing is reserved, and nothing is written down.

use std::sync::Arc;

use bytes::Bytes;
use dialect::lane::Surface;
use dialect::lane::asked::Asked;
use http_body::Body;
use ir::failure::Failure;
use ir::money::NanoUsd;
use policy::condition::facts::Header;
use policy::limit::bind::Bindings;
use policy::snapshot::route::Weights;
use policy::snapshot::{Model, ModelIndex, Snapshot};
use routing::plan::choice::expected_cost;
use routing::plan::{By, Plan, Planned, Routed};
use routing::rank::Terms;

use crate::gateway::{Gateway, Options};
use crate::limits::{self, Demand};
use crate::pipeline::Arrival;
use crate::refusal::Refusal;
use crate::stage::authenticate::{Authenticated, authenticate};
use crate::stage::decode;
use crate::stage::dispatch::brought::reason;
use crate::stage::dispatch::watch::held;
use crate::stage::plan::{Circumstances, decide, prefix};
use crate::stage::reserve::lacks_price;
use crate::state::{Configuration, LiveKey};

/// The largest request that is explained to its caller: it may hold images; more says nothing about where it goes.
const MAX_BODY_BYTES: usize = 4 << 20;

/// Why a target is left out whose cost nobody could say.
const UNPRICED: &str = "its price is unknown, and money is limited";

/// A request that is not made.
#[derive(Debug)]
pub struct Question {
    /// The surface it would be made on.
    pub surface: Surface,
    /// Its body.
    pub body: Bytes,
    /// Its `x-llm-provider`.
    pub provider: Option<String>,
    /// All its headers, by their names in lower case.
    pub headers: Vec<Header>,
}

/// A plan in words.
#[derive(Debug)]
pub struct Explanation {
    /// The targets, in the order in which they would be tried.
    pub attempts: Vec<Step>,
    /// Those that would not be.
    pub excluded: Vec<Step>,
    /// The policy that chooses, if one does.
    pub policy: Option<&'static str>,
    /// What it weighs: the score is the weighted mean of the terms.
    pub weights: Option<Weights>,
    /// What the key's route has to say, where one binds it.
    pub route: Option<Decided>,
    /// What the first target that would be asked is expected to cost, where its price is known.
    pub estimated_cost: Option<NanoUsd>,
    /// The model that savings are measured against, and what it would cost.
    pub baseline: Option<(Arc<str>, Option<NanoUsd>)>,
    /// Roughly how many tokens the request has.
    pub input_tokens: u64,
}

/// What a route has to say. Rules are counted from 1.
#[derive(Debug)]
pub struct Decided {
    /// The route.
    pub route: Arc<str>,
    /// What of it decided: `always`, `rule`, `otherwise` or `nothing`.
    pub by: &'static str,
    /// The rule that did.
    pub rule: Option<usize>,
    /// The rules that could not be held against the request, and why.
    pub failed: Vec<(usize, String)>,
    /// The targets that cannot be asked at all, and why.
    pub skipped: Vec<(Box<str>, &'static str)>,
}

impl Decided {
    fn of(routed: Routed) -> Self {
        let (by, rule) = match routed.by {
            By::Always => ("always", None),
            By::Rule(at) => ("rule", Some(at + 1)),
            By::Otherwise => ("otherwise", None),
            By::Nothing => ("nothing", None),
        };
        let failed = routed.failed.into_iter().map(|(at, why)| (at + 1, why)).collect();
        Self { route: routed.route, by, rule, failed, skipped: routed.broken }
    }
}

/// One target.
#[derive(Debug)]
pub struct Step {
    /// The model.
    pub model: Arc<str>,
    /// Its provider.
    pub provider: Arc<str>,
    /// Why it is tried, or not.
    pub reason: String,
    /// Its state by name and what it was ranked by, where it was.
    pub scores: Option<(&'static str, Terms)>,
    /// Why it would be passed over at the moment.
    pub passed_over: Option<String>,
    /// Whether the key's rights, or a switch, leave it out: then it is no business of who asks with the key.
    pub of_rights: bool,
}

/// Explains a request to who would make it, with their own key.
///
/// # Errors
/// As [`authenticate`]; 413 and 408 for the body. What would be refused is part of the explanation.
pub async fn explain_own<B>(
    gateway: &Gateway,
    surface: Surface,
    arrival: Arrival<B>,
) -> Result<Result<Explanation, Failure>, Refusal>
where
    B: Body<Data = Bytes> + Unpin,
{
    let id = arrival.id;
    let Authenticated { arrival, identity } = authenticate(gateway, surface, arrival)?;
    let peer = arrival.peer.ip();
    let headers = decode::all(arrival.headers());
    let provider = headers.iter().find(|(name, _)| **name == *"x-llm-provider").map(|(_, value)| value.to_string());
    let options = Options { body_limit: MAX_BODY_BYTES, ..gateway.options.clone() };
    let body = decode::read(arrival, None, &options).await;
    let body = body.map_err(|failure| Refusal::closing(id, failure).of(gateway, &identity, peer))?;
    let provider = provider.filter(|name| !name.is_empty());
    let question = Question { surface, body, provider, headers: headers.into() };
    Ok(explain(gateway, &identity.key, &identity.configuration, &question).map(|mut explanation| {
        explanation.excluded.retain(|step| !step.of_rights);
        explanation
    }))
}

/// Explains a request of a key.
///
/// # Errors
/// What the caller would be told: the request is not understood, or nothing may serve it.
pub fn explain(
    gateway: &Gateway,
    key: &LiveKey,
    configuration: &Configuration,
    question: &Question,
) -> Result<Explanation, Failure> {
    let mut request = Asked::decode(question.surface, question.body.clone())?;
    let bindings = limits::of_key(gateway, key, configuration);
    let demand = Demand::of(&request, bindings.is_some());
    let prefix = prefix(configuration, &request);
    let around = Circumstances {
        configuration,
        key: &key.compiled,
        provider: question.provider.as_deref(),
        headers: &question.headers,
        input_tokens: demand.likely_input(),
        now: gateway.clock.now(),
        unix_ms: &|| gateway.clock.unix_ms(),
        seed: 0,
        takes: false,
        prefix: prefix.as_ref(),
        failed: &|_, _, _| {},
    };
    let mut plan = decide(&around, &mut request)?;
    let snapshot = &configuration.snapshot;
    let unpriced = bindings.map_or(Ok(Vec::new()), |bindings| leave_out_unpriced(snapshot, &bindings, &mut plan))?;
    let step = |index: ModelIndex, reason: String| {
        let model = snapshot.model(index)?;
        let scored = plan.scores.iter().find(|score| score.model == index);
        Some(Step {
            model: Arc::clone(&model.slug),
            provider: Arc::clone(&snapshot.provider(model.provider)?.name),
            reason,
            scores: scored.map(|score| (score.tier.name(), score.terms)),
            passed_over: None,
            of_rights: false,
        })
    };
    let passed_over =
        |at| held(configuration, &key.compiled, &plan, at, around.now).map(|failure| failure.detail.into_string());
    let attempts: Vec<Step> = plan
        .attempts
        .iter()
        .enumerate()
        .filter_map(|(at, one)| {
            let own = configuration.credential(&key.compiled, one, &[]).is_some();
            Some(Step { passed_over: passed_over(at), ..step(one.model, reason(&plan, one, own).into_owned())? })
        })
        .collect();
    let first = attempts.iter().position(|step| step.passed_over.is_none()).unwrap_or(0);
    let cost = |model: &Model| expected_cost(model, around.input_tokens, request.max_tokens());
    let baseline = snapshot.baseline.and_then(|index| snapshot.model(index));
    Ok(Explanation {
        excluded: plan
            .excluded
            .iter()
            .filter_map(|one| Some(Step { of_rights: one.why.is_right(), ..step(one.model, one.why.to_string())? }))
            .chain(unpriced.into_iter().filter_map(|model| step(model, UNPRICED.to_owned())))
            .collect(),
        policy: plan.policy,
        weights: plan.weights,
        estimated_cost: plan.attempts.get(first).and_then(|one| snapshot.model(one.model)).and_then(cost),
        baseline: baseline.map(|model| (Arc::clone(&model.slug), cost(model))),
        input_tokens: around.input_tokens,
        attempts,
        route: plan.route.map(|routed| Decided::of(*routed)),
    })
}

/// Takes targets out of the plan that would not be asked because their cost is unknown, and returns them.
///
/// # Errors
/// 403 where no other target is left.
fn leave_out_unpriced(snapshot: &Snapshot, bindings: &Bindings, plan: &mut Plan) -> Result<Vec<ModelIndex>, Failure> {
    let first = plan.attempts.first().and_then(|planned| snapshot.model(planned.model));
    let lack = |planned: &mut Planned| lacks_price(snapshot, bindings, planned.model);
    let left_out: Vec<ModelIndex> = plan.attempts.extract_if(.., lack).map(|planned| planned.model).collect();
    match first {
        Some(model) if plan.attempts.is_empty() => Err(limits::unpriced(&model.slug)),
        _ => Ok(left_out),
    }
}
