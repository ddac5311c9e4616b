//! Admission: from here on the request has a ticket, that is, one settlement, and what it takes is given back once.

use std::sync::Arc;
use std::time::Duration;

use dialect::lane::asked::Asked;
use ir::failure::{Code, Failure, Fault};
use ir::settlement::Subject;
use policy::guard::observe::Observer;
use policy::guard::reply::ReplyWatch;
use policy::guard::scope::Bound;
use policy::snapshot::ModelIndex;
use routing::affinity::Prefix;
use upstream::target::Target;

use super::authenticate::Identity;
use super::decode::{Call, Decoded};
use crate::gateway::Gateway;
use crate::limits::{self, Demand};
use crate::refusal::Refusal;
use crate::sightings::Sightings;
use crate::state::own::Brought;
use crate::state::{Configuration, LiveKey};
use crate::ticket::Ticket;
use crate::worker::Worker;

/// The most of a model name that is kept.
const MAX_MODEL_BYTES: usize = 256;

/// A request that is admitted.
pub struct Gated {
    /// How it is to be served.
    pub call: Call,
    /// The configuration that it sees, which is its key's environment's.
    pub configuration: Arc<Configuration>,
    /// The key it acts as.
    pub key: Arc<LiveKey>,
    /// What it asks for.
    pub request: Asked,
    /// Its one settlement.
    pub ticket: Ticket,
    /// What it may use.
    pub demand: Demand,
    /// Which credential of the caller's own it is asked with.
    pub brought: Brought,
    /// What may be cached of it, where several targets may get it.
    pub prefix: Option<Box<Prefix>>,
    /// The most output tokens of a choice, where we and not the caller have said it.
    pub cap: Option<u64>,
    /// The guards and the prompt that bind the key, where they are not those of every key of the environment.
    scoped: Option<Arc<Bound>>,
}

impl Gated {
    /// Tells every provider how long the answer may be, where the caller has not said it.
    pub fn cap_at(&mut self, tokens: u64) {
        self.request.cap(tokens);
        self.demand = self.demand.capped(tokens);
        self.cap = Some(tokens);
    }

    /// Returns the target that is asked.
    pub fn target(&self, model: ModelIndex) -> Option<&Target> {
        self.configuration.asked(model, self.brought.used)
    }

    /// Returns the guards and the prompt that bind the request.
    pub fn bound(&self) -> &Bound {
        self.scoped.as_deref().unwrap_or(&self.configuration.snapshot.environment.bound)
    }

    /// Returns who watches what the answer says, if anybody does.
    pub fn watch(&self, gateway: &Arc<Gateway>) -> Option<ReplyWatch> {
        self.bound().guards.watch_reply(|| self.observer(gateway))
    }

    /// Returns who takes note of what guardrails see that only observe.
    pub fn observer(&self, gateway: &Arc<Gateway>) -> Arc<dyn Observer> {
        let (gateway, key) = (Arc::clone(gateway), Arc::clone(&self.key));
        Arc::new(Sightings { gateway, id: self.call.id, key })
    }
}

/// Takes the journal's permit and what the request itself counts for.
///
/// # Errors
/// 503 when the journal has no room: a request that could not be accounted for is not served. 429 when a limit on
/// requests or on those in flight is reached.
pub fn gate(worker: &Worker, decoded: Decoded) -> Result<Box<Gated>, Refusal> {
    let Decoded { call, identity: Identity { key, configuration }, request } = decoded;
    if let Err(failure) = limits::check_known(&worker.gateway, &key, &configuration) {
        return Err(Refusal::early(call.id, failure));
    }
    let Ok(permit) = worker.journal.permit() else {
        return Err(Refusal::early(call.id, journal_unavailable()));
    };
    let subject = Subject {
        id: call.id,
        admitted_unix_ms: call.id.unix_ms(),
        environment: Arc::clone(&key.compiled.environment),
        key: key.compiled.id,
        key_name: Arc::clone(&key.compiled.name),
        team: key.compiled.team.clone(),
        cost_tags: Arc::clone(&key.compiled.cost_tags),
        surface: request.surface().name().into(),
        requested_model: truncated(request.model().unwrap_or_default()).into(),
        stream: request.stream(),
    };
    let mut ticket = Ticket::open(&worker.gateway, permit, request.surface(), subject, call.arrived);
    ticket.measure_against(configuration.baseline.as_ref());
    let margin = configuration.snapshot.environment.billing.charges();
    ticket.charge(margin);
    let bindings =
        limits::of_request(&worker.gateway, &key, &configuration, call.peer, call.bucket.as_deref(), || request.user());
    if let Some(Err(denial)) = bindings.map(|bindings| ticket.admit(bindings)) {
        return Err(ticket.refuse(limits::failure(&denial)));
    }
    if let Err(failure) = limits::features::check(&configuration.snapshot, &key.compiled, &request) {
        return Err(ticket.refuse(failure));
    }
    let demand = Demand::of(&request, ticket.limits().is_some()).charged(margin.unwrap_or_default());
    let scoped = configuration.snapshot.environment.scoped.find(key.compiled.team.as_deref(), &key.compiled.name);
    // It walks through the rest of the corridor by its address.
    Ok(Box::new(Gated {
        call,
        configuration,
        key,
        request,
        ticket,
        demand,
        brought: Brought::default(),
        prefix: None,
        cap: None,
        scoped,
    }))
}

/// What a caller is told when the journal cannot be written.
pub(super) fn journal_unavailable() -> Failure {
    Failure::new(Code::DependencyUnavailable, Fault::Gateway, "the gateway cannot record requests at the moment")
        .with_retry_after(Duration::from_secs(5))
}

/// Cuts a name at a character's start.
fn truncated(name: &str) -> &str {
    name.get(..name.floor_char_boundary(MAX_MODEL_BYTES)).unwrap_or_default()
}
