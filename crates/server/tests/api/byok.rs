//! Credentials that people bring for their own keys: who may keep them, who sees them, and whose requests use them.

use serde_json::{Value, json};
use testkit::client::Reply;
use testkit::gateway::{Gateway, REQUEST, STREAM};
use testkit::script::Script;

use crate::billing;

const BYOK: &str = "/admin/v1/environments/default/byok";
const KEYS: &str = "/admin/v1/environments/default/keys";
const OWN: &str = "own-canary-of-ada";

fn gateway(scripts: Vec<Script>) -> Gateway {
    Gateway::builder().provider_with("p", "", scripts).config(billing::BILLED).start()
}

async fn made(gateway: &Gateway, who: &str, path: &str, name: &str, spec: Value) -> Value {
    let reply = gateway.api_as(who, &format!("POST {path}"), &json!({"name": name, "spec": spec})).await;
    assert_eq!(reply.status, 201, "{}", reply.text());
    reply.json()
}

async fn key(gateway: &Gateway, who: &str, name: &str) -> String {
    made(gateway, who, KEYS, name, json!({})).await["secret"].as_str().unwrap().to_owned()
}

async fn own(gateway: &Gateway, spec: Value) -> Value {
    let mut all = json!({"provider": "p", "value": OWN});
    all.as_object_mut().unwrap().extend(spec.as_object().unwrap().clone());
    made(gateway, "developer ada", BYOK, "mine", all).await
}

async fn ask(gateway: &Gateway, secret: &str, body: &str) -> Reply {
    let fields = format!("authorization: Bearer {secret}\r\ncontent-type: application/json\r\n");
    gateway.ask("POST /v1/chat/completions", &fields, body).await
}

/// Returns the credentials that the provider was asked with.
fn credentials(gateway: &Gateway) -> Vec<String> {
    let requests = gateway.provider("p").requests();
    let of = |field: &str| field.strip_prefix("Bearer ").unwrap_or(field).to_owned();
    requests.iter().map(|request| of(request.header("authorization").unwrap_or_default())).collect()
}

#[tokio::test(start_paused = true)]
async fn the_keys_of_the_owner_ask_with_it_and_no_other_does_and_it_costs_no_credits() {
    for (body, script) in [(REQUEST, Script::chat("Hello")), (STREAM, Script::streamed(&["Hello"]))] {
        let gateway = gateway(vec![script]);
        let (ada, bob) = (key(&gateway, "developer ada", "a").await, key(&gateway, "developer bob", "b").await);
        assert_eq!(ask(&gateway, &ada, body).await.code(), "insufficient_credits");
        own(&gateway, json!({})).await;
        assert_eq!(ask(&gateway, &ada, body).await.status, 200, "it needs no credits");
        assert_eq!(ask(&gateway, &bob, body).await.code(), "insufficient_credits");
        billing::top_up(&gateway, "1", "a").await;
        assert_eq!(ask(&gateway, &bob, body).await.status, 200);
        assert_eq!(credentials(&gateway), [OWN, "sk-upstream-canary-p"]);
        let records = gateway.records(4).await;
        let charged = |at: usize| (records[at].cost_usd.unwrap().0, records[at].charged_usd.unwrap().0);
        assert_eq!((charged(1), charged(3)), ((50_000, 0), (50_000, 52_750)));
        assert_eq!(records[1].attempts[0].reason, "requested model, own credential");
        assert_eq!(billing::standing(&gateway).await.0, "0.99994725");
    }
}

#[tokio::test(start_paused = true)]
async fn it_serves_the_keys_that_it_names() {
    let gateway = gateway(vec![Script::chat("Hello")]);
    billing::top_up(&gateway, "1", "a").await;
    let (one, two) = (key(&gateway, "developer ada", "one").await, key(&gateway, "developer ada", "two").await);
    let bob = key(&gateway, "developer bob", "bob").await;
    own(&gateway, json!({"keys": ["one", "bob"]})).await;
    for secret in [&one, &two, &bob] {
        assert_eq!(ask(&gateway, secret, REQUEST).await.status, 200);
    }
    assert_eq!(credentials(&gateway), [OWN, "sk-upstream-canary-p", "sk-upstream-canary-p"], "bob is not served");
    let off =
        gateway.api_as("developer ada", &format!("PATCH {BYOK}/mine"), &json!({"spec": {"enabled": false}})).await;
    assert_eq!(off.status, 200);
    assert_eq!(ask(&gateway, &one, REQUEST).await.status, 200);
    assert_eq!(credentials(&gateway).last().unwrap(), "sk-upstream-canary-p");
    gateway.records(4).await;
}

#[tokio::test(start_paused = true)]
async fn where_it_is_refused_the_platform_helps_only_when_it_may() {
    for (fallback, asked, status, charged) in
        [(true, vec![OWN, "sk-upstream-canary-p"], 200, 52_750), (false, vec![OWN], 502, 0)]
    {
        let refused = Script::error(401, &format!("no such key: {OWN}"));
        let gateway = gateway(vec![refused, Script::chat("Hello")]);
        billing::top_up(&gateway, "1", "a").await;
        let ada = key(&gateway, "developer ada", "a").await;
        own(&gateway, json!({"fallback_to_platform": fallback})).await;
        let reply = ask(&gateway, &ada, REQUEST).await;
        assert_eq!(reply.status, status);
        assert!(!reply.text().contains(OWN));
        assert_eq!(credentials(&gateway), asked);
        let record = gateway.one().await;
        assert_eq!(record.charged_usd.unwrap().0, charged);
        assert!(!format!("{record:?}").contains(OWN), "{record:?}");
    }
}

