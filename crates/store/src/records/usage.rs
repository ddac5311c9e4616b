//! Sums of records: by what people ask for, over time, or in one number.
//!
//! Whole buckets come from the rollups, the ragged ends of a span from the records themselves, in one read transaction,
//! so that the sums are those of the records to the nano-dollar. What the rollups do not know (cost, latency, a piece of
//! an id, the model that was asked for) is read from the records, as far as that is bounded.

pub mod csv;
mod gather;
mod names;
mod row;
pub mod used;

use std::collections::HashMap;

use super::filter::{Filter, Resolved};
use super::read::RecordsReader;
use super::rollup::FastHash;
use super::rollup::blob::DamagedRollup;
use super::rollup::sums::Key;
use super::rollup::write::read_marks;
use super::zone::{Unit, Zone};
use crate::StoreError;
use gather::{Depth, Gather, Part};
use names::Words;

pub use row::{Figures, Quantiles, UsageRow};

/// The most groups of an answer, before they have names.
const MAX_GROUPS: usize = 100_000;

/// The most spans of time in an answer.
const MAX_SPANS: usize = 5_000;

/// The most records that are read for an answer of which the rollups know nothing.
const MAX_UNROLLED: u64 = 400_000;

/// The most records that are read at the ragged ends of a span.
const MAX_RAGGED: u64 = 4_000_000;

/// What sums are grouped by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dimension {
    /// The model that answered.
    Model,
    /// The provider that answered.
    Provider,
    /// The key.
    Key,
    /// The key's team at that time.
    Team,
    /// The tags that the cost is booked under: a request with two counts under both.
    Tag,
    /// `2xx`, `4xx`, `429` or `5xx`.
    Status,
    /// How it ended.
    Outcome,
    /// The stable error code.
    Error,
    /// The surface that was called.
    Surface,
    /// Whether a stream was asked for.
    Stream,
    /// Time, cut at the units of the zone.
    Time(Unit),
}

impl Dimension {
    /// Every dimension and its name.
    pub const NAMES: [(&'static str, Self); 13] = [
        ("model", Self::Model),
        ("provider", Self::Provider),
        ("key", Self::Key),
        ("team", Self::Team),
        ("tag", Self::Tag),
        ("status", Self::Status),
        ("outcome", Self::Outcome),
        ("error", Self::Error),
        ("surface", Self::Surface),
        ("stream", Self::Stream),
        ("day", Self::Time(Unit::Day)),
        ("hour", Self::Time(Unit::Hour)),
        ("minute", Self::Time(Unit::Minute)),
    ];

    /// Returns the name in the API.
    pub fn name(self) -> &'static str {
        Self::NAMES.iter().find(|(_, dimension)| *dimension == self).map_or("", |(name, _)| name)
    }
}

/// What to sum.
#[derive(Clone, Debug, Default)]
pub struct UsageQuery {
    /// The environment.
    pub environment: String,
    /// Which of its records; its instants are not looked at.
    pub filter: Filter,
    /// From this instant on, Unix milliseconds.
    pub from_ms: u64,
    /// Before this instant, Unix milliseconds.
    pub to_ms: u64,
    /// By what; time at most once.
    pub group_by: Vec<Dimension>,
    /// Where days and hours begin.
    pub zone: Zone,
}

/// Sums by group.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Usage {
    /// Time in order, then the dearest first.
    pub rows: Vec<UsageRow>,
    /// All of it.
    pub total: Figures,
}

/// One span of a histogram.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Bar {
    /// Where it begins, Unix milliseconds.
    pub start_ms: u64,
    /// Where it ends, Unix milliseconds.
    pub end_ms: u64,
    /// What is in it; without durations.
    pub figures: Figures,
}

/// Requests over time.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Bars {
    /// Spans of one width, but for the first and the last, which end where the question does.
    pub bars: Vec<Bar>,
    /// When not everything could be read: nothing before this instant is counted.
    pub complete_from_ms: Option<u64>,
}

/// How many records.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Count {
    /// How many were found.
    pub count: u64,
    /// When not everything could be read: nothing before this instant is counted.
    pub complete_from_ms: Option<u64>,
}

impl RecordsReader {
    /// Returns sums by group.
    ///
    /// # Errors
    /// [`StoreError::TooBroad`] with what to do about it, or when the database fails.
    pub fn usage(&self, query: &UsageQuery) -> Result<Usage, StoreError> {
        let transaction = self.connection.unchecked_transaction()?;
        let marks = read_marks(&transaction)?;
        let Some(resolved) = Resolved::of(&transaction, &query.environment, &query.filter)? else {
            return Ok(Usage::default());
        };
        let unit = query.group_by.iter().find_map(|by| match by {
            Dimension::Time(unit) => Some(*unit),
            _ => None,
        });
        let spans = spans(query, unit)?;
        let gather = Gather {
            connection: &transaction,
            environment: &query.environment,
            resolved: &resolved,
            marks: &marks,
            depth: Depth::Everything,
        };
        if unit.is_some_and(|unit| unit != Unit::Day) && query.from_ms < gather.days_only_before() {
            return Err(StoreError::TooBroad("hours are kept for 90 days: group by day, or ask for a later time"));
        }
        let mut groups: HashMap<Group, Figures, FastHash> = HashMap::default();
        let complete = gather.run(&spans, MAX_UNROLLED, MAX_RAGGED, |span, key, part| {
            groups.entry(Group::of(&query.group_by, span, key)).or_default().add(key, part)?;
            Ok(groups.len() <= MAX_GROUPS)
        })?;
        if groups.len() > MAX_GROUPS {
            return Err(StoreError::TooBroad("too many groups: group by less, or filter more"));
        }
        if complete.is_some() {
            return Err(StoreError::TooBroad(
                "this filter is not in the rollups and there are too many records to read: narrow the time",
            ));
        }
        let mut total = Figures::default();
        groups.values().for_each(|figures| total.merge(figures));
        let words = Words::load(&transaction, &query.environment, &query.group_by)?;
        let starts: Vec<String> = spans.iter().map(|(start, _)| query.zone.rfc3339(*start)).collect();
        Ok(Usage { rows: words.name(&query.group_by, &starts, groups), total })
    }

