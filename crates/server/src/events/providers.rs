//! Providers that went down, and came up again. What counts is what requests met; nobody is asked for it.
//!
//! A provider is down when at least five of the tries of the last minute failed, and nine of ten: not for one error,
//! nor for errors that are the caller's. It is up again when three tries succeeded since and less than half of the last
//! minute's failed. Between the two nothing is said.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;

use engine::gateway::Gateway;
use engine::metrics::providers::ProviderTotals;
use serde_json::{Value, json};
use settle::events::Happened;
use settle::events::source::{Asked, Source};
use store::StoreError;

/// How often counts are looked at, and how far back, in milliseconds.
const EVERY_MS: u64 = 1_000;
const WINDOW_MS: u64 = 60_000;

/// How many tries have to fail, and how many to succeed.
const FEWEST_FAILED: u64 = 5;
const FEWEST_GOOD: u64 = 3;

/// What the subjects of this source begin with.
const SUBJECT: &str = "provider\n";

/// An environment and a provider of it.
type Place = (Arc<str>, Arc<str>);

/// Looks at the counts of providers.
pub(super) struct Providers {
    gateway: Arc<Gateway>,
    places: HashMap<Place, Seen>,
    /// Those that are down, by their subjects.
    down: Option<BTreeMap<String, ()>>,
    changes: Vec<(String, bool)>,
    looked_ms: u64,
}

/// What was seen of one provider.
#[derive(Default)]
struct Seen {
    samples: VecDeque<Sample>,
    /// Tries that succeeded when it went down.
    good_then: Option<u64>,
}

/// The counts at one instant.
#[derive(Clone, Copy, Default)]
struct Sample {
    at_ms: u64,
    attempts: u64,
    unreachable: u64,
    denied: u64,
}

impl Sample {
    fn of(totals: &ProviderTotals, at_ms: u64) -> Self {
        let ProviderTotals { attempts, unreachable, denied, .. } = *totals;
        Self { at_ms, attempts, unreachable, denied }
    }

    fn failed(&self) -> u64 {
        self.unreachable + self.denied
    }

    fn since(&self, earlier: &Self) -> Self {
        Self {
            at_ms: self.at_ms,
            attempts: self.attempts.saturating_sub(earlier.attempts),
            unreachable: self.unreachable.saturating_sub(earlier.unreachable),
            denied: self.denied.saturating_sub(earlier.denied),
        }
    }
}

impl Providers {
    pub(super) fn new(gateway: Arc<Gateway>) -> Self {
        Self { gateway, places: HashMap::new(), down: None, changes: Vec::new(), looked_ms: 0 }
    }
}

impl Source for Providers {
    fn collect(&mut self, asked: &mut Asked<'_>) -> Result<(), StoreError> {
        self.changes.clear();
        let Some(spool) = asked.spool.filter(|_| asked.now_ms >= self.looked_ms.saturating_add(EVERY_MS)) else {
            return Ok(());
        };
        self.looked_ms = asked.now_ms;
        let down = match &mut self.down {
            Some(down) => down,
            none => {
                let raised = spool.raised()?.into_iter().filter(|(subject, ..)| subject.starts_with(SUBJECT));
                none.insert(raised.map(|(subject, ..)| (subject, ())).collect())
            }
        };
        for totals in self.gateway.metrics.totals().providers {
            let place = (Arc::clone(&totals.environment), Arc::clone(&totals.provider));
            let Some(audience) = asked.audiences.get(&totals.environment) else {
                self.places.remove(&place);
                continue;
            };
            let subject = format!("{SUBJECT}{}\n{}", totals.environment, totals.provider);
            let was_down = down.contains_key(&subject);
            let seen = self.places.entry(place).or_default();
            let Some(verdict) = seen.look(Sample::of(&totals, asked.now_ms), was_down) else { continue };
            let happened = happened(&totals, &verdict, asked.now_ms);
            let Some(event) = happened.addressed(audience) else { continue };
            asked.batch.events.push(event);
            match verdict.down {
                true => asked.batch.raised.push((subject.clone(), 0)),
                false => asked.batch.calm.push(subject.clone()),
            }
            self.changes.push((subject, verdict.down));
        }
        Ok(())
    }

