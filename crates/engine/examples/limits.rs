//! Measures whether a cap holds, what it refuses that would have fitted, and what admission costs.
//!
//! `cargo run --release -p engine --example limits -- 10000`
//!
//! Each run has a cap, a price list and 1 to 256 callers on threads of their own number, drawn at random. Every request
//! reserves what it may use at most, uses some of that, and settles; some fail, some are raised as a stream is, some
//! are dropped. What was spent is summed beside the counter. Then rolling windows are checked against the instants of
//! what was admitted, and admission is measured.

#![expect(clippy::print_stdout, clippy::expect_used, reason = "a measurement that a person runs")]

use std::collections::VecDeque;
use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use policy::clock::Clock;
use policy::limit::counter::Counter;
use policy::limit::reservation::{Binding, Bound, Reservation};
use policy::limit::{Amounts, Meter, Now, Window};

/// What all runs amount to.
#[derive(Default)]
struct Sum {
    admitted: u64,
    refused: u64,
    runs_by_callers: [u64; 9],
}

/// What was refused of caps that were used up.
struct Refusals {
    /// Refused while less than 90 % of the cap was spent, and what the request was going to use would have fitted beside
    /// what was spent and what those in flight were going to use.
    falsely: u64,
    /// How many requests were made then.
    asked: u64,
    /// The least share of its cap that a run spent before its first false refusal, in thousandths.
    first: u64,
    /// The same two of requests that were made at the moment when 90 % of the cap were spent (89.5 to 90.5 %), by callers.
    then: [(u64, u64); 9],
}

fn bound(meter: Meter, window: &Window, amount: u64) -> Bound {
    Bound { counter: Arc::new(Counter::new(meter, window)), amount, limit: Arc::default() }
}

fn now() -> Now {
    Now { monotonic_ms: 1_000_000, unix_ms: 1_795_000_000_000 }
}

/// One request: the bound is what the bytes and `max_tokens` say, the use is about what models do with them.
fn request(random: &mut fastrand::Rng, price: (u64, u64)) -> (u64, u64) {
    let (bytes, max_tokens) = (random.u64(200..20_000), random.u64(16..2_000));
    let (input, output) = (bytes * random.u64(15..40) / 100, max_tokens * random.u64(5..=100) / 100);
    (bytes * price.0 + max_tokens * price.1, input.min(bytes) * price.0 + output * price.1)
}

/// Runs one cap to its end.
fn run(seed: u64, sum: &mut Sum) {
    let mut random = fastrand::Rng::with_seed(seed);
    let callers = 1u64 << random.u32(0..=8);
    let price = (random.u64(50..5_000), random.u64(200..25_000));
    // 50 to 600 times what some request costs.
    let (cap, requests) = (request(&mut random, price).1.max(1) * random.u64(50..600), 400_u64);
    let spend = bound(Meter::Usd, &Window::Total, cap);
    let binding = Binding::new(vec![spend.clone(), bound(Meter::Requests, &Window::Total, u64::MAX)]);
    let (spent, counts) = (AtomicU64::new(0), [const { AtomicU64::new(0) }; 2]);
    let count = |index: usize| counts.get(index).map(|count| count.fetch_add(1, Ordering::Relaxed));
    std::thread::scope(|scope| {
        for caller in 0..callers {
            let (binding, spent, count) = (&binding, &spent, &count);
            scope.spawn(move || {
                let mut random = fastrand::Rng::with_seed(seed ^ (caller + 1) << 32);
                for _ in 0..requests.div_ceil(callers) {
                    let (most, used) = request(&mut random, price);
                    let Ok(mut taken) = Reservation::take(binding, &amounts(most), now()) else {
                        count(1);
                        continue;
                    };
                    std::thread::yield_now();
                    let fate = random.u8(0..20);
                    let mut actual = if fate < 2 { 0 } else { used };
                    if fate == 5 && taken.raise(&amounts(most + used), now()).is_ok() {
                        actual += used;
                    }
                    // Spent before it is settled: what is seen here is never more than the counter allows.
                    spent.fetch_add(actual, Ordering::SeqCst);
                    assert!(spent.load(Ordering::SeqCst) <= cap, "the cap is overspent: seed {seed}");
                    if fate == 0 {
                        drop(taken)
                    } else {
                        taken.settle(&amounts(actual))
                    }
                    count(0);
                }
            });
        }
    });
    let spent = spent.into_inner();
    assert_eq!(spend.counter.read(now()).used, spent, "what is held is given back: seed {seed}");
    let [admitted, refused] = counts.map(AtomicU64::into_inner);
    sum.admitted += admitted;
    sum.refused += refused;
    if let Some(runs) = sum.runs_by_callers.get_mut(callers.trailing_zeros() as usize) {
        *runs += 1;
    }
}

