//! Idle connections that wait for another request.
//!
//! It exists to save the handshakes. One pool belongs to one worker thread, so its lock is never contended and a
//! connection never leaves the runtime that drives it. The most recently used connection goes out first: it is the
//! least likely to have been closed by the peer, and the surplus ages out.
//!
//! It opens nothing, it does not limit connections in use, and it has no clock: time is a parameter, in nanoseconds of
//! one monotonic clock.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::connector::Origin;
use crate::h1::Connection;

/// How much idleness is kept.
#[derive(Debug, Clone, Copy)]
pub struct PoolOptions {
    /// How many idle connections one origin may have; beyond it the one idle for longest is closed.
    pub max_idle_per_origin: usize,
    /// How long a connection may be idle.
    pub idle_timeout: Duration,
}

impl Default for PoolOptions {
    fn default() -> Self {
        Self { max_idle_per_origin: 256, idle_timeout: Duration::from_secs(60) }
    }
}

/// The idle connections of one worker.
pub struct Pool {
    options: PoolOptions,
    /// There are few origins, so that to compare some names is less work than to hash one.
    idle: Mutex<BTreeMap<Origin, VecDeque<Idle>>>,
}

/// One connection; those of an origin are ordered by the time they came back.
struct Idle {
    connection: Connection,
    since_nanos: u64,
}

impl Pool {
    /// Builds an empty pool.
    pub fn new(options: PoolOptions) -> Self {
        Self { options, idle: Mutex::default() }
    }

    /// Takes the most recently used connection to `origin`, dropping those that expired or that the peer has closed.
    pub fn checkout(&self, origin: &Origin, now_nanos: u64) -> Option<Connection> {
        let mut idle = self.lock();
        let queue = idle.get_mut(origin)?;
        while let Some(mut newest) = queue.pop_back() {
            if self.is_expired(&newest, now_nanos) {
                // All others are older.
                queue.clear();
                return None;
            }
            if !newest.connection.is_stale() {
                return Some(newest.connection);
            }
        }
        None
    }

    /// Keeps `connection` for later if it may carry another request, otherwise closes it.
    pub fn put_back(&self, origin: &Origin, mut connection: Connection, now_nanos: u64) {
        if !connection.is_reusable() || self.options.max_idle_per_origin == 0 {
            return;
        }
        connection.release_buffer();
        let returned = Idle { connection, since_nanos: now_nanos };
        let mut idle = self.lock();
        let Some(queue) = idle.get_mut(origin) else {
            idle.insert(origin.clone(), VecDeque::from([returned]));
            return;
        };
        if queue.len() >= self.options.max_idle_per_origin {
            queue.pop_front();
        }
        queue.push_back(returned);
    }

    /// Closes what expired; the host calls it every 30 seconds or so.
    pub fn sweep(&self, now_nanos: u64) {
        self.lock().retain(|_, queue| {
            while queue.front().is_some_and(|oldest| self.is_expired(oldest, now_nanos)) {
                queue.pop_front();
            }
            !queue.is_empty()
        });
    }

    /// Returns how many connections are idle.
    pub fn idle(&self) -> usize {
        self.lock().values().map(VecDeque::len).sum()
    }

