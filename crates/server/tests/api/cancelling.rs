//! Callers who leave, at every moment: the provider is told, and there is one settlement.

use std::sync::Arc;

use testkit::client::now;
use testkit::data::{DONE, delta, finish, role, usage};
use testkit::gateway::{Gateway, REQUEST, STREAM};
use testkit::script::Script;
use tokio::sync::Notify;

#[tokio::test(start_paused = true)]
async fn before_the_head_is_complete_nothing_is_admitted() {
    let gateway = Gateway::builder().provider("p", Script::chat("Hello")).start();
    let mut client = gateway.client();
    client.send("POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthoriz").await;
    drop(client);
    gateway.none().await;
    assert_eq!(gateway.provider("p").requests().len(), 0);
}

#[tokio::test(start_paused = true)]
async fn in_the_middle_of_the_body_nothing_is_admitted() {
    let gateway = Gateway::builder().provider("p", Script::chat("Hello")).start();
    let mut client = gateway.client();
    let head = format!("POST /v1/chat/completions HTTP/1.1\r\n{}content-length: 50\r\n\r\n{{\"mo", gateway.fields());
    client.send(head).await;
    tokio::task::yield_now().await;
    drop(client);
    gateway.none().await;
    assert_eq!(gateway.provider("p").requests().len(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_stream_before_its_first_content_is_cancelled_at_the_provider() {
    for script in [Script::new().stall(), Script::stream().stall(), Script::stream().chunk(role()).stall()] {
        let gateway = Gateway::builder().provider("p", script).provider("q", Script::chat("Hello")).start();
        let client = gateway.begin(STREAM).await;
        gateway.provider("p").received(1).await;
        let before = now();
        drop(client);
        gateway.provider("p").cancelled().await;
        assert!(before.elapsed().as_millis() < 10, "at once");
        let record = gateway.one().await;
        assert_eq!((record.outcome.as_str(), record.status), ("cancelled", 499));
        assert_eq!(gateway.provider("q").requests().len(), 0, "a caller who left is not served elsewhere");
    }
}

/// Acceptance MONEY-05.
#[tokio::test(start_paused = true)]
async fn a_stream_after_some_chunks_is_settled_on_what_was_delivered() {
    for chunks in 1..6_u64 {
        let mut script = Script::stream().chunk(role());
        for number in 1..=chunks {
            script = script.chunk(delta(&format!("part {number}.")));
        }
        let gateway = Gateway::builder().provider("p", script.stall()).start();
        let mut client = gateway.begin(STREAM).await;
        client.head().await;
        client.read_until(&format!("part {chunks}.")).await;
        drop(client);
        gateway.provider("p").cancelled().await;
        let record = gateway.one().await;
        assert_eq!(
            (record.outcome.as_str(), record.status, record.usage.origin.as_str()),
            ("cancelled", 499, "estimated")
        );
        assert_eq!(record.usage.output_tokens, (7 * chunks).div_ceil(4), "four bytes make a token");
        assert_eq!(record.usage.input_tokens, (STREAM.len() as u64).div_ceil(4));
    }
}

/// Acceptance MONEY-05.
#[tokio::test(start_paused = true)]
async fn a_stream_between_finish_and_usage_is_cancelled() {
    let script = Script::stream().chunk([role(), delta("Hello"), finish()].concat()).stall();
    let gateway = Gateway::builder().provider("p", script).start();
    let mut client = gateway.begin(STREAM).await;
    client.head().await;
    client.read_until("Hello").await;
    drop(client);
    gateway.provider("p").cancelled().await;
    let record = gateway.one().await;
    assert_eq!((record.outcome.as_str(), record.usage.origin.as_str()), ("cancelled", "estimated"));
    assert_eq!(record.finish_reason.as_deref(), Some("stop"));
}

#[tokio::test(start_paused = true)]
async fn a_stream_between_usage_and_end_is_settled_as_reported() {
    let script = Script::stream().chunk([role(), delta("Hello"), finish(), usage()].concat()).stall();
    let gateway = Gateway::builder().provider("p", script).start();
    let mut client = gateway.begin(STREAM).await;
    client.head().await;
    client.read_until("Hello").await;
    drop(client);
    let record = gateway.one().await;
    assert_eq!((record.outcome.as_str(), record.usage.origin.as_str()), ("cancelled", "reported"));
    assert_eq!(record.cost_usd.map(|cost| cost.0), Some(50_000));
}

#[tokio::test(start_paused = true)]
async fn a_stream_whose_end_was_sent_has_succeeded() {
    let script = Script::stream().chunk([&role(), &delta("Hello"), &finish(), &usage(), DONE].concat()).stall();
    let gateway = Gateway::builder().provider("p", script).start();
    let mut client = gateway.begin(STREAM).await;
    client.head().await;
    client.read_until("[DONE]").await;
    drop(client);
    assert_eq!(gateway.one().await.outcome, "succeeded");
}

/// Acceptance MONEY-05.
#[tokio::test(start_paused = true)]
async fn a_buffered_call_is_finished_and_settled_as_reported() {
    let told = Arc::new(Notify::new());
    let whole = testkit::data::completion("Hello");
    let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", whole.len());
    for script in [
        Script::new().until(&told).send(format!("{head}{whole}")),
        Script::new().send(head.clone()).until(&told).send(whole.clone()),
    ] {
        let gateway = Gateway::builder().provider("p", script).start();
        let client = gateway.begin(REQUEST).await;
        gateway.provider("p").received(1).await;
        drop(client);
        tokio::time::advance(std::time::Duration::from_secs(5)).await;
        assert_eq!(gateway.held().0, 1, "it goes on");
        told.notify_one();
        let record = gateway.one().await;
        assert!(!gateway.provider("p").request().cancelled);
        assert_eq!((record.outcome.as_str(), record.status), ("cancelled", 499));
        assert_eq!((record.usage.origin.as_str(), record.cost_usd.map(|cost| cost.0)), ("reported", Some(50_000)));
    }
}

/// Acceptance RETRY-07.
#[tokio::test(start_paused = true)]
async fn a_buffered_call_without_a_caller_is_not_tried_elsewhere() {
    let told = Arc::new(Notify::new());
    let failing = Script::new().until(&told).send("HTTP/1.1 500 X\r\ncontent-length: 0\r\n\r\n");
    let gateway = Gateway::builder().provider("p", failing).provider("q", Script::chat("Hello")).start();
    let client = gateway.begin(REQUEST).await;
    gateway.provider("p").received(1).await;
    drop(client);
    tokio::task::yield_now().await;
    told.notify_one();
    let record = gateway.one().await;
    assert_eq!(record.attempts.len(), 1);
    assert_eq!(gateway.provider("q").requests().len(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_buffered_call_without_a_caller_ends_at_its_deadline() {
    let script = Script::new().stall();
    let gateway = Gateway::builder().provider_with("p", "timeout_ms = 30000", vec![script]).start();
    let client = gateway.begin(REQUEST).await;
    gateway.provider("p").received(1).await;
    drop(client);
    gateway.provider("p").cancelled().await;
    assert_eq!(gateway.one().await.usage.origin, "none");
}

/// Acceptance SUP-03.
#[tokio::test(start_paused = true)]
async fn a_panic_fails_one_request_and_no_other() {
    for body in [REQUEST, STREAM] {
        let scripts = vec![Script::Panic, Script::chat("Hello")];
        let gateway = Gateway::builder().provider_with("p", "", scripts).start();
        let reply = gateway.chat(body).await;
        assert_eq!((reply.status, reply.code().as_str()), (500, "internal_error"));
        assert_eq!(gateway.chat(REQUEST).await.status, 200);
        let records = gateway.records(2).await;
        assert_eq!((records[0].outcome.as_str(), records[0].status), ("failed", 500));
        assert_eq!(records[1].outcome, "succeeded");
    }
}
