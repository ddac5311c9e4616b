//! Deadlines of the runtime's timers.
//!
//! Timers go by the runtime's own clock, which tests pause and simulations replace; this is the one place that asks it.

use std::time::Duration;

use tokio::time::Instant;

/// Returns the instant that is so long from now.
pub fn after(wait: Duration) -> Instant {
    Instant::now() + wait
}

/// Whether the instant has passed.
pub fn passed(deadline: Instant) -> bool {
    Instant::now() >= deadline
}
