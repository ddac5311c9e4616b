//! The policies that the router is measured against, as the simulator has them.

use fastrand::Rng;

use super::world::World;

/// Endpoints.
pub const N: usize = 8;

/// Names an attempt.
pub type Attempt = u64;

/// What decides where requests go.
pub trait Policy {
    /// Returns the endpoints in the order in which they are to be tried.
    fn order(&mut self, world: &World, at: f64) -> Vec<usize>;
    /// Notes that an attempt begins. `false`: it may not, the next one is to be tried; `anyway` when there is none.
    fn start(&mut self, _attempt: Attempt, _endpoint: usize, _at: f64, _anyway: bool) -> bool {
        true
    }
    /// Notes what came of it.
    fn observe(&mut self, attempt: Attempt, endpoint: usize, at: f64, ok: bool, ttft: f64, code: u16);
    /// Notes that it was given up.
    fn dropped(&mut self, _attempt: Attempt, _endpoint: usize, _at: f64) {}
    /// Notes that a request arrives.
    fn earn(&mut self, _at: f64) {}
    /// After how many seconds a second endpoint is asked as well.
    fn hedge_after(&mut self, _first: usize, _second: usize, _at: f64) -> Option<f64> {
        None
    }
    /// Takes the right to do so, once it is time.
    fn may_hedge(&mut self, _at: f64) -> bool {
        false
    }
}

/// One after the other.
#[derive(Default)]
pub struct RoundRobin(usize);

impl Policy for RoundRobin {
    fn order(&mut self, _: &World, _: f64) -> Vec<usize> {
        self.0 += 1;
        (0..N).map(|i| (self.0 + i) % N).collect()
    }
    fn observe(&mut self, _: Attempt, _: usize, _: f64, _: bool, _: f64, _: u16) {}
}

/// The one with the fewest requests in flight.
#[derive(Default)]
pub struct LeastLoaded([usize; N]);

impl Policy for LeastLoaded {
    fn order(&mut self, _: &World, _: f64) -> Vec<usize> {
        sorted(|e| self.0[e] as f64)
    }
    fn start(&mut self, _: Attempt, e: usize, _: f64, _: bool) -> bool {
        self.0[e] += 1;
        true
    }
    fn observe(&mut self, _: Attempt, e: usize, _: f64, _: bool, _: f64, _: u16) {
        self.0[e] -= 1;
    }
    fn dropped(&mut self, _: Attempt, e: usize, _: f64) {
        self.0[e] -= 1;
    }
}

/// Knows every endpoint's state.
pub struct Oracle;

impl Policy for Oracle {
    fn order(&mut self, world: &World, at: f64) -> Vec<usize> {
        sorted(|e| world.expected(e, at))
    }
    fn observe(&mut self, _: Attempt, _: usize, _: f64, _: bool, _: f64, _: u16) {}
}

/// The mean of the last ten answers; three failures bench for a minute.
#[derive(Default)]
pub struct MovingAverage {
    last: [Vec<f64>; N],
    failures: [u32; N],
    until: [f64; N],
}

impl Policy for MovingAverage {
    fn order(&mut self, _: &World, at: f64) -> Vec<usize> {
        let mean = |e: usize| {
            if self.last[e].is_empty() { 0.0 } else { self.last[e].iter().sum::<f64>() / self.last[e].len() as f64 }
        };
        sorted(|e| if self.until[e] > at { 1e6 + mean(e) } else { mean(e) })
    }
    fn observe(&mut self, _: Attempt, e: usize, at: f64, ok: bool, ttft: f64, _: u16) {
        if ok {
            self.last[e].push(ttft);
            if self.last[e].len() > 10 {
                self.last[e].remove(0);
            }
            self.failures[e] = 0;
        } else {
            self.failures[e] += 1;
            if self.failures[e] >= 3 {
                self.until[e] = at + 60.0;
                self.failures[e] = 0;
            }
        }
    }
}

/// Peak-EWMA times load, the better of two drawn at random.
pub struct PeakOfTwo {
    value: [f64; N],
    at: [f64; N],
    waiting: [f64; N],
    random: Rng,
}

impl Default for PeakOfTwo {
    fn default() -> Self {
        Self { value: [0.3; N], at: [0.0; N], waiting: [0.0; N], random: Rng::with_seed(7) }
    }
}

impl PeakOfTwo {
    fn cost(&self, e: usize, at: f64) -> f64 {
        (self.value[e] * (-(at - self.at[e]) / 10.0).exp() + 0.05) * (self.waiting[e] + 1.0)
    }
}

impl Policy for PeakOfTwo {
    fn order(&mut self, _: &World, at: f64) -> Vec<usize> {
        let mut all: Vec<usize> = (0..N).collect();
        self.random.shuffle(&mut all);
        let (a, b) = (all[0], all[1]);
        let first = if self.cost(a, at) <= self.cost(b, at) { a } else { b };
        self.random.shuffle(&mut all);
        std::iter::once(first).chain(all.into_iter().filter(|e| *e != first)).collect()
    }
    fn start(&mut self, _: Attempt, e: usize, _: f64, _: bool) -> bool {
        self.waiting[e] += 1.0;
        true
    }
    fn observe(&mut self, _: Attempt, e: usize, at: f64, ok: bool, ttft: f64, _: u16) {
        self.waiting[e] -= 1.0;
        let x = if ok { ttft } else { 5.0 };
        let w = (-(at - self.at[e]) / 10.0).exp();
        self.value[e] = if x > self.value[e] { x } else { self.value[e] * w + x * (1.0 - w) };
        self.at[e] = at;
    }
    fn dropped(&mut self, _: Attempt, e: usize, _: f64) {
        self.waiting[e] -= 1.0;
    }
}

/// Returns the endpoints by cost, the first of equals first.
pub fn sorted(cost: impl Fn(usize) -> f64) -> Vec<usize> {
    let mut all: Vec<(usize, f64)> = (0..N).map(|e| (e, cost(e))).collect();
    all.sort_by(|a, b| a.1.total_cmp(&b.1));
    all.into_iter().map(|(e, _)| e).collect()
}
