//! One reading of the clocks for all that one turn of a task does.
//!
//! A request asks for the time some twenty times on its way, and each reading costs 20 ns. Between two points at which a
//! task waits only microseconds pass: what is asked again there is told what was told before.

use std::cell::Cell;
use std::time::Instant;

/// What a thread has read in the turn that it is in.
struct Turn {
    is_on: Cell<bool>,
    instant: Cell<Option<Instant>>,
    unix_ms: Cell<Option<u64>>,
}

thread_local! {
    static TURN: Turn = const {
        Turn { is_on: Cell::new(false), instant: Cell::new(None), unix_ms: Cell::new(None) }
    };
}

/// Ends the turn, also when its work panics.
struct End;

impl Drop for End {
    fn drop(&mut self) {
        TURN.with(|turn| {
            turn.is_on.set(false);
            turn.instant.set(None);
            turn.unix_ms.set(None);
        });
    }
}

/// Does the work of one turn of a task, in which the system's clocks are read at most once. It is for a future's `poll`: what
/// waits or computes for long must not be inside, for it would not see the time pass.
pub fn turn<T>(work: impl FnOnce() -> T) -> T {
    TURN.with(|turn| turn.is_on.set(true));
    let _end = End;
    work()
}

/// Returns the instant of this turn; outside of one, that which is read now.
pub(super) fn instant(read: impl FnOnce() -> Instant) -> Instant {
    TURN.with(|turn| remembered(turn.is_on.get(), &turn.instant, read))
}

/// Returns the Unix milliseconds of this turn; outside of one, those which are read now.
pub(super) fn unix_ms(read: impl FnOnce() -> u64) -> u64 {
    TURN.with(|turn| remembered(turn.is_on.get(), &turn.unix_ms, read))
}

fn remembered<T: Copy>(is_on: bool, place: &Cell<Option<T>>, read: impl FnOnce() -> T) -> T {
    if !is_on {
        return read();
    }
    let value = place.get().unwrap_or_else(read);
    place.set(Some(value));
    value
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};

    use super::*;

    /// A clock that has moved on whenever it is read.
    fn readings() -> impl FnMut() -> u64 {
        let mut time = 0;
        move || {
            time += 1;
            unix_ms(|| time)
        }
    }

    #[test]
    fn the_clock_stands_within_a_turn_and_moves_between_two() {
        let mut read = readings();
        assert_eq!([read(), read()], [1, 2]);
        assert_eq!(turn(|| [read(), read(), read()]), [3, 3, 3]);
        assert_eq!(turn(|| [read(), read()]), [6, 6]);
        assert_eq!(read(), 8);
    }

    #[test]
    fn a_turn_that_panics_ends() {
        let mut read = readings();
        let panicked = catch_unwind(AssertUnwindSafe(|| turn(|| assert_eq!(read(), 0))));
        assert!(panicked.is_err());
        assert_eq!([read(), read()], [2, 3]);
    }

    #[test]
    fn a_turn_is_of_its_thread() {
        let mut read = readings();
        turn(|| {
            assert_eq!(read(), 1);
            let other = std::thread::scope(|scope| scope.spawn(|| [unix_ms(|| 7), unix_ms(|| 8)]).join().unwrap());
            assert_eq!(other, [7, 8]);
        });
    }
}
