//! A second target, asked because the first is late: the first content wins, and the other request is cut off at once.
//!
//! Both are one request with one settlement. What the second may use is held before it is asked; where a limit, or the
//! share of tokens that second requests may have, does not allow it, the first is waited for as ever.

use std::future::{Future, poll_fn};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;
use std::time::Duration;

use dialect::lane::asked::Asked;
use ir::chat::needs::acts;
use net::deadline::after;
use policy::clock::Monotonic;
use routing::plan::{Plan, Planned};
use routing::signal::{Kind, Reading};
use settle::journal::batch::Due;
use tokio::time::timeout_at;
use upstream::failure::{AttemptFailure, Class};

use super::super::decode::Call;
use super::super::gate::Gated;
use super::attempt::{Aim, Ended, Errand, Heard, accept, asking, conclude, go, note, write};
use super::letter::Letter;
use super::{Answer, Run, Success, inline};
use crate::limits::{self, Demand};
use crate::state::Configuration;
use crate::ticket::Ticket;

/// What is written down of a request that was cut off because another one was faster. No failure begins like that.
const SUPERSEDED: &str = "superseded: another target answered first";

/// A second request that may be worth its tokens.
#[derive(Clone, Copy)]
pub(super) struct Hedge {
    /// How long the first is waited for.
    wait: Duration,
    /// The place of the second in the plan.
    pub second: usize,
}

/// Returns when a second target is to be asked beside that at a place of the plan; `None` where the policy, the request
/// or the state of the others are against it.
pub(super) fn worth(
    run: &Run<'_>,
    configuration: &Configuration,
    gated: &Gated,
    plan: &Plan,
    at: usize,
) -> Option<Hedge> {
    let hedging = &configuration.snapshot.environment.hedging;
    if !plan.policy.is_some_and(|policy| hedging.allows(policy)) || gated.ticket.attempts() > 0 {
        return None;
    }
    // Who asks to be asked once is, and who asks to be served late does not mind.
    if gated.call.once.is_some() || gated.request.service_tier() == Some("flex") {
        return None;
    }
    let now = run.worker.gateway.clock.now();
    let kind = if gated.request.stream() { Kind::Stream } else { Kind::Whole };
    let read = |planned: &Planned| {
        configuration.known(planned.model).map_or_else(|| Reading::unknown(kind), |signals| signals.read(kind, now))
    };
    let platforms = |planned: &Planned| configuration.credential(&gated.key.compiled, planned, &[]).is_none();
    let first = plan.attempts.get(at).filter(|first| platforms(first))?;
    let priced = |planned: &Planned| configuration.snapshot.model(planned.model).is_some_and(limits::is_priced);
    let ready = |planned: &Planned| {
        let held = configuration.known(planned.model).and_then(|signals| signals.held(now));
        // Where one has a price and the other has none, nobody could say what both cost.
        held.is_none() && platforms(planned) && priced(planned) == priced(first) && read(planned).wait_s <= 0.0
    };
    let (second, found) = plan.attempts.iter().enumerate().skip(at + 1).find(|(_, planned)| ready(planned))?;
    configuration.hedges.earn(now, gated.demand.likely_input());
    let wait = routing::hedge::after(&read(first), &read(found));
    Some(Hedge { wait: Duration::try_from_secs_f64(wait).ok()?, second })
}

/// Which of two tries ended first, and how.
enum Turn {
    First(Ended),
    Second(Ended),
}

/// Makes one try, and a second one if the first is late. `both` is set when both have failed; what is returned then is the
/// failure of the first.
pub(super) async fn attempt(
    run: &Run<'_>,
    configuration: &Configuration,
    gated: &mut Gated,
    plan: &Plan,
    (at, hedge): (usize, Hedge),
    both: &mut bool,
) -> Result<Answer, AttemptFailure> {
    let gateway = &run.worker.gateway;
    let clock = &gateway.clock;
    let gone = || AttemptFailure::new(Class::Server, "the target is gone");
    let (planned, second) = plan.attempts.get(at).zip(plan.attempts.get(hedge.second)).ok_or_else(gone)?;
    gated.brought.used = None;
    gated.ticket.bring(false);
    let aim = Aim::of(configuration, (plan, planned), None, clock.now())?;
    let letter = match write(run, gated, &aim).await {
        Ok(letter) => letter,
        Err(failure) => return conclude(run, gated, &aim, (Err(failure), clock.now())),
    };
    asking(gated, &aim);
    let (watch, other_watch) = (gated.watch(gateway), gated.watch(gateway));
    // While the first is in flight the request is written once more: each borrows what it needs.
    let Gated { call, request, key, ticket, demand, .. } = &mut *gated;
    let call = &*call;
    let errand = Errand::of(configuration, (call, request), plan, watch);
    let mut first = Box::pin(go(run, errand, &aim, letter));
    if let Ok(ended) = timeout_at(after(hedge.wait), &mut first).await {
        drop(first);
        return conclude(run, gated, &aim, ended).inspect(|answer| earn(configuration, answer, clock.now()));
    }
    let Some((other, due)) = begin(run, configuration, (plan, second), (request, ticket, demand)) else {
        let ended = first.await;
        return conclude(run, gated, &aim, ended).inspect(|answer| earn(configuration, answer, clock.now()));
    };
    let sent = AtomicBool::new(false);
    let errand = Errand::of(configuration, (call, request), plan, other_watch);
    let environment = &key.compiled.environment;
    let mut late = Box::pin(follow(run, errand, (&other, due), (request, call, environment), &sent));
    let turn = poll_fn(|context| match first.as_mut().poll(context) {
        Poll::Ready(ended) => Poll::Ready(Turn::First(ended)),
        Poll::Pending => late.as_mut().poll(context).map(Turn::Second),
    });
    let turn = turn.await;
    let is_sent = || sent.load(Ordering::Relaxed);
    let back = |now| configuration.hedges.give_back(now, demand.likely_input());
    let (aim, (tried, ended)) = match turn {
        Turn::First((Ok(heard), ended)) => {
            drop((first, late));
            first_won(ticket, configuration, (&aim, &other), is_sent(), (&heard, ended));
            (aim, (Ok(heard), ended))
        }
        Turn::First((Err(failure), ended)) => {
            // The second is all there is from here on, whoever ends the request.
            ticket.second_instead(aim.record_of(&Err::<(), _>(failure.clone()), ended), None);
            back(ended);
            let (tried, ended) = late.await;
            drop(first);
            note(run, (call, ticket), &other, (&tried, ended));
            *both = tried.is_err();
            (other, (tried.map_err(|_| failure), ended))
        }
        Turn::Second((Ok(heard), ended)) => {
            drop((first, late));
            second_won(ticket, configuration, (&aim, &other), (&heard, ended));
            gateway.metrics.hedge_won();
            (other, (Ok(heard), ended))
        }
        Turn::Second((Err(failure), ended)) => {
            let tried = Err::<(), _>(failure);
            ticket.second_failed(is_sent().then(|| other.record_of(&tried, ended)));
            back(ended);
            let (tried, ended) = first.await;
            drop(late);
            note(run, (call, ticket), &aim, (&tried, ended));
            *both = tried.is_err();
            (aim, (tried, ended))
        }
    };
    tried.map(|heard| accept(gated, &aim, heard, ended)).inspect(|answer| earn(configuration, answer, ended))
}

