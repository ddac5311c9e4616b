//! Measures the ledger: `cargo run --release -p store --example ledger -- DIRECTORY [CHARGES]`.
//!
//! Writes records, half of a share that is not charged and half that is, to see what a charge costs the drainer; then
//! proves the ledger, lists it, and makes statements. A directory that holds it already is only read.

#![expect(clippy::print_stdout, reason = "it prints what it measured")]

use std::error::Error;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use ir::id::{RequestId, ResourceId};
use ir::money::{Charge, Margin, NanoUsd, SignedNanos};
use ir::settlement::{Outcome, Settlement, Subject};
use ir::usage::{Usage, UsageOrigin};
use policy::clock::{Clock, Monotonic};
use store::records::Records;
use store::records::ledger::CreditKind;
use store::records::ledger::credit::{Ledger, NewCredit};
use store::records::ledger::read::EntryQuery;
use store::records::ledger::statement::{GroupBy, StatementQuery};
use store::records::read::RecordsReader;

const START_MS: u64 = 1_793_000_000_000;
const BATCH: usize = 1_000;
const KEYS: u64 = 50;

fn main() -> Result<(), Box<dyn Error>> {
    let clock = Clock::system();
    let mut arguments = std::env::args().skip(1);
    let dir = PathBuf::from(arguments.next().ok_or("give a directory")?);
    let count: u64 = arguments.next().map_or(Ok(1_000_000), |text| text.parse())?;
    if !dir.join("records.db").exists() {
        write(&dir, count, &clock)?;
    }
    println!("file            {:>9.1} MiB", std::fs::metadata(dir.join("records.db"))?.len() as f64 / 1_048_576.0);
    verify(&dir, &clock)?;
    read(&dir, count, &clock)
}

/// Writes batches that are charged and batches that are not in turn, so that both meet the same file.
fn write(dir: &Path, count: u64, clock: &Clock) -> Result<(), Box<dyn Error>> {
    let mut records = Records::open(dir)?;
    let mut ns = [0, 0];
    let batches = count.div_ceil(BATCH as u64);
    for batch in 0..batches * 2 {
        let charged = batch % 2 == 1;
        let at = START_MS + batch * 1_000;
        let settlements: Vec<_> = (0..BATCH as u64).map(|n| settlement(at + n, n % KEYS, charged)).collect();
        let start = cpu_ns()?;
        records.commit(&settlements, &[([1; 16], batch)], &[])?;
        if let Some(sum) = ns.get_mut(usize::from(charged)) {
            *sum += cpu_ns()? - start;
        }
    }
    let each = |ns: u64| ns as f64 / 1_000.0 / (batches * BATCH as u64) as f64;
    let [plain, charged] = ns;
    println!("CPU of a record {:>9.2} us, with a charge {:.2} us", each(plain), each(charged));
    let mut ledger = Ledger::open(dir)?;
    let started = clock.now();
    for number in 0..100 {
        let credits = SignedNanos::dollars("1000")?;
        let (environment, reference) = ("default".to_owned(), number.to_string());
        let (note, actor) = (String::new(), "example".to_owned());
        let new = NewCredit { environment, kind: CreditKind::TopUp, credits, reference, note, actor };
        ledger.post(&new, START_MS + number)?;
    }
    println!("a top-up        {:>9.2} ms", took(clock, started).as_secs_f64() * 10.0);
    Ok(())
}

fn verify(dir: &Path, clock: &Clock) -> Result<(), Box<dyn Error>> {
    let started = clock.now();
    let reader = RecordsReader::open(dir)?;
    let mut audit = reader.audit()?;
    audit.tables()?;
    let verdict = audit.verdict();
    println!(
        "verified        {:>9.2} s: {} charges, {} faults",
        took(clock, started).as_secs_f64(),
        verdict.charges,
        verdict.faults
    );
    Ok(())
}

fn read(dir: &Path, count: u64, clock: &Clock) -> Result<(), Box<dyn Error>> {
    let reader = RecordsReader::open(dir)?;
    let span = (START_MS, START_MS + count * 4);
    for (name, group_by) in GroupBy::NAMES {
        let started = clock.now();
        let query = StatementQuery { environment: "default".into(), span, group_by };
        let statement = reader.statement(&query)?;
        let seconds = took(clock, started).as_secs_f64();
        println!("statement       {seconds:>9.2} s by {name}: {} requests", statement.total.requests);
    }
    let mut query = EntryQuery { environment: "default".into(), limit: Some(200), ..EntryQuery::default() };
    let started = clock.now();
    let mut pages: u32 = 0;
    while pages < 500 {
        query.cursor = reader.ledger_entries(&query)?.next_cursor;
        pages += 1;
        if query.cursor.is_none() {
            break;
        }
    }
    println!(
        "a page          {:>9.2} ms (200 entries)",
        took(clock, started).as_secs_f64() * 1_000.0 / f64::from(pages)
    );
    Ok(())
}

fn took(clock: &Clock, since: Monotonic) -> Duration {
    clock.now().since(since)
}

fn settlement(ms: u64, key: u64, charged: bool) -> Settlement {
    let cost = NanoUsd(50_000 + key * 17);
    Settlement {
        subject: Subject {
            id: RequestId::new(ms),
            admitted_unix_ms: ms,
            environment: "default".into(),
            key: Some(ResourceId([u8::try_from(key).unwrap_or(0); 16])),
            key_name: format!("key-{key}").into(),
            team: Some(format!("team-{}", key % 7).into()),
            cost_tags: Arc::from([]),
            surface: "openai.chat".into(),
            requested_model: "m".into(),
            stream: false,
        },
        outcome: Outcome::Succeeded,
        status: 200,
        error_code: None,
        error_detail: None,
        model: Some("m".into()),
        provider: Some("p".into()),
        upstream_id: Some("chatcmpl-1".into()),
        finish_reason: Some("stop".into()),
        usage: Usage { input: 9, output: 4, ..Usage::default() },
        usage_origin: UsageOrigin::Reported,
        cost: Some(cost),
        baseline: None,
        baseline_cost: None,
        latency_us: 1_000,
        first_content_us: None,
        attempts: Vec::new(),
        parties: Vec::new(),
        held: None,
        asked: 0,
        charge: charged.then(|| Charge::of(cost, Margin(55_000))),
    }
}

/// Returns the CPU time of this thread, in nanoseconds.
fn cpu_ns() -> Result<u64, Box<dyn Error>> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat")?;
    Ok(text.split_ascii_whitespace().next().unwrap_or_default().parse()?)
}
