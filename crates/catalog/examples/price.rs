//! Prints what random usages of every offer cost: `cargo run -p catalog --example price -- ROUNDS`. Also what the
//! catalogue takes to read: `-- read`. One JSON object a line, for `tests/e2e/test_prices.py`.

#![expect(clippy::print_stdout, reason = "it prints what it computed")]

use std::error::Error;

use catalog::model::Catalogue;
use catalog::sources::Sources;
use ir::money::{Bucket, Prices, ServiceTier};
use ir::usage::Usage;

const TIERS: [ServiceTier; 4] = [ServiceTier::Standard, ServiceTier::Flex, ServiceTier::Priority, ServiceTier::Batch];

fn main() -> Result<(), Box<dyn Error>> {
    let argument = std::env::args().nth(1).unwrap_or_default();
    if argument == "read" {
        return read();
    }
    let rounds: u64 = argument.parse().map_err(|_| "usage: price ROUNDS, or price read")?;
    let mut random = 0x9e37_79b9_7f4a_7c15;
    for (model, offer) in Catalogue::builtin().iter().flat_map(|m| m.offers.iter().map(move |offer| (m, offer))) {
        let Some(prices) = offer.prices() else { continue };
        for tier in TIERS {
            for round in 0..rounds {
                let usage = usage(&mut random, round, &prices);
                let cost = prices.cost(&usage, tier).map(|cost| cost.0);
                let line = serde_json::json!({
                    "slug": model.slug, "vendor": offer.vendor, "tier": tier, "usage": usage, "cost": cost,
                });
                println!("{line}");
            }
        }
    }
    Ok(())
}

/// Returns a usage: some buckets are empty, and every other one stands just at, or just above, a threshold.
fn usage(random: &mut u64, round: u64, prices: &Prices) -> Usage {
    let mut next = |bound: u64| {
        // xorshift64: any numbers do, as long as they are the same ones every time.
        *random ^= *random << 13;
        *random ^= *random >> 7;
        *random ^= *random << 17;
        if random.is_multiple_of(3) { 0 } else { (*random >> 16) % bound }
    };
    let mut usage = Usage {
        input: next(400_000),
        cached_input: next(100_000),
        cache_write: next(50_000),
        cache_write_1h: next(50_000),
        output: next(64_000),
        reasoning: next(64_000),
        audio_input: next(5_000),
        audio_output: next(5_000),
        image_input: next(5_000),
        image_output: next(5_000),
        ..Usage::default()
    };
    match round % 4 {
        0 => usage.searches = next(20),
        1 => (usage.images, usage.audio_ms) = (next(5), next(600_000)),
        2 => (usage.characters, usage.requests) = (next(5_000), next(9)),
        _ => {}
    }
    let base = prices.base();
    // Most usages hold nothing that the list does not price: their cost is known.
    if round % 8 != 7 {
        let units = [
            (
                Bucket::Output,
                vec![&mut usage.output, &mut usage.reasoning, &mut usage.audio_output, &mut usage.image_output],
            ),
            (Bucket::Image, vec![&mut usage.images]),
            (Bucket::AudioSecond, vec![&mut usage.audio_ms]),
            (Bucket::Character, vec![&mut usage.characters]),
            (Bucket::Search, vec![&mut usage.searches]),
            (Bucket::Request, vec![&mut usage.requests]),
        ];
        for (bucket, fields) in units {
            let scale = u64::from(base.get(bucket).is_some());
            fields.into_iter().for_each(|field| *field *= scale);
        }
        if base.get(Bucket::Input).is_none() {
            return Usage {
                images: usage.images,
                audio_ms: usage.audio_ms,
                characters: usage.characters,
                ..Usage::default()
            };
        }
    }
    let thresholds: Vec<u64> =
        prices.rows().iter().map(|row| row.above_input_tokens).filter(|tokens| *tokens > 0).collect();
    if round.is_multiple_of(2)
        && let Some(tokens) = thresholds.get(round as usize / 2 % thresholds.len().max(1))
    {
        usage.input = 0;
        let others = usage.input_tokens();
        usage.input = (tokens + next(2)).saturating_sub(others);
    }
    usage
}

/// Measures what the files take to read: resident memory of the first time, CPU time of many.
fn read() -> Result<(), Box<dyn Error>> {
    let (before, catalogue) = (resident_kib()?, Catalogue::builtin());
    let (models, held) = (catalogue.iter().count(), resident_kib()?);
    println!("{models} models: {} KiB resident more", held.saturating_sub(before));
    let start = cpu_ns()?;
    for _ in 0..ROUNDS {
        std::hint::black_box(Catalogue::builtin());
    }
    let catalogues = cpu_ns()?;
    for _ in 0..ROUNDS {
        std::hint::black_box(Sources::builtin());
    }
    println!("read in {} us, its sources in {} us", us(catalogues - start), us(cpu_ns()? - catalogues));
    Ok(())
}

const ROUNDS: u64 = 500;

fn us(all_ns: u64) -> u64 {
    all_ns / ROUNDS / 1_000
}

/// Returns the resident memory of this process, in KiB.
fn resident_kib() -> Result<u64, Box<dyn Error>> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).ok_or("no VmRSS")?;
    Ok(line.trim().trim_end_matches("kB").trim().parse()?)
}

/// Returns the CPU time of this thread, in nanoseconds.
fn cpu_ns() -> Result<u64, Box<dyn Error>> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat")?;
    Ok(text.split_ascii_whitespace().next().unwrap_or_default().parse()?)
}
