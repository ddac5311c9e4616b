//! Limits on tokens and money: what a request may use is reserved before it is sent, and what it used is settled after.
//!
//! The model `m` costs 2 and 8 dollars per million tokens; the usual answer has 9 tokens in and 4 out: 50,000
//! nano-dollars.

use std::time::Duration;

use policy::spec::key::KeySpec;
use serde_json::{Value, json};
use testkit::caller::Caller;
use testkit::client::Reply;
use testkit::data::{DONE, delta, event, finish, role, usage};
use testkit::gateway::{Gateway, REQUEST, STREAM};
use testkit::script::Script;

use crate::limits::{OTHER, burst, limit, number, own, replies, verdict};

/// A request that says how long the answer may be.
const SHORT: &str = r#"{"model":"m","max_tokens":4,"messages":[{"role":"user","content":"hi"}]}"#;

fn gateway(config: &str) -> Gateway {
    Gateway::builder().provider("p", Script::chat("Hello")).config(config).start()
}

/// MONEY-01.
#[tokio::test(start_paused = true)]
async fn a_budget_of_ten_lets_ten_through_at_most() {
    let gateway = gateway(&limit("usd", "month", "0.0005", "scope = \"key\""));
    let replies = replies(burst(&gateway, 200, SHORT).await).await;
    let admitted = replies.iter().filter(|reply| reply.status == 200).count();
    assert!((1..=10).contains(&admitted), "{admitted}");
    for reply in replies.iter().filter(|reply| reply.status != 200) {
        assert_eq!((verdict(reply), reply.header("x-should-retry")), ((429, "budget_exceeded"), Some("false")));
        // The first of December, 2026, is 1,082,000 seconds after the 18th of November, 11:06:40.
        assert!((1_075_000..=1_090_000).contains(&number(reply, "retry-after")), "{:?}", reply.headers);
    }
    assert_eq!(gateway.provider("p").requests().len(), admitted);
    for _ in 0..20 {
        gateway.chat(SHORT).await;
    }
    let records = gateway.records(220).await;
    let spent: u64 = records.iter().map(|record| record.cost_usd.unwrap().0).sum();
    let reached = gateway.provider("p").requests().len() as u64;
    assert!(spent <= 500_000 && spent == reached * 50_000, "{spent} for {reached}");
    assert!(reached >= 7, "a request is let in as long as its bound fits: {reached}");
}

#[tokio::test(start_paused = true)]
async fn both_surfaces_say_that_the_budget_is_exhausted() {
    let gateway = gateway(&limit("usd", "total", "0", ""));
    for caller in Caller::BOTH {
        for streamed in [false, true] {
            let reply = caller.ask(&gateway, "", &caller.request(streamed)).await;
            let told = caller.told(&reply);
            assert_eq!(told.verdict(), (429, "budget_exceeded"));
            let message = "this request may need more than is ever left";
            assert!(told.message.contains("the budget does not cover") || told.message.contains(message), "{told:?}");
            assert_eq!((reply.header("x-should-retry"), reply.header("retry-after")), (Some("false"), Some("86400")));
        }
    }
    let records = gateway.records(4).await;
    let refused = |record: &store::records::record::RequestRecord| {
        record.outcome == "refused" && record.cost_usd.map(|cost| cost.0) == Some(0)
    };
    assert!(records.iter().all(refused));
    assert_eq!(gateway.provider("p").requests().len(), 0);
}

#[tokio::test(start_paused = true)]
async fn tokens_are_reserved_and_then_what_was_used_counts() {
    // An estimate of 18 in, and 4 out; 13 are used. 99 - 6 x 13 = 21 are left after six.
    let gateway = gateway(&limit("tokens", "60s", "99", "scope = \"key\""));
    for left in [86, 73, 60, 47, 34, 21] {
        let reply = gateway.chat(SHORT).await;
        assert_eq!((reply.status, number(&reply, "x-ratelimit-remaining-tokens")), (200, left));
        assert_eq!(reply.header("x-ratelimit-limit"), None, "that family is of requests");
    }
    let refused = gateway.chat(SHORT).await;
    assert_eq!((verdict(&refused), refused.header("x-should-retry")), ((429, "rate_limited"), None));
    assert!((59..=61).contains(&number(&refused, "retry-after")), "{:?}", refused.headers);
    let large = SHORT.replace("\"max_tokens\":4", "\"max_tokens\":200");
    let never = gateway.chat(&large).await;
    assert_eq!((verdict(&never), never.header("x-should-retry")), ((429, "rate_limited"), Some("false")));
    assert!(never.message().contains("may need more than is ever left"), "{}", never.message());
    gateway.assembly.hands.advance(Duration::from_secs(62));
    assert_eq!(gateway.chat(SHORT).await.status, 200);
    gateway.records(9).await;
}

