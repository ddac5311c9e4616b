//! `count_tokens`: providers that count are asked, for others it is estimated and said so; it costs nothing, and is
//! written down.

use policy::spec::key::KeySpec;
use serde_json::{Value, json};
use testkit::caller::Caller::Anthropic;
use testkit::client::{Reply, now};
use testkit::gateway::{Gateway, KEY, credential};
use testkit::pieces;
use testkit::script::Script;

const LINE: &str = "POST /v1/messages/count_tokens";

fn body() -> Value {
    json!({ "model": "m", "system": "be brief", "messages": [{ "role": "user", "content": "hi" }] })
}

async fn count(gateway: &Gateway, body: &Value) -> Reply {
    gateway.ask(LINE, &Anthropic.fields(gateway), &body.to_string()).await
}

/// Checks a count: its body, its headers, its record.
async fn counted(gateway: Gateway, body: &Value, tokens: u64, estimated: bool) {
    let reply = count(&gateway, body).await;
    assert_eq!((reply.status, reply.json()), (200, json!({ "input_tokens": tokens })), "{}", reply.text());
    assert_eq!(reply.header("x-crossway-estimated"), estimated.then_some("true"));
    assert_eq!(reply.header("content-type"), Some("application/json"));
    let id = reply.header("request-id").unwrap();
    assert_eq!(reply.header("x-request-id"), Some(id));
    let record = gateway.one().await;
    assert_eq!((record.id.to_string().as_str(), record.surface.as_str()), (id, "anthropic.count_tokens"));
    assert_eq!((record.outcome.as_str(), record.status, record.key.name.as_str()), ("succeeded", 200, KEY));
    assert_eq!((record.usage.origin.as_str(), record.usage.input_tokens), ("none", 0));
    assert_eq!((record.cost_usd.map(|cost| cost.0), record.requested_model.as_str()), (Some(0), "m"));
}

fn estimate(body: &Value) -> u64 {
    (body.to_string().len() as u64).div_ceil(4)
}

