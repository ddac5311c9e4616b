//! One thread's share: its own idle connections and its own journal segment, so that threads do not meet.

use std::sync::Arc;

use net::connector::Connector;
use net::pool::{Pool, PoolOptions};
use settle::journal::batch::Due;
use settle::journal::writer::{JournalUnavailable, Writer};
use tokio::task::yield_now;
use upstream::attempt::Surroundings;

use crate::gateway::Gateway;

/// How many turns of the event loop a write waits for company. With one, what arrives while the others are looked at
/// starts a batch of its own: a second write, and a second waking of whoever receives what is sent.
const TURNS: usize = 2;

/// One thread's share of the gateway.
pub struct Worker {
    /// What all share.
    pub gateway: Arc<Gateway>,
    /// Idle connections to providers.
    pub pool: Pool,
    /// New ones.
    pub connector: Arc<dyn Connector>,
    /// Where intents and settlements go.
    pub journal: Writer,
}

impl Worker {
    /// Assembles a worker.
    pub fn new(gateway: Arc<Gateway>, connector: Arc<dyn Connector>, journal: Writer) -> Self {
        Self { gateway, pool: Pool::new(PoolOptions::default()), connector, journal }
    }

    /// Waits until an entry of the journal is written. Where other requests are in flight, those that are ready now come
    /// first: what they write down leaves in the same write, and what all of them send leaves in one go, so that who
    /// receives it is woken once.
    ///
    /// # Errors
    /// As [`Due::finish`].
    pub async fn on_file(&self, due: Due) -> Result<(), JournalUnavailable> {
        // A request whose settlement is due is not in flight any more.
        let own = u64::from(due.is_intent());
        let is_alone = || self.gateway.held.requests() <= own;
        if is_alone() {
            return due.finish();
        }
        if due.leads() {
            for _ in 0..TURNS {
                yield_now().await;
                if is_alone() || !due.is_open() {
                    break;
                }
            }
        } else {
            due.written().await;
        }
        due.finish()
    }

    /// Returns what an attempt needs.
    pub fn surroundings(&self) -> Surroundings<'_> {
        Surroundings { pool: &self.pool, connector: &*self.connector, clock: &self.gateway.clock }
    }
}