/// Acceptance AUTHZ-03.
#[tokio::test(start_paused = true)]
async fn everybody_keeps_their_own_and_sees_nobody_elses() {
    let gateway = gateway(vec![Script::chat("Hello")]);
    let mine = own(&gateway, json!({"owner": "bob"})).await;
    assert_eq!(mine["spec"]["owner"], "ada", "nobody brings one for others");
    assert_eq!((mine["spec"].get("value"), &mine["status"]["secrets"]), (None, &json!(["value"])));
    made(&gateway, "operator op", BYOK, "bobs", json!({"provider": "p", "value": "x", "owner": "bob"})).await;
    let names = |reply: &Reply| -> Vec<String> {
        let data = reply.json()["data"].as_array().unwrap().clone();
        data.iter().map(|one| one["name"].as_str().unwrap().to_owned()).collect()
    };
    for (who, expect) in [
        ("developer ada", vec!["mine"]),
        ("developer bob", vec!["bobs"]),
        ("developer eve", vec![]),
        ("team_admin lead red", vec![]),
        ("auditor aud", vec!["mine", "bobs"]),
        ("operator op", vec!["mine", "bobs"]),
    ] {
        let listed = gateway.api_as(who, &format!("GET {BYOK}"), &Value::Null).await;
        assert!(!listed.text().contains(OWN));
        assert_eq!(names(&listed), expect, "{who}");
        for name in ["mine", "bobs"] {
            let found = gateway.api_as(who, &format!("GET {BYOK}/{name}"), &Value::Null).await;
            assert_eq!(found.status, if expect.contains(&name) { 200 } else { 404 }, "{who} {name}");
        }
    }
    for who in ["developer bob", "developer eve", "team_admin lead red"] {
        for (verb, body) in [
            ("PATCH", json!({"spec": {"value": "y"}})),
            ("PUT", json!({"spec": {"provider": "p"}})),
            ("DELETE", Value::Null),
        ] {
            let reply = gateway.api_as(who, &format!("{verb} {BYOK}/mine"), &body).await;
            assert_eq!(reply.status, 404, "{who} {verb}");
        }
    }
    let body = json!({"name": "x", "spec": {"provider": "p", "value": "x"}});
    for who in ["viewer view", "auditor aud"] {
        assert_eq!(gateway.api_as(who, &format!("POST {BYOK}"), &body).await.status, 403, "{who}");
    }
    let given =
        gateway.api_as("developer ada", &format!("PATCH {BYOK}/mine"), &json!({"spec": {"owner": "bob"}})).await;
    assert_eq!(given.json()["spec"]["owner"], "ada");
    assert_eq!(gateway.api_as("developer ada", &format!("DELETE {BYOK}/mine"), &Value::Null).await.status, 204);
    gateway.none().await;
}

#[tokio::test(start_paused = true)]
async fn what_it_names_stays_and_what_is_wrong_is_said() {
    let gateway = gateway(vec![Script::chat("Hello")]);
    for (spec, field) in [
        (json!({"provider": "nobody", "value": "x"}), "spec.provider"),
        (json!({"value": "x"}), "spec.provider"),
        (json!({"provider": "p"}), "spec.value"),
        (json!({"provider": "p", "value": "a\r\nb"}), "spec.value"),
        (json!({"provider": "p", "value": "x", "base_url": "http://10.0.0.1"}), "spec.base_url"),
    ] {
        let body = json!({"name": "x", "spec": spec});
        let reply = gateway.api_as("developer ada", &format!("POST {BYOK}"), &body).await;
        assert_eq!((reply.status, &reply.json()["error"]["field"]), (400, &json!(field)), "{}", reply.text());
    }
    let ada = key(&gateway, "developer ada", "a").await;
    own(&gateway, json!({"keys": ["a"]})).await;
    let gone = gateway.api_as("developer ada", &format!("DELETE {KEYS}/a"), &Value::Null).await;
    assert_eq!((gone.status, gone.json()["error"]["code"].as_str()), (409, Some("in_use")));
    assert_eq!(ask(&gateway, &ada, REQUEST).await.status, 200);
    gateway.one().await;
}

#[tokio::test(start_paused = true)]
async fn a_test_asks_the_provider_with_it() {
    let models = Script::json(200, r#"{"data":[{"id":"m1"}]}"#);
    let gateway = gateway(vec![models]);
    own(&gateway, json!({})).await;
    let tested = gateway.api_as("developer ada", &format!("POST {BYOK}/mine/test"), &json!({})).await;
    assert_eq!((tested.status, &tested.json()["ok"]), (200, &json!(true)), "{}", tested.text());
    assert_eq!(credentials(&gateway), [OWN]);
    assert_eq!(gateway.api_as("developer bob", &format!("POST {BYOK}/mine/test"), &json!({})).await.status, 404);
    gateway.none().await;
}
