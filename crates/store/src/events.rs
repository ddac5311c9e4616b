//! The events database: what happened and is told to somebody, and how that went. It is a file of its own: what is sent
//! may be a lot, is kept for a short time, and is nobody's record.
//!
//! An event and its deliveries are written together with how far their source was read, so that an event is raised
//! exactly once. Whether a delivery is due and what becomes of it is not decided here.

use std::path::Path;

use ir::id::EventId;
use rusqlite::{Connection, OptionalExtension as _, TransactionBehavior};

use crate::{Schema, StoreError, from_sql, to_sql};

mod log;
mod rows;

use self::rows::{drop_oldest, insert_delivery, insert_event};

pub use self::log::{Delivery, DeliveryQuery, EventsReader, State};

pub(crate) const SCHEMA: Schema = Schema {
    file: "events.db",
    page_bytes: 4096,
    synchronous: "NORMAL",
    migrations: &[include_str!("../migrations/events/0001_events.sql")],
};

/// How many rows are deleted in one transaction.
const ROWS_AT_ONCE: i64 = 500;

/// How somebody is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Channel {
    /// By a webhook.
    Webhook,
    /// By email.
    Email,
}

impl Channel {
    fn code(self) -> i64 {
        match self {
            Self::Webhook => 0,
            Self::Email => 1,
        }
    }

    fn of_code(code: i64) -> Self {
        if code == 1 { Self::Email } else { Self::Webhook }
    }
}

/// Who is told: what a receiver does wrong delays nobody else.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Lane {
    /// The environment.
    pub environment: String,
    /// How.
    pub channel: Channel,
    /// The webhook, or the alert.
    pub name: String,
    /// The email address; empty for a webhook.
    pub address: String,
}

/// An event that is to be told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewEvent {
    /// Its id.
    pub id: EventId,
    /// Its type.
    pub kind: String,
    /// When it happened, Unix milliseconds.
    pub created_ms: u64,
    /// What is sent.
    pub body: String,
    /// To whom; all of one environment, and at least one.
    pub to: Vec<Lane>,
}

/// What is written together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Batch {
    /// Events.
    pub events: Vec<NewEvent>,
    /// How far sources were read, by their names.
    pub marks: Vec<(&'static str, u64)>,
    /// What is not raised again: what it is about, and its window.
    pub raised: Vec<(String, u64)>,
    /// What may be raised again.
    pub calm: Vec<String>,
}

impl Batch {
    /// Returns whether there is nothing to write.
    pub fn is_empty(&self) -> bool {
        self.events.is_empty() && self.marks.is_empty() && self.raised.is_empty() && self.calm.is_empty()
    }
}

/// A delivery that is due.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Due {
    /// Its number.
    pub seq: u64,
    /// How often it was tried.
    pub attempts: u32,
    /// When it was made, Unix milliseconds.
    pub created_ms: u64,
    /// The event's id.
    pub event_id: String,
    /// The event's type.
    pub kind: String,
    /// What is sent.
    pub body: String,
}

/// What became of a try.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tried {
    /// When it began, Unix milliseconds.
    pub at_ms: u64,
    /// How long it took, milliseconds.
    pub took_ms: u64,
    /// What the receiver answered.
    pub status: Option<u16>,
    /// What went wrong.
    pub error: Option<String>,
    /// What is next.
    pub next: Next,
}

/// What is next for a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// It is delivered.
    Delivered,
    /// It is tried again at this instant, Unix milliseconds.
    Again(u64),
    /// It is given up.
    Dead,
}

/// The writer of the events database. Several may be open: they wait for each other.
pub struct Events {
    connection: Connection,
}

impl Events {
    /// Opens `events.db` and creates it when it does not exist.
    ///
    /// # Errors
    /// When it cannot be opened, is corrupt, or was written by a newer version.
    pub fn open(data_dir: &Path) -> Result<Self, StoreError> {
        Ok(Self { connection: SCHEMA.open_writer(data_dir)? })
    }

    /// Returns how far a source was read; `None` when it never was.
    ///
    /// # Errors
    /// When the database fails, as every function here.
    pub fn mark(&self, name: &str) -> Result<Option<u64>, StoreError> {
        let mut statement = self.connection.prepare_cached("SELECT value FROM marks WHERE name = ?1")?;
        Ok(statement.query_row([name], |row| row.get(0)).optional()?.map(from_sql))
    }

