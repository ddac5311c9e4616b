//! Who asks: one answer for every wrong key, in every form, and no way around it.

use policy::spec::key::KeySpec;
use policy::spec::timestamp::Timestamp;
use testkit::assembly::NOW_MS;
use testkit::client::Reply;
use testkit::gateway::{Gateway, KEY, REQUEST};
use testkit::script::Script;

fn gateway() -> Gateway {
    Gateway::builder().provider("p", Script::chat("Hello")).start()
}

async fn ask(gateway: &Gateway, fields: &str) -> Reply {
    gateway.ask("POST /v1/chat/completions", fields, REQUEST).await
}

/// Acceptance AUTH-06.
#[tokio::test(start_paused = true)]
async fn every_wrong_key_gets_the_same_answer_in_every_form() {
    let gateway = gateway();
    let own = gateway.secret.clone();
    let wrong = [
        "x".to_owned(),
        "sk-cw-".to_owned(),
        own[..own.len() - 1].to_owned(),
        format!("{own}0"),
        own.to_uppercase(),
        own.replace("sk-cw-", ""),
        "sk-cw-".to_owned() + &"0".repeat(own.len() - 6),
        "' OR '1'='1".to_owned(),
        "x'; SELECT pg_sleep(5)--".to_owned(),
        "\"".repeat(4_096),
        "*".to_owned(),
        "null".to_owned(),
        "schlüssel-🔑".to_owned(),
        "anonymous".to_owned(),
        format!("Bearer {own}"),
        format!("{own},{own}"),
        format!("{own} {own}"),
    ];
    let expected = ask(&gateway, "").await;
    assert_eq!((expected.status, expected.code().as_str()), (401, "invalid_api_key"));
    for key in &wrong {
        for form in ["authorization: Bearer KEY\r\n", "authorization: bearer KEY\r\n", "x-api-key: KEY\r\n"] {
            let reply = ask(&gateway, &form.replace("KEY", key)).await;
            assert_eq!((reply.status, reply.text()), (401, expected.text()), "{form}{key}");
            assert_eq!(reply.code(), "invalid_api_key");
        }
    }
    gateway.none().await;
}

#[tokio::test(start_paused = true)]
async fn a_right_key_in_a_wrong_place_is_no_key() {
    let gateway = gateway();
    let expected = ask(&gateway, "").await;
    for form in [
        "authorization: KEY\r\n",
        "authorization: Basic KEY\r\n",
        "authorization: Bearer\r\n",
        "authorization: \r\n",
        "authorization: Token KEY\r\n",
        "authorization: Bearer KEY\r\nauthorization: Bearer KEY\r\n",
        "authorization: Bearer wrong\r\nx-api-key: KEY\r\n",
        "x-api-key: KEY\r\nx-api-key: KEY\r\n",
        "api-key: KEY\r\n",
        "cookie: key=KEY\r\n",
        "sec-websocket-protocol: KEY\r\n",
    ] {
        let reply = ask(&gateway, &form.replace("KEY", &gateway.secret)).await;
        assert_eq!((reply.status, reply.text()), (401, expected.text()), "{form}");
    }
    let line = format!("POST /v1/chat/completions?key={}", gateway.secret);
    assert_eq!(gateway.ask(&line, "", REQUEST).await.text(), expected.text());
    gateway.none().await;
}

#[tokio::test(start_paused = true)]
async fn a_right_key_is_taken_in_both_headers() {
    let gateway = gateway();
    for form in ["authorization: Bearer KEY\r\n", "authorization: BEARER  KEY \r\n", "x-api-key: KEY\r\n"] {
        assert_eq!(ask(&gateway, &form.replace("KEY", &gateway.secret)).await.status, 200, "{form}");
    }
    gateway.records(3).await;
}