    /// Returns requests over time, in spans of a width, aligned to that width from 1970 on in the zone.
    ///
    /// # Errors
    /// When the database fails, or there would be too many spans.
    pub fn bars(
        &self,
        environment: &str,
        filter: &Filter,
        (from_ms, to_ms): (u64, u64),
        width_ms: u64,
        zone: &Zone,
    ) -> Result<Bars, StoreError> {
        let width = width_ms.max(1);
        if to_ms.saturating_sub(from_ms) / width > MAX_SPANS as u64 {
            return Err(StoreError::TooBroad("too many spans of time: ask for fewer"));
        }
        let into = from_ms.saturating_add_signed(zone.offset_seconds(from_ms) * 1_000) % width;
        let mut bars = Vec::new();
        let mut start = from_ms;
        let mut end = from_ms.saturating_sub(into).saturating_add(width);
        while start < to_ms {
            bars.push(Bar { start_ms: start, end_ms: end.min(to_ms), figures: Figures::default() });
            (start, end) = (end, end.saturating_add(width));
        }
        let spans: Vec<_> = bars.iter().map(|bar| (bar.start_ms, bar.end_ms)).collect();
        let complete_from_ms =
            self.gather(environment, filter, &spans, Depth::Figures, |span, key, part| match bars.get_mut(span) {
                Some(bar) => bar.figures.add(key, part),
                None => Ok(()),
            })?;
        Ok(Bars { bars, complete_from_ms })
    }

    /// Returns how many records a filter means from one instant to another.
    ///
    /// # Errors
    /// When the database fails.
    pub fn count(&self, environment: &str, filter: &Filter, span: (u64, u64)) -> Result<Count, StoreError> {
        let mut count = 0u64;
        let complete_from_ms = self.gather(environment, filter, &[span], Depth::Requests, |_, _, part| {
            count = count.saturating_add(part.requests()?);
            Ok(())
        })?;
        Ok(Count { count, complete_from_ms })
    }

    fn gather(
        &self,
        environment: &str,
        filter: &Filter,
        spans: &[(u64, u64)],
        depth: Depth,
        mut visit: impl FnMut(usize, &Key, &Part<'_>) -> Result<(), DamagedRollup>,
    ) -> Result<Option<u64>, StoreError> {
        let transaction = self.connection.unchecked_transaction()?;
        let marks = read_marks(&transaction)?;
        let Some(resolved) = Resolved::of(&transaction, environment, filter)? else { return Ok(None) };
        let gather = Gather { connection: &transaction, environment, resolved: &resolved, marks: &marks, depth };
        gather.run(spans, MAX_UNROLLED, MAX_RAGGED, |span, key, part| {
            visit(span, key, part)?;
            Ok(true)
        })
    }
}

/// Cuts the time of a question at the units of its zone.
fn spans(query: &UsageQuery, unit: Option<Unit>) -> Result<Vec<(u64, u64)>, StoreError> {
    let Some(unit) = unit else { return Ok(vec![(query.from_ms, query.to_ms)]) };
    let mut spans = Vec::new();
    let mut start = query.from_ms;
    while start < query.to_ms {
        let end = query.zone.next(unit, start).min(query.to_ms);
        spans.push((start, end));
        start = end;
        if spans.len() > MAX_SPANS {
            return Err(StoreError::TooBroad("too many spans of time: group by a longer one, or ask for less time"));
        }
    }
    // People look for the day by its own beginning, also when they ask from the middle of it.
    if let Some((start, _)) = spans.first_mut() {
        *start = query.from_ms;
    }
    Ok(spans)
}

/// A group in the numbers of the database.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Group {
    span: u32,
    key: Key,
}

impl Group {
    /// Keeps of a key what is grouped by.
    fn of(group_by: &[Dimension], span: usize, key: &Key) -> Self {
        let mut kept = Self { span: 0, key: Key::default() };
        for by in group_by {
            match by {
                Dimension::Model => kept.key.model = key.model,
                Dimension::Provider => kept.key.provider = key.provider,
                Dimension::Key | Dimension::Team => kept.key.caller = key.caller,
                Dimension::Tag => kept.key.tags = key.tags,
                Dimension::Status => kept.key.status = row::class(key.status).0,
                Dimension::Outcome => kept.key.outcome = key.outcome,
                Dimension::Error => kept.key.error = key.error,
                Dimension::Surface => kept.key.surface = key.surface,
                Dimension::Stream => kept.key.stream = key.stream,
                Dimension::Time(_) => kept.span = u32::try_from(span).unwrap_or(u32::MAX),
            }
        }
        kept
    }
}
