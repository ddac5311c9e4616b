//! CLOCK-01: 200 callers over midnight, wherever midnight is. Each request belongs to the window of its admission, no window
//! is overspent, and what the windows hold is what was spent.

use std::sync::Barrier;
use std::sync::atomic::{AtomicU64, Ordering};

use jiff::Timestamp;

use super::*;
use crate::limit::rule::Span;
use crate::limit::zone::Zone;

/// Where it is, what ends, and when: the last instants before.
const ENDS: [(&str, Span, &str); 12] = [
    ("UTC", Span::Day, "2026-11-22T00:00:00Z"),
    ("UTC", Span::Month, "2027-01-01T00:00:00Z"),
    ("UTC", Span::Month, "2028-03-01T00:00:00Z"),
    ("UTC", Span::Day, "2028-02-29T00:00:00Z"),
    ("Pacific/Kiritimati", Span::Day, "2026-12-31T10:00:00Z"),
    ("Pacific/Kiritimati", Span::Month, "2026-12-31T10:00:00Z"),
    ("Etc/GMT+12", Span::Month, "2027-01-01T12:00:00Z"),
    ("Asia/Kolkata", Span::Day, "2026-11-21T18:30:00Z"),
    ("Europe/Berlin", Span::Day, "2026-03-28T23:00:00Z"),
    ("Europe/Berlin", Span::Day, "2026-10-25T23:00:00Z"),
    ("America/New_York", Span::Day, "2026-11-01T04:00:00Z"),
    ("America/Sao_Paulo", Span::Day, "2018-11-04T03:00:00Z"),
];

const CALLERS: usize = 200;

/// What one caller was admitted for: before the end and after it.
#[derive(Clone, Copy, Debug, Default)]
struct Spent {
    requests: [u64; 2],
    nanos: [u64; 2],
}

/// Lets callers spend while time passes the end of a period, and returns what each side of it admitted.
fn spend(both: &Binding, end_ms: u64, time: &AtomicU64) -> Spent {
    let barrier = Barrier::new(CALLERS);
    let caller = |number: u64| {
        let barrier = &barrier;
        move || {
            let mut random = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
            let mut pick = move |below: u64| {
                random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                (random >> 33) % below
            };
            let now = || {
                let unix_ms = time.fetch_add(1, Ordering::Relaxed);
                Now { monotonic_ms: unix_ms, unix_ms }
            };
            let (mut spent, mut open) = (Spent::default(), Vec::new());
            barrier.wait();
            for _ in 0..40 {
                let admitted = now();
                let side = usize::from(admitted.unix_ms >= end_ms);
                let nanos = |nanos| Amounts { nanos, ..Amounts::default() };
                if let Ok(taken) = Reservation::take(both, &nanos(10 + pick(90)), admitted) {
                    open.push((taken, side));
                }
                // Some are in flight for long, and grow after the end of the period in which they began.
                if open.len() > 3 || pick(4) == 0 {
                    let Some((mut taken, side)) = open.pop() else { continue };
                    let _ = taken.raise(&nanos(100 + pick(60)), now());
                    let held = taken.holds.iter().map(|hold| hold.amount).max().unwrap_or(0);
                    let used = pick(held + 1);
                    match pick(8) {
                        0 => drop(taken),
                        _ => {
                            taken.settle(&nanos(used));
                            spent.requests[side] += 1;
                            spent.nanos[side] += used;
                        }
                    }
                }
            }
            for (taken, side) in open {
                taken.settle(&nanos_of(7));
                spent.requests[side] += 1;
                spent.nanos[side] += 7;
            }
            spent
        }
    };
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..CALLERS as u64).map(|number| scope.spawn(caller(number))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).fold(Spent::default(), |sum, one| Spent {
            requests: [0, 1].map(|side| sum.requests[side] + one.requests[side]),
            nanos: [0, 1].map(|side| sum.nanos[side] + one.nanos[side]),
        })
    })
}

fn nanos_of(nanos: u64) -> Amounts {
    Amounts { nanos, ..Amounts::default() }
}

#[test]
fn two_hundred_callers_over_midnight() {
    for (zone, span, end) in ENDS {
        let end_ms = u64::try_from(end.parse::<Timestamp>().unwrap().as_millisecond()).unwrap();
        let window = Zone::named(zone).unwrap().window(span);
        // Enough for a part of those who ask, on each side.
        let (requests, spend_limit) = (bound(Meter::Requests, &window, 2_500), bound(Meter::Usd, &window, 90_000));
        let both = binding(&[&requests, &spend_limit]);
        // 200 callers ask 40 times and raise now and then: the end comes in the middle.
        let time = AtomicU64::new(end_ms - 5_000);
        let spent = spend(&both, end_ms, &time);
        assert!(time.into_inner() > end_ms + 2_000, "{zone} {end}: time went on");
        for (side, unix_ms) in [(0, end_ms - 1), (1, end_ms)] {
            let now = Now { monotonic_ms: end_ms, unix_ms };
            let found = (used(&requests, now), used(&spend_limit, now));
            assert_eq!(found, (spent.requests[side], spent.nanos[side]), "{zone} {end}, side {side}");
            assert!(found.0 <= 2_500 && found.1 <= 90_000, "{zone} {end}, side {side}: {found:?}");
            assert!(found.0 > 300, "{zone} {end}, side {side}: {found:?}");
        }
        // It ends to the millisecond, and says so.
        let last = Now { monotonic_ms: end_ms, unix_ms: end_ms - 1 };
        assert_eq!(requests.counter.read(last).resets_ms, Some(1), "{zone} {end}");
    }
}

/// What grows after midnight grows in the window where it began: that one's cap holds.
#[test]
fn a_stream_over_midnight_does_not_overspend_its_day() {
    let day = bound(Meter::Usd, &Window::Calendar(Calendar::utc_days()), 100);
    let both = binding(&[&day]);
    let midnight_ms = 86_400_000 * 20_000;
    let (night, morning) =
        (Now { monotonic_ms: 0, unix_ms: midnight_ms - 1 }, Now { monotonic_ms: 1, unix_ms: midnight_ms });
    Reservation::take(&both, &nanos_of(60), night).unwrap().settle(&nanos_of(60));
    let mut stream = Reservation::take(&both, &nanos_of(30), night).unwrap();
    assert!(stream.raise(&nanos_of(41), morning).is_err(), "60 are spent of that day");
    stream.raise(&nanos_of(40), morning).unwrap();
    stream.settle(&nanos_of(40));
    assert_eq!((used(&day, night), used(&day, morning)), (100, 0));
    // And a new day that is full does not stop what belongs to the old one.
    let mut stream = Reservation::take(
        &binding(&[&bound(Meter::Usd, &Window::Calendar(Calendar::utc_days()), 100)]),
        &nanos_of(1),
        night,
    )
    .unwrap();
    let counter = Arc::clone(&stream.bindings[0].bounds()[0].counter);
    counter.restore(100, 0, morning);
    stream.raise(&nanos_of(90), morning).unwrap();
}
