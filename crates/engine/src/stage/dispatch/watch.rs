//! What targets are seen to do is told to their live signals, and what those say is heeded before a target is asked.

use std::sync::Arc;
use std::time::Duration;

use net::h1::ResponseHead;
use policy::clock::{Clock, Monotonic};
use policy::snapshot::CompiledKey;
use routing::plan::{Plan, Planned};
use routing::signal::{Flight, Kind, Signals, Trouble};
use upstream::classify::leads_on;
use upstream::failure::{AttemptFailure, Class};
use upstream::target::Target;

use crate::state::Configuration;

/// An attempt in flight. One that is dropped was given up.
pub(super) struct Watched<'a> {
    signals: Arc<Signals>,
    flight: Option<Flight>,
    clock: &'a Clock,
    /// Whether it is asked with a credential of the caller's own.
    own: bool,
}

impl<'a> Watched<'a> {
    /// Notes that a target is asked.
    pub fn begin(signals: &Arc<Signals>, (stream, own): (bool, bool), clock: &'a Clock, now: Monotonic) -> Self {
        let kind = if stream { Kind::Stream } else { Kind::Whole };
        // Whether it may be asked was decided before; where all are held, one is asked all the same.
        Self { signals: Arc::clone(signals), flight: Some(signals.begin_anyway(kind, now)), clock, own }
    }

    /// Notes that it answered.
    pub fn answered(mut self, now: Monotonic) {
        if let Some(flight) = self.flight.take() {
            self.signals.answered(flight, now);
        }
    }

    /// Notes that it failed. What one of several credentials is to blame for, or the caller's own, says nothing of the
    /// target.
    pub fn failed(mut self, now: Monotonic, failure: &AttemptFailure, target: &Target) {
        let Some(flight) = self.flight.take() else { return };
        let trouble = match trouble(failure.class) {
            trouble if is_of_credential(trouble) && (self.own || target.has_another_credential(now.0)) => {
                Trouble::Request
            }
            trouble => trouble,
        };
        self.signals.failed(flight, now, trouble, failure.retry_after);
    }
}

impl Drop for Watched<'_> {
    fn drop(&mut self) {
        if let Some(flight) = self.flight.take() {
            self.signals.dropped(flight, self.clock.now());
        }
    }
}

/// Returns whose fault a failure is.
fn trouble(class: Class) -> Trouble {
    match class {
        Class::Connect => Trouble::Connect,
        Class::Timeout | Class::RequestTimeout => Trouble::Timeout,
        Class::Broken | Class::Malformed | Class::Overloaded | Class::Loop | Class::Server => Trouble::Server,
        Class::RateLimited => Trouble::Limited,
        Class::Auth | Class::Payment => Trouble::Credential,
        Class::NotFound => Trouble::Model,
        Class::Conflict | Class::ContextLength | Class::ContentFilter | Class::Rejected | Class::Unsupported => {
            Trouble::Request
        }
    }
}

/// Whether another credential might not have it.
fn is_of_credential(trouble: Trouble) -> bool {
    matches!(trouble, Trouble::Credential | Trouble::Limited)
}

/// Returns a class of failures that are this trouble.
fn class(trouble: Trouble) -> Class {
    match trouble {
        Trouble::Connect => Class::Connect,
        Trouble::Timeout => Class::Timeout,
        Trouble::Server => Class::Server,
        Trouble::Limited => Class::RateLimited,
        Trouble::Credential => Class::Auth,
        Trouble::Model => Class::NotFound,
        Trouble::Request => Class::Rejected,
    }
}

/// Returns why a planned target is not asked now: it is to be left alone, and there is another one that is not. The
/// last resort is always asked. What does not lead on to the next target when it happens does not do so afterwards.
pub(crate) fn held(
    configuration: &Configuration,
    key: &CompiledKey,
    plan: &Plan,
    at: usize,
    now: Monotonic,
) -> Option<AttemptFailure> {
    let held = |planned: &Planned| {
        let (trouble, left_s) = configuration.known(planned.model)?.held(now)?;
        // The platform's credentials are no concern of those who bring their own.
        let other = is_of_credential(trouble) && configuration.credential(key, planned, &[]).is_some();
        (!other).then_some((trouble, left_s))
    };
    let (trouble, left_s) = held(plan.attempts.get(at)?)?;
    if !leads_on(class(trouble), &plan.on) {
        return None;
    }
    plan.attempts.iter().skip(at + 1).any(|other| held(other).is_none()).then(|| {
        let why = if trouble == Trouble::Limited { "it asked to be left alone" } else { "it failed before" };
        let detail = format!("not asked: {why} ({}), for another {left_s:.1} s", trouble.name());
        AttemptFailure::new(class(trouble), detail)
    })
}

/// Notes what a provider's headers say is left of its limit on requests.
pub(super) fn note_limits(signals: &Signals, head: &ResponseHead, now: Monotonic) {
    let Some(remaining) = head.get("x-ratelimit-remaining-requests").and_then(|left| left.trim().parse().ok()) else {
        return;
    };
    if let Some(reset) = head.get("x-ratelimit-reset-requests").and_then(duration) {
        signals.told(now, remaining, reset);
    }
}

/// Reads a duration as OpenAI writes it: `1s`, `6m0s`, `20ms`, `1h2m3.5s`
/// (<https://platform.openai.com/docs/guides/rate-limits#rate-limits-in-headers>); a bare number is seconds.
fn duration(text: &str) -> Option<Duration> {
    let (mut rest, mut seconds) = (text.trim(), 0.0);
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        let number: f64 = rest.get(..digits)?.parse().ok()?;
        rest = rest.get(digits..)?;
        let letters = rest.find(|c: char| c.is_ascii_digit()).unwrap_or(rest.len());
        let factor = match rest.get(..letters)? {
            "ms" => 0.001,
            "s" | "" => 1.0,
            "m" => 60.0,
            "h" => 3600.0,
            "d" => 86_400.0,
            _ => return None,
        };
        rest = rest.get(letters..)?;
        seconds += number * factor;
    }
    Duration::try_from_secs_f64(seconds).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_as_providers_write_them() {
        let check = |text: &str, ms: Option<u64>| assert_eq!(duration(text), ms.map(Duration::from_millis), "{text}");
        check("1s", Some(1_000));
        check("6m0s", Some(360_000));
        check("20ms", Some(20));
        check("1h2m3.5s", Some(3_723_500));
        check(" 2 ", Some(2_000));
        check("", Some(0));
        for text in ["s", "1x", "1.2.3s", "-1s", "2025-01-01T00:00:00Z", "1e999s"] {
            check(text, None);
        }
    }
}
