//! Requests of the past against a draft of the configuration.

use serde_json::{Value, json};
use testkit::gateway::{Gateway, REQUEST};
use testkit::script::Script;

const PATH: &str = "POST /admin/v1/environments/default/route/replay";

/// `m` costs 2 and 8 dollars per million tokens at p and q.
const MODELS: &str =
    "[[models]]\nslug = \"cheap\"\nprovider = \"q\"\ninput_price = 1\noutput_price = 1\nquality = 40\n";

async fn gateway() -> Gateway {
    let builder = Gateway::builder().provider("p", Script::chat("Hello")).provider("q", Script::chat("Hello"));
    let gateway = builder.config(MODELS).start();
    for model in ["p/m", "p/m", "m", "cheapest"] {
        assert_eq!(gateway.chat(&REQUEST.replace("\"m\"", &format!("\"{model}\""))).await.status, 200);
    }
    gateway.chat_with("x-llm-provider: q\r\n", &REQUEST.replace("\"m\"", "\"cheap\"")).await;
    gateway.chat(&REQUEST.replace("\"m\"", "\"nothing\"")).await;
    gateway.assembly.drain();
    gateway
}

async fn replay(gateway: &Gateway, body: &Value) -> Value {
    let reply = gateway.api(PATH, body).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    reply.json()
}

#[tokio::test(start_paused = true)]
async fn a_draft_that_changes_nothing_moves_nothing() {
    let gateway = gateway().await;
    let asked = gateway.provider("p").requests().len() + gateway.provider("q").requests().len();
    let found = replay(&gateway, &json!({ "documents": [] })).await;
    assert_eq!((&found["requests"], &found["moved"], &found["moves"]), (&json!(5), &json!(0), &json!([])), "{found}");
    assert_eq!(found["current"], found["draft"]);
    // Three times 9 and 4 tokens at 2 and 8 dollars, twice at one dollar.
    assert_eq!(found["recorded_cost_usd"], "0.000176", "{found}");
    assert_eq!(found["current"]["cost_usd"], "0.000176");
    let now = gateway.provider("p").requests().len() + gateway.provider("q").requests().len();
    assert_eq!(now, asked, "nobody is asked");
    gateway.records(6).await;
}

#[tokio::test(start_paused = true)]
async fn a_draft_says_who_moves_and_what_that_costs() {
    let gateway = gateway().await;
    let cheaper = json!({ "kind": "models", "name": "dear", "spec": {
        "slug": "bargain", "provider": "p", "input_price": 0.5, "output_price": 0.5, "quality": 20,
    } });
    let found = replay(&gateway, &json!({ "documents": [cheaper] })).await;
    assert_eq!(found["moved"], 1, "{found}");
    let moved = &found["moves"][0];
    assert_eq!(moved["from"], json!({ "model": "cheap", "provider": "q" }));
    assert_eq!(moved["to"], json!({ "model": "bargain", "provider": "p" }));
    assert_eq!((&moved["cost_usd"], &moved["draft_cost_usd"]), (&json!("0.000013"), &json!("0.0000065")));
    assert_eq!((&moved["requests"], &moved["reason"]), (&json!(1), &json!("policy cheapest")));
    assert_eq!(found["draft"]["cost_usd"], "0.0001695");
    let last = replay(&gateway, &json!({ "documents": [cheaper], "last": 1 })).await;
    assert_eq!((&last["requests"], &last["moved"]), (&json!(1), &json!(0)));
    assert_eq!(gateway.api("GET /admin/v1/environments/default/models/dear", &Value::Null).await.status, 404);
    gateway.records(6).await;
}

