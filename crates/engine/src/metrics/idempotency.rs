//! What requests with an `Idempotency-Key` meet that somebody has sent before.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;

/// What such a request meets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Repeated {
    /// It is answered as before.
    Replayed,
    /// It is still running.
    InProgress,
    /// The key belongs to another request.
    Reused,
    /// Its reply is not kept.
    NotReplayable,
    /// Nobody knows how it ended.
    Unknown,
    /// The store is away.
    Unavailable,
}

const ALL: [(Repeated, &str); 6] = [
    (Repeated::Replayed, "replayed"),
    (Repeated::InProgress, "in_progress"),
    (Repeated::Reused, "reused"),
    (Repeated::NotReplayable, "not_replayable"),
    (Repeated::Unknown, "unknown"),
    (Repeated::Unavailable, "unavailable"),
];

/// Counts them.
#[derive(Debug, Default)]
pub struct Repeats([Counter; 6]);

impl Repeats {
    /// Counts one.
    pub fn count(&self, repeated: Repeated) {
        if let Some((_, counter)) = ALL.iter().zip(&self.0).find(|((known, _), _)| *known == repeated) {
            counter.inc();
        }
    }

    /// Adds the counts to what is rendered.
    pub(super) fn register(&self, registry: &mut Registry) {
        let family = Family::<Vec<(&'static str, &'static str)>, Counter>::default();
        for ((_, name), counter) in ALL.iter().zip(&self.0) {
            family.get_or_create(&vec![("result", *name)]).inc_by(counter.get());
        }
        registry.register(
            "idempotent_repeats",
            "Requests whose Idempotency-Key was used before, or not looked up",
            family,
        );
    }
}
