//! Limits after `kill -9`: what was used is known to whoever starts next.

use std::collections::BTreeMap;
use std::time::Duration;

use engine::gateway::Gateway as Core;
use engine::limits;
use policy::limit::bind::Asker;
use policy::spec::key::KeySpec;
use server::restore::restore_limits;
use testkit::caller::Caller;
use testkit::data::{delta, role};
use testkit::gateway::{Gateway, REQUEST};
use testkit::script::Script;

use crate::limits::{limit, own};

/// Returns what every limit of every key says it has used, by the key, the limit and what it is of.
fn used(core: &Core) -> BTreeMap<String, u64> {
    let state = core.state();
    let mut found = BTreeMap::new();
    for key in state.keys.all() {
        let configuration = state.environment(&key.compiled.environment).unwrap();
        let Some(bindings) = limits::of_key(core, key, configuration) else { continue };
        let asker = Asker { user: Some("ann"), peer: "127.0.0.1".parse().ok(), bucket: Some("shared") };
        let bindings = limits::of_asker(core, key, configuration, &bindings, asker);
        for (target, bound) in bindings.all() {
            let name = format!("{} {} {target:?}", key.compiled.name, bound.limit.name);
            found.insert(name, bound.counter.read(limits::now(&core.clock)).used);
        }
    }
    found
}

fn limits_of_all_kinds() -> String {
    [
        limit("requests", "60s", "100", "scope = \"key\""),
        limit("requests", "day", "100", ""),
        limit("tokens", "1h", "100000", "scope = \"team\""),
        limit("usd", "month", "100", "scope = \"key\""),
        limit("usd", "total", "100", "target = \"provider:p\""),
        limit("output_tokens", "7d", "100000", "scope = \"key\"\ntarget = \"model:m\""),
        limit("concurrency", "", "100", ""),
        limit("usd", "month", "100", "scope = \"user\""),
        limit("requests", "1h", "100", "scope = \"user:ann\""),
        limit("tokens", "day", "100000", "scope = \"ip\""),
        limit("requests", "60s", "100", "scope = \"ip:127.0.0.1\"\ntarget = \"provider:p\""),
        limit("requests", "7d", "100", "scope = \"bucket\""),
        limit("usd", "billing_period", "100", "scope = \"bucket:shared\""),
        limit("requests", "1h", "100", "target = \"provider:p\""),
        limit("requests", "1h", "100", "scope = \"key\"\ntarget = \"model:m\""),
    ]
    .concat()
}

