//! Taking from several counters in one step, and giving back exactly once.

use std::sync::Arc;

use super::counter::{Counter, Place};
use super::rule::Limit;
use super::{Amounts, Meter, Now};

/// One limit that binds a request: a counter, and how much of it may be used.
#[derive(Clone, Debug)]
pub struct Bound {
    /// What counts.
    pub counter: Arc<Counter>,
    /// The most.
    pub amount: u64,
    /// The limit.
    pub limit: Arc<Limit>,
}

/// The limits that bind a request, each counter once, in the order in which the counters are locked.
#[derive(Clone, Debug, Default)]
pub struct Binding(Vec<Bound>);

impl Binding {
    /// Sorts limits; of several that look at one counter the strictest is left.
    pub fn new(mut bounds: Vec<Bound>) -> Self {
        bounds.sort_by_key(|bound| (bound.counter.serial(), bound.amount));
        bounds.dedup_by_key(|bound| bound.counter.serial());
        Self(bounds)
    }

    /// Returns the limits.
    pub fn bounds(&self) -> &[Bound] {
        &self.0
    }
}

/// Why a request was not admitted.
#[derive(Debug)]
pub struct Denial {
    /// The limit that refused; when several do, the one that takes longest to let the request through.
    pub bound: Bound,
    /// Milliseconds until the request will fit; `None` when time alone will not make it fit.
    pub retry_ms: Option<u64>,
}

/// What one request holds, in the order in which the counters are locked. Dropping it gives everything back, as if the
/// request had never been; settling it replaces what was held by what was used.
#[derive(Debug, Default)]
pub struct Reservation {
    holds: Vec<Hold>,
}

#[derive(Clone, Debug)]
struct Hold {
    bound: Bound,
    place: Place,
    /// How much is held.
    amount: u64,
}

impl Reservation {
    /// Takes a bound from every counter, from all of them or from none.
    ///
    /// # Errors
    /// [`Denial`], and nothing is taken.
    pub fn take(binding: &Binding, bound: &Amounts, now: Now) -> Result<Self, Denial> {
        let mut reservation = Self::default();
        reservation.add(binding, bound, now)?;
        Ok(reservation)
    }

    /// Takes from further counters too, such as those of the target that was planned.
    ///
    /// # Errors
    /// [`Denial`], and nothing more is taken.
    pub fn add(&mut self, binding: &Binding, bound: &Amounts, now: Now) -> Result<(), Denial> {
        let held = |counter: &Counter| self.holds.iter().any(|hold| hold.bound.counter.serial() == counter.serial());
        // What is held already is asked for nothing: its lock would be taken twice otherwise, at the next raise.
        let wanted = |counter: &Counter| if held(counter) { 0 } else { bound.of(counter.meter()) };
        let mut taken = Vec::with_capacity(binding.0.len());
        if !admit(&binding.0, &wanted, now, &mut taken) {
            return Err(denial(&binding.0, &wanted, now));
        }
        taken.retain(|hold| !held(&hold.bound.counter));
        self.holds.append(&mut taken);
        self.holds.sort_by_key(|hold| hold.bound.counter.serial());
        Ok(())
    }

    /// Raises what is held to a higher bound; what is held already is never lowered. Requests and places in flight are
    /// held once.
    ///
    /// # Errors
    /// [`Denial`], and what is held stays as it was.
    pub fn raise(&mut self, bound: &Amounts, now: Now) -> Result<(), Denial> {
        let more = |hold: &Hold| bound.of(hold.bound.counter.meter()).saturating_sub(hold.amount);
        if raise(&self.holds, &more, now) {
            for hold in &mut self.holds {
                hold.amount = hold.amount.max(bound.of(hold.bound.counter.meter()));
            }
            return Ok(());
        }
        let bounds: Vec<Bound> = self.holds.iter().map(|hold| hold.bound.clone()).collect();
        let held: Vec<(u64, u64)> = self.holds.iter().map(|hold| (hold.bound.counter.serial(), more(hold))).collect();
        let wanted = |counter: &Counter| {
            held.iter().find(|(serial, _)| *serial == counter.serial()).map_or(0, |(_, more)| *more)
        };
        Err(denial(&bounds, &wanted, now))
    }

    /// Gives back what is held of some counters, such as those of a target that failed.
    pub fn release(&mut self, binding: &Binding) {
        self.holds.retain(|hold| {
            let stays = !binding.0.iter().any(|bound| bound.counter.serial() == hold.bound.counter.serial());
            if !stays {
                hold.give_back();
            }
            stays
        });
    }

