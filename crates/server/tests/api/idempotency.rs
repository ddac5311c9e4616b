//! Requests with an `Idempotency-Key`: what is sent twice runs once, on both surfaces, buffered and streamed.

use std::sync::Arc;
use std::time::Duration;

use policy::spec::key::KeySpec;
use serde_json::json;
use testkit::client::{Reply, now};
use testkit::data::{delta, role};
use testkit::gateway::{Gateway, REQUEST, STREAM};
use testkit::outcomes::Health;
use testkit::script::Script;
use tokio::sync::Notify;

const KEY: &str = "Idempotency-Key: order-17\r\n";
const MESSAGE: &str = r#"{"model":"m","max_tokens":9,"messages":[{"role":"user","content":"hi"}]}"#;
const MESSAGE_STREAM: &str =
    r#"{"model":"m","max_tokens":9,"stream":true,"messages":[{"role":"user","content":"hi"}]}"#;

/// Checks that one reply is another one's replay.
fn replays(first: &Reply, again: &Reply) {
    assert_eq!((first.header("idempotent-replayed"), again.header("idempotent-replayed")), (None, Some("true")));
    assert_eq!(first.status, again.status);
    assert_eq!(String::from_utf8_lossy(&first.body), String::from_utf8_lossy(&again.body));
    for name in ["x-request-id", "request-id", "content-type", "x-crossway-model", "x-crossway-provider"] {
        assert_eq!(first.header(name), again.header(name), "{name}");
    }
    assert!(again.whole);
}

/// Checks a refusal.
fn refused(reply: &Reply, status: u16, code: &str) {
    let found = reply.header("x-crossway-error-code").unwrap_or_default();
    assert_eq!((reply.status, found), (status, code), "{}", String::from_utf8_lossy(&reply.body));
    assert_eq!(reply.header("idempotent-replayed"), None);
}

#[tokio::test(start_paused = true)]
async fn a_request_that_is_sent_twice_runs_once() {
    for (body, script) in [(REQUEST, Script::chat("Hello")), (STREAM, Script::streamed(&["Hel", "lo"]))] {
        let gateway = Gateway::builder().provider("p", script).start();
        let first = gateway.chat_with(KEY, body).await;
        assert_eq!(first.status, 200);
        for _ in 0..3 {
            replays(&first, &gateway.chat_with(KEY, body).await);
        }
        assert_eq!(gateway.provider("p").requests().len(), 1);
        let record = gateway.one().await;
        assert_eq!(first.header("x-request-id"), Some(record.id.to_string().as_str()));
        assert_eq!((record.outcome.as_str(), record.cost_usd.map(|cost| cost.0)), ("succeeded", Some(50_000)));
    }
}

#[tokio::test(start_paused = true)]
async fn the_other_surface_and_other_dialects_are_no_exception() {
    for (body, script) in [(MESSAGE, Script::chat("Hello")), (MESSAGE_STREAM, Script::streamed(&["Hel", "lo"]))] {
        let gateway = Gateway::builder().provider("p", script).start();
        let first = gateway.messages_with(KEY, body).await;
        assert_eq!((first.status, first.header("request-id")), (200, first.header("x-request-id")));
        replays(&first, &gateway.messages_with(KEY, body).await);
        gateway.one().await;
    }
}

#[tokio::test(start_paused = true)]
async fn counting_tokens_is_a_post_too() {
    let gateway = Gateway::builder().provider("p", Script::chat("Hello")).start();
    let fields = format!("x-api-key: {}\r\n{KEY}", gateway.secret);
    let first = gateway.ask("POST /v1/messages/count_tokens", &fields, MESSAGE).await;
    assert_eq!(first.status, 200);
    replays(&first, &gateway.ask("POST /v1/messages/count_tokens", &fields, MESSAGE).await);
    refused(&gateway.messages_with(KEY, MESSAGE).await, 422, "idempotency_key_reused");
    gateway.one().await;
}

