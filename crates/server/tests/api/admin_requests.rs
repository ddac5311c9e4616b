//! The request log over the admin API: filters, counts, histograms, usage, content, the live tail, and whose it is.

use policy::spec::key::KeySpec;
use serde_json::{Value, json};
use testkit::client::Reply;
use testkit::gateway::{ADMIN_TOKEN, Gateway, REQUEST, STREAM};
use testkit::script::Script;

const ENVIRONMENT: &str = "/admin/v1/environments/default";
const LOG: &str = "/admin/v1/environments/default/requests";

/// When the first request of a test comes, and a day around it.
const DAY: &str = "from=2026-11-18T00:00:00Z&to=2026-11-19T00:00:00Z";

async fn get(gateway: &Gateway, path: &str) -> Reply {
    gateway.api(&format!("GET {path}"), &Value::Null).await
}

async fn chat(gateway: &Gateway, secret: &str, body: &str) -> Reply {
    let fields = format!("authorization: Bearer {secret}\r\ncontent-type: application/json\r\n");
    gateway.ask("POST /v1/chat/completions", &fields, body).await
}

/// Three requests of ada's key, a stream among them, one of bob's, and one of the usual key that fails.
async fn used() -> Gateway {
    let scripts = vec![
        Script::chat("1"),
        Script::streamed(&["2"]),
        Script::chat("3"),
        Script::chat("4"),
        Script::error(400, "no"),
    ];
    let gateway = Gateway::builder().provider_with("p", "", scripts).start();
    let team = gateway.api(&format!("POST {ENVIRONMENT}/teams"), &json!({ "name": "red" })).await;
    assert_eq!(team.status, 201, "{}", team.text());
    let spec = KeySpec {
        owner: "ada".into(),
        team: Some("red".into()),
        cost_tags: vec!["blue".into(), "green".into()],
        ..KeySpec::default()
    };
    let ada = gateway.assembly.create_key("adas", spec);
    let bob = gateway.assembly.create_key("bobs", KeySpec { owner: "bob".into(), ..KeySpec::default() });
    for (secret, body) in
        [(&ada, REQUEST), (&ada, STREAM), (&ada, REQUEST), (&bob, REQUEST), (&gateway.secret, REQUEST)]
    {
        chat(&gateway, secret, body).await;
    }
    gateway.records(5).await;
    gateway
}

fn length(page: &Value) -> usize {
    page["data"].as_array().unwrap_or_else(|| panic!("no page: {page}")).len()
}

#[tokio::test(start_paused = true)]
async fn every_filter_narrows_list_count_histogram_and_usage_alike() {
    let gateway = used().await;
    let newest = get(&gateway, &format!("{LOG}?limit=1")).await.json()["data"][0]["id"].as_str().unwrap().to_owned();
    let tail = &newest[20..];
    for (filter, expect) in [
        ("", 5),
        ("key=adas", 3),
        ("key=nobody", 0),
        ("team=red", 3),
        ("model=m", 4),
        ("model=*", 4),
        ("model=x*", 0),
        ("requested_model=m", 5),
        ("requested_model=*m*", 5),
        ("requested_model=x", 0),
        ("provider=p", 4),
        ("status=200", 4),
        ("status=2xx,4xx", 5),
        ("status=5xx", 0),
        ("outcome=failed", 1),
        ("outcome=failed,succeeded", 5),
        ("error=nothing_of_the_kind", 0),
        ("surface=openai.chat", 5),
        ("stream=true", 1),
        ("stream=false", 4),
        ("fallback=true", 0),
        ("fallback=false&tag=green", 3),
        ("tag=blue", 3),
        ("tag=red", 0),
        ("min_cost=0.00001", 4),
        ("max_cost=0", 1),
        ("min_latency_ms=100000", 0),
        ("max_latency_ms=100000.5", 5),
        (&format!("id={newest}"), 1),
        (&format!("id={tail}"), 1),
        ("id=zz", 0),
        ("key=adas&stream=true&model=m&status=200", 1),
    ] {
        let filter = format!("{DAY}&{filter}");
        let listed = get(&gateway, &format!("{LOG}?{filter}")).await.json();
        let counted = get(&gateway, &format!("{LOG}/count?{filter}")).await.json();
        let drawn = get(&gateway, &format!("{LOG}/histogram?buckets=24&{filter}")).await.json();
        let summed = get(&gateway, &format!("{ENVIRONMENT}/usage?{filter}")).await.json();
        let bars: u64 = drawn["data"].as_array().unwrap().iter().map(|bar| bar["requests"].as_u64().unwrap()).sum();
        assert_eq!(length(&listed), expect, "{filter}");
        assert_eq!((&counted["count"], &counted["exact"]), (&json!(expect), &json!(true)), "{filter}");
        assert_eq!((bars, drawn["complete_from"].clone()), (expect as u64, Value::Null), "{filter}");
        assert_eq!(summed["total"]["requests"], expect, "{filter}");
    }
}

