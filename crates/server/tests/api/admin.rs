//! The admin listener: health, metrics, the request log, and who may not see them.

use serde_json::Value;
use testkit::client::Reply;
use testkit::gateway::{ADMIN_TOKEN, Gateway, REQUEST, STREAM};
use testkit::script::Script;

const LOG: &str = "/admin/v1/environments/default/requests";

pub async fn get(gateway: &Gateway, path: &str) -> Reply {
    gateway
        .admin(&format!("GET {path}"), &format!("host: localhost:8081\r\nauthorization: Bearer {ADMIN_TOKEN}\r\n"))
        .await
}

/// A gateway with five answered requests, one that failed, and one that was refused.
async fn used() -> Gateway {
    let scripts = vec![Script::chat("1"), Script::chat("2"), Script::streamed(&["3"]), Script::error(400, "no")];
    let gateway = Gateway::builder().provider_with("p", "", scripts).start();
    for body in [REQUEST, REQUEST, STREAM, REQUEST, &REQUEST.replace(r#""m""#, r#""unknown""#)] {
        gateway.chat(body).await;
    }
    gateway.records(5).await;
    gateway
}

fn ids(page: &Value) -> Vec<String> {
    page["data"].as_array().unwrap().iter().map(|record| record["id"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test(start_paused = true)]
async fn health_and_readiness_need_no_token() {
    let gateway = Gateway::builder().provider("p", Script::chat("Hello")).start();
    for path in ["/healthz", "/readyz", "/metrics"] {
        assert_eq!(gateway.admin(&format!("GET {path}"), "host: 127.0.0.1:8081\r\n").await.status, 200, "{path}");
    }
    gateway.assembly.core.start_draining();
    let reply = gateway.admin("GET /readyz", "host: localhost\r\n").await;
    assert_eq!((reply.status, reply.text()), (503, "draining\n"));
    assert_eq!(gateway.admin("GET /healthz", "host: localhost\r\n").await.status, 200, "it lives");
    gateway.none().await;
}

#[tokio::test(start_paused = true)]
async fn metrics_count_what_happened() {
    let gateway = used().await;
    let reply = get(&gateway, "/metrics").await;
    assert!(reply.header("content-type").unwrap().starts_with("application/openmetrics-text"));
    let text = reply.text();
    for line in [
        "crossway_requests_succeeded_total 3",
        "crossway_requests_failed_total 1",
        "crossway_requests_refused_total 1",
        "crossway_input_tokens_total 27",
        "crossway_output_tokens_total 12",
        "crossway_cost_nanodollars_total 150000",
        "crossway_attempts_total 4",
        "crossway_requests_in_flight 0",
    ] {
        assert!(text.lines().any(|other| other == line), "{line} is not in\n{text}");
    }
    assert!(text.ends_with("# EOF\n"));
}

#[tokio::test(start_paused = true)]
async fn a_request_is_counted_in_one_place() {
    let gateway = used().await;
    gateway.ask("POST /v1/chat/completions", "", REQUEST).await;
    let text = get(&gateway, "/metrics").await;
    assert!(text.text().contains("crossway_requests_rejected_total 1\n"), "{}", text.text());
}

#[tokio::test(start_paused = true)]
async fn series_do_not_grow_with_the_traffic() {
    let gateway = Gateway::builder().provider("p", Script::chat("Hello")).start();
    let before = get(&gateway, "/metrics").await.text().lines().count();
    for number in 0..50 {
        let body = REQUEST.replace(r#""model":"m""#, &format!(r#""model":"m{number}","user":"u{number}""#));
        gateway.chat(&body).await;
    }
    assert_eq!(get(&gateway, "/metrics").await.text().lines().count(), before);
    gateway.records(50).await;
}

#[tokio::test(start_paused = true)]
async fn a_request_in_flight_is_a_gauge() {
    let gateway = Gateway::builder().provider("p", Script::new().stall()).start();
    let client = gateway.begin(STREAM).await;
    gateway.provider("p").received(1).await;
    assert!(get(&gateway, "/metrics").await.text().contains("crossway_requests_in_flight 1\n"));
    drop(client);
    gateway.one().await;
    assert!(get(&gateway, "/metrics").await.text().contains("crossway_requests_in_flight 0\n"));
}

#[tokio::test(start_paused = true)]
async fn the_log_lists_the_newest_first() {
    let gateway = used().await;
    let page = get(&gateway, LOG).await.json();
    let expected: Vec<String> = gateway.records(5).await.iter().rev().map(|record| record.id.to_string()).collect();
    assert_eq!((ids(&page), &page["next_cursor"]), (expected, &Value::Null));
    let first = &page["data"][4];
    assert_eq!((&first["outcome"], &first["cost_usd"].to_string()), (&Value::from("succeeded"), &"0.00005".to_owned()));
    assert!(first.get("prompt").is_none() && !page.to_string().contains("\"hi\""), "what was said is not logged");
}

#[tokio::test(start_paused = true)]
async fn the_log_is_filtered() {
    let gateway = used().await;
    for (filter, count) in [
        ("outcome=succeeded", 3),
        ("outcome=failed", 1),
        ("outcome=refused", 1),
        ("status=400", 2),
        ("status=200&outcome=failed", 0),
        ("provider=p", 3),
        ("model=m", 3),
        ("key=first", 5),
        ("key=nobody", 0),
        ("from=1795000000003", 3),
        ("to=1795000000003", 2),
        ("from=1795000000002&to=1795000000004", 2),
        ("model=%27%20OR%20%271%27%3D%271", 0),
    ] {
        let page = get(&gateway, &format!("{LOG}?{filter}")).await.json();
        assert_eq!(ids(&page).len(), count, "{filter}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_log_is_paged() {
    let gateway = used().await;
    let (mut seen, mut cursor, mut pages) = (Vec::new(), String::new(), 0);
    loop {
        let page = get(&gateway, &format!("{LOG}?limit=2{cursor}")).await.json();
        seen.extend(ids(&page));
        pages += 1;
        let Some(next) = page["next_cursor"].as_str() else { break };
        cursor = format!("&cursor={next}");
    }
    let all = get(&gateway, LOG).await.json();
    assert_eq!((seen, pages), (ids(&all), 3));
}

#[tokio::test(start_paused = true)]
async fn one_request_is_shown() {
    let gateway = used().await;
    let all = get(&gateway, LOG).await.json();
    let id = ids(&all).remove(0);
    let one = get(&gateway, &format!("{LOG}/{id}")).await.json();
    assert_eq!(one, all["data"][0]);
    for path in [
        format!("{LOG}/req_00000000000000000000000000000000"),
        format!("{LOG}/x"),
        "/admin/v1/environments/other/requests".to_owned(),
    ] {
        let reply = get(&gateway, &path).await;
        assert_eq!((reply.status, &reply.json()["error"]["code"]), (404, &Value::from("not_found")), "{path}");
    }
}

#[tokio::test(start_paused = true)]
async fn wrong_questions_are_named() {
    let gateway = used().await;
    for query in ["limit=0", "limit=201", "limit=x", "cursor=x", "status=abc", "colour=red", "limit=1&limit=2"] {
        let reply = get(&gateway, &format!("{LOG}?{query}")).await;
        assert_eq!((reply.status, &reply.json()["error"]["code"]), (400, &Value::from("invalid_request")), "{query}");
    }
    let reply = gateway
        .admin(&format!("POST {LOG}"), &format!("host: localhost\r\nauthorization: Bearer {ADMIN_TOKEN}\r\n"))
        .await;
    assert_eq!(reply.status, 405);
}

#[tokio::test(start_paused = true)]
async fn without_the_token_nothing_is_shown() {
    let gateway = Gateway::builder().provider("p", Script::chat("Hello")).start();
    let short = &ADMIN_TOKEN[..ADMIN_TOKEN.len() - 1];
    for given in [
        String::new(),
        "authorization: Bearer \r\n".to_owned(),
        format!("authorization: Bearer {short}\r\n"),
        format!("authorization: Bearer {ADMIN_TOKEN}x\r\n"),
        format!("authorization: Basic {ADMIN_TOKEN}\r\n"),
        format!("authorization: Bearer {}\r\n", gateway.secret),
        format!("x-api-key: {ADMIN_TOKEN}\r\n"),
    ] {
        let reply = gateway.admin(&format!("GET {LOG}"), &format!("host: localhost\r\n{given}")).await;
        assert_eq!((reply.status, &reply.json()["error"]["code"]), (401, &Value::from("unauthorized")), "{given}");
        assert!(!reply.text().contains("canary"));
    }
    gateway.none().await;
    let closed = Gateway::builder().provider("p", Script::chat("Hello")).without_admin_token().start();
    for given in ["", "authorization: Bearer \r\n", "authorization: Bearer x\r\n"] {
        assert_eq!(closed.admin(&format!("GET {LOG}"), &format!("host: localhost\r\n{given}")).await.status, 401);
    }
    closed.none().await;
}

#[tokio::test(start_paused = true)]
async fn other_sites_are_kept_out() {
    let gateway = Gateway::builder().provider("p", Script::chat("Hello")).start();
    for (fields, status) in [
        ("host: evil.example\r\n", 403),
        ("host: evil.example:8081\r\n", 403),
        ("host: localhost.evil.example\r\n", 403),
        ("host: 127.0.0.1.evil.example\r\n", 403),
        ("host: localhost\r\norigin: http://evil.example\r\n", 403),
        ("host: localhost\r\norigin: null\r\n", 403),
        ("host: localhost:8081\r\norigin: http://localhost:3000\r\n", 200),
        ("host: 127.0.0.1:8081\r\n", 200),
        ("host: [::1]:8081\r\n", 200),
    ] {
        for path in ["/healthz", "/metrics"] {
            assert_eq!(gateway.admin(&format!("GET {path}"), fields).await.status, status, "{fields}");
        }
    }
    gateway.none().await;
}

#[tokio::test(start_paused = true)]
async fn a_head_that_cannot_be_read_is_answered_like_every_other_mistake() {
    let gateway = Gateway::builder().start();
    let check = async |head: String, status: &str, message: &str| {
        let mut client = gateway.admin_client("127.0.0.1:50000");
        client.send(head).await;
        let text = String::from_utf8(client.read_to_end().await).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with(&format!("HTTP/1.1 {status} ")), "{head}");
        assert!(
            head.contains(&format!("content-length: {}", body.len())) && head.contains("connection: close"),
            "{head}"
        );
        let error = serde_json::from_str::<Value>(body).unwrap()["error"].clone();
        assert_eq!((error["code"].as_str(), error["message"].as_str()), (Some("invalid_request"), Some(message)));
        let id = error["request_id"].as_str().unwrap();
        assert!(head.contains(&format!("x-request-id: {id}")) && head.contains("cache-control: no-store"), "{head}");
    };
    let invalid = "the request's head is not one of HTTP/1.1: its first line, a header or its framing is invalid";
    for head in [
        "GARBAGE\r\n\r\n",
        "GET /healthz\r\n\r\n",
        "GET /healthz HTTP/9.9\r\n\r\n",
        "GET /healthz HTTP/1.1\r\nhost: localhost\r\nbad header\r\n\r\n",
        "POST /admin/v1/apply HTTP/1.1\r\nhost: localhost\r\ncontent-length: x\r\n\r\n",
    ] {
        check(head.to_owned(), "400", invalid).await;
    }
    let long = format!("GET /{} HTTP/1.1\r\nhost: localhost\r\n\r\n", "a".repeat(70_000));
    let many = format!("GET / HTTP/1.1\r\nhost: localhost\r\n{}\r\n", "x: y\r\n".repeat(300));
    let large = "the request's head is larger than 65536 bytes or has more than 100 fields";
    check(long, "431", large).await;
    check(many, "431", large).await;
    check("GET / HTTP/1.1\r\n\r\n".to_owned(), "400", "a request has one Host header").await;
    let mut client = gateway.admin_client("127.0.0.1:50000");
    client.send("GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\nGARBAGE\r\n\r\n").await;
    assert_eq!(client.reply().await.status, 200);
    assert_eq!(client.reply().await.json()["error"]["message"], invalid, "the second request on a connection");
    gateway.none().await;
}
