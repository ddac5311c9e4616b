//! Writing rows. What a row costs counts as the cost of a request, so the rows of a batch are sorted into the order of
//! the table, and nothing is bound as text that can be a number.

use ir::settlement::Settlement;
use rusqlite::{CachedStatement, OptionalExtension as _, ToSql, Transaction};

use super::names::Names;
use super::{detail, seq};
use crate::{StoreError, to_sql};

/// How many rows one statement writes: beginning and ending it takes 7 % of the instructions of a row on its own.
const GROUP: usize = 8;

/// The columns of a row.
const COLUMNS: usize = 25;

/// What is reused from one batch to the next.
pub(super) struct Inserter {
    names: Names,
    /// Holds the detail of one row.
    detail: Vec<u8>,
    /// The places that the rows of the batch want, and where in the batch they are.
    order: Vec<(i64, usize)>,
    insert_group: String,
    insert_one: String,
}

impl Inserter {
    /// Returns one that remembers nothing.
    pub(super) fn new() -> Self {
        Self {
            names: Names::default(),
            detail: Vec::new(),
            order: Vec::new(),
            insert_group: insert_sql(GROUP),
            insert_one: insert_sql(1),
        }
    }

    /// Writes those settlements of a batch that are not recorded yet.
    pub(super) fn insert(&mut self, transaction: &Transaction<'_>, batch: &[Settlement]) -> Result<(), StoreError> {
        if batch.is_empty() {
            return Ok(());
        }
        self.order.clear();
        self.order.extend(batch.iter().enumerate().map(|(index, one)| (seq::wanted(one.subject.id), index)));
        self.order.sort_unstable();
        let order = std::mem::take(&mut self.order);
        let (groups, rest) = order.as_chunks::<GROUP>();
        let mut insert = transaction.prepare_cached(&self.insert_group)?;
        for group in groups {
            if self.insert_rows(&mut insert, transaction, batch, group)? < GROUP {
                self.insert_each(transaction, batch, group)?;
            }
        }
        self.insert_each(transaction, batch, rest)?;
        self.order = order;
        Ok(())
    }

    /// Writes rows with one statement, and returns how many had a free place.
    fn insert_rows(
        &mut self,
        insert: &mut CachedStatement<'_>,
        transaction: &Transaction<'_>,
        batch: &[Settlement],
        rows: &[(i64, usize)],
    ) -> Result<usize, StoreError> {
        for (row, (place, index)) in rows.iter().enumerate() {
            let Some(settlement) = batch.get(*index) else { continue };
            let mut binder = Binder { insert, before: row * COLUMNS };
            binder.bind(1, place)?;
            bind(&mut binder, transaction, settlement, &mut self.names, &mut self.detail)?;
        }
        Ok(insert.raw_execute()?)
    }

    /// Writes rows one by one: of a row whose place is taken, either the same request is recorded, or it takes another.
    fn insert_each(
        &mut self,
        transaction: &Transaction<'_>,
        batch: &[Settlement],
        rows: &[(i64, usize)],
    ) -> Result<(), StoreError> {
        let mut insert = transaction.prepare_cached(&self.insert_one)?;
        for (mut place, index) in rows.iter().copied() {
            let id = batch.get(index).map(|one| one.subject.id.0);
            while self.insert_rows(&mut insert, transaction, batch, &[(place, index)])? == 0
                && occupant(transaction, place)?.is_some_and(|other| Some(other) != id)
            {
                place = seq::after(place);
            }
        }
        Ok(())
    }

    /// Forgets what a failed transaction may have taken back.
    pub(super) fn forget(&mut self) {
        self.names.forget();
    }
}

/// Returns the request at a place.
fn occupant(transaction: &Transaction<'_>, place: i64) -> Result<Option<[u8; 16]>, StoreError> {
    let mut statement = transaction.prepare_cached("SELECT id FROM requests WHERE seq = ?1")?;
    Ok(statement.query_row([place], |row| row.get(0)).optional()?)
}

/// The columns are in the order of the table, which is also the order of [`bind`].
fn insert_sql(rows: usize) -> String {
    let row = format!("({})", vec!["?"; COLUMNS].join(","));
    format!("INSERT OR IGNORE INTO requests VALUES {}", vec![row; rows].join(","))
}

/// The parameters of one row.
struct Binder<'a, 'c> {
    insert: &'a mut CachedStatement<'c>,
    before: usize,
}

impl Binder<'_, '_> {
    fn bind(&mut self, column: usize, value: impl ToSql) -> rusqlite::Result<()> {
        self.insert.raw_bind_parameter(self.before + column, value)
    }
}

/// Binds all but the place.
fn bind(
    row: &mut Binder<'_, '_>,
    transaction: &Transaction<'_>,
    settlement: &Settlement,
    names: &mut Names,
    buffer: &mut Vec<u8>,
) -> Result<(), StoreError> {
    let Settlement { subject, usage, .. } = settlement;
    let detail =
        detail::write(buffer, settlement).map_err(|error| rusqlite::Error::ToSqlConversionFailure(error.into()))?;
    row.bind(2, subject.id.0)?;
    row.bind(3, names.caller(transaction, &subject.environment, &subject.key_name)?)?;
    row.bind(4, subject.key.map(|id| id.0))?;
    row.bind(5, names.name(transaction, &subject.surface)?)?;
    row.bind(6, names.optional(transaction, settlement.model.as_deref())?)?;
    row.bind(7, names.optional(transaction, settlement.provider.as_deref())?)?;
    row.bind(8, subject.stream)?;
    row.bind(9, settlement.status)?;
    row.bind(10, names.name(transaction, settlement.outcome.name())?)?;
    row.bind(11, names.optional(transaction, settlement.error_code.as_deref())?)?;
    // Columns hold what people ask for; the finer buckets of the prices are folded into them.
    row.bind(12, to_sql(usage.input.saturating_add(usage.image_input)))?;
    row.bind(13, to_sql(usage.cached_input))?;
    row.bind(14, to_sql(usage.cache_writes()))?;
    row.bind(15, to_sql(usage.output.saturating_add(usage.image_output)))?;
    row.bind(16, to_sql(usage.reasoning))?;
    row.bind(17, to_sql(usage.audio_input))?;
    row.bind(18, to_sql(usage.audio_output))?;
    row.bind(19, names.name(transaction, settlement.usage_origin.name())?)?;
    row.bind(20, settlement.cost.map(|cost| to_sql(cost.0)))?;
    row.bind(21, names.optional(transaction, settlement.baseline.as_deref())?)?;
    row.bind(22, settlement.baseline_cost.map(|cost| to_sql(cost.0)))?;
    row.bind(23, to_sql(settlement.latency_us))?;
    row.bind(24, settlement.first_content_us.map(to_sql))?;
    row.bind(25, detail)?;
    Ok(())
}
