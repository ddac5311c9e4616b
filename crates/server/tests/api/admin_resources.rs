//! Resources over the admin API: five verbs for every kind, versions, secrets, environments.

use serde_json::{Value, json};
use testkit::client::Reply;
use testkit::gateway::{Gateway, REQUEST};
use testkit::script::Script;

const DEFAULT: &str = "/admin/v1/environments/default";

fn gateway() -> Gateway {
    Gateway::builder().provider("p", Script::chat("Hello")).start()
}

fn error(reply: &Reply) -> (u16, String) {
    let body = reply.json();
    assert_eq!(body["error"]["request_id"].as_str(), reply.header("x-request-id"), "{body}");
    let members: Vec<&String> = body["error"].as_object().unwrap().keys().collect();
    assert_eq!(members.get(..5).unwrap(), ["code", "message", "field", "request_id", "hint"], "{body}");
    (reply.status, body["error"]["code"].as_str().unwrap().to_owned())
}

fn check(reply: &Reply, status: u16, code: &str) {
    assert_eq!(error(reply), (status, code.to_owned()), "{}", reply.text());
}

/// A kind, a body that makes one, and a patch with what it changes.
fn kinds() -> Vec<(&'static str, Value, Value)> {
    let provider = json!({ "kind": "openai-compatible", "base_url": "http://n.test/v1", "api_key": "sk-canary-new" });
    vec![
        ("providers", json!({ "name": "n", "spec": provider }), json!({ "timeout_ms": 5_000 })),
        (
            "models",
            json!({ "name": "small", "spec": { "slug": "small", "provider": "p", "input_price": "0.5", "output_price": 1 } }),
            json!({ "context_window": 8_192 }),
        ),
        ("keys", json!({ "name": "billing", "spec": { "labels": { "a": "b" } } }), json!({ "description": "reports" })),
        ("teams", json!({ "name": "search", "spec": {} }), json!({ "description": "search" })),
        ("fallbacks", json!({ "spec": { "model": "m", "fallbacks": ["m2"] } }), json!({ "on": ["timeout"] })),
        ("guardrails", json!({ "name": "g", "spec": { "banned_phrases": ["aurora"] } }), json!({ "max_length": 100 })),
        (
            "limits",
            json!({ "name": "rpm", "spec": { "meter": "requests", "window": "60s", "amount": 600 } }),
            json!({ "amount": 60 }),
        ),
        (
            "plans",
            json!({ "name": "free", "spec": { "limits": [{ "meter": "usd", "window": "month", "amount": "2.5" }] } }),
            json!({ "description": "to try it" }),
        ),
        ("prompts", json!({ "name": "tone", "spec": { "text": "Be brief." } }), json!({ "text": "Be kind." })),
    ]
}

