//! Posting what requests are charged, with their records: in the same transaction, several rows with one statement.

use std::sync::Arc;

use ir::id::RequestId;
use ir::settlement::Settlement;
use ir::usage::UsageOrigin;
use rusqlite::Transaction;

use super::super::names::Names;
use super::super::rows::{NULL, Row, Statements};
use super::super::seq;
use crate::{StoreError, to_sql};

/// The columns of a row.
const COLUMNS: usize = 11;

/// The place of the one column that is not a number, counted from 0.
const ID: usize = 2;

const INSERT: &str = "INSERT INTO ledger_charges
        (environment, seq, id, caller, tags, model, provider, estimated, credits, cost, margin)
    VALUES {rows} ON CONFLICT (environment, seq) DO NOTHING";

/// What is reused from one batch to the next.
pub(in crate::records) struct Poster {
    /// The places that records took whose request is charged, and where in the batch they are.
    charged: Vec<(i64, usize)>,
    sums: Sums,
    insert: Statements<COLUMNS>,
}

/// What is posted in this transaction, by environment: costs and margins.
#[derive(Default)]
struct Sums(Vec<(Arc<str>, i64, i64)>);

impl Default for Poster {
    fn default() -> Self {
        Self { charged: Vec::new(), sums: Sums::default(), insert: Statements::new(INSERT) }
    }
}

impl Poster {
    /// Notes a record that was written, if its request is charged.
    pub(in crate::records) fn note(&mut self, place: i64, index: usize, settlement: &Settlement) {
        if settlement.charge.is_some_and(|charge| charge.total().0 > 0) {
            self.charged.push((place, index));
        }
    }

    /// Forgets what was noted.
    pub(in crate::records) fn clear(&mut self) {
        self.charged.clear();
        self.sums.0.clear();
    }

    /// Posts what was noted. `false` when a place is taken: then the transaction is to be taken back.
    pub(in crate::records) fn post_all(
        &mut self,
        transaction: &Transaction<'_>,
        names: &mut Names,
        batch: &[Settlement],
    ) -> Result<bool, StoreError> {
        if self.charged.is_empty() {
            return Ok(true);
        }
        let Self { charged, sums, insert } = self;
        let free = insert.write_all(transaction, charged, |row, (place, index)| {
            let Some(one) = batch.get(*index) else { return Ok(()) };
            sums.count(one);
            bind(row, transaction, names, *place, one)
        })?;
        self.finish(transaction)?;
        Ok(free)
    }

    /// Posts what was noted, row by row; what is posted already is left alone. A place may be taken although the
    /// record's was free: records are deleted, transfers are not.
    pub(in crate::records) fn post_each(
        &mut self,
        transaction: &Transaction<'_>,
        names: &mut Names,
        batch: &[Settlement],
    ) -> Result<(), StoreError> {
        if self.charged.is_empty() {
            return Ok(());
        }
        let mut insert = self.insert.one(transaction)?;
        for (mut place, index) in self.charged.iter().copied() {
            let Some(one) = batch.get(index) else { continue };
            let environment = names.shared(transaction, &one.subject.environment)?;
            if is_posted(transaction, environment, one.subject.id)? {
                continue;
            }
            loop {
                bind(&mut insert.row(0), transaction, names, place, one)?;
                if insert.write()? == 1 {
                    break;
                }
                place = seq::after(place);
            }
            self.sums.count(one);
        }
        self.finish(transaction)
    }

    /// Brings the balances up to date.
    fn finish(&mut self, transaction: &Transaction<'_>) -> Result<(), StoreError> {
        let mut raise = transaction.prepare_cached(
            "INSERT INTO ledger_accounts (environment, credits, cost, margin) VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT (environment) DO UPDATE SET credits = credits + excluded.credits,
                cost = cost + excluded.cost, margin = margin + excluded.margin",
        )?;
        for (environment, cost, margin) in self.sums.0.drain(..) {
            raise.execute((&*environment, -(cost + margin), cost, margin))?;
        }
        self.charged.clear();
        Ok(())
    }
}

impl Sums {
    /// Adds a charge to what is posted.
    fn count(&mut self, one: &Settlement) {
        let charge = one.charge.unwrap_or_default();
        let (cost, margin) = (to_sql(charge.cost.0), to_sql(charge.margin.0));
        let environment = &one.subject.environment;
        match self.0.iter_mut().find(|(name, ..)| name == environment) {
            Some((_, costs, margins)) => (*costs, *margins) = (*costs + cost, *margins + margin),
            None => self.0.push((Arc::clone(environment), cost, margin)),
        }
    }
}

/// Binds the row of a charge.
fn bind(
    row: &mut Row<'_, '_, COLUMNS>,
    transaction: &Transaction<'_>,
    names: &mut Names,
    place: i64,
    one: &Settlement,
) -> Result<(), StoreError> {
    let charge = one.charge.unwrap_or_default();
    let (cost, margin) = (to_sql(charge.cost.0), to_sql(charge.margin.0));
    let key = names.numbers(transaction, one)?.key;
    let environment = names.shared(transaction, &one.subject.environment)?;
    let optional = |number: u32| if number == 0 { NULL } else { number.into() };
    // Where the cost is not known, what was held is charged.
    let estimated = one.usage_origin != UsageOrigin::Reported || one.cost.is_none();
    row.numbers(&[
        environment.into(),
        place,
        NULL,
        key.caller.into(),
        optional(key.tags),
        optional(key.model),
        optional(key.provider),
        estimated.into(),
        -cost.saturating_add(margin),
        cost,
        margin,
    ])?;
    row.blob(ID, &one.subject.id.0)?;
    Ok(())
}

/// Returns whether a request was charged before.
fn is_posted(transaction: &Transaction<'_>, environment: u32, id: RequestId) -> Result<bool, StoreError> {
    let places = seq::places(id);
    let sql = "SELECT 1 FROM ledger_charges WHERE environment = ?1 AND seq BETWEEN ?2 AND ?3 AND id = ?4";
    let mut statement = transaction.prepare_cached(sql)?;
    Ok(statement.exists((environment, places.start(), places.end(), id.0))?)
}
