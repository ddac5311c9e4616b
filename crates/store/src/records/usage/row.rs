//! One row of sums, as the admin API shows it.

use ir::money::NanoUsd;
use serde::ser::{Error as _, SerializeMap};
use serde::{Serialize, Serializer};
use serde_json::value::RawValue;

use super::super::record::{as_exact_dollars, milliseconds};
use super::super::rollup::blob::DamagedRollup;
use super::super::rollup::histogram::Histogram;
use super::super::rollup::sums::{Key, Sums};
use super::gather::Part;

/// Sums of a group, and how its requests ended.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Figures {
    /// The sums.
    pub sums: Sums,
    /// Requests by class of status: `2xx`, `4xx` without 429, `429`, `5xx`.
    pub by_status: [u64; 4],
    /// Requests with more than one attempt.
    pub fallbacks: u64,
}

/// The names of the classes of statuses, in their order.
pub const CLASSES: [&str; 4] = ["2xx", "4xx", "429", "5xx"];

/// Returns a status that stands for the class of another, and the class's number.
pub(super) fn class(status: u16) -> (u16, usize) {
    match status {
        429 => (429, 2),
        400..=499 => (400, 1),
        500.. => (500, 3),
        _ => (200, 0),
    }
}

impl Figures {
    /// Adds a group.
    pub(super) fn add(&mut self, key: &Key, part: &Part<'_>) -> Result<(), DamagedRollup> {
        part.add_to(&mut self.sums)?;
        let requests = part.requests()?;
        if let Some(count) = self.by_status.get_mut(class(key.status).1) {
            *count = count.saturating_add(requests);
        }
        if key.fallback {
            self.fallbacks = self.fallbacks.saturating_add(requests);
        }
        Ok(())
    }

    /// Adds another row.
    pub(super) fn merge(&mut self, other: &Self) {
        self.sums.merge(&other.sums);
        for (to, from) in self.by_status.iter_mut().zip(other.by_status) {
            *to = to.saturating_add(from);
        }
        self.fallbacks = self.fallbacks.saturating_add(other.fallbacks);
    }

    /// Returns how many requests did not end with a success.
    pub fn errors(&self) -> u64 {
        self.by_status.iter().skip(1).fold(0, |sum, count| sum.saturating_add(*count))
    }
}

/// Durations in milliseconds; absent when nothing was measured. At most 3.2 % off.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Quantiles {
    /// Half took at most as long.
    pub p50: Option<f64>,
    /// 95 of 100 took at most as long.
    pub p95: Option<f64>,
    /// 99 of 100 took at most as long.
    pub p99: Option<f64>,
}

impl Quantiles {
    /// Reads a histogram.
    pub fn of(histogram: &Histogram) -> Self {
        let read = |per_mille| histogram.quantile(per_mille).map(milliseconds);
        Self { p50: read(500), p95: read(950), p99: read(990) }
    }
}

/// The sums of one group.
#[derive(Clone, Debug, PartialEq)]
pub struct UsageRow {
    /// The names of columns and what the group has there.
    pub group: Vec<(&'static str, Option<String>)>,
    /// The sums.
    pub figures: Figures,
}

impl Serialize for UsageRow {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for (name, value) in &self.group {
            map.serialize_entry(name, value)?;
        }
        self.figures.entries(&mut map)?;
        map.end()
    }
}

impl Serialize for Figures {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        self.entries(&mut map)?;
        map.end()
    }
}

/// An amount as an exact JSON number of US dollars.
#[derive(Serialize)]
struct Dollars(#[serde(serialize_with = "as_exact_dollars")] NanoUsd);

impl Figures {
    /// Returns all counts by name, in the order of the API.
    pub(super) fn counts(&self) -> [(&'static str, u64); 13] {
        let usage = &self.sums.usage;
        let [_, client_errors, rate_limited, server_errors] = self.by_status;
        [
            ("requests", self.sums.requests),
            ("errors", self.errors()),
            ("errors_4xx", client_errors),
            ("errors_429", rate_limited),
            ("errors_5xx", server_errors),
            ("fallbacks", self.fallbacks),
            ("input_tokens", usage.input_tokens()),
            ("cached_input_tokens", usage.cached_input),
            ("cache_write_tokens", usage.cache_write),
            ("output_tokens", usage.output_tokens()),
            ("reasoning_tokens", usage.reasoning),
            ("audio_input_tokens", usage.audio_input),
            ("audio_output_tokens", usage.audio_output),
        ]
    }

    fn entries<M: SerializeMap>(&self, map: &mut M) -> Result<(), M::Error> {
        for (name, count) in self.counts() {
            map.serialize_entry(name, &count)?;
        }
        map.serialize_entry("cost_usd", &Dollars(NanoUsd(self.sums.cost_nanos)))?;
        map.serialize_entry("unknown_cost_requests", &self.sums.unknown_cost)?;
        map.serialize_entry("baseline_cost_usd", &Dollars(NanoUsd(self.sums.baseline_cost_nanos)))?;
        let saved = RawValue::from_string(signed_dollars(self.sums.saved_nanos)).map_err(M::Error::custom)?;
        map.serialize_entry("saved_usd", &saved)?;
        if self.sums.latency != Histogram::default() {
            map.serialize_entry("latency_ms", &Quantiles::of(&self.sums.latency))?;
            map.serialize_entry("time_to_first_content_ms", &Quantiles::of(&self.sums.first_content))?;
        }
        Ok(())
    }
}

/// Returns an amount that may be negative as a plain decimal.
pub(super) fn signed_dollars(nanos: i64) -> String {
    let sign = if nanos < 0 { "-" } else { "" };
    format!("{sign}{}", NanoUsd(nanos.unsigned_abs()))
}
