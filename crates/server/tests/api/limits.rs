//! Limits on requests and on those in flight: exact under concurrency, for everybody they name, said on every response.

use std::sync::Arc;
use std::time::Duration;

use policy::spec::key::KeySpec;
use policy::spec::limit::LimitSpec;
use policy::spec::literal::Literal;
use serde_json::{Value, json};
use testkit::caller::Caller;
use testkit::client::{Client, Reply};
use testkit::data::{delta, role};
use testkit::gateway::{Gateway, REQUEST, STREAM};
use testkit::script::Script;
use tokio::sync::Notify;

/// Where the resources of the environment `default` are.
pub const DEFAULT: &str = "/admin/v1/environments/default";

/// A provider `other` that alone serves the model `other`, of which nobody knows the price; nobody is there.
pub const OTHER: &str = "[providers.other]\nkind = \"openai-compatible\"\nbase_url = \"http://other.test/v1\"\n\
     [[models]]\nslug = \"other\"\nprovider = \"other\"\n";

/// Returns the lines of a limit in a configuration file.
pub fn limit(meter: &str, window: &str, amount: &str, more: &str) -> String {
    let window = if window.is_empty() { String::new() } else { format!("window = \"{window}\"\n") };
    format!("[[limits]]\nmeter = \"{meter}\"\n{window}amount = {amount}\n{more}\n")
}

/// Returns a limit of a key's own.
pub fn own(meter: &str, window: &str, amount: &str) -> LimitSpec {
    let text = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    LimitSpec {
        meter: text(meter),
        window: text(window),
        amount: Some(Literal(amount.to_owned())),
        ..LimitSpec::default()
    }
}

/// Returns status and code.
pub fn verdict(reply: &Reply) -> (u16, &str) {
    (reply.status, reply.header("x-crossway-error-code").unwrap_or_default())
}

/// Returns a header's number.
pub fn number(reply: &Reply, name: &str) -> u64 {
    reply.header(name).unwrap_or_else(|| panic!("{name}: {:?}", reply.headers)).parse().unwrap()
}

fn gateway(config: &str) -> Gateway {
    Gateway::builder().provider("p", Script::chat("Hello")).config(config).start()
}

/// Sends requests that are all in flight before the first is answered.
pub async fn burst(gateway: &Gateway, count: usize, body: &str) -> Vec<Client> {
    let mut clients = Vec::with_capacity(count);
    for number in 0..count {
        clients.push(gateway.begin(body).await);
        if number % 16 == 0 {
            gateway.assembly.journal.tick();
        }
    }
    clients
}

/// Returns the replies of a burst.
pub async fn replies(clients: Vec<Client>) -> Vec<Reply> {
    let mut replies = Vec::with_capacity(clients.len());
    for mut client in clients {
        replies.push(client.reply().await);
    }
    replies
}

/// RATE-01.
#[tokio::test(start_paused = true)]
async fn sixty_of_five_hundred_are_let_in() {
    let gateway = gateway(&limit("requests", "60s", "60", "scope = \"key\""));
    let replies = replies(burst(&gateway, 500, REQUEST).await).await;
    let (admitted, refused): (Vec<&Reply>, Vec<&Reply>) = replies.iter().partition(|reply| reply.status == 200);
    assert_eq!((admitted.len(), refused.len()), (60, 440));
    assert_eq!(gateway.provider("p").requests().len(), 60, "never one more");
    let mut left: Vec<u64> = admitted.iter().map(|reply| number(reply, "x-ratelimit-remaining")).collect();
    assert!(left.is_sorted_by(|one, next| one >= next), "monotone: {left:?}");
    left.sort_unstable();
    assert!(left.first() == Some(&0) && left.last() <= Some(&59));
    for reply in &refused {
        assert_eq!(verdict(reply), (429, "rate_limited"));
        assert_eq!((number(reply, "x-ratelimit-remaining"), reply.header("x-should-retry")), (0, None));
    }
    // To come back a second and a half too early does not help; at the time that was said it does.
    let wait = number(refused.last().unwrap(), "retry-after");
    assert!((59..=61).contains(&wait), "{wait}");
    gateway.assembly.hands.advance(Duration::from_millis(wait * 1_000 - 2_000));
    assert_eq!(verdict(&gateway.chat(REQUEST).await), (429, "rate_limited"));
    gateway.assembly.hands.advance(Duration::from_secs(2));
    assert_eq!(gateway.chat(REQUEST).await.status, 200);
    gateway.records(502).await;
}

