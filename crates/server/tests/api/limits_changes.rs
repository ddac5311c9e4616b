//! What changes while requests are in flight: prices, teams, amounts, the clock. A request belongs to what it was admitted
//! under.

use std::sync::Arc;

use policy::spec::key::KeySpec;
use serde_json::{Value, json};
use testkit::client::Reply;
use testkit::gateway::Gateway;
use testkit::script::Script;
use tokio::sync::Notify;

use crate::limits::{DEFAULT, limit, own, verdict};

const SHORT: &str = r#"{"model":"m","max_tokens":4,"messages":[{"role":"user","content":"hi"}]}"#;

/// An answer of 9 tokens in and 4 out that waits until it is told.
fn waiting(told: &Arc<Notify>) -> Script {
    let body = testkit::data::completion("Hello");
    let head = format!("HTTP/1.1 200 X\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n", body.len());
    Script::new().until(told).send(format!("{head}{body}"))
}

async fn call(gateway: &Gateway, line: &str, body: Value) -> Reply {
    let (method, path) = line.split_once(' ').unwrap();
    let reply = gateway.api(&format!("{method} {DEFAULT}/{path}"), &body).await;
    assert!((200..300).contains(&reply.status), "{line}: {}", reply.text());
    reply
}

/// What is used of each limit of a key, by meter and scope.
async fn used(gateway: &Gateway, key: &str) -> Vec<String> {
    let answer = gateway.api(&format!("GET {DEFAULT}/limits/effective?key={key}"), &Value::Null).await.json();
    let line =
        |one: &Value| ["meter", "scope", "amount", "used"].map(|name| one[name].to_string().replace('"', "")).join(" ");
    let mut lines: Vec<String> = answer["data"].as_array().unwrap().iter().map(line).collect();
    lines.sort();
    lines
}

fn bearer(secret: &str) -> String {
    format!("authorization: Bearer {secret}\r\n")
}

/// MONEY-13: what is in flight is settled at the price of its admission.
#[tokio::test(start_paused = true)]
async fn a_change_of_the_price_changes_no_request_in_flight() {
    let told = Arc::new(Notify::new());
    let scripts = vec![waiting(&told), Script::chat("Hello")];
    let config = limit("usd", "day", "1", "");
    let gateway = Gateway::builder().provider_with("p", "", scripts).config(&config).start();
    let spec = json!({ "slug": "x", "provider": "p", "upstream_name": "x", "input_price": 2, "output_price": 8 });
    call(&gateway, "POST models", json!({ "name": "x", "spec": spec })).await;
    let body = SHORT.replace("\"m\"", "\"x\"");
    let mut open = gateway.begin(&body).await;
    gateway.provider("p").received(1).await;
    call(&gateway, "PATCH models/x", json!({ "spec": { "input_price": 200, "output_price": 800 } })).await;
    assert_eq!(gateway.chat(&body).await.status, 200);
    told.notify_one();
    assert_eq!(open.reply().await.status, 200);
    let costs: Vec<_> = gateway.records(2).await.iter().map(|record| record.cost_usd.map(|cost| cost.0)).collect();
    assert_eq!(costs, [Some(50_000), Some(5_000_000)]);
    assert_eq!(used(&gateway, "first").await, ["usd environment 1 0.00505"]);
}

