//! Who may do what over the admin API: every role on every route of the table, tenancy, throttling, hostile requests.

use control::actor::Role;
use serde_json::{Value, json};
use server::admin::route::{Place, Takes};
use server::admin::table::routes;
use testkit::client::Reply;
use testkit::gateway::{ADMIN_TOKEN, Gateway};
use testkit::script::Script;

const KEYS: &str = "/admin/v1/environments/default/keys";

fn gateway() -> Gateway {
    Gateway::builder().provider("p", Script::chat("Hello")).start()
}

fn code(reply: &Reply) -> String {
    reply.json()["error"]["code"].as_str().unwrap_or_default().to_owned()
}

/// A request to a route, with names that lead nowhere and the example as the body.
fn request(route: &server::admin::route::Route) -> (String, Value) {
    let mut path = route.path.replace("{env}", "default");
    for parameter in route.parameters.iter().filter(|parameter| parameter.place == Place::Path) {
        path = path.replace(&format!("{{{}}}", parameter.name), "nobody");
    }
    let body = match &route.takes {
        Takes::Nothing => Value::Null,
        Takes::Json { example, .. } => example(),
    };
    (format!("{} {path}", route.method), body)
}

/// Whether the door was shut. A wrong password or code is a 401 of the handler's, which names no other way in.
/// A field that is not theirs to write is refused by what is behind the door.
fn kept_out(reply: &Reply) -> bool {
    let of_a_field = || reply.json()["error"]["message"].as_str().is_some_and(|said| said.starts_with("spec."));
    (reply.status == 403 && !of_a_field()) || (reply.status == 401 && reply.header("www-authenticate").is_some())
}

/// Acceptance AUTHZ-05.
#[tokio::test(start_paused = true)]
async fn the_matrix_of_roles_is_kept_on_every_route() {
    for role in Role::ALL {
        let gateway = gateway();
        for route in routes() {
            let (line, body) = request(&route);
            let reply = gateway.api_as(role.name(), &line, &body).await;
            if role.may(route.permission) {
                assert!(!kept_out(&reply) && reply.status != 500, "{role:?} {line}: {}", reply.text());
            } else {
                assert_eq!((reply.status, code(&reply)), (403, "permission_denied".into()), "{role:?} {line}");
            }
        }
        gateway.none().await;
    }
}

#[tokio::test(start_paused = true)]
async fn strangers_see_nothing_but_what_is_open() {
    let gateway = gateway();
    for route in routes() {
        let (line, body) = request(&route);
        let reply = gateway.api_with(&line, "", &body).await;
        if route.permission.name() == "open" {
            assert!(!kept_out(&reply), "{line}: {}", reply.status);
        } else {
            assert_eq!((reply.status, code(&reply)), (401, "unauthorized".into()), "{line}");
            assert!(reply.header("www-authenticate").unwrap().starts_with("Bearer"), "{line}");
        }
    }
    gateway.none().await;
}

/// Acceptance OBS-01.
#[tokio::test(start_paused = true)]
async fn what_was_denied_stands_in_the_audit_log_and_does_not_fill_it() {
    let gateway = gateway();
    let denied = || async {
        let reply = gateway.api("GET /admin/v1/audit?action=denied&limit=200", &Value::Null).await;
        reply.json()["data"].as_array().unwrap().clone()
    };
    // The door does not open: the permission is missing.
    let reply = gateway.api_as("viewer eve", "POST /admin/v1/environments", &json!({ "name": "mine" })).await;
    assert_eq!(reply.status, 403);
    // The handler says no: nobody makes an environment's settings their own over a name.
    let reply = gateway.api_as("developer dan", "GET /admin/v1/audit", &Value::Null).await;
    assert_eq!(reply.status, 403);
    let entries = denied().await;
    let seen: Vec<_> = entries.iter().map(|entry| (&entry["actor"], &entry["role"], &entry["name"])).collect();
    let (eve, dan) = ((json!("eve"), json!("viewer")), (json!("dan"), json!("developer")));
    assert_eq!(seen.len(), 2, "{entries:?}");
    assert_eq!((seen[1].0, seen[1].1), (&eve.0, &eve.1));
    assert_eq!((seen[0].0, seen[0].1), (&dan.0, &dan.1));
    assert!(entries.iter().all(|entry| entry["after"]["permission"].is_string() && entry["hash"].is_string()));
    for _ in 0..100 {
        gateway.api_as("viewer eve", "POST /admin/v1/environments", &json!({ "name": "mine" })).await;
    }
    assert_eq!(denied().await.len(), 21, "twenty at once, and no more");
    gateway.none().await;
}

