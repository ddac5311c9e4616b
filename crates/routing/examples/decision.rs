//! Measures what a decision costs: `cargo run --release -p routing --example decision -- CANDIDATES`.

use std::hint::black_box;

use policy::clock::{Clock, Monotonic};
use policy::snapshot::ModelIndex;
use routing::affinity::{Prefix, Warmth};
use routing::goal::Goal;
use routing::rank::{Candidate, rank};
use routing::signal::{Kind, Signals};

const ROUNDS: usize = 20_000;

#[expect(clippy::print_stdout, reason = "the figures are what it is for")]
fn main() {
    let count = std::env::args().nth(1).and_then(|text| text.parse().ok()).unwrap_or(100_usize);
    let all: Vec<Signals> = (0..count).map(|_| Signals::default()).collect();
    for (at, signals) in all.iter().enumerate() {
        for turn in 0..50_u64 {
            let began = Monotonic(1_000_000_000 * (turn + 1));
            let flight = signals.begin_anyway(Kind::Stream, began);
            signals.answered(flight, Monotonic(began.0 + 1_000_000 * (50 + at as u64 * 7 + turn)));
        }
    }
    let clock = Clock::system();
    let (mut candidates, mut out) = (Vec::with_capacity(count), Vec::with_capacity(count));
    let mut took = Vec::with_capacity(ROUNDS);
    for seed in 0..ROUNDS as u64 {
        let began = clock.now();
        let now = Monotonic(60_000_000_000 + seed * 1_000_000);
        candidates.clear();
        candidates.extend(all.iter().enumerate().map(|(at, signals)| Candidate {
            reading: signals.read(Kind::Stream, now),
            nanos: Some(1_000 + at as u64 * 37 % 5_000),
            quality: Some((at * 13 % 100) as f64),
            output_tokens: 300,
            family: at as u32 / 3,
            warm: false,
        }));
        rank(&candidates, &Goal::Auto.weights(), seed, &mut out);
        black_box(out.first());
        took.push(clock.now().since(began).as_nanos());
    }
    took.sort_unstable();
    let at = |share: usize| took.get(took.len() * share / 1000).copied().unwrap_or(0) as f64 / 1000.0;
    println!("{count} candidates: p50 {:.1} us, p99 {:.1} us, p99.9 {:.1} us", at(500), at(990), at(999));
    let signals = &all[0];
    let began = clock.now();
    for turn in 0..1_000_000_u64 {
        let flight = signals.begin_anyway(Kind::Stream, Monotonic(100_000_000_000 + turn * 1_000_000));
        signals.answered(black_box(flight), Monotonic(100_050_000_000 + turn * 1_000_000));
    }
    println!("an attempt noted: {} ns", clock.now().since(began).as_nanos() / 1_000_000);
    let warmth = Warmth::default();
    for size in [4_200, 100_000, 1_000_000] {
        let text = vec![b'x'; size];
        let began = clock.now();
        for turn in 0..200_u64 {
            let prefix = Prefix::of(b"", black_box(&text));
            if let Some(prefix) = &prefix {
                black_box(warmth.find(prefix, Monotonic(turn)));
                warmth.note(prefix, ModelIndex(1), Monotonic(turn));
            }
        }
        println!("a prompt of {size} bytes digested and looked up: {} ns", clock.now().since(began).as_nanos() / 200);
    }
}
