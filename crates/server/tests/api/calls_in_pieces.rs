//! Calls of tools as providers cut them: names in pieces, arguments that interleave. Either caller gets whole ones.

use serde_json::{Value, json};
use testkit::caller::Caller;
use testkit::data::{DONE, event, usage};
use testkit::gateway::Gateway;
use testkit::heard::heard;
use testkit::script::Script;

/// Returns a chunk with a piece of a call.
fn piece(call: &Value) -> String {
    let delta = json!({ "tool_calls": [call] });
    chunk(&delta, &Value::Null)
}

fn chunk(delta: &Value, finish: &Value) -> String {
    let choice = json!({ "index": 0, "delta": delta, "finish_reason": finish });
    event(
        &json!({ "id": "c", "object": "chat.completion.chunk", "created": 1, "model": "up-m", "choices": [choice] })
            .to_string(),
    )
}

fn begun(index: u64, id: &str, name: &str) -> String {
    piece(&json!({ "index": index, "id": id, "type": "function", "function": { "name": name, "arguments": "" } }))
}

fn more(index: u64, arguments: &str) -> String {
    piece(&json!({ "index": index, "function": { "arguments": arguments } }))
}

/// Streams this to a caller and returns the calls that it hears.
async fn calls(caller: Caller, pieces: &[String]) -> Vec<(String, String)> {
    let end = [chunk(&json!({}), &json!("tool_calls")), usage(), DONE.to_owned()].concat();
    let gateway = Gateway::builder().provider("p", Script::stream().chunk(pieces.concat() + &end).end()).start();
    let reply = caller.ask(&gateway, "", &caller.request(true)).await;
    let heard = heard(caller, &reply);
    let finish = if caller == Caller::Openai { "tool_calls" } else { "tool_use" };
    assert_eq!(
        (heard.finish.as_deref(), heard.ended, heard.usage.is_some()),
        (Some(finish), true, caller == Caller::Anthropic)
    );
    let record = gateway.one().await;
    assert_eq!((record.outcome.as_str(), record.usage.origin.as_str()), ("succeeded", "reported"));
    heard.calls
}

fn called(calls: &[(&str, &str)]) -> Vec<(String, String)> {
    calls.iter().map(|(name, arguments)| ((*name).to_owned(), (*arguments).to_owned())).collect()
}

#[tokio::test(start_paused = true)]
async fn arguments_that_interleave() {
    let pieces = [
        begun(0, "a", "weather"),
        begun(1, "b", "time"),
        begun(2, "c", "now"),
        more(0, "{\"city\":"),
        more(1, "{\"zone\":[\"}"),
        more(2, "{}"),
        more(0, "\"Bern\"}"),
        more(1, "\\\"\"]}"),
    ];
    let expect = called(&[("weather", r#"{"city":"Bern"}"#), ("time", r#"{"zone":["}\""]}"#), ("now", "{}")]);
    for caller in Caller::BOTH {
        assert_eq!(calls(caller, &pieces).await, expect, "{caller:?}");
    }
}

/// A call without arguments keeps nothing back for good.
#[tokio::test(start_paused = true)]
async fn a_call_that_is_given_nothing() {
    let pieces = [begun(0, "a", "now"), begun(1, "b", "weather"), more(1, "{}")];
    let expect = called(&[("now", ""), ("weather", "{}")]);
    for caller in Caller::BOTH {
        assert_eq!(calls(caller, &pieces).await, expect, "{caller:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_name_in_pieces() {
    let name = |text: &str| piece(&json!({ "index": 0, "function": { "name": text } }));
    let pieces = [begun(0, "a", "get_"), name("wea"), name("ther"), more(0, "{\"city\":"), more(0, "\"Bern\"}")];
    let expect = called(&[("get_weather", r#"{"city":"Bern"}"#)]);
    for caller in Caller::BOTH {
        assert_eq!(calls(caller, &pieces).await, expect, "{caller:?}");
    }
}
