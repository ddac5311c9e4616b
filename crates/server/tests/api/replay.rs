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
