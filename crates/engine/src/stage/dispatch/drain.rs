//! A buffered call whose caller leaves goes on to its end: the provider charges for it, so its usage must be known.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use policy::limit::reservation::Reservation;

use crate::worker::Worker;

/// Awaits a future; when it is dropped before its end, the future goes on as a tracked task that knows that nobody
/// waits for its answer.
///
/// `places` are given back when it is dropped, whatever becomes of the future.
pub(super) fn finish_if_abandoned<F>(
    worker: &Arc<Worker>,
    future: F,
    abandoned: Arc<AtomicBool>,
    places: Reservation,
) -> Drained<F>
where
    F: Future + Send + 'static,
    F::Output: Send,
{
    Drained { future: Some(Box::pin(future)), worker: Arc::clone(worker), abandoned, _places: places }
}

pub(super) struct Drained<F>
where
    F: Future + Send + 'static,
    F::Output: Send,
{
    future: Option<Pin<Box<F>>>,
    worker: Arc<Worker>,
    abandoned: Arc<AtomicBool>,
    _places: Reservation,
}

impl<F> Future for Drained<F>
where
    F: Future + Send + 'static,
    F::Output: Send,
{
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        // It is taken out, so that a future that panics is not gone on with.
        let Some(mut future) = self.future.take() else { return Poll::Pending };
        let polled = future.as_mut().poll(context);
        self.future = polled.is_pending().then_some(future);
        polled
    }
}

impl<F> Drop for Drained<F>
where
    F: Future + Send + 'static,
    F::Output: Send,
{
    fn drop(&mut self) {
        let Some(future) = self.future.take() else { return };
        self.abandoned.store(true, Ordering::Relaxed);
        if std::thread::panicking() {
            return;
        }
        // Without a runtime the process is on its way out: the ticket inside settles what is known.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            self.worker.gateway.tasks.spawn_on(
                async move {
                    future.await;
                },
                &runtime,
            );
        }
    }
}
