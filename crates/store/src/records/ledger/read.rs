//! Reading the ledger: balances, what was posted since, and entries, newest first.

use ir::civil::rfc3339;
use ir::id::{EntryId, RequestId, ResourceId};
use ir::money::SignedNanos;
use rusqlite::{Connection, OptionalExtension as _, Row, ToSql};
use serde::Serialize;
use serde_json::{Map, Value};

use super::super::read::RecordsReader;
use super::super::seq;
use super::credit::Credit;
use super::{Account, CreditKind, Postings, credit};
use crate::StoreError;

/// The most entries on a page.
pub const MAX_LIMIT: usize = 200;
const DEFAULT_LIMIT: usize = 50;

/// What a cursor begins with: the version of its form.
const CURSOR: &str = "l1_";

/// Where the accounts stand, and how far the transfers are that this includes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// The accounts of every environment that has some.
    pub accounts: Vec<(String, Postings)>,
    /// The number of the last transfer that is not a charge.
    pub number: i64,
}

/// Which entries to list. Absent conditions do not bind.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EntryQuery {
    /// The environment.
    pub environment: String,
    /// `charge`, or the name of a [`CreditKind`].
    pub kind: Option<String>,
    /// From this instant on, Unix milliseconds.
    pub from_ms: Option<u64>,
    /// Before this instant.
    pub to_ms: Option<u64>,
    /// How many, at most [`MAX_LIMIT`]; 50 when absent.
    pub limit: Option<usize>,
    /// Where the page before ended.
    pub cursor: Option<String>,
}

/// One transfer, as the admin API shows it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Entry {
    /// Its id.
    pub id: String,
    /// When the request was made, or the transfer posted; RFC 3339 in UTC.
    pub at: String,
    /// `charge`, `top_up`, `promotion`, `refund` or `adjustment`.
    pub kind: String,
    /// By how much the credits change, US dollars as text.
    pub amount_usd: String,
    /// What is posted to each account that is concerned, US dollars as text; the sum is zero.
    pub postings: Map<String, Value>,
    /// The request that is charged.
    pub request_id: Option<String>,
    /// Whether the usage was estimated; absent for what is no charge.
    pub estimated: Option<bool>,
    /// The key that the request came with.
    pub key: Option<EntryKey>,
    /// The key's team at that time.
    pub team: Option<String>,
    /// The tags that the charge is booked under.
    pub cost_tags: Vec<String>,
    /// The model that answered.
    pub model: Option<String>,
    /// The provider that answered.
    pub provider: Option<String>,
    /// What names the transfer, when it is no charge.
    pub reference: Option<String>,
    /// What people should know of it.
    pub note: Option<String>,
    /// Who posted it.
    pub actor: Option<String>,
}

/// The key that a charged request came with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct EntryKey {
    /// Its resource; `None` for the built-in key.
    pub id: Option<String>,
    /// Its name at that time.
    pub name: String,
}

/// One page of entries.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct EntryPage {
    /// The entries, newest first.
    pub data: Vec<Entry>,
    /// Where the next page begins; `None` when this is the last.
    pub next_cursor: Option<String>,
}

/// The columns of [`Postings`].
pub(super) const ACCOUNTS: &str = "credits, funding, promotions, adjustments, cost, margin";

impl RecordsReader {
    /// Returns where every account stands, all at one instant.
    ///
    /// # Errors
    /// When the database fails.
    pub fn ledger_standing(&self) -> Result<Standing, StoreError> {
        let transaction = self.connection.unchecked_transaction()?;
        let mut statement = transaction.prepare(&format!("SELECT environment, {ACCOUNTS} FROM ledger_accounts"))?;
        let rows = statement.query_map([], |row| Ok((row.get(0)?, Postings::read(row, 1)?)))?;
        let accounts = rows.collect::<Result<_, _>>()?;
        let number =
            transaction.query_row("SELECT coalesce(max(number), 0) FROM ledger_credits", [], |row| row.get(0))?;
        Ok(Standing { accounts, number })
    }

