//! How a limit is learned, and how long it is minded.

use super::*;

const MS: u64 = 1_000_000;

/// Asks a provider that takes `rate` a second (a bucket of two seconds' worth) as often as the pace allows, but at most
/// `wanted` times a second, and returns how many were answered and how many refused in the last half of the time.
fn run(pace: &Pace, rate: f64, wanted: f64, length_s: u64) -> (u32, u32) {
    let (mut tokens, mut answered, mut refused) = (2.0 * rate, 0, 0);
    let (mut due, start) = (0.0, 1_000 * MS);
    for ms in 0..length_s * 1000 {
        let now = start + ms * MS;
        tokens = (tokens + rate / 1000.0).min(2.0 * rate);
        due += wanted / 1000.0;
        if due < 1.0 || pace.wait(now) > 0.0 {
            due = due.min(1.0);
            continue;
        }
        due -= 1.0;
        pace.asked(now);
        let counts = u32::from(ms > length_s * 500);
        if tokens >= 1.0 {
            tokens -= 1.0;
            answered += counts;
            pace.answered(now);
        } else {
            refused += counts;
            pace.refused(now, None);
        }
    }
    (answered, refused)
}

#[test]
fn without_a_refusal_there_is_no_limit() {
    let pace = Pace::default();
    assert_eq!(run(&pace, 50.0, 20.0, 60), (600, 0));
    assert_eq!((pace.rate(), pace.wait(9)), (None, 0.0));
}

#[test]
fn a_limit_is_learned_and_nearly_used_up() {
    for rate in [0.5, 3.0, 40.0] {
        let pace = Pace::default();
        let (answered, refused) = run(&pace, rate, rate * 3.0, 400);
        let share = f64::from(answered) / (rate * 200.0);
        assert!(share > 0.75, "{rate}: {share}");
        assert!(f64::from(refused) < 0.12 * f64::from(answered), "{rate}: {refused} of {answered}");
    }
}

#[test]
fn a_limit_that_is_lifted_is_found_out() {
    let pace = Pace::default();
    run(&pace, 2.0, 20.0, 60);
    assert!(pace.rate().unwrap() < 4.0);
    let (answered, _) = run(&pace, 50.0, 20.0, 900);
    assert!(answered > 5_000, "{answered}");
}

#[test]
fn retry_after_is_honoured_and_bounded() {
    let pace = Pace::default();
    let now = 1_000 * MS;
    pace.refused(now, Some(30.0));
    assert!((pace.wait(now) - 30.0).abs() < 0.01 && pace.pauses(now));
    pace.answered(now + MS);
    assert!(pace.pauses(now + 29_000 * MS), "an answer that was under way does not end it");
    assert!(!pace.pauses(now + 31_000 * MS));
    pace.refused(now, Some(1e18));
    assert!(pace.wait(now) <= 3600.1);
}

#[test]
fn refusals_in_a_row_make_longer_pauses_up_to_a_bound() {
    let pace = Pace::default();
    let mut now = 1_000 * MS;
    let mut last = 0.0;
    for _ in 0..30 {
        pace.refused(now, None);
        let wait = pace.wait(now);
        assert!(wait >= last * 0.999 || wait >= 14.9, "{wait} after {last}");
        last = wait.min(15.0);
        now += nanos(wait) + MS;
    }
    assert!((14.0..=15.0).contains(&last) || last <= 20.0, "{last}");
}

#[test]
fn headers_that_say_nothing_is_left_are_believed() {
    let pace = Pace::default();
    pace.told(1_000 * MS, 5, 30.0);
    assert_eq!(pace.wait(1_000 * MS), 0.0);
    pace.told(1_000 * MS, 0, 2.0);
    assert!((pace.wait(1_000 * MS) - 2.0).abs() < 0.01);
}
