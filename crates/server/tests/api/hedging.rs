//! A second target, asked because the first is late: the first content wins, there is one settlement, and nothing stays
//! held, whoever leaves.

use std::sync::Arc;
use std::time::Duration;

use engine::state::{Change, Configuration};
use settle::journal::faults::{Fault, Operation};
use store::records::record::RequestRecord;
use testkit::client::now;
use testkit::data::{DONE, delta, finish, role, usage};
use testkit::gateway::{Gateway, REQUEST, STREAM};
use testkit::script::Script;

use crate::limits::limit;

/// Half as many tokens again: one request earns the second one of the next.
const HEDGING: &str = "[environment]\nhedging = { extra_tokens_percent = 50 }\n";

/// What the answer of a provider costs, in nano-dollars: 9 tokens in, 4 out.
const ANSWER: u64 = 9 * 2_000 + 4 * 8_000;

fn fastest(body: &str) -> String {
    body.replace("\"m\"", "\"fastest\"")
}

/// What the input of a request is estimated to cost.
fn input(body: &str) -> u64 {
    (body.len() as u64).div_ceil(4) * 2_000
}

/// Answers with a stream after some seconds.
fn late(seconds: u64) -> Script {
    let events = [role(), delta("Hello"), finish(), usage(), DONE.to_owned()].concat();
    Script::stream().wait(seconds).chunk(events).end()
}

/// A request that earns the second ones of those that follow.
fn earning() -> String {
    fastest(REQUEST).replacen('{', "{\"max_tokens\":4,", 1).replace("\"hi\"", &format!("\"{}\"", "word ".repeat(40)))
}

/// A gateway whose p answers once and is then as scripted; q answers as scripted.
async fn gateway(config: &str, p: Script, q: Script) -> Gateway {
    let builder = Gateway::builder().provider_with("p", "", vec![Script::chat("Hello"), p]).provider("q", q);
    let gateway = builder.config(config).start();
    assert_eq!(gateway.chat(&earning()).await.header("x-crossway-provider"), Some("p"));
    gateway
}

fn asked(gateway: &Gateway) -> (usize, usize) {
    (gateway.provider("p").requests().len(), gateway.provider("q").requests().len())
}

fn nanos(record: &RequestRecord) -> u64 {
    record.cost_usd.unwrap().0
}

/// Returns provider, reason and error of every try.
fn tries(record: &RequestRecord) -> Vec<(&str, &str, Option<&str>)> {
    record.attempts.iter().map(|one| (&*one.provider, &*one.reason, one.error.as_deref())).collect()
}

const SUPERSEDED: Option<&str> = Some("superseded: another target answered first");

#[tokio::test(start_paused = true)]
async fn the_second_answers_where_the_first_hangs() {
    for (body, q) in [(REQUEST, Script::chat("Hello")), (STREAM, Script::streamed(&["Hello"]))] {
        let gateway = gateway(HEDGING, Script::new().stall(), q).await;
        let before = now();
        let reply = gateway.chat(&fastest(body)).await;
        assert_eq!((reply.status, reply.header("x-crossway-provider")), (200, Some("q")));
        assert!(before.elapsed() < Duration::from_secs(2), "{:?}", before.elapsed());
        assert!(reply.text().contains("Hello"));
        gateway.provider("p").cancelled().await;
        assert!(before.elapsed() < Duration::from_secs(2), "at once");
        let records = gateway.records(2).await;
        let tried = tries(&records[1]);
        let second = ("q", "policy fastest, next best, hedge", None);
        assert_eq!(tried, [("p", "policy fastest", SUPERSEDED), second]);
        let lost = input(&fastest(body)) + if body == REQUEST { 4 * 8_000 } else { 0 };
        assert_eq!(nanos(&records[1]), ANSWER + lost, "both are charged");
        assert_eq!(records[1].usage.output_tokens, 4, "the usage is that of the answer");
        assert_eq!(records[1].provider.as_deref(), Some("q"));
    }
}

#[tokio::test(start_paused = true)]
async fn the_first_wins_where_it_is_faster_after_all() {
    let gateway = gateway(HEDGING, late(3), Script::new().stall()).await;
    let reply = gateway.chat(&fastest(STREAM)).await;
    assert_eq!((reply.status, reply.header("x-crossway-provider")), (200, Some("p")));
    assert_eq!((reply.content().as_str(), reply.header("x-crossway-attempts")), ("Hello", Some("2")));
    gateway.provider("q").cancelled().await;
    let records = gateway.records(2).await;
    let tried = tries(&records[1]);
    assert_eq!(tried[0], ("p", "policy fastest", None));
    assert_eq!(tried[1], ("q", "policy fastest, next best, hedge", SUPERSEDED));
    assert_eq!(nanos(&records[1]), ANSWER + input(&fastest(STREAM)));
}

