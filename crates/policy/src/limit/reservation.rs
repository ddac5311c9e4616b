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

/// The limits that bind a request, each counter once, in the order in which the counters are locked. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct Binding(Arc<[Bound]>);

impl Binding {
    /// Sorts limits; of several that look at one counter the strictest is left.
    pub fn new(mut bounds: Vec<Bound>) -> Self {
        bounds.sort_by_key(|bound| (bound.counter.serial(), bound.amount));
        bounds.dedup_by_key(|bound| bound.counter.serial());
        Self(bounds.into())
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
    /// What was asked for: whoever asks for ten limits counts one reference, not ten. Threads that share limits would
    /// otherwise pass the counts of their references to and fro.
    bindings: Vec<Binding>,
    holds: Vec<Hold>,
}

/// What is held of one counter.
#[derive(Clone, Copy, Debug)]
struct Hold {
    /// The counter's.
    serial: u64,
    /// Which of the bindings, and which of its limits.
    at: (usize, usize),
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
        if binding.0.is_empty() {
            return Ok(());
        }
        // What is held already is asked for nothing: its lock would be taken twice otherwise, at the next raise.
        let held = |serial: u64| self.holds.iter().any(|hold| hold.serial == serial);
        let wanted = |counter: &Counter| bound.of(counter.meter());
        let mut taken = Vec::with_capacity(self.holds.len() + binding.0.len());
        let admitting = Admitting { binding: self.bindings.len(), held: &held, wanted: &wanted, now };
        if !admitting.admit(&binding.0, 0, &mut taken) {
            return Err(denial(&binding.0, &|counter| if held(counter.serial()) { 0 } else { wanted(counter) }, now));
        }
        if !taken.is_empty() {
            self.bindings.push(binding.clone());
        }
        if !self.holds.is_empty() {
            taken.append(&mut self.holds);
        }
        taken.sort_unstable_by_key(|hold| hold.serial);
        self.holds = taken;
        Ok(())
    }

    /// Raises what is held to a higher bound; what is held already is never lowered. Requests and places in flight are
    /// held once.
    ///
    /// # Errors
    /// [`Denial`], and what is held stays as it was.
    pub fn raise(&mut self, bound: &Amounts, now: Now) -> Result<(), Denial> {
        let bindings = &self.bindings;
        let more = |hold: &Hold, counter: &Counter| bound.of(counter.meter()).saturating_sub(hold.amount);
        if raise(bindings, &self.holds, &more, now) {
            for hold in &mut self.holds {
                let counter = hold.bound(bindings).map(|bound| &bound.counter);
                hold.amount = hold.amount.max(counter.map_or(0, |counter| bound.of(counter.meter())));
            }
            return Ok(());
        }
        let bounds: Vec<Bound> = self.holds.iter().filter_map(|hold| hold.bound(bindings).cloned()).collect();
        let wanted = |counter: &Counter| {
            let hold = self.holds.iter().find(|hold| hold.serial == counter.serial());
            hold.map_or(0, |hold| more(hold, counter))
        };
        Err(denial(&bounds, &wanted, now))
    }

    /// Gives back what is held of some counters, such as those of a target that failed.
    pub fn release(&mut self, binding: &Binding) {
        self.end_of(binding, Hold::give_back);
    }

    /// Takes the holds on some meters out of this reservation, to be given back at another time.
    #[must_use]
    pub fn split(&mut self, which: impl Fn(Meter) -> bool) -> Self {
        let Self { bindings, holds } = self;
        let mut split = Self::default();
        holds.retain(|hold| {
            let goes = hold.bound(bindings).is_some_and(|bound| which(bound.counter.meter()));
            if goes {
                split.holds.push(*hold);
            }
            !goes
        });
        if !split.holds.is_empty() {
            split.bindings.clone_from(bindings);
        }
        split
    }

    /// Takes over what another one holds, of counters that this one holds nothing of; of others it is given back.
    pub fn append(&mut self, mut other: Self) {
        let before = self.bindings.len();
        for hold in std::mem::take(&mut other.holds) {
            // A counter is held once: its lock would be taken twice otherwise, at the next raise.
            match self.holds.iter().any(|held| held.serial == hold.serial) {
                true => hold.give_back(&other.bindings),
                false => self.holds.push(Hold { at: (before + hold.at.0, hold.at.1), ..hold }),
            }
        }
        self.bindings.append(&mut other.bindings);
        self.holds.sort_unstable_by_key(|hold| hold.serial);
    }

