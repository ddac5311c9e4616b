//! What a key may do, in every form in which it comes and on every surface; and what its secrets are good for.

use policy::spec::key::KeySpec;
use policy::spec::timestamp::Timestamp;
use serde_json::json;
use testkit::assembly::NOW_MS;
use testkit::client::Reply;
use testkit::gateway::{ADMIN_TOKEN, Gateway, REQUEST};
use testkit::script::Script;

const CHAT: &str = "POST /v1/chat/completions";
const MESSAGES: &str = "POST /v1/messages";
const COUNT: &str = "POST /v1/messages/count_tokens";

/// The forms in which a key may come.
const FORMS: [&str; 4] = [
    "authorization: Bearer KEY\r\n",
    "authorization: bearer  KEY \r\n",
    "x-api-key: KEY\r\n",
    "authorization: Bearer KEY\r\nx-api-key: other\r\n",
];

/// Every path on which a model is asked, and the surface that it belongs to.
const PATHS: [(&str, &str); 10] = [
    (CHAT, "openai.chat"),
    ("POST /chat/completions", "openai.chat"),
    ("POST /v1/router/chat/completions", "openai.chat"),
    ("POST /v1/v1/chat/completions", "openai.chat"),
    (MESSAGES, "anthropic.messages"),
    ("POST /v1/v1/messages", "anthropic.messages"),
    ("POST /api/anthropic/v1/messages", "anthropic.messages"),
    (COUNT, "anthropic.messages"),
    ("POST /v1/v1/messages/count_tokens", "anthropic.messages"),
    ("POST /api/anthropic/v1/messages/count_tokens", "anthropic.messages"),
];

fn list(items: &[&str]) -> Vec<String> {
    items.iter().map(|item| (*item).to_owned()).collect()
}

fn gateway() -> Gateway {
    Gateway::builder().provider("p", Script::chat("Hello")).start()
}

/// Returns status, code and, in either shape, the type of an error.
fn verdict(reply: &Reply) -> (u16, String, String) {
    let kind = if reply.status < 400 { String::new() } else { reply.json()["error"]["type"].as_str().unwrap().into() };
    (reply.status, reply.header("x-crossway-error-code").unwrap_or_default().to_owned(), kind)
}

fn forbidden(code: &str) -> (u16, String, String) {
    (403, code.to_owned(), "permission_error".to_owned())
}

fn body() -> String {
    json!({ "model": "m", "max_tokens": 9, "messages": [{ "role": "user", "content": "hi" }] }).to_string()
}

async fn from(gateway: &Gateway, peer: &str, line: &str, fields: &str) -> Reply {
    let mut client = gateway.client_from(peer, 1 << 14);
    client.request(line, fields, body().as_bytes()).await;
    client.reply().await
}