#[tokio::test(start_paused = true)]
async fn a_key_belongs_to_its_parameters() {
    let gateway = Gateway::builder().provider("p", Script::chat("Hello")).provider("q", Script::chat("Hello")).start();
    gateway.chat_with(KEY, REQUEST).await;
    let other = REQUEST.replace("hi", "hu");
    let reply = gateway.chat_with(KEY, &other).await;
    refused(&reply, 422, "idempotency_key_reused");
    assert_eq!(reply.json()["error"]["type"], "invalid_request_error");
    assert_eq!(reply.json()["error"]["param"], "Idempotency-Key");
    assert_eq!(reply.header("x-should-retry"), Some("false"));
    refused(&gateway.chat_with(&format!("{KEY}x-llm-provider: q\r\n"), REQUEST).await, 422, "idempotency_key_reused");
    let reply = gateway.messages_with(KEY, MESSAGE).await;
    refused(&reply, 422, "idempotency_key_reused");
    assert_eq!(reply.json()["error"]["type"], "invalid_request_error");
    // What does not change the answer is no parameter.
    let fields = format!("{KEY}x-crossway-timeout-ms: 9000\r\nx-stainless-retry-count: 1\r\n");
    assert_eq!(gateway.chat_with(&fields, REQUEST).await.header("idempotent-replayed"), Some("true"));
    gateway.one().await;
}

#[tokio::test(start_paused = true)]
async fn a_key_belongs_to_its_api_key() {
    let gateway = Gateway::builder().provider("p", Script::chat("Hello")).start();
    let other = gateway.assembly.create_key("other", KeySpec::default());
    let first = gateway.chat_with(KEY, REQUEST).await;
    let fields = format!("authorization: Bearer {other}\r\n{KEY}");
    let second = gateway.ask("POST /v1/chat/completions", &fields, REQUEST).await;
    assert_eq!((first.status, second.status, second.header("idempotent-replayed")), (200, 200, None));
    assert_ne!(first.header("x-request-id"), second.header("x-request-id"));
    gateway.records(2).await;
}

#[tokio::test(start_paused = true)]
async fn keys_that_are_none_are_refused() {
    let gateway = Gateway::builder().provider("p", Script::chat("Hello")).start();
    for value in [String::new(), "x".repeat(256), "a\tb".to_owned(), "ü".to_owned()] {
        let reply = gateway.chat_with(&format!("Idempotency-Key: {value}\r\n"), REQUEST).await;
        refused(&reply, 400, "invalid_request");
        assert_eq!(reply.json()["error"]["param"], "Idempotency-Key");
    }
    gateway.none().await;
}

#[tokio::test(start_paused = true)]
async fn sixty_four_at_once_make_one_call() {
    let told = Arc::new(Notify::new());
    let script = Script::new().until(&told).send(answer(200, &testkit::data::completion("Hello")));
    let gateway = Gateway::builder().provider("p", script).start();
    let mut clients = Vec::new();
    for _ in 0..64 {
        let mut client = gateway.client();
        client.request("POST /v1/chat/completions", &(gateway.fields() + KEY), REQUEST.as_bytes()).await;
        clients.push(client);
    }
    gateway.provider("p").received(1).await;
    // All but one are told; that one is told when the provider is.
    let mut told_already = Vec::new();
    let mut waiting = None;
    for mut client in clients {
        match tokio::time::timeout(Duration::from_secs(5), client.head()).await {
            Ok(head) => told_already.push(client.rest(head).await),
            Err(_) => assert!(waiting.replace(client).is_none(), "one waits"),
        }
    }
    assert_eq!(told_already.len(), 63);
    for reply in &told_already {
        refused(reply, 409, "idempotency_in_progress");
        assert_eq!((reply.header("retry-after"), reply.header("x-should-retry")), (Some("1"), Some("true")));
    }
    told.notify_one();
    let first = waiting.unwrap().reply().await;
    assert_eq!(first.status, 200);
    replays(&first, &gateway.chat_with(KEY, REQUEST).await);
    assert_eq!(gateway.provider("p").requests().len(), 1);
    gateway.one().await;
}

fn answer(status: u16, body: &str) -> String {
    format!("HTTP/1.1 {status} X\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}", body.len())
}

