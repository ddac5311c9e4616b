//! The pump: asks the sources what happened, writes it down, and delivers what is due.
//!
//! Each receiver has a few deliveries on their way at a time, and all together have a bound; what waits, waits on disk.
//! A try that nobody could write down is not tried again before that is done: a broken disk is no reason to send a
//! thing twice.

use std::collections::HashMap;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use net::deadline::{after, passed};
use policy::clock::Clock;
use policy::notify::Webhook;
use store::StoreError;
use store::events::{Batch, Channel, Due, Events, Lane, Next, Tried};
use tokio::runtime;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until, timeout_at};

use super::counts::Counts;
use super::mail::{self, Mailer};
use super::post::{Posted, Poster};
use super::source::{Asked, Source};
use super::{Audiences, schedule};
use crate::stop::StopSignal;

/// How often the sources are asked.
const INTERVAL: Duration = Duration::from_millis(250);

/// How long deliveries that are on their way are waited for when the process ends.
const LAST: Duration = Duration::from_secs(2);

/// The most deliveries on their way to one webhook, and to one email address.
const PER_WEBHOOK: usize = 4;
const PER_ADDRESS: usize = 1;

/// The most deliveries on their way.
const TOGETHER: usize = 64;

/// The most deliveries that wait for one receiver; older ones are dropped.
pub const MOST_WAITING: u64 = 10_000;

/// The most deliveries that are kept for one webhook or alert when they are over.
const MOST_KEPT: u64 = 10_000;

/// How long what is over is kept, in milliseconds: 30 days.
const KEPT_MS: u64 = 30 * 86_400_000;

/// How long it is remembered that something was raised, in milliseconds: longer than any window.
const RAISED_MS: u64 = 500 * 86_400_000;

/// How often what is old is looked for, and what waits is counted, in milliseconds.
const SWEEP_MS: u64 = 3_600_000;
const COUNT_MS: u64 = 5_000;

/// Who wants to be told, now.
pub type Asking = Box<dyn Fn() -> Audiences + Send>;

/// What a pump works with.
pub struct Parts {
    /// Where the spool is.
    pub data_dir: PathBuf,
    /// Who wants to be told.
    pub audiences: Asking,
    /// What happened.
    pub sources: Vec<Box<dyn Source>>,
    /// How webhooks are reached.
    pub poster: Arc<Poster>,
    /// How email is sent; `None` when it is not.
    pub mailer: Option<Arc<Mailer>>,
    /// What is counted.
    pub counts: Arc<Counts>,
    /// Tells the time.
    pub clock: Clock,
}

/// Delivers events.
pub struct Pump {
    parts: Parts,
    /// Opened when somebody first wants something: who does not has no file.
    spool: Option<Events>,
    flights: JoinSet<Landed>,
    busy: HashMap<Lane, Vec<u64>>,
    unsaved: Vec<Landed>,
    /// Who wanted to be told at the last look, and the receivers.
    audiences: Audiences,
    lanes: Vec<Lane>,
    sweep_from_ms: u64,
    count_from_ms: u64,
    rng: fastrand::Rng,
}

/// A try that is over.
struct Landed {
    lane: Lane,
    seq: u64,
    tried: Tried,
}

/// Where a delivery goes.
enum Receiver {
    Webhook(Arc<Webhook>),
    Email(Option<Arc<Mailer>>),
}

impl Pump {
    /// Returns one that has not been asked for anything yet.
    pub fn new(parts: Parts) -> Self {
        Self {
            parts,
            spool: None,
            flights: JoinSet::new(),
            busy: HashMap::new(),
            unsaved: Vec::new(),
            audiences: Audiences::new(),
            lanes: Vec::new(),
            sweep_from_ms: 0,
            count_from_ms: 0,
            rng: fastrand::Rng::new(),
        }
    }

