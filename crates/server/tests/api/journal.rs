//! Disks that are full or broken: nothing is served that could not be written down, and nothing is written twice.

use settle::journal::faults::{Fault, Operation};
use testkit::caller::Caller;
use testkit::data;
use testkit::gateway::{Gateway, REQUEST, STREAM};
use testkit::script::Script;

/// DUR-03.
#[tokio::test(start_paused = true)]
async fn both_surfaces_say_that_nothing_can_be_recorded() {
    for (caller, verdict) in Caller::BOTH.into_iter().zip([(503, "server_error"), (529, "overloaded_error")]) {
        for streamed in [false, true] {
            let gateway = Gateway::builder().provider("p", Script::chat("Hello")).start();
            gateway.assembly.disk.fail(Operation::Write, Some(Fault::NoSpace));
            let reply = caller.ask(&gateway, "", &caller.request(streamed)).await;
            assert_eq!((reply.status, reply.json()["error"]["type"].as_str().unwrap()), verdict);
            let headers = [reply.header("x-crossway-error-code"), reply.header("retry-after")];
            assert_eq!(headers, [Some("dependency_unavailable"), Some("5")]);
            gateway.assembly.disk.fail(Operation::Write, None);
            gateway.assembly.journal.tick();
            gateway.one().await;
        }
    }
}

/// DUR-03.
#[tokio::test(start_paused = true)]
async fn a_full_disk_refuses_until_it_has_room() {
    let gateway = Gateway::builder().provider("p", Script::chat("Hello")).start();
    gateway.assembly.disk.fail(Operation::Create, Some(Fault::NoSpace));
    let mut served = 0;
    let refused = loop {
        let reply = gateway.chat(REQUEST).await;
        if reply.status != 200 {
            break reply;
        }
        served += 1;
        gateway.assembly.journal.tick();
        assert!(served < 4_000, "the disk is full");
    };
    assert_eq!((refused.status, refused.code().as_str()), (503, "dependency_unavailable"));
    assert_eq!(refused.header("retry-after"), Some("5"));
    assert_eq!(gateway.provider("p").requests().len(), served, "what is refused is not dispatched");
    assert!(served > 10);
    gateway.assembly.disk.fail(Operation::Create, None);
    gateway.assembly.journal.tick();
    assert_eq!(gateway.chat(REQUEST).await.status, 200);
    gateway.records(served + 1).await;
}

