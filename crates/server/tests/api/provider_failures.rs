//! Providers that say no, in every dialect, told on both surfaces: the status keeps its class, the message is kept,
//! secrets are not.

use serde_json::{Value, json};
use testkit::caller::{Caller, Told};
use testkit::client::Reply;
use testkit::dialects::{Answer, KINDS, whole};
use testkit::gateway::{Gateway, REQUEST, credential};
use testkit::pieces;
use testkit::script::Script;

/// What a caller was told, the reply, and how often the provider was asked.
struct Failed {
    told: Told,
    reply: Reply,
    tries: usize,
}

/// Asks the only provider, which always answers like this, on both surfaces, whole and streamed.
async fn asked(kind: &'static str, script: Script) -> Vec<(Caller, bool, Failed)> {
    let gateway = Gateway::builder().provider_of("p", kind, vec![script]).start();
    let mut found = Vec::new();
    for caller in Caller::BOTH {
        for stream in [false, true] {
            let reply = caller.ask(&gateway, "", &caller.request(stream)).await;
            let told = caller.told(&reply);
            found.push((caller, stream, Failed { told, reply, tries: 0 }));
        }
    }
    for (record, (_, _, failed)) in gateway.records(4).await.into_iter().zip(&mut found) {
        let told = &failed.told;
        assert!(!serde_json::to_string(&record).unwrap().contains("canary"), "{record:?}");
        assert_eq!((record.outcome.as_str(), record.status), ("failed", told.status), "{kind} {told:?}");
        assert_eq!(record.error.unwrap().code.as_deref(), Some(told.code.as_str()));
        assert_eq!((record.usage.origin.as_str(), record.cost_usd.map(|cost| cost.0)), ("none", Some(0)), "{kind}");
        failed.tries = record.attempts.len();
        assert_eq!(failed.reply.header("x-crossway-attempts"), Some(failed.tries.to_string().as_str()));
    }
    found
}

