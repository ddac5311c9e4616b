//! Tests of the server's side against clients in memory. The clock of the runtime is paused: nothing sleeps.

mod framing;
mod life;

use std::collections::VecDeque;
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use bytes::Bytes;
use http::request::Parts;
use http::{Response, StatusCode};
use http_body::{Body, Frame, SizeHint};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::head::HeadError;
use super::{Handler, RequestBody, serve};

/// A reply's body: parts that are there, with or without a known length.
pub(crate) struct Reply {
    parts: VecDeque<Bytes>,
    known: bool,
    /// Counts the parts that were asked for; with it they never end.
    endless: Option<Arc<AtomicUsize>>,
}

impl Body for Reply {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if let Some(asked) = &self.endless {
            asked.fetch_add(1, Ordering::Relaxed);
            return Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(&[b'x'; 1_000])))));
        }
        Poll::Ready(self.parts.pop_front().map(|part| Ok(Frame::data(part))))
    }

    fn is_end_stream(&self) -> bool {
        self.endless.is_none() && self.parts.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        let length = self.parts.iter().map(|part| part.len() as u64).sum();
        if self.known { SizeHint::with_exact(length) } else { SizeHint::default() }
    }
}

/// Tells what it was asked, in the reply. The path decides how.
#[derive(Clone, Default)]
pub(crate) struct Echo {
    pub(crate) seen: Arc<Mutex<Vec<String>>>,
    /// Requests for `/wait` wait for it.
    pub(crate) told: Arc<Notify>,
    /// Requests for `/wait` that are being answered.
    pub(crate) waiting: Arc<AtomicUsize>,
    pub(crate) asked: Arc<AtomicUsize>,
}

struct Waiting(Arc<AtomicUsize>);

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

async fn whole(mut body: RequestBody) -> Result<Vec<u8>, super::BodyError> {
    let mut all = Vec::new();
    while let Some(frame) = std::future::poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await {
        all.extend_from_slice(&frame?.into_data().unwrap());
    }
    Ok(all)
}

impl Handler for Echo {
    type Body = Reply;

    async fn answer(&self, head: Box<Parts>, body: RequestBody) -> Response<Reply> {
        let path = head.uri.path().to_owned();
        if path == "/unread" {
            self.seen.lock().unwrap().push(path);
            return reply(401, vec!["no".into()], true);
        }
        let Ok(body) = whole(body).await else { return reply(400, vec!["cut".into()], true) };
        let said = format!("{} {path} {}", head.method, String::from_utf8_lossy(&body));
        self.seen.lock().unwrap().push(said.clone());
        if path == "/wait" {
            self.waiting.fetch_add(1, Ordering::Relaxed);
            let _waiting = Waiting(Arc::clone(&self.waiting));
            self.told.notified().await;
        }
        match path.as_str() {
            "/parts" => reply(200, vec!["one".into(), "two".into(), said.into()], false),
            "/empty" => reply(204, Vec::new(), true),
            "/endless" => {
                let body = Reply { parts: VecDeque::new(), known: false, endless: Some(Arc::clone(&self.asked)) };
                Response::new(body)
            }
            _ => reply(200, vec![said.into()], true),
        }
    }

    fn refuse(&self, path: &str, error: HeadError) -> Response<Reply> {
        let status = if error == HeadError::TooLarge { 431 } else { 400 };
        reply(status, vec![format!("{path}: {error}").into()], true)
    }

    fn unix_seconds(&self) -> u64 {
        784_111_777
    }
}

fn reply(status: u16, parts: Vec<Bytes>, known: bool) -> Response<Reply> {
    let mut response = Response::new(Reply { parts: parts.into(), known, endless: None });
    *response.status_mut() = StatusCode::from_u16(status).unwrap();
    response
}

/// A client, and what serves it.
pub(super) struct Client {
    io: DuplexStream,
    echo: Echo,
    stop: CancellationToken,
    served: tokio::task::JoinHandle<()>,
}

impl Client {
    fn new() -> Self {
        Self::with_room(1 << 20)
    }

    fn with_room(room: usize) -> Self {
        let (io, far) = duplex(room);
        let (echo, stop) = (Echo::default(), CancellationToken::new());
        let (handler, stopping) = (echo.clone(), stop.clone());
        let served = TaskTracker::new().spawn(async move {
            assert!(serve(Box::new(far), &handler, &stopping).await.is_none());
        });
        Self { io, echo, stop, served }
    }

    async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        // A server that has closed takes nothing.
        let _ = self.io.write_all(bytes.as_ref()).await;
    }

    /// Lets the server do what it can.
    async fn settle(&self) {
        for _ in 0..20 {
            tokio::task::yield_now().await;
        }
    }

    /// Ends the client's side, and returns all that the server said.
    async fn rest(mut self) -> String {
        let mut said = Vec::new();
        self.io.shutdown().await.unwrap();
        self.io.read_to_end(&mut said).await.unwrap();
        self.served.await.unwrap();
        String::from_utf8(said).unwrap()
    }

    /// Returns all that the server says until it ends the connection.
    async fn until_closed(&mut self) -> String {
        let mut said = Vec::new();
        self.io.read_to_end(&mut said).await.unwrap();
        String::from_utf8(said).unwrap()
    }

    async fn read_until(&mut self, end: &str) -> String {
        let mut said = Vec::new();
        while !said.ends_with(end.as_bytes()) {
            said.push(self.io.read_u8().await.unwrap());
        }
        String::from_utf8(said).unwrap()
    }

    fn seen(&self) -> Vec<String> {
        self.echo.seen.lock().unwrap().clone()
    }
}
