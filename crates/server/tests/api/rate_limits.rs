//! The provider's rate-limit headers (P8), on both surfaces, whole and streamed.

use testkit::caller::Caller;
use testkit::dialects::{Answer, body, stream};
use testkit::gateway::Gateway;
use testkit::script::Script;

/// Answers with header lines.
fn with(kind: &str, fields: &str, streamed: bool) -> Script {
    let (media, text) = match streamed {
        true => ("text/event-stream", stream(kind, Answer::Text)),
        false => ("application/json", body(kind, Answer::Text).to_string()),
    };
    let length = text.len();
    Script::new()
        .send(format!("HTTP/1.1 200 OK\r\ncontent-type: {media}\r\ncontent-length: {length}\r\n{fields}\r\n{text}"))
}

/// Asks and returns the limits in the reply's head, sorted.
async fn limits(caller: Caller, kind: &'static str, fields: &str, streamed: bool) -> Vec<(String, String)> {
    let gateway = Gateway::builder().provider_of("p", kind, vec![with(kind, fields, streamed)]).start();
    let reply = caller.ask(&gateway, "", &caller.request(streamed)).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    assert!(reply.header("set-cookie").is_none() && reply.header("server").is_none());
    gateway.one().await;
    let size: usize = reply.headers.iter().map(|(name, value)| name.len() + value.len()).sum();
    assert!(size < 8 << 10, "{size}");
    let mut found: Vec<_> = reply.headers.into_iter().filter(|(name, _)| name.contains("ratelimit")).collect();
    found.sort();
    found
}

