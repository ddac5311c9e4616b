//! The Anthropic surface as its clients use it: prefixes, keys, headers, the list of models.

use policy::spec::key::KeySpec;
use serde_json::{Value, json};
use testkit::caller::Caller::{Anthropic, Openai};
use testkit::dialects::{Answer, whole};
use testkit::gateway::Gateway;
use testkit::script::Script;

fn gateway() -> Gateway {
    Gateway::builder().provider_of("p", "anthropic", vec![whole("anthropic", Answer::Text)]).start()
}

#[tokio::test(start_paused = true)]
async fn every_prefix_serves_the_same() {
    let gateway = gateway();
    let body = Anthropic.request(false).to_string();
    for prefix in ["/v1", "/v1/v1", "/api/anthropic/v1", "/api/anthropic/v1/v1"] {
        for tail in ["/messages", "/messages?beta=true", "/messages/count_tokens", "/messages/count_tokens?beta=true"] {
            let reply = gateway.ask(&format!("POST {prefix}{tail}"), &Anthropic.fields(&gateway), &body).await;
            assert_eq!(reply.status, 200, "{prefix}{tail}");
            let ids = (reply.header("request-id"), reply.header("x-request-id"));
            assert!(ids.0.is_some() && ids.0 == ids.1, "{prefix}{tail}: {ids:?}");
        }
        let fields = Anthropic.fields(&gateway);
        let models = gateway.ask(&format!("GET {prefix}/models"), &fields, "").await;
        assert_eq!((models.status, &models.json()["data"][0]["type"]), (200, &json!("model")), "{prefix}");
        assert_eq!(gateway.ask(&format!("GET {prefix}/models/m"), &fields, "").await.json()["id"], "m");
    }
    for line in
        ["POST /messages", "POST /v1//messages", "POST /v1/messages/", "POST /V1/messages", "POST /v1/v1/v1/messages"]
    {
        let reply = gateway.ask(line, &Anthropic.fields(&gateway), &body).await;
        assert_eq!(Anthropic.told(&reply).verdict(), (404, "not_found"), "{line}");
    }
    gateway.records(16).await;
}

#[tokio::test(start_paused = true)]
async fn a_key_is_taken_in_both_headers() {
    let gateway = gateway();
    let body = Anthropic.request(false).to_string();
    for form in ["authorization: Bearer KEY\r\n", "x-api-key: KEY\r\n"] {
        for line in ["POST /v1/messages", "POST /v1/messages/count_tokens"] {
            // Without `anthropic-version`: the path says which dialect it is.
            let reply = gateway.ask(line, &form.replace("KEY", &gateway.secret), &body).await;
            assert_eq!(reply.status, 200, "{line} {form}");
        }
    }
    gateway.records(4).await;
}

/// What the provider is told of the caller's headers.
#[tokio::test(start_paused = true)]
async fn version_and_betas_go_to_the_provider_and_the_key_does_not() {
    let gateway = gateway();
    let fields = format!(
        "x-api-key: {}\r\nanthropic-version: 2024-01-01\r\nanthropic-beta: a-1, b-2\r\nanthropic-beta: c-3\r\n\
         anthropic-dangerous-direct-browser-access: true\r\nx-stainless-lang: js\r\ncookie: a=b\r\n",
        gateway.secret
    );
    let reply = gateway.ask("POST /v1/messages", &fields, &Anthropic.request(false).to_string()).await;
    assert_eq!(reply.status, 200);
    let asked = gateway.provider("p").request();
    assert_eq!(asked.header("anthropic-version"), Some("2024-01-01"));
    assert_eq!(asked.header("anthropic-beta"), Some("a-1, b-2, c-3"), "{}", asked.head);
    assert_eq!(asked.header("x-api-key"), Some("sk-upstream-canary-p"));
    for name in ["cookie", "x-stainless-lang", "authorization", "anthropic-dangerous-direct-browser-access"] {
        assert_eq!(asked.header(name), None, "{name}");
    }
    assert!(!asked.head.contains(&gateway.secret));
    gateway.one().await;
}

