//! What is believed of a target after what was seen of it.

use proptest::prelude::*;

use super::*;

const MS: u64 = 1_000_000;

fn at(ms: u64) -> Monotonic {
    Monotonic((1_000 + ms) * MS)
}

/// One request that is answered after so many milliseconds.
fn answer(signals: &Signals, from_ms: u64, took_ms: u64) {
    let flight = signals.begin_anyway(Kind::Stream, at(from_ms));
    signals.answered(flight, at(from_ms + took_ms));
}

fn fail(signals: &Signals, from_ms: u64, trouble: Trouble) {
    let flight = signals.begin_anyway(Kind::Stream, at(from_ms));
    signals.failed(flight, at(from_ms + 10), trouble, None);
}

#[test]
fn nothing_is_known_at_first() {
    let reading = Signals::default().read(Kind::Stream, at(0));
    assert_eq!((reading.standing, reading.wait_s, reading.answers, reading.p95_s), (Standing::Closed, 0.0, 0, None));
    assert!((0.1..1.0).contains(&reading.wait_for_s) && reading.failure < 0.05);
}

#[test]
fn answers_teach_how_fast_it_is() {
    let signals = Signals::default();
    (0..40).for_each(|i| answer(&signals, i * 1000, 200));
    let reading = signals.read(Kind::Stream, at(40_000));
    assert!((0.18..0.22).contains(&reading.wait_for_s), "{reading:?}");
    assert!((0.18..0.25).contains(&reading.p95_s.unwrap()), "{reading:?}");
    assert_eq!((reading.waiting, reading.answers), (0, 40));
}

#[test]
fn bad_news_travels_fast_and_fades() {
    let signals = Signals::default();
    (0..100).for_each(|i| answer(&signals, i * 1000, 200));
    answer(&signals, 100_000, 4_000);
    let slow = signals.read(Kind::Stream, at(104_000)).wait_for_s;
    let later = signals.read(Kind::Stream, at(164_000)).wait_for_s;
    assert!(slow > 1.5 && later < 0.5, "{slow}, {later}");
}

#[test]
fn one_request_at_a_time_looks_whether_a_slow_target_still_is() {
    let signals = Signals::default();
    (0..100).for_each(|i| answer(&signals, i * 1000, 200));
    answer(&signals, 100_000, 6_000);
    let read = |ms| signals.read(Kind::Stream, at(ms));
    assert!(read(114_000).wait_for_s > 1.0 && !read(114_000).doubtful, "too soon");
    assert!(read(117_000).wait_for_s < 0.25 && read(117_000).doubtful, "a look is due");
    let look = signals.begin(Kind::Stream, at(117_000)).unwrap();
    assert!(read(117_100).wait_for_s > 1.0, "somebody is looking");
    assert!(read(117_100).doubtful, "who looks is still not sure");
    signals.dropped(look, at(117_800));
    assert!(read(117_900).wait_for_s > 1.0 && !read(117_900).doubtful, "slow still, for all that is known");
    answer(&signals, 130_000, 200);
    assert!(read(130_200).wait_for_s < 1.0, "a good answer does not bring back what had faded: {:?}", read(130_200));
    let early = signals.begin(Kind::Stream, at(140_000)).unwrap();
    signals.dropped(early, at(140_100));
    assert!(read(140_100).wait_for_s < 1.0, "a caller who left at once has found out nothing");
}

#[test]
fn a_probe_that_is_given_up_late_was_slow() {
    let check = |left_ms: u64, benched: bool| {
        let signals = Signals::default();
        (0..20).for_each(|i| answer(&signals, i * 100, 200));
        fail(&signals, 3_000, Trouble::Server);
        fail(&signals, 3_000, Trouble::Server);
        let probe = signals.begin(Kind::Stream, at(30_000)).unwrap();
        signals.dropped(probe, at(30_000 + left_ms));
        let found = signals.read(Kind::Stream, at(30_000 + left_ms)).standing;
        assert_eq!(matches!(found, Standing::Benched(_)), benched, "{left_ms}: {found:?}");
    };
    check(100, false);
    check(1_000, true);
}

#[test]
fn a_failing_target_that_nobody_asks_gets_one_request() {
    let signals = Signals::default();
    (0..20).for_each(|i| answer(&signals, i * 100, 50));
    fail(&signals, 3_000, Trouble::Server);
    assert!(signals.read(Kind::Stream, at(12_000)).failure > 0.2);
    assert!(signals.read(Kind::Stream, at(13_100)).failure < 0.02);
    let _look = signals.begin(Kind::Stream, at(13_100)).unwrap();
    assert!(signals.read(Kind::Stream, at(13_100)).failure > 0.2, "somebody is looking");
}

