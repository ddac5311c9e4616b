//! Keys and their secrets. There may be a hundred thousand of them: they are read a page at a time, or passed by one by
//! one.

use ir::id::ResourceId;
use rusqlite::types::Value;
use rusqlite::{Connection, params_from_iter};

use super::read::{COLUMNS, document};
use crate::resources::row::{KeyQuery, KeyState, Row, SecretRow};
use crate::{StoreError, from_sql, to_sql};

/// Returns a page of keys.
pub(super) fn page(connection: &Connection, query: &KeyQuery) -> Result<Vec<(Row, Vec<SecretRow>)>, StoreError> {
    let (conditions, mut values) = conditions(query);
    values.push(Value::Integer(i64::try_from(query.limit).unwrap_or(i64::MAX)));
    let sql = format!("SELECT {COLUMNS} FROM resources r WHERE {conditions} ORDER BY r.id LIMIT ?");
    let mut statement = connection.prepare_cached(&sql)?;
    let rows: Vec<Row> = statement.query_map(params_from_iter(values), document)?.collect::<Result<_, _>>()?;
    rows.into_iter().map(|row| secrets_of(connection, row.id).map(|secrets| (row, secrets))).collect()
}

fn conditions(query: &KeyQuery) -> (String, Vec<Value>) {
    let mut sql = String::from("r.kind = 'keys'");
    let mut values: Vec<Value> = Vec::new();
    let mut add = |condition: &str, given: Vec<Value>| {
        sql.push_str(" AND ");
        sql.push_str(condition);
        values.extend(given);
    };
    let text = |text: &String| Value::Text(text.clone());
    if let Some(environment) = &query.environment {
        add("r.environment = ?", vec![text(environment)]);
    }
    if let Some(seen_by) = &query.seen_by {
        let marks = vec!["?"; seen_by.teams.len()].join(", ");
        let mut given = vec![text(&seen_by.owner)];
        given.extend(seen_by.teams.iter().map(text));
        add(&format!("((r.owner <> '' AND r.owner = ?) OR r.team IN ({marks}))"), given);
    }
    if let Some(team) = &query.team {
        add("r.team = ?", vec![text(team)]);
    }
    if let Some(owner) = &query.owner {
        add("r.owner = ?", vec![text(owner)]);
    }
    if query.without_management {
        add("NOT coalesce(json_extract(r.spec, '$.management'), 0)", Vec::new());
    }
    let now = || vec![Value::Integer(to_sql(query.now_ms))];
    match query.state {
        None => {}
        Some(KeyState::Revoked) => add("r.revoked_at_ms IS NOT NULL", Vec::new()),
        Some(KeyState::Expired) => add("r.revoked_at_ms IS NULL AND r.expires_at_ms <= ?", now()),
        Some(KeyState::Disabled) => {
            add("r.revoked_at_ms IS NULL AND NOT r.enabled AND coalesce(r.expires_at_ms > ?, 1)", now());
        }
        Some(KeyState::Active) => {
            add("r.revoked_at_ms IS NULL AND r.enabled AND coalesce(r.expires_at_ms > ?, 1)", now());
        }
    }
    if let Some(part) = &query.text {
        let secret = "r.id IN (SELECT s.key_id FROM key_secrets s WHERE s.prefix = ?)";
        add(&format!("(instr(lower(r.name), lower(?)) > 0 OR {secret})"), vec![text(part), text(part)]);
    }
    if let Some(after) = query.after {
        add("r.id > ?", vec![Value::Blob(after.0.to_vec())]);
    }
    (sql, values)
}

/// Hands over every key with its secrets. Both tables are read in the order of the keys' ids, each once.
pub(super) fn each(connection: &Connection, visit: &mut dyn FnMut(Row, Vec<SecretRow>)) -> Result<(), StoreError> {
    let sql = format!("SELECT {COLUMNS} FROM resources r WHERE r.kind = 'keys' ORDER BY r.id");
    let mut documents = connection.prepare(&sql)?;
    let mut secrets = connection.prepare(
        "SELECT key_id, hash, prefix, created_at_ms, until_ms FROM key_secrets
         ORDER BY key_id, until_ms IS NOT NULL, created_at_ms DESC, hash",
    )?;
    let mut secrets = secrets.query_map([], |row| Ok((ResourceId(row.get(0)?), secret(row, 1)?)))?;
    let mut next = secrets.next().transpose()?;
    for row in documents.query_map([], document)? {
        let row = row?;
        let mut own = Vec::new();
        while let Some((key, secret)) = next.take_if(|(key, _)| *key <= row.id) {
            if key == row.id {
                own.push(secret);
            }
            next = secrets.next().transpose()?;
        }
        visit(row, own);
    }
    Ok(())
}

/// Returns the secrets of a key, the newest first.
pub(super) fn secrets_of(connection: &Connection, key: ResourceId) -> Result<Vec<SecretRow>, StoreError> {
    let mut statement = connection.prepare_cached(
        "SELECT hash, prefix, created_at_ms, until_ms FROM key_secrets WHERE key_id = ?1
         ORDER BY until_ms IS NOT NULL, created_at_ms DESC, hash",
    )?;
    let found = statement.query_map([key.0], |row| secret(row, 0))?;
    Ok(found.collect::<Result<_, _>>()?)
}

/// Returns the keys of a prefix, at most two.
pub(super) fn by_prefix(
    connection: &Connection,
    environment: &str,
    prefix: &str,
) -> Result<Vec<ResourceId>, StoreError> {
    let mut statement = connection.prepare_cached(
        "SELECT DISTINCT s.key_id FROM key_secrets s JOIN resources r ON r.id = s.key_id
         WHERE s.prefix = ?2 AND r.environment = ?1 LIMIT 2",
    )?;
    let found = statement.query_map((environment, prefix), |row| Ok(ResourceId(row.get(0)?)))?;
    Ok(found.collect::<Result<_, _>>()?)
}

fn secret(row: &rusqlite::Row<'_>, from: usize) -> rusqlite::Result<SecretRow> {
    Ok(SecretRow {
        hash: row.get(from)?,
        prefix: row.get(from + 1)?,
        created_at_ms: from_sql(row.get(from + 2)?),
        until_ms: row.get::<_, Option<i64>>(from + 3)?.map(from_sql),
    })
}
