//! Stopping: readiness flips at once, what is in flight finishes within the grace time.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use engine::gateway::Gateway;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// The two steps of stopping.
#[derive(Clone, Default)]
pub struct Stop {
    /// No further connection is accepted, and open ones end after their request.
    pub accepting: CancellationToken,
    /// What is in flight is not waited for any longer.
    pub waiting: CancellationToken,
}

/// Waits for SIGTERM or SIGINT, then drains the data plane. A second signal ends the wait; what is open then is
/// settled as cancelled.
pub async fn drain(gateway: &Gateway, stop: &Stop, grace: Duration) {
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate()).ok(), signal(SignalKind::interrupt()).ok());
    tokio::select! {
        () = next(&mut terminate) => {}
        () = next(&mut interrupt) => {}
    }
    let open = gateway.held.now().0;
    tracing::info!(component = "shutdown", open, grace_ms = grace.as_millis() as u64, "Draining");
    gateway.start_draining();
    stop.accepting.cancel();
    gateway.tasks.close();
    tokio::select! {
        ended = tokio::time::timeout(grace, gateway.tasks.wait()) => {
            if ended.is_err() {
                tracing::warn!(component = "shutdown", open = gateway.held.now().0, "The grace time is over");
            }
        }
        () = next(&mut terminate) => {}
        () = next(&mut interrupt) => {}
    }
    stop.waiting.cancel();
}

/// Notes every SIGHUP, for ever: it asks for the configuration file to be read again.
pub async fn note_hangups(noted: &AtomicBool) {
    let mut hangup = signal(SignalKind::hangup()).ok();
    loop {
        next(&mut hangup).await;
        noted.store(true, Ordering::Relaxed);
    }
}

async fn next(signal: &mut Option<Signal>) {
    match signal {
        Some(signal) => {
            signal.recv().await;
        }
        None => std::future::pending().await,
    }
}

/// Lets the process have as many connections as the system allows it.
pub fn raise_descriptor_limit() {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    if setrlimit(Resource::Nofile, raised).is_err() {
        tracing::debug!(component = "start", "The limit of open files stays as it is");
    }
}
