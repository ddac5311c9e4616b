//! People in the control database. The connection is its own: sign-ins do not wait for changes of the configuration.

use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use ir::id::ResourceId;
use policy::secret::Secret;
use rusqlite::ffi::SQLITE_CONSTRAINT_UNIQUE;
use rusqlite::{Connection, OptionalExtension, Row, Transaction, TransactionBehavior, named_params};

use super::{Begin, Changed, Hash, OWNER, PeopleStore, SessionQuery, SessionRow, SetUp, UserQuery, UserRow};
use crate::resources::row::AuditRow;
use crate::resources::sqlite::SCHEMA;
use crate::{StoreError, audit, from_sql, to_sql};

const USER: &str = "users.id AS id, email, name, role, role_from_issuer, password_hash, oidc_issuer, oidc_subject,
     disabled, version, users.created_at_ms AS created_at_ms, updated_at_ms, last_sign_in_at_ms";

const SESSION: &str = "sessions.id AS session_id, user, method, sessions.created_at_ms AS begun_at_ms,
     last_seen_at_ms, expires_at_ms, ip, user_agent";

/// People in `control.db`.
pub struct People(Mutex<Connection>);

impl People {
    /// Opens `control.db`, creates it when it does not exist and brings its schema up to date.
    ///
    /// # Errors
    /// When it cannot be opened, is corrupt, or was written by a newer version.
    pub fn open(data_dir: &Path) -> Result<Self, StoreError> {
        Ok(Self(Mutex::new(SCHEMA.open_writer(data_dir)?)))
    }

    fn connection(&self) -> MutexGuard<'_, Connection> {
        // A panic inside a transaction has rolled it back.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs a change in a transaction that holds the write lock from its start; what is not `keep` is rolled back.
    fn change<T>(
        &self,
        act: impl FnOnce(&Transaction<'_>) -> Result<T, StoreError>,
        keep: impl FnOnce(&T) -> bool,
    ) -> Result<T, StoreError> {
        let mut connection = self.connection();
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let done = act(&transaction)?;
        if keep(&done) {
            transaction.commit()?;
        }
        Ok(done)
    }

    fn one_user(&self, condition: &str, values: impl rusqlite::Params) -> Result<Option<UserRow>, StoreError> {
        let connection = self.connection();
        let mut statement = connection.prepare_cached(&format!("SELECT {USER} FROM users WHERE {condition}"))?;
        Ok(statement.query_row(values, read_user).optional()?)
    }
}

impl PeopleStore for People {
    fn any_user(&self) -> Result<bool, StoreError> {
        any_user(&self.connection())
    }

    fn user(&self, id: ResourceId) -> Result<Option<UserRow>, StoreError> {
        self.one_user("id = ?1", [id.0])
    }

    fn user_by_email(&self, email: &str) -> Result<Option<UserRow>, StoreError> {
        self.one_user("email = ?1", [email])
    }

    fn user_by_identity(&self, issuer: &str, subject: &str) -> Result<Option<UserRow>, StoreError> {
        self.one_user("oidc_issuer = ?1 AND oidc_subject = ?2", [issuer, subject])
    }

    fn list_users(&self, query: &UserQuery) -> Result<Vec<UserRow>, StoreError> {
        let connection = self.connection();
        let sql = format!(
            "SELECT {USER} FROM users WHERE (:role IS NULL OR role = :role)
             AND (:disabled IS NULL OR disabled = :disabled) AND (:email IS NULL OR email = :email)
             AND (:after IS NULL OR id > :after) ORDER BY id LIMIT :limit"
        );
        let mut statement = connection.prepare_cached(&sql)?;
        let values = named_params! {
            ":role": query.role, ":disabled": query.disabled, ":email": query.email,
            ":after": query.after.map(|id| id.0), ":limit": limit(query.limit),
        };
        let rows = statement.query_map(values, read_user)?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    fn create_user(&self, user: &UserRow, log: &AuditRow) -> Result<Changed, StoreError> {
        let act = |transaction: &Transaction<'_>| {
            write_down(transaction, Some(log))?;
            insert_user(transaction, user)
        };
        self.change(act, |changed| *changed == Changed::Done)
    }

