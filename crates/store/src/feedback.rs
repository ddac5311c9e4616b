//! What callers say of the answers they got. It is a file of its own, so that nobody who says something waits for the
//! records, and it commits to the disk: what was acknowledged is there.

use std::path::Path;

use ir::id::RequestId;
use rusqlite::{Connection, OptionalExtension as _, Row};

use crate::{Schema, StoreError, from_sql, to_sql};

pub(crate) const SCHEMA: Schema = Schema {
    file: "feedback.db",
    page_bytes: 4096,
    synchronous: "FULL",
    migrations: &[include_str!("../migrations/feedback/0001_feedback.sql")],
};

/// How many that are too old are deleted when one comes in.
const LET_GO_AT_ONCE: i64 = 8;

/// What was said of the answer to one request.
#[derive(Clone, Debug, PartialEq)]
pub struct Feedback {
    /// The request.
    pub request: RequestId,
    /// When it was said last, Unix milliseconds.
    pub at_ms: u64,
    /// From 0 (useless) to 1 (as good as can be).
    pub score: f64,
    /// The word that was said instead of a score.
    pub rating: Option<String>,
    /// What else was said.
    pub comment: Option<String>,
}

/// The feedback database. It is opened on demand, and used from one thread.
#[derive(Debug)]
pub struct FeedbackStore {
    connection: Connection,
}

impl FeedbackStore {
    /// Opens `feedback.db` and creates it when it does not exist.
    ///
    /// # Errors
    /// When it cannot be opened, is corrupt, or was written by a newer version.
    pub fn open(data_dir: &Path) -> Result<Self, StoreError> {
        Ok(Self { connection: SCHEMA.open_writer(data_dir)? })
    }

    /// Opens it to read; `None` when nobody has said anything yet.
    ///
    /// # Errors
    /// As [`FeedbackStore::open`].
    pub fn open_reader(data_dir: &Path) -> Result<Option<Self>, StoreError> {
        Ok(SCHEMA.open_reader_if_made(data_dir)?.map(|connection| Self { connection }))
    }

    /// Writes what was said, in the place of what was said of the same request before; and lets go of some of the
    /// environment's that were said before an instant, Unix milliseconds. Returns what was there before.
    ///
    /// # Errors
    /// When the database fails; then nothing has changed.
    pub fn put(&mut self, environment: &str, said: &Feedback, oldest_ms: u64) -> Result<Option<Feedback>, StoreError> {
        let transaction = self.connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
        let before = get(&transaction, environment, said.request)?;
        transaction.execute(
            "INSERT INTO feedback (request, environment, at_ms, score, rating, comment) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
             ON CONFLICT (request) DO UPDATE SET at_ms = ?3, score = ?4, rating = ?5, comment = ?6",
            (said.request.0, environment, to_sql(said.at_ms), said.score, &said.rating, &said.comment),
        )?;
        transaction.execute(
            "DELETE FROM feedback WHERE request IN
                (SELECT request FROM feedback WHERE environment = ?1 AND at_ms < ?2 LIMIT ?3)",
            (environment, to_sql(oldest_ms), LET_GO_AT_ONCE),
        )?;
        transaction.commit()?;
        Ok(before)
    }

    /// Returns what was said of a request of an environment.
    ///
    /// # Errors
    /// When the database fails.
    pub fn get(&self, environment: &str, request: RequestId) -> Result<Option<Feedback>, StoreError> {
        get(&self.connection, environment, request)
    }
}

fn get(connection: &Connection, environment: &str, request: RequestId) -> Result<Option<Feedback>, StoreError> {
    let read = |row: &Row<'_>| {
        Ok(Feedback {
            request,
            at_ms: from_sql(row.get(0)?),
            score: row.get(1)?,
            rating: row.get(2)?,
            comment: row.get(3)?,
        })
    };
    let sql = "SELECT at_ms, score, rating, comment FROM feedback WHERE request = ?1 AND environment = ?2";
    Ok(connection.prepare_cached(sql)?.query_row((request.0, environment), read).optional()?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::Directory;

    #[test]
    fn the_last_word_counts_and_the_old_ones_go() {
        let dir = Directory::new();
        assert!(FeedbackStore::open_reader(&dir).unwrap().is_none());
        let mut store = FeedbackStore::open(&dir).unwrap();
        let said = |number: u8, at_ms: u64, score: f64| Feedback {
            request: RequestId([number; 16]),
            at_ms,
            score,
            rating: (score > 0.5).then(|| "up".to_owned()),
            comment: Some("fine".to_owned()),
        };
        assert_eq!(store.put("a", &said(1, 100, 1.0), 0).unwrap(), None);
        assert_eq!(store.put("a", &said(1, 200, 0.0), 0).unwrap(), Some(said(1, 100, 1.0)));
        store.put("b", &said(2, 100, 1.0), 0).unwrap();
        assert_eq!(store.get("b", RequestId([1; 16])).unwrap(), None, "of another environment");
        store.put("a", &said(3, 900, 1.0), 500).unwrap();
        let reader = FeedbackStore::open_reader(&dir).unwrap().unwrap();
        let found: Vec<bool> = [("a", 1), ("b", 2), ("a", 3)]
            .map(|(environment, number)| reader.get(environment, RequestId([number; 16])).unwrap().is_some())
            .to_vec();
        assert_eq!(found, [false, true, true]);
    }
}
