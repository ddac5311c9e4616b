//! Measures the request log: `cargo run --release -p store --example request_log -- DIRECTORY [RECORDS]`.
//!
//! Writes records of 30 days, 50 keys and 40 models as traffic would leave them, folds the rollups, and asks everything
//! that the console asks. A directory that holds them already is only read.

#![expect(clippy::print_stdout, reason = "it prints what it measured")]

use std::error::Error;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ir::id::{RequestId, ResourceId};
use ir::money::NanoUsd;
use ir::settlement::{AttemptRecord, Outcome, Settlement, Subject};
use ir::usage::{Usage, UsageOrigin};
use policy::clock::Clock;
use store::records::Records;
use store::records::filter::Filter;
use store::records::read::{ListQuery, RecordsReader};
use store::records::usage::{Dimension, UsageQuery};
use store::records::zone::{Unit, Zone};

const END_MS: u64 = 1_795_000_000_000;
const DAY_MS: u64 = 86_400_000;
const DAYS: u64 = 30;
const KEYS: usize = 50;
const MODELS: usize = 40;
const BATCH: usize = 1_000;
const ROUNDS: usize = 40;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let dir = PathBuf::from(arguments.next().ok_or("give a directory")?);
    let count: usize = arguments.next().map_or(Ok(1_000_000), |text| text.parse())?;
    if !dir.join("records.db").exists() {
        write(&dir, count)?;
    }
    println!("file                  {:>8.1} MiB", std::fs::metadata(dir.join("records.db"))?.len() as f64 / 1048576.0);
    println!("memory before reading {:>8.1} MiB", resident_mib()?);
    lists(&dir)?;
    sums(&dir)?;
    println!("memory after reading  {:>8.1} MiB (peak {:.1})", resident_mib()?, peak_mib()?);
    Ok(())
}

/// Writes the records in the order of time, as a drainer under load does.
fn write(dir: &Path, count: usize) -> Result<(), Box<dyn Error>> {
    let mut random = fastrand::Rng::with_seed(1);
    let people = Arc::new(People::new());
    let mut times: Vec<u64> = (0..count).map(|_| instant(&mut random)).collect();
    times.sort_unstable();
    let mut records = Records::open(dir)?;
    let (mut insert_ns, mut fold_ns, mut slowest_fold_ns) = (0, 0, 0);
    for times in times.chunks(BATCH) {
        let batch: Vec<_> = times.iter().map(|ms| settlement(&mut random, &people, *ms)).collect();
        let start = cpu_ns()?;
        records.commit(&batch, &[([1; 16], 1)], &[])?;
        let inserted = cpu_ns()?;
        let now_ms = times.last().copied().unwrap_or(END_MS);
        loop {
            let before = cpu_ns()?;
            let more = records.fold(now_ms)?;
            slowest_fold_ns = slowest_fold_ns.max(cpu_ns()? - before);
            if !more {
                break;
            }
        }
        insert_ns += inserted - start;
        fold_ns += cpu_ns()? - inserted;
    }
    println!("insert                {:>8} ns CPU a record, {count} records", insert_ns / count as u64);
    println!("fold                  {:>8} ns CPU a record", fold_ns / count as u64);
    println!("slowest fold          {:>8.1} ms CPU", slowest_fold_ns as f64 / 1e6);
    Ok(())
}

