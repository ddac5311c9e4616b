//! Measures what a request costs in the journal and in the records: `cargo run --release -p settle --example cost`.
//!
//! The figures are CPU time of the thread, which includes the system calls and leaves out waiting for the disk.

#![expect(clippy::print_stdout, reason = "it prints what it measured")]

use std::error::Error;
use std::sync::Arc;

use ir::id::RequestId;
use ir::money::NanoUsd;
use ir::settlement::{AttemptRecord, Intent, Outcome, Settlement, Subject};
use ir::usage::{Usage, UsageOrigin};
use policy::clock::Clock;
use settle::drain::Drainer;
use settle::journal::disk::RealDisk;
use settle::journal::{Journal, JournalOptions};
use store::records::Records;

const ROUNDS: u32 = 40;
const PER_ROUND: u32 = 500;
const PERMITS: u32 = 200_000;

fn main() -> Result<(), Box<dyn Error>> {
    let dir = std::env::temp_dir().join(format!("crossway-cost-{}", RequestId::new(1)));
    let options = JournalOptions { spare_segments: 4, ..JournalOptions::default() };
    let clock = Clock::system();
    let (journal, recovery) = Journal::open(&dir, Arc::new(RealDisk), options, clock.clone())?;
    let mut records = Records::open(&dir)?;
    recovery.recover(&mut records)?;
    let writer = journal.writer();
    let mut drainer = Drainer::new(journal, records, clock);
    let (mut append_ns, mut commit_ns) = (0, 0);
    for _ in 0..ROUNDS {
        let intents: Vec<_> = (0..PER_ROUND).map(|n| intent(n % 7)).collect();
        let settlements: Vec<_> = intents.iter().map(settlement).collect();
        let start = cpu_ns()?;
        for (intent, settlement) in intents.iter().zip(settlements) {
            let mut permit = writer.permit()?;
            permit.intent(intent)?;
            permit.settle(settlement);
        }
        let appended = cpu_ns()?;
        drainer.drain_once()?;
        append_ns += appended - start;
        commit_ns += cpu_ns()? - appended;
    }
    let start = cpu_ns()?;
    for _ in 0..PERMITS {
        drop(writer.permit()?);
    }
    let permit_ns = cpu_ns()? - start;
    let requests = u64::from(ROUNDS * PER_ROUND);
    println!("permit, given back:            {:>6} ns", permit_ns / u64::from(PERMITS));
    println!("permit, intent and settlement: {:>6} ns", append_ns / requests);
    println!("commit to the records:         {:>6} ns", commit_ns / requests);
    std::fs::remove_dir_all(dir)?;
    Ok(())
}

/// Returns the CPU time of this thread, in nanoseconds.
fn cpu_ns() -> Result<u64, Box<dyn Error>> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat")?;
    Ok(text.split_ascii_whitespace().next().unwrap_or_default().parse()?)
}

fn intent(key: u32) -> Intent {
    let unix_ms = Clock::system().unix_ms();
    Intent {
        subject: Subject {
            id: RequestId::new(unix_ms),
            admitted_unix_ms: unix_ms,
            environment: "default".into(),
            key: None,
            key_name: format!("key-{key}").into(),
            team: None,
            cost_tags: Arc::from([]),
            surface: "openai.chat".into(),
            requested_model: "gpt-4o-mini".into(),
            stream: false,
        },
        model: "gpt-4o-mini".into(),
        provider: "openai".into(),
        input_tokens: 128,
        input_cost: Some(NanoUsd(19_200)),
        charge: None,
    }
}

fn settlement(intent: &Intent) -> Settlement {
    Settlement {
        subject: intent.subject.clone(),
        outcome: Outcome::Succeeded,
        status: 200,
        error_code: None,
        error_detail: None,
        model: Some("gpt-4o-mini".into()),
        provider: Some("openai".into()),
        upstream_id: Some("chatcmpl-9x8y7z6w5v4u3t2s1r0q".into()),
        finish_reason: Some("stop".into()),
        usage: Usage { input: 128, output: 64, ..Usage::default() },
        usage_origin: UsageOrigin::Reported,
        cost: Some(NanoUsd(57_600)),
        baseline: Some("gpt-4o".into()),
        baseline_cost: Some(NanoUsd(960_000)),
        latency_us: 812_345,
        first_content_us: Some(312_000),
        attempts: vec![AttemptRecord {
            provider: "openai".into(),
            model: "gpt-4o-mini".into(),
            reason: "requested model".into(),
            status: Some(200),
            error: None,
            duration_us: 812_000,
        }],
        charge: None,
    }
}
