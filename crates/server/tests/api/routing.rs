//! The live state at work: who fails is left alone and tried again, who asks to be left alone is, the providers of one
//! model share its load, and policies choose among models.

use std::sync::Arc;
use std::time::Duration;

use engine::state::{Change, Configuration};
use policy::secret::Secret;
use policy::snapshot::{Credential, Snapshot};
use policy::spec::key::KeySpec;
use serde_json::{Value, json};
use testkit::gateway::{Gateway, KEY, REQUEST, STREAM};
use testkit::script::Script;

fn asked(gateway: &Gateway, provider: &str) -> usize {
    gateway.provider(provider).requests().len()
}

/// A model of a provider, with its price per million tokens and its quality.
pub(crate) fn model(slug: &str, provider: &str, price: &str, quality: u32, more: &str) -> String {
    format!(
        "[[models]]\nslug = \"{slug}\"\nprovider = \"{provider}\"\ninput_price = {price}\noutput_price = {price}\n\
         quality = {quality}\n{more}\n"
    )
}

fn ask(model: &str) -> String {
    REQUEST.replace("\"m\"", &format!("\"{model}\""))
}

/// The model of p, which q steps in for when anything fails.
const FALLBACK: &str = "[[models]]\nslug = \"other\"\nprovider = \"q\"\n\
                        [[fallbacks]]\nmodel = \"m\"\nfallbacks = [\"other\"]\n";

/// Two providers: p serves `m` alone, q steps in with another model.
fn with_fallback(scripts: Vec<Script>) -> Gateway {
    let builder = Gateway::builder().provider_with("p", "", scripts).provider("q", Script::chat("Hello"));
    builder.config(FALLBACK).start()
}

fn pinned() -> String {
    ask("p/m")
}

#[tokio::test(start_paused = true)]
async fn a_provider_that_fails_twice_is_left_alone_and_tried_again() {
    let gateway = with_fallback(vec![Script::error(500, "no"), Script::error(500, "no"), Script::chat("Hello")]);
    for expect in [1, 2, 2, 2] {
        let reply = gateway.chat(&pinned()).await;
        assert_eq!((reply.status, reply.header("x-crossway-provider")), (200, Some("q")));
        assert_eq!(asked(&gateway, "p"), expect);
    }
    gateway.assembly.hands.advance(Duration::from_secs(15));
    assert_eq!(gateway.chat(&pinned()).await.header("x-crossway-provider"), Some("p"), "no bench is longer");
    let records = gateway.records(5).await;
    let mut attempts: Vec<usize> = records.iter().map(|record| record.attempts.len()).collect();
    attempts.sort_unstable();
    assert_eq!(attempts, [1, 1, 1, 2, 2], "who is not asked is no attempt");
}

#[tokio::test(start_paused = true)]
async fn the_last_resort_is_always_asked() {
    let gateway = Gateway::builder().provider("p", Script::error(400, "no")).start();
    for turn in 1..=4 {
        gateway.chat(REQUEST).await;
        assert_eq!(asked(&gateway, "p"), turn);
    }
    gateway.records(4).await;
    let gateway = Gateway::builder().provider("p", Script::error(401, "no")).start();
    for turn in 1..=4 {
        assert_eq!(gateway.chat(REQUEST).await.code(), "upstream_auth_error");
        assert_eq!(asked(&gateway, "p"), turn);
    }
    gateway.records(4).await;
}

#[tokio::test(start_paused = true)]
async fn who_asks_to_be_left_alone_is() {
    let limited = Script::answer(429, "content-type: application/json\r\nretry-after: 40\r\n", "{}");
    let gateway = with_fallback(vec![limited, Script::chat("Hello")]);
    for _ in 0..3 {
        assert_eq!(gateway.chat(&pinned()).await.header("x-crossway-provider"), Some("q"));
        gateway.assembly.hands.advance(Duration::from_secs(10));
    }
    assert_eq!(asked(&gateway, "p"), 1);
    gateway.assembly.hands.advance(Duration::from_secs(11));
    assert_eq!(gateway.chat(&pinned()).await.header("x-crossway-provider"), Some("p"));
    gateway.records(4).await;
}

