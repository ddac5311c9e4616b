//! Writing rows. What a row costs counts as the cost of a request, so the rows of a batch are sorted into the order of
//! the table, and nothing is bound as text that can be a number.
//!
//! Rows are written several at a time, in the expectation that none of their places is taken. When one is, nothing tells
//! which, so that the batch is taken back and written row by row: that happens when a batch is delivered again, and when
//! two requests of a millisecond begin with the same 19 random bits.

use ir::settlement::Settlement;
use rusqlite::{CachedStatement, OptionalExtension as _, ToSql, Transaction};

use super::ledger::post::Poster;
use super::names::{Names, Numbers};
use super::rollup::sums::Measured;
use super::rollup::write::Batch;
use super::{detail, seq};
use crate::{StoreError, to_sql};

/// How many rows one statement writes: beginning and ending it takes 7 % of the instructions of a row on its own.
const GROUP: usize = 8;

/// The columns of a row.
const COLUMNS: usize = 27;

/// What is reused from one batch to the next.
pub(super) struct Inserter {
    names: Names,
    /// Holds the detail of one row.
    detail: Vec<u8>,
    /// The places that the rows of the batch want, and where in the batch they are.
    order: Vec<(i64, usize)>,
    insert_group: String,
    insert_one: String,
    poster: Poster,
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
            poster: Poster::default(),
        }
    }

    /// Writes the settlements of a batch, posts what they are charged, and counts them for the rollups; `false` when a place is taken, and the
    /// transaction is to be taken back.
    pub(super) fn insert_all(
        &mut self,
        transaction: &Transaction<'_>,
        batch: &[Settlement],
        sums: &mut Batch,
    ) -> Result<bool, StoreError> {
        let mut order = self.take_order(batch);
        spread(&mut order);
        let (groups, rest) = order.as_chunks::<GROUP>();
        let mut insert = transaction.prepare_cached(&self.insert_group)?;
        let mut free = true;
        for group in groups {
            free = free && self.insert_rows(&mut insert, transaction, batch, group, Some(sums))? == GROUP;
        }
        let mut insert = transaction.prepare_cached(&self.insert_one)?;
        for one in rest {
            let one = std::slice::from_ref(one);
            free = free && self.insert_rows(&mut insert, transaction, batch, one, Some(sums))? == 1;
        }
        for (place, index) in order.iter().copied() {
            if let Some(one) = batch.get(index) {
                self.poster.note(place, index, one);
            }
        }
        self.order = order;
        Ok(free && self.poster.post_all(transaction, &mut self.names, batch)?)
    }

    /// Writes those settlements of a batch that are not recorded yet, one by one, and returns where in the batch the
    /// others are. Of a row whose place is taken, either the same request is recorded, or it takes another.
    pub(super) fn insert_each(
        &mut self,
        transaction: &Transaction<'_>,
        batch: &[Settlement],
        sums: &mut Batch,
    ) -> Result<Vec<usize>, StoreError> {
        let order = self.take_order(batch);
        let mut insert = transaction.prepare_cached(&self.insert_one)?;
        let mut known = Vec::new();
        for (mut place, index) in order.iter().copied() {
            let Some(one) = batch.get(index) else { continue };
            let recorded = loop {
                if self.insert_rows(&mut insert, transaction, batch, &[(place, index)], None)? == 1 {
                    break false;
                }
                if occupant(transaction, place)?.is_none_or(|other| other == one.subject.id.0) {
                    break true;
                }
                place = seq::after(place);
            };
            if recorded {
                known.push(index);
            } else {
                let numbers = self.names.numbers(transaction, one)?;
                sums.add(one.subject.id.unix_ms(), numbers.key, &Measured::of(one));
                self.poster.note(place, index, one);
            }
        }
        self.order = order;
        self.poster.post_each(transaction, &mut self.names, batch)?;
        Ok(known)
    }

    /// Returns the places that the rows of a batch want, in order, and where in the batch they are.
    fn take_order(&mut self, batch: &[Settlement]) -> Vec<(i64, usize)> {
        let mut order = std::mem::take(&mut self.order);
        order.clear();
        order.extend(batch.iter().enumerate().map(|(index, one)| (seq::wanted(one.subject.id), index)));
        order.sort_unstable();
        order
    }

    /// Writes rows with one statement, counts them when told to, and returns how many had a free place.
    fn insert_rows(
        &mut self,
        insert: &mut CachedStatement<'_>,
        transaction: &Transaction<'_>,
        batch: &[Settlement],
        rows: &[(i64, usize)],
        mut sums: Option<&mut Batch>,
    ) -> Result<usize, StoreError> {
        for (row, (place, index)) in rows.iter().enumerate() {
            let Some(settlement) = batch.get(*index) else { continue };
            let numbers = self.names.numbers(transaction, settlement)?;
            let mut binder = Binder { insert, before: row * COLUMNS };
            binder.bind(1, place)?;
            bind(&mut binder, settlement, &numbers, &mut self.detail)?;
            if let Some(sums) = &mut sums {
                sums.add(settlement.subject.id.unix_ms(), numbers.key, &Measured::of(settlement));
            }
        }
        Ok(insert.raw_execute()?)
    }

    /// Forgets what a failed transaction may have taken back.
    pub(super) fn forget(&mut self) {
        self.names.forget();
        self.poster.clear();
    }
}

