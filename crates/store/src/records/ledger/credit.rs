//! Posting credits: top-ups, promotions, refunds, adjustments. They are few, and each is on the disk before anybody is
//! told of it.

use std::path::Path;

use ir::id::EntryId;
use ir::money::SignedNanos;
use rusqlite::{Connection, OptionalExtension as _, Row, Transaction, TransactionBehavior};

use super::super::{SCHEMA, seq};
use super::CreditKind;
use crate::StoreError;

/// The largest amount of one transfer, and the largest balance of either sign, in nano-dollars: a billion and four
/// billion US dollars.
pub const MOST_AMOUNT: i64 = 1_000_000_000_000_000_000;
const MOST_BALANCE: i64 = 4 * MOST_AMOUNT;

/// The most characters of a reference, and of a note.
const MAX_REFERENCE: usize = 128;
const MAX_NOTE: usize = 500;

/// What is to be posted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewCredit {
    /// The environment.
    pub environment: String,
    /// Why.
    pub kind: CreditKind,
    /// By how much the credits change: above zero, but below it for a refund, and either for an adjustment.
    pub credits: SignedNanos,
    /// What names it, unique in the environment: posting it again changes nothing.
    pub reference: String,
    /// What people should know of it.
    pub note: String,
    /// Who posts it.
    pub actor: String,
}

impl NewCredit {
    /// Returns it when it can be posted, as far as it says itself.
    ///
    /// # Errors
    /// [`PostError::BadAmount`], [`PostError::BadReference`], [`PostError::BadNote`].
    pub fn checked(self) -> Result<Self, PostError> {
        let (credits, reference) = (self.credits.0, &self.reference);
        let good = match self.kind {
            CreditKind::TopUp | CreditKind::Promotion => credits > 0,
            CreditKind::Refund => credits < 0,
            CreditKind::Adjustment => credits != 0,
        };
        if !good {
            return Err(PostError::BadAmount("the amount must be above zero; that of an adjustment may be below it"));
        }
        if credits.unsigned_abs() > MOST_AMOUNT.unsigned_abs() {
            return Err(PostError::BadAmount("one transfer is at most a billion US dollars"));
        }
        let printable = |text: &str| !text.chars().any(ir::plain::is_unsafe);
        let length = reference.chars().count();
        if !(1..=MAX_REFERENCE).contains(&length) || !printable(reference) || reference.trim() != reference {
            return Err(PostError::BadReference);
        }
        if self.note.chars().count() > MAX_NOTE || !printable(&self.note) {
            return Err(PostError::BadNote);
        }
        Ok(self)
    }
}

/// A transfer that was posted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credit {
    /// Its number in the order of posting.
    pub number: i64,
    /// Its id.
    pub id: EntryId,
    /// When it was posted, Unix milliseconds.
    pub at_ms: u64,
    /// What was posted.
    pub given: NewCredit,
}

/// What became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Posted {
    /// It was posted.
    Now {
        /// What was posted.
        credit: Credit,
        /// The balance of the credits after it.
        balance: SignedNanos,
    },
    /// It had been posted before.
    Before(Credit),
}

/// Why it was not posted.
#[derive(Debug, thiserror::Error)]
pub enum PostError {
    /// The reference is taken by another transfer.
    #[error("the reference {:?} was used for another transfer: {} of {} US dollars", .0.given.reference, .0.given.kind.name(), .0.given.credits)]
    ReferenceTaken(Box<Credit>),
    /// More is to be given back than there is.
    #[error("the balance is {0} US dollars: no more can be refunded")]
    BalanceTooLow(SignedNanos),
    /// The amount has the wrong sign, or is zero or too large.
    #[error("{0}")]
    BadAmount(&'static str),
    /// The reference is none.
    #[error("reference must be 1 to {MAX_REFERENCE} printable characters, without a blank at either end")]
    BadReference,
    /// The note is none.
    #[error("note must be one line of at most {MAX_NOTE} characters")]
    BadNote,
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<rusqlite::Error> for PostError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Store(error.into())
    }
}

/// A connection that posts credits. Any process may have one; the database lets one at a time write.
pub struct Ledger {
    connection: Connection,
}

