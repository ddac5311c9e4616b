//! Alerts of limits: each share once per window, by what was spent.
//!
//! A request costs 50,000 nano-dollars: 0.000050.

use std::time::Duration;

use serde_json::{Value, json};
use testkit::gateway::Gateway;
use testkit::script::Script;

use crate::events::{HOOKS, builder, listening, log, subscribe, taken, told, types};
use crate::limits::limit;

const ALERTS: &str = "/admin/v1/environments/default/alerts";

const SHORT: &str = r#"{"model":"m","max_tokens":4,"messages":[{"role":"user","content":"hi"}]}"#;

async fn spend(gateway: &Gateway, requests: usize) {
    for _ in 0..requests {
        gateway.chat(SHORT).await;
    }
    gateway.assembly.quiet().await;
    gateway.assembly.hands.advance(Duration::from_secs(2));
    gateway.tell().await;
}

fn shares(events: &[Value]) -> Vec<(&str, u64)> {
    events.iter().map(|event| (event["type"].as_str().unwrap(), event["data"]["threshold"].as_u64().unwrap())).collect()
}

#[tokio::test(start_paused = true)]
async fn each_share_is_told_once_a_window() {
    // Forty requests.
    let gateway =
        listening(builder(vec![taken()]).config(&limit("usd", "day", "0.002", "scope = \"key\"")), &["budget.*"]).await;
    spend(&gateway, 27).await;
    assert!(told(&gateway).is_empty(), "67.5 %");
    spend(&gateway, 1).await;
    assert_eq!(shares(&told(&gateway)), [("budget.alert", 70)]);
    spend(&gateway, 7).await;
    assert_eq!(told(&gateway).len(), 1, "87.5 %");
    spend(&gateway, 1).await;
    // One more fits; after that what is left, 0.00015, does not cover what a request may cost at most.
    spend(&gateway, 2).await;
    spend(&gateway, 1).await;
    let events = told(&gateway);
    assert_eq!(shares(&events), [("budget.alert", 70), ("budget.alert", 90), ("budget.exceeded", 100)]);
    let data = &events[1]["data"];
    assert_eq!((&data["subject"]["kind"], &data["subject"]["name"]), (&json!("key"), &json!("first")));
    assert_eq!((&data["used"], &data["amount"], &data["used_pct"]), (&json!("0.0018"), &json!("0.002"), &json!(90.0)));
    assert_eq!((&data["meter"], &data["window"], &data["refused"]), (&json!("usd"), &json!("day"), &json!(false)));
    assert!(data["resets_at"].as_str().unwrap().ends_with("T00:00:00.000Z"), "{data}");
    assert_eq!(events[2]["data"]["refused"], true);
    // The next day everything begins anew.
    gateway.assembly.hands.advance(Duration::from_secs(86_400));
    spend(&gateway, 28).await;
    assert_eq!(shares(&told(&gateway))[3..], [("budget.alert", 70)]);
    let asked = gateway.assembly.core.metrics.totals().requests.total;
    gateway.records(usize::try_from(asked).unwrap()).await;
}

#[tokio::test(start_paused = true)]
async fn a_restart_repeats_nothing() {
    let config = limit("usd", "month", "0.002", "");
    let gateway = listening(builder(vec![taken()]).config(&config), &["budget.*", "usage.*"]).await;
    spend(&gateway, 30).await;
    assert_eq!(told(&gateway).len(), 2);
    let next = builder(vec![taken()]).config(&config).assemble_after(&gateway.assembly, Duration::from_secs(5));
    next.tell().await;
    spend(&next, 1).await;
    assert!(told(&next).is_empty(), "{:?}", told(&next));
    let key = next.assembly.create_key("second", policy::spec::key::KeySpec::default());
    for _ in 0..5 {
        let fields = format!("authorization: Bearer {key}\r\ncontent-type: application/json\r\n");
        next.ask("POST /v1/chat/completions", &fields, SHORT).await;
    }
    next.assembly.quiet().await;
    next.assembly.hands.advance(Duration::from_secs(2));
    next.tell().await;
    let mut events = told(&next);
    events.sort_by_key(|event| event["type"].as_str().unwrap().to_owned());
    assert_eq!(shares(&events), [("budget.alert", 90), ("usage.threshold", 90)]);
    assert_eq!(events[0]["data"]["subject"], json!({ "kind": "environment", "name": "default" }));
    next.unchecked();
    gateway.records(30).await;
}

