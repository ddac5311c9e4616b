//! Runs a policy through a world: as the simulator does, and event by event.
//!
//! The simulator takes one arrival after the other and follows it to its end, so that a failure is known to arrivals
//! that came before it. [`as_recorded`] does the same, to check the world and the peers against its figures.
//! [`causal`] keeps to the order of time: nobody knows anything before it happened.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

use super::peers::{Attempt, Policy};
use super::traces::Traces;
use super::world::{Reply, World};

/// The most attempts of a request.
const ATTEMPTS: usize = 5;

/// After so many seconds no further attempt is made.
const PATIENCE_S: f64 = 20.0;

/// What came of a request.
#[derive(Clone, Copy, Debug)]
pub struct Outcome {
    /// Seconds to the first content, or to giving up.
    pub took: f64,
    /// Whether there was an answer.
    pub ok: bool,
    /// Endpoints asked.
    pub tried: usize,
}

/// One call of an endpoint.
#[derive(Clone, Copy, Debug)]
pub struct Call {
    /// Which.
    pub endpoint: usize,
    /// When, in seconds.
    pub at: f64,
    /// Whether content came.
    pub ok: bool,
    /// The status.
    pub code: u16,
}

/// What came of a run.
#[derive(Debug, Default)]
pub struct Run {
    /// By request.
    pub outcomes: Vec<Outcome>,
    /// All calls, in their order.
    pub calls: Vec<Call>,
    /// Calls made because another was late.
    pub hedges: usize,
}

impl Run {
    fn called(&mut self, endpoint: usize, at: f64, reply: Reply) {
        self.calls.push(Call { endpoint, at, ok: reply.ok, code: reply.code });
    }
}

/// Something that happens at an instant; those at the same instant in the order in which they were planned.
struct Event<T> {
    at: f64,
    number: u64,
    what: T,
}

impl<T> PartialEq for Event<T> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl<T> Eq for Event<T> {}

impl<T> PartialOrd for Event<T> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<T> Ord for Event<T> {
    fn cmp(&self, other: &Self) -> Ordering {
        other.at.total_cmp(&self.at).then(other.number.cmp(&self.number))
    }
}

/// The simulator's own order. It has no hedges here.
pub fn as_recorded(policy: &mut dyn Policy, world: &mut World, traces: &Traces) -> Run {
    let mut run = Run::default();
    let mut later: BinaryHeap<Event<(usize, Reply)>> = BinaryHeap::new();
    let mut number: Attempt = 0;
    for &arrived in &traces.arrivals {
        while later.peek().is_some_and(|event| event.at <= arrived) {
            let Some(Event { at, number, what: (e, reply) }) = later.pop() else { break };
            policy.observe(number, e, at, reply.ok, reply.ttft, reply.code);
        }
        let (mut at, mut tried, mut done) = (arrived, Vec::new(), false);
        while !done && tried.len() < ATTEMPTS && at - arrived < PATIENCE_S {
            let Some(e) = policy.order(world, at).into_iter().find(|e| !tried.contains(e)) else { break };
            tried.push(e);
            number += 1;
            policy.start(number, e, at, true);
            let reply = world.attempt(e, at);
            run.called(e, at, reply);
            if reply.ok {
                later.push(Event { at: at + reply.ttft.min(30.0), number, what: (e, reply) });
                done = true;
            } else {
                policy.observe(number, e, at + reply.ttft, false, reply.ttft, reply.code);
            }
            at += reply.ttft;
        }
        run.outcomes.push(Outcome { took: at - arrived, ok: done, tried: tried.len() });
    }
    run
}

enum What {
    Arrival(usize),
    /// The attempt of a request that ended.
    Ended(usize, Attempt),
    /// A request has waited long enough for an attempt.
    Late(usize, Attempt),
}

#[derive(Default)]
struct Request {
    tried: Vec<usize>,
    pending: Vec<(Attempt, usize, Reply)>,
    done: bool,
}

struct Drive<'a> {
    policy: &'a mut dyn Policy,
    world: &'a mut World,
    arrivals: &'a [f64],
    requests: Vec<Request>,
    events: BinaryHeap<Event<What>>,
    planned: u64,
    attempts: Attempt,
    run: Run,
}

