//! Whose use a limit counts: keys, teams, users, addresses and buckets by the names that they go by.

use policy::spec::key::KeySpec;
use serde_json::{Value, json};
use server::restore::restore_limits;
use testkit::gateway::{Gateway, REQUEST};
use testkit::script::Script;

use crate::events::{builder, listening, taken, told};
use crate::limits::{DEFAULT, limit};

const BY_ANN: &str = r#"{"model":"m","max_tokens":4,"user":"ann","messages":[{"role":"user","content":"hi"}]}"#;

async fn make(gateway: &Gateway, name: &str, spec: Value) {
    let made = gateway.api(&format!("POST {DEFAULT}/limits"), &json!({ "name": name, "spec": spec })).await;
    assert_eq!(made.status, 201, "{}", made.text());
}

async fn usage(gateway: &Gateway, name: &str) -> Value {
    let reply = gateway.api(&format!("GET {DEFAULT}/limits/{name}/usage"), &Value::Null).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    reply.json()
}

/// Kind, name and use, in the order of the answer.
fn short(answer: &Value) -> Vec<String> {
    let line = |one: &Value| {
        let word = |value: &Value| value.to_string().replace('"', "");
        let subject = &one["subject"];
        [&subject["kind"], &subject["name"], &one["used"], &one["remaining"], &one["used_pct"]].map(word).join(" ")
    };
    answer["data"].as_array().unwrap().iter().map(line).collect()
}

#[tokio::test(start_paused = true)]
async fn a_limit_says_who_used_most_of_it() {
    let config = [
        limit("usd", "day", "0.001", "target = \"provider:p\""),
        "[plans.free]\nlimits = [{ meter = \"requests\", window = \"1h\", amount = 10 }]\n".to_owned(),
    ];
    let gateway = Gateway::builder().provider("p", Script::chat("Hello")).config(&config.concat()).start();
    for (name, window, amount, scope) in [
        ("keys", "60s", 4, "key"),
        ("teams", "day", 8, "team"),
        ("users", "60s", 5, "user"),
        ("peers", "60s", 50, "ip"),
        ("buckets", "60s", 50, "bucket"),
    ] {
        make(&gateway, name, json!({ "meter": "requests", "window": window, "amount": amount, "scope": scope })).await;
    }
    let spec = KeySpec { team: Some("t".into()), plan: Some("free".into()), ..KeySpec::default() };
    let secret = gateway.assembly.create_key("second", spec);
    let fields = format!("authorization: Bearer {secret}\r\nx-crossway-bucket: nightly\r\n");
    assert_eq!(gateway.chat(REQUEST).await.status, 200);
    for _ in 0..3 {
        assert_eq!(gateway.ask("POST /v1/chat/completions", &fields, BY_ANN).await.status, 200);
    }
    let keys = usage(&gateway, "keys").await;
    assert_eq!(short(&keys), ["key second 3 1 75.0", "key first 1 3 25.0"]);
    assert_eq!((&keys["counts"], &keys["amount"], &keys["window"]), (&json!(2), &json!(4), &json!("60s")));
    assert!(keys["data"][0]["subject"]["id"].is_string() && keys["data"][0]["resets_at"].is_string(), "{keys}");
    assert_eq!(short(&usage(&gateway, "teams").await), ["team t 3 5 37.5"]);
    assert_eq!(short(&usage(&gateway, "users").await), ["user ann 3 2 60.0"]);
    assert_eq!(short(&usage(&gateway, "peers").await), ["ip 127.0.0.1 4 46 8.0"]);
    assert_eq!(short(&usage(&gateway, "buckets").await), ["bucket nightly 3 47 6.0"]);
    let spent = usage(&gateway, "limit-1").await;
    assert_eq!(short(&spent), ["environment default 0.0002 0.0008 20.0"]);
    assert_eq!(spent["data"][0]["target"], "provider:p");
    assert_eq!(short(&usage(&gateway, "plans.free.limits%5B0%5D").await), ["key second 3 7 30.0"]);
    let one = gateway.api(&format!("GET {DEFAULT}/limits/keys/usage?limit=1"), &Value::Null).await.json();
    assert_eq!((short(&one).len(), &one["counts"]), (1, &json!(2)));
    let status = async |path: &str| gateway.api(&format!("GET {path}"), &Value::Null).await.status;
    assert_eq!(status(&format!("{DEFAULT}/limits/nothing/usage")).await, 404);
    assert_eq!(status("/admin/v1/environments/nowhere/limits/keys/usage").await, 404);
    assert_eq!(status(&format!("{DEFAULT}/limits/keys/usage?limit=0")).await, 400);
    // As after a restart: the count is there, and who it is is not known until somebody says it.
    gateway.records(4).await;
    gateway.assembly.core.book.clear();
    restore_limits(&gateway.assembly.core, &gateway.assembly.directory.0).unwrap();
    let users = usage(&gateway, "users").await;
    assert_eq!(short(&users), ["user null 3 2 60.0"]);
    assert_eq!(users["data"][0]["subject"]["digest"], "a0f3b5cd8cc4469122686f9478835635");
    assert_eq!(gateway.ask("POST /v1/chat/completions", &fields, BY_ANN).await.status, 200);
    assert_eq!(short(&usage(&gateway, "users").await), ["user ann 4 1 80.0"]);
    gateway.records(5).await;
}

/// An operator is told the name, not a digest.
#[tokio::test(start_paused = true)]
async fn an_alert_says_which_user_it_is() {
    let gateway = listening(builder(vec![taken()]), &["usage.threshold"]).await;
    let spec = json!({ "meter": "requests", "window": "1h", "amount": 2, "scope": "user" });
    make(&gateway, "each-user", spec).await;
    for _ in 0..2 {
        assert_eq!(gateway.chat(BY_ANN).await.status, 200);
    }
    gateway.assembly.quiet().await;
    gateway.assembly.hands.advance(std::time::Duration::from_secs(2));
    gateway.tell().await;
    let events = told(&gateway);
    assert!(!events.is_empty());
    for event in &events {
        let subject = &event["data"]["subject"];
        let digest = json!("a0f3b5cd8cc4469122686f9478835635");
        assert_eq!((&subject["kind"], &subject["name"], &subject["digest"]), (&json!("user"), &json!("ann"), &digest));
    }
    gateway.records(2).await;
}
