//! How much of what is cached conversations find again, with the router's own code: several providers of one model, each
//! with a cache of its own. `cargo test -p routing --test affinity -- --nocapture` prints the figures.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};

use policy::clock::Monotonic;
use policy::snapshot::ModelIndex;
use routing::affinity::{LEAST_BYTES, Prefix, Warmth};
use routing::goal::Goal;
use routing::rank::{Candidate, Ranked, rank};
use routing::signal::{Flight, Kind, Signals};

/// For how long a provider keeps what was read, in milliseconds.
const KEPT_MS: u64 = 300_000;

/// One turn of a conversation.
struct Turn {
    at_ms: u64,
    conversation: u64,
    number: usize,
}

/// The prompt of a turn: a system prompt that all share, and what was said so far.
fn prompt(turn: &Turn) -> Vec<u8> {
    let system = format!(r#"{{"role":"system","content":"{}"}}"#, "Be helpful. ".repeat(120));
    let said = |number: usize| {
        let text = format!("{} {number} {}", turn.conversation, "word ".repeat(150 + number * 20 % 170));
        format!(r#"{{"role":"user","content":"{text}"}},{{"role":"assistant","content":"{text}"}}"#)
    };
    let turns: Vec<String> = (0..turn.number).map(said).collect();
    format!("[{system},{}]", turns.join(",")).into_bytes()
}

/// 150 conversations of 3 to 14 turns; a turn every 5 to 90 s; one in twenty waits longer than anything is kept.
fn trace(seed: u64) -> Vec<Turn> {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut turns = Vec::new();
    for conversation in 0..150 {
        let mut at_ms = random.u64(0..700_000);
        for number in 1..=random.usize(3..=14) {
            turns.push(Turn { at_ms, conversation, number });
            at_ms += if random.u8(..20) == 0 { random.u64(310_000..600_000) } else { random.u64(5_000..90_000) };
        }
    }
    turns.sort_by_key(|turn| turn.at_ms);
    turns
}

/// What came of a run.
#[derive(Debug, PartialEq)]
struct Figures {
    /// The share of turns after the first that found all that was said before in the cache.
    hits: f64,
    /// How many requests the busiest target had, as a multiple of its fair share.
    busiest: f64,
}

fn run(turns: &[Turn], targets: usize, seed: u64, stays: bool) -> Figures {
    let mut random = fastrand::Rng::with_seed(seed ^ 1);
    let signals: Vec<Signals> = (0..targets).map(|_| Signals::default()).collect();
    let warmth = Warmth::default();
    let mut caches: Vec<HashMap<u64, (usize, u64)>> = vec![HashMap::new(); targets];
    let mut flying: BinaryHeap<(Reverse<u64>, usize, usize)> = BinaryHeap::new();
    let (mut flights, mut prefixes): (Vec<Option<Flight>>, Vec<Option<Prefix>>) = (Vec::new(), Vec::new());
    let (mut hits, mut counted, mut asked) = (0_usize, 0_usize, vec![0_usize; targets]);
    let instant = |ms: u64| Monotonic((ms + 1_000) * 1_000_000);
    let mut ranked: Vec<Ranked> = Vec::new();
    for turn in turns {
        while flying.peek().is_some_and(|(Reverse(at), ..)| *at <= turn.at_ms) {
            let Some((Reverse(at), target, number)) = flying.pop() else { break };
            if let Some(flight) = flights[number].take() {
                signals[target].answered(flight, instant(at));
            }
            if let Some(prefix) = &prefixes[number] {
                warmth.note(prefix, ModelIndex(target), instant(at));
            }
        }
        let now = instant(turn.at_ms);
        let prompt = prompt(turn);
        let prefix = Prefix::of(b"", &prompt);
        let warm = prefix.as_ref().filter(|_| stays).and_then(|prefix| warmth.find(prefix, now));
        let candidate = |(at, signals): (usize, &Signals)| Candidate {
            reading: signals.read(Kind::Stream, now),
            nanos: None,
            quality: None,
            output_tokens: 0,
            family: 0,
            warm: warm.is_some_and(|warm| warm.model.0 == at),
        };
        let candidates: Vec<Candidate> = signals.iter().enumerate().map(candidate).collect();
        rank(&candidates, &Goal::Fastest.weights(), random.u64(..), &mut ranked);
        let target = ranked[0].at;
        asked[target] += 1;
        let cached = caches[target].remove(&turn.conversation);
        // What is shorter than 1,024 tokens no provider keeps.
        if prompt.len() > LEAST_BYTES {
            caches[target].insert(turn.conversation, (turn.number, turn.at_ms));
        }
        if turn.number > 1 {
            counted += 1;
            let whole = |(number, at): (usize, u64)| number + 1 == turn.number && turn.at_ms - at < KEPT_MS;
            hits += usize::from(cached.is_some_and(whole));
        }
        let took = 200 + random.u64(..400);
        flights.push(Some(signals[target].begin_anyway(Kind::Stream, now)));
        prefixes.push(prefix);
        flying.push((Reverse(turn.at_ms + took), target, flights.len() - 1));
    }
    let fair = turns.len() as f64 / targets as f64;
    let busiest = asked.iter().copied().max().unwrap_or(0) as f64 / fair;
    Figures { hits: hits as f64 / counted as f64, busiest }
}

#[test]
#[expect(clippy::print_stdout, reason = "the figures are for people too")]
fn conversations_find_nearly_all_that_a_single_target_would_have() {
    for targets in [2, 4] {
        for seed in 0..2 {
            let turns = trace(seed);
            let single = run(&turns, 1, seed, false);
            let (without, with) = (run(&turns, targets, seed, false), run(&turns, targets, seed, true));
            println!(
                "{targets} targets, seed {seed}, {} turns: single {:.3}, without {:.3}, with {:.3} ({:.1} % of single's), \
                 busiest {:.2} x its share (without {:.2})",
                turns.len(),
                single.hits,
                without.hits,
                with.hits,
                100.0 * with.hits / single.hits,
                with.busiest,
                without.busiest,
            );
            assert!(with.hits >= 0.95 * single.hits, "{with:?} {single:?}");
            assert!(without.hits < 0.9 * single.hits, "otherwise there is nothing to win: {without:?}");
            assert_eq!(with, run(&turns, targets, seed, true), "the same seed, the same run");
        }
    }
}