    /// Takes the holds on some meters out of this reservation, to be given back at another time.
    #[must_use]
    pub fn split(&mut self, which: impl Fn(Meter) -> bool) -> Self {
        let mut holds = Vec::new();
        self.holds.retain(|hold| {
            let goes = which(hold.bound.counter.meter());
            if goes {
                holds.push(hold.clone());
            }
            !goes
        });
        Self { holds }
    }

    /// Takes over what another one holds, of counters that this one holds nothing of; of others it is given back.
    pub fn append(&mut self, mut other: Self) {
        for hold in std::mem::take(&mut other.holds) {
            // A counter is held once: its lock would be taken twice otherwise, at the next raise.
            match self.holds.iter().any(|held| held.bound.counter.serial() == hold.bound.counter.serial()) {
                true => hold.give_back(),
                false => self.holds.push(hold),
            }
        }
        self.holds.sort_by_key(|hold| hold.bound.counter.serial());
    }

    /// Returns whether nothing is held.
    pub fn is_empty(&self) -> bool {
        self.holds.is_empty()
    }

    /// Replaces what is held by what was used. Places in flight are free again.
    pub fn settle(mut self, used: &Amounts) {
        std::mem::take(&mut self.holds).iter().for_each(|hold| hold.settle(used));
    }

    /// Does so for some counters, such as those of a target that was asked and failed; the others stay held.
    pub fn settle_of(&mut self, binding: &Binding, used: &Amounts) {
        self.holds.retain(|hold| {
            let stays = !binding.0.iter().any(|bound| bound.counter.serial() == hold.bound.counter.serial());
            if !stays {
                hold.settle(used);
            }
            stays
        });
    }
}

impl Hold {
    fn settle(&self, used: &Amounts) {
        let actual = match self.bound.counter.meter() {
            Meter::Concurrency => 0,
            meter => used.of(meter),
        };
        self.bound.counter.correct(self.place, self.amount, actual);
    }

    fn give_back(&self) {
        self.bound.counter.correct(self.place, self.amount, 0);
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.holds.iter().for_each(Hold::give_back);
    }
}

/// Asks every counter in turn, and takes only when all agree: each stays locked until the last one has answered. The
/// depth of the recursion is the number of limits that bind.
fn admit(bounds: &[Bound], wanted: &dyn Fn(&Counter) -> u64, now: Now, holds: &mut Vec<Hold>) -> bool {
    let Some((bound, rest)) = bounds.split_first() else { return true };
    let amount = wanted(&bound.counter);
    let mut state = bound.counter.lock();
    let place = state.advance(now);
    // Nothing wanted is always there: a free model under an exhausted budget, say.
    let fits = amount == 0 || state.used(place).checked_add(amount).is_some_and(|sum| sum <= bound.amount);
    if !fits || !admit(rest, wanted, now, holds) {
        return false;
    }
    state.adjust(place, |used| used.saturating_add(amount));
    bound.counter.hold(amount);
    holds.push(Hold { bound: bound.clone(), place, amount });
    true
}

/// The same for what is held already: the addition is booked where the request was admitted.
fn raise(holds: &[Hold], more: &dyn Fn(&Hold) -> u64, now: Now) -> bool {
    let Some((hold, rest)) = holds.split_first() else { return true };
    let amount = more(hold);
    if amount == 0 {
        return raise(rest, more, now);
    }
    let mut state = hold.bound.counter.lock();
    let place = state.advance(now);
    let fits = state.used(place).checked_add(amount).is_some_and(|sum| sum <= hold.bound.amount);
    if !fits || !raise(rest, more, now) {
        return false;
    }
    state.adjust(hold.place, |used| used.saturating_add(amount));
    hold.bound.counter.hold(amount);
    true
}

/// Finds the limit that takes longest. One that has let go in the meantime still names itself, with no wait.
fn denial(bounds: &[Bound], wanted: &dyn Fn(&Counter) -> u64, now: Now) -> Denial {
    let waits = bounds.iter().map(|bound| (bound, bound.counter.fits_in_ms(wanted(&bound.counter), bound.amount, now)));
    let worst = waits.max_by_key(|(_, wait)| wait.unwrap_or(u64::MAX));
    match worst {
        Some((bound, retry_ms)) => {
            // What is larger than the limit would have been refused in any case: it says nothing about the use.
            if wanted(&bound.counter) <= bound.amount {
                bound.counter.refuse(bound.amount, now);
            }
            Denial { bound: bound.clone(), retry_ms }
        }
        // Without a limit nothing refuses.
        None => {
            let counter = Arc::new(Counter::new(Meter::Requests, &super::Window::Total));
            Denial { bound: Bound { counter, amount: 0, limit: Arc::default() }, retry_ms: Some(0) }
        }
    }
}

#[cfg(test)]
mod tests;