#[tokio::test(start_paused = true)]
async fn a_process_that_dies_with_two_in_flight_accounts_for_both() {
    let gateway = gateway(HEDGING, Script::new().stall(), Script::new().stall()).await;
    let body = fastest(REQUEST);
    let client = gateway.begin(&body).await;
    gateway.provider("q").received(1).await;
    let found = gateway.assembly.after_a_kill();
    assert_eq!((found.len(), found[1].outcome.as_str()), (2, "orphaned"));
    assert_eq!(nanos(&found[1]), 2 * input(&body), "the input of both");
    assert_eq!(found[1].provider.as_deref(), Some("p"));
    let tried: Vec<_> = found[1].attempts.iter().map(|one| (&*one.provider, &*one.reason)).collect();
    assert_eq!(tried, [("p", "first target"), ("q", "hedge")]);
    drop(client);
    gateway.records(2).await;
}

#[tokio::test(start_paused = true)]
async fn where_the_journal_cannot_say_so_no_second_one_is_asked() {
    let gateway = gateway(HEDGING, late(3), Script::chat("Hello")).await;
    let mut client = gateway.begin(&fastest(STREAM)).await;
    gateway.provider("p").received(2).await;
    gateway.assembly.disk.fail(Operation::Write, Some(Fault::Broken));
    assert_eq!(client.reply().await.header("x-crossway-provider"), Some("p"));
    gateway.assembly.disk.fail(Operation::Write, None);
    gateway.assembly.journal.tick();
    assert_eq!(asked(&gateway), (2, 0));
    assert_eq!(nanos(&gateway.records(2).await[1]), ANSWER);
}

#[tokio::test(start_paused = true)]
async fn one_that_fails_leaves_the_other() {
    let failing = || Script::new().wait(2).send("HTTP/1.1 500 X\r\ncontent-length: 0\r\n\r\n");
    for (p, q, by) in [(failing(), late(4), "q"), (late(4), Script::error(500, "no"), "p")] {
        let gateway = gateway(HEDGING, p, q).await;
        let reply = gateway.chat(&fastest(STREAM)).await;
        assert_eq!((reply.status, reply.header("x-crossway-provider")), (200, Some(by)), "{}", reply.text());
        assert_eq!(asked(&gateway), (2, 1));
        let records = gateway.records(2).await;
        assert_eq!(nanos(&records[1]), ANSWER, "a failure costs nothing");
        let errors: Vec<bool> = records[1].attempts.iter().map(|one| one.error.is_some()).collect();
        assert_eq!(errors, [true, false]);
    }
}

#[tokio::test(start_paused = true)]
async fn where_both_fail_the_next_one_is_asked() {
    let slow = || Script::new().wait(2).send("HTTP/1.1 500 X\r\ncontent-length: 0\r\n\r\n");
    for third in [true, false] {
        let mut builder = Gateway::builder().provider_with("p", "", vec![Script::chat("Hello"), slow()]);
        builder = builder.provider("q", slow());
        if third {
            builder = builder.provider("r", Script::chat("Hello"));
        }
        let gateway = builder.config(HEDGING).start();
        gateway.chat(&earning()).await;
        let reply = gateway.chat(&fastest(REQUEST)).await;
        let expect = if third { (200, Some("r")) } else { (502, None) };
        assert_eq!((reply.status, reply.header("x-crossway-provider")), expect, "{}", reply.text());
        // Where nobody is left, the better one is asked again, as ever.
        assert_eq!(asked(&gateway), (if third { 2 } else { 4 }, 1));
        let records = gateway.records(2).await;
        assert_eq!(records[1].attempts.len(), if third { 3 } else { 4 });
        assert_eq!(nanos(&records[1]), if third { ANSWER } else { 0 });
    }
}

#[tokio::test(start_paused = true)]
async fn a_caller_who_leaves_two_in_flight_leaves_nothing_held() {
    let limits = limit("usd", "1h", "1", "") + &limit("tokens", "60s", "100000", "");
    let places = limit("concurrency", "", "1", "target = \"provider:p\"")
        + &limit("concurrency", "", "1", "target = \"provider:q\"");
    let gateway = gateway(&[HEDGING, &limits, &places].concat(), Script::new().stall(), Script::new().stall()).await;
    let client = gateway.begin(&fastest(STREAM)).await;
    gateway.provider("q").received(1).await;
    let held = gateway.held();
    drop(client);
    gateway.provider("p").cancelled().await;
    gateway.provider("q").cancelled().await;
    assert!(held.1 > 2_000, "both are held: {held:?}");
    let records = gateway.records(2).await;
    assert_eq!((records[1].outcome.as_str(), records[1].status), ("cancelled", 499));
    assert_eq!(records[1].usage.origin, "estimated");
    assert_eq!(nanos(&records[1]), 2 * 2_000 * records[1].usage.input_tokens, "the input of both");
    // Both places are free again: each of the two may be asked by the next request.
    let client = gateway.begin(&fastest(STREAM)).await;
    gateway.provider("p").received(3).await;
    drop(client);
    gateway.records(3).await;
}