    fn set_up(&self, user: &UserRow, code: &Hash, now_ms: u64, log: &AuditRow) -> Result<SetUp, StoreError> {
        let act = |transaction: &Transaction<'_>| {
            if any_user(transaction)? {
                return Ok(SetUp::AlreadyDone);
            }
            let live: bool = transaction.query_row(
                "SELECT count(*) > 0 FROM codes WHERE hash = ?1 AND user IS NULL AND expires_at_ms > ?2",
                (code, to_sql(now_ms)),
                |row| row.get(0),
            )?;
            if !live {
                return Ok(SetUp::WrongCode);
            }
            insert_user(transaction, user)?;
            transaction.execute("DELETE FROM codes WHERE user IS NULL", [])?;
            write_down(transaction, Some(log))?;
            Ok(SetUp::Done)
        };
        self.change(act, |done| *done == SetUp::Done)
    }

    fn change_user(&self, user: &UserRow, ends_sessions: bool, log: Option<&AuditRow>) -> Result<Changed, StoreError> {
        let act = |transaction: &Transaction<'_>| {
            let owned = any_owner(transaction)?;
            let changed = update_user(transaction, user)?;
            if changed != Changed::Done {
                return Ok(changed);
            }
            if ends_sessions {
                transaction.execute("DELETE FROM sessions WHERE user = ?1", [user.id.0])?;
                transaction.execute("DELETE FROM codes WHERE user = ?1", [user.id.0])?;
            }
            write_down(transaction, log)?;
            keep_an_owner(transaction, owned)
        };
        self.change(act, |changed| *changed == Changed::Done)
    }

    fn delete_user(&self, id: ResourceId, version: u64, log: &AuditRow) -> Result<Changed, StoreError> {
        let act = |transaction: &Transaction<'_>| {
            let owned = any_owner(transaction)?;
            let deleted =
                transaction.execute("DELETE FROM users WHERE id = ?1 AND version = ?2", (id.0, to_sql(version)))?;
            if deleted == 0 {
                return missed(transaction, id);
            }
            write_down(transaction, Some(log))?;
            keep_an_owner(transaction, owned)
        };
        self.change(act, |changed| *changed == Changed::Done)
    }

    fn begin_session(&self, session: &SessionRow, begin: Begin<'_>, log: &AuditRow) -> Result<bool, StoreError> {
        let act = |transaction: &Transaction<'_>| {
            let (user, now) = (session.user.0, to_sql(session.created_at_ms));
            let signed_in = transaction.execute(
                "UPDATE users SET last_sign_in_at_ms = ?2 WHERE id = ?1 AND version = ?3 AND NOT disabled",
                (user, now, to_sql(begin.version)),
            )?;
            if signed_in == 0 {
                return Ok(false);
            }
            transaction.execute("DELETE FROM sessions WHERE user = ?1 AND expires_at_ms <= ?2", (user, now))?;
            transaction.execute(
                "DELETE FROM sessions WHERE user = ?1 AND id NOT IN
                 (SELECT id FROM sessions WHERE user = ?1 ORDER BY id DESC LIMIT ?2)",
                (user, limit(begin.keep.saturating_sub(1))),
            )?;
            insert_session(transaction, session, begin.hash)?;
            write_down(transaction, Some(log))?;
            Ok(true)
        };
        self.change(act, |signed_in| *signed_in)
    }

    fn session_by_hash(&self, hash: &Hash) -> Result<Option<(SessionRow, UserRow)>, StoreError> {
        let connection = self.connection();
        let sql =
            format!("SELECT {SESSION}, {USER} FROM sessions JOIN users ON users.id = user WHERE sessions.hash = ?1");
        let mut statement = connection.prepare_cached(&sql)?;
        Ok(statement.query_row([hash], |row| Ok((read_session(row)?, read_user(row)?))).optional()?)
    }

    fn session(&self, id: ResourceId) -> Result<Option<SessionRow>, StoreError> {
        let connection = self.connection();
        let mut statement = connection.prepare_cached(&format!("SELECT {SESSION} FROM sessions WHERE id = ?1"))?;
        Ok(statement.query_row([id.0], read_session).optional()?)
    }

    fn list_sessions(&self, query: &SessionQuery) -> Result<Vec<SessionRow>, StoreError> {
        let connection = self.connection();
        let sql = format!(
            "SELECT {SESSION} FROM sessions WHERE (:user IS NULL OR user = :user) AND expires_at_ms > :alive
             AND last_seen_at_ms > :seen AND (:after IS NULL OR id > :after) ORDER BY id LIMIT :limit"
        );
        let mut statement = connection.prepare_cached(&sql)?;
        let values = named_params! {
            ":user": query.user.map(|id| id.0), ":alive": to_sql(query.alive_at_ms),
            ":seen": to_sql(query.seen_since_ms), ":after": query.after.map(|id| id.0), ":limit": limit(query.limit),
        };
        let rows = statement.query_map(values, read_session)?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    fn touch_session(&self, id: ResourceId, now_ms: u64) -> Result<(), StoreError> {
        let sql = "UPDATE sessions SET last_seen_at_ms = ?2 WHERE id = ?1";
        self.connection().prepare_cached(sql)?.execute((id.0, to_sql(now_ms)))?;
        Ok(())
    }

    fn end_session(&self, id: ResourceId, log: Option<&AuditRow>) -> Result<bool, StoreError> {
        let act = |transaction: &Transaction<'_>| {
            write_down(transaction, log)?;
            Ok(transaction.execute("DELETE FROM sessions WHERE id = ?1", [id.0])? > 0)
        };
        self.change(act, |ended| *ended)
    }

    fn put_code(
        &self,
        hash: &Hash,
        user: Option<ResourceId>,
        now_ms: u64,
        expires_at_ms: u64,
        log: Option<&AuditRow>,
    ) -> Result<(), StoreError> {
        let act = |transaction: &Transaction<'_>| {
            let user = user.map(|id| id.0);
            transaction.execute("DELETE FROM codes WHERE user IS ?1 OR expires_at_ms <= ?2", (user, to_sql(now_ms)))?;
            transaction.execute(
                "INSERT INTO codes (hash, user, created_at_ms, expires_at_ms) VALUES (?1, ?2, ?3, ?4)",
                (hash, user, to_sql(now_ms), to_sql(expires_at_ms)),
            )?;
            write_down(transaction, log)
        };
        self.change(act, |()| true)
    }

    fn code_user(&self, hash: &Hash, now_ms: u64) -> Result<Option<ResourceId>, StoreError> {
        let sql = "SELECT user FROM codes WHERE hash = ?1 AND user IS NOT NULL AND expires_at_ms > ?2";
        let found = self.connection().query_row(sql, (hash, to_sql(now_ms)), |row| row.get(0)).optional()?;
        Ok(found.map(ResourceId))
    }

    fn log(&self, entry: &AuditRow) -> Result<(), StoreError> {
        self.change(|transaction| audit::append(transaction, entry), |()| true)
    }
}

