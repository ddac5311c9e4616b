//! The laws of reserving: never more than the limit in any window, all or none, nothing lost and nothing kept.

mod midnight;

use std::sync::Barrier;
use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::limit::Window;
use crate::limit::period::Calendar;

const NOW: Now = Now { monotonic_ms: 1_000_000, unix_ms: 1_795_000_000_000 };

fn later(ms: u64) -> Now {
    Now { monotonic_ms: NOW.monotonic_ms + ms, unix_ms: NOW.unix_ms + ms }
}

fn bound(meter: Meter, window: &Window, amount: u64) -> Bound {
    Bound { counter: Arc::new(Counter::new(meter, window)), amount, limit: Arc::default() }
}

fn rolling(meter: Meter, seconds: u64, amount: u64) -> Bound {
    bound(meter, &Window::Rolling(Duration::from_secs(seconds)), amount)
}

fn binding(bounds: &[&Bound]) -> Binding {
    Binding::new(bounds.iter().map(|bound| (*bound).clone()).collect())
}

fn used(bound: &Bound, now: Now) -> u64 {
    bound.counter.read(now).used
}

fn tokens(input: u64, output: u64) -> Amounts {
    Amounts { input_tokens: input, output_tokens: output, nanos: 0, charge: 0 }
}

#[test]
fn takes_from_all_or_from_none() {
    let (requests, spend) = (rolling(Meter::Requests, 60, 2), rolling(Meter::Usd, 3_600, 100));
    let both = binding(&[&spend, &requests]);
    let ask = |nanos| Reservation::take(&both, &Amounts { nanos, ..Amounts::default() }, NOW);
    let first = ask(60).unwrap();
    let denied = ask(60).unwrap_err();
    assert_eq!(denied.bound.counter.meter(), Meter::Usd);
    assert_eq!((used(&requests, NOW), used(&spend, NOW)), (1, 60));
    let second = ask(40).unwrap();
    assert_eq!(ask(0).unwrap_err().bound.counter.meter(), Meter::Requests);
    first.settle(&Amounts { nanos: 10, ..Amounts::default() });
    drop(second);
    assert_eq!((used(&requests, NOW), used(&spend, NOW)), (1, 10));
}

#[test]
fn of_two_limits_on_one_counter_the_stricter_binds() {
    let loose = rolling(Meter::Requests, 60, 5);
    let named = Limit { name: "strict".into(), ..Limit::default() };
    let strict = Bound { amount: 1, limit: Arc::new(named), ..loose.clone() };
    let both = binding(&[&loose, &strict]);
    Reservation::take(&both, &Amounts::default(), NOW).unwrap().settle(&Amounts::default());
    assert_eq!(&*Reservation::take(&both, &Amounts::default(), NOW).unwrap_err().bound.limit.name, "strict");
    assert_eq!(used(&loose, NOW), 1, "what is counted is counted once");
    assert!(Reservation::take(&binding(&[&loose]), &Amounts::default(), NOW).is_ok());
}

#[test]
fn what_costs_nothing_passes_an_exhausted_budget() {
    let spend = rolling(Meter::Usd, 60, 0);
    assert!(Reservation::take(&binding(&[&spend]), &Amounts::default(), NOW).is_ok());
    let denied = Reservation::take(&binding(&[&spend]), &Amounts { nanos: 1, ..Amounts::default() }, NOW).unwrap_err();
    assert_eq!(denied.retry_ms, None, "waiting does not help");
}

#[test]
fn usage_belongs_to_the_slot_of_its_admission() {
    let limit = rolling(Meter::Tokens, 60, 1_000);
    let reservation = Reservation::take(&binding(&[&limit]), &tokens(100, 400), NOW).unwrap();
    assert_eq!(used(&limit, later(30_000)), 500);
    reservation.settle(&tokens(100, 20));
    assert_eq!(used(&limit, later(59_000)), 120);
    assert_eq!(used(&limit, later(61_000)), 0, "it leaves with the slot in which it was admitted");
    let late = Reservation::take(&binding(&[&limit]), &tokens(0, 7), NOW).unwrap();
    late.settle(&tokens(0, 900));
    assert!(used(&limit, later(70_000)) <= 900);
}