#[tokio::test(start_paused = true)]
async fn a_buffered_answer_goes_on_without_its_caller() {
    let answer = Script::new().wait(60).send(whole("Hello"));
    let gateway = gateway(HEDGING, Script::new().stall(), answer).await;
    let client = gateway.begin(&fastest(REQUEST)).await;
    gateway.provider("q").received(1).await;
    drop(client);
    let records = gateway.records(2).await;
    assert_eq!((records[1].outcome.as_str(), records[1].usage.origin.as_str()), ("cancelled", "reported"));
    assert_eq!(nanos(&records[1]), ANSWER + input(&fastest(REQUEST)) + 4 * 8_000);
    assert!(gateway.provider("p").requests()[1].cancelled);
}

/// A whole reply as bytes.
fn whole(content: &str) -> String {
    let body = testkit::data::completion(content);
    format!("HTTP/1.1 200 X\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}", body.len())
}

#[tokio::test(start_paused = true)]
async fn limits_cover_both_or_there_is_no_second() {
    let stream = fastest(STREAM).replacen('{', "{\"max_tokens\":100,", 1);
    // One answer of 100 tokens is covered, and no second one.
    for (config, second) in [
        (limit("usd", "1h", "0.0019", ""), false),
        (limit("usd", "1h", "0.01", ""), true),
        (limit("output_tokens", "60s", "150", ""), false),
        (limit("output_tokens", "60s", "250", ""), true),
        (limit("requests", "60s", "0", "target = \"provider:q\""), false),
        (limit("requests", "60s", "1", "target = \"provider:q\""), true),
    ] {
        let gateway = gateway(&[HEDGING, &config].concat(), late(5), late(5)).await;
        let reply = gateway.chat(&stream).await;
        assert_eq!((reply.status, asked(&gateway).1), (200, usize::from(second)), "{config} {}", reply.text());
        // What the first has used is what counts of tokens; of money both do.
        let records = gateway.records(2).await;
        assert!(second || nanos(&records[1]) == ANSWER);
        assert_eq!(records[1].attempts.len(), 1 + usize::from(second));
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_used_is_what_counts_afterwards() {
    let config = [HEDGING, &limit("tokens", "60s", "100000", ""), &limit("requests", "60s", "9", "")].concat();
    let gateway = gateway(&config, Script::new().stall(), Script::streamed(&["Hello"])).await;
    gateway.chat(&fastest(STREAM)).await;
    let after = gateway.chat(&fastest(REQUEST).replace("fastest", "q/m")).await;
    assert_eq!(after.status, 200, "q streams, whatever it is asked for: {}", after.text());
    let records = gateway.records(3).await;
    let tokens: u64 = records.iter().map(|record| record.usage.input_tokens + record.usage.output_tokens).sum();
    let limits = gateway.api("GET /admin/v1/environments/default/limits/effective?key=first", &().into()).await.json();
    let used: Vec<u64> = limits["data"].as_array().unwrap().iter().map(|one| one["used"].as_u64().unwrap()).collect();
    assert!(used.contains(&tokens) && used.contains(&3), "{tokens} tokens, 3 requests: {limits}");
}

#[tokio::test(start_paused = true)]
async fn some_requests_never_have_a_second() {
    let with = |more: &str| fastest(STREAM).replacen('{', &format!("{{{more},"), 1);
    let search = "\"web_search_options\":{}";
    for (config, fields, body) in [
        ("", "", fastest(STREAM)),
        ("[environment]\nhedging = { extra_tokens_percent = 0 }\n", "", fastest(STREAM)),
        ("[environment]\nhedging = { policies = [] }\n", "", fastest(STREAM)),
        (HEDGING, "", STREAM.to_owned()),
        (HEDGING, "", STREAM.replace("\"m\"", "\"auto\"")),
        (HEDGING, "Idempotency-Key: one\r\n", fastest(STREAM)),
        (HEDGING, "", with("\"service_tier\":\"flex\"")),
        (HEDGING, "", with(search)),
        (HEDGING, "", with("\"store\":true")),
    ] {
        let gateway = gateway(config, late(9), Script::streamed(&["Hello"])).await;
        let reply = gateway.chat_with(fields, &body).await;
        assert_eq!((reply.status, asked(&gateway)), (200, (2, 0)), "{config} {fields} {body} {}", reply.text());
        gateway.records(2).await;
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_earned_outlives_a_change_of_the_configuration() {
    let gateway = gateway(HEDGING, Script::new().stall(), Script::streamed(&["Hello"])).await;
    let snapshot = gateway.assembly.core.state().environment("default").unwrap().snapshot.clone();
    gateway.assembly.core.update(vec![Change::Environment(Arc::new(Configuration::new(snapshot, "test")))]);
    assert_eq!(gateway.chat(&fastest(STREAM)).await.header("x-crossway-provider"), Some("q"));
    let metrics = gateway.admin("GET /metrics", "").await;
    let has = |line: &str| metrics.text().lines().any(|one| one == line);
    assert!(has("crossway_hedges_total 1") && has("crossway_hedges_won_total 1"), "{}", metrics.text());
    let errors = gateway.assembly.core.metrics.totals().providers.iter().map(|one| one.errors).sum::<u64>();
    assert_eq!(errors, 0, "to be slower is no error");
    gateway.records(2).await;
}
