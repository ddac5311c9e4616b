//! A stream on its way to the caller: the caller's own task reads the provider, so that a slow reader slows the
//! provider down, and a reader that leaves drops this and with it the connection.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use dialect::lane::stream::ReplyStream;
use dialect::meta;
use dialect::passed::{Passed, Progress};
use ir::failure::{Code, Failure, Fault};
use ir::guard::Subject;
use ir::report::Report;
use ir::settlement::Outcome;
use ir::usage::estimate_tokens;
use net::deadline::after;
use net::h1::Connection;
use policy::clock::Monotonic;
use policy::snapshot::{ModelIndex, Timeouts};
use tokio::time::{Instant, Sleep, sleep_until, timeout};
use tokio_util::sync::WaitForCancellationFutureOwned;
use upstream::classify::in_band;
use upstream::failure::Class;

use super::JOIN_BELOW;
use crate::limits;
use crate::stage::authenticate::revoked;
use crate::stage::dispatch::{Begun, route};
use crate::stage::gate::Gated;
use crate::stage::guard;
use crate::ticket::{CLIENT_CLOSED_REQUEST, Ending};
use crate::worker::Worker;

/// A comment is sent when nothing else was for so long, so that proxies on the way keep the connection.
const HEARTBEAT: Duration = Duration::from_secs(15);

/// How long usage may take to follow the finish event.
const USAGE_GRACE: Duration = Duration::from_secs(10);

/// How long a provider may take to end its body after the end marker, for the connection to be kept.
const LINGER: Duration = Duration::from_secs(1);

/// A stream on its way to the caller.
pub struct StreamBody {
    worker: Arc<Worker>,
    gated: Gated,
    model: ModelIndex,
    policy: Option<Box<str>>,
    stream: ReplyStream,
    connection: Option<Connection>,
    out: VecDeque<Bytes>,
    over: bool,
    outcome: Option<Outcome>,
    revoked: Pin<Box<WaitForCancellationFutureOwned>>,
    timer: Option<Pin<Box<Sleep>>>,
    timeouts: Timeouts,
    deadline: Instant,
    last_sent: Instant,
    last_data: Instant,
    data_events: u64,
    choices: u64,
    /// How much content there was when the answer seemed complete.
    whole_at: Option<u64>,
    /// When the target was asked, and when its first content was there.
    began: (Monotonic, Monotonic),
}

impl StreamBody {
    /// Takes over a stream whose first content is there. `deadline` is the end of the whole request.
    pub fn new(worker: Arc<Worker>, gated: Gated, model: ModelIndex, begun: Begun, deadline: Instant) -> Self {
        let now = after(Duration::ZERO);
        let timeouts = gated.target(model).map(|target| target.timeouts).unwrap_or_default();
        let data_events = begun.stream.passed().data_events;
        let mut body = Self {
            revoked: Box::pin(gated.key.revoked.clone().cancelled_owned()),
            worker,
            model,
            policy: begun.policy,
            stream: begun.stream,
            connection: Some(begun.connection),
            out: begun.out.into(),
            over: false,
            outcome: None,
            timer: None,
            timeouts,
            deadline,
            last_sent: now,
            last_data: now,
            data_events,
            choices: gated.request.choices().max(1),
            whole_at: None,
            began: (begun.asked, begun.heard),
            gated,
        };
        body.go_on(begun.progress);
        body.cover();
        body
    }

    /// Returns how it ended; `None` while it goes on.
    pub fn outcome(&self) -> Option<Outcome> {
        self.outcome
    }

    /// Whether nothing will come any more.
    pub fn is_over(&self) -> bool {
        self.over && self.out.is_empty()
    }

    /// Returns the next bytes for the caller, whole events only.
    pub fn poll(&mut self, context: &mut Context<'_>) -> Poll<Option<Bytes>> {
        loop {
            if !self.out.is_empty() {
                return Poll::Ready(Some(self.next_bytes()));
            }
            if self.over {
                return Poll::Ready(None);
            }
            if self.revoked.as_mut().poll(context).is_ready() {
                self.fail(Outcome::Revoked, revoked());
                continue;
            }
            match self.connection.as_mut().map(|connection| connection.poll_data(context)) {
                Some(Poll::Ready(Some(Ok(bytes)))) => self.take(bytes),
                // A connection that breaks after a whole answer takes nothing of it away.
                Some(Poll::Ready(Some(Err(_)))) if self.stream.is_finishing() => self.end(),
                Some(Poll::Ready(Some(Err(error)))) => self.broken(&error.to_string()),
                Some(Poll::Ready(None)) | None => self.end(),
                Some(Poll::Pending) => {
                    if self.wait(context).is_pending() {
                        return Poll::Pending;
                    }
                }
            }
        }
    }

    fn next_bytes(&mut self) -> Bytes {
        self.last_sent = after(Duration::ZERO);
        let total: usize = self.out.iter().map(Bytes::len).sum();
        if self.out.len() > 1 && total <= JOIN_BELOW {
            let mut joined = BytesMut::with_capacity(total);
            for part in self.out.drain(..) {
                joined.extend_from_slice(&part);
            }
            return joined.freeze();
        }
        self.out.pop_front().unwrap_or_default()
    }

