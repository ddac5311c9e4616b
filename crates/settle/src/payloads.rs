//! What was asked and answered, on its way into `payloads.db`: a queue that is bounded in bytes, and the thread that
//! empties it. Traffic never waits for it: what does not fit is dropped, counted, and marked as dropped.

use std::collections::VecDeque;
use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle, Thread};
use std::time::Duration;

use ir::id::RequestId;
use policy::clock::Clock;
use store::StoreError;
pub use store::payloads::Part;
use store::payloads::{Payloads, State, StoredPayload};

use crate::stop::StopSignal;

pub mod redact;

/// The most that waits, in bytes.
const WAITING_BYTES: usize = 64 << 20;

/// The most requests that are remembered as dropped until that is written.
const MAX_DROPPED: usize = 4_096;

/// How long a payload waits at most before it is written.
const INTERVAL: Duration = Duration::from_millis(250);

/// The most in one transaction.
const BATCH_BYTES: usize = 4 << 20;
const BATCH: usize = 64;

/// How long after the end of a pass through the old payloads the next one begins, in milliseconds.
const REST_MS: u64 = 3_600_000;

/// How long content is kept when nobody says otherwise.
pub const CONTENT_KEPT: Duration = Duration::from_secs(30 * 86_400);

/// The most that is kept of a body, in bytes.
pub const MAX_BODY_BYTES: usize = 1 << 20;

/// The content of a request.
#[derive(Clone, Debug)]
pub struct Payload {
    /// The request.
    pub id: RequestId,
    /// Its environment.
    pub environment: Arc<str>,
    /// Whether it is redacted before it is kept.
    pub redacted: bool,
    /// What was asked.
    pub request: Part,
    /// What was answered, as far as it was sent; `None` when nothing was.
    pub response: Option<Part>,
}

impl Payload {
    fn size(&self) -> usize {
        self.request.data.len() + self.response.as_ref().map_or(0, |part| part.data.len()) + 256
    }
}

/// How long each environment keeps content. It is asked again for every pass.
pub type Policy = Box<dyn Fn() -> Vec<(String, Duration)> + Send>;

/// Where payloads wait.
#[derive(Debug)]
pub struct Queue {
    state: Mutex<Waiting>,
    most_bytes: usize,
    dropped: AtomicU64,
}

#[derive(Debug, Default)]
struct Waiting {
    payloads: VecDeque<Payload>,
    bytes: usize,
    dropped: Vec<(RequestId, Arc<str>)>,
    writer: Option<Thread>,
}

impl Default for Queue {
    fn default() -> Self {
        Self::with_room(WAITING_BYTES)
    }
}

impl Queue {
    /// Returns one in which so many bytes can wait.
    pub fn with_room(most_bytes: usize) -> Self {
        Self { state: Mutex::default(), most_bytes, dropped: AtomicU64::new(0) }
    }

    /// Takes a payload, or drops it when there is no room. Returns whether it was taken. Waits for nothing but another
    /// thread that does the same.
    pub fn offer(&self, payload: Payload) -> bool {
        let mut state = self.lock();
        let size = payload.size();
        if state.bytes + size > self.most_bytes {
            self.dropped.fetch_add(1, Ordering::Relaxed);
            if state.dropped.len() < MAX_DROPPED {
                state.dropped.push((payload.id, payload.environment));
            }
            return false;
        }
        state.bytes += size;
        state.payloads.push_back(payload);
        if state.bytes > self.most_bytes / 4
            && let Some(writer) = &state.writer
        {
            writer.unpark();
        }
        true
    }

