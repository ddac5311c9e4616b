//! The store of idempotent requests, which can be made to fail or to hang.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use engine::idempotency::{Away, Claimed, Kept, Name, Outcomes as Port, Waiting, Wanted};
use server::idempotency::Keeper;

/// How the store is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Health {
    /// It works.
    #[default]
    Well,
    /// It refuses at once.
    Failing,
    /// It never answers.
    Hanging,
}

/// The store of idempotent requests of a test.
pub struct Outcomes {
    /// The store itself.
    pub keeper: Keeper,
    health: Mutex<Health>,
    asked: AtomicU64,
}

impl Outcomes {
    /// Wraps a store that works.
    pub fn new(keeper: Keeper) -> Self {
        Self { keeper, health: Mutex::default(), asked: AtomicU64::new(0) }
    }

    /// From now on the store is so.
    pub fn become_(&self, health: Health) {
        *self.health.lock().expect("the health") = health;
    }

    /// Returns how many times it was asked anything.
    pub fn asked(&self) -> u64 {
        self.asked.load(Ordering::Relaxed)
    }

    fn ask<T: Send + 'static>(&self, ask: impl FnOnce(&Keeper) -> Waiting<T>) -> Waiting<T> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        match *self.health.lock().expect("the health") {
            Health::Well => ask(&self.keeper),
            Health::Failing => Box::pin(std::future::ready(Err(Away))),
            Health::Hanging => Box::pin(std::future::pending()),
        }
    }
}

impl Port for Outcomes {
    fn claim(&self, wanted: Wanted) -> Waiting<Claimed> {
        self.ask(|keeper| keeper.claim(wanted))
    }

    fn keep(&self, name: Name, reply: Option<Kept>) -> Waiting<()> {
        let waiting = self.ask(|keeper| keeper.keep(name, reply));
        self.over(name);
        waiting
    }

    fn free(&self, name: Name) -> Waiting<()> {
        let waiting = self.ask(|keeper| keeper.free(name));
        self.over(name);
        waiting
    }

    fn leave(&self, name: Name) {
        self.keeper.leave(name);
    }
}

impl Outcomes {
    /// A store that fails knows of no request that runs.
    fn over(&self, name: Name) {
        if *self.health.lock().expect("the health") != Health::Well {
            self.keeper.leave(name);
        }
    }
}