#[tokio::test(start_paused = true)]
async fn a_counter_says_after_a_kill_what_it_said_before() {
    let config = limits_of_all_kinds();
    let scripts = vec![
        Script::chat("Hello"),
        Script::error(500, "no"),
        Script::streamed(&["a", "b"]),
        Script::chat("Hello"),
        Script::error(400, "no"),
        Script::stream().chunk(role()).chunk(delta(&"word ".repeat(50))).stall(),
    ];
    let builder = Gateway::builder().provider_with("p", "", scripts).provider("q", Script::chat("Hello"));
    let gateway = builder.config(&config).start();
    let team = KeySpec { team: Some("t".into()), limits: vec![own("usd", "day", "9")], ..KeySpec::default() };
    let mate = gateway.assembly.create_key("mate", team);
    let wait = |ms| gateway.assembly.hands.advance(Duration::from_millis(ms));
    let ask = async |secret: &str, body: &str| {
        let fields = format!("authorization: Bearer {secret}\r\nx-crossway-bucket: shared\r\n");
        gateway.ask("POST /v1/chat/completions", &fields, body).await.status
    };
    let by = |user: &str| REQUEST.replacen('{', &format!("{{\"user\":\"{user}\","), 1);
    let (by_ann, by_bob) = (by("ann"), by("bob"));
    for (body, pause) in [(by_ann, 700), (by_bob, 9_000), (at_p(&Caller::Openai.request(true).to_string()), 25_000)] {
        assert_eq!(ask(&mate, &body).await, 200);
        wait(pause);
    }
    let asked = async || gateway.chat(&at_p(REQUEST)).await.status;
    assert_eq!((asked().await, asked().await), (200, 400));
    assert_eq!(gateway.chat(r#"{"model":"nobody","messages":[]}"#).await.status, 400);
    let mut leaving = gateway.begin(&at_p(&Caller::Openai.request(true).to_string())).await;
    leaving.head().await;
    leaving.read_until("word").await;
    drop(leaving);
    gateway.assembly.quiet().await;

    let before = used(&gateway.assembly.core);
    assert!(before.values().sum::<u64>() > 100_000, "{before:?}");
    let at_once = gateway.assembly.restarted(&restarted_config(&config), Duration::ZERO);
    assert_eq!(used(&at_once.core), before);
    // The minute has passed, the rest has not.
    let later = gateway.assembly.restarted(&restarted_config(&config), Duration::from_secs(61));
    for (name, used) in used(&later.core) {
        let minute = name.contains("limit-1 ") || name.contains("limit-11 ");
        assert_eq!(used, if minute { 0 } else { before[&name] }, "{name}");
    }
    gateway.records(7).await;
}

/// The same request for p alone, which would be left alone after its failure.
fn at_p(body: &str) -> String {
    body.replace("\"m\"", "\"p/m\"")
}

/// The providers of the gateway above, as its builder writes them.
fn restarted_config(limits: &str) -> String {
    let provider = |name: &str| {
        format!(
            "[providers.{name}]\nkind = \"openai-compatible\"\nbase_url = \"http://{name}.test/v1\"\napi_key = \"k\"\n\
             default_model = \"m\"\n[[models]]\nslug = \"m\"\nprovider = \"{name}\"\nupstream_name = \"up-m\"\n\
             input_price = 2\noutput_price = 8\nmax_output_tokens = 1000\n"
        )
    };
    [provider("p"), provider("q"), limits.to_owned()].concat()
}

#[tokio::test(start_paused = true)]
async fn what_was_in_flight_at_the_kill_counts() {
    let config = [limit("requests", "1h", "9", ""), limit("input_tokens", "1h", "999", "")].concat();
    let gateway = Gateway::builder().provider("p", Script::new().stall()).config(&config).start();
    let client = gateway.begin(REQUEST).await;
    gateway.provider("p").received(1).await;
    gateway.assembly.journal.tick();
    let restarted = gateway.assembly.restarted(&restarted_config(&config), Duration::from_secs(1));
    let found = used(&restarted.core);
    let tokens = (REQUEST.len() as u64).div_ceil(4);
    assert_eq!(found.values().copied().collect::<Vec<_>>(), [1, tokens], "as an estimate: {found:?}");
    drop(client);
    gateway.one().await;
}

/// What was held for a request whose cost nobody knows is counted before a restart and after it.
#[tokio::test(start_paused = true)]
async fn what_nobody_knows_counts_as_what_was_held() {
    let config = [limit("usd", "1h", "9", ""), limit("output_tokens", "1h", "9999", "")].concat();
    let gateway = Gateway::builder().provider("p", Script::new().stall()).config(&config).start();
    let client = gateway.begin(REQUEST).await;
    gateway.provider("p").received(1).await;
    gateway.assembly.journal.tick();
    let before = used(&gateway.assembly.core);
    let restarted = gateway.assembly.restarted(&restarted_config(&config), Duration::from_secs(1));
    assert_eq!(used(&restarted.core), before, "of a request that was in flight");
    assert!(before.values().all(|held| *held > 0), "{before:?}");
    drop(client);
    gateway.one().await;
}

/// An unbounded stream holds more as it goes on: what it has used by then is not free again after a kill.
#[tokio::test(start_paused = true)]
async fn what_a_stream_has_grown_to_counts() {
    let config = [limit("usd", "1h", "9", ""), limit("output_tokens", "1h", "999999", "")].concat();
    let model = "[[models]]\nslug = \"free-form\"\nprovider = \"p\"\ninput_price = 2\noutput_price = 8\n";
    let mut script = Script::stream().chunk(role());
    for _ in 0..30 {
        script = script.chunk(delta(&"word ".repeat(80)));
    }
    let gateway = Gateway::builder().provider("p", script.stall()).config(&[&config, model].concat()).start();
    let mut client = gateway.begin(&Caller::Openai.request(true).to_string().replace("\"m\"", "\"free-form\"")).await;
    client.head().await;
    client.read_until("word").await;
    tokio::time::sleep(Duration::from_millis(1)).await;
    let before = used(&gateway.assembly.core);
    assert!(before.values().all(|held| *held > 30 * 400 / 4), "{before:?}");
    let restarted = gateway.assembly.restarted(&restarted_config(&config), Duration::from_secs(1));
    assert_eq!(used(&restarted.core), before);
    drop(client);
    gateway.one().await;
}

/// Nobody knows what is left: what limits bind is refused, the rest is served, and nothing is counted twice afterwards.
#[tokio::test(start_paused = true)]
async fn while_the_log_cannot_be_read_what_limits_bind_is_refused() {
    let config = limit("requests", "1h", "2", "scope = \"key:first\"");
    let gateway = Gateway::builder().provider("p", Script::chat("Hello")).config(&config).start();
    let free = Gateway::builder().provider("p", Script::chat("Hello")).start();
    assert_eq!(gateway.chat(REQUEST).await.status, 200);
    gateway.records(1).await;
    let broken = testkit::directory::Directory::new();
    std::fs::write(broken.0.join("records.db"), "this is no database".repeat(1_000)).unwrap();
    assert!(restore_limits(&gateway.assembly.core, &broken.0).is_err());
    assert!(restore_limits(&free.assembly.core, &broken.0).is_ok(), "where no limit is, nothing is read");
    assert_eq!(free.chat(REQUEST).await.status, 200);
    let refused = gateway.chat(REQUEST).await;
    assert_eq!((refused.status, refused.header("x-crossway-error-code")), (503, Some("dependency_unavailable")));
    assert_eq!(refused.header("retry-after"), Some("5"));
    let effective = gateway
        .api(&format!("GET {}/limits/effective?key=first", crate::limits::DEFAULT), &serde_json::Value::Null)
        .await;
    assert_eq!(effective.status, 503);
    restore_limits(&gateway.assembly.core, &gateway.assembly.directory.0).unwrap();
    assert_eq!((gateway.chat(REQUEST).await.status, gateway.chat(REQUEST).await.status), (200, 429));
    free.one().await;
    gateway.records(3).await;
}
