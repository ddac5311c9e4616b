//! Limits: every field alone, then what contradicts itself.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use ir::money::{PicoUsd, PriceError};

use super::Report;
use super::key::MAX_DESCRIPTION;
use super::names::Names;
use super::notify::thresholds;
use super::settings::parse_duration;
use super::text::check_prose;
use crate::limit::Meter;
use crate::limit::rule::{Enforce, Limit, Rule, Scope, Span, Target};
use crate::notify::THRESHOLDS;
use crate::problem::{Origin, did_you_mean};
use crate::snapshot::Snapshot;
use crate::spec::limit::LimitSpec;
use crate::spec::literal::Literal;
use crate::spec::{Entry, Specs};

const METERS: [(&str, Meter); 6] = [
    ("requests", Meter::Requests),
    ("tokens", Meter::Tokens),
    ("input_tokens", Meter::InputTokens),
    ("output_tokens", Meter::OutputTokens),
    ("usd", Meter::Usd),
    ("concurrency", Meter::Concurrency),
];

const SCOPES: [&str; 7] = ["environment", "account", "team", "key", "user", "ip", "bucket"];

/// The shortest and the longest rolling window.
const ROLLING: std::ops::RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(400 * 86_400);

/// From which length on a rolling window is a quota rather than a rate.
const BUDGETARY: Duration = Duration::from_secs(3_600);

/// The most limits of one environment.
const MAX_LIMITS: usize = 1_000;

/// The most characters of a name in a scope.
const MAX_NAME: usize = 256;

/// What limits may refer to.
#[derive(Clone, Copy)]
pub(super) enum Within<'a> {
    /// What is being compiled.
    Environment {
        /// What is written.
        specs: &'a Specs,
        /// The names of models.
        names: &'a Names,
    },
    /// What was compiled.
    Snapshot(&'a Snapshot),
    /// Nobody knows.
    Anything,
}

/// Checks the limits of an environment. Those that are switched off are left out.
pub(super) fn compile_limits(
    entries: &[Entry<LimitSpec>],
    within: &Within<'_>,
    report: &mut Report,
) -> Vec<Arc<Limit>> {
    if let Some(entry) = entries.get(MAX_LIMITS) {
        report.add(&entry.origin, "", format!("too many limits in one environment: at most {MAX_LIMITS}"));
    }
    let mut limits = Vec::with_capacity(entries.len().min(MAX_LIMITS));
    for Entry { name, spec, origin } in entries.iter().take(MAX_LIMITS) {
        if name == RESERVED {
            report.add(origin, "name", "`effective` is reserved: limits/effective lists what binds a key");
        }
        // A faulty one is reported; should the others be used nevertheless, it binds nobody.
        let Some(rule) = compile_limit(spec, origin, "", None, within, report) else { continue };
        if rule.enabled {
            limits.push(Arc::new(Limit { name: name.as_str().into(), rule }));
        }
    }
    limits
}

/// Checks a limit. `own` is the scope of a limit that is written inside another resource (a key's own limits), which
/// then says none, or `key`.
pub(super) fn compile_limit(
    spec: &LimitSpec,
    origin: &Origin,
    prefix: &str,
    own: Option<Scope>,
    within: &Within<'_>,
    report: &mut Report,
) -> Option<Rule> {
    let mut check = Check { origin, prefix, report };
    let meter = check.meter(spec.meter.as_deref());
    let window = check.window(spec.window.as_deref(), meter);
    let amount = check.amount(spec.amount.as_ref(), meter);
    let scope = check.scope(spec, own);
    let target = check.target(spec.target.as_deref());
    let enforce = check.enforce(spec.enforce.as_deref());
    check.references(scope.as_ref(), target.as_ref(), within);
    let thresholds = check.thresholds(spec, meter, window);
    check_prose(&spec.description, MAX_DESCRIPTION, origin, &format!("{prefix}description"), report);
    Some(Rule {
        meter: meter?,
        window: window?,
        amount: amount?,
        scope: scope?,
        target: target?,
        enabled: spec.enabled.unwrap_or(true),
        thresholds,
        enforce: enforce?,
    })
}

struct Check<'a> {
    origin: &'a Origin,
    prefix: &'a str,
    report: &'a mut Report,
}