    /// Returns everything that is not raised again: what it is about, its window, and when it was raised.
    ///
    /// # Errors
    /// When the database fails.
    pub fn raised(&self) -> Result<Vec<(String, u64, u64)>, StoreError> {
        let mut statement = self.connection.prepare_cached("SELECT subject, period, at_ms FROM raised")?;
        let found = statement.query_map([], |row| Ok((row.get(0)?, from_sql(row.get(1)?), from_sql(row.get(2)?))))?;
        Ok(found.collect::<Result<_, _>>()?)
    }

    /// Writes events, their deliveries, and how far their sources were read. Of what waits for one receiver the oldest is
    /// dropped when it is more than `most`; returns how much was.
    ///
    /// # Errors
    /// When the database fails; then nothing was written.
    pub fn enqueue(&mut self, batch: &Batch, now_ms: u64, most: u64) -> Result<u64, StoreError> {
        let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let mut lanes: Vec<&Lane> = Vec::new();
        for event in &batch.events {
            let Some(first) = event.to.first() else { continue };
            let seq = insert_event(&transaction, event, &first.environment)?;
            for lane in &event.to {
                insert_delivery(&transaction, seq, lane, now_ms)?;
            }
            lanes.extend(&event.to);
        }
        lanes.sort_unstable();
        lanes.dedup();
        let mut dropped = 0;
        for lane in lanes {
            dropped += drop_oldest(&transaction, lane, most)?;
        }
        for (name, value) in &batch.marks {
            transaction
                .prepare_cached("INSERT INTO marks VALUES (?1, ?2) ON CONFLICT DO UPDATE SET value = ?2")?
                .execute((name, to_sql(*value)))?;
        }
        for (subject, period) in &batch.raised {
            transaction.prepare_cached("INSERT OR REPLACE INTO raised VALUES (?1, ?2, ?3)")?.execute((
                subject,
                to_sql(*period),
                to_sql(now_ms),
            ))?;
        }
        for subject in &batch.calm {
            transaction.prepare_cached("DELETE FROM raised WHERE subject = ?1")?.execute([subject])?;
        }
        transaction.commit()?;
        Ok(dropped)
    }

    /// Returns what is due for a receiver, the longest due first, without some that are on their way.
    ///
    /// # Errors
    /// When the database fails.
    pub fn due(&self, lane: &Lane, now_ms: u64, busy: &[u64], limit: usize) -> Result<Vec<Due>, StoreError> {
        let mut statement = self.connection.prepare_cached(
            "SELECT d.seq, d.attempts, d.created_ms, e.id, e.type, e.body
             FROM deliveries d JOIN events e ON e.seq = d.event
             WHERE d.state = 0 AND d.environment = ?1 AND d.channel = ?2 AND d.name = ?3 AND d.address = ?4
                AND d.due_ms <= ?5
             ORDER BY d.due_ms LIMIT ?6",
        )?;
        let rows = to_sql((limit + busy.len()) as u64);
        let (code, now) = (lane.channel.code(), to_sql(now_ms));
        let found = statement.query_map((&lane.environment, code, &lane.name, &lane.address, now, rows), |row| {
            Ok(Due {
                seq: from_sql(row.get(0)?),
                attempts: row.get(1)?,
                created_ms: from_sql(row.get(2)?),
                event_id: row.get(3)?,
                kind: row.get(4)?,
                body: row.get(5)?,
            })
        })?;
        let mut found: Vec<Due> = found.collect::<Result<_, _>>()?;
        found.retain(|due| !busy.contains(&due.seq));
        found.truncate(limit);
        Ok(found)
    }

    /// Writes down what became of a try.
    ///
    /// # Errors
    /// When the database fails; then it is as if it had not been tried.
    pub fn tried(&mut self, seq: u64, tried: &Tried) -> Result<(), StoreError> {
        let (state, due) = match tried.next {
            Next::Delivered => (1, None),
            Next::Again(due_ms) => (0, Some(to_sql(due_ms))),
            Next::Dead => (2, None),
        };
        let (at, took) = (to_sql(tried.at_ms), to_sql(tried.took_ms));
        self.connection
            .prepare_cached(
                "UPDATE deliveries SET state = ?2, due_ms = ?3, last_ms = ?4, took_ms = ?5, status = ?6, error = ?7,
                    attempts = attempts + 1
                 WHERE seq = ?1",
            )?
            .execute((to_sql(seq), state, due, at, took, tried.status, &tried.error))?;
        Ok(())
    }

