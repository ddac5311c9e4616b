//! The attempts: one target after the other until one answers.
//!
//! Nothing reaches the caller before a target has produced its first content, so every failure up to there may lead
//! on: to the next target, or, at the last one, to the same target again (with backoff, within a budget). A buffered
//! call whose caller leaves is finished in a tracked task, because the provider charges for it anyway.

mod attempt;
pub(crate) mod brought;
mod buffered;
mod drain;
mod hedge;
mod inline;
pub(crate) mod letter;
mod log;
pub(crate) mod rate_limits;
mod streamed;
pub(crate) mod watch;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use dialect::meta::{Account, Route};
use http::{HeaderName, HeaderValue};
use ir::failure::{Code, Failure, Fault};
use ir::id::RequestId;
use net::backoff::Backoff;
use net::deadline::{after, passed};
use policy::limit::reservation::{Denial, Reservation};
use policy::snapshot::ModelIndex;
use tokio::time::{Instant, sleep};
use upstream::classify::{client_failure, leads_on};
use upstream::failure::{AttemptFailure, Class};
use upstream::target::Target;

use self::attempt::attempt;
use self::buffered::Whole;
pub use self::streamed::Begun;
use super::authenticate::revoked;
use super::gate::Gated;
use super::reserve::Reserved;
use crate::limits;
use crate::refusal::Refusal;
use crate::state::Configuration;
use crate::worker::Worker;

/// Tries of the same target after the first.
const MAX_RETRIES: u32 = 2;

/// The longest `Retry-After` of a provider that is waited for before it is asked again.
const MAX_WAIT: Duration = Duration::from_secs(5);

/// `service_tier: flex` may take this long (<https://platform.openai.com/docs/guides/flex-processing>).
const FLEX_TOTAL: Duration = Duration::from_secs(15 * 60);

/// What a reply says of the way it came.
pub struct Trail {
    /// The model that answered.
    pub model: ModelIndex,
    /// How many targets were tried.
    pub attempts: usize,
    /// The parameters that the provider could not be told.
    pub dropped: Vec<String>,
    /// The provider's rate-limit headers.
    pub headers: Vec<(HeaderName, HeaderValue)>,
}

/// A request that a target has answered.
pub enum Answered {
    /// The whole answer; it is settled.
    Whole {
        /// The request.
        gated: Box<Gated>,
        /// The way it came.
        trail: Trail,
        /// The settlement.
        account: Account,
        /// The body, patched.
        parts: Vec<bytes::Bytes>,
    },
    /// The beginning of a stream.
    Begun {
        /// The request.
        gated: Box<Gated>,
        /// The way it came.
        trail: Trail,
        /// What is there of it.
        begun: Box<Begun>,
        /// When it must have ended.
        deadline: Instant,
    },
}

/// Asks the planned targets.
///
/// # Errors
/// When all of them failed, the deadline passed, or the key was revoked meanwhile.
pub async fn dispatch(worker: &Arc<Worker>, mut reserved: Reserved) -> Result<Answered, Refusal> {
    let abandoned = Arc::new(AtomicBool::new(false));
    let stream = reserved.0.gated.request.stream();
    // Who has left is not in flight any more, even if what it asked for is finished.
    let places = if stream { Reservation::default() } else { reserved.0.gated.ticket.places() };
    let run = run(Arc::clone(worker), reserved, Arc::clone(&abandoned));
    // Both ways it has a place of its own, given back with the first content: what waits on a stream stays small.
    if stream { Box::pin(run).await } else { drain::finish_if_abandoned(worker, run, abandoned, places).await }
}

/// What the attempts of one request share.
struct Run<'a> {
    worker: &'a Worker,
    abandoned: &'a AtomicBool,
    deadline: Instant,
}

/// What one attempt yields.
enum Success {
    Whole(Box<Whole>),
    Begun(Box<Begun>),
}

