//! Limits on what goes to one provider or one model: they bind each attempt, and lead on to the next target.

use std::time::Duration;

use testkit::client::Reply;
use testkit::gateway::{Gateway, REQUEST};
use testkit::script::Script;

use crate::limits::{limit, number, verdict};

const SHORT: &str = r#"{"model":"m","max_tokens":4,"messages":[{"role":"user","content":"hi"}]}"#;

fn served(reply: &Reply) -> (u16, &str) {
    (reply.status, reply.header("x-crossway-provider").unwrap_or_default())
}

fn asked(gateway: &Gateway, name: &str) -> usize {
    gateway.provider(name).requests().len()
}

#[tokio::test(start_paused = true)]
async fn a_full_target_is_passed_over() {
    let config = [
        limit("requests", "60s", "1", "target = \"provider:p\""),
        limit("requests", "60s", "2", "target = \"provider:q\""),
    ];
    let builder = Gateway::builder().provider("p", Script::chat("Hello")).provider("q", Script::chat("Hello"));
    let gateway = builder.config(&config.concat()).start();
    for expect in [(200, "p"), (200, "q"), (200, "q"), (429, "")] {
        assert_eq!(served(&gateway.chat(REQUEST).await), expect);
    }
    let refused = gateway.chat(REQUEST).await;
    assert_eq!(verdict(&refused), (429, "rate_limited"));
    assert!(refused.message().contains("at the provider"), "{}", refused.message());
    assert_eq!(refused.header("x-crossway-attempts"), None, "nobody was asked");
    assert_eq!(number(&refused, "x-ratelimit-remaining"), 0, "of the limit that refused: {:?}", refused.headers);
    let wait = number(&refused, "retry-after");
    assert!((59..=61).contains(&wait), "{wait}");
    gateway.assembly.hands.advance(Duration::from_secs(wait));
    assert_eq!(served(&gateway.chat(REQUEST).await), (200, "p"));
    assert_eq!((asked(&gateway, "p"), asked(&gateway, "q")), (2, 2));
    gateway.records(6).await;
}

#[tokio::test(start_paused = true)]
async fn every_try_counts_where_it_goes() {
    // The first answer of p fails, and q serves: both have had a request. Until q is full it goes first.
    let config = [
        limit("requests", "60s", "2", "target = \"provider:p\""),
        limit("requests", "60s", "2", "target = \"provider:q\""),
        limit("requests", "60s", "9", ""),
    ];
    let failing = vec![Script::error(500, "no"), Script::chat("Hello")];
    let builder = Gateway::builder().provider_with("p", "", failing).provider("q", Script::chat("Hello"));
    let gateway = builder.config(&config.concat()).start();
    for (expect, left) in [((200, "q"), 8), ((200, "q"), 7), ((200, "p"), 6)] {
        let reply = gateway.chat(REQUEST).await;
        assert_eq!(served(&reply), expect);
        let shown = number(&reply, "x-ratelimit-limit");
        assert!(shown == 2 || number(&reply, "x-ratelimit-remaining") == left, "{:?}", reply.headers);
    }
    assert_eq!(verdict(&gateway.chat(REQUEST).await), (429, "rate_limited"));
    assert_eq!((asked(&gateway, "p"), asked(&gateway, "q")), (2, 2), "never one more");
    gateway.records(4).await;
}

#[tokio::test(start_paused = true)]
async fn a_retry_is_a_request_to_its_target() {
    let config = limit("requests", "60s", "2", "target = \"provider:p\"");
    let gateway = Gateway::builder().provider("p", Script::error(500, "broken")).config(&config).start();
    let reply = gateway.chat(REQUEST).await;
    assert_eq!((verdict(&reply), asked(&gateway, "p")), ((502, "upstream_error"), 2), "{}", reply.text());
    assert!(reply.message().contains("broken"), "what the provider said is told: {}", reply.message());
    assert_eq!((verdict(&gateway.chat(REQUEST).await), asked(&gateway, "p")), ((429, "rate_limited"), 2));
    gateway.records(2).await;
}