/// Writes the request once more and asks the second target, once the journal knows of it. `sent` is set as soon as that has
/// happened.
async fn follow(
    run: &Run<'_>,
    errand: Errand<'_>,
    (other, due): (&Aim<'_>, Due),
    (request, call, environment): (&mut Asked, &Call, &Arc<str>),
    sent: &AtomicBool,
) -> Ended {
    let written = match inline::inline(run, request, other.target).await {
        Ok(()) => Letter::write(&run.worker.gateway, (request, call, environment), other.target, other.model),
        Err(failure) => Err(failure),
    };
    let on_file = run.worker.on_file(due).await;
    match written.and_then(|letter| on_file.map(|()| letter).map_err(|_| unwritten())) {
        Ok(letter) => {
            sent.store(true, Ordering::Relaxed);
            go(run, errand, other, letter).await
        }
        Err(failure) => (Err(failure), run.worker.gateway.clock.now()),
    }
}

/// Writes down that the first was faster after all.
fn first_won(
    ticket: &mut Ticket,
    configuration: &Configuration,
    (aim, other): (&Aim<'_>, &Aim<'_>),
    is_sent: bool,
    (heard, ended): (&Heard, Monotonic),
) {
    let output = heard.success.output_tokens();
    ticket.tried(aim.record(Some(200), None, ended));
    match is_sent {
        true => ticket.second_lost(other.record(None, Some(SUPERSEDED.to_owned()), ended), output),
        false => ticket.second_failed(None),
    }
    configuration.hedges.spend(ended, output);
}

/// Writes down that the second was faster.
fn second_won(
    ticket: &mut Ticket,
    configuration: &Configuration,
    (aim, other): (&Aim<'_>, &Aim<'_>),
    (heard, ended): (&Heard, Monotonic),
) {
    let output = heard.success.output_tokens();
    ticket.second_instead(aim.record(None, Some(SUPERSEDED.to_owned()), ended), Some(output));
    ticket.tried(other.record(Some(200), None, ended));
    configuration.hedges.spend(ended, output);
}

/// Takes what a second request may use. `None` where it is not to be made: it may do something twice, its caller has
/// left, or a limit does not allow it.
fn begin<'a>(
    run: &Run<'_>,
    configuration: &'a Configuration,
    (plan, second): (&Plan, &Planned),
    (request, ticket, demand): (&mut Asked, &mut Ticket, &Demand),
) -> Option<(Aim<'a>, Due)> {
    if run.abandoned.load(Ordering::Relaxed) || request.canonical().map_or(true, |request| acts(request)) {
        return None;
    }
    let now = run.worker.gateway.clock.now();
    let aim = Aim::of(configuration, (plan, second), None, now).ok()?.because("hedge");
    let (tokens, per_mille) = (demand.likely_input(), configuration.snapshot.environment.hedging.per_mille);
    if !configuration.hedges.take(now, tokens, per_mille) {
        return None;
    }
    if ticket.second(demand, aim.model, &aim.provider.name).is_err() {
        configuration.hedges.give_back(now, tokens);
        return None;
    }
    let Ok(Some(due)) = ticket.intend_second() else {
        ticket.second_failed(None);
        configuration.hedges.give_back(now, tokens);
        return None;
    };
    run.worker.gateway.metrics.hedged();
    Some((aim, due))
}

fn unwritten() -> AttemptFailure {
    AttemptFailure::new(Class::Server, "the journal cannot be written")
}

/// Counts the output that is known by now among what second requests may have a share of.
fn earn(configuration: &Configuration, answer: &Answer, now: Monotonic) {
    configuration.hedges.earn(now, answer.success.output_tokens());
}

impl Success {
    /// Returns the output tokens of an answer that is whole; 0 for one that begins.
    fn output_tokens(&self) -> u64 {
        match self {
            Self::Whole(whole) => whole.output_tokens(),
            Self::Begun(_) => 0,
        }
    }
}
