//! A key that is revoked while its requests are in flight.

use testkit::client::now;
use testkit::data::{delta, role};
use testkit::gateway::{Gateway, KEY, REQUEST, STREAM};
use testkit::script::Script;

#[tokio::test(start_paused = true)]
async fn a_buffered_request_ends_at_once_with_401() {
    for script in [Script::new().stall(), Script::new().send("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{").stall()] {
        let gateway = Gateway::builder().provider("p", script).start();
        let mut client = gateway.begin(REQUEST).await;
        gateway.provider("p").received(1).await;
        let before = now();
        gateway.assembly.revoke_key(KEY);
        let reply = client.reply().await;
        assert!(before.elapsed().as_millis() < 10, "a stalled request polls nothing, and ends all the same");
        assert_eq!((reply.status, reply.code().as_str()), (401, "revoked_api_key"));
        gateway.provider("p").cancelled().await;
        assert_eq!(gateway.one().await.outcome, "revoked");
    }
}

#[tokio::test(start_paused = true)]
async fn a_stream_ends_at_once_with_an_error_event() {
    let script = Script::stream().chunk([role(), delta("Hello")].concat()).stall();
    let gateway = Gateway::builder().provider("p", script).start();
    let mut client = gateway.begin(STREAM).await;
    let head = client.head().await;
    client.read_until("Hello").await;
    gateway.assembly.revoke_key(KEY);
    let rest = client.rest(head).await;
    let events = rest.events();
    assert_eq!(events.len(), 1, "{events:?}");
    assert!(events[0].contains(r#""code":"revoked_api_key""#) && !rest.text().contains("[DONE]"));
    gateway.provider("p").cancelled().await;
    let record = gateway.one().await;
    assert_eq!((record.outcome.as_str(), record.usage.origin.as_str()), ("revoked", "estimated"));
}

#[tokio::test(start_paused = true)]
async fn a_stream_before_its_first_content_ends_with_401() {
    let gateway = Gateway::builder().provider("p", Script::stream().chunk(role()).stall()).start();
    let mut client = gateway.begin(STREAM).await;
    gateway.provider("p").received(1).await;
    gateway.assembly.revoke_key(KEY);
    assert_eq!(client.reply().await.code(), "revoked_api_key");
    gateway.provider("p").cancelled().await;
    assert_eq!(gateway.one().await.outcome, "revoked");
}

/// Acceptance AUTH-05.
#[tokio::test(start_paused = true)]
async fn fifty_streams_end_and_other_keys_go_on() {
    let script = Script::stream().chunk([role(), delta("Hello")].concat()).stall();
    let gateway = Gateway::builder().provider("p", script).start();
    let other = gateway.assembly.create_key("other", policy::spec::key::KeySpec::default());
    let mut clients = Vec::new();
    for _ in 0..50 {
        clients.push(gateway.begin(STREAM).await);
    }
    let mut kept = gateway.client();
    kept.request("POST /v1/chat/completions", &format!("authorization: Bearer {other}\r\n"), STREAM.as_bytes()).await;
    gateway.provider("p").received(51).await;
    gateway.assembly.revoke_key(KEY);
    for mut client in clients {
        let reply = client.reply().await;
        assert!(reply.text().contains("revoked_api_key"));
    }
    kept.head().await;
    kept.read_until("Hello").await;
    assert_eq!(gateway.held().0, 1);
    drop(kept);
    let records = gateway.records(51).await;
    assert_eq!(records.iter().filter(|record| record.outcome == "revoked").count(), 50);
}
