//! Stopping: readiness flips at once, what is in flight finishes within the grace time.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use engine::gateway::Gateway;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use server::admin::serve::MAX_CONNECTIONS;
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
///
/// Readiness is over at once. For the `delay`, connections are accepted on, so that whoever shares out requests by
/// readiness has time to see it.
pub async fn drain(gateway: &Gateway, stop: &Stop, delay: Duration, grace: Duration) {
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate()).ok(), signal(SignalKind::interrupt()).ok());
    tokio::select! {
        () = next(&mut terminate) => {}
        () = next(&mut interrupt) => {}
    }
    let open = gateway.held.now().0;
    tracing::info!(component = "shutdown", open, grace_ms = grace.as_millis() as u64, "Draining");
    gateway.start_draining();
    tokio::select! {
        () = tokio::time::sleep(delay) => {}
        () = next(&mut terminate) => {}
        () = next(&mut interrupt) => {}
    }
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

/// How the descriptors that the process may have are shared out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Room {
    /// Connections of callers. Each may need another one to a provider.
    pub data: usize,
    /// Connections to the admin side.
    pub admin: usize,
}

impl Room {
    /// Shares out so many descriptors: a quarter, at most 256, for databases, the journal and what else is open; an
    /// eighth, at most 1,024, for the admin side; half of the rest for callers.
    pub fn of(descriptors: u64) -> Self {
        let descriptors = usize::try_from(descriptors).unwrap_or(usize::MAX).min(1 << 20);
        let (own, admin) = ((descriptors / 4).min(256), (descriptors / 8).min(MAX_CONNECTIONS));
        let data = descriptors.saturating_sub(own + admin) / 2;
        Self { data: data.max(1), admin: admin.max(1) }
    }

    /// Shares out what the process may have.
    pub fn now() -> Self {
        Self::of(getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn descriptors_are_shared_out() {
        let check = |descriptors: u64, data: usize, admin: usize| {
            assert_eq!(Room::of(descriptors), Room { data, admin }, "{descriptors}");
        };
        check(0, 1, 1);
        check(256, 80, 32);
        check(1_024, 320, 128);
        check(65_536, 32_128, 1_024);
        check(u64::MAX, 523_648, 1_024);
        for descriptors in [16, 100, 256, 4_096, 1 << 20] {
            let Room { data, admin } = Room::of(descriptors);
            assert!(2 * data + admin <= usize::try_from(descriptors).unwrap(), "{descriptors}");
        }
    }
}
