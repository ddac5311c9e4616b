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
        // Who has answered and counts nothing does not know.
        Some(r#"{"prompt_tokens":0,"completion_tokens":0,"total_tokens":0}"#),
    ] {
        for ((origin, cost), estimate) in said(usage).await.into_iter().zip(estimates) {
            assert_eq!((origin.as_str(), cost), ("estimated", estimate), "{usage:?}");
        }
    }
}

/// The provider's word is what it bills: as long as it can be true it counts, also where it contradicts the text or itself.
#[tokio::test(start_paused = true)]
async fn what_can_be_believed_counts_whatever_the_text() {
    for (usage, expect) in [
        (r#"{"prompt_tokens":9,"completion_tokens":4,"total_tokens":13}"#, 50_000),
        (r#"{"prompt_tokens":9,"completion_tokens":0,"total_tokens":9}"#, 18_000),
        (r#"{"prompt_tokens":9,"completion_tokens":4,"total_tokens":1}"#, 50_000),
        // The bytes of the answer can be as many tokens, though a provider was told four.
        (r#"{"prompt_tokens":9,"completion_tokens":12}"#, 114_000),
        // A provider's own system prompt.
        (r#"{"prompt_tokens":2000,"completion_tokens":4}"#, 4_032_000),
        (r#"{"prompt_tokens":9,"completion_tokens":4,"prompt_tokens_details":{"cached_tokens":90}}"#, 50_000),
    ] {
        for (origin, cost) in said(Some(usage)).await {
            assert_eq!((origin.as_str(), cost), ("reported", expect), "{usage}");
        }
    }
}

/// MONEY-03: a report that cannot be true is settled at what was held for the request, whatever it says.
#[tokio::test(start_paused = true)]
async fn what_cannot_be_true_is_cut_to_what_can() {
    // 72 and 86 bytes of request, four tokens of answer.
    let (all, few) = ([72 * 2_000 + 32_000, 86 * 2_000 + 32_000], [50_000; 2]);
    for (usage, expect, doubt) in [
        (r#"{"prompt_tokens":9,"completion_tokens":13}"#, few, "output"),
        (r#"{"prompt_tokens":9,"completion_tokens":4294967295}"#, few, "output"),
        (r#"{"prompt_tokens":4294967295,"completion_tokens":4}"#, all, "input"),
        (r#"{"prompt_tokens":8300,"completion_tokens":4}"#, all, "input"),
        (r#"{"prompt_tokens":4294967295,"completion_tokens":4294967295}"#, all, "input_and_output"),
        (
            r#"{"prompt_tokens":9,"completion_tokens":0,"completion_tokens_details":{"reasoning_tokens":999999}}"#,
            few,
            "output",
        ),
    ] {
        for ((origin, cost), expect) in said(Some(usage)).await.into_iter().zip(expect) {
            assert_eq!((origin.as_str(), cost), ("estimated", expect), "{usage} {doubt}");
        }
    }
}

/// The request log says what was reported, the metrics how often, and a cap is not overspent.
#[tokio::test(start_paused = true)]
async fn a_report_that_cannot_be_true_is_told_of_and_empties_no_budget() {
    let lie = r#"{"prompt_tokens":4000000000,"completion_tokens":4000000000}"#;
    let whole = Script::json(200, &data::completion(TEXT).replace(USAGE, lie));
    let config = limit("usd", "total", "0.0005", "");
    let gateway = Gateway::builder().provider("p", whole).config(&config).start();
    let mut served = 0;
    while gateway.chat(SHORT).await.status == 200 {
        served += 1;
    }
    assert_eq!(served, 2, "each is settled at the 176,000 nano-dollars that were held for it");
    let records = gateway.records(3).await;
    let spent: u64 = records.iter().map(|record| record.cost_usd.unwrap().0).sum();
    assert_eq!(spent, 2 * 176_000);
    let told = records[0].error.as_ref().unwrap();
    let detail = "the provider's usage report cannot be true (input_and_output): 4000000000 input tokens, 4000000000 \
        output tokens, 0 searches";
    assert_eq!((records[0].outcome.as_str(), told.code.as_deref()), ("succeeded", None));
    assert_eq!(told.detail.as_deref(), Some(detail));
    let reply = crate::admin::get(&gateway, "/metrics").await;
    let metrics = reply.text();
    assert!(metrics.contains(r#"crossway_usage_reports_doubted_total{doubt="input_and_output"} 2"#), "{metrics}");
}
