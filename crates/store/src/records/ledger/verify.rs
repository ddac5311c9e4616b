//! Proving the ledger: that it balances, that the balances are what was posted, and that charges and records say the same.

use std::collections::HashMap;
use std::path::Path;

use ir::id::{EntryId, RequestId};
use ir::money::{Charge, SignedNanos};
use rusqlite::{Connection, OptionalExtension as _, Transaction};

use super::super::read::RecordsReader;
use super::super::{SCHEMA, SegmentId, find};
use super::{Account, Postings, read};
use crate::{StoreError, from_sql};

/// The most faults that are named, one by one; all are counted.
pub const MOST_NAMED: usize = 100;

/// What was looked at, and what is wrong.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verdict {
    /// How many charges there are.
    pub charges: u64,
    /// How many other transfers.
    pub credits: u64,
    /// How many environments have accounts.
    pub environments: u64,
    /// How many charges have their record still; the records of the others were deleted when their time was over.
    pub with_record: u64,
    /// How many faults.
    pub faults: u64,
    /// The first of them, each in a sentence.
    pub named: Vec<String>,
}

impl Verdict {
    /// Adds a fault.
    pub fn fault(&mut self, says: String) {
        self.faults += 1;
        if self.named.len() < MOST_NAMED {
            self.named.push(says);
        }
    }
}

/// A settlement as the journal has it, as far as the ledger is concerned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Journalled {
    /// The request.
    pub id: RequestId,
    /// Its environment.
    pub environment: String,
    /// What it is charged.
    pub charge: Option<Charge>,
}

/// One look at the database, which does not change while it is looked at.
pub struct Audit<'a> {
    transaction: Transaction<'a>,
    verdict: Verdict,
}

impl RecordsReader {
    /// Opens the records for an audit: `None` when there are none yet.
    ///
    /// # Errors
    /// When they cannot be opened, are corrupt, or were written by a newer or an older version.
    pub fn open_for_audit(data_dir: &Path) -> Result<Option<Self>, StoreError> {
        Ok(SCHEMA.open_reader_if_made(data_dir)?.map(|connection| Self { connection }))
    }

    /// Begins an audit.
    ///
    /// # Errors
    /// When the database fails.
    pub fn audit(&self) -> Result<Audit<'_>, StoreError> {
        let transaction = self.connection.unchecked_transaction()?;
        // The first look fixes what is seen from now on.
        transaction.query_row("SELECT count(*) FROM ledger_accounts", [], |row| row.get::<_, i64>(0))?;
        Ok(Audit { transaction, verdict: Verdict::default() })
    }
}

