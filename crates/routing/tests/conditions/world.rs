//! A world of eight endpoints of one model: how fast they answer, how much they take, and what befalls them.
//!
//! The same arrivals, latencies and incidents as the simulator whose policies are the yardstick; random numbers are
//! drawn in the same order from the same distributions, but by another generator.

use fastrand::Rng;

use super::traces::{Latency, Traces};

/// Sustained requests per second before 429 (a token bucket that holds 2 s worth).
pub const CAPACITY: [f64; 8] = [3.0, 1.5, 2.5, 1.2, 1.0, 1.5, 0.5, 3.0];

/// How long the world lasts, in seconds.
const LENGTH_S: f64 = 3600.0;

/// What befalls an endpoint.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Kind {
    /// Nothing is answered: 503 soon, or nothing for 10 s.
    Outage,
    /// A share of requests fails.
    Brownout(f64),
    /// Everything takes so many times as long.
    Slow(f64),
    /// Half of the requests take 8 to 20 s longer.
    Stall,
    /// Everything is refused with 429.
    Quota,
}

impl Kind {
    /// The kinds by name.
    pub const NAMES: [&str; 5] = ["outage", "brown-out", "slow-down", "stall", "used-up quota"];

    /// Returns its place among the names.
    pub fn place(self) -> usize {
        match self {
            Self::Outage => 0,
            Self::Brownout(_) => 1,
            Self::Slow(_) => 2,
            Self::Stall => 3,
            Self::Quota => 4,
        }
    }
}

/// An incident.
#[derive(Clone, Copy, Debug)]
pub struct Incident {
    /// Where.
    pub endpoint: usize,
    /// From, in seconds.
    pub from: f64,
    /// To, in seconds.
    pub to: f64,
    /// What.
    pub kind: Kind,
}

/// What came of an attempt.
#[derive(Clone, Copy, Debug)]
pub struct Reply {
    /// Whether content came.
    pub ok: bool,
    /// After how many seconds it, or the failure, was there.
    pub ttft: f64,
    /// The status.
    pub code: u16,
}

/// The world.
pub struct World {
    random: Rng,
    latencies: Vec<Latency>,
    /// What happens, by endpoint and time.
    pub incidents: Vec<Incident>,
    tokens: [f64; 8],
    at: [f64; 8],
}

impl World {
    /// Makes a world.
    pub fn new(seed: u64, traces: &Traces) -> Self {
        let mut random = Rng::with_seed(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(1));
        let mut incidents = Vec::new();
        for endpoint in 0..8 {
            let mut at = exponential(&mut random, 500.0);
            while at < LENGTH_S {
                let (kind, length) = incident(&mut random);
                incidents.push(Incident { endpoint, from: at, to: at + length, kind });
                at += length + exponential(&mut random, 700.0);
            }
        }
        Self { random, latencies: traces.latencies.clone(), incidents, tokens: CAPACITY.map(|c| c * 2.0), at: [0.0; 8] }
    }

    /// Makes a world in which this happens and nothing else.
    pub fn of(seed: u64, traces: &Traces, incidents: Vec<Incident>) -> Self {
        Self { incidents, ..Self::new(seed, traces) }
    }

    /// Returns what befalls an endpoint at an instant.
    pub fn state(&self, endpoint: usize, at: f64) -> Option<Kind> {
        let here = |i: &&Incident| i.endpoint == endpoint && i.from <= at && at < i.to;
        self.incidents.iter().find(here).map(|i| i.kind)
    }

    fn bucket(&self, endpoint: usize, at: f64) -> f64 {
        let capacity = CAPACITY[endpoint];
        (capacity * 2.0).min(self.tokens[endpoint] + (at - self.at[endpoint]) * capacity)
    }

    /// Asks an endpoint.
    pub fn attempt(&mut self, endpoint: usize, at: f64) -> Reply {
        self.tokens[endpoint] = self.bucket(endpoint, at);
        self.at[endpoint] = at;
        let state = self.state(endpoint, at);
        let failed = |ttft, code| Reply { ok: false, ttft, code };
        if state == Some(Kind::Quota) || self.tokens[endpoint] < 1.0 {
            return failed(0.08, 429);
        }
        self.tokens[endpoint] -= 1.0;
        match state {
            Some(Kind::Outage) if self.random.f64() < 0.3 => return failed(10.0, 599),
            Some(Kind::Outage) => return failed(uniform(&mut self.random, 0.2, 1.5), 503),
            Some(Kind::Brownout(share)) if self.random.f64() < share => {
                return failed(uniform(&mut self.random, 0.3, 2.0), 502);
            }
            _ => {}
        }
        let samples = &self.latencies[endpoint].ttft;
        let mut ttft = samples[self.random.usize(..samples.len())];
        if state == Some(Kind::Stall) && self.random.f64() < 0.5 {
            ttft += uniform(&mut self.random, 8.0, 20.0);
        }
        let factor = if let Some(Kind::Slow(factor)) = state { factor } else { 1.0 };
        Reply { ok: true, ttft: ttft * factor, code: 200 }
    }

    /// Returns what a router that knows the state, but not the sample, expects of an endpoint, failures included.
    pub fn expected(&self, endpoint: usize, at: f64) -> f64 {
        let state = self.state(endpoint, at);
        if matches!(state, Some(Kind::Quota | Kind::Outage)) || self.bucket(endpoint, at) < 1.0 {
            return 99.0;
        }
        let mean = self.latencies[endpoint].mean;
        match state {
            Some(Kind::Slow(factor)) => mean * factor,
            Some(Kind::Stall) => mean + 7.0,
            Some(Kind::Brownout(share)) => mean + share * (1.15 + 0.5),
            _ => mean,
        }
    }
}

fn incident(random: &mut Rng) -> (Kind, f64) {
    let roll = random.f64();
    let (kind, least, most) = if roll < 0.2 {
        (Kind::Outage, 60.0, 300.0)
    } else if roll < 0.4 {
        (Kind::Brownout(uniform(random, 0.15, 0.6)), 120.0, 420.0)
    } else if roll < 0.7 {
        (Kind::Slow(uniform(random, 2.5, 10.0)), 120.0, 600.0)
    } else if roll < 0.85 {
        (Kind::Stall, 60.0, 240.0)
    } else {
        (Kind::Quota, 30.0, 90.0)
    };
    (kind, uniform(random, least, most))
}

/// Draws from an interval.
pub fn uniform(random: &mut Rng, least: f64, most: f64) -> f64 {
    least + random.f64() * (most - least)
}

/// Draws from an exponential distribution.
pub fn exponential(random: &mut Rng, mean: f64) -> f64 {
    -mean * (1.0 - random.f64()).ln()
}
