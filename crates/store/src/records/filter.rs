//! Which records are meant: one set of conditions for lists, counts, sums and the live tail.

mod resolve;

use ir::id::{RequestId, ResourceId};
use ir::money::NanoUsd;

use super::record::RequestRecord;

pub(super) use resolve::Resolved;

/// Conditions on records; all have to hold. Absent ones do not bind.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Filter {
    /// Made with one of these keys: what somebody may see at most. An empty list is nothing.
    pub visible_keys: Option<Vec<ResourceId>>,
    /// The key's name, or its id.
    pub key: Option<String>,
    /// The key's team at that time.
    pub team: Option<String>,
    /// The model that answered; `*` stands for any characters.
    pub model: Option<String>,
    /// The model that was asked for; `*` stands for any characters.
    pub requested_model: Option<String>,
    /// The provider that answered.
    pub provider: Option<String>,
    /// The HTTP statuses that the caller saw: ranges, both ends included. Empty for all.
    pub statuses: Vec<(u16, u16)>,
    /// How it ended, such as `succeeded`. Empty for all.
    pub outcomes: Vec<String>,
    /// Stable error codes. Empty for all.
    pub errors: Vec<String>,
    /// The surface that was called.
    pub surface: Option<String>,
    /// Whether a stream was asked for.
    pub stream: Option<bool>,
    /// Whether there was more than one attempt.
    pub fallback: Option<bool>,
    /// A tag that its cost is booked under.
    pub tag: Option<String>,
    /// Made at this instant or later, Unix milliseconds.
    pub from_ms: Option<u64>,
    /// Made before this instant, Unix milliseconds.
    pub to_ms: Option<u64>,
    /// What it cost at least; an unknown cost is none.
    pub min_cost: Option<NanoUsd>,
    /// What it cost at most; an unknown cost is none.
    pub max_cost: Option<NanoUsd>,
    /// How long it took at least, in microseconds.
    pub min_latency_us: Option<u64>,
    /// How long it took at most, in microseconds.
    pub max_latency_us: Option<u64>,
    /// A piece of the printed id.
    pub id: Option<String>,
}

impl Filter {
    /// Whether a record is meant. The environment is not looked at.
    pub fn matches(&self, record: &RequestRecord) -> bool {
        let is =
            |wanted: &Option<String>, value: Option<&str>| wanted.as_deref().is_none_or(|wanted| value == Some(wanted));
        let like = |wanted: &Option<String>, value: Option<&str>| {
            wanted.as_deref().is_none_or(|wanted| value.is_some_and(|value| wildcard(wanted, value)))
        };
        let among = |wanted: &[String], value: Option<&str>| {
            wanted.is_empty() || value.is_some_and(|value| wanted.iter().any(|wanted| wanted == value))
        };
        let code = record.error.as_ref().and_then(|error| error.code.as_deref());
        let seen = |keys: &Vec<ResourceId>| record.key.id.is_some_and(|id| keys.contains(&id));
        let named = |key: &String| *key == record.key.name || record.key.id.is_some_and(|id| id.to_string() == *key);
        let has = |tag: &String| record.cost_tags.contains(tag);
        self.visible_keys.as_ref().is_none_or(seen)
            && self.key.as_ref().is_none_or(named)
            && self.tag.as_ref().is_none_or(has)
            && is(&self.team, record.team.as_deref())
            && like(&self.model, record.model.as_deref())
            && like(&self.requested_model, Some(&record.requested_model))
            && is(&self.provider, record.provider.as_deref())
            && among(&self.outcomes, Some(&record.outcome))
            && among(&self.errors, code)
            && is(&self.surface, Some(&record.surface))
            && within(&self.statuses, record.status)
            && self.stream.is_none_or(|stream| stream == record.stream)
            && self.fallback.is_none_or(|fallback| fallback == (record.attempts.len() > 1))
            && self.matches_figures(record)
    }

    fn matches_figures(&self, record: &RequestRecord) -> bool {
        let made = record.id.unix_ms();
        let cost_us = |least: Option<NanoUsd>, most: Option<NanoUsd>| match record.cost_usd {
            Some(cost) => least.is_none_or(|least| cost >= least) && most.is_none_or(|most| cost <= most),
            None => least.is_none() && most.is_none(),
        };
        self.from_ms.is_none_or(|from| made >= from)
            && self.to_ms.is_none_or(|to| made < to)
            && cost_us(self.min_cost, self.max_cost)
            && self.min_latency_us.is_none_or(|least| record.latency_us() >= least)
            && self.max_latency_us.is_none_or(|most| record.latency_us() <= most)
            && self.id.as_deref().is_none_or(|piece| has_piece(record.id, piece))
    }
}

/// Whether a status is in one of the ranges; always, when there are none.
pub(super) fn within(ranges: &[(u16, u16)], status: u16) -> bool {
    ranges.is_empty() || ranges.iter().any(|(first, last)| (*first..=*last).contains(&status))
}

/// Whether the printed id of a request has a piece of text in it.
pub(super) fn has_piece(id: RequestId, piece: &str) -> bool {
    id.to_string().contains(&piece.to_ascii_lowercase())
}

/// Whether a text is what a pattern says, in which `*` stands for any characters, none included.
pub(super) fn wildcard(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = text.strip_prefix(first) else { return false };
    let Some(last) = parts.next_back() else { return rest.is_empty() };
    for part in parts {
        match rest.find(part) {
            Some(at) => rest = rest.get(at + part.len()..).unwrap_or_default(),
            None => return false,
        }
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_anything() {
        let check = |pattern, text, expect| assert_eq!(wildcard(pattern, text), expect, "{pattern} {text}");
        check("gpt-4o", "gpt-4o", true);
        check("gpt-4o", "gpt-4o-mini", false);
        check("gpt-4o*", "gpt-4o", true);
        check("gpt-4o*", "gpt-4o-mini", true);
        check("*mini", "gpt-4o-mini", true);
        check("*mini", "gpt-4o-mini-2", false);
        check("*4o*", "gpt-4o-mini", true);
        check("g*4*mini", "gpt-4o-mini", true);
        check("g*5*mini", "gpt-4o-mini", false);
        check("*", "", true);
        check("", "", true);
        check("", "x", false);
        check("a*a", "a", false);
        check("**", "x", true);
        check("[a]?", "[a]?", true);
        check("[a]?", "ab", false);
    }
}
