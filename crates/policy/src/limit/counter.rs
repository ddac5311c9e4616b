//! What was used of one meter, over one window, by one key, team, user or whatever shares it. How much may be used is not
//! said here: several limits may look at one counter, and they come and go while it counts on.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::credits::BASE;
use super::period::Periods;
use super::ring::Ring;
use super::{Meter, Now, Window};

/// Numbers the counters, so that whoever locks several does so in one order.
static SERIAL: AtomicU64 = AtomicU64::new(0);

/// A counter. What is asked of it is exact: between a look and the change that follows from it nobody else gets in.
///
/// It has a line of the processor's cache of its own: threads that share no counter do not slow each other down.
#[derive(Debug)]
#[repr(align(64))]
pub struct Counter {
    serial: u64,
    meter: Meter,
    state: Mutex<State>,
    /// What of the use is held for requests in flight. It is only changed while the state is locked.
    held: AtomicU64,
    /// One more than the amount under which a request was refused since somebody looked; 0 when none was.
    refused: AtomicU64,
    /// When that was, in Unix milliseconds.
    refused_ms: AtomicU64,
}

/// Where an amount was booked, so that it can be corrected there: a slot, or the start of a period.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place(u64);

#[derive(Debug)]
pub(super) enum State {
    Rolling(Box<Ring>),
    Calendar(Box<Periods>),
    Plain(u64),
}

/// What a counter says about itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reading {
    /// What is used or held.
    pub used: u64,
    /// Milliseconds until more is free: until the next unit leaves a rolling window, or the period ends. `None` when
    /// nothing will be freed by time.
    pub resets_ms: Option<u64>,
}

/// What was spent, as opposed to what is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Spent {
    /// What was used by requests that are over; a little less when one that is in flight began in an earlier window.
    pub amount: u64,
    /// The first millisecond of the period of the calendar (Unix time); 0 where there are no periods.
    pub period_start_ms: u64,
    /// Milliseconds until more is free; `None` when nothing will be freed by time.
    pub resets_ms: Option<u64>,
}

impl Counter {
    /// Returns an empty counter. A concurrency limit has no window: it counts what is in flight.
    pub fn new(meter: Meter, window: &Window) -> Self {
        let state = match window {
            _ if meter == Meter::Concurrency => State::Plain(0),
            // An account that nobody knows has nothing.
            _ if meter == Meter::Credits => State::Plain(BASE),
            Window::Rolling(window) => {
                State::Rolling(Box::new(Ring::new(u64::try_from(window.as_millis()).unwrap_or(u64::MAX))))
            }
            Window::Calendar(calendar) => State::Calendar(Box::new(Periods::new(calendar.clone()))),
            Window::Total => State::Plain(0),
        };
        let serial = SERIAL.fetch_add(1, Ordering::Relaxed);
        let [held, refused, refused_ms] = std::array::from_fn(|_| AtomicU64::new(0));
        Self { serial, meter, state: Mutex::new(state), held, refused, refused_ms }
    }

    /// Returns what it counts.
    pub fn meter(&self) -> Meter {
        self.meter
    }

    /// Returns its place in the order in which counters are locked.
    pub fn serial(&self) -> u64 {
        self.serial
    }

    /// Counts what was used before this counter was made: so much, that long ago. What lies outside of the window is
    /// left out.
    pub fn restore(&self, used: u64, ago_ms: u64, now: Now) {
        let mut state = self.lock();
        state.advance(now);
        let place = match &*state {
            State::Rolling(ring) => ring.slot_ago(now, ago_ms).map(Place),
            State::Calendar(_) | State::Plain(_) => Some(state.place_ago(now, ago_ms)),
        };
        if let Some(place) = place {
            state.adjust(place, |before| before.saturating_add(used));
        }
    }

    /// Returns what it says now.
    pub fn read(&self, now: Now) -> Reading {
        let mut state = self.lock();
        let place = state.advance(now);
        Reading { used: state.used(place), resets_ms: state.frees(place, 1, now) }
    }

    /// Returns what is used or held now. That costs less than to find out when more is free.
    pub fn used(&self, now: Now) -> u64 {
        let mut state = self.lock();
        let place = state.advance(now);
        state.used(place)
    }

    /// Returns what was spent, without what is held for requests in flight.
    pub fn spent(&self, now: Now) -> Spent {
        let mut state = self.lock();
        let place = state.advance(now);
        Spent {
            amount: state.used(place).saturating_sub(self.held.load(Ordering::Relaxed)),
            period_start_ms: if matches!(&*state, State::Calendar(_)) { place.0 } else { 0 },
            resets_ms: state.frees(place, 1, now),
        }
    }

    /// Returns the amount under which a request was refused since this was asked last, and when, in Unix milliseconds.
    pub fn take_refused(&self) -> Option<(u64, u64)> {
        // Who only looks changes nothing.
        if self.refused.load(Ordering::Relaxed) == 0 {
            return None;
        }
        let amount = self.refused.swap(0, Ordering::Acquire).checked_sub(1)?;
        Some((amount, self.refused_ms.load(Ordering::Relaxed)))
    }

