//! How streams of every dialect end, on both surfaces: with and without their end marker, too late, too early, by the
//! caller, by the operator, by the clock.

use std::time::Duration;

use serde_json::json;
use testkit::caller::Caller;
use testkit::client::now;
use testkit::dialects::{self, Answer, KINDS, TEXT};
use testkit::gateway::{Gateway, KEY};
use testkit::heard::{frames, heard};
use testkit::pieces::{self, begun, delta, error_event, head, rest};
use testkit::script::{Script, Step, chunk};

/// The events of a text without the marker that ends the stream, where the dialect has one.
fn unmarked(kind: &str) -> String {
    let mut frames = pieces::frames(kind, Answer::Text);
    if matches!(kind, "openai-compatible" | "anthropic") {
        frames.pop();
    }
    frames.concat()
}

/// Streams this to both surfaces and expects a whole text; returns how long it took, in seconds.
async fn whole(kind: &'static str, script: Script, why: &str) -> u64 {
    let gateway = Gateway::builder().provider_of("p", kind, vec![script]).start();
    let mut longest = 0;
    for caller in Caller::BOTH {
        let start = now();
        let reply = caller.ask(&gateway, "", &caller.request(true)).await;
        longest = longest.max(start.elapsed().as_secs());
        let heard = heard(caller, &reply);
        assert_eq!((heard.text.as_str(), heard.ended), (TEXT, true), "{why}: {kind} {caller:?}: {}", reply.text());
        let finish = if caller == Caller::Openai { "stop" } else { "end_turn" };
        assert_eq!(heard.finish.as_deref(), Some(finish), "{why}: {kind} {caller:?}");
        assert!(!reply.text().contains("WRONG"), "{why}: {kind} {caller:?}: {}", reply.text());
    }
    for record in gateway.records(2).await {
        assert_eq!((record.outcome.as_str(), record.usage.origin.as_str()), ("succeeded", "reported"), "{why}: {kind}");
        assert_eq!(record.cost_usd.map(|cost| cost.0), Some(50_000), "{why}: {kind}");
        assert!(record.finish_reason.is_some(), "{why}: {kind}");
    }
    longest
}

#[tokio::test(start_paused = true)]
async fn without_an_end_marker() {
    for kind in KINDS {
        let all = unmarked(kind);
        whole(kind, head(kind).chunk(&all).end(), "an end").await;
        let media = if kind == "ollama" { "application/x-ndjson" } else { "text/event-stream" };
        let head = format!("HTTP/1.1 200 OK\r\ncontent-type: {media}\r\n\r\n");
        whole(kind, Script::new().send(head + &all).close(), "a close").await;
    }
}

/// The answer is complete and its end never comes: it is released after a grace.
#[tokio::test(start_paused = true)]
async fn an_end_marker_that_never_comes_is_waited_for_ten_seconds() {
    for kind in KINDS {
        let took = whole(kind, head(kind).chunk(unmarked(kind)).stall(), "a stall").await;
        let expect = if matches!(kind, "openai-compatible" | "anthropic" | "gemini") { 10 } else { 0 };
        assert_eq!(took, expect, "{kind}");
    }
}

#[tokio::test(start_paused = true)]
async fn usage_that_never_comes_is_estimated() {
    let kind = "openai-compatible";
    let frames = pieces::frames(kind, Answer::Text);
    let gateway =
        Gateway::builder().provider_of("p", kind, vec![head(kind).chunk(frames[..4].concat()).stall()]).start();
    for caller in Caller::BOTH {
        let start = now();
        let reply = caller.ask(&gateway, "", &caller.request(true)).await;
        let heard = heard(caller, &reply);
        assert_eq!((heard.text.as_str(), heard.ended, start.elapsed().as_secs()), (TEXT, true, 10), "{caller:?}");
    }
    for record in gateway.records(2).await {
        assert_eq!((record.outcome.as_str(), record.usage.origin.as_str()), ("succeeded", "estimated"));
        assert_eq!(record.finish_reason.as_deref(), Some("stop"));
    }
}

