//! Webhooks: what happened is told, signed, tried again, given up, told once more; and a receiver that does wrong hurts
//! nobody.

use std::time::Duration;

use aws_lc_rs::hmac;
use serde_json::{Value, json};
use testkit::client::Reply;
use testkit::gateway::{Builder, Gateway, REQUEST};
use testkit::provider::Received;
use testkit::script::{Script, Step};

pub const HOOKS: &str = "/admin/v1/environments/default/webhooks";

/// The secret of every webhook here.
const SECRET: &str = "whsec_canary_0123456789";

pub fn taken() -> Script {
    Script::answer(204, "", "")
}

pub fn builder(scripts: Vec<Script>) -> Builder {
    Gateway::builder().provider("p", Script::chat("Hello")).host("hook", scripts)
}

/// Starts a gateway whose webhook `h` has these events.
pub async fn listening(builder: Builder, events: &[&str]) -> Gateway {
    let gateway = builder.start();
    gateway.tell().await;
    subscribe(&gateway, "h", "http://hook.test/in?x=1", events).await;
    gateway
}

pub async fn subscribe(gateway: &Gateway, name: &str, url: &str, events: &[&str]) {
    let spec = json!({ "url": url, "events": events, "secret": SECRET });
    let made = gateway.api(&format!("POST {HOOKS}"), &json!({ "name": name, "spec": spec })).await;
    assert_eq!(made.status, 201, "{}", made.text());
}

async fn make_key(gateway: &Gateway, name: &str) {
    let made = gateway.api("POST /admin/v1/environments/default/keys", &json!({ "name": name, "spec": {} })).await;
    assert_eq!(made.status, 201, "{}", made.text());
}

pub fn told(gateway: &Gateway) -> Vec<Value> {
    gateway.provider("hook").requests().iter().map(Received::json).collect()
}

pub fn types(events: &[Value]) -> Vec<&str> {
    events.iter().map(|event| event["type"].as_str().unwrap()).collect()
}

pub async fn log(gateway: &Gateway, name: &str, query: &str) -> Vec<Value> {
    let reply = gateway.api(&format!("GET {HOOKS}/{name}/deliveries{query}"), &Value::Null).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    reply.json()["data"].as_array().unwrap().clone()
}

fn header(received: &Received, name: &str) -> String {
    let found = received.head.lines().find_map(|line| {
        let (field, value) = line.split_once(": ")?;
        field.eq_ignore_ascii_case(name).then(|| value.to_owned())
    });
    found.unwrap_or_else(|| panic!("{name}: {}", received.head))
}

fn hex(secret: &str, message: &[u8]) -> String {
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes()), message);
    tag.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

fn error(reply: &Reply) -> String {
    reply.json()["error"]["message"].as_str().unwrap_or_default().to_owned()
}

#[tokio::test(start_paused = true)]
async fn the_life_of_a_key_is_told() {
    let gateway = listening(builder(vec![taken()]), &["key.*"]).await;
    make_key(&gateway, "k").await;
    let keys = "/admin/v1/environments/default/keys";
    gateway.api(&format!("PATCH {keys}/k"), &json!({ "spec": { "description": "new" } })).await;
    gateway.api(&format!("POST {keys}/k/rotate"), &Value::Null).await;
    gateway.api(&format!("POST {keys}/k/revoke"), &Value::Null).await;
    gateway.api(&format!("DELETE {keys}/k"), &Value::Null).await;
    gateway.tell().await;
    let mut events = told(&gateway);
    events.sort_by_key(|event| event["id"].as_str().unwrap().to_owned());
    let mut found = types(&events);
    found.sort_unstable();
    assert_eq!(found, ["key.created", "key.deleted", "key.revoked", "key.rotated", "key.updated"]);
    for event in &events {
        assert!(
            event["id"].as_str().unwrap().starts_with("evt_") && event["created"].as_u64().unwrap() > 1_790_000_000
        );
        assert_eq!((&event["data"]["key"]["name"], &event["data"]["actor"]), (&json!("k"), &json!("admin token")));
    }
    assert!(!format!("{events:?}").contains("sk-cw-"), "no secret is told");
    gateway.tell().await;
    assert_eq!(told(&gateway).len(), 5, "everything is told once");
    let metrics = gateway.admin("GET /metrics", "").await.text().to_owned();
    assert!(metrics.contains("crossway_webhook_deliveries_sent_total 5"), "{metrics}");
    gateway.none().await;
}

