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
#[derive(Debug)]
pub struct Counter {
    serial: u64,
    meter: Meter,
    state: Mutex<State>,
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
        Self { serial, meter, state: Mutex::new(state) }
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
        self.lock().adjust(place, |used| used.saturating_sub(held).saturating_add(actual));
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