#[tokio::test(start_paused = true)]
async fn other_dialects_hear_nothing_of_anthropics_headers() {
    for kind in ["openai-compatible", "gemini", "cohere", "ollama", "openai-responses"] {
        let gateway = Gateway::builder().provider_of("p", kind, vec![whole(kind, Answer::Text)]).start();
        let reply = Anthropic.ask(&gateway, "anthropic-beta: a-1\r\n", &Anthropic.request(false)).await;
        assert_eq!(reply.status, 200);
        assert!(!gateway.provider("p").request().head.contains("anthropic"), "{kind}");
        gateway.one().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_body_in_the_same_dialect_is_the_callers_but_for_the_model() {
    let gateway = gateway();
    let body = r#"{ "max_tokens":5, "messages":[{"role":"user","content":"\u0068i 😀"}], "model":"m", "zeta": {"a":[1,2.50]} }"#;
    let reply = gateway.messages(body).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    let asked = gateway.provider("p").request();
    assert_eq!(String::from_utf8_lossy(&asked.body), body.replace(r#""model":"m""#, r#""model":"up-m""#));
    assert_eq!(reply.header("x-crossway-dropped-params"), None);
    gateway.one().await;
}

#[tokio::test(start_paused = true)]
async fn a_reply_is_labelled() {
    let gateway = gateway();
    let reply = Anthropic.ask(&gateway, "", &Anthropic.request(false)).await;
    for (name, value) in [
        ("content-type", "application/json"),
        ("x-crossway-model", "m"),
        ("x-crossway-provider", "p"),
        ("x-crossway-attempts", "1"),
        ("x-crossway-cache", "bypass"),
        ("x-crossway-cost-usd", "0.00005"),
    ] {
        assert_eq!(reply.header(name), Some(value), "{name}");
    }
    assert_eq!(reply.header("x-request-id"), reply.header("request-id"));
    assert_eq!(reply.json()["crossway"]["routed_to"], "m");
    gateway.one().await;
}

/// `x-llm-provider` (S14): by kind or name, on both surfaces; who is unknown is told the valid ones.
#[tokio::test(start_paused = true)]
async fn a_provider_is_chosen_by_its_name_or_kind() {
    let config = "[[models]]\nslug = \"only\"\nprovider = \"q\"\n";
    for caller in [Openai, Anthropic] {
        let gateway = Gateway::builder()
            .provider_of("p", "anthropic", vec![whole("anthropic", Answer::Text)])
            .provider_of("q", "gemini", vec![whole("gemini", Answer::Text)])
            .config(config)
            .start();
        for (named, model, answers) in [
            ("q", "m", "q"),
            ("gemini", "m", "q"),
            ("ANTHROPIC", "only", "p"),
            ("p", "gpt-nobody", "p"),
            ("q", "only", "q"),
        ] {
            let mut body = caller.request(false);
            body["model"] = json!(model);
            let reply = caller.ask(&gateway, &format!("x-llm-provider: {named}\r\n"), &body).await;
            assert_eq!((reply.status, reply.header("x-crossway-provider")), (200, Some(answers)), "{named} {model}");
        }
        let reply = caller.ask(&gateway, "x-llm-provider: nobody\r\n", &caller.request(false)).await;
        let told = caller.told(&reply);
        assert_eq!(told.verdict(), (400, "invalid_request"));
        assert!(told.message.contains("p, q"), "{}", told.message);
        gateway.records(6).await;
    }
}

fn ids(list: &Value) -> Vec<&str> {
    list["data"].as_array().unwrap().iter().map(|model| model["id"].as_str().unwrap()).collect()
}

#[tokio::test(start_paused = true)]
async fn models_are_listed_in_pages() {
    let more: String = ["a", "b", "c/d", "e"]
        .iter()
        .map(|slug| format!("[[models]]\nslug = \"{slug}\"\nprovider = \"p\"\n"))
        .collect();
    let gateway = Gateway::builder().provider("p", Script::chat("Hello")).config(&more).start();
    let fields = Anthropic.fields(&gateway);
    let page = async |query: &str| gateway.ask(&format!("GET /v1/models{query}"), &fields, "").await.json();
    let all = page("").await;
    assert_eq!(ids(&all), ["auto", "cheapest", "fastest", "best", "m", "a", "b", "c/d", "e"]);
    let (more, first, last) = (&all["has_more"], &all["first_id"], &all["last_id"]);
    assert_eq!((more, first, last), (&json!(false), &json!("auto"), &json!("e")));
    for (query, expect, more) in [
        ("?limit=2", vec!["auto", "cheapest"], true),
        ("?limit=2&after_id=m", vec!["a", "b"], true),
        ("?limit=2&after_id=b", vec!["c/d", "e"], false),
        ("?after_id=c%2Fd&limit=9", vec!["e"], false),
        ("?after_id=e", vec![], false),
        ("?limit=2&before_id=c/d", vec!["a", "b"], true),
        ("?limit=9&before_id=a", vec!["auto", "cheapest", "fastest", "best", "m"], false),
        ("?before_id=auto", vec![], false),
    ] {
        let page = page(query).await;
        assert_eq!((ids(&page), &page["has_more"]), (expect, &json!(more)), "{query}: {page}");
    }
    for query in ["?limit=0", "?limit=1001", "?limit=x", "?limit=-1", "?after_id=nobody", "?before_id=nobody"] {
        let reply = gateway.ask(&format!("GET /v1/models{query}"), &fields, "").await;
        let told = Anthropic.told(&reply);
        assert_eq!(told.verdict(), (400, "invalid_request"), "{query}");
    }
    // A name with a slash in it, as it stands and as SDKs write it.
    for path in ["/v1/models/c/d", "/v1/models/c%2Fd"] {
        assert_eq!(gateway.ask(&format!("GET {path}"), &fields, "").await.json()["id"], "c/d", "{path}");
    }
    gateway.none().await;
}

#[tokio::test(start_paused = true)]
async fn models_are_those_that_the_key_may_use() {
    let gateway = Gateway::builder()
        .provider("p", Script::chat("Hello"))
        .config("[[models]]\nslug = \"special\"\nprovider = \"p\"\n")
        .start();
    let spec = KeySpec { models: vec!["special".into()], ..KeySpec::default() };
    let narrow = gateway.assembly.create_key("narrow", spec);
    let fields = format!("x-api-key: {narrow}\r\nanthropic-version: 2023-06-01\r\n");
    let list = gateway.ask("GET /v1/models", &fields, "").await.json();
    assert_eq!(ids(&list), ["auto", "cheapest", "fastest", "best", "special"]);
    let reply = gateway.ask("GET /v1/models/m", &fields, "").await;
    assert_eq!(Anthropic.told(&reply).verdict(), (404, "not_found"));
    let reply = gateway.ask("GET /api/anthropic/v1/models", "", "").await;
    assert_eq!(Anthropic.told(&reply).verdict(), (401, "invalid_api_key"));
    gateway.none().await;
}
