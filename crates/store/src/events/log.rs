//! Reading how deliveries went.

use std::path::Path;

use rusqlite::{Connection, Row};

use super::{Channel, Lane, SCHEMA};
use crate::{StoreError, from_sql, to_sql};

/// How a delivery stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// It waits to be tried, for the first time or again.
    Waiting,
    /// The receiver took it.
    Delivered,
    /// It was given up: a dead letter.
    Dead,
}

impl State {
    /// The states and their names.
    pub const ALL: [(Self, &'static str); 3] =
        [(Self::Waiting, "waiting"), (Self::Delivered, "delivered"), (Self::Dead, "dead")];

    /// Returns its name.
    pub fn name(self) -> &'static str {
        Self::ALL.iter().find(|(state, _)| *state == self).map_or("", |(_, name)| name)
    }

    /// Returns the state of a name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.iter().find(|(_, other)| *other == name).map(|(state, _)| *state)
    }

    fn code(self) -> i64 {
        match self {
            Self::Waiting => 0,
            Self::Delivered => 1,
            Self::Dead => 2,
        }
    }

    fn of_code(code: i64) -> Self {
        match code {
            0 => Self::Waiting,
            1 => Self::Delivered,
            _ => Self::Dead,
        }
    }
}

/// A delivery and how it went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// Its number.
    pub seq: u64,
    /// Who is told.
    pub lane: Lane,
    /// How it stands.
    pub state: State,
    /// When it was made, Unix milliseconds.
    pub created_ms: u64,
    /// How often it was tried.
    pub attempts: u32,
    /// When it is tried next, Unix milliseconds; `None` when it is over.
    pub due_ms: Option<u64>,
    /// When it was tried last, Unix milliseconds.
    pub last_ms: Option<u64>,
    /// How long that took, milliseconds.
    pub took_ms: Option<u64>,
    /// What the receiver answered then.
    pub status: Option<u16>,
    /// What went wrong then.
    pub error: Option<String>,
    /// The event's id.
    pub event_id: String,
    /// The event's type.
    pub kind: String,
    /// What is sent.
    pub body: String,
}

/// Which deliveries to list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeliveryQuery {
    /// The environment.
    pub environment: String,
    /// How they are told.
    pub channel: Channel,
    /// The webhook, or the alert.
    pub name: String,
    /// Only those that stand so.
    pub state: Option<State>,
    /// Only those of events of this type.
    pub kind: Option<String>,
    /// Only those older than this one.
    pub before: Option<u64>,
    /// How many.
    pub limit: usize,
}

/// A connection that reads deliveries and cannot write.
pub struct EventsReader {
    connection: Connection,
}

impl EventsReader {
    /// Opens `events.db`; `None` when there never was an event.
    ///
    /// # Errors
    /// When it is corrupt, or was written by a newer version.
    pub fn open(data_dir: &Path) -> Result<Option<Self>, StoreError> {
        Ok(SCHEMA.open_reader_if_made(data_dir)?.map(|connection| Self { connection }))
    }

    /// Returns deliveries, newest first.
    ///
    /// # Errors
    /// When the database fails.
    pub fn list(&self, query: &DeliveryQuery) -> Result<Vec<Delivery>, StoreError> {
        let mut statement = self.connection.prepare_cached(
            "SELECT d.environment, d.channel, d.name, d.address, d.seq, d.state, d.created_ms, d.attempts, d.due_ms,
                d.last_ms, d.took_ms, d.status, d.error, e.id, e.type, e.body
             FROM deliveries d JOIN events e ON e.seq = d.event
             WHERE d.environment = ?1 AND d.channel = ?2 AND d.name = ?3 AND (?4 IS NULL OR d.state = ?4)
                AND (?5 IS NULL OR e.type = ?5) AND (?6 IS NULL OR d.seq < ?6)
             ORDER BY d.seq DESC LIMIT ?7",
        )?;
        let DeliveryQuery { environment, channel, name, state, kind, before, limit } = query;
        let (state, before) = (state.map(State::code), before.map(to_sql));
        let limit = to_sql(*limit as u64);
        let found = statement.query_map((environment, channel.code(), name, state, kind, before, limit), delivery)?;
        Ok(found.collect::<Result<_, _>>()?)
    }
}

/// Reads a lane from four columns.
pub(super) fn lane(row: &Row<'_>, at: usize) -> rusqlite::Result<Lane> {
    Ok(Lane {
        environment: row.get(at)?,
        channel: Channel::of_code(row.get(at + 1)?),
        name: row.get(at + 2)?,
        address: row.get(at + 3)?,
    })
}

fn delivery(row: &Row<'_>) -> rusqlite::Result<Delivery> {
    let optional = |at: usize| Ok::<_, rusqlite::Error>(row.get::<_, Option<i64>>(at)?.map(from_sql));
    Ok(Delivery {
        lane: lane(row, 0)?,
        seq: from_sql(row.get(4)?),
        state: State::of_code(row.get(5)?),
        created_ms: from_sql(row.get(6)?),
        attempts: row.get(7)?,
        due_ms: optional(8)?,
        last_ms: optional(9)?,
        took_ms: optional(10)?,
        status: row.get(11)?,
        error: row.get(12)?,
        event_id: row.get(13)?,
        kind: row.get(14)?,
        body: row.get(15)?,
    })
}
