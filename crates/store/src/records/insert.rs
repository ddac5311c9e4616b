//! Writing rows. What a row costs counts as the cost of a request, so the rows of a batch are sorted into the order of
//! the table, and nothing is bound as text that can be a number.
//!
//! Rows are written many at a time, in the expectation that none of their places is taken. When one is, nothing tells
//! which, so that the batch is taken back and written row by row: that happens when a batch is delivered again, and when
//! two requests of a millisecond begin with the same 19 random bits.

use ir::settlement::Settlement;
use rusqlite::{OptionalExtension as _, Transaction};

use super::ledger::post::Poster;
use super::names::{Names, Numbers};
use super::rollup::sums::Measured;
use super::rollup::write::Batch;
use super::rows::{NULL, Row, Statements};
use super::{detail, seq};
use crate::{StoreError, to_sql};

/// The columns of a row.
const COLUMNS: usize = 27;

/// The places of those columns that are not numbers, counted from 0.
const ID: usize = 1;
const DETAIL: usize = 25;

/// The columns are in the order of the table, which is also the order of [`columns`].
const INSERT: &str = "INSERT OR IGNORE INTO requests VALUES {rows}";

/// What is reused from one batch to the next.
pub(super) struct Inserter {
    words: Words,
    /// The places that the rows of the batch want, and where in the batch they are.
    order: Vec<(i64, usize)>,
    insert: Statements<COLUMNS>,
    poster: Poster,
}

/// What the columns of a row are made with.
#[derive(Default)]
struct Words {
    names: Names,
    /// Holds the detail of one row.
    detail: Vec<u8>,
}

impl Inserter {
    /// Returns one that remembers nothing.
    pub(super) fn new() -> Self {
        Self { words: Words::default(), order: Vec::new(), insert: Statements::new(INSERT), poster: Poster::default() }
    }

    /// Writes the settlements of a batch, posts what they are charged, and counts them for the rollups; `false` when a
    /// place is taken, and the transaction is to be taken back.
    pub(super) fn insert_all(
        &mut self,
        transaction: &Transaction<'_>,
        batch: &[Settlement],
        sums: &mut Batch,
    ) -> Result<bool, StoreError> {
        self.put_in_order(batch);
        spread(&mut self.order);
        let Self { words, order, insert, poster } = self;
        let free = insert.write_all(transaction, order, |row, (place, index)| {
            let Some(one) = batch.get(*index) else { return Ok(()) };
            let numbers = words.bind(row, transaction, *place, one)?;
            sums.add(one.subject.id.unix_ms(), numbers.key, &Measured::of(one));
            poster.note(*place, *index, one);
            Ok(())
        })?;
        Ok(free && self.poster.post_all(transaction, &mut self.words.names, batch)?)
    }

    /// Writes those settlements of a batch that are not recorded yet, one by one, and returns where in the batch the
    /// others are. Of a row whose place is taken, either the same request is recorded, or it takes another.
    pub(super) fn insert_each(
        &mut self,
        transaction: &Transaction<'_>,
        batch: &[Settlement],
        sums: &mut Batch,
    ) -> Result<Vec<usize>, StoreError> {
        self.put_in_order(batch);
        let mut insert = self.insert.one(transaction)?;
        let mut known = Vec::new();
        for (mut place, index) in self.order.iter().copied() {
            let Some(one) = batch.get(index) else { continue };
            let numbers = loop {
                let numbers = self.words.bind(&mut insert.row(0), transaction, place, one)?;
                if insert.write()? == 1 {
                    break Some(numbers);
                }
                if occupant(transaction, place)?.is_none_or(|other| other == one.subject.id.0) {
                    break None;
                }
                place = seq::after(place);
            };
            match numbers {
                Some(numbers) => {
                    sums.add(one.subject.id.unix_ms(), numbers.key, &Measured::of(one));
                    self.poster.note(place, index, one);
                }
                None => known.push(index),
            }
        }
        self.poster.post_each(transaction, &mut self.words.names, batch)?;
        Ok(known)
    }

    /// Finds the places that the rows of a batch want, in order, and where in the batch they are.
    fn put_in_order(&mut self, batch: &[Settlement]) {
        self.order.clear();
        self.order.extend(batch.iter().enumerate().map(|(index, one)| (seq::wanted(one.subject.id), index)));
        self.order.sort_unstable();
    }

    /// Forgets what a failed transaction may have taken back.
    pub(super) fn forget(&mut self) {
        self.words.names.forget();
        self.poster.clear();
    }
}

impl Words {
    /// Binds a row and returns the numbers of what it names.
    fn bind(
        &mut self,
        row: &mut Row<'_, '_, COLUMNS>,
        transaction: &Transaction<'_>,
        place: i64,
        one: &Settlement,
    ) -> Result<Numbers, StoreError> {
        let numbers = self.names.numbers(transaction, one)?;
        let detail = detail::write(&mut self.detail, one)
            .map_err(|error| rusqlite::Error::ToSqlConversionFailure(error.into()))?;
        row.numbers(&columns(place, one, &numbers))?;
        row.blob(ID, &one.subject.id.0)?;
        row.blob(DETAIL, detail)?;
        Ok(numbers)
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

/// Returns the columns that are numbers, with nothing in the others' places.
fn columns(place: i64, settlement: &Settlement, numbers: &Numbers) -> [i64; COLUMNS] {
    let optional = |number: u32| if number == 0 { NULL } else { number.into() };
    let counted = |count: Option<u64>| count.map_or(NULL, to_sql);
    let key = &numbers.key;
    // Columns hold what people ask for; the finer buckets of the prices are folded into them.
    let usage = settlement.usage.folded();
    [
        place,
        NULL,
        key.caller.into(),
        optional(key.tags),
        key.surface.into(),
        optional(key.model),
        optional(key.provider),
        key.stream.into(),
        key.status.into(),
        key.outcome.into(),
        optional(key.error),
        to_sql(settlement.attempts.len() as u64),
        to_sql(usage.input),
        to_sql(usage.cached_input),
        to_sql(usage.cache_write),
        to_sql(usage.output),
        to_sql(usage.reasoning),
        to_sql(usage.audio_input),
        to_sql(usage.audio_output),
        numbers.usage_origin.into(),
        counted(settlement.cost.map(|cost| cost.0)),
        optional(numbers.baseline),
        counted(settlement.baseline_cost.map(|cost| cost.0)),
        to_sql(settlement.latency_us),
        counted(settlement.first_content_us),
        NULL,
        counted(settlement.charge.map(|charge| charge.total().0)),
    ]
}
