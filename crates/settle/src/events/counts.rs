//! How many deliveries there were.

use std::sync::atomic::{AtomicU64, Ordering};

/// Counts since the process started, but for what waits.
#[derive(Debug, Default)]
pub struct Counts {
    /// Webhook deliveries that were taken.
    pub webhooks_sent: AtomicU64,
    /// Emails that were taken.
    pub emails_sent: AtomicU64,
    /// Tries that failed.
    pub failed: AtomicU64,
    /// Deliveries that were given up.
    pub dead: AtomicU64,
    /// Events and deliveries that were dropped because too many waited.
    pub dropped: AtomicU64,
    /// Deliveries that wait.
    pub waiting: AtomicU64,
}

impl Counts {
    /// Adds to a count.
    pub(super) fn add(count: &AtomicU64, more: u64) {
        count.fetch_add(more, Ordering::Relaxed);
    }

    /// Returns every count with its name and what it means.
    pub fn all(&self) -> [(&'static str, &'static str, u64); 5] {
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        [
            ("webhook_deliveries_sent", "Webhook deliveries that were taken", read(&self.webhooks_sent)),
            ("alert_emails_sent", "Alert emails that were taken", read(&self.emails_sent)),
            ("event_deliveries_failed", "Tries of deliveries that failed", read(&self.failed)),
            ("event_deliveries_dead", "Deliveries that were given up", read(&self.dead)),
            ("events_dropped", "Events that were dropped because too many waited", read(&self.dropped)),
        ]
    }
}
