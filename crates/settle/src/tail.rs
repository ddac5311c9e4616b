//! New records as they are committed, for whoever watches: a bounded line per watcher. One who is too slow misses some and
//! is told how many; nothing here waits for anybody.

use std::sync::Arc;

use ir::settlement::Settlement;
use store::records::record::RequestRecord;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::broadcast::{Receiver, Sender, channel};

/// How many records wait for the slowest watcher.
const WAITING: usize = 1_024;

/// New records, for any number of watchers.
#[derive(Clone, Debug)]
pub struct Tail(Sender<Arc<RequestRecord>>);

impl Default for Tail {
    fn default() -> Self {
        Self(channel(WAITING).0)
    }
}

impl Tail {
    /// Begins to watch: what is committed from now on.
    pub fn watch(&self) -> Watch {
        Watch(self.0.subscribe())
    }

    /// Returns how many watch.
    pub fn watchers(&self) -> usize {
        self.0.receiver_count()
    }

    /// Shows a batch that was committed, apart from those that were recorded before. Costs nothing when nobody watches.
    pub fn show(&self, batch: &[Settlement], known: &[usize]) {
        if self.0.receiver_count() == 0 {
            return;
        }
        for (index, settlement) in batch.iter().enumerate() {
            if !known.contains(&index) {
                // The last watcher may have gone: then nobody misses it.
                let _ = self.0.send(Arc::new(RequestRecord::of(settlement)));
            }
        }
    }
}

/// What a watcher gets.
#[derive(Clone, Debug, PartialEq)]
pub enum Seen {
    /// A record.
    Record(Arc<RequestRecord>),
    /// So many records went by that were not seen.
    Missed(u64),
}

/// One watcher.
#[derive(Debug)]
pub struct Watch(Receiver<Arc<RequestRecord>>);

impl Watch {
    /// Returns the next record; `None` when there will be none any more. Nothing is lost when this is given up.
    pub async fn next(&mut self) -> Option<Seen> {
        match self.0.recv().await {
            Ok(record) => Some(Seen::Record(record)),
            Err(RecvError::Lagged(missed)) => Some(Seen::Missed(missed)),
            Err(RecvError::Closed) => None,
        }
    }
}