/// At every instant, over exactly the window's length, as the provider sees it.
#[tokio::test(start_paused = true)]
async fn no_window_holds_one_more() {
    let gateway = gateway(&limit("requests", "10s", "7", ""));
    let mut admitted: Vec<u64> = Vec::new();
    let mut at = 0;
    for step in 0..180u64 {
        let pause = (step * 7_919) % 900;
        at += pause + 1;
        gateway.assembly.hands.advance(Duration::from_millis(pause));
        gateway.assembly.journal.tick();
        if gateway.chat(REQUEST).await.status == 200 {
            admitted.push(at);
        }
        let within = admitted.iter().filter(|then| **then + 10_000 > at).count();
        assert!(within <= 7, "{within} at {at}");
    }
    assert!(admitted.len() as u64 >= 7 * (at / 10_160), "what fits is let in: {} in {at} ms", admitted.len());
    assert_eq!(gateway.provider("p").requests().len(), admitted.len());
    gateway.records(180).await;
}

/// RATE-04.
#[tokio::test(start_paused = true)]
async fn places_are_given_back_however_a_request_ends() {
    let stall = || Script::stream().chunk(role()).chunk(delta("a")).stall();
    let scripts = vec![stall(), Script::new().stall(), Script::Panic, Script::error(400, "no"), Script::chat("Hello")];
    let config = limit("concurrency", "", "1", "");
    let gateway = Gateway::builder().provider_with("p", "", scripts).config(&config).start();
    let full = async |gateway: &Gateway| {
        let reply = gateway.chat(REQUEST).await;
        assert_eq!((verdict(&reply), reply.header("retry-after")), ((429, "concurrency_limited"), Some("1")));
        assert_eq!(reply.header("x-ratelimit-limit"), None, "no limit on requests binds");
    };
    // A caller that leaves a stream.
    let mut stream = gateway.begin(STREAM).await;
    stream.head().await;
    full(&gateway).await;
    drop(stream);
    gateway.provider("p").cancelled().await;
    // A caller that leaves a whole answer, which is finished without it: its place is free at once.
    let client = gateway.begin(REQUEST).await;
    gateway.provider("p").received(2).await;
    full(&gateway).await;
    drop(client);
    tokio::task::yield_now().await;
    tokio::time::sleep(Duration::from_millis(1)).await;
    // A panic, a refusal of the provider's, an answer.
    assert_eq!(gateway.chat(REQUEST).await.status, 500);
    assert_eq!(gateway.chat(REQUEST).await.status, 400);
    assert_eq!(gateway.chat(REQUEST).await.status, 200);
    assert_eq!(gateway.chat(REQUEST).await.status, 200);
    gateway.records(8).await;
}

#[tokio::test(start_paused = true)]
async fn five_at_once_and_no_more() {
    let go = Arc::new(Notify::new());
    let body = testkit::data::completion("Hello");
    let script = Script::new().until(&go).send(format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    ));
    let config = limit("concurrency", "", "5", "scope = \"key\"");
    let gateway = Gateway::builder().provider("p", script).config(&config).start();
    let clients = burst(&gateway, 40, REQUEST).await;
    gateway.provider("p").received(5).await;
    tokio::time::sleep(Duration::from_millis(10)).await;
    assert_eq!(gateway.provider("p").requests().len(), 5);
    go.notify_waiters();
    let replies = replies(clients).await;
    assert_eq!(replies.iter().filter(|reply| reply.status == 200).count(), 5);
    assert_eq!(replies.iter().filter(|reply| verdict(reply) == (429, "concurrency_limited")).count(), 35);
    gateway.records(40).await;
}