#[tokio::test(start_paused = true)]
async fn input_and_output_are_counted_apart() {
    for (meter, amount, admitted) in [("input_tokens", "40", 3), ("output_tokens", "11", 2), ("tokens", "40", 2)] {
        let gateway = gateway(&limit(meter, "1h", amount, ""));
        for number in 0..admitted + 1 {
            let status = gateway.chat(SHORT).await.status;
            assert_eq!(status, if number < admitted { 200 } else { 429 }, "{meter} {number}");
        }
        gateway.records(admitted + 1).await;
    }
}

#[tokio::test(start_paused = true)]
async fn what_fails_costs_nothing_and_gives_everything_back() {
    let scripts = vec![Script::error(400, "no"), Script::error(401, "no"), Script::chat("Hello")];
    let config = limit("usd", "total", "0.0002", "");
    let gateway = Gateway::builder().provider_with("p", "", scripts).config(&config).start();
    for status in [400, 502, 200] {
        let reply = gateway.chat(SHORT).await;
        assert_eq!(reply.status, status, "{}", reply.text());
    }
    let reply = gateway.chat(SHORT).await;
    assert_eq!(verdict(&reply), (429, "budget_exceeded"), "50,000 of 200,000 are used, and 176,000 do not fit");
    gateway.records(4).await;
}

/// MONEY-09.
#[tokio::test(start_paused = true)]
async fn a_free_model_passes_an_exhausted_budget_and_one_without_price_does_not() {
    let free = "[[models]]\nslug = \"free\"\nprovider = \"p\"\ninput_price = 0\noutput_price = 0\n";
    let gateway =
        gateway(&[limit("usd", "day", "0", ""), limit("requests", "60s", "2", ""), free.into(), OTHER.into()].concat());
    assert_eq!(verdict(&gateway.chat(SHORT).await), (429, "budget_exceeded"));
    let ask = |model: &str| SHORT.replace("\"m\"", &format!("\"{model}\""));
    let unpriced = gateway.chat(&ask("other")).await;
    assert_eq!(verdict(&unpriced), (403, "model_not_allowed"));
    assert!(unpriced.message().contains("`other` has no price"), "{}", unpriced.message());
    for status in [200, 200, 429] {
        assert_eq!(gateway.chat(&ask("free")).await.status, status, "its requests are limited still");
    }
    gateway.records(5).await;
}

#[tokio::test(start_paused = true)]
async fn of_several_targets_those_without_price_are_left_out() {
    let config =
        [limit("usd", "day", "1", ""), "[[fallbacks]]\nmodel = \"m\"\nfallbacks = [\"other\"]\n".into(), OTHER.into()];
    let gateway = Gateway::builder().provider("p", Script::error(500, "no")).config(&config.concat()).start();
    let reply = gateway.chat(SHORT).await;
    assert_eq!(
        (reply.status, number(&reply, "x-crossway-attempts")),
        (502, 3),
        "the one target, thrice: {}",
        reply.text()
    );
    gateway.one().await;
}

/// One answer of `m` may cost 0.000178 dollars: 73 bytes in and 4 tokens out.
#[tokio::test(start_paused = true)]
async fn of_several_targets_those_are_asked_that_the_budget_covers() {
    let model = |slug: &str, price: &str| {
        format!(
            "[[models]]\nslug = \"{slug}\"\nprovider = \"p\"\ninput_price = \"{price}\"\noutput_price = \"{price}\"\n"
        )
    };
    let chain = "[[fallbacks]]\nmodel = \"m\"\nfallbacks = [\"cheap\", \"free\"]\n";
    for (dollars, expect) in [("1", (200, Some("m"))), ("0.0001", (200, Some("cheap"))), ("0", (200, Some("free")))] {
        let config = [&limit("usd", "day", dollars, ""), chain, &model("cheap", "1"), &model("free", "0")].concat();
        let gateway = gateway(&config);
        let reply = gateway.chat(SHORT).await;
        assert_eq!((reply.status, reply.header("x-crossway-model")), expect, "{dollars}: {}", reply.text());
        gateway.one().await;
    }
    // Tokens are the same everywhere.
    let config = [&limit("tokens", "day", "1", ""), chain, &model("cheap", "1"), &model("free", "0")].concat();
    let gateway = gateway(&config);
    assert_eq!(verdict(&gateway.chat(SHORT).await), (429, "budget_exceeded"));
    gateway.one().await;
}

