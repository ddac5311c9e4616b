//! How providers and models are, as `GET /admin/v1/status` says it, and how fast a failing one is left and taken up again.

use std::time::Duration;

use serde_json::{Value, json};
use testkit::client::now;
use testkit::gateway::{Gateway, REQUEST, STREAM};
use testkit::script::Script;

async fn environment(gateway: &Gateway) -> Value {
    gateway.api("GET /admin/v1/status", &Value::Null).await.json()["environments"][0].clone()
}

/// The health of providers and models in their order.
async fn healths(gateway: &Gateway) -> Vec<String> {
    let environment = environment(gateway).await;
    let of = |list: &Value| -> Vec<String> {
        list.as_array().unwrap().iter().map(|one| one["health"].as_str().unwrap().to_owned()).collect()
    };
    [of(&environment["providers"]), of(&environment["models"])].concat()
}

#[tokio::test(start_paused = true)]
async fn the_status_follows_what_requests_meet() {
    let scripts = [&[Script::chat("Hello")][..], &vec![Script::error(500, "no"); 4], &[Script::chat("Hello")]].concat();
    let gateway = Gateway::builder().provider_with("p", "", scripts).provider("q", Script::chat("Hello")).start();
    assert_eq!(healths(&gateway).await, ["unknown", "unknown"], "nobody was asked");
    gateway.chat(REQUEST).await;
    assert_eq!(healths(&gateway).await, ["ok", "unknown", "ok"]);
    gateway.chat(REQUEST).await;
    assert_eq!(healths(&gateway).await, ["degraded", "ok", "degraded", "ok"]);
    gateway.chat(&REQUEST.replace("\"m\"", "\"p/m\"")).await;
    assert_eq!(healths(&gateway).await, ["down", "ok", "down", "ok"]);
    let model = environment(&gateway).await["models"][0].clone();
    assert_eq!((&model["model"], &model["provider"], &model["breaker"]), (&json!("m"), &json!("p"), &json!("open")));
    assert_eq!((&model["answers"], &model["errors"], &model["error_rate"]), (&json!(1), &json!(4), &json!(0.8)));
    assert_eq!(model["errors_by_reason"], json!({ "server_error": 4 }));
    assert_eq!(model["left_alone"]["reason"], "server_error");
    assert!(model["left_alone"]["seconds"].as_f64().is_some_and(|left| left > 1.0 && left < 4.0), "{model}");
    assert!(model["total_seconds"]["p95"].is_number() && model["first_content_seconds"]["p95"].is_null(), "{model}");
    gateway.assembly.hands.advance(Duration::from_secs(5));
    assert_eq!(environment(&gateway).await["models"][0]["breaker"], "half_open");
    gateway.chat(&REQUEST.replace("\"m\"", "\"p/m\"")).await;
    assert_eq!(environment(&gateway).await["models"][0]["breaker"], "closed");
    gateway.records(4).await;
}

#[tokio::test(start_paused = true)]
async fn what_waits_is_counted() {
    let gateway = Gateway::builder().provider("p", Script::new().stall()).start();
    let client = gateway.begin(STREAM).await;
    gateway.provider("p").received(1).await;
    assert_eq!(environment(&gateway).await["models"][0]["in_flight"], 1);
    drop(client);
    gateway.one().await;
    assert_eq!(environment(&gateway).await["models"][0]["in_flight"], 0);
}

/// Failover takes no time of its own: what is waited for is the deadline of the target that hangs, and nothing for one
/// that refuses.
#[tokio::test(start_paused = true)]
async fn failover_adds_nothing_but_what_the_target_took() {
    for (script, took) in [(Script::Refuse, 0), (Script::error(500, "no"), 0), (Script::new().stall(), 3_000)] {
        for body in [REQUEST, STREAM] {
            let answer = if body == REQUEST { Script::chat("Hello") } else { Script::streamed(&["Hello"]) };
            let builder = Gateway::builder().provider_with("p", "first_token_timeout_ms = 3000", vec![script.clone()]);
            let gateway = builder.provider("q", answer).start();
            let before = now();
            let reply = gateway.chat(body).await;
            assert_eq!((reply.status, reply.header("x-crossway-provider")), (200, Some("q")));
            let elapsed = before.elapsed().as_millis();
            assert!((took..=took + 50).contains(&elapsed), "{elapsed} ms, {took} of them the target's");
            gateway.one().await;
        }
    }
}

/// A target that fails is left after two requests, and taken up again within five seconds of being well.
#[tokio::test(start_paused = true)]
async fn a_bad_target_is_left_and_taken_up_again_within_five_seconds() {
    let scripts = vec![Script::error(500, "no"), Script::error(500, "no"), Script::chat("Hello")];
    let gateway = Gateway::builder().provider_with("p", "", scripts).provider("q", Script::chat("Hello")).start();
    let mut by = Vec::new();
    for _ in 0..60 {
        gateway.assembly.hands.advance(Duration::from_millis(100));
        by.push(gateway.chat(&REQUEST.replace("\"m\"", "\"p/m\"")).await.status);
        gateway.assembly.drain();
        gateway.assembly.journal.tick();
    }
    let asked = gateway.provider("p").requests().len();
    let good = by.iter().rposition(|status| *status != 200).map_or(0, |last| last + 1);
    assert!(good <= 50, "well again after {good} tenths of a second: {by:?}");
    assert!(asked >= 3, "{asked}");
    gateway.records(60).await;
}