/// Each of these lets a second request of the same kind in no more, and one of another kind.
#[tokio::test(start_paused = true)]
async fn every_scope_binds_whom_it_names() {
    let ann = r#"{"model":"m","user":"ann","messages":[]}"#;
    let bob = r#"{"model":"m","user":"bob","messages":[]}"#;
    // The scope; who asks first (key, body, peer); who else it binds; whom it does not.
    let (here, there) = ("127.0.0.1:1", "10.9.8.7:1");
    type Who<'a> = (&'a str, &'a str, &'a str);
    let cases: [(&str, Who<'_>, Who<'_>, Option<Who<'_>>); 8] = [
        ("environment", ("a", ann, here), ("c", bob, there), None),
        ("team", ("a", ann, here), ("b", bob, there), Some(("c", ann, here))),
        ("team:t", ("a", ann, here), ("b", bob, there), Some(("c", ann, here))),
        ("key", ("a", ann, here), ("a", bob, there), Some(("b", ann, here))),
        ("key:a", ("a", ann, here), ("a", bob, there), Some(("b", ann, here))),
        ("user", ("a", ann, here), ("c", ann, there), Some(("a", bob, here))),
        ("ip", ("a", ann, here), ("c", bob, here), Some(("a", ann, there))),
        ("ip:10.9.8.7", ("a", ann, there), ("c", bob, there), Some(("a", ann, here))),
    ];
    for (scope, first, bound, free) in cases {
        let gateway = gateway(&limit("requests", "60s", "1", &format!("scope = \"{scope}\"")));
        let key = |name: &str, team: Option<&str>| {
            let spec = KeySpec { team: team.map(str::to_owned), ..KeySpec::default() };
            (name.to_owned(), gateway.assembly.create_key(name, spec))
        };
        let keys = [key("a", Some("t")), key("b", Some("t")), key("c", Some("u"))];
        let ask = async |(name, body, peer): Who<'_>| {
            let secret = &keys.iter().find(|(other, _)| other == name).unwrap().1;
            let mut client = gateway.client_from(peer, 16 << 10);
            let fields = format!("authorization: Bearer {secret}\r\n");
            client.request("POST /v1/chat/completions", &fields, body.as_bytes()).await;
            client.reply().await.status
        };
        assert_eq!((ask(first).await, ask(bound).await), (200, 429), "{scope}");
        let mut records = 2;
        if let Some(free) = free {
            assert_eq!(ask(free).await, 200, "{scope}");
            records += 1;
        }
        gateway.records(records).await;
    }
}

