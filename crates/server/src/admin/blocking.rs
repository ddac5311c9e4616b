//! Work that blocks, on threads of its own: few at a time, each for a bounded time.
//!
//! A database that hangs must not pile up threads: those who come while all are taken are refused. A thread that is
//! given up keeps its place until it returns.

use std::sync::Arc;
use std::time::Duration;

use net::deadline::after;
use tokio::sync::Semaphore;
use tokio::time::timeout_at;

use super::problem::Problem;

/// How many pieces of work run at once.
const AT_ONCE: usize = 16;

/// How long one waits for its turn.
const TURN: Duration = Duration::from_secs(2);

/// How long one may take. SQLite waits at most 5 s for a lock.
const TIME: Duration = Duration::from_secs(15);

/// Where blocking work runs.
#[derive(Debug)]
pub struct Blocking(Arc<Semaphore>);

impl Default for Blocking {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(AT_ONCE)))
    }
}

impl Blocking {
    /// Runs a piece of work.
    ///
    /// # Errors
    /// 503 when no turn comes or the time is over, 500 when the work panics.
    pub async fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T, Problem> {
        let turn = timeout_at(after(TURN), Arc::clone(&self.0).acquire_owned()).await;
        let Ok(Ok(turn)) = turn else {
            return Err(Problem::unavailable("the database is busy with other requests"));
        };
        let task = tokio::task::spawn_blocking(move || {
            let done = work();
            drop(turn);
            done
        });
        match timeout_at(after(TIME), task).await {
            Ok(Ok(done)) => Ok(done),
            Ok(Err(_)) => Err(Problem::internal("the request could not be finished")),
            Err(_) => Err(Problem::unavailable("the database did not answer in time")
                .hint("read it again before you repeat a change: it may have taken effect")),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use super::super::problem::Code;
    use super::*;

    #[tokio::test]
    async fn work_is_done_elsewhere() {
        let here = std::thread::current().id();
        let there = Blocking::default().run(|| std::thread::current().id()).await.unwrap();
        assert_ne!(here, there);
    }

    #[tokio::test]
    async fn work_that_panics_gives_its_place_back() {
        let blocking = Blocking::default();
        for _ in 0..2 * AT_ONCE {
            let failed: Result<(), Problem> = blocking.run(|| panic!("on purpose")).await;
            assert_eq!(failed.unwrap_err().code(), Code::InternalError);
        }
        assert_eq!(blocking.run(|| 1).await.unwrap(), 1);
    }

    #[tokio::test]
    async fn stuck_work_does_not_pile_up() {
        let blocking = Arc::new(Blocking::default());
        let mut stuck = Vec::new();
        let mut threads = tokio::task::JoinSet::new();
        for _ in 0..AT_ONCE {
            let (release, wait) = channel::<()>();
            stuck.push(release);
            let blocking = Arc::clone(&blocking);
            threads.spawn(async move { blocking.run(move || wait.recv().is_ok()).await });
        }
        while blocking.0.available_permits() > 0 {
            tokio::task::yield_now().await;
        }
        let mut late = Box::pin(blocking.run(|| ()));
        tokio::select! {
            biased;
            _ = &mut late => panic!("there is no place for it"),
            () = tokio::task::yield_now() => {}
        }
        drop(stuck);
        late.await.unwrap();
        assert!(threads.join_all().await.into_iter().all(|done| !done.unwrap()));
    }
}
