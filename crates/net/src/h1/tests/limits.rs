//! Every bound holds, and memory does not grow with what passes through.

use std::task::{Context, Poll, Waker};

use super::script::{Step, cut, exchange, requested};
use crate::h1::H1Error;

const CHUNKED_HEAD: &str = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";

async fn status_or_error(response: String) -> Result<u16, String> {
    let result = exchange("GET", [Step::Bytes(response.into_bytes())]).await;
    result.map(|outcome| outcome.head.status).map_err(|error| format!("{error:?}"))
}

fn head_of(length: usize) -> String {
    let around = "HTTP/1.1 204 N\r\nA: \r\n\r\n".len();
    format!("HTTP/1.1 204 N\r\nA: {}\r\n\r\n", "a".repeat(length - around))
}

#[tokio::test]
async fn a_head_has_64_kib() {
    assert_eq!(status_or_error(head_of(64 * 1024)).await, Ok(204));
    assert_eq!(status_or_error(head_of(64 * 1024 + 1)).await, Err("TooLarge".into()));
    assert_eq!(status_or_error(head_of(1024 * 1024)).await, Err("TooLarge".into()));
}

#[tokio::test]
async fn a_head_has_256_fields() {
    let with = |count| format!("HTTP/1.1 204 N\r\n{}\r\n", "a: b\r\n".repeat(count));
    assert_eq!(status_or_error(with(256)).await, Ok(204));
    assert_eq!(status_or_error(with(257)).await, Err("Malformed(\"more than 256 header fields\")".into()));
}

#[tokio::test]
async fn interim_responses_are_counted() {
    let with = |count| format!("{}HTTP/1.1 204 N\r\n\r\n", "HTTP/1.1 103 E\r\n\r\n".repeat(count));
    assert_eq!(status_or_error(with(256)).await, Ok(204));
    assert_eq!(status_or_error(with(257)).await, Err("Malformed(\"more than 256 interim responses\")".into()));
}

#[tokio::test]
async fn a_chunk_extension_has_4_kib() {
    let with = |length: usize| format!("{CHUNKED_HEAD}0;{}\r\n\r\n", "x".repeat(length - 1));
    assert_eq!(status_or_error(with(4 * 1024)).await, Ok(200));
    assert_eq!(status_or_error(with(4 * 1024 + 1)).await, Err("TooLarge".into()));
}

#[tokio::test]
async fn trailers_have_16_kib() {
    let with = |count| format!("{CHUNKED_HEAD}0\r\n{}\r\n", "abc: de\r\n".repeat(count));
    assert_eq!(status_or_error(with(16 * 1024 / 8 - 1)).await, Ok(200));
    assert_eq!(status_or_error(with(16 * 1024 / 8 + 1)).await, Err("TooLarge".into()));
}

#[tokio::test]
async fn collect_has_a_limit_in_every_framing() {
    let bodies = [
        "Content-Length: 6\r\n\r\nabcdef",
        "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n3\r\ndef\r\n0\r\n\r\n",
        "\r\nabcdef",
    ];
    for body in bodies {
        let response = format!("HTTP/1.1 200 OK\r\n{body}");
        for points in [vec![], (0..response.len()).collect::<Vec<_>>()] {
            let mut connection = requested("GET", cut(response.as_bytes(), &points)).await;
            connection.head().await.unwrap();
            assert!(matches!(connection.collect(5).await, Err(H1Error::TooLarge)), "{body:?}");
            assert!(!connection.is_reusable());
        }
    }
}

#[tokio::test]
async fn a_claimed_length_is_not_believed() {
    let response = "HTTP/1.1 200 OK\r\nContent-Length: 999999999999\r\n\r\nabc";
    let mut connection = requested("GET", cut(response.as_bytes(), &[])).await;
    connection.head().await.unwrap();
    assert!(matches!(connection.collect(usize::MAX).await, Err(H1Error::Truncated)));
}

#[tokio::test]
async fn collect_grows_past_what_it_preallocates() {
    let body: Vec<u8> = (0..5_000_000_u32).map(|at| (at % 251) as u8).collect();
    let mut response = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len()).into_bytes();
    response.extend_from_slice(&body);
    let mut connection = requested("GET", cut(&response, &[50, 100_000, 3_000_000])).await;
    connection.head().await.unwrap();
    assert_eq!(connection.collect(body.len()).await.unwrap(), body);
    assert!(connection.is_reusable());
}

#[tokio::test]
async fn a_long_stream_of_small_chunks_keeps_a_small_buffer() {
    let event = "data: {\"delta\":\"0123456789abcdef0123456789abcdef\"}\n\n";
    let chunk = format!("{:x}\r\n{event}\r\n", event.len());
    let head = [Step::Bytes(CHUNKED_HEAD.into())];
    let chunks = (0..20_000).flat_map(|_| [Step::Bytes(chunk.clone().into_bytes()), Step::Pause]);
    let steps = head.into_iter().chain(chunks).chain([Step::Bytes(b"0\r\n\r\n".to_vec())]);
    let mut connection = requested("GET", steps).await;
    connection.head().await.unwrap();
    let mut frames = 0;
    while let Some(frame) = connection.data().await {
        assert_eq!(frame.unwrap(), event);
        assert!(connection.buffer.allocated() <= 4 * 1024);
        frames += 1;
    }
    assert_eq!(frames, 20_000);
    assert!(connection.is_reusable());
}

#[tokio::test]
async fn a_fast_stream_reads_large_and_waits_small() {
    let fast = Step::Bytes(vec![b'x'; 2_000_000]);
    let mut connection = requested("GET", [Step::Bytes(b"HTTP/1.1 200 OK\r\n\r\n".to_vec()), fast, Step::Hang]).await;
    connection.head().await.unwrap();
    let mut context = Context::from_waker(Waker::noop());
    let (mut frames, mut largest, mut total) = (0, 0, 0);
    while let Poll::Ready(frame) = connection.poll_data(&mut context) {
        let frame = frame.unwrap().unwrap();
        frames += 1;
        largest = largest.max(frame.len());
        total += frame.len();
        assert!(connection.buffer.allocated() <= 64 * 1024);
    }
    assert_eq!(total, 2_000_000);
    assert_eq!(largest, 64 * 1024, "reads grow");
    assert!(frames < 40, "{frames} reads");
    assert!(connection.buffer.allocated() <= 8 * 1024, "a waiting stream holds little");
}

#[tokio::test]
async fn a_waiting_head_holds_little_once_it_is_small() {
    let mut connection = requested("GET", [Step::Bytes(head_of(60_000).into_bytes()), Step::Hang]).await;
    let head = connection.head().await.unwrap();
    assert_eq!(head.get("a").unwrap().len(), 60_000 - "HTTP/1.1 204 N\r\nA: \r\n\r\n".len());
    connection.release_buffer();
    assert_eq!(connection.buffer.allocated(), 0);
}

#[tokio::test]
async fn nothing_is_read_ahead() {
    let reads = ["HTTP/1.1 200 OK\r\n\r\n", "one", "two"].map(|text| Step::Bytes(text.into()));
    let mut connection = requested("GET", reads).await;
    connection.head().await.unwrap();
    let before = connection.response_bytes();
    assert_eq!(connection.data().await.unwrap().unwrap(), "one");
    assert_eq!(connection.response_bytes(), before + 3);
}