fn lists(dir: &Path) -> Result<(), Box<dyn Error>> {
    let text = |text: &str| Some(text.to_owned());
    let status = |from, to| Filter { statuses: vec![(from, to)], ..Filter::default() };
    let any = Filter::default;
    let rare_key = format!("key-{}", KEYS - 1);
    let a_key = ResourceId([7; 16]).to_string();
    let middle = END_MS - 15 * DAY_MS;
    let filters: Vec<(&str, Filter)> = vec![
        ("none", any()),
        ("key, busy", Filter { key: text("key-0"), ..any() }),
        ("key, rare", Filter { key: text(&rare_key), ..any() }),
        ("key by id", Filter { key: Some(a_key), ..any() }),
        ("key, unknown", Filter { key: text("nobody"), ..any() }),
        ("team", Filter { team: text("team-3"), ..any() }),
        ("model", Filter { model: text("model-0"), ..any() }),
        ("model, rare", Filter { model: text("model-39"), ..any() }),
        ("model, wildcard", Filter { model: text("model-3*"), ..any() }),
        ("model, unknown", Filter { model: text("nothing*"), ..any() }),
        ("requested_model", Filter { requested_model: text("auto"), ..any() }),
        ("requested_model, never", Filter { requested_model: text("never asked for"), ..any() }),
        ("provider", Filter { provider: text("provider-4"), ..any() }),
        ("status 5xx", status(500, 599)),
        ("status 418, never", status(418, 418)),
        ("status 404, last on day 3", status(404, 404)),
        ("outcome", Filter { outcomes: vec!["cancelled".into()], ..any() }),
        ("error", Filter { errors: vec!["rate_limited".into()], ..any() }),
        ("surface", Filter { surface: text("anthropic.messages"), ..any() }),
        ("stream", Filter { stream: Some(true), ..any() }),
        ("fallback", Filter { fallback: Some(true), ..any() }),
        ("tag", Filter { tag: text("blue"), ..any() }),
        ("from, to", Filter { from_ms: Some(middle), to_ms: Some(middle + DAY_MS), ..any() }),
        ("cost, some", Filter { min_cost: Some(NanoUsd(10_500_000)), ..any() }),
        ("cost, none", Filter { min_cost: Some(NanoUsd(u64::MAX >> 1)), ..any() }),
        ("latency, some", Filter { min_latency_us: Some(9_500_000), ..any() }),
        ("latency, none", Filter { min_latency_us: Some(u64::MAX >> 1), ..any() }),
        ("id, piece in vain", Filter { id: text("zzzz"), ..any() }),
        ("key, model and 5xx", Filter { key: text("key-9"), model: text("model-7"), ..status(500, 599) }),
    ];
    println!("\n{:<28} {:>9} {:>9} {:>6} {:>6}", "list, first page of 50", "p50 ms", "p95 ms", "rows", "pages");
    for (name, filter) in filters {
        let query = ListQuery { environment: "default".into(), filter, ..ListQuery::default() };
        let (p50, p95, page) = measured(|| Ok(RecordsReader::open(dir)?.list(&query)?))?;
        let pages = match page.searched_back_to {
            Some(_) => pages_until_found(dir, query)?.to_string(),
            None => "1".to_owned(),
        };
        println!("{name:<28} {p50:>9.2} {p95:>9.2} {:>6} {pages:>6}", page.data.len());
    }
    Ok(())
}

/// Returns how many pages it takes until something is found or the search is over.
fn pages_until_found(dir: &Path, mut query: ListQuery) -> Result<usize, Box<dyn Error>> {
    let mut pages = 0;
    loop {
        let page = RecordsReader::open(dir)?.list(&query)?;
        pages += 1;
        query.cursor = page.next_cursor;
        if !page.data.is_empty() || query.cursor.is_none() {
            return Ok(pages);
        }
    }
}