    /// Notes that a request was refused because of what was used.
    pub(super) fn refuse(&self, amount: u64, now: Now) {
        self.refused_ms.store(now.unix_ms, Ordering::Relaxed);
        self.refused.store(amount.saturating_add(1), Ordering::Release);
    }

    /// Notes that so much more of the use is held. The state is locked by the caller, so that no other thread writes.
    pub(super) fn hold(&self, amount: u64) {
        self.held.store(self.held.load(Ordering::Relaxed).saturating_add(amount), Ordering::Relaxed);
    }

    /// Returns the milliseconds until so much more will fit under an amount; zero when it fits now, `None` when time
    /// alone will not make it fit.
    pub fn fits_in_ms(&self, wanted: u64, amount: u64, now: Now) -> Option<u64> {
        let mut state = self.lock();
        let place = state.advance(now);
        let over = state.used(place).saturating_add(wanted).saturating_sub(amount);
        if wanted == 0 || over == 0 {
            return Some(0);
        }
        if wanted > amount { None } else { state.frees(place, over, now) }
    }

    /// A thread that panicked while it held the lock has left whole numbers behind: the state is good.
    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Raises what is used, or lowers it, of a counter that has no window.
    pub(super) fn shift(&self, by: i64) {
        self.lock().adjust(Place(0), |used| used.saturating_add_signed(by));
    }

    /// Corrects what was booked at a place.
    pub(super) fn correct(&self, place: Place, held: u64, actual: u64) {
        let mut state = self.lock();
        self.held.store(self.held.load(Ordering::Relaxed).saturating_sub(held), Ordering::Relaxed);
        state.adjust(place, |used| used.saturating_sub(held).saturating_add(actual));
    }
}

impl State {
    /// Moves to an instant and returns the place that counts for it.
    pub(super) fn advance(&mut self, now: Now) -> Place {
        match self {
            Self::Rolling(ring) => Place(ring.advance(now)),
            Self::Calendar(periods) => Place(periods.advance(now.unix_ms)),
            Self::Plain(_) => Place(0),
        }
    }

    /// Returns what counts against the limit at a place.
    pub(super) fn used(&self, place: Place) -> u64 {
        match self {
            Self::Rolling(ring) => ring.sum(),
            Self::Calendar(periods) => periods.used(place.0),
            Self::Plain(used) => *used,
        }
    }

    pub(super) fn adjust(&mut self, place: Place, change: impl FnOnce(u64) -> u64) {
        match self {
            Self::Rolling(ring) => ring.adjust(place.0, change),
            Self::Calendar(periods) => periods.adjust(place.0, change),
            Self::Plain(used) => *used = change(*used),
        }
    }

    fn place_ago(&mut self, now: Now, ago_ms: u64) -> Place {
        let then = Now { unix_ms: now.unix_ms.saturating_sub(ago_ms), ..now };
        match self {
            Self::Calendar(periods) => Place(periods.advance(then.unix_ms)),
            Self::Rolling(_) | Self::Plain(_) => Place(0),
        }
    }

    /// Returns the milliseconds until so many units are free again; `None` when time does not free them.
    fn frees(&self, place: Place, units: u64, now: Now) -> Option<u64> {
        match self {
            Self::Rolling(ring) => ring.frees(units, now),
            Self::Calendar(periods) => Some(periods.left_ms(place.0, now.unix_ms)),
            Self::Plain(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::limit::Amounts;
    use crate::limit::reservation::{Binding, Bound, Reservation};

    const NOW: Now = Now { monotonic_ms: 1_000_000, unix_ms: 1_795_000_000_000 };

    fn nanos(nanos: u64) -> Amounts {
        Amounts { nanos, ..Amounts::default() }
    }

    #[test]
    fn what_is_held_is_not_spent() {
        let counter = Arc::new(Counter::new(Meter::Usd, &Window::Total));
        let binding = Binding::new(vec![Bound { counter: Arc::clone(&counter), amount: 100, limit: Arc::default() }]);
        let check = |used: u64, spent: u64| {
            assert_eq!((counter.read(NOW).used, counter.spent(NOW).amount), (used, spent));
        };
        counter.restore(10, 0, NOW);
        check(10, 10);
        let mut first = Reservation::take(&binding, &nanos(30), NOW).unwrap();
        let second = Reservation::take(&binding, &nanos(20), NOW).unwrap();
        check(60, 10);
        first.raise(&nanos(50), NOW).unwrap();
        check(80, 10);
        let part = first.split(|meter| meter == Meter::Usd);
        check(80, 10);
        part.settle(&nanos(5));
        drop(first);
        check(35, 15);
        drop(second);
        check(15, 15);
    }

    #[test]
    fn a_refusal_is_noted_once() {
        let counter = Arc::new(Counter::new(Meter::Usd, &Window::Total));
        let binding = Binding::new(vec![Bound { counter: Arc::clone(&counter), amount: 100, limit: Arc::default() }]);
        counter.restore(90, 0, NOW);
        assert!(Reservation::take(&binding, &nanos(101), NOW).is_err());
        assert_eq!(counter.take_refused(), None, "more than the limit would never fit");
        assert!(Reservation::take(&binding, &nanos(11), NOW).is_err());
        assert_eq!((counter.take_refused(), counter.take_refused()), (Some((100, NOW.unix_ms)), None));
    }
}