#[tokio::test(start_paused = true)]
async fn wrong_questions_are_named() {
    let gateway = used().await;
    for (query, field) in [
        ("colour=red", "colour"),
        ("limit=0", "limit"),
        ("limit=201", "limit"),
        ("limit=99999999999999999999", "limit"),
        ("limit=-1", "limit"),
        ("limit=1&limit=2", "limit"),
        ("cursor=x", "cursor"),
        ("cursor=c1_zzzzzzzzzzzzzzzz", "cursor"),
        ("cursor=", "cursor"),
        ("status=abc", "status"),
        ("status=2xx,", "status"),
        ("stream=1", "stream"),
        ("fallback=yes", "fallback"),
        ("from=2&to=1", "from"),
        ("from=soon", "from"),
        ("min_cost=-1", "min_cost"),
        ("min_cost=2&max_cost=1", "min_cost"),
        ("max_latency_ms=1e3", "max_latency_ms"),
        ("key=", "key"),
        ("model=%00", "model"),
    ] {
        let reply = get(&gateway, &format!("{LOG}?{query}")).await;
        let error = reply.json()["error"].clone();
        let told = (reply.status, error["code"].as_str(), error["field"].as_str());
        assert_eq!(told, (400, Some("invalid_request"), Some(field)), "{query}: {error}");
    }
    for (path, field) in [
        (format!("{LOG}/count?limit=5"), "limit"),
        (format!("{LOG}/histogram?buckets=0"), "buckets"),
        (format!("{LOG}/histogram?buckets=501"), "buckets"),
        (format!("{LOG}/histogram?buckets=1&from=0"), "buckets"),
        (format!("{LOG}/histogram?zone=Middle/Earth"), "zone"),
        (format!("{LOG}/tail?from=1"), "from"),
        (format!("{ENVIRONMENT}/usage?group_by=colour"), "group_by"),
        (format!("{ENVIRONMENT}/usage?group_by=day,hour"), "group_by"),
        (format!("{ENVIRONMENT}/usage?format=xml"), "format"),
        (format!("{ENVIRONMENT}/usage?zone=%2B25:00"), "zone"),
    ] {
        let reply = get(&gateway, &path).await;
        assert_eq!((reply.status, reply.json()["error"]["field"].as_str()), (400, Some(field)), "{path}");
    }
    let minutes = get(&gateway, &format!("{ENVIRONMENT}/usage?group_by=minute&from=0")).await;
    assert_eq!(minutes.status, 400, "{}", minutes.text());
    for path in [
        "/admin/v1/environments/other/usage".to_owned(),
        "/admin/v1/environments/other/requests/count".to_owned(),
        "/admin/v1/environments/other/requests/tail".to_owned(),
        format!("{LOG}/req_00000000000000000000000000000000/payload"),
        format!("{LOG}/tails"),
    ] {
        assert_eq!(get(&gateway, &path).await.status, 404, "{path}");
    }
}

