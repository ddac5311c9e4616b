//! What upstreams say of usage, and lie about: what can be believed is charged, everything else is estimated and says so.

use testkit::data::{self, USAGE};
use testkit::gateway::Gateway;
use testkit::script::Script;

use crate::billing::{standing, top_up};
use crate::limits::limit;

const SHORT: &str = r#"{"model":"m","max_tokens":4,"messages":[{"role":"user","content":"hi"}]}"#;
const STREAMED: &str = r#"{"model":"m","max_tokens":4,"stream":true,"messages":[{"role":"user","content":"hi"}]}"#;

/// Twelve bytes: three tokens, as they are estimated.
const TEXT: &str = "one two four";

/// Asks once buffered and once streamed of an upstream that says this of its usage. Returns origin and cost in
/// nano-dollars, which are the same of both up to the length of the request.
async fn said(usage: Option<&str>) -> [(String, u64); 2] {
    let without = |text: String| match usage {
        Some(usage) => text.replace(USAGE, usage),
        None => text.replace(&format!(",\"usage\":{USAGE}"), ""),
    };
    let scripts = vec![
        Script::json(200, &without(data::completion(TEXT))),
        Script::stream().chunk(without(data::stream(&["one two ", "four"]))).end(),
    ];
    let config =
        ["[environment]\nbilling = { enabled = true }\n".to_owned(), limit("usd", "day", "1000000", "")].concat();
    let gateway = Gateway::builder().provider_with("p", "", scripts).config(&config).start();
    top_up(&gateway, "1000000", "a").await;
    for body in [SHORT, STREAMED] {
        let reply = gateway.chat(body).await;
        assert!(reply.status == 200 && reply.whole, "{usage:?}: {}", reply.text());
    }
    let records = gateway.records(2).await;
    let charged: u64 = records.iter().map(|record| record.charged_usd.unwrap().0).sum();
    let nanos = 1_000_000_000_000_000 - charged;
    let (whole, rest) = (nanos / 1_000_000_000, nanos % 1_000_000_000);
    let left = format!("{whole}.{rest:09}");
    assert_eq!(
        standing(&gateway).await.0,
        left.trim_end_matches('0').trim_end_matches('.'),
        "the ledger says the same"
    );
    [0, 1].map(|index| {
        let record = &records[index];
        (record.usage.origin.to_string(), record.cost_usd.unwrap().0)
    })
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_believed_is_estimated() {
    // 72 and 86 bytes of request, twelve of answer.
    let estimates = [18 * 2_000 + 3 * 8_000, 22 * 2_000 + 3 * 8_000];
    for usage in [
        None,
        Some("null"),
        Some("{}"),
        Some("[]"),
        Some("\"9\""),
        Some(r#"{"prompt_tokens":-9,"completion_tokens":4}"#),
        Some(r#"{"prompt_tokens":9,"completion_tokens":-1}"#),
        Some(r#"{"prompt_tokens":9.5,"completion_tokens":4}"#),
        Some(r#"{"prompt_tokens":"9","completion_tokens":4}"#),
        Some(r#"{"prompt_tokens":9,"completion_tokens":1e300}"#),
        Some(r#"{"prompt_tokens":99999999999999999999,"completion_tokens":4}"#),
        Some(r#"{"prompt_tokens":9,"completion_tokens":18446744073709551615}"#),
        Some(r#"{"completion_tokens":4}"#),
    ] {
        for ((origin, cost), estimate) in said(usage).await.into_iter().zip(estimates) {
            assert_eq!((origin.as_str(), cost), ("estimated", estimate), "{usage:?}");
        }
    }
}

/// The provider's word is what it bills: it counts, also where it contradicts the text or itself.
#[tokio::test(start_paused = true)]
async fn what_can_be_believed_counts_whatever_the_text() {
    for (usage, expect) in [
        (r#"{"prompt_tokens":9,"completion_tokens":4,"total_tokens":13}"#, 50_000),
        (r#"{"prompt_tokens":9,"completion_tokens":0,"total_tokens":9}"#, 18_000),
        (r#"{"prompt_tokens":0,"completion_tokens":0,"total_tokens":0}"#, 0),
        (r#"{"prompt_tokens":9,"completion_tokens":4,"total_tokens":1}"#, 50_000),
        (r#"{"prompt_tokens":9,"completion_tokens":400000}"#, 3_200_018_000),
        (r#"{"prompt_tokens":9,"completion_tokens":4,"prompt_tokens_details":{"cached_tokens":90}}"#, 50_000),
    ] {
        for (origin, cost) in said(Some(usage)).await {
            assert_eq!((origin.as_str(), cost), ("reported", expect), "{usage}");
        }
    }
}
