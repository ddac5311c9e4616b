//! However a response is cut into segments, it is the same response.

use proptest::prelude::*;

use super::script::{Outcome, Step, cut, exchange, requested};

const SIZED: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 11\r\nX: y\r\n\r\nhello world";
const CHUNKED: &[u8] = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n\
    5;a=\"b\"\r\nhello\r\n1 \r\n \r\n005\r\nworld\r\n0\r\nT: u\r\n\r\n";
const UNTIL_EOF: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.0 200 \r\n\r\nhello world";

fn run<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

fn check(outcome: &Outcome, response: &[u8], body: &[u8], reusable: bool) {
    assert_eq!(outcome.head.status, 200);
    assert_eq!(outcome.body(), body);
    assert_eq!(outcome.reusable, reusable);
    assert_eq!(outcome.response_bytes, response.len() as u64);
    assert!(outcome.frames.iter().all(|frame| !frame.is_empty()));
}

#[test]
fn two_cuts_anywhere() {
    for (response, reusable) in [(SIZED, true), (CHUNKED, true), (UNTIL_EOF, false)] {
        for first in 0..response.len() {
            for second in first..response.len() {
                let outcome = run(exchange("GET", cut(response, &[first, second]))).unwrap();
                check(&outcome, response, b"hello world", reusable);
            }
        }
    }
}

#[test]
fn one_byte_at_a_time_with_pauses() {
    for (response, reusable) in [(SIZED, true), (CHUNKED, true), (UNTIL_EOF, false)] {
        let steps = response.iter().flat_map(|&byte| [Step::Pause, Step::Bytes(vec![byte])]);
        check(&run(exchange("GET", steps)).unwrap(), response, b"hello world", reusable);
    }
}

#[test]
fn collect_is_the_same_anywhere() {
    for response in [SIZED, CHUNKED, UNTIL_EOF] {
        for first in 0..response.len() {
            for second in first..response.len() {
                let collected = run(async {
                    let mut connection = requested("GET", cut(response, &[first, second])).await;
                    connection.head().await.unwrap();
                    let collected = connection.collect(11).await.unwrap();
                    assert!(connection.body_ended());
                    assert_eq!(connection.response_bytes(), response.len() as u64);
                    collected
                });
                assert_eq!(collected, "hello world");
            }
        }
    }
}

#[test]
fn every_prefix_is_truncated_or_closed() {
    for response in [SIZED, CHUNKED] {
        for end in 0..response.len() {
            let error = run(exchange("GET", cut(&response[..end], &[]))).unwrap_err();
            let expected = if end == 0 { "Closed" } else { "Truncated" };
            assert_eq!(format!("{error:?}"), expected, "cut at {end}");
        }
    }
}

#[test]
fn one_read_of_many_chunks_is_one_frame() {
    let outcome = run(exchange("GET", cut(CHUNKED, &[]))).unwrap();
    assert_eq!(outcome.frames, ["hello world"]);
}

/// A response in one of the three framings, its body, and whether it leaves the connection reusable.
fn framed(body: &[u8], framing: u8, chunk: usize) -> (Vec<u8>, bool) {
    let mut response = b"HTTP/1.1 200 OK\r\n".to_vec();
    match framing {
        0 => {
            response.extend_from_slice(format!("content-length: {}\r\n\r\n", body.len()).as_bytes());
            response.extend_from_slice(body);
        }
        1 => {
            response.extend_from_slice(b"transfer-encoding: CHUNKED\r\n\r\n");
            for piece in body.chunks(chunk) {
                response.extend_from_slice(format!("{:X}\r\n", piece.len()).as_bytes());
                response.extend_from_slice(piece);
                response.extend_from_slice(b"\r\n");
            }
            response.extend_from_slice(b"0\r\n\r\n");
        }
        _ => {
            response.extend_from_slice(b"\r\n");
            response.extend_from_slice(body);
        }
    }
    (response, framing < 2)
}

proptest! {
    #[test]
    fn random_bodies_and_cuts(
        body in proptest::collection::vec(any::<u8>(), 0..20_000),
        framing in 0_u8..3,
        chunk in 1_usize..5000,
        mut points in proptest::collection::vec(0_usize..25_000, 0..40),
    ) {
        points.sort_unstable();
        let (response, reusable) = framed(&body, framing, chunk);
        let steps = cut(&response, &points);
        let reads = steps.len();
        let outcome = run(exchange("GET", steps.clone())).unwrap();
        prop_assert_eq!(outcome.body(), body.clone());
        prop_assert_eq!(outcome.reusable, reusable);
        prop_assert!(outcome.frames.len() <= reads + response.len() / 1024, "frames follow reads, not chunks");
        let collected = run(async {
            let mut connection = requested("GET", steps).await;
            connection.head().await.unwrap();
            connection.collect(body.len()).await.unwrap()
        });
        prop_assert_eq!(collected, body);
    }

    /// Whatever a peer sends, it is answered or refused, without a panic or an endless loop.
    #[test]
    fn noise_is_survived(
        noise in proptest::collection::vec(prop_oneof![Just(b'\r'), Just(b'\n'), Just(b'0'), Just(b'5'), any::<u8>()], 0..200),
        points in proptest::collection::vec(0_usize..200, 0..5),
    ) {
        let mut response = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n".to_vec();
        response.extend_from_slice(&noise);
        let mut points = points;
        points.sort_unstable();
        let whole = run(exchange("GET", cut(&response, &[]))).map(|outcome| outcome.body());
        let pieces = run(exchange("GET", cut(&response, &points))).map(|outcome| outcome.body());
        prop_assert_eq!(whole.map_err(|error| error.to_string()), pieces.map_err(|error| error.to_string()));
        drop(run(exchange("GET", cut(&noise, &points))));
    }
}