#[test]
fn what_hangs_is_noticed_before_it_ends() {
    let signals = Signals::default();
    (0..40).for_each(|i| answer(&signals, i * 1000, 200));
    let hung = signals.begin(Kind::Stream, at(50_000)).unwrap();
    assert!(signals.read(Kind::Stream, at(50_100)).wait_for_s < 0.3, "not late yet");
    assert!(signals.read(Kind::Stream, at(55_000)).wait_for_s >= 5.0);
    signals.dropped(hung, at(60_000));
    assert!(signals.read(Kind::Stream, at(60_000)).wait_for_s > 2.0, "who gave it up has learned from it");
}

#[test]
fn an_idle_target_is_tried_again_some_day() {
    let signals = Signals::default();
    (0..40).for_each(|i| answer(&signals, i * 1000, 2_000));
    let before = signals.read(Kind::Stream, at(45_000)).wait_for_s;
    let after = signals.read(Kind::Stream, at(3_600_000)).wait_for_s;
    assert!(after < before * 0.1, "{before}, {after}");
}

#[test]
fn whose_fault_it_is_decides_what_follows() {
    let check = |trouble, benched: bool, fails: bool| {
        let signals = Signals::default();
        (0..20).for_each(|i| answer(&signals, i * 100, 50));
        fail(&signals, 3_000, trouble);
        let one = signals.read(Kind::Stream, at(3_010));
        assert_eq!(matches!(one.standing, Standing::Benched(_)), benched, "{trouble:?}");
        assert_eq!(one.failure > 0.3, fails, "{trouble:?}: {}", one.failure);
        let counted: Vec<_> = signals.troubles().into_iter().filter(|(_, count)| *count > 0).collect();
        assert_eq!(counted, [(trouble, 1)]);
    };
    check(Trouble::Server, false, true);
    check(Trouble::Connect, false, true);
    check(Trouble::Timeout, false, true);
    check(Trouble::Model, false, true);
    check(Trouble::Credential, true, true);
    check(Trouble::Limited, false, false);
    check(Trouble::Request, false, false);
}

#[test]
fn two_failures_in_a_row_bench_it_and_a_probe_brings_it_back() {
    let signals = Signals::default();
    (0..2).for_each(|i| fail(&signals, i * 100, Trouble::Server));
    assert!(signals.begin(Kind::Stream, at(300)).is_none());
    let probe = signals.begin(Kind::Stream, at(20_000)).unwrap();
    assert!(signals.begin(Kind::Stream, at(20_000)).is_none(), "one at a time");
    signals.answered(probe, at(20_100));
    assert_eq!(signals.read(Kind::Stream, at(20_100)).standing, Standing::Closed);
}

#[test]
fn a_probe_that_is_refused_or_judged_wrong_shows_that_it_is_up() {
    for trouble in [Trouble::Limited, Trouble::Request] {
        let signals = Signals::default();
        (0..2).for_each(|i| fail(&signals, i * 100, Trouble::Connect));
        let probe = signals.begin(Kind::Stream, at(20_000)).unwrap();
        signals.failed(probe, at(20_100), trouble, None);
        assert_eq!(signals.read(Kind::Stream, at(20_100)).standing, Standing::Closed, "{trouble:?}");
    }
}

#[test]
fn streams_teach_how_fast_it_writes_and_how_long_a_whole_answer_takes() {
    let signals = Signals::default();
    (0..30).for_each(|_| signals.streamed(at(0), Duration::from_secs(3), 101, Duration::from_secs(2)));
    let whole = signals.read(Kind::Whole, at(0));
    assert!((2.9..3.1).contains(&whole.wait_for_s) && (2.7..3.6).contains(&whole.p95_s.unwrap()), "{whole:?}");
    assert!((49.0..51.0).contains(&whole.tokens_per_s.unwrap()));
    // One that is all there at once says nothing about that.
    signals.streamed(at(0), Duration::from_secs(3), 500, Duration::ZERO);
    assert!(signals.read(Kind::Stream, at(0)).tokens_per_s.unwrap() < 51.0);
}

#[test]
fn whole_answers_are_not_taken_for_slow_first_contents() {
    let signals = Signals::default();
    (0..20).for_each(|i| answer(&signals, i * 1000, 200));
    let long = signals.begin(Kind::Whole, at(20_000)).unwrap();
    assert!(signals.read(Kind::Stream, at(29_000)).wait_for_s < 0.3);
    signals.answered(long, at(30_000));
    assert!(signals.read(Kind::Stream, at(30_000)).wait_for_s < 0.3);
    assert!(signals.read(Kind::Whole, at(30_000)).wait_for_s > 9.0);
}

#[test]
fn an_answer_that_breaks_off_is_a_failure() {
    let signals = Signals::default();
    answer(&signals, 0, 100);
    signals.broke_off(at(200));
    signals.broke_off(at(300));
    assert_eq!(signals.held(at(300)).map(|(trouble, _)| trouble), Some(Trouble::Server));
}

