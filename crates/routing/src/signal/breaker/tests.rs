//! When a breaker opens, and that it never stays open for long.

use proptest::prelude::*;

use super::*;

const S: u64 = 1_000_000_000;

#[test]
fn one_failure_is_no_reason_two_in_a_row_are() {
    let breaker = Breaker::default();
    breaker.failed(S, false, false, 1.0);
    assert_eq!(breaker.standing(S), Standing::Closed);
    breaker.succeeded();
    breaker.failed(2 * S, false, false, 1.0);
    assert_eq!(breaker.standing(2 * S), Standing::Closed);
    breaker.failed(2 * S, false, false, 1.0);
    assert!(matches!(breaker.standing(2 * S), Standing::Benched(left) if (1.5..2.5).contains(&left)));
}

#[test]
fn a_bench_ends_with_one_probe() {
    let breaker = Breaker::default();
    breaker.failed(S, false, true, 1.0);
    assert!(!breaker.probe(S), "it is benched");
    let over = 10 * S;
    assert_eq!(breaker.standing(over), Standing::Probe);
    assert!(breaker.probe(over));
    assert!(!breaker.probe(over), "somebody else probes it");
    breaker.succeeded();
    assert_eq!(breaker.standing(over), Standing::Closed);
    assert!(!breaker.probe(over), "there is nothing to probe");
}

#[test]
fn a_probe_that_was_not_judged_is_made_again() {
    let breaker = Breaker::default();
    breaker.failed(S, false, true, 1.0);
    assert!(breaker.probe(10 * S));
    breaker.unprobed(11 * S);
    assert!(breaker.probe(11 * S));
    // Nor does one that is never heard of again keep others from it.
    assert!(breaker.probe(22 * S));
}

#[test]
fn benches_grow_while_probes_fail() {
    let breaker = Breaker::default();
    breaker.failed(S, false, true, 1.0);
    let mut now = S;
    let mut last = 0.0;
    for _ in 0..4 {
        now += 20 * S;
        assert!(breaker.probe(now));
        breaker.failed(now, true, false, 1.0);
        let Standing::Benched(left) = breaker.standing(now) else { panic!("not benched") };
        assert!(left > last * 0.79, "{left} after {last}");
        last = left;
    }
}

#[test]
fn who_was_busy_is_tried_sooner() {
    // Answers per second before, and the longest bench.
    for (rate, most) in [(0.0, MOST_S), (1.0, MOST_S), (6.0, 5.0), (1_000.0, LEAST_S), (f64::INFINITY, LEAST_S)] {
        let breaker = Breaker::default();
        let mut now = S;
        breaker.failed(now, false, true, rate);
        for _ in 0..6 {
            now += 20 * S;
            assert!(breaker.probe(now));
            // While it is left alone it answers nothing.
            breaker.failed(now, true, false, 0.0);
        }
        let Standing::Benched(left) = breaker.standing(now) else { panic!("not benched") };
        assert!((most * 0.79..=most + 1e-6).contains(&left), "{rate}: {left}");
    }
}

proptest! {
    /// Whatever happened: a request may go through, or try, at the latest after the longest bench.
    #[test]
    fn nobody_is_locked_out_for_longer(steps in prop::collection::vec((0..4_u8, 0..20_000_u64), 0..200)) {
        let breaker = Breaker::default();
        let mut now = S;
        for (what, ms) in steps {
            now += ms * 1_000_000;
            match what {
                0 => breaker.succeeded(),
                1 => breaker.failed(now, false, false, 1.0),
                2 if breaker.probe(now) => breaker.failed(now, true, false, 1.0),
                _ => { breaker.probe(now); }
            }
            if let Standing::Benched(left) = breaker.standing(now) {
                prop_assert!(left <= MOST_S + 1e-9, "{left}");
            }
        }
        now += nanos(MOST_S);
        prop_assert!(breaker.standing(now) == Standing::Closed || breaker.probe(now));
    }
}
