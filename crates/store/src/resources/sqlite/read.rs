//! Reading.

use ir::id::ResourceId;
use rusqlite::{Connection, OptionalExtension};

use super::{Connected, keys};
use crate::resources::ResourceReader;
use crate::resources::row::{AuditQuery, AuditRow, Changed, Changes, KeyQuery, Labels, Referrer, Row, SecretRow};
use crate::{StoreError, audit, from_sql, to_sql};

/// The columns that [`document`] reads.
pub(super) const COLUMNS: &str = "r.kind, r.environment, r.id, r.name, r.version, r.schema, r.spec, r.created_at_ms,
     r.updated_at_ms, r.revoked_at_ms, r.team, r.owner, r.enabled, r.expires_at_ms";

/// From so many changes on, everything is read again.
const MANY: usize = 2_000;

impl<T: Connected> ResourceReader for T {
    fn sequence(&self) -> Result<u64, StoreError> {
        sequence(self.connection())
    }

    fn changes_after(&self, sequence: u64) -> Result<Changes, StoreError> {
        changes_after(self.connection(), sequence)
    }

    fn by_name(&self, kind: &str, environment: &str, name: &str) -> Result<Option<Row>, StoreError> {
        let sql = format!("SELECT {COLUMNS} FROM resources r WHERE kind = ?1 AND environment = ?2 AND name = ?3");
        let mut statement = self.connection().prepare_cached(&sql)?;
        Ok(statement.query_row((kind, environment, name), document).optional()?)
    }

    fn by_id(&self, id: ResourceId) -> Result<Option<Row>, StoreError> {
        let sql = format!("SELECT {COLUMNS} FROM resources r WHERE id = ?1");
        let mut statement = self.connection().prepare_cached(&sql)?;
        Ok(statement.query_row([id.0], document).optional()?)
    }

    fn all_but_keys(&self) -> Result<Vec<Row>, StoreError> {
        // The index on the kind jumps over the keys, which may be many.
        let sql = format!("SELECT {COLUMNS} FROM resources r WHERE kind < 'keys' OR kind > 'keys'");
        let mut statement = self.connection().prepare_cached(&sql)?;
        let mut rows: Vec<Row> = statement.query_map([], document)?.collect::<Result<_, _>>()?;
        rows.sort_by_key(|row| row.id);
        Ok(rows)
    }

    fn keys(&self, query: &KeyQuery) -> Result<Vec<(Row, Vec<SecretRow>)>, StoreError> {
        keys::page(self.connection(), query)
    }

    fn each_key(&self, visit: &mut dyn FnMut(Row, Vec<SecretRow>)) -> Result<(), StoreError> {
        keys::each(self.connection(), visit)
    }

    fn secrets_of(&self, key: ResourceId) -> Result<Vec<SecretRow>, StoreError> {
        keys::secrets_of(self.connection(), key)
    }

    fn keys_by_prefix(&self, environment: &str, prefix: &str) -> Result<Vec<ResourceId>, StoreError> {
        keys::by_prefix(self.connection(), environment, prefix)
    }

    fn referrers(&self, environment: &str, kind: &str, name: &str, limit: usize) -> Result<Vec<Referrer>, StoreError> {
        let mut statement = self.connection().prepare_cached(
            "SELECT DISTINCT r.kind, r.name, r.id FROM refs f JOIN resources r ON r.id = f.from_id
             WHERE f.environment = ?1 AND f.to_kind = ?2 AND f.to_name = ?3 ORDER BY r.id LIMIT ?4",
        )?;
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let found = statement.query_map((environment, kind, name, limit), |row| {
            Ok(Referrer { kind: row.get(0)?, name: row.get(1)?, id: ResourceId(row.get(2)?) })
        })?;
        Ok(found.collect::<Result<_, _>>()?)
    }

    fn counts(&self, environment: &str) -> Result<Vec<(String, u64)>, StoreError> {
        let mut statement = self.connection().prepare_cached(
            "SELECT kind, count(*) FROM resources WHERE environment = ?1 GROUP BY kind ORDER BY kind",
        )?;
        let found = statement.query_map([environment], |row| Ok((row.get(0)?, from_sql(row.get(1)?))))?;
        Ok(found.collect::<Result<_, _>>()?)
    }

    fn audit(&self, query: &AuditQuery) -> Result<Vec<AuditRow>, StoreError> {
        audit::list(self.connection(), query)
    }

    fn fact(&self, name: &str) -> Result<Option<String>, StoreError> {
        let mut statement = self.connection().prepare_cached("SELECT value FROM facts WHERE name = ?1")?;
        Ok(statement.query_row([name], |row| row.get(0)).optional()?)
    }
}

/// The counter of a table with AUTOINCREMENT stays when rows are removed.
pub(super) fn sequence(connection: &Connection) -> Result<u64, StoreError> {
    let mut statement = connection.prepare_cached("SELECT seq FROM sqlite_sequence WHERE name = 'changes'")?;
    Ok(statement.query_row([], |row| row.get(0)).optional()?.map_or(0, from_sql))
}

fn changes_after(connection: &Connection, after: u64) -> Result<Changes, StoreError> {
    let mut statement = connection
        .prepare_cached("SELECT seq, environment, kind, id FROM changes WHERE seq > ?1 ORDER BY seq LIMIT ?2")?;
    let limit = i64::try_from(MANY + 1).unwrap_or(i64::MAX);
    let found = statement.query_map((to_sql(after), limit), |row| {
        let changed = Changed { environment: row.get(1)?, kind: row.get(2)?, id: ResourceId(row.get(3)?) };
        Ok((from_sql(row.get(0)?), changed))
    })?;
    let found: Vec<(u64, Changed)> = found.collect::<Result<_, _>>()?;
    // Numbers are given without gaps: when the next one is missing, it was trimmed.
    let trimmed = match found.first() {
        Some((first, _)) => *first != after.saturating_add(1),
        None => sequence(connection)? != after,
    };
    if trimmed || found.len() > MANY {
        return Ok(Changes::Everything);
    }
    let mut changed: Vec<Changed> = found.into_iter().map(|(_, changed)| changed).collect();
    changed.sort();
    changed.dedup();
    Ok(Changes::Those(changed))
}

/// Reads the columns of [`COLUMNS`].
pub(super) fn document(row: &rusqlite::Row<'_>) -> rusqlite::Result<Row> {
    Ok(Row {
        kind: row.get(0)?,
        environment: row.get(1)?,
        id: ResourceId(row.get(2)?),
        name: row.get(3)?,
        version: from_sql(row.get(4)?),
        schema: row.get(5)?,
        spec: row.get(6)?,
        created_at_ms: from_sql(row.get(7)?),
        updated_at_ms: from_sql(row.get(8)?),
        revoked_at_ms: row.get::<_, Option<i64>>(9)?.map(from_sql),
        labels: Labels {
            team: row.get(10)?,
            owner: row.get(11)?,
            enabled: row.get(12)?,
            expires_at_ms: row.get::<_, Option<i64>>(13)?.map(from_sql),
        },
    })
}