#[tokio::test(start_paused = true)]
async fn without_max_tokens_what_is_left_bounds_the_answer() {
    // 57 bytes at 2,000 and 1,000 tokens at 8,000 nano-dollars would be 8,114,000.
    let gateway = gateway(&limit("usd", "total", "0.004", ""));
    let reply = gateway.chat(REQUEST).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    let cap = number(&reply, "x-crossway-max-tokens");
    assert!((400..=486).contains(&cap), "{cap}");
    let asked = gateway.provider("p").request().json();
    assert_eq!(asked["max_completion_tokens"], cap);
    assert_eq!(asked["messages"], json!([{ "role": "user", "content": "hi" }]));
    // What the caller has said is not changed.
    let said = gateway.chat(SHORT).await;
    assert_eq!((said.status, said.header("x-crossway-max-tokens")), (200, None));
    gateway.records(2).await;
    let ample = self::gateway(&limit("usd", "total", "1", ""));
    let reply = ample.chat(REQUEST).await;
    assert_eq!((reply.status, reply.header("x-crossway-max-tokens")), (200, None), "its model has a bound");
    assert_eq!(ample.provider("p").request().json().get("max_completion_tokens"), None);
    ample.one().await;
    let little = self::gateway(&limit("usd", "total", "0.0004", ""));
    assert_eq!(verdict(&little.chat(REQUEST).await), (429, "budget_exceeded"), "fewer than 64 are not worth it");
    little.one().await;
}