/// Acceptance AUTH-13: what a trusted proxy says counts, from its end; what anybody else says does not.
#[tokio::test(start_paused = true)]
async fn behind_a_trusted_proxy_the_caller_is_whom_it_names() {
    let gateway = Gateway::builder()
        .settings("trusted_proxies = \"127.0.0.1, 172.16.0.0/12\"\nanonymous = \"loopback\"")
        .provider("p", Script::chat("Hello"))
        .start();
    let networks = KeySpec { allowed_networks: list(&["192.0.2.0/24"]), ..KeySpec::default() };
    let secret = gateway.assembly.create_key("inside", networks);
    let mut admitted = 0;
    for (peer, said, status) in [
        ("127.0.0.1:9", "192.0.2.7", 200),
        ("172.16.3.4:9", "192.0.2.7", 200),
        ("127.0.0.1:9", "9.9.9.9, 192.0.2.7, 172.16.3.4", 200),
        ("127.0.0.1:9", "192.0.2.7, 9.9.9.9", 403),
        ("127.0.0.1:9", "192.0.2.7, nonsense", 403),
        ("8.8.8.8:9", "192.0.2.7", 403),
        ("192.0.2.7:9", "8.8.8.8", 200),
    ] {
        let fields = format!("authorization: Bearer {secret}\r\nx-forwarded-for: {said}\r\n");
        assert_eq!(from(&gateway, peer, CHAT, &fields).await.status, status, "{peer} {said}");
        admitted += usize::from(status == 200);
    }
    // Keyless mode is for callers on this machine, and not for those whom a proxy on it speaks for.
    for (said, status) in
        [("", 200), ("x-forwarded-for: 8.8.8.8\r\n", 401), ("x-forwarded-for: 127.0.0.1, 8.8.8.8\r\n", 401)]
    {
        assert_eq!(from(&gateway, "127.0.0.1:9", CHAT, said).await.status, status, "{said}");
        admitted += usize::from(status == 200);
    }
    // The audit log names the caller too.
    let fields = format!("authorization: Bearer {ADMIN_TOKEN}\r\nx-forwarded-for: 192.0.2.9\r\n");
    let made = gateway.api_with("POST /admin/v1/environments/default/teams", &fields, &json!({ "name": "t" })).await;
    assert_eq!(made.status, 201, "{}", made.text());
    let audit = gateway.api("GET /admin/v1/audit?kind=teams", &serde_json::Value::Null).await.json();
    assert_eq!(audit["data"][0]["ip"], "192.0.2.9");
    gateway.records(admitted).await;
}