/// Acceptance AUTHZ-03.
#[tokio::test(start_paused = true)]
async fn a_developer_owns_keys_and_sees_no_others() {
    let gateway = gateway();
    for name in ["red", "blue"] {
        gateway.api("POST /admin/v1/environments/default/teams", &json!({ "name": name })).await;
    }
    let (ada, bob) = ("developer ada red", "developer bob blue");
    let mine = gateway.api_as(ada, &format!("POST {KEYS}"), &json!({ "name": "mine" })).await;
    assert_eq!((mine.status, &mine.json()["spec"]["owner"]), (201, &json!("ada")), "{}", mine.text());
    let listed = gateway.api_as(bob, &format!("GET {KEYS}"), &Value::Null).await.json();
    assert_eq!(listed["data"], json!([]));
    for (verb, body) in [
        ("GET", Value::Null),
        ("PATCH", json!({ "spec": { "enabled": false } })),
        ("PUT", json!({ "spec": {} })),
        ("DELETE", Value::Null),
    ] {
        let others = gateway.api_as(bob, &format!("{verb} {KEYS}/mine"), &body).await;
        let missing = gateway.api_as(bob, &format!("{verb} {KEYS}/none"), &body).await;
        let told = |reply: &Reply, name: &str| {
            let mut told = reply.json();
            told["error"]["request_id"] = Value::Null;
            (reply.status, told.to_string().replace(name, "NAME"))
        };
        assert_eq!(told(&others, "`mine`"), told(&missing, "`none`"), "{verb}");
        assert_eq!(others.status, 404);
    }
    for act in ["rotate", "revoke"] {
        let reply = gateway.api_as(bob, &format!("POST {KEYS}/mine/{act}"), &json!({})).await;
        assert_eq!(reply.status, 404, "{act}");
    }
    let foreign = json!({ "name": "x", "spec": { "team": "blue" } });
    assert_eq!(gateway.api_as(ada, &format!("POST {KEYS}"), &foreign).await.status, 403);
    let moved = json!({ "spec": { "team": "blue" } });
    assert_eq!(gateway.api_as(ada, &format!("PATCH {KEYS}/mine"), &moved).await.status, 403);
    let given = gateway.api_as(ada, &format!("PATCH {KEYS}/mine"), &json!({ "spec": { "owner": "bob" } })).await;
    assert_eq!(given.json()["spec"]["owner"], "ada", "nobody gives a key away");
    assert_eq!(gateway.api_as(ada, &format!("GET {KEYS}/mine"), &Value::Null).await.status, 200);
    gateway.none().await;
}

#[tokio::test(start_paused = true)]
async fn me_says_what_the_role_allows() {
    let gateway = gateway();
    for role in Role::ALL {
        let me = gateway.api_as(role.name(), "GET /admin/v1/me", &Value::Null).await.json();
        let allowed: Vec<&str> = control::access::Permission::ALL
            .into_iter()
            .filter(|permission| role.may(*permission))
            .map(control::access::Permission::name)
            .collect();
        assert_eq!((&me["role"], &me["permissions"]), (&json!(role.name()), &json!(allowed)));
    }
    let me = gateway.api("GET /admin/v1/me", &Value::Null).await.json();
    assert_eq!((&me["name"], &me["role"], &me["session"]), (&json!("admin token"), &json!("owner"), &Value::Null));
    gateway.none().await;
}

#[tokio::test(start_paused = true)]
async fn wrong_tokens_are_throttled_by_peer_and_the_right_one_is_not() {
    let gateway = gateway();
    let ask = async |peer: &str, token: &str, forwarded: &str| {
        let mut client = gateway.admin_client(peer);
        let head = format!(
            "GET /admin/v1/me HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {token}\r\nx-forwarded-for: {forwarded}\r\n\r\n"
        );
        client.send(head).await;
        client.reply().await
    };
    let mut refused = 0;
    for number in 0..100 {
        let reply = ask("10.0.0.1:1", "wrong", &format!("192.0.2.{number}")).await;
        refused += usize::from(reply.status == 429);
        assert!(matches!(reply.status, 401 | 429));
        if reply.status == 429 {
            assert!(reply.header("retry-after").unwrap().parse::<u64>().unwrap() >= 1);
            assert_eq!(code(&reply), "rate_limited");
        }
    }
    assert!((60..=70).contains(&refused), "{refused}");
    assert_eq!(ask("10.0.0.1:2", ADMIN_TOKEN, "x").await.status, 200, "the right token is not held up");
    assert_eq!(ask("10.0.0.2:1", "wrong", "x").await.status, 401, "nor is another peer");
    gateway.none().await;
}