#[tokio::test(start_paused = true)]
async fn what_is_held_is_not_spent() {
    let open = std::sync::Arc::new(tokio::sync::Notify::new());
    let slow = Script::new().step(testkit::script::Step::Until(std::sync::Arc::clone(&open)));
    let builder = Gateway::builder().provider_with("p", "", vec![slow]).host("hook", vec![taken()]);
    let gateway = listening(builder.config(&limit("tokens", "day", "40", "")), &["usage.threshold"]).await;
    let client = gateway.begin(SHORT).await;
    gateway.provider("p").received(1).await;
    let (_, tokens, _) = gateway.held();
    assert!(tokens > 0);
    gateway.assembly.hands.advance(Duration::from_secs(2));
    gateway.tell().await;
    assert!(told(&gateway).is_empty(), "a request in flight has spent nothing");
    drop(client);
    open.notify_waiters();
    gateway.one().await;
}

#[tokio::test(start_paused = true)]
async fn a_rolling_window_tells_again_when_it_has_passed() {
    let extra = "alerts = { thresholds = [50] }";
    let gateway = listening(builder(vec![taken()]).config(&limit("requests", "60s", "4", extra)), &["usage.*"]).await;
    spend(&gateway, 2).await;
    spend(&gateway, 1).await;
    assert_eq!(shares(&told(&gateway)), [("usage.threshold", 50)]);
    gateway.assembly.hands.advance(Duration::from_secs(70));
    gateway.tell().await;
    spend(&gateway, 2).await;
    assert_eq!(shares(&told(&gateway)), [("usage.threshold", 50); 2]);
    gateway.records(5).await;
}

#[tokio::test(start_paused = true)]
async fn an_alert_names_its_own_shares_and_receivers() {
    let config = limit("usd", "month", "0.001", "");
    let gateway = listening(builder(vec![taken()]).host("ops", vec![taken()]).config(&config), &["budget.*"]).await;
    subscribe(&gateway, "ops", "http://ops.test/", &["key.revoked"]).await;
    let spec = json!({ "webhooks": ["ops"], "emails": ["ops@example.com"], "thresholds": [50], "limits": ["limit-*"] });
    assert_eq!(gateway.api(&format!("POST {ALERTS}"), &json!({ "name": "half", "spec": spec })).await.status, 201);
    let other = json!({ "webhooks": ["ops"], "thresholds": [50], "limits": ["other"] });
    assert_eq!(gateway.api(&format!("POST {ALERTS}"), &json!({ "name": "other", "spec": other })).await.status, 201);
    spend(&gateway, 11).await;
    assert!(told(&gateway).is_empty(), "who only subscribes is told of the limit's own shares");
    let ops = |gateway: &Gateway| -> Vec<Value> {
        gateway.provider("ops").requests().iter().map(|received| received.json()).collect()
    };
    assert_eq!(shares(&ops(&gateway)), [("budget.alert", 50)]);
    spend(&gateway, 4).await;
    assert_eq!((shares(&told(&gateway)), ops(&gateway).len()), (vec![("budget.alert", 70)], 1));
    // Email waits until somebody says how it is sent.
    let metrics = gateway.admin("GET /metrics", "").await.text().to_owned();
    assert!(metrics.contains("crossway_event_deliveries_failed_total 1"), "{metrics}");
    gateway.records(15).await;
}

