//! How providers and models are at the moment, as this node has seen them with its own requests: nobody is asked for it.

use engine::state::Configuration;
use policy::clock::Monotonic;
use policy::snapshot::{Model, ModelIndex, ProviderIndex};
use routing::signal::{Kind, Reading, Signals, Standing};
use serde_json::{Map, Value, json};

/// From this share of failures on a target is not well.
const FAILING: f64 = 0.2;

/// How a target is, in a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Health {
    Ok,
    /// It answers, but fails often or asks to be left alone.
    Degraded,
    /// It is left alone because it fails.
    Down,
}

impl Health {
    fn of(reading: &Reading) -> Self {
        match reading.standing {
            Standing::Benched(_) | Standing::Probe => Self::Down,
            Standing::Closed if reading.pauses || reading.failure >= FAILING => Self::Degraded,
            Standing::Closed => Self::Ok,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Degraded => "degraded",
            Self::Down => "down",
        }
    }
}

/// Returns every enabled model that was asked since the process started, or since its provider changed.
pub(super) fn models(configuration: &Configuration, now: Monotonic) -> Vec<Value> {
    let asked = asked(configuration);
    asked.filter_map(|(model, signals)| shown(configuration, model, signals, now)).collect()
}

/// Returns how a provider is: down when all of its models are that were asked, degraded when any is not well, and
/// `unknown` when none was asked.
pub(super) fn provider(configuration: &Configuration, provider: ProviderIndex, now: Monotonic) -> &'static str {
    let own = asked(configuration).filter(|(model, _)| model.provider == provider);
    let healths: Vec<Health> = own.map(|(_, signals)| Health::of(&signals.read(Kind::Stream, now))).collect();
    match (healths.iter().min(), healths.iter().max()) {
        (Some(Health::Down), _) => Health::Down.name(),
        (Some(_), Some(Health::Ok)) => Health::Ok.name(),
        (Some(_), _) => Health::Degraded.name(),
        (None, _) => "unknown",
    }
}

fn asked(configuration: &Configuration) -> impl Iterator<Item = (&Model, &Signals)> {
    let models = configuration.snapshot.models.iter().enumerate().filter(|(_, model)| model.enabled);
    models.filter_map(|(at, model)| Some((model, configuration.known(ModelIndex(at))?)))
}

fn shown(configuration: &Configuration, model: &Model, signals: &Signals, now: Monotonic) -> Option<Value> {
    let provider = configuration.snapshot.provider(model.provider)?;
    let (stream, whole) = (signals.read(Kind::Stream, now), signals.read(Kind::Whole, now));
    let counted = signals.troubles();
    let failed: u64 = counted.iter().map(|(_, count)| count).sum();
    let troubles: Map<String, Value> = counted
        .iter()
        .filter(|(_, count)| *count > 0)
        .map(|(one, count)| (one.name().to_owned(), json!(count)))
        .collect();
    let held = signals.held(now).map(|(trouble, left_s)| json!({ "reason": trouble.name(), "seconds": short(left_s) }));
    let attempts = stream.answers.saturating_add(failed);
    #[expect(clippy::cast_precision_loss, reason = "a share for people")]
    let error_rate = (attempts > 0).then(|| short(failed as f64 / attempts as f64));
    Some(json!({
        "model": &*model.slug,
        "provider": &*provider.name,
        "health": Health::of(&stream).name(),
        "breaker": match stream.standing {
            Standing::Closed => "closed",
            Standing::Probe => "half_open",
            Standing::Benched(_) => "open",
        },
        "left_alone": held,
        "in_flight": stream.waiting,
        "answers": stream.answers,
        "errors": failed,
        "errors_by_reason": troubles,
        "error_rate": error_rate,
        "failure_likelihood": short(stream.failure),
        "first_content_seconds": { "expected": short(stream.wait_for_s), "p50": some(stream.p50_s), "p95": some(stream.p95_s) },
        "total_seconds": { "expected": short(whole.wait_for_s), "p50": some(whole.p50_s), "p95": some(whole.p95_s) },
        "liking": { "quality_left": short(signals.liking(now).0), "ratings": signals.liking(now).1 },
        "tokens_per_second": some(stream.tokens_per_s),
        "requests_per_second_learned": some(stream.rate_per_s),
    }))
}

/// Three digits say enough.
fn short(value: f64) -> f64 {
    (value * 1000.0).round() / 1000.0
}

fn some(value: Option<f64>) -> Option<f64> {
    value.filter(|value| value.is_finite()).map(short)
}

#[cfg(test)]
mod tests {
    use routing::signal::Trouble;

    use super::*;

    #[test]
    fn health_follows_the_breaker_the_pauses_and_the_failures() {
        let at = |seconds: u64| Monotonic(seconds * 1_000_000_000);
        let signals = Signals::default();
        let health = |now| Health::of(&signals.read(Kind::Stream, now));
        assert_eq!(health(at(1)), Health::Ok);
        let fail = |now, trouble| signals.failed(signals.begin_anyway(Kind::Stream, now), now, trouble, None);
        fail(at(1), Trouble::Server);
        assert_eq!(health(at(1)), Health::Degraded);
        fail(at(1), Trouble::Server);
        assert_eq!(health(at(1)), Health::Down);
        assert_eq!(health(at(20)), Health::Down, "it is not known to be up before it has answered");
        signals.answered(signals.begin_anyway(Kind::Stream, at(20)), at(20));
        (0..20).for_each(|_| signals.answered(signals.begin_anyway(Kind::Stream, at(21)), at(21)));
        assert_eq!(health(at(21)), Health::Ok);
        (0..3).for_each(|_| fail(at(22), Trouble::Limited));
        assert_eq!(health(at(22)), Health::Degraded);
    }
}