#[tokio::test(start_paused = true)]
async fn usage_is_summed_by_group() {
    let gateway = used().await;
    let by = async |group: &str| get(&gateway, &format!("{ENVIRONMENT}/usage?{DAY}&group_by={group}")).await.json();
    let keys = by("key").await;
    let rows: Vec<_> = keys["data"].as_array().unwrap().iter().map(|row| (&row["key"], &row["requests"])).collect();
    assert_eq!(rows, [(&json!("adas"), &json!(3)), (&json!("bobs"), &json!(1)), (&json!("first"), &json!(1))]);
    let ada = &keys["data"][0];
    assert_eq!((&ada["cost_usd"].to_string(), &ada["errors"]), (&"0.00015".to_owned(), &json!(0)));
    assert_eq!(keys["total"]["cost_usd"].to_string(), "0.0002");
    assert_eq!((&keys["total"]["errors_4xx"], &keys["total"]["errors"]), (&json!(1), &json!(1)));
    assert!(ada["key_id"].as_str().unwrap().starts_with("res_") && ada["latency_ms"]["p95"].is_number());
    let tags = by("tag").await;
    let rows: Vec<_> = tags["data"].as_array().unwrap().iter().map(|row| (&row["tag"], &row["requests"])).collect();
    assert_eq!(rows, [(&json!("blue"), &json!(3)), (&json!("green"), &json!(3)), (&Value::Null, &json!(2))]);
    assert_eq!(tags["total"]["requests"], 5, "the total counts each request once");
    let days = get(&gateway, &format!("{ENVIRONMENT}/usage?{DAY}&group_by=day&zone=Asia/Kolkata")).await.json();
    let rows: Vec<_> = days["data"].as_array().unwrap().iter().map(|row| (&row["day"], &row["requests"])).collect();
    assert_eq!(rows, [(&json!("2026-11-18T05:30:00+05:30"), &json!(5))]);
    let csv = get(&gateway, &format!("{ENVIRONMENT}/usage?{DAY}&group_by=model,status&format=csv")).await;
    assert!(csv.header("content-type").unwrap().starts_with("text/csv"), "{:?}", csv.header("content-type"));
    let lines: Vec<_> = csv.text().lines().collect();
    assert!(lines[0].starts_with("model,status,requests,errors,"), "{}", csv.text());
    assert!(lines[1].starts_with("m,2xx,4,0,") && lines[2].starts_with(",4xx,1,1,"), "{}", csv.text());
}

#[tokio::test(start_paused = true)]
async fn keys_show_what_they_used() {
    let gateway = used().await;
    let key = get(&gateway, &format!("{ENVIRONMENT}/keys/adas")).await.json();
    assert_eq!(key["status"]["requests"], 3, "{key}");
}

/// Acceptance AUTHZ-03.
#[tokio::test(start_paused = true)]
async fn a_developer_sees_the_requests_of_their_keys_alone() {
    let gateway = used().await;
    let all = get(&gateway, LOG).await.json();
    let of = |key: &str| {
        let found = all["data"].as_array().unwrap().iter().find(|one| one["key"]["name"] == key).unwrap();
        found["id"].as_str().unwrap().to_owned()
    };
    for (who, keys, count) in [
        ("developer ada", vec!["adas"], 3),
        ("developer bob", vec!["bobs"], 1),
        ("developer eve", vec![], 0),
        ("team_admin tom red", vec!["adas"], 3),
        ("operator", vec!["adas", "bobs", "first"], 5),
    ] {
        let ask = async |path: &str| gateway.api_as(who, &format!("GET {path}"), &Value::Null).await;
        assert_eq!(length(&ask(LOG).await.json()), count, "{who}");
        assert_eq!(ask(&format!("{LOG}/count")).await.json()["count"], count, "{who}");
        assert_eq!(ask(&format!("{ENVIRONMENT}/usage?{DAY}")).await.json()["total"]["requests"], count, "{who}");
        for key in ["adas", "bobs", "first"] {
            let expect = if keys.contains(&key) { 200 } else { 404 };
            for path in [format!("{LOG}/{}", of(key)), format!("{LOG}/{}/payload", of(key))] {
                assert_eq!(ask(&path).await.status, expect, "{who} {path}");
            }
            let filtered = ask(&format!("{LOG}?key={key}")).await.json();
            assert_eq!(length(&filtered) > 0, keys.contains(&key), "{who} {key}");
        }
    }
    let viewer = gateway.api_as("viewer", &format!("GET {LOG}/{}/payload", of("adas")), &Value::Null).await;
    assert_eq!(viewer.status, 403, "who sees no content sees none");
}