impl Check<'_> {
    /// Reports a field and returns nothing.
    fn refuse<T>(&mut self, field: &str, message: &str, hint: Option<String>) -> Option<T> {
        self.report.add_hint(self.origin, &format!("{}{field}", self.prefix), message, hint);
        None
    }

    fn meter(&mut self, written: Option<&str>) -> Option<Meter> {
        let names = METERS.map(|(name, _)| name);
        let known = || Some(format!("known: {}", names.join(", ")));
        let Some(written) = written else { return self.refuse("meter", "missing", known()) };
        match METERS.iter().find(|(name, _)| *name == written.trim()) {
            Some((_, meter)) => Some(*meter),
            None => self.refuse("meter", "unknown meter", did_you_mean(written, names).or_else(known)),
        }
    }

    fn window(&mut self, written: Option<&str>, meter: Option<Meter>) -> Option<Span> {
        const HINT: &str = "write a duration such as 60s, 1h or 7d, day, month, billing_period or total";
        let concurrent = meter == Some(Meter::Concurrency);
        match written.map(str::trim) {
            None if concurrent => Some(Span::Total),
            None => self.refuse("window", "missing", Some(HINT.to_owned())),
            Some(_) if concurrent => {
                self.refuse("window", "concurrency is counted at every instant", Some("leave it out".to_owned()))
            }
            Some(text) => match span_of(text) {
                Some(Span::Rolling(window)) if !ROLLING.contains(&window) => {
                    self.refuse("window", "not between 1s and 400d", None)
                }
                Some(span) => Some(span),
                None => self.refuse("window", "not a window", Some(HINT.to_owned())),
            },
        }
    }

    /// Rates over a short time come and go all day: they tell of themselves only when somebody asks for it.
    fn thresholds(&mut self, spec: &LimitSpec, meter: Option<Meter>, window: Option<Span>) -> Box<[u8]> {
        let written = spec.alerts.as_ref().and_then(|alerts| alerts.thresholds.as_deref());
        let rate = matches!(window, Some(Span::Rolling(length)) if length < BUDGETARY);
        match written {
            Some(list) if meter == Some(Meter::Concurrency) && !list.is_empty() => {
                let message = "places in flight come and go: nobody is told of them";
                self.refuse::<()>("alerts.thresholds", message, Some("leave it out".to_owned()));
                Box::default()
            }
            Some(list) => {
                let field = format!("{}alerts.thresholds", self.prefix);
                thresholds(list, self.origin, &field, self.report).into()
            }
            None if meter == Some(Meter::Concurrency) || (rate && meter != Some(Meter::Usd)) => Box::default(),
            None => THRESHOLDS.into(),
        }
    }

    fn amount(&mut self, written: Option<&Literal>, meter: Option<Meter>) -> Option<u64> {
        let Some(Literal(text)) = written else { return self.refuse("amount", "missing", None) };
        let text = text.replace('_', "");
        if meter == Some(Meter::Usd) {
            // A dollar for a million units is a micro-dollar for one: the reader of prices has the digits wanted here.
            return match PicoUsd::per_million(&text) {
                Ok(price) => match price.0.checked_mul(1_000) {
                    Some(nanos) => Some(nanos),
                    None => self.refuse("amount", "too large", None),
                },
                Err(error) => {
                    let message = match error {
                        PriceError::NotDecimal => "not a decimal number of US dollars",
                        PriceError::Negative => "negative",
                        PriceError::TooFine => "finer than a millionth of a dollar",
                        PriceError::TooLarge => "too large",
                    };
                    self.refuse("amount", message, Some("US dollars, such as 25.50".to_owned()))
                }
            };
        }
        match text.trim().parse::<u64>() {
            Ok(amount) => Some(amount),
            Err(_) => self.refuse("amount", "not a whole number that is not negative", None),
        }
    }

    fn scope(&mut self, spec: &LimitSpec, own: Option<Scope>) -> Option<Scope> {
        if let Some(own) = own {
            let hint = Some("leave it out: the limit belongs to the resource that it is written in".to_owned());
            return match (&spec.scope, &spec.name) {
                (None, None) => Some(own),
                // A limit of each key, written where nothing else is meant.
                (Some(scope), None) if scope.trim() == "key" && matches!(own, Scope::Key(_)) => Some(own),
                (Some(_), _) => self.refuse("scope", "not here", hint),
                (None, Some(_)) => self.refuse("name", "not here", hint),
            };
        }
        let written = spec.scope.as_deref().unwrap_or("environment").trim();
        let (kind, inner) = written.split_once(':').map_or((written, None), |(kind, name)| (kind, Some(name.trim())));
        if inner.is_some() && spec.name.is_some() {
            return self.refuse("name", "the scope has a name already", None);
        }
        let name = inner.or(spec.name.as_deref().map(str::trim));
        if name.is_some_and(str::is_empty) {
            return self.refuse("scope", "the name is empty", None);
        }
        if name.is_some_and(|name| name.chars().count() > MAX_NAME || name.chars().any(char::is_control)) {
            return self.refuse("scope", &format!("not a name: at most {MAX_NAME} printable characters"), None);
        }
        if kind == "ip" && name.is_some_and(|name| name.parse::<IpAddr>().is_err()) {
            return self.refuse("scope", "not an IP address", Some("such as ip:203.0.113.7".to_owned()));
        }
        let name = name.map(Arc::from);
        match kind {
            "environment" | "account" if name.is_none() => Some(Scope::Environment),
            "environment" | "account" => self.refuse("scope", "an environment's limits are its own: no name", None),
            "team" => Some(Scope::Team(name)),
            "key" => Some(Scope::Key(name)),
            "user" => Some(Scope::User(name)),
            "ip" => Some(Scope::Ip(name)),
            "bucket" if name.as_deref().is_none_or(is_bucket) => Some(Scope::Bucket(name)),
            "bucket" => self.refuse("scope", BUCKET, None),
            _ => {
                let known = || format!("known: {}", SCOPES.join(", "));
                self.refuse("scope", "unknown scope", Some(did_you_mean(kind, SCOPES).unwrap_or_else(known)))
            }
        }
    }

    fn enforce(&mut self, written: Option<&str>) -> Option<Enforce> {
        match written.unwrap_or("cluster").trim() {
            "cluster" => Some(Enforce::Cluster),
            "node" => Some(Enforce::Node),
            other => {
                let hint = did_you_mean(other, ["cluster", "node"]).or(Some("known: cluster, node".to_owned()));
                self.refuse("enforce", "unknown word", hint)
            }
        }
    }

    fn target(&mut self, written: Option<&str>) -> Option<Target> {
        const HINT: &str = "write all, provider:NAME or model:SLUG";
        match written.unwrap_or("all").trim().split_once(':') {
            Some(("provider", name)) if !name.trim().is_empty() => Some(Target::Provider(name.trim().into())),
            Some(("model", slug)) if !slug.trim().is_empty() => Some(Target::Model(slug.trim().to_lowercase().into())),
            None if written.unwrap_or("all").trim() == "all" => Some(Target::All),
            _ => self.refuse("target", "not a target", Some(HINT.to_owned())),
        }
    }
}

