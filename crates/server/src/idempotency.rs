//! What became of requests that may be sent twice, kept in `idempotency.db`.
//!
//! Data workers do not touch the database: what they ask is put into a queue, and one blocking task at a time takes all
//! that waits and commits it at once, so that a commit to the disk is shared by everybody who waits for one. The queue
//! is bounded; beyond it, and while the database fails, the store is away.

mod queue;
mod reply;

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use engine::idempotency::{Away, Claimed, Kept, Name, Outcomes, Waiting, Wanted};
use policy::clock::Clock;
use store::StoreError;
use store::idempotency::{Batch, Found, Idempotency, Wanted as Row};
use store::seal::results::ResultKeys;
use tokio::sync::oneshot;

use self::queue::{Op, Queue};

/// How long a key belongs to its request.
pub const KEPT: Duration = Duration::from_secs(24 * 3_600);

/// The most that is kept of the replies of an environment, in bytes.
pub const MOST_BYTES: u64 = 256 << 20;

/// How often expired entries are looked for.
const SWEEP: Duration = Duration::from_secs(60);

/// The store of idempotent requests.
#[derive(Clone)]
pub struct Keeper(Arc<Inner>);

struct Inner {
    data_dir: PathBuf,
    keys: ResultKeys,
    clock: Clock,
    most_bytes: u64,
    queue: Mutex<Queue>,
    /// Opened with the first request that needs it.
    store: Mutex<Option<Idempotency>>,
    /// The names that requests of this process run under.
    live: Mutex<HashSet<Name>>,
}

impl Keeper {
    /// Returns the store of a data directory. Nothing is opened yet.
    pub fn new(data_dir: PathBuf, keys: ResultKeys, clock: Clock) -> Self {
        Self::with_room(data_dir, keys, clock, MOST_BYTES)
    }

    /// Returns one that keeps so many bytes for each environment.
    pub fn with_room(data_dir: PathBuf, keys: ResultKeys, clock: Clock, most_bytes: u64) -> Self {
        let (queue, store, live) = Default::default();
        Self(Arc::new(Inner { data_dir, keys, clock, most_bytes, queue, store, live }))
    }

    /// Deletes what has expired, for as long as it is awaited.
    pub async fn sweep(self) {
        let mut sweep = tokio::time::interval(SWEEP);
        loop {
            sweep.tick().await;
            let inner = Arc::clone(&self.0);
            // It fails only when it panics; then the next one tries.
            let _ = tokio::task::spawn_blocking(move || inner.sweep_all()).await;
        }
    }

    /// Deletes what has expired. Returns how many entries that were.
    ///
    /// # Errors
    /// When the database fails.
    pub fn sweep_once(&self) -> Result<usize, StoreError> {
        self.0.sweep()
    }

    fn ask<T: Send + 'static>(&self, op: impl FnOnce(oneshot::Sender<T>) -> Op) -> Waiting<T> {
        let (answer, waiting) = oneshot::channel();
        queue::put(&self.0, op(answer));
        Box::pin(async move { waiting.await.map_err(|_| Away) })
    }
}

impl Outcomes for Keeper {
    fn claim(&self, wanted: Wanted) -> Waiting<Claimed> {
        self.ask(|answer| Op::Claim(Box::new(wanted), answer))
    }

    fn keep(&self, name: Name, reply: Option<Kept>) -> Waiting<()> {
        self.ask(|answer| Op::Keep(name, reply.map(Box::new), answer))
    }

    fn free(&self, name: Name) -> Waiting<()> {
        self.ask(|answer| Op::Free(name, answer))
    }

    fn leave(&self, name: Name) {
        lock(&self.0.live).remove(&name);
    }
}

impl Inner {
    /// Does several things and commits them at once, then says so to everybody who waits.
    fn commit(&self, ops: Vec<Op>) {
        let mut claims = Vec::new();
        let done = self.with_store(|store| {
            store
                .at_once(|batch| ops.iter().map(|op| self.apply(batch, op, &mut claims)).collect::<Result<Vec<_>, _>>())
        });
        let over = ops.iter().filter_map(|op| match op {
            Op::Keep(name, ..) | Op::Free(name, _) => Some(name),
            Op::Claim(..) => None,
        });
        {
            let mut live = lock(&self.live);
            // What could not be kept or freed is over all the same, and unknown.
            over.for_each(|name| _ = live.remove(name));
            if done.is_err() {
                claims.iter().for_each(|name| _ = live.remove(name));
            }
        }
        match done {
            Ok(answers) => {
                let unheard: Vec<Op> = ops.into_iter().zip(answers).filter_map(|(op, said)| op.answer(said)).collect();
                if !unheard.is_empty() {
                    self.commit(unheard);
                }
            }
            // Whoever waits sees that nothing is said.
            Err(error) => {
                tracing::warn!(component = "idempotency", error = %error, "The store of idempotent requests failed");
            }
        }
    }

