//! The settings of an environment.

use std::sync::Arc;

use ir::failure::ErrorTypes;
use ir::money::{Margin, NanoUsd, SignedNanos};

use super::text::{choice, log_content};
use super::{RESERVED_NAMES, Report, guard};
use crate::limit::zone::Zone;
use crate::problem::{Origin, did_you_mean};
use crate::snapshot::{AccountStatus, Billing, Environment, Hedging, Retention, UnsupportedParams};
use crate::spec::Specs;
use crate::spec::environment::{BillingSpec, EnvironmentSpec, HedgingSpec, RetentionSpec};
use crate::spec::literal::Literal;

/// The most days or months that anything is kept: a hundred years.
const MAX_DAYS: u32 = 36_500;
const MAX_MONTHS: u32 = 1_200;

/// How many amounts of few credits somebody is told of at most.
const MAX_LOW_CREDITS: usize = 10;

/// The most tokens of second requests, in percent.
const MAX_HEDGING_PERCENT: u32 = 50;

/// What stands before `routerlink`'s words by default.
const PREFIX: &str = "crossway_";

/// Names of top-level members of replies.
const TAKEN: [&str; 9] =
    ["id", "object", "created", "model", "choices", "usage", "error", "service_tier", "system_fingerprint"];

/// Compiles the settings of an environment. Its name is the entry's; without one it is `default`.
pub(super) fn compile_environment(specs: &Specs, report: &mut Report) -> Environment {
    let (spec, origin) = (&specs.environment.spec, &specs.environment.origin);
    let name = if specs.environment.name.is_empty() { "default" } else { &specs.environment.name };
    let unsupported = [("drop", UnsupportedParams::Drop), ("refuse", UnsupportedParams::Refuse)];
    let unsupported_params = spec.unsupported_params.as_deref();
    let content = spec.log_content.as_deref();
    let zone = timezone(spec, origin, report).with_billing_day(billing_day(&spec.billing, origin, report));
    let (bound, scoped) = guard::compile_guards(&specs.guardrails, &specs.prompts, report);
    Environment {
        id: None,
        name: Arc::from(name),
        aliases: aliases(spec, origin, report),
        meta_key: meta_key(spec, origin, report),
        unsupported_params: unsupported_params
            .and_then(|word| choice(word, &unsupported, origin, "unsupported_params", report))
            .unwrap_or_default(),
        error_types: error_types(spec, origin, report),
        log_content: content.and_then(|word| log_content(word, origin, report)).unwrap_or_default(),
        retention: retention(&spec.retention, origin, report),
        timezone: Arc::from(zone.name()),
        zone,
        billing: billing(&spec.billing, origin, report),
        low_credits: low_credits(&spec.billing, origin, report),
        default_plan: default_plan(specs, report),
        hedging: hedging(&spec.hedging, origin, report),
        policies: super::route::compile_policies(&spec.policies, spec.quality_bar, origin, report),
        bound,
        scoped,
    }
}

/// A plan that is not there lets nothing through: it is a fault.
fn default_plan(specs: &Specs, report: &mut Report) -> Option<Arc<str>> {
    let name = specs.environment.spec.default_plan.as_deref()?;
    if !specs.plans.iter().any(|plan| plan.name == name) {
        let hint = did_you_mean(name, specs.plans.iter().map(|plan| plan.name.as_str()));
        report.add_hint(&specs.environment.origin, "default_plan", "there is no plan of this name", hint);
    }
    Some(name.into())
}

/// Every month has the days 1 to 28.
fn billing_day(spec: &BillingSpec, origin: &Origin, report: &mut Report) -> u8 {
    let Some(day) = spec.period_day else { return 1 };
    match u8::try_from(day) {
        Ok(day @ 1..=28) => day,
        _ => {
            report.add(origin, "billing.period_day", "must be from 1 to 28");
            1
        }
    }
}

