//! MONEY-11: who pays for what was tried. Each try is priced at its own model; one that failed before its first content, or
//! of a buffered answer before its end, costs nothing; the rest is one request with one charge.
//!
//! The model `a` costs 2 and 8 dollars per million tokens at `p`, its fallback `b` 3 and 15 at `q`; an answer is reported as 9
//! tokens in and 4 out.

use serde_json::{Value, json};
use store::records::record::RequestRecord;
use testkit::data::{self, delta, role};
use testkit::gateway::Gateway;
use testkit::script::Script;

use crate::billing::{standing, top_up};
use crate::limits::limit;

const MODELS: &str = r#"
[environment]
billing = { enabled = true }
[[models]]
slug = "a"
provider = "p"
upstream_name = "up-m"
input_price = 2
output_price = 8
[[models]]
slug = "b"
provider = "q"
upstream_name = "up-m"
input_price = 3
output_price = 15
[[fallbacks]]
model = "a"
fallbacks = ["b"]
"#;

/// What an answer costs at `a` and at `b`, in nano-dollars.
const A: u64 = 9 * 2_000 + 4 * 8_000;
const B: u64 = 9 * 3_000 + 4 * 15_000;

/// Asks once, and returns the record after checking that its tries add up to it, and the ledger to both.
async fn asked(stream: bool, first: Script, second: Script, config: &str) -> (u16, RequestRecord) {
    let gateway = Gateway::builder()
        .provider_with("p", "", vec![first])
        .provider_with("q", "", vec![second])
        .config(&[MODELS, config].concat())
        .start();
    top_up(&gateway, "1", "credits").await;
    let body =
        json!({ "model": "a", "max_tokens": 50, "stream": stream, "messages": [{ "role": "user", "content": "hi" }] });
    let reply = gateway.chat(&body.to_string()).await;
    let record = gateway.one().await;
    let cost = record.cost_usd.unwrap().0;
    let tries: u64 = record.attempts.iter().map(|one| one.cost_usd.unwrap().0).sum();
    assert_eq!(tries, cost, "sum(attempts.cost) == request.cost: {record:?}");
    assert_eq!(record.charged_usd.unwrap().0, cost);
    let left = format!("{:.9}", (1_000_000_000 - cost) as f64 / 1e9);
    assert_eq!(standing(&gateway).await.0, left.trim_end_matches('0').trim_end_matches('.'), "one charge");
    (reply.status, record)
}

/// What the tries cost, in nano-dollars, each at its model.
fn tries(record: &RequestRecord) -> Vec<(&str, u64)> {
    record.attempts.iter().map(|one| (one.model.as_str(), one.cost_usd.unwrap().0)).collect()
}

/// Forty tokens as they are estimated: 160 bytes.
fn forty() -> String {
    "four".repeat(40)
}

/// Attempt 1 streams 40 tokens, then dies: nobody else may be asked, and what the caller has seen is paid for.
#[tokio::test(start_paused = true)]
async fn what_was_streamed_before_the_provider_died_is_paid_for() {
    let dies = Script::stream().chunk(role()).chunk(delta(&forty())).reset();
    let (status, record) = asked(true, dies, Script::streamed(&["WRONG"]), "").await;
    assert_eq!((status, record.outcome.as_str(), record.usage.origin.as_str()), (200, "failed", "estimated"));
    assert_eq!((record.usage.output_tokens, tries(&record).len()), (40, 1));
    let input = record.usage.input_tokens;
    assert_eq!(tries(&record), [("a", input * 2_000 + 40 * 8_000)]);
}