    /// Does one thing. Names that are claimed are noted, for the case that the commit fails.
    fn apply(&self, batch: &Batch<'_>, op: &Op, claims: &mut Vec<Name>) -> Result<Option<Claimed>, StoreError> {
        match op {
            Op::Claim(wanted, _) => self.claim(batch, wanted, claims).map(Some),
            Op::Keep(name, reply, _) => {
                let sealed = reply.as_ref().map(|reply| self.keys.seal(name, &reply::encode(reply))).transpose()?;
                // A reply that alone is more than all may be is none that is kept.
                let sealed = sealed.filter(|sealed| sealed.len() as u64 <= self.most_bytes);
                batch.keep(name, sealed.as_deref(), self.most_bytes).map(|()| None)
            }
            Op::Free(name, _) => batch.free(name).map(|()| None),
        }
    }

    fn claim(&self, batch: &Batch<'_>, wanted: &Wanted, claims: &mut Vec<Name>) -> Result<Claimed, StoreError> {
        let api_key = wanted.api_key.map(|id| id.0);
        let api_key = api_key.as_ref().map_or(b"anonymous".as_slice(), |id| id);
        let name = self.keys.hash(&[b"name", wanted.environment.as_bytes(), api_key, wanted.key.as_bytes()]);
        let [path, provider, dialect, body] = &wanted.parameters;
        let request = self.keys.hash(&[b"request", path, provider, dialect, body]);
        let now_ms = self.clock.unix_ms();
        let expires_ms = now_ms.saturating_add(u64::try_from(KEPT.as_millis()).unwrap_or(u64::MAX));
        let row = Row { name: &name, request: &request, environment: &wanted.environment, expires_ms };
        Ok(match batch.claim(row, now_ms)? {
            Found::New => {
                lock(&self.live).insert(name);
                claims.push(name);
                Claimed::New(name)
            }
            Found::Open if lock(&self.live).contains(&name) => Claimed::InFlight,
            Found::Open => Claimed::Unknown,
            Found::Another => Claimed::Another,
            Found::NotKept => Claimed::NotKept,
            Found::Kept(sealed) => self.read(&name, &sealed).map_or(Claimed::NotKept, Claimed::Kept),
        })
    }

    /// Reads a reply. One that cannot be read concerns its own request alone.
    fn read(&self, name: &Name, sealed: &[u8]) -> Option<Kept> {
        let read = self.keys.open(name, sealed).map_err(StoreError::from).and_then(|bytes| reply::decode(&bytes));
        read.inspect_err(|error| {
            tracing::warn!(component = "idempotency", error = %error, "A kept reply cannot be read");
        })
        .ok()
    }

    /// Uses the database, which is opened when it is not.
    fn with_store<T>(&self, work: impl FnOnce(&mut Idempotency) -> Result<T, StoreError>) -> Result<T, StoreError> {
        let mut store = lock(&self.store);
        let store = match &mut *store {
            Some(store) => store,
            none => none.insert(Idempotency::open(&self.data_dir)?),
        };
        work(store)
    }

    fn sweep(&self) -> Result<usize, StoreError> {
        if lock(&self.store).is_none() && !Idempotency::exists(&self.data_dir) {
            return Ok(0);
        }
        let (mut all, now_ms) = (0, self.clock.unix_ms());
        loop {
            match self.with_store(|store| store.sweep(now_ms))? {
                0 => return Ok(all),
                some => all += some,
            }
        }
    }

    fn sweep_all(&self) {
        if let Err(error) = self.sweep() {
            tracing::warn!(component = "idempotency", error = %error, "Expired entries could not be deleted");
        }
    }
}

/// A holder that panicked has left what it holds as the database has it.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