impl Audit<'_> {
    /// Returns up to where each segment of the journal is in the records.
    ///
    /// # Errors
    /// When the database fails.
    pub fn watermarks(&self) -> Result<HashMap<SegmentId, u64>, StoreError> {
        let mut statement = self.transaction.prepare("SELECT segment, offset FROM watermarks")?;
        let rows = statement.query_map([], |row| Ok((row.get(0)?, from_sql(row.get(1)?))))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Checks the tables: every transfer adds up to nothing, balances are what was posted, ids are unique, and charges
    /// and records say the same.
    ///
    /// # Errors
    /// When the database fails.
    pub fn tables(&mut self) -> Result<(), StoreError> {
        let mut posted: HashMap<String, [i128; 6]> = HashMap::new();
        self.charges(&mut posted)?;
        self.credits(&mut posted)?;
        self.balances(&posted)?;
        self.charged_records()?;
        self.recorded_charges()
    }

    /// Checks that what the journal has settled, and the records have taken, is in both with the same charge.
    ///
    /// # Errors
    /// When the database fails.
    pub fn settled(&mut self, one: &Journalled, segment: &str) -> Result<(), StoreError> {
        let charge = one.charge.map_or(0, |charge| charge.total().0);
        let place = find(&self.transaction, one.id)?;
        let entry = entry_of(&self.transaction, &one.environment, one.id)?;
        if place.is_none() && entry.is_none() && (charge > 0 || !self.is_swept(one)?) {
            self.verdict.fault(format!("{}: settled in journal segment {segment}, and not in the records", one.id));
            return Ok(());
        }
        let entered = entry.map_or(0, |entry| entry.unsigned_abs());
        if entered != charge {
            let [entered, charge] = [entered, charge].map(|nanos| ir::money::NanoUsd(nanos).to_string());
            self.verdict.fault(format!("{}: charged {entered} in the ledger and {charge} in the journal", one.id));
        }
        Ok(())
    }

    /// Returns whether a settlement is in the records or the ledger already.
    ///
    /// # Errors
    /// When the database fails.
    pub fn is_recorded(&self, id: RequestId) -> Result<bool, StoreError> {
        Ok(find(&self.transaction, id)?.is_some())
    }

    /// Adds a fault that somebody else found.
    pub fn fault(&mut self, says: String) {
        self.verdict.fault(says);
    }

    /// Returns what was found.
    pub fn verdict(self) -> Verdict {
        self.verdict
    }

    /// Whether records of the environment as old as this may have been deleted: a later one is the oldest.
    fn is_swept(&self, one: &Journalled) -> Result<bool, StoreError> {
        let sql = "SELECT min(r.seq) FROM requests r WHERE r.caller IN (SELECT id FROM callers WHERE environment = ?1)";
        let oldest: Option<i64> = self.transaction.query_row(sql, [&one.environment], |row| row.get(0))?;
        Ok(oldest.is_none_or(|oldest| oldest > super::super::seq::wanted(one.id)))
    }

    fn charges(&mut self, posted: &mut HashMap<String, [i128; 6]>) -> Result<(), StoreError> {
        let sql = "SELECT l.id, l.credits, l.cost, l.margin, l.environment, l.seq FROM ledger_charges l
            ORDER BY l.environment, l.seq";
        let mut statement = self.transaction.prepare(sql)?;
        let mut rows = statement.query([])?;
        let mut sums: HashMap<i64, [i128; 6]> = HashMap::new();
        // A request's charge stands at its instant: the same id twice is found among the few of one instant.
        let mut instant: (i64, u64, Vec<[u8; 16]>) = (0, 0, Vec::new());
        while let Some(row) = rows.next()? {
            let id: [u8; 16] = row.get(0)?;
            let postings = Postings([row.get(1)?, 0, 0, 0, row.get(2)?, row.get(3)?]);
            let (environment, ms) = (row.get(4)?, super::super::seq::instant(row.get(5)?));
            self.verdict.charges += 1;
            if instant.0 != environment || instant.1 != ms {
                instant = (environment, ms, Vec::new());
            }
            if instant.2.contains(&id) {
                self.verdict.fault(format!("{}: charged twice", RequestId(id)));
            }
            instant.2.push(id);
            if ms != RequestId(id).unix_ms() {
                self.verdict.fault(format!("{}: its charge does not stand at its instant", RequestId(id)));
            }
            check(&mut self.verdict, &RequestId(id).to_string(), &postings);
            add(sums.entry(environment).or_default(), &postings);
        }
        for (environment, sum) in sums {
            let name = "SELECT name FROM names WHERE id = ?1";
            let name: Option<String> = self.transaction.query_row(name, [environment], |row| row.get(0)).optional()?;
            match name {
                Some(name) => {
                    posted.insert(name, sum);
                }
                None => self.verdict.fault(format!("environment number {environment}: charges without a name")),
            }
        }
        Ok(())
    }

    fn credits(&mut self, posted: &mut HashMap<String, [i128; 6]>) -> Result<(), StoreError> {
        let sql = "SELECT environment, id, credits, funding, promotions, adjustments, 0, 0 FROM ledger_credits";
        let mut statement = self.transaction.prepare(sql)?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let postings = Postings::read(row, 2)?;
            self.verdict.credits += 1;
            check(&mut self.verdict, &EntryId(row.get(1)?).to_string(), &postings);
            add(posted.entry(row.get(0)?).or_default(), &postings);
        }
        let twice = "SELECT environment, reference FROM ledger_credits GROUP BY environment, reference
            HAVING count(*) > 1 UNION ALL
            SELECT min(environment), hex(id) FROM ledger_credits GROUP BY id HAVING count(*) > 1";
        let mut statement = self.transaction.prepare(twice)?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let (environment, reference): (String, String) = (row.get(0)?, row.get(1)?);
            self.verdict.fault(format!("environment {environment}: {reference:?} is there twice"));
        }
        Ok(())
    }

    /// Compares every balance with the sum of what was posted.
    fn balances(&mut self, posted: &HashMap<String, [i128; 6]>) -> Result<(), StoreError> {
        let sql = format!("SELECT environment, {} FROM ledger_accounts", read::ACCOUNTS);
        let mut statement = self.transaction.prepare(&sql)?;
        let rows = statement.query_map([], |row| Ok((row.get(0)?, Postings::read(row, 1)?)))?;
        let balances: HashMap<String, Postings> = rows.collect::<Result<_, _>>()?;
        self.verdict.environments = balances.len() as u64;
        let nothing = (Postings::default(), [0; 6]);
        let mut names: Vec<&String> = balances.keys().chain(posted.keys()).collect();
        names.sort_unstable();
        names.dedup();
        for name in names {
            let balance = balances.get(name).unwrap_or(&nothing.0);
            let sum = posted.get(name).unwrap_or(&nothing.1);
            for ((account, stands), replayed) in Account::ALL.into_iter().zip(balance.0).zip(*sum) {
                if i128::from(stands) != replayed {
                    let replayed = i64::try_from(replayed).unwrap_or(i64::MAX);
                    let (account, stands, replayed) = (account.name(), SignedNanos(stands), SignedNanos(replayed));
                    self.verdict.fault(format!(
                        "environment {name}: the balance of {account} is {stands}, and what was posted adds up to {replayed}"
                    ));
                }
            }
        }
        Ok(())
    }

    /// Compares charges with the records that are still kept. Records are deleted from the oldest on: from the oldest
    /// that is there, every charge has to have one.
    fn charged_records(&mut self) -> Result<(), StoreError> {
        let oldest = "SELECT n.id, min(r.seq) FROM callers c JOIN names n ON n.name = c.environment
            JOIN requests r ON r.caller = c.id GROUP BY n.id";
        let mut statement = self.transaction.prepare(oldest)?;
        let rows = statement.query_map([], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?)))?;
        let oldest: HashMap<i64, i64> = rows.collect::<Result<_, _>>()?;
        let sql = "SELECT l.id, r.charged_nanos, l.cost + l.margin, r.cost_nanos, l.cost, l.estimated, r.id IS NULL,
                l.environment, l.seq
            FROM ledger_charges l LEFT JOIN requests r ON r.seq = l.seq AND r.id = l.id";
        let mut statement = self.transaction.prepare(sql)?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let id = RequestId(row.get(0)?);
            if row.get(6)? {
                let (environment, seq): (i64, i64) = (row.get(7)?, row.get(8)?);
                let kept = oldest.get(&environment).is_some_and(|oldest| *oldest < seq);
                // One whose place was taken stands elsewhere.
                if kept && find(&self.transaction, id)?.is_none() {
                    self.verdict.fault(format!("{id}: charged, and there is no record of it"));
                }
                continue;
            }
            self.verdict.with_record += 1;
            let (recorded, charged): (Option<i64>, i64) = (row.get(1)?, row.get(2)?);
            if recorded != Some(charged) {
                let recorded = recorded.map_or("nothing".to_owned(), |nanos| SignedNanos(nanos).to_string());
                let charged = SignedNanos(charged);
                self.verdict.fault(format!("{id}: charged {charged} in the ledger and {recorded} in its record"));
            }
            let (cost, posted, estimated): (Option<i64>, i64, bool) = (row.get(3)?, row.get(4)?, row.get(5)?);
            let capped = from_sql(posted) == Charge::MOST_COST.0;
            if cost.map_or(!estimated, |cost| cost != posted && !capped) {
                self.verdict.fault(format!("{id}: its cost in the ledger is not that in its record"));
            }
        }
        Ok(())
    }

    /// Looks for the charge of every record that says that there is one.
    fn recorded_charges(&mut self) -> Result<(), StoreError> {
        let sql = "SELECT r.id, r.charged_nanos, c.environment FROM requests r
                LEFT JOIN callers c ON c.id = r.caller LEFT JOIN names n ON n.name = c.environment
                LEFT JOIN ledger_charges l ON l.environment = n.id AND l.seq = r.seq AND l.id = r.id
            WHERE r.charged_nanos > 0 AND l.id IS NULL";
        let mut statement = self.transaction.prepare(sql)?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let (id, charged) = (RequestId(row.get(0)?), SignedNanos(row.get(1)?));
            let environment: String = row.get::<_, Option<String>>(2)?.unwrap_or_default();
            match entry_of(&self.transaction, &environment, id)? {
                None => self.verdict.fault(format!("{id}: charged {charged} in its record, and not in the ledger")),
                Some(posted) if -posted != charged.0 => {
                    self.verdict.fault(format!("{id}: charged {charged} in its record, and otherwise in the ledger"));
                }
                Some(_) => self.verdict.with_record += 1,
            }
        }
        Ok(())
    }
}

/// Returns what a charge did to the credits.
fn entry_of(connection: &Connection, environment: &str, id: RequestId) -> Result<Option<i64>, StoreError> {
    let places = super::super::seq::places(id);
    let mut statement = connection.prepare_cached(
        "SELECT credits FROM ledger_charges WHERE environment = (SELECT id FROM names WHERE name = ?1)
            AND seq BETWEEN ?2 AND ?3 AND id = ?4",
    )?;
    let found = statement.query_row((environment, places.start(), places.end(), id.0), |row| row.get(0));
    Ok(found.optional()?)
}

fn check(verdict: &mut Verdict, name: &str, postings: &Postings) {
    if postings.sum() != 0 {
        verdict.fault(format!("{name}: what is posted adds up to {} nano-dollars, not to nothing", postings.sum()));
    }
}

fn add(sum: &mut [i128; 6], postings: &Postings) {
    for (sum, amount) in sum.iter_mut().zip(postings.0) {
        *sum += i128::from(amount);
    }
}
