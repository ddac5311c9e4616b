//! One thread's share: its own idle connections and its own journal segment, so that threads do not meet.

use std::sync::Arc;

use net::connector::Connector;
use net::pool::{Pool, PoolOptions};
use settle::journal::writer::Writer;
use upstream::attempt::Surroundings;

use crate::gateway::Gateway;

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

    /// Returns what an attempt needs.
    pub fn surroundings(&self) -> Surroundings<'_> {
        Surroundings { pool: &self.pool, connector: &*self.connector, clock: &self.gateway.clock }
    }
}