/// Uses up a cap of so many times what all callers together may hold, who are in flight all the time but for the moment
/// between two requests: no machine is quick enough to make it look better.
fn use_up(seed: u64, times: u64, sum: &mut Refusals) {
    let mut random = fastrand::Rng::with_seed(seed);
    let callers = 1usize << random.u32(0..=8);
    let price = (random.u64(50..5_000), random.u64(200..25_000));
    let samples: Vec<(u64, u64)> = (0..1_000).map(|_| request(&mut random, price)).collect();
    let most = samples.iter().map(|sample| sample.0).sum::<u64>() / 1_000;
    let cap = times * callers as u64 * most;
    let binding = Binding::new(vec![bound(Meter::Usd, &Window::Total, cap)]);
    let mut flights: Vec<Option<(Reservation, u64)>> = (0..callers).map(|_| None).collect();
    let (mut spent, mut going) = (0, 0);
    while spent * 1_000 < cap * 905 {
        let (before, at_90) = (spent * 10 < cap * 9, spent * 1_000 >= cap * 895);
        let Some(flight) = flights.get_mut(random.usize(0..callers)) else { break };
        if let Some((taken, used)) = flight.take() {
            (spent, going) = (spent + used, going - used);
            taken.settle(&amounts(used));
        }
        let (most, used) = request(&mut random, price);
        sum.asked += u64::from(before);
        let then = sum.then.get_mut(callers.trailing_zeros() as usize).filter(|_| at_90);
        let (falsely, asked) = then.map_or((None, None), |(falsely, asked)| (Some(falsely), Some(asked)));
        asked.into_iter().for_each(|asked| *asked += 1);
        match Reservation::take(&binding, &amounts(most), now()) {
            Ok(taken) => {
                going += used;
                *flight = Some((taken, used));
            }
            Err(_) if spent + going + used <= cap => {
                sum.falsely += u64::from(before);
                falsely.into_iter().for_each(|falsely| *falsely += 1);
                sum.first = sum.first.min(spent * 1_000 / cap);
                // Nothing is in flight and it did not fit: what is left is for smaller requests.
                if going == 0 {
                    break;
                }
            }
            Err(_) => {}
        }
    }
}

/// What rolling windows amount to.
#[derive(Default)]
struct Windows {
    asked: u64,
    admitted: u64,
    /// How many an exact window would have let in of what was asked.
    exact: u64,
    /// The fullest windows that were seen, as many as were exactly full.
    full: u64,
}

/// Lets requests arrive at random under a limit on a rolling window, and looks at every window that ends with one that was
/// admitted: no other can hold more.
fn rolling(seed: u64, sum: &mut Windows) {
    let mut random = fastrand::Rng::with_seed(seed);
    let (window_ms, amount) = (random.u64(1_000..3_600_000), random.u64(1..200));
    // From a fifth of what the limit allows to five times as much, alone or in bursts.
    let pause = (window_ms * random.u64(20..500) / 100 / amount).max(1);
    let counter = bound(Meter::Requests, &Window::Rolling(Duration::from_millis(window_ms)), amount);
    let binding = Binding::new(vec![counter]);
    let (mut at, mut admitted, mut exact) = (1_000_000_000, VecDeque::new(), VecDeque::new());
    for _ in 0..amount * 12 {
        at += if random.u8(0..4) == 0 { random.u64(0..pause * 8) } else { random.u64(0..pause) };
        let now = Now { monotonic_ms: at, unix_ms: 1_795_000_000_000 + at };
        for all in [&mut admitted, &mut exact] {
            while all.front().is_some_and(|first| first + window_ms <= at) {
                all.pop_front();
            }
        }
        sum.asked += 1;
        if (exact.len() as u64) < amount {
            exact.push_back(at);
            sum.exact += 1;
        }
        if let Ok(taken) = Reservation::take(&binding, &Amounts::default(), now) {
            taken.settle(&Amounts::default());
            admitted.push_back(at);
            sum.admitted += 1;
            assert!(admitted.len() as u64 <= amount, "limit + 1: seed {seed}");
            sum.full += u64::from(admitted.len() as u64 == amount);
        }
    }
}

fn amounts(nanos: u64) -> Amounts {
    Amounts { nanos, ..Amounts::default() }
}

