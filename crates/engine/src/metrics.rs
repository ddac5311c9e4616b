//! Counters, as Prometheus reads them. Labels come from closed sets, so that traffic cannot make more series.

pub mod guardrails;
pub mod idempotency;
pub mod providers;
pub mod routes;

use std::fmt;

use ir::settlement::{Outcome, Settlement};
use ir::usage::most::Doubt;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::{ConstCounter, Counter};
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Registry;
use serde::Serialize;

use self::guardrails::GuardrailHits;
use self::idempotency::Repeats;
use self::providers::{ProviderTotals, Providers, Standing};
use self::routes::FailedRules;

/// The gateway's counters.
#[derive(Debug, Default)]
pub struct Metrics {
    succeeded: Counter,
    failed: Counter,
    cancelled: Counter,
    refused: Counter,
    rejected: Counter,
    input_tokens: Counter,
    output_tokens: Counter,
    cost_nanos: Counter,
    attempts: Counter,
    latency_us: Counter,
    hedges: Counter,
    hedges_won: Counter,
    doubted: [Counter; 5],
    /// What guardrails do.
    pub guardrails: GuardrailHits,
    /// What requests meet that are sent twice.
    pub idempotency: Repeats,
    /// Rules of routes that could not be held against a request.
    pub routes: FailedRules,
    providers: Providers,
    payloads_dropped: Counter,
}

/// What others count, with its name and what it means.
#[derive(Clone, Debug, Default)]
pub struct More {
    /// Counts since the process was started.
    pub counts: Vec<(&'static str, &'static str, u64)>,
    /// Values of now.
    pub gauges: Vec<(&'static str, &'static str, u64)>,
}

/// What the process did since it was started.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Totals {
    /// Requests by how they ended.
    pub requests: RequestTotals,
    /// Tokens.
    pub tokens: TokenTotals,
    /// What each provider did.
    pub providers: Vec<ProviderTotals>,
}

/// Requests by how they ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RequestTotals {
    /// All of them.
    pub total: u64,
    /// Answered in full.
    pub succeeded: u64,
    /// Failed at every target, or broken off.
    pub failed: u64,
    /// Left by their callers.
    pub cancelled: u64,
    /// Refused after they were admitted.
    pub refused: u64,
    /// Refused before that.
    pub rejected: u64,
}

/// Tokens.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TokenTotals {
    /// Read by models.
    pub input: u64,
    /// Written by models.
    pub output: u64,
}

impl Metrics {
    /// Counts a settlement.
    pub fn settled(&self, settlement: &Settlement) {
        let counter = match settlement.outcome {
            Outcome::Succeeded => &self.succeeded,
            Outcome::Failed | Outcome::Orphaned => &self.failed,
            Outcome::Cancelled => &self.cancelled,
            Outcome::Refused | Outcome::Revoked => &self.refused,
        };
        counter.inc();
        self.input_tokens.inc_by(settlement.usage.input_tokens());
        self.output_tokens.inc_by(settlement.usage.output_tokens());
        self.cost_nanos.inc_by(settlement.cost.map_or(0, |cost| cost.0));
        self.attempts.inc_by(settlement.attempts.len() as u64);
        self.latency_us.inc_by(settlement.latency_us);
        self.providers.settled(settlement);
    }

    /// Returns what the process did since it was started.
    pub fn totals(&self) -> Totals {
        let [succeeded, failed, cancelled, refused, rejected] =
            [&self.succeeded, &self.failed, &self.cancelled, &self.refused, &self.rejected].map(Counter::get);
        let total = succeeded + failed + cancelled + refused + rejected;
        Totals {
            requests: RequestTotals { total, succeeded, failed, cancelled, refused, rejected },
            tokens: TokenTotals { input: self.input_tokens.get(), output: self.output_tokens.get() },
            providers: self.providers.totals(),
        }
    }

    /// Returns how a provider of an environment has done since the process started.
    pub fn standing(&self, environment: &str, provider: &str) -> Standing {
        self.providers.standing(environment, provider)
    }

    /// Counts a request that was refused before the gate.
    pub fn rejected(&self) {
        self.rejected.inc();
    }

    /// Counts a request for which a second target is asked, because the first is late.
    pub fn hedged(&self) {
        self.hedges.inc();
    }

    /// Counts one that the second target answered.
    pub fn hedge_won(&self) {
        self.hedges_won.inc();
    }

    /// Counts a usage report that cannot be true.
    pub fn doubted(&self, doubt: Doubt) {
        if let Some((_, counter)) = Doubt::ALL.iter().zip(&self.doubted).find(|(known, _)| **known == doubt) {
            counter.inc();
        }
    }

    /// Counts a request whose content could not be kept.
    pub fn payload_dropped(&self) {
        self.payloads_dropped.inc();
    }

    /// Returns the counters in OpenMetrics text.
    ///
    /// # Errors
    /// When the text cannot be written.
    pub fn render(&self, in_flight: u64, more: &More) -> Result<String, fmt::Error> {
        let mut registry = Registry::with_prefix("crossway");
        let outcomes = [
            ("requests_succeeded", "Requests that were answered in full", &self.succeeded),
            ("requests_failed", "Requests that every target failed, or that broke off", &self.failed),
            ("requests_cancelled", "Requests whose caller went away", &self.cancelled),
            ("requests_refused", "Requests refused after they were admitted", &self.refused),
            ("requests_rejected", "Requests refused before they were admitted", &self.rejected),
            ("input_tokens", "Input tokens", &self.input_tokens),
            ("output_tokens", "Output tokens", &self.output_tokens),
            ("cost_nanodollars", "Cost of all requests in nano-dollars", &self.cost_nanos),
            ("attempts", "Attempts at targets", &self.attempts),
            ("latency_microseconds", "Sum of the latencies of all admitted requests", &self.latency_us),
            ("hedges", "Second targets asked because the first was late", &self.hedges),
            ("hedges_won", "Second targets that answered before the first", &self.hedges_won),
            (
                "payloads_dropped",
                "Requests whose content could not be kept: too much was waiting",
                &self.payloads_dropped,
            ),
        ];
        for (name, help, counter) in outcomes {
            registry.register(name, help, counter.clone());
        }
        let family = Family::<Vec<(&'static str, &'static str)>, Counter>::default();
        for (doubt, counter) in Doubt::ALL.iter().zip(&self.doubted) {
            family.get_or_create(&vec![("doubt", doubt.name())]).inc_by(counter.get());
        }
        let help = "Usage reports of providers that were more than the request can amount to";
        registry.register("usage_reports_doubted", help, family);
        self.guardrails.register(&mut registry);
        self.idempotency.register(&mut registry);
        self.routes.register(&mut registry);
        let gauge: prometheus_client::metrics::gauge::Gauge = prometheus_client::metrics::gauge::Gauge::default();
        gauge.set(i64::try_from(in_flight).unwrap_or(i64::MAX));
        registry.register("requests_in_flight", "Requests that are admitted and not settled", gauge);
        for (name, help, count) in &more.counts {
            registry.register(*name, *help, ConstCounter::new(*count));
        }
        for (name, help, value) in &more.gauges {
            registry.register(*name, *help, ConstGauge::new(i64::try_from(*value).unwrap_or(i64::MAX)));
        }
        let mut text = String::new();
        encode(&mut text, &registry)?;
        Ok(text)
    }
}