/// Whoever is told, and of what, may be there before the first look at what happened.
#[tokio::test(start_paused = true)]
async fn what_happens_right_after_the_start_is_told() {
    let gateway = builder(vec![taken()]).start();
    subscribe(&gateway, "h", "http://hook.test/in?x=1", &["key.created"]).await;
    make_key(&gateway, "k").await;
    gateway.tell().await;
    assert_eq!(types(&told(&gateway)), ["key.created"]);
    gateway.none().await;
}

#[tokio::test(start_paused = true)]
async fn a_delivery_is_signed() {
    let gateway = listening(builder(vec![taken()]), &["key.created"]).await;
    let patch = json!({ "spec": { "signature_header": "X-ComputeBoard-Signature", "headers": { "Authorization": "Bearer t" } } });
    assert_eq!(gateway.api(&format!("PATCH {HOOKS}/h"), &patch).await.status, 200);
    make_key(&gateway, "k").await;
    gateway.tell().await;
    let received = gateway.provider("hook").request();
    assert!(received.head.starts_with("POST /in?x=1 HTTP/1.1\r\nhost: hook.test\r\n"), "{}", received.head);
    let body = received.body.as_ref();
    assert_eq!(header(&received, "x-computeboard-signature"), hex(SECRET, body));
    let at = header(&received, "x-crossway-timestamp");
    let timed = [at.as_bytes(), b".", body].concat();
    assert_eq!(header(&received, "x-crossway-signature-v2"), hex(SECRET, &timed));
    assert_eq!(at.parse::<u64>().unwrap(), gateway.assembly.core.clock.unix_ms() / 1_000);
    let expect = ("key.created", "dlv_1", "application/json", "Bearer t", "crossway/test");
    let found = ["x-crossway-event", "x-crossway-delivery", "content-type", "authorization", "user-agent"];
    let [event, delivery, kind, authorization, agent] = found.map(|name| header(&received, name));
    assert_eq!((&*event, &*delivery, &*kind, &*authorization, &*agent), expect);
    assert_ne!(hex("another-secret-16", body), hex(SECRET, body));
    gateway.none().await;
}

#[tokio::test(start_paused = true)]
async fn both_secrets_sign_while_one_replaces_the_other() {
    let gateway = listening(builder(vec![taken()]), &["key.created"]).await;
    let rotated = gateway.api(&format!("POST {HOOKS}/h/rotate"), &json!({ "grace": "1h" })).await;
    let new = rotated.json()["secret"].as_str().unwrap().to_owned();
    assert!(rotated.status == 200 && new.starts_with("whsec_") && new != SECRET);
    make_key(&gateway, "one").await;
    gateway.tell().await;
    gateway.assembly.hands.advance(Duration::from_secs(3_601));
    make_key(&gateway, "two").await;
    gateway.tell().await;
    let requests = gateway.provider("hook").requests();
    let signed = |received: &Received, secret: &str| {
        let timed = [header(received, "x-crossway-timestamp").as_bytes(), b".", received.body.as_ref()].concat();
        header(received, "x-crossway-signature-v2").split(',').any(|one| one == hex(secret, &timed))
    };
    assert!(signed(&requests[0], SECRET) && signed(&requests[0], &new));
    assert!(!signed(&requests[1], SECRET) && signed(&requests[1], &new));
    assert_eq!(header(&requests[0], "x-crossway-signature"), hex(&new, &requests[0].body));
    let shown = gateway.api(&format!("GET {HOOKS}/h"), &Value::Null).await.text().to_owned();
    assert!(!shown.contains("whsec_"), "{shown}");
    gateway.none().await;
}

#[tokio::test(start_paused = true)]
async fn a_request_is_told_with_what_it_cost() {
    let scripts = vec![Script::chat("Hello"), Script::error(400, "no"), Script::chat("Hello")];
    let builder = Gateway::builder().provider_with("p", "", scripts).host("hook", vec![taken()]);
    let gateway = listening(builder, &["request.*"]).await;
    let reply = gateway.chat(REQUEST).await;
    gateway.chat(REQUEST).await;
    gateway.tell().await;
    let events = told(&gateway);
    assert_eq!(events.len(), 2);
    let done = events.iter().find(|event| event["type"] == "request.completed").unwrap();
    let data = &done["data"];
    assert_eq!(data["request_id"], reply.json()["id"], "the id of the completion as the caller saw it");
    assert_eq!(data["id"], json!(reply.header("x-request-id").unwrap()));
    let tokens = json!({ "prompt_tokens": 9, "completion_tokens": 4, "total_tokens": 13 });
    assert_eq!((&data["usage"], &data["routed_to"], &data["cost_usd"]), (&tokens, &json!("m"), &json!("0.00005")));
    assert_eq!(
        (&data["key"]["name"], &data["baseline"], &data["outcome"]),
        (&json!("first"), &json!("m"), &json!("succeeded"))
    );
    assert!(data["latency_ms"].is_u64() && data["saved_pct"].is_number(), "{data}");
    let failed = events.iter().find(|event| event["type"] == "request.failed").unwrap();
    assert_eq!(failed["data"]["status"], 400);
    // What nobody wants any more is not noted.
    gateway.api(&format!("DELETE {HOOKS}/h"), &Value::Null).await;
    gateway.chat(REQUEST).await;
    gateway.tell().await;
    assert_eq!(told(&gateway).len(), 2);
    gateway.assembly.quiet().await;
    let reader = store::records::read::RecordsReader::open(&gateway.assembly.directory.0).unwrap();
    assert_eq!(reader.outbox_end().unwrap(), 2);
    gateway.records(3).await;
}