fn write_down(connection: &Connection, entry: Option<&AuditRow>) -> Result<(), StoreError> {
    entry.map_or(Ok(()), |entry| audit::append(connection, entry))
}

fn any_user(connection: &Connection) -> Result<bool, StoreError> {
    Ok(connection.query_row("SELECT EXISTS (SELECT 1 FROM users)", [], |row| row.get(0))?)
}

fn any_owner(connection: &Connection) -> Result<bool, StoreError> {
    let sql = "SELECT EXISTS (SELECT 1 FROM users WHERE role = ?1 AND NOT disabled)";
    Ok(connection.query_row(sql, [OWNER], |row| row.get(0))?)
}

fn keep_an_owner(connection: &Connection, owned: bool) -> Result<Changed, StoreError> {
    Ok(if owned && !any_owner(connection)? { Changed::LastOwner } else { Changed::Done })
}

/// Says why a change found nobody.
fn missed(connection: &Connection, id: ResourceId) -> Result<Changed, StoreError> {
    let version: Option<i64> =
        connection.query_row("SELECT version FROM users WHERE id = ?1", [id.0], |row| row.get(0)).optional()?;
    Ok(version.map_or(Changed::Gone, |version| Changed::Stale(from_sql(version))))
}

fn insert_user(connection: &Connection, user: &UserRow) -> Result<Changed, StoreError> {
    let (issuer, subject) = user.identity.clone().unzip();
    let inserted = connection.execute(
        "INSERT INTO users (id, email, name, role, role_from_issuer, password_hash, oidc_issuer, oidc_subject,
                            disabled, version, created_at_ms, updated_at_ms, last_sign_in_at_ms)
         VALUES (:id, :email, :name, :role, :given, :password, :issuer, :subject, :disabled, :version, :created,
                 :updated, :last)",
        named_params! {
            ":id": user.id.0, ":email": user.email, ":name": user.name, ":role": user.role,
            ":given": user.role_from_issuer, ":password": user.password_hash.as_ref().map(Secret::expose),
            ":issuer": issuer, ":subject": subject, ":disabled": user.disabled, ":version": to_sql(user.version),
            ":created": to_sql(user.created_at_ms), ":updated": to_sql(user.updated_at_ms),
            ":last": user.last_sign_in_at_ms.map(to_sql),
        },
    );
    Ok(written(inserted)?.map_or(Changed::Taken, |_| Changed::Done))
}