#[tokio::test(start_paused = true)]
async fn every_kind_has_five_verbs() {
    let gateway = Gateway::builder()
        .provider("p", Script::chat("Hello"))
        .config("[[models]]\nslug = \"m2\"\nprovider = \"p\"\n")
        .start();
    for (kind, draft, patch) in kinds() {
        let made = gateway.api(&format!("POST {DEFAULT}/{kind}"), &draft).await;
        assert_eq!(made.status, 201, "{kind}: {}", made.text());
        let location = made.header("location").unwrap().to_owned();
        let tag = made.header("etag").unwrap().to_owned();
        let made = made.json();
        assert_eq!(
            (&made["kind"], &made["managed_by"], tag),
            (&json!(kind), &json!("api"), format!("\"{}\"", made["version"]))
        );

        let found = gateway.api(&format!("GET {location}"), &Value::Null).await;
        let mut shown = made.clone();
        shown.as_object_mut().unwrap().remove("secret");
        assert_eq!((found.status, found.json()), (200, shown), "{kind}");
        let by_id = format!("GET {DEFAULT}/{kind}/{}", made["id"].as_str().unwrap());
        assert_eq!(gateway.api(&by_id, &Value::Null).await.json(), found.json(), "{kind}");
        let listed =
            gateway.api(&format!("GET {DEFAULT}/{kind}?q={}", made["name"].as_str().unwrap()), &Value::Null).await;
        assert!(listed.json()["data"].as_array().unwrap().contains(&found.json()), "{kind}: {}", listed.text());

        let patched = gateway.api(&format!("PATCH {location}"), &json!({ "spec": patch })).await;
        assert_eq!(patched.status, 200, "{kind}: {}", patched.text());
        for (name, value) in patch.as_object().unwrap() {
            assert_eq!(&patched.json()["spec"][name], value, "{kind}");
        }
        let replaced = gateway.api(&format!("PUT {location}"), &json!({ "spec": found.json()["spec"] })).await;
        assert_eq!((replaced.status, &replaced.json()["spec"]), (200, &found.json()["spec"]), "{}", replaced.text());
        assert_eq!(gateway.api(&format!("DELETE {location}"), &Value::Null).await.status, 204, "{kind}");
        check(&gateway.api(&format!("GET {location}"), &Value::Null).await, 404, "not_found");
        check(&gateway.api(&format!("DELETE {location}"), &Value::Null).await, 404, "not_found");
    }
    gateway.none().await;
}

#[tokio::test(start_paused = true)]
async fn a_change_is_for_the_version_that_was_read() {
    let gateway = gateway();
    let team = format!("{DEFAULT}/teams/t");
    gateway.api(&format!("POST {DEFAULT}/teams"), &json!({ "name": "t", "spec": {} })).await;
    let token = format!("authorization: Bearer {}\r\n", testkit::gateway::ADMIN_TOKEN);
    let put = async |field: &str| {
        let fields = format!("{token}{field}");
        gateway.api_with(&format!("PATCH {team}"), &fields, &json!({ "spec": { "description": field } })).await
    };
    for (field, status) in [
        ("if-match: \"1\"\r\n", 200),
        ("if-match: \"1\"\r\n", 412),
        ("if-match: W/\"2\"\r\n", 412),
        ("if-match: \"7\", \"2\"\r\n", 200),
        ("if-match: \"7\"\r\nif-match: \"3\"\r\n", 200),
        ("if-match: \"other\"\r\n", 412),
        ("if-match: *\r\n", 200),
        ("if-match: 5\r\n", 400),
        ("if-match: \r\n", 400),
        ("", 200),
    ] {
        let reply = put(field).await;
        assert_eq!(reply.status, status, "{field}: {}", reply.text());
        match status {
            412 => {
                check(&reply, 412, "version_conflict");
                let current = gateway.api(&format!("GET {team}"), &Value::Null).await;
                assert_eq!(reply.header("etag"), current.header("etag"), "it says what is current");
            }
            400 => assert_eq!(reply.json()["error"]["field"], "If-Match"),
            _ => {}
        }
    }
    let stale = format!("{token}if-match: \"1\"\r\n");
    check(&gateway.api_with(&format!("DELETE {team}"), &stale, &Value::Null).await, 412, "version_conflict");
    let current = gateway.api(&format!("GET {team}"), &Value::Null).await.header("etag").unwrap().to_owned();
    for (field, status) in
        [(current.clone(), 304), (format!("W/{current}"), 304), ("*".into(), 304), ("\"1\"".into(), 200)]
    {
        let fields = format!("{token}if-none-match: {field}\r\n");
        let reply = gateway.api_with(&format!("GET {team}"), &fields, &Value::Null).await;
        assert_eq!((reply.status, reply.header("etag")), (status, Some(&*current)), "{field}");
    }
    gateway.none().await;
}

