//! A request that goes well: what the provider sees, what the caller gets, what is written down.

use policy::spec::key::KeySpec;
use serde_json::{Value, json};
use testkit::client::now;
use testkit::data;
use testkit::dialects::{Answer, KINDS, TEXT, body};
use testkit::gateway::{Gateway, KEY, REQUEST, STREAM, credential};
use testkit::pieces;
use testkit::script::Script;

const WITH_USAGE: &str = r#"{"model":"m","messages":[{"role":"user","content":"hi"}],"stream":true,"stream_options":{"include_usage":true}}"#;

/// Cuts the member that we add out of a text, and returns both.
fn without_meta(text: &str) -> (String, Value) {
    let start = text.find(",\"crossway\":").unwrap();
    let end = start + text[start..].find('}').unwrap() + 1;
    let meta = serde_json::from_str(&text[start + ",\"crossway\":".len()..end]).unwrap();
    (format!("{}{}", &text[..start], &text[end..]), meta)
}

#[tokio::test(start_paused = true)]
async fn a_buffered_reply_is_the_providers_but_for_the_meta_block() {
    let gateway = Gateway::builder().provider("p", Script::chat("Grüße 🌍")).start();
    let reply = gateway.chat(REQUEST).await;
    let (rest, meta) = without_meta(reply.text());
    assert_eq!((reply.status, rest), (200, data::completion("Grüße 🌍")));
    let id = reply.header("x-request-id").unwrap();
    let expected = json!({
        "routed_to": "m", "provider": "p", "policy": null, "baseline": "m", "latency_ms": 0, "cost": 0.00005,
        "baseline_cost": 0.00005, "saved_pct": 0.0, "attempts": 1, "cache": "bypass", "request_id": id,
    });
    assert_eq!(meta, expected);
    let record = gateway.one().await;
    assert_eq!((record.id.to_string().as_str(), record.outcome.as_str(), record.status), (id, "succeeded", 200));
}

#[tokio::test(start_paused = true)]
async fn a_buffered_reply_is_labelled() {
    let fields =
        "content-type: application/json\r\nx-ratelimit-remaining-tokens: 7\r\nset-cookie: a=b\r\nserver: x\r\n";
    let gateway = Gateway::builder().provider("p", Script::answer(200, fields, &data::completion("Hello"))).start();
    let reply = gateway.chat(REQUEST).await;
    for (name, value) in [
        ("content-type", "application/json"),
        ("x-crossway-model", "m"),
        ("x-crossway-provider", "p"),
        ("x-crossway-attempts", "1"),
        ("x-crossway-cache", "bypass"),
        ("x-crossway-cost-usd", "0.00005"),
        ("x-ratelimit-remaining-tokens", "7"),
    ] {
        assert_eq!(reply.header(name), Some(value), "{name}");
    }
    assert!(reply.header("set-cookie").is_none() && reply.header("server").is_none());
    gateway.one().await;
}

#[tokio::test(start_paused = true)]
async fn the_record_tells_what_happened() {
    let gateway = Gateway::builder().provider("p", Script::chat("Hello")).start();
    gateway.chat(REQUEST).await;
    let record = gateway.one().await;
    assert_eq!((record.key.name.as_str(), record.surface.as_str(), record.stream), (KEY, "openai.chat", false));
    assert_eq!((record.model.as_deref(), record.provider.as_deref()), (Some("m"), Some("p")));
    assert_eq!(record.upstream_id.as_deref(), Some(data::UPSTREAM_ID));
    assert_eq!(record.finish_reason.as_deref(), Some("stop"));
    let usage = &record.usage;
    assert_eq!((usage.input_tokens, usage.output_tokens, usage.origin.as_str()), (9, 4, "reported"));
    assert_eq!(record.cost_usd.map(|cost| cost.0), Some(9 * 2_000 + 4 * 8_000));
    assert_eq!(record.attempts.len(), 1);
    assert_eq!(record.error, None);
}