#[test]
fn why_it_is_left_alone_is_known() {
    let signals = Signals::default();
    assert_eq!(signals.held(at(0)), None);
    fail(&signals, 0, Trouble::Credential);
    let (trouble, left) = signals.held(at(10)).unwrap();
    assert!(trouble == Trouble::Credential && (1.0..15.0).contains(&left));
    let signals = Signals::default();
    let flight = signals.begin(Kind::Whole, at(0)).unwrap();
    signals.failed(flight, at(10), Trouble::Limited, Some(Duration::from_secs(7)));
    let (trouble, left) = signals.held(at(1_010)).unwrap();
    assert!(trouble == Trouble::Limited && (5.9..6.1).contains(&left), "{left}");
}

proptest! {
    /// Whatever happens at whichever times, what is believed stays a number within its bounds, and nothing is counted
    /// as in flight that is not.
    #[test]
    fn beliefs_stay_within_bounds(steps in prop::collection::vec((0..10_u8, 0..30_000_u64, 0..60_000_u64), 0..150)) {
        let signals = Signals::default();
        let (mut now, mut hanging) = (0, Vec::new());
        for (what, wait, took) in steps {
            now += wait;
            let Some(flight) = signals.begin(Kind::Stream, at(now)) else { continue };
            let end = at(now + took);
            match what {
                0..=2 => signals.answered(flight, end),
                3 => signals.dropped(flight, end),
                4 => hanging.push(flight),
                5 => signals.failed(flight, end, Trouble::Limited, Some(Duration::from_millis(took))),
                n => signals.failed(flight, end, Trouble::ALL[usize::from(n - 6)], None),
            }
            let reading = signals.read(Kind::Stream, end);
            prop_assert!(reading.wait_for_s.is_finite() && reading.wait_for_s >= 0.0, "{:?}", reading);
            prop_assert!((0.0..=1.0).contains(&reading.failure), "{:?}", reading);
            prop_assert!((0.0..=15.1).contains(&reading.fail_cost_s), "{:?}", reading);
            prop_assert!((0.0..=3600.1).contains(&reading.wait_s), "{:?}", reading);
        }
        prop_assert_eq!(signals.read(Kind::Stream, at(now)).waiting as usize, hanging.len());
        hanging.into_iter().for_each(|flight| signals.dropped(flight, at(now)));
        prop_assert_eq!(signals.read(Kind::Stream, at(now)).waiting, 0);
    }

    /// Clocks that jump, waits of centuries, rates of nothing: whatever comes, a decision can be made of it, and the same
    /// one by the same signals.
    #[test]
    fn absurd_news_leaves_a_decision(
        steps in prop::collection::vec((0..8_u8, any::<u64>(), any::<u64>(), any::<u64>()), 0..60), now in any::<u64>(),
    ) {
        let all: Vec<Signals> = (0..3).map(|_| Signals::default()).collect();
        for (what, began, ended, number) in steps {
            let signals = &all[usize::try_from(number % 3).unwrap()];
            let kind = if number % 2 == 0 { Kind::Stream } else { Kind::Whole };
            let flight = signals.begin_anyway(kind, Monotonic(began));
            let end = Monotonic(ended);
            match what {
                0 | 1 => signals.answered(flight, end),
                2 => signals.dropped(flight, end),
                3 => signals.failed(flight, end, Trouble::Limited, Some(Duration::from_secs(number))),
                4 => signals.streamed(end, Duration::from_nanos(number), number, Duration::from_nanos(began)),
                5 => signals.told(end, number % 2, Duration::from_nanos(number)),
                6 => signals.broke_off(end),
                n => signals.failed(flight, end, Trouble::ALL[usize::from(n) % 7], None),
            }
        }
        let read = |signals: &Signals| signals.read(Kind::Stream, Monotonic(now));
        let candidate = |signals: &Signals| crate::rank::Candidate {
            reading: read(signals),
            nanos: None,
            quality: None,
            output_tokens: 300,
            family: 0,
            warm: false,
        };
        let rank = || {
            let (candidates, mut ranked): (Vec<_>, _) = (all.iter().map(candidate).collect(), Vec::new());
            crate::rank::rank(&candidates, &crate::goal::Goal::Auto.weights(), 1, &mut ranked);
            ranked
        };
        for signals in &all {
            let reading = read(signals);
            prop_assert!(reading.wait_for_s.is_finite() && reading.wait_for_s >= 0.0, "{:?}", reading);
            prop_assert!((0.0..=1.0).contains(&reading.failure), "{:?}", reading);
            prop_assert!(reading.fail_cost_s.is_finite() && reading.wait_s.is_finite(), "{:?}", reading);
            prop_assert!(reading.tokens_per_s.is_none_or(|rate| rate.is_finite() && rate >= 0.0), "{:?}", reading);
            prop_assert!(crate::hedge::after(&reading, &reading).is_finite());
        }
        let ranked = rank();
        prop_assert_eq!(ranked.len(), 3);
        prop_assert!(ranked.iter().all(|one| one.terms.score.is_finite() && one.terms.seconds.is_finite()), "{:?}", ranked);
        prop_assert_eq!(ranked, rank());
    }
}
