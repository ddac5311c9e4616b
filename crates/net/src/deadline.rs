//! Deadlines of the runtime's timers.
//!
//! Timers go by the runtime's own clock, which tests pause and simulations replace; this is the one place that asks it.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::time::error::Elapsed;
use tokio::time::{Instant, Sleep, sleep_until, timeout_at};

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

/// One timer for many deadlines, one after the other. It is set anew only when it must ring earlier: a deadline that moves
/// away is looked at when the timer rings, so that moving it costs nothing.
#[derive(Default)]
pub struct Alarm(Option<Pin<Box<Sleep>>>);

impl Alarm {
    /// Waits for a deadline.
    pub fn poll_until(&mut self, context: &mut Context<'_>, deadline: Instant) -> Poll<()> {
        let sleep = self.0.get_or_insert_with(|| Box::pin(sleep_until(deadline)));
        if sleep.deadline() > deadline {
            sleep.as_mut().reset(deadline);
        }
        loop {
            ready!(sleep.as_mut().poll(context));
            if passed(deadline) {
                return Poll::Ready(());
            }
            sleep.as_mut().reset(deadline);
        }
    }

    /// Awaits a future until a deadline; `None` when that passes first.
    pub async fn within<F: Future>(&mut self, deadline: Instant, future: F) -> Option<F::Output> {
        let mut future = pin!(future);
        poll_fn(|context| match future.as_mut().poll(context) {
            Poll::Ready(output) => Poll::Ready(Some(output)),
            Poll::Pending => self.poll_until(context, deadline).map(|()| None),
        })
        .await
    }
}
