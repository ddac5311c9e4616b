//! What providers did. Their names come from the configuration, never from traffic.

use std::cmp::Ordering as Order;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arc_swap::{ArcSwap, ArcSwapOption};
use ir::settlement::Settlement;
use serde::Serialize;

/// Classes of failures that say that a provider cannot answer, whatever it is asked.
const UNREACHABLE: [&str; 6] = ["connect", "timeout", "broken", "malformed", "overloaded", "server_error"];

/// Classes of failures that say that it does not want to answer us.
const DENIED: [&str; 2] = ["auth", "payment"];

/// Counts by environment and provider. Nobody waits for anybody: a provider that was never asked makes a new list.
#[derive(Debug, Default)]
pub(super) struct Providers(ArcSwap<Vec<(Place, Arc<Counts>)>>);

/// An environment and a provider of it.
type Place = (Arc<str>, Arc<str>);

#[derive(Debug, Default)]
struct Counts {
    attempts: AtomicU64,
    errors: AtomicU64,
    unreachable: AtomicU64,
    denied: AtomicU64,
    answers: AtomicU64,
    input_tokens: AtomicU64,
    output_tokens: AtomicU64,
    last_error: ArcSwapOption<LastError>,
    /// When the request that it answered last was admitted, Unix milliseconds; 0 for none.
    last_answer_ms: AtomicU64,
}

/// How a provider has done since the process started.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// When the request that it answered last was admitted, Unix milliseconds.
    pub last_answer_ms: Option<u64>,
    /// What last went wrong.
    pub last_error: Option<Arc<LastError>>,
}

impl Standing {
    /// Returns it in a word: `unused`, `connected` when its last request was answered, else `credential_refused` or
    /// `failing`.
    pub fn word(&self) -> &'static str {
        match (&self.last_error, self.last_answer_ms) {
            (None, None) => "unused",
            (None, Some(_)) => "connected",
            (Some(error), Some(answer)) if answer >= error.at_ms => "connected",
            (Some(error), _) => {
                let class = error.message.split(':').next().unwrap_or_default();
                if DENIED.contains(&class) { "credential_refused" } else { "failing" }
            }
        }
    }
}

/// The last failure of a provider since the process started.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LastError {
    /// When the request that met it was admitted, Unix milliseconds.
    pub at_ms: u64,
    /// What it was, without secrets: `connect: connection refused`.
    pub message: String,
    /// The provider's HTTP status; absent when it did not answer.
    pub status: Option<u16>,
}

/// What one provider did since the process started.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ProviderTotals {
    /// Its environment.
    pub environment: Arc<str>,
    /// Its name.
    pub provider: Arc<str>,
    /// How often it was asked, retries included.
    pub attempts: u64,
    /// How many of them failed.
    pub errors: u64,
    /// How many failed because nobody answered, or answered that he cannot.
    #[serde(skip)]
    pub unreachable: u64,
    /// How many failed because the credential was refused.
    #[serde(skip)]
    pub denied: u64,
    /// How many requests it answered, in part or in full.
    pub answers: u64,
    /// Their input tokens.
    pub input_tokens: u64,
    /// Their output tokens.
    pub output_tokens: u64,
}

/// Returns where a provider stands in the list, or where it belongs.
fn find(known: &[(Place, Arc<Counts>)], environment: &str, provider: &str) -> Result<usize, usize> {
    known.binary_search_by(|((of, name), _)| match (**of).cmp(environment) {
        Order::Equal => (**name).cmp(provider),
        order => order,
    })
}

impl Counts {
    /// Counts a failure. What is written down of it begins with its class.
    fn failed(&self, message: &str, status: Option<u16>, at_ms: u64) {
        self.errors.fetch_add(1, Ordering::Relaxed);
        let class = message.split(':').next().unwrap_or_default();
        self.unreachable.fetch_add(u64::from(UNREACHABLE.contains(&class)), Ordering::Relaxed);
        self.denied.fetch_add(u64::from(DENIED.contains(&class)), Ordering::Relaxed);
        self.last_error.store(Some(Arc::new(LastError { at_ms, message: message.to_owned(), status })));
    }
}

