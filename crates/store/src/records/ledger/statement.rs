//! The statement of a month: what the balance was, what came in, what was charged for whom, and what it is. It adds up
//! to the ledger to the nano-dollar. A charge belongs to the month in which its request was made.

use std::collections::BTreeMap;

use ir::id::ResourceId;
use ir::money::SignedNanos;
use rusqlite::Connection;
use serde::Serialize;
use serde_json::{Map, Value};

use super::super::read::RecordsReader;
use super::super::seq;
use super::{Account, CreditKind, read};
use crate::{StoreError, from_sql};

/// What charges are grouped by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum GroupBy {
    /// All of them together.
    #[default]
    Account,
    /// The team of the key at that time.
    Team,
    /// The key.
    Key,
    /// The tags that they are booked under, all of a request together: nothing is counted twice.
    Tag,
}

impl GroupBy {
    /// Every one, and its name.
    pub const NAMES: [(&'static str, Self); 4] =
        [("account", Self::Account), ("team", Self::Team), ("key", Self::Key), ("tag", Self::Tag)];

    /// Returns the names of the columns of a group.
    pub fn columns(self) -> &'static [&'static str] {
        match self {
            Self::Account => &["account"],
            Self::Team => &["team"],
            Self::Key => &["key", "key_id"],
            Self::Tag => &["tags"],
        }
    }
}

/// Which statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StatementQuery {
    /// The environment.
    pub environment: String,
    /// The month's first instant, and that behind it, Unix milliseconds.
    pub span: (u64, u64),
    /// What charges are grouped by.
    pub group_by: GroupBy,
}

/// Sums of charges, in nano-dollars.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Charged {
    /// How many requests were charged.
    pub requests: u64,
    /// What they cost.
    pub cost: i64,
    /// The margin on that.
    pub margin: i64,
    /// How many of them were charged by an estimate.
    pub estimated_requests: u64,
    /// What these were charged.
    pub estimated: i64,
}

impl Charged {
    /// Returns cost and margin together.
    pub fn charge(&self) -> i64 {
        self.cost.saturating_add(self.margin)
    }

    fn add(&mut self, other: &Self) {
        self.requests += other.requests;
        self.cost += other.cost;
        self.margin += other.margin;
        self.estimated_requests += other.estimated_requests;
        self.estimated += other.estimated;
    }
}

/// What one group was charged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// What the group has in each of the columns.
    pub group: Vec<Option<String>>,
    /// Its charges.
    pub charged: Charged,
}

/// What came in, or was taken back, of one kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CreditSum {
    /// Its kind.
    pub kind: &'static str,
    /// How many transfers.
    pub transfers: u64,
    /// By how much the credits changed.
    pub credits: SignedNanos,
}

/// The statement of a month.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statement {
    /// What charges are grouped by.
    pub group_by: GroupBy,
    /// The balance when the month began.
    pub opening: SignedNanos,
    /// What came in, every kind.
    pub credits: Vec<CreditSum>,
    /// What was charged, the dearest first.
    pub rows: Vec<Row>,
    /// The sum of the rows.
    pub total: Charged,
    /// The balance when the month ended, or now.
    pub closing: SignedNanos,
}

impl RecordsReader {
    /// Returns a statement, read at one instant.
    ///
    /// # Errors
    /// When the database fails.
    pub fn statement(&self, query: &StatementQuery) -> Result<Statement, StoreError> {
        let transaction = self.connection.unchecked_transaction()?;
        let environment = &*query.environment;
        let (from, to) = (seq::first_at(query.span.0), seq::first_at(query.span.1));
        let balance = read::accounts(&transaction, environment)?.of(Account::Credits);
        let closing = balance - posted_since(&transaction, environment, to)?;
        let credits = credits(&transaction, environment, (from, to))?;
        let rows = charges(&transaction, query, (from, to))?;
        let mut total = Charged::default();
        rows.iter().for_each(|row| total.add(&row.charged));
        let came_in: i64 = credits.iter().map(|sum| sum.credits.0).sum();
        let opening = closing - came_in + total.charge();
        let (opening, closing) = (SignedNanos(opening), SignedNanos(closing));
        Ok(Statement { group_by: query.group_by, opening, credits, rows, total, closing })
    }
}