fn sums(dir: &Path) -> Result<(), Box<dyn Error>> {
    println!("\n{:<44} {:>9} {:>9} {:>6}", "sums", "p50 ms", "p95 ms", "rows");
    let filters = [
        ("", Filter::default()),
        (", one model", Filter { model: Some("model-0".into()), ..Filter::default() }),
        (", 5xx", Filter { statuses: vec![(500, 599)], ..Filter::default() }),
    ];
    // Neither end is the beginning of anything.
    let to = END_MS - 1_234_567;
    for (days, width) in [(30, 12 * 3_600_000), (7, 3 * 3_600_000), (1, 1_800_000)] {
        for (name, filter) in &filters {
            let span = (to - days * DAY_MS, to);
            let run = || Ok(RecordsReader::open(dir)?.bars("default", filter, span, width, &Zone::default())?);
            let (p50, p95, bars) = measured(run)?;
            let name = format!("histogram, {days} days{name}");
            println!("{name:<44} {p50:>9.2} {p95:>9.2} {:>6}", bars.bars.len());
        }
    }
    let by_time = |unit| vec![Dimension::Time(unit)];
    let kolkata = Zone::parse("+05:30")?;
    let groups: [(&str, u64, Vec<Dimension>, Zone); 7] = [
        ("usage, 30 days, by model", 30, vec![Dimension::Model], Zone::default()),
        ("usage, 30 days, by key", 30, vec![Dimension::Key], Zone::default()),
        ("usage, 30 days, by day", 30, by_time(Unit::Day), Zone::default()),
        ("usage, 30 days, by day in +05:30", 30, by_time(Unit::Day), kolkata),
        ("usage, 30 days, by model and day", 30, vec![Dimension::Model, Dimension::Time(Unit::Day)], Zone::default()),
        ("usage, 30 days, by tag and team", 30, vec![Dimension::Tag, Dimension::Team], Zone::default()),
        ("usage, 2 days, by hour", 2, by_time(Unit::Hour), Zone::default()),
    ];
    for (name, days, group_by, zone) in groups {
        let query = UsageQuery {
            environment: "default".into(),
            filter: Filter::default(),
            from_ms: to - days * DAY_MS,
            to_ms: to,
            group_by,
            zone,
        };
        let (p50, p95, usage) = measured(|| Ok(RecordsReader::open(dir)?.usage(&query)?))?;
        println!("{name:<44} {p50:>9.2} {p95:>9.2} {:>6}", usage.rows.len());
    }
    let span = (to - 30 * DAY_MS, to);
    let (p50, p95, count) = measured(|| Ok(RecordsReader::open(dir)?.count("default", &filters[2].1, span)?))?;
    println!("{:<44} {p50:>9.2} {p95:>9.2} {:>6}", "count, 30 days, 5xx", count.count);
    let ids: Vec<_> = (0..KEYS as u8).map(|n| ResourceId([n; 16])).collect();
    let (p50, p95, totals) = measured(|| Ok(RecordsReader::open(dir)?.totals(&ids)?))?;
    println!("{:<44} {p50:>9.2} {p95:>9.2} {:>6}", "totals of 50 keys", totals.len());
    Ok(())
}

/// Runs something many times, opening included, and returns the median and the 95th percentile in milliseconds.
fn measured<T>(run: impl Fn() -> Result<T, Box<dyn Error>>) -> Result<(f64, f64, T), Box<dyn Error>> {
    let clock = Clock::system();
    let mut times = Vec::new();
    let mut answer = run()?;
    for _ in 0..ROUNDS {
        let start = clock.now();
        answer = run()?;
        times.push(clock.now().micros_since(start) as f64 / 1_000.0);
    }
    times.sort_by(f64::total_cmp);
    Ok((times[ROUNDS / 2], times[ROUNDS * 95 / 100], answer))
}

/// A key's name, team and cost tags.
type Key = (Arc<str>, Option<Arc<str>>, Arc<[Arc<str>]>);

/// The words that records share.
struct People {
    keys: Vec<Key>,
    models: Vec<(Arc<str>, Arc<str>)>,
    environment: Arc<str>,
}

impl People {
    fn new() -> Self {
        let tags = |n: usize| -> Arc<[Arc<str>]> {
            match n % 4 {
                0 => Arc::from([Arc::from("blue")]),
                1 => Arc::from([Arc::from("red"), Arc::from(format!("project-{}", n % 7))]),
                _ => Arc::from([]),
            }
        };
        let team = |n: usize| (!n.is_multiple_of(5)).then(|| Arc::from(format!("team-{}", n % 8)));
        Self {
            keys: (0..KEYS).map(|n| (format!("key-{n}").into(), team(n), tags(n))).collect(),
            models: (0..MODELS).map(|n| (format!("model-{n}").into(), format!("provider-{}", n % 9).into())).collect(),
            environment: "default".into(),
        }
    }
}

/// More in the day than in the night.
fn instant(random: &mut fastrand::Rng) -> u64 {
    loop {
        let ms = END_MS - random.u64(1..DAYS * DAY_MS);
        let hour = (ms % DAY_MS) as f64 / 3_600_000.0;
        let busy = 0.55 - 0.45 * ((hour - 3.0) / 24.0 * std::f64::consts::TAU).cos();
        if random.f64() < busy {
            return ms;
        }
    }
}