#[tokio::test(start_paused = true)]
async fn what_failed_elsewhere_is_told_before_a_limit() {
    let config = limit("requests", "60s", "0", "target = \"provider:q\"");
    let builder = Gateway::builder().provider("p", Script::error(503, "away")).provider("q", Script::chat("Hello"));
    let gateway = builder.config(&config).start();
    let reply = gateway.chat(REQUEST).await;
    assert_eq!((reply.status, asked(&gateway, "q")), (502, 0), "{}", reply.text());
    gateway.one().await;
}

#[tokio::test(start_paused = true)]
async fn a_model_has_limits_of_its_own_whoever_serves_it() {
    let config = [
        limit("requests", "60s", "2", "target = \"model:m\""),
        "[[models]]\nslug = \"n\"\nprovider = \"p\"\nmax_output_tokens = 100\n".to_owned(),
    ];
    let builder = Gateway::builder().provider("p", Script::chat("Hello")).provider("q", Script::chat("Hello"));
    let gateway = builder.config(&config.concat()).start();
    for expect in [(200, "p"), (200, "p"), (429, "")] {
        assert_eq!(served(&gateway.chat(REQUEST).await), expect);
    }
    assert_eq!(gateway.chat(&REQUEST.replace("\"m\"", "\"n\"")).await.status, 200, "another model is another");
    assert_eq!(asked(&gateway, "q"), 0);
    gateway.records(4).await;
}

#[tokio::test(start_paused = true)]
async fn money_at_a_target_is_reserved_at_its_price() {
    let config = limit("usd", "day", "0.0002", "target = \"provider:p\"");
    let builder = Gateway::builder().provider("p", Script::chat("Hello")).provider("q", Script::chat("Hello"));
    let gateway = builder.config(&config).start();
    // 176,000 nano-dollars are bound and 50,000 used: a second bound does not fit into 200,000.
    for expect in [(200, "p"), (200, "q"), (200, "q")] {
        assert_eq!(served(&gateway.chat(SHORT).await), expect);
    }
    gateway.records(3).await;
}

#[tokio::test(start_paused = true)]
async fn places_at_a_target() {
    let config = limit("concurrency", "", "1", "target = \"provider:p\"");
    let builder = Gateway::builder().provider("p", Script::new().stall()).provider("q", Script::chat("Hello"));
    let gateway = builder.config(&config).start();
    let first = gateway.begin(REQUEST).await;
    gateway.provider("p").received(1).await;
    assert_eq!(served(&gateway.chat(REQUEST).await), (200, "q"));
    assert_eq!(served(&gateway.chat(REQUEST).await), (200, "q"));
    drop(first);
    gateway.records(3).await;
}

#[tokio::test(start_paused = true)]
async fn a_count_is_a_request_to_its_target() {
    let config = [
        limit("requests", "60s", "1", "target = \"provider:p\""),
        limit("requests", "1h", "9", ""),
        limit("usd", "day", "0", ""),
    ];
    let script = Script::json(200, r#"{"input_tokens":14}"#);
    let gateway = Gateway::builder().provider_of("p", "anthropic", vec![script]).config(&config.concat()).start();
    let fields = testkit::caller::Caller::Anthropic.fields(&gateway);
    let body = r#"{"model":"m","messages":[{"role":"user","content":"hi"}]}"#;
    for estimated in [None, Some("true")] {
        let reply = gateway.ask("POST /v1/messages/count_tokens", &fields, body).await;
        assert_eq!((reply.status, reply.header("x-crossway-estimated")), (200, estimated), "{}", reply.text());
    }
    assert_eq!(asked(&gateway, "p"), 1);
    gateway.records(2).await;
}

#[tokio::test(start_paused = true)]
async fn without_max_tokens_what_is_left_at_a_target_bounds_the_answer() {
    let config = limit("tokens", "1h", "500", "target = \"provider:p\"");
    let builder = Gateway::builder().provider("p", Script::chat("Hello")).provider("q", Script::chat("Hello"));
    let gateway = builder.config(&config).start();
    let reply = gateway.chat(REQUEST).await;
    assert_eq!(served(&reply), (200, "p"));
    let cap = number(&reply, "x-crossway-max-tokens");
    assert_eq!((cap, &gateway.provider("p").request().json()["max_completion_tokens"]), (485, &cap.into()));
    gateway.one().await;
}
