//! The router itself as a policy.

use std::collections::HashMap;
use std::time::Duration;

use policy::clock::Monotonic;
use routing::goal::Goal;
use routing::hedge::{self, HedgeBudget};
use routing::rank::{Candidate, Ranked, Tier, presume, rank};
use routing::signal::{Flight, Kind, Signals, Trouble};

use super::peers::{Attempt, N, Policy};
use super::world::World;

/// The router's live signals and ranking.
pub struct Router {
    signals: [Signals; N],
    flights: HashMap<Attempt, Flight>,
    ranked: Vec<Ranked>,
    seed: u64,
    /// The share of requests that may be hedged.
    budget: Option<(HedgeBudget, u32)>,
}

impl Router {
    /// Returns a router that knows nothing yet; `per_mille` of its requests may be hedged.
    pub fn new(seed: u64, per_mille: u32) -> Self {
        Self {
            signals: Default::default(),
            flights: HashMap::new(),
            ranked: Vec::new(),
            seed,
            budget: (per_mille > 0).then(|| (HedgeBudget::default(), per_mille)),
        }
    }
}

/// Virtual time begins at a second, so that no instant is "never".
fn instant(at: f64) -> Monotonic {
    Monotonic(((at + 1.0) * 1e9) as u64)
}

impl Policy for Router {
    fn order(&mut self, _: &World, at: f64) -> Vec<usize> {
        self.seed = self.seed.wrapping_add(1);
        let now = instant(at);
        let mut candidates = self.signals.each_ref().map(|signals| Candidate {
            reading: signals.read(Kind::Stream, now),
            nanos: None,
            quality: None,
            output_tokens: 0,
            family: 0,
            warm: false,
        });
        presume(&mut candidates);
        rank(&candidates, &Goal::Fastest.weights(), self.seed, &mut self.ranked);
        self.ranked.iter().map(|one| one.at).collect()
    }

    fn start(&mut self, attempt: Attempt, endpoint: usize, at: f64, anyway: bool) -> bool {
        let (signals, now) = (&self.signals[endpoint], instant(at));
        let flight =
            if anyway { Some(signals.begin_anyway(Kind::Stream, now)) } else { signals.begin(Kind::Stream, now) };
        flight.map(|flight| self.flights.insert(attempt, flight)).is_some()
    }

    fn observe(&mut self, attempt: Attempt, endpoint: usize, at: f64, ok: bool, _: f64, code: u16) {
        let Some(flight) = self.flights.remove(&attempt) else { return };
        let signals = &self.signals[endpoint];
        let now = instant(at);
        match code {
            _ if ok => signals.answered(flight, now),
            429 => signals.failed(flight, now, Trouble::Limited, None),
            599 => signals.failed(flight, now, Trouble::Timeout, None),
            _ => signals.failed(flight, now, Trouble::Server, None::<Duration>),
        }
    }

    fn dropped(&mut self, attempt: Attempt, endpoint: usize, at: f64) {
        if let Some(flight) = self.flights.remove(&attempt) {
            self.signals[endpoint].dropped(flight, instant(at));
        }
    }

    fn earn(&mut self, at: f64) {
        if let Some((budget, _)) = &self.budget {
            budget.earn(instant(at), 1);
        }
    }

    fn hedge_after(&mut self, first: usize, second: usize, at: f64) -> Option<f64> {
        self.budget.as_ref()?;
        // A second one that would refuse is no help.
        self.ranked.iter().find(|one| one.at == second && one.tier == Tier::Ready)?;
        let now = instant(at);
        Some(hedge::after(&self.signals[first].read(Kind::Stream, now), &self.signals[second].read(Kind::Stream, now)))
    }

    fn may_hedge(&mut self, at: f64) -> bool {
        self.budget.as_ref().is_some_and(|(budget, per_mille)| budget.take(instant(at), 1, *per_mille))
    }
}
