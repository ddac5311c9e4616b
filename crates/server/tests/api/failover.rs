//! Targets that fail before they answer: the next one is tried, the same one again, or the failure is passed on.

use testkit::client::now;
use testkit::data;
use testkit::gateway::{Gateway, REQUEST, STREAM, credential};
use testkit::script::Script;

/// The first target does this; the second answers.
async fn leads_on(script: Script, error: &str) {
    for (body, answer) in [(REQUEST, Script::chat("Hello")), (STREAM, Script::streamed(&["Hello"]))] {
        let builder = Gateway::builder().provider_with("p", "first_token_timeout_ms = 5000", vec![script.clone()]);
        let gateway = builder.provider("q", answer).start();
        let reply = gateway.chat(body).await;
        assert_eq!((reply.status, reply.header("x-crossway-provider")), (200, Some("q")), "{error}: {}", reply.text());
        assert_eq!(reply.header("x-crossway-attempts"), Some("2"));
        assert!(reply.text().contains("Hello"));
        let record = gateway.one().await;
        assert_eq!((record.outcome.as_str(), record.provider.as_deref()), ("succeeded", Some("q")));
        let trail: Vec<&str> = record.attempts.iter().map(|attempt| attempt.provider.as_str()).collect();
        assert_eq!(trail, ["p", "q"]);
        let said = record.attempts[0].error.as_deref().unwrap();
        assert!(said.starts_with(error), "{said} is not {error}");
        assert_eq!(record.attempts[1].error, None);
        assert_eq!(record.attempts[1].reason, "same model at another provider");
        assert!(gateway.provider("p").requests().len() <= 1, "it is not asked again while there is another");
    }
}

#[tokio::test(start_paused = true)]
async fn a_target_that_cannot_be_reached() {
    leads_on(Script::Refuse, "connect").await;
    leads_on(Script::Unreachable, "connect").await;
}

#[tokio::test(start_paused = true)]
async fn a_target_that_says_it_cannot() {
    for (status, error) in [
        (500, "server"),
        (502, "server"),
        (503, "server"),
        (504, "server"),
        (301, "server"),
        (429, "rate_limited"),
        (529, "overloaded"),
        (408, "request_timeout"),
        (401, "auth"),
        (403, "auth"),
        (402, "payment"),
    ] {
        leads_on(Script::error(status, "no"), error).await;
    }
    leads_on(Script::error(503, "The model is overloaded"), "overloaded").await;
}

#[tokio::test(start_paused = true)]
async fn a_target_that_does_not_answer_in_time() {
    leads_on(Script::new().stall(), "timeout").await;
    leads_on(Script::new().send("HTTP/1.1 200 OK\r\ncontent-").stall(), "timeout").await;
}

#[tokio::test(start_paused = true)]
async fn a_target_that_breaks_off() {
    leads_on(Script::new().close(), "broken").await;
    leads_on(Script::new().reset(), "broken").await;
    leads_on(Script::new().send("HTTP/1.1 200 OK\r\ncontent-le").close(), "broken").await;
    leads_on(Script::new().send("HTTP/1.1 200 OK\r\ncontent-length: 900\r\n\r\n{\"id\":").close(), "").await;
    leads_on(Script::new().send("HTTP/1.1 200 OK\r\ncontent-length: 900\r\n\r\n{\"id\":").reset(), "").await;
}

