//! Measures what a whole plan costs: `cargo run --release -p routing --example plan -- TARGETS`.

use std::hint::black_box;

use policy::clock::{Clock, Monotonic};
use policy::condition::Facts;
use policy::load::load_text;
use policy::snapshot::{CompiledKey, ModelIndex, Snapshot};
use routing::plan::{Live, Wish, plan};
use routing::signal::{Kind, Signals};

const ROUNDS: usize = 20_000;

/// A route for each case, of the key of its name.
const ROUTES: &str = r#"
[routes.chain]
key = "chain"
strategy = { fallback = { targets = [{ model = "m1" }, { model = "m2", priority = 1 }] } }
[routes.split]
key = "split"
strategy = { split = { targets = [{ model = "m1", weight = 70 }, { model = "m2", weight = 30 }] } }
[routes.sticky]
key = "sticky"
strategy = { split = { sticky = "user", targets = [{ model = "m1", weight = 70 }, { model = "m2", weight = 30 }] } }
[[routes.rules.strategy.rules]]
when = "'x-tier' in headers && headers['x-tier'] == 'gold'"
then = "m1"
[[routes.rules.strategy.rules]]
when = "input_tokens > 8000 || 'vision' in features"
then = "m2"
[[routes.rules.strategy.rules]]
when = "user.matches('^(ann|bob)@') && time.hour >= 9"
then = "m3"
[routes.rules]
key = "rules"
"#;

#[expect(clippy::print_stdout, reason = "the figures are what it is for")]
fn main() -> Result<(), String> {
    let count = std::env::args().nth(1).and_then(|text| text.parse().ok()).unwrap_or(100_usize);
    let snapshot = configured(count)?;
    let all: Vec<Signals> = (0..snapshot.models.len()).map(|_| Signals::default()).collect();
    for (at, signals) in all.iter().enumerate() {
        for turn in 0..50_u64 {
            let began = Monotonic(1_000_000_000 * (turn + 1));
            let flight = signals.begin_anyway(Kind::Stream, began);
            signals.answered(flight, Monotonic(began.0 + 1_000_000 * (50 + at as u64 * 7 + turn)));
        }
    }
    let headers = [("x-tier".into(), "silver".into()), ("user-agent".into(), "bench".into())];
    for (case, key, model) in [
        ("a model that every provider serves", "none", "shared"),
        ("the policy auto", "none", "auto"),
        ("a chain", "chain", "shared"),
        ("a split", "split", "shared"),
        ("a sticky split", "sticky", "shared"),
        ("three rules, none of which holds", "rules", "m4"),
    ] {
        let key = CompiledKey { name: key.into(), environment: "default".into(), ..CompiledKey::default() };
        let (clock, mut took) = (Clock::system(), Vec::with_capacity(ROUNDS));
        for seed in 0..ROUNDS as u64 {
            let began = clock.now();
            let facts = Facts { headers: &headers, user: "carl@example.com", input_tokens: 500, ..Facts::default() };
            let live = Live {
                signals: &|index: ModelIndex| all.get(index.0),
                now: Monotonic(60_000_000_000 + seed * 1_000_000),
                seed,
                kind: Kind::Stream,
                turn: &|_| seed,
                failed: &|_, _, _| {},
                warm: None,
            };
            let wish = Wish { model: Some(model), input_tokens: 500, facts: Some(&facts), ..Wish::default() };
            black_box(plan(&snapshot, &key, wish, &live).map_err(|failure| failure.message)?);
            took.push(clock.now().since(began).as_nanos());
        }
        took.sort_unstable();
        let at = |share: usize| took.get(took.len() * share / 1000).copied().unwrap_or(0) as f64 / 1000.0;
        println!("{count} targets, {case}: p50 {:.1} us, p99 {:.1} us", at(500), at(990));
    }
    Ok(())
}

/// One provider for each target: each serves a model of its own and one that all serve.
fn configured(count: usize) -> Result<Snapshot, String> {
    let mut text = String::new();
    for at in 0..count / 2 {
        text.push_str(&format!(
            "[providers.p{at}]\nkind = \"openai-compatible\"\nbase_url = \"http://127.0.0.1:{}/v1\"\n\
             default_model = \"m{at}\"\n[[models]]\nslug = \"m{at}\"\nprovider = \"p{at}\"\nquality = {}\ninput_price = {}\n\
             output_price = 3\n[[models]]\nslug = \"shared\"\nprovider = \"p{at}\"\nquality = 50\n",
            at + 1,
            at % 100,
            at % 7 + 1
        ));
    }
    let loaded = load_text("crossway.toml", &format!("{text}{ROUTES}"), &|_| None, false);
    loaded.map(|loaded| loaded.snapshot).map_err(|problems| format!("{problems:?}"))
}
