//! Credits: requests are charged with a margin, and stop when nothing is left.
//!
//! The model `m` costs 2 and 8 dollars per million tokens; the usual answer has 9 tokens in and 4 out: 50,000
//! nano-dollars, with 5.5 percent 52,750.

use std::time::Duration;

use serde_json::{Value, json};
use testkit::caller::Caller;
use testkit::client::Reply;
use testkit::data::{delta, role};
use testkit::gateway::{Gateway, REQUEST, STREAM};
use testkit::script::Script;

use crate::limits::{OTHER, burst, replies, verdict};

/// Usage is charged with a margin of 5.5 percent.
pub const BILLED: &str = "[environment]\nbilling = { enabled = true, margin_percent = 5.5 }\n";

/// A request that says how long the answer may be; it holds 176,000 and a margin of 9,680 nano-dollars.
pub const SHORT: &str = r#"{"model":"m","max_tokens":4,"messages":[{"role":"user","content":"hi"}]}"#;

pub fn gateway(config: &str) -> Gateway {
    Gateway::builder().provider("p", Script::chat("Hello")).config(config).start()
}

/// Posts credits and returns the reply.
pub async fn post(gateway: &Gateway, body: Value) -> Reply {
    gateway.api("POST /admin/v1/environments/default/credits", &body).await
}

/// Tops the account up.
pub async fn top_up(gateway: &Gateway, amount: &str, reference: &str) {
    let reply = post(gateway, json!({ "amount": amount, "reference": reference })).await;
    assert_eq!(reply.status, 201, "{}", reply.text());
}

/// Returns what is available and what is held.
pub async fn standing(gateway: &Gateway) -> (String, String) {
    let balance = gateway.api("GET /admin/v1/environments/default/balance", &Value::Null).await.json();
    let text = |name: &str| balance[name].as_str().unwrap().to_owned();
    (text("available_usd"), text("held_usd"))
}

#[tokio::test(start_paused = true)]
async fn what_is_charged_is_cost_and_margin() {
    let gateway = gateway(BILLED);
    top_up(&gateway, "1", "a").await;
    assert_eq!(standing(&gateway).await, ("1".into(), "0".into()));
    for body in [SHORT, REQUEST] {
        assert_eq!(gateway.chat(body).await.status, 200);
    }
    // It is charged at once, and posted a moment later.
    assert_eq!(standing(&gateway).await, ("0.9998945".into(), "0.0001055".into()));
    let records = gateway.records(2).await;
    for record in &records {
        assert_eq!((record.cost_usd.unwrap().0, record.charged_usd.unwrap().0), (50_000, 52_750));
    }
    assert_eq!(standing(&gateway).await, ("0.9998945".into(), "0".into()));
}