#[tokio::test(start_paused = true)]
async fn keys_that_may_not_be_used_any_more_are_told_so() {
    let gateway = gateway();
    let key = |name: &str, spec| format!("x-api-key: {}\r\n", gateway.assembly.create_key(name, spec));
    let disabled = key("disabled", KeySpec { enabled: false, ..KeySpec::default() });
    let expired = key("expired", KeySpec { expires_at: Some(Timestamp(NOW_MS / 1_000)), ..KeySpec::default() });
    let revoked = key("revoked", KeySpec::default());
    gateway.assembly.revoke_key("revoked");
    for (fields, status, code) in
        [(disabled, 403, "key_disabled"), (expired, 401, "expired_api_key"), (revoked, 401, "revoked_api_key")]
    {
        let reply = ask(&gateway, &fields).await;
        assert_eq!((reply.status, reply.code().as_str()), (status, code));
    }
    gateway.none().await;
}

#[tokio::test(start_paused = true)]
async fn a_key_expires_at_its_second() {
    let gateway = gateway();
    let expires_at = Some(Timestamp(NOW_MS / 1_000 + 60));
    let fields = format!(
        "x-api-key: {}\r\n",
        gateway.assembly.create_key("short", KeySpec { expires_at, ..KeySpec::default() })
    );
    gateway.assembly.hands.set_unix_ms(NOW_MS + 59_998);
    assert_eq!(ask(&gateway, &fields).await.status, 200);
    assert_eq!(ask(&gateway, &fields).await.code(), "expired_api_key");
    gateway.one().await;
}

/// Acceptance AUTH-03: who somebody is depends on every character of what they send, whoever came just before.
#[tokio::test(start_paused = true)]
async fn what_begins_like_a_right_key_is_no_key() {
    let gateway = gateway();
    let secret = gateway.secret.clone();
    let head = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.".to_owned() + &"eyJpc3MiOiJodHRwczovL2lzc3Vlci50ZXN0Ii".repeat(6);
    for turn in 0..500_usize {
        // Nobody is slowed down: each peer errs twice.
        let peer = format!("10.0.{}.{}:5", turn / 250, turn % 250);
        assert_eq!(from(&gateway, &peer, &format!("authorization: Bearer {secret}\r\n")).await.status, 200, "{turn}");
        let at = 20 + turn % (secret.len() - 20);
        let other = if &secret[at..=at] == "0" { "1" } else { "0" };
        let alike = format!("{}{other}{}", &secret[..at], &secret[at + 1..]);
        let token = format!("{}.{turn}", &head[..200]);
        for wrong in [alike, token] {
            let reply = from(&gateway, &peer, &format!("authorization: Bearer {wrong}\r\n")).await;
            assert_eq!((reply.status, reply.code().as_str()), (401, "invalid_api_key"), "{turn}");
        }
    }
    gateway.records(500).await;
}

/// Acceptance AUTH-05.
#[tokio::test(start_paused = true)]
async fn a_revoked_key_is_refused_at_once_and_the_others_go_on() {
    let gateway = gateway();
    let other = format!("x-api-key: {}\r\n", gateway.assembly.create_key("other", KeySpec::default()));
    assert_eq!(gateway.chat(REQUEST).await.status, 200);
    gateway.assembly.revoke_key(KEY);
    assert_eq!(gateway.chat(REQUEST).await.code(), "revoked_api_key");
    assert_eq!(ask(&gateway, &other).await.status, 200);
    gateway.records(2).await;
}

#[tokio::test(start_paused = true)]
async fn the_environment_that_is_named_must_be_the_keys_own() {
    let config = "[environment]\naliases = [\"prod\"]\n";
    let gateway = Gateway::builder().provider("p", Script::chat("Hello")).config(config).start();
    for (field, status) in [
        ("x-crossway-env: default", 200),
        ("x-crossway-env: DEFAULT", 200),
        ("x-crossway-env: prod", 200),
        ("x-chalk-env-id: prod", 200),
        ("x-crossway-env: staging", 403),
        ("x-chalk-env-id: staging", 403),
        ("x-crossway-env: prod\r\nx-crossway-env: staging", 403),
        ("x-crossway-env: prod\r\nx-chalk-env-id: staging", 403),
        ("x-crossway-env: ", 403),
    ] {
        let reply = gateway.chat_with(&format!("{field}\r\n"), REQUEST).await;
        assert_eq!(reply.status, status, "{field}");
        if status == 403 {
            assert_eq!(reply.code(), "environment_mismatch");
        }
    }
    gateway.records(4).await;
}