    /// Runs bytes of the provider through the machine.
    fn take(&mut self, bytes: Bytes) {
        let mut out = Vec::from(std::mem::take(&mut self.out));
        let progress = self.stream.push(bytes, &mut out);
        self.out = out.into();
        let events = self.stream.passed().data_events;
        let now = after(Duration::ZERO);
        if events != self.data_events {
            (self.data_events, self.last_data) = (events, now);
        }
        self.go_on(progress);
        self.cover();
        // A provider that never pauses must not outrun the timer, which is only looked at in a pause.
        if !self.over && now >= self.deadline {
            self.fail(Outcome::Failed, timed_out("the request took longer than it may"));
        }
    }

    /// Sees to it that what has come is paid for: what the limits do not cover ends the answer, as one that has become
    /// too long. What came with the same bytes goes to the caller still.
    fn cover(&mut self) {
        if self.over {
            return;
        }
        let passed = self.stream.passed();
        let (bytes, reported) = (passed.content_bytes, passed.usage.map(|usage| usage.output_tokens()));
        // What is complete is not cut; what goes on after its finish reason all the same is.
        if self.stream.is_finishing() && *self.whole_at.get_or_insert(bytes) == bytes {
            return;
        }
        let Err(denial) = self.gated.ticket.cover(bytes, reported) else { return };
        self.connection = None;
        let tokens = reported.unwrap_or_else(|| estimate_tokens(bytes));
        let mut out = Vec::from(std::mem::take(&mut self.out));
        let progress = self.stream.cut(self.choices, tokens, &mut out);
        self.out = out.into();
        match progress {
            Progress::Complete => self.complete(Some(limits::failure(&denial))),
            progress => self.go_on(progress),
        }
    }

    /// Takes note of the provider's end.
    fn end(&mut self) {
        let mut out = Vec::from(std::mem::take(&mut self.out));
        let progress = self.stream.end(&mut out);
        self.out = out.into();
        match progress {
            Progress::More => self.broken("the stream ended before the answer did"),
            progress => self.go_on(progress),
        }
    }

    fn go_on(&mut self, progress: Progress) {
        match progress {
            Progress::More => {}
            Progress::Complete => self.complete(None),
            Progress::Failed(report) if report == Report::default() => {
                self.broken("the stream ended before the answer did");
            }
            Progress::Failed(report) => {
                self.note_break();
                let target = self.gated.target(self.model);
                let failure = target.map(|target| in_band(target, report));
                let overloaded = failure.as_ref().is_some_and(|failure| failure.class == Class::Overloaded);
                let said = failure.and_then(|failure| failure.report.message).unwrap_or_default();
                self.fail(Outcome::Failed, Failure { overloaded, ..aborted(&said, "error event") });
            }
            Progress::Malformed(detail) => self.broken(&detail),
            Progress::TooLarge => self.broken("an event is too large"),
            Progress::Blocked(blocked) => {
                guard::count(&self.worker.gateway, &self.gated, &blocked, Subject::Reply);
                self.fail(Outcome::Refused, blocked.failure(Subject::Reply));
            }
        }
    }

    /// Waits for the provider, as long as it may take.
    fn wait(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let idle = if self.stream.is_finishing() { USAGE_GRACE.min(self.timeouts.idle) } else { self.timeouts.idle };
        let silent = self.last_data + idle;
        let beat = self.last_sent + HEARTBEAT;
        let next = silent.min(beat).min(self.deadline);
        let timer = self.timer.get_or_insert_with(|| Box::pin(sleep_until(next)));
        // The timer is set once and looked at when it fires: most streams go on long before.
        if timer.deadline() > next {
            timer.as_mut().reset(next);
        }
        if timer.as_mut().poll(context).is_pending() {
            return Poll::Pending;
        }
        let now = timer.deadline();
        if now >= self.deadline {
            self.fail(Outcome::Failed, timed_out("the request took longer than it may"));
        } else if now >= silent && self.stream.is_finishing() {
            let mut out = Vec::from(std::mem::take(&mut self.out));
            self.stream.conclude(&mut out);
            self.out = out.into();
            self.complete(None);
        } else if now >= silent {
            self.note_break();
            self.fail(Outcome::Failed, timed_out("the provider stopped sending"));
        } else {
            if now >= beat {
                self.out.push_back(Bytes::from_static(b": ping\n\n"));
                self.last_sent = now;
            }
            let next = silent.min(self.last_sent + HEARTBEAT).min(self.deadline);
            if let Some(timer) = &mut self.timer {
                timer.as_mut().reset(next);
            }
        }
        Poll::Ready(())
    }