async fn run(worker: Arc<Worker>, reserved: Reserved, abandoned: Arc<AtomicBool>) -> Result<Answered, Refusal> {
    let Reserved(planned) = reserved;
    let (mut gated, plan) = (planned.gated, planned.plan);
    let run = Run { worker: &worker, abandoned: &abandoned, deadline: after(total(&gated, &plan)) };
    let token = gated.key.revoked.clone();
    let outcome = token.run_until_cancelled(attempts(&run, &mut gated, &plan)).await;
    let Answer { model, dropped, headers, success } = match outcome {
        None => return Err(gated.ticket.refuse(revoked())),
        Some(Err(failure)) => return Err(gated.ticket.refuse(failure)),
        Some(Ok(answer)) => answer,
    };
    if let Some(prefix) = gated.prefix.take() {
        gated.configuration.warmth.note(&prefix, model, worker.gateway.clock.now());
    }
    let trail = Trail { model, attempts: gated.ticket.attempts(), dropped, headers };
    let deadline = run.deadline;
    Ok(match success {
        Success::Begun(begun) => Answered::Begun { gated, trail, begun, deadline },
        Success::Whole(whole) => {
            let (account, parts, due) =
                whole.settle(&worker.gateway, &mut gated, &trail, plan.policy, abandoned.load(Ordering::Relaxed))?;
            if let Some(due) = due {
                // What the disk does not take is kept until it does.
                let _ = worker.on_file(due).await;
            }
            Answered::Whole { gated, trail, account, parts }
        }
    })
}

/// Returns how long the request may take in all.
fn total(gated: &Gated, plan: &routing::plan::Plan) -> Duration {
    let configuration = &gated.configuration;
    let targets = plan.attempts.iter().filter_map(|planned| configuration.target(planned.model));
    let longest = targets.map(|target| target.timeouts.total).max().unwrap_or(FLEX_TOTAL);
    let usual = if gated.request.service_tier() == Some("flex") { longest.max(FLEX_TOTAL) } else { longest };
    gated.call.timeout.unwrap_or(usual)
}

/// What the attempt that succeeded yields.
struct Answer {
    model: ModelIndex,
    dropped: Vec<String>,
    headers: Vec<(HeaderName, HeaderValue)>,
    success: Success,
}

async fn attempts(run: &Run<'_>, gated: &mut Gated, plan: &routing::plan::Plan) -> Result<Answer, Failure> {
    let configuration = &Arc::clone(&gated.configuration);
    let (mut at, mut retries) = (0, 0);
    let (mut said, mut unsaid, mut denied) = (None, None, None);
    // A target that was asked beside another one, and has failed.
    let mut done = None;
    loop {
        let Some(planned) = plan.attempts.get(at) else { return Err(nobody(said, unsaid, denied)) };
        if done == Some(at) {
            at += 1;
            continue;
        }
        let now = || run.worker.gateway.clock.now();
        let held = || watch::held(configuration, &gated.key.compiled, plan, at, now());
        if let (0, Some(next)) = (retries, plan.attempts.get(at + 1))
            && let Some(why) = held()
        {
            log::failover(configuration, gated, planned.model, next.model, &why, at);
            at += 1;
            continue;
        }
        if let Err(denial) = enter(configuration, gated, planned.model) {
            // To fail at a target may not lead on to the next; to be refused by the target's own limit does.
            if let Some(failure) = unsaid.filter(|_| retries > 0) {
                return Err(told(&failure, said.as_ref()));
            }
            log::skipped(configuration, gated, planned.model, &denial);
            (at, unsaid, denied) = (at + 1, None, Some(sooner(denied, denial)));
            continue;
        }
        let tried = match hedge::worth(run, configuration, gated, plan, at) {
            // In a place of its own: it is by far the largest of the futures here, and those around it are moved.
            None => Box::pin(attempt(run, configuration, gated, plan, *planned)).await,
            Some(hedge) => {
                let mut both = false;
                let hedged = hedge::attempt(run, configuration, gated, plan, (at, hedge), &mut both);
                let tried = Box::pin(hedged).await;
                done = both.then_some(hedge.second);
                tried
            }
        };
        let failure = match tried {
            Ok(answer) => return Ok(answer),
            Err(failure) => failure,
        };
        gated.ticket.leave();
        if run.abandoned.load(Ordering::Relaxed) || passed(run.deadline) {
            return Err(told(&failure, said.as_ref()));
        }
        if brought::gives_way(configuration, gated, planned, &failure) {
            log::failover(configuration, gated, planned.model, planned.model, &failure, at);
            continue;
        }
        let behind = plan.attempts.iter().enumerate().skip(at + 1).find(|(place, _)| done != Some(*place));
        let next = behind.map(|(_, next)| next).filter(|_| leads_on(failure.class, &plan.on));
        if let Some(next) = next {
            log::failover(configuration, gated, planned.model, next.model, &failure, at);
            (at, retries) = (at + 1, 0);
            let place = if failure.class == Class::Unsupported { &mut unsaid } else { &mut said };
            *place = Some(failure);
            continue;
        }
        let budget = gated.target(planned.model).is_some_and(|target| may_retry(run, target, &failure, retries));
        if !budget {
            log::exhausted(configuration, gated, planned.model, &failure);
            return Err(told(&failure, said.as_ref()));
        }
        let pause = Backoff::default().delay(retries, &mut fastrand::Rng::new());
        sleep(pause.max(failure.retry_after.unwrap_or_default())).await;
        (retries, unsaid) = (retries + 1, Some(failure));
    }
}