#[tokio::test(start_paused = true)]
async fn who_asks_too_often_waits() {
    let gateway = gateway();
    let mut statuses = Vec::new();
    for _ in 0..60 {
        // The clock stands still but for the 50 ms of a new connection: one in two is beyond the rate of 10 a second.
        let mut client = gateway.admin_client("127.0.0.1:1");
        for _ in 0..2 {
            let body = r#"{"name":"","spec":{}}"#;
            client
                .send(format!(
                    "POST /admin/v1/environments/default/teams HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer \
                     {ADMIN_TOKEN}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
                    body.len()
                ))
                .await;
            statuses.push(client.reply().await.status);
        }
    }
    let refused = statuses.iter().filter(|status| **status == 429).count();
    assert!((15..=25).contains(&refused), "{refused} of {}", statuses.len());
    assert!(statuses.iter().all(|status| matches!(status, 400 | 429)), "{statuses:?}");
    gateway.none().await;
}

/// Acceptance INJ-07.
#[tokio::test(start_paused = true)]
async fn paths_lead_nowhere_else() {
    let gateway = gateway();
    let long = "a".repeat(2_000);
    for (path, status) in [
        ("/admin/v1/me/", 404),
        ("/Admin/v1/me", 404),
        ("/admin/v1/ME", 404),
        ("/admin//v1/me", 404),
        ("/admin/v1/x/../me", 404),
        ("/admin/v1/%6de", 404),
        ("/admin/v1/environments/default/keys/../teams", 404),
        ("/admin/v1/environments/default/keys/%2e%2e", 404),
        ("/admin/v1/environments/default/keys/..%2Fteams", 404),
        ("/admin/v1/environments/default/keys/first%2Frotate", 404),
        ("/admin/v1/environments/default/keys/first%00", 404),
        ("/admin/v1/environments/default/keys/first%0a", 404),
        ("/admin/v1/environments/default/keys/%2566irst", 404),
        ("/admin/v1/environments/default/keys/%ff", 404),
        ("/admin/v1/environments/default/keys/%zz", 404),
        ("/admin/v1/environments/default/keys/FIRST", 404),
        ("/admin/v1/environments/default/keys/first;x=y", 404),
        ("/admin/v1/environments/default/keys/", 404),
        ("/admin/v1/environments//keys", 404),
        ("/admin/v1/environments/default%2Fkeys", 404),
        ("/admin/v1/environments/default/postings", 404),
        ("/admin/v1/environments/default/credit", 404),
        ("/admin/v1/environments/default/sqlite_master", 404),
        (&format!("/admin/v1/environments/default/keys/{long}"), 404),
        ("/admin/v1/environments/default/keys/%27%20OR%201=1--", 404),
        ("/admin/v1/environments/default/keys/%66irst", 200),
        ("/v1/models", 404),
        ("/debug", 404),
    ] {
        let reply = gateway.api(&format!("GET {path}"), &Value::Null).await;
        assert_eq!(reply.status, status, "{path}: {}", reply.text());
        assert!(reply.status == 200 || code(&reply) == "not_found", "{path}");
    }
    gateway.none().await;
}

#[tokio::test(start_paused = true)]
async fn methods_are_those_of_the_table() {
    let gateway = gateway();
    for (line, status, allow) in [
        ("PUT /admin/v1/me", 405, Some("GET, HEAD, OPTIONS")),
        ("POST /healthz", 405, Some("GET, HEAD, OPTIONS")),
        ("TRACE /admin/v1/me", 405, Some("GET, HEAD, OPTIONS")),
        ("PURGE /admin/v1/environments/default/keys/first", 405, Some("GET, PUT, PATCH, DELETE, HEAD, OPTIONS")),
        ("OPTIONS /admin/v1/environments/default/keys", 204, Some("GET, POST, HEAD, OPTIONS")),
        ("OPTIONS /nothing", 404, None),
        ("HEAD /healthz", 200, None),
        ("HEAD /admin/v1/environments/default/keys/first", 200, None),
    ] {
        let reply = gateway.api(line, &Value::Null).await;
        assert_eq!((reply.status, reply.header("allow")), (status, allow), "{line}");
        assert_eq!(reply.header("access-control-allow-origin"), None, "{line}");
    }
    gateway.none().await;
}

/// Acceptance OBS-03 and WEB-06.
#[tokio::test(start_paused = true)]
async fn every_reply_bears_its_headers() {
    let gateway = gateway();
    for line in ["GET /healthz", "GET /admin/v1/me", "GET /nothing", "PUT /healthz", "OPTIONS /healthz"] {
        let fields = format!("authorization: Bearer {ADMIN_TOKEN}\r\nx-request-id: req_forged\r\n");
        let reply = gateway.api_with(line, &fields, &Value::Null).await;
        let id = reply.header("x-request-id").unwrap();
        assert!(id.starts_with("req_") && id.len() == 36, "{line}: {id}");
        assert_eq!(reply.header("cache-control"), Some("no-store"), "{line}");
        assert_eq!(reply.header("x-content-type-options"), Some("nosniff"), "{line}");
        assert_eq!(reply.header("referrer-policy"), Some("no-referrer"), "{line}");
        // WEB-06: no answer can be framed.
        assert!(reply.header("content-security-policy").unwrap().contains("frame-ancestors 'none'"), "{line}");
    }
    gateway.none().await;
}

