//! Posting what requests are charged, with their records: in the same transaction, several rows with one statement.

use std::sync::Arc;

use ir::id::RequestId;
use ir::settlement::Settlement;
use ir::usage::UsageOrigin;
use rusqlite::{CachedStatement, Transaction};

use super::super::names::Names;
use super::super::seq;
use crate::{StoreError, to_sql};

/// How many rows one statement writes.
const GROUP: usize = 8;

/// The columns of a row.
const COLUMNS: usize = 11;

/// What is reused from one batch to the next.
pub(in crate::records) struct Poster {
    /// The places that records took whose request is charged, and where in the batch they are.
    charged: Vec<(i64, usize)>,
    /// What is posted in this transaction, by environment.
    sums: Vec<(Arc<str>, i64, i64)>,
    insert_group: String,
    insert_one: String,
}

impl Default for Poster {
    fn default() -> Self {
        Self { charged: Vec::new(), sums: Vec::new(), insert_group: insert_sql(GROUP), insert_one: insert_sql(1) }
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
        self.sums.clear();
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
        let charged = std::mem::take(&mut self.charged);
        let (groups, rest) = charged.as_chunks::<GROUP>();
        let mut free = true;
        let mut insert = transaction.prepare_cached(&self.insert_group)?;
        for group in groups {
            free = free && self.insert(&mut insert, transaction, names, batch, group)? == GROUP;
        }
        let mut insert = transaction.prepare_cached(&self.insert_one)?;
        for one in rest {
            free = free && self.insert(&mut insert, transaction, names, batch, std::slice::from_ref(one))? == 1;
        }
        self.charged = charged;
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
        let charged = std::mem::take(&mut self.charged);
        let mut insert = transaction.prepare_cached(&self.insert_one)?;
        for (mut place, index) in charged.iter().copied() {
            let Some(one) = batch.get(index) else { continue };
            let environment = names.name(transaction, &one.subject.environment)?;
            if is_posted(transaction, environment, one.subject.id)? {
                continue;
            }
            while self.insert(&mut insert, transaction, names, batch, &[(place, index)])? == 0 {
                // It was counted for the sums, and not posted.
                self.count(one, -1);
                place = seq::after(place);
            }
        }
        self.charged = charged;
        self.finish(transaction)
    }

    /// Writes rows with one statement and returns how many had a free place.
    fn insert(
        &mut self,
        insert: &mut CachedStatement<'_>,
        transaction: &Transaction<'_>,
        names: &mut Names,
        batch: &[Settlement],
        rows: &[(i64, usize)],
    ) -> Result<usize, StoreError> {
        for (row, (place, index)) in rows.iter().enumerate() {
            let Some(one) = batch.get(*index) else { continue };
            let charge = one.charge.unwrap_or_default();
            let (cost, margin) = (to_sql(charge.cost.0), to_sql(charge.margin.0));
            let numbers = names.numbers(transaction, one)?;
            let environment = names.name(transaction, &one.subject.environment)?;
            let optional = |number: u32| (number != 0).then_some(number);
            // Where the cost is not known, what was held is charged.
            let estimated = one.usage_origin != UsageOrigin::Reported || one.cost.is_none();
            let first = row * COLUMNS;
            insert.raw_bind_parameter(first + 1, environment)?;
            insert.raw_bind_parameter(first + 2, place)?;
            insert.raw_bind_parameter(first + 3, one.subject.id.0)?;
            insert.raw_bind_parameter(first + 4, numbers.key.caller)?;
            insert.raw_bind_parameter(first + 5, optional(numbers.key.tags))?;
            insert.raw_bind_parameter(first + 6, optional(numbers.key.model))?;
            insert.raw_bind_parameter(first + 7, optional(numbers.key.provider))?;
            insert.raw_bind_parameter(first + 8, estimated)?;
            insert.raw_bind_parameter(first + 9, -cost.saturating_add(margin))?;
            insert.raw_bind_parameter(first + 10, cost)?;
            insert.raw_bind_parameter(first + 11, margin)?;
            self.count(one, 1);
        }
        Ok(insert.raw_execute()?)
    }

    /// Adds a charge to what is posted, or takes it away again.
    fn count(&mut self, one: &Settlement, times: i64) {
        let charge = one.charge.unwrap_or_default();
        let (cost, margin) = (times * to_sql(charge.cost.0), times * to_sql(charge.margin.0));
        let environment = &one.subject.environment;
        match self.sums.iter_mut().find(|(name, ..)| name == environment) {
            Some((_, costs, margins)) => (*costs, *margins) = (*costs + cost, *margins + margin),
            None => self.sums.push((Arc::clone(environment), cost, margin)),
        }
    }

    /// Brings the balances up to date.
    fn finish(&mut self, transaction: &Transaction<'_>) -> Result<(), StoreError> {
        let mut raise = transaction.prepare_cached(
            "INSERT INTO ledger_accounts (environment, credits, cost, margin) VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT (environment) DO UPDATE SET credits = credits + excluded.credits,
                cost = cost + excluded.cost, margin = margin + excluded.margin",
        )?;
        for (environment, cost, margin) in self.sums.drain(..) {
            raise.execute((&*environment, -(cost + margin), cost, margin))?;
        }
        self.charged.clear();
        Ok(())
    }
}

/// Returns whether a request was charged before.
fn is_posted(transaction: &Transaction<'_>, environment: u32, id: RequestId) -> Result<bool, StoreError> {
    let places = seq::places(id);
    let sql = "SELECT 1 FROM ledger_charges WHERE environment = ?1 AND seq BETWEEN ?2 AND ?3 AND id = ?4";
    let mut statement = transaction.prepare_cached(sql)?;
    Ok(statement.exists((environment, places.start(), places.end(), id.0))?)
}

fn insert_sql(rows: usize) -> String {
    let row = format!("({})", vec!["?"; COLUMNS].join(","));
    let columns = "environment, seq, id, caller, tags, model, provider, estimated, credits, cost, margin";
    let rows = vec![row; rows].join(",");
    format!("INSERT INTO ledger_charges ({columns}) VALUES {rows} ON CONFLICT (environment, seq) DO NOTHING")
}