/// Attempt 1 makes 40 tokens of a buffered answer, or the beginning of a stream without content, and dies; attempt 2 answers.
/// The caller has seen nothing of the first, and pays nothing for it.
#[tokio::test(start_paused = true)]
async fn what_nobody_has_seen_costs_nothing_and_the_second_has_its_own_price() {
    let whole = data::completion(&forty());
    let head = format!("HTTP/1.1 200 X\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n", whole.len());
    let half = format!("{head}{}", &whole[..whole.len() - 20]);
    for (stream, first, second) in [
        (false, Script::new().send(half).reset(), Script::chat("Hello")),
        (true, Script::stream().chunk(role()).reset(), Script::streamed(&["Hello"])),
    ] {
        let (status, record) = asked(stream, first, second, "").await;
        assert_eq!((status, record.outcome.as_str(), record.usage.origin.as_str()), (200, "succeeded", "reported"));
        assert_eq!(tries(&record), [("a", 0), ("b", B)], "stream: {stream}");
        assert_eq!((record.model.as_deref(), record.provider.as_deref()), (Some("b"), Some("q")));
    }
}

/// A provider that declines is free, whatever it says; when all do, so is the request.
#[tokio::test(start_paused = true)]
async fn a_declined_attempt_costs_nothing() {
    for status in [401, 402, 429, 500, 529] {
        let (seen, record) = asked(false, Script::error(status, "no"), Script::chat("Hello"), "").await;
        assert_eq!((seen, tries(&record)), (200, vec![("a", 0), ("b", B)]), "{status}");
    }
    let (status, record) = asked(false, Script::error(401, "no"), Script::error(401, "no"), "").await;
    assert_eq!((status, record.outcome.as_str(), record.cost_usd.map(|cost| cost.0)), (502, "failed", Some(0)));
    assert!(tries(&record).iter().all(|(_, cost)| *cost == 0), "{record:?}");
}

/// What a guardrail blocks before it is sent was asked of nobody; what it blocks of an answer was made, and is paid for.
#[tokio::test(start_paused = true)]
async fn what_is_blocked_before_it_is_sent_is_free_and_a_blocked_reply_is_not() {
    let guard = |phrase: &str| {
        format!("[guardrails.tone]\nbanned_phrases = [\"{phrase}\"]\napply_to = [\"request\", \"reply\"]\n")
    };
    let (status, record) = asked(false, Script::chat("Hello"), Script::chat("WRONG"), &guard("hi")).await;
    assert_eq!((status, tries(&record), record.cost_usd.map(|cost| cost.0)), (400, Vec::new(), Some(0)));
    let (status, record) = asked(false, Script::chat("Hello"), Script::chat("WRONG"), &guard("hello")).await;
    assert_eq!((status, record.outcome.as_str(), tries(&record)), (400, "refused", vec![("a", A)]));
}

