//! Streams that fail: before the first content another target is asked, after it the caller is told.

use testkit::client::Reply;
use testkit::data::{self, DONE, delta, finish, role};
use testkit::gateway::{Gateway, STREAM, credential};
use testkit::script::Script;

/// The first target begins a stream like this; the second answers, and nothing of the first is seen.
async fn leads_on(script: Script) {
    let builder = Gateway::builder().provider_with("p", "first_token_timeout_ms = 5000", vec![script]);
    let gateway = builder.provider("q", Script::streamed(&["Hello"])).start();
    let reply = gateway.chat(STREAM).await;
    assert_eq!((reply.status, reply.content().as_str(), reply.whole), (200, "Hello", true), "{}", reply.text());
    assert_eq!(reply.text().matches("\"role\"").count(), 1, "the role of the first target is not sent");
    assert_eq!(reply.header("x-crossway-provider"), Some("q"));
    let record = gateway.one().await;
    assert_eq!((record.outcome.as_str(), record.attempts.len()), ("succeeded", 2));
}

#[tokio::test(start_paused = true)]
async fn before_the_first_content_the_next_target_answers() {
    let error = data::event(&data::error("overloaded"));
    leads_on(Script::stream().stall()).await;
    leads_on(Script::stream().chunk(role()).stall()).await;
    leads_on(Script::stream().chunk(role()).close()).await;
    leads_on(Script::stream().chunk(role()).reset()).await;
    leads_on(Script::stream().chunk(role()).end()).await;
    leads_on(Script::stream().end()).await;
    leads_on(Script::stream().chunk(&error).end()).await;
    leads_on(Script::stream().chunk([role(), error].concat()).end()).await;
    leads_on(Script::stream().chunk("event: error\ndata: {\"error\":\"no\"}\n\n").end()).await;
    leads_on(Script::stream().send("xyz\r\n").close()).await;
    leads_on(Script::answer(200, "content-type: text/html\r\n", "<html>")).await;
    leads_on(Script::json(200, "{\"id\":\"not an answer either\"}")).await;
    leads_on(Script::error(200, "sorry")).await;
}

#[tokio::test(start_paused = true)]
async fn pings_without_content_are_no_answer() {
    let mut script = Script::stream();
    for _ in 0..100 {
        script = script.chunk(": ping\n\n").wait(1);
    }
    leads_on(script).await;
}

/// A stream breaks off after its first content; another target must not be asked.
async fn breaks_off(script: Script, code: &str) -> Reply {
    let builder = Gateway::builder().provider_with("p", "idle_timeout_ms = 20000", vec![script]);
    let gateway = builder.provider("q", Script::streamed(&["WRONG"])).start();
    let reply = gateway.chat(STREAM).await;
    assert_eq!((reply.status, reply.whole), (200, true), "a status that was sent stays");
    let events = reply.events();
    let last = events.last().unwrap();
    let last: serde_json::Value = serde_json::from_str(last).unwrap_or_else(|_| panic!("{}", reply.text()));
    let members: Vec<&String> = last["error"].as_object().unwrap().keys().collect();
    assert_eq!(members, ["message", "type", "param", "code"]);
    assert_eq!(last["error"]["code"], code);
    assert!(!reply.text().contains("[DONE]") && !reply.text().contains("WRONG"));
    assert_eq!(gateway.provider("q").requests().len(), 0);
    let record = gateway.one().await;
    assert_eq!((record.outcome.as_str(), record.status), ("failed", 200));
    assert_eq!(record.error.unwrap().code.as_deref(), Some(code));
    assert_eq!((record.usage.origin.as_str(), record.provider.as_deref()), ("estimated", Some("p")));
    reply
}

#[tokio::test(start_paused = true)]
async fn after_the_first_content_the_caller_is_told() {
    let error = data::event(&data::error("out of memory"));
    let begun = || Script::stream().chunk([role(), delta("Hello")].concat()).wait(1);
    breaks_off(begun().close(), "upstream_stream_aborted").await;
    breaks_off(begun().reset(), "upstream_stream_aborted").await;
    breaks_off(begun().end(), "upstream_stream_aborted").await;
    breaks_off(begun().send("zz\r\n").close(), "upstream_stream_aborted").await;
    breaks_off(begun().stall(), "upstream_timeout").await;
    let reply = breaks_off(begun().chunk(&error).end(), "upstream_stream_aborted").await;
    assert!(reply.text().contains("out of memory"));
}

#[tokio::test(start_paused = true)]
async fn a_stream_cut_at_any_chunk_doubles_nothing() {
    let parts: Vec<String> = (0..50).map(|number| format!("<{number}>")).collect();
    for cut in (1..50).step_by(7) {
        let mut script = Script::stream().chunk(role());
        for part in &parts[..cut] {
            script = script.chunk(delta(part));
        }
        let reply = breaks_off(script.wait(1).close(), "upstream_stream_aborted").await;
        assert_eq!(reply.content(), parts[..cut].concat());
    }
}

#[tokio::test(start_paused = true)]
async fn content_that_nobody_saw_does_not_bind() {
    let error = data::event(&data::error("out of memory"));
    leads_on(Script::stream().chunk([role(), delta("WRONG"), error].concat()).end()).await;
}

#[tokio::test(start_paused = true)]
async fn an_error_event_tells_no_credential() {
    let said = format!("key {} of org-canary12345", credential("p"));
    let error = data::event(&data::error(&said));
    let script = Script::stream().chunk(delta("Hello")).wait(1).chunk(error).end();
    let reply = breaks_off(script, "upstream_stream_aborted").await;
    assert!(!reply.text().contains("canary"), "{}", reply.text());
}

#[tokio::test(start_paused = true)]
async fn an_error_after_the_finish_is_told_too() {
    let error = data::event(&data::error("tardy"));
    let script = Script::stream().chunk([delta("Hello"), finish()].concat()).wait(1).chunk(error).end();
    breaks_off(script, "upstream_stream_aborted").await;
}

#[tokio::test(start_paused = true)]
async fn what_follows_the_end_marker_is_ignored() {
    let error = data::event(&data::error("tardy"));
    let all = [data::stream(&["Hello"]), error, delta("WRONG"), DONE.to_owned()].concat();
    let gateway = Gateway::builder().provider("p", Script::stream().chunk(all).end()).start();
    let reply = gateway.chat(STREAM).await;
    let text = reply.text();
    assert!(text.ends_with(DONE) && !text.contains("WRONG") && !text.contains("tardy"), "{text}");
    assert_eq!(gateway.one().await.outcome, "succeeded");
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_only_finishes_is_an_answer() {
    let script = Script::stream().chunk([role(), finish(), DONE.to_owned()].concat()).end();
    let gateway = Gateway::builder().provider("p", script).start();
    let reply = gateway.chat(STREAM).await;
    assert_eq!((reply.status, reply.content().as_str()), (200, ""));
    assert!(reply.text().contains("\"crossway\"") && reply.text().ends_with(DONE));
    assert_eq!(gateway.one().await.finish_reason.as_deref(), Some("stop"));
}