/// Asks from a peer with a key.
async fn from(gateway: &Gateway, peer: &str, fields: &str) -> Reply {
    let mut client = gateway.client_from(peer, 1 << 14);
    client.request("POST /v1/chat/completions", fields, REQUEST.as_bytes()).await;
    client.reply().await
}

/// Acceptance AUTH-13.
#[tokio::test(start_paused = true)]
async fn too_many_wrong_keys_are_slowed_down_by_the_peer() {
    let gateway = gateway();
    let right = gateway.fields();
    for number in 0..300 {
        let fields = format!("x-api-key: {number}\r\nx-forwarded-for: 10.0.{}.{}\r\n", number / 200, number % 200);
        assert_eq!(from(&gateway, "192.0.2.1:1000", &fields).await.status, 401);
    }
    let slowed = from(&gateway, "192.0.2.1:1001", "x-api-key: no\r\nx-forwarded-for: 8.8.8.8\r\n").await;
    assert_eq!((slowed.status, slowed.code().as_str()), (429, "rate_limited"));
    let wait: u64 = slowed.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=60).contains(&wait));
    assert_eq!(from(&gateway, "192.0.2.1:1002", &right).await.status, 200, "a right key is not locked out");
    assert_eq!(from(&gateway, "192.0.2.2:1000", "x-api-key: no\r\n").await.status, 401);
    gateway.assembly.hands.advance(std::time::Duration::from_secs(wait));
    assert_eq!(from(&gateway, "192.0.2.1:1003", "x-api-key: no\r\n").await.status, 401);
    gateway.one().await;
}

#[tokio::test(start_paused = true)]
async fn strangers_are_served_only_where_the_operator_says_so() {
    for (setting, local, remote) in [("off", 401, 401), ("loopback", 200, 401), ("all", 200, 200)] {
        let settings = format!("anonymous = \"{setting}\"");
        let gateway = Gateway::builder().provider("p", Script::chat("Hello")).settings(&settings).start();
        let forged = "x-forwarded-for: 127.0.0.1\r\nforwarded: for=127.0.0.1\r\nx-real-ip: 127.0.0.1\r\n";
        let mut admitted = 0;
        for (peer, fields, status) in [
            ("127.0.0.1:9", "", local),
            ("127.8.8.8:9", "", local),
            ("[::1]:9", "", local),
            ("[::ffff:127.0.0.1]:9", "", local),
            ("192.0.2.1:9", "", remote),
            ("192.0.2.1:9", forged, remote),
            ("0.0.0.0:9", forged, remote),
        ] {
            assert_eq!(from(&gateway, peer, fields).await.status, status, "{setting} {peer}");
            admitted += usize::from(status == 200);
        }
        let records = gateway.records(admitted).await;
        assert!(records.iter().all(|record| record.key.id.is_none() && record.key.name == "anonymous"));
    }
}

/// Acceptance DOS-08: what callers make up (names of models and people, paths, keys, tags) makes no series of metrics.
#[tokio::test(start_paused = true)]
async fn made_up_names_make_no_metrics() {
    let gateway = Gateway::builder().provider("p", Script::chat("Hello")).start();
    let series = async || {
        let metrics = gateway.api("GET /metrics", &serde_json::Value::Null).await;
        metrics.text().lines().filter(|line| !line.starts_with('#')).count()
    };
    let some = async |number: usize| {
        let body = format!(
            r#"{{"model":"{}","user":"user-{number}","metadata":{{"tag-{number}":"x"}},"messages":[{{"role":"user","content":"Hi"}}]}}"#,
            if number.is_multiple_of(2) { "m".to_owned() } else { format!("made-up-{number}") },
        );
        let tags = format!("x-crossway-metadata: {{\"t{number}\":\"{number}\"}}\r\nx-crossway-bucket: b{number}\r\n");
        gateway.chat_with(&tags, &body).await;
        gateway.ask(&format!("GET /v1/nothing-{number}"), "", "").await;
    };
    for number in 0..10 {
        some(number).await;
    }
    let before = series().await;
    for number in 10..120 {
        some(number).await;
    }
    assert_eq!(series().await, before);
    gateway.records(120).await;
}