#[test]
fn a_settlement_after_its_window_changes_nothing() {
    let limit = rolling(Meter::Tokens, 60, 1_000);
    let reservation = Reservation::take(&binding(&[&limit]), &tokens(0, 500), NOW).unwrap();
    assert_eq!(used(&limit, later(600_000)), 0);
    reservation.settle(&tokens(0, 900));
    assert_eq!(used(&limit, later(600_000)), 0);
}

#[test]
fn the_slowest_limit_says_when() {
    let (minute, hour) = (rolling(Meter::Requests, 60, 1), rolling(Meter::Requests, 3_600, 1));
    let both = binding(&[&minute, &hour]);
    Reservation::take(&both, &Amounts::default(), NOW).unwrap().settle(&Amounts::default());
    let denied = Reservation::take(&both, &Amounts::default(), later(1_000)).unwrap_err();
    let retry = denied.retry_ms.unwrap();
    assert_eq!(denied.bound.counter.serial(), hour.counter.serial());
    assert!((3_500_000..=3_660_000).contains(&retry), "{retry}");
    assert!(Reservation::take(&both, &Amounts::default(), later(1_000 + retry)).is_ok());
}

#[test]
fn raises_what_is_held_or_leaves_it() {
    let (output, all) = (rolling(Meter::OutputTokens, 60, 100), rolling(Meter::Tokens, 60, 1_000));
    let both = binding(&[&output, &all]);
    let mut reservation = Reservation::take(&both, &tokens(10, 50), NOW).unwrap();
    reservation.raise(&tokens(10, 100), NOW).unwrap();
    let denied = reservation.raise(&tokens(10, 101), NOW).unwrap_err();
    assert_eq!(denied.bound.counter.meter(), Meter::OutputTokens);
    assert_eq!((used(&output, NOW), used(&all, NOW)), (100, 110));
    reservation.raise(&tokens(0, 1), NOW).unwrap();
    assert_eq!((used(&output, NOW), used(&all, NOW)), (100, 110), "it is never lowered");
    drop(reservation);
    assert_eq!((used(&output, NOW), used(&all, NOW)), (0, 0));
}

#[test]
fn a_target_that_failed_gives_back_its_own_limits() {
    let (key, first, second) =
        (rolling(Meter::Requests, 60, 9), rolling(Meter::Requests, 60, 1), rolling(Meter::Requests, 60, 1));
    let mut reservation = Reservation::take(&binding(&[&key]), &Amounts::default(), NOW).unwrap();
    reservation.add(&binding(&[&first, &key]), &Amounts::default(), NOW).unwrap();
    assert_eq!(used(&key, NOW), 1, "what is held is held once");
    assert!(Reservation::take(&binding(&[&first]), &Amounts::default(), NOW).is_err());
    reservation.release(&binding(&[&first]));
    reservation.add(&binding(&[&second]), &Amounts::default(), NOW).unwrap();
    assert_eq!([&key, &first, &second].map(|counter| used(counter, NOW)), [1, 0, 1]);
    reservation.settle(&Amounts::default());
    assert_eq!([&key, &first, &second].map(|counter| used(counter, NOW)), [1, 0, 1]);
}

#[test]
fn concurrency_is_given_back_at_the_end() {
    let places = bound(Meter::Concurrency, &Window::Total, 2);
    let both = binding(&[&places]);
    let one = Reservation::take(&both, &Amounts::default(), NOW).unwrap();
    let two = Reservation::take(&both, &Amounts::default(), NOW).unwrap();
    assert!(Reservation::take(&both, &Amounts::default(), NOW).is_err());
    one.settle(&Amounts::default());
    let three = Reservation::take(&both, &Amounts::default(), NOW).unwrap();
    drop((two, three));
    assert_eq!(used(&places, NOW), 0);
}

