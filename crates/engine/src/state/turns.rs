//! What routes remember: how many requests each level of targets has shared, and which rules have been told of that could
//! not be held against a request.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use policy::compile::route::MAX_RULES;
use policy::snapshot::route::{Level, Routes};

/// The counters of the routes of one configuration.
#[derive(Debug, Default)]
pub struct Turns {
    /// By the slot of the level.
    shared: Box<[AtomicU64]>,
    /// By the route, then by the rule.
    told: Box<[Box<[AtomicBool]>]>,
}

impl Turns {
    /// Returns counters that begin anew.
    pub(super) fn of(routes: &Routes) -> Self {
        let shared = (0..routes.slots).map(|_| AtomicU64::new(0)).collect();
        let told = routes.all.iter().map(|_| (0..MAX_RULES).map(|_| AtomicBool::new(false)).collect()).collect();
        Self { shared, told }
    }

    /// Takes over how far the levels are that still share in the same way.
    pub(super) fn keep(&mut self, routes: &Routes, before: &Self, old: &Routes) {
        let known: HashMap<&str, &Level> = old.levels().map(|level| (&*level.place, level)).collect();
        for level in routes.levels() {
            let same = known.get(&*level.place).filter(|old| old.schedule == level.schedule);
            let count = same.map(|old| before.look(old.slot));
            if let (Some(count), Some(place)) = (count, self.shared.get(level.slot)) {
                place.store(count, Ordering::Relaxed);
            }
        }
    }

    /// Returns the number of a request among those that share the targets of a level, and counts it.
    pub fn take(&self, slot: usize) -> u64 {
        self.shared.get(slot).map_or(0, |count| count.fetch_add(1, Ordering::Relaxed))
    }

    /// Returns the number that the next request will have.
    pub fn look(&self, slot: usize) -> u64 {
        self.shared.get(slot).map_or(0, |count| count.load(Ordering::Relaxed))
    }

    /// Whether a rule fails for the first time.
    pub fn is_first(&self, route: usize, rule: usize) -> bool {
        let told = self.told.get(route).and_then(|rules| rules.get(rule));
        told.is_some_and(|told| !told.swap(true, Ordering::Relaxed))
    }
}