#[tokio::test(start_paused = true)]
async fn what_fails_is_tried_again_until_it_is_given_up() {
    let gateway = listening(builder(vec![Script::answer(500, "", "secret inside")]), &["key.created"]).await;
    make_key(&gateway, "k").await;
    gateway.tell().await;
    let mut tries = 1;
    for _ in 0..200 {
        assert_eq!(gateway.provider("hook").requests().len(), tries);
        let [entry] = log(&gateway, "h", "").await.try_into().unwrap();
        assert_eq!((&entry["attempts"], &entry["response_status"]), (&json!(tries), &json!(500)));
        assert_eq!(entry["error"], "status 500");
        if entry["status"] == "dead" {
            break;
        }
        assert_eq!(entry["status"], "waiting");
        let next = ir::civil::parse_rfc3339(entry["next_attempt_at"].as_str().unwrap()).unwrap();
        let wait = next - gateway.assembly.core.clock.unix_ms();
        gateway.assembly.hands.advance(Duration::from_millis(wait - 2));
        gateway.tell().await;
        assert_eq!(gateway.provider("hook").requests().len(), tries, "not a moment too early");
        gateway.assembly.hands.advance(Duration::from_millis(100));
        gateway.tell().await;
        tries += 1;
    }
    let [dead] = log(&gateway, "h", "?status=dead").await.try_into().unwrap();
    assert!((9..=13).contains(&tries) && dead["next_attempt_at"].is_null(), "{tries} {dead}");
    assert!(log(&gateway, "h", "?status=waiting").await.is_empty());
    let requests = gateway.provider("hook").requests();
    assert!(requests.iter().all(|one| one.body == requests[0].body), "the same bytes and the same id at every try");
    assert_ne!(header(&requests[0], "x-crossway-timestamp"), header(&requests[1], "x-crossway-timestamp"));
    let metrics = gateway.admin("GET /metrics", "").await.text().to_owned();
    assert!(metrics.contains("crossway_event_deliveries_dead_total 1"), "{metrics}");
    assert!(!metrics.contains("secret inside") && !dead.to_string().contains("secret inside"));
    gateway.none().await;
}

#[tokio::test(start_paused = true)]
async fn a_dead_letter_is_sent_once_more() {
    let gateway = listening(builder(vec![Script::answer(410, "", ""), taken()]), &["key.created"]).await;
    make_key(&gateway, "k").await;
    gateway.tell().await;
    let [dead] = log(&gateway, "h", "?status=dead&type=key.created").await.try_into().unwrap();
    assert_eq!(
        (&dead["id"], &dead["attempts"], &dead["event"]["data"]["key"]["name"]),
        (&json!("dlv_1"), &json!(1), &json!("k"))
    );
    let again = gateway.api(&format!("POST {HOOKS}/h/deliveries/dlv_1/redeliver"), &Value::Null).await;
    assert_eq!((again.status, again.json()), (202, json!({ "id": "dlv_2", "status": "waiting" })));
    gateway.tell().await;
    let requests = gateway.provider("hook").requests();
    assert_eq!((requests.len(), &requests[0].body), (2, &requests[1].body));
    let all = log(&gateway, "h", "").await;
    let shown: Vec<_> = all.iter().map(|one| (one["id"].as_str().unwrap(), one["status"].as_str().unwrap())).collect();
    assert_eq!(shown, [("dlv_2", "delivered"), ("dlv_1", "dead")]);
    for wrong in ["dlv_9", "9", "dlv_", "dlv_-1"] {
        let line = format!("POST {HOOKS}/h/deliveries/{wrong}/redeliver");
        assert_eq!(gateway.api(&line, &Value::Null).await.status, 404, "{wrong}");
    }
    let page = gateway.api(&format!("GET {HOOKS}/h/deliveries?limit=1"), &Value::Null).await.json();
    assert_eq!((&page["data"][0]["id"], &page["next_cursor"]), (&json!("dlv_2"), &json!("2")));
    let [rest] = log(&gateway, "h", "?limit=1&cursor=2").await.try_into().unwrap();
    assert_eq!(rest["id"], "dlv_1");
    for wrong in ["status=done", "cursor=x", "limit=0"] {
        assert_eq!(
            gateway.api(&format!("GET {HOOKS}/h/deliveries?{wrong}"), &Value::Null).await.status,
            400,
            "{wrong}"
        );
    }
    gateway.none().await;
}

