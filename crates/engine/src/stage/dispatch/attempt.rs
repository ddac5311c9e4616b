//! One try of one target: what it needs, the asking, and what is written down of it.

use std::sync::Arc;

use dialect::lane::Surface;
use dialect::lane::asked::Asked;
use dialect::meta::Route;
use ir::settlement::{AttemptRecord, LEFT};
use net::deadline::passed;
use net::h1::ResponseHead;
use policy::clock::Monotonic;
use policy::guard::reply::ReplyWatch;
use policy::snapshot::{Model, Provider};
use routing::plan::{Plan, Planned};
use routing::signal::Signals;
use upstream::failure::{AttemptFailure, Class};
use upstream::target::Target;

use super::super::decode::Call;
use super::super::gate::Gated;
use super::letter::Letter;
use super::watch::{self, Watched};
use super::{Answer, Run, Success, brought, buffered, inline, rate_limits, route, streamed};
use crate::state::Configuration;
use crate::ticket::Ticket;

/// A target that is about to be asked.
pub(super) struct Aim<'a> {
    pub planned: Planned,
    pub model: &'a Model,
    pub provider: &'a Provider,
    pub target: &'a Target,
    pub signals: &'a Arc<Signals>,
    reason: Arc<str>,
    /// Whether it is asked with a credential of the caller's own.
    own: bool,
    started: Monotonic,
}

impl<'a> Aim<'a> {
    /// Returns what is known of a target; `own` is the caller's credential that it is asked with.
    ///
    /// # Errors
    /// When it is not configured any more.
    pub fn of(
        configuration: &'a Configuration,
        (plan, planned): (&Plan, &Planned),
        own: Option<usize>,
        started: Monotonic,
    ) -> Result<Self, AttemptFailure> {
        let found = || {
            let model = configuration.snapshot.model(planned.model)?;
            Some(Self {
                planned: *planned,
                model,
                provider: configuration.snapshot.provider(model.provider)?,
                target: configuration.asked(planned.model, own)?,
                signals: configuration.signals(planned.model)?,
                reason: brought::reason(plan, planned, own.is_some()).into(),
                own: own.is_some(),
                started,
            })
        };
        found().ok_or_else(|| AttemptFailure::new(Class::Server, "the target is gone"))
    }

    /// Adds to the reason why it is asked.
    pub fn because(mut self, more: &str) -> Self {
        self.reason = format!("{}, {more}", self.reason).into();
        self
    }

    /// Returns what is written down of the try.
    pub fn record(&self, status: Option<u16>, error: Option<String>, ended: Monotonic) -> AttemptRecord {
        AttemptRecord {
            provider: Arc::clone(&self.provider.name),
            model: Arc::clone(&self.model.slug),
            reason: Arc::clone(&self.reason),
            status,
            error,
            duration_us: ended.micros_since(self.started),
        }
    }

    /// The same, of one that ended.
    pub fn record_of<T>(&self, tried: &Result<T, AttemptFailure>, ended: Monotonic) -> AttemptRecord {
        let (status, error) = match tried {
            Ok(_) => (Some(200), None),
            Err(failure) => (failure.status, Some(failure.to_string())),
        };
        self.record(status, error, ended)
    }
}

/// What an attempt knows of its request while it is in flight.
pub(super) struct Errand<'a> {
    pub call: &'a Call,
    pub configuration: &'a Configuration,
    pub surface: Surface,
    pub stream: bool,
    pub wants_usage: bool,
    policy: Option<&'a str>,
    /// Who watches what the answer says.
    pub watch: Option<ReplyWatch>,
}

impl<'a> Errand<'a> {
    /// Returns the errand of a request.
    pub fn of(
        configuration: &'a Configuration,
        (call, request): (&'a Call, &Asked),
        plan: &'a Plan,
        watch: Option<ReplyWatch>,
    ) -> Self {
        Self {
            call,
            configuration,
            surface: request.surface(),
            stream: request.stream(),
            wants_usage: request.wants_usage(),
            policy: plan.policy,
            watch,
        }
    }

    /// Returns the key of the meta block.
    pub fn meta_key(&self) -> &'a str {
        &self.configuration.snapshot.environment.meta_key
    }