#[tokio::test(start_paused = true)]
async fn without_an_intent_nothing_is_dispatched() {
    for fault in [Fault::NoSpace, Fault::Broken] {
        for body in [REQUEST, STREAM] {
            let gateway = Gateway::builder().provider("p", Script::chat("Hello")).start();
            gateway.assembly.disk.fail(Operation::Write, Some(fault));
            let reply = gateway.chat(body).await;
            assert_eq!((reply.status, reply.code().as_str()), (503, "dependency_unavailable"));
            assert!(reply.header("retry-after").is_some());
            assert_eq!(gateway.provider("p").requests().len(), 0);
            gateway.assembly.disk.fail(Operation::Write, None);
            gateway.assembly.journal.tick();
            assert_eq!(gateway.one().await.outcome, "refused");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_settlement_that_the_disk_refuses_is_kept_and_written_once() {
    for (body, script) in [(REQUEST, Script::new()), (STREAM, Script::stream().chunk(data::delta("Hello")))] {
        let told = std::sync::Arc::new(tokio::sync::Notify::new());
        let script = if body == REQUEST {
            let whole = data::completion("Hello");
            script.until(&told).send(format!("HTTP/1.1 200 X\r\ncontent-length: {}\r\n\r\n{whole}", whole.len()))
        } else {
            script.until(&told).chunk([data::finish(), data::usage(), data::DONE.to_owned()].concat()).end()
        };
        let gateway = Gateway::builder().provider("p", script).start();
        let mut client = gateway.begin(body).await;
        gateway.provider("p").received(1).await;
        gateway.assembly.disk.fail(Operation::Write, Some(Fault::Broken));
        told.notify_one();
        assert_eq!(client.reply().await.status, 200, "the provider has answered: that is passed on");
        assert!(!gateway.assembly.journal.healthy());
        gateway.assembly.disk.fail(Operation::Write, None);
        gateway.assembly.journal.tick();
        assert!(gateway.assembly.journal.healthy());
        let record = gateway.one().await;
        assert_eq!((record.outcome.as_str(), record.cost_usd.map(|cost| cost.0)), ("succeeded", Some(50_000)));
    }
}

#[tokio::test(start_paused = true)]
async fn the_settlement_stands_before_the_end_is_released() {
    let gateway = Gateway::builder().provider("p", Script::streamed(&["Hello"])).start();
    let mut client = gateway.begin(STREAM).await;
    client.head().await;
    client.read_until("[DONE]").await;
    assert_eq!(gateway.held(), (0, 0, 0));
    assert_eq!(gateway.assembly.records(1).len(), 1);
    gateway.one().await;
}

#[tokio::test(start_paused = true)]
async fn in_flight_the_dearest_target_is_held() {
    let gateway = Gateway::builder().provider("p", Script::new().stall()).start();
    let client = gateway.begin(STREAM).await;
    gateway.provider("p").received(1).await;
    let bytes = STREAM.len() as u64;
    let tokens = bytes.div_ceil(4) + 1_000;
    assert_eq!(gateway.held(), (1, tokens, bytes * 2_000 + 1_000 * 8_000), "one byte is one token at most");
    drop(client);
    gateway.one().await;
}

#[tokio::test(start_paused = true)]
async fn readiness_follows_the_disk() {
    let gateway = Gateway::builder().provider("p", Script::chat("Hello")).start();
    gateway.assembly.disk.fail(Operation::Sync, Some(Fault::Broken));
    gateway.assembly.journal.sync();
    let reply = gateway.admin("GET /readyz", "host: localhost\r\n").await;
    assert_eq!((reply.status, reply.text()), (503, "the journal cannot be written\n"));
    gateway.assembly.disk.fail(Operation::Sync, None);
    gateway.assembly.journal.sync();
    assert_eq!(gateway.admin("GET /readyz", "host: localhost\r\n").await.status, 200);
    gateway.none().await;
}

#[tokio::test(start_paused = true)]
async fn a_killed_process_leaves_no_request_behind() {
    let scripts =
        vec![Script::chat("Hello"), Script::stream().chunk(data::delta("Hello")).stall(), Script::new().stall()];
    let gateway = Gateway::builder().provider_with("p", "", scripts).start();
    assert_eq!(gateway.chat(REQUEST).await.status, 200);
    let mut streaming = gateway.begin(STREAM).await;
    streaming.head().await;
    let waiting = gateway.begin(STREAM).await;
    gateway.provider("p").received(3).await;
    let found = gateway.assembly.after_a_kill();
    let told: Vec<(&str, &str)> = found.iter().map(|r| (r.outcome.as_str(), r.usage.origin.as_str())).collect();
    assert_eq!(told, [("succeeded", "reported"), ("orphaned", "estimated"), ("orphaned", "estimated")]);
    assert!(found.iter().all(|record| record.cost_usd.is_some_and(|cost| cost.0 > 0)));
    drop((streaming, waiting));
    gateway.records(3).await;
}

#[tokio::test(start_paused = true)]
async fn an_answer_whose_last_byte_was_sent_survives_a_kill() {
    for (body, script) in [(REQUEST, Script::chat("Hello")), (STREAM, Script::streamed(&["Hello"]))] {
        let gateway = Gateway::builder().provider("p", script).start();
        let reply = gateway.chat(body).await;
        let found = gateway.assembly.after_a_kill();
        assert_eq!(found.len(), 1);
        assert_eq!(Some(found[0].id.to_string().as_str()), reply.header("x-request-id"));
        assert_eq!((found[0].outcome.as_str(), found[0].cost_usd.map(|cost| cost.0)), ("succeeded", Some(50_000)));
        gateway.one().await;
    }
}
