//! What counters of limits want of a request beside its record: users, addresses and buckets, tries that failed, and what
//! was held where nobody knows what was used. It is only read after a restart, and most requests have nothing of the kind.

use ir::id::ResourceId;
use ir::settlement::{Held, Party, Settlement};
use rusqlite::Transaction;
use serde::{Deserialize, Serialize};

use super::read::RecordsReader;
use crate::{StoreError, to_sql};

/// The form of what is stored; a field is only ever added together with a new one.
const VERSION: u8 = 1;

/// How many rows are deleted at once.
const ROWS_AT_ONCE: i64 = 500;

/// What is stored of a request, and read back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Beside {
    version: u8,
    /// When it was admitted, Unix milliseconds.
    #[serde(skip)]
    pub at_ms: u64,
    /// The key; `None` for `anonymous`.
    pub key: Option<ResourceId>,
    /// The key's team at that time.
    pub team: Option<String>,
    /// The provider that answered.
    pub provider: Option<String>,
    /// The model that answered.
    pub model: Option<String>,
    /// Whether limits count it as a request.
    pub counts: bool,
    /// All input tokens.
    pub input_tokens: u64,
    /// All output tokens.
    pub output_tokens: u64,
    /// What it cost, nano-dollars; 0 when that is unknown.
    pub cost_nanos: u64,
    /// What was held, where nobody knows what was used.
    pub held: Option<Held>,
    /// The provider and the model of every try that failed.
    pub tries: Vec<(String, String)>,
    /// Whose use it was beside key and team.
    pub parties: Vec<Party>,
}

impl Beside {
    /// Returns what a settlement leaves; `None` when its record says it all.
    fn of(settlement: &Settlement) -> Option<Self> {
        let owned = |text: &Option<std::sync::Arc<str>>| text.as_deref().map(str::to_owned);
        let tries: Vec<_> =
            settlement.failed_tries().map(|one| (one.provider.to_string(), one.model.to_string())).collect();
        if tries.is_empty() && settlement.parties.is_empty() && settlement.held.is_none() {
            return None;
        }
        Some(Self {
            version: VERSION,
            at_ms: settlement.subject.id.unix_ms(),
            key: settlement.subject.key,
            team: owned(&settlement.subject.team),
            provider: owned(&settlement.provider),
            model: owned(&settlement.model),
            counts: settlement.counts(),
            input_tokens: settlement.usage.input_tokens(),
            output_tokens: settlement.usage.output_tokens(),
            cost_nanos: settlement.cost.map_or(0, |cost| cost.0),
            held: settlement.held,
            tries,
            parties: settlement.parties.clone(),
        })
    }
}

/// Writes what the settlements of a batch leave. One that is there already stays as it is: a batch may come again.
pub(super) fn write(transaction: &Transaction<'_>, batch: &[Settlement]) -> Result<(), StoreError> {
    for settlement in batch {
        let Some(beside) = Beside::of(settlement) else { continue };
        let detail =
            postcard::to_stdvec(&beside).map_err(|error| rusqlite::Error::ToSqlConversionFailure(error.into()))?;
        let id = settlement.subject.id;
        transaction
            .prepare_cached("INSERT OR IGNORE INTO counted (environment, at_ms, id, detail) VALUES (?1, ?2, ?3, ?4)")?
            .execute((&*settlement.subject.environment, to_sql(id.unix_ms()), id.0, detail))?;
    }
    Ok(())
}

/// Deletes some of what an environment left before an instant.
pub(super) fn sweep(transaction: &Transaction<'_>, environment: &str, before_ms: u64) -> Result<(), StoreError> {
    transaction
        .prepare_cached(
            "DELETE FROM counted WHERE environment = ?1 AND at_ms <= (SELECT max(at_ms) FROM
                (SELECT at_ms FROM counted WHERE environment = ?1 AND at_ms < ?2 ORDER BY at_ms LIMIT ?3))",
        )?
        .execute((environment, to_sql(before_ms), ROWS_AT_ONCE))?;
    Ok(())
}

impl RecordsReader {
    /// Hands over what the requests of an environment left that were admitted from an instant on (Unix milliseconds), in
    /// the order of their admission.
    ///
    /// # Errors
    /// When the database fails, and when what it holds cannot be read.
    pub fn beside(&self, environment: &str, from_ms: u64, mut take: impl FnMut(&Beside)) -> Result<(), StoreError> {
        let mut statement = self.connection.prepare_cached(
            "SELECT at_ms, detail FROM counted WHERE environment = ?1 AND at_ms >= ?2 ORDER BY at_ms",
        )?;
        let mut rows = statement.query((environment, to_sql(from_ms)))?;
        while let Some(row) = rows.next()? {
            let at_ms = crate::from_sql(row.get(0)?);
            let bytes = row.get_ref(1)?.as_blob().map_err(rusqlite::Error::from)?;
            let unreadable = |reason: String| StoreError::Document {
                what: format!("what limits count of {environment} at {at_ms}"),
                source: serde::de::Error::custom(reason),
            };
            if bytes.first() != Some(&VERSION) {
                return Err(unreadable("it has an unknown version".to_owned()));
            }
            let mut beside: Beside = postcard::from_bytes(bytes).map_err(|error| unreadable(error.to_string()))?;
            beside.at_ms = at_ms;
            take(&beside);
        }
        Ok(())
    }
}
