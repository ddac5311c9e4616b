//! The control database: what people configure, as versioned documents in one table. API keys are the first kind.
//!
//! A key's secret is returned once, by the call that creates it; the row keeps its keyed hash and the ten characters
//! that people tell keys apart by.

use std::path::Path;
use std::sync::Arc;

use ir::id::ResourceId;
use policy::secret::Secret;
use policy::snapshot::{CompiledKey, KeyStatus};
use policy::spec::key::KeySpec;
use policy::spec::timestamp::Timestamp;
use rusqlite::{Connection, ErrorCode, OptionalExtension, Row, named_params};

use crate::seal::{self, MasterKey};
use crate::{Schema, StoreError, from_sql, to_sql};

pub(crate) const SCHEMA: Schema = Schema {
    file: "control.db",
    page_bytes: 4096,
    migrations: &[
        include_str!("../migrations/control/0001_resources.sql"),
        include_str!("../migrations/control/0003_people.sql"),
    ],
};

const KEY_KIND: &str = "api_key";
const KEY_SCHEMA: i64 = 1;
const NAME_CHARACTERS: usize = 128;

/// A stored API key, without its secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyRow {
    /// Its id.
    pub id: ResourceId,
    /// The environment it belongs to.
    pub environment: String,
    /// Its name, unique in the environment, also among revoked keys.
    pub name: String,
    /// The first characters of its secret.
    pub prefix: String,
    /// Counts the changes, from 1.
    pub version: u64,
    /// What people wrote.
    pub spec: KeySpec,
    /// When it was created, Unix milliseconds.
    pub created_at_ms: u64,
    /// When it was changed last, Unix milliseconds.
    pub updated_at_ms: u64,
    /// When it was revoked, Unix milliseconds.
    pub revoked_at_ms: Option<u64>,
}

impl KeyRow {
    /// Returns whether it may be used, apart from its expiry.
    pub fn status(&self) -> KeyStatus {
        match (self.revoked_at_ms, self.spec.enabled) {
            (Some(_), _) => KeyStatus::Revoked,
            (None, false) => KeyStatus::Disabled,
            (None, true) => KeyStatus::Active,
        }
    }

    /// Returns the key as a request sees it.
    pub fn compile(&self) -> CompiledKey {
        CompiledKey {
            id: Some(self.id),
            name: Arc::from(self.name.as_str()),
            environment: Arc::from(self.environment.as_str()),
            status: self.status(),
            expires_unix_ms: self.spec.expires_at.map(Timestamp::unix_ms),
            providers: self.spec.providers.iter().map(|name| name.as_str().into()).collect(),
            models: self.spec.models.iter().map(|name| name.to_lowercase().into()).collect(),
            team: self.spec.team.as_deref().map(Arc::from),
            cost_tags: self.spec.cost_tags.iter().map(|tag| Arc::from(tag.as_str())).collect(),
            ..CompiledKey::default()
        }
    }
}

/// A connection to the control database, used from one thread. Several processes may have one each.
pub struct Control {
    connection: Connection,
}

impl Control {
    /// Opens `control.db`, creates it when it does not exist and brings its schema up to date.
    ///
    /// # Errors
    /// When it cannot be opened, is corrupt, or was written by a newer version.
    pub fn open(data_dir: &Path) -> Result<Self, StoreError> {
        let connection = SCHEMA.open_writer(data_dir)?;
        let verdict: String = connection
            .query_row("PRAGMA quick_check(1)", [], |row| row.get(0))
            .map_err(|error| SCHEMA.explain(error))?;
        if verdict != "ok" {
            return Err(StoreError::Corrupt { file: SCHEMA.file });
        }
        Ok(Self { connection })
    }

    /// Creates an API key and returns it with its secret, which cannot be read again.
    ///
    /// # Errors
    /// [`StoreError::InvalidName`], [`StoreError::NameTaken`], or when the database fails.
    pub fn create_key(
        &self,
        environment: &str,
        name: &str,
        spec: KeySpec,
        master: &MasterKey,
        now_ms: u64,
    ) -> Result<(KeyRow, Secret), StoreError> {
        check_name(name)?;
        let secret = seal::generate_secret()?;
        let row = KeyRow {
            id: ResourceId::new(now_ms),
            environment: environment.to_owned(),
            name: name.to_owned(),
            prefix: seal::shown_prefix(&secret),
            version: 1,
            spec,
            created_at_ms: now_ms,
            updated_at_ms: now_ms,
            revoked_at_ms: None,
        };
        self.insert_key(&row, &master.key_hash(secret.expose()))?;
        Ok((row, secret))
    }

    /// Revokes an API key, named by its name, its id or its prefix, for ever. Doing it again changes nothing.
    ///
    /// # Errors
    /// [`StoreError::UnknownKey`], [`StoreError::AmbiguousPrefix`], or when the database fails.
    pub fn revoke_key(&self, environment: &str, given: &str, now_ms: u64) -> Result<KeyRow, StoreError> {
        let id = self.find_key(environment, given)?;
        self.connection.execute(
            "UPDATE resources SET revoked_at_ms = ?1, updated_at_ms = ?1, version = version + 1
             WHERE kind = 'api_key' AND environment = ?2 AND id = ?3 AND revoked_at_ms IS NULL",
            (to_sql(now_ms), environment, id.0),
        )?;
        let row = self
            .connection
            .query_row(&format!("{SELECT_KEYS} AND id = ?1"), [id.0], |row| Ok(read_key(row)))
            .optional()?;
        row.unwrap_or_else(|| {
            Err(StoreError::UnknownKey { environment: environment.to_owned(), given: given.to_owned() })
        })
    }