#[tokio::test(start_paused = true)]
async fn a_raised_amount_is_another_limit() {
    let gateway = listening(builder(vec![taken()]), &["budget.*"]).await;
    let limits = "/admin/v1/environments/default/limits";
    let spec = json!({ "meter": "usd", "window": "month", "amount": "0.001" });
    assert_eq!(gateway.api(&format!("POST {limits}"), &json!({ "name": "l", "spec": spec })).await.status, 201);
    spend(&gateway, 15).await;
    assert_eq!(shares(&told(&gateway)), [("budget.alert", 70)]);
    gateway.api(&format!("PATCH {limits}/l"), &json!({ "spec": { "amount": "0.002" } })).await;
    spend(&gateway, 13).await;
    assert_eq!(shares(&told(&gateway)), [("budget.alert", 70); 2]);
    let log = log(&gateway, "h", "").await;
    assert_eq!(log[0]["event"]["data"]["amount"], "0.002");
    gateway.records(28).await;
}

#[tokio::test(start_paused = true)]
async fn somebody_who_listens_later_hears_what_stands() {
    let gateway = builder(vec![taken()]).config(&limit("usd", "month", "0.002", "")).start();
    gateway.tell().await;
    spend(&gateway, 36).await;
    for _ in 0..3 {
        gateway.chat(SHORT).await;
    }
    gateway.assembly.hands.advance(Duration::from_secs(5));
    subscribe(&gateway, "h", "http://hook.test/", &["budget.*"]).await;
    spend(&gateway, 0).await;
    let events = told(&gateway);
    assert_eq!(shares(&events), [("budget.alert", 70), ("budget.alert", 90)], "but not of an old refusal");
    assert_eq!(types(&events).len(), 2);
    assert_eq!(gateway.api(&format!("DELETE {HOOKS}/h"), &Value::Null).await.status, 204);
    gateway.records(39).await;
}

#[tokio::test(start_paused = true)]
async fn somebody_who_begins_to_listen_hears_of_a_refusal_a_moment_later() {
    let gateway = builder(vec![taken()]).config(&limit("usd", "month", "0.002", "")).start();
    gateway.tell().await;
    subscribe(&gateway, "h", "http://hook.test/", &["budget.*"]).await;
    for _ in 0..39 {
        gateway.chat(SHORT).await;
    }
    gateway.assembly.quiet().await;
    gateway.assembly.hands.advance(Duration::from_secs(1));
    gateway.tell().await;
    assert_eq!(shares(&told(&gateway)), [("budget.alert", 70), ("budget.alert", 90), ("budget.exceeded", 100)]);
    gateway.records(39).await;
}

#[tokio::test(start_paused = true)]
async fn credits_that_are_used_up_are_told_until_they_are_topped_up() {
    let config = "[environment]\nbilling = { enabled = true }\n";
    let gateway = listening(builder(vec![taken()]).config(config), &["credits.*", "billing.*"]).await;
    let credit = |amount: &str, reference: &str| json!({ "amount": amount, "reference": reference });
    let credits = "POST /admin/v1/environments/default/credits";
    assert_eq!(gateway.api(credits, &credit("0.001", "one")).await.status, 201);
    gateway.tell().await;
    let types_now = |gateway: &Gateway| types(&told(gateway)).join(" ");
    assert!(types_now(&gateway).contains("billing.topup"), "{}", types_now(&gateway));
    spend(&gateway, 30).await;
    spend(&gateway, 5).await;
    let exhausted = |gateway: &Gateway| told(gateway).iter().filter(|one| one["type"] == "credits.exhausted").count();
    assert_eq!(exhausted(&gateway), 1, "{:?}", told(&gateway));
    assert_eq!(gateway.api(credits, &credit("0.001", "two")).await.status, 201);
    spend(&gateway, 1).await;
    spend(&gateway, 30).await;
    spend(&gateway, 1).await;
    assert_eq!(exhausted(&gateway), 2);
    let topups: Vec<Value> = told(&gateway).into_iter().filter(|one| one["type"] == "billing.topup").collect();
    assert_eq!((topups.len(), &topups[1]["data"]["amount_usd"]), (2, &json!("0.001")));
    let asked = gateway.assembly.core.metrics.totals().requests.total;
    gateway.records(usize::try_from(asked).unwrap()).await;
}

