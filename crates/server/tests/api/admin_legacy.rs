//! Who may make the Ballerina gateway's admin calls. What they do is tested with curl, on the binary.

use serde_json::{Value, json};
use testkit::client::Reply;
use testkit::gateway::{ADMIN_TOKEN, Gateway};
use testkit::script::Script;

const LOCAL: &str = "127.0.0.1:50000";
const OTHER: &str = "10.1.2.3:50000";

async fn asked(gateway: &Gateway, peer: &str, line: &str, fields: &str, body: &str) -> Reply {
    let mut client = gateway.admin_client(peer);
    let length = body.len();
    let head = format!("{line} HTTP/1.1\r\nhost: localhost:8081\r\n{fields}content-length: {length}\r\n\r\n{body}");
    client.send(head).await;
    client.reply().await
}

fn start(anonymous: &str) -> Gateway {
    let settings = format!("anonymous = \"{anonymous}\"");
    Gateway::builder().settings(&settings).provider("p", Script::chat("Hello")).start()
}

const JSON: &str = "content-type: application/json\r\n";

#[tokio::test(start_paused = true)]
async fn they_are_open_to_whom_needs_no_key_and_to_nobody_else() {
    let wrong = format!("{JSON}authorization: Bearer wrong\r\n");
    for (anonymous, peer, expect) in [
        ("off", LOCAL, 401),
        ("loopback", LOCAL, 200),
        ("loopback", "[::ffff:127.0.0.1]:5", 200),
        ("loopback", OTHER, 401),
        ("all", OTHER, 200),
    ] {
        let gateway = start(anonymous);
        for (line, body) in [
            ("GET /admin/systemprompt", ""),
            ("POST /admin/systemprompt", r#"{"prompt":"x"}"#),
            ("GET /admin/guardrails", ""),
            ("POST /admin/guardrails", r#"{"maxLength":9}"#),
            ("POST /admin/guardrails", ""),
            ("GET /admin/ratelimit", ""),
            ("POST /admin/ratelimit", r#"{"requestsPerWindow":5,"windowSeconds":60}"#),
            ("POST /admin/ratelimit", ""),
            ("DELETE /admin/ratelimit", ""),
            ("GET /admin/stats", ""),
        ] {
            for fields in [JSON, &wrong] {
                let reply = asked(&gateway, peer, line, fields, body).await;
                assert_eq!(reply.status, expect, "{anonymous} {peer} {line}: {}", reply.text());
            }
        }
        // What it opens is these calls alone.
        let other = asked(&gateway, peer, "GET /admin/v1/environments/default/prompts", "", "").await;
        assert_eq!(other.status, 401, "{anonymous} {peer}");
        gateway.none().await;
    }
}

#[tokio::test(start_paused = true)]
async fn the_token_acts_under_its_own_name() {
    let gateway = start("loopback");
    let token = format!("{JSON}authorization: Bearer {ADMIN_TOKEN}\r\n");
    for fields in [JSON, &token] {
        let body = json!({ "prompt": fields.len().to_string() }).to_string();
        assert_eq!(asked(&gateway, LOCAL, "POST /admin/systemprompt", fields, &body).await.status, 200);
    }
    let audit: Value = asked(&gateway, LOCAL, "GET /admin/v1/audit", &token, "").await.json();
    let text = audit["data"].to_string();
    assert!(text.contains("anonymous") && text.contains("admin token"), "{text}");
    gateway.none().await;
}
