//! What callers say of the answers they got.

use policy::spec::key::KeySpec;
use serde_json::{Value, json};
use testkit::client::Reply;
use testkit::gateway::{Gateway, REQUEST};
use testkit::script::Script;

fn gateway() -> Gateway {
    Gateway::builder().provider("p", Script::chat("Hello")).start()
}

async fn say(gateway: &Gateway, secret: &str, body: &Value) -> Reply {
    let fields = format!("authorization: Bearer {secret}\r\ncontent-type: application/json\r\n");
    gateway.ask("POST /v1/feedback", &fields, &body.to_string()).await
}

/// Makes a request and returns its id, recorded.
async fn asked(gateway: &Gateway) -> String {
    let id = gateway.chat(REQUEST).await.header("x-request-id").unwrap().to_owned();
    gateway.assembly.drain();
    id
}

async fn detail(gateway: &Gateway, id: &str) -> Value {
    let reply = gateway.api(&format!("GET /admin/v1/environments/default/requests/{id}"), &Value::Null).await;
    reply.json()["feedback"].clone()
}

#[tokio::test(start_paused = true)]
async fn what_is_said_is_kept_with_the_request() {
    let gateway = gateway();
    let id = asked(&gateway).await;
    assert_eq!(detail(&gateway, &id).await, Value::Null);
    let said = say(&gateway, &gateway.secret, &json!({ "request_id": id, "rating": "down", "comment": "wrong" })).await;
    assert_eq!(said.status, 200, "{}", said.text());
    assert_eq!(said.json()["score"], 0.0);
    let shown = detail(&gateway, &id).await;
    assert_eq!((&shown["rating"], &shown["comment"]), (&json!("down"), &json!("wrong")));
    assert!(shown["at"].is_string());
    // Who changes their mind is heard.
    say(&gateway, &gateway.secret, &json!({ "request_id": id, "score": 0.75 })).await;
    let shown = detail(&gateway, &id).await;
    assert_eq!((&shown["score"], &shown["rating"], &shown["comment"]), (&json!(0.75), &Value::Null, &Value::Null));
    gateway.one().await;
}

#[tokio::test(start_paused = true)]
async fn a_request_that_has_just_ended_is_waited_for() {
    let gateway = gateway();
    let id = gateway.chat(REQUEST).await.header("x-request-id").unwrap().to_owned();
    let body = json!({ "request_id": id, "rating": "up" });
    let (said, ()) = tokio::join!(say(&gateway, &gateway.secret, &body), async {
        tokio::time::sleep(std::time::Duration::from_millis(300)).await;
        gateway.assembly.drain();
    });
    assert_eq!(said.status, 200, "{}", said.text());
    gateway.one().await;
}

#[tokio::test(start_paused = true)]
async fn of_others_requests_there_is_nothing_to_say() {
    let gateway = gateway();
    let id = asked(&gateway).await;
    let other = gateway.assembly.create_key("other", KeySpec::default());
    gateway.assembly.put_environment("elsewhere", None, "");
    let stranger = gateway.assembly.create_key_in("elsewhere", "stranger", KeySpec::default());
    let unknown = "req_00000000000000000000000000000000";
    for (secret, id) in [(&other, &*id), (&stranger, &*id), (&gateway.secret, unknown)] {
        let said = say(&gateway, secret, &json!({ "request_id": id, "rating": "up" })).await;
        assert_eq!((said.status, &said.json()["error"]["code"]), (404, &json!("not_found")), "{}", said.text());
    }
    assert_eq!(say(&gateway, "wrong", &json!({ "request_id": id, "rating": "up" })).await.status, 401);
    assert_eq!(detail(&gateway, &id).await, Value::Null);
    gateway.one().await;
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_understood_is_refused() {
    let gateway = gateway();
    let id = asked(&gateway).await;
    for (body, field) in [
        (json!({ "rating": "up" }), "request_id"),
        (json!({ "request_id": "nothing", "rating": "up" }), "request_id"),
        (json!({ "request_id": id }), "rating"),
        (json!({ "request_id": id, "rating": "fine" }), "rating"),
        (json!({ "request_id": id, "rating": "up", "score": 1 }), "score"),
        (json!({ "request_id": id, "score": 1.1 }), "score"),
        (json!({ "request_id": id, "score": "1" }), "score"),
        (json!({ "request_id": id, "score": 1, "comment": "é".repeat(2_001) }), "comment"),
        (json!({ "request_id": id, "score": 1, "more": 1 }), "more"),
        (json!([]), "body"),
    ] {
        let said = say(&gateway, &gateway.secret, &body).await;
        assert_eq!((said.status, &said.json()["error"]["param"]), (400, &json!(field)), "{body} {}", said.text());
    }
    assert_eq!(say(&gateway, &gateway.secret, &json!("x".repeat(20_000))).await.status, 413);
    let get = gateway.ask("GET /v1/feedback", &gateway.fields(), "").await;
    assert_eq!((get.status, get.header("allow")), (405, Some("POST")), "{}", get.text());
    assert_eq!(detail(&gateway, &id).await, Value::Null);
    gateway.one().await;
}

#[tokio::test(start_paused = true)]
async fn a_model_that_has_become_worse_is_left() {
    let model = |slug: &str, quality: u32| {
        format!(
            "[[models]]\nslug = \"{slug}\"\nprovider = \"p\"\ninput_price = 1\noutput_price = 1\nquality = {quality}\n"
        )
    };
    let builder = Gateway::builder().provider("p", Script::chat("Hello"));
    let gateway = builder.config(&[model("grand", 95), model("fair", 60)].concat()).start();
    let best = REQUEST.replace("\"m\"", "\"best\"");
    let mut served = Vec::new();
    for turn in 0..60 {
        let reply = gateway.chat(&best).await;
        gateway.assembly.drain();
        gateway.assembly.journal.tick();
        let by = reply.header("x-crossway-model").unwrap().to_owned();
        // It was good for a while, and is not any more.
        let score = if by == "grand" && turn >= 30 { 0.3 } else { 0.9 };
        let id = reply.header("x-request-id").unwrap();
        assert_eq!(say(&gateway, &gateway.secret, &json!({ "request_id": id, "score": score })).await.status, 200);
        served.push(by);
    }
    assert!(served[..30].iter().all(|by| by == "grand"), "{served:?}");
    let left = served.iter().rposition(|by| by == "grand").unwrap();
    assert!(left < 42, "a dozen ratings are enough: {served:?}");
    // It is tried again some day.
    gateway.assembly.hands.advance(std::time::Duration::from_secs(3_600));
    assert_eq!(gateway.chat(&best).await.header("x-crossway-model"), Some("grand"));
    gateway.records(61).await;
}
