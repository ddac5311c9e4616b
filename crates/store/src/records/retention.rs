//! Deleting old records, a little at a time, so that the writer is never away for long. Rollups and totals stay, and the
//! space is used again by new records.

use rusqlite::TransactionBehavior;

use super::{Records, seq};
use crate::StoreError;

/// How many rows are looked at in one transaction.
const ROWS_AT_ONCE: i64 = 500;

/// How far a pass through the old records of an environment has come. A new one begins at the oldest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sweep {
    after: i64,
}

impl Default for Sweep {
    fn default() -> Self {
        Self { after: i64::MIN }
    }
}

impl Records {
    /// Returns the environments that ever had a record.
    ///
    /// # Errors
    /// When the database fails.
    pub fn environments(&self) -> Result<Vec<String>, StoreError> {
        let mut statement = self.connection.prepare_cached("SELECT DISTINCT environment FROM callers")?;
        let found = statement.query_map([], |row| row.get(0))?;
        Ok(found.collect::<Result<_, _>>()?)
    }

    /// Looks at the next few hundred records and deletes those that an environment made before an instant. Returns how
    /// many it deleted, or `None` when the pass is over.
    ///
    /// # Errors
    /// When the database fails; then nothing was deleted.
    pub fn sweep(&mut self, environment: &str, before_ms: u64, sweep: &mut Sweep) -> Result<Option<usize>, StoreError> {
        let end = seq::first_at(before_ms);
        let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let last: Option<i64> = transaction
            .prepare_cached(
                "SELECT max(seq) FROM (SELECT seq FROM requests WHERE seq > ?1 AND seq < ?2 ORDER BY seq LIMIT ?3)",
            )?
            .query_row((sweep.after, end, ROWS_AT_ONCE), |row| row.get(0))?;
        let Some(last) = last else { return Ok(None) };
        let deleted = transaction
            .prepare_cached(
                "DELETE FROM requests WHERE seq > ?1 AND seq <= ?2
                    AND +caller IN (SELECT id FROM callers WHERE environment = ?3)",
            )?
            .execute((sweep.after, last, environment))?;
        transaction.commit()?;
        sweep.after = last;
        Ok(Some(deleted))
    }
}
