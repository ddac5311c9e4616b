//! The gateway on a simulated network that falls apart at the worst moment.

use std::sync::Arc;
use std::time::Duration;

use policy::spec::key::KeySpec;
use store::records::record::RequestRecord;
use testkit::assembly::Assembly;
use testkit::client::Reply;
use testkit::data::{delta, role};
use testkit::gateway::{Gateway, KEY, REQUEST, STREAM};
use testkit::provider::Provider;
use testkit::script::{Script, Step};
use testkit::simulation::{connect, serve_gateway, serve_provider};

/// A step that cuts the gateway off from a provider; nobody is told.
fn cut(provider: &'static str) -> Step {
    Step::Do(Arc::new(move || turmoil::partition("gateway", provider)))
}

/// Runs a gateway, its providers and one caller in a simulation; the caller gets the parts and the fields of a request.
fn simulate<F>(seed: u64, providers: Vec<(&'static str, Script)>, caller: impl FnOnce(Arc<Assembly>, String) -> F)
where
    F: Future<Output = turmoil::Result> + 'static,
{
    let timeouts = "first_token_timeout_ms = 3000\nidle_timeout_ms = 4000\nconnect_timeout_ms = 1000";
    let mut builder = Gateway::builder().simulated();
    for (name, script) in &providers {
        builder = builder.provider_with(name, timeouts, vec![script.clone()]);
    }
    let assembly = Arc::new(builder.assemble());
    let fields = format!("authorization: Bearer {}\r\n", assembly.create_key(KEY, KeySpec::default()));
    let mut sim = turmoil::Builder::new().rng_seed(seed).simulation_duration(Duration::from_secs(120)).build();
    for (name, script) in providers {
        let provider = Provider::new(vec![script]);
        sim.host(name, move || serve_provider(Arc::clone(&provider)));
    }
    let serving = Arc::clone(&assembly);
    sim.host("gateway", move || serve_gateway(Arc::clone(&serving)));
    sim.client("caller", caller(assembly, fields));
    sim.run().unwrap();
}

/// Asks once under every seed, and hands the reply and the one record to a check.
fn check(body: &'static str, providers: &[(&'static str, Script)], check: fn(Reply, RequestRecord)) {
    for seed in SEEDS {
        simulate(seed, providers.to_vec(), |assembly, fields| async move {
            let mut client = connect().await?;
            client.request("POST /v1/chat/completions", &fields, body.as_bytes()).await;
            let reply = client.reply().await;
            assembly.quiet().await;
            check(reply, assembly.records(1).remove(0));
            Ok(())
        });
    }
}

const SEEDS: std::ops::Range<u64> = 0..8;

/// A provider that is cut off when the request has arrived.
fn cut_off() -> Script {
    Script::new().step(cut("alpha")).send("HTTP/1.1 200 OK\r\n").stall()
}

/// Acceptance FUZZ-03.
#[test]
fn a_partition_in_mid_stream_is_told_to_the_caller() {
    let begun = Script::stream().chunk([role(), delta("Hello")].concat()).wait(1);
    let script = begun.step(cut("alpha")).chunk(delta("WRONG")).stall();
    check(STREAM, &[("alpha", script), ("beta", Script::streamed(&["WRONG"]))], |reply, record| {
        assert_eq!((reply.status, reply.whole, reply.content().as_str()), (200, true, "Hello"));
        assert!(reply.events().last().unwrap().contains("upstream_timeout") && !reply.text().contains("[DONE]"));
        assert_eq!((record.outcome.as_str(), record.usage.origin.as_str()), ("failed", "estimated"));
    });
}

#[test]
fn a_partition_before_the_head_leads_to_the_next_provider() {
    for (body, answer) in [(REQUEST, Script::chat("Hello")), (STREAM, Script::streamed(&["Hello"]))] {
        check(body, &[("alpha", cut_off()), ("beta", answer)], |reply, record| {
            assert_eq!((reply.status, reply.header("x-crossway-provider")), (200, Some("beta")));
            assert_eq!((record.outcome.as_str(), record.attempts.len()), ("succeeded", 2));
            assert!(record.attempts[0].error.as_deref().unwrap().starts_with("timeout"));
        });
    }
}

#[test]
fn a_partition_before_the_head_without_another_provider_is_a_timeout() {
    for body in [REQUEST, STREAM] {
        check(body, &[("alpha", cut_off())], |reply, record| {
            assert_eq!((reply.status, reply.code().as_str()), (504, "upstream_timeout"));
            assert_eq!((record.outcome.as_str(), record.usage.origin.as_str()), ("failed", "none"));
        });
    }
}

#[test]
fn providers_that_cannot_be_reached_at_all_are_passed_over() {
    let first = Script::new().step(cut("alpha")).step(cut("beta")).stall();
    let providers = [("alpha", first), ("beta", Script::chat("WRONG")), ("gamma", Script::chat("Hello"))];
    check(REQUEST, &providers, |reply, record| {
        assert_eq!((reply.status, reply.header("x-crossway-provider")), (200, Some("gamma")));
        assert_eq!(record.attempts.len(), 3);
        assert!(record.attempts[1].error.as_deref().unwrap().starts_with("connect"));
    });
}

#[test]
fn a_caller_behind_a_partition_holds_nothing_for_ever() {
    for seed in SEEDS {
        let parted = Step::Do(Arc::new(|| turmoil::partition("gateway", "caller")));
        let script = Script::stream().chunk(delta("Hello")).step(parted).stall();
        simulate(seed, vec![("alpha", script)], |assembly, fields| async move {
            let mut client = connect().await?;
            client.request("POST /v1/chat/completions", &fields, STREAM.as_bytes()).await;
            while assembly.core.held.now().0 == 0 {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            assembly.quiet().await;
            assert_eq!(assembly.records(1).remove(0).outcome, "failed");
            Ok(())
        });
    }
}