async fn check(kind: &'static str, fields: &str, openai: &[(&str, &str)], anthropic: &[(&str, &str)]) {
    for (caller, expect) in [(Caller::Openai, openai), (Caller::Anthropic, anthropic)] {
        for streamed in [false, true] {
            let fields = format!("{fields}server: x\r\nset-cookie: a=b\r\n");
            let found = limits(caller, kind, &fields, streamed).await;
            let found: Vec<_> = found.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
            assert_eq!(found, expect, "{kind} {caller:?} streamed: {streamed}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn openais_are_passed_on_both_surfaces() {
    let fields = "X-RateLimit-Limit-Requests: 60\r\nx-ratelimit-limit-tokens: 1000\r\n\
                  x-ratelimit-remaining-requests: 59\r\nx-ratelimit-remaining-tokens: 990\r\n\
                  x-ratelimit-reset-requests: 1s\r\nx-ratelimit-reset-tokens: 6m0s\r\nx-ratelimit-of-ours: 1\r\n";
    let expect = [
        ("x-ratelimit-limit-requests", "60"),
        ("x-ratelimit-limit-tokens", "1000"),
        ("x-ratelimit-remaining-requests", "59"),
        ("x-ratelimit-remaining-tokens", "990"),
        ("x-ratelimit-reset-requests", "1s"),
        ("x-ratelimit-reset-tokens", "6m0s"),
    ];
    for kind in ["openai-compatible", "openai-responses", "gemini"] {
        check(kind, fields, &expect, &expect).await;
    }
}

#[tokio::test(start_paused = true)]
async fn anthropics_are_passed_to_its_own_clients_and_said_in_openais_words() {
    let fields = "anthropic-ratelimit-requests-limit: 50\r\nanthropic-ratelimit-requests-remaining: 49\r\n\
                  anthropic-ratelimit-requests-reset: 2026-01-01T00:00:00Z\r\nAnthropic-RateLimit-Tokens-Limit: 9000\r\n\
                  anthropic-ratelimit-tokens-remaining: 8000\r\nanthropic-ratelimit-input-tokens-limit: 7\r\n\
                  anthropic-ratelimit-output-tokens-remaining: 6\r\nanthropic-organization-id: canary\r\n";
    let same = [
        ("x-ratelimit-limit-requests", "50"),
        ("x-ratelimit-limit-tokens", "9000"),
        ("x-ratelimit-remaining-requests", "49"),
        ("x-ratelimit-remaining-tokens", "8000"),
    ];
    let own = [
        ("anthropic-ratelimit-input-tokens-limit", "7"),
        ("anthropic-ratelimit-output-tokens-remaining", "6"),
        ("anthropic-ratelimit-requests-limit", "50"),
        ("anthropic-ratelimit-requests-remaining", "49"),
        ("anthropic-ratelimit-requests-reset", "2026-01-01T00:00:00Z"),
        ("anthropic-ratelimit-tokens-limit", "9000"),
        ("anthropic-ratelimit-tokens-remaining", "8000"),
    ];
    check("anthropic", fields, &same, &[own.as_slice(), &same].concat()).await;
}

/// INJ-05: a provider cannot fill the caller's head, nor say one thing twice.
#[tokio::test(start_paused = true)]
async fn what_a_provider_makes_of_them_is_bounded() {
    let twice = "x-ratelimit-limit-requests: 60\r\n".repeat(60) + "anthropic-ratelimit-requests-limit: 50\r\n";
    let expect = [("x-ratelimit-limit-requests", "60")];
    let own = [("anthropic-ratelimit-requests-limit", "50"), ("x-ratelimit-limit-requests", "60")];
    check("anthropic", &twice, &expect, &own).await;
    let long = format!("x-ratelimit-limit-requests: {}\r\nx-ratelimit-limit-tokens: 9\r\n", "1".repeat(30_000));
    let expect = [("x-ratelimit-limit-tokens", "9")];
    check("openai-compatible", &long, &expect, &expect).await;
    check("openai-compatible", "x-ratelimit-limit-requests: \u{e9}\r\n", &[], &[]).await;
}

/// Acceptance RATE-06.
#[tokio::test(start_paused = true)]
async fn a_failure_has_its_wait_and_its_limits() {
    let fields =
        "retry-after: 3\r\nx-ratelimit-limit-requests: 60\r\nx-ratelimit-remaining-requests: 0\r\nserver: x\r\n";
    for caller in Caller::BOTH {
        let script = Script::answer(429, fields, &testkit::data::error("slow down"));
        let gateway = Gateway::builder().provider("p", script).start();
        let reply = caller.ask(&gateway, "", &caller.request(false)).await;
        assert_eq!((caller.told(&reply).status, reply.header("retry-after")), (429, Some("3")));
        assert_eq!(reply.header("x-ratelimit-limit-requests"), Some("60"));
        assert_eq!((reply.header("x-ratelimit-remaining-requests"), reply.header("server")), (Some("0"), None));
        gateway.one().await;
        let dates = "date: Wed, 21 Oct 2026 07:28:00 GMT\r\nretry-after: Wed, 21 Oct 2026 07:28:09 GMT\r\n";
        let script = Script::answer(429, dates, &testkit::data::error("slow down"));
        let gateway = Gateway::builder().provider("p", script).start();
        let reply = caller.ask(&gateway, "", &caller.request(false)).await;
        assert_eq!((caller.told(&reply).status, reply.header("retry-after")), (429, Some("9")), "a date");
        gateway.one().await;
        // What is said of the operator's account stays with the operator.
        let script = Script::answer(401, fields, &testkit::data::error("who are you"));
        let gateway = Gateway::builder().provider("p", script).start();
        let reply = caller.ask(&gateway, "", &caller.request(false)).await;
        assert_eq!(reply.header("x-ratelimit-limit-requests"), None);
        gateway.one().await;
        let script = Script::answer(429, "", &testkit::data::error("slow down"));
        let gateway = Gateway::builder().provider("p", script).start();
        let reply = caller.ask(&gateway, "", &caller.request(false)).await;
        assert_eq!((caller.told(&reply).status, reply.header("retry-after")), (429, Some("1")), "every 429 says when");
        gateway.one().await;
    }
}
