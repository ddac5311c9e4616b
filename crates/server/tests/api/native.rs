//! `/api/v1` and the keys that may call it: what they reach, what they do not, and that they ask no model.

use serde_json::{Value, json};
use testkit::client::Reply;
use testkit::gateway::{Gateway, REQUEST};
use testkit::script::Script;

use crate::billing;

const KEYS: &str = "/admin/v1/environments/default/keys";

fn gateway() -> Gateway {
    Gateway::builder().provider("p", Script::chat("Hello")).start()
}

/// Makes a key over the admin API and returns its secret.
async fn made(gateway: &Gateway, who: &str, name: &str, spec: Value) -> String {
    let reply = gateway.api_as(who, &format!("POST {KEYS}"), &json!({"name": name, "spec": spec})).await;
    assert_eq!(reply.status, 201, "{}", String::from_utf8_lossy(&reply.body));
    reply.json()["secret"].as_str().unwrap().to_owned()
}

async fn team(gateway: &Gateway, name: &str) {
    let body = json!({"name": name, "spec": {"members": ["ada@x.test"]}});
    let reply = gateway.api("POST /admin/v1/environments/default/teams", &body).await;
    assert_eq!(reply.status, 201);
}

/// Calls `/api/v1` with a secret.
async fn call(gateway: &Gateway, secret: &str, line: &str, body: Value) -> Reply {
    call_with(gateway, secret, line, "", body).await
}

async fn call_with(gateway: &Gateway, secret: &str, line: &str, more: &str, body: Value) -> Reply {
    let body = if body.is_null() { String::new() } else { body.to_string() };
    let (method, path) = line.split_once(' ').unwrap();
    let fields = format!("authorization: Bearer {secret}\r\ncontent-type: application/json\r\n{more}");
    // So that nobody is refused for asking too often.
    gateway.assembly.hands.advance(std::time::Duration::from_millis(50));
    gateway.ask(&format!("{method} /api/v1/{path}"), &fields, &body).await
}

fn refused(reply: &Reply, status: u16, code: &str) {
    let said = String::from_utf8_lossy(&reply.body);
    assert_eq!((reply.status, reply.header("x-crossway-error-code")), (status, Some(code)), "{said}");
    let error = &reply.json()["error"];
    assert_eq!(error["code"], code);
    for member in ["message", "type", "param", "code"] {
        assert!(error.get(member).is_some(), "{member} in {said}");
    }
    assert!(reply.header("x-request-id").is_some());
}

