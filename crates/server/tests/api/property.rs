//! Laws over outcomes nobody chose: whatever providers and callers do, what was reserved is released, and every
//! admitted request is settled once.

use proptest::collection::vec;
use proptest::prelude::{Just, Strategy, any, prop_oneof};
use proptest::test_runner::{Config, TestRunner};
use testkit::data::{self, delta, finish, role, usage};
use testkit::gateway::{Gateway, REQUEST, STREAM};
use testkit::script::Script;

/// When a caller leaves: never, or after so many virtual milliseconds.
type Leaves = Option<u64>;

fn scripts() -> impl Strategy<Value = Script> {
    let parts = [role(), delta("one"), delta("two"), finish(), usage(), data::DONE.to_owned()];
    prop_oneof![
        Just(Script::chat("Hello")),
        Just(Script::streamed(&["Hel", "lo"])),
        Just(Script::Refuse),
        Just(Script::Panic),
        Just(Script::new().stall()),
        Just(Script::new().close()),
        Just(Script::answer(200, "", "nonsense")),
        (400..530_u16).prop_map(|status| Script::error(status, "no")),
        (0..7_usize, 0..3_u64, 0..4_u8).prop_map(move |(count, pause, end)| {
            let mut script = Script::stream();
            for part in parts.iter().take(count) {
                script = script.chunk(part).wait(pause);
            }
            match end {
                0 => script.end(),
                1 => script.close(),
                2 => script.reset(),
                _ => script.stall(),
            }
        }),
    ]
}

async fn run(first: Vec<Script>, second: Vec<Script>, calls: Vec<(bool, Leaves)>) {
    let timeouts = "first_token_timeout_ms = 3000\nidle_timeout_ms = 4000\ntimeout_ms = 9000";
    let builder = Gateway::builder().provider_with("p", timeouts, first);
    let gateway = builder.provider_with("q", timeouts, second).start();
    let count = calls.len();
    for (stream, leaves) in calls {
        let mut client = gateway.begin(if stream { STREAM } else { REQUEST }).await;
        match leaves {
            Some(after) => {
                let patience = std::time::Duration::from_millis(after);
                let _ = tokio::time::timeout(patience, client.reply()).await;
            }
            None => {
                let reply = client.reply().await;
                assert!(reply.whole && (200..600).contains(&reply.status));
                if stream && reply.status == 200 {
                    let events = reply.events();
                    let last = events.last().unwrap();
                    assert!(last == "[DONE]" || last.contains("\"error\""), "{last}");
                }
            }
        }
        drop(client);
        gateway.assembly.quiet().await;
    }
    let records = gateway.records(count).await;
    for record in records {
        let free = record.cost_usd.map(|cost| cost.0) == Some(0);
        assert_eq!(record.usage.origin == "none", free, "{record:#?}");
        assert_eq!(record.outcome == "succeeded", record.status == 200 && record.error.is_none(), "{record:#?}");
    }
}

/// Acceptance MEM-03.
#[test]
fn whatever_happens_everything_is_settled_and_released() {
    let calls = vec((any::<bool>(), proptest::option::of(1..6_000_u64)), 1..6);
    let strategy = (vec(scripts(), 1..5), vec(scripts(), 1..5), calls);
    let config = Config { cases: 48, failure_persistence: None, ..Config::default() };
    let law = |(first, second, calls)| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build();
        runtime.unwrap().block_on(run(first, second, calls));
        Ok(())
    };
    TestRunner::new(config).run(&strategy, law).unwrap();
}