/// What follows the end marker is not looked at. Gemini has none.
#[tokio::test(start_paused = true)]
async fn what_follows_the_end_is_ignored() {
    for kind in KINDS.into_iter().filter(|kind| *kind != "gemini") {
        let all = pieces::frames(kind, Answer::Text).concat();
        for more in
            [delta(kind, "WRONG"), error_event(kind, "WRONG"), "WRONG\n\n".to_owned(), all.replace(TEXT, "WRONG")]
        {
            whole(kind, head(kind).chunk(all.clone() + &more).end(), "more at once").await;
            whole(kind, head(kind).chunk(&all).wait(1).chunk(&more).end(), "more after a second").await;
        }
    }
}

/// A caller that leaves after the first content.
#[tokio::test(start_paused = true)]
async fn a_caller_who_leaves_cancels_the_provider() {
    for kind in KINDS {
        for caller in Caller::BOTH {
            let script = head(kind).chunk(begun(kind, "Hello")).stall();
            let gateway = Gateway::builder().provider_of("p", kind, vec![script]).start();
            let mut client = caller.begin(&gateway, "", &caller.request(true)).await;
            client.head().await;
            client.read_until("Hello").await;
            let left = now();
            drop(client);
            gateway.provider("p").cancelled().await;
            assert!(left.elapsed().as_millis() < 10, "{kind}: at once");
            let record = gateway.one().await;
            let seen = (record.outcome.as_str(), record.status, record.usage.origin.as_str());
            assert_eq!(seen, ("cancelled", 499, "estimated"), "{kind} {caller:?}");
            assert_eq!(record.usage.output_tokens, 2, "{kind} {caller:?}");
            assert!(record.usage.input_tokens > 0 && record.cost_usd.is_some_and(|cost| cost.0 > 0));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_caller_who_leaves_after_the_answer_pays_for_what_was_reported() {
    for kind in ["openai-compatible", "anthropic", "gemini"] {
        for caller in Caller::BOTH {
            let script = head(kind).chunk(unmarked(kind)).stall();
            let gateway = Gateway::builder().provider_of("p", kind, vec![script]).start();
            let mut client = caller.begin(&gateway, "", &caller.request(true)).await;
            client.head().await;
            client.read_until("🌍").await;
            drop(client);
            let record = gateway.one().await;
            let seen = (record.outcome.as_str(), record.usage.origin.as_str());
            assert_eq!(seen, ("cancelled", "reported"), "{kind} {caller:?}");
            assert_eq!(record.cost_usd.map(|cost| cost.0), Some(50_000), "{kind} {caller:?}");
            assert!(record.finish_reason.is_some(), "{kind} {caller:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_key_that_is_revoked_ends_the_stream() {
    for kind in KINDS {
        for caller in Caller::BOTH {
            let script = head(kind).chunk(begun(kind, "Hello")).stall();
            let gateway = Gateway::builder().provider_of("p", kind, vec![script]).start();
            let mut client = caller.begin(&gateway, "", &caller.request(true)).await;
            let head = client.head().await;
            client.read_until("Hello").await;
            gateway.assembly.revoke_key(KEY);
            let rest = client.rest(head).await;
            // An open block of Anthropic's may stay open: the error is the last word.
            let last = frames(rest.text()).pop().unwrap();
            assert_eq!(last.event.as_deref(), (caller == Caller::Anthropic).then_some("error"), "{kind}");
            let (message, _) = caller.said(&serde_json::from_str(&last.data).unwrap(), 401);
            assert!(message.contains("revoked"), "{kind}: {message}");
            gateway.provider("p").cancelled().await;
            let record = gateway.one().await;
            assert_eq!((record.outcome.as_str(), record.usage.origin.as_str()), ("revoked", "estimated"), "{kind}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_stream_ends_at_its_deadline() {
    for kind in KINDS {
        let more = chunk(delta(kind, ".").as_bytes());
        let more = |script: Script, _| script.step(Step::Wait(Duration::from_secs(1))).send(more.clone());
        let script = (0..60).fold(head(kind).chunk(begun(kind, "Hello")), more);
        let gateway = Gateway::builder().provider_of("p", kind, vec![script]).start();
        for caller in Caller::BOTH {
            let start = now();
            let reply = caller.ask(&gateway, "x-crossway-timeout-ms: 10500\r\n", &caller.request(true)).await;
            assert_eq!(start.elapsed().as_millis() / 100, 105, "{kind}");
            let heard = heard(caller, &reply);
            assert_eq!((heard.text.as_str(), heard.ended), ("Hello..........", false), "{kind} {caller:?}");
            caller.said(&heard.error.unwrap(), 504);
        }
        assert!(gateway.records(2).await.iter().all(|record| record.outcome == "failed"));
    }
}

#[tokio::test(start_paused = true)]
async fn a_quiet_stream_has_a_heartbeat() {
    for kind in KINDS {
        let script = head(kind).chunk(begun(kind, "Grü")).wait(50).chunk(delta(kind, "ße 🌍") + &rest(kind)).end();
        let gateway = Gateway::builder().provider_of("p", kind, vec![script]).start();
        for caller in Caller::BOTH {
            let reply = caller.ask(&gateway, "", &caller.request(true)).await;
            let heard = heard(caller, &reply);
            assert_eq!((heard.text.as_str(), heard.ended), (TEXT, true), "{kind} {caller:?}");
            assert_eq!(
                reply.text().matches(": ping\n\n").count()
                    - usize::from(kind == "openai-compatible" && caller == Caller::Openai),
                3,
                "{kind} {caller:?}: {}",
                reply.text()
            );
        }
        gateway.records(2).await;
    }
}

/// The provider dies in the middle of a tool call: nobody must take the half of it for a call.
#[tokio::test(start_paused = true)]
async fn a_provider_that_dies_in_a_tool_call() {
    for kind in ["openai-compatible", "openai-responses", "anthropic", "cohere"] {
        let half = json!(r#"{"city":"#).to_string();
        let whole = json!(r#"{"city":"Bern"}"#).to_string();
        let frames = pieces::frames(kind, Answer::Call);
        let at = frames.iter().position(|frame| frame.contains(&whole)).unwrap();
        let begun = frames[..at].concat() + &frames[at].replace(&whole, &half);
        let script = head(kind).chunk(begun).wait(1).reset();
        let gateway = Gateway::builder().provider_of("p", kind, vec![script]).start();
        for caller in Caller::BOTH {
            let reply = caller.ask(&gateway, "", &caller.request(true)).await;
            let heard = heard(caller, &reply);
            assert_eq!(heard.calls, [("weather".to_owned(), r#"{"city":"#.to_owned())], "{kind} {caller:?}");
            assert_eq!((heard.ended, heard.finish), (false, None), "{kind} {caller:?}: {}", reply.text());
            assert!(!reply.text().contains("content_block_stop"), "{kind} {caller:?}: {}", reply.text());
            caller.said(&heard.error.unwrap(), 502);
        }
        let records = gateway.records(2).await;
        assert!(records.iter().all(|record| record.outcome == "failed" && record.usage.origin == "estimated"));
    }
}

/// A buffered call goes on without its caller, because the provider charges for it.
#[tokio::test(start_paused = true)]
async fn a_buffered_call_is_finished_without_its_caller() {
    for kind in KINDS {
        for caller in Caller::BOTH {
            let body = dialects::body(kind, Answer::Text).to_string();
            let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len());
            let gateway = Gateway::builder().provider_of("p", kind, vec![Script::new().wait(5).send(answer)]).start();
            let client = caller.begin(&gateway, "", &caller.request(false)).await;
            gateway.provider("p").received(1).await;
            drop(client);
            let record = gateway.one().await;
            assert!(!gateway.provider("p").request().cancelled, "{kind} {caller:?}");
            let seen = (record.outcome.as_str(), record.status, record.usage.origin.as_str());
            assert_eq!(seen, ("cancelled", 499, "reported"), "{kind} {caller:?}");
            assert_eq!(record.cost_usd.map(|cost| cost.0), Some(50_000), "{kind} {caller:?}");
        }
    }
}