/// Returns by how much the credits changed from a place on.
fn posted_since(connection: &Connection, environment: &str, place: i64) -> Result<i64, StoreError> {
    let charges = "SELECT coalesce(sum(credits), 0) FROM ledger_charges
        WHERE environment = (SELECT id FROM names WHERE name = ?1) AND seq >= ?2";
    let credits = "SELECT coalesce(sum(credits), 0) FROM ledger_credits WHERE environment = ?1 AND seq >= ?2";
    let sum = |sql: &str| connection.query_row(sql, (environment, place), |row| row.get::<_, i64>(0));
    Ok(sum(charges)? + sum(credits)?)
}

fn credits(connection: &Connection, environment: &str, span: (i64, i64)) -> Result<Vec<CreditSum>, StoreError> {
    let sql = "SELECT kind, count(*), sum(credits) FROM ledger_credits
        WHERE environment = ?1 AND seq >= ?2 AND seq < ?3 GROUP BY kind";
    let mut sums = CreditKind::NAMES.map(|(kind, _)| CreditSum { kind, transfers: 0, credits: SignedNanos(0) });
    let mut statement = connection.prepare(sql)?;
    let mut rows = statement.query((environment, span.0, span.1))?;
    while let Some(row) = rows.next()? {
        let kind: String = row.get(0)?;
        // What a later version calls otherwise corrects something, as far as this one knows.
        let kind = CreditKind::named(&kind).unwrap_or(CreditKind::Adjustment).name();
        if let Some(sum) = sums.iter_mut().find(|sum| sum.kind == kind) {
            sum.transfers += row.get(1).map(from_sql)?;
            sum.credits.0 += row.get::<_, i64>(2)?;
        }
    }
    Ok(sums.into())
}

fn charges(connection: &Connection, query: &StatementQuery, span: (i64, i64)) -> Result<Vec<Row>, StoreError> {
    // Summed by number first: what the numbers mean is looked up once for each of them.
    let sql = "
        SELECT s.*, c.key_name, c.key_id, c.team, t.tags FROM (
            SELECT caller, tags, count(*), sum(cost), sum(margin), sum(estimated),
                coalesce(sum(-credits) FILTER (WHERE estimated), 0)
            FROM ledger_charges
            WHERE environment = (SELECT id FROM names WHERE name = ?1) AND seq >= ?2 AND seq < ?3
            GROUP BY caller, tags
        ) s LEFT JOIN callers c ON c.id = s.caller LEFT JOIN tag_sets t ON t.id = s.tags ORDER BY s.caller";
    let mut groups: BTreeMap<Vec<Option<String>>, Charged> = BTreeMap::new();
    let mut names: BTreeMap<String, String> = BTreeMap::new();
    let mut statement = connection.prepare(sql)?;
    let mut rows = statement.query((&*query.environment, span.0, span.1))?;
    while let Some(row) = rows.next()? {
        let key_id = row.get::<_, Option<[u8; 16]>>(8)?.map(|id| ResourceId(id).to_string());
        let key_name: Option<String> = row.get(7)?;
        let group = match query.group_by {
            GroupBy::Account => vec![Some(query.environment.clone())],
            GroupBy::Team => vec![row.get(9)?],
            GroupBy::Tag => vec![row.get(10)?],
            GroupBy::Key => match key_id {
                // A key that was renamed is one key; it has the name that it had last.
                Some(id) => {
                    names.insert(id.clone(), key_name.unwrap_or_default());
                    vec![None, Some(id)]
                }
                None => vec![key_name, None],
            },
        };
        groups.entry(group).or_default().add(&Charged {
            requests: row.get(2).map(from_sql)?,
            cost: row.get(3)?,
            margin: row.get(4)?,
            estimated_requests: row.get(5).map(from_sql)?,
            estimated: row.get(6)?,
        });
    }
    let named = |(mut group, charged): (Vec<Option<String>>, Charged)| {
        if let [name @ None, Some(id)] = group.as_mut_slice() {
            *name = names.get(id).cloned();
        }
        Row { group, charged }
    };
    let mut rows: Vec<Row> = groups.into_iter().map(named).collect();
    rows.sort_by_key(|row| std::cmp::Reverse(row.charged.charge()));
    Ok(rows)
}