    /// Starts the thread that delivers until the signal is given.
    ///
    /// # Errors
    /// When the system gives no thread or no timer.
    pub fn spawn(self, stop: Arc<StopSignal>) -> io::Result<JoinHandle<()>> {
        let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
        thread::Builder::new().name("events".into()).spawn(move || runtime.block_on(self.run(&stop)))
    }

    async fn run(mut self, stop: &StopSignal) {
        let (mut failing, mut look_at) = (false, after(Duration::ZERO));
        while !stop.is_stopped() {
            if passed(look_at) {
                failing = self.turn_and_log(failing);
                look_at = after(INTERVAL);
            } else if !failing && let Err(error) = self.launch() {
                tracing::debug!(component = "events", error = %error, "What is due cannot be read");
            }
            self.land_until(look_at, true).await;
        }
        self.land_until(after(LAST), false).await;
        let _ = self.save();
    }

    /// Works until nothing is due and nothing is on its way.
    ///
    /// # Errors
    /// When the spool or a source fails.
    pub async fn work_off(&mut self) -> Result<(), StoreError> {
        loop {
            self.turn()?;
            match self.flights.join_next().await {
                Some(landed) => self.land(landed.ok()),
                None => return self.save(),
            }
        }
    }

    /// Waits for deliveries on their way: until some have landed, so that others can go, or until all have.
    async fn land_until(&mut self, deadline: Instant, some: bool) {
        while !self.flights.is_empty() {
            let Ok(landed) = timeout_at(deadline, self.flights.join_next()).await else { return };
            self.land(landed.and_then(Result::ok));
            while let Some(landed) = self.flights.try_join_next() {
                self.land(landed.ok());
            }
            if some {
                return;
            }
        }
        if some {
            sleep_until(deadline).await;
        }
    }

    /// Returns whether a turn fails; logs when that changes.
    fn turn_and_log(&mut self, failing: bool) -> bool {
        match (self.turn(), failing) {
            (Err(error), false) => {
                tracing::error!(component = "events", error = %error, "Events cannot be told: the database fails");
                true
            }
            (Ok(()), true) => {
                tracing::info!(component = "events", "Events are told again");
                false
            }
            (result, _) => result.is_err(),
        }
    }

    /// Asks the sources and starts what is due.
    fn turn(&mut self) -> Result<(), StoreError> {
        let mut audiences = (self.parts.audiences)();
        audiences.retain(|_, audience| !audience.is_empty());
        if self.spool.is_none() && (!audiences.is_empty() || self.parts.data_dir.join("events.db").exists()) {
            self.spool = Some(Events::open(&self.parts.data_dir)?);
        }
        self.save()?;
        let gathered = self.gather(&audiences);
        self.keep_house(&audiences)?;
        self.audiences = audiences;
        self.launch()?;
        gathered
    }

    /// Writes down what happened. A source that fails keeps no other from being heard.
    fn gather(&mut self, audiences: &Audiences) -> Result<(), StoreError> {
        let (now_ms, mut result) = (self.parts.clock.unix_ms(), Ok(()));
        for source in &mut self.parts.sources {
            let mut asked = Asked { audiences, spool: self.spool.as_ref(), now_ms, batch: Batch::default() };
            if let Err(error) = source.collect(&mut asked) {
                result = Err(error);
                continue;
            }
            let batch = asked.batch;
            let written = match &mut self.spool {
                Some(spool) if !batch.is_empty() => spool.enqueue(&batch, now_ms, MOST_WAITING),
                _ => Ok(0),
            };
            match written {
                Ok(dropped) => {
                    Counts::add(&self.parts.counts.dropped, dropped);
                    source.written();
                }
                Err(error) => result = Err(error),
            }
        }
        result
    }

