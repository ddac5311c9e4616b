//! Tests of HTTP/2 against clients in memory. The clock of the runtime is paused: nothing sleeps.

mod bounds;
mod life;

use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use ::h2::client::{Builder, Connection, ResponseFuture, SendRequest};
use ::h2::{Reason, SendStream};
use bytes::Bytes;
use http::{Method, Request, Response};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::h1::serve::tests::Echo;

/// What serves a connection.
struct Server {
    echo: Echo,
    stop: CancellationToken,
    tasks: TaskTracker,
    served: JoinHandle<()>,
}

impl Server {
    /// Serves one end of a pipe with so much room; returns the other.
    fn start(room: usize) -> (DuplexStream, Self) {
        let (io, far) = duplex(room);
        let (echo, stop, tasks) = (Echo::default(), CancellationToken::new(), TaskTracker::new());
        let (handler, stopping, streams) = (echo.clone(), stop.clone(), tasks.clone());
        let served = TaskTracker::new().spawn(async move {
            let http2 = crate::h1::serve::serve(Box::new(far), &handler, &stopping).await;
            let spawn = |stream| drop(streams.spawn(stream));
            super::serve(http2.expect("the preface is found"), Arc::new(handler), &stopping, spawn).await;
        });
        (io, Self { echo, stop, tasks, served })
    }

    fn waiting(&self) -> usize {
        self.echo.waiting.load(Ordering::Relaxed)
    }
}

/// Lets everybody do what they can.
async fn settle() {
    for _ in 0..50 {
        tokio::task::yield_now().await;
    }
}

/// A client, driven by a task of its own.
struct Client {
    send: SendRequest<Bytes>,
    driver: JoinHandle<Result<(), ::h2::Error>>,
    server: Server,
}

impl Client {
    async fn new() -> Self {
        Self::with(&Builder::new()).await
    }

    async fn with(builder: &Builder) -> Self {
        let (io, server) = Server::start(1 << 20);
        let (send, connection): (_, Connection<_, Bytes>) = builder.handshake(io).await.unwrap();
        let driver = TaskTracker::new().spawn(connection);
        Self { send, driver, server }
    }

    /// Begins a request; its body is over when none is wanted.
    async fn begin(&self, request: Request<()>, over: bool) -> (ResponseFuture, SendStream<Bytes>) {
        self.send.clone().ready().await.unwrap().send_request(request, over).unwrap()
    }

    async fn ask(&self, method: Method, path: &str, body: &str) -> Response<String> {
        let (reply, mut stream) = self.begin(request(method, path), body.is_empty()).await;
        if !body.is_empty() {
            upload(&mut stream, Bytes::copy_from_slice(body.as_bytes())).await;
        }
        whole(reply.await.unwrap()).await
    }
}

fn request(method: Method, path: &str) -> Request<()> {
    Request::builder().method(method).uri(format!("http://x{path}")).body(()).unwrap()
}

/// Sends a body as the windows allow.
async fn upload(stream: &mut SendStream<Bytes>, mut left: Bytes) {
    while !left.is_empty() {
        stream.reserve_capacity(left.len());
        let room = poll_fn(|cx| stream.poll_capacity(cx)).await.unwrap().unwrap();
        let part = left.split_to(room.min(left.len()));
        stream.send_data(part, left.is_empty()).unwrap();
    }
}

async fn whole(reply: Response<::h2::RecvStream>) -> Response<String> {
    let (parts, mut body) = reply.into_parts();
    let mut all = Vec::new();
    while let Some(data) = body.data().await {
        let data = data.unwrap();
        body.flow_control().release_capacity(data.len()).unwrap();
        all.extend_from_slice(&data);
    }
    Response::from_parts(parts, String::from_utf8(all).unwrap())
}

fn field<'a>(reply: &'a Response<String>, name: &str) -> &'a str {
    reply.headers().get(name).map_or("", |value| value.to_str().unwrap())
}

#[tokio::test(start_paused = true)]
async fn requests_are_answered() {
    let client = Client::new().await;
    let reply = client.ask(Method::POST, "/a", "hello").await;
    assert_eq!((reply.status().as_u16(), reply.body().as_str()), (200, "POST /a hello"));
    assert_eq!(field(&reply, "content-length"), "13");
    assert_eq!(field(&reply, "date"), "Sun, 06 Nov 1994 08:49:37 GMT");
    let reply = client.ask(Method::GET, "/parts", "").await;
    assert_eq!(reply.body(), "onetwoGET /parts ");
    assert_eq!(field(&reply, "content-length"), "");
    let reply = client.ask(Method::HEAD, "/a", "").await;
    assert_eq!((reply.body().as_str(), field(&reply, "content-length")), ("", "8"));
    let reply = client.ask(Method::GET, "/empty", "").await;
    assert_eq!((reply.status().as_u16(), field(&reply, "content-length")), (204, ""));
}

#[tokio::test(start_paused = true)]
async fn a_body_may_be_larger_than_the_window() {
    let client = Client::new().await;
    let reply = client.ask(Method::POST, "/a", &"x".repeat(3 << 20)).await;
    assert_eq!(reply.body().len(), "POST /a ".len() + (3 << 20));
}

#[tokio::test(start_paused = true)]
async fn trailers_are_passed_over() {
    let client = Client::new().await;
    let (reply, mut stream) = client.begin(request(Method::POST, "/a"), false).await;
    stream.send_data("hello".into(), false).unwrap();
    stream.send_trailers([(http::HeaderName::from_static("x"), "y".parse().unwrap())].into_iter().collect()).unwrap();
    assert_eq!(whole(reply.await.unwrap()).await.body(), "POST /a hello");
}

#[tokio::test(start_paused = true)]
async fn who_waits_for_leave_to_send_gets_it() {
    let client = Client::new().await;
    let mut head = request(Method::POST, "/a");
    head.headers_mut().insert("expect", "100-continue".parse().unwrap());
    let (mut reply, mut stream) = client.begin(head, false).await;
    let interim = poll_fn(|cx| reply.poll_informational(cx)).await.unwrap().unwrap();
    assert_eq!(interim.status().as_u16(), 100);
    stream.send_data("hello".into(), true).unwrap();
    assert_eq!(whole(reply.await.unwrap()).await.body(), "POST /a hello");
}

#[tokio::test(start_paused = true)]
async fn what_is_answered_by_its_head_is_not_read() {
    let client = Client::new().await;
    let (reply, mut stream) = client.begin(request(Method::POST, "/unread"), false).await;
    assert_eq!(whole(reply.await.unwrap()).await.status().as_u16(), 401);
    let reason = poll_fn(|cx| stream.poll_reset(cx)).await.unwrap();
    assert_eq!(reason, Reason::NO_ERROR);
    assert_eq!(client.ask(Method::POST, "/a", "hello").await.body(), "POST /a hello");
}

#[test]
fn no_reply_speaks_of_its_connection() {
    let fields = ["connection", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade", "x-request-id"];
    let mut headers = fields.into_iter().map(|name| (name.parse().unwrap(), "x".parse().unwrap())).collect();
    super::stream::complete(&mut headers, None, 0);
    let mut left: Vec<&str> = headers.keys().map(http::HeaderName::as_str).collect();
    left.sort_unstable();
    assert_eq!(left, ["date", "x-request-id"]);
}
