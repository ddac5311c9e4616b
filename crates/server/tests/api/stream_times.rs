//! Streams in time: heartbeats, idleness, grace, deadlines, and readers who are slow.

use std::time::Duration;

use testkit::client::now;
use testkit::data::{self, delta, finish, role};
use testkit::gateway::{Gateway, STREAM};
use testkit::script::{Script, Step};

fn begun() -> Script {
    Script::stream().chunk([role(), delta("Hello")].concat())
}

/// Acceptance STREAM-09.
#[tokio::test(start_paused = true)]
async fn a_quiet_stream_has_a_heartbeat_every_15_seconds() {
    let script = begun().wait(50).chunk(data::stream(&["!"])).end();
    let gateway = Gateway::builder().provider("p", script).start();
    let mut client = gateway.begin(STREAM).await;
    client.head().await;
    client.read_until("Hello").await;
    let start = now();
    for beat in 1..4 {
        assert_eq!(client.chunk().await, Ok(Some(b": ping\n\n".to_vec())));
        assert_eq!(start.elapsed().as_secs(), 15 * beat);
    }
    client.read_until("[DONE]").await;
    assert_eq!(start.elapsed().as_secs(), 50);
    assert_eq!(gateway.one().await.outcome, "succeeded");
}

/// Acceptance STREAM-09.
#[tokio::test(start_paused = true)]
async fn there_is_no_heartbeat_before_the_status_is_decided() {
    let script = Script::stream().wait(100).send("0\r\n\r\n");
    let gateway = Gateway::builder().provider("p", script).start();
    let reply = gateway.chat(STREAM).await;
    assert_eq!((reply.status, reply.code().as_str()), (502, "upstream_error"));
    gateway.one().await;
}

/// Streams with an idle timeout of 20 seconds; returns what came last and after how many seconds.
async fn idle(script: Script) -> (String, u64, String) {
    let gateway = Gateway::builder().provider_with("p", "idle_timeout_ms = 20000", vec![script]).start();
    let start = now();
    let reply = gateway.chat(STREAM).await;
    let took = start.elapsed().as_secs();
    let record = gateway.one().await;
    (reply.events().last().cloned().unwrap_or_default(), took, record.outcome)
}

#[tokio::test(start_paused = true)]
async fn silence_ends_a_stream() {
    let (last, took, outcome) = idle(begun().stall()).await;
    assert!(last.contains("upstream_timeout"), "{last}");
    assert_eq!((took, outcome.as_str()), (20, "failed"));
}

/// Acceptance STREAM-03.
#[tokio::test(start_paused = true)]
async fn pings_for_ever_are_silence() {
    for ping in [": ping\n\n", "event: ping\n\n", "\n", ": half a com"] {
        let mut script = begun();
        for _ in 0..60 {
            script = script.wait(1).chunk(ping);
        }
        let (last, took, outcome) = idle(script.stall()).await;
        assert!(last.contains("upstream_timeout"), "{ping}: {last}");
        assert_eq!((took, outcome.as_str()), (20, "failed"), "{ping}");
    }
}

#[tokio::test(start_paused = true)]
async fn slow_content_is_no_silence() {
    let mut script = begun();
    for _ in 0..10 {
        script = script.wait(19).chunk(delta("."));
    }
    let (last, took, outcome) = idle(script.chunk(data::stream(&["!"])).end()).await;
    assert_eq!((last.as_str(), took, outcome.as_str()), ("[DONE]", 190, "succeeded"));
}

#[tokio::test(start_paused = true)]
async fn usage_that_never_comes_is_estimated_after_its_grace() {
    let gateway = Gateway::builder().provider("p", begun().chunk(finish()).stall()).start();
    let start = now();
    let reply = gateway.chat(STREAM).await;
    assert_eq!((start.elapsed().as_secs(), reply.events().last().map(String::as_str)), (10, Some("[DONE]")));
    gateway.provider("p").cancelled().await;
    let record = gateway.one().await;
    assert_eq!((record.outcome.as_str(), record.usage.origin.as_str()), ("succeeded", "estimated"));
}