#[tokio::test(start_paused = true)]
async fn a_receiver_that_does_wrong_hurts_nobody() {
    let forever = |bytes: &'static str| Script::new().step(Step::Flood(bytes.into()));
    let head = "HTTP/1.1 200 OK\r\ncontent-length: 1073741824\r\n\r\n";
    let endless = match Script::new().send(head) {
        Script::Steps(mut steps) => {
            steps.push(Step::Flood("x".repeat(65_536).into()));
            Script::Steps(steps)
        }
        other => other,
    };
    let cases: [(Script, &str, &str); 9] = [
        (Script::new().step(Step::Stall), "waiting", "no answer within 10 s"),
        (Script::new().send("not HTTP at all\r\n\r\n"), "waiting", "what answers does not speak HTTP"),
        (forever("HTTP/1.1 100 Continue\r\n\r\n"), "waiting", "what answers does not speak HTTP"),
        (Script::new().step(Step::Close), "waiting", "the connection was closed before an answer"),
        (Script::Refuse, "waiting", "connection refused"),
        (
            Script::answer(302, "location: http://10.0.0.1/\r\n", ""),
            "waiting",
            "status 302: redirects are not followed",
        ),
        (Script::answer(400, "", "who are you"), "waiting", "status 400"),
        (Script::answer(410, "", ""), "dead", "status 410"),
        (endless, "delivered", ""),
    ];
    for (script, status, message) in cases {
        let shown = format!("{script:?} {message}");
        let builder = builder(vec![script]).host("good", vec![taken()]);
        let gateway = listening(builder, &["key.created"]).await;
        subscribe(&gateway, "good", "http://good.test/", &["key.created"]).await;
        make_key(&gateway, "k").await;
        gateway.tell().await;
        assert_eq!(gateway.provider("good").requests().len(), 1, "{shown}");
        let [entry] = log(&gateway, "h", "").await.try_into().unwrap();
        let error = entry["error"].as_str().unwrap_or_default();
        assert_eq!(
            (entry["status"].as_str().unwrap(), error, &entry["attempts"]),
            (status, message, &json!(1)),
            "{shown}"
        );
        gateway.none().await;
    }
}

#[tokio::test(start_paused = true)]
async fn only_public_addresses_are_told() {
    let gateway = builder(vec![taken()]).private_host("inside", vec![taken()]).start();
    gateway.tell().await;
    for url in ["http://127.0.0.1/", "http://2130706433/", "http://[::ffff:169.254.169.254]/", "https://localhost./"] {
        let spec = json!({ "url": url, "events": ["*"] });
        let refused = gateway.api(&format!("POST {HOOKS}"), &json!({ "name": "h", "spec": spec })).await;
        assert_eq!((refused.status, refused.json()["error"]["field"].clone()), (400, json!("spec.url")), "{url}");
        assert!(error(&refused).contains("not a public one"), "{}", refused.text());
    }
    // A name that leads inside is found out when it is connected to, each time anew.
    subscribe(&gateway, "h", "http://inside.test/", &["key.created"]).await;
    make_key(&gateway, "k").await;
    gateway.tell().await;
    let [entry] = log(&gateway, "h", "").await.try_into().unwrap();
    assert_eq!((&entry["status"], &entry["error"]), (&json!("waiting"), &json!("the address is not a public one")));
    let tested = gateway.api(&format!("POST {HOOKS}/h/test"), &Value::Null).await.json();
    assert_eq!((&tested["ok"], &tested["error"]), (&json!(false), &json!("the address is not a public one")));
    assert_eq!(gateway.provider("inside").requests().len(), 0);
    gateway.none().await;

    let allowed =
        builder(vec![taken()]).private_host("inside", vec![taken()]).settings("webhooks_private = true").start();
    subscribe(&allowed, "h", "http://inside.test/", &["key.created"]).await;
    subscribe(&allowed, "i", "http://127.0.0.1:9/", &["key.created"]).await;
    let tested = allowed.api(&format!("POST {HOOKS}/h/test"), &Value::Null).await.json();
    assert_eq!((&tested["ok"], &tested["response_status"]), (&json!(true), &json!(204)));
    assert_eq!(types(&[allowed.provider("inside").request().json()]), ["webhook.test"]);
    allowed.none().await;
}