#[tokio::test(start_paused = true)]
async fn a_target_that_answers_nonsense() {
    leads_on(Script::new().send("\x16\x03\x01 what?\r\n\r\n").close(), "malformed").await;
    leads_on(Script::answer(200, "", "<html>hello</html>"), "malformed").await;
    leads_on(Script::json(200, r#"{"id":"chatcmpl-1","choices":[{"#), "malformed").await;
    leads_on(Script::json(200, "{}"), "malformed").await;
    leads_on(Script::json(200, ""), "malformed").await;
    leads_on(Script::error(200, "sorry"), "").await;
}

/// The only target does this; returns what the caller sees, and how often the target was asked.
async fn passed_on(body: &str, script: Script) -> (testkit::client::Reply, usize) {
    let gateway = Gateway::builder().provider("p", script).start();
    let reply = gateway.chat(body).await;
    let record = gateway.one().await;
    assert_eq!((record.outcome.as_str(), record.status), ("failed", reply.status));
    assert_eq!(record.error.unwrap().code.as_deref(), Some(reply.code().as_str()));
    assert_eq!(reply.header("x-crossway-attempts"), Some(record.attempts.len().to_string().as_str()));
    assert_eq!(
        (record.usage.origin.as_str(), record.model, record.cost_usd.map(|cost| cost.0)),
        ("none", None, Some(0))
    );
    (reply, record.attempts.len())
}

#[tokio::test(start_paused = true)]
async fn the_callers_own_mistakes_are_passed_on_at_once() {
    for body in [REQUEST, STREAM] {
        for (status, code) in [
            (400, "invalid_request"),
            (404, "not_found"),
            (409, "invalid_request"),
            (413, "request_too_large"),
            (422, "invalid_request"),
        ] {
            let (reply, tries) = passed_on(body, Script::error(status, "field x is wrong")).await;
            assert_eq!((reply.status, reply.code().as_str(), tries), (status, code, 1));
            assert_eq!(reply.message(), "field x is wrong");
        }
    }
}

/// Acceptance RETRY-05.
#[tokio::test(start_paused = true)]
async fn the_callers_own_mistakes_do_not_lead_on() {
    for status in [400, 404, 409, 413, 422] {
        let builder = Gateway::builder().provider("p", Script::error(status, "wrong"));
        let gateway = builder.provider("q", Script::chat("Hello")).start();
        assert_eq!(gateway.chat(REQUEST).await.status, status);
        assert_eq!(gateway.provider("q").requests().len(), 0);
        gateway.one().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_blamed_field_is_named() {
    let body = r#"{"error":{"message":"bad","type":"invalid_request_error","param":"messages[0]","code":"x"}}"#;
    let (reply, _) = passed_on(REQUEST, Script::json(400, body)).await;
    assert_eq!(reply.json()["error"]["param"], "messages[0]");
}

#[tokio::test(start_paused = true)]
async fn a_prompt_that_does_not_fit_keeps_its_code() {
    let message = "This model's maximum context length is 10 tokens";
    let (reply, tries) = passed_on(REQUEST, Script::error(400, message)).await;
    assert_eq!((reply.status, reply.code().as_str(), tries), (400, "context_length_exceeded", 1));
    assert_eq!(reply.message(), message);
}

/// Acceptance LEAK-03.
#[tokio::test(start_paused = true)]
async fn the_operators_credential_is_not_told() {
    for status in [401, 403] {
        let said = format!("Incorrect API key provided: {}. Org org-canary123456", credential("p"));
        let (reply, tries) = passed_on(REQUEST, Script::error(status, &said)).await;
        assert_eq!((reply.status, reply.code().as_str(), tries), (502, "upstream_auth_error", 1));
        assert!(!reply.text().contains("canary"), "{}", reply.text());
    }
}

#[tokio::test(start_paused = true)]
async fn no_error_tells_a_credential() {
    let said = format!("your key {} is odd", credential("p"));
    for status in [200, 400, 404, 413, 422, 429, 500, 503, 529] {
        let gateway = Gateway::builder().provider("p", Script::error(status, &said)).start();
        let reply = gateway.chat(REQUEST).await;
        assert!(reply.status >= 400 && !reply.text().contains("canary"), "{status}: {}", reply.text());
        let record = serde_json::to_string(&gateway.one().await).unwrap();
        assert!(!record.contains("canary"), "{status}: {record}");
    }
}

/// Acceptance SSRF-07.
#[tokio::test(start_paused = true)]
async fn a_page_is_not_passed_on() {
    let page = "<html><body>nginx 1.2 at 10.0.0.7</body></html>";
    for status in [400, 404, 500, 502, 503] {
        let (reply, _) = passed_on(REQUEST, Script::answer(status, "content-type: text/html\r\n", page)).await;
        assert!(!reply.text().contains("nginx") && !reply.text().contains('<'), "{}", reply.text());
    }
}

#[tokio::test(start_paused = true)]
async fn what_may_pass_is_tried_again_and_no_more() {
    for script in [Script::Refuse, Script::error(500, "no"), Script::new().close(), Script::answer(200, "", "nonsense")]
    {
        for body in [REQUEST, STREAM] {
            let (reply, tries) = passed_on(body, script.clone()).await;
            assert_eq!((reply.status, reply.code().as_str(), tries), (502, "upstream_error", 3));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_passes_is_answered() {
    let scripts = vec![Script::error(500, "no").close(), Script::new().close(), Script::chat("Hello")];
    let gateway = Gateway::builder().provider_with("p", "", scripts).start();
    let reply = gateway.chat(REQUEST).await;
    assert_eq!((reply.status, reply.header("x-crossway-attempts")), (200, Some("3")));
    assert_eq!(gateway.one().await.attempts.len(), 3);
}

/// Acceptance RATE-06.
#[tokio::test(start_paused = true)]
async fn a_limit_is_passed_on_with_its_wait_and_not_tried_again() {
    for (field, wait) in [("retry-after: 7", "7"), ("retry-after-ms: 1500", "2"), ("retry-after: 0.2", "1")] {
        let script = Script::answer(429, &format!("{field}\r\n"), &data::error("slow down"));
        let (reply, tries) = passed_on(REQUEST, script).await;
        assert_eq!((reply.status, reply.code().as_str(), tries), (429, "rate_limited", 1));
        assert_eq!((reply.header("retry-after"), reply.message().as_str()), (Some(wait), "slow down"));
    }
    let (reply, _) = passed_on(REQUEST, Script::answer(429, "retry-after: soon\r\n", "")).await;
    assert_eq!(reply.header("retry-after"), Some("1"), "every 429 says when");
}

#[tokio::test(start_paused = true)]
async fn retries_have_a_budget() {
    let gateway = Gateway::builder().provider("p", Script::error(500, "no")).start();
    for _ in 0..40 {
        assert_eq!(gateway.chat(REQUEST).await.status, 502);
    }
    let asked = gateway.provider("p").requests().len();
    // Ten in a window, and a tenth of what is asked.
    assert!((50..=56).contains(&asked), "{asked}");
    gateway.records(40).await;
}

#[tokio::test(start_paused = true)]
async fn a_silent_target_is_a_timeout() {
    let script = vec![Script::new().stall()];
    for body in [REQUEST, STREAM] {
        let builder = Gateway::builder().provider_with("p", "first_token_timeout_ms = 5000", script.clone());
        let gateway = builder.start();
        let reply = gateway.chat(body).await;
        assert_eq!((reply.status, reply.code().as_str()), (504, "upstream_timeout"));
        gateway.provider("p").cancelled().await;
        assert_eq!(gateway.one().await.attempts.len(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn all_tries_share_one_deadline() {
    let slow = Script::new().wait(20).send("HTTP/1.1 500 X\r\ncontent-length: 0\r\n\r\n");
    let builder = Gateway::builder().provider("p", slow.clone()).provider("q", slow);
    let gateway = builder.start();
    let before = now();
    let reply = gateway.chat_with("x-crossway-timeout-ms: 30000\r\n", REQUEST).await;
    assert_eq!((reply.status, before.elapsed().as_secs()), (504, 30));
    assert_eq!(gateway.one().await.attempts.len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_policy_leads_to_another_model() {
    let config = "[[models]]\nslug = \"other\"\nprovider = \"q\"\n[[fallbacks]]\nmodel = \"solo\"\nfallbacks = [\"other\"]\n\
                  on = [\"404_model\"]\n[[models]]\nslug = \"solo\"\nprovider = \"p\"\n";
    let builder = Gateway::builder().provider("p", Script::error(404, "no such model"));
    let gateway = builder.provider("q", Script::chat("Hello")).config(config).start();
    let reply = gateway.chat(&REQUEST.replace(r#""m""#, r#""solo""#)).await;
    assert_eq!((reply.status, reply.header("x-crossway-model")), (200, Some("other")));
    assert_eq!(gateway.one().await.attempts[1].reason, "fallback policy");
}

#[tokio::test(start_paused = true)]
async fn a_request_that_was_here_before_is_refused() {
    let gateway = Gateway::builder().provider("p", Script::chat("Hello")).start();
    let own = gateway.assembly.core.instance.to_string();
    let hops = ["a"; 8].join(", ");
    for seen in [own.clone(), format!("0123456789abcdef, {own}"), hops] {
        let reply = gateway.chat_with(&format!("x-crossway-hop: {seen}\r\n"), REQUEST).await;
        assert_eq!((reply.status, reply.code().as_str()), (502, "loop_detected"), "{seen}");
    }
    assert_eq!(gateway.chat_with("x-crossway-hop: 0123456789abcdef\r\n", REQUEST).await.status, 200);
    let hop = format!("0123456789abcdef, {own}");
    assert_eq!(gateway.provider("p").request().header("x-crossway-hop"), Some(hop.as_str()));
    gateway.one().await;
}

#[tokio::test(start_paused = true)]
async fn a_provider_that_points_back_is_told_as_a_loop_and_asked_once() {
    let body = r#"{"error":{"message":"it points back","type":"server_error","param":null,"code":"loop_detected"}}"#;
    let head = "HTTP/1.1 502 X\r\ncontent-type: application/json\r\nx-crossway-error-code: loop_detected\r\n";
    let script = || Script::new().send(format!("{head}content-length: {}\r\n\r\n{body}", body.len()));
    let gateway = Gateway::builder().provider_with("p", "", vec![script(), script(), script()]).start();
    for request in [REQUEST.to_owned(), REQUEST.replacen('{', r#"{"stream":true,"#, 1)] {
        let reply = gateway.chat(&request).await;
        assert_eq!((reply.status, reply.code().as_str()), (502, "loop_detected"));
        assert_eq!(reply.header("x-crossway-attempts"), Some("1"), "each try would go round the whole loop again");
    }
    gateway.records(2).await;
}

#[tokio::test(start_paused = true)]
async fn an_idle_connection_that_the_provider_closed_is_no_failure() {
    let answer = |last: bool| if last { Script::chat("Hello") } else { Script::chat("Hello").close() };
    let gateway = Gateway::builder().provider_with("p", "", vec![answer(false), answer(true)]).start();
    for _ in 0..2 {
        let reply = gateway.chat(REQUEST).await;
        assert_eq!((reply.status, reply.header("x-crossway-attempts")), (200, Some("1")));
    }
    assert_eq!(gateway.provider("p").connections(), 2);
    gateway.records(2).await;
}

#[tokio::test(start_paused = true)]
async fn an_error_whose_body_never_comes_is_still_an_error() {
    let script = Script::new().send("HTTP/1.1 429 X\r\nretry-after: 3\r\ncontent-length: 90\r\n\r\n{").stall();
    let gateway = Gateway::builder().provider("p", script).start();
    let start = now();
    let reply = gateway.chat(REQUEST).await;
    assert_eq!((reply.status, reply.header("retry-after")), (429, Some("3")));
    assert_eq!(start.elapsed().as_secs(), 10);
    gateway.one().await;
}

#[tokio::test(start_paused = true)]
async fn a_provider_that_answers_before_it_has_read_all_is_heard() {
    // The pipe is smaller than the request, and the provider reads no more of it.
    let body = REQUEST.replace("hi", &"x".repeat(1 << 20));
    let gateway = Gateway::builder().provider("p", Script::error(413, "too much")).start();
    let reply = gateway.chat(&body).await;
    assert_eq!((reply.status, reply.message().as_str()), (413, "too much"));
    gateway.one().await;
}

#[tokio::test(start_paused = true)]
async fn an_answer_in_a_coding_that_was_not_asked_for_is_no_answer() {
    leads_on(Script::answer(200, "content-encoding: gzip\r\n", "\u{1f}\u{8b}..."), "malformed").await;
}

#[tokio::test(start_paused = true)]
async fn a_buffered_body_may_trickle() {
    let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n";
    let script = (0..10).fold(Script::new().send(head), |script, _| script.wait(10).chunk("\n"));
    let script = script.chunk(data::completion("Hello")).end();
    let gateway = Gateway::builder().provider_with("p", "idle_timeout_ms = 20000", vec![script]).start();
    let reply = gateway.chat(REQUEST).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    assert!(reply.text().contains("Hello"));
    gateway.one().await;
}

#[tokio::test(start_paused = true)]
async fn a_reused_connection_that_breaks_late_is_a_failed_attempt() {
    let scripts = vec![Script::chat("1"), Script::new().wait(40).close(), Script::chat("2")];
    let gateway = Gateway::builder().provider_with("p", "", scripts).start();
    gateway.chat(REQUEST).await;
    let reply = gateway.chat(REQUEST).await;
    assert_eq!((reply.status, reply.header("x-crossway-attempts")), (200, Some("2")));
    gateway.records(2).await;
}

/// Who closes an idle connection may say so with a 408, which then meets a request that it does not answer.
#[tokio::test(start_paused = true)]
async fn a_farewell_on_a_reused_connection_is_no_answer() {
    let farewell = || Script::answer(408, "connection: close\r\n", "").close();
    let scripts = vec![Script::chat("1"), farewell(), Script::chat("2")];
    let gateway = Gateway::builder().provider_with("p", "", scripts).start();
    gateway.chat(REQUEST).await;
    let reply = gateway.chat(REQUEST).await;
    assert_eq!((reply.status, reply.header("x-crossway-attempts")), (200, Some("1")), "{}", reply.text());
    // On a connection of its own it is an answer, and so is one that came late or that keeps the connection.
    for scripts in [
        vec![farewell()],
        vec![Script::chat("1"), Script::answer(408, "", "")],
        vec![Script::chat("1"), Script::new().wait(40).send("HTTP/1.1 408 X\r\nconnection: close\r\n\r\n").close()],
    ] {
        let earlier = scripts.len() - 1;
        let gateway = Gateway::builder().provider_with("p", "", scripts).start();
        for _ in 0..earlier {
            gateway.chat(REQUEST).await;
        }
        assert_eq!(gateway.chat(REQUEST).await.status, 408);
        gateway.records(earlier + 1).await;
    }
    gateway.records(2).await;
}