/// Of two answers, one may be whole long before the other goes on.
#[tokio::test(start_paused = true)]
async fn the_grace_begins_when_every_choice_is_whole() {
    let second = |text: String| text.replace("\"index\":0", "\"index\":1");
    let script = begun().chunk([second(delta("a")), finish()].concat()).wait(30);
    let script = script.chunk([second(delta("late")), second(finish())].concat()).stall();
    let gateway = Gateway::builder().provider("p", script).start();
    let start = now();
    let reply = gateway.chat(&STREAM.replace("\"stream\"", "\"n\":2,\"stream\"")).await;
    assert!(reply.text().contains("late"), "{}", reply.text());
    assert_eq!((start.elapsed().as_secs(), reply.events().last().map(String::as_str)), (40, Some("[DONE]")));
    assert_eq!(gateway.one().await.outcome, "succeeded");
}

/// Acceptance STREAM-03.
#[tokio::test(start_paused = true)]
async fn a_stream_ends_at_its_deadline() {
    let mut script = begun();
    for _ in 0..100 {
        script = script.wait(1).chunk(delta("."));
    }
    let gateway = Gateway::builder().provider("p", script).start();
    let start = now();
    let reply = gateway.chat_with("x-crossway-timeout-ms: 30500\r\n", STREAM).await;
    assert_eq!(start.elapsed().as_millis() / 100, 305);
    assert!(reply.events().last().unwrap().contains("upstream_timeout") && !reply.text().contains("[DONE]"));
    assert_eq!(reply.content().len(), 5 + 30);
    gateway.provider("p").cancelled().await;
    assert_eq!(gateway.one().await.outcome, "failed");
}

/// Acceptance STREAM-05.
#[tokio::test(start_paused = true)]
async fn a_slow_reader_slows_the_provider() {
    let script = begun().step(Step::Flood(testkit::script::chunk(delta(&"x".repeat(1_000)).as_bytes()).into()));
    let gateway = Gateway::builder().provider("p", script).start();
    let mut client = gateway.client_from("127.0.0.1:40000", 1 << 10);
    client.request("POST /v1/chat/completions", &gateway.fields(), STREAM.as_bytes()).await;
    client.head().await;
    tokio::time::advance(Duration::from_secs(1)).await;
    for _ in 0..1_000 {
        tokio::task::yield_now().await;
    }
    let sent = gateway.provider("p").request().sent;
    assert!(sent < 256 << 10, "{sent} bytes were read for a reader who reads nothing");
    for read in 1..50 {
        client.chunk().await.unwrap();
        let sent = gateway.provider("p").request().sent;
        assert!(sent < (256 << 10) + read * (64 << 10), "{sent}");
    }
    drop(client);
    gateway.provider("p").cancelled().await;
    assert_eq!(gateway.one().await.outcome, "cancelled");
}

/// Acceptance STREAM-05 and HTTP-06.
#[tokio::test(start_paused = true)]
async fn a_reader_who_reads_nothing_for_a_minute_is_let_go() {
    let script = begun().step(Step::Flood(testkit::script::chunk(delta(&"x".repeat(1_000)).as_bytes()).into()));
    let gateway = Gateway::builder().provider("p", script).start();
    let mut client = gateway.client_from("127.0.0.1:40000", 1 << 10);
    client.request("POST /v1/chat/completions", &gateway.fields(), STREAM.as_bytes()).await;
    client.head().await;
    let start = now();
    gateway.provider("p").cancelled().await;
    assert!((60..=62).contains(&start.elapsed().as_secs()), "{:?}", start.elapsed());
    let record = gateway.one().await;
    assert_eq!((record.outcome.as_str(), record.status), ("cancelled", 499));
}

#[tokio::test(start_paused = true)]
async fn a_provider_that_never_pauses_does_not_outrun_the_deadline() {
    for said in [delta("x"), ": ping\n\n".to_owned()] {
        let said = testkit::script::chunk(said.repeat(200).as_bytes());
        let script = begun().step(Step::Flood(said.into()));
        let gateway = Gateway::builder().provider("p", script).start();
        let mut client = gateway.client_from("127.0.0.1:40000", 1 << 10);
        let fields = gateway.fields() + "x-crossway-timeout-ms: 60000\r\n";
        client.request("POST /v1/chat/completions", &fields, STREAM.as_bytes()).await;
        client.head().await;
        let start = now();
        while client.chunk().await.is_ok_and(|chunk| chunk.is_some()) {
            tokio::time::advance(Duration::from_secs(1)).await;
            assert!(start.elapsed().as_secs() < 300, "the request outlives its deadline");
        }
        assert_eq!(gateway.one().await.outcome, "failed");
    }
}
