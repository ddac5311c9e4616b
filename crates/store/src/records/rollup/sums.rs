//! What is summed of a group of records.

use ir::settlement::Settlement;
use ir::usage::Usage;

use super::histogram::Histogram;
use crate::{from_sql, to_sql};

/// What tells one group of records from another: numbers of the tables `callers`, `tag_sets` and `names`, 0 for none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Key {
    pub caller: u32,
    pub tags: u32,
    pub model: u32,
    pub provider: u32,
    pub surface: u32,
    pub outcome: u32,
    pub error: u32,
    pub status: u16,
    pub stream: bool,
    /// Whether there was more than one attempt.
    pub fallback: bool,
}

/// The sums of a group. Sums saturate.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sums {
    /// How many requests.
    pub requests: u64,
    /// What those cost whose cost is known, nano-dollars.
    pub cost_nanos: u64,
    /// How many have no known cost.
    pub unknown_cost: u64,
    /// What the same usage would have cost on the baseline, of all that have one, nano-dollars.
    pub baseline_cost_nanos: u64,
    /// Baseline minus cost, of all where both are known, nano-dollars; negative when it cost more.
    pub saved_nanos: i64,
    /// Tokens by bucket.
    pub usage: Usage,
    /// From the arrival to the end.
    pub latency: Histogram,
    /// From the arrival to the first content, of all that had one.
    pub first_content: Histogram,
}

/// What is summed of one record.
pub(crate) struct Measured {
    pub usage: Usage,
    pub cost_nanos: Option<u64>,
    pub baseline_cost_nanos: Option<u64>,
    pub latency_us: u64,
    pub first_content_us: Option<u64>,
}

impl Measured {
    /// Returns what a row of this settlement would hold.
    pub(crate) fn of(settlement: &Settlement) -> Self {
        // A row holds signed numbers.
        let stored = |count: u64| from_sql(to_sql(count));
        let folded = settlement.usage.folded();
        let Usage { input, cached_input, cache_write, output, reasoning, audio_input, audio_output, .. } = folded;
        Self {
            usage: Usage {
                input: stored(input),
                cached_input: stored(cached_input),
                cache_write: stored(cache_write),
                output: stored(output),
                reasoning: stored(reasoning),
                audio_input: stored(audio_input),
                audio_output: stored(audio_output),
                ..Usage::default()
            },
            cost_nanos: settlement.cost.map(|cost| stored(cost.0)),
            baseline_cost_nanos: settlement.baseline_cost.map(|cost| stored(cost.0)),
            latency_us: stored(settlement.latency_us),
            first_content_us: settlement.first_content_us.map(stored),
        }
    }
}

impl Sums {
    /// Adds one record.
    pub(crate) fn add(&mut self, one: &Measured) {
        self.requests = self.requests.saturating_add(1);
        match one.cost_nanos {
            Some(cost) => self.cost_nanos = self.cost_nanos.saturating_add(cost),
            None => self.unknown_cost = self.unknown_cost.saturating_add(1),
        }
        if let Some(baseline) = one.baseline_cost_nanos {
            self.baseline_cost_nanos = self.baseline_cost_nanos.saturating_add(baseline);
            if let Some(cost) = one.cost_nanos {
                self.saved_nanos = self.saved_nanos.saturating_add(to_sql(baseline).saturating_sub(to_sql(cost)));
            }
        }
        add_usage(&mut self.usage, &one.usage);
        self.latency.record(one.latency_us);
        if let Some(us) = one.first_content_us {
            self.first_content.record(us);
        }
    }

    /// Adds another group's sums.
    pub(crate) fn merge(&mut self, other: &Self) {
        self.merge_figures(other);
        self.latency.merge(&other.latency);
        self.first_content.merge(&other.first_content);
    }

    /// Adds everything of another group but its durations.
    pub(crate) fn merge_figures(&mut self, other: &Self) {
        self.requests = self.requests.saturating_add(other.requests);
        self.cost_nanos = self.cost_nanos.saturating_add(other.cost_nanos);
        self.unknown_cost = self.unknown_cost.saturating_add(other.unknown_cost);
        self.baseline_cost_nanos = self.baseline_cost_nanos.saturating_add(other.baseline_cost_nanos);
        self.saved_nanos = self.saved_nanos.saturating_add(other.saved_nanos);
        add_usage(&mut self.usage, &other.usage);
    }
}

fn add_usage(to: &mut Usage, from: &Usage) {
    to.input = to.input.saturating_add(from.input);
    to.cached_input = to.cached_input.saturating_add(from.cached_input);
    to.cache_write = to.cache_write.saturating_add(from.cache_write);
    to.output = to.output.saturating_add(from.output);
    to.reasoning = to.reasoning.saturating_add(from.reasoning);
    to.audio_input = to.audio_input.saturating_add(from.audio_input);
    to.audio_output = to.audio_output.saturating_add(from.audio_output);
}