    /// Returns where the accounts of an environment stand; all zero when it has none.
    ///
    /// # Errors
    /// When the database fails.
    pub fn ledger_accounts(&self, environment: &str) -> Result<Postings, StoreError> {
        accounts(&self.connection, environment)
    }

    /// Returns the transfers, other than charges, that were posted after one, by its number, in their order.
    ///
    /// # Errors
    /// When the database fails.
    pub fn credits_after(&self, number: i64) -> Result<Vec<Credit>, StoreError> {
        let sql = format!("SELECT {} FROM ledger_credits WHERE number > ?1 ORDER BY number", credit::COLUMNS);
        let mut statement = self.connection.prepare_cached(&sql)?;
        let rows = statement.query_map([number], credit::read)?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Returns a page of the entries of an environment, newest first.
    ///
    /// # Errors
    /// [`StoreError::BadCursor`], or when the database fails.
    pub fn ledger_entries(&self, query: &EntryQuery) -> Result<EntryPage, StoreError> {
        let limit = query.limit.unwrap_or(DEFAULT_LIMIT).clamp(1, MAX_LIMIT);
        let cursor = query.cursor.as_deref().map(Cursor::read).transpose()?;
        let (before_charges, before_credits) = cursor.map_or((i64::MAX, i64::MAX), Cursor::bounds);
        let to = query.to_ms.map_or(i64::MAX, seq::first_at);
        let from = query.from_ms.map_or(i64::MIN, seq::first_at);
        let kind = query.kind.as_deref();
        let transaction = self.connection.unchecked_transaction()?;
        let wanted = i64::try_from(limit + 1).unwrap_or(i64::MAX);
        let mut found = Vec::new();
        if kind.is_none_or(|kind| kind == "charge") {
            let bounds = (&*query.environment, from, to.min(before_charges), wanted);
            found.extend(entries(&transaction, CHARGES, bounds, kind, charge)?);
        }
        if kind.is_none_or(|kind| CreditKind::named(kind).is_some()) {
            let bounds = (&*query.environment, from, to.min(before_credits), wanted);
            found.extend(entries(&transaction, CREDITS, bounds, kind, other)?);
        }
        found.sort_by_key(|(cursor, _)| std::cmp::Reverse(*cursor));
        let more = found.len() > limit;
        found.truncate(limit);
        let next_cursor = found.last().filter(|_| more).map(|(cursor, _)| cursor.text());
        Ok(EntryPage { data: found.into_iter().map(|(_, entry)| entry).collect(), next_cursor })
    }
}

/// Returns where the accounts of an environment stand.
pub(super) fn accounts(connection: &Connection, environment: &str) -> Result<Postings, StoreError> {
    let sql = format!("SELECT {ACCOUNTS} FROM ledger_accounts WHERE environment = ?1");
    let found = connection.query_row(&sql, [environment], |row| Postings::read(row, 0)).optional()?;
    Ok(found.unwrap_or_default())
}

/// Where an entry stands in the order of the list: by its place; a charge before another transfer of the same.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Cursor(i64, bool);

impl Cursor {
    fn text(self) -> String {
        format!("{CURSOR}{:016x}{}", self.0, u8::from(self.1))
    }

    fn read(text: &str) -> Result<Self, StoreError> {
        let digits = text.strip_prefix(CURSOR).filter(|digits| digits.len() == 17 && digits.is_ascii());
        let (place, other) = digits.and_then(|digits| digits.split_at_checked(16)).ok_or(StoreError::BadCursor)?;
        let lower = place.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte));
        let place = i64::from_str_radix(place, 16).ok().filter(|_| lower).ok_or(StoreError::BadCursor)?;
        match other {
            "0" => Ok(Self(place, false)),
            "1" => Ok(Self(place, true)),
            _ => Err(StoreError::BadCursor),
        }
    }

    /// Returns before which places the charges and the other transfers go on.
    fn bounds(self) -> (i64, i64) {
        (self.0.saturating_add(i64::from(self.1)), self.0)
    }
}

