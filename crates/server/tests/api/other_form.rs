//! Providers that answer in the other form than they were asked for: at once where a stream was asked for, as a stream
//! where it was not. The caller gets what it asked for, and it is settled as ever.

use serde_json::{Value, json};
use testkit::caller::Caller;
use testkit::client::Reply;
use testkit::data;
use testkit::dialects::{Answer, KINDS, TEXT, body, streamed, whole};
use testkit::gateway::{Gateway, STREAM};
use testkit::heard::{Heard, heard};
use testkit::script::Script;

fn request(caller: Caller, stream: bool) -> Value {
    let mut request = caller.request(stream);
    if stream && caller == Caller::Openai {
        request["stream_options"] = json!({ "include_usage": true });
    }
    request
}

/// Returns what a caller hears of an answer, in whichever form.
fn expected(caller: Caller, answer: Answer) -> Heard {
    let (text, calls) = match answer {
        Answer::Text => (TEXT.to_owned(), Vec::new()),
        Answer::Call => (String::new(), vec![("weather".to_owned(), json!({ "city": "Bern" }).to_string())]),
    };
    let finish = match (caller, answer) {
        (Caller::Openai, Answer::Text) => "stop",
        (Caller::Openai, Answer::Call) => "tool_calls",
        (Caller::Anthropic, Answer::Text) => "end_turn",
        (Caller::Anthropic, Answer::Call) => "tool_use",
    };
    Heard { text, calls, finish: Some(finish.to_owned()), usage: Some((9, 4)), ended: true, ..Heard::default() }
}

/// Returns what a caller hears of a whole reply.
fn read(caller: Caller, reply: &Reply) -> Heard {
    let reply = reply.json();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    assert!(reply["crossway"]["cost"].is_number(), "{reply}");
    let mut heard = Heard { ended: true, ..Heard::default() };
    if caller == Caller::Openai {
        let choice = &reply["choices"][0];
        heard.text = text(&choice["message"]["content"]);
        for call in choice["message"]["tool_calls"].as_array().into_iter().flatten() {
            heard.calls.push((text(&call["function"]["name"]), text(&call["function"]["arguments"])));
        }
        heard.finish = choice["finish_reason"].as_str().map(str::to_owned);
        heard.usage = reply["usage"]["prompt_tokens"].as_u64().zip(reply["usage"]["completion_tokens"].as_u64());
        return heard;
    }
    for block in reply["content"].as_array().unwrap() {
        match block["type"].as_str() {
            Some("tool_use") => heard.calls.push((text(&block["name"]), block["input"].to_string())),
            _ => heard.text.push_str(block["text"].as_str().unwrap()),
        }
    }
    heard.finish = reply["stop_reason"].as_str().map(str::to_owned);
    heard.usage = reply["usage"]["input_tokens"].as_u64().zip(reply["usage"]["output_tokens"].as_u64());
    heard
}

/// Asks both ways, of a provider that always answers like this, and checks that it was asked once for each.
async fn check(kind: &'static str, answer: Answer, stream: bool, script: Script) {
    let gateway = Gateway::builder().provider_of("p", kind, vec![script]).start();
    for caller in Caller::BOTH {
        let case = format!("{kind} {answer:?} {caller:?} stream: {stream}");
        let reply = caller.ask(&gateway, "", &request(caller, stream)).await;
        assert_eq!((reply.status, reply.whole), (200, true), "{case}: {}", reply.text());
        let found = if stream { heard(caller, &reply) } else { read(caller, &reply) };
        assert_eq!(found, expected(caller, answer), "{case}: {}", reply.text());
        let metas = if stream { 2 } else { 1 };
        assert_eq!(reply.text().matches("\"crossway\"").count(), metas, "{case}: {}", reply.text());
    }
    for record in gateway.records(2).await {
        let usage = &record.usage;
        assert_eq!((record.outcome.as_str(), usage.origin.as_str()), ("succeeded", "reported"), "{kind}");
        assert_eq!((usage.input_tokens, usage.output_tokens, record.attempts.len()), (9, 4, 1), "{kind}");
        assert_eq!(record.cost_usd.map(|cost| cost.0), Some(9 * 2_000 + 4 * 8_000), "{kind}");
        assert_eq!(record.stream, stream, "{kind}");
    }
    assert_eq!(gateway.provider("p").requests().len(), 2, "{kind}");
}