fn aliases(spec: &EnvironmentSpec, origin: &Origin, report: &mut Report) -> Vec<Box<str>> {
    let mut aliases: Vec<Box<str>> = Vec::new();
    for (index, alias) in spec.aliases.iter().enumerate() {
        let printable = !alias.is_empty() && alias.len() <= 200 && alias.bytes().all(|byte| byte.is_ascii_graphic());
        if !printable {
            report.add(origin, &format!("aliases[{index}]"), "not a name: 1 to 200 visible ASCII characters");
        } else if aliases.iter().any(|other| **other == **alias) {
            report.add(origin, &format!("aliases[{index}]"), "the same alias twice");
        }
        aliases.push(alias.as_str().into());
    }
    aliases
}

fn meta_key(spec: &EnvironmentSpec, origin: &Origin, report: &mut Report) -> Arc<str> {
    let meta_key = spec.meta_key.as_deref().unwrap_or("crossway");
    let letters = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
    if !(1..=64).contains(&meta_key.len()) || !meta_key.bytes().all(letters) {
        report.add(origin, "meta_key", "not a key: 1 to 64 letters, digits, underscores, dashes or dots");
    }
    if TAKEN.contains(&meta_key) {
        report.add(origin, "meta_key", "that field of a reply has another meaning");
    }
    Arc::from(meta_key)
}

fn error_types(spec: &EnvironmentSpec, origin: &Origin, report: &mut Report) -> ErrorTypes {
    let prefix = spec.error_type_prefix.as_deref();
    let letters = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
    if prefix.is_some_and(|prefix| prefix.len() > 64 || !prefix.bytes().all(letters)) {
        let message = "not a prefix: at most 64 letters, digits, underscores, dashes or dots";
        report.add(origin, "error_type_prefix", message);
    }
    let word = spec.error_types.as_deref().unwrap_or("computeboard");
    let routerlink = choice(word, &[("computeboard", false), ("routerlink", true)], origin, "error_types", report);
    if routerlink == Some(true) {
        return ErrorTypes::Routerlink { prefix: prefix.unwrap_or(PREFIX).into() };
    }
    if prefix.is_some() && routerlink == Some(false) {
        report.warn(origin, "error_type_prefix", "ignored: it belongs to error_types = \"routerlink\"");
    }
    ErrorTypes::Computeboard
}

/// Reads how long the content of a plan's or a key's requests is kept. Their records are the environment's.
pub(super) fn content_days(spec: &RetentionSpec, origin: &Origin, report: &mut Report) -> Option<u32> {
    for (field, said) in [("records_days", spec.records_days), ("records_months", spec.records_months)] {
        if said.is_some() {
            let hint = "records are kept as long as the environment says: write content_days alone".to_owned();
            report.add_hint(origin, &format!("retention.{field}"), "not here", Some(hint));
        }
    }
    let days = spec.content_days?;
    if !(1..=MAX_DAYS).contains(&days) {
        report.add(origin, "retention.content_days", format!("must be from 1 to {MAX_DAYS}"));
        // Nothing is kept longer for a mistake.
        return Some(1);
    }
    Some(days)
}

pub(super) fn retention(spec: &RetentionSpec, origin: &Origin, report: &mut Report) -> Retention {
    let usual = Retention::default();
    let mut within = |field: &str, value: Option<u32>, most: u32| {
        let good = value.filter(|value| (1..=most).contains(value));
        if value.is_some() && good.is_none() {
            report.add(origin, &format!("retention.{field}"), format!("must be from 1 to {most}"));
        }
        good
    };
    let content = within("content_days", spec.content_days, MAX_DAYS);
    let days = within("records_days", spec.records_days, MAX_DAYS);
    let months = within("records_months", spec.records_months, MAX_MONTHS);
    if spec.records_days.is_some() && spec.records_months.is_some() {
        report.add(origin, "retention.records_months", "say it once: in days or in months");
    }
    let records_days = days.or(months.map(days_of)).unwrap_or(usual.records_days);
    // Short-lived records alone are no contradiction: content goes with its record.
    let content_days = content.unwrap_or(usual.content_days.min(records_days));
    if content_days > records_days {
        let message = format!("content cannot be kept longer than the record it belongs to, {records_days} days");
        let hint = "raise retention.records_days".to_owned();
        report.add_hint(origin, "retention.content_days", message, Some(hint));
    }
    Retention { content_days, records_days }
}