/// One line of a statement in JSON.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Line {
    /// What the group is.
    #[serde(flatten)]
    pub group: Map<String, Value>,
    /// How many requests were charged.
    pub requests: u64,
    /// What they cost, US dollars as text, as all amounts here.
    pub cost_usd: String,
    /// The margin on that.
    pub margin_usd: String,
    /// Both together.
    pub charge_usd: String,
    /// How many of them were charged by an estimate.
    pub estimated_requests: u64,
    /// What these were charged.
    pub estimated_usd: String,
}

impl Line {
    /// Returns a line of some charges.
    pub fn of(group: Map<String, Value>, charged: &Charged) -> Self {
        let dollars = |nanos| SignedNanos(nanos).to_string();
        Self {
            group,
            requests: charged.requests,
            cost_usd: dollars(charged.cost),
            margin_usd: dollars(charged.margin),
            charge_usd: dollars(charged.charge()),
            estimated_requests: charged.estimated_requests,
            estimated_usd: dollars(charged.estimated),
        }
    }
}

impl Statement {
    /// Returns the rows as JSON.
    pub fn lines(&self) -> Vec<Line> {
        let named = |row: &Row| {
            let columns = self.group_by.columns().iter().zip(&row.group);
            let value = |value: &Option<String>| match (self.group_by, value) {
                // They are stored as a JSON array.
                (GroupBy::Tag, tags) => {
                    serde_json::from_str(tags.as_deref().unwrap_or("[]")).unwrap_or_else(|_| Value::Array(Vec::new()))
                }
                (_, value) => value.clone().into(),
            };
            columns.map(|(name, held)| ((*name).to_owned(), value(held))).collect()
        };
        self.rows.iter().map(|row| Line::of(named(row), &row.charged)).collect()
    }

    /// Returns the statement as CSV (RFC 4180). The last column is what each line does to the balance: all lines but
    /// the last add up to the last.
    pub fn csv(&self) -> String {
        let columns = self.group_by.columns();
        let mut text = String::from("line,");
        for column in columns {
            text.push_str(column);
            text.push(',');
        }
        text.push_str("requests,cost_usd,margin_usd,estimated_requests,estimated_usd,amount_usd\r\n");
        let blanks = ",".repeat(columns.len() + 5);
        let plain = |name: &str, amount: SignedNanos| format!("{name}{blanks},{amount}\r\n");
        text.push_str(&plain("opening_balance", self.opening));
        for sum in self.credits.iter().filter(|sum| sum.transfers > 0) {
            text.push_str(&plain(sum.kind, sum.credits));
        }
        for (row, line) in self.rows.iter().zip(self.lines()) {
            text.push_str("charge,");
            for value in &row.group {
                text.push_str(&super::super::usage::csv::cell(value.as_deref().unwrap_or_default()));
                text.push(',');
            }
            let Line { requests, cost_usd, margin_usd, estimated_requests, estimated_usd, .. } = line;
            let amount = SignedNanos(-row.charged.charge());
            text.push_str(&format!(
                "{requests},{cost_usd},{margin_usd},{estimated_requests},{estimated_usd},{amount}\r\n"
            ));
        }
        text.push_str(&plain("closing_balance", self.closing));
        text
    }
}
