//! A model that silently becomes worse: how soon the router notices from callers' ratings, and how seldom it is wrong.
//! `cargo test -p routing --test quality_loss -- --nocapture` prints the distribution.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use policy::clock::Monotonic;
use policy::load::load_text;
use policy::snapshot::{CompiledKey, ModelIndex, Snapshot};
use routing::plan::{Live, Wish, plan};
use routing::signal::{Kind, Signals};

/// Five models at one provider; the quality is also how many of a hundred callers are content.
const CONFIG: &str = r#"
[providers.one]
kind = "openai-compatible"
base_url = "http://127.0.0.1:1/v1"
"#;

/// One of five answers is rated, one request comes every two seconds.
const RATED: f64 = 0.2;
const EVERY_S: u64 = 2;

/// Requests before the loss, and after it.
const BEFORE: u64 = 1_000;
const AFTER: u64 = 400;

/// Within so many requests the worse one shall have at most a tenth of them.
const GOAL: usize = 60;

/// Their names, qualities and prices.
const MODELS: [(&str, u32, f64); 5] = [("a", 90, 1.0), ("b", 84, 1.0), ("c", 80, 1.0), ("d", 70, 0.5), ("e", 50, 0.1)];

fn config() -> String {
    let model = |(slug, quality, price): (&str, u32, f64)| {
        let (input, output) = (price, price * 4.0);
        format!(
            "[[models]]\nslug = \"{slug}\"\nprovider = \"one\"\nquality = {quality}\ninput_price = {input}\noutput_price = {output}\n"
        )
    };
    format!("{CONFIG}{}", MODELS.map(model).join("\n"))
}

/// The figures in `bench/results` are those of 1,000 to 1,399.
const SEEDS: std::ops::Range<u64> = 1_000..1_100;

struct World {
    snapshot: Snapshot,
    signals: Vec<Signals>,
    random: fastrand::Rng,
    now: u64,
}

impl World {
    fn new(seed: u64) -> Self {
        let snapshot = load_text("crossway.toml", &config(), &|_| None, false).unwrap().snapshot;
        let signals = snapshot.models.iter().map(|_| Signals::default()).collect();
        Self { snapshot, signals, random: fastrand::Rng::with_seed(seed), now: 1 }
    }

    /// Makes one request; what its model's quality is multiplied by is `left`. Returns the model.
    fn request(&mut self, policy: &str, left: impl Fn(usize) -> f64) -> usize {
        self.now += EVERY_S;
        let now = Monotonic(self.now * 1_000_000_000);
        let key = CompiledKey { name: "k".into(), environment: "default".into(), ..CompiledKey::default() };
        let (known, turn) = (|index: ModelIndex| self.signals.get(index.0), |_| 0);
        let live = Live {
            signals: &known,
            now,
            seed: self.now,
            kind: Kind::Whole,
            warm: None,
            turn: &turn,
            failed: &|_, _, _| {},
        };
        let wish = Wish { model: Some(policy), input_tokens: 500, ..Wish::default() };
        let chosen = plan(&self.snapshot, &key, wish, &live).unwrap().attempts[0].model.0;
        let flight = self.signals[chosen].begin_anyway(Kind::Whole, now);
        self.signals[chosen].answered(flight, Monotonic(now.0 + 900_000_000));
        let content = f64::from(self.snapshot.models[chosen].quality.unwrap()) / 100.0 * left(chosen);
        if self.random.f64() < RATED {
            let score = f64::from(u8::from(self.random.f64() < content));
            self.signals[chosen].rated(now, score);
        }
        chosen
    }
}

/// How many requests it took until the worse model had at most a tenth of the next fifty, for each seed; and the share of
/// requests before the loss that went elsewhere without a reason.
fn run(policy: &str, seeds: std::ops::Range<u64>) -> (Vec<usize>, f64) {
    let (mut left_after, mut wrong, mut all) = (Vec::new(), 0_usize, 0_usize);
    for seed in seeds {
        let mut world = World::new(seed);
        let usual = world.request(policy, |_| 1.0);
        let before: Vec<usize> = (1..BEFORE).map(|_| world.request(policy, |_| 1.0)).collect();
        wrong += before.iter().filter(|chosen| **chosen != usual).count();
        all += before.len();
        let worst = *before.last().unwrap();
        let left = |model| if model == worst { 0.4 } else { 1.0 };
        let after: Vec<usize> = (0..AFTER).map(|_| world.request(policy, left)).collect();
        let is_left = |from: usize| after[from..].iter().take(50).filter(|chosen| **chosen == worst).count() <= 5;
        left_after.push((0..after.len() - 50).find(|from| is_left(*from)).unwrap_or(after.len()));
    }
    left_after.sort_unstable();
    (left_after, wrong as f64 / all as f64)
}

#[test]
fn a_silent_loss_is_left_within_sixty_requests() {
    for policy in ["best", "auto"] {
        let (after, wrong) = run(policy, SEEDS);
        let at = |share: f64| after[((after.len() - 1) as f64 * share) as usize];
        let within = after.iter().filter(|n| **n <= GOAL).count() as f64 / after.len() as f64;
        println!(
            "{policy}: {:.1} % within {GOAL} requests; p10 {} p50 {} p90 {} p95 {} p99 {} most {}; elsewhere without a reason {:.2} %",
            100.0 * within,
            at(0.1),
            at(0.5),
            at(0.9),
            at(0.95),
            at(0.99),
            at(1.0),
            100.0 * wrong,
        );
        assert!(within >= 0.85 && at(0.5) <= 30, "{policy}: {within}, {after:?}");
        assert!(wrong < 0.15, "{policy}: {wrong}");
    }
}