/// Acceptance LEAK-05 and WEB-05: secrets are written, and read by nobody.
#[tokio::test(start_paused = true)]
async fn a_secret_is_shown_once_or_never() {
    let gateway = gateway();
    let spec = json!({
        "kind": "openai-compatible", "base_url": "http://n.test/v1", "headers": { "x-canary": "canary-header" },
        "credentials": [{ "name": "a", "value": "sk-canary-credential", "weight": 2 }],
    });
    let mut texts = Vec::new();
    texts.push(gateway.api(&format!("POST {DEFAULT}/providers"), &json!({ "name": "n", "spec": spec })).await);
    texts.push(gateway.api(&format!("PUT {DEFAULT}/providers/n"), &json!({ "spec": spec })).await);
    texts.push(gateway.api(&format!("PATCH {DEFAULT}/providers/n"), &json!({ "spec": { "api_key": null } })).await);
    let wrong = json!({ "spec": { "api_key": ["sk-canary-1"], "kind": 7, "sk-canary-2": "sk-canary-3" } });
    texts.push(gateway.api(&format!("PATCH {DEFAULT}/providers/n"), &wrong).await);
    texts.push(
        gateway.api(&format!("POST {DEFAULT}/providers"), &json!({ "name": "sk-canary", "spec": "sk-canary" })).await,
    );
    for path in ["/admin/v1/audit", "/admin/v1/export", "/admin/v1/status", "/admin/v1/settings"] {
        texts.push(gateway.api(&format!("GET {path}"), &Value::Null).await);
    }
    for path in ["providers", "providers/n", "providers/p", "keys"] {
        texts.push(gateway.api(&format!("GET {DEFAULT}/{path}"), &Value::Null).await);
    }
    for reply in &texts {
        // The name of an unknown member is repeated: it is where the caller has to look.
        let text = reply.text().replace("spec.sk-canary-2", "");
        assert!(!text.contains("sk-canary") && !text.contains("canary-header"), "{text}");
        assert!(!text.contains("sk-upstream-canary") && !text.contains("admin-token-canary"), "{text}");
        assert!(!text.contains(&gateway.secret), "{text}");
    }
    let made = gateway.api(&format!("POST {DEFAULT}/keys"), &json!({ "name": "k", "spec": {} })).await;
    let secret = made.json()["secret"].as_str().unwrap().to_owned();
    assert!(secret.starts_with("sk-cw-") && secret.len() > 30);
    for path in ["keys", "keys/k"] {
        let text = gateway.api(&format!("GET {DEFAULT}/{path}"), &Value::Null).await;
        assert!(!text.text().contains(&secret) && !text.text().contains("\"secret\""), "{}", text.text());
    }
    let fields = format!("authorization: Bearer {secret}\r\n");
    assert_eq!(gateway.ask("POST /v1/chat/completions", &fields, REQUEST).await.status, 200);
    gateway.one().await;
}

#[tokio::test(start_paused = true)]
async fn a_key_is_rotated_and_revoked() {
    let gateway = gateway();
    let made = gateway.api(&format!("POST {DEFAULT}/keys"), &json!({ "name": "k", "spec": {} })).await.json();
    let first = made["secret"].as_str().unwrap().to_owned();
    let use_of = async |secret: &str| {
        gateway.ask("GET /v1/models", &format!("authorization: Bearer {secret}\r\n"), "").await.status
    };
    let rotate = format!("POST {DEFAULT}/keys/k/rotate");
    let second = gateway.api(&rotate, &Value::Null).await.json()["secret"].as_str().unwrap().to_owned();
    assert_eq!((use_of(&first).await, use_of(&second).await), (200, 200), "a day of grace");
    let third = gateway.api(&rotate, &json!({ "grace": "0s" })).await.json()["secret"].as_str().unwrap().to_owned();
    assert_eq!((use_of(&second).await, use_of(&third).await), (401, 200), "no grace");
    for grace in ["31d", "1w", "", "-1h", "721h"] {
        let reply = gateway.api(&rotate, &json!({ "grace": grace })).await;
        check(&reply, 400, "invalid_request");
        assert_eq!(reply.json()["error"]["field"], "grace");
    }
    check(&gateway.api(&rotate, &json!({ "grace": 24 })).await, 400, "invalid_request");
    check(&gateway.api(&rotate, &json!({ "gracee": "1h" })).await, 400, "invalid_request");
    let revoke = format!("POST {DEFAULT}/keys/k/revoke");
    for _ in 0..2 {
        let revoked = gateway.api(&revoke, &Value::Null).await;
        assert_eq!(
            (revoked.status, &revoked.json()["status"]["state"]),
            (200, &json!("revoked")),
            "{}",
            revoked.text()
        );
    }
    assert_eq!(use_of(&third).await, 401);
    check(&gateway.api(&rotate, &Value::Null).await, 409, "conflict");
    gateway.none().await;
}

