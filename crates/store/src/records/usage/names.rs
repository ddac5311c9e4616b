//! From the numbers of groups to their names.

use std::collections::HashMap;

use ir::id::ResourceId;
use rusqlite::Connection;

use super::row::{CLASSES, class};
use super::{Dimension, Figures, Group, UsageRow};
use crate::StoreError;
use crate::records::rollup::FastHash;

/// A key or team as people know it.
#[derive(Clone, Debug, Default)]
struct Caller {
    name: String,
    id: Option<String>,
    team: Option<String>,
}

/// The words of the tables that are needed.
#[derive(Default)]
pub(super) struct Words {
    names: HashMap<u32, String>,
    callers: HashMap<u32, Caller>,
    /// What a key is called now: by its id.
    current: HashMap<String, String>,
    tag_sets: HashMap<u32, Vec<String>>,
}

impl Words {
    /// Reads what the dimensions need.
    pub(super) fn load(connection: &Connection, environment: &str, by: &[Dimension]) -> Result<Self, StoreError> {
        let mut words = Self::default();
        let mut rows = connection.prepare_cached("SELECT id, name FROM names")?;
        for row in rows.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))? {
            let (id, name) = row?;
            words.names.insert(id, name);
        }
        if by.iter().any(|by| matches!(by, Dimension::Key | Dimension::Team)) {
            words.load_callers(connection, environment)?;
        }
        if by.contains(&Dimension::Tag) {
            let mut rows = connection.prepare_cached("SELECT id, tags FROM tag_sets")?;
            for row in rows.query_map([], |row| Ok((row.get(0)?, row.get::<_, String>(1)?)))? {
                let (id, text) = row?;
                let tags = serde_json::from_str(&text)
                    .map_err(|source| StoreError::Document { what: "cost tags".to_owned(), source })?;
                words.tag_sets.insert(id, tags);
            }
        }
        Ok(words)
    }

    fn load_callers(&mut self, connection: &Connection, environment: &str) -> Result<(), StoreError> {
        let mut rows = connection
            .prepare_cached("SELECT id, key_name, key_id, team FROM callers WHERE environment = ? ORDER BY id")?;
        let mut rows = rows.query([environment])?;
        while let Some(row) = rows.next()? {
            let name: String = row.get(1)?;
            let id = row.get::<_, Option<[u8; 16]>>(2)?.map(|id| ResourceId(id).to_string());
            if let Some(id) = &id {
                self.current.insert(id.clone(), name.clone());
            }
            self.callers.insert(row.get(0)?, Caller { name, id, team: row.get(3)? });
        }
        Ok(())
    }

    /// Names groups, joins those that have the same names, and orders them: by time, then the dearest first.
    pub(super) fn name(
        &self,
        by: &[Dimension],
        starts: &[String],
        groups: HashMap<Group, Figures, FastHash>,
    ) -> Vec<UsageRow> {
        let mut rows: HashMap<(u32, Vec<Option<String>>), Figures> = HashMap::new();
        for (group, figures) in groups {
            for values in self.values(by, starts, &group) {
                rows.entry((group.span, values)).or_default().merge(&figures);
            }
        }
        let mut rows: Vec<_> = rows.into_iter().collect();
        rows.sort_by(|((span, values), one), ((other_span, other_values), other)| {
            let order = span.cmp(other_span);
            let order = order.then(other.sums.cost_nanos.cmp(&one.sums.cost_nanos));
            order.then(other.sums.requests.cmp(&one.sums.requests)).then_with(|| values.cmp(other_values))
        });
        let columns = columns(by);
        let row = |((_, values), figures)| UsageRow { group: columns.iter().copied().zip(values).collect(), figures };
        rows.into_iter().map(row).collect()
    }

    /// Returns what a group has in the columns: once, or once for each of its tags.
    fn values(&self, by: &[Dimension], starts: &[String], group: &Group) -> Vec<Vec<Option<String>>> {
        let mut all = vec![Vec::new()];
        let name = |id: u32| self.names.get(&id).cloned();
        for by in by {
            let one = match by {
                Dimension::Model => name(group.key.model),
                Dimension::Provider => name(group.key.provider),
                Dimension::Outcome => name(group.key.outcome),
                Dimension::Error => name(group.key.error),
                Dimension::Surface => name(group.key.surface),
                Dimension::Status => CLASSES.get(class(group.key.status).1).map(|class| (*class).to_owned()),
                Dimension::Stream => Some(group.key.stream.to_string()),
                Dimension::Team => self.callers.get(&group.key.caller).and_then(|caller| caller.team.clone()),
                Dimension::Time(_) => starts.get(group.span as usize).cloned(),
                Dimension::Key => {
                    let caller = self.callers.get(&group.key.caller).cloned().unwrap_or_default();
                    let current = caller.id.as_ref().and_then(|id| self.current.get(id).cloned());
                    let name = Some(current.unwrap_or(caller.name));
                    all.iter_mut().for_each(|values| values.extend([name.clone(), caller.id.clone()]));
                    continue;
                }
                Dimension::Tag => {
                    let tags = self.tag_sets.get(&group.key.tags).cloned().unwrap_or_default();
                    all = tagged(&all, &tags);
                    continue;
                }
            };
            all.iter_mut().for_each(|values| values.push(one.clone()));
        }
        all
    }
}

/// Returns every row once for each tag, or once without.
fn tagged(rows: &[Vec<Option<String>>], tags: &[String]) -> Vec<Vec<Option<String>>> {
    let with = |row: &Vec<Option<String>>, tag: Option<&String>| {
        let mut row = row.clone();
        row.push(tag.cloned());
        row
    };
    if tags.is_empty() {
        return rows.iter().map(|row| with(row, None)).collect();
    }
    let mut once: Vec<&String> = tags.iter().collect();
    once.sort_unstable();
    once.dedup();
    rows.iter().flat_map(|row| once.iter().map(|tag| with(row, Some(tag)))).collect()
}

/// Returns the names of the columns of groups.
pub(super) fn columns(by: &[Dimension]) -> Vec<&'static str> {
    by.iter()
        .flat_map(|by| match by {
            Dimension::Key => vec!["key", "key_id"],
            other => vec![other.name()],
        })
        .collect()
}