const CHARGES: &str = "
    SELECT l.seq, l.id, l.credits, l.cost, l.margin, l.estimated, c.key_id, c.key_name, c.team, t.tags, m.name, p.name
    FROM ledger_charges l LEFT JOIN callers c ON c.id = l.caller LEFT JOIN tag_sets t ON t.id = l.tags
        LEFT JOIN names m ON m.id = l.model LEFT JOIN names p ON p.id = l.provider
    WHERE l.environment = (SELECT id FROM names WHERE name = ?1) AND l.seq >= ?2 AND l.seq < ?3 AND ?5 IS ?5
    ORDER BY l.seq DESC LIMIT ?4";

const CREDITS: &str = "
    SELECT seq, id, credits, funding, promotions, adjustments, kind, reference, note, actor
    FROM ledger_credits
    WHERE environment = ?1 AND seq >= ?2 AND seq < ?3 AND (?5 IS NULL OR kind = ?5)
    ORDER BY seq DESC LIMIT ?4";

/// Runs one of the two queries.
fn entries(
    connection: &Connection,
    sql: &str,
    (environment, from, to, limit): (&str, i64, i64, i64),
    kind: Option<&str>,
    read: fn(&Row<'_>) -> Result<(Cursor, Entry), StoreError>,
) -> Result<Vec<(Cursor, Entry)>, StoreError> {
    let parameters: [&dyn ToSql; 5] = [&environment, &from, &to, &limit, &kind];
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query(parameters)?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.push(read(row)?);
    }
    Ok(found)
}

fn charge(row: &Row<'_>) -> Result<(Cursor, Entry), StoreError> {
    let id: [u8; 16] = row.get(1)?;
    let postings = Postings([row.get(2)?, 0, 0, 0, row.get(3)?, row.get(4)?]);
    let request = RequestId(id).to_string();
    let tags: Option<String> = row.get(9)?;
    let unreadable = |source| StoreError::Document { what: request.clone(), source };
    let cost_tags = tags.map_or_else(|| Ok(Vec::new()), |tags| serde_json::from_str(&tags)).map_err(unreadable)?;
    let key_id = row.get::<_, Option<[u8; 16]>>(6)?.map(|id| ResourceId(id).to_string());
    let entry = Entry {
        request_id: Some(request.clone()),
        estimated: Some(row.get(5)?),
        key: row.get::<_, Option<String>>(7)?.map(|name| EntryKey { id: key_id, name }),
        team: row.get(8)?,
        cost_tags,
        model: row.get(10)?,
        provider: row.get(11)?,
        ..Entry::new(EntryId(id), "charge".to_owned(), &postings)
    };
    Ok((Cursor(row.get(0)?, false), entry))
}

fn other(row: &Row<'_>) -> Result<(Cursor, Entry), StoreError> {
    let postings = Postings([row.get(2)?, row.get(3)?, row.get(4)?, row.get(5)?, 0, 0]);
    let entry = Entry {
        reference: row.get(7)?,
        note: row.get::<_, Option<String>>(8)?.filter(|note| !note.is_empty()),
        actor: row.get(9)?,
        ..Entry::new(EntryId(row.get(1)?), row.get(6)?, &postings)
    };
    Ok((Cursor(row.get(0)?, true), entry))
}

impl Entry {
    fn new(id: EntryId, kind: String, postings: &Postings) -> Self {
        let posted = postings.posted().map(|(account, amount)| (account.name().to_owned(), amount.to_string().into()));
        Self {
            id: id.to_string(),
            at: rfc3339(id.unix_ms()),
            kind,
            amount_usd: SignedNanos(postings.of(Account::Credits)).to_string(),
            postings: posted.collect(),
            request_id: None,
            estimated: None,
            key: None,
            team: None,
            cost_tags: Vec::new(),
            model: None,
            provider: None,
            reference: None,
            note: None,
            actor: None,
        }
    }

    /// Returns a transfer that is no charge as the list shows it.
    pub fn of(credit: &Credit) -> Self {
        let given = &credit.given;
        Self {
            reference: Some(given.reference.clone()),
            note: Some(given.note.clone()).filter(|note| !note.is_empty()),
            actor: Some(given.actor.clone()),
            ..Self::new(credit.id, given.kind.name().to_owned(), &given.kind.postings(given.credits.0))
        }
    }
}