fn names(reply: &Reply) -> Vec<String> {
    assert_eq!(reply.status, 200, "{}", String::from_utf8_lossy(&reply.body));
    let data = reply.json()["data"].as_array().unwrap().clone();
    data.iter().map(|key| key["name"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test(start_paused = true)]
async fn keys_are_managed_from_their_making_to_their_end() {
    let gateway = gateway();
    let secret = made(&gateway, "operator op", "ci", json!({"management": true})).await;
    assert!(secret.starts_with("sk-cw-mgmt-") && secret.len() == "sk-cw-mgmt-".len() + 64);
    let created = call(&gateway, &secret, "POST keys", json!({"name": "app", "spec": {"cost_tags": ["x"]}})).await;
    assert_eq!((created.status, created.header("cache-control")), (201, Some("no-store")));
    let (key, version) = (created.json()["secret"].as_str().unwrap().to_owned(), created.header("etag").unwrap());
    assert!(key.starts_with("sk-cw-") && !key.starts_with("sk-cw-mgmt-"));
    let fields = format!("authorization: Bearer {key}\r\n");
    assert_eq!(gateway.ask("POST /v1/chat/completions", &fields, REQUEST).await.status, 200);
    assert_eq!(names(&call(&gateway, &secret, "GET keys", Value::Null).await), ["first", "app"]);
    let one = call(&gateway, &secret, "GET keys/app", Value::Null).await.json();
    assert_eq!((&one["spec"]["cost_tags"], one.get("secret")), (&json!(["x"]), None));
    let id = one["id"].as_str().unwrap();
    assert_eq!(call(&gateway, &secret, &format!("GET keys/{id}"), Value::Null).await.json()["name"], "app");
    let patch = json!({"spec": {"description": "the app"}});
    let fields = format!("if-match: {version}\r\n");
    assert_eq!(call_with(&gateway, &secret, "PATCH keys/app", &fields, patch.clone()).await.status, 200);
    refused(&call_with(&gateway, &secret, "PATCH keys/app", &fields, patch).await, 412, "version_conflict");
    let replaced = call(&gateway, &secret, "PUT keys/app", json!({"spec": {"cost_tags": ["y"]}})).await;
    assert_eq!(replaced.json()["spec"], json!({"cost_tags": ["y"]}));
    let rotated = call(&gateway, &secret, "POST keys/app/rotate", json!({"grace": "0s"})).await;
    let next = rotated.json()["secret"].as_str().unwrap().to_owned();
    let ask = |secret: &str| format!("authorization: Bearer {secret}\r\n");
    assert_eq!(gateway.ask("POST /v1/chat/completions", &ask(&key), REQUEST).await.status, 401);
    assert_eq!(gateway.ask("POST /v1/chat/completions", &ask(&next), REQUEST).await.status, 200);
    assert_eq!(call(&gateway, &secret, "POST keys/app/revoke", json!({})).await.json()["status"]["state"], "revoked");
    assert_eq!(gateway.ask("POST /v1/chat/completions", &ask(&next), REQUEST).await.code(), "revoked_api_key");
    refused(&call(&gateway, &secret, "POST keys/app/rotate", json!({})).await, 409, "conflict");
    refused(&call(&gateway, &secret, "POST keys", json!({"name": "app"})).await, 409, "name_taken");
    let audit = gateway.api("GET /admin/v1/audit?name=app", &Value::Null).await.json();
    let actors: Vec<&str> =
        audit["data"].as_array().unwrap().iter().map(|act| act["actor"].as_str().unwrap()).collect();
    assert_eq!(actors, vec!["management key `ci`"; 5]);
    gateway.records(2).await;
}

#[tokio::test(start_paused = true)]
async fn a_management_key_asks_no_model_and_no_other_key_manages() {
    let gateway = gateway();
    let secret = made(&gateway, "operator op", "ci", json!({"management": true})).await;
    let fields = format!("authorization: Bearer {secret}\r\n");
    for line in ["POST /v1/chat/completions", "POST /v1/messages", "POST /v1/messages/count_tokens"] {
        let reply = gateway.ask(line, &fields, REQUEST).await;
        let code = reply.header("x-crossway-error-code");
        assert_eq!((reply.status, code), (403, Some("surface_not_allowed")), "{line}");
    }
    for line in ["GET /v1/models", "GET /v1/models/m"] {
        refused(&gateway.ask(line, &fields, "").await, 403, "surface_not_allowed");
    }
    for line in ["GET account", "GET keys", "POST keys", "GET nothing"] {
        refused(&call(&gateway, &gateway.secret, line, Value::Null).await, 403, "surface_not_allowed");
        refused(&call(&gateway, "sk-cw-mgmt-nobody", line, Value::Null).await, 401, "invalid_api_key");
    }
    for line in ["GET /admin/v1/environments/default/keys", "GET /admin/v1/me"] {
        assert_eq!(gateway.api_with(line, &fields, &Value::Null).await.status, 401, "it is no admin token");
    }
    gateway.none().await;
}

#[tokio::test(start_paused = true)]
async fn what_it_reaches_is_its_team_its_owner_or_its_environment() {
    let gateway = gateway();
    team(&gateway, "red").await;
    team(&gateway, "blue").await;
    for (name, spec) in [
        ("red-ada", json!({"team": "red", "owner": "ada@x.test"})),
        ("red-bob", json!({"team": "red", "owner": "bob"})),
        ("blue-ada", json!({"team": "blue", "owner": "ada@x.test"})),
        ("none", json!({})),
    ] {
        made(&gateway, "operator op", name, spec).await;
    }
    for (name, spec, reach, expect) in [
        ("m-all", json!({}), "environment", vec!["first", "red-ada", "red-bob", "blue-ada", "none"]),
        ("m-red", json!({"team": "red"}), "team", vec!["red-ada", "red-bob"]),
        ("m-ada", json!({"owner": "ada@x.test"}), "owner", vec!["red-ada", "blue-ada"]),
        ("m-ada-red", json!({"owner": "ada@x.test", "team": "red"}), "owner_in_team", vec!["red-ada"]),
    ] {
        let mut spec = spec;
        spec["management"] = json!(true);
        let secret = made(&gateway, "operator op", name, spec).await;
        let account = call(&gateway, &secret, "GET account", Value::Null).await.json();
        assert_eq!((&account["reach"], &account["key"]["name"]), (&json!(reach), &json!(name)));
        assert_eq!(account["environment"]["name"], "default");
        assert_eq!(names(&call(&gateway, &secret, "GET keys", Value::Null).await), expect, "{name}");
        for other in ["first", "red-ada", "red-bob", "blue-ada", "none", "m-all", "m-red"] {
            let seen = expect.contains(&other);
            for (verb, body) in [("GET", Value::Null), ("PATCH", json!({"spec": {"description": "mine"}}))] {
                let reply = call(&gateway, &secret, &format!("{verb} keys/{other}"), body).await;
                assert_eq!(reply.status == 200, seen, "{name}: {verb} {other}: {}", reply.status);
                assert!(seen || reply.status == 404);
            }
            if !seen {
                let rotate = call(&gateway, &secret, &format!("POST keys/{other}/rotate"), json!({})).await;
                refused(&rotate, 404, "not_found");
                refused(
                    &call(&gateway, &secret, &format!("POST keys/{other}/revoke"), json!({})).await,
                    404,
                    "not_found",
                );
            }
        }
    }
    gateway.none().await;
}

#[tokio::test(start_paused = true)]
async fn what_it_makes_stays_within_its_reach() {
    let gateway = gateway();
    let green = json!({"name": "green", "spec": {}});
    assert_eq!(gateway.api("POST /admin/v1/environments/default/teams", &green).await.status, 201);
    team(&gateway, "red").await;
    team(&gateway, "blue").await;
    let red = made(&gateway, "operator op", "m-red", json!({"management": true, "team": "red"})).await;
    let ada = made(&gateway, "operator op", "m-ada", json!({"management": true, "owner": "ada@x.test"})).await;
    let made_red = call(&gateway, &red, "POST keys", json!({"name": "r1", "spec": {"owner": "bob"}})).await.json();
    assert_eq!((&made_red["spec"]["team"], &made_red["spec"]["owner"]), (&json!("red"), &json!("bob")));
    let made_ada = call(&gateway, &ada, "POST keys", json!({"name": "a1", "spec": {"owner": "bob"}})).await.json();
    assert_eq!(made_ada["spec"]["owner"], "ada@x.test", "nobody makes keys for others");
    for (secret, spec) in [(&red, json!({"team": "blue"})), (&ada, json!({"team": "green"}))] {
        refused(
            &call(&gateway, secret, "POST keys", json!({"name": "x", "spec": spec})).await,
            403,
            "permission_denied",
        );
    }
    let moved = call(&gateway, &red, "PATCH keys/r1", json!({"spec": {"team": "blue"}})).await;
    refused(&moved, 403, "permission_denied");
    let freed = call(&gateway, &red, "PATCH keys/r1", json!({"spec": {"team": null}})).await;
    assert_eq!(freed.json()["spec"]["team"], "red");
    refused(&call(&gateway, &red, "GET keys?team=blue", Value::Null).await, 400, "invalid_request");
    for secret in [&red, &ada] {
        let another = call(&gateway, secret, "POST keys", json!({"name": "m2", "spec": {"management": true}})).await;
        refused(&another, 403, "permission_denied");
        let turned = call(&gateway, secret, "PATCH keys/r1", json!({"spec": {"management": true}})).await;
        assert!(matches!(turned.status, 400 | 403 | 404), "{}", turned.status);
    }
    gateway.none().await;
}

#[tokio::test(start_paused = true)]
async fn nobody_makes_a_key_that_may_do_more_than_they_may() {
    let gateway = gateway();
    team(&gateway, "red").await;
    made(&gateway, "operator op", "other", json!({"team": "red", "owner": "bob"})).await;
    for who in ["developer dev", "developer dev red"] {
        let team = if who.ends_with("red") { json!("red") } else { Value::Null };
        let name = format!("m-{}", who.len());
        let spec = json!({"management": true, "owner": "bob", "team": team});
        let secret = made(&gateway, who, &name, spec).await;
        let account = call(&gateway, &secret, "GET account", Value::Null).await.json();
        assert_eq!(account["owner"], "dev", "it is their own");
        assert_eq!(names(&call(&gateway, &secret, "GET keys", Value::Null).await), Vec::<String>::new());
        refused(&call(&gateway, &secret, "GET keys/other", Value::Null).await, 404, "not_found");
    }
    let lead = made(&gateway, "team_admin lead red", "m-lead", json!({"management": true, "team": "red"})).await;
    assert_eq!(names(&call(&gateway, &lead, "GET keys", Value::Null).await), ["other"]);
    let body = json!({"name": "m", "spec": {"management": true, "team": "red"}});
    for who in ["developer dev", "viewer view", "auditor audit"] {
        assert_eq!(gateway.api_as(who, &format!("POST {KEYS}"), &body).await.status, 403, "{who}");
    }
    gateway.none().await;
}

#[tokio::test(start_paused = true)]
async fn a_key_stays_what_it_was_made_as() {
    let gateway = gateway();
    made(&gateway, "operator op", "ci", json!({"management": true})).await;
    for (name, management) in [("ci", false), ("first", true)] {
        let body = json!({"spec": {"management": management}});
        let reply = gateway.api(&format!("PATCH {KEYS}/{name}"), &body).await;
        assert_eq!((reply.status, &reply.json()["error"]["field"]), (400, &json!("spec.management")));
    }
    for field in ["models", "providers", "surfaces"] {
        let body = json!({"name": "x", "spec": {"management": true, field: ["m"]}});
        let reply = gateway.api(&format!("POST {KEYS}"), &body).await;
        assert_eq!(reply.status, 400, "{field}");
    }
    let rotated = gateway.api(&format!("POST {KEYS}/ci/rotate"), &json!({})).await.json();
    assert!(rotated["secret"].as_str().unwrap().starts_with("sk-cw-mgmt-"));
    let prefix = rotated["status"]["prefix"].as_str().unwrap();
    assert_eq!(prefix.len(), "sk-cw-mgmt-0123".len(), "{prefix}");
    gateway.none().await;
}

#[tokio::test(start_paused = true)]
async fn usage_is_that_of_the_keys_it_reaches() {
    let gateway = gateway();
    team(&gateway, "red").await;
    let red = made(&gateway, "operator op", "app", json!({"team": "red"})).await;
    let ours = made(&gateway, "operator op", "m-red", json!({"management": true, "team": "red"})).await;
    let all = made(&gateway, "operator op", "m-all", json!({"management": true})).await;
    for secret in [&red, &gateway.secret] {
        let fields = format!("authorization: Bearer {secret}\r\n");
        assert_eq!(gateway.ask("POST /v1/chat/completions", &fields, REQUEST).await.status, 200);
    }
    gateway.records(2).await;
    for (secret, requests) in [(&ours, 1), (&all, 2)] {
        let usage = call(&gateway, secret, "GET usage?group_by=key", Value::Null).await;
        assert_eq!(usage.status, 200, "{}", String::from_utf8_lossy(&usage.body));
        assert_eq!(usage.json()["total"]["requests"], requests);
    }
    refused(&call(&gateway, &ours, "GET usage?group_by=nothing", Value::Null).await, 400, "invalid_request");
    refused(&call(&gateway, &ours, "GET usage?environment=other", Value::Null).await, 400, "invalid_request");
}

#[tokio::test(start_paused = true)]
async fn a_plan_is_what_binds_and_what_is_left() {
    let config = "[[limits]]\nmeter = \"requests\"\nwindow = \"1h\"\namount = 5\nscope = \"environment\"\n";
    let gateway = Gateway::builder().provider("p", Script::chat("Hello")).config(config).start();
    let secret = made(&gateway, "operator op", "ci", json!({"management": true})).await;
    gateway.chat(REQUEST).await;
    let plan = call(&gateway, &secret, "GET plan", Value::Null).await.json();
    assert_eq!((&plan["object"], &plan["plan"]), (&json!("plan"), &Value::Null));
    let limit = &plan["limits"][0];
    assert_eq!((&limit["meter"], &limit["amount"], &limit["remaining"]), (&json!("requests"), &json!(5), &json!(4)));
    gateway.one().await;
}

#[tokio::test(start_paused = true)]
async fn what_is_wrong_is_said_in_the_shape_of_the_surface() {
    let gateway = gateway();
    let secret = made(&gateway, "operator op", "ci", json!({"management": true})).await;
    for (line, body, status, code) in [
        ("GET nothing", Value::Null, 404, "not_found"),
        ("GET keys/a/b/c", Value::Null, 404, "not_found"),
        ("DELETE keys/first", Value::Null, 405, "method_not_allowed"),
        ("POST account", json!({}), 405, "method_not_allowed"),
        ("GET account?x=1", Value::Null, 400, "invalid_request"),
        ("GET keys?limit=0", Value::Null, 400, "invalid_request"),
        ("GET keys?unknown=1", Value::Null, 400, "invalid_request"),
        ("POST keys", json!([]), 400, "invalid_request"),
        ("POST keys", json!({"name": "x", "spec": {"unknown": 1}}), 400, "invalid_request"),
        ("POST keys", json!({"name": "x", "models": []}), 400, "invalid_request"),
        ("POST keys", json!({"name": "x", "spec": {"description": "x".repeat(300 << 10)}}), 413, "request_too_large"),
        ("GET keys/missing", Value::Null, 404, "not_found"),
    ] {
        refused(&call(&gateway, &secret, line, body).await, status, code);
    }
    let fields = format!("authorization: Bearer {secret}\r\ncontent-type: text/plain\r\n");
    refused(&gateway.ask("POST /api/v1/keys", &fields, "{}").await, 415, "unsupported_media_type");
    let head = gateway.ask("GET /api/v1/account", &format!("x-api-key: {secret}\r\n"), "").await;
    assert_eq!(head.status, 200, "the other header will do");
    gateway.none().await;
}

#[tokio::test(start_paused = true)]
async fn a_management_key_is_bound_like_every_other() {
    let gateway = gateway();
    let secret =
        made(&gateway, "operator op", "ci", json!({"management": true, "allowed_networks": ["10.0.0.0/8"]})).await;
    refused(&call(&gateway, &secret, "GET account", Value::Null).await, 403, "network_not_allowed");
    let secret = made(&gateway, "operator op", "old", json!({"management": true})).await;
    assert_eq!(gateway.api(&format!("POST {KEYS}/old/revoke"), &json!({})).await.status, 200);
    refused(&call(&gateway, &secret, "GET account", Value::Null).await, 401, "revoked_api_key");
    let other = made(&gateway, "operator op", "busy", json!({"management": true})).await;
    let mut busy = 0;
    for _ in 0..60 {
        let fields = format!("authorization: Bearer {other}\r\ncontent-type: application/json\r\n");
        let reply = gateway.ask("POST /api/v1/keys/missing/revoke", &fields, "{}").await;
        if reply.status == 429 {
            assert!(reply.header("retry-after").is_some());
            busy += 1;
        }
    }
    assert!(busy > 5, "{busy}");
    gateway.none().await;
}

#[tokio::test(start_paused = true)]
async fn credits_are_shown_to_who_reaches_the_whole_environment() {
    let gateway = billing::gateway(billing::BILLED);
    billing::top_up(&gateway, "12.5", "a").await;
    let secret = made(&gateway, "operator op", "ci", json!({"management": true})).await;
    let credits = call(&gateway, &secret, "GET credits", Value::Null).await;
    assert_eq!(credits.status, 200, "{}", String::from_utf8_lossy(&credits.body));
    let credits = credits.json();
    assert_eq!((&credits["object"], &credits["balance_usd"]), (&json!("credits"), &json!("12.5")));
    assert_eq!((&credits["currency"], &credits["available_usd"]), (&json!("USD"), &json!("12.5")));
    for private in ["accounts", "margin_percent"] {
        assert_eq!(credits.get(private), None, "{private}");
    }
    refused(&call(&gateway, &secret, "GET credits?x=1", Value::Null).await, 400, "invalid_request");
    team(&gateway, "red").await;
    for (name, spec) in [("a", json!({"team": "red"})), ("b", json!({"owner": "ada@x.test"}))] {
        let mut spec = spec;
        spec["management"] = json!(true);
        let part = made(&gateway, "operator op", name, spec).await;
        refused(&call(&gateway, &part, "GET credits", Value::Null).await, 403, "permission_denied");
    }
    gateway.none().await;
}