/// Checks a script with every dialect.
async fn everywhere(script: impl Fn(&str) -> Script, check: impl Fn(&str, Caller, Failed)) {
    for kind in KINDS {
        for (caller, stream, failed) in asked(kind, script(kind)).await {
            check(&format!("{kind} {caller:?} stream: {stream}"), caller, failed);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn statuses_and_messages_are_kept() {
    for (status, expect, code, tries) in [
        (400, 400, "invalid_request", 1),
        (404, 404, "not_found", 1),
        (409, 409, "invalid_request", 1),
        (413, 413, "request_too_large", 1),
        (422, 422, "invalid_request", 1),
        (429, 429, "rate_limited", 1),
        (500, 502, "upstream_error", 3),
        (503, 502, "upstream_error", 3),
        (529, 529, "upstream_error", 3),
    ] {
        let said = format!("field x is wrong (key {}, org-canary12345)", credential("p"));
        everywhere(
            |kind| Script::json(status, &pieces::error(kind, status, &said).to_string()),
            |case, caller, Failed { told, tries: tried, .. }| {
                let expect = if expect == 529 && caller == Caller::Openai { 502 } else { expect };
                assert_eq!(told.verdict(), (expect, code), "{case} {status}");
                assert_eq!(told.message, "field x is wrong (key [redacted], [redacted])", "{case} {status}");
                assert_eq!(tried, tries, "{case} {status}");
            },
        )
        .await;
    }
}

/// Nothing of what is said about the operator's account reaches a caller.
#[tokio::test(start_paused = true)]
async fn the_operators_account_is_not_told() {
    for (status, code) in [(401, "upstream_auth_error"), (403, "upstream_auth_error"), (402, "upstream_error")] {
        let said = format!("invalid x-api-key: {} of acme", credential("p"));
        everywhere(
            |kind| Script::json(status, &pieces::error(kind, status, &said).to_string()),
            |case, _, Failed { told, reply, tries }| {
                assert_eq!((told.verdict(), tries), ((502, code), 1), "{case} {status}");
                assert!(!reply.text().contains("acme") && !reply.text().contains("canary"), "{}", reply.text());
            },
        )
        .await;
    }
}

/// Providers that say 400 or 429 where the operator's account is meant.
#[tokio::test(start_paused = true)]
async fn the_operators_account_is_not_the_callers_fault() {
    let google = json!({ "error": { "code": 400, "message": "API key not valid of acme.", "status": "INVALID_ARGUMENT", "details": [{ "@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "API_KEY_INVALID" }] } });
    let anthropic = "Your credit balance is too low to access the Anthropic API, acme.";
    let anthropic = pieces::error("anthropic", 400, anthropic);
    let quota = json!({ "error": { "message": "You, acme, exceeded your current quota", "type": "insufficient_quota", "param": null, "code": "insufficient_quota" } });
    for (kind, status, body, code) in [
        ("gemini", 400, google, "upstream_auth_error"),
        ("anthropic", 400, anthropic, "upstream_error"),
        ("openai-compatible", 429, quota.clone(), "upstream_error"),
        ("openai-responses", 429, quota, "upstream_error"),
    ] {
        let script = Script::json(status, &body.to_string());
        for (_, _, Failed { told, reply, tries }) in asked(kind, script.clone()).await {
            assert_eq!((told.verdict(), tries), ((502, code), 1), "{kind}");
            assert!(!reply.text().contains("acme"), "{}", reply.text());
        }
        let gateway =
            Gateway::builder().provider_of("p", kind, vec![script]).provider("q", Script::chat("Hello")).start();
        let reply = gateway.chat(REQUEST).await;
        assert_eq!((reply.status, reply.header("x-crossway-provider")), (200, Some("q")), "{kind}");
        gateway.one().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_limit_is_passed_on_with_its_wait() {
    for (field, wait) in [("retry-after: 7", "7"), ("retry-after-ms: 1500", "2"), ("retry-after: 0.2", "1")] {
        for status in [429, 529] {
            everywhere(
                |kind| {
                    let body = pieces::error(kind, status, "slow down").to_string();
                    Script::answer(status, &format!("{field}\r\ncontent-type: application/json\r\n"), &body)
                },
                |case, _, Failed { told, reply, .. }| {
                    assert_eq!(
                        (reply.header("retry-after"), told.message.as_str()),
                        (Some(wait), "slow down"),
                        "{case}"
                    );
                },
            )
            .await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn pages_and_halves_are_not_passed_on() {
    let page = "<html><body>nginx 1.2 at 10.0.0.7</body></html>";
    for (status, body, kind_of_body) in [
        (400, page, "text/html"),
        (404, page, "text/html"),
        (500, page, "text/html"),
        (502, page, "text/html"),
        (503, "upstream connect error at 10.0.0.7", "text/plain"),
        (500, "{\"error\":{\"message\":\"nginx at 10.0.0.7", "application/json"),
        (500, "", "application/json"),
        (200, page, "text/html"),
        (200, "", "application/json"),
        (200, "{\"id\":\"10.0.0.7", "application/json"),
        (200, "[]", "application/json"),
        (200, "null", "application/json"),
        (200, "{}", "application/json"),
        (204, "", "application/json"),
        (200, page, ""),
        (200, "data is not here: 10.0.0.7", "text/plain"),
        (200, "data: 10.0.0.7\n\n", "text/plain"),
        (202, "{\"queued\":\"10.0.0.7\"}", "application/json"),
    ] {
        everywhere(
            |_| Script::answer(status, &format!("content-type: {kind_of_body}\r\n"), body),
            |case, _, Failed { told, reply, .. }| {
                let expect = if status == 400 || status == 404 { status } else { 502 };
                assert_eq!(told.status, expect, "{case} {status} {body}: {told:?}");
                for piece in ["nginx", "10.0.0.7", "<"] {
                    assert!(!reply.text().contains(piece), "{case} {status} {body}: {}", reply.text());
                }
            },
        )
        .await;
    }
}

/// An error in a body of status 200 keeps the class that it names.
#[tokio::test(start_paused = true)]
async fn an_error_with_status_200_is_an_error() {
    everywhere(
        |kind| Script::json(200, &pieces::error(kind, 500, "out of memory").to_string()),
        |case, _, Failed { told, tries, .. }| {
            // Cohere's error is an object like any other: it lacks what an answer has.
            let message = told.message.as_str();
            assert!(message == "out of memory" || case.starts_with("cohere"), "{case}: {told:?}");
            assert_eq!((told.verdict(), tries), ((502, "upstream_error"), 3), "{case}");
        },
    )
    .await;
}

#[tokio::test(start_paused = true)]
async fn an_error_with_status_200_keeps_its_class() {
    let openai = |code: Value| json!({ "error": { "message": "acme", "type": "t", "param": null, "code": code } });
    let anthropic = |kind: &str| json!({ "type": "error", "error": { "type": kind, "message": "acme" } });
    let google = |word: &str| json!({ "error": { "message": "acme", "status": word } });
    for (kind, body, status, code) in [
        ("openai-compatible", openai(json!(429)), 429, "rate_limited"),
        ("openai-compatible", openai(json!("rate_limit_exceeded")), 429, "rate_limited"),
        ("openai-compatible", openai(json!(401)), 502, "upstream_auth_error"),
        ("openai-compatible", openai(json!("invalid_api_key")), 502, "upstream_auth_error"),
        ("openai-compatible", openai(json!("context_length_exceeded")), 400, "context_length_exceeded"),
        ("openai-compatible", openai(json!("server_error")), 502, "upstream_error"),
        ("anthropic", anthropic("overloaded_error"), 529, "upstream_error"),
        ("anthropic", anthropic("rate_limit_error"), 429, "rate_limited"),
        ("anthropic", anthropic("invalid_request_error"), 400, "invalid_request"),
        ("anthropic", anthropic("authentication_error"), 502, "upstream_auth_error"),
        ("anthropic", anthropic("permission_error"), 502, "upstream_auth_error"),
        ("anthropic", anthropic("api_error"), 502, "upstream_error"),
        ("gemini", google("RESOURCE_EXHAUSTED"), 429, "rate_limited"),
        ("gemini", google("INVALID_ARGUMENT"), 400, "invalid_request"),
        ("gemini", google("UNAUTHENTICATED"), 502, "upstream_auth_error"),
        ("gemini", google("INTERNAL"), 502, "upstream_error"),
    ] {
        for (caller, stream, Failed { told, reply, .. }) in asked(kind, Script::json(200, &body.to_string())).await {
            let status = if status == 529 && caller == Caller::Openai { 502 } else { status };
            assert_eq!(told.verdict(), (status, code), "{caller:?} {stream} {body}");
            assert_eq!(reply.text().contains("acme"), code != "upstream_auth_error", "{body}");
        }
    }
}

/// Connections that are refused, break off, or stay silent.
#[tokio::test(start_paused = true)]
async fn what_is_no_answer_at_all() {
    let head = "HTTP/1.1 200 OK\r\ncontent-length: 900\r\n\r\n{";
    for (script, status, code, tries) in [
        (Script::Refuse, 502, "upstream_error", 3),
        (Script::Unreachable, 502, "upstream_error", 3),
        (Script::new().close(), 502, "upstream_error", 3),
        (Script::new().reset(), 502, "upstream_error", 3),
        (Script::new().send("\x16\x03\x01 what?\r\n\r\n").close(), 502, "upstream_error", 3),
        (Script::new().stall(), 504, "upstream_timeout", 1),
    ] {
        everywhere(
            |_| script.clone(),
            |case, _, Failed { told, tries: tried, .. }| {
                assert_eq!((told.verdict(), tried), ((status, code), tries), "{case} {script:?}");
            },
        )
        .await;
    }
    for kind in KINDS {
        for (script, status) in [(Script::new().send(head).close(), 502), (Script::new().send(head).stall(), 504)] {
            for (_, stream, Failed { told, .. }) in asked(kind, script.clone()).await {
                assert!(told.status == status || stream, "{kind}: {told:?}");
            }
        }
    }
}

/// A redirect is not followed: the credential would go where the provider says.
#[tokio::test(start_paused = true)]
async fn redirects_are_not_followed() {
    for status in [301, 302, 303, 307, 308] {
        for kind in KINDS {
            let script = Script::answer(status, "location: http://elsewhere.test/v1/x\r\n", "moved to elsewhere");
            let gateway = Gateway::builder()
                .provider_of("p", kind, vec![script])
                .host("elsewhere", vec![whole(kind, Answer::Text)])
                .start();
            let reply = Caller::Anthropic.ask(&gateway, "", &Caller::Anthropic.request(false)).await;
            assert_eq!(Caller::Anthropic.told(&reply).verdict(), (502, "upstream_error"), "{kind} {status}");
            assert!(!reply.text().contains("elsewhere") && reply.header("location").is_none());
            assert_eq!(gateway.provider("elsewhere").connections(), 0);
            gateway.one().await;
        }
    }
}

/// What failed at the targets that were asked is told, not that the last one could not be told the request.
#[tokio::test(start_paused = true)]
async fn the_last_answer_is_told_and_not_the_last_refusal() {
    let failing = Script::error(500, "out of memory");
    let mut body = Caller::Openai.request(false);
    body["n"] = json!(2);
    let gateway = Gateway::builder()
        .provider("p", failing)
        .provider_of("q", "anthropic", vec![whole("anthropic", Answer::Text)])
        .start();
    let reply = Caller::Openai.ask(&gateway, "", &body).await;
    let told = Caller::Openai.told(&reply);
    assert_eq!((told.verdict(), told.message.as_str()), ((502, "upstream_error"), "out of memory"));
    assert_eq!(gateway.provider("q").requests().len(), 0);
    let record = gateway.one().await;
    assert_eq!((record.attempts.len(), record.status), (2, 502));
}

/// Servers exist that call an error a stream without writing it as one, or as an event that has no name.
#[tokio::test(start_paused = true)]
async fn an_error_that_is_called_a_stream_is_told() {
    for size in [1, 1000] {
        for (before, after) in [("", ""), ("\n", ""), ("data: ", "\n\n")] {
            let script = |kind: &str| {
                let body = pieces::error(kind, 500, "field x is wrong");
                // Ollama's streams are lines of JSON.
                let before = if kind == "ollama" { "\n" } else { before };
                let body = format!("{before}{body}{after}");
                Script::new()
                    .send("HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n")
                    .cut([testkit::script::chunk(body.as_bytes()), b"0\r\n\r\n".to_vec()].concat(), size)
            };
            everywhere(script, |case, _, Failed { told, .. }| {
                // Whoever asked for a whole answer got events.
                if after.is_empty() || case.ends_with("true") {
                    assert_eq!(told.message, "field x is wrong", "{case} {before:?} in segments of {size}");
                }
            })
            .await;
        }
    }
}