/// Few credits are told once for each amount, until there are more again; that none are left is told apart.
#[tokio::test(start_paused = true)]
async fn few_credits_are_told_before_none_are_left() {
    let config = "[environment]\nbilling = { enabled = true, low_credits = [\"0.0005\", \"0.001\"] }\n";
    let gateway = listening(builder(vec![taken()]).config(config), &["credits.*"]).await;
    let credit = async |amount: &str, reference: &str| {
        let posted = json!({ "amount": amount, "reference": reference });
        let reply = gateway.api("POST /admin/v1/environments/default/credits", &posted).await;
        assert_eq!(reply.status, 201, "{}", reply.text());
        gateway.assembly.hands.advance(Duration::from_secs(2));
        gateway.tell().await;
    };
    let low = || -> Vec<String> {
        let of = |event: Value| {
            let (kind, data) = (&event["type"], &event["data"]);
            [kind, &data["threshold_usd"], &data["balance_usd"]].map(|one| one.to_string().replace('"', "")).join(" ")
        };
        told(&gateway).into_iter().map(of).collect()
    };
    credit("0.002", "one").await;
    spend(&gateway, 19).await;
    assert!(low().is_empty(), "0.00105 are left");
    spend(&gateway, 1).await;
    assert_eq!(low(), ["credits.low 0.001 0.001"]);
    spend(&gateway, 3).await;
    spend(&gateway, 8).await;
    assert_eq!(low()[1..], ["credits.low 0.0005 0.00045"], "once each");
    credit("0.0005", "two").await;
    assert_eq!(low().len(), 2, "more than the smaller amount, and still no more than the larger");
    spend(&gateway, 9).await;
    assert_eq!(low()[2..], ["credits.low 0.0005 0.0005"], "and few again");
    let asked = gateway.assembly.core.metrics.totals().requests.total;
    gateway.records(usize::try_from(asked).unwrap()).await;
}

#[tokio::test(start_paused = true)]
async fn a_suspended_account_is_told_and_so_is_its_return() {
    let gateway = listening(builder(vec![taken()]), &["account.*"]).await;
    let path = "PATCH /admin/v1/environments/default";
    let status = async |word: &str| {
        let reply = gateway.api(path, &json!({ "spec": { "billing": { "status": word } } })).await;
        assert_eq!(reply.status, 200, "{}", reply.text());
        gateway.assembly.hands.advance(Duration::from_secs(2));
        gateway.tell().await;
        gateway.tell().await;
    };
    status("suspended").await;
    assert_eq!(types(&told(&gateway)), ["account.suspended"]);
    assert_eq!(told(&gateway)[0]["data"], json!({ "environment": "default" }));
    assert_eq!(gateway.chat(SHORT).await.status, 403);
    status("active").await;
    assert_eq!(types(&told(&gateway)), ["account.suspended", "account.resumed"]);
    assert_eq!(gateway.chat(SHORT).await.status, 200);
    gateway.records(1).await;
}