impl Ledger {
    /// Opens `records.db`, creates it when it does not exist and brings its schema up to date.
    ///
    /// # Errors
    /// When it cannot be opened, is corrupt, or was written by a newer version.
    pub fn open(data_dir: &Path) -> Result<Self, StoreError> {
        let connection = SCHEMA.open_writer(data_dir)?;
        // Somebody paid for it: it survives a power loss.
        connection.pragma_update(None, "synchronous", "FULL")?;
        Ok(Self { connection })
    }

    /// Posts a transfer, unless it was posted before.
    ///
    /// # Errors
    /// [`PostError`]; then nothing was posted.
    pub fn post(&mut self, new: &NewCredit, now_ms: u64) -> Result<Posted, PostError> {
        let new = &new.clone().checked()?;
        let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        if let Some(before) = by_reference(&transaction, &new.environment, &new.reference)? {
            let same = before.given.kind == new.kind && before.given.credits == new.credits;
            return if same { Ok(Posted::Before(before)) } else { Err(PostError::ReferenceTaken(Box::new(before))) };
        }
        let balance = balance(&transaction, &new.environment)?;
        let after = balance.saturating_add(new.credits.0);
        if new.kind == CreditKind::Refund && after < 0 {
            return Err(PostError::BalanceTooLow(SignedNanos(balance)));
        }
        if !(-MOST_BALANCE..=MOST_BALANCE).contains(&after) {
            return Err(PostError::BadAmount("the balance would be beyond four billion US dollars"));
        }
        let id = EntryId::new(now_ms);
        let number = insert(&transaction, new, id)?;
        transaction.commit()?;
        let credit = Credit { number, id, at_ms: id.unix_ms(), given: new.clone() };
        Ok(Posted::Now { credit, balance: SignedNanos(after) })
    }
}

fn balance(transaction: &Transaction<'_>, environment: &str) -> Result<i64, StoreError> {
    let sql = "SELECT credits FROM ledger_accounts WHERE environment = ?1";
    let found = transaction.query_row(sql, [environment], |row| row.get(0)).optional()?;
    Ok(found.unwrap_or(0))
}

fn insert(transaction: &Transaction<'_>, new: &NewCredit, id: EntryId) -> Result<i64, StoreError> {
    let [credits, funding, promotions, adjustments, ..] = new.kind.postings(new.credits.0).0;
    let environment = new.environment.as_str();
    transaction.execute(
        "INSERT INTO ledger_credits (seq, id, environment, kind, reference, note, actor, credits, funding, promotions,
            adjustments) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
        (
            seq::wanted(ir::id::RequestId(id.0)),
            id.0,
            environment,
            new.kind.name(),
            &new.reference,
            &new.note,
            &new.actor,
            credits,
            funding,
            promotions,
            adjustments,
        ),
    )?;
    let number = transaction.last_insert_rowid();
    transaction.execute(
        "INSERT INTO ledger_accounts (environment, credits, funding, promotions, adjustments)
            VALUES (?1, ?2, ?3, ?4, ?5)
            ON CONFLICT (environment) DO UPDATE SET credits = credits + excluded.credits,
                funding = funding + excluded.funding, promotions = promotions + excluded.promotions,
                adjustments = adjustments + excluded.adjustments",
        (environment, credits, funding, promotions, adjustments),
    )?;
    Ok(number)
}

fn by_reference(connection: &Connection, environment: &str, reference: &str) -> Result<Option<Credit>, StoreError> {
    let sql = format!("SELECT {COLUMNS} FROM ledger_credits WHERE environment = ?1 AND reference = ?2");
    Ok(connection.query_row(&sql, (environment, reference), read).optional()?)
}

/// The columns that [`read`] reads.
pub(super) const COLUMNS: &str = "number, id, environment, kind, reference, note, actor, credits";

/// Reads a transfer.
pub(super) fn read(row: &Row<'_>) -> rusqlite::Result<Credit> {
    let id = EntryId(row.get(1)?);
    let kind = row.get_ref(3)?.as_str()?;
    let given = NewCredit {
        environment: row.get(2)?,
        // A kind of a later version has an effect on the credits all the same.
        kind: CreditKind::named(kind).unwrap_or(CreditKind::Adjustment),
        credits: SignedNanos(row.get(7)?),
        reference: row.get(4)?,
        note: row.get(5)?,
        actor: row.get(6)?,
    };
    Ok(Credit { number: row.get(0)?, id, at_ms: id.unix_ms(), given })
}
