//! What a run amounts to.

use super::drive::Run;
use super::world::{Incident, Kind, World};

/// Kinds of incidents.
const KINDS: usize = Kind::NAMES.len();

/// Within so many seconds a router should have noticed.
const EARLY_S: f64 = 5.0;

/// The figures of one policy over some runs.
#[derive(Clone, Debug, Default)]
pub struct Figures {
    took: Vec<f64>,
    failed: usize,
    retried: usize,
    calls: usize,
    hedges: usize,
    /// Calls that failed at an endpoint during an incident of it, by incident.
    wasted: [Vec<f64>; KINDS],
    /// Those of the first [`EARLY_S`] seconds of it.
    early: [Vec<f64>; KINDS],
    /// Seconds from the end of an incident to the endpoint's next answer, where the oracle goes back within 10 s.
    back: [Vec<f64>; KINDS],
}

impl Figures {
    /// Adds a run.
    pub fn add(&mut self, run: &Run, world: &World, oracle: &Run) {
        self.took.extend(run.outcomes.iter().map(|outcome| outcome.took));
        self.failed += run.outcomes.iter().filter(|outcome| !outcome.ok).count();
        self.retried += run.outcomes.iter().filter(|outcome| outcome.tried > 1).count();
        self.calls += run.calls.len();
        self.hedges += run.hedges;
        for incident in &world.incidents {
            self.incident(run, incident, oracle);
        }
        self.took.sort_by(f64::total_cmp);
    }

    fn incident(&mut self, run: &Run, incident: &Incident, oracle: &Run) {
        let here = || run.calls.iter().filter(|call| call.endpoint == incident.endpoint);
        let hit = here().filter(|call| !call.ok && incident.from <= call.at && call.at < incident.to);
        // Too many requests are the fault of who sends them, but in an incident that is made of them.
        let counts = |code: u16| code != 429 || incident.kind == Kind::Quota;
        let hit: Vec<f64> = hit.filter(|call| counts(call.code)).map(|call| call.at - incident.from).collect();
        self.wasted[incident.kind.place()].push(hit.len() as f64);
        self.early[incident.kind.place()].push(hit.iter().filter(|at| **at < EARLY_S).count() as f64);
        let back = here().find(|call| call.ok && call.at >= incident.to).map(|call| call.at - incident.to);
        // Not every endpoint is worth going back to at that time.
        let soon = incident.to..incident.to + 10.0;
        let wanted = oracle.calls.iter().any(|c| c.endpoint == incident.endpoint && c.ok && soon.contains(&c.at));
        if let Some(back) = back.filter(|_| wanted) {
            self.back[incident.kind.place()].push(back);
        }
    }

    /// Returns the mean time to the first content, in seconds.
    pub fn mean(&self) -> f64 {
        mean(&self.took)
    }

    /// Returns a quantile of it.
    pub fn quantile(&self, share: f64) -> f64 {
        quantile(&self.took, share)
    }

    /// Returns the share of requests without an answer.
    pub fn errors(&self) -> f64 {
        self.failed as f64 / self.took.len() as f64
    }

    /// Returns the calls of endpoints per request.
    pub fn calls(&self) -> f64 {
        self.calls as f64 / self.took.len() as f64
    }

    /// Returns the share of requests that were hedged.
    pub fn hedges(&self) -> f64 {
        self.hedges as f64 / self.took.len() as f64
    }

    /// Returns a quantile of the seconds from the end of an incident to the endpoint's next answer.
    pub fn back(&self, share: f64) -> f64 {
        quantile(&sorted(self.back.concat()), share)
    }

    /// Returns the mean of the calls that failed in the first seconds of an incident.
    pub fn early(&self) -> f64 {
        mean(&self.early.concat())
    }

    /// Returns one line of a table: wasted calls in the first seconds and later, and the way back, by kind of incident.
    pub fn by_kind(&self, name: &str) -> String {
        let kind = |place: usize| {
            let back = sorted(self.back[place].clone());
            let (p50, p90) = (quantile(&back, 0.5), quantile(&back, 0.9));
            let (early, wasted) = (mean(&self.early[place]), mean(&self.wasted[place]));
            format!(" {early:.1} + {:.1} · {p50:.1} / {p90:.1} |", wasted - early)
        };
        format!("| {name} |{}", (0..KINDS).map(kind).collect::<String>())
    }

    /// Returns one line of a table.
    pub fn line(&self, name: &str) -> String {
        format!(
            "| {name} | {:.3} | {:.3} | {:.3} | {:.3} | {:.2} | {:.3} % | {:.2} % | {:.3} | {:.2} % | {:.1}, {:.1} | {:.1} / {:.1} |",
            self.mean(),
            self.quantile(0.5),
            self.quantile(0.95),
            self.quantile(0.99),
            self.quantile(0.999),
            100.0 * self.errors(),
            100.0 * self.retried as f64 / self.took.len() as f64,
            self.calls(),
            100.0 * self.hedges(),
            self.early(),
            mean(&self.wasted.concat()),
            self.back(0.5),
            self.back(0.9),
        )
    }
}

fn sorted(mut values: Vec<f64>) -> Vec<f64> {
    values.sort_by(f64::total_cmp);
    values
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len().max(1) as f64
}

/// Of sorted values, as numpy's default has it.
fn quantile(values: &[f64], share: f64) -> f64 {
    let place = share * (values.len().max(1) - 1) as f64;
    let (low, high) = (place.floor() as usize, place.ceil() as usize);
    match (values.get(low), values.get(high)) {
        (Some(low), Some(high)) => low + (high - low) * place.fract(),
        _ => f64::NAN,
    }
}
