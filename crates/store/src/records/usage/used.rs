//! Who used how much of what: what counters of limits are told after a restart.

use std::collections::HashMap;

use ir::id::ResourceId;

use super::gather::{Depth, Gather};
use super::{MAX_RAGGED, MAX_UNROLLED};
use crate::StoreError;
use crate::records::filter::{Filter, Resolved};
use crate::records::read::RecordsReader;
use crate::records::rollup::FastHash;
use crate::records::rollup::sums::{Key, Sums};
use crate::records::rollup::write::read_marks;

/// What somebody used at one target, within one piece of time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Used {
    /// The number of the piece.
    pub piece: usize,
    /// The key; `None` for `anonymous`.
    pub key: Option<ResourceId>,
    /// The key's team at that time.
    pub team: Option<String>,
    /// The model that answered.
    pub model: Option<String>,
    /// The provider that answered.
    pub provider: Option<String>,
    /// How the requests ended.
    pub outcome: String,
    /// How many there were.
    pub requests: u64,
    /// All input tokens.
    pub input_tokens: u64,
    /// All output tokens.
    pub output_tokens: u64,
    /// What those cost whose cost is known, nano-dollars.
    pub cost_nanos: u64,
}

/// What tells one group from another.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct Group {
    piece: usize,
    caller: u32,
    model: u32,
    provider: u32,
    outcome: u32,
}

/// A key, and the team that it had.
type Caller = (Option<ResourceId>, Option<String>);

impl RecordsReader {
    /// Returns what was used in an environment within pieces of time (Unix milliseconds, each from its first to before
    /// its last), by key, team, target and outcome, in no order.
    ///
    /// # Errors
    /// When the database fails, and when there are more records outside of the sums than can be read.
    pub fn used(&self, environment: &str, pieces: &[(u64, u64)]) -> Result<Vec<Used>, StoreError> {
        let transaction = self.connection.unchecked_transaction()?;
        let marks = read_marks(&transaction)?;
        let Some(resolved) = Resolved::of(&transaction, environment, &Filter::default())? else {
            return Ok(Vec::new());
        };
        let (resolved, depth) = (&resolved, Depth::Figures);
        let gather = Gather { connection: &transaction, environment, resolved, marks: &marks, depth };
        let mut groups: HashMap<Group, Sums, FastHash> = HashMap::default();
        let complete = gather.run(pieces, MAX_UNROLLED, MAX_RAGGED, |piece, key: &Key, part| {
            let Key { caller, model, provider, outcome, .. } = *key;
            part.add_to(groups.entry(Group { piece, caller, model, provider, outcome }).or_default())?;
            Ok(true)
        })?;
        if complete.is_some() {
            return Err(StoreError::TooBroad("there are too many records to count what limits have left"));
        }
        let mut callers: HashMap<u32, Caller> = HashMap::new();
        let mut rows = transaction.prepare_cached("SELECT id, key_id, team FROM callers WHERE environment = ?")?;
        for row in rows.query_map([environment], |row| Ok((row.get(0)?, (row.get(1)?, row.get(2)?))))? {
            let (id, (key, team)): (u32, (Option<[u8; 16]>, Option<String>)) = row?;
            callers.insert(id, (key.map(ResourceId), team));
        }
        let mut names: HashMap<u32, String> = HashMap::new();
        let mut rows = transaction.prepare_cached("SELECT id, name FROM names")?;
        for row in rows.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))? {
            let (id, name) = row?;
            names.insert(id, name);
        }
        let used = groups.into_iter().map(|(group, sums)| {
            let (key, team) = callers.get(&group.caller).cloned().unwrap_or_default();
            let name = |id: u32| names.get(&id).cloned();
            Used {
                piece: group.piece,
                key,
                team,
                model: name(group.model),
                provider: name(group.provider),
                outcome: name(group.outcome).unwrap_or_default(),
                requests: sums.requests,
                input_tokens: sums.usage.input_tokens(),
                output_tokens: sums.usage.output_tokens(),
                cost_nanos: sums.cost_nanos,
            }
        });
        Ok(used.collect())
    }
}