#[tokio::test(start_paused = true)]
async fn after_a_day_a_key_is_free() {
    let gateway = Gateway::builder().provider("p", Script::chat("Hello")).start();
    let first = gateway.chat_with(KEY, REQUEST).await;
    gateway.assembly.hands.advance(Duration::from_secs(24 * 3_600 - 60));
    assert_eq!(gateway.assembly.outcomes.keeper.sweep_once().unwrap(), 0);
    replays(&first, &gateway.chat_with(KEY, REQUEST).await);
    gateway.assembly.hands.advance(Duration::from_secs(60));
    let second = gateway.chat_with(KEY, REQUEST).await;
    assert_eq!((second.status, second.header("idempotent-replayed")), (200, None));
    gateway.assembly.hands.advance(Duration::from_secs(24 * 3_600));
    assert_eq!(gateway.assembly.outcomes.keeper.sweep_once().unwrap(), 1);
    gateway.records(2).await;
}

#[tokio::test(start_paused = true)]
async fn what_was_not_sent_or_may_go_better_frees_the_key() {
    for (script, status) in [
        (Script::error(429, "slow down"), 429),
        (Script::error(500, "oops"), 502),
        (Script::error(401, "your key"), 502),
        (Script::Refuse, 502),
    ] {
        let scripts = vec![script.clone(), script.clone(), script, Script::chat("Hello")];
        let gateway = Gateway::builder().provider_with("p", "", scripts).start();
        let mut calls = 0;
        loop {
            let reply = gateway.chat_with(KEY, REQUEST).await;
            calls += 1;
            assert_eq!(reply.header("idempotent-replayed"), None);
            if reply.status == 200 {
                break;
            }
            assert_eq!(reply.status, status);
            assert!(calls < 5);
        }
        let last = gateway.chat_with(KEY, REQUEST).await;
        assert_eq!((last.status, last.header("idempotent-replayed")), (200, Some("true")));
        gateway.records(calls).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_request_that_its_limits_refuse_may_come_again_and_a_replay_counts_for_nothing() {
    let config = "[[limits]]\nmeter = \"requests\"\nwindow = \"60s\"\namount = 1\nscope = \"environment\"\n";
    let gateway = Gateway::builder().provider("p", Script::chat("Hello")).config(config).start();
    let first = gateway.chat_with(KEY, REQUEST).await;
    assert_eq!(first.status, 200);
    let other = "Idempotency-Key: another\r\n";
    refused(&gateway.chat_with(other, REQUEST).await, 429, "rate_limited");
    for _ in 0..3 {
        let again = gateway.chat_with(KEY, REQUEST).await;
        replays(&first, &again);
        assert_eq!(again.header("x-ratelimit-remaining"), None, "how one stood then is not how one stands");
    }
    gateway.assembly.hands.advance(Duration::from_secs(120));
    assert_eq!(gateway.chat_with(other, REQUEST).await.status, 200);
    gateway.records(3).await;
}

#[tokio::test(start_paused = true)]
async fn what_a_provider_refuses_for_good_is_kept() {
    for status in [400, 404, 413, 422] {
        let gateway = Gateway::builder().provider("p", Script::error(status, "no such thing")).start();
        let first = gateway.chat_with(KEY, REQUEST).await;
        assert_eq!(first.status, status);
        let again = gateway.chat_with(KEY, REQUEST).await;
        replays(&first, &again);
        assert_eq!(first.header("x-crossway-error-code"), again.header("x-crossway-error-code"));
        assert_eq!(gateway.provider("p").requests().len(), 1);
        gateway.one().await;
    }
}

#[tokio::test(start_paused = true)]
async fn what_breaks_off_may_be_tried_again() {
    let broken = Script::stream().chunk([role(), delta("Hel")].concat()).close();
    let gateway = Gateway::builder().provider_with("p", "", vec![broken, Script::streamed(&["Hello"])]).start();
    let first = gateway.chat_with(KEY, STREAM).await;
    assert!(String::from_utf8_lossy(&first.body).contains("upstream_stream_aborted"));
    let second = gateway.chat_with(KEY, STREAM).await;
    assert_eq!(second.header("idempotent-replayed"), None);
    replays(&second, &gateway.chat_with(KEY, STREAM).await);
    let records = gateway.records(2).await;
    assert_eq!((records[0].outcome.as_str(), records[1].outcome.as_str()), ("failed", "succeeded"));
}

#[tokio::test(start_paused = true)]
async fn a_caller_who_leaves_finds_the_answer_later() {
    let told = Arc::new(Notify::new());
    let whole = answer(200, &testkit::data::completion("Hello"));
    let stream = testkit::data::stream(&["Hel", "lo"]);
    let (begun, rest) = stream.split_at(stream.find("lo").unwrap());
    let buffered = [Script::new().until(&told).send(whole.clone())];
    let streams = [
        Script::stream().until(&told).chunk(&stream).end(),
        Script::stream().chunk(begun).until(&told).chunk(rest).end(),
    ];
    let cases =
        buffered.into_iter().map(|script| (REQUEST, script)).chain(streams.into_iter().map(|script| (STREAM, script)));
    for (body, script) in cases {
        let gateway = Gateway::builder().provider("p", script).start();
        let mut client = gateway.client();
        client.request("POST /v1/chat/completions", &(gateway.fields() + KEY), body.as_bytes()).await;
        gateway.provider("p").received(1).await;
        tokio::time::sleep(Duration::from_millis(10)).await;
        drop(client);
        tokio::time::sleep(Duration::from_secs(3)).await;
        refused(&gateway.chat_with(KEY, body).await, 409, "idempotency_in_progress");
        told.notify_one();
        gateway.assembly.quiet().await;
        tokio::time::sleep(Duration::from_secs(1)).await;
        let reply = gateway.chat_with(KEY, body).await;
        assert_eq!((reply.status, reply.header("idempotent-replayed")), (200, Some("true")));
        assert!(String::from_utf8_lossy(&reply.body).contains("lo"));
        assert!(!gateway.provider("p").request().cancelled);
        let record = gateway.one().await;
        assert_eq!((record.outcome.as_str(), record.cost_usd.map(|cost| cost.0)), ("succeeded", Some(50_000)));
    }
}

#[tokio::test(start_paused = true)]
async fn a_caller_who_leaves_its_refusal_finds_it_later() {
    let told = Arc::new(Notify::new());
    let script = Script::new().until(&told).send(answer(400, &testkit::data::error("no such thing")));
    let gateway = Gateway::builder().provider("p", script).start();
    let mut client = gateway.client();
    client.request("POST /v1/chat/completions", &(gateway.fields() + KEY), REQUEST.as_bytes()).await;
    gateway.provider("p").received(1).await;
    drop(client);
    tokio::time::sleep(Duration::from_millis(10)).await;
    told.notify_one();
    gateway.assembly.quiet().await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    let reply = gateway.chat_with(KEY, REQUEST).await;
    assert_eq!((reply.status, reply.header("idempotent-replayed")), (400, Some("true")));
    gateway.one().await;
}

#[tokio::test(start_paused = true)]
async fn without_the_store_nothing_runs() {
    for health in [Health::Failing, Health::Hanging] {
        let gateway = Gateway::builder().provider("p", Script::chat("Hello")).start();
        gateway.assembly.outcomes.become_(health);
        let before = now();
        let reply = gateway.chat_with(KEY, REQUEST).await;
        refused(&reply, 503, "dependency_unavailable");
        assert_eq!(reply.header("retry-after"), Some("2"));
        assert!(before.elapsed() <= Duration::from_secs(3));
        assert_eq!(gateway.chat(REQUEST).await.status, 200, "who does not ask for it does not wait for it");
        gateway.assembly.outcomes.become_(Health::Well);
        assert_eq!(gateway.chat_with(KEY, REQUEST).await.status, 200);
        gateway.records(2).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_store_that_goes_away_meanwhile_costs_the_replay_and_nothing_else() {
    for health in [Health::Failing, Health::Hanging] {
        for (body, answer) in [
            (REQUEST, answer(200, &testkit::data::completion("Hello"))),
            (
                STREAM,
                answer(200, "")
                    .replace("application/json", "text/event-stream")
                    .replace("content-length: 0\r\n", "connection: close\r\n")
                    + &testkit::data::stream(&["Hello"]),
            ),
        ] {
            let told = Arc::new(Notify::new());
            let gateway = Gateway::builder().provider("p", Script::new().until(&told).send(answer).close()).start();
            let mut client = gateway.client();
            client.request("POST /v1/chat/completions", &(gateway.fields() + KEY), body.as_bytes()).await;
            gateway.provider("p").received(1).await;
            gateway.assembly.outcomes.become_(health);
            told.notify_one();
            let reply = client.reply().await;
            assert!(reply.status == 200 && reply.whole, "{health:?}");
            gateway.assembly.outcomes.become_(Health::Well);
            let again = gateway.chat_with(KEY, body).await;
            refused(&again, 409, "idempotency_outcome_unknown");
            assert_eq!(again.header("x-should-retry"), Some("false"));
            gateway.one().await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_key_that_is_revoked_replays_nothing() {
    let gateway = Gateway::builder().provider("p", Script::chat("Hello")).start();
    assert_eq!(gateway.chat_with(KEY, REQUEST).await.status, 200);
    gateway.assembly.revoke_key("first");
    refused(&gateway.chat_with(KEY, REQUEST).await, 401, "revoked_api_key");
    gateway.one().await;
}

#[tokio::test(start_paused = true)]
async fn a_key_that_is_revoked_in_flight_is_told_so() {
    for (body, script) in
        [(REQUEST, Script::new().stall()), (STREAM, Script::stream().chunk([role(), delta("Hel")].concat()).stall())]
    {
        let gateway = Gateway::builder().provider("p", script).start();
        let mut client = gateway.client();
        client.request("POST /v1/chat/completions", &(gateway.fields() + KEY), body.as_bytes()).await;
        gateway.provider("p").received(1).await;
        tokio::time::sleep(Duration::from_millis(10)).await;
        gateway.assembly.revoke_key("first");
        let reply = client.reply().await;
        assert!(String::from_utf8_lossy(&reply.body).contains("revoked"), "{}", reply.status);
        assert_eq!(gateway.one().await.outcome, "revoked");
    }
}

#[tokio::test(start_paused = true)]
async fn a_rotated_key_has_its_results_still() {
    let gateway = Gateway::builder().provider("p", Script::chat("Hello")).start();
    let first = gateway.chat_with(KEY, REQUEST).await;
    let rotated = gateway.api("POST /admin/v1/environments/default/keys/first/rotate", &json!({})).await;
    let secret = rotated.json()["secret"].as_str().unwrap().to_owned();
    let fields = format!("authorization: Bearer {secret}\r\n{KEY}");
    replays(&first, &gateway.ask("POST /v1/chat/completions", &fields, REQUEST).await);
    gateway.one().await;
}

#[tokio::test(start_paused = true)]
async fn what_is_too_large_is_said_to_be() {
    let gateway = Gateway::builder().provider("p", Script::chat(&"long ".repeat(1 << 20))).start();
    assert_eq!(gateway.chat_with(KEY, REQUEST).await.status, 200);
    let again = gateway.chat_with(KEY, REQUEST).await;
    refused(&again, 409, "idempotency_not_replayable");
    assert_eq!(again.header("x-should-retry"), Some("false"));
    gateway.one().await;
}

#[tokio::test(start_paused = true)]
async fn an_environment_lets_go_of_its_oldest_results() {
    let gateway = Gateway::builder().provider("p", Script::chat(&"x".repeat(3 << 20))).start();
    let key = |number: usize| format!("Idempotency-Key: {number}\r\n");
    for number in 0..3 {
        assert_eq!(gateway.chat_with(&key(number), REQUEST).await.status, 200);
    }
    refused(&gateway.chat_with(&key(0), REQUEST).await, 409, "idempotency_not_replayable");
    assert_eq!(gateway.chat_with(&key(2), REQUEST).await.header("idempotent-replayed"), Some("true"));
    gateway.records(3).await;
}

#[tokio::test(start_paused = true)]
async fn nothing_that_is_kept_can_be_read() {
    let canary = "a-canary-in-the-reply";
    let gateway = Gateway::builder().provider("p", Script::chat(canary)).start();
    let body = REQUEST.replace("hi", "a-canary-in-the-request");
    gateway.chat_with("Idempotency-Key: a-canary-in-the-key\r\n", &body).await;
    let mut looked_at = 0;
    for file in std::fs::read_dir(&gateway.assembly.directory.0).unwrap() {
        let path = file.unwrap().path();
        if path.file_name().unwrap().to_string_lossy().starts_with("idempotency.db") {
            let bytes = std::fs::read(&path).unwrap();
            assert!(!String::from_utf8_lossy(&bytes).contains("a-canary"), "{}", path.display());
            looked_at += bytes.len();
        }
    }
    assert!(looked_at > 1_000);
    gateway.one().await;
}

#[tokio::test(start_paused = true)]
async fn after_a_kill_what_began_is_unknown_and_what_ended_is_replayed() {
    let told = Arc::new(Notify::new());
    let scripts =
        vec![Script::chat("Hello"), Script::new().until(&told).send(answer(200, &testkit::data::completion("late")))];
    let config = "[providers.p]\nkind = \"openai-compatible\"\nbase_url = \"http://p.test/v1\"\napi_key = \"x\"\n";
    let gateway = Gateway::builder().provider_with("p", "", scripts).start();
    gateway.chat_with(KEY, REQUEST).await;
    let mut client = gateway.client();
    client
        .request("POST /v1/chat/completions", &(gateway.fields() + "Idempotency-Key: open\r\n"), REQUEST.as_bytes())
        .await;
    gateway.provider("p").received(2).await;
    let after = gateway.assembly.restarted(config, Duration::from_secs(5));
    let claim = |key: &str, ours: &Gateway| {
        let state = ours.assembly.core.state();
        let slot = state.keys.get(&ours.assembly.core.hash(&ours.secret)).unwrap();
        engine::idempotency::Wanted {
            environment: Arc::clone(&slot.key.compiled.environment),
            api_key: slot.key.compiled.id,
            key: key.into(),
            parameters: ["/v1/chat/completions", "", "", REQUEST]
                .map(|text| bytes::Bytes::copy_from_slice(text.as_bytes())),
        }
    };
    use engine::idempotency::{Claimed, Outcomes as _};
    assert_eq!(after.outcomes.claim(claim("open", &gateway)).await, Ok(Claimed::Unknown));
    assert!(matches!(after.outcomes.claim(claim("order-17", &gateway)).await, Ok(Claimed::Kept(_))));
    assert!(matches!(after.outcomes.claim(claim("fresh", &gateway)).await, Ok(Claimed::New(_))));
    told.notify_one();
    assert_eq!(client.reply().await.status, 200);
    gateway.records(2).await;
}

#[tokio::test(start_paused = true)]
async fn who_does_not_ask_for_it_does_not_meet_the_store() {
    let gateway = Gateway::builder().provider("p", Script::chat("Hello")).start();
    gateway.chat(REQUEST).await;
    assert_eq!(gateway.assembly.outcomes.asked(), 0);
    assert!(!gateway.assembly.directory.0.join("idempotency.db").exists());
    gateway.one().await;
}

#[tokio::test(start_paused = true)]
async fn what_is_met_is_counted() {
    let gateway = Gateway::builder().provider("p", Script::chat("Hello")).start();
    gateway.chat_with(KEY, REQUEST).await;
    gateway.chat_with(KEY, REQUEST).await;
    gateway.chat_with(KEY, STREAM).await;
    let metrics = gateway.admin("GET /metrics", "").await;
    let text = String::from_utf8_lossy(&metrics.body).into_owned();
    for (result, count) in [("replayed", 1), ("reused", 1), ("unknown", 0)] {
        let line = format!("crossway_idempotent_repeats_total{{result=\"{result}\"}} {count}");
        assert!(text.contains(&line), "{line} in {text}");
    }
    gateway.one().await;
}