/// Acceptance DOS-03.
#[tokio::test(start_paused = true)]
async fn a_body_is_json_and_bounded() {
    let gateway = gateway();
    let send = async |fields: &str, body: &str| {
        let mut client = gateway.admin_client("127.0.0.1:1");
        let head = format!(
            "POST {KEYS} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {ADMIN_TOKEN}\r\n{fields}\r\n{body}"
        );
        client.send(head).await;
        client.reply().await
    };
    // 100 MB are refused by what they say of themselves, before a byte of them is there.
    let large = send("content-type: application/json\r\ncontent-length: 104857600\r\n", "").await;
    assert_eq!((large.status, code(&large)), (413, "request_too_large".into()));
    assert_eq!(large.header("connection"), Some("close"));
    let piece = "a".repeat(64 << 10);
    let mut client = gateway.admin_client("127.0.0.1:1");
    let head = format!(
        "POST {KEYS} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {ADMIN_TOKEN}\r\ncontent-type: \
         application/json\r\ntransfer-encoding: chunked\r\n\r\n"
    );
    client.send(head).await;
    for _ in 0..17 {
        client.send(format!("10000\r\n{piece}\r\n")).await;
    }
    assert_eq!(client.reply().await.status, 413, "without a declared length too");
    for (kind, body, status) in [
        ("text/plain", "{}", 415),
        ("application/x-www-form-urlencoded", "name=x", 415),
        ("multipart/form-data; boundary=x", "--x--", 415),
        ("application/json", "{", 400),
        ("application/json", "[]", 400),
        ("application/json", "null", 400),
        ("application/json", r#"{"name":"a","name":"b"}"#, 400),
        ("application/json", &format!("{{\"spec\":{}}}", "[".repeat(100_000)), 400),
        ("application/json", "", 400),
    ] {
        let fields = format!("content-type: {kind}\r\ncontent-length: {}\r\n", body.len());
        let reply = send(&fields, body).await;
        assert_eq!(reply.status, status, "{kind} {}: {}", body.get(..20).unwrap_or(body), reply.text());
    }
    let none = send("content-length: 2\r\n", "{}").await;
    assert_eq!(none.status, 415, "a body without a type");
    let malformed = send("content-type: application/json\r\ncontent-length: 9\r\n", "{\"name\":}").await.json();
    assert!(malformed["error"]["message"].as_str().unwrap().contains("line 1, column 9"), "{malformed}");
    let twice = send("content-type: application/json\r\ncontent-length: 2\r\ntransfer-encoding: gzip\r\n", "{}").await;
    assert_eq!(twice.status, 400);
    gateway.none().await;
}

#[tokio::test(start_paused = true)]
async fn a_slow_body_is_given_up() {
    let gateway = gateway();
    let mut client = gateway.admin_client("127.0.0.1:1");
    client
        .send(format!(
            "POST {KEYS} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {ADMIN_TOKEN}\r\ncontent-type: \
             application/json\r\ncontent-length: 20\r\n\r\n{{"
        ))
        .await;
    let reply = client.reply().await;
    assert_eq!((reply.status, code(&reply)), (408, "request_timeout".into()));
    gateway.none().await;
}

/// Acceptance INJ-05.
#[tokio::test(start_paused = true)]
async fn names_do_not_break_out_of_headers_or_text() {
    let gateway = gateway();
    for name in ["a\r\nx-evil: 1", "a\u{0}b", "\u{1b}[31m", "", &"n".repeat(129)] {
        let reply = gateway.api(&format!("POST {KEYS}"), &json!({ "name": name })).await;
        assert_eq!((reply.status, code(&reply)), (400, "invalid_request".into()), "{name:?}");
        assert_eq!(reply.header("x-evil"), None);
    }
    for name in ["é <b>\"&'/", "a/b", "100%", "name with spaces"] {
        let made = gateway.api(&format!("POST {KEYS}"), &json!({ "name": name })).await;
        if made.status == 201 {
            let location = made.header("location").unwrap();
            assert!(location.is_ascii() && !location.contains(['<', ' ', '"']), "{location}");
            let found = gateway.api(&format!("GET {location}"), &Value::Null).await;
            assert_eq!((found.status, &found.json()["name"]), (200, &json!(name)), "{location}");
        } else {
            assert_eq!(code(&made), "invalid_request", "{name}");
        }
    }
    gateway.none().await;
}