/// Measures taking and settling often, in short pieces: what other programs take of the machine makes some of them longer.
/// Returns the tenth, the half and nine tenths of them.
fn admissions(limits: usize, threads: usize, clock: &Clock) -> [Duration; 3] {
    let mut all: Vec<Duration> = (0..200).map(|_| admission(limits, threads, clock)).collect();
    all.sort();
    [20, 100, 180].map(|at| all.get(at).copied().unwrap_or_default())
}

/// Measures taking and settling under so many limits, as one request does it.
fn admission(limits: usize, threads: usize, clock: &Clock) -> Duration {
    const TIMES: u32 = 5_000;
    let meters = [Meter::Requests, Meter::Tokens, Meter::Usd, Meter::InputTokens, Meter::OutputTokens];
    let windows = [Window::Rolling(Duration::from_secs(60)), Window::Total];
    let bounds = (0..limits).filter_map(|number| {
        let (meter, window) = (meters.get(number % 5)?, windows.get(number / 5 % 2)?);
        Some(bound(*meter, window, u64::MAX / 2))
    });
    let (gate, spend): (Vec<Bound>, Vec<Bound>) = bounds.partition(|bound| bound.counter.meter() == Meter::Requests);
    let (gate, spend) = (Binding::new(gate), Binding::new(spend));
    let most = Amounts { input_tokens: 900, output_tokens: 500, nanos: 5_000_000, charge: 5_000_000 };
    let used = Amounts { input_tokens: 700, output_tokens: 90, nanos: 900_000, charge: 900_000 };
    let work = || {
        for turn in 0..TIMES {
            let now = Now { monotonic_ms: u64::from(turn) / 50, unix_ms: 1_795_000_000_000 + u64::from(turn) / 50 };
            let Ok(mut taken) = Reservation::take(black_box(&gate), &Amounts::default(), now) else { continue };
            if taken.add(black_box(&spend), &most, now).is_ok() {
                taken.settle(&used);
            }
        }
    };
    let start = clock.now();
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(work);
        }
    });
    clock.now().since(start) / TIMES
}

fn main() {
    let runs: u64 = std::env::args().nth(1).map_or(10_000, |count| count.parse().expect("a number of runs"));
    let clock = Clock::system();
    let (mut sum, start) = (Sum::default(), clock.now());
    for seed in 0..runs {
        run(seed, &mut sum);
    }
    println!("{runs} runs in {:?}, by callers 1, 2, 4 … 256: {:?}", clock.now().since(start), sum.runs_by_callers);
    println!("{} requests admitted, {} refused, no cap overspent, nothing held afterwards", sum.admitted, sum.refused);
    for times in [1, 2, 5, 10, 12, 20, 50, 100] {
        let mut sum = Refusals { falsely: 0, asked: 0, first: 1_000, then: [(0, 0); 9] };
        for seed in 0..runs.div_ceil(10) {
            use_up(seed, times, &mut sum);
        }
        println!(
            "cap {times:>2} x what all callers may hold: {:.3} % of {} requests made below 90 % use refused though their \
             cost would have fitted, the first at {:.1} % use",
            sum.falsely as f64 * 100.0 / sum.asked.max(1) as f64,
            sum.asked,
            sum.first as f64 / 10.0
        );
        let share = |(falsely, asked): (u64, u64)| falsely as f64 * 100.0 / asked.max(1) as f64;
        let all = sum.then.iter().fold((0, 0), |all, one| (all.0 + one.0, all.1 + one.1));
        let by_callers: Vec<String> = sum.then.iter().map(|one| format!("{:.2}", share(*one))).collect();
        println!("    at 90 % use {:.3} % of {}; by callers 1, 2, 4 … 256: {by_callers:?}", share(all), all.1);
    }
    let mut windows = Windows::default();
    for seed in 0..runs {
        rolling(seed, &mut windows);
    }
    println!(
        "{runs} rolling windows of 1 s to 1 h, limits of 1 to 199: {} requests, {} admitted ({:.2} % of what exact windows \
         admit), {} times a window was full, none held one more",
        windows.asked,
        windows.admitted,
        windows.admitted as f64 * 100.0 / windows.exact.max(1) as f64,
        windows.full
    );
    for limits in [0, 1, 3, 5, 10] {
        let (alone, two) = (admissions(limits, 1, &clock), admissions(limits, 2, &clock));
        println!("{limits:>2} limits: take and settle {alone:?}; on two threads at once {two:?}");
    }
}