    fn route(&self, aim: &Aim<'_>) -> Route<'a> {
        route(self.configuration, self.call.id, aim.planned.model, self.policy)
    }
}

/// What a target answered.
pub(super) struct Heard {
    head: ResponseHead,
    dropped: Vec<String>,
    pub success: Success,
    /// When the answer, or its first content, began to arrive.
    first: Monotonic,
}

/// How a try ended, and when.
pub(super) type Ended = (Result<Heard, AttemptFailure>, Monotonic);

/// Makes one try and notes it.
pub(super) async fn attempt(
    run: &Run<'_>,
    configuration: &Configuration,
    gated: &mut Gated,
    plan: &Plan,
    planned: Planned,
) -> Result<Answer, AttemptFailure> {
    let own = brought::bring(configuration, gated, &planned);
    let clock = &run.worker.gateway.clock;
    let aim = Aim::of(configuration, (plan, &planned), own, clock.now())?;
    let ended = match write(run, gated, &aim).await {
        // Only now it is asked: what it cannot be told costs nothing.
        Ok(letter) => {
            asking(gated, &aim);
            let watch = gated.watch(&run.worker.gateway);
            let errand = Errand::of(configuration, (&gated.call, &gated.request), plan, watch);
            go(run, errand, &aim, letter).await
        }
        Err(failure) => (Err(failure), clock.now()),
    };
    conclude(run, gated, &aim, ended)
}

/// Writes the request for a target.
pub(super) async fn write<'a>(run: &Run<'_>, gated: &mut Gated, aim: &Aim<'a>) -> Result<Letter<'a>, AttemptFailure> {
    inline::inline(run, &mut gated.request, aim.target).await?;
    let environment = &gated.key.compiled.environment;
    Letter::write(&run.worker.gateway, (&mut gated.request, &gated.call, environment), aim.target, aim.model)
}

/// Notes that a target is asked now.
pub(super) fn asking(gated: &mut Gated, aim: &Aim<'_>) {
    gated.ticket.asking(&gated.demand, aim.model, &aim.provider.name);
}

/// Asks a target, and tells its live state how that ended.
pub(super) async fn go(run: &Run<'_>, errand: Errand<'_>, aim: &Aim<'_>, letter: Letter<'_>) -> Ended {
    let clock = &run.worker.gateway.clock;
    let asked = clock.now();
    aim.target.retries.record_request(asked.0);
    let watched = Watched::begin(aim.signals, (errand.stream, aim.own), clock, asked);
    let tried = ask(run, errand, aim, letter).await;
    let ended = clock.now();
    match &tried {
        Ok(_) => watched.answered(ended),
        // That the caller would not wait longer says no more than that it took so long.
        Err(failure) if failure.class == Class::Timeout && passed(run.deadline) => drop(watched),
        Err(failure) => watched.failed(ended, failure, aim.target),
    }
    (tried, ended)
}

/// Sends the request, and reads the answer as far as it must be there.
async fn ask(run: &Run<'_>, errand: Errand<'_>, aim: &Aim<'_>, letter: Letter<'_>) -> Result<Heard, AttemptFailure> {
    let (head, success, first) = if errand.stream {
        let route = errand.route(aim);
        let (head, begun) = streamed::ask(run, errand, aim.target, &letter, route).await?;
        (head, Success::Begun(Box::new(begun)), run.worker.gateway.clock.now())
    } else {
        let (head, whole, first) = buffered::ask(run, errand, aim.target, &letter).await?;
        (head, Success::Whole(Box::new(whole)), first)
    };
    Ok(Heard { head, dropped: letter.dropped, success, first })
}

/// Writes down how the only try in flight ended.
pub(super) fn conclude(
    run: &Run<'_>,
    gated: &mut Gated,
    aim: &Aim<'_>,
    (tried, ended): Ended,
) -> Result<Answer, AttemptFailure> {
    note(run, (&gated.call, &mut gated.ticket), aim, (&tried, ended));
    tried.map(|heard| accept(gated, aim, heard, ended))
}

/// Writes down how the last try in flight ended. Whoever would not wait longer has left: what was asked until then is paid
/// for, or else a short deadline would be a way to have providers work for nothing.
pub(super) fn note<T>(
    run: &Run<'_>,
    (call, ticket): (&Call, &mut Ticket),
    aim: &Aim<'_>,
    (tried, ended): (&Result<T, AttemptFailure>, Monotonic),
) {
    match tried {
        Err(failure) if failure.class == Class::Timeout && call.timeout.is_some() && passed(run.deadline) => {
            ticket.left(aim.record(failure.status, Some(format!("{LEFT}: {failure}")), ended));
        }
        _ => ticket.tried(aim.record_of(tried, ended)),
    }
}

/// Makes the answer of what a target said.
pub(super) fn accept(gated: &mut Gated, aim: &Aim<'_>, heard: Heard, ended: Monotonic) -> Answer {
    let Heard { head, dropped, mut success, first } = heard;
    gated.ticket.first_content(first);
    if let Success::Begun(begun) = &mut success {
        (begun.asked, begun.heard) = (aim.started, ended);
        // From here on the request's bytes are not needed any more.
        gated.request.forget_body();
    }
    if !aim.own {
        watch::note_limits(aim.signals, &head, ended);
    }
    let headers = rate_limits::passed(&head, gated.request.surface().dialect());
    Answer { model: aim.planned.model, dropped, headers, success }
}