#[tokio::test(start_paused = true)]
async fn what_is_set_at_run_time_is_used_by_the_next_request() {
    let scripts = vec![Script::chat("1"), Script::chat("2")];
    let gateway = Gateway::builder().provider("p", Script::chat("p")).host("n", scripts).start();
    let spec = json!({ "kind": "openai-compatible", "base_url": "http://n.test/v1", "api_key": "first-credential" });
    let made = gateway.api(&format!("POST {DEFAULT}/providers"), &json!({ "name": "n", "spec": spec })).await;
    assert_eq!(made.status, 201, "{}", made.text());
    let model = json!({ "spec": { "slug": "new", "provider": "n", "input_price": 1, "output_price": 1 } });
    assert_eq!(gateway.api(&format!("POST {DEFAULT}/models"), &model).await.status, 201);
    let ask = REQUEST.replace("\"m\"", "\"new\"");
    assert_eq!(gateway.chat(&ask).await.status, 200);
    let patch = json!({ "spec": { "api_key": "second-credential" } });
    assert_eq!(gateway.api(&format!("PATCH {DEFAULT}/providers/n"), &patch).await.status, 200);
    assert_eq!(gateway.chat(&ask).await.status, 200);
    let sent: Vec<String> = gateway
        .provider("n")
        .requests()
        .iter()
        .map(|request| request.header("authorization").unwrap().to_owned())
        .collect();
    assert_eq!(sent, ["Bearer first-credential", "Bearer second-credential"]);
    assert_eq!(gateway.api(&format!("DELETE {DEFAULT}/models/new"), &Value::Null).await.status, 204);
    assert_eq!(gateway.api(&format!("DELETE {DEFAULT}/providers/n"), &Value::Null).await.status, 204);
    assert_eq!(gateway.chat(&ask).await.status, 400);
    gateway.records(3).await;
}

#[tokio::test(start_paused = true)]
async fn environments_do_not_see_each_other() {
    let gateway = gateway();
    for name in ["a", "b"] {
        let made = gateway.api("POST /admin/v1/environments", &json!({ "name": name, "spec": {} })).await;
        assert_eq!((made.status, made.header("location")), (201, Some(&*format!("/admin/v1/environments/{name}"))));
    }
    let spec = json!({ "kind": "openai-compatible", "base_url": "http://n.test/v1" });
    for (kind, name, spec) in [("providers", "n", spec), ("keys", "k", json!({})), ("teams", "t", json!({}))] {
        let draft = json!({ "name": name, "spec": spec });
        let made = gateway.api(&format!("POST /admin/v1/environments/a/{kind}"), &draft).await;
        assert_eq!(made.status, 201, "{}", made.text());
        let id = made.json()["id"].as_str().unwrap().to_owned();
        assert_eq!(
            gateway.api(&format!("GET /admin/v1/environments/b/{kind}"), &Value::Null).await.json()["data"],
            json!([])
        );
        for name in [name, &id] {
            for (verb, body) in [("GET", Value::Null), ("PATCH", json!({ "spec": {} })), ("DELETE", Value::Null)] {
                let reply = gateway.api(&format!("{verb} /admin/v1/environments/b/{kind}/{name}"), &body).await;
                check(&reply, 404, "not_found");
            }
        }
        assert_eq!(gateway.api(&format!("GET /admin/v1/environments/a/{kind}/{name}"), &Value::Null).await.status, 200);
    }
    check(&gateway.api("DELETE /admin/v1/environments/a", &Value::Null).await, 409, "in_use");
    check(&gateway.api("DELETE /admin/v1/environments/default", &Value::Null).await, 409, "conflict");
    assert_eq!(gateway.api("DELETE /admin/v1/environments/b", &Value::Null).await.status, 204);
    check(&gateway.api("GET /admin/v1/environments/b/keys", &Value::Null).await, 404, "not_found");
    gateway.none().await;
}