#[tokio::test(start_paused = true)]
async fn content_is_kept_where_a_key_says_so() {
    const SECRET: &str = "sk-live-0123456789abcdef";
    let said = || Script::chat(&format!("your key is {SECRET}"));
    let scripts = vec![said(), said(), said(), Script::streamed(&["a", "b"]), Script::error(400, "no")];
    let gateway = Gateway::builder().provider_with("p", "", scripts).start();
    let with = |content: Option<&str>| KeySpec { log_content: content.map(str::to_owned), ..KeySpec::default() };
    let (full, redacted) = (
        gateway.assembly.create_key("full", with(Some("full"))),
        gateway.assembly.create_key("redacted", with(Some("redacted"))),
    );
    let body = REQUEST.replace("hi", &format!("mail jane@example.com about {SECRET}"));
    let answer = chat(&gateway, &full, &body).await;
    chat(&gateway, &redacted, &body).await;
    chat(&gateway, &gateway.secret, &body).await;
    let streamed = chat(&gateway, &full, STREAM).await;
    let failed = chat(&gateway, &full, REQUEST).await;
    let records = gateway.records(5).await;
    let payload = async |n: usize| get(&gateway, &format!("{LOG}/{}/payload", records[n].id)).await.json();

    let kept = payload(0).await;
    assert_eq!((&kept["state"], &kept["request"]["text"]), (&json!("full"), &json!(body)));
    assert_eq!(kept["response"]["text"], json!(answer.text()), "what the caller got, byte for byte");
    let shown = payload(1).await;
    assert_eq!(shown["state"], "redacted");
    let text = shown.to_string();
    assert!(!text.contains("0123456789abcdef") && !text.contains("jane@"), "{text}");
    assert!(text.contains("[secret]") && text.contains("[email]"), "{text}");
    let redacted: Value = serde_json::from_str(shown["response"]["text"].as_str().unwrap()).unwrap();
    assert_eq!(redacted["choices"][0]["message"]["content"], "your key is [secret]");
    let absent = payload(2).await;
    assert_eq!((&absent["state"], &absent["request"]), (&json!("absent"), &Value::Null));
    assert_eq!(payload(3).await["response"]["text"], json!(streamed.text()));
    assert_eq!(payload(4).await["response"]["text"], json!(failed.text()), "what it was told of the failure");

    let raw = format!("GET {LOG}/{}/payload?part=request", records[0].id);
    let part = gateway.api(&raw, &Value::Null).await;
    assert_eq!((part.status, part.text()), (200, body.as_str()));
    assert_eq!(part.header("content-type"), Some("text/plain; charset=utf-8"));
    let fields = format!("authorization: Bearer {ADMIN_TOKEN}\r\nrange: bytes=2-6\r\n");
    let some = gateway.api_with(&raw, &fields, &Value::Null).await;
    assert_eq!((some.status, some.text()), (206, &body[2..7]));
    let missing = get(&gateway, &format!("{LOG}/{}/payload?part=response", records[2].id)).await;
    assert_eq!(missing.status, 404);
}

#[tokio::test(start_paused = true)]
async fn a_caller_who_leaves_leaves_what_it_asked() {
    let gateway = Gateway::builder().provider("p", Script::new().stall()).start();
    let spec = KeySpec { log_content: Some("full".into()), ..KeySpec::default() };
    let secret = gateway.assembly.create_key("full", spec);
    let mut client = gateway.client();
    let fields = format!("authorization: Bearer {secret}\r\ncontent-type: application/json\r\n");
    client.request("POST /v1/chat/completions", &fields, STREAM.as_bytes()).await;
    gateway.provider("p").received(1).await;
    drop(client);
    let record = gateway.one().await;
    let payload = get(&gateway, &format!("{LOG}/{}/payload", record.id)).await.json();
    assert_eq!((&payload["request"]["text"], &payload["response"]), (&json!(STREAM), &Value::Null));
}