#[tokio::test(start_paused = true)]
async fn a_cap_is_said_in_the_words_of_the_provider() {
    let model = "[[models]]\nslug = \"free-form\"\nprovider = \"p\"\ninput_price = 1\noutput_price = 1\n";
    for (kind, path) in [
        ("openai-compatible", "/max_completion_tokens"),
        ("anthropic", "/max_tokens"),
        ("gemini", "/generationConfig/maxOutputTokens"),
        ("ollama", "/options/num_predict"),
        ("mistral", "/max_tokens"),
    ] {
        let config = [limit("tokens", "day", "1000000", ""), model.into()].concat();
        let script = testkit::dialects::whole(
            if kind == "mistral" { "openai-compatible" } else { kind },
            testkit::dialects::Answer::Text,
        );
        let gateway = Gateway::builder().provider_of("p", kind, vec![script]).config(&config).start();
        let reply = gateway
            .chat(r#"{"model":"free-form","max_tokens":null,"messages":[{"role":"user","content":"hi"}]}"#)
            .await;
        assert_eq!(
            (reply.status, reply.header("x-crossway-max-tokens")),
            (200, Some("16384")),
            "{kind}: {}",
            reply.text()
        );
        let asked = gateway.provider("p").request().json();
        let found = asked.pointer(path).or(asked.pointer("/max_tokens")).unwrap_or(&Value::Null);
        assert_eq!(found, 16_384, "{kind}: {asked}");
        gateway.one().await;
    }
}

/// A stream of so many chunks of 400 bytes each, and its end.
fn long(kind: &str, chunks: usize) -> Script {
    let text = "word ".repeat(80);
    let mut script = Script::stream();
    if kind == "anthropic" {
        let said = |name: &str, data: Value| format!("event: {name}\ndata: {data}\n\n");
        let message = json!({ "id": "msg_1", "type": "message", "role": "assistant", "model": "up-m", "content": [], "stop_reason": null, "stop_sequence": null, "usage": { "input_tokens": 9, "output_tokens": 1 } });
        script = script.chunk(said("message_start", json!({ "type": "message_start", "message": message })));
        let block = json!({ "type": "text", "text": "" });
        script = script.chunk(said(
            "content_block_start",
            json!({ "type": "content_block_start", "index": 0, "content_block": block }),
        ));
        for _ in 0..chunks {
            let delta = json!({ "type": "text_delta", "text": text });
            script = script.chunk(said(
                "content_block_delta",
                json!({ "type": "content_block_delta", "index": 0, "delta": delta }),
            ));
        }
        return script.stall();
    }
    script = script.chunk(role());
    for _ in 0..chunks {
        script = script.chunk(delta(&text));
    }
    script.chunk([finish(), usage(), DONE.to_owned()].concat()).end()
}

/// Checks that a stream has ended well, as one that has become too long, and returns its content.
fn too_long(caller: Caller, reply: &Reply) -> String {
    assert!(reply.whole && reply.status == 200, "{}", reply.text());
    let events: Vec<Value> = reply.events().iter().filter_map(|event| serde_json::from_str(event).ok()).collect();
    let texts = |path: &'static str| events.iter().filter_map(move |event| event.pointer(path)?.as_str());
    match caller {
        Caller::Openai => {
            assert_eq!(reply.events().last().map(String::as_str), Some("[DONE]"));
            assert_eq!(texts("/choices/0/finish_reason").collect::<Vec<_>>(), ["length"]);
            texts("/choices/0/delta/content").collect()
        }
        Caller::Anthropic => {
            let kinds: Vec<&str> = texts("/type").collect();
            assert_eq!(kinds.get(kinds.len() - 3..).unwrap(), ["content_block_stop", "message_delta", "message_stop"]);
            assert_eq!(texts("/delta/stop_reason").collect::<Vec<_>>(), ["max_tokens"]);
            let usage: Vec<u64> =
                events.iter().filter_map(|event| event.pointer("/usage/output_tokens")?.as_u64()).collect();
            assert!(usage.len() == 1 && usage[0] > 0, "{usage:?}");
            texts("/delta/text").collect()
        }
    }
}

/// MONEY-03: a provider that does not stop is cut off by the budget, one chunk later at most.
#[tokio::test(start_paused = true)]
async fn a_provider_that_does_not_stop_is_cut_off() {
    for kind in ["openai-compatible", "anthropic"] {
        for caller in Caller::BOTH {
            // Room for the bound of a request of 50 tokens (some 160,000 for the input, 400,000 for the output), and
            // little more: 1,000 tokens of output are 8,000,000.
            let config = limit("usd", "total", "0.0098", "");
            let gateway = Gateway::builder().provider_of("p", kind, vec![long(kind, 60)]).config(&config).start();
            let reply = caller.ask(&gateway, "", &caller.request(true)).await;
            let content = too_long(caller, &reply);
            assert!(content.len() < 60 * 400, "{kind} {caller:?}: {}", content.len());
            let record = gateway.one().await;
            // A message from Anthropic to Anthropic keeps its own word.
            let finish = record.finish_reason.as_deref().unwrap();
            assert!(record.outcome == "succeeded" && matches!(finish, "length" | "max_tokens"), "{finish}");
            assert_eq!(
                (record.status, record.error.as_ref().and_then(|error| error.code.as_deref())),
                (200, Some("budget_exceeded"))
            );
            assert_eq!(record.usage.origin, "estimated");
            let (spent, chunk) = (record.cost_usd.unwrap().0, 100 * 8_000);
            assert!(spent <= 9_800_000 + chunk && spent > 1_000_000, "{kind} {caller:?}: {spent}");
            assert!(gateway.provider("p").requests()[0].cancelled, "the provider is told");
        }
    }
}

/// MONEY-03: neither is one cut off late that says early that it is done, nor one whose first choice is done early.
#[tokio::test(start_paused = true)]
async fn a_finish_reason_is_no_way_past_the_budget() {
    for n in [1, 2] {
        let text = delta(&"word ".repeat(80)).replace("\"index\":0", &format!("\"index\":{}", n - 1));
        let mut script = Script::stream().chunk([role(), text.clone(), finish()].concat());
        for _ in 0..60 {
            script = script.wait(1).chunk(&text);
        }
        let gateway = Gateway::builder()
            .provider("p", script.chunk(DONE).end())
            .config(&limit("usd", "total", "0.0098", ""))
            .start();
        let asked = format!("\"max_tokens\":50,\"n\":{n},\"stream\"");
        let reply = gateway.chat(&STREAM.replace("\"stream\"", &asked)).await;
        assert_eq!((reply.status, reply.events().last().map(String::as_str)), (200, Some("[DONE]")));
        let record = gateway.one().await;
        assert_eq!(record.error.as_ref().and_then(|error| error.code.as_deref()), Some("budget_exceeded"), "n = {n}");
        assert!(record.cost_usd.unwrap().0 <= 9_800_000 + 100 * 8_000, "{:?}", record.cost_usd);
        assert!(gateway.provider("p").requests()[0].cancelled, "the provider is told");
    }
}

#[tokio::test(start_paused = true)]
async fn an_unbounded_stream_is_paid_for_step_by_step() {
    let model = "[[models]]\nslug = \"free-form\"\nprovider = \"p\"\ninput_price = 2\noutput_price = 8\n";
    let body = STREAM.replace("\"m\"", "\"free-form\"");
    for (amount, whole) in [("0.1", true), ("0.015", false)] {
        let config = [limit("usd", "total", amount, ""), model.into()].concat();
        let gateway = Gateway::builder().provider("p", long("", 30)).config(&config).start();
        let reply = gateway.chat(&body).await;
        assert_eq!(reply.header("x-crossway-max-tokens"), None);
        assert_eq!(gateway.provider("p").request().json().get("max_completion_tokens"), None);
        if whole {
            assert_eq!(reply.content().len(), 30 * 400);
            assert_eq!(gateway.one().await.usage.origin, "reported");
        } else {
            let content = too_long(Caller::Openai, &reply);
            assert!((2_400..30 * 400).contains(&content.len()), "{}", content.len());
            let record = gateway.one().await;
            assert!(record.cost_usd.unwrap().0 <= 15_000_000, "{:?}", record.cost_usd);
        }
    }
    let config = [limit("usd", "total", "0.001", ""), model.into()].concat();
    let gateway = gateway(&config);
    assert_eq!(verdict(&gateway.chat(&body).await), (429, "budget_exceeded"), "not even the first step fits");
    gateway.one().await;
}

#[tokio::test(start_paused = true)]
async fn a_bounded_stream_within_its_bound_is_never_cut() {
    // 50 tokens were reserved. An answer of long words has more bytes than an estimate of 50 tokens would have, and the
    // budget has room for no more: the provider reports that it kept the bound.
    let text = "internationalisation ".repeat(9);
    let script =
        Script::stream().chunk(role()).chunk(delta(&text)).chunk([finish(), usage(), DONE.into()].concat()).end();
    let gateway = Gateway::builder().provider("p", script).config(&limit("usd", "total", "0.0006", "")).start();
    let reply = gateway.chat(&Caller::Openai.request(true).to_string()).await;
    assert_eq!((reply.content(), reply.events().last().unwrap().as_str()), (text, "[DONE]"));
    assert_eq!(gateway.one().await.finish_reason.as_deref(), Some("stop"));
}

/// The JSON around the pieces of a call is no output.
#[tokio::test(start_paused = true)]
async fn a_call_of_a_tool_within_its_bound_is_never_cut() {
    let piece = |function: Value| {
        let calls = json!([{ "index": 0, "id": null, "type": "function", "function": function }]);
        let chunk = json!({ "id": "c", "object": "chat.completion.chunk", "model": "up-m",
            "choices": [{ "index": 0, "delta": { "tool_calls": calls }, "finish_reason": null }] });
        format!("data: {chunk}\n\n")
    };
    let mut script = Script::stream().chunk(role()).chunk(piece(json!({ "name": "look_up", "arguments": "" })));
    for _ in 0..40 {
        script = script.chunk(piece(json!({ "arguments": "word" })));
    }
    let script = script.chunk([finish(), usage(), DONE.into()].concat()).end();
    let gateway = Gateway::builder().provider("p", script).config(&limit("usd", "total", "0.0006", "")).start();
    let reply = gateway.chat(&Caller::Openai.request(true).to_string()).await;
    assert_eq!(reply.events().last().unwrap(), "[DONE]");
    let record = gateway.one().await;
    assert_eq!((record.finish_reason.as_deref(), record.error.is_none()), (Some("stop"), true));
}

#[tokio::test(start_paused = true)]
async fn a_guarded_stream_is_cut_off_too() {
    let config =
        [limit("usd", "total", "0.0098", ""), "[guardrails.g]\nbanned_phrases = [\"aurora\"]\n".into()].concat();
    for caller in Caller::BOTH {
        for kind in ["openai-compatible", "anthropic"] {
            let gateway = Gateway::builder().provider_of("p", kind, vec![long(kind, 60)]).config(&config).start();
            let reply = caller.ask(&gateway, "", &caller.request(true)).await;
            assert!(too_long(caller, &reply).len() < 60 * 400);
            gateway.one().await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn every_choice_of_a_stream_is_ended() {
    let chunk = |index: u32| {
        let choice = json!({ "index": index, "delta": { "content": "word ".repeat(200) }, "finish_reason": null });
        event(&json!({ "id": "c", "object": "chat.completion.chunk", "model": "m", "choices": [choice] }).to_string())
    };
    let mut script = Script::stream().chunk(role());
    for number in 0..60 {
        script = script.chunk(chunk(number % 2));
    }
    let gateway = Gateway::builder().provider("p", script.stall()).config(&limit("usd", "total", "0.01", "")).start();
    let body = r#"{"model":"m","n":2,"max_tokens":50,"stream":true,"messages":[{"role":"user","content":"hi"}]}"#;
    let reply = gateway.chat(body).await;
    let events: Vec<Value> = reply.events().iter().filter_map(|event| serde_json::from_str(event).ok()).collect();
    let ends: Vec<_> = events.iter().filter(|event| event["choices"][0]["finish_reason"] == "length").collect();
    assert_eq!(ends.iter().map(|event| event["choices"][0]["index"].as_u64()).collect::<Vec<_>>(), [Some(0), Some(1)]);
    gateway.one().await;
}

#[tokio::test(start_paused = true)]
async fn a_caller_who_leaves_pays_for_what_was_made() {
    let script = Script::stream().chunk(role()).chunk(delta(&"word ".repeat(80))).stall();
    let gateway = Gateway::builder().provider("p", script).config(&limit("output_tokens", "day", "149", "")).start();
    let body = Caller::Openai.request(true).to_string();
    let mut client = gateway.begin(&body).await;
    client.head().await;
    client.read_until("word").await;
    drop(client);
    gateway.provider("p").cancelled().await;
    gateway.assembly.quiet().await;
    // An estimate of 100 is used: 49 are left, and 50 are asked for.
    assert_eq!(verdict(&gateway.chat(&body).await), (429, "budget_exceeded"));
    gateway.records(2).await;
}

#[tokio::test(start_paused = true)]
async fn several_limits_are_taken_together_or_not_at_all() {
    let config = [
        limit("requests", "60s", "3", "scope = \"key\""),
        limit("tokens", "60s", "60", "scope = \"team\""),
        limit("usd", "month", "1", ""),
        limit("concurrency", "", "2", "scope = \"key\""),
    ];
    let gateway = gateway(&config.concat());
    let spec = KeySpec { team: Some("t".into()), limits: vec![own("output_tokens", "1h", "9")], ..KeySpec::default() };
    let secret = gateway.assembly.create_key("limited", spec);
    let fields = format!("authorization: Bearer {secret}\r\n");
    let ask = async |body: &str| gateway.ask("POST /v1/chat/completions", &fields, body).await;
    assert_eq!(ask(SHORT).await.status, 200);
    let refused = ask(&SHORT.replace(":4", ":6")).await;
    assert_eq!(verdict(&refused), (429, "rate_limited"), "4 of 9 are used, and 6 do not fit");
    assert_eq!(number(&refused, "x-ratelimit-remaining"), 2, "what was refused took no request");
    assert_eq!(ask(SHORT).await.status, 200);
    assert_eq!(ask(SHORT).await.status, 429);
    let last = gateway.chat(SHORT).await;
    assert_eq!((last.status, number(&last, "x-ratelimit-remaining")), (200, 2), "another key has its own");
    gateway.records(5).await;
}

/// Responses is asked for 16 tokens at least: so many are held, and charged though none of them is shown.
#[tokio::test(start_paused = true)]
async fn what_a_provider_is_asked_for_at_least_is_held() {
    let body = r#"{"model":"m","max_tokens":1,"messages":[{"role":"user","content":"hi"}]}"#;
    let answer = json!({
        "id": "resp_1", "object": "response", "created_at": 1, "status": "incomplete", "model": "up-m", "output": [],
        "incomplete_details": { "reason": "max_output_tokens" },
        "usage": { "input_tokens": 9, "output_tokens": 16, "total_tokens": 25,
                   "output_tokens_details": { "reasoning_tokens": 16 } },
    });
    let most = (body.len() as u64 * 2_000 + 16 * 8_000) / 1_000;
    for (amount, status) in [(most, 200), (most - 1, 429)] {
        let config = limit("usd", "total", &format!("0.{amount:06}"), "");
        let script = Script::json(200, &answer.to_string());
        let gateway = Gateway::builder().provider_of("p", "openai-responses", vec![script]).config(&config).start();
        let reply = gateway.chat(body).await;
        assert_eq!(reply.status, status, "{}", reply.text());
        let record = gateway.one().await;
        if status == 200 {
            assert_eq!(gateway.provider("p").request().json()["max_output_tokens"], 16);
            assert_eq!((&*record.usage.origin, record.cost_usd.unwrap().0), ("reported", 9 * 2_000 + 16 * 8_000));
        }
    }
}
