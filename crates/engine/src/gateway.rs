//! What all workers share.

use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use arc_swap::{ArcSwap, Guard};
use ir::failure::ErrorTypes;
use policy::clock::Clock;
use policy::limit::book::Book;
use policy::snapshot::{CompiledKey, Network};
use settle::payloads::Queue;
use tokio::sync::Semaphore;
use tokio_util::task::TaskTracker;

use crate::failed_logins::FailedLogins;
use crate::idempotency::Outcomes;
use crate::metrics::Metrics;
use crate::native::Native;
use crate::proofs::Kept;
use crate::reservation::Held;
use crate::stage::authenticate::memo::Tags;
use crate::state::{Change, DEFAULT_ENVIRONMENT, LiveKey, State};

/// Computes the keyed hash under which a key is known.
pub type KeyHasher = dyn Fn(&str) -> [u8; 32] + Send + Sync;

/// Who may act without a key (K8).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Anonymous {
    /// Nobody.
    #[default]
    Off,
    /// Peers on this machine.
    Loopback,
    /// Everybody.
    All,
}

/// What does not change while the process runs.
#[derive(Clone, Debug)]
pub struct Options {
    /// The largest request body, in bytes.
    pub body_limit: usize,
    /// The longest wait for the next piece of a request body.
    pub body_idle: Duration,
    /// Who may act without a key.
    pub anonymous: Anonymous,
    /// Whether callers may name private addresses where the gateway fetches a URL for them.
    pub fetch_private: bool,
    /// The proxies whose word about the caller's address counts.
    pub trusted_proxies: Vec<Network>,
    /// How many connections callers may have open at once, over all workers; the next waits to be accepted.
    pub connections: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            body_limit: 32 << 20,
            body_idle: Duration::from_secs(30),
            anonymous: Anonymous::Off,
            fetch_private: false,
            trusted_proxies: Vec::new(),
            connections: Semaphore::MAX_PERMITS,
        }
    }
}

/// What all workers share.
pub struct Gateway {
    state: ArcSwap<State>,
    /// Held by whoever makes the next state; requests never wait for it.
    writer: Mutex<()>,
    hasher: Box<KeyHasher>,
    /// Under these the hashes of secrets are remembered.
    pub(crate) tags: Tags,
    anonymous: Arc<LiveKey>,
    draining: AtomicBool,
    /// The one clock.
    pub clock: Clock,
    /// What does not change while the process runs.
    pub options: Options,
    /// What this process calls itself in `x-crossway-hop`: 16 hexadecimal digits.
    pub instance: Box<str>,
    /// Counters.
    pub metrics: Metrics,
    /// What the requests in flight hold, whether limits bind them or not.
    pub held: Arc<Held>,
    /// What was used of every limit.
    pub book: Book,
    /// Set while nobody knows what was used before this process began: then no request is served that limits bind.
    pub limits_unknown: AtomicBool,
    /// Wrong keys by peer.
    pub failed_logins: FailedLogins,
    /// What providers signed, kept for the turn that follows.
    pub proofs: Kept,
    /// Where what was asked and answered is kept; set once, at the start, when it is kept at all.
    pub payloads: OnceLock<Arc<Queue>>,
    /// What became of requests that may be sent twice; set once, at the start.
    pub outcomes: OnceLock<Arc<dyn Outcomes>>,
    /// What management keys call; set once, at the start, when there is a control plane.
    pub native: OnceLock<Arc<dyn Native>>,
    /// Room for connections of callers: descriptors are left for the admin side, databases and providers.
    pub connections: Arc<Semaphore>,
    /// Every task that outlives its request; shutdown waits for it.
    pub tasks: TaskTracker,
}

impl Gateway {
    /// Assembles the shared part.
    pub fn new(state: State, hasher: Box<KeyHasher>, clock: Clock, options: Options) -> Self {
        let anonymous =
            CompiledKey { name: "anonymous".into(), environment: DEFAULT_ENVIRONMENT.into(), ..CompiledKey::default() };
        Self {
            state: ArcSwap::from_pointee(state),
            writer: Mutex::new(()),
            hasher,
            tags: Tags::default(),
            anonymous: Arc::new(LiveKey::without_secret(anonymous)),
            draining: AtomicBool::new(false),
            clock,
            connections: Arc::new(Semaphore::new(options.connections)),
            options,
            instance: format!("{:016x}", fastrand::u64(..)).into(),
            metrics: Metrics::default(),
            held: Arc::default(),
            book: Book::default(),
            limits_unknown: AtomicBool::new(false),
            failed_logins: FailedLogins::default(),
            proofs: Kept::default(),
            payloads: OnceLock::new(),
            outcomes: OnceLock::new(),
            native: OnceLock::new(),
            tasks: TaskTracker::new(),
        }
    }

    /// Returns the current state, to be kept.
    pub fn state(&self) -> Arc<State> {
        self.state.load_full()
    }

    /// Returns the current state, to be looked at once: nothing is counted that other threads count too.
    pub fn glance(&self) -> Guard<Arc<State>> {
        self.state.load()
    }

    /// Returns the words of the default environment, for errors of requests whose environment is not known.
    pub fn default_error_types(&self) -> ErrorTypes {
        let state = self.glance();
        let environment = state.environment(DEFAULT_ENVIRONMENT);
        environment.map(|environment| environment.snapshot.environment.error_types.clone()).unwrap_or_default()
    }

    /// Makes changes, all at once for whoever looks. Requests in flight keep what they have seen. Writers wait for each
    /// other, requests for nobody.
    pub fn update(&self, changes: Vec<Change>) {
        // A writer that panicked has put nothing in place.
        let _writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        let next = self.glance().with(changes);
        self.state.store(Arc::new(next));
    }

    /// Returns the keyed hash of a secret.
    pub fn hash(&self, secret: &str) -> [u8; 32] {
        (self.hasher)(secret)
    }

    /// Returns the built-in key `anonymous` when the peer may act as it.
    pub fn anonymous(&self, peer: IpAddr) -> Option<&Arc<LiveKey>> {
        let allowed = match self.options.anonymous {
            Anonymous::Off => false,
            Anonymous::Loopback => peer.to_canonical().is_loopback(),
            Anonymous::All => true,
        };
        allowed.then_some(&self.anonymous)
    }

    /// Says that the process is about to stop: readiness is over, connections are not kept.
    pub fn start_draining(&self) {
        self.draining.store(true, Ordering::Relaxed);
    }

    /// Whether the process is about to stop.
    pub fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Relaxed)
    }
}
