//! How a request and its response meet on one connection: order, failure, refusal, reuse.

use std::io::ErrorKind;

use bytes::Bytes;
use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

use super::script::{Script, Step, Writes, exchange, requested};
use crate::h1::{Connection, H1Error};

const POST: &[u8] = b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 11\r\n\r\n";
const REFUSAL: &[u8] = b"HTTP/1.1 413 Content Too Large\r\nContent-Length: 2\r\n\r\nno";

fn parts() -> Vec<Bytes> {
    ["", "hel", "lo", "", " ", "world", ""].map(|part| Bytes::from_static(part.as_bytes())).to_vec()
}

#[tokio::test]
async fn all_parts_are_written_in_order() {
    for writes in [Writes::Take, Writes::Trickle { pausing: false }] {
        let (script, written) = Script::new([Step::Hang], writes);
        Connection::new(Box::new(script)).send(POST, &parts()).await.unwrap();
        assert_eq!(*written.lock().unwrap(), [POST, b"hello world"].concat());
    }
}

#[tokio::test]
async fn many_parts_are_written_in_order() {
    let body: Vec<Bytes> = (0..100_u32).map(|at| Bytes::from(at.to_string())).collect();
    let (near, mut far) = duplex(64);
    let mut connection = Connection::new(Box::new(near));
    let mut got = vec![0; POST.len() + body.concat().len()];
    let (sent, read) = tokio::join!(connection.send(POST, &body), far.read_exact(&mut got));
    sent.unwrap();
    read.unwrap();
    assert_eq!(got, [POST, &body.concat()].concat());
}

#[tokio::test]
async fn one_connection_carries_many_exchanges() {
    let (near, mut far) = duplex(4096);
    let mut connection = Connection::new(Box::new(near));
    for _ in 0..3 {
        assert!(connection.is_reusable() && !connection.is_stale());
        connection.send(POST, &[Bytes::from_static(b"hello world")]).await.unwrap();
        assert!(!connection.is_reusable());
        far.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await.unwrap();
        connection.head().await.unwrap();
        assert_eq!(connection.response_bytes(), 40);
        assert_eq!(connection.collect(100).await.unwrap(), "ok");
    }
}

#[tokio::test]
async fn an_answer_that_came_before_the_failure_is_read() {
    for kind in [ErrorKind::BrokenPipe, ErrorKind::ConnectionReset] {
        let (script, _) = Script::new([Step::Bytes(REFUSAL.to_vec())], Writes::FailAfter(POST.len() + 3, kind));
        let mut connection = Connection::new(Box::new(script));
        assert!(matches!(connection.send(POST, &parts()).await, Err(H1Error::Io(_))));
        assert_eq!(connection.head().await.unwrap().status, 413);
        assert_eq!(connection.collect(100).await.unwrap(), "no");
        assert!(!connection.is_reusable(), "the request was not finished");
    }
}

#[tokio::test]
async fn a_peer_that_answers_and_stops_reading_does_not_hang_us() {
    let (script, _) = Script::new([Step::Bytes(REFUSAL.to_vec()), Step::Hang], Writes::StallAfter(POST.len() + 3));
    let mut connection = Connection::new(Box::new(script));
    connection.send(POST, &parts()).await.unwrap();
    assert_eq!(connection.head().await.unwrap().status, 413);
    assert_eq!(connection.collect(100).await.unwrap(), "no");
    assert!(!connection.is_reusable());
}

#[tokio::test]
async fn an_early_success_does_not_stop_the_request() {
    let early = Step::Bytes(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok".to_vec());
    let (script, written) = Script::new([early], Writes::Trickle { pausing: false });
    let mut connection = Connection::new(Box::new(script));
    connection.send(POST, &parts()).await.unwrap();
    assert!(written.lock().unwrap().ends_with(b"hello world"));
    assert_eq!(connection.head().await.unwrap().status, 200);
    assert_eq!(connection.collect(100).await.unwrap(), "ok");
    assert!(connection.is_reusable());
}

#[tokio::test]
async fn a_dead_connection_shows_that_nothing_came_back() {
    let (script, _) = Script::new([], Writes::FailAfter(0, ErrorKind::BrokenPipe));
    let mut connection = Connection::new(Box::new(script));
    assert!(matches!(connection.send(POST, &[]).await, Err(H1Error::Io(_))));
    assert!(matches!(connection.head().await, Err(H1Error::Closed)));
    assert_eq!(connection.response_bytes(), 0);
}

#[tokio::test]
async fn an_unclean_end_is_never_a_whole_body() {
    let until_eof = Step::Bytes(b"HTTP/1.1 200 OK\r\n\r\nhello".to_vec());
    let result = exchange("GET", [until_eof.clone(), Step::Fail(ErrorKind::UnexpectedEof)]).await;
    assert!(matches!(result, Err(H1Error::Truncated)));
    let result = exchange("GET", [until_eof, Step::Fail(ErrorKind::ConnectionReset)]).await;
    assert!(matches!(result, Err(H1Error::Io(_))));
    let result = exchange("GET", [Step::Fail(ErrorKind::UnexpectedEof)]).await;
    assert!(matches!(result, Err(H1Error::Closed)));
}

#[tokio::test]
async fn after_an_error_there_is_no_end_of_body() {
    let mut connection =
        requested("GET", [Step::Bytes(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nab".to_vec())]).await;
    connection.head().await.unwrap();
    assert_eq!(connection.data().await.unwrap().unwrap(), "ab");
    for _ in 0..2 {
        assert!(matches!(connection.data().await, Some(Err(H1Error::Truncated))));
        assert!(!connection.body_ended() && !connection.is_reusable());
    }
}

#[tokio::test]
async fn a_dropped_send_leaves_nothing_to_reuse() {
    let (script, _) = Script::new([Step::Hang], Writes::StallAfter(5));
    let mut connection = Connection::new(Box::new(script));
    tokio::select! {
        biased;
        _ = connection.send(POST, &[]) => {}
        () = tokio::task::yield_now() => {}
    }
    assert!(!connection.is_reusable());
    assert!(matches!(connection.send(POST, &[]).await, Err(H1Error::Closed)));
}

#[tokio::test]
async fn an_idle_connection_is_stale_once_the_peer_moves() {
    let (near, far) = duplex(64);
    let mut connection = Connection::new(Box::new(near));
    assert!(!connection.is_stale());
    drop(far);
    assert!(connection.is_stale());

    let (near, mut far) = duplex(64);
    let mut connection = Connection::new(Box::new(near));
    far.write_all(b"H").await.unwrap();
    assert!(connection.is_stale());
}