#[tokio::test(start_paused = true)]
async fn an_anthropic_user_is_a_user_and_a_request_without_one_is_not_bound() {
    let gateway = gateway(&limit("requests", "60s", "1", "scope = \"user\""));
    let named = json!({ "model": "m", "max_tokens": 5, "metadata": { "user_id": "ann" }, "messages": [{ "role": "user", "content": "hi" }] });
    assert_eq!(gateway.messages(&named.to_string()).await.status, 200);
    let told = Caller::Anthropic.told(&gateway.messages(&named.to_string()).await);
    assert_eq!(told.verdict(), (429, "rate_limited"));
    assert_eq!(gateway.chat(r#"{"model":"m","user":"ann","messages":[]}"#).await.status, 429, "the same user");
    for _ in 0..3 {
        assert_eq!(gateway.chat(REQUEST).await.status, 200);
    }
    gateway.records(6).await;
}

/// Whoever names a bucket shares it, whichever key they use: a rate and places in flight under one name.
#[tokio::test(start_paused = true)]
async fn buckets_are_shared_by_those_who_name_them() {
    let config = [
        limit("requests", "1s", "3", "scope = \"bucket:my_api\""),
        limit("concurrency", "", "2", "scope = \"bucket:my_api\""),
        limit("requests", "60s", "4", "scope = \"bucket\""),
    ];
    let gateway = gateway(&config.concat());
    let other = gateway.assembly.create_key("other", KeySpec::default());
    let ask = async |secret: &str, bucket: &str| {
        let field = if bucket.is_empty() { String::new() } else { format!("x-crossway-bucket: {bucket}\r\n") };
        let fields = format!("authorization: Bearer {secret}\r\n{field}");
        gateway.ask("POST /v1/chat/completions", &fields, REQUEST).await
    };
    let own = gateway.secret.clone();
    for (secret, bucket, status, left) in [
        (&own, "my_api", 200, "2"),
        (&other, "my_api", 200, "1"),
        (&own, "my_api", 200, "0"),
        (&other, "my_api", 429, "0"),
        (&own, "another", 200, "3"),
        (&own, "", 200, ""),
    ] {
        let reply = ask(secret, bucket).await;
        assert_eq!(reply.status, status, "{bucket}: {}", reply.text());
        assert_eq!(reply.header("ratelimit-remaining").unwrap_or_default(), left, "{bucket}");
    }
    assert!(ask(&own, "my_api").await.text().contains("for this bucket"));
    gateway.assembly.hands.advance(Duration::from_millis(1_100));
    assert_eq!(ask(&own, "my_api").await.status, 200, "the second is over");
    assert_eq!(ask(&own, "my_api").await.status, 429, "the minute of every bucket is not");
    for bad in ["my api", "b\u{fc}cket", &"x".repeat(129)] {
        let reply = ask(&own, bad).await;
        assert_eq!(verdict(&reply), (400, "invalid_request"), "{bad}");
        assert_eq!(reply.json()["error"]["param"], "x-crossway-bucket");
    }
    gateway.records(9).await;
}

/// L7: the limit on requests with the least share left, in three families of names, on whatever is answered.
#[tokio::test(start_paused = true)]
async fn every_response_says_how_the_caller_stands() {
    let config = [limit("requests", "60s", "10", "scope = \"key\""), limit("requests", "1h", "1000", "")];
    let scripts = vec![Script::chat("Hello"), Script::error(401, "no"), Script::chat("Hello")];
    let gateway = Gateway::builder().provider_with("p", "", scripts).config(&config.concat()).start();
    let check = |reply: &Reply, status: u16, left: u64| {
        assert_eq!(reply.status, status, "{}", reply.text());
        for (name, expect) in [
            ("x-ratelimit-limit", 10),
            ("ratelimit-limit", 10),
            ("x-ratelimit-remaining", left),
            ("ratelimit-remaining", left),
            ("x-ratelimit-remaining-requests", left),
        ] {
            assert_eq!(number(reply, name), expect, "{name} of {status}");
        }
        let (at, to_go) = (number(reply, "x-ratelimit-reset"), number(reply, "ratelimit-reset"));
        assert!(to_go <= 61 && (1_795_000_000..=1_795_000_100).contains(&at), "{at} {to_go}");
    };
    let fields = gateway.fields();
    check(&gateway.ask("GET /v1/models", &fields, "").await, 200, 10);
    check(&gateway.chat(REQUEST).await, 200, 9);
    check(&gateway.chat(REQUEST).await, 502, 8);
    check(&gateway.messages(&Caller::Anthropic.request(false).to_string()).await, 200, 7);
    let count = r#"{"model":"m","messages":[{"role":"user","content":"hi"}]}"#;
    check(&gateway.ask("POST /v1/messages/count_tokens", &Caller::Anthropic.fields(&gateway), count).await, 200, 6);
    check(&gateway.chat("{").await, 400, 6);
    check(&gateway.chat(r#"{"model":"nobody","messages":[]}"#).await, 400, 6);
    check(&gateway.ask("GET /v1/models/nobody", &fields, "").await, 404, 6);
    // A request that no target was asked for does not count.
    check(&gateway.chat(REQUEST).await, 200, 5);
    let stranger = gateway.ask("GET /v1/models", "authorization: Bearer sk-cw-wrong\r\n", "").await;
    assert_eq!((stranger.status, stranger.header("x-ratelimit-limit")), (401, None));
    gateway.records(6).await;
}

#[tokio::test(start_paused = true)]
async fn a_stream_says_it_in_its_head() {
    let script = Script::streamed(&["a", "b"]);
    let gateway = Gateway::builder().provider("p", script).config(&limit("requests", "60s", "3", "")).start();
    for (caller, left) in Caller::BOTH.into_iter().zip([2, 1]) {
        let reply = caller.ask(&gateway, "", &caller.request(true)).await;
        assert_eq!((reply.status, number(&reply, "x-ratelimit-remaining")), (200, left));
    }
    gateway.records(2).await;
}

#[tokio::test(start_paused = true)]
async fn nothing_is_said_where_nothing_binds() {
    let elsewhere = [limit("requests", "60s", "1", "scope = \"key:nobody\""), limit("usd", "day", "9", "")].concat();
    let gateway = gateway(&elsewhere);
    for _ in 0..3 {
        let reply = gateway.chat(REQUEST).await;
        assert_eq!(reply.status, 200);
        assert!(!reply.headers.iter().any(|(name, _)| name.contains("ratelimit")), "{:?}", reply.headers);
    }
    gateway.records(3).await;
}

/// L7: on every response.
#[tokio::test(start_paused = true)]
async fn whoever_has_a_key_is_told_how_it_stands_whatever_the_answer() {
    let gateway = gateway(&limit("requests", "60s", "9", "scope = \"key\""));
    let key = gateway.fields();
    let elsewhere = format!("{key}x-crossway-env: elsewhere\r\n");
    for (path, fields, body, status) in [
        ("POST /v1/chat/completions", elsewhere, REQUEST, 403),
        ("GET /v1/chat/completions", key.clone(), "", 405),
        ("GET /v1/nothing", key.clone(), "", 404),
        ("POST /v1/route", key.clone(), REQUEST, 200),
        ("POST /v1/route", key.clone(), "{", 200),
        ("POST /v1/feedback", key.clone(), "{}", 400),
        ("GET /v1/models/nothing", key.clone(), "", 404),
    ] {
        let reply = gateway.ask(path, &fields, body).await;
        assert_eq!((reply.status, reply.header("x-ratelimit-limit")), (status, Some("9")), "{path}: {}", reply.text());
    }
    for path in ["GET /v1/nothing", "GET /v1/models"] {
        let reply = gateway.ask(path, "authorization: Bearer sk-cw-nobody\r\n", "").await;
        assert_eq!(reply.header("x-ratelimit-limit"), None, "{path}");
    }
    let wrong = gateway.ask("PUT /v1/chat/completions", &key, "").await.json();
    assert_eq!(wrong["error"]["param"], Value::Null, "a method is no field");
    gateway.none().await;
}

/// MONEY-13, and the same for rates: changed while it counts.
#[tokio::test(start_paused = true)]
async fn a_change_is_in_effect_at_once_and_what_was_used_stays() {
    let gateway = gateway("");
    let draft = json!({ "name": "rpm", "spec": { "meter": "requests", "window": "60s", "amount": 3, "scope": "key" } });
    let path = format!("{DEFAULT}/limits/rpm");
    let patch = async |spec: Value| {
        let reply = gateway.api(&format!("PATCH {path}"), &json!({ "spec": spec })).await;
        assert_eq!(reply.status, 200, "{}", reply.text());
    };
    assert_eq!(gateway.chat(REQUEST).await.status, 200, "before it there is no limit");
    assert_eq!(gateway.api(&format!("POST {DEFAULT}/limits"), &draft).await.status, 201);
    for status in [200, 200, 200, 429] {
        assert_eq!(gateway.chat(REQUEST).await.status, status);
    }
    patch(json!({ "amount": 4 })).await;
    assert_eq!((gateway.chat(REQUEST).await.status, gateway.chat(REQUEST).await.status), (200, 429));
    patch(json!({ "amount": 1 })).await;
    let refused = gateway.chat(REQUEST).await;
    assert_eq!((number(&refused, "x-ratelimit-limit"), number(&refused, "x-ratelimit-remaining")), (1, 0));
    patch(json!({ "enabled": false })).await;
    assert_eq!(gateway.chat(REQUEST).await.status, 200);
    patch(json!({ "enabled": true, "amount": 4 })).await;
    assert_eq!(gateway.chat(REQUEST).await.status, 429, "what was used while it bound stays");
    // Another name for the same: the same count.
    let renamed = json!({ "name": "per-minute", "spec": draft["spec"] });
    assert_eq!(gateway.api(&format!("POST {DEFAULT}/limits"), &renamed).await.status, 201);
    assert_eq!(gateway.api(&format!("DELETE {path}"), &Value::Null).await.status, 204);
    assert_eq!(gateway.chat(REQUEST).await.status, 429);
    gateway.records(11).await;
}

#[tokio::test(start_paused = true)]
async fn a_key_has_its_own_its_plans_and_its_teams() {
    let plans = "[plans.free]\nlimits = [{ meter = \"requests\", window = \"60s\", amount = 2 }]\n\
                 [plans.pro]\nlimits = [{ meter = \"requests\", window = \"60s\", amount = 4 }]\n";
    let gateway = gateway(&[plans, &limit("requests", "1h", "5", "scope = \"team\"")].concat());
    let spec = KeySpec { plan: Some("free".into()), team: Some("t".into()), ..KeySpec::default() };
    let secret = gateway.assembly.create_key("planned", spec.clone());
    let mate = gateway.assembly.create_key("mate", KeySpec { plan: None, ..spec });
    let ask = async |secret: &str| {
        let fields = format!("authorization: Bearer {secret}\r\n");
        gateway.ask("POST /v1/chat/completions", &fields, REQUEST).await.status
    };
    assert_eq!([ask(&secret).await, ask(&secret).await, ask(&secret).await], [200, 200, 429]);
    let path = format!("PATCH {DEFAULT}/keys/planned");
    assert_eq!(gateway.api(&path, &json!({ "spec": { "plan": "pro" } })).await.status, 200);
    assert_eq!([ask(&secret).await, ask(&secret).await, ask(&secret).await], [200, 200, 429]);
    let own = json!({ "spec": { "plan": null, "limits": [{ "meter": "requests", "window": "60s", "amount": 4 }] } });
    assert_eq!(gateway.api(&path, &own).await.status, 200);
    assert_eq!(ask(&secret).await, 429, "a limit of its own finds what its plan has counted");
    assert_eq!([ask(&mate).await, ask(&mate).await], [200, 429], "the team shares five");
    // K5: a key lives on without its team, whose limit it leaves.
    assert_eq!(gateway.api(&format!("DELETE {DEFAULT}/teams/t"), &Value::Null).await.status, 204);
    assert_eq!((ask(&mate).await, ask(&secret).await), (200, 429));
    let refused = gateway.api(&path, &json!({ "spec": { "plan": "nobody's" } })).await;
    assert_eq!((refused.status, &refused.json()["error"]["field"]), (400, &json!("spec.plan")));
    let bad = json!({ "spec": { "limits": [{ "meter": "requests", "window": "60s", "amount": -1 }] } });
    let refused = gateway.api(&path, &bad).await;
    assert_eq!((refused.status, &refused.json()["error"]["field"]), (400, &json!("spec.limits[0].amount")));
    gateway.records(11).await;
}

#[tokio::test(start_paused = true)]
async fn nothing_and_everything_are_amounts() {
    for (amount, status) in [("0", 429), ("18446744073709551615", 200)] {
        for meter in ["requests", "tokens", "input_tokens", "output_tokens"] {
            let gateway = gateway(&limit(meter, "day", amount, ""));
            assert_eq!(gateway.chat(REQUEST).await.status, status, "{amount} {meter}");
            gateway.one().await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_day_ends_at_midnight_where_the_environment_is() {
    // 2026-11-18T11:06:40Z is 16:36:40 in Kolkata: 7 hours, 23 minutes and 20 seconds before midnight.
    let config = ["[environment]\ntimezone = \"Asia/Kolkata\"\n", &limit("requests", "day", "1", "")].concat();
    let gateway = gateway(&config);
    assert_eq!(gateway.chat(REQUEST).await.status, 200);
    let refused = gateway.chat(REQUEST).await;
    let wait = number(&refused, "retry-after");
    assert!((26_599..=26_600).contains(&wait), "{wait}");
    assert_eq!(number(&refused, "x-ratelimit-reset"), 1_795_000_000 + 26_600);
    gateway.assembly.hands.advance(Duration::from_secs(wait - 1));
    assert_eq!(gateway.chat(REQUEST).await.status, 429);
    gateway.assembly.hands.advance(Duration::from_secs(1));
    assert_eq!(gateway.chat(REQUEST).await.status, 200);
    gateway.records(4).await;
}

#[tokio::test(start_paused = true)]
async fn the_admin_api_says_what_binds_a_key() {
    let config = [
        limit("requests", "60s", "10", ""),
        limit("usd", "month", "2.50", "scope = \"team:t\""),
        limit("tokens", "1h", "1000", "scope = \"key\"\ntarget = \"provider:p\""),
        limit("concurrency", "", "4", "scope = \"key\""),
        limit("requests", "60s", "1", "scope = \"user\""),
        limit("requests", "1s", "9", "scope = \"bucket:shared\"\nenforce = \"node\""),
        limit("requests", "60s", "50", "scope = \"ip\""),
    ];
    let gateway = gateway(&config.concat());
    let spec = KeySpec { team: Some("t".into()), limits: vec![own("requests", "day", "4")], ..KeySpec::default() };
    let secret = gateway.assembly.create_key("mine", spec);
    let fields = format!("authorization: Bearer {secret}\r\n");
    assert_eq!(gateway.ask("POST /v1/chat/completions", &fields, REQUEST).await.status, 200);
    let named = format!("{fields}x-crossway-bucket: shared\r\n");
    let by_ann = r#"{"model":"m","user":"ann","messages":[]}"#;
    assert_eq!(gateway.ask("POST /v1/chat/completions", &named, by_ann).await.status, 200);
    let ask = async |key: &str| gateway.api(&format!("GET {DEFAULT}/limits/effective{key}"), &Value::Null).await;
    let found = ask("?key=mine").await;
    assert_eq!(found.status, 200, "{}", found.text());
    let found = found.json();
    assert_eq!(found["key"], "mine");
    assert!(found["as_of"].as_str().unwrap().starts_with("2026-11-18T11:06:40"), "{found}");
    let short = |limit: &Value| {
        let member = |name: &str| limit[name].to_string().replace('"', "");
        ["meter", "window", "scope", "target", "amount", "used", "remaining"].map(member).join(" ")
    };
    let data = found["data"].as_array().unwrap();
    let expect = [
        "requests day key all 4 2 2",
        "requests 60s environment all 10 2 8",
        "tokens 1h key provider:p 1000 26 974",
        "usd month team all 2.5 0.0001 2.4999",
        "concurrency null key all 4 0 4",
    ];
    assert_eq!(data.iter().map(short).collect::<Vec<_>>(), expect);
    let resets: Vec<_> = data.iter().map(|limit| limit["resets_at"].as_str()).collect();
    assert_eq!(
        (resets[0], resets[3], resets[4]),
        (Some("2026-11-19T00:00:00.000Z"), Some("2026-12-01T00:00:00.000Z"), None)
    );
    let more = ask("?key=mine&user=ann&ip=127.0.0.1&bucket=shared").await.json();
    let of_parties: Vec<String> = more["data"].as_array().unwrap().iter().map(short).collect();
    for expect in ["requests 60s user all 1 1 0", "requests 60s ip all 50 2 48", "requests 1s bucket all 9 1 8"] {
        assert!(of_parties.iter().any(|line| line == expect), "{expect}: {of_parties:?}");
    }
    assert_eq!(of_parties.len(), expect.len() + 3);
    assert_eq!(ask("?key=mine&user=bob").await.json()["data"][5]["used"], 0);
    assert_eq!(ask("?key=mine&ip=here").await.json()["error"]["field"], "ip");
    assert_eq!(ask("").await.json()["error"]["field"], "key");
    assert_eq!(ask("?key=nobody").await.status, 404);
    let elsewhere = gateway.api("GET /admin/v1/environments/nowhere/limits/effective?key=mine", &Value::Null).await;
    assert_eq!(elsewhere.status, 404);
    gateway.records(2).await;
}

/// What a plan does not list is refused by name, on both surfaces; a plan that lists nothing allows everything.
#[tokio::test(start_paused = true)]
async fn a_plan_says_which_features_requests_may_use() {
    let plans =
        "[plans.some]\nfeatures = [\"tools\", \"json_schema\"]\n[plans.all]\n[environment]\ndefault_plan = \"all\"\n";
    let gateway = gateway(plans);
    let spec = |plan: &str| KeySpec { plan: Some(plan.to_owned()), ..KeySpec::default() };
    let (some, all) =
        (gateway.assembly.create_key("some", spec("some")), gateway.assembly.create_key("all", spec("all")));
    let tool = json!([{ "type": "function", "function": { "name": "f", "parameters": { "type": "object" } } }]);
    let schema = json!({ "type": "json_schema", "json_schema": { "name": "s", "schema": { "type": "object" } } });
    let with = |members: Value| {
        let mut body = json!({ "model": "m", "messages": [{ "role": "user", "content": "say \"tools\"" }] });
        body.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
        body
    };
    let part = |part: Value| with(json!({ "messages": [{ "role": "user", "content": [part] }] }));
    let picture = part(json!({ "type": "image_url", "image_url": { "url": "https://x.test/y.png" } }));
    let sound = part(json!({ "type": "input_audio", "input_audio": { "data": "AAAA", "format": "wav" } }));
    let cases = [
        (with(json!({})), None),
        (with(json!({ "tools": tool })), None),
        (with(json!({ "tools": tool, "response_format": schema })), None),
        (with(json!({ "stream": true })), Some(("streaming", "stream"))),
        (picture, Some(("vision", "messages[0].content[0]"))),
        (sound, Some(("audio", "messages[0].content[0]"))),
        (with(json!({ "reasoning_effort": "low" })), Some(("reasoning", "reasoning"))),
    ];
    let mut records = 0;
    for (body, refused) in &cases {
        for secret in [&some, &all, &gateway.secret] {
            let fields = format!("authorization: Bearer {secret}\r\n");
            let reply = gateway.ask("POST /v1/chat/completions", &fields, &body.to_string()).await;
            match refused.filter(|_| *secret == some) {
                // The provider answers no stream.
                None if body["stream"] == true => assert_ne!(reply.status, 403, "{body}"),
                None => assert_eq!(reply.status, 200, "{body}: {}", reply.text()),
                Some((feature, place)) => {
                    assert_eq!(verdict(&reply), (403, "feature_disabled"), "{body}");
                    let error = reply.json()["error"].clone();
                    assert_eq!(error["param"], place);
                    let told = format!(
                        "the plan of this API key does not include `{feature}`: it includes tools, json_schema"
                    );
                    assert_eq!(error["message"], told);
                }
            }
            records += 1;
        }
    }
    let body =
        json!({ "model": "m", "max_tokens": 9, "stream": true, "messages": [{ "role": "user", "content": "hi" }] });
    let mut client = gateway.client_from("127.0.0.1:1", 16 << 10);
    let fields = format!("x-api-key: {some}\r\nanthropic-version: 2023-06-01\r\n");
    client.request("POST /v1/messages", &fields, body.to_string().as_bytes()).await;
    assert_eq!(Caller::Anthropic.told(&client.reply().await).verdict(), (403, "feature_disabled"));
    gateway.records(records + 1).await;
}

/// Keys that name no plan have the environment's, and a plan of their own instead of it.
#[tokio::test(start_paused = true)]
async fn a_key_without_a_plan_has_that_of_its_environment() {
    let plans = "[plans.free]\nlimits = [{ meter = \"requests\", window = \"60s\", amount = 1 }]\n[plans.pro]\n\
                 [environment]\ndefault_plan = \"free\"\n";
    let gateway = gateway(plans);
    let pro = gateway.assembly.create_key("pro", KeySpec { plan: Some("pro".into()), ..KeySpec::default() });
    assert_eq!((gateway.chat(REQUEST).await.status, gateway.chat(REQUEST).await.status), (200, 429));
    let fields = format!("authorization: Bearer {pro}\r\n");
    for _ in 0..3 {
        assert_eq!(gateway.ask("POST /v1/chat/completions", &fields, REQUEST).await.status, 200);
    }
    gateway.records(5).await;
}