#[test]
fn places_can_be_given_back_before_the_rest() {
    let (places, requests) = (bound(Meter::Concurrency, &Window::Total, 2), rolling(Meter::Requests, 60, 5));
    let mut all = Reservation::take(&binding(&[&places, &requests]), &Amounts::default(), NOW).unwrap();
    let early = all.split(|meter| meter == Meter::Concurrency);
    assert_eq!((used(&places, NOW), used(&requests, NOW), early.is_empty()), (1, 1, false));
    drop(early);
    assert_eq!((used(&places, NOW), used(&requests, NOW)), (0, 1));
    all.settle(&Amounts::default());
    assert_eq!((used(&places, NOW), used(&requests, NOW)), (0, 1));
}

#[test]
fn a_target_that_was_asked_and_failed_keeps_what_it_used() {
    let (key, tries, tokens_of) =
        (rolling(Meter::Requests, 60, 9), rolling(Meter::Requests, 60, 9), rolling(Meter::Tokens, 60, 900));
    let target = binding(&[&tries, &tokens_of]);
    let mut reservation = Reservation::take(&binding(&[&key]), &Amounts::default(), NOW).unwrap();
    for tried in 1..=3 {
        reservation.add(&target, &tokens(100, 100), NOW).unwrap();
        assert_eq!((used(&tries, NOW), used(&tokens_of, NOW)), (tried, 200));
        reservation.settle_of(&target, &Amounts::default());
        assert_eq!((used(&tries, NOW), used(&tokens_of, NOW)), (tried, 0));
    }
    drop(reservation);
    assert_eq!((used(&key, NOW), used(&tries, NOW)), (0, 3), "what is settled is not given back");
}

#[test]
fn a_period_of_the_calendar_ends_when_it_ends() {
    let day = bound(Meter::Requests, &Window::Calendar(Calendar::utc_days()), 1);
    let both = binding(&[&day]);
    let night = Now { monotonic_ms: 0, unix_ms: 86_400_000 * 20_000 - 1 };
    let morning = Now { monotonic_ms: 1, unix_ms: 86_400_000 * 20_000 };
    Reservation::take(&both, &Amounts::default(), night).unwrap().settle(&Amounts::default());
    assert_eq!(Reservation::take(&both, &Amounts::default(), night).unwrap_err().retry_ms, Some(1));
    Reservation::take(&both, &Amounts::default(), morning).unwrap().settle(&Amounts::default());
    // The clock goes back over midnight and forth again: neither day has room for a second one.
    assert!(Reservation::take(&both, &Amounts::default(), night).is_err());
    assert!(Reservation::take(&both, &Amounts::default(), morning).is_err());
}

#[test]
fn a_restored_counter_goes_on_where_it_was() {
    let limit = rolling(Meter::Requests, 60, 10);
    limit.counter.restore(4, 30_000, NOW);
    limit.counter.restore(3, 59_000, NOW);
    limit.counter.restore(9, 120_000, NOW);
    assert_eq!(used(&limit, NOW), 7);
    assert_eq!(used(&limit, later(20_000)), 4);
    let day = Counter::new(Meter::Usd, &Window::Calendar(Calendar::utc_days()));
    day.restore(6, 1_000, NOW);
    assert_eq!(day.read(NOW).used, 6);
}

