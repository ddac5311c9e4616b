//! Deadlines of the runtime's timers.
//!
//! Timers go by the runtime's own clock, which tests pause and simulations replace; this is the one place that asks it.

use std::time::Duration;

use tokio::time::Instant;

/// Returns the instant that is so long from now.
#[expect(clippy::disallowed_methods, reason = "the one place that asks the runtime's clock")]
pub fn after(wait: Duration) -> Instant {
    Instant::now() + wait
}

/// Whether the instant has passed.
#[expect(clippy::disallowed_methods, reason = "the one place that asks the runtime's clock")]
pub fn passed(deadline: Instant) -> bool {
    Instant::now() >= deadline
}
