//! Counts what committing a record costs: `cargo build --release -p store --example commit`, then
//! `valgrind --tool=callgrind target/release/examples/commit DIRECTORY [RECORDS] [BATCH] [KEYS]`.
//!
//! Small chats that one model answered at once, as a busy gateway settles them: twelve in a millisecond, in the order in
//! which they end, which is about the order in which they came. The directory is to be empty.

#![expect(clippy::print_stdout, reason = "it prints what it measured")]

use std::error::Error;
use std::path::PathBuf;
use std::sync::Arc;

use ir::id::{RequestId, ResourceId};
use ir::money::NanoUsd;
use ir::settlement::{AttemptRecord, Outcome, Settlement, Subject};
use ir::usage::{Usage, UsageOrigin};
use store::records::Records;

const START_MS: u64 = 1_795_000_000_000;
const IN_A_MILLISECOND: usize = 12;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let dir = PathBuf::from(arguments.next().ok_or("give a directory")?);
    let mut number = |or: usize| arguments.next().map_or(Ok(or), |text| text.parse());
    let (count, batch, keys) = (number(100_000)?, number(1_000)?, number(7)?);
    let mut random = fastrand::Rng::with_seed(1);
    let words = Words::new(keys);
    let mut records = Records::open(&dir)?;
    let mut ns = 0;
    for start in (0..count).step_by(batch) {
        let settlements: Vec<_> =
            (start..count.min(start + batch)).map(|n| settlement(&mut random, &words, n)).collect();
        let before = cpu_ns()?;
        records.commit(&settlements, &[([1; 16], start as u64)], &[])?;
        drop(settlements);
        ns += cpu_ns()? - before;
    }
    println!("{} ns CPU a record, {count} records in batches of {batch}, {keys} keys", ns / count as u64);
    Ok(())
}

/// The words that a gateway holds once and all of its settlements share.
struct Words {
    environment: Arc<str>,
    keys: Vec<Arc<str>>,
    tags: Arc<[Arc<str>]>,
    model: Arc<str>,
    provider: Arc<str>,
    reason: Arc<str>,
    baseline: Arc<str>,
}

impl Words {
    fn new(keys: usize) -> Self {
        Self {
            environment: "default".into(),
            keys: (0..keys).map(|n| format!("key-{n}").into()).collect(),
            tags: Arc::from([]),
            model: "gpt-4o-mini".into(),
            provider: "openai".into(),
            reason: "requested model".into(),
            baseline: "gpt-4o".into(),
        }
    }
}

fn settlement(random: &mut fastrand::Rng, words: &Words, n: usize) -> Settlement {
    let key = random.usize(0..words.keys.len());
    let ms = START_MS + (n / IN_A_MILLISECOND) as u64;
    let latency_us = random.u64(900..3_000);
    let usage = Usage { input: random.u64(100..400), output: random.u64(20..200), ..Usage::default() };
    Settlement {
        subject: Subject {
            id: RequestId::new(ms.saturating_sub(random.u64(0..3))),
            admitted_unix_ms: ms,
            environment: Arc::clone(&words.environment),
            key: Some(ResourceId([key as u8; 16])),
            key_name: Arc::clone(&words.keys[key]),
            team: None,
            cost_tags: Arc::clone(&words.tags),
            surface: "openai.chat".into(),
            requested_model: (&*words.model).into(),
            stream: false,
        },
        outcome: Outcome::Succeeded,
        status: 200,
        error_code: None,
        error_detail: None,
        model: Some(Arc::clone(&words.model)),
        provider: Some(Arc::clone(&words.provider)),
        upstream_id: Some(format!("chatcmpl-{:020x}", random.u64(..))),
        finish_reason: Some("stop".into()),
        usage,
        usage_origin: UsageOrigin::Reported,
        cost: Some(NanoUsd(usage.input * 150 + usage.output * 600)),
        baseline: Some(Arc::clone(&words.baseline)),
        baseline_cost: Some(NanoUsd(usage.input * 2_500 + usage.output * 10_000)),
        latency_us,
        first_content_us: Some(latency_us - 300),
        attempts: vec![AttemptRecord {
            provider: Arc::clone(&words.provider),
            model: Arc::clone(&words.model),
            reason: Arc::clone(&words.reason),
            status: Some(200),
            error: None,
            duration_us: latency_us - 100,
        }],
        charge: None,
        parties: Vec::new(),
        held: None,
        asked: 0,
    }
}

/// Returns the CPU time of this thread, in nanoseconds.
fn cpu_ns() -> Result<u64, Box<dyn Error>> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat")?;
    Ok(text.split_ascii_whitespace().next().unwrap_or_default().parse()?)
}