impl Check<'_> {
    /// Checks that what a limit names is there. Of keys nobody knows here.
    fn references(&mut self, scope: Option<&Scope>, target: Option<&Target>, within: &Within<'_>) {
        if let (Some(Scope::Team(Some(team))), Within::Environment { specs, .. }) = (scope, within)
            // Files are read where no team is known; there nothing can be said.
            && !specs.teams.is_empty()
            && !specs.teams.iter().any(|entry| entry.name == **team)
        {
            let message = "there is no team of this name: it binds nobody";
            self.report.warn(self.origin, &format!("{}scope", self.prefix), message);
        }
        match target {
            Some(Target::Provider(name)) if !within.has_provider(name) => {
                let hint = did_you_mean(name, within.providers());
                self.refuse::<()>("target", "no configured provider has this name or kind", hint);
            }
            Some(Target::Model(name)) if !within.has_model(name) => {
                let hint = did_you_mean(name, within.models());
                self.refuse::<()>("target", "no provider serves this model", hint);
            }
            _ => {}
        }
    }
}

impl<'a> Within<'a> {
    fn has_provider(self, name: &str) -> bool {
        match self {
            Self::Environment { specs, .. } => specs.providers.iter().any(|entry| {
                let is = |known: &str| known.eq_ignore_ascii_case(name);
                is(&entry.name) || entry.spec.kind.as_deref().is_some_and(is)
            }),
            Self::Snapshot(snapshot) => snapshot.provider_named(name).is_some(),
            Self::Anything => true,
        }
    }

    fn has_model(self, name: &str) -> bool {
        match self {
            Self::Environment { names, .. } => {
                !names.resolve(name).is_empty() || names.is_switched_off(name) || names.is_faulty(name)
            }
            Self::Snapshot(snapshot) => !snapshot.resolve(name).is_empty(),
            Self::Anything => true,
        }
    }

    fn providers(self) -> Vec<&'a str> {
        match self {
            Self::Environment { specs, .. } => specs.providers.iter().map(|entry| entry.name.as_str()).collect(),
            Self::Snapshot(snapshot) => snapshot.provider_names.keys().map(|name| &**name).collect(),
            Self::Anything => Vec::new(),
        }
    }

    fn models(self) -> Vec<&'a str> {
        match self {
            Self::Environment { names, .. } => names.slugs().collect(),
            Self::Snapshot(snapshot) => snapshot.names.keys().map(|name| &**name).collect(),
            Self::Anything => Vec::new(),
        }
    }
}

/// Returns what a key's own limit says, as far as it can be read on its own.
pub fn own_rule(spec: &LimitSpec) -> Option<Rule> {
    let (origin, mut report) = (Origin::default(), Report::default());
    let rule = compile_limit(spec, &origin, "", Some(Scope::Key(None)), &Within::Anything, &mut report);
    rule.filter(|_| report.problems.is_empty())
}

/// The name of a limit that no limit may have: a path of the admin API ends in it.
const RESERVED: &str = "effective";

/// What is said of a name of a bucket that is none.
const BUCKET: &str = "not a name of a bucket: 1 to 128 visible ASCII characters";

/// Returns whether something is a name that a bucket may have: it travels in a header.
pub fn is_bucket(name: &str) -> bool {
    (1..=128).contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_graphic())
}

/// Reads a window as people write it, however long; `None` when it is none.
pub fn span_of(text: &str) -> Option<Span> {
    Some(match text.trim() {
        "day" => Span::Day,
        "month" => Span::Month,
        "billing_period" => Span::BillingPeriod,
        "total" | "none" => Span::Total,
        text => Span::Rolling(duration(text)?),
    })
}

/// Reads a duration; days are known here too.
fn duration(text: &str) -> Option<Duration> {
    match text.strip_suffix('d') {
        Some(days) => days.trim().parse::<u64>().ok()?.checked_mul(86_400).map(Duration::from_secs),
        None => parse_duration(text),
    }
}

#[cfg(test)]
mod tests;
