//! Connections: how long they rest, what comes on them one after the other, and how they end when the gateway stops.

use std::sync::Arc;
use std::time::Duration;

use testkit::client::now;
use testkit::data::{self, delta, role};
use testkit::gateway::{Gateway, REQUEST, STREAM};
use testkit::script::Script;
use tokio::sync::Notify;
use tokio::time::advance;

const CHAT: &str = "POST /v1/chat/completions";

fn gateway() -> Gateway {
    Gateway::builder().provider("p", Script::chat("Hello")).start()
}

#[tokio::test(start_paused = true)]
async fn a_connection_may_rest_between_two_requests() {
    let gateway = gateway();
    let mut client = gateway.client();
    for _ in 0..3 {
        client.request(CHAT, &gateway.fields(), REQUEST.as_bytes()).await;
        assert_eq!(client.reply().await.status, 200);
        advance(Duration::from_secs(80)).await;
    }
    let start = now();
    client.read_to_end().await;
    assert!(start.elapsed().as_secs() <= 11, "it does not rest for ever");
    gateway.records(3).await;
}

#[tokio::test(start_paused = true)]
async fn a_head_that_was_begun_on_a_rested_connection_must_come() {
    let gateway = gateway();
    let mut client = gateway.client();
    client.request(CHAT, &gateway.fields(), REQUEST.as_bytes()).await;
    client.reply().await;
    advance(Duration::from_secs(30)).await;
    client.send("POST /v1/chat").await;
    let start = now();
    client.read_to_end().await;
    assert_eq!(start.elapsed().as_secs(), 10);
    gateway.one().await;
}

#[tokio::test(start_paused = true)]
async fn a_head_that_comes_byte_by_byte_must_come_in_time() {
    let gateway = gateway();
    let mut client = gateway.client();
    let start = now();
    for byte in "POST /v1/chat/completions HTTP/1.1\r\n".as_bytes().chunks(1) {
        client.send(byte).await;
        advance(Duration::from_secs(1)).await;
        tokio::task::yield_now().await;
    }
    client.read_to_end().await;
    assert!(start.elapsed().as_secs() < 60);
    gateway.none().await;
}

/// Acceptance HTTP-01.
#[tokio::test(start_paused = true)]
async fn requests_that_come_together_are_answered_in_order() {
    let gateway = Gateway::builder().provider("p", Script::echo()).start();
    let mut client = gateway.client();
    for word in ["one", "two", "three"] {
        client.request(CHAT, &gateway.fields(), REQUEST.replace("hi", word).as_bytes()).await;
    }
    for word in ["one", "two", "three"] {
        assert!(client.reply().await.text().contains(word));
    }
    gateway.records(3).await;
}

#[tokio::test(start_paused = true)]
async fn a_refused_body_is_never_a_request() {
    let gateway = gateway();
    let hidden = format!("{CHAT} HTTP/1.1\r\n{}content-length: {}\r\n\r\n{REQUEST}", gateway.fields(), REQUEST.len());
    for fields in ["", "x-api-key: wrong\r\n"] {
        let head = format!("{CHAT} HTTP/1.1\r\nhost: x\r\n{fields}content-length: {}\r\n\r\n{hidden}", hidden.len());
        let said = gateway.raw(head).await;
        assert!(said.starts_with("HTTP/1.1 401") && said.matches("HTTP/1.1 ").count() == 1, "{said}");
    }
    gateway.none().await;
}

#[tokio::test(start_paused = true)]
async fn a_body_is_waited_for_only_when_it_is_wanted() {
    let gateway = gateway();
    for (fields, line) in [(gateway.fields(), "HTTP/1.1 100"), (String::new(), "HTTP/1.1 401")] {
        let mut client = gateway.client();
        let length = REQUEST.len();
        client
            .send(format!(
                "{CHAT} HTTP/1.1\r\nhost: x\r\n{fields}expect: 100-continue\r\ncontent-length: {length}\r\n\r\n"
            ))
            .await;
        let head = client.head().await;
        assert_eq!(format!("HTTP/1.1 {}", head.status), line);
        if head.status == 100 {
            client.send(REQUEST).await;
            assert_eq!(client.reply().await.status, 200);
        }
    }
    gateway.one().await;
}

#[tokio::test(start_paused = true)]
async fn a_chunked_body_is_read() {
    let gateway = gateway();
    let mut client = gateway.client();
    client.send(format!("{CHAT} HTTP/1.1\r\nhost: x\r\n{}transfer-encoding: chunked\r\n\r\n", gateway.fields())).await;
    for byte in REQUEST.as_bytes().chunks(1) {
        client.send(testkit::script::chunk(byte)).await;
    }
    client.send("0\r\n\r\n").await;
    assert_eq!(client.reply().await.status, 200);
    gateway.one().await;
}

/// Acceptance SHUT-01.
#[tokio::test(start_paused = true)]
async fn a_stop_lets_what_is_in_flight_finish() {
    let told = Arc::new(Notify::new());
    let script = Script::stream().chunk([role(), delta("Hello")].concat()).until(&told);
    let gateway = Gateway::builder().provider("p", script.chunk(data::stream(&["!"])).end()).start();
    let mut client = gateway.begin(STREAM).await;
    let head = client.head().await;
    client.read_until("Hello").await;
    let mut resting = gateway.client();
    gateway.stop.cancel();
    gateway.assembly.core.tasks.close();
    resting.read_to_end().await;
    told.notify_one();
    assert_eq!(client.rest(head).await.events().last().map(String::as_str), Some("[DONE]"));
    client.read_to_end().await;
    gateway.assembly.core.tasks.wait().await;
    assert_eq!(gateway.one().await.outcome, "succeeded");
}

#[tokio::test(start_paused = true)]
async fn a_stop_waits_for_a_buffered_call_whose_caller_left() {
    let told = Arc::new(Notify::new());
    let whole = data::completion("Hello");
    let script = Script::new().until(&told);
    let script = script.send(format!("HTTP/1.1 200 X\r\ncontent-length: {}\r\n\r\n{whole}", whole.len()));
    let gateway = Gateway::builder().provider("p", script).start();
    let client = gateway.begin(REQUEST).await;
    gateway.provider("p").received(1).await;
    drop(client);
    tokio::task::yield_now().await;
    gateway.stop.cancel();
    gateway.assembly.core.tasks.close();
    told.notify_one();
    gateway.assembly.core.tasks.wait().await;
    assert_eq!(gateway.held(), (0, 0, 0));
    assert_eq!(gateway.one().await.usage.origin, "reported");
}
