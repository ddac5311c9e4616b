//! Happy eyeballs (RFC 8305): several addresses, one connection, no long wait for a dead one.
//!
//! It exists because a host often has an IPv6 address that cannot be reached from here. Addresses are tried in turn,
//! the families alternating, each attempt 250 ms after the last or as soon as the last has failed; the first that
//! connects wins and the others are dropped. It starts no tasks.

use std::future::{Future, poll_fn};
use std::io;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::{Sleep, sleep};

/// The connection attempt delay of RFC 8305, section 5.
const STAGGER: Duration = Duration::from_millis(250);

/// Alternates between the families, beginning with that of the first address (RFC 8305, section 4).
pub(super) fn interleave(addresses: Vec<SocketAddr>) -> Vec<SocketAddr> {
    let first_is_v6 = addresses.first().is_some_and(SocketAddr::is_ipv6);
    let (preferred, other): (Vec<_>, Vec<_>) =
        addresses.into_iter().partition(|address| address.is_ipv6() == first_is_v6);
    let mut ordered = Vec::with_capacity(preferred.len().saturating_add(other.len()));
    let (mut preferred, mut other) = (preferred.into_iter(), other.into_iter());
    loop {
        let pair = [preferred.next(), other.next()];
        if pair == [None, None] {
            return ordered;
        }
        ordered.extend(pair.into_iter().flatten());
    }
}

/// Returns the first connection that `connect` makes to one of `addresses`, or the error of the last that failed.
pub(super) async fn first<T, F>(addresses: Vec<SocketAddr>, connect: impl Fn(SocketAddr) -> F) -> io::Result<T>
where
    F: Future<Output = io::Result<T>> + Send,
{
    if let [address] = addresses.as_slice() {
        return connect(*address).await;
    }
    let mut race = Race {
        waiting: addresses.into_iter(),
        running: Vec::new(),
        error: io::Error::new(io::ErrorKind::NotFound, "no address to connect to"),
    };
    let mut stagger = pin!(sleep(Duration::ZERO));
    poll_fn(|cx| race.poll(cx, stagger.as_mut(), &connect)).await
}

struct Race<F> {
    waiting: std::vec::IntoIter<SocketAddr>,
    running: Vec<Pin<Box<F>>>,
    error: io::Error,
}

impl<F> Race<F> {
    fn poll<T>(
        &mut self,
        cx: &mut Context<'_>,
        mut stagger: Pin<&mut Sleep>,
        connect: impl Fn(SocketAddr) -> F,
    ) -> Poll<io::Result<T>>
    where
        F: Future<Output = io::Result<T>>,
    {
        let mut start_next = self.running.is_empty();
        loop {
            let (winner, failed) = self.poll_running(cx);
            if let Some(winner) = winner {
                return Poll::Ready(Ok(winner));
            }
            start_next |= failed || stagger.as_mut().poll(cx).is_ready();
            if !start_next {
                return Poll::Pending;
            }
            let Some(address) = self.waiting.next() else { break };
            self.running.push(Box::pin(connect(address)));
            stagger.set(sleep(STAGGER));
            start_next = false;
        }
        if self.running.is_empty() {
            return Poll::Ready(Err(std::mem::replace(&mut self.error, io::ErrorKind::NotFound.into())));
        }
        Poll::Pending
    }

    /// Polls every running attempt; returns the connection, if there is one, and whether an attempt failed.
    fn poll_running<T>(&mut self, cx: &mut Context<'_>) -> (Option<T>, bool)
    where
        F: Future<Output = io::Result<T>>,
    {
        let (mut winner, mut failed) = (None, false);
        self.running.retain_mut(|attempt| match attempt.as_mut().poll(cx) {
            Poll::Pending => true,
            Poll::Ready(Ok(stream)) => {
                winner = Some(stream);
                false
            }
            Poll::Ready(Err(error)) => {
                self.error = error;
                failed = true;
                false
            }
        });
        (winner, failed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::deadline::after;

    fn v4(last: u8) -> SocketAddr {
        SocketAddr::from(([192, 0, 2, last], 443))
    }

    fn v6(last: u16) -> SocketAddr {
        SocketAddr::from(([0x2001, 0xdb8, 0, 0, 0, 0, 0, last], 443))
    }

    #[test]
    fn families_alternate_from_the_first() {
        assert_eq!(interleave(vec![v6(1), v6(2), v6(3), v4(1)]), [v6(1), v4(1), v6(2), v6(3)]);
        assert_eq!(interleave(vec![v4(1), v4(2), v6(1), v6(2)]), [v4(1), v6(1), v4(2), v6(2)]);
        assert!(interleave(Vec::new()).is_empty());
    }

    /// Connects as scripted: the time it takes, and whether it works.
    async fn scripted(address: SocketAddr, script: &[(SocketAddr, u64, bool)]) -> io::Result<SocketAddr> {
        let (_, after_ms, works) = script.iter().find(|step| step.0 == address).unwrap();
        sleep(Duration::from_millis(*after_ms)).await;
        if *works { Ok(address) } else { Err(io::ErrorKind::ConnectionRefused.into()) }
    }

    async fn check(script: &[(SocketAddr, u64, bool)], expect: Option<SocketAddr>, expect_ms: u64) {
        let addresses = script.iter().map(|step| step.0).collect();
        let started = after(Duration::ZERO);
        let result = first(addresses, |address| scripted(address, script)).await;
        assert_eq!(result.ok(), expect);
        assert_eq!(started.elapsed().as_millis() as u64, expect_ms);
    }

    #[tokio::test(start_paused = true)]
    async fn a_dead_address_costs_one_stagger() {
        check(&[(v6(1), 60_000, false), (v4(1), 20, true)], Some(v4(1)), 270).await;
    }

    #[tokio::test(start_paused = true)]
    async fn a_failed_address_costs_no_wait() {
        check(&[(v6(1), 5, false), (v4(1), 20, true)], Some(v4(1)), 25).await;
    }

    #[tokio::test(start_paused = true)]
    async fn an_early_attempt_may_still_win() {
        check(&[(v6(1), 300, true), (v4(1), 200, true)], Some(v6(1)), 300).await;
    }

    #[tokio::test(start_paused = true)]
    async fn all_may_fail() {
        check(&[(v6(1), 400, false), (v4(1), 10, false), (v4(2), 10, false)], None, 400).await;
    }

    #[tokio::test]
    async fn no_address_is_an_error() {
        let result = first(Vec::new(), |_| async { Ok(()) }).await;
        assert_eq!(result.unwrap_err().kind(), io::ErrorKind::NotFound);
    }
}
