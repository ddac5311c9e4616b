//! Conditions in the numbers of the database, so that neither rows nor rollups are searched by text.

use std::fmt::Write as _;

use ir::id::ResourceId;
use rusqlite::types::Value;
use rusqlite::{Connection, params_from_iter};

use super::{Filter, wildcard, within};
use crate::records::rollup::sums::Key;
use crate::{StoreError, to_sql};

/// A set of numbers: in order, and as bits.
#[derive(Clone, Debug, Default)]
pub(in crate::records) struct Ids {
    list: Vec<u32>,
    bits: Vec<u64>,
}

impl Ids {
    fn new(mut list: Vec<u32>) -> Self {
        list.sort_unstable();
        list.dedup();
        let mut bits = vec![0; list.last().map_or(0, |last| *last as usize / 64 + 1)];
        for id in &list {
            if let Some(word) = bits.get_mut(*id as usize / 64) {
                *word |= 1 << (id % 64);
            }
        }
        Self { list, bits }
    }

    fn contains(&self, id: u32) -> bool {
        self.bits.get(id as usize / 64).is_some_and(|word| word >> (id % 64) & 1 == 1)
    }

    /// Returns the numbers in order.
    pub(in crate::records) fn list(&self) -> &[u32] {
        &self.list
    }
}

/// A filter in the numbers of the database.
#[derive(Debug, Default)]
pub(in crate::records) struct Resolved {
    /// The callers that are meant; absent when all of the file are.
    pub callers: Option<Ids>,
    /// Whether the callers are those of an environment, and nothing else was said of them.
    pub whole_environment: bool,
    tags: Option<Ids>,
    models: Option<Ids>,
    providers: Option<Ids>,
    surfaces: Option<Ids>,
    outcomes: Option<Ids>,
    errors: Option<Ids>,
    statuses: Vec<(u16, u16)>,
    stream: Option<bool>,
    fallback: Option<bool>,
    /// What the rollups do not know.
    pub requested_model: Option<String>,
    conditions: Vec<(&'static str, Value)>,
}

impl Resolved {
    /// Looks a filter's words up; `None` when one of them was never recorded, so that nothing can match.
    pub(in crate::records) fn of(
        connection: &Connection,
        environment: &str,
        filter: &Filter,
    ) -> Result<Option<Self>, StoreError> {
        let words = |wanted: Option<&str>| wanted.map(|word| names(connection, &[word])).transpose();
        let several = |wanted: &[String]| (!wanted.is_empty()).then(|| names(connection, wanted)).transpose();
        let (callers, whole_environment) = callers(connection, environment, filter)?;
        let models = match filter.model.as_deref() {
            Some(pattern) if pattern.contains('*') => Some(names_like(connection, pattern)?),
            other => words(other)?,
        };
        let resolved = Self {
            callers,
            whole_environment,
            tags: filter.tag.as_deref().map(|tag| tag_sets(connection, tag)).transpose()?,
            models,
            providers: words(filter.provider.as_deref())?,
            surfaces: words(filter.surface.as_deref())?,
            outcomes: several(&filter.outcomes)?,
            errors: several(&filter.errors)?,
            statuses: filter.statuses.clone(),
            stream: filter.stream,
            fallback: filter.fallback,
            requested_model: filter.requested_model.clone(),
            conditions: figures(filter),
        };
        let possible = resolved.sets().all(|(_, ids)| !ids.list.is_empty());
        Ok(possible.then_some(resolved))
    }

    /// Whether the rollups know everything that is asked for.
    pub(in crate::records) fn is_rolled_up(&self) -> bool {
        self.conditions.is_empty() && self.requested_model.is_none()
    }

    /// Whether the rollups know anything that is asked for.
    pub(in crate::records) fn narrows(&self) -> bool {
        let others = self.sets().any(|(column, _)| column != "r.caller" || !self.whole_environment);
        others || !self.statuses.is_empty() || self.stream.is_some() || self.fallback.is_some()
    }

    /// Whether nothing but callers is asked for.
    pub(in crate::records) fn only_callers(&self) -> bool {
        let others = self.sets().any(|(column, _)| column != "r.caller");
        self.is_rolled_up() && !others && self.statuses.is_empty() && self.stream.is_none() && self.fallback.is_none()
    }

    /// Whether a group may hold what is meant; it does if [`Resolved::is_rolled_up`].
    pub(in crate::records) fn matches(&self, key: &Key) -> bool {
        let among = |ids: &Option<Ids>, id: u32| ids.as_ref().is_none_or(|ids| ids.contains(id));
        among(&self.callers, key.caller)
            && among(&self.models, key.model)
            && among(&self.providers, key.provider)
            && within(&self.statuses, key.status)
            && among(&self.outcomes, key.outcome)
            && among(&self.errors, key.error)
            && among(&self.tags, key.tags)
            && among(&self.surfaces, key.surface)
            && self.stream.is_none_or(|stream| stream == key.stream)
            && self.fallback.is_none_or(|fallback| fallback == key.fallback)
    }

