//! A peer that gives exactly the reads it was told to give, so that segment boundaries are the test's choice.

use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::h1::{Connection, H1Error, ResponseHead};

/// What one read finds. After the last step the stream is at its end.
#[derive(Debug, Clone)]
pub(super) enum Step {
    Bytes(Vec<u8>),
    Pause,
    Fail(io::ErrorKind),
    /// Nothing more comes, and no end either.
    Hang,
}

/// What writes do.
#[derive(Debug, Clone, Copy)]
pub(super) enum Writes {
    Take,
    /// One byte per write, pausing before each.
    Trickle {
        pausing: bool,
    },
    /// Take this many bytes, then fail.
    FailAfter(usize, io::ErrorKind),
    /// Take this many bytes, then never any more.
    StallAfter(usize),
}

pub(super) struct Script {
    steps: VecDeque<Step>,
    writes: Writes,
    written: Arc<Mutex<Vec<u8>>>,
}

impl Script {
    pub(super) fn new(steps: impl IntoIterator<Item = Step>, writes: Writes) -> (Self, Arc<Mutex<Vec<u8>>>) {
        let written = Arc::new(Mutex::new(Vec::new()));
        (Self { steps: steps.into_iter().collect(), writes, written: Arc::clone(&written) }, written)
    }
}

impl AsyncRead for Script {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.steps.pop_front() {
            None => Poll::Ready(Ok(())),
            Some(Step::Pause) => {
                cx.waker().wake_by_ref();
                Poll::Pending
            }
            Some(Step::Hang) => {
                self.steps.push_front(Step::Hang);
                Poll::Pending
            }
            Some(Step::Fail(kind)) => Poll::Ready(Err(kind.into())),
            Some(Step::Bytes(mut bytes)) => {
                let left = bytes.split_off(bytes.len().min(buf.remaining()));
                buf.put_slice(&bytes);
                if !left.is_empty() {
                    self.steps.push_front(Step::Bytes(left));
                }
                Poll::Ready(Ok(()))
            }
        }
    }
}

impl AsyncWrite for Script {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let count = match &mut self.writes {
            Writes::Take => buf.len(),
            Writes::Trickle { pausing } => {
                *pausing = !*pausing;
                if *pausing {
                    cx.waker().wake_by_ref();
                    return Poll::Pending;
                }
                1
            }
            Writes::FailAfter(0, kind) => return Poll::Ready(Err((*kind).into())),
            Writes::StallAfter(0) => return Poll::Pending,
            Writes::FailAfter(left, _) | Writes::StallAfter(left) => {
                let count = buf.len().min(*left);
                *left -= count;
                count
            }
        };
        let mut written = self.written.lock().unwrap_or_else(PoisonError::into_inner);
        written.extend_from_slice(buf.get(..count).unwrap_or_default());
        Poll::Ready(Ok(count))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// Cuts `response` into reads at the given points.
pub(super) fn cut(response: &[u8], points: &[usize]) -> Vec<Step> {
    let mut steps = Vec::new();
    let mut from = 0;
    for &to in points.iter().chain([&response.len()]) {
        if let Some(part @ [_, ..]) = response.get(from..to) {
            steps.push(Step::Bytes(part.to_vec()));
            from = to;
        }
    }
    steps
}

/// A connection over the steps, on which a request was sent.
pub(super) async fn requested(method: &str, steps: impl IntoIterator<Item = Step>) -> Connection {
    let mut connection = Connection::new(Box::new(Script::new(steps, Writes::Take).0));
    let head = format!("{method} / HTTP/1.1\r\nhost: a\r\n\r\n");
    assert!(connection.send(head.as_bytes(), &[]).await.is_ok());
    connection
}

/// What a whole exchange gave.
#[derive(Debug)]
pub(super) struct Outcome {
    pub(super) head: ResponseHead,
    pub(super) frames: Vec<Bytes>,
    pub(super) reusable: bool,
    pub(super) response_bytes: u64,
}

impl Outcome {
    pub(super) fn body(&self) -> Vec<u8> {
        self.frames.concat()
    }
}

pub(super) async fn exchange(method: &str, steps: impl IntoIterator<Item = Step>) -> Result<Outcome, H1Error> {
    let mut connection = requested(method, steps).await;
    let head = connection.head().await?;
    let mut frames = Vec::new();
    while let Some(frame) = connection.data().await {
        frames.push(frame?);
    }
    assert!(connection.body_ended());
    let (reusable, response_bytes) = (connection.is_reusable(), connection.response_bytes());
    Ok(Outcome { head, frames, reusable, response_bytes })
}
