//! Who goes first, and why.

use proptest::prelude::*;

use super::*;
use crate::goal::Goal;
use crate::signal::Kind;

fn candidate(ttft_s: f64, nanos: Option<u64>, quality: Option<f64>) -> Candidate {
    let reading = Reading { wait_for_s: ttft_s, answers: 10, ..Reading::unknown(Kind::Stream) };
    Candidate { reading, nanos, quality, output_tokens: 0, family: 0, warm: false }
}

fn order(candidates: &[Candidate], goal: Goal) -> Vec<usize> {
    let mut out = Vec::new();
    rank(candidates, &goal.weights(), 1, &mut out);
    out.iter().map(|one| one.at).collect()
}

#[test]
fn each_policy_has_its_own_first() {
    let all = [
        candidate(1.0, Some(1_000), Some(50.0)),
        candidate(0.1, Some(20_000), Some(60.0)),
        candidate(4.0, Some(90_000), Some(95.0)),
    ];
    assert_eq!(order(&all, Goal::Cheapest), [0, 1, 2]);
    assert_eq!(order(&all, Goal::Fastest), [1, 0, 2]);
    assert_eq!(order(&all, Goal::Best), [2, 1, 0]);
}

#[test]
fn equal_costs_are_decided_by_time_and_equal_times_by_the_configured_order() {
    let all = [candidate(2.0, Some(7), None), candidate(1.0, Some(7), None), candidate(1.0, Some(7), None)];
    assert_eq!(order(&all, Goal::Cheapest), [1, 2, 0]);
}

#[test]
fn equal_qualities_are_decided_by_price() {
    let all = [candidate(0.1, Some(9), Some(80.0)), candidate(2.0, Some(7), Some(80.0)), candidate(1.0, None, None)];
    assert_eq!(order(&all, Goal::Best), [1, 0, 2]);
}

#[test]
fn prices_far_apart_keep_their_order() {
    let all: Vec<Candidate> = (0..12).rev().map(|power| candidate(1.0, Some(10_u64.pow(power)), None)).collect();
    assert_eq!(order(&all, Goal::Cheapest), (0..12).rev().collect::<Vec<_>>());
}

#[test]
fn what_costs_nothing_is_the_cheapest_and_an_unknown_price_is_in_the_middle() {
    let all = [candidate(1.0, Some(1_000), None), candidate(1.0, Some(0), None), candidate(1.0, None, None)];
    assert_eq!(order(&all, Goal::Cheapest), [1, 2, 0]);
}

#[test]
fn failures_are_charged_so_that_to_fail_fast_is_not_to_be_fast() {
    let mut failing = candidate(0.05, None, None);
    failing.reading.failure = 0.6;
    assert_eq!(order(&[failing, candidate(0.4, None, None)], Goal::Fastest), [1, 0]);
}

#[test]
fn who_may_not_be_asked_comes_last_by_when_it_may() {
    let mut benched = candidate(0.1, None, None);
    benched.reading.standing = Standing::Benched(3.0);
    let mut sooner = benched;
    sooner.reading.standing = Standing::Benched(1.0);
    let mut paced = candidate(0.1, None, None);
    paced.reading.wait_s = 0.5;
    let mut cooling = paced;
    cooling.reading.pauses = true;
    let all = [benched, sooner, cooling, paced, candidate(9.0, None, None)];
    assert_eq!(order(&all, Goal::Fastest), [4, 3, 2, 1, 0]);
}

#[test]
fn who_was_never_asked_gets_a_request_when_others_are_busy() {
    let known = |ttft_s, waiting| {
        let mut one = candidate(ttft_s, None, None);
        (one.reading.answers, one.reading.waiting) = (9, waiting);
        one
    };
    let new = |waiting| {
        let mut one = candidate(2.0, None, None);
        (one.reading.answers, one.reading.waiting) = (0, waiting);
        one
    };
    let check = |mut candidates: Vec<Candidate>, expect: &[usize]| {
        presume(&mut candidates);
        assert_eq!(order(&candidates, Goal::Fastest), expect);
    };
    check(vec![known(0.1, 0), new(0)], &[0, 1]);
    check(vec![known(0.1, 1), new(0)], &[1, 0]);
    check(vec![known(0.1, 2), new(1)], &[0, 1]);
    check(vec![new(0), known(0.1, 0)], &[0, 1]);
    check(vec![known(5.0, 0), new(0)], &[1, 0]);
}

