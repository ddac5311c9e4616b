//! The audit log in the control database: entries are only ever added, and each bears a hash of itself and of the one
//! before it, so that whoever changes one behind the product's back has to change all that follow.
//!
//! What was cut off at the end cannot be seen by itself: an [`Anchor`] that was kept elsewhere shows it.

use std::fmt;
use std::path::Path;
use std::str::FromStr;

use aws_lc_rs::digest::{Context, SHA256};
use ir::id::ResourceId;
use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension as _, Row, named_params, params_from_iter};

use crate::resources::row::{AuditQuery, AuditRow};
use crate::resources::sqlite;
use crate::{StoreError, from_sql, to_sql};

/// The hash of an entry, SHA-256.
pub type Hash = [u8; 32];

/// Stands before the fields of every entry, so that a hash made for something else is none of an entry.
const DOMAIN: &[u8] = b"crossway audit 1";

const COLUMNS: &str =
    "seq, at_ms, actor, role, ip, request_id, action, kind, environment, name, resource_id, before, after, hash";

/// An entry that somebody remembers: its number and its hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Anchor {
    /// The number.
    pub seq: u64,
    /// The hash.
    pub hash: Hash,
}

impl fmt::Display for Anchor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.seq, hex(&self.hash))
    }
}

/// The text is no anchor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an anchor is the number of an entry, a colon, and its hash in 64 hexadecimal digits")]
pub struct NoAnchor;

impl FromStr for Anchor {
    type Err = NoAnchor;

    fn from_str(text: &str) -> Result<Self, NoAnchor> {
        let (seq, digits) = text.trim().split_once(':').ok_or(NoAnchor)?;
        let seq = seq.parse().map_err(|_| NoAnchor)?;
        let mut hash = [0; 32];
        if digits.len() != 64 || !digits.is_ascii() {
            return Err(NoAnchor);
        }
        for (byte, pair) in hash.iter_mut().zip(digits.as_bytes().chunks(2)) {
            let pair = std::str::from_utf8(pair).map_err(|_| NoAnchor)?;
            *byte = u8::from_str_radix(pair, 16).map_err(|_| NoAnchor)?;
        }
        Ok(Self { seq, hash })
    }
}

/// What a look at the whole log found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verdict {
    /// How many entries there are.
    pub entries: u64,
    /// How many of them, the oldest, are from before there were hashes.
    pub without_hash: u64,
    /// The last one.
    pub head: Option<Anchor>,
    /// The first thing that is wrong, if anything is.
    pub fault: Option<Fault>,
}

/// What is wrong with the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// An entry does not agree with its hash: it, or the one before it, was changed, added or taken out.
    #[error("entry {0} does not agree with its hash: it or the one before it was changed, added or taken out")]
    Changed(u64),
    /// A number is missing.
    #[error("entry {0} is missing")]
    Missing(u64),
    /// The remembered entry is there with another hash.
    #[error("entry {0} is not the one that was remembered")]
    Replaced(u64),
}

/// Adds an entry. The connection is in a transaction that began as a writer, so that nobody adds one meanwhile.
pub(crate) fn append(connection: &Connection, entry: &AuditRow) -> Result<(), StoreError> {
    let mut last = connection.prepare_cached("SELECT seq, hash FROM audit ORDER BY seq DESC LIMIT 1")?;
    let last: Option<(i64, Option<Hash>)> = last.query_row([], |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
    let (last, before) = last.unwrap_or_default();
    let seq = last.saturating_add(1);
    let entry = AuditRow { seq: from_sql(seq), ..entry.clone() };
    let mut statement = connection.prepare_cached(&format!(
        "INSERT INTO audit ({COLUMNS}) VALUES (:seq, :at, :actor, :role, :ip, :request, :action, :kind, :environment,
            :name, :id, :before, :after, :hash)"
    ))?;
    statement.execute(named_params! {
        ":seq": seq, ":at": to_sql(entry.at_ms), ":actor": entry.actor, ":role": entry.role, ":ip": entry.ip,
        ":request": entry.request_id, ":action": entry.action, ":kind": entry.kind,
        ":environment": entry.environment, ":name": entry.name, ":id": entry.resource_id.map(|id| id.0),
        ":before": entry.before, ":after": entry.after, ":hash": hash(&before.unwrap_or_default(), &entry),
    })?;
    Ok(())
}