    /// Returns whether nothing is held.
    pub fn is_empty(&self) -> bool {
        self.holds.is_empty()
    }

    /// Replaces what is held by what was used. Places in flight are free again.
    pub fn settle(mut self, used: &Amounts) {
        std::mem::take(&mut self.holds).iter().for_each(|hold| hold.settle(&self.bindings, used));
    }

    /// Does so for some counters, such as those of a target that was asked and failed; the others stay held.
    pub fn settle_of(&mut self, binding: &Binding, used: &Amounts) {
        self.end_of(binding, |hold, bindings| hold.settle(bindings, used));
    }

    fn end_of(&mut self, binding: &Binding, end: impl Fn(&Hold, &[Binding])) {
        let Self { bindings, holds } = self;
        holds.retain(|hold| {
            let stays = !binding.0.iter().any(|bound| bound.counter.serial() == hold.serial);
            if !stays {
                end(hold, bindings);
            }
            stays
        });
    }
}

impl Hold {
    /// Returns the limit; a hold is always of a binding that is there.
    fn bound<'a>(&self, bindings: &'a [Binding]) -> Option<&'a Bound> {
        bindings.get(self.at.0)?.0.get(self.at.1)
    }

    fn settle(&self, bindings: &[Binding], used: &Amounts) {
        let Some(Bound { counter, .. }) = self.bound(bindings) else { return };
        let actual = match counter.meter() {
            Meter::Concurrency => 0,
            meter => used.of(meter),
        };
        counter.correct(self.place, self.amount, actual);
    }

    fn give_back(&self, bindings: &[Binding]) {
        if let Some(bound) = self.bound(bindings) {
            bound.counter.correct(self.place, self.amount, 0);
        }
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.holds.iter().for_each(|hold| hold.give_back(&self.bindings));
    }
}

/// One step in which a binding is asked.
struct Admitting<'a> {
    /// The binding's number among those of the reservation.
    binding: usize,
    held: &'a dyn Fn(u64) -> bool,
    wanted: &'a dyn Fn(&Counter) -> u64,
    now: Now,
}

impl Admitting<'_> {
    /// Asks every counter in turn, and takes only when all agree: each stays locked until the last one has answered. The
    /// depth of the recursion is the number of limits that bind.
    fn admit(&self, bounds: &[Bound], at: usize, taken: &mut Vec<Hold>) -> bool {
        let Some(bound) = bounds.get(at) else { return true };
        let (counter, serial) = (&bound.counter, bound.counter.serial());
        if (self.held)(serial) {
            return self.admit(bounds, at + 1, taken);
        }
        let amount = (self.wanted)(counter);
        let mut state = counter.lock();
        let place = state.advance(self.now);
        // Nothing wanted is always there: a free model under an exhausted budget, say.
        let fits = amount == 0 || state.used(place).checked_add(amount).is_some_and(|sum| sum <= bound.amount);
        if !fits || !self.admit(bounds, at + 1, taken) {
            return false;
        }
        state.adjust(place, |used| used.saturating_add(amount));
        counter.hold(amount);
        taken.push(Hold { serial, at: (self.binding, at), place, amount });
        true
    }
}

/// The same for what is held already: the addition is booked where the request was admitted.
fn raise(bindings: &[Binding], holds: &[Hold], more: &dyn Fn(&Hold, &Counter) -> u64, now: Now) -> bool {
    let Some((hold, rest)) = holds.split_first() else { return true };
    let Some(bound) = hold.bound(bindings) else { return raise(bindings, rest, more, now) };
    let amount = more(hold, &bound.counter);
    if amount == 0 {
        return raise(bindings, rest, more, now);
    }
    let mut state = bound.counter.lock();
    state.advance(now);
    // A day that is over has its cap still, and the new one has nothing to do with it.
    let fits = state.used(hold.place).checked_add(amount).is_some_and(|sum| sum <= bound.amount);
    if !fits || !raise(bindings, rest, more, now) {
        return false;
    }
    state.adjust(hold.place, |used| used.saturating_add(amount));
    bound.counter.hold(amount);
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