#[tokio::test(start_paused = true)]
async fn what_is_not_valid_is_named_whole() {
    let gateway = gateway();
    let providers = format!("POST {DEFAULT}/providers");
    let reply = gateway
        .api(
            &providers,
            &json!({ "name": "n", "spec": { "kind": "opnai", "timeout_ms": 0, "headers": { "host": "x" } } }),
        )
        .await;
    check(&reply, 400, "invalid_request");
    let body = reply.json();
    let problems = body["error"]["problems"].as_array().unwrap();
    assert!(problems.len() >= 3, "{body}");
    assert_eq!(body["error"]["field"], problems[0]["path"]);
    for problem in problems {
        let members: Vec<&String> = problem.as_object().unwrap().keys().collect();
        assert_eq!(members, ["path", "message", "hint", "line"]);
    }
    for (body, field) in [
        (json!({ "name": "n", "kind": "openai" }), "kind"),
        (json!({ "name": 5 }), "name"),
        (json!({ "name": "n", "spec": [] }), "spec"),
        (json!({ "name": "n", "spec": { "baze_url": "x" } }), "spec.baze_url"),
    ] {
        let reply = gateway.api(&providers, &body).await;
        check(&reply, 400, "invalid_request");
        let told = reply.json();
        let blamed = told["error"]["field"] == field
            || told["error"]["problems"].as_array().into_iter().flatten().any(|problem| problem["path"] == field);
        assert!(blamed, "{field}: {told}");
    }
    let flat = gateway.api(&providers, &json!({ "name": "n", "base_url": "x" })).await.json();
    assert!(flat["error"]["hint"].as_str().unwrap().contains("put it under spec"), "{flat}");
    let put = format!("PUT {DEFAULT}/providers/p");
    check(&gateway.api(&put, &json!({ "spec": { "kind": "openai" } })).await, 409, "read_only");
    check(&gateway.api(&put, &json!({ "name": "q", "spec": {} })).await, 400, "invalid_request");
    check(&gateway.api(&put, &json!({})).await, 400, "invalid_request");
    let twice = json!({ "name": "first", "spec": {} });
    check(&gateway.api(&format!("POST {DEFAULT}/keys"), &twice).await, 409, "name_taken");
    gateway.none().await;
}