/// Returns a page of the log, newest first.
pub(crate) fn list(connection: &Connection, query: &AuditQuery) -> Result<Vec<AuditRow>, StoreError> {
    let mut conditions = String::from("1");
    let mut values: Vec<Value> = Vec::new();
    let texts = [
        ("actor", &query.actor),
        ("action", &query.action),
        ("kind", &query.kind),
        ("environment", &query.environment),
        ("name", &query.name),
    ];
    for (column, value) in texts {
        if let Some(value) = value {
            conditions.push_str(&format!(" AND {column} = ?"));
            values.push(Value::Text(value.clone()));
        }
    }
    let numbers = [("at_ms >= ?", query.from_ms), ("at_ms < ?", query.to_ms), ("seq < ?", query.before)];
    for (condition, value) in numbers {
        if let Some(value) = value {
            conditions.push_str(&format!(" AND {condition}"));
            values.push(Value::Integer(to_sql(value)));
        }
    }
    values.push(Value::Integer(i64::try_from(query.limit).unwrap_or(i64::MAX)));
    let sql = format!("SELECT {COLUMNS} FROM audit WHERE {conditions} ORDER BY seq DESC LIMIT ?");
    let mut statement = connection.prepare_cached(&sql)?;
    let found = statement.query_map(params_from_iter(values), read)?;
    Ok(found.collect::<Result<_, _>>()?)
}

/// Looks at every entry of a data directory's log, oldest first, while others may add to it.
///
/// # Errors
/// When the database cannot be read; what is wrong with the log itself is in the verdict.
pub fn verify(data_dir: &Path, remembered: Option<Anchor>) -> Result<Verdict, StoreError> {
    let connection = sqlite::SCHEMA.open_reader(data_dir)?;
    let mut statement = connection.prepare(&format!("SELECT {COLUMNS} FROM audit ORDER BY seq"))?;
    let mut verdict = Verdict::default();
    let mut before = None;
    let mut met = remembered.is_none();
    for row in statement.query_map([], read)? {
        let row = row?;
        let expected = verdict.entries + 1;
        verdict.entries = expected;
        let fault = match row.hash {
            _ if row.seq != expected => Some(Fault::Missing(expected)),
            None if before.is_none() => None,
            Some(own) if own == hash(&before.unwrap_or_default(), &row) => None,
            _ => Some(Fault::Changed(row.seq)),
        };
        let replaced = remembered.filter(|anchor| anchor.seq == row.seq && row.hash != Some(anchor.hash));
        verdict.fault = fault.or(replaced.map(|anchor| Fault::Replaced(anchor.seq)));
        if verdict.fault.is_some() {
            return Ok(verdict);
        }
        verdict.without_hash += u64::from(row.hash.is_none());
        met |= remembered.is_some_and(|anchor| anchor.seq == row.seq);
        before = row.hash;
        verdict.head = row.hash.map(|hash| Anchor { seq: row.seq, hash });
    }
    verdict.fault = remembered.filter(|_| !met).map(|anchor| Fault::Missing(anchor.seq));
    Ok(verdict)
}

fn read(row: &Row<'_>) -> rusqlite::Result<AuditRow> {
    Ok(AuditRow {
        seq: from_sql(row.get(0)?),
        at_ms: from_sql(row.get(1)?),
        actor: row.get(2)?,
        role: row.get(3)?,
        ip: row.get(4)?,
        request_id: row.get(5)?,
        action: row.get(6)?,
        kind: row.get(7)?,
        environment: row.get(8)?,
        name: row.get(9)?,
        resource_id: row.get::<_, Option<[u8; 16]>>(10)?.map(ResourceId),
        before: row.get(11)?,
        after: row.get(12)?,
        hash: row.get(13)?,
    })
}

/// Every field stands behind its length, so that no two entries look alike to it; one that is absent has no length.
fn hash(before: &Hash, row: &AuditRow) -> Hash {
    let mut context = Context::new(&SHA256);
    context.update(DOMAIN);
    context.update(before);
    for number in [row.seq, row.at_ms] {
        context.update(&number.to_le_bytes());
    }
    let id = row.resource_id.map(|id| id.0);
    let text = |text: &'_ String| Some(text.as_bytes().to_vec());
    let fields = [
        text(&row.actor),
        text(&row.role),
        row.ip.as_ref().and_then(text),
        text(&row.request_id),
        text(&row.action),
        text(&row.kind),
        text(&row.environment),
        text(&row.name),
        id.map(Vec::from),
        row.before.as_ref().and_then(text),
        row.after.as_ref().and_then(text),
    ];
    for field in fields {
        let length = field.as_ref().map_or(u64::MAX, |field| field.len() as u64);
        context.update(&length.to_le_bytes());
        context.update(&field.unwrap_or_default());
    }
    let mut hash = [0; 32];
    hash.copy_from_slice(context.finish().as_ref());
    hash
}

/// Returns a hash in lower-case hexadecimal digits.
pub fn hex(hash: &Hash) -> String {
    hash.iter().map(|byte| format!("{byte:02x}")).collect()
}