#[tokio::test(start_paused = true)]
async fn the_provider_sees_the_request_and_nothing_of_the_caller() {
    let gateway = Gateway::builder().provider("p", Script::chat("Hello")).start();
    let body = r#"{ "messages":[{"role":"user","content":"\u0068i 😀"}], "model":"m", "zeta": {"a":[1,2.50]} }"#;
    let fields = "cookie: a=b\r\nx-forwarded-for: 9.9.9.9\r\nx-crossway-timeout-ms: 5000\r\nx-evil: 1\r\n";
    gateway.chat_with(fields, body).await;
    let request = gateway.provider("p").request();
    assert_eq!(String::from_utf8_lossy(&request.body), body.replace(r#""m""#, r#""up-m""#));
    assert!(request.head.starts_with("POST /v1/chat/completions HTTP/1.1\r\nhost: p.test\r\n"), "{}", request.head);
    assert_eq!(request.header("authorization"), Some(format!("Bearer {}", credential("p")).as_str()));
    assert_eq!(request.header("accept-encoding"), Some("identity"));
    for name in ["cookie", "x-forwarded-for", "x-evil", "x-crossway-timeout-ms"] {
        assert_eq!(request.header(name), None, "{name}");
    }
    assert!(!request.head.contains(&gateway.secret));
    gateway.one().await;
}

#[tokio::test(start_paused = true)]
async fn an_echo_comes_back() {
    let gateway = Gateway::builder().provider("p", Script::echo()).start();
    let reply = gateway.chat(REQUEST).await;
    let content = reply.json().pointer("/choices/0/message/content").unwrap().as_str().unwrap().to_owned();
    assert_eq!(content, REQUEST.replace(r#""m""#, r#""up-m""#));
    gateway.one().await;
}

/// Streams to a caller who did or did not ask for usage; returns the reply without the two meta blocks.
async fn streamed(body: &str) -> (String, Value, Value) {
    let gateway = Gateway::builder().provider("p", Script::streamed(&["Grü", "ße 🌍"])).start();
    let reply = gateway.chat(body).await;
    assert_eq!((reply.status, reply.whole), (200, true));
    assert_eq!(reply.header("content-type"), Some("text/event-stream; charset=utf-8"));
    assert_eq!(reply.header("cache-control"), Some("no-cache"));
    assert_eq!(reply.header("x-accel-buffering"), Some("no"));
    assert_eq!(gateway.provider("p").request().json().pointer("/stream_options/include_usage"), Some(&json!(true)));
    let record = gateway.one().await;
    assert_eq!((record.outcome.as_str(), record.usage.origin.as_str()), ("succeeded", "reported"));
    assert_eq!(record.cost_usd.map(|cost| cost.0), Some(50_000));
    let (rest, first) = without_meta(reply.text());
    let (rest, last) = without_meta(&rest);
    (rest, first, last)
}

#[tokio::test(start_paused = true)]
async fn a_stream_is_the_providers_without_the_usage_chunk() {
    let (rest, first, last) = streamed(STREAM).await;
    let expected = data::stream(&["Grü", "ße 🌍"]).replace(&data::usage(), "");
    assert_eq!(rest, expected);
    assert_eq!((&first["routed_to"], first.get("cost")), (&json!("m"), None));
    assert_eq!(last["cost"].to_string(), "0.00005");
}

#[tokio::test(start_paused = true)]
async fn a_stream_keeps_the_usage_chunk_when_asked_for_and_the_cost_goes_there() {
    let (rest, _, last) = streamed(WITH_USAGE).await;
    assert_eq!(rest, data::stream(&["Grü", "ße 🌍"]));
    assert_eq!(last["cost"].to_string(), "0.00005");
}

/// Asks for a model; returns status, the provider that answered, and the policy and reason.
async fn routed(fields: &str, body: &str) -> (u16, String, String) {
    let config = "[[models]]\nslug = \"special\"\nprovider = \"q\"\n";
    let builder = Gateway::builder().provider("p", Script::chat("Hello")).provider("q", Script::chat("Hello"));
    let gateway = builder.config(config).start();
    let reply = gateway.chat_with(fields, body).await;
    let record = gateway.one().await;
    if reply.status != 200 {
        return (reply.status, reply.code(), reply.json()["error"]["param"].as_str().unwrap_or_default().to_owned());
    }
    let reason = record.attempts.first().unwrap().reason.clone();
    (reply.status, reply.header("x-crossway-provider").unwrap().to_owned(), reason)
}

#[tokio::test(start_paused = true)]
async fn models_and_providers_are_chosen_by_name() {
    let ask = |model: &str| format!(r#"{{"model":{model},"messages":[{{"role":"user","content":"hi"}}]}}"#);
    let absent = r#"{"messages":[{"role":"user","content":"hi"}]}"#.to_owned();
    for (fields, body, status, answers, why) in [
        ("", ask("\"m\""), 200, "p", "requested model"),
        ("", absent, 200, "p", "default model"),
        ("", ask("null"), 200, "p", "default model"),
        ("", ask("\"auto\""), 200, "p", "policy auto"),
        ("", ask("\"Fastest\""), 200, "p", "policy fastest"),
        ("", ask("\"q/m\""), 200, "q", "requested model"),
        ("", ask("\"special\""), 200, "q", "requested model"),
        ("x-llm-provider: q\r\n", ask("\"m\""), 200, "q", "requested provider"),
        ("x-llm-provider: Q\r\n", ask("\"gpt-unknown\""), 200, "q", "requested provider"),
        ("x-llm-provider: nobody\r\n", ask("\"m\""), 400, "invalid_request", "x-llm-provider"),
        ("", ask("\"gpt-unknown\""), 400, "unknown_model", "model"),
        ("", ask("\"p/special\""), 400, "unknown_model", "model"),
    ] {
        assert_eq!(routed(fields, &body).await, (status, answers.to_owned(), why.to_owned()), "{fields}{body}");
    }
}

#[tokio::test(start_paused = true)]
async fn without_a_model_the_policy_is_auto_and_the_provider_gets_its_default() {
    let gateway = Gateway::builder().provider("p", Script::chat("Hello")).start();
    let reply = gateway.chat(r#"{"messages":[{"role":"user","content":"hi"}]}"#).await;
    assert_eq!(reply.json().pointer("/crossway/policy"), Some(&json!("auto")));
    assert_eq!(gateway.provider("p").request().json()["model"], "up-m");
    assert_eq!(gateway.one().await.requested_model, "");
}

#[tokio::test(start_paused = true)]
async fn every_prefix_serves_the_same() {
    let gateway = Gateway::builder().provider("p", Script::chat("Hello")).start();
    for prefix in ["/v1", "/v1/router", ""] {
        let chat = gateway.ask(&format!("POST {prefix}/chat/completions?x=1"), &gateway.fields(), REQUEST).await;
        let models = gateway.ask(&format!("GET {prefix}/models"), &gateway.fields(), "").await;
        assert_eq!((chat.status, models.status), (200, 200), "{prefix}");
    }
    gateway.records(3).await;
}

#[tokio::test(start_paused = true)]
async fn models_are_listed_as_the_key_may_use_them() {
    let config = "[[models]]\nslug = \"special\"\nprovider = \"p\"\n";
    let gateway = Gateway::builder().provider("p", Script::chat("Hello")).config(config).start();
    let spec = KeySpec { models: vec!["special".into()], ..KeySpec::default() };
    let narrow = gateway.assembly.create_key("narrow", spec);
    let ids = |list: &Value| -> Vec<String> {
        list["data"].as_array().unwrap().iter().map(|model| model["id"].as_str().unwrap().to_owned()).collect()
    };
    let all = gateway.ask("GET /v1/models", &gateway.fields(), "").await.json();
    assert_eq!(ids(&all), ["auto", "cheapest", "fastest", "best", "m", "special"]);
    assert_eq!(all.pointer("/data/4/pricing/input"), Some(&json!("2")));
    let fields = format!("authorization: Bearer {narrow}\r\n");
    let few = gateway.ask("GET /v1/models", &fields, "").await.json();
    assert_eq!(ids(&few), ["auto", "cheapest", "fastest", "best", "special"]);
    for policy in ["auto", "cheapest", "fastest", "best"] {
        assert_eq!(gateway.ask(&format!("GET /v1/models/{policy}"), &fields, "").await.json()["owned_by"], "crossway");
    }
    assert_eq!(gateway.ask("GET /v1/models/special", &fields, "").await.json()["owned_by"], "p");
    assert_eq!(gateway.ask("GET /v1/models/m", &fields, "").await.code(), "not_found");
    assert_eq!(gateway.ask("GET /v1/models", "", "").await.code(), "invalid_api_key");
    gateway.none().await;
}

#[tokio::test(start_paused = true)]
async fn a_key_without_the_right_is_refused_and_that_is_settled() {
    for (spec, code) in [
        (KeySpec { models: vec!["other".into()], ..KeySpec::default() }, "model_not_allowed"),
        (KeySpec { providers: vec!["other".into()], ..KeySpec::default() }, "provider_not_allowed"),
    ] {
        let gateway = Gateway::builder().provider("p", Script::chat("Hello")).start();
        let narrow = gateway.assembly.create_key("narrow", spec);
        let fields = format!("authorization: Bearer {narrow}\r\n");
        for model in ["m", "M", " m ", "p/m", "P/M", "auto", "p/up-m"] {
            let body = REQUEST.replace(r#""m""#, &format!("\"{model}\""));
            let reply = gateway.ask("POST /v1/chat/completions", &fields, &body).await;
            assert_eq!((reply.status, reply.code().as_str()), (403, code), "{model}");
        }
        let records = gateway.records(7).await;
        assert!(records.iter().all(|r| r.outcome == "refused" && r.cost_usd.map(|cost| cost.0) == Some(0)));
        assert_eq!(gateway.provider("p").requests().len(), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn a_callers_own_deadline_holds() {
    let gateway = Gateway::builder().provider("p", Script::new().stall()).start();
    let before = now();
    let reply = gateway.chat_with("x-crossway-timeout-ms: 1500\r\n", REQUEST).await;
    assert_eq!((reply.status, reply.code().as_str()), (504, "upstream_timeout"));
    assert_eq!(before.elapsed().as_millis() / 100, 15);
    gateway.provider("p").cancelled().await;
    assert_eq!(gateway.one().await.outcome, "failed");
}

#[tokio::test(start_paused = true)]
async fn whoever_would_not_wait_longer_pays_for_what_was_asked() {
    for body in [REQUEST, STREAM] {
        for (fields, usage, cost) in [("x-crossway-timeout-ms: 1500\r\n", "estimated", true), ("", "none", false)] {
            let gateway = Gateway::builder().provider("p", Script::new().stall()).start();
            let reply = gateway.chat_with(fields, body).await;
            assert_eq!((reply.status, reply.code().as_str()), (504, "upstream_timeout"));
            let record = gateway.one().await;
            assert_eq!((record.outcome.as_str(), record.usage.origin.as_str()), ("failed", usage));
            assert_eq!(record.cost_usd.is_some_and(|nanos| nanos.0 > 0), cost, "{record:?}");
            let of_tries: u64 =
                record.attempts.iter().filter_map(|attempt| attempt.cost_usd).map(|nanos| nanos.0).sum();
            assert_eq!(Some(of_tries), record.cost_usd.map(|nanos| nanos.0));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_deadline_that_is_no_number_is_refused() {
    let gateway = Gateway::builder().provider("p", Script::chat("Hello")).start();
    for value in ["0", "-1", "1.5", "86400001", "soon", "99999999999999999999"] {
        let reply = gateway.chat_with(&format!("x-crossway-timeout-ms: {value}\r\n"), REQUEST).await;
        assert_eq!((reply.status, reply.code().as_str()), (400, "invalid_request"), "{value}");
    }
    gateway.none().await;
}

#[tokio::test(start_paused = true)]
async fn connections_to_a_provider_are_used_again() {
    let gateway = Gateway::builder().provider("p", Script::chat("Hello")).start();
    let mut client = gateway.client();
    for _ in 0..3 {
        client.request("POST /v1/chat/completions", &gateway.fields(), REQUEST.as_bytes()).await;
        assert_eq!(client.reply().await.status, 200);
    }
    assert_eq!(gateway.provider("p").connections(), 1);
    gateway.records(3).await;
}

#[tokio::test(start_paused = true)]
async fn a_streams_limits_are_passed_on() {
    let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nX-RateLimit-Limit-Requests: 60\r\nconnection: close\r\n\r\n";
    let script = Script::new().send(format!("{head}{}", data::stream(&["Hello"]))).close();
    let gateway = Gateway::builder().provider("p", script).start();
    let reply = gateway.chat(STREAM).await;
    assert_eq!((reply.status, reply.header("x-ratelimit-limit-requests")), (200, Some("60")));
    assert_eq!(reply.header("x-crossway-cost-usd"), None, "it is not known yet");
    gateway.one().await;
}

/// A byte order mark before JSON is none of it, whatever the answer is.
#[tokio::test(start_paused = true)]
async fn a_byte_order_mark_means_nothing() {
    let marked = |status, body: &str| Script::json(status, &format!("\u{feff}{body}"));
    for kind in KINDS {
        let answer = marked(200, &body(kind, Answer::Text).to_string());
        let no = marked(400, &pieces::error(kind, 400, "field x is wrong").to_string());
        let gateway = Gateway::builder().provider_of("p", kind, vec![answer.clone(), answer.clone(), no]).start();
        let reply = gateway.chat(REQUEST).await;
        assert_eq!(reply.status, 200, "{kind}: {}", reply.text());
        assert_eq!(reply.json()["choices"][0]["message"]["content"], TEXT, "{kind}");
        assert_eq!(gateway.chat(STREAM).await.content(), TEXT, "{kind}");
        let reply = gateway.chat(REQUEST).await;
        assert_eq!((reply.status, reply.message().as_str()), (400, "field x is wrong"), "{kind}");
        for record in gateway.records(3).await.iter().take(2) {
            assert_eq!(record.usage.origin, "reported", "{kind}");
        }
    }
}

/// Proxies add header fields, and some servers say again and again that they are at work.
#[tokio::test(start_paused = true)]
async fn a_head_may_be_long_and_late() {
    let fields = "x-hop: a\r\n".repeat(250);
    let answer = Script::answer(200, &fields, &data::completion("Hello"));
    let working = Script::new().send("HTTP/1.1 102 Processing\r\n\r\n".repeat(200));
    let Script::Steps(steps) = Script::chat("Hello") else { unreachable!() };
    let late = steps.into_iter().fold(working, Script::step);
    for script in [answer, late] {
        let gateway = Gateway::builder().provider("p", script).start();
        assert_eq!(gateway.chat(REQUEST).await.json()["choices"][0]["message"]["content"], "Hello");
        assert_eq!(gateway.one().await.attempts.len(), 1);
    }
}

/// What exceeds the bounds is told, in the log at least.
#[tokio::test(start_paused = true)]
async fn a_head_without_end_is_told() {
    for (script, expect) in [
        (Script::answer(200, &"x-hop: a\r\n".repeat(300), "{}"), "more than 256 header fields"),
        (Script::new().send("HTTP/1.1 102 P\r\n\r\n".repeat(300)), "more than 256 interim responses"),
    ] {
        let gateway = Gateway::builder().provider("p", script).start();
        let reply = gateway.chat(REQUEST).await;
        assert_eq!((reply.status, reply.code().as_str()), (502, "upstream_error"));
        let record = gateway.one().await;
        assert!(record.attempts[0].error.as_deref().unwrap().contains(expect), "{:?}", record.attempts);
    }
}