#[tokio::test(start_paused = true)]
async fn what_does_not_lead_on_does_not_do_so_later() {
    let builder = Gateway::builder().provider("p", Script::error(500, "no")).provider("q", Script::chat("Hello"));
    let gateway = builder.config(&FALLBACK.replace("[\"other\"]\n", "[\"other\"]\non = [\"429\"]\n")).start();
    for _ in 0..4 {
        assert_eq!(gateway.chat(&pinned()).await.status, 502, "only 429 leads on");
    }
    assert_eq!(asked(&gateway, "q"), 0);
    gateway.records(4).await;
}

#[tokio::test(start_paused = true)]
async fn headers_that_say_nothing_is_left_are_heeded() {
    let fields = "content-type: application/json\r\nx-ratelimit-remaining-requests: 0\r\n\
                  x-ratelimit-reset-requests: 30s\r\n";
    let gateway = with_fallback(vec![Script::answer(200, fields, &testkit::data::completion("Hello"))]);
    let by = async || gateway.chat(&pinned()).await.header("x-crossway-provider").map(str::to_owned);
    assert_eq!((by().await.as_deref(), by().await.as_deref()), (Some("p"), Some("q")));
    gateway.assembly.hands.advance(Duration::from_secs(31));
    assert_eq!(by().await.as_deref(), Some("p"));
    gateway.records(3).await;
}

