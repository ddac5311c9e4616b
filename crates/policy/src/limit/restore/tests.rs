//! What counters say after a restart is what they said before it.

use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::limit::bind::Bindings;
use crate::load::load_text;

const START: Now = Now { monotonic_ms: 43_200_000_000, unix_ms: 1_795_000_000_000 };

fn at(ms: u64) -> Now {
    Now { monotonic_ms: START.monotonic_ms + ms, unix_ms: START.unix_ms + ms }
}

fn snapshot(limits: &str) -> Snapshot {
    let toml = format!(
        "{limits}\n[environment]\ntimezone = \"Asia/Kolkata\"\n[providers.one]\nkind = \"openai-compatible\"\n\
         base_url = \"http://one.test/v1\"\n[[models]]\nslug = \"M\"\nprovider = \"one\"\n"
    );
    load_text("c", &toml, &|_| None, false).unwrap_or_else(|problems| panic!("{problems:#?}")).snapshot
}

fn key(number: u8, team: Option<&str>) -> CompiledKey {
    CompiledKey {
        id: Some(ResourceId([number; 16])),
        name: format!("k{number}").into(),
        environment: "default".into(),
        team: team.map(Into::into),
        ..CompiledKey::default()
    }
}

fn limit(meter: &str, window: &str, more: &str) -> String {
    format!("[[limits]]\nmeter = \"{meter}\"\nwindow = \"{window}\"\namount = 1000000\n{more}\n")
}

#[test]
fn only_what_is_limited_is_wanted() {
    let keys = [key(1, None)];
    assert!(wanted(&snapshot(""), keys.iter(), START).is_empty());
    let others = [limit("requests", "60s", "scope = \"user\""), limit("tokens", "day", "scope = \"ip\"")].concat();
    assert!(
        wanted(&snapshot(&others), keys.iter(), START)
            .iter()
            .all(|wanted| { wanted.whose.values().all(|whose| !whose.environment && !whose.keys.has(&keys[0].id)) })
    );
}

#[test]
fn windows_are_cut_where_the_log_has_sums() {
    let check = |window: Window, count: usize, first: u64, width: u64| {
        let cuts = cuts(&window, at(123_456));
        assert_eq!((cuts.len(), cuts[0].0), (count, first), "{window:?}");
        assert_eq!(cuts.last().unwrap().1, at(123_456).unix_ms + 1);
        assert!(cuts.windows(2).all(|two| two[0].1 == two[1].0));
        assert!(cuts.iter().skip(1).all(|(from, _)| width == 0 || from % width == 0), "{cuts:?}");
    };
    let now = at(123_456).unix_ms;
    let rolling = |seconds: u64| Window::Rolling(Duration::from_secs(seconds));
    check(Window::Total, 1, 0, 0);
    check(rolling(60), 64, now - 60_000, 0);
    check(rolling(3_600), 61, now - 3_600_000, 60_000);
    check(rolling(7 * 86_400), 169, now - 7 * 86_400_000, 3_600_000);
    check(rolling(400 * 86_400), 401, now - 400 * 86_400_000, 86_400_000);
    // Midnight in Kolkata is half past six in the evening of the day before.
    let day = Window::Calendar(crate::limit::period::Calendar::utc_days());
    check(day, 1, now - now % 86_400_000, 0);
}