    /// Gives up what waits for nobody, deletes what is old, counts what waits.
    fn keep_house(&mut self, audiences: &Audiences) -> Result<(), StoreError> {
        let Some(spool) = &mut self.spool else { return Ok(()) };
        let now_ms = self.parts.clock.unix_ms();
        let lanes = lanes(audiences);
        if lanes != self.lanes {
            Counts::add(&self.parts.counts.dead, spool.abandon(&|lane| lanes.binary_search(lane).is_ok())?);
            self.lanes = lanes;
        }
        if now_ms >= self.sweep_from_ms {
            let deleted = spool.sweep(now_ms.saturating_sub(KEPT_MS), now_ms.saturating_sub(RAISED_MS), MOST_KEPT)?;
            if deleted == 0 {
                self.sweep_from_ms = now_ms.saturating_add(SWEEP_MS);
            }
        }
        if now_ms >= self.count_from_ms {
            self.parts.counts.waiting.store(spool.waiting()?, Ordering::Relaxed);
            self.count_from_ms = now_ms.saturating_add(COUNT_MS);
        }
        Ok(())
    }

    /// Sends off what is due.
    fn launch(&mut self) -> Result<(), StoreError> {
        let now_ms = self.parts.clock.unix_ms();
        // Whoever comes first in the list is not served first every time.
        let begin = if self.lanes.is_empty() { 0 } else { self.rng.usize(..self.lanes.len()) };
        for index in 0..self.lanes.len() {
            let Some(lane) = self.lanes.get((begin + index) % self.lanes.len()).cloned() else { continue };
            let most = if lane.channel == Channel::Webhook { PER_WEBHOOK } else { PER_ADDRESS };
            let busy = self.busy.get(&lane).map_or(&[][..], Vec::as_slice);
            let room = most.saturating_sub(busy.len()).min(TOGETHER.saturating_sub(self.flights.len()));
            let Some(receiver) = self.receiver(&lane) else { continue };
            let Some(spool) = self.spool.as_ref().filter(|_| room > 0) else { continue };
            for due in spool.due(&lane, now_ms, busy, room)? {
                self.busy.entry(lane.clone()).or_default().push(due.seq);
                self.start(&lane, &receiver, due);
            }
        }
        Ok(())
    }

    fn receiver(&self, lane: &Lane) -> Option<Receiver> {
        let audience = self.audiences.get(lane.environment.as_str())?;
        match lane.channel {
            // What waits for one that is switched off goes on waiting.
            Channel::Webhook => {
                audience.webhook(&lane.name).filter(|hook| hook.enabled).cloned().map(Receiver::Webhook)
            }
            Channel::Email => Some(Receiver::Email(self.parts.mailer.clone())),
        }
    }

    fn start(&mut self, lane: &Lane, receiver: &Receiver, due: Due) {
        let lane = lane.clone();
        let seed = self.rng.u64(..);
        match receiver {
            Receiver::Webhook(hook) => {
                let (poster, hook) = (Arc::clone(&self.parts.poster), Arc::clone(hook));
                self.flights.spawn(async move { by_webhook(&poster, &hook, lane, due, seed).await });
            }
            Receiver::Email(mailer) => {
                let (mailer, clock) = (mailer.clone(), self.parts.clock.clone());
                self.flights.spawn(async move { by_email(mailer.as_deref(), &clock, lane, due, seed).await });
            }
        }
    }

    fn land(&mut self, landed: Option<Landed>) {
        // A try that panicked stays on its way until the process starts anew: it is a fault of ours.
        self.unsaved.extend(landed);
        if let Err(error) = self.save() {
            tracing::debug!(component = "events", error = %error, "A delivery could not be written down");
        }
    }

    /// Writes down the tries that are over.
    fn save(&mut self) -> Result<(), StoreError> {
        let Some(spool) = &mut self.spool else { return Ok(()) };
        while let Some(landed) = self.unsaved.last() {
            spool.tried(landed.seq, &landed.tried)?;
            let Some(Landed { lane, seq, tried }) = self.unsaved.pop() else { break };
            count(&self.parts.counts, &lane, &tried);
            if let Some(busy) = self.busy.get_mut(&lane) {
                busy.retain(|other| *other != seq);
                if busy.is_empty() {
                    self.busy.remove(&lane);
                }
            }
        }
        Ok(())
    }
}