/// What is said to be likely is what happens over many seeds.
#[test]
fn chances_are_those_of_the_draw() {
    let check = |candidates: &[Candidate]| {
        let (mut first, mut said) = (vec![0.0; candidates.len()], vec![0.0; candidates.len()]);
        for seed in 0..6_000 {
            let mut ranked = Vec::new();
            rank(candidates, &Goal::Fastest.weights(), seed, &mut ranked);
            first[ranked[0].at] += 1.0 / 6_000.0;
            ranked.iter().for_each(|one| said[one.at] = one.chance);
            assert!((ranked.iter().map(|one| one.chance).sum::<f64>() - 1.0).abs() < 1e-9);
        }
        for (found, said) in first.iter().zip(&said) {
            assert!((found - said).abs() < 0.03, "{first:?} {said:?}");
        }
        said
    };
    let with = |ttft_s, waiting| {
        let mut one = candidate(ttft_s, None, None);
        one.reading.waiting = waiting;
        one
    };
    assert_eq!(check(&[with(1.0, 0), with(1.0, 0), with(5.0, 0)]), [1.0, 0.0, 0.0], "nobody has less to do");
    assert_eq!(check(&[with(1.0, 2), with(1.1, 0), with(1.1, 1), with(9.0, 0)]), [0.0, 0.5, 0.5, 0.0]);
    assert_eq!(
        check(&[with(1.0, 1), with(1.1, 0), with(1.1, 1), with(1.1, 3), with(1.1, 1)]),
        [0.75, 0.25, 0.0, 0.0, 0.0]
    );
    assert_eq!(check(&[with(1.0, 9), Candidate { warm: true, ..with(1.1, 9) }]), [0.0, 1.0], "it is cached there");
}

#[test]
fn load_is_spread_within_a_family_only() {
    let mut busy = candidate(0.10, None, None);
    busy.reading.waiting = 5;
    let idle = candidate(0.11, None, None);
    assert_eq!(order(&[busy, idle], Goal::Fastest), [1, 0]);
    assert_eq!(order(&[busy, Candidate { family: 1, ..idle }], Goal::Fastest), [0, 1]);
    let far = candidate(0.2, None, None);
    assert_eq!(order(&[busy, far], Goal::Fastest), [0, 1], "not at the price of twice the time");
}

prop_compose! {
    fn any()(
        ttft in prop_oneof![0.0..10.0_f64, Just(f64::INFINITY)], nanos in prop::option::of(0..u64::MAX),
        quality in prop::option::of(0.0..100.0_f64), failure in 0.0..=1.0_f64, waiting in 0..20_u32, family in 0..3_u32,
        wait in prop_oneof![Just(0.0), 0.0..10.0_f64], benched in prop::option::of(0.0..15.0_f64),
        output_tokens in 0..5000_u64,
    ) -> Candidate {
        let standing = benched.map_or(Standing::Closed, Standing::Benched);
        let reading = Reading::unknown(Kind::Stream);
        let reading = Reading { wait_for_s: ttft, failure, waiting, wait_s: wait, standing, ..reading };
        Candidate { reading, nanos, quality, output_tokens, family, warm: false }
    }
}

proptest! {
    #[test]
    fn everybody_is_ranked_once_and_the_seed_decides(
        all in prop::collection::vec(any(), 0..40), goal in prop::sample::select(&Goal::ALL[..]), seed: u64,
    ) {
        let (mut one, mut other) = (Vec::new(), Vec::new());
        rank(&all, &goal.weights(), seed, &mut one);
        rank(&all, &goal.weights(), seed, &mut other);
        prop_assert_eq!(&one, &other);
        let mut places: Vec<usize> = one.iter().map(|one| one.at).collect();
        places.sort_unstable();
        prop_assert_eq!(places, (0..all.len()).collect::<Vec<_>>());
        prop_assert!(one.is_sorted_by_key(|one| one.tier), "who may be asked comes first");
        for one in &one {
            let terms = [one.terms.latency, one.terms.cost, one.terms.quality, one.terms.availability, one.terms.score];
            prop_assert!(terms.iter().all(|term| (0.0..=1.0).contains(term)), "{:?}", terms);
        }
    }
}

#[test]
fn a_conversation_stays_unless_moving_pays() {
    let place = |change: &dyn Fn(&mut Candidate)| {
        let best = candidate(0.5, None, None);
        let mut warm = Candidate { warm: true, ..candidate(0.9, None, None) };
        change(&mut warm);
        order(&[best, warm], Goal::Fastest)
    };
    assert_eq!(place(&|_| {}), [1, 0]);
    assert_eq!(place(&|warm| warm.warm = false), [0, 1]);
    assert_eq!(place(&|warm| warm.reading.wait_for_s = 1.3), [0, 1], "much slower");
    assert_eq!(place(&|warm| warm.reading.waiting = 5), [0, 1], "much busier");
    assert_eq!(place(&|warm| warm.reading.waiting = 4), [1, 0]);
    assert_eq!(place(&|warm| warm.reading.pauses = true), [0, 1], "it asked to be left alone");
    assert_eq!(place(&|warm| warm.family = 1), [0, 1], "another model");
    let priced = |first, warm| {
        let best = candidate(0.5, Some(first), None);
        order(&[best, Candidate { warm: true, ..candidate(0.9, Some(warm), None) }], Goal::Fastest)
    };
    assert_eq!((priced(100, 100), priced(100, 101)), (vec![1, 0], vec![0, 1]));
}