#[test]
fn everybody_gets_back_what_was_theirs() {
    let limits = [
        limit("requests", "60s", ""),
        limit("usd", "month", "scope = \"team\""),
        limit("tokens", "day", "scope = \"key:k1\""),
        limit("output_tokens", "1h", "scope = \"key\"\ntarget = \"model:m\""),
        limit("requests", "1h", "scope = \"key\"\ntarget = \"provider:one\""),
    ];
    let (snapshot, keys, book) = (snapshot(&limits.concat()), [key(1, Some("t")), key(2, None)], Book::default());
    for wanted in wanted(&snapshot, keys.iter(), START) {
        let cut = wanted.cuts.len() - 1;
        let one = Used {
            cut,
            key: keys[0].id,
            team: Some("t"),
            provider: Some("one"),
            model: Some("M"),
            requests: 3,
            amounts: Amounts { input_tokens: 10, output_tokens: 5, nanos: 70, charge: 0 },
        };
        wanted.feed(&one, &snapshot, &book, START);
        let two = Used { key: keys[1].id, team: None, provider: None, model: None, requests: 1, ..one };
        wanted.feed(&two, &snapshot, &book, START);
    }
    let used = |key: &CompiledKey| -> Vec<(Meter, u64)> {
        let found = Bindings::of_key(&snapshot, key, &book, START).unwrap();
        let mut used: Vec<_> =
            found.all().iter().map(|(_, bound)| (bound.counter.meter(), bound.counter.read(START).used)).collect();
        used.sort_unstable();
        used
    };
    use Meter::{OutputTokens, Requests, Tokens, Usd};
    assert_eq!(used(&keys[0]), [(Requests, 3), (Requests, 4), (Tokens, 15), (OutputTokens, 5), (Usd, 70)]);
    assert_eq!(used(&keys[1]), [(Requests, 0), (Requests, 4), (OutputTokens, 0)]);
}

proptest! {
    /// A counter that was told the log never says less than the window holds, at any later instant, and little more: one
    /// slot, and in long windows the width of the log's sums.
    #[test]
    fn after_a_restart_as_before(
        seconds in prop_oneof![Just(5u64), Just(60), Just(600), Just(3_600), Just(90_000)],
        uses in proptest::collection::vec((0u64..2_000, 1u64..50), 1..60),
        later in 0u64..1_000_000,
        restart in 0u64..100_000,
    ) {
        let snapshot = snapshot(&limit("tokens", &format!("{seconds}s"), ""));
        let (after, key) = (Book::default(), key(1, None));
        let (mut log, mut clock) = (Vec::new(), 0);
        for (share, tokens) in uses {
            clock += share * seconds / 1_000;
            log.push((at(clock).unix_ms, tokens));
        }
        // The monotonic clock starts anew, at the base that every process has.
        let now = at(clock + restart % (seconds * 100));
        let restarted = Now { monotonic_ms: START.monotonic_ms, ..now };
        for wanted in wanted(&snapshot, std::iter::once(&key), restarted) {
            for (unix_ms, tokens) in &log {
                let cut = wanted.cuts.iter().position(|(from, to)| (*from..*to).contains(unix_ms));
                let amounts = Amounts { input_tokens: *tokens, ..Amounts::default() };
                if let Some(cut) = cut {
                    let used = Used { cut, key: key.id, team: None, provider: None, model: None, requests: 1, amounts };
                    wanted.feed(&used, &snapshot, &after, restarted);
                }
            }
        }
        let read = |book: &Book, now: Now| {
            let found = Bindings::of_key(&snapshot, &key, book, now).unwrap();
            found.spend.bounds()[0].counter.read(now).used
        };
        let later = later % (seconds * 1_100);
        let moved = |now: Now| Now { monotonic_ms: now.monotonic_ms + later, unix_ms: now.unix_ms + later };
        let expected: u64 =
            log.iter().filter(|(then, _)| then + seconds * 1_000 > now.unix_ms + later).map(|(_, tokens)| tokens).sum();
        let found = read(&after, moved(restarted));
        prop_assert!(found >= expected, "{found} of {expected}");
        let remembered = seconds * 1_000 * 64 / 63 + if seconds <= 600 { 130 } else { 1_000_000 };
        let most: u64 =
            log.iter().filter(|(then, _)| then + remembered + seconds * 33 > now.unix_ms + later).map(|(_, tokens)| tokens).sum();
        prop_assert!(found <= most, "{found} of {most}");
    }
}