/// Acceptance AUTH-09.
#[tokio::test(start_paused = true)]
async fn a_key_calls_its_surfaces_alone() {
    for (surfaces, chat, messages) in [
        (list(&[]), true, true),
        (list(&["openai.chat"]), true, false),
        (list(&["anthropic.messages"]), false, true),
        (list(&["openai.chat", "anthropic.messages"]), true, true),
        (list(&["OpenAI.chat", "openai", "", "*"]), false, false),
    ] {
        let gateway = gateway();
        let secret = gateway.assembly.create_key("k", KeySpec { surfaces: surfaces.clone(), ..KeySpec::default() });
        let mut admitted = 0;
        for (line, surface) in PATHS {
            let allowed = if surface == "openai.chat" { chat } else { messages };
            for form in FORMS {
                let reply = gateway.ask(line, &form.replace("KEY", &secret), &body()).await;
                let expect =
                    if allowed { (200, String::new(), String::new()) } else { forbidden("surface_not_allowed") };
                assert_eq!(verdict(&reply), expect, "{surfaces:?} {line} {form}");
                admitted += usize::from(allowed);
            }
        }
        for line in ["GET /v1/models", "GET /v1/models/m", "GET /api/anthropic/v1/models"] {
            let reply = gateway.ask(line, &format!("x-api-key: {secret}\r\n"), "").await;
            assert_eq!(reply.status, 200, "every key may list its models");
        }
        gateway.records(admitted).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_key_is_used_from_its_networks_alone() {
    let gateway = gateway();
    let key = |name: &str, networks: &[&str]| {
        gateway.assembly.create_key(name, KeySpec { allowed_networks: list(networks), ..KeySpec::default() })
    };
    let four = key("four", &["10.0.0.0/8", "192.0.2.7"]);
    let six = key("six", &["2001:db8::/32"]);
    let none = key("none", &["no network"]);
    let mut admitted = 0;
    for (secret, peer, allowed) in [
        (&four, "10.255.255.255:9", true),
        (&four, "[::ffff:10.0.0.1]:9", true),
        (&four, "192.0.2.7:9", true),
        (&four, "192.0.2.8:9", false),
        (&four, "11.0.0.0:9", false),
        (&four, "[::10.0.0.1]:9", false),
        (&four, "[2001:db8::1]:9", false),
        (&six, "[2001:db8:ffff::1]:9", true),
        (&six, "[2001:db9::1]:9", false),
        (&six, "10.0.0.1:9", false),
        (&none, "10.0.0.1:9", false),
        (&none, "0.0.0.0:9", false),
    ] {
        let forged = "x-forwarded-for: 10.0.0.1\r\nx-real-ip: 10.0.0.1\r\nforwarded: for=10.0.0.1\r\n";
        for line in [CHAT, MESSAGES, COUNT] {
            for form in FORMS {
                let reply = from(&gateway, peer, line, &(form.replace("KEY", secret) + forged)).await;
                let expect =
                    if allowed { (200, String::new(), String::new()) } else { forbidden("network_not_allowed") };
                assert_eq!(verdict(&reply), expect, "{peer} {line} {form}");
                admitted += usize::from(allowed);
            }
        }
        let models = from(&gateway, peer, "GET /v1/models", &format!("x-api-key: {secret}\r\n{forged}")).await;
        assert_eq!(models.status, if allowed { 200 } else { 403 }, "{peer}");
    }
    gateway.records(admitted).await;
}

/// Two providers; `cheap` and `dear` at both, each with an alias and an upstream name, and a fallback to the dear one.
const MODELS: &str = r#"
[[models]]
slug = "cheap"
provider = "p"
upstream_name = "up-cheap"
aliases = ["small"]

[[models]]
slug = "cheap"
provider = "q"
upstream_name = "up-cheap"

[[models]]
slug = "dear"
provider = "p"
upstream_name = "up-dear"
aliases = ["big"]

[[models]]
slug = "dear"
provider = "q"
upstream_name = "up-dear"

[[fallbacks]]
model = "cheap"
fallbacks = ["dear"]
"#;

/// Whatever a caller writes into `model` and `x-llm-provider`, and whatever fails: only what the key may use is asked.
///
/// Acceptance AUTHZ-09.
#[tokio::test(start_paused = true)]
async fn only_allowed_models_are_ever_dispatched() {
    let asked = [
        "cheap",
        "CHEAP",
        " cheap ",
        "cheap\t",
        "small",
        "Small",
        "up-cheap",
        "p/cheap",
        "q/cheap",
        "P/Cheap",
        "p/small",
        "p/up-cheap",
        "dear",
        "DEAR",
        " dear",
        "dear ",
        "dear\n",
        "big",
        "BIG",
        "p/big",
        "up-dear",
        "UP-DEAR",
        "p/dear",
        "q/dear",
        "p/up-dear",
        "q/up-dear",
        "p//dear",
        "p/ dear",
        "cheap,dear",
        "cheap dear",
        "dear\u{0}",
        "auto",
        "AUTO",
        "auto ",
        "cheapest",
        "best",
        "m",
        "M",
        "p/m",
        "up-m",
        "",
        "*",
        "../dear",
        "deаr",
    ];
    for (allowed, may) in [
        (&["cheap"][..], &["up-cheap@p", "up-cheap@q"][..]),
        (&["small"], &["up-cheap@p"]),
        (&["P/Cheap"], &["up-cheap@p"]),
        (&["q/up-cheap"], &["up-cheap@q"]),
        (&["gone"], &[]),
    ] {
        // Every answer is a failure that leads on, so that each plan is tried to its end.
        let busy = || vec![Script::error(500, "busy")];
        let gateway =
            Gateway::builder().provider_with("p", "", busy()).provider_with("q", "", busy()).config(MODELS).start();
        let secret = gateway.assembly.create_key("k", KeySpec { models: list(allowed), ..KeySpec::default() });
        let mut admitted = 0;
        for model in asked {
            for provider in
                ["", "x-llm-provider: p\r\n", "x-llm-provider: Q\r\n", "x-llm-provider: openai-compatible\r\n"]
            {
                let body =
                    json!({ "model": model, "max_tokens": 9, "messages": [{ "role": "user", "content": "hi" }] });
                for line in [CHAT, MESSAGES] {
                    let fields = format!("x-api-key: {secret}\r\n{provider}");
                    let reply = gateway.ask(line, &fields, &body.to_string()).await;
                    assert!(reply.status >= 400, "{model}");
                    admitted += usize::from(reply.header("x-crossway-error-code") != Some("invalid_request"));
                }
            }
        }
        let mut dispatched = std::collections::BTreeSet::new();
        for name in ["p", "q"] {
            for request in gateway.provider(name).requests() {
                dispatched.insert(format!("{}@{name}", request.json()["model"].as_str().unwrap()));
            }
        }
        let dispatched: Vec<&str> = dispatched.iter().map(String::as_str).collect();
        assert_eq!(dispatched, may, "{allowed:?}");
        gateway.records(admitted).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_rotated_secret_is_good_until_its_grace_ends() {
    let gateway = gateway();
    let old = gateway.assembly.create_key("k", KeySpec::default());
    let new = "sk-cw-the-new-secret";
    let ask = async |secret: &str| {
        let reply = gateway.ask(CHAT, &format!("x-api-key: {secret}\r\n"), REQUEST).await;
        (reply.status, reply.header("x-crossway-error-code").unwrap_or_default().to_owned(), reply.text().to_owned())
    };
    gateway.assembly.rotate(&old, &[(&old, Some(NOW_MS + 60_000)), (new, None)]);
    assert_eq!((ask(&old).await.0, ask(new).await.0), (200, 200));
    gateway.assembly.hands.set_unix_ms(NOW_MS + 59_998);
    assert_eq!(ask(&old).await.0, 200);
    let (status, code, text) = ask(&old).await;
    assert_eq!((status, code.as_str()), (401, "expired_api_key"));
    assert!(text.contains("rotated"), "{text}");
    assert_eq!(ask(new).await.0, 200);
    gateway.assembly.rotate(new, &[(new, None)]);
    assert_eq!(ask(&old).await.1, "invalid_api_key", "a secret that is not listed any more is no secret");
    assert_eq!(ask(new).await.0, 200);
    let records = gateway.records(5).await;
    assert!(records.iter().all(|record| record.key.name == "k"));
}

#[tokio::test(start_paused = true)]
async fn removing_a_secret_cuts_nobody_and_revoking_the_key_cuts_both() {
    let gateway = Gateway::builder().provider("p", Script::new().stall()).start();
    let old = gateway.assembly.create_key("k", KeySpec::default());
    let new = "sk-cw-the-new-secret";
    gateway.assembly.rotate(&old, &[(&old, None), (new, None)]);
    let (mut with_old, mut with_new) = (gateway.client(), gateway.client());
    with_old.request(CHAT, &format!("x-api-key: {old}\r\n"), REQUEST.as_bytes()).await;
    with_new.request(CHAT, &format!("x-api-key: {new}\r\n"), REQUEST.as_bytes()).await;
    gateway.provider("p").received(2).await;
    gateway.assembly.rotate(new, &[(new, None)]);
    tokio::task::yield_now().await;
    assert_eq!(gateway.held().0, 2, "both are in flight");
    gateway.assembly.revoke_key("k");
    for client in [&mut with_old, &mut with_new] {
        assert_eq!(client.reply().await.code(), "revoked_api_key");
    }
    gateway.records(2).await;
}

#[tokio::test(start_paused = true)]
async fn team_and_tags_are_written_down() {
    let gateway = gateway();
    let spec = KeySpec {
        team: Some("red".to_owned()),
        cost_tags: list(&["cc-1", "cc-2"]),
        expires_at: Some(Timestamp(NOW_MS / 1_000 + 60)),
        ..KeySpec::default()
    };
    let secret = gateway.assembly.create_key("k", spec);
    let hash = gateway.assembly.core.hash(&secret);
    let state = gateway.assembly.core.state();
    let compiled = &state.keys.get(&hash).unwrap().key.compiled;
    assert_eq!((compiled.team.as_deref(), compiled.cost_tags.len()), (Some("red"), 2));
    assert_eq!(gateway.ask(CHAT, &format!("x-api-key: {secret}\r\n"), REQUEST).await.status, 200);
    gateway.one().await;
}
