//! Deadlines of the runtime's timers.
//!
//! Timers go by the runtime's own clock, which tests pause and simulations replace; this is the one place that asks it.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use tokio::time::error::Elapsed;
use tokio::time::{Instant, timeout_at};

/// Returns the instant that is so long from now.
#[expect(clippy::disallowed_methods, reason = "the one place that asks the runtime's clock")]
pub fn after(wait: Duration) -> Instant {
    Instant::now() + wait
}

/// Awaits a future until a deadline. What is ready at once needs neither a clock nor a timer: most bytes are there
/// before they are asked for.
///
/// # Errors
/// When the deadline passes first.
pub async fn within<F: Future>(deadline: impl FnOnce() -> Instant, future: F) -> Result<F::Output, Elapsed> {
    let mut future = pin!(future);
    let now = poll_fn(|context| match future.as_mut().poll(context) {
        Poll::Ready(output) => Poll::Ready(Some(output)),
        Poll::Pending => Poll::Ready(None),
    });
    match now.await {
        Some(output) => Ok(output),
        None => timeout_at(deadline(), future).await,
    }
}

/// Whether the instant has passed.
#[expect(clippy::disallowed_methods, reason = "the one place that asks the runtime's clock")]
pub fn passed(deadline: Instant) -> bool {
    Instant::now() >= deadline
}