#[tokio::test(start_paused = true)]
async fn what_waits_survives_a_restart_and_is_told_once() {
    let gateway = listening(builder(vec![Script::answer(503, "", "")]), &["key.created", "request.completed"]).await;
    make_key(&gateway, "k").await;
    gateway.tell().await;
    gateway.chat(REQUEST).await;
    gateway.assembly.quiet().await;
    // The process dies before anybody has heard of the request, and before the journal is drained.
    let after = Duration::from_secs(60);
    let next = builder(vec![taken()]).assemble_after(&gateway.assembly, after);
    next.tell().await;
    let events = told(&next);
    let about = |event: &&Value| event["data"]["key"]["name"] != "after";
    let events: Vec<Value> = events.iter().filter(about).cloned().collect();
    let mut found = types(&events);
    found.sort_unstable();
    assert_eq!(found, ["key.created", "request.completed"]);
    let before = &gateway.provider("hook").requests()[0].body;
    assert!(next.provider("hook").requests().iter().any(|one| one.body == *before), "under the same id");
    next.tell().await;
    assert_eq!(told(&next).len(), 3);
    next.unchecked();
    gateway.records(1).await;
}

#[tokio::test(start_paused = true)]
async fn what_waits_for_nobody_is_given_up_and_what_is_switched_off_waits() {
    let gateway = listening(builder(vec![Script::answer(500, "", ""), taken()]), &["key.created"]).await;
    make_key(&gateway, "k").await;
    gateway.tell().await;
    gateway.api(&format!("PATCH {HOOKS}/h"), &json!({ "spec": { "enabled": false } })).await;
    make_key(&gateway, "unheard").await;
    gateway.assembly.hands.advance(Duration::from_secs(10));
    gateway.tell().await;
    assert_eq!(told(&gateway).len(), 1);
    gateway.api(&format!("PATCH {HOOKS}/h"), &json!({ "spec": { "enabled": true } })).await;
    gateway.tell().await;
    assert_eq!(told(&gateway).len(), 2, "what waited goes on, what happened meanwhile is not told");
    gateway.api(&format!("DELETE {HOOKS}/h"), &Value::Null).await;
    let gone = gateway.api(&format!("GET {HOOKS}/h/deliveries"), &Value::Null).await;
    assert_eq!(gone.status, 404);
    gateway.none().await;
}

#[tokio::test(start_paused = true)]
async fn an_expired_key_is_told_once() {
    let gateway = listening(builder(vec![taken()]), &["key.expired"]).await;
    let expires = gateway.assembly.core.clock.unix_ms() / 1_000 + 100;
    let spec = json!({ "expires_at": expires });
    gateway.api("POST /admin/v1/environments/default/keys", &json!({ "name": "short", "spec": spec })).await;
    gateway.tell().await;
    for _ in 0..3 {
        gateway.assembly.hands.advance(Duration::from_secs(60));
        gateway.tell().await;
    }
    let events = told(&gateway);
    assert_eq!((types(&events), &events[0]["data"]["key"]["name"]), (vec!["key.expired"], &json!("short")));
    assert_eq!(events[0]["created"], expires);
    gateway.none().await;
}

#[tokio::test(start_paused = true)]
async fn a_provider_that_goes_down_and_comes_up_is_told() {
    let mut scripts = vec![Script::error(503, "away"); 12];
    scripts.push(Script::chat("Hello"));
    let builder = Gateway::builder().provider_with("p", "", scripts).host("hook", vec![taken()]);
    let gateway = listening(builder, &["provider.*"]).await;
    let mut asked = 0;
    for _ in 0..80 {
        gateway.chat(REQUEST).await;
        asked += 1;
        gateway.assembly.hands.advance(Duration::from_secs(2));
        gateway.tell().await;
    }
    let events = told(&gateway);
    assert_eq!(types(&events), ["provider.down", "provider.up"]);
    assert_eq!(
        (&events[0]["data"]["provider"], &events[0]["data"]["reason"]),
        (&json!("p"), &json!("unreachable or failing"))
    );
    gateway.records(asked).await;
}