/// The API shows it.
#[tokio::test(start_paused = true)]
async fn the_record_shows_what_each_try_cost() {
    let gateway = Gateway::builder()
        .provider("p", Script::error(500, "no"))
        .provider("q", Script::chat("Hello"))
        .config(MODELS)
        .start();
    top_up(&gateway, "1", "credits").await;
    gateway.chat(r#"{"model":"a","max_tokens":50,"messages":[{"role":"user","content":"hi"}]}"#).await;
    let record = gateway.one().await;
    let path = format!("GET /admin/v1/environments/default/requests/{}", record.id);
    let shown = gateway.api(&path, &Value::Null).await.json();
    let costs: Vec<&Value> = shown["attempts"].as_array().unwrap().iter().map(|one| &one["cost_usd"]).collect();
    assert_eq!(costs, [&json!(0), &json!(0.000_087)], "{shown}");
}

/// A price for each request, in nano-dollars.
const FEE: u64 = 5_000_000;

/// The model `a` with a price for each request, `b` with none.
fn with_fee() -> String {
    "[[models]]\nslug = \"c\"\nprovider = \"p\"\nupstream_name = \"up-m\"\ninput_price = 2\noutput_price = 8\n\
     price_per_request = 0.005\n[[fallbacks]]\nmodel = \"c\"\nfallbacks = [\"b\"]\n"
        .to_owned()
}

/// Asks `c` of two providers, and returns the status, the record, and what the reply says of its cost.
async fn asked_with_fee(body: Value, first: Script, second: Script, config: &str) -> (u16, RequestRecord, String) {
    let gateway = Gateway::builder()
        .provider_with("p", "", vec![first])
        .provider_with("q", "", vec![second])
        .config(&[MODELS, &with_fee(), config].concat())
        .start();
    top_up(&gateway, "1", "credits").await;
    let reply = gateway.chat(&body.to_string()).await;
    let record = gateway.one().await;
    let cost = record.cost_usd.unwrap().0;
    let tries: u64 = record.attempts.iter().map(|one| one.cost_usd.unwrap().0).sum();
    assert_eq!((tries, record.charged_usd.unwrap().0), (cost, cost), "{record:?}");
    let left = format!("{:.9}", (1_000_000_000 - cost) as f64 / 1e9);
    assert_eq!(standing(&gateway).await.0, left.trim_end_matches('0').trim_end_matches('.'), "one charge");
    (reply.status, record, reply.text().to_owned())
}

fn asking(stream: bool, n: u64) -> Value {
    json!({ "model": "c", "max_tokens": 50, "n": n, "stream": stream, "messages": [{ "role": "user", "content": "hi" }] })
}

/// A price for each request is charged once, on top of the tokens, whole and streamed, for however many choices.
#[tokio::test(start_paused = true)]
async fn a_price_for_each_request_is_charged_once() {
    let wrong = || Script::chat("WRONG");
    for (stream, n) in [(false, 1), (true, 1), (false, 3)] {
        let script = if stream { Script::streamed(&["Hello"]) } else { Script::chat("Hello") };
        let (status, record, text) = asked_with_fee(asking(stream, n), script, wrong(), "").await;
        assert_eq!((status, record.cost_usd.unwrap().0), (200, A + FEE), "stream: {stream}, n: {n}");
        assert!(text.contains(r#""cost":0.00505"#), "{text}");
    }
    // What a stream has said before it breaks off was answered.
    let dies = Script::stream().chunk(role()).chunk(delta(&forty())).reset();
    let (_, record, _) = asked_with_fee(asking(true, 1), dies, wrong(), "").await;
    assert_eq!(record.outcome, "failed");
    assert_eq!(record.cost_usd.unwrap().0, record.usage.input_tokens * 2_000 + 40 * 8_000 + FEE);
}

/// A target that fails costs nothing, and the one that answers has its own price.
#[tokio::test(start_paused = true)]
async fn a_failure_has_no_price_for_each_request() {
    let no = || Script::error(500, "no");
    let (status, record, _) = asked_with_fee(asking(false, 1), no(), Script::chat("Hello"), "").await;
    assert_eq!((status, record.cost_usd.unwrap().0), (200, B));
    assert_eq!(tries(&record), [("c", 0), ("b", B)]);
    let (status, record, _) = asked_with_fee(asking(false, 1), no(), no(), "").await;
    assert_eq!((status, record.cost_usd.unwrap().0), (502, 0));
}

/// It is held before the request is sent, once: a budget that it does not fit into refuses, and one that it fits into
/// does not, however many choices are asked for.
#[tokio::test(start_paused = true)]
async fn a_price_for_each_request_is_held_once() {
    for (budget, n, expect) in [("0.0049", 1, 429), ("0.0069", 1, 200), ("0.0069", 3, 200)] {
        let gateway = Gateway::builder()
            .provider("p", Script::chat("Hello"))
            .config(
                &[
                    &with_fee().replace("[[fallbacks]]\nmodel = \"c\"\nfallbacks = [\"b\"]\n", ""),
                    limit("usd", "day", budget, "").as_str(),
                ]
                .concat(),
            )
            .start();
        let reply = gateway.chat(&asking(false, n).to_string()).await;
        assert_eq!(reply.status, expect, "{budget}, n: {n}: {}", reply.text());
        gateway.one().await;
    }
}