#[test]
fn threads_never_admit_one_too_many() {
    let counters =
        [rolling(Meter::Requests, 60, 500), rolling(Meter::Requests, 3_600, 700), rolling(Meter::Tokens, 60, 4_000)];
    let [a, b, c] = &counters;
    let orders = [binding(&[a, b, c]), binding(&[c, a]), binding(&[b, c, a])];
    let barrier = Barrier::new(8);
    let admitted: u64 = std::thread::scope(|scope| {
        let work = |number: usize| {
            let (orders, barrier) = (&orders, &barrier);
            move || {
                barrier.wait();
                let binding = orders.get(number % 3).unwrap();
                let mut admitted = 0;
                for turn in 0..400u64 {
                    let Ok(mut taken) = Reservation::take(binding, &tokens(3, 4), NOW) else { continue };
                    let raised = taken.raise(&tokens(3, 5), NOW).is_ok();
                    if turn % 3 == 0 {
                        drop(taken);
                    } else {
                        taken.settle(&tokens(3, if raised { 5 } else { 4 }));
                        admitted += 1;
                    }
                }
                admitted
            }
        };
        let threads: Vec<_> = (0..8).map(|number| scope.spawn(work(number))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).sum()
    });
    assert_eq!(used(a, NOW), admitted);
    assert!(admitted <= 500 && used(c, NOW) <= 4_000, "{admitted}");
    assert!(admitted * 8 + 8 * 8 > 4_000 || admitted + 8 > 500, "what fits is let in: {admitted}");
}

proptest! {
    /// At every instant, over exactly the window's length, no more than the limit was admitted; and what is refused
    /// with a waiting time is admitted after it.
    #[test]
    fn never_more_than_the_limit_in_any_window(
        window_ms in 1u64..5_000,
        amount in 1u64..20,
        arrivals in proptest::collection::vec((0u64..400, 1u64..6), 1..200),
    ) {
        let limit = bound(Meter::Usd, &Window::Rolling(Duration::from_millis(window_ms)), amount);
        let binding = binding(&[&limit]);
        let (mut at, mut admitted) = (0, Vec::<(u64, u64)>::new());
        for (pause, nanos) in arrivals {
            at += pause;
            match Reservation::take(&binding, &Amounts { nanos, ..Amounts::default() }, later(at)) {
                Ok(reservation) => {
                    reservation.settle(&Amounts { nanos, ..Amounts::default() });
                    admitted.push((at, nanos));
                }
                Err(Denial { retry_ms: Some(wait), .. }) => {
                    prop_assert!(wait > 0 && wait <= window_ms + window_ms / 30 + 70, "{wait}");
                    let then = limit.counter.fits_in_ms(nanos, amount, later(at + wait));
                    prop_assert_eq!(then, Some(0));
                    // Looking ahead moved the window: time goes on from there.
                    at += wait;
                }
                Err(Denial { retry_ms: None, .. }) => prop_assert!(nanos > amount),
            }
            let within = admitted.iter().filter(|(then, _)| *then + window_ms > at).map(|(_, nanos)| nanos);
            prop_assert!(within.sum::<u64>() <= amount);
        }
    }

    /// Whatever happens to reservations, a counter shows what was settled and what is still held.
    #[test]
    fn nothing_is_lost_and_nothing_is_kept(steps in proptest::collection::vec((0u64..50, 0u64..50, 0u8..4, 0u64..60), 1..60)) {
        let limit = rolling(Meter::Tokens, 3_600, 2_000);
        let binding = binding(&[&limit]);
        let (mut open, mut expected) = (Vec::new(), 0);
        for (input, output, fate, actual) in steps {
            if let Ok(mut taken) = Reservation::take(&binding, &tokens(input, output), NOW) {
                let raised = taken.raise(&tokens(input, output + 5), NOW).is_ok();
                let held = input + output + if raised { 5 } else { 0 };
                match fate {
                    0 => drop(taken),
                    1 => { taken.settle(&tokens(actual, 0)); expected += actual; }
                    _ => open.push((taken, held)),
                }
            }
            let held: u64 = open.iter().map(|(_, held)| held).sum();
            prop_assert_eq!(used(&limit, NOW), expected + held);
        }
        drop(open);
        prop_assert_eq!(used(&limit, NOW), expected);
    }
}