    /// Returns the conditions as SQL on `requests r`, each with `AND` before it, and their values. What was asked for
    /// by the name of the requested model is only narrowed.
    pub(in crate::records) fn sql(&self, environment: &str) -> (String, Vec<Value>) {
        let (mut sql, mut values) = (String::new(), Vec::new());
        for (column, ids) in self.sets() {
            match ids.list.as_slice() {
                _ if column == "r.caller" && self.whole_environment => {
                    sql.push_str(" AND r.caller IN (SELECT id FROM callers WHERE environment = ?)");
                    values.push(Value::Text(environment.to_owned()));
                }
                [one] => {
                    let _ = write!(sql, " AND +{column} = ?");
                    values.push(Value::Integer((*one).into()));
                }
                several => {
                    let _ = write!(sql, " AND +{column} IN (SELECT value FROM json_each(?))");
                    values.push(Value::Text(format!("{several:?}")));
                }
            }
        }
        if !self.statuses.is_empty() {
            let ranges = vec!["r.status BETWEEN ? AND ?"; self.statuses.len()].join(" OR ");
            let _ = write!(sql, " AND ({ranges})");
            for (first, last) in &self.statuses {
                values.extend([Value::Integer((*first).into()), Value::Integer((*last).into())]);
            }
        }
        if let Some(stream) = self.stream {
            sql.push_str(if stream { " AND r.stream" } else { " AND NOT r.stream" });
        }
        if let Some(fallback) = self.fallback {
            sql.push_str(if fallback { " AND r.attempts > 1" } else { " AND r.attempts < 2" });
        }
        for (condition, value) in &self.conditions {
            let _ = write!(sql, " AND {condition}");
            values.push(value.clone());
        }
        (sql, values)
    }

    fn sets(&self) -> impl Iterator<Item = (&'static str, &Ids)> {
        [
            ("r.caller", &self.callers),
            ("r.model", &self.models),
            ("r.provider", &self.providers),
            ("r.tags", &self.tags),
            ("r.surface", &self.surfaces),
            ("r.outcome", &self.outcomes),
            ("r.error_code", &self.errors),
        ]
        .into_iter()
        .filter_map(|(column, ids)| ids.as_ref().map(|ids| (column, ids)))
    }
}

/// Returns the conditions on what only the records themselves know.
fn figures(filter: &Filter) -> Vec<(&'static str, Value)> {
    let number = |number: u64| Value::Integer(to_sql(number));
    let piece = filter.id.as_ref().map(|piece| {
        // The printed id is a prefix and the digits: a piece may begin in the prefix.
        let piece = piece.to_ascii_lowercase();
        Value::Text(piece)
    });
    [
        ("r.cost_nanos >= ?", filter.min_cost.map(|cost| number(cost.0))),
        ("r.cost_nanos <= ?", filter.max_cost.map(|cost| number(cost.0))),
        ("r.latency_us >= ?", filter.min_latency_us.map(number)),
        ("r.latency_us <= ?", filter.max_latency_us.map(number)),
        ("instr('req_' || lower(hex(r.id)), ?) > 0", piece),
    ]
    .into_iter()
    .filter_map(|(sql, value)| Some((sql, value?)))
    .collect()
}

/// Returns the callers of an environment that a filter means, and whether that is the whole environment. Absent when the
/// file has no other callers.
fn callers(connection: &Connection, environment: &str, filter: &Filter) -> Result<(Option<Ids>, bool), StoreError> {
    let mut sql = "SELECT id FROM callers WHERE environment = ?".to_owned();
    let mut values = vec![Value::Text(environment.to_owned())];
    if let Some(key) = &filter.key {
        match ResourceId::parse(key) {
            // A key may be named like an id.
            Some(id) => {
                sql.push_str(" AND (key_id = ? OR key_name = ?)");
                values.push(Value::Blob(id.0.to_vec()));
            }
            None => sql.push_str(" AND key_name = ?"),
        }
        values.push(Value::Text(key.clone()));
    }
    if let Some(team) = &filter.team {
        sql.push_str(" AND team = ?");
        values.push(Value::Text(team.clone()));
    }
    if let Some(keys) = &filter.visible_keys {
        sql.push_str(" AND lower(hex(key_id)) IN (SELECT value FROM json_each(?))");
        let hex: Vec<String> = keys.iter().map(|id| id.to_string().trim_start_matches("res_").to_owned()).collect();
        values.push(Value::Text(format!("{hex:?}")));
    }
    let whole_environment = values.len() == 1;
    if whole_environment {
        let others = "SELECT EXISTS (SELECT 1 FROM callers WHERE environment < ?1)
            OR EXISTS (SELECT 1 FROM callers WHERE environment > ?1)";
        let others: bool = connection.prepare_cached(others)?.query_row([environment], |row| row.get(0))?;
        if !others {
            return Ok((None, true));
        }
    }
    Ok((Some(ids(connection, &sql, values)?), whole_environment))
}

fn names(connection: &Connection, wanted: &[impl AsRef<str>]) -> Result<Ids, StoreError> {
    let values = wanted.iter().map(|name| Value::Text(name.as_ref().to_owned()));
    let sql = format!("SELECT id FROM names WHERE name IN ({})", vec!["?"; wanted.len()].join(","));
    ids(connection, &sql, values.collect())
}

fn names_like(connection: &Connection, pattern: &str) -> Result<Ids, StoreError> {
    matching(connection, "SELECT id, name FROM names", |name| wildcard(pattern, name))
}

fn tag_sets(connection: &Connection, tag: &str) -> Result<Ids, StoreError> {
    matching(connection, "SELECT id, tags FROM tag_sets", |tags| {
        serde_json::from_str::<Vec<String>>(tags).is_ok_and(|tags| tags.iter().any(|other| other == tag))
    })
}

fn matching(connection: &Connection, sql: &str, matches: impl Fn(&str) -> bool) -> Result<Ids, StoreError> {
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query([])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        if row.get_ref(1)?.as_str().is_ok_and(&matches) {
            found.push(row.get(0)?);
        }
    }
    Ok(Ids::new(found))
}

fn ids(connection: &Connection, sql: &str, values: Vec<Value>) -> Result<Ids, StoreError> {
    let mut statement = connection.prepare_cached(sql)?;
    let rows = statement.query_map(params_from_iter(values), |row| row.get(0))?;
    Ok(Ids::new(rows.collect::<Result<_, _>>()?))
}
