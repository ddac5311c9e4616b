//! How a connection lives: what it waits for, how long, and how it ends.

use std::time::Duration;

use tokio::time::Instant;

use super::*;

const WAIT: &str = "GET /wait HTTP/1.1\r\n\r\n";

/// Returns after how many seconds the server ends the connection.
async fn ends_after(client: &mut Client) -> u64 {
    #[expect(clippy::disallowed_methods, reason = "the paused clock of the test")]
    let start = Instant::now();
    client.until_closed().await;
    start.elapsed().as_secs()
}

#[tokio::test(start_paused = true)]
async fn it_rests_between_requests_but_not_for_ever() {
    let mut client = Client::new();
    assert_eq!(ends_after(&mut client).await, 90, "nothing comes");
    let mut client = Client::new();
    for _ in 0..3 {
        client.send("GET /a HTTP/1.1\r\n\r\n").await;
        client.read_until("GET /a ").await;
        tokio::time::advance(Duration::from_secs(80)).await;
    }
    assert_eq!(ends_after(&mut client).await, 10, "90 s after the last reply");
}

#[tokio::test(start_paused = true)]
async fn a_head_that_was_begun_must_come() {
    for head in ["G", "GET /a HTTP/1.1\r\n", "GET /a HTTP/1.1\r\nx: "] {
        let mut client = Client::new();
        client.send(head).await;
        assert_eq!(ends_after(&mut client).await, 10);
        let mut client = Client::new();
        client.send("GET /a HTTP/1.1\r\n\r\n").await;
        client.read_until("GET /a ").await;
        tokio::time::advance(Duration::from_secs(50)).await;
        client.send(head).await;
        assert_eq!(ends_after(&mut client).await, 10, "after a rest, too");
        assert_eq!(client.seen().len(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_head_that_trickles_must_come_in_time() {
    let mut client = Client::new();
    for _ in 0..9 {
        client.send("G").await;
        tokio::time::advance(Duration::from_secs(1)).await;
        client.settle().await;
    }
    assert!(ends_after(&mut client).await <= 2);
}

#[tokio::test(start_paused = true)]
async fn who_does_not_read_is_given_up() {
    let mut client = Client::with_room(4_096);
    client.send("GET /endless HTTP/1.1\r\n\r\n").await;
    client.settle().await;
    let asked = client.echo.asked.load(Ordering::Relaxed);
    assert!((60..200).contains(&asked), "no more is made than is taken: {asked}");
    tokio::time::advance(Duration::from_secs(59)).await;
    client.settle().await;
    assert!(!client.served.is_finished());
    tokio::time::advance(Duration::from_secs(2)).await;
    client.settle().await;
    assert!(client.served.is_finished());
    assert_eq!(client.echo.asked.load(Ordering::Relaxed), asked);
}

#[tokio::test(start_paused = true)]
async fn who_reads_slowly_is_not_given_up() {
    let mut client = Client::with_room(4_096);
    client.send("GET /endless HTTP/1.1\r\n\r\n").await;
    for _ in 0..5 {
        tokio::time::advance(Duration::from_secs(50)).await;
        let mut some = [0; 4_096];
        client.io.read_exact(&mut some).await.unwrap();
        client.settle().await;
        assert!(!client.served.is_finished());
    }
}

#[tokio::test(start_paused = true)]
async fn a_request_whose_peer_is_gone_is_dropped() {
    for ahead in ["", "GET /a HTTP/1.1\r\n\r\n"] {
        let mut client = Client::new();
        client.send(WAIT).await;
        client.settle().await;
        assert_eq!(client.echo.waiting.load(Ordering::Relaxed), 1);
        client.send(ahead).await;
        client.settle().await;
        let (echo, served) = (client.echo.clone(), client.served);
        drop(client.io);
        if ahead.is_empty() {
            served.await.unwrap();
        } else {
            // What was sent ahead hides the end, as long as the request takes.
            echo.told.notify_one();
            served.await.unwrap();
        }
        assert_eq!(echo.waiting.load(Ordering::Relaxed), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn a_stream_whose_peer_is_gone_is_dropped() {
    let mut client = Client::with_room(4_096);
    client.send("GET /endless HTTP/1.1\r\n\r\n").await;
    client.settle().await;
    drop(client.io);
    client.served.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn what_is_sent_ahead_waits_and_much_of_it_is_not_read() {
    let mut client = Client::with_room(1_000);
    client.send(WAIT).await;
    client.settle().await;
    let ahead = "GET /a HTTP/1.1\r\n\r\n".repeat(200);
    client.send(&ahead[..1_200]).await;
    let more = tokio::time::timeout(Duration::from_secs(5), client.io.write_all(&ahead.as_bytes()[1_200..]));
    assert!(more.await.is_err(), "the peer is held up");
    assert_eq!(client.seen().len(), 1, "one after the other");
    client.echo.told.notify_one();
    client.read_until("GET /a ").await;
}

#[tokio::test(start_paused = true)]
async fn the_body_is_asked_for_only_when_it_is_wanted() {
    let fields = "expect: 100-continue\r\ncontent-length: 5\r\n\r\n";
    let mut client = Client::new();
    client.send(format!("POST /a HTTP/1.1\r\n{fields}")).await;
    assert_eq!(client.read_until("\r\n\r\n").await, "HTTP/1.1 100 Continue\r\n\r\n");
    client.send("hello").await;
    assert!(client.rest().await.ends_with("POST /a hello"));
    let mut client = Client::new();
    client.send(format!("POST /unread HTTP/1.1\r\n{fields}")).await;
    assert!(client.until_closed().await.starts_with("HTTP/1.1 401"));
    let mut client = Client::new();
    client.send(format!("POST /a HTTP/1.1\r\n{fields}hello")).await;
    assert!(client.rest().await.starts_with("HTTP/1.1 200"), "who sends it at once is not asked");
    let mut client = Client::new();
    client.send(format!("POST /a HTTP/1.0\r\n{fields}hello")).await;
    assert!(client.rest().await.starts_with("HTTP/1.1 200"), "an old version knows no interim response");
}

#[tokio::test(start_paused = true)]
async fn what_nobody_read_ends_the_connection_after_the_reply() {
    let mut client = Client::new();
    client.send("POST /unread HTTP/1.1\r\ncontent-length: 18\r\n\r\nGET /a HTTP/1.1\r\n").await;
    let said = client.until_closed().await;
    assert!(said.starts_with("HTTP/1.1 401") && said.contains("connection: close"), "{said}");
    client.send("\r\nGET /b HTTP/1.1\r\n\r\n").await;
    tokio::time::advance(Duration::from_secs(3)).await;
    client.settle().await;
    assert!(client.served.is_finished(), "it is listened to for a moment only");
    assert_eq!(client.seen(), ["/unread"]);
}

#[tokio::test(start_paused = true)]
async fn a_body_that_is_cut_short_is_told_to_the_handler() {
    for framing in ["content-length: 5\r\n\r\nhel", "transfer-encoding: chunked\r\n\r\n5\r\nhel"] {
        let mut client = Client::new();
        client.send(format!("POST /a HTTP/1.1\r\n{framing}")).await;
        assert!(client.rest().await.starts_with("HTTP/1.1 400"));
    }
}

#[tokio::test(start_paused = true)]
async fn a_stop_ends_what_rests_and_lets_finish_what_is_in_flight() {
    let mut resting = Client::new();
    resting.send("GET /a HTTP/1.1\r\n\r\n").await;
    resting.read_until("GET /a ").await;
    resting.stop.cancel();
    assert_eq!(ends_after(&mut resting).await, 0);
    let mut busy = Client::new();
    busy.send(WAIT).await;
    busy.send("GET /a HTTP/1.1\r\n\r\n").await;
    busy.settle().await;
    busy.stop.cancel();
    busy.settle().await;
    busy.echo.told.notify_one();
    let said = busy.until_closed().await;
    assert!(said.contains("connection: close\r\n") && said.ends_with("GET /wait "), "{said}");
    assert_eq!(busy.seen().len(), 1, "no other request is begun");
}