/// The first of many is asked for most (Zipf's law).
fn zipf(random: &mut fastrand::Rng, count: usize) -> usize {
    let most = (count as f64 + 1.0).ln();
    ((random.f64() * most).exp() as usize - 1).min(count - 1)
}

fn settlement(random: &mut fastrand::Rng, people: &People, ms: u64) -> Settlement {
    let key = zipf(random, KEYS);
    let (key_name, team, cost_tags) = people.keys[key].clone();
    let (model, provider) = people.models[zipf(random, MODELS)].clone();
    let old = ms < END_MS - 27 * DAY_MS;
    let (status, outcome, error) = match random.u32(0..1_000) {
        0..20 => (429, Outcome::Failed, Some("rate_limited")),
        20..32 => (502, Outcome::Failed, Some("upstream_error")),
        32..38 => (499, Outcome::Cancelled, None),
        38..45 => (400, Outcome::Refused, Some("guardrail_blocked")),
        45..46 if old => (404, Outcome::Refused, Some("model_not_found")),
        _ => (200, Outcome::Succeeded, None),
    };
    let stream = random.u8(0..10) < 6;
    let latency_us = (random.f64() * 3.2 + 12.0 + random.f64() * random.f64()).exp() as u64;
    let usage = Usage {
        input: random.u64(50..4_000),
        cached_input: if random.u8(0..3) == 0 { random.u64(0..3_000) } else { 0 },
        output: random.u64(5..900),
        ..Usage::default()
    };
    let cost = NanoUsd(usage.input * 150 + usage.output * 600 * (1 + key as u64 % 20));
    let attempt = AttemptRecord {
        provider: Arc::clone(&provider),
        model: Arc::clone(&model),
        reason: "requested model".into(),
        status: Some(status),
        error: None,
        duration_us: latency_us,
    };
    let attempts = vec![attempt; if random.u8(0..30) == 0 { 2 } else { 1 }];
    Settlement {
        subject: Subject {
            id: RequestId::new(ms),
            admitted_unix_ms: ms,
            environment: Arc::clone(&people.environment),
            key: Some(ResourceId([key as u8; 16])),
            key_name,
            team,
            cost_tags,
            surface: if key.is_multiple_of(3) { "anthropic.messages" } else { "openai.chat" }.into(),
            requested_model: if random.u8(0..4) == 0 { "auto".into() } else { Arc::clone(&model) },
            stream,
        },
        outcome,
        status,
        error_code: error.map(Arc::from),
        error_detail: error.map(|error| format!("the provider said {error} and more that a person reads")),
        model: Some(model),
        provider: Some(provider),
        upstream_id: Some(format!("chatcmpl-{:020x}", random.u64(..))),
        finish_reason: Some("stop".into()),
        usage,
        usage_origin: UsageOrigin::Reported,
        cost: Some(cost),
        baseline: Some("model-1".into()),
        baseline_cost: Some(NanoUsd(cost.0 * 2)),
        latency_us,
        first_content_us: stream.then_some(latency_us / 5),
        attempts,
        charge: None,
    }
}

/// Returns the CPU time of this thread, in nanoseconds.
fn cpu_ns() -> Result<u64, Box<dyn Error>> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat")?;
    Ok(text.split_ascii_whitespace().next().unwrap_or_default().parse()?)
}

fn resident_mib() -> Result<f64, Box<dyn Error>> {
    memory("VmRSS:")
}

fn peak_mib() -> Result<f64, Box<dyn Error>> {
    memory("VmHWM:")
}

fn memory(name: &str) -> Result<f64, Box<dyn Error>> {
    let text = std::fs::read_to_string("/proc/self/status")?;
    let line = text.lines().find_map(|line| line.strip_prefix(name)).ok_or("no such line")?;
    let kib: f64 = line.split_ascii_whitespace().next().unwrap_or_default().parse()?;
    Ok(kib / 1_024.0)
}
