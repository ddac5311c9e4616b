//! Writing.

use ir::id::ResourceId;
use rusqlite::{ErrorCode, named_params};

use super::{SqliteTransaction, read};
use crate::resources::Transaction;
use crate::resources::row::{AuditRow, Reference, Row, SecretRow};
use crate::{StoreError, audit, to_sql};

/// How many changes are kept for other processes to read. Who is further behind reads everything again.
const KEPT_CHANGES: u64 = 10_000;

impl Transaction for SqliteTransaction<'_> {
    fn insert(&mut self, row: &Row) -> Result<(), StoreError> {
        let mut statement = self.transaction.prepare_cached(
            "INSERT INTO resources (kind, environment, id, name, version, schema, spec, created_at_ms, updated_at_ms,
                                    revoked_at_ms, team, owner, enabled, expires_at_ms)
             VALUES (:kind, :environment, :id, :name, :version, :schema, :spec, :created, :updated, :revoked, :team,
                     :owner, :enabled, :expires)",
        )?;
        let inserted = statement.execute(named_params! {
            ":kind": row.kind, ":environment": row.environment, ":id": row.id.0, ":name": row.name,
            ":version": to_sql(row.version), ":schema": row.schema, ":spec": row.spec,
            ":created": to_sql(row.created_at_ms), ":updated": to_sql(row.updated_at_ms),
            ":revoked": row.revoked_at_ms.map(to_sql), ":team": row.labels.team, ":owner": row.labels.owner,
            ":enabled": row.labels.enabled, ":expires": row.labels.expires_at_ms.map(to_sql),
        });
        match inserted {
            Err(error) if error.sqlite_error_code() == Some(ErrorCode::ConstraintViolation) => {
                return Err(StoreError::NameTaken { environment: row.environment.clone(), name: row.name.clone() });
            }
            other => other?,
        };
        drop(statement);
        self.note(row)
    }

    fn update(&mut self, row: &Row) -> Result<(), StoreError> {
        let mut statement = self.transaction.prepare_cached(
            "UPDATE resources SET version = :version, schema = :schema, spec = :spec, updated_at_ms = :updated,
                    revoked_at_ms = :revoked, team = :team, owner = :owner, enabled = :enabled,
                    expires_at_ms = :expires
             WHERE id = :id",
        )?;
        statement.execute(named_params! {
            ":id": row.id.0, ":version": to_sql(row.version), ":schema": row.schema, ":spec": row.spec,
            ":updated": to_sql(row.updated_at_ms), ":revoked": row.revoked_at_ms.map(to_sql),
            ":team": row.labels.team, ":owner": row.labels.owner, ":enabled": row.labels.enabled,
            ":expires": row.labels.expires_at_ms.map(to_sql),
        })?;
        drop(statement);
        self.note(row)
    }

    fn delete(&mut self, row: &Row) -> Result<(), StoreError> {
        for sql in [
            "DELETE FROM resources WHERE id = ?1",
            "DELETE FROM key_secrets WHERE key_id = ?1",
            "DELETE FROM refs WHERE from_id = ?1",
        ] {
            self.transaction.prepare_cached(sql)?.execute([row.id.0])?;
        }
        self.note(row)
    }

    fn refer(&mut self, environment: &str, from: ResourceId, references: &[Reference]) -> Result<(), StoreError> {
        self.transaction.prepare_cached("DELETE FROM refs WHERE from_id = ?1")?.execute([from.0])?;
        let mut statement = self.transaction.prepare_cached(
            "INSERT OR IGNORE INTO refs (environment, to_kind, to_name, from_id, field) VALUES (?1, ?2, ?3, ?4, ?5)",
        )?;
        for reference in references {
            statement.execute((environment, reference.kind, &reference.name, from.0, &reference.field))?;
        }
        Ok(())
    }

    fn put_secrets(&mut self, key: ResourceId, secrets: &[SecretRow]) -> Result<(), StoreError> {
        self.transaction.prepare_cached("DELETE FROM key_secrets WHERE key_id = ?1")?.execute([key.0])?;
        let mut statement = self.transaction.prepare_cached(
            "INSERT INTO key_secrets (hash, key_id, prefix, created_at_ms, until_ms) VALUES (?1, ?2, ?3, ?4, ?5)",
        )?;
        for secret in secrets {
            let until = secret.until_ms.map(to_sql);
            statement.execute((secret.hash, key.0, &secret.prefix, to_sql(secret.created_at_ms), until))?;
        }
        Ok(())
    }

    fn log(&mut self, entry: &AuditRow) -> Result<(), StoreError> {
        audit::append(&self.transaction, entry)
    }

    fn put_fact(&mut self, name: &str, value: &str) -> Result<(), StoreError> {
        let mut statement = self
            .transaction
            .prepare_cached("INSERT INTO facts (name, value) VALUES (?1, ?2) ON CONFLICT DO UPDATE SET value = ?2")?;
        statement.execute((name, value))?;
        Ok(())
    }

    fn commit(self: Box<Self>) -> Result<u64, StoreError> {
        let sequence = read::sequence(&self.transaction)?;
        let last = to_sql(sequence.saturating_sub(KEPT_CHANGES));
        self.transaction.prepare_cached("DELETE FROM changes WHERE seq <= ?1")?.execute([last])?;
        self.transaction.commit()?;
        Ok(sequence)
    }
}

impl SqliteTransaction<'_> {
    /// Notes a change for other processes.
    fn note(&self, row: &Row) -> Result<(), StoreError> {
        let mut statement =
            self.transaction.prepare_cached("INSERT INTO changes (environment, kind, id) VALUES (?1, ?2, ?3)")?;
        statement.execute((&row.environment, &row.kind, row.id.0))?;
        Ok(())
    }
}
