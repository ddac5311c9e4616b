//! What second requests buy where answers have a heavy tail: the whole gateway in virtual time, the same for every run.
//! `cargo test -p server --test api hedging_tail -- --nocapture` prints the figures.

use std::time::Duration;

use testkit::client::now;
use testkit::data::{DONE, delta, finish, role, usage};
use testkit::gateway::{Gateway, REQUEST};
use testkit::script::{Script, Step};

/// Requests of one run.
const REQUESTS: usize = 1_500;

/// Random numbers (splitmix64), the same for the same seed.
struct Draws(u64);

impl Draws {
    /// Returns a number from 0 to 1.
    fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut x = self.0;
        x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        f64::from(u32::try_from((x ^ (x >> 31)) >> 32).unwrap()) / f64::from(u32::MAX)
    }

    /// Returns a time to the first content: mostly 100 to 220 ms; one in thirty from 1.5 s on, with a tail like `1/t²`.
    fn wait(&mut self) -> Duration {
        let usual = 0.1 + 0.12 * self.next();
        let late = self.next() < 1.0 / 30.0;
        let tail = 1.5 / self.next().max(0.01).sqrt();
        Duration::from_secs_f64(if late { tail } else { usual })
    }
}

fn scripts(seed: u64) -> Vec<Script> {
    let mut draws = Draws(seed);
    let events = [role(), delta("Hello"), finish(), usage(), DONE.to_owned()].concat();
    let script = |wait| Script::stream().step(Step::Wait(wait)).chunk(&events).end();
    (0..REQUESTS).map(|_| script(draws.wait())).collect()
}

/// What came of a run: the times to the first content in order, and the share of second requests.
struct Figures {
    times: Vec<Duration>,
    share: f64,
}

impl Figures {
    fn quantile(&self, share: f64) -> f64 {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a place in a list")]
        let place = (self.times.len() as f64 * share) as usize;
        self.times[place.min(self.times.len() - 1)].as_secs_f64()
    }
}

async fn run(config: &str) -> Figures {
    let builder = Gateway::builder().provider_with("p", "", scripts(1)).provider_with("q", "", scripts(2));
    let gateway = builder.config(config).start();
    let body = REQUEST.replace("\"m\"", "\"fastest\"").replacen('{', "{\"stream\":true,", 1);
    // The clock that the signals go by moves with the runtime's.
    let ticking = async {
        loop {
            tokio::time::sleep(Duration::from_millis(5)).await;
            gateway.assembly.hands.advance(Duration::from_millis(5));
        }
    };
    let asking = async {
        let mut times = Vec::with_capacity(REQUESTS);
        for number in 0..REQUESTS {
            let before = now();
            let mut client = gateway.begin(&body).await;
            let head = client.head().await;
            times.push(before.elapsed());
            assert_eq!(head.status, 200);
            client.rest(head).await;
            if number % 16 == 0 {
                gateway.assembly.drain();
                gateway.assembly.journal.tick();
            }
        }
        times
    };
    let mut times = tokio::select! {
        times = asking => times,
        () = ticking => unreachable!(),
    };
    times.sort_unstable();
    let providers = gateway.assembly.core.metrics.totals().providers;
    gateway.recorded().await;
    let attempts: u64 = providers.iter().map(|one| one.attempts).sum();
    Figures { times, share: (attempts as f64 - REQUESTS as f64) / REQUESTS as f64 }
}

#[tokio::test(start_paused = true)]
async fn a_heavy_tail_is_cut_off_for_few_tokens() {
    let without = run("[environment]\nhedging = { extra_tokens_percent = 0 }\n").await;
    let with = run("").await;
    for (name, figures) in [("without", &without), ("with", &with)] {
        let [p50, p95, p99, p999] = [0.5, 0.95, 0.99, 0.999].map(|share| figures.quantile(share));
        let share = 100.0 * figures.share;
        println!("{name}: p50 {p50:.3} p95 {p95:.3} p99 {p99:.3} p99.9 {p999:.3} s, second requests {share:.2} %");
    }
    assert!(without.share.abs() < f64::EPSILON);
    // Every request is as long as every other: the share of requests is that of tokens.
    assert!(with.share > 0.01 && with.share <= 0.05, "{}", with.share);
    assert!(with.quantile(0.99) <= 0.4 * without.quantile(0.99), "60 % less at the 99th percentile");
    assert!(with.quantile(0.5) <= 1.05 * without.quantile(0.5));
}