    fn written(&mut self) {
        let Some(known) = &mut self.down else { return };
        for (subject, down) in self.changes.drain(..) {
            match down {
                true => _ = known.insert(subject, ()),
                false => _ = known.remove(&subject),
            }
        }
    }
}

/// What became of a provider.
struct Verdict {
    down: bool,
    minute: Sample,
}

impl Seen {
    /// Takes the counts of an instant, and says when that changes what the provider is.
    fn look(&mut self, now: Sample, was_down: bool) -> Option<Verdict> {
        while self.samples.len() > 1 && self.samples.get(1).is_some_and(|one| one.at_ms + WINDOW_MS <= now.at_ms) {
            self.samples.pop_front();
        }
        self.samples.push_back(now);
        let minute = now.since(self.samples.front()?);
        let good = now.attempts.saturating_sub(now.failed());
        if was_down {
            // After a restart counts begin anew: what is good then is good since.
            let since = good.saturating_sub(*self.good_then.get_or_insert(good));
            let up = since >= FEWEST_GOOD && 2 * minute.failed() < minute.attempts;
            return up.then_some(Verdict { down: false, minute });
        }
        self.good_then = Some(good);
        let down = minute.failed() >= FEWEST_FAILED && 10 * minute.failed() >= 9 * minute.attempts;
        down.then_some(Verdict { down: true, minute })
    }
}

fn happened(totals: &ProviderTotals, verdict: &Verdict, now_ms: u64) -> Happened {
    let minute = &verdict.minute;
    let reason = match verdict.down {
        false => Value::Null,
        true if minute.denied > minute.unreachable => "the credential is refused".into(),
        true => "unreachable or failing".into(),
    };
    let data = json!({
        "environment": &*totals.environment,
        "provider": &*totals.provider,
        "reason": reason,
        "attempts": minute.attempts,
        "failed": minute.failed(),
        "window_s": WINDOW_MS / 1_000,
    });
    let Value::Object(data) = data else { return empty(totals, now_ms) };
    let kind = if verdict.down { "provider.down" } else { "provider.up" };
    Happened::new(Arc::clone(&totals.environment), kind, now_ms, data)
}

fn empty(totals: &ProviderTotals, now_ms: u64) -> Happened {
    Happened::new(Arc::clone(&totals.environment), "provider.down", now_ms, serde_json::Map::new())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Plays seconds of (tries, failures) and returns what was said when.
    fn play(seconds: &[(u64, u64)]) -> Vec<(usize, bool)> {
        let (mut seen, mut said, mut down) = (Seen::default(), Vec::new(), false);
        let mut counts = Sample::default();
        seen.look(counts, false);
        for (second, (attempts, failed)) in seconds.iter().enumerate() {
            counts.at_ms = (second as u64 + 1) * 1_000;
            counts.attempts += attempts;
            counts.unreachable += failed;
            if let Some(verdict) = seen.look(counts, down) {
                down = verdict.down;
                said.push((second, down));
            }
        }
        said
    }

    #[test]
    fn one_error_is_no_outage() {
        assert!(play(&[(1, 1), (1, 1), (1, 1), (1, 1)]).is_empty());
        assert!(play(&[(10, 5), (10, 5), (10, 5)]).is_empty());
    }

    #[test]
    fn down_and_up_are_said_once() {
        let mut story = vec![(20, 0); 3];
        story.extend(vec![(10, 10); 60]);
        story.extend(vec![(10, 0); 60]);
        let said = play(&story);
        assert_eq!(said.iter().map(|(_, down)| *down).collect::<Vec<_>>(), [true, false], "{said:?}");
        assert!(said[0].0 > 50 && said[1].0 > 85, "{said:?}");
    }

    #[test]
    fn what_flickers_says_nothing_new() {
        let mut story = vec![(5, 5); 10];
        story.extend((0..60).map(|second| (2, u64::from(second % 2 == 0) + 1)));
        assert_eq!(play(&story), [(0, true)]);
    }
}