/// Returns what the caller is told: of the last target that was asked, if any was. That another one cannot be told the
/// request is no answer to it.
fn told(last: &AttemptFailure, said: Option<&AttemptFailure>) -> Failure {
    client_failure(said.filter(|_| last.class == Class::Unsupported).unwrap_or(last))
}

/// Takes what the limits of a target want.
fn enter(configuration: &Configuration, gated: &mut Gated, index: ModelIndex) -> Result<(), Denial> {
    let Some(model) = configuration.snapshot.model(index) else { return Ok(()) };
    let provider = configuration.snapshot.provider(model.provider).map_or("", |provider| &*provider.name);
    let entered = gated.ticket.enter(&gated.demand, model, provider);
    if entered.is_ok() || !gated.demand.is_open() || gated.demand.is_stepwise() {
        return entered;
    }
    // As in `reserve`: an answer that nobody has bounded is bounded by what the target's limits cover.
    let limits = gated.ticket.limits().map(|bindings| bindings.at(model, provider)).unwrap_or_default();
    let Some(cap) = gated.ticket.affordable(&gated.demand, &[model], &limits) else { return entered };
    let capped = gated.ticket.enter(&gated.demand.capped(cap), model, provider);
    if capped.is_ok() {
        gated.cap_at(cap);
    }
    capped
}

/// Returns the denial that ends sooner: any target will do.
fn sooner(one: Option<Denial>, other: Denial) -> Denial {
    let wait = |denial: &Denial| denial.retry_ms.unwrap_or(u64::MAX);
    one.filter(|one| wait(one) <= wait(&other)).unwrap_or(other)
}

/// Returns what the caller is told when no target is left to ask.
fn nobody(said: Option<AttemptFailure>, unsaid: Option<AttemptFailure>, denied: Option<Denial>) -> Failure {
    match (said, denied, unsaid) {
        (Some(failure), _, _) | (None, None, Some(failure)) => client_failure(&failure),
        (None, Some(denial), _) => limits::failure(&denial),
        (None, None, None) => internal(),
    }
}

fn may_retry(run: &Run<'_>, target: &Target, failure: &AttemptFailure, retries: u32) -> bool {
    let now = run.worker.gateway.clock.now().0;
    // Who asks to be left alone for longer than a caller cares to wait is left alone.
    let wait = failure.retry_after.unwrap_or_default();
    if wait > MAX_WAIT || passed(run.deadline - wait) {
        return false;
    }
    // One credential was refused: there is another one.
    let credential = matches!(failure.class, Class::Auth | Class::Payment);
    let other = credential && target.has_another_credential(now);
    retries < MAX_RETRIES && (other || failure.class.is_retryable()) && target.retries.try_retry(now)
}

fn internal() -> Failure {
    Failure::new(Code::InternalError, Fault::Gateway, "the request could not be planned")
}

/// Returns what the meta block says of the way to a model.
pub(crate) fn route<'a>(
    configuration: &'a Configuration,
    request_id: RequestId,
    model: ModelIndex,
    policy: Option<&'a str>,
) -> Route<'a> {
    let found = configuration.snapshot.model(model);
    let provider = found.and_then(|model| configuration.snapshot.provider(model.provider));
    Route {
        request_id,
        routed_to: found.map_or("", |model| &*model.slug),
        provider: provider.map_or("", |provider| &*provider.name),
        policy,
        baseline: configuration.baseline.as_ref().map(|(slug, _)| &**slug),
    }
}