#[tokio::test(start_paused = true)]
async fn a_whole_answer_becomes_the_stream_that_was_asked_for() {
    for kind in KINDS {
        for answer in [Answer::Text, Answer::Call] {
            check(kind, answer, true, whole(kind, answer)).await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_stream_becomes_the_whole_answer_that_was_asked_for() {
    for kind in KINDS {
        for answer in [Answer::Text, Answer::Call] {
            check(kind, answer, false, streamed(kind, answer, 50)).await;
        }
    }
}

/// It may be called anything, come in pieces, and be larger than an error ever is.
#[tokio::test(start_paused = true)]
async fn however_a_whole_answer_comes() {
    let long = "Grüße ".repeat(100_000);
    let body = data::completion(&long);
    for fields in ["content-type: text/event-stream\r\n", "", "content-type: application/json; charset=utf-8\r\n"] {
        let head = format!("HTTP/1.1 200 OK\r\n{fields}content-length: {}\r\n\r\n", body.len());
        let script = Script::new().cut(head + &body, 10_000);
        let gateway = Gateway::builder().provider("p", script).start();
        assert_eq!(gateway.chat(STREAM).await.content(), long, "{fields}");
        assert_eq!(gateway.one().await.usage.origin, "reported");
    }
}

/// What the answer says beside its text goes with it: thoughts, log probabilities, several choices, members of its own.
#[tokio::test(start_paused = true)]
async fn a_whole_answer_is_kept_whole() {
    let answer = json!({ "id": "x", "object": "chat.completion", "created": 7, "model": "up-m", "system_fingerprint": "fp_1",
        "choices": [
            { "index": 0, "message": { "role": "assistant", "content": "a", "reasoning_content": "hm" },
              "logprobs": { "content": [{ "token": "a", "logprob": -0.1, "bytes": [97], "top_logprobs": [] }], "refusal": null },
              "finish_reason": "length" },
            { "index": 1, "message": { "role": "assistant", "content": "b" }, "finish_reason": "stop" } ],
        "usage": { "prompt_tokens": 9, "completion_tokens": 4, "total_tokens": 13 } });
    let gateway = Gateway::builder().provider("p", Script::json(200, &answer.to_string())).start();
    let reply = Caller::Openai.ask(&gateway, "", &request(Caller::Openai, true)).await;
    let heard = heard(Caller::Openai, &reply);
    assert_eq!((heard.text.as_str(), heard.finish.as_deref(), heard.ended), ("a", Some("length"), true));
    assert_eq!(heard.others.get(&1).map(String::as_str), Some("b"));
    for part in [r#""reasoning_content":"hm""#, r#""token":"a""#, r#""system_fingerprint":"fp_1""#, r#""created":7"#] {
        assert!(reply.text().contains(part), "{part}: {}", reply.text());
    }
    gateway.one().await;
}

/// Half an answer, a piece of a stream, one that says nothing: another provider is asked.
#[tokio::test(start_paused = true)]
async fn what_is_no_whole_answer_leads_on() {
    let whole = data::completion("WRONG");
    let piece = whole.replace("chat.completion", "chat.completion.chunk");
    let nothing = r#"{"id":"x","object":"chat.completion","choices":[{"index":0,"message":{"role":"assistant"},"finish_reason":null}]}"#;
    for body in [&whole[..whole.len() - 1], &piece, nothing, r#"{"choices":[]}"#, "{}", "[]", "[{}]"] {
        let gateway = Gateway::builder()
            .provider("p", Script::json(200, body))
            .provider("q", Script::streamed(&["Hello"]))
            .start();
        let reply = gateway.chat(STREAM).await;
        assert_eq!((reply.status, reply.content().as_str()), (200, "Hello"), "{body}: {}", reply.text());
        let record = gateway.one().await;
        assert_eq!(record.attempts.len(), 2, "{body}");
        assert!(record.attempts[0].error.as_deref().unwrap().contains("malformed"), "{:?}", record.attempts);
    }
}

/// A stream without its end, or with nothing in it, is no whole answer either.
#[tokio::test(start_paused = true)]
async fn what_is_no_whole_stream_leads_on() {
    let stream = data::stream(&["WRONG"]);
    let cut = stream.split("data: {").take(3).collect::<Vec<_>>().join("data: {");
    let error = "data: {\"error\":{\"message\":\"out of memory\"}}\n\n";
    for body in [cut.as_str(), data::DONE, ": ping\n\n", error] {
        let script = Script::answer(200, "content-type: text/event-stream\r\n", body);
        let gateway = Gateway::builder().provider("p", script).provider("q", Script::chat("Hello")).start();
        let reply = gateway.chat(testkit::gateway::REQUEST).await;
        assert_eq!(reply.status, 200, "{body}");
        assert_eq!(reply.json()["choices"][0]["message"]["content"], "Hello", "{body}");
        assert_eq!(gateway.one().await.attempts.len(), 2, "{body}");
    }
}

/// Guardrails read it like any other answer.
#[tokio::test(start_paused = true)]
async fn guardrails_read_it() {
    let guard = "[guardrails.tone]\nbanned_phrases = [\"grüsse\"]\napply_to = [\"reply\"]\n";
    for kind in KINDS {
        for (stream, script) in [(true, whole(kind, Answer::Text)), (false, streamed(kind, Answer::Text, 1_000))] {
            let gateway = Gateway::builder().config(guard).provider_of("p", kind, vec![script]).start();
            for caller in Caller::BOTH {
                let reply = caller.ask(&gateway, "", &request(caller, stream)).await;
                assert!(!reply.text().contains("Grü") && reply.text().contains("guardrail"), "{}", reply.text());
            }
            for record in gateway.records(2).await {
                assert_eq!((record.outcome.as_str(), record.usage.output_tokens), ("refused", 4), "{kind} {stream}");
            }
        }
    }
}

/// The connection is kept, as after any other answer.
#[tokio::test(start_paused = true)]
async fn its_connection_is_kept() {
    let gateway = Gateway::builder()
        .provider("p", Script::json(200, &body("openai-compatible", Answer::Text).to_string()))
        .start();
    for _ in 0..3 {
        assert_eq!(gateway.chat(STREAM).await.content(), TEXT);
        tokio::task::yield_now().await;
    }
    assert_eq!(gateway.provider("p").connections(), 1);
    gateway.records(3).await;
}