/// MONEY-01, with credits for a budget.
#[tokio::test(start_paused = true)]
async fn no_burst_spends_more_than_there_is() {
    let gateway = gateway(BILLED);
    top_up(&gateway, "0.0005275", "a").await;
    let replies = replies(burst(&gateway, 200, SHORT).await).await;
    for reply in replies.iter().filter(|reply| reply.status != 200) {
        assert_eq!(verdict(reply), (429, "insufficient_credits"));
        assert_eq!((reply.header("x-should-retry"), reply.header("retry-after")), (Some("false"), Some("86400")));
    }
    for _ in 0..20 {
        gateway.chat(SHORT).await;
    }
    let records = gateway.records(220).await;
    let reached = gateway.provider("p").requests().len();
    let charged: u64 = records.iter().map(|record| record.charged_usd.unwrap().0).sum();
    assert_eq!(charged, reached as u64 * 52_750);
    assert!(
        charged <= 527_500 && (6..=10).contains(&reached),
        "a request is let in as long as its bound fits: {reached}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_top_up_takes_effect_at_once() {
    let gateway = gateway(BILLED);
    for caller in Caller::BOTH {
        for streamed in [false, true] {
            let reply = caller.ask(&gateway, "", &caller.request(streamed)).await;
            let told = caller.told(&reply);
            assert_eq!(told.verdict(), (429, "insufficient_credits"));
            assert!(told.message.starts_with("the credits of this account do not cover"), "{}", told.message);
            assert_eq!((reply.header("x-should-retry"), reply.header("retry-after")), (Some("false"), Some("86400")));
        }
    }
    top_up(&gateway, "0.2", "a").await;
    assert_eq!(gateway.chat(REQUEST).await.status, 200);
    let reply = post(&gateway, json!({ "amount": "0.1999", "kind": "refund", "reference": "b" })).await;
    assert_eq!(reply.status, 201, "{}", reply.text());
    assert_eq!(verdict(&gateway.chat(SHORT).await), (429, "insufficient_credits"));
    gateway.records(6).await;
}

/// MONEY-09.
#[tokio::test(start_paused = true)]
async fn a_free_model_needs_no_credits_and_one_without_price_is_refused() {
    let free = "[[models]]\nslug = \"free\"\nprovider = \"p\"\ninput_price = 0\noutput_price = 0\n";
    let gateway = gateway(&[BILLED, free, OTHER].concat());
    let ask = |model: &str| SHORT.replace("\"m\"", &format!("\"{model}\""));
    assert_eq!(gateway.chat(&ask("free")).await.status, 200);
    assert_eq!(verdict(&gateway.chat(&ask("other")).await), (403, "model_not_allowed"));
    let records = gateway.records(2).await;
    assert!(records.iter().all(|record| record.charged_usd.unwrap().0 == 0));
}

/// A failure that cost nothing is charged nothing; what an unbounded answer holds is bounded by what is left.
#[tokio::test(start_paused = true)]
async fn what_fails_is_not_charged_and_what_is_open_is_capped() {
    let scripts = vec![Script::error(400, "no"), Script::error(500, "no"), Script::chat("Hello")];
    let gateway = Gateway::builder().provider_with("p", "", scripts).config(BILLED).start();
    top_up(&gateway, "0.005", "a").await;
    assert_eq!(gateway.chat(SHORT).await.status, 400);
    let reply = gateway.chat(REQUEST).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    // 0.005 less the margin, less 58 bytes at 2 dollars a million, at 8 dollars a million; a quarter of it is less than 1,024.
    let cap: u64 = reply.header("x-crossway-max-tokens").unwrap().parse().unwrap();
    assert!((560..=580).contains(&cap), "{cap}");
    assert_eq!(standing(&gateway).await.0, "0.00494725");
    gateway.records(2).await;
}

/// Somebody who goes away in the middle is charged for what was made; at no instant more is used than there was.
#[tokio::test(start_paused = true)]
async fn a_stream_holds_more_as_it_goes_on_and_ends_when_nothing_is_left() {
    let text = "word ".repeat(400);
    let mut script = Script::stream().chunk(role());
    for _ in 0..20 {
        script = script.chunk(delta(&text)).wait(1);
    }
    let script = script.stall();
    let gateway = Gateway::builder().provider("p", script).config(BILLED).start();
    // The first 1,024 tokens are held, and 60,000 nano-dollars more are left.
    top_up(&gateway, "0.02", "a").await;
    let reply = gateway.chat(STREAM).await;
    assert_eq!(reply.status, 200);
    let record = gateway.one().await;
    assert_eq!(record.finish_reason.as_deref(), Some("length"), "{record:?}");
    assert_eq!(record.error.unwrap().code.as_deref(), Some("insufficient_credits"));
    let charged = record.charged_usd.unwrap().0;
    assert!((8_000_000..=20_000_000 + 4_300_000).contains(&charged), "one chunk more at most: {charged}");
    assert_eq!(record.usage.origin, "estimated");
    let ledger = gateway.api("GET /admin/v1/environments/default/ledger?kind=charge", &Value::Null).await.json();
    assert_eq!(ledger["data"][0]["estimated"], true);
}

#[tokio::test(start_paused = true)]
async fn a_suspended_account_serves_no_request() {
    for billing in ["enabled = true, status = \"suspended\"", "status = \"suspended\""] {
        let gateway = gateway(&format!("[environment]\nbilling = {{ {billing} }}\n"));
        top_up(&gateway, "1", "a").await;
        for caller in Caller::BOTH {
            let reply = caller.ask(&gateway, "", &caller.request(false)).await;
            let told = caller.told(&reply);
            assert_eq!(told.verdict(), (403, "account_suspended"));
            assert_eq!(reply.header("x-should-retry"), Some("false"));
        }
        let models = gateway.ask("GET /v1/models", &gateway.fields(), "").await;
        assert_eq!(models.status, 200, "what there is may be looked at");
        gateway.none().await;
    }
}

/// MONEY-13: what is in flight is settled at the margin of its admission; later requests have the new one.
#[tokio::test(start_paused = true)]
async fn a_change_of_the_margin_changes_no_history() {
    let told = std::sync::Arc::new(tokio::sync::Notify::new());
    let body = testkit::data::completion("Hello");
    let answer =
        format!("HTTP/1.1 200 X\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}", body.len());
    let scripts = vec![Script::new().until(&told).send(answer), Script::chat("Hello")];
    let gateway = Gateway::builder().provider_with("p", "", scripts).start();
    top_up(&gateway, "1", "a").await;
    let patch = |billing: Value| {
        let gateway = &gateway;
        async move {
            let spec = json!({ "spec": { "billing": billing } });
            let reply = gateway.api("PATCH /admin/v1/environments/default", &spec).await;
            assert_eq!(reply.status, 200, "{}", reply.text());
        }
    };
    patch(json!({ "enabled": true, "margin_percent": 10 })).await;
    let mut open = gateway.begin(SHORT).await;
    gateway.provider("p").received(1).await;
    patch(json!({ "enabled": true, "margin_percent": "0.5" })).await;
    assert_eq!(gateway.chat(SHORT).await.status, 200);
    patch(json!({ "enabled": false })).await;
    assert_eq!(gateway.chat(SHORT).await.status, 200);
    told.notify_one();
    assert_eq!(open.reply().await.status, 200);
    let records = gateway.records(3).await;
    let charged: Vec<_> = records.iter().map(|record| record.charged_usd.map(|charged| charged.0)).collect();
    assert_eq!(charged, [Some(55_000), Some(50_250), None]);
    assert_eq!(standing(&gateway).await.0, "0.99989475");
}

/// After `kill -9`, the next process knows what is left: what was settled is charged, and what was in flight by its
/// estimate.
#[tokio::test(start_paused = true)]
async fn a_restart_finds_the_balance() {
    let scripts = vec![Script::chat("Hello"), Script::new().stall()];
    let gateway = Gateway::builder().provider_with("p", "", scripts).config(BILLED).start();
    top_up(&gateway, "1", "a").await;
    assert_eq!(gateway.chat(SHORT).await.status, 200);
    let open = gateway.begin(SHORT).await;
    gateway.provider("p").received(2).await;
    let restarted = gateway.assembly.restarted(BILLED, Duration::from_secs(5));
    let balance = restarted.credits.balance("default").unwrap();
    // 72 bytes are estimated as 18 tokens: 36,000 nano-dollars and the margin.
    assert_eq!((balance.available.to_string(), balance.held.0), ("0.99990927".to_owned(), 0));
    assert_eq!(balance.credits(), balance.available);
    drop(open);
    gateway.records(2).await;
}

/// Another process posts: the running gateway counts it when it looks, which the binary does once a second.
#[tokio::test(start_paused = true)]
async fn credits_that_another_process_posts_are_counted_once() {
    use store::records::ledger::CreditKind;
    use store::records::ledger::credit::{Ledger, NewCredit};
    let gateway = gateway(BILLED);
    let mut other = Ledger::open(&gateway.assembly.directory.0).unwrap();
    for number in 0..3 {
        let new = NewCredit {
            environment: "default".into(),
            kind: CreditKind::TopUp,
            credits: ir::money::SignedNanos::dollars("0.5").unwrap(),
            reference: number.to_string(),
            note: String::new(),
            actor: "command line".into(),
        };
        other.post(&new, 1_795_000_000_000).unwrap();
        gateway.assembly.credits.poll().unwrap();
        gateway.assembly.credits.poll().unwrap();
        top_up(&gateway, "0.25", &format!("own {number}")).await;
    }
    assert_eq!(standing(&gateway).await.0, "2.25");
    assert_eq!(gateway.chat(SHORT).await.status, 200);
    gateway.one().await;
}