#[tokio::test(start_paused = true)]
async fn content_that_does_not_fit_is_cut_or_dropped_and_says_so() {
    let gateway = Gateway::builder().provider("p", Script::chat("Hello")).start();
    let spec = KeySpec { log_content: Some("full".into()), ..KeySpec::default() };
    let secret = gateway.assembly.create_key("full", spec);
    // The queue of a test holds 256 KiB.
    let body = |size: usize| REQUEST.replace("hi", &"x".repeat(size));
    for size in [200_000, 200_000, 10] {
        assert_eq!(chat(&gateway, &secret, &body(size)).await.status, 200);
    }
    let records = gateway.records(3).await;
    let payload = async |n: usize| get(&gateway, &format!("{LOG}/{}/payload", records[n].id)).await.json();
    let first = payload(0).await;
    assert_eq!((&first["state"], &first["request"]["shown_bytes"]), (&json!("full"), &json!(64 << 10)));
    assert_eq!(first["request"]["bytes"], json!(body(200_000).len()));
    assert_eq!(payload(1).await["state"], "dropped");
    assert_eq!(payload(2).await["state"], "full");
    let metrics = get(&gateway, "/metrics").await;
    assert!(metrics.text().contains("crossway_payloads_dropped_total 1\n"), "{}", metrics.text());
}

#[tokio::test(start_paused = true)]
async fn a_tail_shows_what_is_meant_as_it_is_recorded() {
    let gateway = Gateway::builder().provider("p", Script::chat("Hello")).start();
    let ada = gateway.assembly.create_key("adas", KeySpec { owner: "ada".into(), ..KeySpec::default() });
    let watch = async |who: &str, query: &str| {
        let mut client = gateway.admin_client("127.0.0.1:50000");
        let head = format!("GET {LOG}/tail{query} HTTP/1.1\r\nhost: localhost\r\nauthorization: {who}\r\n\r\n");
        client.send(head).await;
        let head = client.head().await;
        assert_eq!(head.header("content-type"), Some("text/event-stream; charset=utf-8"));
        client.read_until(": connected\n\n").await;
        client
    };
    let token = format!("Bearer {ADMIN_TOKEN}");
    let (mut all, mut hers, mut none) =
        (watch(&token, "").await, watch("Test developer ada", "").await, watch(&token, "?status=5xx").await);
    chat(&gateway, &gateway.secret, REQUEST).await;
    chat(&gateway, &ada, REQUEST).await;
    let records = gateway.records(2).await;
    let seen = all.read_until(&format!("id: {}\n", records[1].id)).await;
    assert!(seen.contains(&format!("event: request\nid: {}\ndata: {{", records[0].id)), "{seen}");
    let seen = hers.read_until("\n\n").await;
    assert!(seen.contains(&records[1].id.to_string()) && !seen.contains(&records[0].id.to_string()), "{seen}");
    let seen = none.read_until("\n\n").await;
    assert_eq!(seen, ": nothing new\n\n");
    // More than waits for a reader who does not read.
    for n in 0..5 {
        for _ in 0..300 {
            chat(&gateway, &gateway.secret, REQUEST).await;
        }
        gateway.records(2 + 300 * (n + 1)).await;
    }
    drop((hers, none));
    // Its chunk holds the whole event.
    let seen = all.read_until("event: dropped\n").await;
    let (_, dropped) = seen.split_once("event: dropped\ndata: ").unwrap();
    let dropped: Value = serde_json::from_str(dropped.lines().next().unwrap()).unwrap();
    assert!(dropped["dropped"].as_u64().unwrap() > 0 && dropped["total"] == dropped["dropped"], "{dropped}");
}