/// Returns every receiver, in order.
fn lanes(audiences: &Audiences) -> Vec<Lane> {
    let mut all = Vec::new();
    for (environment, audience) in audiences {
        let lane = |channel: Channel, name: &str, address: &str| {
            let environment = environment.as_ref().to_owned();
            Lane { environment, channel, name: name.to_owned(), address: address.to_owned() }
        };
        all.extend(audience.webhooks.iter().map(|hook| lane(Channel::Webhook, &hook.name, "")));
        for alert in &audience.alerts {
            all.extend(alert.emails.iter().map(|email| lane(Channel::Email, &alert.name, email)));
        }
    }
    all.sort_unstable();
    all.dedup();
    all
}

async fn by_webhook(poster: &Poster, hook: &Webhook, lane: Lane, due: Due, seed: u64) -> Landed {
    let (at_ms, began) = (poster.clock.unix_ms(), poster.clock.now());
    let answer = poster.post(hook, Posted { delivery: due.seq, kind: &due.kind, body: &due.body }).await;
    let took_ms = poster.clock.now().micros_since(began) / 1_000;
    let next = match &answer.error {
        None => Next::Delivered,
        // Gone: whoever says so does not want it later either.
        Some(_) if answer.status == Some(410) => Next::Dead,
        Some(_) => again(&due, poster.clock.unix_ms(), seed),
    };
    Landed { lane, seq: due.seq, tried: Tried { at_ms, took_ms, status: answer.status, error: answer.error, next } }
}

async fn by_email(mailer: Option<&Mailer>, clock: &Clock, lane: Lane, due: Due, seed: u64) -> Landed {
    let (at_ms, began) = (clock.unix_ms(), clock.now());
    let (status, error, next) = match mailer {
        None => (None, Some("no [smtp] is configured".to_owned()), again(&due, clock.unix_ms(), seed)),
        Some(mailer) => match timeout_at(after(mail::DEADLINE), mailer.send(&lane.address, &due.body, at_ms)).await {
            Ok(Ok(())) => (Some(250), None, Next::Delivered),
            Ok(Err(bounce)) if bounce.for_good => (bounce.status, Some(bounce.error), Next::Dead),
            Ok(Err(bounce)) => (bounce.status, Some(bounce.error), again(&due, clock.unix_ms(), seed)),
            Err(_) => (None, Some("the mail server did not answer in time".to_owned()), again(&due, at_ms, seed)),
        },
    };
    let took_ms = clock.now().micros_since(began) / 1_000;
    Landed { lane, seq: due.seq, tried: Tried { at_ms, took_ms, status, error, next } }
}

fn again(due: &Due, now_ms: u64, seed: u64) -> Next {
    let mut rng = fastrand::Rng::with_seed(seed);
    schedule::next(due.created_ms, now_ms, due.attempts.saturating_add(1), &mut rng).map_or(Next::Dead, Next::Again)
}

/// Counts a try, and logs one after which nobody tries again. Addresses and names of people are not logged.
fn count(counts: &Counts, lane: &Lane, tried: &Tried) {
    match (tried.next, lane.channel) {
        (Next::Delivered, Channel::Webhook) => Counts::add(&counts.webhooks_sent, 1),
        (Next::Delivered, Channel::Email) => Counts::add(&counts.emails_sent, 1),
        (Next::Again(_), _) => Counts::add(&counts.failed, 1),
        (Next::Dead, _) => {
            Counts::add(&counts.failed, 1);
            Counts::add(&counts.dead, 1);
            tracing::warn!(
                component = "events",
                environment = lane.environment,
                receiver = lane.name,
                error = tried.error,
                "A delivery is given up"
            );
        }
    }
}