impl Providers {
    /// Counts a settlement.
    pub(super) fn settled(&self, settlement: &Settlement) {
        let environment = &settlement.subject.environment;
        for attempt in &settlement.attempts {
            self.count(environment, &attempt.provider, |counts| {
                counts.attempts.fetch_add(1, Ordering::Relaxed);
                // To be slower than another is no failure.
                let failed = attempt.error.as_ref().filter(|message| !message.starts_with("superseded"));
                if let Some(message) = failed {
                    counts.failed(message, attempt.status, settlement.subject.admitted_unix_ms);
                }
            });
        }
        if let Some(provider) = &settlement.provider {
            self.count(environment, provider, |counts| {
                counts.answers.fetch_add(1, Ordering::Relaxed);
                counts.last_answer_ms.fetch_max(settlement.subject.admitted_unix_ms, Ordering::Relaxed);
                counts.input_tokens.fetch_add(settlement.usage.input_tokens(), Ordering::Relaxed);
                counts.output_tokens.fetch_add(settlement.usage.output_tokens(), Ordering::Relaxed);
            });
        }
    }

    /// Lets the counts of a provider be changed.
    fn count(&self, environment: &Arc<str>, provider: &Arc<str>, change: impl FnOnce(&Counts)) {
        let known = self.0.load();
        if let Some((_, counts)) = find(&known, environment, provider).ok().and_then(|at| known.get(at)) {
            return change(counts);
        }
        drop(known);
        self.0.rcu(|before| {
            let mut after = Vec::clone(before);
            if let Err(at) = find(&after, environment, provider) {
                after.insert(at, ((Arc::clone(environment), Arc::clone(provider)), Arc::default()));
            }
            after
        });
        let known = self.0.load();
        if let Some((_, counts)) = find(&known, environment, provider).ok().and_then(|at| known.get(at)) {
            change(counts);
        }
    }

    /// Returns how a provider has done.
    pub(super) fn standing(&self, environment: &str, provider: &str) -> Standing {
        let known = self.0.load();
        let place = find(&known, environment, provider).ok().and_then(|at| known.get(at));
        let Some((_, counts)) = place else { return Standing::default() };
        let answered = counts.last_answer_ms.load(Ordering::Relaxed);
        Standing { last_answer_ms: (answered > 0).then_some(answered), last_error: counts.last_error.load_full() }
    }

    /// Returns what they did, by environment and name.
    pub(super) fn totals(&self) -> Vec<ProviderTotals> {
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        let counts = self.0.load();
        let totals = counts.iter().map(|((environment, provider), counts)| ProviderTotals {
            environment: Arc::clone(environment),
            provider: Arc::clone(provider),
            attempts: read(&counts.attempts),
            errors: read(&counts.errors),
            unreachable: read(&counts.unreachable),
            denied: read(&counts.denied),
            answers: read(&counts.answers),
            input_tokens: read(&counts.input_tokens),
            output_tokens: read(&counts.output_tokens),
        });
        totals.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_says_how_the_last_request_went() {
        let check = |answer: Option<u64>, error: Option<(u64, &str)>, word: &str| {
            let last_error =
                error.map(|(at_ms, message)| Arc::new(LastError { at_ms, message: message.to_owned(), status: None }));
            assert_eq!(Standing { last_answer_ms: answer, last_error }.word(), word);
        };
        check(None, None, "unused");
        check(Some(5), None, "connected");
        check(Some(5), Some((4, "server_error: 500")), "connected");
        check(Some(5), Some((6, "server_error: 500")), "failing");
        check(None, Some((6, "connect: connection refused")), "failing");
        check(Some(5), Some((6, "auth: 401")), "credential_refused");
        check(None, Some((6, "payment: 402")), "credential_refused");
    }
}