/// Acceptance OBS-01.
#[tokio::test(start_paused = true)]
async fn every_write_leaves_an_audit_entry() {
    let gateway = gateway();
    let teams = format!("{DEFAULT}/teams");
    let mut ids = Vec::new();
    for (line, body) in [
        (format!("POST {teams}"), json!({ "name": "t", "spec": {} })),
        (format!("PATCH {teams}/t"), json!({ "spec": { "description": "x" } })),
        (format!("PUT {teams}/t"), json!({ "spec": {} })),
        (format!("DELETE {teams}/t"), Value::Null),
        (format!("POST {DEFAULT}/keys"), json!({ "name": "k" })),
        (format!("POST {DEFAULT}/keys/k/rotate"), Value::Null),
        (format!("POST {DEFAULT}/keys/k/revoke"), Value::Null),
    ] {
        let reply = gateway.api(&line, &body).await;
        assert!(reply.status < 300, "{line}: {}", reply.text());
        ids.push(reply.header("x-request-id").unwrap().to_owned());
    }
    // What is refused leaves none.
    gateway.api(&format!("POST {teams}"), &json!({ "name": "", "spec": {} })).await;
    let log = gateway.api("GET /admin/v1/audit?actor=admin%20token", &Value::Null).await.json();
    let entries = log["data"].as_array().unwrap();
    let found: Vec<&str> = entries.iter().rev().map(|entry| entry["request_id"].as_str().unwrap()).collect();
    assert_eq!(found, ids);
    assert_eq!((&entries[0]["ip"], &entries[0]["role"]), (&json!("127.0.0.1"), &json!("owner")));
    let one = gateway.api("GET /admin/v1/audit?kind=teams&action=merge&limit=1", &Value::Null).await.json();
    assert_eq!(one["data"][0]["after"]["description"], "x", "{one}");
    check(&gateway.api("GET /admin/v1/audit?cursor=x", &Value::Null).await, 400, "invalid_request");
    for (span, found) in
        [("from=1970-01-01T00:00:00Z", true), ("to=1970-01-01T00:00:00Z", false), ("from=0&to=1", false)]
    {
        let page = gateway.api(&format!("GET /admin/v1/audit?{span}"), &Value::Null).await.json();
        assert_eq!(page["data"].as_array().is_some_and(|data| !data.is_empty()), found, "{span}: {page}");
    }
    check(&gateway.api("GET /admin/v1/audit?from=yesterday", &Value::Null).await, 400, "invalid_request");
    gateway.none().await;
}

#[tokio::test(start_paused = true)]
async fn lists_are_paged_and_filtered() {
    let gateway = gateway();
    for number in 0..5 {
        gateway.api(&format!("POST {DEFAULT}/teams"), &json!({ "name": format!("t{number}") })).await;
    }
    let (mut seen, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = gateway.api(&format!("GET {DEFAULT}/teams?limit=2{cursor}"), &Value::Null).await.json();
        seen.extend(page["data"].as_array().unwrap().iter().map(|team| team["name"].as_str().unwrap().to_owned()));
        let Some(next) = page["next_cursor"].as_str() else { break };
        cursor = format!("&cursor={next}");
    }
    assert_eq!(seen, ["t0", "t1", "t2", "t3", "t4"]);
    for query in ["limit=0", "limit=201", "limit=x", "cursor=x", "colour=red", "q=a&q=b", "kind=x", "q=%ff"] {
        check(&gateway.api(&format!("GET {DEFAULT}/teams?{query}"), &Value::Null).await, 400, "invalid_request");
    }
    let one = gateway.api(&format!("GET {DEFAULT}/teams?q=T3"), &Value::Null).await.json();
    assert_eq!(one["data"].as_array().unwrap().len(), 1);
    gateway.none().await;
}

#[tokio::test(start_paused = true)]
async fn a_provider_may_have_the_name_of_an_act() {
    let gateway = gateway();
    let spec = json!({ "kind": "openai-compatible", "base_url": "http://n.test/v1" });
    let made = gateway.api(&format!("POST {DEFAULT}/providers"), &json!({ "name": "test", "spec": spec })).await;
    assert_eq!((made.status, made.header("location")), (201, Some("/admin/v1/environments/default/providers/test")));
    let path = format!("{DEFAULT}/providers/test");
    assert_eq!(gateway.api(&format!("GET {path}"), &Value::Null).await.json()["name"], "test");
    assert_eq!(gateway.api(&format!("PATCH {path}"), &json!({ "spec": { "timeout_ms": 7 } })).await.status, 200);
    assert_eq!(gateway.api(&format!("POST {path}"), &json!({ "spec": spec })).await.status, 200, "a test of a draft");
    assert_eq!(gateway.api(&format!("DELETE {path}"), &Value::Null).await.status, 204);
    gateway.none().await;
}