    /// Gives up what waits for receivers that are not there any more, and returns how much that was.
    ///
    /// # Errors
    /// When the database fails; then nothing has changed.
    pub fn abandon(&mut self, there: &dyn Fn(&Lane) -> bool) -> Result<u64, StoreError> {
        let lanes: Vec<Lane> = {
            let mut statement = self.connection.prepare_cached(
                "SELECT DISTINCT environment, channel, name, address FROM deliveries WHERE state = 0",
            )?;
            let found = statement.query_map([], |row| log::lane(row, 0))?;
            found.collect::<Result<_, _>>()?
        };
        let mut given_up = 0;
        for lane in lanes.iter().filter(|lane| !there(lane)) {
            given_up += self.connection.execute(
                "UPDATE deliveries SET state = 2, due_ms = NULL, error = 'the receiver is gone'
                 WHERE state = 0 AND environment = ?1 AND channel = ?2 AND name = ?3 AND address = ?4",
                (&lane.environment, lane.channel.code(), &lane.name, &lane.address),
            )?;
        }
        Ok(given_up as u64)
    }

    /// Delivers an event once more: one that is over gets a new delivery, one that waits is due at once. Returns the
    /// number of the delivery that is due; `None` when the webhook has no such delivery.
    ///
    /// # Errors
    /// When the database fails; then nothing has changed.
    pub fn redeliver(&mut self, lane: &Lane, seq: u64, now_ms: u64) -> Result<Option<u64>, StoreError> {
        let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let found: Option<(i64, i64, String)> = transaction
            .query_row(
                "SELECT event, state, address FROM deliveries
                 WHERE seq = ?1 AND environment = ?2 AND channel = ?3 AND name = ?4",
                (to_sql(seq), &lane.environment, lane.channel.code(), &lane.name),
                |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)),
            )
            .optional()?;
        let again = match found {
            None => None,
            Some((_, 0, _)) => {
                let due = "UPDATE deliveries SET due_ms = ?2 WHERE seq = ?1";
                transaction.execute(due, (to_sql(seq), to_sql(now_ms)))?;
                Some(seq)
            }
            Some((event, _, address)) => {
                let lane = Lane { address, ..lane.clone() };
                insert_delivery(&transaction, event, &lane, now_ms)?;
                Some(from_sql(transaction.last_insert_rowid()))
            }
        };
        transaction.commit()?;
        Ok(again)
    }

    /// Deletes some of what is over and older than an instant, or more than `most` for one webhook or alert, and what was
    /// raised longer ago than any window. Returns how much; 0 when there is nothing left to delete.
    ///
    /// # Errors
    /// When the database fails; then nothing was deleted.
    pub fn sweep(&mut self, before_ms: u64, raised_before_ms: u64, most: u64) -> Result<usize, StoreError> {
        let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let mut deleted = transaction
            .prepare_cached(
                "DELETE FROM deliveries WHERE seq IN
                    (SELECT seq FROM deliveries WHERE state > 0 AND created_ms < ?1 ORDER BY seq LIMIT ?2)",
            )?
            .execute((to_sql(before_ms), ROWS_AT_ONCE))?;
        let logs: Vec<(String, i64, String)> = {
            let mut statement =
                transaction.prepare_cached("SELECT DISTINCT environment, channel, name FROM deliveries")?;
            let found = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
            found.collect::<Result<_, _>>()?
        };
        for (environment, channel, name) in logs {
            deleted += transaction
                .prepare_cached(
                    "DELETE FROM deliveries WHERE seq IN
                        (SELECT seq FROM deliveries WHERE environment = ?1 AND channel = ?2 AND name = ?3 AND state > 0
                         ORDER BY seq DESC LIMIT ?4 OFFSET ?5)",
                )?
                .execute((environment, channel, name, ROWS_AT_ONCE, to_sql(most)))?;
        }
        transaction
            .prepare_cached(
                "DELETE FROM events WHERE seq IN (SELECT e.seq FROM events e
                    WHERE NOT EXISTS (SELECT 1 FROM deliveries d WHERE d.event = e.seq) LIMIT ?1)",
            )?
            .execute([2 * ROWS_AT_ONCE])?;
        transaction.prepare_cached("DELETE FROM raised WHERE at_ms < ?1")?.execute([to_sql(raised_before_ms)])?;
        transaction.commit()?;
        Ok(deleted)
    }

    /// Returns how many deliveries wait.
    ///
    /// # Errors
    /// When the database fails.
    pub fn waiting(&self) -> Result<u64, StoreError> {
        let mut statement = self.connection.prepare_cached("SELECT count(*) FROM deliveries WHERE state = 0")?;
        Ok(from_sql(statement.query_row([], |row| row.get(0))?))
    }
}