    /// The answer is whole, or as much of it as may be: it is settled, then its end is released.
    fn complete(&mut self, cut: Option<Failure>) {
        if let Some(proofs) = self.stream.proofs() {
            let gateway = &self.worker.gateway;
            gateway.proofs.keep(&self.gated.key.compiled.environment, proofs, gateway.clock.now());
        }
        if cut.is_none() {
            self.note_speed();
        }
        let error = cut.map(|failure| (failure.code, failure.detail));
        let ending = Ending { error, ..ending(self.stream.passed(), 200, true) };
        let account = self.gated.ticket.settle(Outcome::Succeeded, ending);
        let configuration = &self.gated.configuration;
        let route = route(configuration, self.gated.call.id, self.model, self.policy.as_deref());
        let mut block = Vec::with_capacity(384);
        meta::render(&mut block, &configuration.snapshot.environment.meta_key, &route, Some(&account));
        let mut out = Vec::from(std::mem::take(&mut self.out));
        self.stream.release(&block, &mut out);
        self.out = out.into();
        self.over = true;
        self.outcome = Some(Outcome::Succeeded);
        self.part();
    }

    /// Tells the target's live state how the answer went on. A slow reader makes a provider look slow: each of them has
    /// its share of those.
    fn note_speed(&self) {
        let Some(signals) = self.gated.configuration.known(self.model) else { return };
        let ((asked, heard), now) = (self.began, self.worker.gateway.clock.now());
        let tokens = self.stream.passed().usage.map_or(0, |usage| usage.output_tokens());
        signals.streamed(now, now.since(asked), tokens, now.since(heard));
    }

    /// Keeps the connection if the provider ends its body now or soon.
    fn part(&mut self) {
        let Some(mut connection) = self.connection.take() else { return };
        let (worker, model) = (Arc::clone(&self.worker), self.model);
        let configuration = Arc::clone(&self.gated.configuration);
        let keep = move |connection: Connection| {
            if let Some(target) = configuration.target(model).filter(|_| connection.is_reusable()) {
                worker.pool.put_back(&target.origin, connection, worker.gateway.clock.now().0);
            }
        };
        if connection.body_ended() {
            return keep(connection);
        }
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            let linger = async move {
                // Whatever follows the end marker is not looked at; one more read ends the body or it is given up.
                if let Ok(None) = timeout(LINGER, connection.data()).await {
                    keep(connection);
                }
            };
            self.worker.gateway.tasks.spawn_on(linger, &runtime);
        }
    }

    /// Tells the target's live state that the answer broke off.
    fn note_break(&self) {
        if let Some(signals) = self.gated.configuration.known(self.model) {
            signals.broke_off(self.worker.gateway.clock.now());
        }
    }

    fn broken(&mut self, detail: &str) {
        self.note_break();
        self.fail(Outcome::Failed, aborted("", detail));
    }

    /// Ends the stream with an error event and without an end marker.
    fn fail(&mut self, outcome: Outcome, failure: Failure) {
        let mut ending = ending(self.stream.passed(), 200, false);
        let detail = failure.detail.clone().unwrap_or_else(|| failure.message.clone());
        ending.error = Some((failure.code, Some(detail)));
        self.gated.ticket.settle(outcome, ending);
        let types = &self.gated.configuration.snapshot.environment.error_types;
        let event = self.gated.request.surface().render_event(&failure, types, self.gated.call.id);
        self.out.push_back(event.into());
        self.over = true;
        self.outcome = Some(outcome);
        self.connection = None;
    }
}

impl Drop for StreamBody {
    fn drop(&mut self) {
        if self.over {
            return;
        }
        let (outcome, status, error) = if std::thread::panicking() {
            let detail = "the stream's task panicked".to_owned();
            (Outcome::Failed, 200, Some((Code::InternalError, Some(detail))))
        } else {
            if self.stream.is_finishing() {
                // What is known of the answer is written down; nobody reads the rest of it.
                self.stream.conclude(&mut Vec::new());
            }
            (Outcome::Cancelled, CLIENT_CLOSED_REQUEST, None)
        };
        let ending = Ending { error, ..ending(self.stream.passed(), status, false) };
        self.gated.ticket.settle(outcome, ending);
    }
}

/// `complete` is whether the provider has ended the answer.
fn ending(passed: &Passed, status: u16, complete: bool) -> Ending {
    Ending {
        status,
        error: None,
        usage: passed.usage,
        partial: passed.is_partial(complete),
        service_tier: passed.service_tier,
        begun: passed.begun,
        content_bytes: passed.content_bytes,
        upstream_id: passed.id.clone(),
        finish_reason: passed.finish_reason.clone(),
    }
}

fn aborted(said: &str, detail: &str) -> Failure {
    let message = if said.is_empty() { "the provider broke the answer off" } else { said };
    let detail = if said.is_empty() { detail.to_owned() } else { format!("{detail}: {said}") };
    Failure::new(Code::UpstreamStreamAborted, Fault::Provider, message).with_detail(detail)
}

fn timed_out(message: &str) -> Failure {
    Failure::new(Code::UpstreamTimeout, Fault::Provider, message)
}