/// A month is told of when every request of it has ended, once, and not when nothing was in it.
#[tokio::test(start_paused = true)]
async fn a_month_that_is_closed_is_told() {
    let config = "[environment]\ntimezone = \"Europe/Berlin\"\nbilling = { enabled = true, margin_percent = 10 }\n";
    let gateway = listening(builder(vec![taken()]).config(config), &["billing.closed"]).await;
    let credits = json!({ "amount": "1.00", "reference": "invoice 1" });
    let posted = gateway.api("POST /admin/v1/environments/default/credits", &credits).await;
    assert_eq!(posted.status, 201, "{}", posted.text());
    spend(&gateway, 3).await;
    gateway.records(3).await;
    // The month ends at 2026-11-30T23:00:00Z, 1,079,600 seconds after the clock's beginning; a request may take a day.
    let at = async |seconds: u64| {
        gateway.assembly.hands.set_unix_ms((1_795_000_000 + seconds) * 1_000);
        for _ in 0..2 {
            gateway.assembly.hands.advance(Duration::from_secs(61));
            gateway.tell().await;
        }
        told(&gateway)
    };
    let end = 1_079_600;
    assert!(at(end).await.is_empty());
    assert!(at(end + 86_400).await.is_empty(), "a request of the month may still run");
    let events = at(end + 86_400 + 700).await;
    assert_eq!(types(&events), ["billing.closed"]);
    let expect = json!({
        "environment": "default",
        "month": "2026-11",
        "from": "2026-11-01T00:00:00+01:00",
        "to": "2026-12-01T00:00:00+01:00",
        "requests": 3,
        "charged_usd": "0.000165",
        "opening_balance_usd": "0",
        "credited_usd": "1",
        "closing_balance_usd": "0.999835",
    });
    assert_eq!(events[0]["data"], expect);
    let statement = gateway.api("GET /admin/v1/environments/default/statement?month=2026-11", &Value::Null).await;
    assert_eq!(statement.json()["closing_balance_usd"], expect["closing_balance_usd"]);
    assert_eq!(at(end + 3 * 86_400).await.len(), 1, "once");
    assert_eq!(at(end + 40 * 86_400).await.len(), 1, "nothing was in December, and January is not over");
}

/// What became of emails is seen as with webhooks; a gateway that cannot send any says so.
#[tokio::test(start_paused = true)]
async fn emails_have_a_log_too() {
    let gateway = listening(builder(vec![taken()]), &["key.*"]).await;
    let spec = json!({ "emails": ["ops@example.com"], "events": ["key.*"] });
    let made = gateway.api(&format!("POST {ALERTS}"), &json!({ "name": "keys", "spec": spec })).await;
    assert_eq!(made.status, 201, "{}", made.text());
    let key = json!({ "name": "k", "spec": {} });
    assert_eq!(gateway.api("POST /admin/v1/environments/default/keys", &key).await.status, 201);
    gateway.tell().await;
    let list = async || gateway.api(&format!("GET {ALERTS}/keys/deliveries"), &Value::Null).await.json();
    let sent = &list().await["data"][0];
    assert_eq!((&sent["address"], &sent["type"]), (&json!("ops@example.com"), &json!("key.created")));
    assert_eq!((&sent["status"], &sent["error"]), (&json!("waiting"), &json!("no [smtp] is configured")));
    let hook = log(&gateway, "h", "").await;
    assert_eq!((hook.len(), &hook[0]["address"]), (1, &Value::Null), "a webhook's log has its own alone");
    let again = format!("POST {ALERTS}/keys/deliveries/{}/redeliver", sent["id"].as_str().unwrap());
    assert_eq!(gateway.api(&again, &json!({})).await.status, 202);
    let wrong = format!("POST {HOOKS}/h/deliveries/{}/redeliver", sent["id"].as_str().unwrap());
    assert_eq!(gateway.api(&wrong, &json!({})).await.status, 404, "it is no webhook's");
    // A day later it is given up, and may be sent once more, to the same address.
    gateway.assembly.hands.advance(Duration::from_secs(86_400 * 2));
    for _ in 0..3 {
        gateway.tell().await;
    }
    assert_eq!(list().await["data"][0]["status"], "dead");
    assert_eq!(gateway.api(&again, &json!({})).await.status, 202);
    let once_more = list().await;
    assert_eq!(once_more["data"][0]["address"], "ops@example.com");
    assert_eq!(once_more["data"].as_array().unwrap().len(), 2);
    let tried = gateway.api(&format!("POST {ALERTS}/keys/test"), &json!({})).await;
    assert_eq!((tried.status, tried.json()["error"]["code"].as_str()), (409, Some("conflict")), "{}", tried.text());
    assert!(tried.text().contains("[smtp]"), "{}", tried.text());
    assert_eq!(gateway.api(&format!("POST {ALERTS}/nobody/test"), &json!({})).await.status, 404);
    gateway.records(0).await;
}