#[tokio::test(start_paused = true)]
async fn a_caller_who_does_not_wait_harms_nobody() {
    let gateway = with_fallback(vec![Script::new().stall()]);
    for turn in 1..=4 {
        let reply = gateway.chat_with("x-crossway-timeout-ms: 20\r\n", &pinned()).await;
        assert_eq!((reply.status, asked(&gateway, "p")), (504, turn));
    }
    gateway.records(4).await;
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_breaks_off_is_a_failure() {
    let broken = Script::stream().chunk(testkit::data::role()).chunk(testkit::data::delta("Hel")).close();
    let gateway = with_fallback(vec![broken, Script::error(500, "no"), Script::chat("Hello")]);
    assert!(gateway.chat(&STREAM.replace("\"m\"", "\"p/m\"")).await.text().contains("upstream_stream_aborted"));
    // The second failure in a row: it is left alone.
    for _ in 0..2 {
        assert_eq!(gateway.chat(&pinned()).await.header("x-crossway-provider"), Some("q"));
        assert_eq!(asked(&gateway, "p"), 2);
    }
    gateway.records(3).await;
}

/// Puts a configuration of the default environment into effect.
fn publish(gateway: &Gateway, snapshot: Snapshot) {
    let configuration = Configuration::new(snapshot, "test");
    gateway.assembly.core.update(vec![Change::Environment(Arc::new(configuration))]);
}

#[tokio::test(start_paused = true)]
async fn a_credential_that_is_refused_is_left_alone_and_the_others_go_on() {
    let gateway =
        Gateway::builder().provider_with("p", "", vec![Script::error(401, "no"), Script::chat("Hello")]).start();
    let mut snapshot = gateway.assembly.core.state().environment("default").unwrap().snapshot.clone();
    let credential = |value: &str| Credential { value: Secret::new(value), weight: 1 };
    snapshot.providers[0].credentials = vec![credential("one"), credential("two")];
    publish(&gateway, snapshot);
    for _ in 0..3 {
        assert_eq!(gateway.chat(REQUEST).await.status, 200, "the other one is tried at once");
    }
    gateway.assembly.hands.advance(Duration::from_secs(31));
    for _ in 0..2 {
        assert_eq!(gateway.chat(REQUEST).await.status, 200);
    }
    let used: Vec<String> =
        gateway.provider("p").requests().iter().map(|one| one.header("authorization").unwrap().to_owned()).collect();
    let [first, rest @ ..] = used.as_slice() else { panic!("nothing was asked") };
    assert_eq!(first, "Bearer one");
    assert_eq!(rest[..3], ["Bearer two", "Bearer two", "Bearer two"]);
    assert!(rest[3..].contains(&"Bearer one".to_owned()), "it is tried again: {used:?}");
    gateway.records(5).await;
}

#[tokio::test(start_paused = true)]
async fn a_new_credential_is_used_at_once() {
    let gateway = with_fallback(vec![Script::error(401, "no"), Script::chat("Hello")]);
    for _ in 0..2 {
        assert_eq!(gateway.chat(&pinned()).await.header("x-crossway-provider"), Some("q"));
    }
    assert_eq!(asked(&gateway, "p"), 1, "its credential was refused");
    let configuration = gateway.assembly.core.state().environment("default").unwrap().snapshot.clone();
    // A change of something else keeps what is known.
    publish(&gateway, configuration.clone());
    assert_eq!(gateway.chat(&pinned()).await.header("x-crossway-provider"), Some("q"));
    let mut changed = configuration;
    changed.providers[0].credentials[0].value = Secret::new("another");
    publish(&gateway, changed);
    assert_eq!(gateway.chat(&pinned()).await.header("x-crossway-provider"), Some("p"));
    gateway.records(4).await;
}

#[tokio::test(start_paused = true)]
async fn policies_choose_and_go_on_to_the_next_best() {
    let config = [
        model("cheap", "p", "0.1", 30, ""),
        model("fair", "q", "1", 60, ""),
        model("grand", "q", "20", 95, "capabilities = [\"vision\", \"tools\"]"),
    ];
    let builder = Gateway::builder().provider("p", Script::error(500, "no")).provider("q", Script::chat("Hello"));
    let gateway = builder.config(&config.concat()).start();
    let best = gateway.chat(&ask("best")).await;
    assert_eq!(best.header("x-crossway-model"), Some("grand"));
    assert_eq!(best.json().pointer("/crossway/policy"), Some(&json!("best")));
    let cheapest = gateway.chat(&ask("cheapest")).await;
    assert_eq!((cheapest.status, cheapest.header("x-crossway-model")), (200, Some("fair")));
    assert_eq!(cheapest.json().pointer("/crossway/attempts"), Some(&json!(2)));
    let vision = ask("cheapest").replace(
        "\"hi\"",
        r#"[{"type":"text","text":"what is it?"},{"type":"image_url","image_url":{"url":"https://x.test/y.png"}}]"#,
    );
    // What p is able to do nobody said; it is asked, and fails.
    let seen = gateway.chat(&vision).await;
    assert_eq!((seen.status, seen.header("x-crossway-model")), (200, Some("fair")), "{}", seen.text());
    let records = gateway.records(3).await;
    let reasons: Vec<&str> = records.iter().flat_map(|record| &record.attempts).map(|one| &*one.reason).collect();
    assert!(reasons.contains(&"policy best") && reasons.contains(&"policy cheapest, next best"), "{reasons:?}");
}

#[tokio::test(start_paused = true)]
async fn a_model_that_is_said_to_be_able_to_do_nothing_is_left_out() {
    let config = [
        model("cheap", "p", "0.1", 30, "capabilities = []"),
        model("fair", "p", "1", 60, "capabilities = [\"tools\"]"),
    ];
    let gateway = Gateway::builder().provider("p", Script::chat("Hello")).config(&config.concat()).start();
    let tools = r#""tools":[{"type":"function","function":{"name":"f","parameters":{}}}],"messages""#;
    let reply = gateway.chat(&ask("cheapest").replace(r#""messages""#, tools)).await;
    assert_eq!((reply.status, reply.header("x-crossway-model")), (200, Some("fair")), "{}", reply.text());
    assert_eq!(gateway.chat(&ask("cheapest")).await.header("x-crossway-model"), Some("cheap"));
    gateway.records(2).await;
}

#[tokio::test(start_paused = true)]
async fn what_is_said_of_a_request_has_to_be_an_object() {
    let gateway = Gateway::builder().provider("p", Script::chat("Hello")).start();
    for (metadata, status) in [
        (r#"{"team":"search","n":1}"#, 200),
        ("{}", 200),
        ("[]", 400),
        ("{team:search}", 400),
        ("null", 400),
        ("", 400),
        (r#"{"a":1}{"#, 400),
        ("\"{}\"", 400),
        (r#"{"a":"\u00fc"}"#, 200),
        ("{\"a\":\"\u{fc}\"}", 400),
    ] {
        let reply = gateway.chat_with(&format!("x-crossway-metadata: {metadata}\r\n"), REQUEST).await;
        assert_eq!(reply.status, status, "{metadata}: {}", reply.text());
        if status == 400 {
            assert_eq!(reply.json()["error"]["param"], "x-crossway-metadata", "{metadata}");
        }
    }
    gateway.records(3).await;
}

/// R9: what is explained is what happens, also where money is limited.
#[tokio::test(start_paused = true)]
async fn a_model_without_a_price_is_left_out_of_the_explanation_too() {
    let free = "[[models]]\nslug = \"unpriced\"\nprovider = \"p\"\nquality = 99\n\
                [[limits]]\nmeter = \"usd\"\nwindow = \"day\"\namount = 5\nscope = \"key\"\n";
    let config = [model("priced", "p", "1", 60, ""), free.to_owned()].concat();
    let gateway = Gateway::builder().provider("p", Script::chat("Hello")).config(&config).start();
    let told = explained(&gateway, &ask("unpriced"), json!({})).await;
    assert_eq!(
        (&told["error"]["status"], &told["error"]["code"]),
        (&json!(403), &json!("model_not_allowed")),
        "{told}"
    );
    let refused = gateway.chat(&ask("unpriced")).await;
    assert_eq!((refused.status, told["error"]["message"].as_str()), (403, Some(refused.message().as_str())));
    let told = explained(&gateway, &ask("best"), json!({})).await;
    assert_eq!(told["attempts"][0]["model"], "priced", "{told}");
    let of_price = json!("its price is unknown, and money is limited");
    assert!(told["excluded"].as_array().unwrap().iter().any(|one| one["reason"] == of_price), "{told}");
    assert_eq!(gateway.chat(&ask("best")).await.header("x-crossway-model"), Some("priced"));
    gateway.records(2).await;
}

#[tokio::test(start_paused = true)]
async fn where_nothing_can_serve_it_the_reasons_are_told() {
    let able = |slug| model(slug, "p", "1", 50, "capabilities = [\"tools\"]\ncontext_window = 1000");
    let builder = Gateway::builder().provider("p", Script::chat("Hello"));
    let gateway = builder.config(&[able("one"), able("two")].concat()).start();
    let key = gateway.assembly.create_key("narrow", KeySpec { models: vec!["one".into()], ..KeySpec::default() });
    let fields = format!("authorization: Bearer {key}\r\n");
    let long: Value = json!({"model": "auto", "messages": [{"role": "user", "content": "word ".repeat(4_000)}]});
    let reply = gateway.ask("POST /v1/chat/completions", &fields, &long.to_string()).await;
    assert_eq!((reply.status, reply.code().as_str()), (503, "upstream_unavailable"));
    assert!(reply.message().contains("`one`: the prompt does not fit into 1000 tokens"), "{}", reply.message());
    assert!(!reply.message().contains("two"), "what the key may not use is none of its business: {}", reply.message());
    assert_eq!(asked(&gateway, "p"), 0);
    gateway.one().await;
}

#[tokio::test(start_paused = true)]
async fn the_providers_of_a_model_share_its_load() {
    let hold = || Script::new().stall();
    let builder = Gateway::builder().provider_with("p", "", vec![hold()]).provider_with("q", "", vec![hold()]);
    let gateway = builder.start();
    let mut waiting = Vec::new();
    for _ in 0..6 {
        waiting.push(gateway.begin(STREAM).await);
        while asked(&gateway, "p") + asked(&gateway, "q") < waiting.len() {
            tokio::task::yield_now().await;
        }
    }
    assert_eq!((asked(&gateway, "p"), asked(&gateway, "q")), (3, 3));
    drop(waiting);
    gateway.records(6).await;
}

/// Explains a request of the key that requests are made with.
async fn explained(gateway: &Gateway, body: &str, headers: Value) -> Value {
    let request: Value = serde_json::from_str(body).unwrap();
    let question = json!({ "key": KEY, "request": request, "headers": headers });
    let reply = gateway.api("POST /admin/v1/environments/default/route", &question).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    reply.json()
}

fn targets(list: &Value) -> Vec<String> {
    let target = |one: &Value| format!("{}@{}", one["model"].as_str().unwrap(), one["provider"].as_str().unwrap());
    list.as_array().unwrap().iter().map(target).collect()
}

/// Of equals chance decides: the same seed gives what happens, and the chances that are told are those of many seeds.
#[tokio::test(start_paused = true)]
async fn what_is_explained_for_a_request_is_what_became_of_it() {
    // p is busy, q and r are not.
    let scripts = (0..8).map(|_| Script::chat("Hello")).chain([Script::new().stall()]).collect();
    let builder = Gateway::builder().provider_with("p", "", scripts).provider("q", Script::chat("Hello"));
    let gateway = builder.provider("r", Script::chat("Hello")).start();
    for provider in ["p", "q", "r"].repeat(8) {
        assert_eq!(gateway.chat(&ask(&format!("{provider}/m"))).await.status, 200);
    }
    // What hangs is late for those alone who wait for the same.
    let stalled = gateway.begin(&STREAM.replace("\"m\"", "\"p/m\"")).await;
    gateway.provider("p").received(9).await;
    let mut seen = std::collections::BTreeSet::new();
    for _ in 0..12 {
        let reply = gateway.chat(REQUEST).await;
        let by = reply.header("x-crossway-provider").unwrap().to_owned();
        let question = json!({
            "key": KEY, "request": serde_json::from_str::<Value>(REQUEST).unwrap(), "seed": reply.header("x-request-id"),
        });
        let said = gateway.api("POST /admin/v1/environments/default/route", &question).await.json();
        assert_eq!(said["attempts"][0]["provider"], by, "{said}");
        let fields = format!("{}x-crossway-seed: {}\r\n", gateway.fields(), said["seed"].as_str().unwrap());
        let own = gateway.ask("POST /v1/route", &fields, REQUEST).await.json();
        assert_eq!((&own["attempts"], &own["seed"]), (&said["attempts"], &said["seed"]));
        for one in said["attempts"].as_array().unwrap() {
            let expect = if one["provider"] == "p" { 0.0 } else { 0.5 };
            assert_eq!(one["scores"]["chance"], expect, "{said}");
        }
        seen.insert(by);
    }
    assert_eq!(seen.len(), 2, "both had their share");
    let fresh = explained(&gateway, REQUEST, json!({})).await["seed"].clone();
    assert_ne!(fresh, explained(&gateway, REQUEST, json!({})).await["seed"], "fresh, as that of requests");
    for (seed, status) in [(json!(7), 200), (json!("7"), 200), (json!(null), 200), (json!(-1), 400), (json!("x"), 400)]
    {
        let question = json!({ "key": KEY, "request": {}, "seed": seed });
        let reply = gateway.api("POST /admin/v1/environments/default/route", &question).await;
        assert_eq!(reply.status, status, "{}", reply.text());
    }
    let fields = format!("{}x-crossway-seed: x\r\n", gateway.fields());
    assert_eq!(gateway.ask("POST /v1/route", &fields, REQUEST).await.status, 400);
    drop(stalled);
    gateway.records(37).await;
}

#[tokio::test(start_paused = true)]
async fn questions_are_bounded_as_requests_are() {
    let builder = Gateway::builder().provider("p", Script::chat("Hello"));
    let gateway = builder.config(&crate::limits::limit("requests", "1m", "3", "")).start();
    let ask = async || gateway.ask("POST /v1/route", &gateway.fields(), REQUEST).await;
    assert_eq!((ask().await.status, ask().await.status), (200, 200));
    assert_eq!(gateway.chat(REQUEST).await.status, 200);
    let refused = ask().await;
    assert_eq!((refused.status, refused.code()), (429, "rate_limited".to_owned()), "{}", refused.text());
    assert!(refused.header("retry-after").is_some());
    assert_eq!(gateway.chat(REQUEST).await.status, 429, "they count together");
    gateway.assembly.hands.advance(Duration::from_secs(61));
    assert_eq!(ask().await.status, 200);
    assert_eq!(gateway.held(), (0, 0, 0), "nothing stays held");
    gateway.records(2).await;
}

#[tokio::test(start_paused = true)]
async fn what_is_explained_is_what_happens() {
    let config = [
        model("cheap", "p", "0.1", 30, ""),
        model("fair", "q", "1", 60, ""),
        model("grand", "q", "20", 95, ""),
        "[[fallbacks]]\nmodel = \"cheap\"\nfallbacks = [\"fair\"]\n".to_owned(),
    ];
    let scripts = || vec![Script::error(500, "no")];
    let builder = Gateway::builder().provider_with("p", "", scripts()).provider_with("q", "", scripts());
    let gateway = builder.config(&config.concat()).start();
    let mut count = 0;
    for (body, fields) in [
        (ask("m"), ""),
        (ask("cheap"), ""),
        (ask("cheapest"), ""),
        (ask("best"), ""),
        (ask("auto"), ""),
        (ask("fastest"), ""),
        (ask("m"), "x-llm-provider: q\r\n"),
        (ask("nothing"), ""),
    ] {
        let provider = fields.strip_prefix("x-llm-provider: ").map(str::trim_end);
        let headers = provider.map_or(json!({}), |name| json!({ "X-LLM-Provider": name }));
        let said = explained(&gateway, &body, headers).await;
        let passed = |one: &&Value| one["passed_over"].is_null();
        let expect: Vec<Value> = said["attempts"].as_array().unwrap().iter().filter(passed).cloned().collect();
        let reply = gateway.chat_with(fields, &body).await;
        count += 1;
        let records = gateway.assembly.records(count);
        let record =
            records.iter().find(|record| reply.header("x-request-id") == Some(&record.id.to_string())).unwrap();
        let mut asked: Vec<(String, String)> = Vec::new();
        for attempt in &record.attempts {
            let target = (format!("{}@{}", attempt.model, attempt.provider), attempt.reason.clone());
            // The last target is asked again.
            if asked.last() != Some(&target) {
                asked.push(target);
            }
        }
        let reasons = expect.iter().map(|one| one["reason"].as_str().unwrap().to_owned());
        let told: Vec<(String, String)> = targets(&Value::from(expect.clone())).into_iter().zip(reasons).collect();
        assert_eq!(told, asked, "{body} {fields}");
        if told.is_empty() {
            assert_eq!(said["error"]["code"], reply.code(), "{body}");
        }
        gateway.assembly.hands.advance(Duration::from_secs(60));
    }
    gateway.records(count).await;
}

#[tokio::test(start_paused = true)]
async fn an_explanation_shows_every_term() {
    let config = [
        model("cheap", "p", "0.1", 30, ""),
        model("grand", "q", "20", 95, ""),
        model("off", "q", "1", 1, "enabled = false"),
    ];
    let builder = Gateway::builder().provider("p", Script::chat("Hello")).provider("q", Script::chat("Hello"));
    let gateway = builder.config(&config.concat()).start();
    let said = explained(&gateway, &ask("best"), json!({})).await;
    assert_eq!(targets(&said["attempts"]), ["grand@q", "cheap@p"]);
    assert_eq!(said["attempts"][0]["scores"]["quality"], json!(0.95));
    assert_eq!(said["attempts"][0]["scores"]["state"], "ready");
    assert_eq!(said["policy"], "best");
    let excluded = said["excluded"].as_array().unwrap();
    assert!(excluded.iter().any(|one| one["model"] == "off" && one["reason"] == "disabled"), "{said}");
    assert!(excluded.iter().any(|one| one["model"] == "m" && one["reason"] == "its quality is unknown"), "{said}");
    let dollars = |name: &str| said[name].as_str().unwrap().parse::<f64>().unwrap();
    assert!(dollars("estimated_cost") > 0.006 && dollars("baseline_cost") >= dollars("estimated_cost"), "{said}");
    gateway.none().await;
}

#[tokio::test(start_paused = true)]
async fn a_question_that_makes_no_sense_is_refused() {
    let gateway = Gateway::builder().provider("p", Script::chat("Hello")).start();
    let ask = async |body: Value| {
        let reply = gateway.api("POST /admin/v1/environments/default/route", &body).await;
        (reply.status, reply.json()["error"]["field"].as_str().unwrap_or_default().to_owned())
    };
    let request = json!({ "model": "m", "messages": [] });
    assert_eq!(ask(json!({ "key": "nobody", "request": request })).await.0, 404);
    assert_eq!(ask(json!({ "request": request })).await, (400, "key".to_owned()));
    assert_eq!(ask(json!({ "key": KEY })).await, (400, "request".to_owned()));
    assert_eq!(ask(json!({ "key": KEY, "request": request, "surface": "x" })).await, (400, "surface".to_owned()));
    let headers = json!({ "x-llm-provider": 7 });
    assert_eq!(ask(json!({ "key": KEY, "request": request, "headers": headers })).await, (400, "headers".to_owned()));
    gateway.none().await;
}