    /// Returns the API keys of one environment or of all, oldest first, revoked ones included.
    ///
    /// # Errors
    /// When the database fails or holds a document that cannot be read.
    pub fn list_keys(&self, environment: Option<&str>) -> Result<Vec<KeyRow>, StoreError> {
        let sql = format!("{SELECT_KEYS} AND (?1 IS NULL OR environment = ?1) ORDER BY id");
        let mut statement = self.connection.prepare_cached(&sql)?;
        let rows = statement.query_and_then([environment], read_key)?;
        rows.collect()
    }

    /// Returns every API key as requests see it, by the hash of its secret, revoked ones included.
    ///
    /// # Errors
    /// When the database fails or holds a document that cannot be read.
    pub fn all_keys_compiled(&self) -> Result<Vec<([u8; 32], CompiledKey)>, StoreError> {
        let sql = format!("{SELECT_KEYS} AND secret_hash IS NOT NULL ORDER BY id");
        let mut statement = self.connection.prepare_cached(&sql)?;
        let rows = statement.query_and_then([], |row| Ok((row.get("secret_hash")?, read_key(row)?.compile())))?;
        rows.collect()
    }

    /// Returns a number that changes when *another* connection, of this process or of another, has committed a change.
    /// Changes made through this connection do not move it: whoever polls uses a connection that only reads.
    ///
    /// # Errors
    /// When the database fails.
    pub fn change_counter(&self) -> Result<i64, StoreError> {
        let mut statement = self.connection.prepare_cached("PRAGMA data_version")?;
        Ok(statement.query_row([], |row| row.get(0))?)
    }

    fn insert_key(&self, row: &KeyRow, hash: &[u8; 32]) -> Result<(), StoreError> {
        let spec = serde_json::to_string(&row.spec)
            .map_err(|source| StoreError::Document { what: row.name.clone(), source })?;
        let inserted = self.connection.execute(
            "INSERT INTO resources (kind, environment, id, name, owner, version, schema, spec,
                                    created_at_ms, updated_at_ms, secret_hash, prefix)
             VALUES (:kind, :environment, :id, :name, :owner, 1, :schema, :spec, :now, :now, :hash, :prefix)",
            named_params! {
                ":kind": KEY_KIND, ":environment": row.environment, ":id": row.id.0, ":name": row.name,
                ":owner": row.spec.owner, ":schema": KEY_SCHEMA, ":spec": spec,
                ":now": to_sql(row.created_at_ms), ":hash": hash, ":prefix": row.prefix,
            },
        );
        match inserted {
            Err(error) if error.sqlite_error_code() == Some(ErrorCode::ConstraintViolation) => {
                Err(StoreError::NameTaken { environment: row.environment.clone(), name: row.name.clone() })
            }
            other => Ok(other.map(|_| ())?),
        }
    }

    /// A name wins over an id, an id over a prefix.
    fn find_key(&self, environment: &str, given: &str) -> Result<ResourceId, StoreError> {
        let id = ResourceId::parse(given).map(|id| id.0);
        let mut statement = self.connection.prepare(
            "SELECT id, CASE WHEN name = ?2 THEN 0 WHEN id = ?3 THEN 1 ELSE 2 END AS rank FROM resources
             WHERE kind = 'api_key' AND environment = ?1 AND (name = ?2 OR id = ?3 OR prefix = ?2)
             ORDER BY rank LIMIT 2",
        )?;
        let found: Vec<([u8; 16], i64)> = statement
            .query_map((environment, given, id), |row| Ok((row.get(0)?, row.get(1)?)))?
            .collect::<Result<_, _>>()?;
        match found.as_slice() {
            [] => Err(StoreError::UnknownKey { environment: environment.to_owned(), given: given.to_owned() }),
            [(_, 2), _] => Err(StoreError::AmbiguousPrefix { given: given.to_owned() }),
            [(id, _), ..] => Ok(ResourceId(*id)),
        }
    }
}

const SELECT_KEYS: &str = "SELECT id, environment, name, prefix, version, spec, created_at_ms, updated_at_ms,
     revoked_at_ms, secret_hash FROM resources WHERE kind = 'api_key'";

fn read_key(row: &Row<'_>) -> Result<KeyRow, StoreError> {
    let name: String = row.get("name")?;
    let spec = serde_json::from_str(row.get_ref("spec")?.as_str().map_err(rusqlite::Error::from)?)
        .map_err(|source| StoreError::Document { what: format!("key {name:?}"), source })?;
    Ok(KeyRow {
        id: ResourceId(row.get("id")?),
        environment: row.get("environment")?,
        name,
        prefix: row.get::<_, Option<String>>("prefix")?.unwrap_or_default(),
        version: from_sql(row.get("version")?),
        spec,
        created_at_ms: from_sql(row.get("created_at_ms")?),
        updated_at_ms: from_sql(row.get("updated_at_ms")?),
        revoked_at_ms: row.get::<_, Option<i64>>("revoked_at_ms")?.map(from_sql),
    })
}

fn check_name(name: &str) -> Result<(), StoreError> {
    let characters = name.chars().count();
    if characters == 0 || characters > NAME_CHARACTERS || name.chars().any(char::is_control) {
        return Err(StoreError::InvalidName);
    }
    Ok(())
}