/// In the order of time. The first content wins; the other attempt of a hedged request is given up then.
pub fn causal(policy: &mut dyn Policy, world: &mut World, traces: &Traces) -> Run {
    let mut drive = Drive {
        policy,
        world,
        arrivals: &traces.arrivals,
        requests: traces.arrivals.iter().map(|_| Request::default()).collect(),
        events: BinaryHeap::new(),
        planned: 0,
        attempts: 0,
        run: Run::default(),
    };
    for (index, at) in traces.arrivals.iter().enumerate() {
        drive.plan(*at, What::Arrival(index));
    }
    while let Some(Event { at, what, .. }) = drive.events.pop() {
        match what {
            What::Arrival(request) => {
                drive.policy.earn(at);
                drive.next(request, at);
            }
            What::Ended(request, attempt) => drive.ended(request, attempt, at),
            What::Late(request, attempt) => drive.late(request, attempt, at),
        }
    }
    drive.run
}

impl Drive<'_> {
    fn plan(&mut self, at: f64, what: What) {
        self.planned += 1;
        self.events.push(Event { at, number: self.planned, what });
    }

    /// Asks the next endpoint, or gives up.
    fn next(&mut self, request: usize, at: f64) {
        let order = self.policy.order(self.world, at);
        let tried = &self.requests[request].tried;
        let exhausted = tried.len() >= ATTEMPTS || at - self.arrivals[request] >= PATIENCE_S;
        let left: Vec<usize> = order.into_iter().filter(|e| !tried.contains(e)).collect();
        let Some(last_resort) = left.first().copied().filter(|_| !exhausted) else {
            return self.finish(request, at, false);
        };
        let may = left.iter().position(|e| self.policy.start(self.attempts + 1, *e, at, false));
        let first = may.map_or(last_resort, |place| left[place]);
        if may.is_none() {
            self.policy.start(self.attempts + 1, first, at, true);
        }
        let attempt = self.ask(request, first, at);
        let second = left.get(may.unwrap_or(0) + 1).copied();
        let wait = second.and_then(|second| self.policy.hedge_after(first, second, at));
        if let Some(wait) = wait {
            self.plan(at + wait, What::Late(request, attempt));
        }
    }

    /// Asks an endpoint; the policy knows that the attempt begins.
    fn ask(&mut self, request: usize, endpoint: usize, at: f64) -> Attempt {
        self.attempts += 1;
        let attempt = self.attempts;
        let reply = self.world.attempt(endpoint, at);
        self.run.called(endpoint, at, reply);
        self.requests[request].tried.push(endpoint);
        self.requests[request].pending.push((attempt, endpoint, reply));
        self.plan(at + reply.ttft, What::Ended(request, attempt));
        attempt
    }

    fn ended(&mut self, request: usize, attempt: Attempt, at: f64) {
        let pending = &mut self.requests[request].pending;
        let Some(place) = pending.iter().position(|(one, ..)| *one == attempt) else { return };
        let (_, endpoint, reply) = pending.remove(place);
        self.policy.observe(attempt, endpoint, at, reply.ok, reply.ttft, reply.code);
        if reply.ok {
            for (other, endpoint, _) in std::mem::take(&mut self.requests[request].pending) {
                self.policy.dropped(other, endpoint, at);
            }
            self.finish(request, at, true);
        } else if self.requests[request].pending.is_empty() {
            self.next(request, at);
        }
    }

    fn late(&mut self, request: usize, attempt: Attempt, at: f64) {
        let waiting = &self.requests[request];
        let alone = matches!(waiting.pending.as_slice(), [(one, ..)] if *one == attempt);
        if !alone || waiting.tried.len() >= ATTEMPTS {
            return;
        }
        let order = self.policy.order(self.world, at);
        let Some(second) = order.into_iter().find(|e| !self.requests[request].tried.contains(e)) else { return };
        if self.policy.may_hedge(at) && self.policy.start(self.attempts + 1, second, at, false) {
            self.run.hedges += 1;
            self.ask(request, second, at);
        }
    }

    fn finish(&mut self, request: usize, at: f64, ok: bool) {
        let state = &mut self.requests[request];
        if !std::mem::replace(&mut state.done, true) {
            let took = at - self.arrivals[request];
            self.run.outcomes.push(Outcome { took, ok, tried: state.tried.len() });
        }
    }
}