/// Rules that look at what no record says are named, and nothing else is.
#[tokio::test(start_paused = true)]
async fn what_no_record_says_is_named() {
    let gateway = gateway().await;
    let route =
        |strategy: Value| json!({ "kind": "routes", "name": "r", "spec": { "default": true, "strategy": strategy } });
    let found = async |strategy: Value| {
        let found = replay(&gateway, &json!({ "documents": [route(strategy)] })).await;
        let of = |one: &Value| {
            let text = |name: &str| one[name].as_str().unwrap_or("-").to_owned();
            format!("{} {} {} {} {}", text("configuration"), text("route"), one["rule"], text("fact"), one["requests"])
        };
        (found["uncertain"].clone(), found["unknown"].as_array().unwrap().iter().map(of).collect::<Vec<_>>())
    };
    // `cheapest` is planned without what the answer needs, now and then.
    let own = "current - null features 1".to_owned();
    let to = |model: &str| json!({ "fallback": { "targets": [{ "model": model }] } });
    assert_eq!(found(to("cheap")).await, (json!(1), vec![own.clone()]));
    let rules = json!({ "rules": [
        { "when": "input_tokens > 1000000 || 'tools' in features", "then": "cheap" },
        { "when": "'x-a' in headers && user == 'ann'", "then": "cheap" },
        { "when": "model == 'm'", "then": "cheap" },
        { "when": "metadata.a == 1", "then": "cheap" },
    ], "otherwise": { "auto": { "policy": "best" } } });
    let (uncertain, named) = found(rules).await;
    // One names a provider: no default route binds it. Of the others one asks for `m`, and comes no further than the third rule.
    assert_eq!(uncertain, 4);
    let expect = [
        &*own,
        "draft r null features 3",
        "draft r 1 features 4",
        "draft r 2 headers 4",
        "draft r 2 user 4",
        "draft r 4 metadata 3",
    ];
    assert_eq!(named, expect);
    let sticky = json!({ "split": { "sticky": "user", "targets": [{ "model": "cheap" }, { "model": "m" }] } });
    assert_eq!(found(sticky).await, (json!(4), vec![own, "draft r null user 4".to_owned()]));
    gateway.records(6).await;
}

/// Keys are as the draft has them.
#[tokio::test(start_paused = true)]
async fn a_key_that_the_draft_changes_is_planned_as_it_would_be() {
    let gateway = gateway().await;
    let secret = gateway.assembly.create_key("app", policy::spec::key::KeySpec::default());
    let fields = format!("authorization: Bearer {secret}\r\n");
    let reply = gateway.ask("POST /v1/chat/completions", &fields, &REQUEST.replace("\"m\"", "\"cheapest\"")).await;
    assert_eq!(reply.header("x-crossway-model"), Some("cheap"));
    gateway.assembly.drain();
    let narrow = json!({ "kind": "keys", "name": "app", "spec": { "models": ["m"] } });
    let found = replay(&gateway, &json!({ "documents": [narrow], "last": 1 })).await;
    assert_eq!((&found["moved"], &found["moves"][0]["to"]["model"]), (&json!(1), &json!("m")), "{found}");
    let other = json!({ "kind": "keys", "name": "new", "spec": { "models": ["m"] } });
    assert_eq!(replay(&gateway, &json!({ "documents": [other], "last": 1 })).await["moved"], 0);
    gateway.records(7).await;
}

#[tokio::test(start_paused = true)]
async fn what_would_be_refused_is_said() {
    let gateway = gateway().await;
    let setting = json!({ "kind": "environments", "name": "default", "spec": { "log_content": "off" } });
    replay(&gateway, &json!({ "documents": [setting] })).await;
    for (body, field) in [
        (json!({}), json!("documents")),
        (json!({ "documents": [], "last": 0 }), json!("last")),
        (json!({ "documents": [], "last": 1001 }), json!("last")),
        (json!({ "documents": [], "more": 1 }), json!("more")),
        (json!({ "documents": [{ "kind": "teams", "environment": "other", "name": "x" }] }), json!("documents[0]")),
    ] {
        let reply = gateway.api(PATH, &body).await;
        assert_eq!((reply.status, &reply.json()["error"]["field"]), (400, &field), "{body} {}", reply.text());
    }
    let wrong =
        json!({ "documents": [{ "kind": "models", "name": "x", "spec": { "slug": "x", "provider": "nobody" } }] });
    assert_eq!(gateway.api(PATH, &wrong).await.status, 400);
    let nowhere = gateway.api(&PATH.replace("default", "nowhere"), &json!({ "documents": [] })).await;
    assert_eq!(nowhere.status, 404);
    gateway.records(6).await;
}
