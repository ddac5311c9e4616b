//! What befalls the endpoints that are the best ones, one kind of trouble at a time, within ten minutes.

use super::world::{Incident, Kind};

/// How long a scenario lasts, in seconds.
pub const LENGTH_S: f64 = 600.0;

/// The two fastest endpoints.
const BEST: usize = 3;
const NEXT: usize = 0;

/// The scenarios by name.
pub fn scenarios() -> Vec<(&'static str, Vec<Incident>)> {
    let at = |endpoint, from: f64, to: f64, kind| Incident { endpoint, from, to, kind };
    let flaps = (0..10).map(|turn| 100.0 + 40.0 * f64::from(turn));
    vec![
        ("slow-down", vec![at(NEXT, 120.0, 360.0, Kind::Slow(6.0)), at(BEST, 200.0, 360.0, Kind::Slow(6.0))]),
        ("brown-out", vec![at(NEXT, 120.0, 360.0, Kind::Brownout(0.5)), at(BEST, 200.0, 360.0, Kind::Brownout(0.3))]),
        ("outage", vec![at(NEXT, 120.0, 300.0, Kind::Outage)]),
        ("flapping", flaps.map(|from| at(NEXT, from, from + 20.0, Kind::Outage)).collect()),
        ("rate-limit storm", [NEXT, BEST, 1, 5].map(|e| at(e, 120.0, 210.0, Kind::Quota)).to_vec()),
    ]
}
