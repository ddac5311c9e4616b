//! Streams of every dialect on both surfaces, spliced and translated: the first content decides whether another target
//! is asked; after it the caller is told, in its own dialect and without an end marker.

use testkit::caller::Caller;
use testkit::client::now;
use testkit::dialects::{Answer, KINDS, TEXT, streamed};
use testkit::gateway::{Gateway, credential};
use testkit::heard::{Heard, heard};
use testkit::pieces::{self, begun, delta, error_event, head, preamble, rest};
use testkit::script::Script;

/// The dialect after this one, so that every failover crosses from one to another.
fn next(kind: &str) -> &'static str {
    let at = KINDS.iter().position(|other| *other == kind).unwrap();
    KINDS[(at + 1) % KINDS.len()]
}

/// The first target begins a stream like this; the second, of another dialect, answers, and nothing of the first is
/// seen.
async fn leads_on(script: impl Fn(&'static str) -> Script, why: &str) {
    for kind in KINDS {
        for caller in Caller::BOTH {
            // Each its own: the next request would begin with the one that works.
            let gateway = Gateway::builder()
                .provider_like("p", kind, "first_token_timeout_ms = 5000", vec![script(kind)])
                .provider_of("q", next(kind), vec![streamed(next(kind), Answer::Text, 1_000)])
                .start();
            let case = format!("{why}: {kind} {caller:?}");
            let reply = caller.ask(&gateway, "", &caller.request(true)).await;
            assert_eq!(reply.header("x-crossway-provider"), Some("q"), "{case}: {}", reply.text());
            let heard = heard(caller, &reply);
            assert_eq!((heard.text.as_str(), heard.ended), (TEXT, true), "{case}: {}", reply.text());
            let starts = reply.text().matches("message_start").count() + reply.text().matches("\"role\"").count();
            assert!(!reply.text().contains("WRONG") && starts <= 3, "{case}: {}", reply.text());
            let record = gateway.one().await;
            assert_eq!((record.outcome.as_str(), record.attempts.len()), ("succeeded", 2), "{case}");
            assert_eq!(record.usage.output_tokens, 4, "what the first reported is not counted");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn before_the_first_content_the_next_target_answers() {
    leads_on(|kind| head(kind).stall(), "silence").await;
    leads_on(|kind| head(kind).end(), "an empty body").await;
    leads_on(|kind| head(kind).close(), "a close").await;
    leads_on(|kind| head(kind).chunk(preamble(kind)).stall(), "preamble, silence").await;
    leads_on(|kind| head(kind).chunk(preamble(kind)).end(), "preamble, end").await;
    leads_on(|kind| head(kind).chunk(preamble(kind)).close(), "preamble, close").await;
    leads_on(|kind| head(kind).chunk(preamble(kind)).reset(), "preamble, reset").await;
}

#[tokio::test(start_paused = true)]
async fn errors_before_the_first_content_lead_on() {
    leads_on(|kind| head(kind).chunk(error_event(kind, "WRONG")).end(), "error").await;
    leads_on(|kind| head(kind).chunk(preamble(kind) + &error_event(kind, "WRONG")).end(), "preamble, error").await;
    leads_on(|kind| head(kind).chunk(begun(kind, "WRONG") + &error_event(kind, "WRONG")).end(), "unseen content").await;
    leads_on(|kind| Script::json(200, &pieces::error(kind, 500, "WRONG").to_string()), "an error as a body").await;
    leads_on(|_| Script::answer(200, "content-type: text/html\r\n", "<html>WRONG"), "a page").await;
    leads_on(|kind| head(kind).send("xyz\r\n").close(), "no chunk").await;
}

#[tokio::test(start_paused = true)]
async fn corrupt_events_before_the_first_content_lead_on() {
    for corrupt in ["{\"WRONG", "\u{1}", "[]", "7", "null"] {
        let frame = |kind: &str| if kind == "ollama" { format!("{corrupt}\n") } else { format!("data: {corrupt}\n\n") };
        leads_on(|kind| head(kind).chunk(preamble(kind) + &frame(kind)).end(), corrupt).await;
    }
}

/// The only target stays silent: whatever it began with, the status is still to be decided.
#[tokio::test(start_paused = true)]
async fn a_stream_without_content_is_a_timeout() {
    for kind in KINDS {
        for script in [head(kind).stall(), head(kind).chunk(preamble(kind)).stall()] {
            let toml = "first_token_timeout_ms = 5000";
            let gateway = Gateway::builder().provider_like("p", kind, toml, vec![script]).start();
            for caller in Caller::BOTH {
                let start = now();
                let reply = caller.ask(&gateway, "", &caller.request(true)).await;
                assert_eq!(caller.told(&reply).verdict(), (504, "upstream_timeout"), "{kind} {caller:?}");
                assert_eq!(start.elapsed().as_secs(), 5, "{kind} {caller:?}");
            }
            for record in gateway.records(2).await {
                assert_eq!((record.outcome.as_str(), record.usage.origin.as_str()), ("failed", "none"), "{kind}");
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn pings_without_content_are_no_answer() {
    let ping = |kind: &str| match kind {
        "anthropic" => "event: ping\ndata: {\"type\": \"ping\"}\n\n".to_owned(),
        "ollama" => "\n".to_owned(),
        _ => ": ping\n\n".to_owned(),
    };
    leads_on(|kind| (0..60).fold(head(kind), |script, _| script.chunk(ping(kind)).wait(1)), "pings").await;
}

/// Streams break off after their first content like this; another target must not be asked. Returns what was heard.
async fn breaks_off(script: impl Fn(&'static str) -> Script, why: &str, status: u16, says: &str) -> Vec<Heard> {
    let mut all = Vec::new();
    for kind in KINDS {
        for caller in Caller::BOTH {
            // Each has its own: who broke off once is not the first one any more.
            let gateway = Gateway::builder()
                .provider_like("p", kind, "idle_timeout_ms = 20000", vec![script(kind)])
                .provider_of("q", next(kind), vec![streamed(next(kind), Answer::Text, 1_000)])
                .start();
            let case = format!("{why}: {kind} {caller:?}");
            let reply = caller.ask(&gateway, "", &caller.request(true)).await;
            let heard = heard(caller, &reply);
            assert_eq!((heard.text.as_str(), heard.ended), ("Hello", false), "{case}: {}", reply.text());
            let error = heard.error.clone().unwrap_or_else(|| panic!("{case}: {}", reply.text()));
            let (message, _) = caller.said(&error, status);
            assert!(message.contains(says), "{case}: {message}");
            if caller == Caller::Anthropic {
                assert_eq!(error["request_id"], reply.header("x-request-id").unwrap());
            }
            all.push(heard);
            assert_eq!(gateway.provider("q").requests().len(), 0, "{why}: {kind}");
            for record in gateway.records(1).await {
                assert_eq!((record.outcome.as_str(), record.status), ("failed", 200), "{why}: {kind}");
                let code = if status == 504 { "upstream_timeout" } else { "upstream_stream_aborted" };
                assert_eq!(record.error.unwrap().code.as_deref(), Some(code), "{why}: {kind}");
                assert_eq!((record.usage.origin.as_str(), record.provider.as_deref()), ("estimated", Some("p")));
                assert!(
                    record.usage.input_tokens > 0 && record.usage.output_tokens == 2,
                    "{why}: {kind}: {:?}",
                    record.usage
                );
            }
        }
    }
    all
}

fn hello(kind: &str) -> Script {
    head(kind).chunk(begun(kind, "Hello")).wait(1)
}

#[tokio::test(start_paused = true)]
async fn after_the_first_content_the_caller_is_told() {
    breaks_off(|kind| hello(kind).close(), "close", 502, "").await;
    breaks_off(|kind| hello(kind).reset(), "reset", 502, "").await;
    breaks_off(|kind| hello(kind).end(), "end", 502, "").await;
    breaks_off(|kind| hello(kind).send("zz\r\n").close(), "no chunk", 502, "").await;
    breaks_off(|kind| hello(kind).stall(), "silence", 504, "stopped").await;
}

#[tokio::test(start_paused = true)]
async fn an_error_event_is_told_in_the_callers_dialect() {
    let said = format!("out of memory ({})", credential("p"));
    let script = |kind: &str| hello(kind).chunk(error_event(kind, &said)).end();
    for heard in breaks_off(script, "error", 502, "out of memory ([redacted])").await {
        assert!(!heard.error.unwrap().to_string().contains("canary"));
    }
}

/// What cannot be read ends a translated stream; where the dialect is the caller's own it is passed on as it is.
#[tokio::test(start_paused = true)]
async fn corrupt_events_after_the_first_content() {
    for corrupt in ["{\"WRONG", "{\"choices\":[{\"delta\":", "nonsense"] {
        for kind in KINDS {
            let frame = if kind == "ollama" { format!("{corrupt}\n") } else { format!("data: {corrupt}\n\n") };
            let script = hello(kind).chunk(frame).wait(1).chunk(delta(kind, "!") + &rest(kind)).end();
            let gateway = Gateway::builder().provider_of("p", kind, vec![script]).start();
            for caller in Caller::BOTH {
                let reply = caller.ask(&gateway, "", &caller.request(true)).await;
                let spliced = kind == if caller == Caller::Openai { "openai-compatible" } else { "anthropic" };
                let heard = heard(caller, &reply);
                assert_eq!(heard.ended, spliced, "{kind} {caller:?}: {}", reply.text());
                assert_eq!(heard.text, if spliced { "Hello!" } else { "Hello" }, "{kind} {caller:?}");
                assert_eq!(heard.error.is_some(), !spliced);
                assert_eq!(heard.unreadable.len(), usize::from(spliced), "{:?}", heard.unreadable);
                if let Some(error) = heard.error {
                    let (message, _) = caller.said(&error, 502);
                    assert!(!message.contains("WRONG"), "{message}");
                }
            }
            gateway.records(2).await;
        }
    }
}

/// A stream cut at any event: what was heard is a beginning of the text, and nothing is said twice.
#[tokio::test(start_paused = true)]
async fn a_stream_cut_at_any_event_doubles_nothing() {
    for kind in KINDS {
        let frames = pieces::frames(kind, Answer::Text);
        for cut in 1..frames.len() {
            let script = head(kind).chunk(frames[..cut].concat()).wait(1).close();
            let gateway = Gateway::builder().provider_of("p", kind, vec![script]).start();
            for caller in Caller::BOTH {
                let reply = caller.ask(&gateway, "", &caller.request(true)).await;
                if reply.status != 200 {
                    assert_eq!(caller.told(&reply).verdict(), (502, "upstream_error"), "{kind} {cut}");
                    continue;
                }
                let heard = heard(caller, &reply);
                assert!(TEXT.starts_with(&heard.text), "{kind} {cut}: {}", heard.text);
                assert!(heard.ended != heard.error.is_some(), "{kind} {cut}: {}", reply.text());
                assert!(!heard.ended || heard.text == TEXT, "{kind} {cut}: {}", reply.text());
            }
            gateway.records(2).await;
        }
    }
}