fn billing(spec: &BillingSpec, origin: &Origin, report: &mut Report) -> Billing {
    let margin = spec.margin_percent.as_ref().map(|Literal(text)| Margin::percent(text));
    if let Some(Err(error)) = &margin {
        let hint = "write a percentage such as 5.5".to_owned();
        report.add_hint(origin, "billing.margin_percent", error.to_string(), Some(hint));
    }
    let status = [("active", AccountStatus::Active), ("suspended", AccountStatus::Suspended)];
    let word = spec.status.as_deref().unwrap_or("active");
    Billing {
        enabled: spec.enabled.unwrap_or(false),
        margin: margin.and_then(Result::ok).unwrap_or_default(),
        // A word that nobody knows is reported, and serves nobody should it take effect nevertheless.
        status: choice(word, &status, origin, "billing.status", report).unwrap_or(AccountStatus::Suspended),
    }
}

/// Reads how few credits somebody is told of, the most first.
fn low_credits(spec: &BillingSpec, origin: &Origin, report: &mut Report) -> Vec<NanoUsd> {
    if spec.low_credits.len() > MAX_LOW_CREDITS {
        report.add(origin, "billing.low_credits", format!("at most {MAX_LOW_CREDITS} amounts"));
    }
    let mut all = Vec::new();
    for (index, Literal(text)) in spec.low_credits.iter().enumerate() {
        let read = SignedNanos::dollars(&text.replace('_', ""));
        match read.map(|amount| u64::try_from(amount.0)) {
            Ok(Ok(nanos)) if nanos > 0 => all.push(NanoUsd(nanos)),
            _ => {
                let hint = "US dollars, such as 50 or 12.50".to_owned();
                report.add_hint(origin, &format!("billing.low_credits[{index}]"), "not an amount above 0", Some(hint));
            }
        }
    }
    all.sort_unstable_by(|one, other| other.cmp(one));
    all.dedup();
    all
}

fn hedging(spec: &HedgingSpec, origin: &Origin, report: &mut Report) -> Hedging {
    let usual = Hedging::default();
    let names = RESERVED_NAMES.map(|name| (name, name));
    let policies = spec.policies.as_ref().map(|words| {
        let known =
            |(at, word): (usize, &String)| choice(word, &names, origin, &format!("hedging.policies[{at}]"), report);
        words.iter().enumerate().filter_map(known).collect()
    });
    let percent = spec.extra_tokens_percent;
    if percent.is_some_and(|percent| percent > MAX_HEDGING_PERCENT) {
        report.add(origin, "hedging.extra_tokens_percent", format!("must be from 0 to {MAX_HEDGING_PERCENT}"));
    }
    let per_mille = percent.map_or(usual.per_mille, |percent| percent.min(MAX_HEDGING_PERCENT) * 10);
    Hedging { policies: policies.unwrap_or(usual.policies), per_mille }
}

/// Returns the days that so many months have at least on average: 146 097 days are 400 years of 12 months.
fn days_of(months: u32) -> u32 {
    u32::try_from((u64::from(months) * 146_097).div_ceil(4_800)).unwrap_or(MAX_DAYS)
}

fn timezone(spec: &EnvironmentSpec, origin: &Origin, report: &mut Report) -> Zone {
    let name = spec.timezone.as_deref().unwrap_or("UTC");
    // The form of <https://data.iana.org/time-zones/theory.html>, "Timezone identifiers".
    let letters = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'+');
    let part = |part: &str| part.starts_with(|first: char| first.is_ascii_alphabetic()) && part.bytes().all(letters);
    if name.len() > 64 || name.split('/').count() > 3 || !name.split('/').all(part) {
        let hint = "such as Europe/Berlin, or UTC".to_owned();
        report.add_hint(origin, "timezone", "not the name of an IANA time zone", Some(hint));
        return Zone::default();
    }
    Zone::named(name).unwrap_or_else(|| {
        let hint = "is the name right, and are the system's time zone files (package tzdata) installed?".to_owned();
        report.add_hint(origin, "timezone", "this system knows no time zone of this name", Some(hint));
        Zone::default()
    })
}

#[cfg(test)]
mod tests;