fn insert_session(connection: &Connection, session: &SessionRow, hash: &Hash) -> Result<(), StoreError> {
    connection.execute(
        "INSERT INTO sessions (id, hash, user, method, created_at_ms, last_seen_at_ms, expires_at_ms, ip, user_agent)
         VALUES (:id, :hash, :user, :method, :begun, :seen, :expires, :ip, :agent)",
        named_params! {
            ":id": session.id.0, ":hash": hash, ":user": session.user.0, ":method": session.method,
            ":begun": to_sql(session.created_at_ms), ":seen": to_sql(session.last_seen_at_ms),
            ":expires": to_sql(session.expires_at_ms), ":ip": session.ip.map(|ip| ip.to_string()),
            ":agent": session.user_agent,
        },
    )?;
    Ok(())
}

fn update_user(connection: &Connection, user: &UserRow) -> Result<Changed, StoreError> {
    let (issuer, subject) = user.identity.clone().unzip();
    let updated = connection.execute(
        "UPDATE users SET email = :email, name = :name, role = :role, role_from_issuer = :given,
                          password_hash = :password, oidc_issuer = :issuer, oidc_subject = :subject,
                          disabled = :disabled, version = :version, updated_at_ms = :updated
         WHERE id = :id AND version = :version - 1",
        named_params! {
            ":id": user.id.0, ":email": user.email, ":name": user.name, ":role": user.role,
            ":given": user.role_from_issuer, ":password": user.password_hash.as_ref().map(Secret::expose),
            ":issuer": issuer, ":subject": subject, ":disabled": user.disabled, ":version": to_sql(user.version),
            ":updated": to_sql(user.updated_at_ms),
        },
    );
    match written(updated)? {
        None => Ok(Changed::Taken),
        Some(0) => missed(connection, user.id),
        Some(_) => Ok(Changed::Done),
    }
}

/// Tells rows that another one forbids (`None`) from a database that fails.
fn written(result: Result<usize, rusqlite::Error>) -> Result<Option<usize>, StoreError> {
    match result {
        Err(error) if error.sqlite_error().is_some_and(|e| e.extended_code == SQLITE_CONSTRAINT_UNIQUE) => Ok(None),
        other => Ok(Some(other?)),
    }
}

fn read_user(row: &Row<'_>) -> Result<UserRow, rusqlite::Error> {
    let issuer: Option<String> = row.get("oidc_issuer")?;
    let subject: Option<String> = row.get("oidc_subject")?;
    Ok(UserRow {
        id: ResourceId(row.get("id")?),
        email: row.get("email")?,
        name: row.get("name")?,
        role: row.get("role")?,
        role_from_issuer: row.get("role_from_issuer")?,
        password_hash: row.get::<_, Option<String>>("password_hash")?.map(Secret::new),
        identity: issuer.zip(subject),
        disabled: row.get("disabled")?,
        version: from_sql(row.get("version")?),
        created_at_ms: from_sql(row.get("created_at_ms")?),
        updated_at_ms: from_sql(row.get("updated_at_ms")?),
        last_sign_in_at_ms: row.get::<_, Option<i64>>("last_sign_in_at_ms")?.map(from_sql),
    })
}

fn read_session(row: &Row<'_>) -> Result<SessionRow, rusqlite::Error> {
    Ok(SessionRow {
        id: ResourceId(row.get("session_id")?),
        user: ResourceId(row.get("user")?),
        method: row.get("method")?,
        created_at_ms: from_sql(row.get("begun_at_ms")?),
        last_seen_at_ms: from_sql(row.get("last_seen_at_ms")?),
        expires_at_ms: from_sql(row.get("expires_at_ms")?),
        ip: row.get::<_, Option<String>>("ip")?.and_then(|ip| ip.parse().ok()),
        user_agent: row.get("user_agent")?,
    })
}

fn limit(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