/// A key that changes its team takes nothing along and leaves nothing behind; without a team no team's limit binds it.
#[tokio::test(start_paused = true)]
async fn a_key_that_moves_counts_where_it_was_admitted() {
    let told = Arc::new(Notify::new());
    let scripts = vec![waiting(&told), Script::chat("Hello")];
    let config = [limit("usd", "day", "0.0005", "scope = \"team\""), limit("requests", "day", "9", "scope = \"key\"")];
    let gateway = Gateway::builder().provider_with("p", "", scripts).config(&config.concat()).start();
    for team in ["one", "two"] {
        call(&gateway, "POST teams", json!({ "name": team, "spec": {} })).await;
    }
    let secret = gateway.assembly.create_key("k", KeySpec { team: Some("one".into()), ..KeySpec::default() });
    let other = gateway.assembly.create_key("other", KeySpec { team: Some("one".into()), ..KeySpec::default() });
    let mut open = gateway.client();
    open.request("POST /v1/chat/completions", &bearer(&secret), SHORT.as_bytes()).await;
    gateway.provider("p").received(1).await;
    let moved = |team: &str| call(&gateway, "PATCH keys/k", json!({ "spec": { "team": team } }));
    moved("two").await;
    assert_eq!(gateway.ask("POST /v1/chat/completions", &bearer(&secret), SHORT).await.status, 200);
    let of = |usd: &str, requests: &str| [format!("requests key 9 {requests}"), format!("usd team 0.0005 {usd}")];
    assert_eq!(used(&gateway, "k").await, of("0.00005", "2"), "two's own, and the key's together");
    assert_eq!(used(&gateway, "other").await, of("0.000176", "0"), "what one holds");
    told.notify_one();
    assert_eq!(open.reply().await.status, 200);
    gateway.assembly.quiet().await;
    assert_eq!(used(&gateway, "other").await, of("0.00005", "0"), "settled where it was admitted");
    // A team that is gone bounds nobody; its keys live on, and so do their own limits.
    call(&gateway, "DELETE teams/one", Value::Null).await;
    assert_eq!(used(&gateway, "other").await, ["requests key 9 0"]);
    assert_eq!(gateway.ask("POST /v1/chat/completions", &bearer(&other), SHORT).await.status, 200);
    assert_eq!(used(&gateway, "other").await, ["requests key 9 1"]);
    // A team of the same name finds what was used by those who were in it.
    call(&gateway, "POST teams", json!({ "name": "one", "spec": {} })).await;
    moved("one").await;
    assert_eq!(used(&gateway, "k").await, of("0.00005", "2"));
    gateway.records(3).await;
}

/// MONEY-13: an amount below what is used refuses what comes, and not what is in flight; a higher one lets it in again.
#[tokio::test(start_paused = true)]
async fn an_amount_may_fall_below_what_is_used() {
    let told = Arc::new(Notify::new());
    let scripts = vec![waiting(&told), Script::chat("Hello")];
    let gateway = Gateway::builder().provider_with("p", "", scripts).start();
    let spec = json!({ "meter": "usd", "window": "day", "amount": "0.001" });
    call(&gateway, "POST limits", json!({ "name": "cap", "spec": spec })).await;
    let mut open = gateway.begin(SHORT).await;
    gateway.provider("p").received(1).await;
    let amount = |usd: &str| call(&gateway, "PATCH limits/cap", json!({ "spec": { "amount": usd } }));
    amount("0.0001").await;
    let refused = gateway.chat(SHORT).await;
    assert_eq!((verdict(&refused), refused.header("x-should-retry")), ((429, "budget_exceeded"), Some("false")));
    assert_eq!(used(&gateway, "first").await, ["usd environment 0.0001 0.000176"]);
    told.notify_one();
    assert_eq!(open.reply().await.status, 200);
    gateway.assembly.quiet().await;
    assert_eq!(used(&gateway, "first").await, ["usd environment 0.0001 0.00005"]);
    assert_eq!(verdict(&gateway.chat(SHORT).await), (429, "budget_exceeded"));
    amount("0.00023").await;
    assert_eq!(gateway.chat(SHORT).await.status, 200);
    assert_eq!(used(&gateway, "first").await, ["usd environment 0.00023 0.0001"]);
    gateway.records(4).await;
}

/// A clock that is set ahead and back gives nothing away: the day it left is found as it was, and what rolls follows a clock
/// that does not jump.
#[tokio::test(start_paused = true)]
async fn a_clock_that_jumps_gives_nothing_away() {
    let config = limit("requests", "1h", "9", "scope = \"key:first\"");
    let gateway = Gateway::builder().provider("p", Script::chat("Hello")).config(&config).start();
    let spec = KeySpec { limits: vec![own("requests", "day", "2"), own("requests", "1h", "3")], ..KeySpec::default() };
    let secret = gateway.assembly.create_key("k", spec);
    let ask = async || gateway.ask("POST /v1/chat/completions", &bearer(&secret), SHORT).await.status;
    assert_eq!([ask().await, ask().await, ask().await], [200, 200, 429]);
    let today = gateway.assembly.core.clock.unix_ms();
    let set = |days: i64| gateway.assembly.hands.set_unix_ms(today.saturating_add_signed(days * 86_400_000));
    set(2);
    assert_eq!([ask().await, ask().await], [200, 429], "another day, and the hour has three");
    set(0);
    assert_eq!(ask().await, 429, "today is as it was");
    set(-2);
    assert_eq!(ask().await, 429, "the hour goes by the other clock");
    set(0);
    gateway.assembly.hands.advance(std::time::Duration::from_secs(3_700));
    assert_eq!(ask().await, 429, "the hour has passed, the day has not");
    gateway.records(8).await;
}