/// Gives those of a batch that want one place the next ones: most requests of a millisecond are in one batch. Whoever
/// looks for a request begins at the place that it wants, and goes on as this does.
fn spread(order: &mut [(i64, usize)]) {
    let mut last = None;
    for (place, _) in order {
        if let Some(last) = last.filter(|last| *place <= *last) {
            *place = seq::after(last);
        }
        last = Some(*place);
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
    settlement: &Settlement,
    numbers: &Numbers,
    buffer: &mut Vec<u8>,
) -> Result<(), StoreError> {
    let Settlement { subject, usage, .. } = settlement;
    let detail =
        detail::write(buffer, settlement).map_err(|error| rusqlite::Error::ToSqlConversionFailure(error.into()))?;
    let optional = |number: u32| (number != 0).then_some(number);
    let key = &numbers.key;
    row.bind(2, subject.id.0)?;
    row.bind(3, key.caller)?;
    row.bind(4, optional(key.tags))?;
    row.bind(5, key.surface)?;
    row.bind(6, optional(key.model))?;
    row.bind(7, optional(key.provider))?;
    row.bind(8, key.stream)?;
    row.bind(9, key.status)?;
    row.bind(10, key.outcome)?;
    row.bind(11, optional(key.error))?;
    row.bind(12, to_sql(settlement.attempts.len() as u64))?;
    // Columns hold what people ask for; the finer buckets of the prices are folded into them.
    let usage = usage.folded();
    row.bind(13, to_sql(usage.input))?;
    row.bind(14, to_sql(usage.cached_input))?;
    row.bind(15, to_sql(usage.cache_write))?;
    row.bind(16, to_sql(usage.output))?;
    row.bind(17, to_sql(usage.reasoning))?;
    row.bind(18, to_sql(usage.audio_input))?;
    row.bind(19, to_sql(usage.audio_output))?;
    row.bind(20, numbers.usage_origin)?;
    row.bind(21, settlement.cost.map(|cost| to_sql(cost.0)))?;
    row.bind(22, optional(numbers.baseline))?;
    row.bind(23, settlement.baseline_cost.map(|cost| to_sql(cost.0)))?;
    row.bind(24, to_sql(settlement.latency_us))?;
    row.bind(25, settlement.first_content_us.map(to_sql))?;
    row.bind(26, detail)?;
    row.bind(27, settlement.charge.map(|charge| to_sql(charge.total().0)))?;
    Ok(())
}
