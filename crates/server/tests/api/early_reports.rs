//! Reports of usage that come before the answer is over: they are no less than what was delivered, and a report of nothing
//! takes nothing back.

use serde_json::{Value, json};
use testkit::caller::Caller;
use testkit::data::{self, DONE, USAGE, delta, finish, role};
use testkit::gateway::Gateway;
use testkit::heard::heard;
use testkit::pieces;
use testkit::script::Script;

/// 40 bytes: ten of them are 100 tokens, as they are estimated.
const TEXT: &str = "one two three four five six seven eight ";

const ZERO: &str = r#"{"prompt_tokens":0,"completion_tokens":0,"total_tokens":0}"#;

/// Returns an event with a report in it, as some providers send it with everything they say.
fn reporting(event: &str, output: u64) -> String {
    let usage = format!(r#"}}],"usage":{{"prompt_tokens":9,"completion_tokens":{output}}}}}"#);
    event.replace("}]}", &usage)
}

fn text() -> Vec<String> {
    vec![TEXT.to_owned(); 10]
}

/// What a record says: outcome, origin, input and output tokens.
type Settled = (String, String, u64, u64);

/// Streams to both callers, and returns how each was settled.
async fn settled(kind: &'static str, script: Script) -> Vec<Settled> {
    let mut all = Vec::new();
    for caller in Caller::BOTH {
        // Each has its own: who broke off is left alone for a while.
        let gateway = Gateway::builder().provider_of("p", kind, vec![script.clone()]).start();
        let mut request = caller.request(true);
        request["max_tokens"] = json!(500);
        let reply = caller.ask(&gateway, "", &request).await;
        assert_eq!(reply.status, 200, "{}", reply.text());
        let record = gateway.one().await;
        let usage = &record.usage;
        let origin = usage.origin.to_string();
        all.push((record.outcome.to_string(), origin, usage.input_tokens, usage.output_tokens));
    }
    all
}

async fn check(kind: &'static str, script: Script, (outcome, origin, output): (&str, &str, u64)) {
    for found in settled(kind, script).await {
        assert_eq!(found, (outcome.to_owned(), origin.to_owned(), 9, output), "{kind}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_breaks_is_charged_what_was_delivered() {
    const KIND: &str = "openai-compatible";
    let broken = |events: String| Script::stream().chunk(events).wait(1).close();
    // At the start alone.
    let deltas: String = text().iter().map(|text| delta(text)).collect();
    check(KIND, broken(reporting(&role(), 1) + &deltas), ("failed", "estimated", 100)).await;
    // With everything, but too little; and with the thoughts that nobody sees.
    for (each, expect) in [(1, ("failed", "estimated", 100)), (30, ("failed", "reported", 300))] {
        let events = text().into_iter().zip(1..).map(|(text, at)| reporting(&delta(&text), at * each));
        check(KIND, broken(role() + &events.collect::<String>()), expect).await;
    }
}

/// Anthropic reports at the start, and some that speak its dialect with every `message_delta`.
#[tokio::test(start_paused = true)]
async fn a_message_that_breaks_is_charged_what_was_delivered() {
    const KIND: &str = "anthropic";
    let deltas: String = text().iter().map(|text| pieces::delta(KIND, text)).collect();
    let early =
        event(&json!({ "type": "message_delta", "delta": { "stop_reason": null }, "usage": { "output_tokens": 3 } }));
    for events in [pieces::preamble(KIND) + &deltas, pieces::preamble(KIND) + &early + &deltas] {
        check(KIND, Script::stream().chunk(events).wait(1).close(), ("failed", "estimated", 100)).await;
    }
}

fn event(data: &Value) -> String {
    format!("event: {}\ndata: {data}\n\n", data["type"].as_str().unwrap())
}

/// The stream goes on to its end, but the only report stood at its start.
#[tokio::test(start_paused = true)]
async fn a_report_that_content_follows_does_not_know_of_it() {
    let deltas: String = text().iter().map(|text| delta(text)).collect();
    let events = [reporting(&role(), 1), deltas, finish(), DONE.to_owned()].concat();
    check("openai-compatible", Script::stream().chunk(events).end(), ("succeeded", "estimated", 100)).await;
}

/// What a provider says at the end counts, though it is less than one would estimate.
#[tokio::test(start_paused = true)]
async fn the_last_report_counts() {
    let deltas: String = text().iter().map(|text| delta(text)).collect();
    let events = [reporting(&role(), 1), deltas, finish(), data::usage(), DONE.to_owned()].concat();
    check("openai-compatible", Script::stream().chunk(events).end(), ("succeeded", "reported", 4)).await;
}

#[tokio::test(start_paused = true)]
async fn a_report_of_nothing_takes_nothing_back() {
    let zero = data::usage().replace(USAGE, ZERO);
    let events = [role(), delta("Hello"), finish(), data::usage(), zero, DONE.to_owned()].concat();
    check("openai-compatible", Script::stream().chunk(events).end(), ("succeeded", "reported", 4)).await;
    let whole = pieces::begun("anthropic", "Hello") + &pieces::rest("anthropic");
    let zero =
        event(&json!({ "type": "message_delta", "delta": {}, "usage": { "input_tokens": 0, "output_tokens": 0 } }));
    let stop = event(&json!({ "type": "message_stop" }));
    let events = whole.replace(&stop, &(zero + &stop));
    assert!(events.len() > whole.len(), "{whole}");
    check("anthropic", Script::stream().chunk(events).end(), ("succeeded", "reported", 4)).await;
}

/// The caller of another dialect hears of the report that counts.
#[tokio::test(start_paused = true)]
async fn a_caller_is_not_told_nothing_either() {
    let zero = data::usage().replace(USAGE, ZERO);
    let events = [role(), delta("Hello"), finish(), data::usage(), zero, DONE.to_owned()].concat();
    let gateway = Gateway::builder().provider("p", Script::stream().chunk(events).end()).start();
    let reply = Caller::Anthropic.ask(&gateway, "", &Caller::Anthropic.request(true)).await;
    assert_eq!(heard(Caller::Anthropic, &reply).usage, Some((9, 4)), "{}", reply.text());
    gateway.one().await;
}

/// Where nothing but zeros is reported of an answer, it is estimated, in every dialect and both forms.
#[tokio::test(start_paused = true)]
async fn zeros_of_an_answer_are_no_report() {
    for kind in testkit::dialects::KINDS {
        let zeros = |text: String| {
            let mut text = text.replace(":9,", ":0,").replace(":4,", ":0,").replace(":13", ":0");
            for name in ["output_tokens", "eval_count", "candidatesTokenCount", "completion_tokens"] {
                text = text.replace(&format!("\"{name}\":4"), &format!("\"{name}\":0"));
                text = text.replace(&format!("\"{name}\":1}}"), &format!("\"{name}\":0}}"));
            }
            text
        };
        let answer = testkit::dialects::Answer::Text;
        let whole = zeros(testkit::dialects::body(kind, answer).to_string());
        let stream = zeros(testkit::dialects::stream(kind, answer));
        for caller in Caller::BOTH {
            let script = pieces::head(kind).chunk(&stream).end();
            let gateway = Gateway::builder().provider_of("p", kind, vec![Script::json(200, &whole), script]).start();
            for stream in [false, true] {
                let reply = caller.ask(&gateway, "", &caller.request(stream)).await;
                assert_eq!(reply.status, 200, "{kind} {caller:?}: {}", reply.text());
            }
            for record in gateway.records(2).await {
                let usage = &record.usage;
                assert_eq!(
                    (usage.origin.as_str(), usage.output_tokens),
                    ("estimated", 3),
                    "{kind} {caller:?} {record:?}"
                );
                assert!(usage.input_tokens > 10, "{kind} {caller:?}");
            }
        }
    }
}
