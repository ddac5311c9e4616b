//! Rows of the events database, as they are written.

use rusqlite::Transaction;

use super::{Lane, NewEvent};
use crate::{StoreError, to_sql};

pub(super) fn insert_event(
    transaction: &Transaction<'_>,
    event: &NewEvent,
    environment: &str,
) -> Result<i64, StoreError> {
    transaction
        .prepare_cached("INSERT INTO events (id, environment, type, created_ms, body) VALUES (?1, ?2, ?3, ?4, ?5)")?
        .execute((event.id.to_string(), environment, &event.kind, to_sql(event.created_ms), &event.body))?;
    Ok(transaction.last_insert_rowid())
}

pub(super) fn insert_delivery(
    transaction: &Transaction<'_>,
    event: i64,
    lane: &Lane,
    now_ms: u64,
) -> Result<(), StoreError> {
    transaction
        .prepare_cached(
            "INSERT INTO deliveries (event, environment, channel, name, address, state, created_ms, due_ms)
             VALUES (?1, ?2, ?3, ?4, ?5, 0, ?6, ?6)",
        )?
        .execute((event, &lane.environment, lane.channel.code(), &lane.name, &lane.address, to_sql(now_ms)))?;
    Ok(())
}

pub(super) fn drop_oldest(transaction: &Transaction<'_>, lane: &Lane, most: u64) -> Result<u64, StoreError> {
    let (code, Lane { environment, name, address, .. }) = (lane.channel.code(), lane);
    let waiting: i64 = transaction
        .prepare_cached(
            "SELECT count(*) FROM deliveries
             WHERE state = 0 AND environment = ?1 AND channel = ?2 AND name = ?3 AND address = ?4",
        )?
        .query_row((environment, code, name, address), |row| row.get(0))?;
    let more = waiting.saturating_sub(to_sql(most));
    if more <= 0 {
        return Ok(0);
    }
    let dropped = transaction
        .prepare_cached(
            "DELETE FROM deliveries WHERE seq IN
                (SELECT seq FROM deliveries
                 WHERE state = 0 AND environment = ?1 AND channel = ?2 AND name = ?3 AND address = ?4
                 ORDER BY seq LIMIT ?5)",
        )?
        .execute((environment, code, name, address, more))?;
    Ok(dropped as u64)
}
