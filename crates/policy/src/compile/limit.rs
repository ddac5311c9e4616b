//! Limits: every field alone, then what contradicts itself.

use std::sync::Arc;
use std::time::Duration;

use ir::money::PicoUsd;

use super::Report;
use super::settings::parse_duration;
use crate::limit::Meter;
use crate::limit::rule::{Rule, Scope, Span, Target};
use crate::problem::{Origin, did_you_mean};
use crate::spec::limit::LimitSpec;
use crate::spec::literal::Literal;

const METERS: [(&str, Meter); 6] = [
    ("requests", Meter::Requests),
    ("tokens", Meter::Tokens),
    ("input_tokens", Meter::InputTokens),
    ("output_tokens", Meter::OutputTokens),
    ("usd", Meter::Usd),
    ("concurrency", Meter::Concurrency),
];

const SCOPES: [&str; 6] = ["environment", "account", "team", "key", "user", "ip"];

/// The shortest and the longest rolling window.
const ROLLING: std::ops::RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(400 * 86_400);

/// Checks a limit. `within` is the scope of a limit that is written inside another resource (a key's own limits), which
/// then says none.
pub(super) fn compile_limit(
    spec: &LimitSpec,
    origin: &Origin,
    prefix: &str,
    within: Option<Scope>,
    report: &mut Report,
) -> Option<Rule> {
    let mut check = Check { origin, prefix, report };
    let meter = check.meter(spec.meter.as_deref());
    let window = check.window(spec.window.as_deref(), meter);
    let amount = check.amount(spec.amount.as_ref(), meter);
    let scope = check.scope(spec, within);
    let target = check.target(spec.target.as_deref());
    Some(Rule {
        meter: meter?,
        window: window?,
        amount: amount?,
        scope: scope?,
        target: target?,
        enabled: spec.enabled.unwrap_or(true),
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
        const HINT: &str = "write a duration such as 60s, 1h or 7d, or day, month or total";
        let concurrent = meter == Some(Meter::Concurrency);
        match written.map(str::trim) {
            None if concurrent => Some(Span::Total),
            None => self.refuse("window", "missing", Some(HINT.to_owned())),
            Some(_) if concurrent => {
                self.refuse("window", "concurrency is counted at every instant", Some("leave it out".to_owned()))
            }
            Some("day") => Some(Span::Day),
            Some("month" | "billing_period") => Some(Span::Month),
            Some("total" | "none") => Some(Span::Total),
            Some(text) => match duration(text) {
                Some(window) if ROLLING.contains(&window) => Some(Span::Rolling(window)),
                Some(_) => self.refuse("window", "not between 1s and 400d", None),
                None => self.refuse("window", "not a window", Some(HINT.to_owned())),
            },
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
                Err(error) => self.refuse("amount", &error.to_string(), Some("US dollars, such as 25.50".to_owned())),
            };
        }
        match text.trim().parse::<u64>() {
            Ok(amount) => Some(amount),
            Err(_) => self.refuse("amount", "not a whole number that is not negative", None),
        }
    }

    fn scope(&mut self, spec: &LimitSpec, within: Option<Scope>) -> Option<Scope> {
        if let Some(within) = within {
            let hint = Some("leave it out: the limit belongs to the resource that it is written in".to_owned());
            return match (&spec.scope, &spec.name) {
                (None, None) => Some(within),
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
        let name = name.map(Arc::from);
        match kind {
            "environment" | "account" if name.is_none() => Some(Scope::Environment),
            "environment" | "account" => self.refuse("scope", "an environment's limits are its own: no name", None),
            "team" => Some(Scope::Team(name)),
            "key" => Some(Scope::Key(name)),
            "user" => Some(Scope::User(name)),
            "ip" => Some(Scope::Ip(name)),
            _ => {
                let known = || format!("known: {}", SCOPES.join(", "));
                self.refuse("scope", "unknown scope", Some(did_you_mean(kind, SCOPES).unwrap_or_else(known)))
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

/// Reads a duration; days are known here too.
fn duration(text: &str) -> Option<Duration> {
    match text.strip_suffix('d') {
        Some(days) => days.trim().parse::<u64>().ok()?.checked_mul(86_400).map(Duration::from_secs),
        None => parse_duration(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limit(meter: &str, window: &str, amount: &str) -> LimitSpec {
        let text = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        LimitSpec {
            meter: text(meter),
            window: text(window),
            amount: text(amount).map(Literal),
            ..LimitSpec::default()
        }
    }

    fn compiled(spec: &LimitSpec, within: Option<Scope>) -> Result<Rule, Vec<String>> {
        let mut report = Report::default();
        let rule = compile_limit(spec, &Origin::new("f", "limits[0]"), "", within, &mut report);
        let problems: Vec<String> =
            report.problems.iter().map(|problem| format!("{}: {}", problem.path, problem.message)).collect();
        if problems.is_empty() { Ok(rule.unwrap()) } else { Err(problems) }
    }

    #[test]
    fn reads_limits() {
        let check = |spec: &LimitSpec, meter, window, amount| {
            let rule = compiled(spec, None).unwrap();
            assert_eq!((rule.meter, rule.window, rule.amount), (meter, window, amount), "{spec:?}");
        };
        let rolling = |seconds| Span::Rolling(Duration::from_secs(seconds));
        check(&limit("requests", "60s", "600"), Meter::Requests, rolling(60), 600);
        check(&limit("tokens", "1h", "1_000_000"), Meter::Tokens, rolling(3_600), 1_000_000);
        check(&limit("input_tokens", "7d", "0"), Meter::InputTokens, rolling(604_800), 0);
        check(&limit("usd", "month", "25.50"), Meter::Usd, Span::Month, 25_500_000_000);
        check(&limit("usd", "total", "0.000001"), Meter::Usd, Span::Total, 1_000);
        check(&limit("output_tokens", "day", "5"), Meter::OutputTokens, Span::Day, 5);
        check(&limit("concurrency", "", "8"), Meter::Concurrency, Span::Total, 8);
    }

    #[test]
    fn says_what_is_wrong_with_one() {
        let check = |meter, window, amount, expect: &[&str]| {
            assert_eq!(compiled(&limit(meter, window, amount), None).unwrap_err(), expect, "{meter} {window} {amount}");
        };
        check("", "", "", &["limits[0].meter: missing", "limits[0].window: missing", "limits[0].amount: missing"]);
        check("request", "60s", "1", &["limits[0].meter: unknown meter"]);
        check("requests", "60", "1", &["limits[0].window: not a window"]);
        check("requests", "week", "1", &["limits[0].window: not a window"]);
        check("requests", "1ms", "1", &["limits[0].window: not between 1s and 400d"]);
        check("requests", "9999d", "1", &["limits[0].window: not between 1s and 400d"]);
        check("requests", "60s", "-1", &["limits[0].amount: not a whole number that is not negative"]);
        check("requests", "60s", "1.5", &["limits[0].amount: not a whole number that is not negative"]);
        check("usd", "day", "-1", &["limits[0].amount: a price cannot be negative"]);
        check("usd", "day", "1e30", &["limits[0].amount: too large"]);
        check("concurrency", "60s", "1", &["limits[0].window: concurrency is counted at every instant"]);
    }

    #[test]
    fn reads_scopes_and_targets() {
        let check =
            |scope: Option<&str>, name: Option<&str>, target: Option<&str>, expect: Result<(Scope, Target), &str>| {
                let owned = |text: Option<&str>| text.map(str::to_owned);
                let spec = LimitSpec {
                    scope: owned(scope),
                    name: owned(name),
                    target: owned(target),
                    ..limit("requests", "60s", "1")
                };
                let found =
                    compiled(&spec, None).map(|rule| (rule.scope, rule.target)).map_err(|problems| problems.join("; "));
                assert_eq!(
                    found,
                    expect.map_err(|message| format!("limits[0].{message}")),
                    "{scope:?} {name:?} {target:?}"
                );
            };
        check(None, None, None, Ok((Scope::Environment, Target::All)));
        check(Some("account"), None, Some("all"), Ok((Scope::Environment, Target::All)));
        check(
            Some("team:a"),
            None,
            Some("provider:openai"),
            Ok((Scope::Team(Some("a".into())), Target::Provider("openai".into()))),
        );
        check(
            Some("key"),
            Some("b"),
            Some("model:GPT-5"),
            Ok((Scope::Key(Some("b".into())), Target::Model("gpt-5".into()))),
        );
        check(Some("user"), None, None, Ok((Scope::User(None), Target::All)));
        check(Some("teem"), None, None, Err("scope: unknown scope"));
        check(Some("team:a"), Some("b"), None, Err("name: the scope has a name already"));
        check(Some("team:"), None, None, Err("scope: the name is empty"));
        check(Some("environment:x"), None, None, Err("scope: an environment's limits are its own: no name"));
        check(None, None, Some("models:x"), Err("target: not a target"));
        check(None, None, Some("model:"), Err("target: not a target"));
    }

    #[test]
    fn a_limit_inside_a_key_is_the_key_s() {
        let own = Scope::Key(Some("k".into()));
        assert_eq!(compiled(&limit("requests", "60s", "1"), Some(own.clone())).unwrap().scope, own);
        let spec = LimitSpec { scope: Some("team".into()), ..limit("requests", "60s", "1") };
        assert_eq!(compiled(&spec, Some(own)).unwrap_err(), ["limits[0].scope: not here"]);
    }
}