#[tokio::test(start_paused = true)]
async fn anthropic_is_asked_and_its_answer_passed() {
    let script = Script::json(200, r#"{"input_tokens":14,"x":1}"#);
    let gateway = Gateway::builder().provider_of("p", "anthropic", vec![script]).start();
    let fields = Anthropic.fields(&gateway) + "anthropic-beta: token-counting-2024-11-01\r\n";
    let text = r#"{ "messages":[{"role":"user","content":"\u0068i"}], "model":"m", "zeta":[1,2.50] }"#;
    let reply = gateway.ask(LINE, &fields, text).await;
    assert_eq!((reply.status, reply.text()), (200, r#"{"input_tokens":14}"#));
    assert_eq!(reply.header("x-crossway-estimated"), None);
    let asked = gateway.provider("p").request();
    assert!(asked.head.starts_with("POST /v1/messages/count_tokens HTTP/1.1\r\n"), "{}", asked.head);
    assert_eq!(asked.header("anthropic-beta"), Some("token-counting-2024-11-01"));
    assert_eq!(asked.header("x-api-key"), Some(credential("p").as_str()));
    assert_eq!(String::from_utf8_lossy(&asked.body), text.replace(r#""model":"m""#, r#""model":"up-m""#));
    assert!(!asked.head.contains(&gateway.secret));
    gateway.one().await;
}

#[tokio::test(start_paused = true)]
async fn gemini_is_asked_with_the_request_inside() {
    let script = Script::json(200, r#"{"totalTokens":31,"promptTokensDetails":[]}"#);
    let gateway = Gateway::builder().provider_of("p", "gemini", vec![script]).start();
    let reply = count(&gateway, &body()).await;
    assert_eq!((reply.status, reply.text()), (200, r#"{"input_tokens":31}"#));
    let asked = gateway.provider("p").request();
    assert!(asked.head.starts_with("POST /v1beta/models/up-m:countTokens HTTP/1.1\r\n"), "{}", asked.head);
    let inner = &asked.json()["generateContentRequest"];
    assert_eq!(inner["model"], "models/up-m");
    assert_eq!(inner["contents"], json!([{ "role": "user", "parts": [{ "text": "hi" }] }]));
    assert_eq!(inner["systemInstruction"]["parts"][0]["text"], "be brief");
    gateway.one().await;
}

#[tokio::test(start_paused = true)]
async fn where_nobody_counts_it_is_estimated() {
    for kind in ["openai-compatible", "openai-responses", "cohere", "ollama"] {
        let gateway = Gateway::builder().provider_of("p", kind, vec![Script::error(500, "no")]).start();
        let provider = std::sync::Arc::clone(gateway.provider("p"));
        counted(gateway, &body(), estimate(&body()), true).await;
        assert_eq!(provider.connections(), 0, "{kind} is not asked");
    }
}

/// What a request for an answer may hold is no fault here, and does not make it one.
#[tokio::test(start_paused = true)]
async fn what_belongs_to_an_answer_is_not_needed() {
    for members in [json!({}), json!({ "max_tokens": 5 }), json!({ "stream": true }), json!({ "tools": [] })] {
        let mut body = body();
        for (name, value) in members.as_object().unwrap() {
            body[name] = value.clone();
        }
        let script = Script::json(200, r#"{"input_tokens":14}"#);
        let gateway = Gateway::builder().provider_of("p", "anthropic", vec![script]).start();
        counted(gateway, &body, 14, false).await;
    }
}

/// A provider that fails leads to the next that counts, then to the estimate.
#[tokio::test(start_paused = true)]
async fn a_provider_that_fails_leads_on() {
    for (kind, answer) in [("anthropic", r#"{"input_tokens":14}"#), ("gemini", r#"{"totalTokens":14}"#)] {
        for script in [
            Script::Refuse,
            Script::new().close(),
            Script::new().send("what?").close(),
            Script::json(401, &pieces::error(kind, 401, "no").to_string()),
            Script::json(404, &pieces::error(kind, 404, "no").to_string()),
            Script::json(400, &pieces::error(kind, 400, "no").to_string()),
            Script::json(429, &pieces::error(kind, 429, "no").to_string()),
            Script::json(500, &pieces::error(kind, 500, "no").to_string()),
            Script::json(200, &pieces::error(kind, 500, "no").to_string()),
            Script::answer(200, "content-type: text/html\r\n", "<html>"),
            Script::json(200, "{}"),
            Script::json(200, r#"{"input_tokens":-1,"totalTokens":-1}"#),
            Script::json(200, r#"{"input_tokens":"14","totalTokens":1.5}"#),
            Script::json(200, r#"{"input_tokens":99999999999999999999,"totalTokens":99999999999999999999}"#),
            Script::json(200, &format!("{{\"x\":\"{}\"}}", "x".repeat(100 << 10))),
        ] {
            let case = format!("{kind} {script:?}");
            let first = Gateway::builder().provider_of("p", kind, vec![script.clone()]);
            let gateway = first.provider_of("q", kind, vec![Script::json(200, answer)]).start();
            let provider = std::sync::Arc::clone(gateway.provider("q"));
            counted(gateway, &body(), 14, false).await;
            assert_eq!(provider.requests().len(), 1, "{case}");
            let alone = Gateway::builder().provider_of("p", kind, vec![script]).start();
            counted(alone, &body(), estimate(&body()), true).await;
        }
    }
}

/// One that counts behind one that does not is asked all the same: it serves the same model.
#[tokio::test(start_paused = true)]
async fn the_first_that_counts_is_asked() {
    let gateway = Gateway::builder()
        .provider("p", Script::error(500, "no"))
        .provider_of("q", "anthropic", vec![Script::json(200, r#"{"input_tokens":14}"#)])
        .start();
    counted(gateway, &body(), 14, false).await;
}

#[tokio::test(start_paused = true)]
async fn a_silent_provider_is_given_up() {
    for (fields, seconds) in [("", 30), ("x-crossway-timeout-ms: 2000\r\n", 2)] {
        for script in
            [Script::new().stall(), Script::new().send("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{").stall()]
        {
            let gateway = Gateway::builder().provider_of("p", "anthropic", vec![script]).start();
            let start = now();
            let fields = Anthropic.fields(&gateway) + fields;
            let reply = gateway.ask(LINE, &fields, &body().to_string()).await;
            assert_eq!((reply.status, reply.header("x-crossway-estimated")), (200, Some("true")));
            assert_eq!(start.elapsed().as_secs(), seconds);
            gateway.provider("p").cancelled().await;
            gateway.one().await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_caller_who_leaves_is_written_down() {
    let gateway = Gateway::builder().provider_of("p", "anthropic", vec![Script::new().stall()]).start();
    let mut client = gateway.client();
    client.request(LINE, &Anthropic.fields(&gateway), body().to_string().as_bytes()).await;
    gateway.provider("p").received(1).await;
    drop(client);
    gateway.provider("p").cancelled().await;
    let record = gateway.one().await;
    assert_eq!((record.outcome.as_str(), record.cost_usd.map(|cost| cost.0)), ("cancelled", Some(0)));
}

#[tokio::test(start_paused = true)]
async fn a_key_that_is_revoked_ends_it() {
    let gateway = Gateway::builder().provider_of("p", "anthropic", vec![Script::new().stall()]).start();
    let mut client = gateway.client();
    client.request(LINE, &Anthropic.fields(&gateway), body().to_string().as_bytes()).await;
    gateway.provider("p").received(1).await;
    let start = now();
    gateway.assembly.revoke_key(KEY);
    let reply = client.reply().await;
    assert_eq!(Anthropic.told(&reply).verdict(), (401, "revoked_api_key"));
    assert!(start.elapsed().as_millis() < 10, "at once");
    assert_eq!(gateway.one().await.outcome, "revoked");
}

#[tokio::test(start_paused = true)]
async fn the_rights_of_the_key_apply() {
    for (spec, code) in [
        (KeySpec { models: vec!["other".into()], ..KeySpec::default() }, "model_not_allowed"),
        (KeySpec { providers: vec!["other".into()], ..KeySpec::default() }, "provider_not_allowed"),
    ] {
        let script = Script::json(200, r#"{"input_tokens":14}"#);
        let gateway = Gateway::builder().provider_of("p", "anthropic", vec![script]).start();
        let narrow = gateway.assembly.create_key("narrow", spec);
        let reply = gateway.ask(LINE, &format!("x-api-key: {narrow}\r\n"), &body().to_string()).await;
        assert_eq!(Anthropic.told(&reply).verdict(), (403, code));
        assert_eq!(gateway.provider("p").connections(), 0);
        assert_eq!(gateway.one().await.outcome, "refused");
    }
    let gateway = Gateway::builder().provider_of("p", "anthropic", vec![Script::json(200, "{}")]).start();
    let mut unknown = body();
    unknown["model"] = json!("nobody");
    assert_eq!(Anthropic.told(&count(&gateway, &unknown).await).verdict(), (400, "unknown_model"));
    gateway.one().await;
}

/// Pictures by URL are not fetched to be counted, and nothing private is reached.
#[tokio::test(start_paused = true)]
async fn nothing_is_fetched_to_be_counted() {
    for url in ["http://pics.test/a.png", "http://127.0.0.1/a.png"] {
        let script = Script::json(200, r#"{"totalTokens":31}"#);
        let gateway = Gateway::builder()
            .provider_of("p", "gemini", vec![script])
            .host("pics", vec![Script::answer(200, "content-type: image/png\r\n", "x")])
            .host("127.0.0.1", vec![Script::answer(200, "content-type: image/png\r\n", "x")])
            .start();
        let mut body = body();
        body["messages"][0]["content"] = json!([Anthropic.picture(url)]);
        let reply = count(&gateway, &body).await;
        assert_eq!(reply.status, 200, "{}", reply.text());
        assert_eq!((gateway.provider("pics").connections(), gateway.provider("127.0.0.1").connections()), (0, 0));
        gateway.one().await;
    }
}