    fn is_expired(&self, idle: &Idle, now_nanos: u64) -> bool {
        u128::from(now_nanos.saturating_sub(idle.since_nanos)) >= self.options.idle_timeout.as_nanos()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Origin, VecDeque<Idle>>> {
        // No operation leaves the map half changed, so a panic elsewhere does not spoil it.
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};

    const SECOND: u64 = 1_000_000_000;

    fn origin(host: &str) -> Origin {
        Origin { tls: true, host: host.into(), port: 443 }
    }

    fn connection() -> (Connection, DuplexStream) {
        let (near, far) = duplex(1024);
        (Connection::new(Box::new(near)), far)
    }

    fn pool(max_idle_per_origin: usize) -> Pool {
        Pool::new(PoolOptions { max_idle_per_origin, idle_timeout: Duration::from_secs(60) })
    }

    /// Which of the peers sees a request on `connection`.
    async fn peer_of(mut connection: Connection, peers: &mut [DuplexStream]) -> usize {
        connection.send(b"GET / HTTP/1.1\r\n\r\n", &[]).await.unwrap();
        drop(connection);
        for (at, peer) in peers.iter_mut().enumerate() {
            let mut byte = [0];
            let seen = std::future::poll_fn(|cx| {
                let mut buf = tokio::io::ReadBuf::new(&mut byte);
                let polled = tokio::io::AsyncRead::poll_read(std::pin::Pin::new(&mut *peer), cx, &mut buf);
                std::task::Poll::Ready(polled.is_ready() && !buf.filled().is_empty())
            });
            if seen.await {
                return at;
            }
        }
        usize::MAX
    }

    #[tokio::test]
    async fn the_most_recently_used_goes_first() {
        let pool = pool(256);
        let mut peers = Vec::new();
        for now in 0..3 {
            let (connection, peer) = connection();
            pool.put_back(&origin("a"), connection, now);
            peers.push(peer);
        }
        assert_eq!(pool.idle(), 3);
        assert!(pool.checkout(&origin("b"), 3).is_none());
        let first = pool.checkout(&origin("a"), 3).unwrap();
        assert_eq!(peer_of(first, &mut peers).await, 2);
        let second = pool.checkout(&origin("a"), 3).unwrap();
        assert_eq!(peer_of(second, &mut peers).await, 1);
    }

    #[test]
    fn a_full_pool_closes_the_longest_idle() {
        let pool = pool(2);
        let mut peers = Vec::new();
        for now in 0..3 {
            let (connection, peer) = connection();
            pool.put_back(&origin("a"), connection, now);
            peers.push(peer);
        }
        assert_eq!(pool.idle(), 2);
        let (mut oldest, _keep) = (Connection::new(Box::new(peers.remove(0))), peers);
        assert!(oldest.is_stale(), "its other end was dropped");
    }

    #[test]
    fn expired_ones_are_not_given_out() {
        let pool = pool(256);
        let (first, _first_peer) = connection();
        let (second, _second_peer) = connection();
        pool.put_back(&origin("a"), first, 0);
        pool.put_back(&origin("a"), second, SECOND);
        assert!(pool.checkout(&origin("a"), 61 * SECOND).is_none());
        assert_eq!(pool.idle(), 0);
    }

    #[test]
    fn a_sweep_drops_only_what_expired() {
        let pool = pool(256);
        let (first, _first_peer) = connection();
        let (second, _second_peer) = connection();
        pool.put_back(&origin("a"), first, 0);
        pool.put_back(&origin("a"), second, SECOND);
        pool.sweep(60 * SECOND);
        assert_eq!(pool.idle(), 1);
        pool.sweep(61 * SECOND);
        assert_eq!(pool.idle(), 0);
        assert!(pool.lock().is_empty(), "no entry is left behind");
    }

    #[tokio::test]
    async fn stale_ones_are_passed_over() {
        let pool = pool(256);
        let (good, _good_peer) = connection();
        let (closed, closed_peer) = connection();
        let (chatty, mut chatty_peer) = connection();
        pool.put_back(&origin("a"), good, 0);
        pool.put_back(&origin("a"), closed, 0);
        pool.put_back(&origin("a"), chatty, 0);
        drop(closed_peer);
        chatty_peer.write_all(b"HTTP/1.1 408 Request Timeout\r\n\r\n").await.unwrap();
        assert!(pool.checkout(&origin("a"), 1).is_some());
        assert_eq!(pool.idle(), 0);
    }

    #[tokio::test]
    async fn what_is_not_reusable_is_not_kept() {
        let pool = pool(256);
        let (mut unfinished, mut peer) = connection();
        unfinished.send(b"GET / HTTP/1.1\r\n\r\n", &[]).await.unwrap();
        pool.put_back(&origin("a"), unfinished, 0);
        assert_eq!(pool.idle(), 0);
        let mut rest = Vec::new();
        peer.read_to_end(&mut rest).await.unwrap();
        assert_eq!(rest, b"GET / HTTP/1.1\r\n\r\n");
    }
}