    /// Returns how many payloads were dropped.
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    fn take(&self) -> Vec<Payload> {
        let mut state = self.lock();
        let mut taken = Vec::new();
        let mut bytes = 0;
        while taken.len() < BATCH
            && bytes < BATCH_BYTES
            && let Some(payload) = state.payloads.pop_front()
        {
            bytes += payload.size();
            taken.push(payload);
        }
        state.bytes -= bytes;
        taken
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Writes what waits, and deletes what is too old.
pub struct Writer {
    queue: Arc<Queue>,
    data_dir: PathBuf,
    /// Opened with the first payload: who keeps none has no file.
    payloads: Option<Payloads>,
    policy: Policy,
    clock: Clock,
    /// Not before this instant are old payloads looked for, Unix milliseconds.
    sweep_from_ms: u64,
}

impl Writer {
    /// Returns the writer of a queue into a directory.
    pub fn new(queue: Arc<Queue>, data_dir: PathBuf, policy: Policy, clock: Clock) -> Self {
        let payloads = data_dir.join("payloads.db").exists().then(|| Payloads::open(&data_dir).ok()).flatten();
        Self { queue, data_dir, payloads, policy, clock, sweep_from_ms: 0 }
    }

    /// Starts the thread that writes until the signal is given, and then once more.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn spawn(mut self, stop: Arc<StopSignal>) -> io::Result<JoinHandle<()>> {
        thread::Builder::new().name("payloads".into()).spawn(move || {
            stop.listen();
            self.queue.lock().writer = Some(thread::current());
            while !stop.is_stopped() {
                thread::park_timeout(INTERVAL);
                self.turn_and_log();
            }
            self.turn_and_log();
        })
    }

    fn turn_and_log(&mut self) {
        if let Err(error) = self.turn() {
            tracing::warn!(component = "payloads", error = %error, "failed to keep the content of requests");
        }
    }

    /// Writes everything that waits, then deletes some of what is too old.
    ///
    /// # Errors
    /// When the database fails: what was taken then is lost, what waits stays.
    pub fn turn(&mut self) -> Result<(), StoreError> {
        loop {
            let mut batch: Vec<_> = self.queue.take().into_iter().map(stored).collect();
            let dropped = std::mem::take(&mut self.queue.lock().dropped);
            batch.extend(dropped.into_iter().map(tombstone));
            if batch.is_empty() {
                break;
            }
            self.open()?.write(&batch)?;
        }
        self.sweep()
    }

    fn open(&mut self) -> Result<&mut Payloads, StoreError> {
        let payloads = match self.payloads.take() {
            Some(payloads) => payloads,
            None => Payloads::open(&self.data_dir)?,
        };
        Ok(self.payloads.insert(payloads))
    }

    fn sweep(&mut self) -> Result<(), StoreError> {
        let now_ms = self.clock.unix_ms();
        let Some(payloads) = self.payloads.as_mut().filter(|_| now_ms >= self.sweep_from_ms) else { return Ok(()) };
        let before_ms = |kept: Duration| now_ms.saturating_sub(u64::try_from(kept.as_millis()).unwrap_or(u64::MAX));
        let mut deleted = 0;
        let mut known = Vec::new();
        for (environment, kept) in (self.policy)() {
            deleted += payloads.sweep(&environment, before_ms(kept))?;
            known.push(environment);
        }
        deleted += payloads.sweep_others(&known, before_ms(CONTENT_KEPT))?;
        if deleted == 0 {
            self.sweep_from_ms = now_ms.saturating_add(REST_MS);
        }
        Ok(())
    }
}

fn stored(payload: Payload) -> StoredPayload {
    let keep = |part: Part| match payload.redacted {
        true => Part { data: redact::redact(&part.data), ..part },
        false => part,
    };
    StoredPayload {
        id: payload.id,
        environment: payload.environment.as_ref().to_owned(),
        state: if payload.redacted { State::Redacted } else { State::Full },
        request: Some(keep(payload.request)),
        response: payload.response.map(keep),
    }
}

fn tombstone((id, environment): (RequestId, Arc<str>)) -> StoredPayload {
    let environment = environment.as_ref().to_owned();
    StoredPayload { id, environment, state: State::Dropped, request: None, response: None }
}
